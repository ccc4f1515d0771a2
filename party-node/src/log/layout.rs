//! Which files a log of a given size consists of (C2SP `tlog-tiles`).

use std::fmt;

use mpc_core::hex::hex;
use mpc_core::tag::SessionId;

/// Hashes or entries in a full tile.
pub(super) const TILE_WIDTH: u64 = 256;

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
    kinds(size).flat_map(move |(kind, _)| tiles_of(kind, size))
}

/// The tiles of one kind, from left to right.
pub(super) fn tiles_of(kind: TileKind, size: u64) -> impl Iterator<Item = Tile> {
    let count = kinds(size).find(|&(k, _)| k == kind).map_or(0, |(_, count)| count);
    (0..count.div_ceil(TILE_WIDTH)).map(move |index| Tile {
        kind,
        index,
        width: (count - index * TILE_WIDTH).min(TILE_WIDTH),
    })
}

/// The bundle that holds entry `entry` of a log of `size` entries.
pub(super) fn tile_of_entry(entry: u64, size: u64) -> Tile {
    let index = entry / TILE_WIDTH;
    let width = size.saturating_sub(index * TILE_WIDTH).min(TILE_WIDTH);
    Tile { kind: TileKind::Entries, index, width }
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
    fn a_forged_size_does_not_hang() {
        assert_eq!(tiles(u64::MAX).take(3).count(), 3);
        assert_eq!(partial_tiles(u64::MAX).len(), 9);
    }
}
