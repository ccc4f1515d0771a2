//! Transposition between words and bit lanes with GFNI and AVX-512 (F, BW and VBMI).
//!
//! 64 values are eight registers of eight values. In each, one byte permutation brings together the bytes of the same
//! place of eight values, one affine instruction transposes these 8×8 bits, and three steps of interleaving give words of
//! lanes. Eight such blocks are collected, so that every lane is written in whole cache lines.

#![allow(unsafe_code)] // vendor intrinsics: each needs the instruction set, loads and stores need valid memory

use std::arch::x86_64::*;

use zeroize::optimization_barrier;

/// Values of a block, and blocks of a tile: eight words of a lane are one cache line.
const BLOCK: usize = 64;
const TILE: usize = 8;

/// Proof that this processor has GFNI and AVX-512 F, BW and VBMI: only [`detect`](Self::detect) makes one.
#[derive(Copy, Clone)]
pub(super) struct Gfni(());

/// Word registers of a tile: for each of the eight registers of a block, all blocks.
#[repr(C, align(64))]
struct Tile([[[u64; 8]; TILE]; 8]);

impl Gfni {
    pub(super) fn detect() -> Option<Self> {
        let all = is_x86_feature_detected!("gfni")
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vbmi");
        all.then_some(Self(()))
    }

    /// As `bit_slice_u64`, with lengths checked there.
    pub(super) fn bit_slice(self, values: &[u64], lanes: &mut [u64], lane_words: usize, bits: usize) {
        let mut tile = Tile([[[0; 8]; TILE]; 8]);
        let (whole, rest) = values.as_chunks::<{ BLOCK * TILE }>();
        for (t, chunk) in whole.iter().enumerate() {
            // SAFETY: `self` exists, so all four features were detected.
            unsafe {
                transpose_tile(chunk, &mut tile);
                write_lanes(&tile, lanes, t * TILE, lane_words, TILE, bits);
            }
        }
        if !rest.is_empty() {
            let mut last = [0; BLOCK * TILE];
            last[..rest.len()].copy_from_slice(rest);
            // SAFETY: as above.
            unsafe {
                transpose_tile(&last, &mut tile);
                write_lanes(&tile, lanes, whole.len() * TILE, lane_words, rest.len().div_ceil(BLOCK), bits);
            }
            last = [0; BLOCK * TILE];
            optimization_barrier(&last);
        }
        // The tile held secrets; the barrier keeps the wipe from being optimised away.
        tile.0 = [[[0; 8]; TILE]; 8];
        optimization_barrier(&tile);
    }
}

/// For `vpermb`: byte 8·b + r becomes byte b of value 7 − r. The affine instruction counts the rows of its matrix from
/// the last byte, hence the reversal.
const GATHER: [u8; 64] = {
    let mut index = [0; 64];
    let mut i = 0;
    while i < 64 {
        index[i] = (8 * (7 - i % 8) + i / 8) as u8;
        i += 1;
    }
    index
};

#[target_feature(enable = "gfni,avx512f,avx512bw,avx512vbmi")]
fn transpose_tile(values: &[u64; BLOCK * TILE], tile: &mut Tile) {
    // SAFETY: 64 bytes are read; the load is unaligned.
    let gather = unsafe { _mm512_loadu_si512(GATHER.as_ptr().cast()) };
    // The unit vectors: column t of the matrix is its product with the t-th.
    let units = _mm512_set1_epi64(0x8040_2010_0804_0201_u64 as i64);
    for (block, chunk) in values.chunks_exact(BLOCK).enumerate() {
        let g: [__m512i; 8] = std::array::from_fn(|i| {
            // SAFETY: `chunk` has 64 values, and eight are read; the load is unaligned.
            let rows = unsafe { _mm512_loadu_si512(chunk[8 * i..8 * i + 8].as_ptr().cast()) };
            _mm512_gf2p8affine_epi64_epi8::<0>(units, _mm512_permutexvar_epi8(gather, rows))
        });
        // Byte i of g[k] is byte k of the word of lane i; interleave them to words.
        let low = |a, b| _mm512_unpacklo_epi8(a, b);
        let high = |a, b| _mm512_unpackhi_epi8(a, b);
        let pairs: [[__m512i; 4]; 2] = [
            [low(g[0], g[1]), low(g[2], g[3]), low(g[4], g[5]), low(g[6], g[7])],
            [high(g[0], g[1]), high(g[2], g[3]), high(g[4], g[5]), high(g[6], g[7])],
        ];
        for (h1, p) in pairs.into_iter().enumerate() {
            let quads = [
                [_mm512_unpacklo_epi16(p[0], p[1]), _mm512_unpacklo_epi16(p[2], p[3])],
                [_mm512_unpackhi_epi16(p[0], p[1]), _mm512_unpackhi_epi16(p[2], p[3])],
            ];
            for (h2, [front, back]) in quads.into_iter().enumerate() {
                let words = [_mm512_unpacklo_epi32(front, back), _mm512_unpackhi_epi32(front, back)];
                for (h3, word) in words.into_iter().enumerate() {
                    let place = &mut tile.0[4 * h1 + 2 * h2 + h3][block];
                    // SAFETY: `place` has 64 bytes; the store is unaligned.
                    unsafe { _mm512_storeu_si512(place.as_mut_ptr().cast(), word) };
                }
            }
        }
    }
}

/// Writes `words` words of the first `bits` lanes, from word `first` of each lane on.
#[target_feature(enable = "gfni,avx512f,avx512bw,avx512vbmi")]
fn write_lanes(tile: &Tile, lanes: &mut [u64], first: usize, lane_words: usize, words: usize, bits: usize) {
    let mask = ((1u16 << words) - 1) as __mmask8;
    for (register, blocks) in tile.0.iter().enumerate() {
        let rows: [__m512i; 8] = std::array::from_fn(|i| {
            // SAFETY: eight words are read; the load is unaligned.
            unsafe { _mm512_loadu_si512(blocks[i].as_ptr().cast()) }
        });
        for (q, line) in transpose_words(rows).into_iter().enumerate() {
            // Word q of a register is of lane 16·(q/2) + 2·register + q mod 2: interleaving works within 16 bytes.
            let lane = 16 * (q / 2) + 2 * register + q % 2;
            if lane < bits {
                let place = &mut lanes[lane * lane_words + first..][..words];
                // SAFETY: the mask covers the words of `place` only; masked words are not accessed.
                unsafe { _mm512_mask_storeu_epi64(place.as_mut_ptr().cast(), mask, line) };
            }
        }
    }
}

/// Transposes an 8×8 matrix of words.
#[target_feature(enable = "avx512f")]
fn transpose_words(r: [__m512i; 8]) -> [__m512i; 8] {
    // Pairs of words, then pairs of pairs, then halves.
    let a: [__m512i; 8] = [
        _mm512_unpacklo_epi64(r[0], r[1]),
        _mm512_unpackhi_epi64(r[0], r[1]),
        _mm512_unpacklo_epi64(r[2], r[3]),
        _mm512_unpackhi_epi64(r[2], r[3]),
        _mm512_unpacklo_epi64(r[4], r[5]),
        _mm512_unpackhi_epi64(r[4], r[5]),
        _mm512_unpacklo_epi64(r[6], r[7]),
        _mm512_unpackhi_epi64(r[6], r[7]),
    ];
    let mut out = r;
    for parity in 0..2 {
        // 128-bit parts of a[parity], a[2 + parity], … are columns parity, 2 + parity, 4 + parity, 6 + parity.
        let (p, q) = (a[parity], a[2 + parity]);
        let (s, t) = (a[4 + parity], a[6 + parity]);
        let (pq_even, pq_odd) = (_mm512_shuffle_i64x2::<0x88>(p, q), _mm512_shuffle_i64x2::<0xdd>(p, q));
        let (st_even, st_odd) = (_mm512_shuffle_i64x2::<0x88>(s, t), _mm512_shuffle_i64x2::<0xdd>(s, t));
        out[parity] = _mm512_shuffle_i64x2::<0x88>(pq_even, st_even);
        out[4 + parity] = _mm512_shuffle_i64x2::<0xdd>(pq_even, st_even);
        out[2 + parity] = _mm512_shuffle_i64x2::<0x88>(pq_odd, st_odd);
        out[6 + parity] = _mm512_shuffle_i64x2::<0xdd>(pq_odd, st_odd);
    }
    out
}
