//! The examples that users start from do what they say.

use ml_ops::{reference, run_local};

#[path = "../examples/joint_score.rs"]
mod joint_score;

#[path = "../examples/joint_logistic_regression.rs"]
mod joint_logistic_regression;

#[test]
fn the_example_runs() {
    joint_score::main().unwrap();
}

#[test]
fn the_example_computes_the_score_for_its_recipients_alone() {
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
