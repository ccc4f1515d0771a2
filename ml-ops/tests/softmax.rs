//! Softmax, its logarithm and quotients against floating point: long rows, where many small powers add up, and wide ranges.

use std::collections::BTreeMap;

use ml_ops::{Axis, Owner, Program, ProgramBuilder, ProgramError, Rounding, Value, reference, run_local};
use mpc_core::fixed::FracBits;
use ndarray::{Array2, ArrayD};

type Build = fn(&mut ProgramBuilder, Value) -> Result<Value, ProgramError>;

/// Largest difference of a secure run from floating point, and of the fixed-point reference from it.
fn worst(x: &ArrayD<f64>, rounding: Rounding, build: Build) -> [f64; 2] {
    let mut p = Program::builder("rows", FracBits::DEFAULT, &["a", "b"]);
    p.rounding(rounding);
    let program = p.input("x", Owner(0), x.shape(), 64.0).and_then(|x| {
        let y = build(&mut p, x)?;
        p.output("y", y, &[1])?;
        p.build()
    });
    let program = program.expect("a valid program");
    let inputs = BTreeMap::from([("x".to_owned(), x.clone())]);
    let exact = &reference::float(&program, &inputs).expect("inputs that fit")["y"];
    let fixed = &reference::fixed(&program, &inputs).expect("inputs that fit")["y"];
    let runs = run_local(&program, &inputs, [9; 32]).expect("an honest run");
    let off = |y: &ArrayD<f64>| y.iter().zip(exact).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    [off(&runs[1].outputs["y"]), off(fixed)]
}

/// Rows in which all but one element are so far below it, one row for every distance, and a row of equal elements.
fn rows(n: usize) -> ArrayD<f64> {
    let distances = [0.0, 0.5, 2.0, 4.0, 5.5, 7.0, 8.5, 9.65, 9.75, 11.0, 12.0, 20.0];
    Array2::from_shape_fn((distances.len(), n), |(row, column)| {
        if column == n / 3 { 1.25 } else { 1.25 - distances[row] - (column % 7) as f64 / 256.0 }
    })
    .into_dyn()
}

#[test]
fn rows_of_any_length_are_within_the_stated_error() {
    for n in [1, 2, 10, 128, 1000] {
        for rounding in [Rounding::Dithered, Rounding::Exact] {
            for (name, build) in [
                ("softmax", (|p, x| p.softmax(x, Axis(1))) as Build),
                ("log_softmax", |p, x| p.log_softmax(x, Axis(1))),
            ] {
                let off = worst(&rows(n), rounding, build);
                println!("{name} of {n}, {rounding:?}: {off:?}");
                // A dither is right on average; to the nearest, n equal powers are all off by the same half unit.
                let nearest = 2f64.powi(-11) + n as f64 / 131_072.0;
                let limit = if rounding == Rounding::Dithered { 2f64.powi(-11) } else { nearest };
                assert!(off[0] <= limit && off[1] <= nearest, "{name} of {n}, {rounding:?}: {off:?}");
            }
        }
    }
}

#[test]
fn quotients_of_a_wide_range_are_within_the_stated_error() {
    // Divisors over eleven binades.
    let x = Array2::from_shape_fn((62, 8), |(i, j)| 2f64.powf(i as f64 / 6.0 - 4.5) + j as f64 / 64.0);
    let build: Build = |p, x| {
        let one = p.number(1.0)?;
        let ten = p.scale(x, 10.0)?;
        let near_ten = p.add(ten, one)?;
        p.divide(near_ten, x, 0.04..)
    };
    // (10x + 1)/x is 33 at most here.
    for rounding in [Rounding::Dithered, Rounding::Exact] {
        let off = worst(&x.clone().into_dyn(), rounding, build);
        println!("{off:?}");
        assert!(off.iter().all(|&off| off <= 33.0 * 2f64.powi(-13) + 2.0 / 65536.0), "{rounding:?}: {off:?}");
    }
}

#[test]
fn ten_elements_take_four_levels_and_nineteen_rounds() {
    let mut p = Program::builder("rounds", FracBits::DEFAULT, &["a", "b"]);
    let program = p.input("x", Owner(0), [1000, 10], 8.0).and_then(|x| {
        let y = p.softmax(x, Axis(1))?;
        p.output("y", y, &[1])?;
        p.build()
    });
    let plan = program.expect("a valid program").plan();
    let rounds: Vec<_> = plan.ops.iter().filter(|o| o.rounds > 0).map(|o| (o.op, o.rounds)).collect();
    let wanted =
        [("max", 16), ("exp", 9), ("reciprocal", 8), ("mul", 2), ("confirm", 1), ("output", 1)].to_vec();
    assert_eq!(rounds, wanted);
}
