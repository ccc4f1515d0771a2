//! The hashes of [`FixedKey`](crate::fixed_key::FixedKey) on 32 blocks at once: VAES with 512-bit registers. Where there is
//! none, the `aes` crate does the same work block by block.

#![allow(unsafe_code)] // vendor intrinsics: each needs the instruction set, loads and stores need valid memory

use std::arch::x86_64::*;

use super::vaes::Vaes;
use crate::fixed_key::Block;

const PER_REGISTER: usize = 4;
/// Registers in flight: enough to hide the latency of a round.
const WIDE: usize = 8;
/// Blocks in flight.
const TILE: usize = WIDE * PER_REGISTER;

type RoundKeys = [__m512i; 11];
type Registers = [__m512i; WIDE];

/// Proof that this processor has AES, VAES and AVX-512 F, with the round keys: only [`detect`](Self::detect) makes one.
#[derive(Copy, Clone)]
pub(crate) struct VaesHash {
    round_keys: [[u8; 16]; 11],
}

impl VaesHash {
    pub(crate) fn detect(key: &[u8; 16]) -> Option<Self> {
        let unit = Vaes::detect().filter(|unit| unit.is_wide())?;
        Some(Self { round_keys: unit.expand_key(key) })
    }

    pub(crate) fn circular(&self, blocks: &mut [Block]) {
        // SAFETY: `self` exists, so AES, VAES and AVX-512 F were detected.
        unsafe { circular(&self.round_keys, blocks) }
    }

    pub(crate) fn tweakable(&self, blocks: &mut [Block], first: u128) {
        // SAFETY: as above.
        unsafe { tweakable(&self.round_keys, blocks, first) }
    }

    pub(crate) fn split(&self, nodes: &mut [Block]) -> Block {
        // SAFETY: as above.
        unsafe { split(&self.round_keys, nodes) }
    }
}

#[target_feature(enable = "aes,vaes,avx512f")]
fn circular(keys: &[[u8; 16]; 11], blocks: &mut [Block]) {
    let keys = broadcast(keys);
    let mut tiles = blocks.chunks_exact_mut(TILE);
    for tile in &mut tiles {
        let x = load::<true>(tile);
        store::<true>(tile, mmo(&keys, x));
    }
    let rest = tiles.into_remainder();
    if !rest.is_empty() {
        let x = load::<false>(rest);
        store::<false>(rest, mmo(&keys, x));
    }
}

#[target_feature(enable = "aes,vaes,avx512f")]
fn tweakable(keys: &[[u8; 16]; 11], blocks: &mut [Block], first: u128) {
    let keys = broadcast(keys);
    let mut first = first;
    let mut tiles = blocks.chunks_exact_mut(TILE);
    for tile in &mut tiles {
        let x = load::<true>(tile);
        store::<true>(tile, tmmo(&keys, x, first));
        first = first.wrapping_add(TILE as u128);
    }
    let rest = tiles.into_remainder();
    if !rest.is_empty() {
        let x = load::<false>(rest);
        store::<false>(rest, tmmo(&keys, x, first));
    }
}

#[target_feature(enable = "aes,vaes,avx512f")]
fn split(keys: &[[u8; 16]; 11], nodes: &mut [Block]) -> Block {
    assert!(nodes.len().is_multiple_of(2), "parents and as many places for children");
    let keys = broadcast(keys);
    let (left, right) = nodes.split_at_mut(nodes.len() / 2);
    let mut sums = [_mm512_setzero_si512(); WIDE];
    let (mut lefts, mut rights) = (left.chunks_exact_mut(TILE), right.chunks_exact_mut(TILE));
    for (left, right) in (&mut lefts).zip(&mut rights) {
        let parents = load::<true>(left);
        let children = mmo(&keys, parents);
        for (sum, child) in sums.iter_mut().zip(&children) {
            *sum = _mm512_xor_si512(*sum, *child);
        }
        store::<true>(left, children);
        store::<true>(right, xor(parents, children));
    }
    let (left, right) = (lefts.into_remainder(), rights.into_remainder());
    if !left.is_empty() {
        let parents = load::<false>(left);
        let children = mmo(&keys, parents);
        for (register, (sum, child)) in sums.iter_mut().zip(&children).enumerate() {
            let there = _mm512_maskz_mov_epi64(words(left.len(), register), *child);
            *sum = _mm512_xor_si512(*sum, there);
        }
        store::<false>(left, children);
        store::<false>(right, xor(parents, children));
    }
    let sum = sums.into_iter().fold(_mm512_setzero_si512(), |sum, x| _mm512_xor_si512(sum, x));
    let mut blocks = [0; PER_REGISTER];
    // SAFETY: `blocks` has 64 bytes; the store is unaligned.
    unsafe { _mm512_storeu_si512(blocks.as_mut_ptr().cast(), sum) };
    blocks.into_iter().fold(0, |sum, x| sum ^ x)
}

/// π(σ(x)) ⊕ σ(x).
#[inline]
#[target_feature(enable = "aes,vaes,avx512f")]
fn mmo(keys: &RoundKeys, x: Registers) -> Registers {
    // σ: (high, low) becomes (high ⊕ low, high). The halves change places, then the new high one takes the old one in.
    let x = x.map(|x| {
        let swapped = _mm512_shuffle_epi32::<0b01_00_11_10>(x);
        _mm512_mask_xor_epi64(swapped, 0b1010_1010, swapped, x)
    });
    xor(permute(keys, x), x)
}

/// π(π(x) ⊕ i) ⊕ π(x), with i counting from `first`.
#[inline]
#[target_feature(enable = "aes,vaes,avx512f")]
fn tmmo(keys: &RoundKeys, x: Registers, first: u128) -> Registers {
    let x = permute(keys, x);
    let (low, high) = (first as i64, (first >> 64) as i64);
    let mut tweaked = x;
    if (first as u64).checked_add(TILE as u64).is_some() {
        let mut next = _mm512_add_epi64(
            _mm512_set_epi64(high, low, high, low, high, low, high, low),
            _mm512_set_epi64(0, 3, 0, 2, 0, 1, 0, 0),
        );
        let step = _mm512_set_epi64(0, 4, 0, 4, 0, 4, 0, 4);
        for x in &mut tweaked {
            *x = _mm512_xor_si512(*x, next);
            next = _mm512_add_epi64(next, step);
        }
    } else {
        // The low word overflows on the way, once in 2^64 blocks.
        let tweaks: [u128; TILE] = std::array::from_fn(|i| first.wrapping_add(i as u128));
        tweaked = xor(x, load::<true>(&tweaks));
    }
    xor(permute(keys, tweaked), x)
}

#[inline]
#[target_feature(enable = "aes,vaes,avx512f")]
fn permute(keys: &RoundKeys, mut x: Registers) -> Registers {
    for x in &mut x {
        *x = _mm512_xor_si512(*x, keys[0]);
    }
    for key in &keys[1..10] {
        for x in &mut x {
            *x = _mm512_aesenc_epi128(*x, *key);
        }
    }
    for x in &mut x {
        *x = _mm512_aesenclast_epi128(*x, keys[10]);
    }
    x
}

#[inline]
#[target_feature(enable = "avx512f")]
fn xor(x: Registers, y: Registers) -> Registers {
    std::array::from_fn(|i| _mm512_xor_si512(x[i], y[i]))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn broadcast(keys: &[[u8; 16]; 11]) -> RoundKeys {
    // SAFETY: 16 bytes are read; the load is unaligned.
    keys.each_ref().map(|key| unsafe { _mm512_broadcast_i32x4(_mm_loadu_si128(key.as_ptr().cast())) })
}

/// Which 64-bit words of a register are there, of a tile of so many blocks.
#[inline]
const fn words(blocks: usize, register: usize) -> __mmask8 {
    let left = blocks.saturating_sub(register * PER_REGISTER);
    let here = if left < PER_REGISTER { left } else { PER_REGISTER };
    ((1u16 << (2 * here)) - 1) as __mmask8
}

/// The tile, and zeros where it ends early: a `FULL` one does not.
#[inline]
#[target_feature(enable = "avx512f")]
fn load<const FULL: bool>(tile: &[Block]) -> Registers {
    assert!(if FULL { tile.len() == TILE } else { tile.len() < TILE });
    std::array::from_fn(|register| {
        let place = tile.as_ptr().wrapping_add(register * PER_REGISTER);
        // SAFETY: a full tile has 64 bytes for each register; else the mask covers the blocks of the tile only, and
        // masked words are not accessed. The loads are unaligned.
        unsafe {
            if FULL {
                _mm512_loadu_si512(place.cast())
            } else {
                _mm512_maskz_loadu_epi64(words(tile.len(), register), place.cast())
            }
        }
    })
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store<const FULL: bool>(tile: &mut [Block], x: Registers) {
    assert!(if FULL { tile.len() == TILE } else { tile.len() < TILE });
    let blocks = tile.len();
    for (register, x) in x.into_iter().enumerate() {
        let place = tile.as_mut_ptr().wrapping_add(register * PER_REGISTER);
        // SAFETY: as in `load`, and `tile` is ours to write.
        unsafe {
            if FULL {
                _mm512_storeu_si512(place.cast(), x);
            } else {
                _mm512_mask_storeu_epi64(place.cast(), words(blocks, register), x);
            }
        }
    }
}
