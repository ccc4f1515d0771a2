//! The sigmoid at every 16-bit input of its range, at all scales, with costs.

mod common;

use common::{PARTIES, run, tensor, words};
use mpc_core::fixed::FracBits;
use mpc_core::ring::{Ring, Z64};
use mpc_core::share::Additive;
use protocols::sigmoid::{cost, piecewise, sigmoid};
use protocols::tree::TreeChoice;
use protocols::truncate::Rounding;

const TREE: TreeChoice = TreeChoice::DEFAULT;

fn exact(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

#[test]
fn the_fit_is_as_good_as_stated() {
    let worst = (-3_000_000..=3_000_000)
        .map(|i| f64::from(i) * 1e-5)
        .map(|x| (piecewise(x) - exact(x)).abs())
        .fold(0.0, f64::max);
    assert!(worst < 4.75e-5, "largest error of the fit is {worst}");
}

/// Largest error of the protocol over the given encoded inputs.
fn worst(n: usize, frac: FracBits, rounding: Rounding, inputs: Vec<u64>) -> f64 {
    let unit = 2f64.powi(-(frac.bits() as i32));
    let x = tensor::<Z64>(inputs);
    let y = run(
        n,
        7,
        std::slice::from_ref(&x),
        &cost::<Additive<Z64>>(n, x.len(), frac, rounding, TREE),
        |cx, s| sigmoid(cx, &s[0], frac, rounding, TREE),
    );
    let errors = y.as_slice().iter().zip(x.as_slice());
    errors
        .map(|(y, x)| (y.to_i64() as f64 * unit - exact(x.to_i64() as f64 * unit)).abs())
        .fold(0.0, f64::max)
}

#[test]
fn every_input_between_minus_12_and_12() {
    // 1,572,865 inputs: all that 16 fraction bits can say in the range.
    let all = (-12i64 << 16..=12 << 16).map(|v| v as u64).collect();
    let error = worst(2, FracBits::DEFAULT, Rounding::Dithered, all);
    println!("largest error {error}");
    assert!(error < 4.72e-5 + 1.5 * 2f64.powi(-16), "largest error {error}");
}

#[test]
fn far_out_it_is_zero_or_one() {
    for n in PARTIES {
        let far = words(8, 3000).into_iter().map(|w| ((w as i64) >> 19 | 1 << 20) as u64);
        let ends =
            [1i64 << 44, -(1 << 44), (1 << 45) - 1, -(1 << 45) + 1, 10 << 16, -(10 << 16)].map(|v| v as u64);
        let inputs: Vec<u64> = far.chain(ends).collect();
        for rounding in [Rounding::Dithered, Rounding::Exact] {
            let error = worst(n, FracBits::DEFAULT, rounding, inputs.clone());
            assert!(error < 4.72e-5 + 1.5 * 2f64.powi(-16), "largest error {error}, n = {n}");
        }
    }
}

#[test]
fn every_scale() {
    for bits in [8, 10, 12, 15, 17, 20, 24] {
        let frac = FracBits::new(bits).unwrap();
        let inputs: Vec<u64> =
            words(9, 20_000).into_iter().map(|w| ((w as i64) >> (59 - bits)) as u64).collect();
        for rounding in [Rounding::Dithered, Rounding::Exact] {
            let error = worst(3, frac, rounding, inputs.clone());
            let bound = 4.72e-5 + 1.5 * 2f64.powi(-(bits.min(16) as i32));
            assert!(error < bound, "largest error {error} at {bits} fraction bits, bound {bound}");
        }
    }
}

#[test]
fn exact_truncations_make_it_a_function_of_its_input() {
    let x = tensor::<Z64>(words(10, 3000).into_iter().map(|w| ((w as i64) >> 44) as u64));
    let once = |n: usize, label: u64| {
        let cost = cost::<Additive<Z64>>(n, x.len(), FracBits::DEFAULT, Rounding::Exact, TREE);
        run(n, label, std::slice::from_ref(&x), &cost, |cx, s| {
            sigmoid(cx, &s[0], FracBits::DEFAULT, Rounding::Exact, TREE)
        })
    };
    let first = once(2, 20);
    for (n, label) in [(2, 21), (3, 22), (5, 23)] {
        assert_eq!(once(n, label), first, "other masks, {n} parties");
    }
    let cost = cost::<Additive<Z64>>(2, 4096, FracBits::DEFAULT, Rounding::Exact, TREE);
    assert_eq!((cost.rounds, cost.max_sent_bytes() * 8 / 4096), (10, 1085));
}
