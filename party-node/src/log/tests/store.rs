//! The store in quiet times: growth over tile boundaries, reopening, refusals.

use std::fs;
use std::path::Path;

use mpc_core::merkle::{self, leaf_hash};

use super::super::layout::{self, CHECKPOINT};
use super::super::listing::Listing;
use super::super::read::read;
use super::super::{LogError, LogStore, inspect};
use super::session::key_of;

pub(super) fn entry(i: u64) -> Vec<u8> {
    format!("entry {i} {}", "x".repeat(i as usize % 50)).into_bytes()
}

/// Opens the log. Looking at it before promises the same, and changes nothing that would be found then.
pub(super) fn open(dir: &Path) -> Result<LogStore, LogError> {
    let looked = inspect(dir, "bank", &key_of("bank").verifying_key());
    let opened = LogStore::open_or_create(dir, "bank", key_of("bank"));
    match (&looked, &opened) {
        (Ok(state), Ok(store)) => {
            assert_eq!(state.entries.unwrap_or(0), store.size());
            assert_eq!(state.repairs.len(), store.recovered().len(), "{state:?}, {:?}", store.recovered());
        }
        (Err(looked), Err(opened)) => assert_eq!(looked.to_string(), opened.to_string()),
        (Ok(state), Err(error)) => panic!("{state:?}, but {error}"),
        (Err(error), Ok(_)) => panic!("opened in spite of {error}"),
    }
    opened
}

/// The log consists of exactly entries 0 to `size` and nothing else.
pub(super) fn assert_whole(dir: &Path, size: u64) {
    let listing = Listing::of(dir).unwrap();
    let raw = read(dir, &listing);
    assert_eq!(raw.faults, []);
    assert_eq!(listing.strays(&raw), []);
    let head = raw.checkpoint.unwrap();
    head.verify(&key_of("bank").verifying_key()).unwrap();
    assert_eq!(head.checkpoint().size(), size);
    let expected: Vec<_> = (0..size).map(entry).collect();
    assert!(raw.entries == expected);
    let leaves: Vec<_> = expected.iter().map(|e| leaf_hash(e)).collect();
    assert_eq!(head.checkpoint().root(), merkle::root(&leaves));
    let names = layout::tiles(size).map(|t| t.to_string());
    let expected: Vec<_> = names.chain([CHECKPOINT.to_owned(), "lock".to_owned()]).collect();
    assert_eq!(listing.files, expected.into_iter().collect());
}

#[test]
fn grows_over_tile_boundaries_and_reopens_everywhere() {
    let root = tempfile::tempdir().unwrap();
    let mut store = open(root.path()).unwrap();
    assert_whole(root.path(), 0);
    let mut size = 0;
    for step in [1, 2, 252, 1, 1, 255, 1, 300, 500] {
        let entries: Vec<_> = (size..size + step).map(entry).collect();
        store.append(&entries).unwrap();
        size += step;
        assert_eq!(store.size(), size);
        let head = store.commit().unwrap();
        assert_eq!((head.checkpoint().size(), head.checkpoint().root()), (size, store.root()));
        assert_whole(root.path(), size);
        drop(store);
        store = open(root.path()).unwrap();
        assert_eq!((store.size(), store.root()), (size, head.checkpoint().root()));
        assert_eq!(store.checkpoint(), &head);
        assert!(store.recovered().is_empty());
    }
}

/// 256² entries and one more: three levels of tiles.
#[test]
fn grows_into_the_third_level() {
    let root = tempfile::tempdir().unwrap();
    let mut store = open(root.path()).unwrap();
    let size = 65_537;
    let entries: Vec<_> = (0..size).map(entry).collect();
    store.append(&entries).unwrap();
    store.commit().unwrap();
    assert_whole(root.path(), size);
    drop(store);
    assert_eq!(open(root.path()).unwrap().size(), size);
}

#[test]
fn a_commit_of_nothing_changes_nothing() {
    let root = tempfile::tempdir().unwrap();
    let mut store = open(root.path()).unwrap();
    store.append(&[entry(0)]).unwrap();
    let head = store.commit().unwrap();
    assert_eq!(store.commit().unwrap(), head);
}

#[test]
fn staged_entries_are_gone_without_a_commit() {
    let root = tempfile::tempdir().unwrap();
    let mut store = open(root.path()).unwrap();
    store.append(&[entry(0)]).unwrap();
    drop(store);
    assert_eq!(open(root.path()).unwrap().size(), 0);
}

#[test]
fn two_at_once_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let first = open(root.path()).unwrap();
    assert!(matches!(open(root.path()), Err(LogError::Locked { .. })));
    drop(first);
    open(root.path()).unwrap();
}

#[test]
fn another_name_or_key_is_refused() {
    let root = tempfile::tempdir().unwrap();
    drop(open(root.path()).unwrap());
    for (name, key) in [("bureau", "bank"), ("bank", "bureau")] {
        let error = LogStore::open_or_create(root.path(), name, key_of(key)).err().unwrap();
        assert!(matches!(error, LogError::OtherNode { .. }), "{error}");
    }
}

#[test]
fn long_entries_are_refused_and_longest_ones_kept() {
    let root = tempfile::tempdir().unwrap();
    let mut store = open(root.path()).unwrap();
    assert!(matches!(
        store.append(&[entry(0), vec![0; 65_536]]),
        Err(LogError::EntryTooLong { got: 65_536 })
    ));
    assert_eq!(store.size(), 0);
    store.append(&[vec![1; 65_535], Vec::new()]).unwrap();
    store.commit().unwrap();
    drop(store);
    assert_eq!(open(root.path()).unwrap().size(), 2);
}

#[test]
fn a_damaged_log_is_refused_and_left_as_it_is() {
    let root = tempfile::tempdir().unwrap();
    let mut store = open(root.path()).unwrap();
    store.append(&(0..300).map(entry).collect::<Vec<_>>()).unwrap();
    store.commit().unwrap();
    drop(store);
    let before = Listing::of(root.path()).unwrap().files;
    for file in before.iter().filter(|f| *f != "lock") {
        let path = root.path().join(file);
        let content = fs::read(&path).unwrap();
        let mut bad = content.clone();
        let middle = bad.len() / 2;
        bad[middle] ^= 4;
        fs::write(&path, &bad).unwrap();
        let error = open(root.path()).err().unwrap();
        assert!(matches!(error, LogError::Damaged { .. } | LogError::OtherNode { .. }), "{file}: {error}");
        fs::remove_file(&path).unwrap();
        let error = open(root.path()).err().unwrap();
        let named = error.to_string().contains(file) || matches!(error, LogError::NoCheckpoint { .. });
        assert!(named, "{file}: {error}");
        fs::write(&path, &content).unwrap();
    }
    assert_eq!(Listing::of(root.path()).unwrap().files, before);
    open(root.path()).unwrap();
}

#[test]
fn foreign_files_are_refused_and_kept() {
    let root = tempfile::tempdir().unwrap();
    drop(open(root.path()).unwrap());
    fs::write(root.path().join("notes.txt"), "mine").unwrap();
    let error = open(root.path()).err().unwrap();
    assert!(error.to_string().contains("notes.txt"), "{error}");
    assert!(root.path().join("notes.txt").exists());
}

/// An older checkpoint put back does not make the store throw the newer entries away.
#[test]
fn a_rolled_back_checkpoint_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let mut store = open(root.path()).unwrap();
    store.append(&[entry(0)]).unwrap();
    store.commit().unwrap();
    let old = fs::read(root.path().join(CHECKPOINT)).unwrap();
    store.append(&[entry(1)]).unwrap();
    store.commit().unwrap();
    drop(store);
    fs::write(root.path().join(CHECKPOINT), old).unwrap();
    let error = open(root.path()).err().unwrap();
    assert!(matches!(error, LogError::Damaged { .. }), "{error}");
    assert!(root.path().join("tile/entries/000.p/2").exists());
}
