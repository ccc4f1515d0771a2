//! Values that could become too large, and ranges of functions.

use ml_ops::{Axis, ProgramBuilder, ProgramError, Value};

use super::{builder, input};

#[test]
fn a_product_that_could_leave_the_headroom_is_refused_with_the_way_out() {
    let mut p = builder();
    let x = input(&mut p, "x", &[10, 100], 4096.0);
    let w = input(&mut p, "w", &[100, 1], 4096.0);
    let e = p.matmul(x, w).unwrap_err();
    assert_eq!(
        e.to_string(),
        "node 2 (matmul): the product before truncation may reach ±1.6777e9 at 32 fraction bits, the limit is \
         ±1073741824 (2^30); narrow an operand with assume_range or clamp, or use fewer fraction bits"
    );
    let narrow = p.assume_range(x, 1000.0).unwrap();
    assert!(p.matmul(narrow, w).is_ok());
    // 2^62 itself is refused, one unit less is not.
    let big = input(&mut p, "big", &[], 2f64.powi(45));
    assert!(matches!(p.add(big, big), Err(ProgramError::Overflow { .. })));
    let half = input(&mut p, "half", &[], 2f64.powi(45) - 1.0);
    assert!(p.add(half, big).is_ok());
    assert!(matches!(p.less(big, big), Err(ProgramError::Overflow { .. })));
}

#[test]
fn functions_know_their_largest_value_and_their_range() {
    let mut p = builder();
    let x = input(&mut p, "x", &[3], 8.0);
    let wide = input(&mut p, "wide", &[3], 2f64.powi(44));
    let bound = |p: &ProgramBuilder, v| p.fact(v).unwrap().max_abs();
    // Exact values are 0.99967, 1, 8, 2.9899 and 0.9997; the rest is the error of the fit, a unit and what powers take.
    for (v, exact) in [
        (p.sigmoid(x).unwrap(), 0.999_665),
        (p.tanh(wide).unwrap(), 1.0),
        (p.gelu(x).unwrap(), 8.0),
        (p.softplus(x).unwrap(), 8.000_335),
        (p.elu(x, 64.0).unwrap(), 63.978_53),
        (p.exp_negative(wide).unwrap(), 1.0),
    ] {
        let got = bound(&p, v);
        assert!((exact..exact + 64.0 * 3e-5 + 1e-3).contains(&(got + 5e-5)), "{got}, exact {exact}");
    }
    let message = |r: Result<Value, ProgramError>| r.unwrap_err().to_string();
    assert_eq!(
        message(p.gelu(wide)),
        "node 8 (gelu): the operand may reach ±1.7592e13 at 16 fraction bits, the limit is ±33554432 (2^25); narrow an operand \
         with assume_range or clamp, or use fewer fraction bits"
    );
    let narrow = p.assume_range(wide, 2f64.powi(25)).unwrap();
    assert!(p.silu(narrow).is_ok());
    let too_wide = input(&mut p, "too wide", &[3], 2f64.powi(45));
    assert!(message(p.tanh(too_wide)).contains("(tanh): the operand may reach"));
    for alpha in [0.0, -1.0, 64.5, f64::NAN, f64::INFINITY] {
        assert!(message(p.elu(x, alpha)).contains("(elu): α is above 0, and 64 at most"), "{alpha}");
    }
    let five = p.number(5.0).unwrap();
    assert!(matches!(p.gelu(five), Err(ProgramError::PublicOnly { .. })));
}

#[test]
fn ranges_that_functions_do_not_have_are_refused() {
    let mut p = builder();
    let x = input(&mut p, "x", &[2], 100.0);
    let known = p.number(2.0).unwrap();
    let refused = [
        (p.exp(x, 60.0), "node 2 (exp): its largest result is too large; name a narrower range"),
        (p.exp(x, f64::NAN), "node 2 (exp): limits are finite numbers, and zero has no sign"),
        (p.exp(x, -20.0), "node 2 (exp): no argument within the operand's bound is in its range"),
        (p.log(x, ..), "node 2 (log): the least argument must be above zero"),
        (p.log(x, 0.0..10.0), "node 2 (log): the least argument must be above zero"),
        (p.log(x, 200.0..), "node 2 (log): the least argument must not be above the largest"),
        (p.rsqrt(x, 5.0..=4.0), "node 2 (rsqrt): the least argument must not be above the largest"),
        (p.reciprocal(x, -1.0..), "node 2 (reciprocal): the least argument must be above zero"),
        (p.divide(x, x, ..), "node 2 (divide): the least argument must be above zero"),
        (
            p.divide(x, known, 1.0..),
            "node 2 (divide): a divisor that everybody knows is divided by with a factor",
        ),
    ];
    for (i, (result, message)) in refused.into_iter().enumerate() {
        let error = result.expect_err(message).to_string();
        assert!(error.contains(message), "{i}: {error}\n{message}");
    }
    let large = input(&mut p, "large", &[2], 1e6);
    let error = p.divide(large, x, 1e-4..).expect_err("the quotient has no room");
    assert!(matches!(error, ProgramError::Overflow { op: "divide", .. }), "{error}");
    // A narrower promise, and room.
    let small = p.assume_range(large, 100.0).unwrap();
    let ratio = p.divide(small, x, 0.5..).unwrap();
    assert!(p.fact(ratio).unwrap().max_abs() < 200.1);
    let part = p.softmax(x, Axis(0)).unwrap();
    let largest = p.fact(part).unwrap().max_abs();
    assert!(largest < 1.001, "{largest}");
}
