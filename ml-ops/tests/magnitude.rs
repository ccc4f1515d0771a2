//! Bounds are true: whatever inputs of the declared ranges say, no node of a program that builds leaves its inferred bound, and
//! nothing wraps on the way. What breaks a promise is found and named.
#![allow(clippy::unwrap_used, reason = "a test: a panic is how it fails")]

use std::collections::BTreeMap;

use ml_ops::{
    Axis, Direction, InputError, Owner, Program, ProgramBuilder, ProgramError, RunError, Value, reference,
    run_local,
};
use mpc_core::fixed::FracBits;
use ndarray::{ArrayD, IxDyn, arr1};

type Inputs = BTreeMap<String, ArrayD<f64>>;

struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }

    fn unit(&mut self) -> f64 {
        self.below(1 << 20) as f64 / f64::from(1 << 19) - 1.0
    }

    fn pick(&mut self, from: &[Value]) -> Value {
        from[self.below(from.len())]
    }
}

/// One more operation on 3×3 matrices; those on bits take the last comparison.
fn step(
    p: &mut ProgramBuilder,
    random: &mut Random,
    all: &[Value],
    bits: &[Value],
) -> Result<Value, ProgramError> {
    let (a, b) = (random.pick(all), random.pick(all));
    let (bit, axis) = (random.pick(bits), Axis(random.below(2)));
    let scale = 2f64.powi(random.below(14) as i32 - 6);
    let whole = |p: &mut ProgramBuilder, row: Value| {
        let flat = p.reshape(row, [1, 3])?;
        let three = p.concat(&[flat, flat, flat], Axis(0))?;
        p.reshape(three, [3, 3])
    };
    match random.below(36) {
        0 => p.add(a, b),
        1 => p.sub(a, b),
        2 => p.neg(a),
        3 => p.mul(a, b),
        4 => p.square(a),
        5 => p.matmul(a, b),
        6 => {
            let bias = p.slice(b, Axis(0), 1..2)?;
            let bias = p.reshape(bias, [3])?;
            p.dense(a, b, bias)
        }
        7 => {
            let row = p.sum(a, axis)?;
            whole(p, row)
        }
        8 => {
            let row = p.mean(a, axis)?;
            whole(p, row)
        }
        9 => p.scale(a, random.unit() * scale),
        10 => p.scale(a, (random.unit() * 20.0).round()),
        11 => p.add_public(a, random.unit() * scale + scale),
        12 => {
            let values = arr1(&[0.0, 1.0 + scale, -2.5 * scale]).into_dyn();
            let row = p.constant(&values)?;
            p.mul(a, row)
        }
        13 => p.transpose(a),
        14 => p.gather(a, axis, &[2, 0, 2]),
        15 => {
            let sides = p.split(a, bit)?;
            let start = random.below(4);
            p.slice(sides, Axis(1), start..start + 3)
        }
        16 => p.minimum(a, b),
        17 => p.maximum(a, b),
        18 => p.abs(a),
        19 => p.sign(a),
        20 => {
            let row = p.max(a, axis)?;
            whole(p, row)
        }
        21 => {
            let row = p.argmin(a, axis)?;
            whole(p, row)
        }
        22 => p.argmax_one_hot(a, axis),
        23 => p.sort(a, axis, Direction::Descending),
        24 => Ok(p.top_k_with(a, b, 3, axis, Direction::Ascending)?.1),
        25 => p.select(bit, a, b),
        26 => p.relu(a),
        27 => {
            let (lo, hi) = (random.unit() * scale, random.unit() * scale);
            p.clamp(a, lo.min(hi), lo.max(hi))
        }
        28 => p.sigmoid(a),
        29 => p.tanh(a),
        30 => p.mul(bit, a),
        31 => {
            let other = random.pick(bits);
            let sum = p.add(bit, other)?;
            p.sub(sum, a)
        }
        32 => {
            let one = p.number(1.0)?;
            p.sub(one, a)
        }
        33 => {
            let top = p.slice(a, Axis(0), 0..2)?;
            let bottom = p.slice(b, Axis(0), 2..3)?;
            p.concat(&[top, bottom], Axis(0))
        }
        34 => {
            // A square less a product, as in variances.
            let (square, product) = (p.square(a)?, p.mul(a, a)?);
            p.sub(square, product)
        }
        _ => {
            // True by construction.
            let low = p.clamp(a, -scale, scale)?;
            p.assume_range(low, scale)
        }
    }
}

/// A program of random operations, every value of which is an output, and how often an operation was refused for its bounds.
fn random_program(random: &mut Random) -> (Program, u32) {
    let frac = [8, 16, 24][random.below(3)];
    let mut p = Program::builder("random", FracBits::new(frac).unwrap(), &["a", "b"]);
    let range = |random: &mut Random| 2f64.powi(random.below(30) as i32 - 3) * (1.0 + random.unit().abs());
    let x = p.input("x", Owner(0), [3, 3], range(random)).unwrap();
    let y = p.input("y", Owner(1), [3, 3], range(random)).unwrap();
    let n = p.integers("n", Owner(1), [3, 3], (range(random) + 1.0).floor()).unwrap();
    let (mut all, mut refused) = (vec![x, y, n], 0);
    let mut bits = vec![p.less(x, y).unwrap(), p.equal(x, n).unwrap()];
    while all.len() < 16 {
        match step(&mut p, random, &all, &bits) {
            Ok(v) => all.push(v),
            Err(ProgramError::Overflow { .. } | ProgramError::FactorPrecision { .. }) => refused += 1,
            // Operands that are public, factors that vanish: nothing to learn from.
            Err(_) => {}
        }
        if let (true, Ok(bit)) = (random.below(3) == 0, p.less_equal(random.pick(&all), random.pick(&all))) {
            bits.push(bit);
        }
    }
    for (i, &v) in all.iter().chain(&bits).enumerate() {
        p.output(&format!("v{i}"), v, &[0]).unwrap();
    }
    (p.build().unwrap(), refused)
}

/// Inputs at the ends of their ranges, or anywhere within.
fn corner(program: &Program, random: &mut Random, which: usize) -> Inputs {
    let mut value = |limit: f64, whole: bool| {
        let sign = random.unit();
        let v = match which {
            0 => limit,
            1 => -limit,
            2 => limit * sign.signum(),
            3 => 0.0,
            _ => limit * sign,
        };
        if whole { v.trunc() } else { v }
    };
    let of = |i: ml_ops::InputSpec<'_>| {
        let whole = program.fact(i.node).scale == 0;
        let array = ArrayD::from_shape_simple_fn(i.shape.dims(), || value(i.max_abs, whole));
        (i.name.to_owned(), array)
    };
    program.inputs().map(of).collect()
}

/// Checks every output against the bound of its node.
fn within_bounds(program: &Program, values: &Inputs, what: &str, slack: f64) {
    for o in program.outputs() {
        let fact = program.fact(o.node);
        let op = program.nodes()[o.node as usize].op.name();
        let unit = 2f64.powi(-(fact.scale as i32));
        let all = || values[&o.name].iter().copied();
        let (lo, hi) = (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max));
        let (least, most) = (fact.lo as f64 * unit, fact.hi as f64 * unit);
        let (room, node) = (fact.max_abs() * slack, o.node);
        let at = format!(
            "{what}, node {node} ({op}) is {lo:e} to {hi:e}, allowed {least:e} to {most:e}\n{program}"
        );
        assert!(fact.bound == fact.lo.unsigned_abs().max(fact.hi.unsigned_abs()), "{at}");
        assert!(least - room <= lo && hi <= most + room, "{at}");
        if fact.bit {
            assert!(values[&o.name].iter().all(|&v| v == 0.0 || v == 1.0), "not a bit: {at}");
        }
    }
}

#[test]
fn no_value_leaves_its_inferred_bound() {
    let mut random = Random(17);
    let mut refused = 0;
    for round in 0..400 {
        let (program, of) = random_program(&mut random);
        refused += of;
        for which in 0..6 {
            let inputs = corner(&program, &mut random, which);
            let fixed = reference::fixed(&program, &inputs).unwrap();
            within_bounds(&program, &fixed, "fixed", 0.0);
            // Nothing wraps here, so what is about as large here did not wrap there either. Factors that are encoded with few
            // bits, and truncations, make small bounds smaller than the exact values.
            let float = reference::float(&program, &inputs).unwrap();
            within_bounds(&program, &float, "float", 1.0);
            reference::check_ranges(&program, &inputs).unwrap();
            // The dither rounds up as well.
            if round < 12 {
                let secure = run_local(&program, &inputs, [round as u8; 32]).unwrap().remove(0).outputs;
                within_bounds(&program, &secure, "secure", 0.0);
            }
        }
    }
    // The generator goes to the limits, where the way is refused.
    assert!(refused > 200, "{refused} operations were refused");
}

#[test]
fn sides_of_zero_are_known() {
    let mut p = Program::builder("sides", FracBits::DEFAULT, &["a", "b"]);
    let x = p.input("x", Owner(0), [3], 8.0).unwrap();
    let y = p.input("y", Owner(1), [3], 8.0).unwrap();
    let one = p.number(1.0).unwrap();
    // Not, and, or of bits are bits, and choose.
    let (less, equal) = (p.less(x, y).unwrap(), p.equal(x, y).unwrap());
    let not = p.sub(one, less).unwrap();
    let and = p.mul(not, equal).unwrap();
    let or = p.maximum(not, equal).unwrap();
    for bit in [not, and, or] {
        assert!(p.fact(bit).unwrap().bit);
        p.select(bit, x, y).unwrap();
    }
    assert!(!p.fact(x).unwrap().bit);
    let sum = p.add(less, equal).unwrap();
    assert!(p.select(sum, x, y).is_err());
    // Differences of what is not negative are no larger than either.
    let (squared, size) = (p.square(x).unwrap(), p.abs(y).unwrap());
    let range = |p: &ProgramBuilder, v: Value| {
        let fact = p.fact(v).unwrap();
        [fact.lo, fact.hi].map(|v| v as f64 / 2f64.powi(fact.scale as i32))
    };
    assert_eq!((range(&p, squared), range(&p, size)), ([0.0, 64.0], [0.0, 8.0]));
    let difference = p.sub(squared, size).unwrap();
    assert_eq!(range(&p, difference), [-8.0, 64.0]);
    let rest = p.relu(difference).unwrap();
    let clamped = p.clamp(rest, -1.0, 3.5).unwrap();
    assert_eq!((range(&p, rest), range(&p, clamped)), ([0.0, 64.0], [0.0, 3.5]));
    let low = p.scale(clamped, -2.0).unwrap();
    assert_eq!(range(&p, low), [-7.0, 0.0]);
    // A square as large as there is room for, less another, still has room.
    let large = p.input("large", Owner(0), [3], 2f64.powi(15) - 1.0).unwrap();
    let (a, b) = (p.square(large).unwrap(), p.mul(large, large).unwrap());
    assert!(p.matmul(a, b).is_err());
    let (least, first) = (range(&p, a)[0], range(&p, b)[0]);
    assert!(least == 0.0 && first < -1e9, "{least} {first}");
}

#[test]
fn a_broken_promise_is_found_and_named_before_anything_runs() {
    let mut p = Program::builder("promise", FracBits::DEFAULT, &["a", "b"]);
    let x = p.input("x", Owner(0), [2, 2], 100.0).unwrap();
    let y = p.input("y", Owner(1), [2, 2], 100.0).unwrap();
    let product = p.mul(x, y).unwrap();
    let kept = p.assume_range(product, 50.0).unwrap();
    let low = p.relu(kept).unwrap();
    let less = p.assume_range(low, 10.0).unwrap();
    p.output("z", less, &[0]).unwrap();
    let program = p.build().unwrap();
    let inputs = |v: [f64; 4]| {
        let of = |values: Vec<f64>| ArrayD::from_shape_vec(IxDyn(&[2, 2]), values).unwrap();
        BTreeMap::from([("x".to_owned(), of(v.to_vec())), ("y".to_owned(), of(vec![5.0; 4]))])
    };
    run_local(&program, &inputs([1.0, 2.0, -10.0, 0.0]), [1; 32]).unwrap();
    let seen = |v| run_local(&program, &inputs(v), [1; 32]).unwrap_err().to_string();
    assert_eq!(
        seen([3.0, 11.0, -20.0, 0.0]),
        "node 3 (assume_range) promises ±50 of node 2 (mul), but row 2, column 1 is -100: what follows is meaningless; promise a wider range, or clamp"
    );
    assert!(
        seen([3.0, 2.0, -9.0, 0.0])
            .starts_with("node 5 (assume_range) promises ±10 of node 4 (relu), but row 1, column 1 is 15")
    );
    let outside = run_local(&program, &inputs([101.0; 4]), [1; 32]).unwrap_err();
    assert!(matches!(outside, RunError::Range(_)), "{outside}");
    let mut missing = inputs([0.0; 4]);
    missing.remove("y");
    let e = run_local(&program, &missing, [1; 32]).unwrap_err();
    assert!(matches!(e, RunError::Input(InputError::Missing { .. })), "{e}");
}

#[test]
fn a_promise_of_a_loop_is_checked_in_every_iteration() {
    let mut p = Program::builder("growing", FracBits::DEFAULT, &["a", "b"]);
    let x = p.input("x", Owner(0), [2], 8.0).unwrap();
    let grown = p.repeat(4, &[(x, 64.0)], |p, carried| Ok(vec![p.scale(carried[0], 2.0)?])).unwrap();
    p.output("y", grown[0], &[1]).unwrap();
    let program = p.build().unwrap();
    let run = |v: f64| {
        let inputs = BTreeMap::from([("x".to_owned(), arr1(&[0.5, v]).into_dyn())]);
        run_local(&program, &inputs, [1; 32])
    };
    assert_eq!(run(-4.0).unwrap()[1].outputs["y"], arr1(&[8.0, -64.0]).into_dyn());
    // Too large after the last iteration, and after the third.
    for (v, expected) in [
        (-4.25, "node 3 (carried) promises ±64 of node 2 (scale), but row 2 is -68"),
        (8.0, "node 3 (carried) promises ±64 of node 2 (scale), but row 2 is 128"),
    ] {
        let seen = run(v).unwrap_err().to_string();
        assert!(seen.starts_with(expected), "{seen}");
    }
}

#[test]
fn a_fraction_is_no_integer() {
    let mut p = Program::builder("codes", FracBits::DEFAULT, &["a", "b"]);
    let x = p.integers("codes", Owner(0), [2], 9.0).unwrap();
    let y = p.integer_weights("table", Owner(1), [2], 9.0).unwrap();
    let z = p.mul(x, y).unwrap();
    assert_eq!((p.fact(z).unwrap().scale, p.fact(z).unwrap().bound), (0, 81));
    p.output("z", z, &[0]).unwrap();
    let program = p.build().unwrap();
    let inputs = |v: [f64; 2]| {
        BTreeMap::from([
            ("codes".to_owned(), arr1(&v).into_dyn()),
            ("table".to_owned(), arr1(&[-9.0, 7.0]).into_dyn()),
        ])
    };
    let run = run_local(&program, &inputs([9.0, -3.0]), [1; 32]).unwrap();
    assert_eq!(run[0].outputs["z"], arr1(&[-81.0, -21.0]).into_dyn());
    // A product of integers takes no truncation.
    assert_eq!(program.plan().ops[2].rounds, 1);
    let seen = |v| run_local(&program, &inputs(v), [1; 32]).unwrap_err().to_string();
    assert_eq!(
        seen([1.0, 2.5]),
        "input \"codes\", row 2: 2.5 is not an integer, as the program declares this input"
    );
    assert_eq!(seen([1.0, 10.0]), "input \"codes\", row 2: 10 is outside the declared range ±9");
    let decoded = Program::decode(&program.encode()).unwrap();
    assert_eq!(decoded, program);
}
