//! Between words and bit lanes. A Boolean tensor is stored bit-sliced: word `j` of lane `i` holds bit `i` of the
//! elements `64j..64j+63`, so that one AND of two words is 64 gates.
//!
//! The transposition works on 64×64 bit blocks held in registers and L1 (Warren, *Hacker's Delight*, 2nd ed., §7-3),
//! eight blocks at a time, so that every lane is written in whole cache lines. Processors with GFNI and AVX-512 have a path
//! of their own (`gfni`).

use zeroize::optimization_barrier;

/// Blocks per tile: eight words of a lane are one cache line.
const TILE: usize = 8;

/// Splits `bits`-bit values into bit lanes: bit `j % 64` of `lanes[i * lane_words + j / 64]` becomes bit `i` of
/// `values[j]`. Higher bits of the values are ignored; padding bits of the last word are zero.
///
/// # Panics
/// If `bits > 64`, if `lane_words` is not `values.len()` / 64 rounded up, or if `lanes` is not `bits * lane_words` long.
///
/// # Example
/// ```
/// let mut lanes = [9; 2]; // two lanes of one word
/// mpc_core::kernels::bit_slice_u64(&[0b01, 0b10, 0b11], &mut lanes, 1, 2);
/// assert_eq!(lanes, [0b101, 0b110]);
/// ```
pub fn bit_slice_u64(values: &[u64], lanes: &mut [u64], lane_words: usize, bits: usize) {
    check_lanes(values.len(), lanes.len(), lane_words, bits, 64);
    #[cfg(target_arch = "x86_64")]
    if let Some(unit) = super::gfni::Gfni::detect() {
        return unit.bit_slice(values, lanes, lane_words, bits);
    }
    bit_slice_portable(values, lanes, lane_words, bits);
}

/// As [`bit_slice_u64`], on any processor.
fn bit_slice_portable(values: &[u64], lanes: &mut [u64], lane_words: usize, bits: usize) {
    let mut tile = [[0u64; 64]; TILE];
    for (t, chunk) in values.chunks(64 * TILE).enumerate() {
        let words = chunk.len().div_ceil(64);
        for (block, part) in tile.iter_mut().zip(chunk.chunks(64)) {
            block[..part.len()].copy_from_slice(part);
            block[part.len()..].fill(0);
            transpose_64(block);
        }
        for i in 0..bits {
            let start = i * lane_words + t * TILE;
            for (word, block) in lanes[start..start + words].iter_mut().zip(&tile) {
                *word = block[i];
            }
        }
    }
    // The tile held secrets; the barrier keeps the wipe from being optimised away.
    tile = [[0; 64]; TILE];
    optimization_barrier(&tile);
}

/// The same for 8-bit values; `bits` is at most 8.
///
/// # Panics
/// If `bits > 8`, if `lane_words` is not `values.len()` / 64 rounded up, or if `lanes` is not `bits * lane_words` long.
pub fn bit_slice_u8(values: &[u8], lanes: &mut [u64], lane_words: usize, bits: usize) {
    check_lanes(values.len(), lanes.len(), lane_words, bits, 8);
    for (j, chunk) in values.chunks(64).enumerate() {
        for i in 0..bits {
            lanes[i * lane_words + j] =
                chunk.iter().rev().fold(0, |word, &value| word << 1 | u64::from(value >> i & 1));
        }
    }
}

/// Writes the bits of one lane as values 0 and 1: `out[j]` becomes bit `j % 64` of `lane[j / 64]`. Padding bits are
/// ignored.
///
/// # Panics
/// If `lane` is not `out.len()` / 64 words long, rounded up.
///
/// # Example
/// ```
/// let mut out = [9; 3];
/// mpc_core::kernels::expand_bits_u64(&[0b101], &mut out);
/// assert_eq!(out, [1, 0, 1]);
/// ```
pub fn expand_bits_u64(lane: &[u64], out: &mut [u64]) {
    expand(lane, out, |bit| bit);
}

/// The same with 8-bit values.
///
/// # Panics
/// If `lane` is not `out.len()` / 64 words long, rounded up.
pub fn expand_bits_u8(lane: &[u64], out: &mut [u8]) {
    expand(lane, out, |bit| bit as u8);
}

#[inline(always)]
fn expand<T>(lane: &[u64], out: &mut [T], value: impl Fn(u64) -> T) {
    assert_eq!(lane.len(), out.len().div_ceil(64), "lane length for {} values", out.len());
    for (chunk, &word) in out.chunks_mut(64).zip(lane) {
        for (j, slot) in chunk.iter_mut().enumerate() {
            *slot = value(word >> j & 1);
        }
    }
}

#[track_caller]
fn check_lanes(values: usize, lanes: usize, lane_words: usize, bits: usize, most: usize) {
    assert!(bits <= most, "{bits} bits of a {most}-bit value");
    assert_eq!(lane_words, values.div_ceil(64), "words per lane of {values} values");
    assert_eq!(lanes, super::area(bits, lane_words), "length of {bits} lanes of {lane_words} words");
}

/// Transposes a 64×64 bit matrix in place: swaps ever smaller off-diagonal blocks.
#[inline(always)]
pub(super) fn transpose_64(rows: &mut [u64; 64]) {
    swap_blocks::<32>(rows, 0x0000_0000_ffff_ffff);
    swap_blocks::<16>(rows, 0x0000_ffff_0000_ffff);
    swap_blocks::<8>(rows, 0x00ff_00ff_00ff_00ff);
    swap_blocks::<4>(rows, 0x0f0f_0f0f_0f0f_0f0f);
    swap_blocks::<2>(rows, 0x3333_3333_3333_3333);
    swap_blocks::<1>(rows, 0x5555_5555_5555_5555);
}

/// Swaps the upper right with the lower left HALF×HALF block of every 2·HALF×2·HALF block on the diagonal, and alike
/// in every other such block; `low` has the lower half of each 2·HALF columns set.
#[inline(always)]
fn swap_blocks<const HALF: usize>(rows: &mut [u64; 64], low: u64) {
    for pair in rows.chunks_exact_mut(2 * HALF) {
        let (upper, lower) = pair.split_at_mut(HALF);
        for (x, y) in upper.iter_mut().zip(lower) {
            let swap = (*x >> HALF ^ *y) & low;
            *x ^= swap << HALF;
            *y ^= swap;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_paths_agree(seed: u64, len in 0usize..1400, bits in 0usize..=64) {
            let mut x = seed;
            let mut next = || { x = x.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29) ^ 0x55; x };
            let values: Vec<u64> = (0..len).map(|_| next()).collect();
            let words = len.div_ceil(64);
            let [mut fast, mut portable] = [(); 2].map(|()| vec![7; bits * words]);
            bit_slice_u64(&values, &mut fast, words, bits);
            bit_slice_portable(&values, &mut portable, words, bits);
            prop_assert_eq!(fast, portable);
        }
    }
}
