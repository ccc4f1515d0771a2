//! Sums of a tree's streams with VAES and AVX-512 F: four registers of columns at a time are encrypted under every leaf's
//! key in turn and added to sums that stay in registers.

#![allow(unsafe_code)] // vendor intrinsics: each needs the instruction set, loads and stores need valid memory

use std::arch::x86_64::*;

use zeroize::Zeroize;

use super::leaves::Leaf;
use super::vaes::Vaes;

const BLOCK: usize = 16;
/// Words of a register.
const WORDS: usize = 8;
/// Registers of a strip: enough to hide the latency of a round, few enough that the sums of four rows stay in registers.
const WIDE: usize = 4;
/// Rows whose sums are in registers.
const LOW: usize = 4;

type RoundKeys = [[u8; BLOCK]; 11];
type Strip = [__m512i; WIDE];

/// Proof that this processor has VAES and AVX-512 F: only [`detect`](Self::detect) makes one.
#[derive(Copy, Clone)]
pub(super) struct Leaves512(Vaes);

impl Leaves512 {
    pub(super) fn detect() -> Option<Self> {
        Vaes::detect().filter(|_| is_x86_feature_detected!("avx512f")).map(Self)
    }
}

/// As `LeafStreams`.
pub(super) struct Streams {
    _unit: Leaves512,
    bits: usize,
    first: usize,
    /// Of each leaf. The high half of its counter, which stays as it is, is added to the first key already.
    keys: Vec<RoundKeys>,
    /// The low half of all counters.
    next: u64,
}

crate::secret_types!(Streams);

impl Drop for Streams {
    fn drop(&mut self) {
        self.keys.as_mut_slice().as_flattened_mut().as_flattened_mut().zeroize();
    }
}

impl Streams {
    pub(super) fn new(unit: Leaves512, bits: usize, leaves: &[Leaf], first_missing: bool) -> Self {
        let mut keys = Vec::with_capacity(leaves.len());
        for leaf in leaves {
            let (parts, _) = leaf.as_chunks::<BLOCK>();
            keys.push(unit.0.expand_key(&parts[0]));
            if let Some(keys) = keys.last_mut() {
                keys[0][8..].iter_mut().zip(&parts[1][8..]).for_each(|(k, high)| *k ^= high);
            }
        }
        Self { _unit: unit, bits, first: usize::from(first_missing), keys, next: 0 }
    }

    /// As `LeafStreams::next`, with lengths checked there.
    pub(super) fn next(&mut self, rows: &mut [u64], stride: usize, total: &mut [u64]) {
        let blocks = (total.len() / 2) as u64;
        debug_assert!(
            self.next.checked_add(blocks).is_some(),
            "a counter of 64 bits does not come to its end"
        );
        for (at, total) in total.chunks_mut(WIDE * WORDS).enumerate() {
            let rows = &mut rows[at * WIDE * WORDS..];
            let counter = self.next + (at * WIDE * WORDS / 2) as u64;
            // SAFETY: `self` has its unit, so VAES and AVX-512 F were detected.
            unsafe { self.strip(counter, rows, stride, total) };
        }
        self.next += blocks;
    }

    #[target_feature(enable = "aes,vaes,avx512f")]
    fn strip(&self, counter: u64, rows: &mut [u64], stride: usize, total: &mut [u64]) {
        let words = total.len();
        let low = self.bits.min(LOW);
        let counters: Strip = std::array::from_fn(|w| {
            let first = (counter + 4 * w as u64) as i64;
            _mm512_set_epi64(0, first + 3, 0, first + 2, 0, first + 1, 0, first)
        });
        for row in low..self.bits {
            rows[row * stride..][..words].fill(0);
        }
        let zero = [_mm512_setzero_si512(); WIDE];
        let (mut sums, mut all) = ([zero; LOW], zero);
        for (group, keys) in self.keys.chunks_exact(1 << low).enumerate() {
            let mut of_group = zero;
            let skipped = if group == 0 { self.first } else { 0 };
            for (y, keys) in keys.iter().enumerate().skip(skipped) {
                let stream = encrypt(keys, &counters);
                for w in 0..WIDE {
                    of_group[w] = _mm512_xor_si512(of_group[w], stream[w]);
                    for (b, sum) in sums.iter_mut().enumerate() {
                        let set = ((y >> b & 1) as __mmask8).wrapping_neg();
                        sum[w] = _mm512_mask_xor_epi64(sum[w], set, sum[w], stream[w]);
                    }
                }
            }
            for row in (low..self.bits).filter(|row| group >> (row - low) & 1 == 1) {
                let place = &mut rows[row * stride..][..words];
                let mut sum = load(place);
                (0..WIDE).for_each(|w| sum[w] = _mm512_xor_si512(sum[w], of_group[w]));
                store(place, &sum);
            }
            (0..WIDE).for_each(|w| all[w] = _mm512_xor_si512(all[w], of_group[w]));
        }
        for (row, sum) in sums.iter().enumerate().take(low) {
            store(&mut rows[row * stride..][..words], sum);
        }
        store(total, &all);
    }
}

#[inline]
#[target_feature(enable = "aes,vaes,avx512f")]
fn encrypt(keys: &RoundKeys, counters: &Strip) -> Strip {
    let key = |i: usize| {
        // SAFETY: 16 bytes are read; the load is unaligned.
        unsafe { _mm512_broadcast_i32x4(_mm_loadu_si128(keys[i].as_ptr().cast())) }
    };
    let mut blocks = *counters;
    let first = key(0);
    blocks.iter_mut().for_each(|block| *block = _mm512_xor_si512(*block, first));
    for i in 1..10 {
        let key = key(i);
        blocks.iter_mut().for_each(|block| *block = _mm512_aesenc_epi128(*block, key));
    }
    let last = key(10);
    blocks.map(|block| _mm512_aesenclast_epi128(block, last))
}

/// Words of register `w` of a strip of `words` words.
const fn mask(words: usize, w: usize) -> __mmask8 {
    let left = words.saturating_sub(w * WORDS);
    if left >= WORDS { 0xff } else { (1 << left) - 1 }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(words: &[u64]) -> Strip {
    std::array::from_fn(|w| {
        let from = words.as_ptr().wrapping_add(w * WORDS);
        // SAFETY: the mask covers words of the slice only; masked words are not accessed.
        unsafe { _mm512_maskz_loadu_epi64(mask(words.len(), w), from.cast()) }
    })
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(words: &mut [u64], strip: &Strip) {
    for (w, register) in strip.iter().enumerate() {
        let mask = mask(words.len(), w);
        let to = words.as_mut_ptr().wrapping_add(w * WORDS);
        // SAFETY: the mask covers words of the slice only; masked words are not accessed.
        unsafe { _mm512_mask_storeu_epi64(to.cast(), mask, *register) };
    }
}
