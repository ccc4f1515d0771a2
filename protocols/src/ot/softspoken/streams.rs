//! Leaves as streams of bits, and what the streams of a tree add up to.
//!
//! Leaf y of a tree is a stream r_y of AES-128 in counter mode under a key of its own. For a run of columns, **row b** of the
//! tree is the sum of r_y over all y with bit b set, and its **total** the sum of all r_y.

use mpc_core::kernels::AesCtr;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::FieldBits;
use super::tree::Leaves;

/// Bits of a block.
pub(super) const ROWS: usize = 128;

/// Columns that are worked on at a time: 128 rows of them fit into a second-level cache, the leaves of a tree of k = 4 into
/// a first-level one.
pub(super) const TILE: usize = 8192;

/// Words from row to row: not a power of two, whose rows would compete for the same places in the cache.
pub(super) const STRIDE: usize = TILE / 64 + 8;

/// Working memory of a tile. Wiped on drop.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(super) struct Tile {
    /// 128 rows.
    pub(super) rows: Vec<u64>,
    leaves: Vec<u64>,
}

impl Tile {
    pub(super) fn new(field: FieldBits) -> Self {
        Self { rows: vec![0; ROWS * STRIDE], leaves: vec![0; (TILE / 64) << field.bits()] }
    }
}

/// The streams of all trees.
pub(super) struct Streams {
    field: FieldBits,
    /// In the leaves' order; `None` is a leaf that this party does not know and that counts as zeros.
    leaves: Vec<Option<AesCtr>>,
}

mpc_core::secret_types!(Tile, Streams);

impl Streams {
    /// Of a planter, who knows all leaves.
    pub(super) fn all(field: FieldBits, leaves: &Leaves) -> Self {
        Self { field, leaves: leaves.iter().map(|leaf| Some(AesCtr::new(leaf))).collect() }
    }

    /// Of a holder, who misses number 0 of each tree.
    pub(super) fn punctured(field: FieldBits, leaves: &Leaves) -> Self {
        let known = |(i, leaf)| (i % (1 << field.bits()) != 0).then(|| AesCtr::new(leaf));
        Self { field, leaves: leaves.iter().map(|l| &l[..]).enumerate().map(known).collect() }
    }

    /// Writes the rows of tree `tree` for the next `words`·64 columns and returns their total.
    pub(super) fn next<'a>(
        &mut self,
        tree: usize,
        words: usize,
        tile: &'a mut Tile,
    ) -> (&'a [u64], &'a mut [u64]) {
        let k = self.field.bits();
        let Tile { rows, leaves } = tile;
        for (stream, out) in self.leaves[tree << k..][..1 << k].iter_mut().zip(leaves.chunks_exact_mut(words))
        {
            match stream {
                Some(stream) => stream.fill(bytemuck::cast_slice_mut(out)),
                None => out.fill(0),
            }
        }
        for b in 0..k {
            let row = &mut rows[(tree * k + b) * STRIDE..][..words];
            for y in 0..1 << (k - 1 - b) {
                add_pair(leaves, y, words, row);
            }
        }
        (&leaves[..words], &mut rows[tree * k * STRIDE..][..k * STRIDE])
    }
}

/// Leaves 2y and 2y + 1 become one at place y; the odd one is added to the row, or starts it.
fn add_pair(leaves: &mut [u64], y: usize, words: usize, row: &mut [u64]) {
    let (done, rest) = leaves.split_at_mut(2 * y * words);
    let (even, odd) = rest[..2 * words].split_at_mut(words);
    if y == 0 {
        row.copy_from_slice(odd);
        even.iter_mut().zip(odd).for_each(|(x, o)| *x ^= *o);
        return;
    }
    let sums = &mut done[y * words..][..words];
    for (((sum, row), &e), &o) in sums.iter_mut().zip(row).zip(&*even).zip(&*odd) {
        *row ^= o;
        *sum = e ^ o;
    }
}
