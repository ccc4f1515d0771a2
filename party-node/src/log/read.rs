//! Reads a log's directory and says everything that is wrong with it. Shared by the store, which refuses to go on
//! from a wrong log, and by the verifier, which reports. All content is taken as hostile: lengths are checked before
//! anything is read, and a checkpoint's size is believed only as far as there are files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use mpc_core::checkpoint::{MAX_CHECKPOINT_BYTES, SignedCheckpoint};
use mpc_core::merkle::{self, TreeHash, leaf_hash};
use mpc_core::transcript::{Entry, MAX_ENTRY_BYTES, Witnessed};

use super::layout::{self, CHECKPOINT, LOCK, TILE_WIDTH, Tile, TileKind};

/// Deepest path of a tile: `tile/0/x018/…/000.p/1`.
const MAX_DEPTH: usize = 12;

/// Something wrong with a log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Fault {
    /// The file, relative to the log.
    pub(super) file: Option<String>,
    /// The entry, where there is one.
    pub(super) entry: Option<u64>,
    /// What is wrong.
    pub(super) what: String,
}

impl Fault {
    pub(super) fn in_file(file: impl Into<String>, what: impl Into<String>) -> Self {
        Self { file: Some(file.into()), entry: None, what: what.into() }
    }

    /// In an entry of a log of `size` entries.
    pub(super) fn in_entry(entry: u64, size: u64, what: impl Into<String>) -> Self {
        let bundle = layout::tile_of_entry(entry, size);
        Self { file: Some(bundle.to_string()), entry: Some(entry), what: what.into() }
    }

    /// File, entry and fault in one line.
    pub(super) fn line(&self) -> String {
        let file = self.file.iter().map(|f| format!("{f}: "));
        let entry = self.entry.iter().map(|e| format!("entry {e}: "));
        file.chain(entry).chain([self.what.clone()]).collect()
    }
}

/// What is in a log's directory, by name.
pub(super) struct Listing {
    /// Regular files, relative to the log.
    pub(super) files: BTreeSet<String>,
    /// Directories that contain nothing.
    pub(super) empty_dirs: Vec<String>,
    /// Links, sockets, names that are not UTF-8, directories below any tile.
    pub(super) odd: Vec<Fault>,
}

impl Listing {
    pub(super) fn of(dir: &Path) -> io::Result<Self> {
        let mut listing = Self { files: BTreeSet::new(), empty_dirs: Vec::new(), odd: Vec::new() };
        let mut queue: Vec<(PathBuf, String, usize)> = vec![(dir.to_owned(), String::new(), 0)];
        while let Some((path, relative, depth)) = queue.pop() {
            let mut empty = true;
            for item in fs::read_dir(&path)? {
                let item = item?;
                empty = false;
                let name = item.file_name();
                let Some(name) = name.to_str() else {
                    let name = format!("{relative}{}", name.to_string_lossy());
                    listing.odd.push(Fault::in_file(name, "name is not UTF-8"));
                    continue;
                };
                let child = format!("{relative}{name}");
                let kind = item.file_type()?;
                if kind.is_file() {
                    listing.files.insert(child);
                } else if kind.is_dir() && depth < MAX_DEPTH {
                    queue.push((item.path(), format!("{child}/"), depth + 1));
                } else {
                    listing.odd.push(Fault::in_file(child, "is neither a file nor a directory of a log"));
                }
            }
            if empty && depth > 0 {
                listing.empty_dirs.push(relative.trim_end_matches('/').to_owned());
            }
        }
        Ok(listing)
    }

    /// The files that a log of `size` entries with these cosigned checkpoints does not consist of.
    pub(super) fn unexpected(&self, size: u64, cosigned: &BTreeMap<String, Cosigned>) -> Vec<String> {
        let belongs = |file: &str| match file {
            CHECKPOINT | LOCK => true,
            _ => {
                cosigned.contains_key(file) || layout::parse(file).is_some_and(|tile| is_tile_of(tile, size))
            }
        };
        self.files.iter().filter(|f| !belongs(f)).cloned().collect()
    }

    /// A fault for everything that such a log does not consist of.
    pub(super) fn strays(&self, size: u64, cosigned: &BTreeMap<String, Cosigned>) -> Vec<Fault> {
        let what = |file: &str| {
            let foreign = format!("does not belong to a log of {size} entries");
            if file == layout::TEMPORARY || layout::parse(file).is_some_and(|tile| is_at_edge(tile, size)) {
                foreign
                    + ": left by an interrupted write, or added; a node removes its own when it opens the log"
            } else {
                foreign
            }
        };
        let files = self.unexpected(size, cosigned).into_iter().map(|file| {
            let what = what(&file);
            Fault::in_file(file, what)
        });
        let dirs = self.empty_dirs.iter().map(|dir| Fault::in_file(dir.as_str(), "is an empty directory"));
        files.chain(dirs).collect()
    }
}

/// Whether a tile is where a log of `size` entries grows: its writer may have been interrupted there.
fn is_at_edge(tile: Tile, size: u64) -> bool {
    let level = match tile.kind {
        TileKind::Entries => 0,
        TileKind::Hashes { level } => u32::from(level),
    };
    tile.index >= size.checked_shr(8 * level).unwrap_or(0) / TILE_WIDTH
}

/// Whether a log of `size` entries has this very tile.
fn is_tile_of(tile: Tile, size: u64) -> bool {
    let level = match tile.kind {
        TileKind::Entries => 0,
        TileKind::Hashes { level } => u32::from(level),
    };
    let count = size.checked_shr(8 * level).unwrap_or(0);
    let Some(start) = tile.index.checked_mul(TILE_WIDTH) else { return false };
    start < count && tile.width == (count - start).min(TILE_WIDTH)
}

/// A log as read, with all its faults.
pub(super) struct RawLog {
    /// The checkpoint, if it parses. Its signature is not verified here.
    pub(super) checkpoint: Option<SignedCheckpoint>,
    /// The entries of the readable bundles, from the first on.
    pub(super) entries: Vec<Vec<u8>>,
    /// Hashes of these entries.
    pub(super) leaves: Vec<TreeHash>,
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

/// Reads and checks everything that can be checked without a key, except for strays: bundles, tiles, root.
pub(super) fn read(dir: &Path, listing: &Listing) -> RawLog {
    let mut log = RawLog {
        checkpoint: None,
        entries: Vec::new(),
        leaves: Vec::new(),
        cosigned: BTreeMap::new(),
        faults: listing.odd.clone(),
    };
    match read_file(dir, CHECKPOINT, 0, MAX_CHECKPOINT_BYTES).and_then(|text| {
        SignedCheckpoint::parse(&text).map_err(|e| Fault::in_file(CHECKPOINT, e.to_string()))
    }) {
        Ok(checkpoint) => log.checkpoint = Some(checkpoint),
        Err(fault) => log.faults.push(fault),
    }
    if listing.files.contains(LOCK)
        && let Err(fault) = read_file(dir, LOCK, 0, 0)
    {
        log.faults.push(fault);
    }
    let Some(head) = log.checkpoint.as_ref().map(|c| c.checkpoint().clone()) else { return log };
    let size = head.size();
    let complete = read_bundles(dir, listing, size, &mut log);
    read_cosigned(dir, listing, &mut log);
    let hashes = read_hash_tiles(dir, listing, size, &mut log);
    if !complete {
        return log;
    }
    let computed = merkle::root(&log.leaves);
    if computed != head.root() {
        // Either the entries or the checkpoint changed; the level-0 tiles are the witness.
        let stored: Vec<TreeHash> =
            hashes.iter().filter(|(t, _)| is_level_0(t)).flat_map(|(_, h)| h).copied().collect();
        let by_tiles = stored.len() == log.leaves.len() && merkle::root(&stored) == head.root();
        if !by_tiles {
            let what =
                format!("root differs from the entries' root: expected {computed}, got {}", head.root());
            log.faults.push(Fault::in_file(CHECKPOINT, what));
        }
        for (i, (leaf, stored)) in log.leaves.iter().zip(&stored).enumerate() {
            if leaf != stored {
                log.faults.push(Fault::in_entry(
                    i as u64,
                    size,
                    "was changed: its hash is not the one in the tree",
                ));
            }
        }
        if by_tiles {
            return log;
        }
    }
    compare_tiles(&log.leaves, &hashes, &mut log.faults);
    log
}

fn is_level_0(tile: &Tile) -> bool {
    tile.kind == TileKind::Hashes { level: 0 }
}

/// Reads bundles up to the first missing or unreadable one; true if all are there.
fn read_bundles(dir: &Path, listing: &Listing, size: u64, log: &mut RawLog) -> bool {
    for tile in layout::tiles_of(TileKind::Entries, size) {
        let path = tile.to_string();
        let content = if listing.files.contains(&path) {
            read_file(dir, &path, 0, tile.width as usize * (2 + MAX_ENTRY_BYTES))
        } else {
            Err(missing(&path, size))
        };
        let first = tile.index * TILE_WIDTH;
        match content.and_then(|c| split_bundle(&c, tile, first)) {
            Ok(entries) => {
                log.leaves.extend(entries.iter().map(|e| leaf_hash(e)));
                log.entries.extend(entries);
            }
            Err(fault) => {
                log.faults.push(fault);
                return false;
            }
        }
    }
    true
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

fn missing(path: &str, size: u64) -> Fault {
    Fault::in_file(path, format!("is missing: the checkpoint says {size} entries"))
}

fn split_bundle(mut content: &[u8], tile: Tile, first: u64) -> Result<Vec<Vec<u8>>, Fault> {
    let path = tile.to_string();
    let mut entries = Vec::with_capacity(tile.width as usize);
    for i in 0..tile.width {
        let entry = content
            .split_first_chunk::<2>()
            .and_then(|(length, rest)| rest.split_at_checked(usize::from(u16::from_be_bytes(*length))));
        let Some((entry, rest)) = entry else {
            let what = format!("bundle ends early: expected {} entries, got {i}", tile.width);
            return Err(Fault { file: Some(path), entry: Some(first + i), what });
        };
        entries.push(entry.to_vec());
        content = rest;
    }
    match content.len() {
        0 => Ok(entries),
        n => Err(Fault::in_file(path, format!("has {n} bytes after its last entry"))),
    }
}

/// Reads the hash tiles of each level up to the first missing one.
fn read_hash_tiles(dir: &Path, listing: &Listing, size: u64, log: &mut RawLog) -> Vec<(Tile, Vec<TreeHash>)> {
    let mut read = Vec::new();
    for level in 0..8 {
        let kind = TileKind::Hashes { level };
        for tile in layout::tiles_of(kind, size) {
            let path = tile.to_string();
            if !listing.files.contains(&path) {
                log.faults.push(missing(&path, size));
                break;
            }
            let bytes = tile.width as usize * 32;
            match read_file(dir, &path, bytes, bytes) {
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

/// Compares stored hashes with those computed from the entries.
fn compare_tiles(leaves: &[TreeHash], tiles: &[(Tile, Vec<TreeHash>)], faults: &mut Vec<Fault>) {
    let mut level_hashes = leaves.to_vec();
    for level in 0..8 {
        for (tile, stored) in tiles.iter().filter(|(t, _)| t.kind == TileKind::Hashes { level }) {
            let start = (tile.index * TILE_WIDTH) as usize;
            let computed = &level_hashes[start..start + tile.width as usize];
            if let Some(i) = (0..stored.len()).find(|&i| stored[i] != computed[i]) {
                let what = format!("hash {i} differs: expected {}, got {}", computed[i], stored[i]);
                faults.push(Fault::in_file(tile.to_string(), what));
            }
        }
        level_hashes = level_hashes.chunks_exact(TILE_WIDTH as usize).map(merkle::root).collect();
    }
}

/// Reads a file of `min` to `max` bytes, and never more than that.
fn read_file(dir: &Path, name: &str, min: usize, max: usize) -> Result<Vec<u8>, Fault> {
    let unreadable = |e: io::Error| Fault::in_file(name, format!("cannot be read: {e}"));
    let file = fs::File::open(dir.join(name)).map_err(unreadable)?;
    let mut content = Vec::new();
    file.take(max as u64 + 1).read_to_end(&mut content).map_err(unreadable)?;
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
