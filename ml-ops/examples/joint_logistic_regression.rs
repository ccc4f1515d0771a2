//! A bank and a bureau fit a credit model on columns that neither shows the other, and nobody sees the model: both keep shares of
//! it, with which a second program scores new applicants. Run it with
//! `cargo run --release -p ml-ops --example joint_logistic_regression`.

use std::collections::BTreeMap;
use std::error::Error;

use ml_ops::models::regression::{LABELS, Regression, Target};
use ml_ops::models::scorecard::{Member, features};
use ml_ops::training::{History, LOSS, Training};
use ml_ops::{Axis, Owner, Program, run_local, run_local_with};
use mpc_core::fixed::FracBits;
use ndarray::{Array2, ArrayD};

/// People with two columns at the bank and one at the bureau, who default where a rule of all three says so.
pub(crate) fn people(rows: usize) -> [ArrayD<f64>; 3] {
    let column = |k: usize| move |(i, j): (usize, usize)| ((i * k + j * 5) % 17) as f64 / 8.0 - 1.0;
    let (bank, bureau) =
        (Array2::from_shape_fn((rows, 2), column(7)), Array2::from_shape_fn((rows, 1), column(3)));
    let defaults =
        |(i, _)| f64::from(u8::from(1.5 * bank[[i, 0]] - bank[[i, 1]] + 2.0 * bureau[[i, 0]] > 0.25));
    let labels = Array2::from_shape_fn((rows, 1), defaults);
    [bank.into_dyn(), bureau.into_dyn(), labels.into_dyn()]
}

/// Says how many of the applicants the jointly fitted model tells apart.
pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let (rows, applicants) = (200, 17);
    let member = |name, columns| Member { name, columns, max_abs: 4.0 };
    let fit = Regression {
        name: "credit model",
        frac: FracBits::DEFAULT,
        members: &[member("bank", 2), member("bureau", 1)],
        rows,
        labels: 0,
        target: Target::Class { weights: [1.0, 1.0] },
        training: Training { l2: 0.001, history: History::Live(&[0]), ..Training::sgd(20, 20, 1.0) },
        max_weight: 32.0,
        recipients: &[],
    };
    let [bank, bureau, labels] = people(rows);
    let inputs = [(features("bank"), bank), (features("bureau"), bureau), (LABELS.to_owned(), labels)];
    let fitted = run_local(&fit.program()?, &inputs.into(), [1; 32])?;
    println!("the bank sees losses of {:.4}", fitted[0].outputs[LOSS].flatten());

    let mut p = Program::builder("score", FracBits::DEFAULT, &["bank", "bureau"]);
    let xs = [p.input("b", Owner(0), [applicants, 2], 4.0)?, p.input("u", Owner(1), [applicants, 1], 4.0)?];
    let (w, bias) = (p.shared("weights", [3, 1], 32.0)?, p.shared("bias", [1], 32.0)?);
    let x = p.concat(&xs, Axis(1))?;
    let z = p.dense(x, w, bias)?;
    let probability = p.sigmoid(z)?;
    p.output("probability", probability, &[0])?;
    let [bank, bureau, outcomes] = people(applicants);
    let inputs = BTreeMap::from([("b".to_owned(), bank), ("u".to_owned(), bureau)]);
    let scores = &run_local_with(&p.build()?, &inputs, &fitted, [2; 32])?[0].outputs["probability"];
    let right = scores.iter().zip(&outcomes).filter(|(p, y)| (**p > 0.5) == (**y == 1.0)).count();
    println!("{right} of {applicants} applicants are told apart by a model that nobody has seen");
    if right < 15 { Err("the model has learnt too little".into()) } else { Ok(()) }
}
