//! The vector unit of AVX2. It multiplies 32-bit halves only, so a 64-bit product is put together from
//! x·y = x₀y₀ + 2^32·(x₀y₁ + x₁y₀) mod 2^64, and the two parts are summed apart, which leaves the shift to the end.

#![allow(unsafe_code)] // vendor intrinsics: each needs the instruction set, loads and stores need valid memory

use std::arch::x86_64::*;

use super::simd::{Product, Simd, multiply};

/// Proof that this processor has AVX2: only [`detect`](Self::detect) makes one.
#[derive(Copy, Clone)]
pub(super) struct Avx2(());

impl Avx2 {
    pub(super) fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx2").then_some(Self(()))
    }

    /// `out += a·b`. Sums take two of the 16 registers each, so at most four of them are held.
    pub(super) fn multiply(self, product: Product<'_>) {
        #[target_feature(enable = "avx2")]
        fn compiled(simd: Avx2, product: Product<'_>) {
            multiply::<Avx2, 4, 4, 2, 2, 2, 2, 4>(simd, product);
        }
        // SAFETY: `self` exists, so AVX2 was detected.
        unsafe { compiled(self, product) }
    }
}

/// Σ x₀y₀ in 64 bits, and Σ x₀y₁ and Σ x₁y₀ in 32 bits each, side by side.
#[derive(Copy, Clone)]
pub(super) struct Sum {
    low: __m256i,
    cross: __m256i,
}

// SAFETY, for every block below: `self` exists, so AVX2 was detected. Loads and stores are unaligned ones on slices
// whose length was checked right before, or masked to the length of the slice (masked lanes are not accessed).
impl Avx2 {
    /// Mask of the first `words` lanes.
    #[inline(always)]
    fn first(self, words: usize) -> __m256i {
        // SAFETY: see above.
        unsafe { _mm256_cmpgt_epi64(_mm256_set1_epi64x(words as i64), _mm256_setr_epi64x(0, 1, 2, 3)) }
    }
}

impl Simd for Avx2 {
    type Vector = __m256i;
    type Sum = Sum;
    const LANES: usize = 4;
    const DOT_COLUMNS: usize = 12;

    #[inline(always)]
    fn splat(self, word: u64) -> __m256i {
        // SAFETY: see above.
        unsafe { _mm256_set1_epi64x(word as i64) }
    }

    #[inline(always)]
    fn load(self, src: &[u64]) -> __m256i {
        assert!(src.len() >= 4);
        // SAFETY: see above; four words are there.
        unsafe { _mm256_loadu_si256(src.as_ptr().cast()) }
    }

    #[inline(always)]
    fn load_partial(self, src: &[u64]) -> __m256i {
        assert!(src.len() <= 4);
        // SAFETY: see above; the mask covers the words of `src` only.
        unsafe { _mm256_maskload_epi64(src.as_ptr().cast(), self.first(src.len())) }
    }

    #[inline(always)]
    fn store(self, dst: &mut [u64], x: __m256i) {
        assert!(dst.len() >= 4);
        // SAFETY: see above; four words are there.
        unsafe { _mm256_storeu_si256(dst.as_mut_ptr().cast(), x) }
    }

    #[inline(always)]
    fn store_partial(self, dst: &mut [u64], x: __m256i) {
        assert!(dst.len() <= 4);
        // SAFETY: see above; the mask covers the words of `dst` only.
        unsafe { _mm256_maskstore_epi64(dst.as_mut_ptr().cast(), self.first(dst.len()), x) }
    }

    #[inline(always)]
    fn add(self, x: __m256i, y: __m256i) -> __m256i {
        // SAFETY: see above.
        unsafe { _mm256_add_epi64(x, y) }
    }

    #[inline(always)]
    fn sub(self, x: __m256i, y: __m256i) -> __m256i {
        // SAFETY: see above.
        unsafe { _mm256_sub_epi64(x, y) }
    }

    #[inline(always)]
    fn empty_sum(self) -> Sum {
        Sum { low: self.splat(0), cross: self.splat(0) }
    }

    #[inline(always)]
    fn mul_add(self, sum: Sum, x: __m256i, y: __m256i) -> Sum {
        // SAFETY: see above.
        unsafe {
            let swapped = _mm256_shuffle_epi32(y, 0b10_11_00_01);
            Sum {
                low: _mm256_add_epi64(sum.low, _mm256_mul_epu32(x, y)),
                cross: _mm256_add_epi32(sum.cross, _mm256_mullo_epi32(x, swapped)),
            }
        }
    }

    #[inline(always)]
    fn total(self, sum: Sum) -> __m256i {
        // SAFETY: see above.
        unsafe {
            let cross = _mm256_add_epi64(sum.cross, _mm256_srli_epi64(sum.cross, 32));
            _mm256_add_epi64(sum.low, _mm256_slli_epi64(cross, 32))
        }
    }

    #[inline(always)]
    fn across(self, x: __m256i) -> u64 {
        // SAFETY: see above.
        unsafe {
            let half = _mm_add_epi64(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
            _mm_cvtsi128_si64(_mm_add_epi64(half, _mm_unpackhi_epi64(half, half))) as u64
        }
    }

    #[inline(always)]
    fn transpose(self, src: &[u64], src_stride: usize, dst: &mut [u64], dst_stride: usize) {
        let rows = [0, 1, 2, 3].map(|i| self.load(&src[i * src_stride..]));
        // SAFETY: see above.
        let columns = unsafe {
            // Columns 0 and 2, or 1 and 3, of two rows; then halves of those.
            let (top_02, top_13) =
                (_mm256_unpacklo_epi64(rows[0], rows[1]), _mm256_unpackhi_epi64(rows[0], rows[1]));
            let (end_02, end_13) =
                (_mm256_unpacklo_epi64(rows[2], rows[3]), _mm256_unpackhi_epi64(rows[2], rows[3]));
            [
                _mm256_permute2x128_si256(top_02, end_02, 0x20),
                _mm256_permute2x128_si256(top_13, end_13, 0x20),
                _mm256_permute2x128_si256(top_02, end_02, 0x31),
                _mm256_permute2x128_si256(top_13, end_13, 0x31),
            ]
        };
        for (j, column) in columns.into_iter().enumerate() {
            self.store(&mut dst[j * dst_stride..], column);
        }
    }
}
