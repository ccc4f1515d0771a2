//! What was spent stays spent, and what is damaged is never used.
#![allow(clippy::unwrap_used, reason = "a test: a panic is how it fails")]

use std::fs;
use std::path::{Path, PathBuf};

use mpc_core::party::PartyId;
use mpc_core::tag::SessionId;
use protocols::prep::stored::CopyReader as _;
use tempfile::TempDir;

use super::*;

mod damage;
#[cfg(unix)]
pub(crate) mod killed;
#[cfg(not(unix))]
pub(crate) mod killed {
    pub(in crate::store) fn step(_half: impl FnOnce()) {}
}

const COPY_BYTES: u64 = 300;
const S: SessionId = SessionId([0x51; 32]);
const T: SessionId = SessionId([0x7a; 32]);

pub(super) fn purpose(program: u8) -> Purpose {
    Purpose::new(&[[1; 32], [2; 32]], PartyId::new(0), [program; 32], b"demand")
}

/// What a copy says, so that it is known wherever it turns up.
pub(super) fn content(id: &SessionId, copy: u32) -> Vec<u8> {
    let marker = format!("marker-{:02x}-{copy:04}/", id.0[0]);
    marker.bytes().cycle().take(COPY_BYTES as usize).collect()
}

/// Makes a series in parts, as items are made.
pub(super) fn make(
    store: &mut Store,
    id: SessionId,
    purpose: Purpose,
    copies: u32,
) -> Result<(), StoreError> {
    let mut making = store.begin(id, purpose, copies, COPY_BYTES)?;
    for copy in 0..copies {
        making.copy(|keep| {
            for part in content(&id, copy).chunks(90) {
                let mut part = part.to_vec();
                keep(&mut part)?;
            }
            Ok(())
        })?;
    }
    store.keep(making)
}

pub(super) fn read(copy: &mut OpenCopy) -> Vec<u8> {
    let mut bytes = vec![0; COPY_BYTES as usize];
    let (first, rest) = bytes.split_at_mut(7);
    copy.read(first);
    copy.read(rest);
    bytes
}

fn stored(copies: u32) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("a/store");
    let mut store = Store::open(&folder).unwrap();
    make(&mut store, S, purpose(1), copies).unwrap();
    (dir, folder)
}

fn cursor(store: &Store) -> Option<(u32, u32)> {
    store.offers(&purpose(1)).iter().find(|o| o.series == S).map(|o| (o.cursor, o.copies))
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = vec![];
    for path in fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
    }
    all
}

pub(crate) fn copy_folder(from: &Path, to: &Path) {
    let _not_there = fs::remove_dir_all(to);
    fs::create_dir_all(to).unwrap();
    for path in files(from) {
        let target = to.join(path.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(path, target).unwrap();
    }
}

#[test]
fn copies_are_spent_in_order_and_once() {
    let (_dir, folder) = stored(4);
    let mut store = Store::open(&folder).unwrap();
    assert_eq!(cursor(&store), Some((0, 4)));
    assert_eq!(read(&mut store.spend(&S, 0).unwrap().unwrap()), content(&S, 0));
    let spent = |store: &mut Store, copy| matches!(store.spend(&S, copy), Err(StoreError::NoSuchCopy { .. }));
    assert!(spent(&mut store, 0));
    // Peers are further: what is skipped is spent too.
    assert_eq!(read(&mut store.spend(&S, 2).unwrap().unwrap()), content(&S, 2));
    assert!((0..3).all(|copy| spent(&mut store, copy)) && spent(&mut store, 4));
    drop(store);
    let mut store = Store::open(&folder).unwrap();
    assert_eq!(cursor(&store), Some((3, 4)));
    assert!((0..3).all(|copy| spent(&mut store, copy)));
    assert_eq!(files(&folder).len(), 2, "the index and the last copy");
    assert_eq!(read(&mut store.spend(&S, 3).unwrap().unwrap()), content(&S, 3));
    assert_eq!(
        (cursor(&store), files(&folder).len()),
        (None, 1),
        "nothing is left of a series that is spent"
    );
}

#[test]
fn purposes_and_series_do_not_mix() {
    let (_dir, folder) = stored(2);
    let mut store = Store::open(&folder).unwrap();
    make(&mut store, T, purpose(2), 1).unwrap();
    let keys = [[1; 32], [2; 32]];
    let ours = purpose(1);
    let others = [
        purpose(2),
        Purpose::new(&keys, PartyId::new(1), [1; 32], b"demand"),
        Purpose::new(&[keys[1], keys[0]], PartyId::new(0), [1; 32], b"demand"),
        Purpose::new(&[keys[0], keys[1], [3; 32]], PartyId::new(0), [1; 32], b"demand"),
        Purpose::new(&keys, PartyId::new(0), [1; 32], b"more"),
    ];
    assert!(others.iter().all(|other| *other != ours));
    assert_eq!(store.offers(&ours).len(), 1);
    assert_eq!(store.offers(&purpose(2))[0], Offer { series: T, cursor: 0, copies: 1 });
    assert!(others[1..].iter().all(|other| store.offers(other).is_empty()));
    store.destroy(&S).unwrap();
    assert!(store.offers(&ours).is_empty());
    assert_eq!(read(&mut store.spend(&T, 0).unwrap().unwrap()), content(&T, 0));
}

#[test]
fn either_half_put_back_brings_nothing_back() {
    let (dir, folder) = stored(3);
    let old = dir.path().join("old");
    copy_folder(&folder, &old);
    let mut store = Store::open(&folder).unwrap();
    for copy in 0..2 {
        assert_eq!(read(&mut store.spend(&S, copy).unwrap().unwrap()), content(&S, copy));
    }
    drop(store);
    // An older index, with its keys, beside the files of today.
    let (now, later) = (fs::read(folder.join(INDEX)).unwrap(), dir.path().join("later"));
    copy_folder(&folder, &later);
    fs::copy(old.join(INDEX), folder.join(INDEX)).unwrap();
    let mut store = Store::open(&folder).unwrap();
    assert_eq!(cursor(&store), Some((2, 3)), "files that are missing were spent");
    assert!(store.spend(&S, 1).is_err());
    assert_eq!(read(&mut store.spend(&S, 2).unwrap().unwrap()), content(&S, 2));
    drop(store);
    // Older files beside the index of today.
    copy_folder(&old, &folder);
    fs::write(folder.join(INDEX), now).unwrap();
    let mut store = Store::open(&folder).unwrap();
    assert_eq!(cursor(&store), Some((2, 3)));
    assert!(store.spend(&S, 0).is_err() && store.spend(&S, 1).is_err());
    assert_eq!(files(&folder).len(), 2, "what the cursor passed is removed");
    drop(store);
    // All of it: nobody can see that here, and peers say that they are further.
    copy_folder(&old, &folder);
    assert_eq!(cursor(&Store::open(&folder).unwrap()), Some((0, 3)));
}

#[test]
fn what_is_on_disk_is_encrypted_and_private() {
    let (_dir, folder) = stored(2);
    for path in files(&folder) {
        let bytes = fs::read(&path).unwrap();
        assert!(!bytes.windows(6).any(|w| w == b"marker"), "{}", path.display());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode(&path), 0o600);
            assert_eq!(mode(path.parent().unwrap()), 0o700);
        }
    }
    // The same content under fresh keys looks different.
    let other = tempfile::tempdir().unwrap();
    make(&mut Store::open(other.path()).unwrap(), S, purpose(1), 2).unwrap();
    let file = Files::new(&folder).copy(&S, 0).strip_prefix(&folder).unwrap().to_owned();
    assert_ne!(fs::read(folder.join(&file)).unwrap(), fs::read(other.path().join(&file)).unwrap());
}

#[test]
fn a_series_that_is_not_whole_is_not_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let nothing_left = |store: &Store| store.offers(&purpose(1)).is_empty() && files(dir.path()).len() == 1;
    let mut making = store.begin(S, purpose(1), 2, COPY_BYTES).unwrap();
    making.copy(|keep| keep(&mut content(&S, 0))).unwrap();
    assert!(matches!(store.keep(making), Err(StoreError::Incomplete { expected: 2, got: 1 })));
    assert!(nothing_left(&store));
    let mut making = store.begin(S, purpose(1), 1, COPY_BYTES).unwrap();
    let short = making.copy(|keep| keep(&mut [1; 20]));
    assert!(matches!(short, Err(StoreError::WrongLength { expected: COPY_BYTES, got: 20 })));
    drop(making);
    assert!(nothing_left(&store));
    for id in 0..MAX_SERIES as u8 {
        make(&mut store, SessionId([id; 32]), purpose(1), 1).unwrap();
    }
    assert!(matches!(store.begin(T, purpose(1), 1, COPY_BYTES), Err(StoreError::Full { .. })));
    assert!(store.begin(T, purpose(2), 1, COPY_BYTES).is_ok());
}

#[test]
fn one_process_has_a_store_and_a_summary_changes_nothing() {
    let (dir, folder) = stored(3);
    let mut store = Store::open(&folder).unwrap();
    assert!(matches!(Store::open(&folder), Err(StoreError::Locked { .. })));
    assert!(matches!(summarise(&folder, &purpose(1)), Err(StoreError::Locked { .. })));
    store.spend(&S, 0).unwrap().unwrap();
    drop(store);
    let before: Vec<_> = files(&folder).iter().map(|f| fs::read(f).unwrap()).collect();
    let found = summarise(&folder, &purpose(1)).unwrap().unwrap();
    let [series] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((series.fits, series.copies, series.left, series.copy_bytes), (true, 3, 2, COPY_BYTES));
    assert!(series.damage.is_empty());
    assert!(!summarise(&folder, &purpose(2)).unwrap().unwrap()[0].fits);
    let after: Vec<_> = files(&folder).iter().map(|f| fs::read(f).unwrap()).collect();
    assert!(before == after);
    assert_eq!(summarise(&dir.path().join("none"), &purpose(1)).unwrap(), None);
}

#[test]
fn only_what_a_store_makes_is_removed() {
    let (_dir, folder) = stored(1);
    let strange = [folder.join("notes.txt"), folder.join("series.txt"), folder.join("a".repeat(64))];
    strange.iter().for_each(|path| fs::write(path, "keep me").unwrap());
    let left = Files::new(&folder).copy(&T, 0);
    fs::create_dir(left.parent().unwrap()).unwrap();
    fs::write(&left, "left by a crash").unwrap();
    let store = Store::open(&folder).unwrap();
    assert_eq!(cursor(&store), Some((0, 1)));
    assert!(strange.iter().all(|path| path.is_file()) && !left.parent().unwrap().exists());
}
