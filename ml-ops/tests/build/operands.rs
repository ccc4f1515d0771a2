//! Shapes, numbers and handles that do not fit.

use ml_ops::{Axis, Direction, Owner, ProgramError, Value};
use ndarray::arr1;

use super::{builder, input};

#[test]
fn shapes_that_do_not_fit_are_named() {
    let mut p = builder();
    let x = input(&mut p, "x", &[4, 3], 1.0);
    let y = input(&mut p, "y", &[2, 3], 1.0);
    let bias = input(&mut p, "bias", &[5], 1.0);
    let message = |r: Result<Value, ProgramError>| r.unwrap_err().to_string();
    assert_eq!(
        message(p.matmul(x, y)),
        "node 3 (matmul): shapes [4, 3] and [2, 3] do not fit: columns of the first must equal rows of the second"
    );
    assert_eq!(
        message(p.add(x, y)),
        "node 3 (add): shapes [4, 3] and [2, 3] do not fit: axes must be equal or 1, aligned at the end"
    );
    let t = p.transpose(y).unwrap();
    assert!(message(p.dense(x, t, bias)).contains("the bias must have one number per output column"));
    assert!(message(p.matmul(x, bias)).contains("both must be matrices"));
    assert!(message(p.concat(&[x, t], Axis(0))).contains("all axes but the joined one must be equal"));
    assert!(message(p.sum(x, Axis(2))).contains("axis 2 of shape [4, 3] does not exist"));
    assert!(message(p.slice(x, Axis(0), 2..5)).contains("indices 2..5 of an axis of length 4"));
    assert!(message(p.slice(x, Axis(0), 2..2)).contains("indices 2..2"));
    assert!(message(p.reshape(x, [5])).contains("the number of elements must stay the same"));
    assert!(message(p.transpose(bias)).contains("expected a matrix, got shape [5]"));
    assert!(message(p.concat(&[], Axis(0))).contains("at least one operand"));
    assert!(message(p.input("z", Owner(0), [1 << 20, 1 << 20], 1.0)).contains("is not allowed"));
    assert!(message(p.input("z", Owner(0), [0], 1.0)).contains("is not allowed"));
}

#[test]
fn numbers_without_an_encoding_are_refused() {
    let mut p = builder();
    let x = input(&mut p, "x", &[2], 1.0);
    for bad in [f64::NAN, f64::INFINITY, 1e30] {
        assert!(matches!(p.constant(&arr1(&[0.0, bad]).into_dyn()), Err(ProgramError::Encoding { .. })));
        assert!(p.add_public(x, bad).is_err());
        assert!(p.scale(x, bad).is_err());
        assert!(p.clamp(x, 0.0, bad).is_err());
        assert!(p.assume_range(x, bad).is_err());
        assert!(p.input("bad", Owner(0), [1], bad).is_err());
    }
    for bad in [0.0, -1.0] {
        assert!(matches!(p.input("bad", Owner(0), [1], bad), Err(ProgramError::Bound { .. })));
    }
    assert!(matches!(p.clamp(x, 2.0, 1.0), Err(ProgramError::Parameter { .. })));
    assert!(matches!(p.scale(x, 1e-20), Err(ProgramError::Parameter { .. })));
    assert_eq!(
        p.constant(&arr1(&[0.5, f64::NAN]).into_dyn()).unwrap_err().to_string(),
        "constant: element 1 is NaN, not a finite number"
    );
}

#[test]
fn constants_that_would_be_far_off_are_refused() {
    let mut p = builder();
    let x = input(&mut p, "x", &[2], 1.0);
    assert_eq!(
        p.constant(&arr1(&[0.5, -1e-7]).into_dyn()).unwrap_err().to_string(),
        "constant: element 1 is -1e-7, which 16 fraction bits would round to 0e0, more than 1/16 off; use scale to \
         multiply by a small number, more fraction bits, or write 0 if that is meant"
    );
    let unit = 2f64.powi(-16);
    // Rounded to 1 unit, which is a third off; 7.5 units are off by half a unit of 7.5, 8.5 by less than 1/16.
    for (units, fits) in [(0.4, false), (1.5, false), (7.5, false), (8.5, true), (1.0, true), (7.01, true)] {
        for v in [units * unit, -units * unit] {
            assert_eq!(p.number(v).is_ok(), fits, "{units} units");
            assert_eq!(p.add_public(x, v).is_ok(), fits, "{units} units");
        }
    }
    assert!(p.constant(&arr1(&[0.0, -0.0, 0.3, 1e-3]).into_dyn()).is_ok());
}

#[test]
fn handles_parties_and_names_are_checked() {
    let mut p = builder();
    let x = input(&mut p, "x", &[2], 1.0);
    let mut other = builder();
    let foreign = input(&mut other, "x", &[2], 1.0);
    assert!(matches!(p.add(x, foreign), Err(ProgramError::ForeignValue { op: "add", operand: 1 })));
    for r in [
        p.add_public(foreign, 1.0),
        p.scale(foreign, 0.5),
        p.assume_range(foreign, 1.0),
        p.concat(&[foreign], Axis(0)),
        p.clamp(foreign, 0.0, 1.0),
    ] {
        assert!(matches!(r, Err(ProgramError::ForeignValue { .. })));
    }
    assert!(matches!(p.output("o", foreign, &[0]), Err(ProgramError::ForeignValue { .. })));
    assert!(p.fact(foreign).is_err());
    assert_eq!(
        p.input("z", Owner(2), [1], 1.0).unwrap_err().to_string(),
        "input names party 2, but the program has parties 0 to 1"
    );
    assert!(matches!(p.output("o", x, &[2]), Err(ProgramError::NoSuchParty { .. })));
    assert!(matches!(p.output("o", x, &[]), Err(ProgramError::Recipients { .. })));
    assert!(matches!(p.output("o", x, &[1, 1]), Err(ProgramError::Recipients { .. })));
    let k = p.number(3.0).unwrap();
    assert!(matches!(p.neg(k), Err(ProgramError::PublicOnly { .. })));
    assert!(matches!(p.output("o", k, &[0]), Err(ProgramError::PublicOutput { .. })));
    assert!(matches!(p.select(x, x, x), Err(ProgramError::NotABit { .. })));
}

#[test]
fn extremes_and_sorts_that_cannot_be_are_named() {
    use Direction::{Ascending, Descending};
    let mut p = builder();
    let x = input(&mut p, "x", &[4, 3], 1.0);
    let y = input(&mut p, "y", &[3, 4], 1.0);
    let message = |r: Result<Value, ProgramError>| r.unwrap_err().to_string();
    let no_axis = "axis 2 of shape [4, 3] does not exist";
    assert!(message(p.max(x, Axis(2))).contains(no_axis));
    assert!(message(p.argmin(x, Axis(2))).contains(no_axis));
    assert!(message(p.argmax_one_hot(x, Axis(2))).contains(no_axis));
    assert!(message(p.sort(x, Axis(2), Ascending)).contains(no_axis));
    for k in [0, 5] {
        assert_eq!(
            message(p.top_k(x, k, Axis(0), Descending)),
            "node 2 (sort): at least one element is kept, and at most as many as there are"
        );
    }
    let with = p.top_k_with(x, y, 2, Axis(0), Descending).map(|(keys, _)| keys);
    assert!(message(with).contains("what moves along has a value beside every key"));
    // The result of keys and values has an axis more.
    let deep = input(&mut p, "deep", &[1, 1, 1, 1, 1, 2], 1.0);
    let with = p.top_k_with(deep, deep, 1, Axis(5), Descending).map(|(keys, _)| keys);
    assert!(message(with).contains("is not allowed"));
    let big = input(&mut p, "big", &[2], 2f64.powi(45));
    for r in [p.equal(big, big), p.minimum(big, big), p.maximum(big, big)] {
        assert!(message(r).contains("the difference of the operands may reach"));
    }
    let long = input(&mut p, "long", &[(1 << 16) + 1], 1.0);
    assert!(message(p.sort(long, Axis(0), Ascending)).contains("an axis of at most 2^16 elements is sorted"));
    assert!(p.max(long, Axis(0)).is_ok());
    // 2^16 elements take 2^16·16·17/4 comparisons; seven such sorts are too many.
    let most = p.slice(long, Axis(0), 0..1 << 16).unwrap();
    for _ in 0..7 {
        p.sort(most, Axis(0), Ascending).unwrap();
    }
    assert!(message(p.sort(most, Axis(0), Ascending)).contains("compare at most 2^25 times per column"));
}
