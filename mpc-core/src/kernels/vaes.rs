//! AES-128 on several counter blocks at once: VAES with 512-bit registers, or with 256-bit ones where there is no
//! AVX-512.

#![allow(unsafe_code)] // vendor intrinsics: each needs the instruction set, loads and stores need valid memory

use std::arch::x86_64::*;

const BLOCK: usize = 16;
/// Registers in flight: enough to hide the latency of a round.
const WIDE: usize = 8;

/// Proof that this processor has AES and VAES: only [`detect`](Self::detect) makes one.
#[derive(Copy, Clone)]
pub(super) struct Vaes {
    wide: bool,
}

impl Vaes {
    pub(super) fn detect() -> Option<Self> {
        let any = is_x86_feature_detected!("aes")
            && is_x86_feature_detected!("vaes")
            && is_x86_feature_detected!("avx2");
        let wide = is_x86_feature_detected!("avx512f");
        any.then_some(Self { wide })
    }

    /// Whether there are 512-bit registers.
    pub(super) const fn is_wide(self) -> bool {
        self.wide
    }

    /// Without 512-bit registers, to test that path.
    #[cfg(test)]
    pub(super) const fn narrow(self) -> Self {
        Self { wide: false }
    }

    /// The eleven round keys (FIPS 197, section 5.2).
    pub(super) fn expand_key(self, key: &[u8; BLOCK]) -> [[u8; BLOCK]; 11] {
        // SAFETY: `self` exists, so AES was detected.
        unsafe { expand_key(key) }
    }

    /// Writes the encryptions of `counter`, `counter + 1`, … to `out`. The low 64 bits must not overflow on the way.
    pub(super) fn encrypt_counters(self, keys: &[[u8; BLOCK]; 11], counter: u128, out: &mut [[u8; BLOCK]]) {
        debug_assert!((counter as u64).checked_add((out.len() as u64).saturating_sub(1)).is_some());
        // SAFETY: `self` exists, so AES, VAES and AVX2 were detected, and AVX-512 F if it is wide.
        unsafe { if self.wide { encrypt_512(keys, counter, out) } else { encrypt_256(keys, counter, out) } }
    }
}

#[target_feature(enable = "aes,sse2")]
fn expand_key(key: &[u8; BLOCK]) -> [[u8; BLOCK]; 11] {
    #[target_feature(enable = "aes,sse2")]
    fn next<const RCON: i32>(key: __m128i) -> __m128i {
        let word = _mm_shuffle_epi32::<0xff>(_mm_aeskeygenassist_si128::<RCON>(key));
        let key = _mm_xor_si128(key, _mm_slli_si128::<4>(key));
        let key = _mm_xor_si128(key, _mm_slli_si128::<8>(key));
        _mm_xor_si128(key, word)
    }
    // SAFETY: 16 bytes are read; the load is unaligned.
    let k0 = unsafe { _mm_loadu_si128(key.as_ptr().cast()) };
    let k1 = next::<0x01>(k0);
    let k2 = next::<0x02>(k1);
    let k3 = next::<0x04>(k2);
    let k4 = next::<0x08>(k3);
    let k5 = next::<0x10>(k4);
    let k6 = next::<0x20>(k5);
    let k7 = next::<0x40>(k6);
    let k8 = next::<0x80>(k7);
    let k9 = next::<0x1b>(k8);
    let k10 = next::<0x36>(k9);
    [k0, k1, k2, k3, k4, k5, k6, k7, k8, k9, k10].map(|k| {
        let mut bytes = [0; BLOCK];
        // SAFETY: 16 bytes are written; the store is unaligned.
        unsafe { _mm_storeu_si128(bytes.as_mut_ptr().cast(), k) };
        bytes
    })
}

#[target_feature(enable = "aes,vaes,avx512f")]
fn encrypt_512(keys: &[[u8; BLOCK]; 11], counter: u128, out: &mut [[u8; BLOCK]]) {
    const PER_REGISTER: usize = 4;
    // SAFETY: 16 bytes are read; the load is unaligned.
    let keys: [__m512i; 11] =
        std::array::from_fn(|i| unsafe { _mm512_broadcast_i32x4(_mm_loadu_si128(keys[i].as_ptr().cast())) });
    let (low, high) = (counter as i64, (counter >> 64) as i64);
    let mut next = _mm512_add_epi64(
        _mm512_set_epi64(high, low, high, low, high, low, high, low),
        _mm512_set_epi64(0, 3, 0, 2, 0, 1, 0, 0),
    );
    let step = _mm512_set_epi64(0, 4, 0, 4, 0, 4, 0, 4);
    let mut chunks = out.chunks_exact_mut(WIDE * PER_REGISTER);
    for chunk in &mut chunks {
        let mut blocks = [_mm512_setzero_si512(); WIDE];
        for block in &mut blocks {
            *block = _mm512_xor_si512(next, keys[0]);
            next = _mm512_add_epi64(next, step);
        }
        for key in &keys[1..10] {
            for block in &mut blocks {
                *block = _mm512_aesenc_epi128(*block, *key);
            }
        }
        for (block, place) in blocks.iter().zip(chunk.chunks_exact_mut(PER_REGISTER)) {
            let last = _mm512_aesenclast_epi128(*block, keys[10]);
            // SAFETY: `place` has 64 bytes; the store is unaligned.
            unsafe { _mm512_storeu_si512(place.as_mut_ptr().cast(), last) };
        }
    }
    for rest in chunks.into_remainder().chunks_mut(PER_REGISTER) {
        let mut block = _mm512_xor_si512(next, keys[0]);
        next = _mm512_add_epi64(next, step);
        for key in &keys[1..10] {
            block = _mm512_aesenc_epi128(block, *key);
        }
        let last = _mm512_aesenclast_epi128(block, keys[10]);
        let words = ((1u16 << (2 * rest.len())) - 1) as __mmask8;
        // SAFETY: the mask covers the 16-byte blocks of `rest` only; masked words are not accessed.
        unsafe { _mm512_mask_storeu_epi64(rest.as_mut_ptr().cast(), words, last) };
    }
}

#[target_feature(enable = "aes,vaes,avx2")]
fn encrypt_256(keys: &[[u8; BLOCK]; 11], counter: u128, out: &mut [[u8; BLOCK]]) {
    const PER_REGISTER: usize = 2;
    // SAFETY: 16 bytes are read; the load is unaligned.
    let keys: [__m256i; 11] = std::array::from_fn(|i| unsafe {
        _mm256_broadcastsi128_si256(_mm_loadu_si128(keys[i].as_ptr().cast()))
    });
    let (low, high) = (counter as i64, (counter >> 64) as i64);
    let mut next = _mm256_add_epi64(_mm256_set_epi64x(high, low, high, low), _mm256_set_epi64x(0, 1, 0, 0));
    let step = _mm256_set_epi64x(0, 2, 0, 2);
    let mut chunks = out.chunks_exact_mut(WIDE * PER_REGISTER);
    for chunk in &mut chunks {
        let mut blocks = [_mm256_setzero_si256(); WIDE];
        for block in &mut blocks {
            *block = _mm256_xor_si256(next, keys[0]);
            next = _mm256_add_epi64(next, step);
        }
        for key in &keys[1..10] {
            for block in &mut blocks {
                *block = _mm256_aesenc_epi128(*block, *key);
            }
        }
        for (block, place) in blocks.iter().zip(chunk.chunks_exact_mut(PER_REGISTER)) {
            let last = _mm256_aesenclast_epi128(*block, keys[10]);
            // SAFETY: `place` has 32 bytes; the store is unaligned.
            unsafe { _mm256_storeu_si256(place.as_mut_ptr().cast(), last) };
        }
    }
    for rest in chunks.into_remainder().chunks_mut(PER_REGISTER) {
        let mut block = _mm256_xor_si256(next, keys[0]);
        next = _mm256_add_epi64(next, step);
        for key in &keys[1..10] {
            block = _mm256_aesenc_epi128(block, *key);
        }
        let last = _mm256_aesenclast_epi128(block, keys[10]);
        let (first, second) = (_mm256_castsi256_si128(last), _mm256_extracti128_si256::<1>(last));
        for (place, half) in rest.iter_mut().zip([first, second]) {
            // SAFETY: `place` has 16 bytes; the store is unaligned.
            unsafe { _mm_storeu_si128(place.as_mut_ptr().cast(), half) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_widths_write_the_same_blocks() {
        let Some(unit) = Vaes::detect() else {
            eprintln!("skipped: this processor has no VAES");
            return;
        };
        let keys = unit.expand_key(&[5; BLOCK]);
        for count in 0..70 {
            let [mut wide, mut narrow] = [(); 2].map(|()| vec![[0; BLOCK]; count]);
            unit.encrypt_counters(&keys, (9 << 64) + 77, &mut wide);
            unit.narrow().encrypt_counters(&keys, (9 << 64) + 77, &mut narrow);
            assert_eq!(wide, narrow, "{count} blocks");
        }
    }
}
