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

fn check(matmul: Matmul, m: usize, k: usize, n: usize, seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (a, b, start) = (words(&mut rng, m * k), words(&mut rng, k * n), words(&mut rng, m * n));
    let mut out = start.clone();
    matmul(&a, &b, &mut out, m, k, n);
    assert!(out == schoolbook(&a, &b, &start, m, k, n), "{m}×{k}×{n}, seed {seed}");
}

fn check_tails(matmul: Matmul) {
    const FIXED: [usize; 5] = [1, 3, 8, 17, 33];
    for tail in 1..=65 {
        for fixed in FIXED {
            for other in FIXED {
                check(matmul, tail, fixed, other, 1);
                check(matmul, fixed, tail, other, 2);
                check(matmul, fixed, other, tail, 3);
            }
        }
    }
}

#[test]
fn portable_path_is_right_at_all_tails() {
    check_tails(matmul_acc_portable::<u64>);
}

#[test]
fn dispatched_path_is_right_at_all_tails() {
    check_tails(matmul_acc_u64);
}

#[test]
fn empty_dimensions_leave_the_output_alone() {
    for (m, k, n) in [(0, 0, 0), (0, 5, 3), (5, 0, 3), (5, 3, 0), (0, 0, 9), (9, 0, 0), (0, 9, 0)] {
        check(matmul_acc_u64, m, k, n, 4);
        check(matmul_acc_portable::<u64>, m, k, n, 4);
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
    fn dispatched_path_is_the_portable_one(m in 0usize..200, k in 0usize..600, n in 0usize..200, seed: u64) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (a, b, mut fast) = (words(&mut rng, m * k), words(&mut rng, k * n), words(&mut rng, m * n));
        let mut slow = fast.clone();
        matmul_acc_u64(&a, &b, &mut fast, m, k, n);
        matmul_acc_portable(&a, &b, &mut slow, m, k, n);
        prop_assert!(fast == slow);
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
