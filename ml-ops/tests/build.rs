//! What the builder infers and what it refuses, with the messages that users see.

use ml_ops::{
    Axis, Direction, Link, Outside, Owner, Program, ProgramBuilder, ProgramError, Rounding, Sliding,
    TreeChoice, Trees, Value,
};
use mpc_core::fixed::FracBits;
use ndarray::{arr1, arr2};

fn builder() -> ProgramBuilder {
    Program::builder("test", FracBits::DEFAULT, &["a", "b"])
}

fn input(p: &mut ProgramBuilder, name: &str, shape: &[usize], max_abs: f64) -> Value {
    p.input(name, Owner(0), shape, max_abs).expect("a plain input")
}

#[test]
fn facts_follow_the_operations() {
    let mut p = builder();
    let x = input(&mut p, "x", &[4, 3], 10.0);
    let w = input(&mut p, "w", &[3, 2], 2.0);
    let row = input(&mut p, "row", &[3], 5.0);
    let list = input(&mut p, "list", &[2, 4, 3], 5.0);
    let image = input(&mut p, "image", &[1, 2, 3, 3], 5.0);
    let kernel = input(&mut p, "kernel", &[3, 2, 2, 2], 3.0);
    let less = p.less(x, row).unwrap();
    let integers = p.constant(&arr2(&[[1.0, -2.0, 3.0]]).into_dyn()).unwrap();
    let made = [
        (x, "[4, 3]", 16, 10.0, false),
        (p.add(x, row).unwrap(), "[4, 3]", 16, 15.0, false),
        (p.sub(row, x).unwrap(), "[4, 3]", 16, 15.0, false),
        (p.mul(x, row).unwrap(), "[4, 3]", 16, 50.0, false),
        (p.square(x).unwrap(), "[4, 3]", 16, 100.0, false),
        (p.matmul(x, w).unwrap(), "[4, 2]", 16, 60.0, false),
        (less, "[4, 3]", 0, 1.0, true),
        (p.mul(less, x).unwrap(), "[4, 3]", 16, 10.0, false),
        (p.mul(less, less).unwrap(), "[4, 3]", 0, 1.0, true),
        (p.select(less, x, row).unwrap(), "[4, 3]", 16, 10.0, false),
        (p.sum(less, Axis(1)).unwrap(), "[4]", 0, 3.0, false),
        (p.mean(x, Axis(1)).unwrap(), "[4]", 16, 10.0, false),
        (p.mean(x, Axis(0)).unwrap(), "[3]", 16, 10.0, false),
        (p.clamp(x, -1.0, 2.5).unwrap(), "[4, 3]", 16, 2.5, false),
        // No element is above 10.
        (p.clamp(x, 20.0, 30.0).unwrap(), "[4, 3]", 16, 20.0, false),
        (p.clamp(x, -30.0, 30.0).unwrap(), "[4, 3]", 16, 10.0, false),
        (p.assume_range(x, 3.0).unwrap(), "[4, 3]", 16, 3.0, false),
        (p.transpose(x).unwrap(), "[3, 4]", 16, 10.0, false),
        (p.permute(x, &[1, 0]).unwrap(), "[3, 4]", 16, 10.0, false),
        (p.pad(x, &[1, 0], &[0, 2], -12.5).unwrap(), "[5, 5]", 16, 12.5, false),
        (p.pad(less, &[1, 0], &[0, 2], 1.0).unwrap(), "[5, 5]", 0, 1.0, true),
        (p.pad(less, &[1, 0], &[0, 2], -2.0).unwrap(), "[5, 5]", 0, 2.0, false),
        (p.pad(less, &[1, 0], &[0, 2], 0.5).unwrap(), "[5, 5]", 16, 1.0, false),
        (p.matmul(list, w).unwrap(), "[2, 4, 2]", 16, 30.0, false),
        // Two channels of 2×2 and three times as large weights.
        (p.conv2d(image, kernel, None, Sliding::by(1)).unwrap(), "[1, 3, 2, 2]", 16, 8.0 * 5.0 * 3.0, false),
        (
            p.conv2d(image, kernel, Some(row), Sliding::by(2).padded(1)).unwrap(),
            "[1, 3, 2, 2]",
            16,
            125.0,
            false,
        ),
        (p.unfold(image, [2, 1], Sliding::by(1), Outside::Zero).unwrap(), "[1, 2, 2, 2, 3]", 16, 5.0, false),
        (p.max_pool2d(image, [2, 2], Sliding::by(1)).unwrap(), "[1, 2, 2, 2]", 16, 5.0, false),
        (p.average_pool2d(image, [2, 2], Sliding::by(1), true).unwrap(), "[1, 2, 2, 2]", 16, 5.0, false),
        (p.global_average_pool(image).unwrap(), "[1, 2]", 16, 5.0 + 1.0 / 65536.0, false),
        (p.global_max_pool(image).unwrap(), "[1, 2]", 16, 5.0, false),
        (p.flatten(image, Axis(2)).unwrap(), "[2, 9]", 16, 5.0, false),
        (p.slice(x, Axis(1), 1..3).unwrap(), "[4, 2]", 16, 10.0, false),
        (p.reshape(x, [12]).unwrap(), "[12]", 16, 10.0, false),
        (p.concat(&[x, less], Axis(0)).unwrap(), "[8, 3]", 16, 10.0, false),
        (p.scale(x, -3.0).unwrap(), "[4, 3]", 16, 30.0, false),
        (p.mul(x, integers).unwrap(), "[4, 3]", 16, 30.0, false),
        (p.neg(less).unwrap(), "[4, 3]", 0, 1.0, false),
        (p.relu(x).unwrap(), "[4, 3]", 16, 10.0, false),
        (p.equal(x, row).unwrap(), "[4, 3]", 0, 1.0, true),
        (p.not_equal(less, integers).unwrap(), "[4, 3]", 0, 1.0, true),
        (p.minimum(x, row).unwrap(), "[4, 3]", 16, 10.0, false),
        (p.maximum(row, less).unwrap(), "[4, 3]", 16, 5.0, false),
        (p.maximum(less, less).unwrap(), "[4, 3]", 0, 1.0, true),
        (p.abs(x).unwrap(), "[4, 3]", 16, 10.0, false),
        (p.sign(x).unwrap(), "[4, 3]", 0, 1.0, false),
        (p.max(x, Axis(0)).unwrap(), "[3]", 16, 10.0, false),
        (p.min(less, Axis(1)).unwrap(), "[4]", 0, 1.0, true),
        (p.argmax(x, Axis(0)).unwrap(), "[3]", 0, 3.0, false),
        (p.argmin(w, Axis(1)).unwrap(), "[3]", 0, 1.0, true),
        (p.argmax_one_hot(x, Axis(1)).unwrap(), "[4, 3]", 0, 1.0, true),
        (p.sort(x, Axis(1), Direction::Ascending).unwrap(), "[4, 3]", 16, 10.0, false),
        (p.top_k(less, 2, Axis(0), Direction::Descending).unwrap(), "[2, 3]", 0, 1.0, true),
        (p.top_k_with(x, less, 2, Axis(0), Direction::Descending).unwrap().1, "[2, 3]", 16, 10.0, false),
    ];
    for (v, shape, scale, max_abs, bit) in made {
        let f = p.fact(v).unwrap();
        assert_eq!((&*f.shape.to_string(), f.scale, f.max_abs(), f.bit), (shape, scale, max_abs, bit));
    }
}

#[test]
fn layers_that_do_not_fit_are_refused() {
    type Build = fn(&mut ProgramBuilder, Value, Value) -> Result<Value, ProgramError>;
    // x is [2, 4, 5, 5] and w is [6, 2, 3, 3].
    let refused: &[(Build, &str)] = &[
        (
            |p, x, w| p.conv2d(x, w, None, Sliding::by(1)),
            "node 2 (conv2d): shapes [2, 4, 5, 5] and [6, 2, 3, 3] do not fit: images are [images,",
        ),
        (|p, x, w| p.conv2d_grouped(x, w, None, Sliding::by(1), 3), "groups divide filters"),
        (
            |p, x, w| p.conv2d_grouped(x, w, None, Sliding::by(1).dilated(3), 2),
            "not larger than a padded image",
        ),
        (|p, x, w| p.conv2d_grouped(x, w, None, Sliding::by(0), 2), "steps are 1 or more"),
        (
            |p, x, w| p.conv2d_grouped(x, w, None, Sliding::by(1 << 40), 2),
            "steps and padding are at most 2^27",
        ),
        (|p, x, w| p.conv2d_grouped(x, w, None, Sliding::by(1).padded(1 << 20), 2), "at most 2^42 products"),
        (|p, x, w| p.conv2d_grouped(x, w, Some(w), Sliding::by(1), 2), "one number per filter"),
        (
            |p, x, w| {
                let w = p.sum(w, Axis(0))?;
                p.conv2d(x, w, None, Sliding::by(1))
            },
            "images are [images,",
        ),
        (
            |p, x, _| p.unfold(x, [6, 1], Sliding::by(1), Outside::Zero),
            "a window is not larger than a padded image",
        ),
        (
            |p, x, _| p.unfold(x, [0, 1], Sliding::by(1), Outside::Zero),
            "a window is not larger than a padded image",
        ),
        (
            |p, x, _| p.unfold(x, [2, 2], Sliding::by(1).padded(2), Outside::Nearest),
            "padding is less than a window",
        ),
        (|p, x, _| p.max_pool2d(x, [2, 2], Sliding::by(2).padded(2)), "padding is less than a window"),
        (
            |p, x, _| p.average_pool2d(x, [2, 2], Sliding::by(2).padded(2), false),
            "every window has an element of the image",
        ),
        (
            |p, x, _| {
                let x = p.sum(x, Axis(0))?;
                p.max_pool2d(x, [2, 2], Sliding::by(2))
            },
            "expected images [images, channels, height, width], got shape [4, 5, 5]",
        ),
        (|p, x, _| p.permute(x, &[0, 1, 2]), "the order names every axis once"),
        (|p, x, _| p.permute(x, &[0, 1, 2, 2]), "the order names every axis once"),
        (|p, x, _| p.permute(x, &[0, 1, 2, 4]), "the order names every axis once"),
        (|p, x, _| p.pad(x, &[0; 4], &[0; 3], 0.0), "for every axis"),
        (|p, x, _| p.pad(x, &[usize::MAX, 0, 0, 0], &[1; 4], 0.0), "not allowed"),
        (|p, x, _| p.pad(x, &[0; 4], &[1; 4], 1e-9), "would round to 0"),
        (|p, x, _| p.pad(x, &[0; 4], &[1; 4], f64::NAN), "pad: "),
        (|p, x, _| p.flatten(x, Axis(5)), "axis 5 of shape [2, 4, 5, 5] does not exist"),
        (|p, x, w| p.matmul(x, w), "columns of the first must equal rows of the second"),
        (
            |p, x, w| {
                let w = p.permute(w, &[1, 0, 2, 3])?;
                let w = p.pad(w, &[0; 4], &[0, 0, 2, 0], 0.0)?;
                p.matmul(x, w)
            },
            "leading axes must be equal or 1",
        ),
        (|p, x, w| p.dense(x, w, w), "weights are a matrix"),
        (|p, x, w| p.batch_norm(x, w, w), "axes must be equal or 1"),
        (|p, x, w| p.layer_norm(x, w, w, 0.0), "ε is a positive number"),
    ];
    for (build, why) in refused {
        let mut p = builder();
        let x = input(&mut p, "x", &[2, 4, 5, 5], 1.0);
        let w = input(&mut p, "w", &[6, 2, 3, 3], 1.0);
        let error = build(&mut p, x, w).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(why), "{error:?} does not say {why:?}");
    }
    // What one convolution may take of a dealer's time.
    let mut p = builder();
    let x = input(&mut p, "x", &[1, 1, 1 << 13, 1 << 13], 1e-3);
    let w = input(&mut p, "w", &[1, 1, 1 << 12, 1 << 12], 1e-3);
    let error = p.conv2d(x, w, None, Sliding::by(1)).unwrap_err().to_string();
    assert!(error.contains("at most 2^42 products"), "{error}");
}

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
fn whole_programs_are_checked_at_the_end() {
    let build = |name: &str, parties: &[&str], inputs: &[&str], outputs: &[&str]| {
        let mut p = Program::builder(name, FracBits::DEFAULT, parties);
        let mut last = None;
        for i in inputs {
            last = Some(p.input(i, Owner(0), [1], 1.0)?);
        }
        for o in outputs {
            p.output(o, last.expect("an input"), &[0])?;
        }
        p.build()
    };
    let ab = ["a", "b"];
    assert!(build("ok", &ab, &["x"], &["y"]).is_ok());
    assert!(matches!(build("p", &["a"], &["x"], &["y"]), Err(ProgramError::PartyCount { got: 1 })));
    assert!(matches!(build("p", &["a"; 6], &["x"], &["y"]), Err(ProgramError::PartyCount { got: 6 })));
    assert!(matches!(build("p", &["a", "a"], &["x"], &["y"]), Err(ProgramError::DuplicateName { .. })));
    assert!(matches!(build("p", &ab, &["x", "x"], &["y"]), Err(ProgramError::DuplicateName { .. })));
    assert!(matches!(build("p", &ab, &["x"], &["x"]), Err(ProgramError::DuplicateName { .. })));
    assert!(matches!(build("p", &ab, &["x"], &[]), Err(ProgramError::NoOutput { .. })));
    let long = "n".repeat(129);
    for bad in ["", "a\nb", "quo\"te", "a\u{202e}b", "a\u{3164}b", long.as_str()] {
        assert!(matches!(build(bad, &ab, &["x"], &["y"]), Err(ProgramError::BadName { .. })), "{bad:?}");
        assert!(matches!(build("p", &ab, &[bad], &["y"]), Err(ProgramError::BadName { .. })), "{bad:?}");
    }
    // Indices beyond any roster are refused even while the roster is too long.
    let mut p = Program::builder("p", FracBits::DEFAULT, &["a"; 8]);
    assert!(matches!(p.input("x", Owner(7), [1], 1.0), Err(ProgramError::NoSuchParty { .. })));
    let mut p = Program::builder("p", FracBits::DEFAULT, &[]);
    assert!(p.input("x", Owner(0), [1], 1.0).unwrap_err().to_string().contains("party 0"));
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
fn whatever_builds_is_within_the_limits_of_a_dealer() {
    let most = 1 << 21;
    let mut p = builder();
    let x = input(&mut p, "x", &[most], 8.0);
    let c = p.clamp(x, -1.0, 1.0).unwrap();
    let s = p.sigmoid(c).unwrap();
    let positive = p.greater(s, c).unwrap();
    p.output("o", positive, &[0]).unwrap();
    p.build().unwrap().demand().check().unwrap();

    let mut p = builder();
    let x = input(&mut p, "x", &[most + 1], 8.0);
    let e = p.relu(x).unwrap_err().to_string();
    assert_eq!(
        e,
        "node 1 (relu): one node compares at most 2^21 elements; compute a window of rows at a time"
    );
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

#[test]
fn exact_rounding_has_a_limit_of_its_own() {
    let build = |rounding, elements: usize| {
        let mut p = builder();
        p.rounding(rounding);
        let x = input(&mut p, "x", &[elements], 1.0);
        let y = p.square(x).unwrap();
        p.output("y", y, &[0]).unwrap();
        p.build().map(|program| program.demand().check().unwrap())
    };
    let most = 1 << 22;
    assert!(build(Rounding::Exact, most).is_ok());
    assert!(build(Rounding::Dithered, most + 1).is_ok());
    assert_eq!(
        build(Rounding::Exact, most + 1).unwrap_err().to_string(),
        "node 1 (square): a dealer makes bundles for at most 2^22 elements and of at most 2 GiB at once; compute a window of \
         rows at a time, or take narrower trees"
    );
}

#[test]
fn what_a_dealer_would_not_make_with_wide_trees_is_refused() {
    let most_of_all = |trees, rounding| {
        let mut p = Program::builder("test", FracBits::new(24).unwrap(), &["a", "b"]);
        p.trees(trees).rounding(rounding);
        let x = input(&mut p, "x", &[2, 1 << 20], 1.0);
        let y = p.square(x).unwrap();
        let y = p.clamp(y, -0.5, 0.5).unwrap();
        let s = p.sigmoid(y).unwrap();
        let signs = p.sign(s).unwrap();
        let (keys, _) = p.top_k_with(s, signs, 1, Axis(0), Direction::Ascending).unwrap();
        let place = p.argmax_one_hot(s, Axis(0)).unwrap();
        p.output("keys", keys, &[0]).unwrap();
        p.output("place", place, &[0]).unwrap();
        // Whatever builds is made.
        p.build().map(|program| program.demand().check().unwrap())
    };
    let mut refused = vec![];
    for tree in TreeChoice::ALL {
        for rounding in [Rounding::Dithered, Rounding::Exact] {
            if let Err(e) = most_of_all(Trees::Fixed(tree), rounding) {
                assert!(
                    e.to_string().contains("(sigmoid): a dealer makes bundles for at most"),
                    "{tree}: {e}"
                );
                refused.push((tree.fan_in(), rounding));
            }
        }
    }
    assert!(!refused.is_empty() && refused.iter().all(|(fan_in, _)| *fan_in == 8), "{refused:?}");
    // The choice for a link is one that a dealer makes.
    for rounding in [Rounding::Dithered, Rounding::Exact] {
        most_of_all(Trees::For(Link::WAN), rounding).unwrap();
    }
}

#[test]
fn stages_of_all_tournaments_fit_into_a_demand() {
    let mut p = builder();
    let x = input(&mut p, "x", &[1 << 16], 1.0);
    // Levels of a tournament of 2^16.
    for _ in 0..(1 << 19) / 16 {
        p.max(x, Axis(0)).unwrap();
    }
    let e = p.max(x, Axis(0)).unwrap_err().to_string();
    assert!(
        e.contains("(max): all sorts and extremes of a program together have at most 2^19 stages"),
        "{e}"
    );
    let y = p.neg(x).unwrap();
    p.output("y", y, &[0]).unwrap();
    p.build().unwrap().demand().check().unwrap();
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
