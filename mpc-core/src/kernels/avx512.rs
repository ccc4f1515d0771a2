//! The vector unit of AVX-512 with its native 64-bit multiplication (F and DQ).

#![allow(unsafe_code)] // vendor intrinsics: each needs the instruction set, loads and stores need valid memory

use std::arch::x86_64::*;

use super::simd::{Product, Simd, multiply};

/// Proof that this processor has AVX-512 F and DQ: only [`detect`](Self::detect) makes one.
#[derive(Copy, Clone)]
pub(super) struct Avx512(());

impl Avx512 {
    pub(super) fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq")).then_some(Self(()))
    }

    /// `out += a·b`. 16 sums of one register each leave half of the 32 registers to operands.
    pub(super) fn multiply(self, product: Product<'_>) {
        #[target_feature(enable = "avx512f,avx512dq")]
        fn compiled(simd: Avx512, product: Product<'_>) {
            multiply::<Avx512, 16, 8, 4, 4, 4, 4, 8>(simd, product);
        }
        // SAFETY: `self` exists, so F and DQ were detected.
        unsafe { compiled(self, product) }
    }
}

/// Mask of the first `words` lanes, `words <= 8`.
#[inline(always)]
fn first(words: usize) -> __mmask8 {
    debug_assert!(words <= 8);
    ((1u32 << words) - 1) as __mmask8
}

// SAFETY, for every block below: `self` exists, so F and DQ were detected. Loads and stores are unaligned ones on
// slices whose length was checked right before, or masked to the length of the slice (masked lanes are not accessed).
impl Simd for Avx512 {
    type Vector = __m512i;
    type Sum = __m512i;
    const LANES: usize = 8;
    const DOT_COLUMNS: usize = 12;

    #[inline(always)]
    fn splat(self, word: u64) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_set1_epi64(word as i64) }
    }

    #[inline(always)]
    fn load(self, src: &[u64]) -> __m512i {
        assert!(src.len() >= 8);
        // SAFETY: see above; eight words are there.
        unsafe { _mm512_loadu_epi64(src.as_ptr().cast()) }
    }

    #[inline(always)]
    fn load_partial(self, src: &[u64]) -> __m512i {
        assert!(src.len() <= 8);
        // SAFETY: see above; the mask covers the words of `src` only.
        unsafe { _mm512_maskz_loadu_epi64(first(src.len()), src.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store(self, dst: &mut [u64], x: __m512i) {
        assert!(dst.len() >= 8);
        // SAFETY: see above; eight words are there.
        unsafe { _mm512_storeu_epi64(dst.as_mut_ptr().cast(), x) }
    }

    #[inline(always)]
    fn store_partial(self, dst: &mut [u64], x: __m512i) {
        assert!(dst.len() <= 8);
        // SAFETY: see above; the mask covers the words of `dst` only.
        unsafe { _mm512_mask_storeu_epi64(dst.as_mut_ptr().cast(), first(dst.len()), x) }
    }

    #[inline(always)]
    fn add(self, x: __m512i, y: __m512i) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_add_epi64(x, y) }
    }

    #[inline(always)]
    fn sub(self, x: __m512i, y: __m512i) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_sub_epi64(x, y) }
    }

    #[inline(always)]
    fn empty_sum(self) -> __m512i {
        self.splat(0)
    }

    #[inline(always)]
    fn mul_add(self, sum: __m512i, x: __m512i, y: __m512i) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_add_epi64(sum, _mm512_mullo_epi64(x, y)) }
    }

    #[inline(always)]
    fn total(self, sum: __m512i) -> __m512i {
        sum
    }

    #[inline(always)]
    fn across(self, x: __m512i) -> u64 {
        // SAFETY: see above.
        unsafe { _mm512_reduce_add_epi64(x) as u64 }
    }

    #[inline(always)]
    fn transpose(self, src: &[u64], src_stride: usize, dst: &mut [u64], dst_stride: usize) {
        let mut rows = [self.splat(0); 8];
        for (i, row) in rows.iter_mut().enumerate() {
            *row = self.load(&src[i * src_stride..]);
        }
        // Pairs of rows interleaved: `even[p]` holds columns 0, 2, 4, 6 of rows 2p and 2p+1, `odd[p]` the others.
        let (mut even, mut odd) = ([self.splat(0); 4], [self.splat(0); 4]);
        for p in 0..4 {
            // SAFETY: see above.
            unsafe {
                even[p] = _mm512_unpacklo_epi64(rows[2 * p], rows[2 * p + 1]);
                odd[p] = _mm512_unpackhi_epi64(rows[2 * p], rows[2 * p + 1]);
            }
        }
        // Then the 128-bit pieces are transposed as a 4×4 matrix.
        for (offset, pairs) in [(0, even), (1, odd)] {
            // SAFETY: see above.
            let columns = unsafe {
                // Pieces 0 and 2 (0x88), or 1 and 3 (0xdd), of two vectors.
                let (low_02, low_13) = (
                    _mm512_shuffle_i64x2(pairs[0], pairs[1], 0x88),
                    _mm512_shuffle_i64x2(pairs[0], pairs[1], 0xdd),
                );
                let (high_02, high_13) = (
                    _mm512_shuffle_i64x2(pairs[2], pairs[3], 0x88),
                    _mm512_shuffle_i64x2(pairs[2], pairs[3], 0xdd),
                );
                [
                    _mm512_shuffle_i64x2(low_02, high_02, 0x88),
                    _mm512_shuffle_i64x2(low_13, high_13, 0x88),
                    _mm512_shuffle_i64x2(low_02, high_02, 0xdd),
                    _mm512_shuffle_i64x2(low_13, high_13, 0xdd),
                ]
            };
            for (q, column) in columns.into_iter().enumerate() {
                self.store(&mut dst[(2 * q + offset) * dst_stride..], column);
            }
        }
    }
}
