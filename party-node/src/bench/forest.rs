//! The ensemble of the workload `tree`: complete trees with random tests, the same in every run, so that all processes agree on
//! its program.

use ml_ops::models::trees::{Hidden, Test, Tree, TreeEnsemble, TreeError, TreeNode, Weights};
use ml_ops::{Owner, Program, ProgramError};
use mpc_core::fixed::FracBits;
use ndarray::{Array2, ArrayD};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;

use super::workload::Values;

/// Number of trees.
pub(super) const TREES: usize = 100;
/// Branches between every root and leaf.
pub(super) const DEPTH: usize = 5;
/// Magnitude of features.
const MAX: f64 = 8.0;
/// Magnitude of a leaf's weight: trees are boosted with a small rate.
const MAX_WEIGHT: f64 = 0.1;
/// Name of the features.
const FEATURES: &str = "x";

/// The program for rows of so many columns, and what the model's owner brings.
pub(super) fn program(
    names: &[&str],
    [rows, columns]: [usize; 2],
) -> Result<(Program, Values), ProgramError> {
    let model = model(columns).map_err(not_buildable)?;
    let mut p = Program::builder("tree", FracBits::DEFAULT, names);
    p.window_rows(model.window_rows());
    let x = p.input(FEATURES, Owner(1), [rows, columns], MAX)?;
    let kept = Weights::Hidden { owner: Owner(0), prefix: "model", hidden: Hidden::Shapes };
    let built = model.add_to(&mut p, x, kept).map_err(not_buildable)?;
    p.output("result", built.scores, &[0])?;
    Ok((p.build()?, built.weights))
}

/// Random rows, and the model. Features are multiples of 2^−f: others could be rounded across a threshold.
pub(super) fn inputs([rows, columns]: [usize; 2], random: &mut ChaCha20Rng) -> Values {
    let unit = 2f64.powi(-(FracBits::DEFAULT.bits() as i32));
    let feature = |random: &mut ChaCha20Rng| (random.random_range(-MAX..MAX) / unit).round() * unit;
    let x: ArrayD<f64> = Array2::from_shape_simple_fn((rows, columns), || feature(random)).into_dyn();
    let mut values = program(&["owner", "data"], [rows, columns]).map_or_else(|_| Values::new(), |(_, w)| w);
    values.insert(FEATURES.to_owned(), x);
    values
}

fn model(columns: usize) -> Result<TreeEnsemble, TreeError> {
    let mut random = ChaCha20Rng::from_seed([5; 32]);
    let inner = (1 << DEPTH) - 1;
    let mut tree = || {
        let branch = |random: &mut ChaCha20Rng, i: usize| TreeNode::Branch {
            feature: random.random_range(0..columns.max(1)),
            test: Test::LessEqual,
            threshold: random.random_range(-MAX..MAX),
            yes: 2 * i + 1,
            no: 2 * i + 2,
        };
        let leaf =
            |random: &mut ChaCha20Rng| TreeNode::Leaf(vec![random.random_range(-MAX_WEIGHT..MAX_WEIGHT)]);
        let nodes =
            (0..2 * inner + 1).map(|i| if i < inner { branch(&mut random, i) } else { leaf(&mut random) });
        Tree { nodes: nodes.collect() }
    };
    TreeEnsemble::new((0..TREES).map(|_| tree()).collect(), columns, 1)
}

/// The only other error is about the number of columns.
fn not_buildable(error: TreeError) -> ProgramError {
    match error {
        TreeError::Program(e) => e,
        _ => ProgramError::Parameter { node: 0, op: "tree", what: "between 1 and 65536 columns" },
    }
}
