//! Every path against the schoolbook product.

use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::*;

/// Σ_l a[i][l]·b[l][j] + out[i][j], straight from the definition.
fn schoolbook<T: Word>(a: &[T], b: &[T], out: &[T], m: usize, k: usize, n: usize) -> Vec<T> {
    let cell =
        |i: usize, j: usize| (0..k).fold(out[i * n + j], |sum, l| sum.mul_add(a[i * k + l], b[l * n + j]));
    (0..m).flat_map(|i| (0..n).map(move |j| (i, j))).map(|(i, j)| cell(i, j)).collect()
}

/// Uniform words: with products of 128 bits every sum wraps many times.
fn words(rng: &mut ChaCha8Rng, len: usize) -> Vec<u64> {
    (0..len).map(|_| rng.next_u64()).collect()
}

fn bytes(words: &[u64]) -> Vec<u8> {
    words.iter().map(|&word| word as u8).collect()
}

type Matmul = fn(&[u64], &[u64], &mut [u64], usize, usize, usize);

fn emulated_path(a: &[u64], b: &[u64], out: &mut [u64], m: usize, k: usize, n: usize) {
    emulated::Emulated.multiply(simd::Product { a, b, out, m, k, n });
}

#[cfg(target_arch = "x86_64")]
fn avx2_path(a: &[u64], b: &[u64], out: &mut [u64], m: usize, k: usize, n: usize) {
    avx2::Avx2::detect().unwrap().multiply(simd::Product { a, b, out, m, k, n });
}

#[cfg(target_arch = "x86_64")]
fn avx512_path(a: &[u64], b: &[u64], out: &mut [u64], m: usize, k: usize, n: usize) {
    avx512::Avx512::detect().unwrap().multiply(simd::Product { a, b, out, m, k, n });
}

/// Every path that can run here. The paths that cannot are named on stderr.
fn paths() -> Vec<(&'static str, Matmul)> {
    let mut paths: Vec<(&'static str, Matmul)> =
        vec![("portable", matmul_acc_portable), ("emulated", emulated_path), ("dispatched", matmul_acc_u64)];
    #[cfg(target_arch = "x86_64")]
    for (name, here, path) in [
        ("AVX2", avx2::Avx2::detect().is_some(), avx2_path as Matmul),
        ("AVX-512", avx512::Avx512::detect().is_some(), avx512_path),
    ] {
        if here {
            paths.push((name, path));
        } else {
            eprintln!("this processor has no {name}: its path is not tested");
        }
    }
    paths
}

/// All paths against the definition, on uniform words.
fn check(paths: &[(&str, Matmul)], m: usize, k: usize, n: usize, seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (a, b, start) = (words(&mut rng, m * k), words(&mut rng, k * n), words(&mut rng, m * n));
    let expected = schoolbook(&a, &b, &start, m, k, n);
    for (name, matmul) in paths {
        let mut out = start.clone();
        matmul(&a, &b, &mut out, m, k, n);
        assert!(out == expected, "{name} path, {m}×{k}×{n}, seed {seed}");
    }
}

#[test]
fn all_tails_are_right() {
    // Between them the fixed sizes take every kernel and every remainder of its tiles.
    const FIXED: [usize; 7] = [1, 2, 5, 8, 12, 19, 41];
    let paths = paths();
    for tail in 1..=65 {
        for fixed in FIXED {
            for other in FIXED {
                check(&paths, tail, fixed, other, 1);
                check(&paths, fixed, tail, other, 2);
                check(&paths, fixed, other, tail, 3);
            }
        }
    }
}

#[test]
fn shapes_beyond_one_block_are_right() {
    let paths = paths();
    for (m, k, n) in [
        (129, 257, 41),  // packed: rows and depth
        (13, 259, 1027), // packed: depth and columns
        (300, 515, 17),  // packed: several blocks
        (9, 4099, 11),   // dot products: depth
        (70, 2050, 2),   // dot products: depth
        (1, 3001, 1),    // one dot product
        (5000, 3, 1),    // matrix-vector
        (3, 700, 130),   // few rows
        (1, 50, 1500),   // vector-matrix
        (150, 2, 150),   // outer products
    ] {
        check(&paths, m, k, n, 6);
    }
}

#[test]
fn largest_words_wrap_as_they_should() {
    // (2^64 − 1)² = 1, so the product of all-ones is k everywhere; partial sums pass 2^64 in every path.
    for (name, matmul) in paths() {
        for (m, k, n) in [(20, 1000, 30), (30, 1000, 5), (2, 1000, 50), (3, 1000, 1)] {
            let mut out = vec![0; m * n];
            matmul(&vec![u64::MAX; m * k], &vec![u64::MAX; k * n], &mut out, m, k, n);
            assert!(out.iter().all(|&word| word == k as u64), "{name} path, {m}×{k}×{n}");
        }
    }
}

#[test]
fn empty_dimensions_leave_the_output_alone() {
    for (m, k, n) in [(0, 0, 0), (0, 5, 3), (5, 0, 3), (5, 3, 0), (0, 0, 9), (9, 0, 0), (0, 9, 0)] {
        check(&paths(), m, k, n, 4);
    }
}

#[test]
fn eight_bit_product_is_right() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    for (m, k, n) in [(1, 1, 1), (3, 300, 2), (7, 65, 9), (20, 5, 1), (0, 3, 2)] {
        let (a, b) = (bytes(&words(&mut rng, m * k)), bytes(&words(&mut rng, k * n)));
        let start = bytes(&words(&mut rng, m * n));
        let mut out = start.clone();
        matmul_acc_portable(&a, &b, &mut out, m, k, n);
        assert!(out == schoolbook(&a, &b, &start, m, k, n), "{m}×{k}×{n}, seed 5");
    }
}

#[test]
#[should_panic(expected = "right operand is not 2×3")]
fn wrong_length_panics() {
    matmul_acc_u64(&[0; 4], &[0; 5], &mut [0; 6], 2, 2, 3);
}

proptest! {
    #[test]
    fn all_paths_agree(m in 0usize..200, k in 0usize..600, n in 0usize..200, seed: u64) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (a, b, start) = (words(&mut rng, m * k), words(&mut rng, k * n), words(&mut rng, m * n));
        let mut expected = start.clone();
        matmul_acc_portable(&a, &b, &mut expected, m, k, n);
        for (name, matmul) in paths() {
            let mut out = start.clone();
            matmul(&a, &b, &mut out, m, k, n);
            prop_assert!(out == expected, "{} path", name);
        }
    }

    #[test]
    fn lanes_hold_the_bits(len in 0usize..1300, bits in 0usize..=64, seed: u64) {
        let values = words(&mut ChaCha8Rng::seed_from_u64(seed), len);
        let lane_words = len.div_ceil(64);
        let mut lanes = vec![u64::MAX; bits * lane_words];
        bit_slice_u64(&values, &mut lanes, lane_words, bits);
        for i in 0..bits {
            let lane = &lanes[i * lane_words..][..lane_words];
            for j in 0..lane_words * 64 {
                let expected = values.get(j).map_or(0, |value| value >> i & 1);
                prop_assert_eq!(lane[j / 64] >> (j % 64) & 1, expected, "bit {} of value {}", i, j);
            }
            let mut expanded = vec![7; len];
            expand_bits_u64(lane, &mut expanded);
            prop_assert!(expanded.iter().zip(&values).all(|(&bit, &value)| bit == value >> i & 1));
        }
    }

    #[test]
    fn lanes_of_bytes_are_lanes_of_words(len in 0usize..300, bits in 0usize..=8, seed: u64) {
        let values = words(&mut ChaCha8Rng::seed_from_u64(seed), len);
        let lane_words = len.div_ceil(64);
        let (mut lanes, mut expected) = (vec![5; bits * lane_words], vec![6; bits * lane_words]);
        bit_slice_u8(&bytes(&values), &mut lanes, lane_words, bits);
        bit_slice_u64(&values, &mut expected, lane_words, bits);
        prop_assert_eq!(&lanes, &expected);
        for lane in lanes.chunks(lane_words.max(1)) {
            let (mut narrow, mut wide) = (vec![7; len], vec![8; len]);
            expand_bits_u8(lane, &mut narrow);
            expand_bits_u64(lane, &mut wide);
            prop_assert_eq!(narrow, bytes(&wide));
        }
    }
}
