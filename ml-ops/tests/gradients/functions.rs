//! Slopes of functions in fixed point against differences of the exact functions, within their ranges and beyond.

use ml_ops::{Axis, Owner, Program, ProgramBuilder, ProgramError, Rounding, Value, reference};
use mpc_core::fixed::FracBits;
use ndarray::{Array1, ArrayD};

type Build = fn(&mut ProgramBuilder, Value) -> Result<Value, ProgramError>;

/// Functions with the ends of the arguments that they are tried at; corners are somewhere between the points.
fn functions() -> Vec<(&'static str, [f64; 2], Build)> {
    vec![
        ("sigmoid", [-14.0, 14.0], |p, x| p.sigmoid(x)),
        ("tanh", [-8.0, 8.0], |p, x| p.tanh(x)),
        ("gelu", [-9.0, 9.0], |p, x| p.gelu(x)),
        ("silu", [-16.0, 16.0], |p, x| p.silu(x)),
        ("softplus", [-14.0, 14.0], |p, x| p.softplus(x)),
        ("elu", [-14.0, 6.0], |p, x| p.elu(x, 1.0)),
        ("a steep elu", [-14.0, 6.0], |p, x| p.elu(x, 2.5)),
        ("erf", [-6.0, 6.0], |p, x| p.erf(x)),
        ("exp_negative", [-14.0, 4.0], |p, x| p.exp_negative(x)),
        ("exp", [-14.0, 5.0], |p, x| p.exp(x, 3.0)),
        ("log", [0.01, 20.0], |p, x| p.log(x, 0.25..=15.0)),
        ("reciprocal", [0.01, 20.0], |p, x| p.reciprocal(x, 0.25..=15.0)),
        ("sqrt", [-1.0, 20.0], |p, x| p.sqrt(x)),
        ("rsqrt", [0.01, 20.0], |p, x| p.rsqrt(x, 0.25..=15.0)),
        ("leaky relu", [-4.0, 4.0], |p, x| p.leaky_relu(x, 0.1)),
        ("hard swish", [-6.0, 6.0], |p, x| p.hard_swish(x)),
        ("a quotient by x", [0.01, 20.0], |p, x| {
            let one = p.scale(x, 0.0)?;
            let one = p.add_public(one, 1.75)?;
            p.divide(one, x, 0.25..=15.0)
        }),
        ("a quotient by x of either sign", [-20.0, 20.0], |p, x| {
            let one = p.scale(x, 0.0)?;
            let one = p.add_public(one, 1.75)?;
            p.divide_signed(one, x, 0.25)
        }),
    ]
}

/// Σ f and its gradient at a list of points.
fn programs(build: Build, n: usize, max_abs: f64, frac: u32) -> [Program; 2] {
    [false, true].map(|gradient| {
        let mut p = Program::builder("slope", FracBits::new(frac).unwrap(), &["a", "b"]);
        p.rounding(Rounding::Exact);
        let x = p.input("x", Owner(0), [n], max_abs).unwrap();
        let ones = p.input("seed", Owner(1), [n], 1.0).unwrap();
        let y = build(&mut p, x).unwrap();
        let result = if gradient { p.gradients(&[(y, ones)], &[x]).unwrap()[0].unwrap() } else { y };
        p.output("result", result, &[0]).unwrap();
        p.build().unwrap()
    })
}

/// The largest difference of slopes, of those above 1 relative to themselves.
fn worst(frac: u32, max_abs: f64) -> Vec<(&'static str, f64)> {
    const N: usize = 3001;
    let mut all = vec![];
    for (name, [lo, hi], build) in functions() {
        let unit = 2f64.powi(-(frac as i32));
        // Multiples of a unit, so that nothing is rounded.
        let point = |i: usize| ((lo + (hi - lo) * (i as f64 + 0.37) / N as f64) / unit).round() * unit;
        let points = Array1::from_shape_fn(N, point);
        let [value, gradient] = programs(build, N, max_abs, frac);
        let inputs = |x: Array1<f64>| {
            [("x".to_owned(), x.into_dyn()), ("seed".to_owned(), ArrayD::ones(vec![N]))].into()
        };
        let at = |x: Array1<f64>| reference::float(&value, &inputs(x)).unwrap()["result"].clone();
        let h = 2e-6;
        let (before, here, after) = (at(&points - h), at(points.clone()), at(&points + h));
        let (left, right) = ((&here - &before) / h, (&after - &here) / h);
        let slope = (&left + &right) / 2.0;
        let got = reference::fixed(&gradient, &inputs(points.clone())).unwrap()["result"].clone();
        let at_corner = |i: usize| (left[i] - right[i]).abs() > 5e-3 * (1.0 + slope[i].abs());
        let smooth: Vec<usize> = (0..N).filter(|&i| !at_corner(i)).collect();
        assert!(smooth.len() > N - 40, "{name}: {} corners", N - smooth.len());
        let off = |&i: &usize| (got[i] - slope[i]).abs() / slope[i].abs().max(1.0);
        all.push((name, smooth.iter().map(off).fold(0.0, f64::max)));
    }
    all
}

#[test]
fn slopes_are_precise_within_ranges_and_defined_beyond() {
    for (name, off) in worst(16, 24.0) {
        assert!(off < 2f64.powi(-10), "{name}: {off}");
    }
}

#[test]
fn slopes_are_there_at_other_scales_and_for_wide_arguments() {
    for (frac, max_abs) in [(24, 24.0), (16, 3000.0), (20, 200.0)] {
        for (name, off) in worst(frac, max_abs) {
            assert!(off < 2f64.powi(-10), "{name} with {frac} bits up to {max_abs}: {off}");
        }
    }
}

#[test]
fn the_slope_of_a_softmax_is_precise() {
    const ROWS: usize = 40;
    let mut p = Program::builder("softmax", FracBits::DEFAULT, &["a", "b"]);
    let x = p.input("x", Owner(0), [ROWS, 10], 16.0).unwrap();
    let seed = p.input("seed", Owner(1), [ROWS, 10], 1.0).unwrap();
    let (plain, log) = (p.softmax(x, Axis(1)).unwrap(), p.log_softmax(x, Axis(1)).unwrap());
    for (name, y) in [("plain", plain), ("log", log)] {
        let g = p.gradients(&[(y, seed)], &[x]).unwrap()[0].unwrap();
        p.output(name, g, &[0]).unwrap();
    }
    let program = p.build().unwrap();
    let mut random = super::slopes::Random(31);
    let inputs =
        [("x", 16.0), ("seed", 1.0)].map(|(n, k)| (n.to_owned(), random.array(&[ROWS, 10]) * k)).into();
    let (fixed, float) =
        (reference::fixed(&program, &inputs).unwrap(), reference::float(&program, &inputs).unwrap());
    for name in ["plain", "log"] {
        let far = (&fixed[name] - &float[name]).iter().fold(0.0f64, |far, d| far.max(d.abs()));
        assert!(far < 4.0 * 2f64.powi(-10), "{name}: {far}");
    }
}
