//! A joint logistic regression over three owners' columns: the bank's weights, scores for the bank alone, and a flag that the
//! bureau learns too. Start from here: change the graph, save it with `program.save("score.sbr")`, and name that file in the
//! configuration of every party's node.
//!
//! `cargo run --release -p ml-ops --example joint_score`

use std::collections::BTreeMap;
use std::error::Error;

use ml_ops::{Axis, Owner, Program, ProgramError, reference, run_local};
use mpc_core::fixed::FracBits;
use ndarray::{Array2, ArrayD, arr1, arr2};

const ROWS: usize = 6;

/// The computation. Every line infers shape, scale and magnitude, and fails here rather than at run time.
pub(crate) fn joint_score() -> Result<Program, ProgramError> {
    let mut p = Program::builder("joint score", FracBits::DEFAULT, &["bank", "bureau", "telecom"]);
    // Who brings what: name, owner, shape, and the largest magnitude that the owner may enter.
    let bank = p.input("bank.features", Owner(0), [ROWS, 2], 8.0)?;
    let bureau = p.input("bureau.features", Owner(1), [ROWS, 2], 8.0)?;
    let telecom = p.input("telecom.features", Owner(2), [ROWS, 1], 8.0)?;
    let weights = p.weights("weights", Owner(0), [5, 1], 4.0)?;
    let bias = p.weights("bias", Owner(0), [1], 4.0)?;
    let x = p.concat(&[bank, bureau, telecom], Axis(1))?;
    let z = p.dense(x, weights, bias)?;
    let probability = p.sigmoid(z)?;
    let limit = p.number(0.5)?;
    let decline = p.greater(probability, limit)?;
    // Who learns what.
    p.output("probability", probability, &[0])?;
    p.output("decline", decline, &[0, 1])?;
    p.build()
}

/// What the parties would read from their own files.
pub(crate) fn inputs() -> BTreeMap<String, ArrayD<f64>> {
    let column = |seed: usize, width| {
        Array2::from_shape_fn((ROWS, width), |(i, j)| ((i * 7 + j * 3 + seed) % 11) as f64 / 4.0 - 1.25)
    };
    let weights = arr2(&[[0.75], [-1.5], [1.25], [0.5], [-0.25]]);
    let tables = [("bank.features", column(1, 2)), ("bureau.features", column(5, 2)), ("weights", weights)];
    let tables = tables.into_iter().chain([("telecom.features", column(9, 1))]);
    let mut inputs: BTreeMap<_, _> = tables.map(|(name, t)| (name.to_owned(), t.into_dyn())).collect();
    inputs.insert("bias".to_owned(), arr1(&[-0.4]).into_dyn());
    inputs
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let (program, inputs) = (joint_score()?, inputs());
    println!("{program}\n{}", program.plan());
    // All parties in this process: the real protocols, nothing protected. The seed makes the run repeatable.
    let parties = run_local(&program, &inputs, [7; 32])?;
    println!("the bank learns\n{:.5}", parties[0].outputs["probability"]);
    println!("in the clear\n{:.5}", reference::float(&program, &inputs)?["probability"]);
    println!("the bureau learns who is declined\n{}", parties[1].outputs["decline"]);
    Ok(())
}
