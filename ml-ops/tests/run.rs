//! Running programs: inputs that do not fit, outputs that reach their recipients, JSON of plans, the scorecard.

mod common;

use std::collections::BTreeMap;

use common::every_op;
use ml_ops::models::scorecard::{BIAS, Member, PROBABILITY, WEIGHTS, features, scorecard};
use ml_ops::{InputError, Owner, Program, RunError, encode_inputs, reference, run, run_local};
use mpc_core::fixed::FracBits;
use mpc_core::party::PartyId;
use mpc_core::ring::Z64;
use ndarray::{Array2, ArrayD, arr1, arr2};
use protocols::error::ProtocolError;
use protocols::trial;

type Inputs = BTreeMap<String, ArrayD<f64>>;

fn every_input() -> Inputs {
    let table = |k: usize| Array2::from_shape_fn((4, 3), |(i, j)| ((i * k + j * 5) % 13) as f64 / 2.0 - 3.0);
    BTreeMap::from([
        ("x".to_owned(), table(3).into_dyn()),
        ("y".to_owned(), table(7).into_dyn()),
        ("w".to_owned(), arr2(&[[0.25, -0.5], [0.5, 0.125], [-0.25, 0.75]]).into_dyn()),
        ("b".to_owned(), arr1(&[0.5, -0.25]).into_dyn()),
    ])
}

#[test]
fn a_program_with_every_operation_agrees_with_the_references() {
    let (program, inputs) = (every_op(3), every_input());
    let runs = run_local(&program, &inputs, [3; 32]).unwrap();
    let (fixed, float) =
        (reference::fixed(&program, &inputs).unwrap(), reference::float(&program, &inputs).unwrap());
    for (party, run) in PartyId::all(3).zip(&runs) {
        program.plan().check(party, &run.measured).unwrap();
    }
    assert_eq!(runs[0].outputs.keys().collect::<Vec<_>>(), ["curves", "flat", "sides", "votes"]);
    assert_eq!(runs[1].outputs.keys().collect::<Vec<_>>(), ["ends", "maps", "ranks", "votes"]);
    assert_eq!(runs[2].outputs.keys().collect::<Vec<_>>(), ["votes"]);
    for exact in ["ends", "ranks"] {
        assert_eq!(runs[1].outputs[exact], float[exact]);
        assert_eq!(runs[1].outputs[exact], fixed[exact]);
    }
    assert_eq!(runs[0].outputs["sides"], float["sides"]);
    assert_eq!(runs[0].outputs["votes"], float["votes"]);
    assert_eq!(runs[2].outputs["votes"], float["votes"]);
    for (party, name) in [(0, "flat"), (0, "curves"), (1, "maps")] {
        let outputs = runs[party].outputs[name].iter().zip(&fixed[name]).zip(&float[name]);
        for (i, ((seen, fixed), float)) in outputs.enumerate() {
            let worst = (seen - fixed).abs().max((seen - float).abs());
            assert!(worst < 5e-2, "{name} {i}: {seen} {fixed} {float}");
        }
    }
}

#[test]
fn a_finished_run_shows_the_shapes_of_outputs_and_not_what_they_say() {
    let run = run_local(&every_op(2), &every_input(), [5; 32]).unwrap().remove(0);
    let shown = format!("{run:?} {run:#?}");
    assert!(shown.contains("\"flat\": [") && shown.contains("\"votes\": ["), "{shown}");
    let said: Vec<String> = run.outputs.values().flatten().map(ToString::to_string).collect();
    let long: Vec<&String> = said.iter().filter(|text| text.len() > 6).collect();
    assert!(!long.is_empty() && long.iter().all(|text| !shown.contains(*text)), "{long:?} in {shown}");
}

#[test]
fn inputs_are_checked_before_anything_is_sent() {
    let program = every_op(2);
    let own = |party: usize| -> Inputs {
        let names: Vec<_> =
            program.inputs().filter(|i| i.owner.index() == party).map(|i| i.name.to_owned()).collect();
        every_input().into_iter().filter(|(k, _)| names.contains(k)).collect()
    };
    let message = |party: usize, inputs: &Inputs| match encode_inputs(&program, PartyId::new(party), inputs) {
        Ok(_) => "no error".to_owned(),
        Err(e) => e.to_string(),
    };
    assert_eq!(message(0, &own(0)), "no error");

    let mut bad = own(0);
    bad.get_mut("x").unwrap()[[2, 1]] = f64::NAN;
    assert_eq!(message(0, &bad), "input \"x\", row 3, column 2: NaN is not a finite number");
    bad.get_mut("x").unwrap()[[2, 1]] = -8.5;
    assert_eq!(message(0, &bad), "input \"x\", row 3, column 2: -8.5 is outside the declared range ±8");
    let mut bad = own(0);
    bad.get_mut("b").unwrap()[[1]] = f64::INFINITY;
    assert_eq!(message(0, &bad), "input \"b\", row 2: inf is not a finite number");
    let mut bad = own(0);
    bad.insert("x".to_owned(), arr1(&[1.0]).into_dyn());
    assert_eq!(message(0, &bad), "input \"x\": expected shape [4, 3], got [1]");
    let mut bad = own(0);
    bad.remove("w");
    assert_eq!(message(0, &bad), "no value for input \"w\"");
    assert_eq!(message(1, &own(0)), "\"b\" is no input of party 1 in this program; its inputs are: \"y\"");

    let mut all = every_input();
    all.insert("z".to_owned(), arr1(&[1.0]).into_dyn());
    assert!(matches!(
        run_local(&program, &all, [0; 32]),
        Err(RunError::Input(InputError::NoSuchInput { .. }))
    ));
    all.remove("z");
    all.remove("y");
    assert!(matches!(run_local(&program, &all, [0; 32]), Err(RunError::Input(InputError::Missing { .. }))));
    assert!(reference::float(&program, &all).is_err());
    assert!(reference::fixed(&program, &all).is_err());
}

#[test]
fn sessions_for_another_program_are_refused() {
    let run_all = |sessions, program: &Program| {
        trial::run_sessions::<Z64, _, RunError>(sessions, |cx| {
            let me = cx.me();
            let own =
                program.inputs().filter(|i| i.owner == me).map(|i| i.name.to_owned()).collect::<Vec<_>>();
            let own = every_input().into_iter().filter(|(k, _)| own.contains(k)).collect();
            run(cx, program, &own, &mut |_| ())
        })
        .map(|_| ())
    };
    let e = run_all(trial::sessions(3, [1; 32], None), &every_op(2)).unwrap_err();
    assert_eq!(e.to_string(), "the program is for 2 parties, the session has 3");

    // A demand that another program made: the first correlation that differs is named, with the node.
    let other = every_op(2).demand();
    let mut p = Program::builder("p", FracBits::DEFAULT, &["a", "b"]);
    let x = p.input("x", Owner(0), [4, 3], 8.0).unwrap();
    let y = p.relu(x).unwrap();
    p.output("o", y, &[0]).unwrap();
    let program = p.build().unwrap();
    let e = run_all(trial::sessions(2, [1; 32], Some(&other)), &program).unwrap_err();
    assert!(
        matches!(e, RunError::Protocol { node: 1, op: "relu", source: ProtocolError::Preprocessing(_) }),
        "{e}"
    );
    assert!(e.to_string().starts_with("relu at node %1: correlation 0 of the demand is"), "{e}");
}

#[test]
fn progress_is_reported_after_every_step() {
    let program = every_op(2);
    let seen =
        trial::run_sessions::<Z64, _, RunError>(trial::sessions(2, [5; 32], Some(&program.demand())), |cx| {
            let me = cx.me();
            let own =
                program.inputs().filter(|i| i.owner == me).map(|i| i.name.to_owned()).collect::<Vec<_>>();
            let own = every_input().into_iter().filter(|(k, _)| own.contains(k)).collect();
            let mut seen = vec![];
            run(cx, &program, &own, &mut |p| seen.push((p.done, p.total, p.rounds, p.sent_bytes)))?;
            Ok(seen)
        })
        .unwrap();
    let plan = program.plan();
    for (party, steps) in PartyId::all(2).zip(&seen) {
        let total = program.nodes().len() + 2;
        assert_eq!(steps.last(), Some(&(total, total, plan.rounds, plan.sent_bytes[party])));
        assert!(steps.windows(2).all(|w| w[0].0 < w[1].0 && w[0].2 <= w[1].2 && w[0].3 <= w[1].3));
    }
}

#[test]
fn a_plan_has_the_json_that_scripts_rely_on() {
    let plan = every_op(3).plan();
    let json = serde_json::to_value(&plan).unwrap();
    for key in ["rounds", "online_bytes_per_party", "offline_bytes_per_party", "memory_bytes", "parties"] {
        assert!(json[key].as_u64().is_some_and(|v| v > 0), "{key}");
    }
    assert_eq!(json["rounds"], plan.rounds);
    let ops = json["ops"].as_array().unwrap();
    assert_eq!(ops.len(), plan.ops.len());
    let relu = ops.iter().find(|o| o["op"] == "relu").unwrap();
    assert_eq!(relu["id"], 18);
    assert_eq!(relu["rounds"], 4);
    assert_eq!(relu["correlations"][0]["kind"], "comparison_bundle");
    assert_eq!(relu["correlations"][0]["count"], 8);
    for net in ["loopback", "lan", "wan"] {
        assert!(json["estimates"][net]["online_ms"].as_f64().is_some_and(|v| v > 0.0), "{net}");
    }
    let text = plan.to_string();
    assert!(text.contains("relu") && text.contains("total"), "{text}");
}

#[test]
fn the_scorecard_scores_like_its_plaintext() {
    let members = [
        Member { name: "bank", columns: 3, max_abs: 8.0 },
        Member { name: "bureau", columns: 2, max_abs: 8.0 },
        Member { name: "observer", columns: 0, max_abs: 8.0 },
    ];
    let rows = 200;
    let program = scorecard("loans", FracBits::DEFAULT, &members, rows, 8.0).unwrap();
    let table = |width: usize, k: usize| {
        Array2::from_shape_fn((rows, width), |(i, j)| ((i * 37 + j * 101 + k) % 997) as f64 / 150.0 - 3.0)
    };
    let inputs = BTreeMap::from([
        (features("bank"), table(3, 1).into_dyn()),
        (features("bureau"), table(2, 5).into_dyn()),
        (WEIGHTS.to_owned(), arr2(&[[0.9], [-1.1], [0.4], [1.7], [-0.6]]).into_dyn()),
        (BIAS.to_owned(), arr1(&[-0.8]).into_dyn()),
    ]);
    let runs = run_local(&program, &inputs, [11; 32]).unwrap();
    for (party, run) in PartyId::all(3).zip(&runs) {
        program.plan().check(party, &run.measured).unwrap();
    }
    let wanted = &reference::float(&program, &inputs).unwrap()[PROBABILITY];
    let seen = &runs[0].outputs[PROBABILITY];
    let worst = seen.iter().zip(wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(worst < 3e-4, "largest difference {worst:e}");
    assert!(runs[1].outputs.is_empty() && runs[2].outputs.is_empty());
}
