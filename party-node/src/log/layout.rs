//! Which files a log of a given size consists of (C2SP `tlog-tiles`).

use std::collections::BTreeSet;
use std::fmt;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use mpc_core::hex::hex;
use mpc_core::tag::SessionId;

/// The folder beside a log, by the log's name and this ending, for what belongs to it and is no part of it.
pub(crate) fn beside_log(log_dir: &Path, ending: &str) -> PathBuf {
    let mut name = log_dir.file_name().unwrap_or_default().to_owned();
    name.push(ending);
    log_dir.with_file_name(name)
}

/// Hashes or entries in a full tile.
pub(super) const TILE_WIDTH: u64 = 256;

/// No node commits more entries than this at once; the writer's limits are far below.
const MOST_AT_ONCE: u64 = 256;

/// The signed tree head.
pub(super) const CHECKPOINT: &str = "checkpoint";
/// Locked by the process that writes the log; always empty.
pub(super) const LOCK: &str = "lock";
/// The one file that may be half written.
pub(super) const TEMPORARY: &str = "tmp";

/// The folder of cosigned checkpoints.
const COSIGNED: &str = "cosigned/";

/// The cosigned checkpoint of a session.
pub(super) fn cosigned(session: &SessionId) -> String {
    COSIGNED.to_owned() + &hex(&session.0)
}

/// Whether a path is that of a cosigned checkpoint.
pub(super) fn is_cosigned(path: &str) -> bool {
    let digit = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    path.strip_prefix(COSIGNED).is_some_and(|name| name.len() == 64 && name.chars().all(digit))
}

/// What a tile contains.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum TileKind {
    /// Log entries, each with a 16-bit big-endian length before it.
    Entries,
    /// Hashes of complete subtrees of 256^level leaves.
    Hashes {
        /// The level.
        level: u8,
    },
}

/// One tile file.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Tile {
    pub(super) kind: TileKind,
    /// Number of the tile within its kind.
    pub(super) index: u64,
    /// Hashes or entries in it: 256, or fewer in the last one.
    pub(super) width: u64,
}

/// The path below the log's directory, with `/` between its parts.
impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TileKind::Entries => f.write_str("tile/entries/"),
            TileKind::Hashes { level } => write!(f, "tile/{level}/"),
        }?;
        // Groups of three digits; all but the last are marked, so that no file name is also a directory's.
        let (mut groups, mut rest) = (Vec::new(), self.index / 1000);
        while rest > 0 {
            groups.push(rest % 1000);
            rest /= 1000;
        }
        groups.iter().rev().try_for_each(|g| write!(f, "x{g:03}/"))?;
        write!(f, "{:03}", self.index % 1000)?;
        if self.width < TILE_WIDTH { write!(f, ".p/{}", self.width) } else { Ok(()) }
    }
}

/// The kinds of tile that a log of `size` entries has, and how many hashes or entries each kind holds in all.
fn kinds(size: u64) -> impl Iterator<Item = (TileKind, u64)> {
    let levels = (0u8..8).map(move |level| (TileKind::Hashes { level }, size >> (8 * u32::from(level))));
    [(TileKind::Entries, size)].into_iter().chain(levels).filter(|&(_, count)| count > 0)
}

/// All tiles of a log of `size` entries, each kind from left to right. Lazy: a forged size costs nothing by itself.
#[cfg(test)]
pub(super) fn tiles(size: u64) -> impl Iterator<Item = Tile> {
    kinds(size)
        .flat_map(move |(kind, _)| (0..tile_count(kind, size)).filter_map(move |i| tile_at(kind, i, size)))
}

/// Hashes or entries of one kind in a log of `size` entries.
fn count(kind: TileKind, size: u64) -> u64 {
    match kind {
        TileKind::Entries => size,
        TileKind::Hashes { level } => size.checked_shr(8 * u32::from(level)).unwrap_or(0),
    }
}

/// How many tiles of one kind a log of `size` entries has.
pub(super) fn tile_count(kind: TileKind, size: u64) -> u64 {
    count(kind, size).div_ceil(TILE_WIDTH)
}

/// The tile with this number, if a log of `size` entries has it.
pub(super) fn tile_at(kind: TileKind, index: u64, size: u64) -> Option<Tile> {
    let width = count(kind, size).checked_sub(index.checked_mul(TILE_WIDTH)?)?.min(TILE_WIDTH);
    (width > 0).then_some(Tile { kind, index, width })
}

/// Whether a log of `size` entries has this very tile.
pub(super) fn is_tile_of(tile: Tile, size: u64) -> bool {
    tile_at(tile.kind, tile.index, size) == Some(tile)
}

/// Sizes that a log of `size` entries would have had after a commit that was interrupted.
fn next_sizes(size: u64) -> RangeInclusive<u64> {
    size.saturating_add(1)..=size.saturating_add(MOST_AT_ONCE)
}

/// Whether a crash can leave this tile in a log of `size` entries: one that the next commit was to bring, or a partial one
/// that was superseded. A process that dies leaves those of the last commit. A power cut can bring back those of the tile
/// under way and the one before it: their removal is durable once the next tile is.
pub(super) fn may_be_left(tile: Tile, size: u64) -> bool {
    let count = count(tile.kind, size);
    let end = tile.index.saturating_mul(TILE_WIDTH).saturating_add(tile.width);
    let superseded = tile.width < TILE_WIDTH && end < count && tile.index + 1 >= count / TILE_WIDTH;
    superseded || next_sizes(size).any(|next| is_tile_of(tile, next))
}

/// The directories that a crash can leave empty in a log of `size` entries: those of the tiles that [`may_be_left`], and
/// that of cosigned checkpoints.
pub(super) fn growing_dirs(size: u64) -> BTreeSet<String> {
    let superseded = kinds(size).flat_map(|(kind, count)| {
        let under_way = count / TILE_WIDTH;
        [under_way.saturating_sub(1), under_way].map(|index| Tile { kind, index, width: 1 })
    });
    let mut dirs = BTreeSet::from([COSIGNED.trim_end_matches('/').to_owned()]);
    for tile in next_sizes(size).flat_map(partial_tiles).chain(superseded) {
        let path = tile.to_string();
        dirs.extend(path.match_indices('/').map(|(at, _)| path[..at].to_owned()));
    }
    dirs
}

/// The bundle that holds entry `entry` of a log of `size` entries.
pub(super) fn tile_of_entry(entry: u64, size: u64) -> Tile {
    let index = entry / TILE_WIDTH;
    let width = size.saturating_sub(index * TILE_WIDTH).min(TILE_WIDTH);
    Tile { kind: TileKind::Entries, index, width }
}

/// The paths of the last tiles of each kind in a log of `size` entries.
pub(super) fn last_tiles(size: u64) -> impl Iterator<Item = String> {
    let last = move |(kind, count): (_, u64)| tile_at(kind, (count - 1) / TILE_WIDTH, size);
    kinds(size).filter_map(last).map(|tile| tile.to_string())
}

/// The tiles that are not full, at most one of each kind.
pub(super) fn partial_tiles(size: u64) -> Vec<Tile> {
    kinds(size)
        .map(|(kind, count)| Tile { kind, index: count / TILE_WIDTH, width: count % TILE_WIDTH })
        .filter(|tile| tile.width > 0)
        .collect()
}

/// The tile that a path names, if it is one in canonical spelling.
pub(super) fn parse(path: &str) -> Option<Tile> {
    let rest = path.strip_prefix("tile/")?;
    let (kind, rest) = rest.split_once('/')?;
    let kind = match kind {
        "entries" => TileKind::Entries,
        level => TileKind::Hashes { level: level.parse().ok().filter(|&l: &u8| l < 64)? },
    };
    let (index, width) = match rest.split_once(".p/") {
        Some((index, width)) => (index, width.parse().ok().filter(|w| (1..TILE_WIDTH).contains(w))?),
        None => (rest, TILE_WIDTH),
    };
    let digits: String = index.split('/').map(|group| group.trim_start_matches('x')).collect();
    let tile = Tile { kind, index: digits.parse().ok()?, width };
    // Any other spelling of the same tile prints differently.
    (tile.to_string() == path).then_some(tile)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_specification() {
        let tile = |kind, index, width| Tile { kind, index, width }.to_string();
        let level = |level| TileKind::Hashes { level };
        assert_eq!(tile(level(0), 1_234_067, 256), "tile/0/x001/x234/067");
        assert_eq!(tile(TileKind::Entries, 5, 17), "tile/entries/005.p/17");
        assert_eq!(tile(level(1), 1000, 1), "tile/1/x001/000.p/1");
        assert_eq!(tile(level(2), 999, 256), "tile/2/999");
    }

    /// The two examples of the specification.
    #[test]
    fn tiles_of_the_specifications_examples() {
        let count = |size, kind, full: bool| {
            tiles(size).filter(|t| t.kind == kind && (t.width == TILE_WIDTH) == full).count()
        };
        let level = |level| TileKind::Hashes { level };
        assert_eq!(count(70_000, level(0), true), 273);
        assert_eq!(count(70_000, level(1), true), 1);
        let widths = |size| partial_tiles(size).into_iter().map(|t| (t.kind, t.width)).collect::<Vec<_>>();
        assert_eq!(
            widths(70_000),
            [(TileKind::Entries, 112), (level(0), 112), (level(1), 17), (level(2), 1)]
        );
        assert_eq!(widths(256), [(level(1), 1)]);
        assert_eq!(count(256, level(0), true), 1);
        assert_eq!(tiles(0).count(), 0);
    }

    #[test]
    fn parsing_is_the_inverse_of_printing() {
        for size in [1, 255, 256, 257, 70_000, 300_000] {
            let listed: Vec<_> = tiles(size).collect();
            assert!(listed.iter().all(|t| parse(&t.to_string()) == Some(*t)));
            let partial: Vec<_> = listed.into_iter().filter(|t| t.width < TILE_WIDTH).collect();
            assert_eq!(partial, partial_tiles(size));
        }
        for bad in [
            "tile/0/0",
            "tile/00/000",
            "tile/0/x000/001",
            "tile/0/001.p/256",
            "tile/0/001.p/0",
            "tile/0/001.p/01",
            "tile/0/000.p/1/2",
            "tile/64/000",
            "tile/entries/xx01/000",
            "tile/0/+01",
            "tiles/0/000",
            "tile/0/000/",
            "checkpoint",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn cosigned_checkpoints_are_named_by_session() {
        let path = cosigned(&SessionId([0xab; 32]));
        assert_eq!(path, format!("cosigned/{}", "ab".repeat(32)));
        assert!(is_cosigned(&path) && parse(&path).is_none());
        for bad in
            ["cosigned/ab", "cosigned", &path.to_uppercase(), &format!("{path}/x"), &path.replace('b', "g")]
        {
            assert!(!is_cosigned(bad), "{bad}");
        }
    }

    #[test]
    fn a_crash_leaves_tiles_where_the_log_grows() {
        let left = |path: &str, size| may_be_left(parse(path).unwrap(), size);
        assert!(left("tile/0/002.p/255", 768) && left("tile/1/000.p/2", 768) && left("tile/0/003.p/1", 768));
        assert!(left("tile/entries/000.p/8", 9) && left("tile/0/000", 9));
        assert!(
            !left("tile/0/001.p/255", 768) && !left("tile/0/004.p/1", 768) && !left("tile/2/000.p/1", 768)
        );
        let dirs = growing_dirs(768);
        for (dir, may_be) in [
            ("tile/0/002.p", true),
            ("tile/entries/003.p", true),
            ("tile/1/000.p", true),
            ("cosigned", true),
            ("tile/0/000.p", false),
            ("tile/0/004.p", false),
            ("tile/empty", false),
        ] {
            assert_eq!(dirs.contains(dir), may_be, "{dir}");
        }
    }

    #[test]
    fn a_forged_size_does_not_hang() {
        assert_eq!(tiles(u64::MAX).take(3).count(), 3);
        assert_eq!(partial_tiles(u64::MAX).len(), 9);
    }
}
