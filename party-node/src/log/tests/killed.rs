//! Real processes that are killed by SIGKILL at every file operation of the log, in the middle of writes too.
//!
//! This test's own program is the process: started again with a few variables set, it runs [`child`], which writes a log
//! and tells on stdout what it was told to be durable, until it kills itself.

use std::io::{self, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, fs, process, thread};

use mpc_core::checkpoint::{Checkpoint, SignedCheckpoint};
use mpc_core::merkle::{self, leaf_hash};
use mpc_core::tag::SessionId;
use mpc_core::transcript::{Entry, Witnessed};

use super::super::LogStore;
use super::super::files::{Disk, Files};
use super::super::listing::Listing;
use super::super::read::read;
use super::cosigned::line;
use super::session::key_of;
use super::store::entry;
use super::verifier::temp;

const DIR: &str = "SUBROSA_TEST_KILLED_DIR";
/// After how many file operations the process dies, the log's and the memory's of peers' heads counted together.
pub(crate) const AFTER: &str = "SUBROSA_TEST_KILLED_AFTER";
/// Set if the write in which it dies is done by half.
pub(crate) const TORN: &str = "SUBROSA_TEST_KILLED_TORN";

/// Sizes after each commit; the entry that fixes cosignatures follows where it says so.
const COMMITS: [(u64, bool); 5] = [(2, true), (5, false), (256, true), (258, false), (600, true)];

fn cosigned(entries: &[Vec<u8>]) -> SignedCheckpoint {
    let leaves: Vec<_> = entries.iter().map(|e| leaf_hash(e)).collect();
    let head = Checkpoint::new("bank", entries.len() as u64, merkle::root(&leaves)).unwrap();
    let line = line(&head, "bureau");
    head.sign(&key_of("bank")).with_signature(line).unwrap()
}

/// All entries in the end, and the sizes that are reported as durable on the way.
fn expected() -> (Vec<Vec<u8>>, Vec<u64>) {
    let (mut entries, mut sizes) = (Vec::new(), vec![0]);
    for (size, witnessed) in COMMITS {
        entries.extend((entries.len() as u64..size).map(entry));
        sizes.push(size);
        if witnessed {
            let session = SessionId([size as u8; 32]);
            entries.push(Entry::Witnessed(Witnessed::new(session, &cosigned(&entries))).encode());
            sizes.push(entries.len() as u64);
        }
    }
    (entries, sizes)
}

/// Does what it is told until the process's operations are used up; then it is dead.
pub(crate) struct Killed;

static DONE: AtomicUsize = AtomicUsize::new(0);

/// As the environment says, if it does.
pub(crate) fn told_by_environment() -> Option<Killed> {
    env::var_os(AFTER).map(|_| Killed)
}

impl Killed {
    fn step(&mut self, half: impl FnOnce(), run: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let limit: usize = env::var(AFTER).unwrap().parse().unwrap();
        if DONE.fetch_add(1, Ordering::SeqCst) >= limit {
            if env::var_os(TORN).is_some() {
                half();
            }
            let own = process::id().to_string();
            let _ = Command::new("kill").args(["-KILL", &own]).status();
            loop {
                thread::park();
            }
        }
        run()
    }
}

impl Files for Killed {
    fn write_synced(&mut self, path: &Path, content: &[u8]) -> io::Result<()> {
        let half = || fs::write(path, &content[..content.len() / 2]).unwrap();
        self.step(half, || Disk.write_synced(path, content))
    }
    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.step(|| (), || Disk.rename(from, to))
    }
    fn sync_dir(&mut self, path: &Path) -> io::Result<()> {
        self.step(|| (), || Disk.sync_dir(path))
    }
    fn create_dir(&mut self, path: &Path) -> io::Result<()> {
        self.step(|| (), || Disk.create_dir(path))
    }
    fn remove_file(&mut self, path: &Path) -> io::Result<()> {
        self.step(|| (), || Disk.remove_file(path))
    }
    fn remove_dir(&mut self, path: &Path) -> io::Result<()> {
        self.step(|| (), || Disk.remove_dir(path))
    }
}

/// Not a test by itself: what the killed process does.
#[test]
fn child() {
    let Ok(dir) = env::var(DIR) else { return };
    let (mut store, _) =
        LogStore::open_with(&PathBuf::from(dir), "bank", key_of("bank"), Box::new(Killed)).unwrap();
    let tell = |size: u64| {
        let mut out = io::stdout().lock();
        writeln!(out, "\nacknowledged {size}").and_then(|()| out.flush()).unwrap();
    };
    tell(store.size());
    let (entries, _) = expected();
    for (size, witnessed) in COMMITS {
        let (from, to) = (store.size() as usize, size as usize);
        if from < to {
            store.append(&entries[from..to]).unwrap();
            store.commit().unwrap();
            tell(size);
        }
        if witnessed && store.size() == size {
            store.keep_cosigned(SessionId([size as u8; 32]), &cosigned(&entries[..to])).unwrap();
            tell(store.size());
        }
    }
}

/// Runs the child until it dies; gives what it reported last, and whether it came to its end.
fn run_child(dir: &Path, after: usize, torn: bool) -> (Option<u64>, bool) {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "log::tests::killed::child", "--nocapture", "--test-threads=1"]);
    command.env(DIR, dir).env(AFTER, after.to_string()).stderr(Stdio::piped()).stdout(Stdio::piped());
    if torn {
        command.env(TORN, "1");
    }
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let last = text.lines().filter_map(|l| l.strip_prefix("acknowledged ")?.parse().ok()).next_back();
    let done = output.status.success();
    assert!(
        done || output.status.signal() == Some(9),
        "after {after}: {:?}\n{text}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    (last, done)
}

fn assert_whole(dir: &Path, when: &str) -> u64 {
    let listing = Listing::of(dir).unwrap();
    let raw = read(dir, &listing);
    assert_eq!(raw.faults, [], "{when}");
    let size = raw.entries.len() as u64;
    assert_eq!(listing.strays(&raw), [], "{when}");
    assert!(raw.entries == expected().0[..size as usize], "{when}: other entries");
    size
}

#[test]
fn a_process_killed_at_every_operation_loses_nothing_it_reported() {
    let (entries, sizes) = expected();
    for torn in [false, true] {
        let mut points = 0;
        for after in 0.. {
            let root = temp();
            let when = format!("killed after {after} operations, torn: {torn}");
            let (last, done) = run_child(root.path(), after, torn);
            let least = last.unwrap_or(0);
            drop(
                LogStore::open_or_create(root.path(), "bank", key_of("bank"))
                    .unwrap_or_else(|e| panic!("{when}: {e}")),
            );
            let size = assert_whole(root.path(), &when);
            let next = sizes.iter().copied().find(|&s| s > least).unwrap_or(least);
            assert!(size == least || size == next, "{when}: {least} reported, {size} there");
            if done {
                assert_eq!(size, entries.len() as u64);
                points = after;
                break;
            }
            // Another process goes on from there to the end.
            if after % 7 == 0 {
                assert!(run_child(root.path(), usize::MAX, false).1, "{when}");
                assert_whole(root.path(), &when);
            }
        }
        assert!(points > 60, "{points} operations");
    }
}
