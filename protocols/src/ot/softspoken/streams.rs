//! The streams of all trees of one direction, and the memory they are added up in.

use mpc_core::kernels::LeafStreams;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::FieldBits;
use super::tree::Leaves;

/// Bits of a block.
pub(super) const ROWS: usize = 128;

/// Columns that are worked on at a time: 128 rows of them fit into a second-level cache.
pub(super) const TILE: usize = 8192;

/// Words from row to row: not a power of two, whose rows would compete for the same places in the cache.
pub(super) const STRIDE: usize = TILE / 64 + 8;

/// Working memory of a tile. Wiped on drop.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(super) struct Tile {
    /// 128 rows.
    pub(super) rows: Vec<u64>,
    total: Vec<u64>,
    scratch: Vec<u64>,
}

impl Tile {
    pub(super) fn new() -> Self {
        Self { rows: vec![0; ROWS * STRIDE], total: vec![0; TILE / 64], scratch: vec![] }
    }
}

/// The streams of all trees.
pub(super) struct Streams {
    field: FieldBits,
    trees: Vec<LeafStreams>,
}

mpc_core::secret_types!(Tile, Streams);

impl Streams {
    /// Of a planter, who knows all leaves, or of a holder, who misses number 0 of each tree.
    pub(super) fn new(field: FieldBits, leaves: &Leaves, first_missing: bool) -> Self {
        let tree = |leaves: &[_]| LeafStreams::new(field.bits(), leaves, first_missing);
        Self { field, trees: leaves.chunks_exact(1 << field.bits()).map(tree).collect() }
    }

    /// Writes the rows of a tree for the next `words`·64 columns; gives their total, if all leaves are known, and the rows.
    pub(super) fn next<'a>(
        &mut self,
        tree: usize,
        words: usize,
        tile: &'a mut Tile,
    ) -> (&'a [u64], &'a mut [u64]) {
        let k = self.field.bits();
        let rows = &mut tile.rows[tree * k * STRIDE..][..k * STRIDE];
        let total = &mut tile.total[..words];
        self.trees[tree].next(&mut tile.scratch, rows, STRIDE, total);
        (total, rows)
    }
}
