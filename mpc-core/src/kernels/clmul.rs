//! Carry-less products summed before they are reduced: with VPCLMULQDQ and AVX-512 four field elements at a time, with
//! PCLMULQDQ one.

#![allow(unsafe_code)] // vendor intrinsics: each needs the instruction set, loads and stores need valid memory

use std::arch::x86_64::*;

/// Proof that this processor has PCLMULQDQ: only [`detect`](Self::detect) makes one.
#[derive(Copy, Clone)]
pub(super) struct Clmul {
    wide: bool,
}

impl Clmul {
    pub(super) fn detect() -> Option<Self> {
        let wide = is_x86_feature_detected!("vpclmulqdq") && is_x86_feature_detected!("avx512f");
        is_x86_feature_detected!("pclmulqdq").then_some(Self { wide })
    }

    /// Without 512-bit registers, to test that path.
    #[cfg(test)]
    pub(super) const fn narrow(self) -> Self {
        Self { wide: false }
    }

    /// Σ a_i·b_i as polynomials: the low and the high 128 coefficients.
    pub(super) fn products(self, a: &[u128], b: &[[u64; 2]]) -> [u128; 2] {
        // SAFETY: `self` exists, so PCLMULQDQ was detected, and VPCLMULQDQ with AVX-512 F if it is wide.
        let [low, middle, high] = unsafe { if self.wide { sum_512(a, b) } else { sum_128(a, b) } };
        [low ^ middle << 64, high ^ middle >> 64]
    }
}

/// Sums of the products of low halves, of mixed ones and of high halves.
#[target_feature(enable = "pclmulqdq,vpclmulqdq,avx512f")]
fn sum_512(a: &[u128], b: &[[u64; 2]]) -> [u128; 3] {
    const PER_REGISTER: usize = 4;
    let mut sums = [_mm512_setzero_si512(); 4];
    for (a, b) in a.chunks(PER_REGISTER).zip(b.chunks(PER_REGISTER)) {
        let mask = ((1u16 << (2 * a.len().min(b.len()))) - 1) as __mmask8;
        // SAFETY: the mask covers the elements that both have; masked words are not accessed.
        let (a, b) = unsafe {
            (
                _mm512_maskz_loadu_epi64(mask, a.as_ptr().cast()),
                _mm512_maskz_loadu_epi64(mask, b.as_ptr().cast()),
            )
        };
        sums[0] = _mm512_xor_si512(sums[0], _mm512_clmulepi64_epi128::<0x00>(a, b));
        sums[1] = _mm512_xor_si512(sums[1], _mm512_clmulepi64_epi128::<0x01>(a, b));
        sums[2] = _mm512_xor_si512(sums[2], _mm512_clmulepi64_epi128::<0x10>(a, b));
        sums[3] = _mm512_xor_si512(sums[3], _mm512_clmulepi64_epi128::<0x11>(a, b));
    }
    let [low, middle, other, high] = sums;
    [low, _mm512_xor_si512(middle, other), high].map(|sum| {
        let halves = _mm256_xor_si256(_mm512_castsi512_si256(sum), _mm512_extracti64x4_epi64::<1>(sum));
        number(_mm_xor_si128(_mm256_castsi256_si128(halves), _mm256_extracti128_si256::<1>(halves)))
    })
}

#[target_feature(enable = "pclmulqdq,sse2")]
fn sum_128(a: &[u128], b: &[[u64; 2]]) -> [u128; 3] {
    let mut sums = [_mm_setzero_si128(); 3];
    for (a, b) in a.iter().zip(b) {
        // SAFETY: both have 16 bytes; the loads are unaligned.
        let (a, b) =
            unsafe { (_mm_loadu_si128(std::ptr::from_ref(a).cast()), _mm_loadu_si128(b.as_ptr().cast())) };
        let middle = _mm_xor_si128(_mm_clmulepi64_si128::<0x01>(a, b), _mm_clmulepi64_si128::<0x10>(a, b));
        sums[0] = _mm_xor_si128(sums[0], _mm_clmulepi64_si128::<0x00>(a, b));
        sums[1] = _mm_xor_si128(sums[1], middle);
        sums[2] = _mm_xor_si128(sums[2], _mm_clmulepi64_si128::<0x11>(a, b));
    }
    sums.map(|sum| number(sum))
}

#[target_feature(enable = "sse2")]
fn number(register: __m128i) -> u128 {
    let mut number = 0u128;
    // SAFETY: 16 bytes are written; the store is unaligned.
    unsafe { _mm_storeu_si128(std::ptr::from_mut(&mut number).cast(), register) };
    number
}
