//! Why something is no tree ensemble.

use crate::error::ProgramError;
use crate::shape::Shape;

/// Why something is no tree ensemble, or none that a program can compute.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// A size that is zero or beyond the limit.
    #[error("an ensemble has between 1 and {max} {what}, got {got}")]
    Size {
        /// Of what.
        what: &'static str,
        /// How many there are.
        got: usize,
        /// The limit.
        max: usize,
    },
    /// Lists that belong together and have different lengths.
    #[error("{attribute}: expected {expected} values, got {got}")]
    Length {
        /// Name of the list.
        attribute: &'static str,
        /// Length of the others.
        expected: usize,
        /// Its length.
        got: usize,
    },
    /// A word that is none of those known.
    #[error("{attribute}: {got:?} is not supported; supported are {known}")]
    Word {
        /// Name of the attribute.
        attribute: &'static str,
        /// The word.
        got: String,
        /// What is supported.
        known: &'static str,
    },
    /// A node that a branch or a weight names and that is not there.
    #[error("tree {tree}: there is no node {node}")]
    MissingNode {
        /// The tree.
        tree: usize,
        /// The node.
        node: i64,
    },
    /// A weight that names a tree without nodes.
    #[error("a weight belongs to tree {tree}, which has no nodes")]
    MissingTree {
        /// The tree.
        tree: i64,
    },
    /// Two nodes of the same number.
    #[error("tree {tree}: node {node} is there twice")]
    DuplicateNode {
        /// The tree.
        tree: usize,
        /// The node.
        node: i64,
    },
    /// A node that two branches lead to: a cycle, or no tree.
    #[error("tree {tree}: two branches lead to node {node}, or one back to it")]
    TwoParents {
        /// The tree.
        tree: usize,
        /// The node.
        node: i64,
    },
    /// A node that no branch leads to.
    #[error("tree {tree}: node {node} cannot be reached from the first one, the root")]
    Unreachable {
        /// The tree.
        tree: usize,
        /// The node.
        node: i64,
    },
    /// Nodes of a tree with those of another in between.
    #[error("tree {tree}: its nodes do not stand together")]
    Scattered {
        /// The tree.
        tree: i64,
    },
    /// A path that is too long.
    #[error("tree {tree}: a path has at most {max} branches")]
    TooDeep {
        /// The tree.
        tree: usize,
        /// The limit.
        max: usize,
    },
    /// A leaf with another number of weights than targets.
    #[error("tree {tree}: leaf {node} has {got} weights for {expected} targets")]
    Leaf {
        /// The tree.
        tree: usize,
        /// The node.
        node: i64,
        /// Number of targets.
        expected: usize,
        /// Number of weights.
        got: usize,
    },
    /// A weight for a node that is no leaf.
    #[error("tree {tree}: node {node} has a weight and is no leaf")]
    NotALeaf {
        /// The tree.
        tree: usize,
        /// The node.
        node: i64,
    },
    /// Two weights of one leaf for one target.
    #[error("tree {tree}: leaf {node} has two weights for target {target}")]
    DuplicateWeight {
        /// The tree.
        tree: usize,
        /// The leaf.
        node: i64,
        /// The target.
        target: usize,
    },
    /// A leaf without a weight, where the smallest or largest leaf counts.
    #[error("tree {tree}: leaf {node} has no weight for every target, which MIN and MAX need")]
    NoWeight {
        /// The tree.
        tree: usize,
        /// The leaf.
        node: i64,
    },
    /// A weight for a target that does not exist.
    #[error("tree {tree}: node {node} has a weight for target {got} of {targets}")]
    NoSuchTarget {
        /// The tree.
        tree: usize,
        /// The leaf.
        node: i64,
        /// The target.
        got: i64,
        /// Number of targets.
        targets: usize,
    },
    /// A branch by a feature that does not exist.
    #[error("tree {tree}: node {node} asks about feature {got} of {features}")]
    NoSuchFeature {
        /// The tree.
        tree: usize,
        /// The node.
        node: i64,
        /// The feature.
        got: i64,
        /// Number of features.
        features: usize,
    },
    /// A number that is none.
    #[error("{what} must be a finite number, got {value}")]
    NotFinite {
        /// What it is.
        what: &'static str,
        /// The number.
        value: f64,
    },
    /// An outcome that wants another number of targets.
    #[error("this outcome wants {expected} targets, the model has {got}")]
    Targets {
        /// What is expected.
        expected: &'static str,
        /// How many there are.
        got: usize,
    },
    /// Base values that onnxruntime has no sensible meaning for.
    #[error(
        "base_values: {got} of them for two classes {why}; leave them out or add them to the weights of a leaf"
    )]
    BaseValues {
        /// How many there are.
        got: usize,
        /// What onnxruntime would do.
        why: &'static str,
    },
    /// A target that is not decided for every row.
    #[error(
        "target {target}: no tree has a weight for it in every leaf, and a row that reaches none loses its base value or cannot be of \
         its class; give every leaf of some tree a weight for it, if only 0"
    )]
    Unnamed {
        /// The target.
        target: usize,
    },
    /// A class of a regressor's row.
    #[error("the ensemble is a regressor, which has no classes")]
    NoClasses,
    /// Features of another shape.
    #[error("the ensemble takes rows of {expected} features, got shape {got}")]
    Features {
        /// Number of features.
        expected: usize,
        /// The shape.
        got: Shape,
    },
    /// Features that are too large for thresholds to be exact.
    #[error(
        "features may reach ±{max_abs:e} at {scale} fraction bits; trees take values below 2^53 units: declare a smaller range or use assume_range"
    )]
    Magnitude {
        /// Their bound.
        max_abs: f64,
        /// Their fraction bits.
        scale: u32,
    },
    /// A program that cannot be built.
    #[error(transparent)]
    Program(#[from] ProgramError),
}
