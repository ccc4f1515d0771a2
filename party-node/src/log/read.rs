//! Reads a log's directory and says everything that is wrong with it. Shared by the store, which refuses to go on
//! from a wrong log, and by the verifier, which reports. All content is taken as hostile: lengths are checked before
//! anything is read, and a checkpoint's size is believed only as far as there are files.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use mpc_core::checkpoint::{MAX_CHECKPOINT_BYTES, SignedCheckpoint};
use mpc_core::merkle::{self, TreeHash};
use mpc_core::transcript::{Entry, Witnessed};

use super::bundles::read_bundles;
use super::fault::Fault;
use super::layout::{self, CHECKPOINT, LOCK, TILE_WIDTH, Tile, TileKind};
use super::listing::Listing;
use crate::regular_file::{open_regular, read_regular};

/// How often a log is read that changes meanwhile, how long one that a node has open is looked at, and how often.
const ATTEMPTS: usize = 8;
const PATIENCE: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(10);

/// A log as read, with all its faults.
pub(super) struct RawLog {
    /// The checkpoint, if it parses. Its signature is not verified here.
    pub(super) checkpoint: Option<SignedCheckpoint>,
    /// The entries from the first on, up to one that could not be read or is not the one in the tree.
    pub(super) entries: Vec<Vec<u8>>,
    /// Hashes of these entries.
    pub(super) leaves: Vec<TreeHash>,
    /// Whether these are all the entries that the checkpoint speaks of.
    pub(super) complete: bool,
    /// Whether the checkpoint's root is over these entries, and perhaps others after them.
    pub(super) proven: bool,
    /// The cosigned checkpoints that the entries fix, by file; also those that are missing or changed.
    pub(super) cosigned: BTreeMap<String, Cosigned>,
    pub(super) faults: Vec<Fault>,
}

/// A cosigned checkpoint.
pub(super) struct Cosigned {
    /// The entry that fixes it.
    pub(super) entry: u64,
    /// Its text, if it is the one that the entry fixes. Nothing in it is verified.
    pub(super) text: Option<Vec<u8>>,
}

/// A log of some moment.
pub(super) struct Settled {
    pub(super) listing: Listing,
    pub(super) raw: RawLog,
    /// Whether it never looked whole, and a node was writing it.
    pub(super) in_use: bool,
}

/// Reads a log that a node may be writing: again, if something is wrong and the log has changed or a process has it open,
/// but not for ever.
pub(super) fn read_settled(dir: &Path) -> io::Result<Settled> {
    let by = Instant::now() + PATIENCE;
    for attempt in 1.. {
        let last = attempt >= ATTEMPTS && Instant::now() >= by;
        let listing = match Listing::of(dir) {
            // A directory that went away while its parent was read.
            Err(e) if e.kind() == io::ErrorKind::NotFound && attempt < ATTEMPTS && dir.is_dir() => continue,
            listing => listing?,
        };
        let raw = read(dir, &listing);
        if raw.faults.is_empty() && listing.strays(&raw).is_empty() {
            return Ok(Settled { listing, raw, in_use: false });
        }
        let in_use = is_in_use(dir);
        if last {
            return Ok(Settled { listing, raw, in_use });
        }
        if in_use {
            // A commit is a matter of milliseconds.
            std::thread::sleep(LOOK);
        } else if attempt >= ATTEMPTS || !changed(dir, &listing, &raw) {
            return Ok(Settled { listing, raw, in_use });
        }
    }
    Err(io::Error::other("changes all the time"))
}

/// Whether a process has this log open for writing.
fn is_in_use(dir: &Path) -> bool {
    let lock = open_regular(&dir.join(LOCK));
    // Held for as long as this takes; a node that starts meanwhile waits for longer.
    lock.is_ok_and(|lock: File| matches!(lock.try_lock_shared(), Err(std::fs::TryLockError::WouldBlock)))
}

/// Whether the log is another than the one that was read.
fn changed(dir: &Path, listing: &Listing, raw: &RawLog) -> bool {
    let checkpoint = read_file(dir, CHECKPOINT, 0, MAX_CHECKPOINT_BYTES).ok();
    let checkpoint = checkpoint.and_then(|text| SignedCheckpoint::parse(&text).ok());
    checkpoint != raw.checkpoint || Listing::of(dir).is_ok_and(|now| now != *listing)
}

/// Reads and checks everything that can be checked without a key, except for strays: bundles, tiles, root.
pub(super) fn read(dir: &Path, listing: &Listing) -> RawLog {
    let mut log = RawLog {
        checkpoint: None,
        entries: Vec::new(),
        leaves: Vec::new(),
        complete: false,
        proven: false,
        cosigned: BTreeMap::new(),
        faults: listing.odd.clone(),
    };
    match read_file(dir, CHECKPOINT, 0, MAX_CHECKPOINT_BYTES).and_then(|text| {
        SignedCheckpoint::parse(&text).map_err(|e| Fault::in_file(CHECKPOINT, e.to_string()))
    }) {
        Ok(checkpoint) => log.checkpoint = Some(checkpoint),
        // What is there and no file was named already.
        Err(_) if listing.odd.iter().any(|f| f.file.as_deref() == Some(CHECKPOINT)) => {}
        Err(fault) => log.faults.push(fault),
    }
    if listing.files.contains(LOCK)
        && let Err(fault) = read_file(dir, LOCK, 0, 0)
    {
        log.faults.push(fault);
    }
    let Some(head) = log.checkpoint.as_ref().map(|c| c.checkpoint().clone()) else { return log };
    let size = head.size();
    let tiles = read_hash_tiles(dir, listing, size, &mut log);
    let level_0: Vec<TreeHash> =
        tiles.iter().filter(|(t, _)| is_level_0(t)).flat_map(|(_, hashes)| hashes).copied().collect();
    // If the root is over the level-0 tiles, they say of each entry whether it is the one that was signed.
    let tiles_hold = level_0.len() as u64 == size && merkle::root(&level_0) == head.root();
    let by_index: BTreeMap<u64, &[TreeHash]> =
        tiles.iter().filter(|(t, _)| is_level_0(t)).map(|(t, hashes)| (t.index, hashes.as_slice())).collect();
    let bundles = read_bundles(dir, listing, size, &by_index, tiles_hold);
    log.faults.extend(bundles.faults);
    (log.entries, log.leaves, log.complete) = (bundles.entries, bundles.leaves, bundles.complete);
    read_cosigned(dir, listing, &mut log);
    if tiles_hold {
        log.proven = true;
        compare_tiles(level_0, &tiles, &mut log.faults);
        return log;
    }
    if !log.complete {
        log.faults.extend(bundles.differing);
        return log;
    }
    let computed = merkle::root(&log.leaves);
    log.proven = computed == head.root();
    if !log.proven {
        let what = format!("root differs from the entries' root: expected {computed}, got {}", head.root());
        log.faults.push(Fault::in_file(CHECKPOINT, what));
        log.faults.extend(bundles.differing);
    }
    compare_tiles(log.leaves.clone(), &tiles, &mut log.faults);
    log
}

fn is_level_0(tile: &Tile) -> bool {
    tile.kind == TileKind::Hashes { level: 0 }
}

/// Reads the cosigned checkpoints that the entries speak of and compares them with what the entries fix.
fn read_cosigned(dir: &Path, listing: &Listing, log: &mut RawLog) {
    for (number, bytes) in (0..).zip(&log.entries) {
        let Ok(Entry::Witnessed(witnessed)) = Entry::decode(bytes) else { continue };
        let file = layout::cosigned(&witnessed.session);
        let text = if listing.files.contains(&file) {
            read_file(dir, &file, 0, MAX_CHECKPOINT_BYTES).and_then(|text| {
                if Witnessed::digest(&text) == witnessed.cosigned {
                    Ok(text)
                } else {
                    Err(Fault::in_file(file.as_str(), "is not what its entry fixes"))
                }
            })
        } else {
            Err(Fault::in_file(file.as_str(), "is missing"))
        };
        let text = text.map_err(|fault| log.faults.push(Fault { entry: Some(number), ..fault })).ok();
        log.cosigned.insert(file, Cosigned { entry: number, text });
    }
}

/// The tiles of one kind that are there, from left to right, with a fault for each gap. As long as the listing, whatever
/// the size says.
pub(super) fn tiles_there(
    listing: &Listing,
    kind: TileKind,
    size: u64,
    faults: &mut Vec<Fault>,
) -> Vec<Tile> {
    let mut there: Vec<Tile> = listing.files.iter().filter_map(|file| layout::parse(file)).collect();
    there.retain(|tile| tile.kind == kind && layout::is_tile_of(*tile, size));
    there.sort_unstable();
    let mut next = 0;
    let ends = there.iter().map(|tile| tile.index).chain([layout::tile_count(kind, size)]);
    for end in ends {
        if let Some(tile) = layout::tile_at(kind, next, size).filter(|_| next < end) {
            let more = match end - next - 1 {
                0 => String::new(),
                n => format!(", and so are the next {n}"),
            };
            let what = format!("is missing{more}: the checkpoint says {size} entries");
            faults.push(Fault::in_file(tile.to_string(), what));
        }
        next = end + 1;
    }
    there
}

/// Reads the hash tiles of all levels.
fn read_hash_tiles(dir: &Path, listing: &Listing, size: u64, log: &mut RawLog) -> Vec<(Tile, Vec<TreeHash>)> {
    let mut read = Vec::new();
    for level in 0..8 {
        for tile in tiles_there(listing, TileKind::Hashes { level }, size, &mut log.faults) {
            let bytes = tile.width as usize * 32;
            match read_file(dir, &tile.to_string(), bytes, bytes) {
                Ok(content) => {
                    let (hashes, _) = content.as_chunks();
                    read.push((tile, hashes.iter().copied().map(TreeHash).collect()));
                }
                Err(fault) => log.faults.push(fault),
            }
        }
    }
    read
}

/// Compares stored hashes with those that follow from the leaves.
fn compare_tiles(leaves: Vec<TreeHash>, tiles: &[(Tile, Vec<TreeHash>)], faults: &mut Vec<Fault>) {
    let mut computed = leaves;
    for level in 0..8 {
        let entries_per_hash = TILE_WIDTH.pow(level.into());
        for (tile, stored) in tiles.iter().filter(|(t, _)| t.kind == TileKind::Hashes { level }) {
            let start = tile.index * TILE_WIDTH;
            let computed = &computed[start as usize..(start + tile.width) as usize];
            let Some(i) = (0..stored.len()).find(|&i| stored[i] != computed[i]) else { continue };
            let first = (start + i as u64) * entries_per_hash;
            let over = match level {
                0 => "of this entry".to_owned(),
                _ => format!("over entries {first} to {}", first + entries_per_hash - 1),
            };
            let what = format!("hash {over} differs: expected {}, got {}", computed[i], stored[i]);
            let entry = (level == 0).then_some(first);
            faults.push(Fault { entry, ..Fault::in_file(tile.to_string(), what) });
        }
        computed = computed.chunks_exact(TILE_WIDTH as usize).map(merkle::root).collect();
    }
}

/// Reads a file of `min` to `max` bytes, and never more than that.
pub(super) fn read_file(dir: &Path, name: &str, min: usize, max: usize) -> Result<Vec<u8>, Fault> {
    let content = read_regular(&dir.join(name), max)
        .map_err(|e| Fault::in_file(name, format!("cannot be read: {e}")))?;
    if (min..=max).contains(&content.len()) {
        return Ok(content);
    }
    let got = if content.len() > max { "more".to_owned() } else { content.len().to_string() };
    let what = if min == max {
        format!("expected {max} bytes, got {got}")
    } else {
        format!("longer than {max} bytes")
    };
    Err(Fault::in_file(name, what))
}
