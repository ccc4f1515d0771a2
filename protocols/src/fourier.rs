//! σ(x) for |x| ≤ 8 by a Fourier series, in one round and a truncation: for training.
//!
//! The idea is that of Zheng et al. (*Secure softmax/sigmoid for machine-learning computation*, ACSAC 2023): the sine of a secret
//! follows from a public sum and the sines of a dealt mask. With the period P = 2^8/11 and eight sines,
//! `σ(x) ≈ ½ + Σ_k a_k·sin(2πkx/P)`. In units of 2^−w of a turn, w = f + 8, the angle is z = 11·x̂ mod 2^w:
//! 1. Open c = z + r mod 2^w: r is uniform, and `[cos kr], [sin kr]` are dealt, k = 1 … 8.
//! 2. `sin kz = sin kc·[cos kr] − cos kc·[sin kr]`, a public linear map of what was dealt, with 20 + 40 fraction bits.
//! 3. One truncation to f bits.
//!
//! Departs from the paper: period and coefficients are a minimax fit of ours over |x| ≤ 8 alone, as nothing else is promised. Public
//! sines are computed with integers (`circle`), since all parties must find the same.
//!
//! **Range**: outside of |x| ≤ 8 the series is periodic and its results mean nothing, so programs prove the bound or clamp first.
//! **Error**: at most 1.84e-4 from the fit, one unit of 2^−f from the truncation (mean zero), and below 2^−16 from the sines: below
//! 2^−20 with a dealer, more for many parties without one, whose sines are products of rounded ones (`prep::ot`). **Not exact**: the
//! rounding of sines depends on the mask, so results differ in the last unit from run to run even if the truncation is a floor.
//! **Security**: c is one-time padded by r modulo 2^w, which is all of z that is opened; the truncation has a pad of its own.
//! The simulator picks both uniformly.
//! **Cost** per element at f = 16: 2 rounds, 24 + 64 bits to each party; 1,024 + 64 + 44 from the dealer.

use mpc_core::fixed::FracBits;
use mpc_core::ring::{Ring, Z64};
use mpc_core::share::Sharing;
use mpc_core::tensor::Tensor;

use crate::circle::{POINT_BITS, Point};
use crate::cost::Cost;
use crate::error::ProtocolError;
use crate::prep::Item;
use crate::prep::item::SINE_BITS;
use crate::session::Session;
use crate::truncate;

/// Largest magnitude of an argument.
pub const RANGE: u32 = 8;
/// The period is 2^8/11: [`PERIOD_BITS`] more bits than the argument has after its point, and a factor.
const PERIOD_BITS: u32 = 8;
const FACTOR: u64 = 11;
/// Coefficients of the sines of 1 to 8 times the angle.
pub const SINES: [f64; 8] = [
    0.580_195_375_915_856,
    -0.017_620_436_182_320_52,
    0.097_595_701_310_272_06,
    -0.004_720_971_294_597_626,
    0.014_980_041_807_719_354,
    0.002_627_158_274_875_612,
    0.000_401_470_953_877_986,
    0.001_450_682_376_294_410_4,
];
/// Fraction bits of what dealt sines are multiplied by.
const WEIGHT_BITS: u32 = 20;
/// Elements that are worked on at a time.
const TOGETHER: usize = 256;

/// The bits of an angle.
const fn angle_bits(frac: FracBits) -> u32 {
    frac.bits() + PERIOD_BITS
}

/// By how many bits the sum of sines is truncated.
const fn excess_bits(frac: FracBits) -> u32 {
    WEIGHT_BITS + SINE_BITS - frac.bits()
}

/// The series that the protocol computes, in floating point.
#[must_use]
pub fn series(x: f64) -> f64 {
    let angle = x * std::f64::consts::TAU * FACTOR as f64 / f64::from(1 << PERIOD_BITS);
    let terms = (1..).zip(SINES).map(|(k, a)| a * (f64::from(k) * angle).sin());
    0.5 + terms.sum::<f64>()
}

/// What the protocol computes for an argument with `frac` fraction bits where the mask is 0, in integers, with a floor at the end.
#[must_use]
pub fn fixed(x: i64, frac: FracBits) -> i64 {
    let first = Point::of(Z64::from_i64(x) * Z64(FACTOR), angle_bits(frac));
    let points = std::iter::successors(Some(first), |p| Some(p.turned(first)));
    let sum: i64 = COEFFICIENTS.iter().zip(points).map(|(&a, p)| weighted(a, p)[0] << SINE_BITS).sum();
    (sum + (1 << (WEIGHT_BITS + SINE_BITS - 1))) >> excess_bits(frac)
}

/// The coefficients with [`POINT_BITS`] fraction bits.
const COEFFICIENTS: [i64; 8] = {
    let mut out = [0; 8];
    let mut k = 0;
    while k < 8 {
        out[k] = (SINES[k] * (1u64 << POINT_BITS) as f64) as i64;
        k += 1;
    }
    out
};

/// What the cosine and sine that are dealt for a multiple are multiplied by: sin kc and −cos kc times its coefficient, with
/// [`WEIGHT_BITS`] fraction bits.
const fn weighted(a: i64, p: Point) -> [i64; 2] {
    let excess = 2 * POINT_BITS - WEIGHT_BITS;
    let half = 1 << (excess - 1);
    [(a * p.sin + half) >> excess, (half - a * p.cos) >> excess]
}

/// `[σ(x)]` for x with `frac` fraction bits, |x| ≤ 8. Two rounds.
///
/// # Errors
/// Channel and preprocessing errors.
pub fn sigmoid<S: Sharing>(cx: &mut Session<S>, x: &S, frac: FracBits) -> Result<S, ProtocolError> {
    assert_eq!(S::VALUE_BITS, 64, "the headroom of weights and sines is laid out for 64-bit values");
    let (bits, len, holder) = (angle_bits(frac), x.len(), cx.holder());
    // 1. c
    let z = x.clone().reshape(&[len]).scale(S::Ring::from_u64(FACTOR));
    let (tuple, padded) = cx.prep().angles(len, bits, SINES.len())?.mask(&z);
    let c = cx.open_low(padded)?;
    // 2. ½ + Σ a_k·sin kz
    let sum = tuple.sines.map_linear(|dealt| combined(&c, dealt, bits));
    let half = S::Ring::power_of_two(WEIGHT_BITS + SINE_BITS - 1);
    let y = sum.add_public_each(half, holder);
    // 3.
    Ok(truncate::truncate(cx, &y, excess_bits(frac))?.reshape(x.shape()))
}

/// The public linear map of step 2.
fn combined<R: Ring>(c: &Tensor<R>, dealt: &Tensor<R>, bits: u32) -> Tensor<R> {
    let (c, dealt, len) = (c.as_slice(), dealt.as_slice(), c.len());
    let mut sums = vec![R::ZERO; len];
    for (at, sums) in sums.chunks_mut(TOGETHER).enumerate() {
        let some = at * TOGETHER..at * TOGETHER + sums.len();
        let first = c[some.clone()].iter().map(|&c| Point::of(c, bits));
        let first: Vec<Point> = first.collect();
        let mut points = first.clone();
        for (k, &a) in COEFFICIENTS.iter().enumerate() {
            let row = |i: usize| &dealt[(2 * k + i) * len..][some.clone()];
            let sines = row(0).iter().zip(row(1));
            for ((sum, point), (&cos, &sin)) in sums.iter_mut().zip(&points).zip(sines) {
                let [of_cos, of_sin] = weighted(a, *point).map(R::from_i64);
                *sum += of_cos * cos + of_sin * sin;
            }
            points.iter_mut().zip(&first).for_each(|(p, first)| *p = p.turned(*first));
        }
    }
    Tensor::from_vec(&[len], sums)
}

/// Cost of [`sigmoid`].
#[must_use]
pub fn cost<S: Sharing>(n: usize, len: usize, frac: FracBits) -> Cost {
    let bits = angle_bits(frac);
    Cost::item(n, Item::Angles { len, bits, multiples: SINES.len() })
        .then(Cost::opening::<S::Ring>(n, 0, bits as usize * len))
        .then(truncate::cost::<S>(n, len, excess_bits(frac)))
}
