//! A random forest that one party keeps, on columns of another: neither sees the other's, and only the owner learns scores.
//!
//! `cargo run --release -p ml-ops --example forest`

use std::error::Error;

use ml_ops::models::trees::{Aggregate, Hidden, Test, Tree, TreeEnsemble, TreeError, TreeNode, Weights};
use ml_ops::{Owner, Program, run_local};
use mpc_core::fixed::FracBits;
use ndarray::{Array2, arr2};

/// Two trees over age and debt. `TreeEnsemble::from_onnx` takes those that were trained elsewhere.
pub(crate) fn forest() -> Result<TreeEnsemble, TreeError> {
    let branch =
        |feature, threshold, yes, no| TreeNode::Branch { feature, test: Test::LessEqual, threshold, yes, no };
    let leaf = |risk| TreeNode::Leaf(vec![risk]);
    let young = vec![branch(0, 25.0, 1, 2), leaf(0.6), branch(1, 9.5, 3, 4), leaf(0.1), leaf(0.4)];
    let indebted = vec![branch(1, 12.25, 1, 2), leaf(0.2), leaf(0.9)];
    let trees = [young, indebted].map(|nodes| Tree { nodes }).to_vec();
    Ok(TreeEnsemble::new(trees, 2, 1)?.with_aggregate(Aggregate::Average))
}

/// Ages and debts of four applicants.
pub(crate) fn applicants() -> Array2<f64> {
    arr2(&[[22.0, 3.5], [25.0, 12.25], [41.0, 9.5], [63.0, 40.0]])
}

/// The risks that the bank learns.
pub(crate) fn run() -> Result<Vec<f64>, Box<dyn Error>> {
    let (model, rows) = (forest()?, applicants());
    let mut p = Program::builder("forest", FracBits::DEFAULT, &["bank", "bureau"]);
    let x = p.input("applicants", Owner(1), [rows.nrows(), 2], 1000.0)?;
    // The bureau learns how many trees there are and how deep the deepest is.
    let kept = Weights::Hidden { owner: Owner(0), prefix: "forest", hidden: Hidden::Shapes };
    let built = model.add_to(&mut p, x, kept)?;
    p.output("risk", built.scores, &[0])?;
    // What the bank brings is the model; what the bureau brings are rows.
    let mut inputs = built.weights;
    inputs.insert("applicants".to_owned(), rows.into_dyn());
    let parties = run_local(&p.build()?, &inputs, [4; 32])?;
    Ok(parties[0].outputs["risk"].iter().copied().collect())
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    for (row, risk) in applicants().outer_iter().zip(run()?) {
        println!("age {}, debt {}: risk {risk:.3}", row[0], row[1]);
    }
    Ok(())
}
