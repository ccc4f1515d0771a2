//! Sessions in which one party is killed by SIGKILL at every step of its store: while copies are made, and while one is spent.
//!
//! This test's own program is every node, as in `job/killed_tests`. What must hold: the other party ends in time and names the
//! victim, or had finished; the next run succeeds at both, on the same copy or on none; and no copy is ever used in two runs.

#![allow(clippy::unwrap_used, reason = "a test: a panic is how it fails")]

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use serde_json::Value;

use crate::config::{Config, Offline};
use crate::demo::layout::{Layout, lay_out};
use crate::demo::scenario::made_up;
use crate::error::CliError;
use crate::job::inputs::load_program;
use crate::job::killed_tests::deaths;
use crate::job::{run_ahead, run_party, store_purpose};
use crate::log::{render, verify};
use crate::progress::Silent;
use crate::store::summarise;
use crate::store::tests::killed::{AFTER, TORN};

const CONFIG: &str = "SUBROSA_TEST_STORED_CONFIG";
const AHEAD: &str = "SUBROSA_TEST_STORED_COPIES";
const ROWS: usize = 24;
/// A node that dies before it has connected is waited for that long.
const CONNECT_TIMEOUT_MS: u64 = 5_000;
/// Nothing takes longer, on a busy machine, unless it hangs.
const DEADLINE: Duration = Duration::from_secs(90);
const WORKERS: usize = 3;

/// Not a test by itself: a party that runs, or that makes copies.
#[test]
fn child() {
    let Some(path) = env::var_os(CONFIG).map(PathBuf::from) else { return };
    let run = || -> Result<Value, CliError> {
        let config = Config::load(&path)?;
        let report = match env::var(AHEAD) {
            Ok(copies) => serde_json::to_value(run_ahead(&config, copies.parse().unwrap(), &mut Silent)?),
            Err(_) => serde_json::to_value(run_party(&config, &mut Silent)?),
        };
        Ok(report.unwrap())
    };
    match run() {
        Ok(report) => println!("\nreport {report}"),
        Err(error) => {
            eprintln!("error: {error}");
            std::process::exit(1);
        }
    }
}

/// What a session is for.
#[derive(Copy, Clone, PartialEq)]
enum Kind {
    Ahead(u32),
    Run,
}

/// Whom to kill, after how many steps, and whether in the middle of a write.
type Death = Option<(usize, usize, bool)>;

struct World {
    _dir: tempfile::TempDir,
    layout: Layout,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let scenario = made_up(2, ROWS, &|party, file| dir.path().join(party).join(file)).unwrap();
        let layout = lay_out(&scenario, dir.path(), Offline::OT).unwrap();
        for (_, config) in &layout.parties {
            let text = fs::read_to_string(config).unwrap();
            let changed = text
                .replace("connect_timeout_ms = 30000", &format!("connect_timeout_ms = {CONNECT_TIMEOUT_MS}"))
                .replace(
                    "preprocessing = \"ot\"\n",
                    "preprocessing = \"ot\"\not = \"softspoken-4\"\nstore = \"store\"\n",
                );
            assert_eq!(changed.lines().count(), text.lines().count() + 2);
            fs::write(config, changed).unwrap();
        }
        Self { _dir: dir, layout }
    }

    /// A session of both parties to its end.
    fn session(&self, kind: Kind, death: Death) -> Vec<Output> {
        let start = |(index, (_, config)): (usize, &(String, PathBuf))| {
            let mut command = Command::new(env::current_exe().unwrap());
            command.args(["--exact", "job::store::killed_tests::child", "--nocapture", "--test-threads=1"]);
            command.env(CONFIG, config).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            if let Kind::Ahead(copies) = kind {
                command.env(AHEAD, copies.to_string());
            }
            if let Some((_, after, torn)) = death.filter(|d| d.0 == index) {
                command.env(AFTER, after.to_string());
                if torn {
                    command.env(TORN, "1");
                }
            }
            command.spawn().unwrap()
        };
        let nodes: Vec<Child> = self.layout.parties.iter().enumerate().map(start).collect();
        let by = Instant::now() + DEADLINE;
        nodes.into_iter().map(|node| finish(node, by)).collect()
    }

    /// A session that must end well at both; their reports.
    fn well(&self, kind: Kind, when: &str) -> [Value; 2] {
        let ended = self.session(kind, None);
        let reports = ended.iter().map(|end| {
            assert!(end.status.success(), "{when}: the next session: {end:?}");
            let said = String::from_utf8_lossy(&end.stdout);
            let report = said.lines().find_map(|l| l.strip_prefix("report ")).unwrap();
            serde_json::from_str(report).unwrap()
        });
        reports.collect::<Vec<Value>>().try_into().unwrap()
    }

    /// Every series at a party: its name and the first copy that is not spent.
    fn cursors(&self, party: usize) -> Vec<(String, u32)> {
        let config = Config::load(&self.layout.parties[party].1).unwrap();
        let purpose = store_purpose(&config, &load_program(&config).unwrap());
        let found = summarise(&config.store.unwrap(), &purpose).unwrap().unwrap_or_default();
        assert!(found.iter().all(|s| s.fits), "{found:?}");
        found.into_iter().map(|s| (s.series, s.copies - s.left)).collect()
    }

    /// The stores' folders.
    fn stores(&self) -> Vec<PathBuf> {
        self.layout.parties.iter().map(|(_, config)| config.with_file_name("store")).collect()
    }

    fn logs_verify(&self, when: &str) {
        let logs: Vec<PathBuf> = self.layout.logs.iter().map(|(_, log)| log.clone()).collect();
        let report = verify(&logs, &self.layout.members());
        assert!(report.ok, "{when}:\n{}", render(&report));
    }
}

/// Waits for its end. Its output fits a pipe's buffer, so it cannot block on it.
fn finish(mut node: Child, by: Instant) -> Output {
    while node.try_wait().unwrap().is_none() {
        if Instant::now() > by {
            let _ended = node.kill();
            panic!("a node still runs at its deadline");
        }
        thread::sleep(Duration::from_millis(5));
    }
    node.wait_with_output().unwrap()
}

/// The copy that a run used.
fn used(report: &Value) -> Option<(String, u32)> {
    let from = report["from_store"].as_object()?;
    Some((from["series"].as_str().unwrap().to_owned(), from["copy"].as_u64().unwrap() as u32))
}

/// One death in a session, and all that must hold after it. True if the victim died of it.
fn survives(world: &World, kind: Kind, death: (usize, usize, bool)) -> bool {
    let (victim, after, torn) = death;
    let when = format!("party {victim} killed after {after} steps, torn: {torn}");
    let before = world.cursors(1 - victim);
    let ended = world.session(kind, Some(death));
    let died = ended[victim].status.signal() == Some(9);
    assert!(died || ended[victim].status.success(), "{when}: {ended:?}");
    let (other, name) = (&ended[1 - victim], &world.layout.parties[victim].0);
    let said = String::from_utf8_lossy(&other.stderr);
    assert!(!said.contains("panicked"), "{when}: {said}");
    assert!(other.status.success() || said.contains(name.as_str()), "{when}: {said}");

    // What either has spent is spent, and both agree on what is next.
    let [mine, theirs] = [victim, 1 - victim].map(|party| world.cursors(party));
    let [first, second] = world.well(Kind::Run, &when);
    assert_eq!(used(&first), used(&second), "{when}");
    assert_eq!(first["preprocessing"], if used(&first).is_some() { "ot (stored)" } else { "ot" }, "{when}");
    let cursor = |of: &[(String, u32)], series: &str| of.iter().find(|(s, _)| s == series).map(|(_, c)| *c);
    if let Some((series, copy)) = used(&first) {
        let all = [&mine, &theirs].map(|of| cursor(of, &series));
        assert_eq!(Some(copy), all.into_iter().max().flatten(), "{when}: {all:?}");
        assert!(all.iter().all(Option::is_some), "{when}: not all had the series");
        assert!(cursor(&before, &series).is_none_or(|before| copy >= before), "{when}");
    }
    // Whatever not both had is gone.
    assert_eq!(world.cursors(0), world.cursors(1), "{when}");
    world.logs_verify(&when);
    died
}

/// Every `step`-th step until the victim survives its session.
fn every_step(kind: Kind, victim: usize, torn: bool, step: usize) -> usize {
    deaths((WORKERS, step), World::new, |world, after| {
        if world.cursors(0).iter().all(|(_, cursor)| *cursor + 2 > 4) && kind == Kind::Run {
            world.well(Kind::Ahead(4), "preparing");
        }
        survives(world, kind, (victim, after, torn))
    })
}

#[test]
fn a_party_killed_at_every_step_of_spending_never_uses_a_copy_twice() {
    let deaths = every_step(Kind::Run, 0, false, 1);
    println!("died {deaths} times");
    assert!(deaths > 10, "{deaths}");
}

#[test]
fn a_party_killed_in_the_middle_of_its_writes_never_uses_a_copy_twice() {
    assert!(every_step(Kind::Run, 1, true, 2) > 5);
}

#[test]
fn a_party_killed_while_copies_are_made_leaves_nothing_that_not_all_have() {
    let deaths = every_step(Kind::Ahead(2), 1, false, 3);
    println!("died {deaths} times");
    assert!(deaths > 10, "{deaths}");
}

/// Everybody's store but one's is as it was: the one that knows more is believed.
#[test]
fn a_store_that_was_put_back_does_not_bring_back_what_peers_know_to_be_spent() {
    let world = World::new();
    let [made, _] = world.well(Kind::Ahead(3), "preparing");
    let series = made["session"].as_str().unwrap().to_owned();
    let folders = world.stores();
    let kept = folders.iter().map(|f| snapshot(f)).collect::<Vec<_>>();
    let used_next = || used(&world.well(Kind::Run, "a run")[0]);
    assert_eq!(used_next(), Some((series.clone(), 0)));
    restore(&kept[0], &folders[0]);
    assert_eq!(used_next(), Some((series.clone(), 1)), "the bureau knows more");
    restore(&kept[1], &folders[1]);
    assert_eq!(used_next(), Some((series, 2)), "the bank knows more");
    restore(&kept[0], &folders[0]);
    assert_eq!(used_next(), None, "the bureau has none of it any more");
    assert!(world.cursors(0).is_empty() && world.cursors(1).is_empty());
}

/// Copies that two different sessions made do not meet.
#[test]
fn stores_of_two_sessions_are_refused_and_destroyed() {
    let world = World::new();
    let folders = world.stores();
    world.well(Kind::Ahead(2), "preparing");
    let old = snapshot(&folders[1]);
    folders.iter().for_each(|f| fs::remove_dir_all(f).unwrap());
    world.well(Kind::Ahead(2), "preparing again");
    restore(&old, &folders[1]);
    assert_ne!(world.cursors(0), world.cursors(1));
    let [first, second] = world.well(Kind::Run, "with other copies");
    assert_eq!((used(&first), used(&second)), (None, None));
    assert_eq!(first["preprocessing"], "ot");
    assert!(world.cursors(0).is_empty() && world.cursors(1).is_empty());
    world.logs_verify("after other copies");
}

fn snapshot(folder: &Path) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    crate::store::tests::copy_folder(folder, dir.path());
    dir
}

fn restore(from: &tempfile::TempDir, folder: &Path) {
    crate::store::tests::copy_folder(from.path(), folder);
}
