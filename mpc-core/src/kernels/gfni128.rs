//! Transposition of 128 rows of bits with GFNI and AVX-512 (F and BW).
//!
//! 512 columns at a time. Within 128-bit parts, interleaving bytes of registers i and i + h of 2·h registers turns the
//! number (register, byte) by one bit. Three such steps on eight rows bring the bytes of one place together, where one
//! affine instruction transposes 8×8 bits; four steps on the sixteen groups of eight rows then give whole blocks.

#![allow(unsafe_code)] // vendor intrinsics: each needs the instruction set, loads and stores need valid memory

use std::arch::x86_64::*;

use zeroize::optimization_barrier;

/// Columns of a tile: the bits of a register.
const TILE: usize = 512;
/// Words of a register.
const WORDS: usize = 8;

/// Proof that this processor has GFNI and AVX-512 F and BW: only [`detect`](Self::detect) makes one.
#[derive(Copy, Clone)]
pub(super) struct Gfni128(());

/// Registers of a tile: eight for each of the groups of eight rows.
#[repr(C, align(64))]
struct Groups([[[u64; WORDS]; 8]; 16]);

#[repr(C, align(64))]
struct Blocks([u128; TILE]);

impl Gfni128 {
    pub(super) fn detect() -> Option<Self> {
        let all = is_x86_feature_detected!("gfni")
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw");
        all.then_some(Self(()))
    }

    /// As `transpose_128`, with lengths checked there.
    pub(super) fn transpose(self, rows: &[u64], stride: usize, blocks: &mut [u128]) {
        let mut groups = Groups([[[0; WORDS]; 8]; 16]);
        let (whole, rest) = blocks.as_chunks_mut::<TILE>();
        for (t, tile) in whole.iter_mut().enumerate() {
            // SAFETY: `self` exists, so all three features were detected.
            unsafe {
                gather(rows, stride, t * WORDS, WORDS, &mut groups);
                scatter(&groups, tile);
            }
        }
        if !rest.is_empty() {
            let mut last = Blocks([0; TILE]);
            // SAFETY: as above.
            unsafe {
                gather(rows, stride, whole.len() * WORDS, rest.len().div_ceil(64), &mut groups);
                scatter(&groups, &mut last.0);
            }
            rest.copy_from_slice(&last.0[..rest.len()]);
            last.0 = [0; TILE];
            optimization_barrier(&last);
        }
        // They held secrets; the barrier keeps the wipe from being optimised away.
        groups.0 = [[[0; WORDS]; 8]; 16];
        optimization_barrier(&groups);
    }
}

/// Reads `words` words of every row from word `first` on. Byte i of part p of register s of a group becomes the bits of
/// its eight rows in column 128·p + 16·s + i.
#[target_feature(enable = "gfni,avx512f,avx512bw")]
fn gather(rows: &[u64], stride: usize, first: usize, words: usize, groups: &mut Groups) {
    // The unit vectors: column t of the matrix is its product with the t-th.
    let units = _mm512_set1_epi64(0x8040_2010_0804_0201_u64 as i64);
    let mask = ((1u16 << words) - 1) as __mmask8;
    for (g, group) in groups.0.iter_mut().enumerate() {
        let r: [__m512i; 8] = std::array::from_fn(|i| {
            // The affine instruction counts the rows of its matrix from the last byte.
            let from = &rows[(8 * g + 7 - i) * stride + first..][..words];
            // SAFETY: the mask covers the words of `from` only; masked words are not accessed.
            unsafe { _mm512_maskz_loadu_epi64(mask, from.as_ptr().cast()) }
        });
        let r = turn_8(turn_8(turn_8(r)));
        for (place, bytes) in group.iter_mut().zip(r) {
            let bits = _mm512_gf2p8affine_epi64_epi8::<0>(units, bytes);
            // SAFETY: `place` has 64 bytes; the store is unaligned.
            unsafe { _mm512_storeu_si512(place.as_mut_ptr().cast(), bits) };
        }
    }
}

/// Writes the blocks of a tile.
#[target_feature(enable = "gfni,avx512f,avx512bw")]
fn scatter(groups: &Groups, out: &mut [u128; TILE]) {
    for s in 0..8 {
        let r: [__m512i; 16] = std::array::from_fn(|g| {
            // SAFETY: 64 bytes are read; the load is unaligned.
            unsafe { _mm512_loadu_si512(groups.0[g][s].as_ptr().cast()) }
        });
        let r = turn_16(turn_16(turn_16(turn_16(r))));
        // Part p of register i is the block of column 128·p + 16·s + i.
        let [r0, r1, r2, r3, r4, r5, r6, r7, r8, r9, r10, r11, r12, r13, r14, r15] = r;
        write_four(out, 16 * s, [r0, r1, r2, r3]);
        write_four(out, 16 * s + 4, [r4, r5, r6, r7]);
        write_four(out, 16 * s + 8, [r8, r9, r10, r11]);
        write_four(out, 16 * s + 12, [r12, r13, r14, r15]);
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn write_four(out: &mut [u128; TILE], first: usize, registers: [__m512i; 4]) {
    for (p, blocks) in transpose_parts(registers).into_iter().enumerate() {
        let place = &mut out[128 * p + first..][..4];
        // SAFETY: `place` has 64 bytes; the store is unaligned.
        unsafe { _mm512_storeu_si512(place.as_mut_ptr().cast(), blocks) };
    }
}

/// Interleaves the bytes of two registers.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn interleave(a: __m512i, b: __m512i) -> [__m512i; 2] {
    [_mm512_unpacklo_epi8(a, b), _mm512_unpackhi_epi8(a, b)]
}

// Written out: arrays in loops would live in memory.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn turn_8([a0, a1, a2, a3, b0, b1, b2, b3]: [__m512i; 8]) -> [__m512i; 8] {
    let ([r0, r1], [r2, r3]) = (interleave(a0, b0), interleave(a1, b1));
    let ([r4, r5], [r6, r7]) = (interleave(a2, b2), interleave(a3, b3));
    [r0, r1, r2, r3, r4, r5, r6, r7]
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn turn_16(r: [__m512i; 16]) -> [__m512i; 16] {
    let [a0, a1, a2, a3, a4, a5, a6, a7, b0, b1, b2, b3, b4, b5, b6, b7] = r;
    let [r0, r1, r2, r3, r4, r5, r6, r7] = turn_8([a0, a1, a2, a3, b0, b1, b2, b3]);
    let [r8, r9, r10, r11, r12, r13, r14, r15] = turn_8([a4, a5, a6, a7, b4, b5, b6, b7]);
    [r0, r1, r2, r3, r4, r5, r6, r7, r8, r9, r10, r11, r12, r13, r14, r15]
}

/// Transposes a 4×4 matrix of 128-bit parts.
#[inline]
#[target_feature(enable = "avx512f")]
fn transpose_parts([a, b, c, d]: [__m512i; 4]) -> [__m512i; 4] {
    let (ab_low, ab_high) = (_mm512_shuffle_i64x2::<0x44>(a, b), _mm512_shuffle_i64x2::<0xee>(a, b));
    let (cd_low, cd_high) = (_mm512_shuffle_i64x2::<0x44>(c, d), _mm512_shuffle_i64x2::<0xee>(c, d));
    [
        _mm512_shuffle_i64x2::<0x88>(ab_low, cd_low),
        _mm512_shuffle_i64x2::<0xdd>(ab_low, cd_low),
        _mm512_shuffle_i64x2::<0x88>(ab_high, cd_high),
        _mm512_shuffle_i64x2::<0xdd>(ab_high, cd_high),
    ]
}
