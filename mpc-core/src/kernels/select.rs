//! Writing to a place that nobody may see.

use std::hint::black_box;

/// Adds `value` to the block at `place`, a secret: all blocks are read and written, whichever it is.
///
/// # Example
/// ```
/// let mut blocks = [1, 2, 3];
/// mpc_core::kernels::xor_at(&mut blocks, 1, 7);
/// assert_eq!(blocks, [1, 5, 3]);
/// ```
pub fn xor_at(blocks: &mut [u128], place: usize, value: u128) {
    #[cfg(target_arch = "x86_64")]
    if let Some(unit) = wide::Avx512::detect() {
        return unit.xor_at(blocks, place, value);
    }
    xor_at_portable(blocks, place, value);
}

fn xor_at_portable(blocks: &mut [u128], place: usize, value: u128) {
    let place = black_box(place as u64);
    for (at, block) in (0u64..).zip(blocks) {
        // Of a number and its negative one has the top bit set, but for zero.
        let differs = at ^ place;
        let mask = u128::from((differs | differs.wrapping_neg()) >> 63).wrapping_sub(1);
        *block ^= value & mask;
    }
}

#[cfg(target_arch = "x86_64")]
mod wide {
    #![allow(unsafe_code)] // vendor intrinsics: each needs the instruction set, loads and stores need valid memory

    use std::arch::x86_64::*;

    /// Proof that this processor has AVX-512 F: only [`detect`](Self::detect) makes one.
    #[derive(Copy, Clone)]
    pub(super) struct Avx512(());

    impl Avx512 {
        pub(super) fn detect() -> Option<Self> {
            is_x86_feature_detected!("avx512f").then_some(Self(()))
        }

        pub(super) fn xor_at(self, blocks: &mut [u128], place: usize, value: u128) {
            // SAFETY: `self` exists, so AVX-512 F was detected.
            unsafe { xor_at(blocks, place, value) }
        }
    }

    #[target_feature(enable = "avx512f")]
    fn xor_at(blocks: &mut [u128], place: usize, value: u128) {
        const PER_REGISTER: usize = 4;
        let (low, high) = (value as i64, (value >> 64) as i64);
        let value = _mm512_set_epi64(high, low, high, low, high, low, high, low);
        let place = _mm512_set1_epi64(place as i64);
        let mut at = _mm512_set_epi64(3, 3, 2, 2, 1, 1, 0, 0);
        let step = _mm512_set1_epi64(PER_REGISTER as i64);
        for blocks in blocks.chunks_mut(PER_REGISTER) {
            let there = ((1u16 << (2 * blocks.len())) - 1) as __mmask8;
            let here = _mm512_cmpeq_epi64_mask(at, place);
            // SAFETY: the mask covers the 16-byte blocks of the chunk only; masked words are not accessed.
            unsafe {
                let x = _mm512_maskz_loadu_epi64(there, blocks.as_ptr().cast());
                let x = _mm512_mask_xor_epi64(x, here, x, value);
                if blocks.len() == PER_REGISTER {
                    _mm512_storeu_si512(blocks.as_mut_ptr().cast(), x);
                } else {
                    _mm512_mask_storeu_epi64(blocks.as_mut_ptr().cast(), there, x);
                }
            }
            at = _mm512_add_epi64(at, step);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_block_changes_and_it_is_the_right_one() {
        const VALUE: u128 = 0x0123_4567_89ab_cdef_0fed_cba9_8765_4321;
        for count in 0..40usize {
            let blocks: Vec<u128> = (0..count as u128).map(|i| i << 90 | i).collect();
            // Past the end, none changes.
            for place in (0..count + 3).chain([usize::MAX, 1 << 32]) {
                let mut expected = blocks.clone();
                if let Some(block) = expected.get_mut(place) {
                    *block ^= VALUE;
                }
                for change in [xor_at, xor_at_portable] {
                    let mut changed = blocks.clone();
                    change(&mut changed, place, VALUE);
                    assert_eq!(changed, expected, "{place} of {count}");
                }
            }
        }
    }
}
