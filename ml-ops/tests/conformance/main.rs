//! Every operation against both references, on real shares with 2, 3 and 5 parties, at 8, 16 and 24 fraction bits; and
//! what every run costs against its plan.

use std::collections::BTreeMap;

use ml_ops::{Owner, Program, ProgramBuilder, ProgramError, Value, reference, run_local};
use mpc_core::fixed::FracBits;
use mpc_core::party::PartyId;
use ndarray::{Array2, ArrayD};

mod arithmetic;
mod functions;
mod layers;
mod order;
mod ranks;
mod reuse;
mod settings;

type Build = fn(&mut ProgramBuilder, Value, Value) -> Result<Value, ProgramError>;

/// How far a result may be from the references.
#[derive(Copy, Clone)]
enum Tolerance {
    /// The operation is exact on the ring.
    Exact,
    /// One truncation: one unit from the fixed-point reference, and from the float one.
    Unit,
    /// Several truncations, the first of which are multiplied: so many units.
    Units(f64),
    /// As one unit, but the float reference may differ by this relative error of a public factor as well.
    Factor(f64),
    /// A function by polynomials: so many units of 2^−min(f,16) from the fixed-point reference, and as much and the error of the
    /// fit from the float one.
    Function(f64, f64),
}

const ROWS: usize = 5;
const COLUMNS: usize = 3;

/// Every operation with operands of every kind: x and y are secret and \[5, 3\].
fn cases() -> Vec<(&'static str, Tolerance, Build)> {
    let all = [
        arithmetic::cases(),
        functions::cases(),
        order::cases(),
        ranks::cases(),
        reuse::cases(),
        layers::cases(),
    ];
    all.concat()
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
    program_with(parties, frac, |_| (), build)
}

fn program_with(
    parties: usize,
    frac: u32,
    settings: impl Fn(&mut ProgramBuilder),
    build: Build,
) -> Result<Program, ProgramError> {
    let names = &["a", "b", "c", "d", "e"][..parties];
    let mut p = Program::builder("case", FracBits::new(frac).expect("supported fraction bits"), names);
    settings(&mut p);
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
                let coarse = 2f64.powi(-(frac.min(16) as i32));
                let (from_fixed, from_float) = match tolerance {
                    Tolerance::Exact => (0.0, 0.0),
                    Tolerance::Unit => (unit, unit),
                    Tolerance::Units(n) => (n * unit, n * unit),
                    Tolerance::Factor(relative) => (unit, unit + relative * largest),
                    Tolerance::Function(units, fit) => (units * coarse, units * coarse + fit),
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
