//! What a log's directory contains, and what of that a log does not consist of.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use mpc_core::transcript::Entry;

use super::fault::Fault;
use super::layout::{self, CHECKPOINT, LOCK};
use super::read::{Cosigned, RawLog};

/// Deepest path of a tile: `tile/0/x018/…/000.p/1`.
const MAX_DEPTH: usize = 12;

/// What a file that a crash can have left is followed by.
const MAY_BE_LEFT: &str =
    ": left by an interrupted write, or added; a node removes its own when it opens the log";

/// What is in a log's directory, by name.
#[derive(PartialEq, Eq)]
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
        listing.empty_dirs.sort_unstable();
        Ok(listing)
    }

    /// The files that a log of `size` entries with these cosigned checkpoints does not consist of.
    pub(super) fn unexpected(&self, size: u64, cosigned: &BTreeMap<String, Cosigned>) -> Vec<String> {
        let belongs = |file: &str| match file {
            CHECKPOINT | LOCK => true,
            _ => {
                cosigned.contains_key(file)
                    || layout::parse(file).is_some_and(|tile| layout::is_tile_of(tile, size))
            }
        };
        self.files.iter().filter(|f| !belongs(f)).cloned().collect()
    }

    /// A fault for everything that this log does not consist of. Which cosigned checkpoints belong to it, its entries say:
    /// where not all are known, nothing is said of those.
    pub(super) fn strays(&self, log: &RawLog) -> Vec<Fault> {
        let size = log.checkpoint.as_ref().map_or(0, |c| c.checkpoint().size());
        let mut files = self.unexpected(size, &log.cosigned);
        files.retain(|file| log.complete || !layout::is_cosigned(file));
        if files.is_empty() && self.empty_dirs.is_empty() {
            return Vec::new();
        }
        let unfixed = unfixed(log);
        let files = files.into_iter().map(|file| {
            let may_be_left = file == layout::TEMPORARY
                || layout::parse(&file).is_some_and(|tile| layout::may_be_left(tile, size))
                || unfixed.contains(&file);
            let what = format!("does not belong to a log of {size} entries");
            Fault::in_file(file, if may_be_left { what + MAY_BE_LEFT } else { what })
        });
        let growing = layout::growing_dirs(size);
        // Where a tile is missing, that was said.
        let is_of_missing =
            |dir: &&String| layout::last_tiles(size).any(|tile| tile.starts_with(&format!("{dir}/")));
        let dirs = self.empty_dirs.iter().filter(|dir| !is_of_missing(dir)).map(|dir| {
            let what = "is an empty directory".to_owned();
            Fault::in_file(dir.as_str(), if growing.contains(dir) { what + MAY_BE_LEFT } else { what })
        });
        files.chain(dirs).collect()
    }
}

/// The cosigned checkpoints that this log may be about to fix: of its sessions that are closed and have none.
fn unfixed(log: &RawLog) -> BTreeSet<String> {
    let mut files = BTreeSet::new();
    for entry in log.entries.iter().filter_map(|bytes| Entry::decode(bytes).ok()) {
        let file = layout::cosigned(&entry.session());
        match entry {
            Entry::Close(_) => drop(files.insert(file)),
            Entry::Witnessed(_) => drop(files.remove(&file)),
            _ => {}
        }
    }
    files
}
