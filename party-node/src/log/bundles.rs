//! Bundles of entries: read one by one, and held to the level-0 tiles, which say of each entry what it must be.

use std::collections::BTreeMap;
use std::path::Path;

use mpc_core::merkle::{TreeHash, leaf_hash};
use mpc_core::transcript::MAX_ENTRY_BYTES;

use super::fault::Fault;
use super::layout::{TILE_WIDTH, Tile, TileKind, tile_count};
use super::listing::Listing;
use super::read::{read_file, tiles_there};

/// All bundles of a log.
pub(super) struct Bundles {
    /// The entries from the first on, up to one that could not be read or is known not to be the one in the tree.
    pub(super) entries: Vec<Vec<u8>>,
    /// Hashes of these entries.
    pub(super) leaves: Vec<TreeHash>,
    /// Whether these are all.
    pub(super) complete: bool,
    pub(super) faults: Vec<Fault>,
    /// If the level-0 tiles are not known to hold: the entries that differ from them, which may be the tiles' fault.
    pub(super) differing: Vec<Fault>,
}

/// Reads all bundles there are. `level_0` are the hashes of each tile that was read; `tiles_hold` says that they are the
/// signed tree's.
pub(super) fn read_bundles(
    dir: &Path,
    listing: &Listing,
    size: u64,
    level_0: &BTreeMap<u64, &[TreeHash]>,
    tiles_hold: bool,
) -> Bundles {
    let mut all = Bundles {
        entries: Vec::new(),
        leaves: Vec::new(),
        complete: true,
        faults: Vec::new(),
        differing: Vec::new(),
    };
    let there = tiles_there(listing, TileKind::Entries, size, &mut all.faults);
    let expected = tile_count(TileKind::Entries, size);
    for (position, tile) in (0..).zip(&there) {
        all.complete &= tile.index == position;
        let limit = tile.width as usize * (2 + MAX_ENTRY_BYTES);
        match read_file(dir, &tile.to_string(), 0, limit) {
            Ok(content) => all.take(*tile, &content, level_0.get(&tile.index).copied(), tiles_hold),
            Err(fault) => {
                all.faults.push(fault);
                all.complete = false;
            }
        }
    }
    all.complete &= there.len() as u64 == expected;
    all
}

impl Bundles {
    /// Takes over the entries of a bundle, as far as they can be relied on.
    fn take(&mut self, tile: Tile, content: &[u8], stored: Option<&[TreeHash]>, tiles_hold: bool) {
        let (mut entries, flaw) = split(content, tile.width);
        let mut leaves: Vec<TreeHash> = entries.iter().map(|e| leaf_hash(e)).collect();
        let first = tile.index * TILE_WIDTH;
        let fault = |at: usize, what: String| Fault {
            file: Some(tile.to_string()),
            entry: Some(first + at as u64),
            what,
        };
        let stored = stored.unwrap_or_default();
        let differing: Vec<usize> =
            leaves.iter().zip(stored).enumerate().filter(|(_, (l, s))| l != s).map(|(i, _)| i).collect();
        let changed = "was changed: its hash is not the one in the tree";
        let reliable = match (flaw, tiles_hold, differing.first()) {
            (None, true, at) => {
                self.faults.extend(differing.iter().map(|&i| fault(i, changed.to_owned())));
                at.copied().unwrap_or(entries.len())
            }
            (None, false, _) => {
                self.differing.extend(differing.iter().map(|&i| fault(i, changed.to_owned())));
                entries.len()
            }
            (Some(flaw), true, Some(&at)) => {
                let from_here =
                    "is not the one in the tree: it, or an entry here, was changed, added or removed";
                self.faults.push(fault(at, format!("{from_here}; the bundle {}", flaw.text)));
                at
            }
            (Some(flaw), ..) => {
                self.faults.push(fault(flaw.at, format!("the bundle {}", flaw.text)));
                // What is there is all there should be, and all of it right.
                if tiles_hold { entries.len() } else { 0 }
            }
        };
        if self.complete {
            self.complete = reliable == tile.width as usize;
            entries.truncate(reliable);
            leaves.truncate(reliable);
            self.entries.append(&mut entries);
            self.leaves.append(&mut leaves);
        }
    }
}

/// Why a bundle is not a row of so many entries.
struct Flaw {
    /// Where that shows, counted within the bundle.
    at: usize,
    text: String,
}

/// The entries of a bundle of `width`, as far as there are any.
fn split(mut content: &[u8], width: u64) -> (Vec<Vec<u8>>, Option<Flaw>) {
    let mut entries: Vec<Vec<u8>> = Vec::with_capacity(width as usize);
    for at in 0..width as usize {
        let entry = content
            .split_first_chunk::<2>()
            .and_then(|(length, rest)| rest.split_at_checked(usize::from(u16::from_be_bytes(*length))));
        let Some((entry, rest)) = entry else {
            let text = format!("ends early: expected {width} entries, got {at}");
            return (entries, Some(Flaw { at, text }));
        };
        entries.push(entry.to_vec());
        content = rest;
    }
    let flaw = (!content.is_empty()).then(|| Flaw {
        at: entries.len().saturating_sub(1),
        text: format!("has {} bytes after its last entry", content.len()),
    });
    (entries, flaw)
}
