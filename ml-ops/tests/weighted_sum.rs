//! Sums with public factors.
#![allow(clippy::unwrap_used, reason = "a test: a panic is how it fails")]

use std::collections::BTreeMap;

use ml_ops::{Owner, Program, Rounding, reference, run_local};
use mpc_core::fixed::FracBits;
use mpc_core::party::PartyId;
use ndarray::{Array2, ArrayD};

type Inputs = BTreeMap<String, ArrayD<f64>>;

#[test]
fn a_weighted_sum_truncates_once_for_all_of_its_terms() {
    let build = |rounding| {
        let mut p = Program::builder("sum", FracBits::DEFAULT, &["a", "b"]);
        p.rounding(rounding);
        let x = p.input("x", Owner(0), [3, 2], 8.0).unwrap();
        let y = p.input("y", Owner(1), [3, 2], 8.0).unwrap();
        let (product, square) = (p.mul(x, y).unwrap(), p.square(y).unwrap());
        let count = p.less(x, y).unwrap();
        let sum = p
            .weighted_sum(&[(product, 0.3), (square, -2.0), (x, 1.0 / 3.0), (count, 5.0), (y, 0.0)])
            .unwrap();
        let exact = p.weighted_sum(&[(x, 2.0), (count, -3.0)]).unwrap();
        p.output("sum", sum, &[1]).unwrap();
        p.output("exact", exact, &[1]).unwrap();
        p.build().unwrap()
    };
    let inputs: Inputs = [("x", 3usize), ("y", 5)]
        .map(|(name, k)| {
            let value = Array2::from_shape_fn((3, 2), |(i, j)| ((i * k + j * 7) % 11) as f64 / 2.0 - 2.5);
            (name.to_owned(), value.into_dyn())
        })
        .into();
    for rounding in [Rounding::Dithered, Rounding::Exact] {
        let program = build(rounding);
        let (plan, runs) = (program.plan(), run_local(&program, &inputs, [6; 32]).unwrap());
        let of = |op| plan.ops.iter().find(|o| o.op == op).unwrap().rounds;
        // Where rounding is exact, every operation rounds for itself.
        let expected = if rounding == Rounding::Dithered { [1, 1, 1] } else { [5, 5, 4] };
        assert_eq!([of("mul"), of("square"), of("weighted_sum")], expected);
        let fixed = reference::fixed(&program, &inputs).unwrap();
        let float = reference::float(&program, &inputs).unwrap();
        let unit = 2f64.powi(-16);
        let got = &runs[1].outputs;
        assert_eq!(got["exact"], fixed["exact"]);
        assert_eq!(got["exact"], float["exact"]);
        let far = |a: &ArrayD<f64>, b: &ArrayD<f64>| {
            a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) / unit
        };
        if rounding == Rounding::Exact {
            assert_eq!(got["sum"], fixed["sum"]);
        } else {
            assert!(far(&got["sum"], &float["sum"]) <= 1.001, "{}", far(&got["sum"], &float["sum"]));
        }
        assert!(far(&fixed["sum"], &float["sum"]) <= 4.0);
        for (party, run) in PartyId::all(2).zip(&runs) {
            plan.check(party, &run.measured).unwrap();
        }
    }
    let mut p = Program::builder("narrow", FracBits::DEFAULT, &["a", "b"]);
    let x = p.input("x", Owner(0), [1], 2f64.powi(40)).unwrap();
    let error = p.weighted_sum(&[(x, 0.3), (x, 1.0)]).unwrap_err().to_string();
    assert!(error.contains("too few bits for factors"), "{error}");
    assert!(p.weighted_sum(&[]).is_err() && p.weighted_sum(&[(x, f64::NAN)]).is_err());
}
