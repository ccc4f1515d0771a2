//! The one-round sigmoid: its fit, the protocol over its range, at all scales, with costs, with and without a dealer.
#![allow(clippy::unwrap_used, reason = "a test: a panic is how it fails")]

mod common;

use common::{PARTIES, run, tensor, words};
use mpc_core::fixed::FracBits;
use mpc_core::party::PartyId;
use mpc_core::ring::{Ring, Z64};
use mpc_core::share::Additive;
use protocols::fourier::{RANGE, cost, series, sigmoid};
use protocols::input::input;
use protocols::output::output;
use protocols::trial;

/// As stated at the head of the module.
const FIT: f64 = 1.84e-4;
const SINES: f64 = 1.0 / 65536.0;

fn exact(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

#[test]
fn the_fit_is_as_good_as_stated() {
    let range = f64::from(RANGE);
    let grid = (-1_000_000..=1_000_000).map(|i| f64::from(i) * range / 1e6);
    let worst = grid.map(|x| (series(x) - exact(x)).abs()).fold(0.0, f64::max);
    assert!(worst < FIT && worst > 0.99 * FIT, "largest error of the fit is {worst}");
    // It is odd about a half, and periodic: nothing is promised outside.
    assert!((series(3.0) + series(-3.0) - 1.0).abs() < 1e-12);
    assert!((series(20.0) - exact(20.0)).abs() > 0.5);
}

fn hold(n: usize, frac: FracBits, inputs: impl IntoIterator<Item = i64>) {
    let (f, unit) = (frac.bits(), 2f64.powi(-(frac.bits() as i32)));
    let x = tensor::<Z64>(inputs.into_iter().map(|v| v as u64));
    let y = run(n, 7, std::slice::from_ref(&x), &cost::<Additive<Z64>>(n, x.len(), frac), |cx, s| {
        sigmoid(cx, &s[0], frac)
    });
    let (mut worst, mut sum) = (0.0f64, 0.0);
    for (y, x) in y.as_slice().iter().zip(x.as_slice()) {
        let (x, y) = (x.to_i64() as f64 * unit, y.to_i64() as f64 * unit);
        let off = y - series(x);
        assert!(
            off.abs() <= unit + SINES,
            "{n} parties, {f} fraction bits: {y} at {x}, the series is off by {off}"
        );
        worst = worst.max((y - exact(x)).abs());
        sum += off;
    }
    assert!(worst <= FIT + unit + SINES, "{n} parties, {f} fraction bits: off by {worst}");
    let mean = sum / x.len() as f64;
    // The dither's deviation is at most half a unit.
    assert!(mean.abs() < unit * 4.0 / (x.len() as f64).sqrt() + SINES / 8.0, "the mean is off by {mean}");
    println!("{n} parties, {f} fraction bits: off by {worst:e}, mean {mean:e}");
}

#[test]
fn every_input_of_the_range() {
    let most = i64::from(RANGE) << 16;
    hold(2, FracBits::DEFAULT, -most..=most);
}

#[test]
fn a_million_random_inputs() {
    let most = u64::from(RANGE) << 16;
    hold(
        2,
        FracBits::DEFAULT,
        words(5, 1_000_000).into_iter().map(|w| (w % (2 * most + 1)) as i64 - most as i64),
    );
}

#[test]
fn every_scale_and_number_of_parties() {
    for bits in [8, 10, 12, 15, 17, 20, 24] {
        for n in PARTIES {
            let most = u64::from(RANGE) << bits;
            let random = words(9, 5000).into_iter().map(|w| (w % (2 * most + 1)) as i64 - most as i64);
            hold(n, FracBits::new(bits).unwrap(), random.chain([0, most as i64, -(most as i64)]));
        }
    }
}

#[test]
fn it_costs_what_is_stated() {
    let cost = cost::<Additive<Z64>>(2, 4096, FracBits::DEFAULT);
    let dealt: u64 = cost.dealer_bytes::<Z64>().iter().map(|(_, b)| b).sum();
    assert_eq!(
        (cost.rounds, cost.max_sent_bytes() * 8 / 4096, dealt * 8 / 4096),
        (2, 24 + 64, 1024 + 64 + 44)
    );
}

#[test]
fn without_a_dealer() {
    for n in PARTIES {
        let x = tensor::<Z64>((-100..=100).map(|i: i64| (i * 8 * 65536 / 100) as u64));
        let all: Vec<PartyId> = PartyId::all(n).collect();
        let results = trial::run_sessions(trial::sessions_with_ot(n, [3; 32], None), |cx| {
            let owner = PartyId::new(0);
            let x = input(cx, owner, x.shape(), (cx.me() == owner).then_some(&x))?;
            let y = sigmoid(cx, &x, FracBits::DEFAULT)?;
            let opened = output(cx, &[(&y, &all)])?;
            Ok::<_, protocols::error::ProtocolError>(opened[0].clone().map(|r| r.tensor().clone()))
        });
        let y = results.unwrap()[0].clone().unwrap();
        for (y, x) in y.as_slice().iter().zip(x.as_slice()) {
            let [x, y] = [x, y].map(|v| v.to_i64() as f64 / 65536.0);
            assert!((y - series(x)).abs() < 2.0 * SINES, "{y} at {x}, {n} parties");
        }
    }
}
