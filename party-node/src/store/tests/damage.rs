//! Every bit of a store that turns over: found, or of no consequence.

use redb::StorageBackend as _;
use redb::backends::InMemoryBackend;

use super::*;
use crate::store::index::Index;

/// Every bit of a copy's file.
#[test]
fn no_bit_of_a_copy_can_turn_over() {
    let (_dir, folder) = stored(2);
    let store = Store::open(&folder).unwrap();
    let (series, path) = (store.series[0].clone(), store.files.copy(&S, 1));
    let key = store.index.key(&S, 1).unwrap();
    let whole = fs::read(&path).unwrap();
    let opens = |name: &CopyName| open(&path, &key, name, COPY_BYTES);
    assert_eq!(read(&mut opens(&series.name(1)).unwrap()), content(&S, 1));
    for bit in 0..8 * whole.len() {
        let mut damaged = whole.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, damaged).unwrap();
        assert!(matches!(opens(&series.name(1)), Err(StoreError::Damaged { .. })), "bit {bit}");
    }
    for length in [0, 31, 32, whole.len() - 1] {
        fs::write(&path, &whole[..length]).unwrap();
        assert!(matches!(opens(&series.name(1)), Err(StoreError::Damaged { .. })), "{length} bytes");
    }
    fs::write(&path, [&whole[..], b"x"].concat()).unwrap();
    assert!(matches!(opens(&series.name(1)), Err(StoreError::Damaged { .. })));
    fs::write(&path, &whole).unwrap();
    assert!(opens(&series.name(0)).is_err(), "another number");
    assert!(opens(&CopyName { series: T, ..series.name(1) }).is_err(), "another series");
    assert!(opens(&CopyName { purpose: [9; 32], ..series.name(1) }).is_err(), "another purpose");
}

/// A damaged copy is spent like a good one, and those after it can be used.
#[test]
fn a_damaged_copy_is_spent() {
    let (_dir, folder) = stored(3);
    let files = Files::new(&folder);
    fs::copy(files.copy(&S, 2), files.copy(&S, 1)).unwrap();
    let found = summarise(&folder, &purpose(1)).unwrap().unwrap();
    assert_eq!((found[0].left, found[0].damage.len()), (2, 1));
    fs::remove_file(files.copy(&S, 0)).unwrap();
    let mut store = Store::open(&folder).unwrap();
    assert_eq!(cursor(&store), Some((1, 3)));
    assert!(matches!(store.spend(&S, 1), Ok(Err(StoreError::Damaged { .. }))));
    assert_eq!(cursor(&store), Some((2, 3)));
    assert_eq!(read(&mut store.spend(&S, 2).unwrap().unwrap()), content(&S, 2));
}

/// Bits of the index, everywhere: redb or the rows' digests find it, or it is the index as it once was, or nothing was changed that
/// anybody reads. Whatever it is, what was spent stays spent.
#[test]
fn no_bit_of_the_index_brings_back_what_was_spent() {
    let (dir, folder) = stored(4);
    let mut store = Store::open(&folder).unwrap();
    make(&mut store, T, purpose(2), 2).unwrap();
    store.spend(&S, 0).unwrap().unwrap();
    store.spend(&S, 1).unwrap().unwrap();
    let today = store.series.clone();
    drop(store);
    let whole = fs::read(folder.join(INDEX)).unwrap();
    let (mut found, mut same, mut older) = (0, 0, vec![]);
    // All bits of the header, and then one of every few bytes.
    let header = 0..8 * 512;
    let rest = (512..whole.len()).step_by(5).map(|byte| 8 * byte + byte % 8);
    for bit in header.chain(rest) {
        let mut damaged = whole.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let memory = InMemoryBackend::new();
        memory.set_len(damaged.len() as u64).unwrap();
        memory.write(0, &damaged).unwrap();
        match Index::with(Path::new(INDEX), memory).and_then(|index| index.all()) {
            Err(_) => found += 1,
            Ok(all) if all == today => same += 1,
            Ok(_) => older.push(damaged),
        }
    }
    println!("{found} found, {same} of no consequence, {} the index as it once was", older.len());
    assert!(found > 100 && same > 100, "{found} found, {same} of no consequence");
    // Over the files of today, the index as it once was brings nothing back.
    let copy = dir.path().join("copy");
    for damaged in older {
        copy_folder(&folder, &copy);
        fs::write(copy.join(INDEX), damaged).unwrap();
        let Ok(mut store) = Store::open(&copy) else { continue };
        assert!(cursor(&store).is_none_or(|(cursor, copies)| cursor >= 2 && copies == 4));
        assert!(store.spend(&S, 0).is_err() && store.spend(&S, 1).is_err());
    }
    // No database at all.
    for content in [&b"not a database"[..], &whole[..whole.len() / 2], &[0; 4096]] {
        copy_folder(&folder, &copy);
        fs::write(copy.join(INDEX), content).unwrap();
        let refused = Store::open(&copy).map(drop).unwrap_err();
        assert!(matches!(refused, StoreError::Damaged { .. } | StoreError::Index { .. }), "{refused}");
    }
}
