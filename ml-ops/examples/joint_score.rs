//! A joint score over three owners' columns, from definition to result, in one process.
//!
//! Run it with `cargo run --release -p ml-ops --example joint_score`. Start from here for a computation of your own:
//! change the graph in [`joint_score`], save it with `program.save("score.subrosa")`, and name that file in the
//! configuration of every party's node.

use std::collections::BTreeMap;
use std::error::Error;

use ml_ops::{Axis, Owner, Program, ProgramError, reference, run_local};
use mpc_core::fixed::FracBits;
use ndarray::{Array2, ArrayD, arr1, arr2};

const ROWS: usize = 6;

/// The computation: a logistic score for the bank alone, and a decline flag that the bureau learns too.
pub(crate) fn joint_score() -> Result<Program, ProgramError> {
    let mut p = Program::builder("joint score", FracBits::DEFAULT, &["bank", "bureau", "telecom"]);

    // Who brings what: name, owner, shape, and the largest magnitude that the owner may enter.
    let bank = p.input("bank.features", Owner(0), [ROWS, 2], 8.0)?;
    let bureau = p.input("bureau.features", Owner(1), [ROWS, 2], 8.0)?;
    let telecom = p.input("telecom.features", Owner(2), [ROWS, 1], 8.0)?;
    let weights = p.weights("weights", Owner(0), [5, 1], 4.0)?;
    let bias = p.weights("bias", Owner(0), [1], 4.0)?;

    // What is computed. Every line infers shape, scale and magnitude, and fails here rather than at run time.
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
    let column = |seed: usize, width: usize| {
        Array2::from_shape_fn((ROWS, width), |(i, j)| ((i * 7 + j * 3 + seed) % 11) as f64 / 4.0 - 1.25)
            .into_dyn()
    };
    BTreeMap::from([
        ("bank.features".to_owned(), column(1, 2)),
        ("bureau.features".to_owned(), column(5, 2)),
        ("telecom.features".to_owned(), column(9, 1)),
        ("weights".to_owned(), arr2(&[[0.75], [-1.5], [1.25], [0.5], [-0.25]]).into_dyn()),
        ("bias".to_owned(), arr1(&[-0.4]).into_dyn()),
    ])
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let program = joint_score()?;
    println!("{program}");
    println!("{}", program.plan());

    // All parties in this process: the real protocols, nothing protected. The seed makes the run repeatable.
    let inputs = inputs();
    let parties = run_local(&program, &inputs, [7; 32])?;
    let plaintext = reference::float(&program, &inputs)?;

    println!("the bank learns   score     decline   (plaintext)");
    let [bank, bureau, telecom] = &parties[..] else { return Err("three parties take part".into()) };
    for row in 0..ROWS {
        let at = [row, 0];
        let (score, decline) = (bank.outputs["probability"][&at[..]], bank.outputs["decline"][&at[..]]);
        println!(
            "  applicant {row}     {score:.5}   {decline}         ({:.5})",
            plaintext["probability"][&at[..]]
        );
    }
    println!("the bureau learns {:?}", bureau.outputs.keys().collect::<Vec<_>>());
    println!("the telecom operator learns {:?}", telecom.outputs.keys().collect::<Vec<_>>());
    Ok(())
}
