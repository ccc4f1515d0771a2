//! Decision trees and their ensembles: random forests and gradient boosting.
//!
//! A [`TreeEnsemble`] is a model in the clear, as its owner has it: made by hand, or from the attributes of an ONNX
//! `TreeEnsembleClassifier` or `TreeEnsembleRegressor` ([`onnx`]). [`TreeEnsemble::scores`] says what it computes,
//! [`TreeEnsemble::add_to`] puts it into a program.
//!
//! **Thresholds.** A feature is a multiple of 2^−f when it has entered a program, rounded to the nearest one if it was none. A
//! threshold is rounded in the same way, so a feature that equals its threshold still does: boosting libraries take thresholds from
//! among the features' values. A row is sent another way than the model in the clear sends it only where a feature and a threshold
//! that differ by less than 2^−f become the same number. Features that are integers are not rounded, and neither are their
//! thresholds: x ≤ t is x ≤ ⌊t⌋, x < t is x ≤ ⌈t⌉ − 1, and x = t holds for no integer if t is none.
//!
//! **Missing values** do not exist in fixed point: an owner's encoder refuses them, so the side that a model would send them to
//! has no meaning here.

mod error;
mod flat;
pub mod onnx;
mod program;
mod shared;
mod tree;

pub use error::TreeError;
pub use program::{Hidden, InProgram, Weights};

/// Most nodes of an ensemble.
pub const MAX_TREE_NODES: usize = 1 << 20;
/// Most branches between a root and a leaf.
pub const MAX_DEPTH: usize = 256;
/// Most features, and most targets.
pub const MAX_COLUMNS: usize = 1 << 16;
/// Most weights of all leaves together.
const MAX_WEIGHTS: usize = 1 << 22;

/// What a branch asks about its feature.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Test {
    /// x ≤ t
    LessEqual,
    /// x < t
    Less,
    /// x ≥ t
    GreaterEqual,
    /// x > t
    Greater,
    /// x = t
    Equal,
    /// x ≠ t
    NotEqual,
}

impl Test {
    /// Whether `x` passes.
    #[must_use]
    pub fn holds(self, x: f64, threshold: f64) -> bool {
        match self {
            Self::LessEqual => x <= threshold,
            Self::Less => x < threshold,
            Self::GreaterEqual => x >= threshold,
            Self::Greater => x > threshold,
            Self::Equal => x == threshold,
            Self::NotEqual => x != threshold,
        }
    }
}

/// A node of a tree.
#[derive(Clone, PartialEq, Debug)]
pub enum TreeNode {
    /// Goes on by a feature.
    Branch {
        /// Index of the feature.
        feature: usize,
        /// What is asked.
        test: Test,
        /// What the feature is compared with.
        threshold: f64,
        /// The node to go to if the test holds.
        yes: usize,
        /// The node to go to otherwise.
        no: usize,
    },
    /// The end of a path: one number per target.
    Leaf(Vec<f64>),
}

/// A tree; the first node is its root.
#[derive(Clone, PartialEq, Debug)]
pub struct Tree {
    /// The nodes.
    pub nodes: Vec<TreeNode>,
}

/// How the leaves that a row reaches in all trees become one number per target.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Aggregate {
    /// Their sum.
    Sum,
    /// Their mean.
    Average,
    /// The smallest.
    Min,
    /// The largest.
    Max,
}

/// What is applied to the scores in the end.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum PostTransform {
    /// Nothing.
    None,
    /// The logistic function of every score.
    Logistic,
    /// Softmax over all scores.
    Softmax,
    /// Softmax over the scores that are not zero; zeros stay. Up to 1e-7 is zero, as in onnxruntime; in programs up to two units of
    /// 2^−f, as rounding can move a zero so far.
    SoftmaxZero,
}

/// What the targets are.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Numbers.
    Targets,
    /// A score per class; the class is that of the highest, of equal ones the first.
    Classes,
    /// A score for each of two classes; the class is the second if its score is above 0.
    ///
    /// onnxruntime decides so about two classes with weights for both, whatever the score of the first.
    TwoClasses,
    /// One target s for two classes, whose scores are its opposite and s. The class is the second if s is above a limit.
    OneScore {
        /// Whether no weight is negative. Then the limit is 1/2 and the opposite is 1 − s, else they are 0 and −s. With
        /// [`PostTransform::Logistic`] the scores are σ(−s) and σ(s).
        positive: bool,
    },
    /// One target s for two classes, whose scores are 0 and s before the transformation. The class is the second if s is above
    /// a limit.
    SecondScore {
        /// Whether no weight is negative: then the limit is 1/2, else 0.
        positive: bool,
    },
}

/// A model: trees, and what becomes of the leaves that a row reaches.
#[derive(Clone, PartialEq, Debug)]
pub struct TreeEnsemble {
    trees: Vec<Tree>,
    n_features: usize,
    n_targets: usize,
    aggregate: Aggregate,
    base_values: Vec<f64>,
    post_transform: PostTransform,
    outcome: Outcome,
}

impl TreeEnsemble {
    /// A model that sums up its leaves.
    ///
    /// # Errors
    /// [`TreeError`] for trees that are none: a node that is missing, unreachable or has two parents, a feature that does not
    /// exist, a leaf with another number of weights, a number that is not finite; and for sizes beyond the limits.
    ///
    /// ```
    /// use ml_ops::models::trees::{Test, Tree, TreeEnsemble, TreeNode};
    /// let tree = Tree { nodes: vec![
    ///     TreeNode::Branch { feature: 1, test: Test::LessEqual, threshold: 0.5, yes: 1, no: 2 },
    ///     TreeNode::Leaf(vec![-1.0]),
    ///     TreeNode::Leaf(vec![2.5]),
    /// ] };
    /// let model = TreeEnsemble::new(vec![tree], 2, 1)?;
    /// assert_eq!(model.scores(&[0.0, 0.5]), [-1.0]);
    /// # Ok::<(), ml_ops::models::trees::TreeError>(())
    /// ```
    pub fn new(trees: Vec<Tree>, n_features: usize, n_targets: usize) -> Result<Self, TreeError> {
        for (what, got) in [("features", n_features), ("targets", n_targets)] {
            if !(1..=MAX_COLUMNS).contains(&got) {
                return Err(TreeError::Size { what, got, max: MAX_COLUMNS });
            }
        }
        let leaf = |n: &&TreeNode| matches!(n, TreeNode::Leaf(_));
        let leaves = trees.iter().flat_map(|t| &t.nodes).filter(leaf).count();
        check_sizes(trees.iter().map(|t| t.nodes.len()).sum(), leaves, n_targets)?;
        trees.iter().enumerate().try_for_each(|(i, tree)| tree.check(i, n_features, n_targets))?;
        Ok(Self {
            trees,
            n_features,
            n_targets,
            aggregate: Aggregate::Sum,
            base_values: vec![0.0; n_targets],
            post_transform: PostTransform::None,
            outcome: Outcome::Targets,
        })
    }

    /// The same with another way to aggregate.
    #[must_use]
    pub const fn with_aggregate(mut self, aggregate: Aggregate) -> Self {
        self.aggregate = aggregate;
        self
    }

    /// The same with numbers that are added after aggregation, one per target.
    ///
    /// # Errors
    /// [`TreeError::Length`] for another number of them; [`TreeError::NotFinite`].
    pub fn with_base_values(mut self, base_values: Vec<f64>) -> Result<Self, TreeError> {
        if base_values.len() != self.n_targets {
            let (expected, got) = (self.n_targets, base_values.len());
            return Err(TreeError::Length { attribute: "base_values", expected, got });
        }
        if let Some(&value) = base_values.iter().find(|v| !v.is_finite()) {
            return Err(TreeError::NotFinite { what: "base_values", value });
        }
        self.base_values = base_values;
        Ok(self)
    }

    /// The same with a transformation at the end.
    #[must_use]
    pub const fn with_post_transform(mut self, post_transform: PostTransform) -> Self {
        self.post_transform = post_transform;
        self
    }

    /// The same as a classifier, or a regressor again.
    ///
    /// # Errors
    /// [`TreeError::Targets`] if the outcome wants another number of targets.
    pub fn with_outcome(mut self, outcome: Outcome) -> Result<Self, TreeError> {
        let (fits, expected) = match outcome {
            Outcome::Targets => (true, "any number of"),
            Outcome::Classes => (self.n_targets >= 2, "two or more"),
            Outcome::TwoClasses => (self.n_targets == 2, "two"),
            Outcome::OneScore { .. } | Outcome::SecondScore { .. } => (self.n_targets == 1, "one"),
        };
        if !fits {
            return Err(TreeError::Targets { expected, got: self.n_targets });
        }
        self.outcome = outcome;
        Ok(self)
    }

    /// The trees.
    #[must_use]
    pub fn trees(&self) -> &[Tree] {
        &self.trees
    }

    /// Number of features.
    #[must_use]
    pub const fn n_features(&self) -> usize {
        self.n_features
    }

    /// Number of targets, before scores are made of them.
    #[must_use]
    pub const fn n_targets(&self) -> usize {
        self.n_targets
    }

    /// Number of scores.
    #[must_use]
    pub const fn n_scores(&self) -> usize {
        match self.outcome {
            Outcome::OneScore { .. } | Outcome::SecondScore { .. } => 2,
            Outcome::Targets | Outcome::Classes | Outcome::TwoClasses => self.n_targets,
        }
    }

    /// How leaves are aggregated.
    #[must_use]
    pub const fn aggregate(&self) -> Aggregate {
        self.aggregate
    }

    /// What is added after aggregation.
    #[must_use]
    pub fn base_values(&self) -> &[f64] {
        &self.base_values
    }

    /// What is applied in the end.
    #[must_use]
    pub const fn post_transform(&self) -> PostTransform {
        self.post_transform
    }

    /// What the targets are.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// Most branches between a root and a leaf.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.trees.iter().map(Tree::depth).max().unwrap_or(0)
    }

    /// The targets of a row: leaves aggregated, base values added.
    ///
    /// # Panics
    /// If the row has another number of features.
    #[must_use]
    pub fn targets(&self, row: &[f64]) -> Vec<f64> {
        assert_eq!(row.len(), self.n_features, "one number per feature");
        let leaves: Vec<&[f64]> = self.trees.iter().map(|t| t.leaf(row)).collect();
        let target = |t: usize| {
            let values = leaves.iter().map(|leaf| leaf[t]);
            let value = match self.aggregate {
                Aggregate::Sum => values.sum(),
                Aggregate::Average => values.sum::<f64>() / leaves.len() as f64,
                Aggregate::Min => values.fold(f64::INFINITY, f64::min),
                Aggregate::Max => values.fold(f64::NEG_INFINITY, f64::max),
            };
            value + self.base_values[t]
        };
        (0..self.n_targets).map(target).collect()
    }

    /// The scores of a row.
    ///
    /// # Panics
    /// As [`TreeEnsemble::targets`].
    #[must_use]
    pub fn scores(&self, row: &[f64]) -> Vec<f64> {
        let targets = self.targets(row);
        match self.outcome {
            Outcome::Targets | Outcome::Classes | Outcome::TwoClasses => self.transformed(targets),
            Outcome::SecondScore { .. } => self.transformed(vec![0.0, targets[0]]),
            Outcome::OneScore { .. } if self.post_transform == PostTransform::Logistic => {
                vec![logistic(-targets[0]), logistic(targets[0])]
            }
            Outcome::OneScore { positive: true } => vec![1.0 - targets[0], targets[0]],
            Outcome::OneScore { positive: false } => vec![-targets[0], targets[0]],
        }
    }

    /// The index of a row's class; `None` for a regressor.
    ///
    /// # Panics
    /// As [`TreeEnsemble::targets`].
    #[must_use]
    pub fn class(&self, row: &[f64]) -> Option<usize> {
        let targets = self.targets(row);
        match self.outcome {
            Outcome::Targets => None,
            Outcome::Classes => {
                let first = |best, i| if targets[i] > targets[best] { i } else { best };
                Some((1..targets.len()).fold(0, first))
            }
            Outcome::TwoClasses => Some(usize::from(targets[1] > 0.0)),
            Outcome::OneScore { positive } | Outcome::SecondScore { positive } => {
                Some(usize::from(targets[0] > class_limit(positive)))
            }
        }
    }

    fn transformed(&self, mut scores: Vec<f64>) -> Vec<f64> {
        let skip_zeros = self.post_transform == PostTransform::SoftmaxZero;
        let is_zero = |s: f64| s.abs() <= 1e-7;
        match self.post_transform {
            PostTransform::None => {}
            PostTransform::Logistic => scores.iter_mut().for_each(|s| *s = logistic(*s)),
            PostTransform::Softmax | PostTransform::SoftmaxZero => {
                let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let exp = |s: f64| if skip_zeros && is_zero(s) { 0.0 } else { (s - largest).exp() };
                scores.iter_mut().for_each(|s| *s = exp(*s));
                let sum: f64 = scores.iter().sum();
                if sum > 0.0 {
                    scores.iter_mut().for_each(|s| *s /= sum);
                }
            }
        }
        scores
    }
}

/// Checks the size of an ensemble.
fn check_sizes(nodes: usize, leaves: usize, n_targets: usize) -> Result<(), TreeError> {
    if !(1..=MAX_TREE_NODES).contains(&nodes) {
        return Err(TreeError::Size { what: "nodes", got: nodes, max: MAX_TREE_NODES });
    }
    match leaves.saturating_mul(n_targets) {
        got if got > MAX_WEIGHTS => Err(TreeError::Size { what: "weights of leaves", got, max: MAX_WEIGHTS }),
        _ => Ok(()),
    }
}

/// Above which score a row is of the second class.
const fn class_limit(positive: bool) -> f64 {
    if positive { 0.5 } else { 0.0 }
}

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}
