//! A whole session in which one node is killed by SIGKILL at every file operation of its log, in the middle of writes too.
//!
//! This test's own program is every node: started again with a few variables set, it runs [`child`], which is what
//! `subrosa run` and `subrosa node` do. What must hold: the others end in time and name the victim, or had finished; no
//! scores without success; what anybody was shown of the victim's log survives in it; all logs verify after the
//! victim's next start; and the next session succeeds.

#![allow(clippy::unwrap_used, reason = "a test: a panic is how it fails")]

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use ed25519_dalek::VerifyingKey;
use mpc_core::checkpoint::SignedCheckpoint;

use crate::config::{Config, DealerConfig, Offline};
use crate::demo::layout::{DEALER, Layout, lay_out};
use crate::demo::scenario::made_up;
use crate::error::CliError;
use crate::job::{run_dealer, run_party};
use crate::log::tests::killed::{AFTER, TORN};
use crate::log::{prove_consistency, render, verify};
use crate::net::hostile::ALONE;
use crate::output::Format;
use crate::progress::for_stderr;

const CONFIG: &str = "SUBROSA_TEST_NODE_CONFIG";
const ROWS: usize = 24;
/// A node that dies before it has connected is waited for that long.
const CONNECT_TIMEOUT_MS: u64 = 5_000;
/// Nothing takes longer, on a busy machine, unless it hangs.
const DEADLINE: Duration = Duration::from_secs(60);
/// Sessions at once: they spend most of their time waiting to notice the victim's silence.
const WORKERS: usize = 4;

/// Not a test by itself: a node.
#[test]
fn child() {
    let Some(path) = env::var_os(CONFIG).map(PathBuf::from) else { return };
    let run = || -> Result<(), CliError> {
        if path.ends_with(format!("{DEALER}.toml")) {
            return run_dealer(&DealerConfig::load(&path)?, true, &mut |_| Ok(()));
        }
        run_party(&Config::load(&path)?, for_stderr(Format::Text).as_mut()).map(drop)
    };
    if let Err(error) = run() {
        eprintln!("error: {error}");
        std::process::exit(1);
    }
}

/// A party or dealer under way.
struct Node {
    name: String,
    child: Child,
}

impl Drop for Node {
    fn drop(&mut self) {
        // Both fail only for a process that has ended.
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

impl Node {
    fn start(name: &str, config: &Path, death: Option<(usize, bool)>) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", "job::killed_tests::child", "--nocapture", "--test-threads=1"]);
        command.env(CONFIG, config).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some((after, torn)) = death {
            command.env(AFTER, after.to_string());
            if torn {
                command.env(TORN, "1");
            }
        }
        Self { name: name.to_owned(), child: command.spawn().unwrap() }
    }

    /// Waits for its end. Its output fits a pipe's buffer, so it cannot block on it.
    fn finish(mut self, by: Instant) -> Output {
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < by, "{} still runs at its deadline", self.name);
            thread::sleep(Duration::from_millis(5));
        }
        let status = self.child.wait().unwrap();
        let mut read = (Vec::new(), Vec::new());
        std::io::copy(&mut self.child.stdout.take().unwrap(), &mut read.0).unwrap();
        std::io::copy(&mut self.child.stderr.take().unwrap(), &mut read.1).unwrap();
        Output { status, stdout: read.0, stderr: read.1 }
    }
}

struct World {
    _dir: tempfile::TempDir,
    layout: Layout,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let scenario = made_up(2, ROWS, &|party, file| dir.path().join(party).join(file)).unwrap();
        let layout = lay_out(&scenario, dir.path(), Offline::DEALER).unwrap();
        let world = Self { _dir: dir, layout };
        for (_, config) in world.nodes() {
            let text = fs::read_to_string(&config).unwrap();
            let shorter = text
                .replace("connect_timeout_ms = 30000", &format!("connect_timeout_ms = {CONNECT_TIMEOUT_MS}"));
            assert_ne!(text, shorter);
            fs::write(&config, shorter).unwrap();
        }
        world
    }

    fn nodes(&self) -> Vec<(String, PathBuf)> {
        let dealer = self.layout.dealer.clone().map(|config| (DEALER.to_owned(), config));
        self.layout.parties.iter().cloned().chain(dealer).collect()
    }

    /// Runs a session in which `victim`, if there is one, dies as told; gives everyone's end in the order of `nodes`.
    fn run(&self, victim: Option<(&str, usize, bool)>) -> Vec<Output> {
        let death = |name: &str| victim.filter(|v| v.0 == name).map(|(_, after, torn)| (after, torn));
        let nodes: Vec<Node> =
            self.nodes().iter().map(|(name, config)| Node::start(name, config, death(name))).collect();
        let by = Instant::now() + DEADLINE;
        nodes.into_iter().map(|n| n.finish(by)).collect()
    }

    fn log(&self, node: &str) -> &Path {
        &self.layout.logs.iter().find(|(name, _)| name == node).unwrap().1
    }

    /// All heads of `victim`'s log that the others remember.
    fn shown(&self, victim: &str) -> Vec<SignedCheckpoint> {
        let mut heads = Vec::new();
        for (name, log) in self.layout.logs.iter().filter(|(name, _)| name != victim) {
            let Ok(folder) = fs::read_dir(log.with_file_name("log-witness")) else { continue };
            for file in folder.map(|f| f.unwrap().path()).filter(|f| !f.ends_with("tmp")) {
                assert!(file.extension().is_none(), "{name} refused a head: {}", file.display());
                let head = SignedCheckpoint::parse(&fs::read(file).unwrap()).unwrap();
                heads.extend((head.checkpoint().origin() == victim).then_some(head));
            }
        }
        heads
    }
}

/// One death and all that must hold after it. True if the victim died of it.
fn survives(world: &World, victim: &str, after: usize, torn: bool) -> bool {
    assert_eq!(world.shown(victim).len(), 2, "both others have seen the log of {victim}");
    fs::remove_file(&world.layout.scores).unwrap();
    let ended = world.run(Some((victim, after, torn)));
    let when = format!("{victim} killed after {after} operations, torn: {torn}");
    let names: Vec<String> = world.nodes().into_iter().map(|(name, _)| name).collect();
    let mut died = false;
    for (name, end) in names.iter().zip(&ended) {
        let said = String::from_utf8_lossy(&end.stderr);
        if name == victim {
            died = end.status.signal() == Some(9);
            assert!(died || end.status.success(), "{when}: {end:?}");
            continue;
        }
        assert!(!said.contains("panicked"), "{when}: {name}: {said}");
        // A dealer that nobody asked cannot know whom the parties wait for.
        let knows = said.contains(victim)
            || (name == DEALER && said.contains("did not come within"))
            || (name == DEALER && said.contains("no party asked"));
        assert!(end.status.success() || (end.status.code() == Some(1) && knows), "{when}: {name}: {said}");
    }
    let scorer = names.iter().zip(&ended).find(|(name, _)| *name == "bank").unwrap().1;
    if victim != "bank" {
        assert_eq!(world.layout.scores.exists(), scorer.status.success(), "{when}: scores without success");
    }

    // The victim starts again with everyone; whatever the others were shown is still in its log.
    let shown = world.shown(victim);
    let well = world.run(None);
    assert!(well.iter().all(|o| o.status.success()), "{when}: the next session: {well:?}");
    for head in shown {
        let key = world.layout.keys[names.iter().position(|n| n == victim).unwrap()];
        let key = VerifyingKey::from_bytes(key.as_bytes()).unwrap();
        let proof = prove_consistency(world.log(victim), head.checkpoint().size()).unwrap();
        proof.verify(head.checkpoint(), &key).unwrap_or_else(|e| panic!("{when}: {e}"));
    }
    let logs: Vec<PathBuf> = world.layout.logs.iter().map(|(_, log)| log.clone()).collect();
    let report = verify(&logs, &world.layout.members());
    assert!(report.ok, "{when}:\n{}", render(&report));
    died
}

/// Kills the victim of a session at every `step`-th of its steps until it survives, in worlds of which each worker has one.
/// Gives how often it died.
pub(super) fn deaths<W>(
    (workers, step): (usize, usize),
    world: impl Fn() -> W + Sync,
    dies: impl Fn(&W, usize) -> bool + Sync,
) -> usize {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (next, done, deaths) = (AtomicUsize::new(0), AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                let world = world();
                while !done.load(Ordering::SeqCst) {
                    let after = next.fetch_add(step, Ordering::SeqCst);
                    if dies(&world, after) {
                        deaths.fetch_add(1, Ordering::SeqCst);
                    } else {
                        done.store(true, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    deaths.into_inner()
}

/// Every `step`-th operation until the victim survives its session.
fn every_operation(victim: &'static str, torn: bool, step: usize) -> usize {
    let world = || {
        let world = World::new();
        // A first session, so that all have seen something of each other.
        let well = world.run(None);
        assert!(well.iter().all(|o| o.status.success()), "{well:?}");
        world
    };
    deaths((WORKERS, step), world, |world, after| survives(world, victim, after, torn))
}

#[test]
fn a_party_killed_at_every_write_of_its_log_loses_nothing_that_it_showed() {
    let deaths = every_operation("bank", false, 1);
    println!("bank died {deaths} times");
    assert!(deaths > 40, "{deaths}");
}

#[test]
fn a_party_killed_in_the_middle_of_its_writes_loses_nothing_that_it_showed() {
    assert!(every_operation("bureau", true, 2) > 20);
}

#[test]
fn a_dealer_killed_at_the_writes_of_its_log_loses_nothing_that_it_showed() {
    assert!(every_operation(DEALER, false, 3) > 10);
}
