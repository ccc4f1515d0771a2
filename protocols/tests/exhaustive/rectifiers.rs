//! ReLU, absolute value and clamp, alone and fused with a truncation, for every shape of tree.

use mpc_core::ring::{Ring, Z8, Z64};
use mpc_core::share::Additive;
use mpc_core::tensor::Tensor;
use protocols::relu::{abs, abs_cost, clamp, clamp_cost, relu, relu_cost, relu_truncated};
use protocols::tree::TreeChoice;

use crate::common::{PARTIES, corners, run, tensor, words};
use crate::{check, values};

const TREE: TreeChoice = TreeChoice::DEFAULT;

fn rectified<R: Ring>(label: u64, x: &Tensor<R>) {
    for (tree, n) in TreeChoice::ALL.into_iter().flat_map(|t| PARTIES.map(|n| (t, n))) {
        let cost = relu_cost::<Additive<R>>(n, x.len(), 0, tree);
        let y = run(n, label, std::slice::from_ref(x), &cost, |cx, s| relu(cx, &s[0], tree));
        check(&y, x, |x| if x.to_i64() < 0 { R::ZERO } else { x });
    }
}

#[test]
fn relu_of_every_value() {
    rectified(70, &values());
}

#[test]
fn relu_of_corners() {
    rectified(71, &tensor::<Z64>(corners().into_iter().chain(words(5, 500))));
}

#[test]
fn absolute_values() {
    let (small, wide) = (values(), tensor::<Z64>(corners().into_iter().chain(words(6, 500))));
    for n in PARTIES {
        let cost = abs_cost::<Additive<Z8>>(n, small.len(), 0, TREE);
        let y = run(n, 72, std::slice::from_ref(&small), &cost, |cx, s| abs(cx, &s[0], 0, TREE));
        check(&y, &small, |x| Z8(x.to_i64().unsigned_abs() as u8));
        let cost = abs_cost::<Additive<Z64>>(n, wide.len(), 0, TREE);
        let y = run(n, 73, std::slice::from_ref(&wide), &cost, |cx, s| abs(cx, &s[0], 0, TREE));
        check(&y, &wide, |x| Z64(x.to_i64().unsigned_abs()));
    }
}

#[test]
fn clamp_of_every_value() {
    let x = tensor::<Z8>((0..12800).map(|i| (i % 128) + 192));
    for n in PARTIES {
        for (low, high) in [(-5, 7), (0, 31), (-64, 63), (10, 10)] {
            let cost = clamp_cost::<Additive<Z8>>(n, x.len(), 0, TREE);
            let limits = [low, high].map(Z8::from_i64);
            let y = run(n, 100, std::slice::from_ref(&x), &cost, |cx, s| clamp(cx, &s[0], limits, 0, TREE));
            check(&y, &x, |x| Z8::from_i64(x.to_i64().clamp(low, high)));
        }
    }
}

#[test]
fn clamp_of_corners() {
    let x = tensor::<Z64>(corners().into_iter().filter(|&v| (v as i64).unsigned_abs() < 1 << 62));
    for n in PARTIES {
        for (low, high) in [(-(1i64 << 61), 1i64 << 61), (0, 1), (-5, (1 << 62) - 1)] {
            let cost = clamp_cost::<Additive<Z64>>(n, x.len(), 0, TREE);
            let limits = [low, high].map(Z64::from_i64);
            let y = run(n, 116, std::slice::from_ref(&x), &cost, |cx, s| clamp(cx, &s[0], limits, 0, TREE));
            check(&y, &x, |x| Z64::from_i64(x.to_i64().clamp(low, high)));
        }
    }
}

/// Every value is f of the quotient rounded down or up.
fn check_fused<R: Ring>(got: &Tensor<R>, x: &Tensor<R>, bits: u32, f: impl Fn(i64) -> i64) {
    for (&g, &x) in got.as_slice().iter().zip(x.as_slice()) {
        let down = x.to_i64() >> bits;
        let up = down + i64::from(x.to_i64() & ((1 << bits) - 1) != 0);
        let allowed = [f(down), f(up)];
        assert!(allowed.contains(&g.to_i64()), "{x:?} / 2^{bits} gave {g:?}, not one of {allowed:?}");
    }
}

#[test]
fn fused_truncation_of_every_value() {
    // Magnitudes below 2^6, each many times, so that each meets many masks.
    let x = tensor::<Z8>((0..12700).map(|i| (i % 127) + 193));
    for (tree, n) in TreeChoice::ALL.into_iter().flat_map(|t| PARTIES.map(|n| (t, n))) {
        for bits in 1..=6 {
            let label = 130 + u64::from(bits);
            let cost = relu_cost::<Additive<Z8>>(n, x.len(), bits, tree);
            let y =
                run(n, label, std::slice::from_ref(&x), &cost, |cx, s| relu_truncated(cx, &s[0], bits, tree));
            check_fused(&y, &x, bits, |y| y.max(0));
        }
    }
    for (n, bits) in PARTIES.into_iter().flat_map(|n| [1, 2, 4].map(|b| (n, b))) {
        let cost = abs_cost::<Additive<Z8>>(n, x.len(), bits, TREE);
        let y = run(n, 140, std::slice::from_ref(&x), &cost, |cx, s| abs(cx, &s[0], bits, TREE));
        check_fused(&y, &x, bits, i64::abs);
        let (low, high) = (-(20 >> bits), 33 >> bits);
        let cost = clamp_cost::<Additive<Z8>>(n, x.len(), bits, TREE);
        let limits = [low, high].map(Z8::from_i64);
        let y = run(n, 141, std::slice::from_ref(&x), &cost, |cx, s| clamp(cx, &s[0], limits, bits, TREE));
        check_fused(&y, &x, bits, |y| y.clamp(low, high));
    }
}

#[test]
fn fused_truncation_of_corners() {
    let inside = |v: &u64| (*v as i64).unsigned_abs() < 1 << 62;
    let random = words(3, 2000).into_iter().map(|w| ((w as i64) >> (2 + w % 50)) as u64);
    let x = tensor::<Z64>(corners().into_iter().chain(random).filter(inside));
    for n in PARTIES {
        for bits in [1, 8, 16, 24, 40, 62] {
            let cost = relu_cost::<Additive<Z64>>(n, x.len(), bits, TREE);
            let y =
                run(n, 150, std::slice::from_ref(&x), &cost, |cx, s| relu_truncated(cx, &s[0], bits, TREE));
            check_fused(&y, &x, bits, |y| y.max(0));
        }
    }
}

#[test]
fn a_fused_truncation_has_no_bias() {
    let bits = 8;
    let x = tensor::<Z64>(words(4, 100_000).into_iter().map(|w| ((w as i64) >> 24) as u64));
    let cost = relu_cost::<Additive<Z64>>(3, x.len(), bits, TREE);
    let y = run(3, 60, std::slice::from_ref(&x), &cost, |cx, s| relu_truncated(cx, &s[0], bits, TREE));
    let unit = f64::from(1 << bits);
    let errors = y.as_slice().iter().zip(x.as_slice()).filter(|(_, x)| x.to_i64() > 0);
    let errors: Vec<f64> = errors.map(|(y, x)| y.to_i64() as f64 - x.to_i64() as f64 / unit).collect();
    let mean = errors.iter().sum::<f64>() / errors.len() as f64;
    let variance = errors.iter().map(|e| (e - mean).powi(2)).sum::<f64>() / errors.len() as f64;
    let sigma = (variance / errors.len() as f64).sqrt();
    assert!(mean.abs() < 4.0 * sigma, "mean error {mean} is more than 4 × {sigma}");
    assert!(errors.iter().all(|e| e.abs() < 1.0));
}

#[test]
fn odd_lengths_pack_without_gaps() {
    for len in [1, 2, 3, 7, 8, 9, 63, 64, 65, 127, 129, 1000, 16_385] {
        let x = tensor::<Z64>(words(len as u64, len));
        let cost = relu_cost::<Additive<Z64>>(3, len, 0, TREE);
        let y = run(3, 120, std::slice::from_ref(&x), &cost, |cx, s| relu(cx, &s[0], TREE));
        check(&y, &x, |x| if x.to_i64() < 0 { Z64::ZERO } else { x });
    }
}
