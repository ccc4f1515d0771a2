//! A crash before, in and after every file operation; and a power cut that loses what was not synchronised.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::super::LogStore;
use super::super::files::{Disk, Files};
use super::super::listing::Listing;
use super::super::read::read;
use super::session::key_of;
use super::store::{assert_whole, entry, open};

/// Sizes after each commit: within a tile, to its end, over it, to the next one's end, and far over it.
const COMMITS: [u64; 8] = [3, 4, 256, 257, 511, 767, 768, 1030];
/// What a node commits at once is far less.
const MOST_AT_ONCE: u64 = 256;

#[derive(Clone, Debug)]
enum Operation {
    Write(PathBuf, Vec<u8>),
    Rename(PathBuf, PathBuf),
    SyncDir(PathBuf),
    CreateDir(PathBuf),
    RemoveFile(PathBuf),
    RemoveDir(PathBuf),
    /// Not an operation: this size was reported as durable.
    Acknowledged(u64),
}

/// Does what it is told until its number of operations is used up; from then on everything fails.
struct Limited {
    left: usize,
    /// The operation in which it dies is done by half.
    torn: bool,
    log: Arc<Mutex<Vec<Operation>>>,
}

impl Limited {
    fn step(&mut self, operation: Operation, run: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        if self.left == 0 {
            if let (true, Operation::Write(path, content)) = (self.torn, &operation) {
                fs::write(path, &content[..content.len() / 2])?;
            }
            self.torn = false;
            return Err(io::Error::other("crashed"));
        }
        self.left -= 1;
        run()?;
        self.log.lock().unwrap().push(operation);
        Ok(())
    }
}

impl Files for Limited {
    fn write_synced(&mut self, path: &Path, content: &[u8]) -> io::Result<()> {
        self.step(Operation::Write(path.into(), content.into()), || fs::write(path, content))
    }
    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.step(Operation::Rename(from.into(), to.into()), || Disk.rename(from, to))
    }
    fn sync_dir(&mut self, path: &Path) -> io::Result<()> {
        self.step(Operation::SyncDir(path.into()), || Ok(()))
    }
    fn create_dir(&mut self, path: &Path) -> io::Result<()> {
        self.step(Operation::CreateDir(path.into()), || Disk.create_dir(path))
    }
    fn remove_file(&mut self, path: &Path) -> io::Result<()> {
        self.step(Operation::RemoveFile(path.into()), || Disk.remove_file(path))
    }
    fn remove_dir(&mut self, path: &Path) -> io::Result<()> {
        self.step(Operation::RemoveDir(path.into()), || Disk.remove_dir(path))
    }
}

/// Commits until the operations are used up. Returns the last acknowledged size, and whether it came to its end.
fn commit_until_crash(
    dir: &Path,
    left: usize,
    torn: bool,
    log: &Arc<Mutex<Vec<Operation>>>,
) -> (Option<u64>, bool) {
    let files = Box::new(Limited { left, torn, log: Arc::clone(log) });
    let Ok((mut store, _)) = LogStore::open_with(dir, "bank", key_of("bank"), files) else {
        return (None, false);
    };
    let mut acknowledged = store.size();
    let present = acknowledged;
    for size in COMMITS.into_iter().filter(|&s| s > present) {
        store.append(&(store.size()..size).map(entry).collect::<Vec<_>>()).unwrap();
        if store.commit().is_err() {
            assert!(store.append(&[entry(0)]).is_err(), "a store that failed goes on");
            return (Some(acknowledged), false);
        }
        acknowledged = size;
        log.lock().unwrap().push(Operation::Acknowledged(size));
    }
    (Some(acknowledged), true)
}

/// What does not belong there is said to be what a crash may have left.
fn assert_called_a_crash(dir: &Path, acknowledged: u64, when: &str) {
    let next = COMMITS.into_iter().find(|&s| s > acknowledged).unwrap_or(acknowledged);
    let listing = Listing::of(dir).unwrap();
    let raw = read(dir, &listing);
    if next - acknowledged > MOST_AT_ONCE || raw.checkpoint.is_none() {
        return;
    }
    for stray in listing.strays(&raw) {
        assert!(stray.what.contains("left by an interrupted write"), "{when}: {}", stray.line());
    }
}

/// Whatever was acknowledged is there, and at most the commit that was under way.
fn assert_recovers(dir: &Path, acknowledged: Option<u64>, when: &str) {
    assert_called_a_crash(dir, acknowledged.unwrap_or(0), when);
    let store = open(dir).unwrap_or_else(|e| panic!("{when}: {e}"));
    let size = store.size();
    let least = acknowledged.unwrap_or(0);
    let next = COMMITS.into_iter().find(|&s| s > least).unwrap_or(least);
    assert!(size == least || size == next, "{when}: {least} were acknowledged, {size} are there");
    drop(store);
    assert_whole(dir, size);
}

#[test]
fn a_crash_at_every_operation_loses_nothing_acknowledged() {
    for torn in [false, true] {
        let mut points = 0;
        for left in 0.. {
            let root = tempfile::tempdir().unwrap();
            let log = Arc::default();
            let (acknowledged, done) = commit_until_crash(root.path(), left, torn, &log);
            assert_recovers(root.path(), acknowledged, &format!("after {left} operations, torn: {torn}"));
            // And it can go on from there to the end.
            let (last, finished) = commit_until_crash(root.path(), usize::MAX, false, &log);
            assert!(finished && last == COMMITS.last().copied());
            assert_whole(root.path(), COMMITS[COMMITS.len() - 1]);
            if done {
                points = left;
                break;
            }
        }
        assert!(points > 80, "{points} operations");
    }
}

#[test]
fn a_crash_while_recovering_is_recovered_from() {
    for left in 0..60 {
        for again in 0..8 {
            let root = tempfile::tempdir().unwrap();
            let log = Arc::default();
            let (acknowledged, _) = commit_until_crash(root.path(), left, false, &log);
            let files = Box::new(Limited { left: again, torn: false, log: Arc::clone(&log) });
            drop(LogStore::open_with(root.path(), "bank", key_of("bank"), files));
            assert_recovers(root.path(), acknowledged, &format!("{left} operations, then {again}"));
        }
    }
}

/// What the disk holds after a power cut: synchronised operations, and of the others those that `survives` picks.
fn after_power_cut(
    root: &Path,
    operations: &[Operation],
    survives: &mut dyn FnMut() -> bool,
) -> BTreeMap<PathBuf, Vec<u8>> {
    let synced_later = |i: usize, dir: Option<&Path>| {
        operations[i..].iter().any(|o| matches!(o, Operation::SyncDir(d) if Some(d.as_path()) == dir))
    };
    let (mut files, mut dirs, mut contents) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
    for (i, operation) in operations.iter().enumerate() {
        let (Operation::Write(path, _)
        | Operation::Rename(_, path)
        | Operation::CreateDir(path)
        | Operation::RemoveFile(path)
        | Operation::RemoveDir(path)
        | Operation::SyncDir(path)) = operation
        else {
            continue;
        };
        if let Operation::Write(path, content) = operation {
            contents.insert(path.clone(), content.clone());
            continue;
        }
        if !synced_later(i, path.parent()) && !survives() {
            continue;
        }
        match operation {
            Operation::Rename(from, to)
                // In a directory that was lost the file is lost too.
                if to.ancestors().skip(1).take_while(|d| *d != root).all(|d| dirs.contains(d)) =>
            {
                files.insert(to.clone(), contents[from].clone());
            }
            Operation::CreateDir(path) => drop(dirs.insert(path.clone())),
            Operation::RemoveFile(path) => drop(files.remove(path)),
            // A directory that is gone has nothing in it.
            Operation::RemoveDir(path) => {
                dirs.remove(path);
                files.retain(|file, _| !file.starts_with(path));
            }
            _ => {}
        }
    }
    files
}

#[test]
fn a_power_cut_at_every_operation_loses_nothing_acknowledged() {
    let root = tempfile::tempdir().unwrap();
    let log = Arc::default();
    let (_, done) = commit_until_crash(root.path(), usize::MAX, false, &log);
    assert!(done);
    let operations = log.lock().unwrap().clone();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut coin = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random & 1 == 0
    };
    for cut in 0..=operations.len() {
        let acknowledged = operations[..cut].iter().rev().find_map(|o| match o {
            Operation::Acknowledged(size) => Some(*size),
            _ => None,
        });
        // Everything unsynchronised is lost; nothing is; some is.
        let fates: [&mut dyn FnMut() -> bool; 3] = [&mut || false, &mut || true, &mut coin];
        for (i, survives) in fates.into_iter().enumerate() {
            let disk = tempfile::tempdir().unwrap();
            for (path, content) in after_power_cut(root.path(), &operations[..cut], survives) {
                let path = disk.path().join(path.strip_prefix(root.path()).unwrap());
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, content).unwrap();
            }
            assert_recovers(disk.path(), acknowledged, &format!("cut after {cut} operations, fate {i}"));
        }
    }
}
