use super::*;

/// Blocks of odd lengths, each with a marker in it.
fn block(number: usize) -> Vec<u8> {
    let text = format!("marker {number} of block ").into_bytes();
    text.iter().copied().cycle().take(1000 + 37 * number).collect()
}

fn spool(folder: &Path, held_bytes: usize) -> Spool {
    let mut spool = Spool::new(SpoolPlace::new(folder).holding(held_bytes));
    (0..10).for_each(|n| spool.append(&block(n)).unwrap());
    spool
}

/// All that the spool has on disk.
fn on_disk(spool: &Spool) -> Vec<u8> {
    let mut file = spool.disk.as_ref().unwrap().file.lock().unwrap();
    let mut content = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut content).unwrap();
    content
}

fn finds(content: &[u8], word: &[u8]) -> bool {
    content.windows(word.len()).any(|w| w == word)
}

#[test]
fn what_is_written_is_read_back_in_any_order() {
    let folder = tempfile::tempdir().unwrap();
    for held_bytes in [0, 2_500, 1 << 20] {
        let spool = spool(folder.path(), held_bytes);
        assert_eq!(spool.disk.is_some(), held_bytes < 1 << 20, "only what is not held is written");
        let mut out = Zeroizing::new(Vec::new());
        for number in [3, 9, 0, 1, 8, 2, 7, 4, 6, 5, 5] {
            spool.read(number, &mut out).unwrap();
            assert_eq!(*out, block(number), "block {number} with {held_bytes} held");
        }
    }
}

#[test]
fn the_disk_shows_lengths_alone_and_the_folder_nothing() {
    let folder = tempfile::tempdir().unwrap();
    // The search finds what is there.
    assert!(finds(&block(4), b"marker 4"));
    let [first, second] = [0, 1].map(|_| spool(folder.path(), 0));
    let content = on_disk(&first);
    assert_eq!(content.len(), (0..10).map(|n| block(n).len()).sum::<usize>());
    for word in [&b"marker"[..], b"of block", b"arker 7"] {
        assert!(!finds(&content, word));
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "it has no name");
    assert_ne!(content, on_disk(&second), "another key for another file");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let file = first.disk.as_ref().unwrap().file.lock().unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}

/// Equal blocks are encrypted with bytes of their own: a stream that is used twice would show their difference.
#[test]
fn no_place_of_the_keystream_serves_two_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let mut spool = Spool::new(SpoolPlace::new(folder.path()).holding(0));
    (0..8).for_each(|_| spool.append(&[7; 800]).unwrap());
    let content = on_disk(&spool);
    let mut pieces: Vec<&[u8]> = content.chunks(16).collect();
    pieces.sort_unstable();
    assert!(pieces.windows(2).all(|p| p[0] != p[1]));
}

#[test]
fn a_disk_that_gives_back_something_else_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let spool = spool(folder.path(), 0);
    let content = on_disk(&spool);
    let mut out = Zeroizing::new(Vec::new());
    let overwrite = |at: usize, bytes: &[u8]| {
        let mut file = spool.disk.as_ref().unwrap().file.lock().unwrap();
        file.seek(SeekFrom::Start(at as u64)).unwrap();
        file.write_all(bytes).unwrap();
    };
    for at in [0, 999, 1000, content.len() - 1] {
        overwrite(at, &[content[at] ^ 1]);
        let results: Vec<Result<()>> = (0..10).map(|n| spool.read(n, &mut out)).collect();
        let failed: Vec<&Error> = results.iter().filter_map(|r| r.as_ref().err()).collect();
        assert_eq!(failed.len(), 1, "the block that was changed");
        assert_eq!(failed[0].kind(), ErrorKind::InvalidData);
        overwrite(at, &content[at..=at]);
    }
    // A block in another's place, and a file that was cut.
    let mut same = Spool::new(SpoolPlace::new(folder.path()).holding(0));
    same.append(&block(0)).unwrap();
    same.append(&block(0)).unwrap();
    let len = block(0).len();
    let content = on_disk(&same);
    {
        let mut file = same.disk.as_ref().unwrap().file.lock().unwrap();
        file.seek(SeekFrom::Start(len as u64)).unwrap();
        file.write_all(&content[..len]).unwrap();
    }
    same.read(0, &mut out).unwrap();
    assert!(same.read(1, &mut out).is_err());
    spool.disk.as_ref().unwrap().file.lock().unwrap().set_len(10).unwrap();
    assert!(spool.read(5, &mut out).is_err());
}

#[test]
fn a_folder_that_is_not_there_yet_is_one_above() {
    let folder = tempfile::tempdir().unwrap();
    let place = SpoolPlace::beside(&folder.path().join("new/newer/log")).holding(0);
    assert_eq!(place.folder(), folder.path());
    Spool::new(place).append(b"row").unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
