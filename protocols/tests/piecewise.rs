//! Every table against its function: the fit, the protocol on a dense grid of the range and a million random arguments, next to knots, far outside and at
//! all scales, with costs.
#![allow(clippy::unwrap_used, reason = "a test: a panic is how it fails")]

mod common;

use common::{PARTIES, run, tensor, words};
use mpc_core::fixed::FracBits;
use mpc_core::ring::{Ring, Z64};
use mpc_core::share::Additive;
use mpc_core::tensor::Tensor;
use protocols::piecewise::{Table, cost, evaluate, tables};
use protocols::tree::TreeChoice;
use protocols::truncate::Rounding;

const TREE: TreeChoice = TreeChoice::DEFAULT;

/// A table, the function that it is for, and what its documentation says of it.
struct Case {
    name: &'static str,
    table: Table,
    exact: fn(f64) -> f64,
    /// Largest error of the fit.
    fit: f64,
    /// Largest slope of the function, by which a rounded argument is felt.
    slope: f64,
    /// log2 of the limit of arguments in units of 2^−16.
    reach_bits: u32,
}

fn cases() -> Vec<Case> {
    let case =
        |name, table, exact, fit, slope, reach_bits| Case { name, table, exact, fit, slope, reach_bits };
    vec![
        case("sigmoid", tables::sigmoid(), |x| 1.0 / (1.0 + (-x).exp()), 4.72e-5, 0.25, 61),
        case("tanh", tables::tanh(), f64::tanh, 9.45e-5, 1.0, 61),
        case("gelu", tables::gelu(), gelu, 5.13e-5, 1.13, 41),
        case("silu", tables::silu(), |x| x / (1.0 + (-x).exp()), 1.229e-4, 1.1, 41),
        case("softplus", tables::softplus(), softplus, 4.43e-5, 1.0, 41),
        case("erf", tables::erf(), libm::erf, 4.69e-5, 1.13, 61),
        case("exp_negative", tables::exp_negative(), |x| x.min(0.0).exp(), 2.64e-5, 1.0, 61),
        case("elu", tables::elu(1.0).unwrap(), |x| x.max(0.0) + x.min(0.0).exp_m1(), 2.64e-5, 1.0, 41),
        case(
            "elu of 3",
            tables::elu(3.0).unwrap(),
            |x| x.max(0.0) + 3.0 * x.min(0.0).exp_m1(),
            7.92e-5,
            3.0,
            41,
        ),
    ]
}

fn gelu(x: f64) -> f64 {
    0.5 * x * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2)
}

fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

impl Case {
    /// What a result may be off, for arguments of at most `bound` units.
    fn allowed(&self, frac: FracBits, bound: u64) -> f64 {
        let layout = self.table.layout(frac, bound).unwrap();
        let (f, excess) = layout.fraction_bits();
        let rounded = if excess > 0 { self.slope } else { 0.0 };
        self.fit + (self.table.rounding_units(layout) + rounded) * 2f64.powi(-(f as i32))
    }

    /// The protocol on encoded arguments, whose largest magnitude is the bound.
    fn results(
        &self,
        n: usize,
        frac: FracBits,
        rounding: Rounding,
        x: &Tensor<Z64>,
        label: u64,
    ) -> Tensor<Z64> {
        let bound = x.as_slice().iter().map(|v| v.to_i64().unsigned_abs()).max().unwrap_or(0);
        let layout = self.table.layout(frac, bound).unwrap();
        let cost = cost::<Additive<Z64>>(n, x.len(), layout, rounding, TREE);
        run(n, label, std::slice::from_ref(x), &cost, |cx, s| {
            evaluate(cx, &s[0], &self.table, layout, rounding, TREE)
        })
    }

    /// Holds the protocol to the stated error.
    fn hold(&self, n: usize, frac: FracBits, rounding: Rounding, inputs: impl IntoIterator<Item = i64>) {
        let unit = 2f64.powi(-(frac.bits() as i32));
        let x = tensor::<Z64>(inputs.into_iter().map(|v| v as u64));
        let bound = x.as_slice().iter().map(|v| v.to_i64().unsigned_abs()).max().unwrap_or(0);
        let y = self.results(n, frac, rounding, &x, 7);
        let allowed = self.allowed(frac, bound);
        let mut worst = 0.0f64;
        for (y, x) in y.as_slice().iter().zip(x.as_slice()) {
            let x = x.to_i64() as f64 * unit;
            let error = (y.to_i64() as f64 * unit - (self.exact)(x)).abs();
            let at = format!("{}({x}), {n} parties, {} fraction bits, {rounding:?}", self.name, frac.bits());
            assert!(error <= allowed, "{at}: off by {error:e}, allowed {allowed:e}");
            worst = worst.max(error);
        }
        println!(
            "{}, {} fraction bits, {rounding:?}: off by {worst:e} of {allowed:e}",
            self.name,
            frac.bits()
        );
    }

    /// The outermost knot.
    fn reach(&self) -> f64 {
        self.table.knots().iter().fold(0.0, |m: f64, k| m.max(k.abs()))
    }
}

#[test]
fn the_fits_are_as_good_as_stated() {
    for case in cases() {
        let error = |x: f64| (case.table.value(x) - (case.exact)(x)).abs();
        let steps = 1 << 21;
        let grid = (-steps..=steps).map(|i| f64::from(i) / f64::from(steps) * 1.25 * case.reach());
        // Either side of a knot another piece holds.
        let knots = case.table.knots().iter().flat_map(|k| [k.next_down(), *k, k.next_up()]);
        let far = (0..60).flat_map(|e| [1.0, -1.0].map(|s| s * 2f64.powi(e)));
        let far = far.filter(|x| x.abs() > case.reach());
        let worst = grid.chain(knots).chain(far).map(error).fold(0.0, f64::max);
        println!("{}: {worst:e} of {:e}", case.name, case.fit);
        assert!(worst <= case.fit, "{}: largest error of the fit is {worst:e}", case.name);
        assert!(
            worst > 0.98 * case.fit,
            "{}: the stated error of the fit is not that of {worst:e}",
            case.name
        );
    }
}

#[test]
fn every_third_input_of_the_range() {
    for case in cases() {
        // Of all that 16 fraction bits can say there: 140,000 to 520,000 numbers.
        let reach = ((case.reach() + 0.5) * 65536.0) as i64;
        case.hold(2, FracBits::DEFAULT, Rounding::Dithered, (-reach..=reach).step_by(3));
    }
}

#[test]
fn a_million_random_inputs() {
    for case in cases() {
        // Twice the range, so that a half are inside.
        let reach = (2.0 * case.reach() * 65536.0) as u64;
        let inputs = words(5, 1_000_000).into_iter().map(|w| (w % (2 * reach)) as i64 - reach as i64);
        case.hold(2, FracBits::DEFAULT, Rounding::Dithered, inputs);
    }
}

#[test]
fn neighbours_of_every_knot() {
    for case in cases() {
        for rounding in [Rounding::Dithered, Rounding::Exact] {
            let knots = case.table.knots().iter().map(|k| (k * 65536.0) as i64);
            case.hold(3, FracBits::DEFAULT, rounding, knots.flat_map(|k| k - 300..=k + 300));
        }
    }
}

#[test]
fn far_outside() {
    for case in cases() {
        for n in PARTIES {
            let most = (1i64 << case.reach_bits) - 1;
            let far = words(8, 2000).into_iter().map(|w| (w as i64) >> (64 - case.reach_bits));
            let ends = [most, -most, most / 3, -most / 3, 10 << 16, -(10 << 16), 16 << 16, -(16 << 16)];
            let inputs: Vec<i64> = far.chain(ends).collect();
            let x = tensor::<Z64>(inputs.iter().map(|&v| v as u64));
            // All lines outside have integers for coefficients, so nothing is rounded.
            let value =
                |v: Z64| Z64::from_i64((case.table.value(v.to_i64() as f64 / 65536.0) * 65536.0) as i64);
            for rounding in [Rounding::Dithered, Rounding::Exact] {
                case.hold(n, FracBits::DEFAULT, rounding, inputs.iter().copied());
                let y = case.results(n, FracBits::DEFAULT, rounding, &x, 8);
                let outside = y
                    .as_slice()
                    .iter()
                    .zip(x.as_slice())
                    .filter(|(_, x)| x.to_i64().unsigned_abs() > 16 << 16);
                assert!(outside.clone().count() > 1900);
                outside.for_each(|(y, x)| assert_eq!(*y, value(*x), "{}({x:?})", case.name));
            }
        }
    }
}

#[test]
fn every_scale() {
    for case in cases() {
        for bits in [8, 10, 12, 15, 17, 20, 24] {
            let frac = FracBits::new(bits).unwrap();
            let inputs: Vec<i64> = words(9, 10_000).into_iter().map(|w| (w as i64) >> (59 - bits)).collect();
            for rounding in [Rounding::Dithered, Rounding::Exact] {
                case.hold(3, frac, rounding, inputs.iter().copied());
            }
        }
    }
}

#[test]
fn exact_truncations_make_it_a_function_of_its_input() {
    let x = tensor::<Z64>(words(10, 3000).into_iter().map(|w| ((w as i64) >> 44) as u64));
    for case in cases() {
        let once = |n, label| case.results(n, FracBits::DEFAULT, Rounding::Exact, &x, label);
        let first = once(2, 20);
        for (n, label) in [(2, 21), (3, 22), (5, 23)] {
            assert_eq!(once(n, label), first, "{}: other masks, {n} parties", case.name);
        }
    }
}

#[test]
fn ten_knots_cost_what_is_stated() {
    let layout = tables::sigmoid().layout(FracBits::DEFAULT, 1 << 20).unwrap();
    for (rounding, rounds, bits) in [(Rounding::Dithered, 6, 980), (Rounding::Exact, 10, 1085)] {
        let cost = cost::<Additive<Z64>>(2, 4096, layout, rounding, TREE);
        assert_eq!((cost.rounds, cost.max_sent_bytes() * 8 / 4096), (rounds, bits));
    }
}
