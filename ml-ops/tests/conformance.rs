//! Every operation against both references, on real shares with 2, 3 and 5 parties, at 8, 16 and 24 fraction bits; and
//! what every run costs against its plan.

use std::collections::BTreeMap;

use ml_ops::{Axis, Owner, Program, ProgramBuilder, ProgramError, Value, reference, run_local};
use mpc_core::fixed::FracBits;
use mpc_core::party::PartyId;
use ndarray::{Array2, ArrayD, arr1, arr2};

type Build = fn(&mut ProgramBuilder, Value, Value) -> Result<Value, ProgramError>;

/// How far a result may be from the references.
#[derive(Copy, Clone)]
enum Tolerance {
    /// The operation is exact on the ring.
    Exact,
    /// One truncation: one unit from the fixed-point reference, and from the float one.
    Unit,
    /// As one unit, but the float reference may differ by this relative error of a public factor as well.
    Factor(f64),
    /// The stated error of the sigmoid.
    Sigmoid,
}

const ROWS: usize = 5;
const COLUMNS: usize = 3;

/// Every operation with operands of every kind: x and y are secret and \[5, 3\].
fn cases() -> Vec<(&'static str, Tolerance, Build)> {
    use Tolerance::{Exact, Factor, Sigmoid, Unit};
    vec![
        ("add", Exact, |p, x, y| p.add(x, y)),
        ("add row", Exact, |p, x, y| {
            let y = p.slice(y, Axis(0), 2..3)?;
            p.add(x, y)
        }),
        ("add constant", Exact, |p, x, _| {
            let k = p.constant(&arr1(&[0.5, -1.25, 3.0]).into_dyn())?;
            p.add(k, x)
        }),
        ("add bit to fixed", Exact, |p, x, y| {
            let bit = p.less(x, y)?;
            p.add(bit, x)
        }),
        ("add public", Exact, |p, x, _| p.add_public(x, -2.5)),
        ("sub", Exact, |p, x, y| p.sub(x, y)),
        ("sub from constant", Exact, |p, x, _| {
            let k = p.number(1.5)?;
            p.sub(k, x)
        }),
        ("neg", Exact, |p, x, _| p.neg(x)),
        ("mul", Unit, |p, x, y| p.mul(x, y)),
        ("mul column by row", Unit, |p, x, y| {
            let column = p.slice(x, Axis(1), 0..1)?;
            let row = p.slice(y, Axis(0), 0..1)?;
            p.mul(column, row)
        }),
        ("mul constant", Unit, |p, x, _| {
            let k = p.constant(&arr1(&[0.5, -1.25, 3.0]).into_dyn())?;
            p.mul(x, k)
        }),
        ("mul integers", Exact, |p, x, _| {
            let k = p.constant(&arr1(&[2.0, -1.0, 3.0]).into_dyn())?;
            p.mul(k, x)
        }),
        ("mul bits", Exact, |p, x, y| {
            let (a, b) = (p.less(x, y)?, p.greater_equal(x, y)?);
            p.mul(a, b)
        }),
        ("mul bit by fixed", Exact, |p, x, y| {
            let bit = p.less(x, y)?;
            p.mul(bit, y)
        }),
        ("square", Unit, |p, x, _| p.square(x)),
        ("matmul", Unit, |p, x, y| {
            let t = p.transpose(y)?;
            p.matmul(x, t)
        }),
        ("matmul by constant", Unit, |p, x, _| {
            let k = p.constant(&arr2(&[[0.5, 1.5], [-1.25, 0.0], [2.0, 7.5]]).into_dyn())?;
            p.matmul(x, k)
        }),
        ("matmul of integers", Exact, |p, x, _| {
            let k = p.constant(&Array2::from_shape_fn((2, ROWS), |(i, j)| (i + j) as f64).into_dyn())?;
            p.matmul(k, x)
        }),
        ("dense", Unit, |p, x, y| {
            let w = p.transpose(y)?;
            let b = p.reshape(x, [ROWS * COLUMNS])?;
            let b = p.slice(b, Axis(0), 0..ROWS)?;
            p.dense(x, w, b)
        }),
        ("dense with public weights", Unit, |p, x, _| {
            let w = p.constant(&arr2(&[[0.5, 1.5], [-1.25, 0.0], [2.0, 7.5]]).into_dyn())?;
            let b = p.constant(&arr1(&[0.75, -3.0]).into_dyn())?;
            p.dense(x, w, b)
        }),
        ("dense of bits", Exact, |p, x, y| {
            let bits = p.less(x, y)?;
            let w = p.constant(&arr2(&[[3.0], [5.0], [7.0]]).into_dyn())?;
            let b = p.constant(&arr1(&[0.5]).into_dyn())?;
            p.dense(bits, w, b)
        }),
        ("sum of rows", Exact, |p, x, _| p.sum(x, Axis(0))),
        ("sum of columns", Exact, |p, x, _| p.sum(x, Axis(1))),
        ("sum to a number", Exact, |p, x, _| {
            let s = p.sum(x, Axis(0))?;
            p.sum(s, Axis(0))
        }),
        ("mean of fives", Factor(1e-6), |p, x, _| p.mean(x, Axis(0))),
        ("mean of fours", Unit, |p, x, _| {
            let x = p.slice(x, Axis(0), 0..4)?;
            p.mean(x, Axis(0))
        }),
        ("mean of one", Exact, |p, x, _| {
            let x = p.slice(x, Axis(0), 0..1)?;
            p.mean(x, Axis(0))
        }),
        ("mean of bits", Factor(1e-6), |p, x, y| {
            let bits = p.less(x, y)?;
            p.mean(bits, Axis(1))
        }),
        ("scale by integer", Exact, |p, x, _| p.scale(x, -3.0)),
        ("scale by fraction", Factor(1e-6), |p, x, _| p.scale(x, 0.001)),
        ("scale bits", Exact, |p, x, y| {
            let bits = p.greater(x, y)?;
            p.scale(bits, 0.5)
        }),
        ("reshape", Exact, |p, x, _| p.reshape(x, [COLUMNS, ROWS])),
        ("slice", Exact, |p, x, _| p.slice(x, Axis(1), 1..3)),
        ("concat", Exact, |p, x, y| p.concat(&[x, y, x], Axis(1))),
        ("concat with constants and bits", Exact, |p, x, y| {
            let ones = p.constant(&Array2::from_elem((ROWS, 1), 1.0).into_dyn())?;
            let bits = p.less(x, y)?;
            p.concat(&[ones, x, bits], Axis(1))
        }),
        ("transpose", Exact, |p, x, _| p.transpose(x)),
        ("less", Exact, |p, x, y| p.less(x, y)),
        ("less than constant", Exact, |p, x, _| {
            let k = p.number(0.5)?;
            p.less(x, k)
        }),
        ("greater", Exact, |p, x, y| p.greater(x, y)),
        ("less_equal", Exact, |p, x, y| p.less_equal(x, y)),
        ("greater_equal", Exact, |p, x, y| p.greater_equal(x, y)),
        ("compare counts", Exact, |p, x, y| {
            let bits = p.less(x, y)?;
            let votes = p.sum(bits, Axis(1))?;
            let most = p.number(1.5)?;
            p.greater(votes, most)
        }),
        ("select", Exact, |p, x, y| {
            let bit = p.less(x, y)?;
            p.select(bit, x, y)
        }),
        ("select constants", Exact, |p, x, y| {
            let bit = p.less(x, y)?;
            let (a, b) = (p.number(2.5)?, p.number(-1.0)?);
            p.select(bit, a, b)
        }),
        ("select by constant", Exact, |p, x, y| {
            let bit = p.constant(&arr1(&[1.0, 0.0, 1.0]).into_dyn())?;
            p.select(bit, x, y)
        }),
        ("select rows", Exact, |p, x, y| {
            let (a, b) = (p.slice(x, Axis(1), 0..1)?, p.slice(y, Axis(1), 0..1)?);
            let bit = p.less(a, b)?;
            p.select(bit, x, y)
        }),
        ("relu", Exact, |p, x, _| p.relu(x)),
        ("relu of counts", Exact, |p, x, y| {
            let (a, b) = (p.less(x, y)?, p.greater(x, y)?);
            let d = p.sub(a, b)?;
            p.relu(d)
        }),
        ("clamp", Exact, |p, x, _| p.clamp(x, -1.5, 2.25)),
        ("clamp of bits", Exact, |p, x, y| {
            let bits = p.less(x, y)?;
            p.clamp(bits, 0.25, 0.5)
        }),
        ("sigmoid", Sigmoid, |p, x, _| p.sigmoid(x)),
        ("sigmoid of bits", Sigmoid, |p, x, y| {
            let bits = p.less(x, y)?;
            p.sigmoid(bits)
        }),
        ("assume_range", Exact, |p, x, _| p.assume_range(x, 16.0)),
    ]
}

/// Multiples of 2^−8 between ±16, so that every scale represents them; with equal elements, zeros and extremes.
fn inputs() -> BTreeMap<String, ArrayD<f64>> {
    let x = Array2::from_shape_fn((ROWS, COLUMNS), |(i, j)| match (i, j) {
        (0, 0) => 16.0,
        (0, 1) => -16.0,
        (0, 2) => 0.0,
        (1, 0) => 1.0 / 256.0,
        (1, 1) => -1.0 / 256.0,
        _ => ((i * 977 + j * 331 + 13) % 4001) as f64 / 256.0 - 7.5,
    });
    let y = Array2::from_shape_fn((ROWS, COLUMNS), |(i, j)| match (i, j) {
        (0, 2) | (1, 2) => x[[i, j]],
        (1, 1) => 16.0,
        _ => 7.75 - ((i * 541 + j * 1777 + 101) % 4001) as f64 / 256.0,
    });
    BTreeMap::from([("x".to_owned(), x.into_dyn()), ("y".to_owned(), y.into_dyn())])
}

fn program(parties: usize, frac: u32, build: Build) -> Result<Program, ProgramError> {
    let names = &["a", "b", "c", "d", "e"][..parties];
    let mut p = Program::builder("case", FracBits::new(frac).expect("supported fraction bits"), names);
    let x = p.input("x", Owner(0), [ROWS, COLUMNS], 16.0)?;
    let y = p.input("y", Owner(1), [ROWS, COLUMNS], 16.0)?;
    let z = build(&mut p, x, y)?;
    p.output("z", z, &[parties - 1])?;
    p.build()
}

fn largest_difference(a: &ArrayD<f64>, b: &ArrayD<f64>) -> f64 {
    assert_eq!(a.shape(), b.shape());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

#[test]
fn every_operation_agrees_with_both_references_and_its_plan() {
    let inputs = inputs();
    for (name, tolerance, build) in cases() {
        for frac in [8, 16, 24] {
            let unit = 2f64.powi(-(frac as i32));
            for parties in [2, 3, 5] {
                let at = format!("{name}, {parties} parties, {frac} fraction bits");
                let program = program(parties, frac, build).unwrap();
                let fixed = &reference::fixed(&program, &inputs).unwrap()["z"];
                let float = &reference::float(&program, &inputs).unwrap()["z"];
                let runs = run_local(&program, &inputs, [frac as u8 + parties as u8; 32]).unwrap();

                let secure = &runs[parties - 1].outputs["z"];
                let largest = float.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
                let sigmoid = 8.0 * 2f64.powi(-(frac.min(16) as i32));
                let (from_fixed, from_float) = match tolerance {
                    Tolerance::Exact => (0.0, 0.0),
                    Tolerance::Unit => (unit, unit),
                    Tolerance::Factor(relative) => (unit, unit + relative * largest),
                    Tolerance::Sigmoid => (sigmoid, sigmoid + 4.72e-5),
                };
                let (d, limit) = (largest_difference(secure, fixed), from_fixed);
                assert!(d <= limit, "{at}: {d:e} from fixed point, allowed {limit:e}\n{secure}\n{fixed}");
                let (d, limit) = (largest_difference(secure, float), from_float);
                assert!(d <= limit, "{at}: {d:e} from floating point, allowed {limit:e}\n{secure}\n{float}");

                let bound = program.fact(program.outputs()[0].node).max_abs();
                assert!(secure.iter().all(|v| v.abs() <= bound), "{at}: beyond the inferred bound {bound}");
                let plan = program.plan();
                program.demand().check().unwrap();
                for (party, run) in PartyId::all(parties).zip(&runs) {
                    plan.check(party, &run.measured).unwrap_or_else(|e| panic!("{at}: {e}"));
                    assert_eq!(run.outputs.contains_key("z"), party.index() == parties - 1, "{at}");
                }
            }
        }
    }
}

#[test]
fn plans_add_up_and_state_the_costs_of_the_protocols() {
    let relu = program(3, 16, |p, x, _| p.relu(x)).unwrap().plan();
    let len = (ROWS * COLUMNS) as u64;
    let (op, others) = (&relu.ops[2], 2);
    assert_eq!((op.id, op.op, op.rounds), (2, "relu", 4));
    // 98 bits per element to each other party; every message is rounded up to bytes.
    let bits = op.online_bytes_per_party * 8 / others;
    assert!((98 * len..98 * len + 4 * 8).contains(&bits), "{bits} bits for {len} elements");
    assert_eq!(op.correlations.len(), 1);
    assert_eq!((op.correlations[0].kind, op.correlations[0].count), ("comparison_bundle", len as usize));
    let [confirm, output] = &relu.ops[3..] else { panic!("two final steps") };
    assert_eq!((confirm.op, confirm.rounds, confirm.online_bytes_per_party), ("confirm", 1, 64));
    assert_eq!((output.op, output.rounds, output.online_bytes_per_party), ("output", 1, 8 * len));
    assert_eq!(relu.rounds, 6);
    assert_eq!(relu.rounds, relu.ops.iter().map(|o| o.rounds).sum::<u64>());
    assert_eq!(relu.offline_bytes_per_party, relu.ops.iter().map(|o| o.offline_bytes_per_party).sum::<u64>());
    // The recipient, party 2, sends nothing in the last round, so it is not the busiest.
    let by_party: Vec<u64> = relu.sent_bytes.iter().map(|(_, &b)| b).collect();
    assert_eq!(by_party, [by_party[0], by_party[0], by_party[0] - 8 * len]);
    assert_eq!(relu.online_bytes_per_party, by_party[0]);
    assert!(relu.memory_bytes > 0);
    assert!(relu.estimates.wan.online_ms > 6.0 * 40.0 && relu.estimates.wan.online_ms < 300.0);
    assert!(relu.estimates.loopback.online_ms < relu.estimates.lan.online_ms);
}

#[test]
fn a_run_that_costs_something_else_is_a_mismatch() {
    let program = program(2, 16, |p, x, y| p.mul(x, y)).unwrap();
    let mut runs = run_local(&program, &inputs(), [1; 32]).unwrap();
    let (plan, me) = (program.plan(), PartyId::new(0));
    let measured = &mut runs[0].measured;
    plan.check(me, measured).unwrap();
    measured[2].sent_bytes += 1;
    let e = plan.check(me, measured).unwrap_err();
    assert_eq!((e.id, e.op), (2, "mul"));
    measured.pop();
    assert!(plan.check(me, measured).is_err());
}
