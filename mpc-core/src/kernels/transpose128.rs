//! From 128 rows of bits to blocks of 128 bits, for OT extension: the rows are what streams are added up to, the blocks
//! are what is hashed.
//!
//! Rows are best a little longer than a power of two apart and short enough that all 128 stay in the second-level cache:
//! at most 16 Ki columns at a time.

use zeroize::optimization_barrier;

use super::bits::transpose_64;

/// Rows, and bits of a block.
const ROWS: usize = 128;

/// Bit r of `blocks[i]` becomes bit `i % 64` of `rows[r * stride + i / 64]`: row r starts at word r·`stride`.
///
/// # Panics
/// If `rows` is not 128·`stride` words long or rows are shorter than there are blocks.
///
/// # Example
/// ```
/// let mut rows = vec![0; 128]; // one word each
/// rows[3] = 0b10;
/// let mut blocks = [9; 2];
/// mpc_core::kernels::transpose_128(&rows, 1, &mut blocks);
/// assert_eq!(blocks, [0, 1 << 3]);
/// ```
pub fn transpose_128(rows: &[u64], stride: usize, blocks: &mut [u128]) {
    check(rows, stride, blocks.len());
    #[cfg(target_arch = "x86_64")]
    if let Some(unit) = super::gfni128::Gfni128::detect() {
        return unit.transpose(rows, stride, blocks);
    }
    transpose_portable(rows, stride, blocks);
}

#[track_caller]
fn check(rows: &[u64], stride: usize, blocks: usize) {
    assert_eq!(rows.len(), super::area(ROWS, stride), "words of 128 rows of {stride}");
    assert!(blocks.div_ceil(64) <= stride, "{blocks} columns of rows of {stride} words");
}

/// As [`transpose_128`], on any processor.
fn transpose_portable(rows: &[u64], stride: usize, blocks: &mut [u128]) {
    let mut halves = [[0u64; 64]; 2];
    for (word, chunk) in blocks.chunks_mut(64).enumerate() {
        for (h, half) in halves.iter_mut().enumerate() {
            for (r, slot) in half.iter_mut().enumerate() {
                *slot = rows[(64 * h + r) * stride + word];
            }
            transpose_64(half);
        }
        let [low, high] = &halves;
        for ((block, &low), &high) in chunk.iter_mut().zip(low).zip(high) {
            *block = u128::from(low) | u128::from(high) << 64;
        }
    }
    // They held secrets; the barrier keeps the wipe from being optimised away.
    halves = [[0; 64]; 2];
    optimization_barrier(&halves);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bits_go_where_they_belong() {
        let (stride, columns) = (17, 1000);
        for (r, i) in [(0, 0), (127, 999), (63, 64), (64, 63), (5, 511), (90, 512), (17, 777)] {
            let mut rows = vec![0; ROWS * stride];
            rows[r * stride + i / 64] = 1 << (i % 64);
            for path in [transpose_128, transpose_portable] {
                let mut blocks = vec![7; columns];
                path(&rows, stride, &mut blocks);
                for (at, &block) in blocks.iter().enumerate() {
                    assert_eq!(block, if at == i { 1 << r } else { 0 }, "row {r}, column {i}, seen at {at}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn the_paths_agree(seed: u64, columns in 0usize..2100, spare in 0usize..3) {
            let mut x = seed;
            let mut next = || { x = x.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29) ^ 0x55; x };
            let stride = columns.div_ceil(64) + spare;
            let rows: Vec<u64> = (0..ROWS * stride).map(|_| next()).collect();
            let [mut fast, mut portable] = [(); 2].map(|()| vec![7; columns]);
            transpose_128(&rows, stride, &mut fast);
            transpose_portable(&rows, stride, &mut portable);
            prop_assert_eq!(fast, portable);
        }
    }
}
