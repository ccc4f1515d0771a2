//! Sums of blocks from random places of a table.

#![allow(unsafe_code)] // vendor intrinsics: loads and stores need valid memory, a hint takes a raw pointer

/// Rows between a hint and its use: longer than memory takes to answer.
const AHEAD: usize = 16;

/// Tables above this do not stay near the core, and hints pay; below, they only cost.
const NEAR_BYTES: usize = 2 << 20;

/// Adds to every block of `out` the blocks of `table` that its row names: `out[j] ^= ⊕ table[rows[j][i] mod len]`. Rows are
/// public: addresses depend on them.
///
/// # Panics
/// If the length of `table` is no power of two, or there are not as many rows as blocks.
pub fn xor_rows<const WEIGHT: usize>(table: &[u128], rows: &[[u32; WEIGHT]], out: &mut [u128]) {
    assert!(table.len().is_power_of_two(), "a table of {} blocks", table.len());
    assert_eq!(rows.len(), out.len(), "one row for each block");
    let mask = table.len() - 1;
    let near = size_of_val(table) <= NEAR_BYTES;
    for (j, (out, row)) in out.iter_mut().zip(rows).enumerate() {
        if !near && let Some(later) = rows.get(j + AHEAD) {
            later.iter().for_each(|&place| hint(&table[place as usize & mask]));
        }
        add(out, row.map(|place| &table[place as usize & mask]));
    }
}

/// Adds the blocks to `out`, each in one register: two words of a `u128` would be two loads and two sums.
#[inline]
fn add<const COUNT: usize>(out: &mut u128, blocks: [&u128; COUNT]) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{__m128i, _mm_loadu_si128, _mm_storeu_si128, _mm_xor_si128};
        let out = std::ptr::from_mut(out).cast::<__m128i>();
        // SAFETY: SSE2 is part of x86-64; the pointers are those of blocks of 16 bytes; loads and store are unaligned.
        unsafe {
            let load = |block: &u128| _mm_loadu_si128(std::ptr::from_ref(block).cast());
            let sum = blocks.into_iter().fold(_mm_loadu_si128(out), |sum, x| _mm_xor_si128(sum, load(x)));
            _mm_storeu_si128(out, sum);
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    blocks.into_iter().for_each(|block| *out ^= block);
}

/// Tells the processor that the block will be read, and to have it in the second-level cache: far more requests can wait
/// there than at the first level, and sixteen rows of hints are many.
#[inline]
fn hint(block: &u128) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: SSE is part of x86-64; a prefetch changes nothing, and the pointer is one to a block.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(std::ptr::from_ref(block).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = block;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_and_far_tables_give_the_sums_of_the_definition() {
        for log in [0, 3, 18] {
            let table: Vec<u128> = (0..1u128 << log).map(|i| (i + 1).wrapping_mul(u128::MAX / 977)).collect();
            let rows: Vec<[u32; 3]> =
                (0..100u32).map(|j| [j, j.wrapping_mul(0x9e37_79b9), !j].map(|n| n ^ 0x5555_0000)).collect();
            let mut out: Vec<u128> = (0..100).collect();
            xor_rows(&table, &rows, &mut out);
            for (j, row) in rows.iter().enumerate() {
                let [x, y, z] = row.map(|n| table[n as usize % (1 << log)]);
                assert_eq!(out[j], j as u128 ^ x ^ y ^ z, "2^{log} blocks, row {j}");
            }
        }
    }

    #[test]
    #[should_panic(expected = "one row for each block")]
    fn a_row_for_each_block() {
        xor_rows(&[0; 2], &[[0; 1]; 3], &mut [0; 2]);
    }
}
