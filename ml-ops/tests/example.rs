//! The examples that users start from are short, run, and compute what they say.
#![allow(clippy::unwrap_used, reason = "a test: a panic is how it fails")]

use ml_ops::{reference, run_local};

#[path = "../examples/custom_operation.rs"]
mod custom_operation;
#[path = "../examples/custom_protocol.rs"]
mod custom_protocol;
#[path = "../examples/forest.rs"]
mod forest;
#[path = "../examples/joint_score.rs"]
mod joint_score;
#[path = "../examples/private_mean.rs"]
mod private_mean;

/// A unit of 2^−16.
const UNIT: f64 = 1.0 / 65536.0;

#[path = "../examples/joint_logistic_regression.rs"]
mod joint_logistic_regression;

#[test]
fn the_examples_are_short_and_run() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
    let mut seen = vec![];
    for file in std::fs::read_dir(dir).unwrap() {
        let path = file.unwrap().path();
        let lines = std::fs::read_to_string(&path).unwrap().lines().count();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        assert!(lines < 60, "{name} has {lines} lines");
        seen.push(name);
    }
    assert!(seen.len() >= 5, "{seen:?}");
    for main in [
        custom_operation::main,
        custom_protocol::main,
        forest::main,
        joint_logistic_regression::main,
        joint_score::main,
        private_mean::main,
    ] {
        main().unwrap();
    }
}

#[test]
fn everybody_learns_the_mean_and_nothing_else() {
    let all: Vec<f64> = private_mean::HOSPITALS.iter().flat_map(|(_, pay)| pay.iter().copied()).collect();
    let mean = all.iter().sum::<f64>() / all.len() as f64;
    for seen in private_mean::run().unwrap() {
        assert!((seen - mean).abs() < 2.0 * UNIT, "{seen} instead of {mean}");
    }
    assert_eq!(private_mean::mean().unwrap().outputs().len(), 1);
}

#[test]
fn a_composed_operation_and_a_protocol_of_ones_own_are_right() {
    let huber = |x: f64| if x.abs() <= 1.5 { x * x / 2.0 } else { 1.5 * (x.abs() - 0.75) };
    let errors = [-4.0, -1.5, -0.5, 0.0, 1.0, 60.0];
    let [secure, clear] = custom_operation::losses(&errors).unwrap();
    for (i, &x) in errors.iter().enumerate() {
        assert!((clear[[i]] - huber(x)).abs() < 1e-12, "{x}: {clear}");
        assert!((secure[[i]] - huber(x)).abs() < 3.0 * UNIT, "{x}: {secure}");
    }
    // 0.25 + 4 + 16, exact: products have all their fraction bits.
    let seen = custom_protocol::distance([[1.0, 2.0, 3.0], [0.5, 4.0, -1.0]]).unwrap();
    assert_eq!(seen, [(20.25, 1), (20.25, 1)]);
}

#[test]
fn the_forest_of_one_party_scores_rows_of_another() {
    let model = forest::forest().unwrap();
    let risks = forest::run().unwrap();
    assert_eq!(risks.len(), forest::applicants().nrows());
    for (row, seen) in forest::applicants().outer_iter().zip(risks) {
        let expected = model.scores(&row.to_vec())[0];
        assert!((seen - expected).abs() < UNIT, "{row}: {seen} instead of {expected}");
    }
}

#[test]
fn the_score_goes_to_its_recipients_alone() {
    let (program, inputs) = (joint_score::joint_score().unwrap(), joint_score::inputs());
    let parties = run_local(&program, &inputs, [9; 32]).unwrap();
    let expected = reference::float(&program, &inputs).unwrap();
    let names = |i: usize| parties[i].outputs.keys().map(String::as_str).collect::<Vec<_>>();
    assert_eq!((names(0), names(1), names(2)), (vec!["decline", "probability"], vec!["decline"], vec![]));
    for (name, value) in &parties[0].outputs {
        for (seen, wanted) in value.iter().zip(&expected[name]) {
            assert!((seen - wanted).abs() < 3e-4, "{name}: {seen} instead of {wanted}");
        }
    }
    assert_eq!(parties[0].outputs["decline"], parties[1].outputs["decline"]);
}

#[test]
fn a_model_that_nobody_sees_tells_applicants_apart() {
    joint_logistic_regression::main().unwrap();
    // Which one answer for all would not.
    let [_, _, outcomes] = joint_logistic_regression::people(17);
    let bad = outcomes.iter().filter(|&&y| y == 1.0).count();
    assert!((4..=13).contains(&bad), "{bad} of 17 default");
}
