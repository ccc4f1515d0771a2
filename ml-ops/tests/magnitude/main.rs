//! Bounds are true: whatever inputs of the declared ranges say, no node of a program that builds leaves its inferred bound, and
//! nothing wraps on the way. What breaks a promise is found and named.
#![allow(clippy::unwrap_used, reason = "a test: a panic is how it fails")]

use std::collections::BTreeMap;

use ml_ops::{InputError, NodeId, Owner, Program, ProgramBuilder, RunError, Value, reference, run_local};
use mpc_core::fixed::FracBits;
use mpc_core::ring::Ring as _;
use ndarray::{ArrayD, IxDyn, arr1};

mod layers;
mod matrices;

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

/// Inputs at the ends of their ranges, or anywhere within.
fn corner(program: &Program, random: &mut Random, which: usize) -> Inputs {
    let unit = 2f64.powi(-(program.frac_bits().bits() as i32));
    let mut value = |limit: f64, whole: bool| {
        let sign = random.unit();
        let v = match which {
            0 => limit,
            1 => -limit,
            2 => limit * sign.signum(),
            3 => 0.0,
            // Ends, almost nothing, and anything beside each other.
            4 => [limit, -limit, 0.0, unit, -unit, limit * sign][random.below(6)],
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
fn within_bounds(program: &Program, values: &Inputs, what: &str) {
    for o in program.outputs() {
        let fact = program.fact(o.node);
        let unit = 2f64.powi(-(fact.scale as i32));
        let all = || values[&o.name].iter().copied();
        let (lo, hi) = (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max));
        let (least, most) = (fact.lo as f64 * unit, fact.hi as f64 * unit);
        let at = format!("{what}, node {} is {lo:e} to {hi:e}, allowed {least:e} to {most:e}", o.node);
        assert!(least <= lo && hi <= most, "{at}\n{program}");
        assert!(!fact.bit || all().all(|v| v == 0.0 || v == 1.0), "not a bit: {at}\n{program}");
    }
}

/// Checks every value of every node on the way, in every iteration: those in fixed point against the bound that inference found, to the
/// unit, and those in floating point against twice of it. Nothing wraps there, so what is about as large there did not wrap in
/// fixed point either. Factors that are encoded with few bits, and truncations, make small bounds smaller than the exact values.
fn all_within_bounds(program: &Program, inputs: &Inputs) {
    let op = |node: NodeId| program.nodes()[node as usize].op.name();
    reference::fixed_seen(program, inputs, |node, values| {
        let fact = program.fact(node);
        assert!(fact.bound == fact.lo.unsigned_abs().max(fact.hi.unsigned_abs()), "node {node}\n{program}");
        for v in values.as_slice().iter().map(|v| v.to_i64()) {
            let within = (fact.lo..=fact.hi).contains(&v) && (!fact.bit || v == 0 || v == 1);
            let allowed = format!("allowed {} to {}", fact.lo, fact.hi);
            assert!(within, "fixed: node {node} ({}) is {v}, {allowed}\n{program}", op(node));
        }
        Ok::<_, InputError>(())
    })
    .unwrap();
    reference::float_seen(program, inputs, |node, values| {
        let fact = program.fact(node);
        let unit = 2f64.powi(-(fact.scale as i32));
        let (least, most, room) = (fact.lo as f64 * unit, fact.hi as f64 * unit, fact.max_abs());
        for &v in values {
            let within = (least - room..=most + room).contains(&v);
            assert!(
                within,
                "float: node {node} ({}) is {v:e}, allowed {least:e} to {most:e}\n{program}",
                op(node)
            );
        }
        Ok::<_, InputError>(())
    })
    .unwrap();
    reference::check_ranges(program, inputs).unwrap();
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
