//! Public factors and means against the true k and 1/n, whatever bound the program declares; and what is refused.

use std::collections::BTreeMap;

use ml_ops::{Axis, Owner, Program, ProgramError, reference, run_local};
use mpc_core::fixed::FracBits;
use mpc_core::party::PartyId;
use ndarray::{ArrayD, arr1};

type Inputs = BTreeMap<String, ArrayD<f64>>;

fn one_input(values: &ArrayD<f64>) -> Inputs {
    BTreeMap::from([("x".to_owned(), values.clone())])
}

fn scaling(frac: u32, len: usize, max_abs: f64, k: f64) -> Result<Program, ProgramError> {
    let mut p = Program::builder("scale", FracBits::new(frac).expect("supported fraction bits"), &["a", "b"]);
    let x = p.input("x", Owner(0), [len], max_abs)?;
    let y = p.scale(x, k)?;
    p.output("y", y, &[1])?;
    p.build()
}

fn averaging(frac: u32, len: usize, max_abs: f64) -> Result<Program, ProgramError> {
    let mut p = Program::builder("mean", FracBits::new(frac).expect("supported fraction bits"), &["a", "b"]);
    let x = p.input("x", Owner(0), [len], max_abs)?;
    let y = p.mean(x, Axis(0))?;
    p.output("y", y, &[1])?;
    p.build()
}

/// Runs the program and compares with what the numbers themselves say. Returns the rounds of the last node.
fn check(at: &str, frac: u32, program: &Program, x: &ArrayD<f64>, truth: &ArrayD<f64>) -> u64 {
    let inputs = one_input(x);
    let (runs, plan) = (run_local(program, &inputs, [frac as u8; 32]).expect("a run"), program.plan());
    for (party, run) in PartyId::all(2).zip(&runs) {
        plan.check(party, &run.measured).unwrap_or_else(|e| panic!("{at}: {e}"));
    }
    program.demand().check().expect("within a dealer's limits");
    let rounds = plan.ops[1].rounds;
    let unit = 2f64.powi(-(frac as i32));
    let secure = &runs[1].outputs["y"];
    let float = &reference::float(program, &inputs).expect("inputs that fit")["y"];
    let fixed = &reference::fixed(program, &inputs).expect("inputs that fit")["y"];
    for (((secure, float), fixed), truth) in secure.iter().zip(float).zip(fixed).zip(truth) {
        assert!((float - truth).abs() <= 1e-12 * truth.abs(), "{at}: float {float}, true {truth}");
        let allowed = rounds as f64 * unit;
        assert!((secure - fixed).abs() <= allowed, "{at}: {secure}, in fixed point {fixed}");
        // The factor's relative error, half a unit where that is larger, and every truncation.
        let allowed = allowed + unit * (0.5 + truth.abs());
        assert!((secure - truth).abs() <= allowed, "{at}: {secure}, true {truth}, allowed {allowed:e}");
    }
    rounds
}

#[test]
fn scaling_agrees_with_the_true_factor_at_every_bound_that_builds() {
    let x = arr1(&[1000.0, -999.5, 0.5, 0.0]).into_dyn();
    let (mut built, mut refused, mut two_rounds) = (0, 0, 0);
    for frac in [8, 16, 24] {
        for k in [0.3, -0.3, 1.0 / 3.0, 0.001, 3e-5, 1.7, -123.456] {
            for max_abs in [1e3, 2e4, 1e6, 1e8, 3e9, 1e11, 3e13] {
                let at = format!("{k} for ±{max_abs:e} at {frac} fraction bits");
                match scaling(frac, 4, max_abs, k) {
                    Ok(program) => {
                        let rounds = check(&at, frac, &program, &x, &x.map(|x| x * k));
                        built += 1;
                        two_rounds += usize::from(rounds == 2);
                    }
                    Err(
                        ProgramError::FactorPrecision { .. }
                        | ProgramError::Overflow { .. }
                        | ProgramError::Bound { .. },
                    ) => refused += 1,
                    Err(e) => panic!("{at}: {e}"),
                }
            }
        }
    }
    assert!(built >= 70 && refused >= 30 && two_rounds >= 5, "{built} built, {refused} not, {two_rounds}");
}

#[test]
fn means_agree_with_the_true_mean_at_every_bound_that_builds() {
    let (mut built, mut two_rounds) = (0, 0);
    for frac in [8, 16, 24] {
        for n in [1, 3, 7, 1000, 1024, 50_000] {
            for max_abs in [1e3, 1e5, 1e6, 2.5e8, 1e9] {
                let at = format!("{n} values of ±{max_abs:e} at {frac} fraction bits");
                let x = ArrayD::from_shape_fn(vec![n], |i| 1000.0 - (i[0] % 8) as f64 * 0.25);
                let truth = ndarray::arr0(x.sum() / n as f64).into_dyn();
                match averaging(frac, n, max_abs) {
                    Ok(program) => {
                        built += 1;
                        two_rounds += usize::from(check(&at, frac, &program, &x, &truth) == 2);
                    }
                    Err(ProgramError::FactorPrecision { .. } | ProgramError::Overflow { .. }) => {}
                    Err(e) => panic!("{at}: {e}"),
                }
            }
        }
    }
    assert!(built >= 50 && two_rounds >= 5, "{built} built, {two_rounds} in two rounds");
}

#[test]
fn wide_bounds_are_refused_or_cost_a_round() {
    assert_eq!(
        scaling(16, 1, 3e13, 0.3).unwrap_err().to_string(),
        "node 1 (scale): the operand may reach ±3.0000e13, which leaves 2 significant bits for the factor 3e-1 where \
         16 are needed (relative error at most 2^-16); narrow the operand with assume_range or clamp, or use fewer \
         fraction bits"
    );
    // Exact factors need few bits, and integers none.
    for k in [0.5, 0.25, 3.0] {
        assert!(scaling(16, 1, 1e13, k).is_ok(), "{k}");
    }
    // A thousand values of 50,000: the sum leaves 8 bits, too few for 1/1000 to be right to 0.1 %.
    let program = averaging(16, 1000, 2.5e8).unwrap();
    let x = ArrayD::from_elem(vec![1000], 50_000.0);
    assert_eq!(check("wide mean", 16, &program, &x, &ndarray::arr0(50_000.0).into_dyn()), 2);
    let kinds: Vec<_> = program.plan().ops[1].correlations.iter().map(|c| c.kind).collect();
    assert_eq!(kinds, ["truncation_tuple"; 2]);
    assert_eq!(averaging(16, 1000, 1000.0).unwrap().plan().ops[1].rounds, 1);
    let e = averaging(16, 3, 1e13).unwrap_err();
    assert!(e.to_string().starts_with("node 1 (mean): the operand may reach ±3.0000e13"), "{e}");
}

#[test]
fn files_keep_the_factor_itself_and_only_its_one_form() {
    let bytes = scaling(16, 1, 8.0, 0.3).unwrap().encode();
    let k = 0.3f64.to_bits().to_le_bytes();
    let at = bytes.windows(8).position(|w| w == k).expect("the factor as its author wrote it");
    let with = |k: f64| {
        let mut bytes = bytes.clone();
        bytes[at..at + 8].copy_from_slice(&k.to_bits().to_le_bytes());
        Program::decode(&bytes)
    };
    assert!(with(0.3f64.next_up()).is_ok() && with(0.0).is_ok());
    for bad in [-0.0, f64::NAN, f64::INFINITY, 1e-300, 1e300] {
        assert!(with(bad).is_err(), "{bad}");
    }
    assert_eq!(scaling(16, 1, 8.0, -0.0).unwrap(), scaling(16, 1, 8.0, 0.0).unwrap());
}
