//! Tree ensembles from the attributes of ONNX nodes.
//!
//! The operators `TreeEnsembleClassifier` and `TreeEnsembleRegressor` of the domain `ai.onnx.ml` describe trees by parallel
//! lists. Their specification leaves some cases open; here they mean what onnxruntime 1.32 computes, and what it computes
//! without sense is refused:
//!
//! - A classifier of two classes whose weights all name class 0 or all class 1 has one score ([`Outcome::OneScore`],
//!   [`Outcome::SecondScore`]); with weights for both the class is decided by the second score alone
//!   ([`Outcome::TwoClasses`]). Two base values for two classes, or one beside weights for class 1 alone, would replace or lose
//!   what the trees say: [`TreeError::BaseValues`].
//! - A regressor of one target is not transformed at the end, whatever its `post_transform`.
//! - A class without a weight in any leaf that a row reaches has the score 0. Where onnxruntime makes something else of that, a
//!   base value that is lost or a class that is never chosen, the ensemble is refused: [`TreeError::Unnamed`].
//! - Branches may lead to a common node, as LightGBM's converter has it for categories; it is copied for each.

use std::collections::BTreeMap;

use super::shared::{Room, written_out};
use super::{
    Aggregate, MAX_COLUMNS, MAX_TREE_NODES, MAX_WEIGHTS, Outcome, PostTransform, Test, Tree, TreeEnsemble,
    TreeError, TreeNode, check_sizes,
};

/// The operator.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Operator {
    /// `TreeEnsembleRegressor`.
    Regressor {
        /// `n_targets`.
        n_targets: i64,
    },
    /// `TreeEnsembleClassifier`.
    Classifier {
        /// Number of `classlabels_int64s` or `classlabels_strings`.
        n_classes: usize,
    },
}

/// The attributes as the file has them, numbers widened to 64 bits; `*_as_tensor` attributes go into the same fields.
#[derive(Clone, PartialEq, Debug)]
pub struct Attributes {
    /// Which operator.
    pub operator: Operator,
    /// `aggregate_function`, `"SUM"` if absent.
    pub aggregate_function: String,
    /// `post_transform`, `"NONE"` if absent.
    pub post_transform: String,
    /// `base_values`, empty if absent.
    pub base_values: Vec<f64>,
    /// `nodes_treeids`
    pub nodes_treeids: Vec<i64>,
    /// `nodes_nodeids`
    pub nodes_nodeids: Vec<i64>,
    /// `nodes_featureids`
    pub nodes_featureids: Vec<i64>,
    /// `nodes_values`
    pub nodes_values: Vec<f64>,
    /// `nodes_modes`
    pub nodes_modes: Vec<String>,
    /// `nodes_truenodeids`
    pub nodes_truenodeids: Vec<i64>,
    /// `nodes_falsenodeids`
    pub nodes_falsenodeids: Vec<i64>,
    /// `class_treeids` or `target_treeids`
    pub weights_treeids: Vec<i64>,
    /// `class_nodeids` or `target_nodeids`
    pub weights_nodeids: Vec<i64>,
    /// `class_ids` or `target_ids`
    pub weights_ids: Vec<i64>,
    /// `class_weights` or `target_weights`
    pub weights: Vec<f64>,
}

impl Attributes {
    /// No nodes yet, and the defaults of the specification.
    #[must_use]
    pub fn of(operator: Operator) -> Self {
        Self {
            operator,
            aggregate_function: "SUM".into(),
            post_transform: "NONE".into(),
            base_values: vec![],
            nodes_treeids: vec![],
            nodes_nodeids: vec![],
            nodes_featureids: vec![],
            nodes_values: vec![],
            nodes_modes: vec![],
            nodes_truenodeids: vec![],
            nodes_falsenodeids: vec![],
            weights_treeids: vec![],
            weights_nodeids: vec![],
            weights_ids: vec![],
            weights: vec![],
        }
    }
}

impl TreeEnsemble {
    /// The ensemble that an ONNX node describes, for rows of `n_features` numbers. The attributes are not trusted: sizes are
    /// limited and every index is checked.
    ///
    /// # Errors
    /// [`TreeError`], naming the attribute, or the tree and its node.
    ///
    /// ```
    /// use ml_ops::models::trees::TreeEnsemble;
    /// use ml_ops::models::trees::onnx::{Attributes, Operator};
    /// let stump = Attributes {
    ///     nodes_treeids: vec![0; 3],
    ///     nodes_nodeids: vec![0, 1, 2],
    ///     nodes_featureids: vec![1, 0, 0],
    ///     nodes_values: vec![0.5, 0.0, 0.0],
    ///     nodes_modes: ["BRANCH_LEQ", "LEAF", "LEAF"].map(String::from).to_vec(),
    ///     nodes_truenodeids: vec![1, 0, 0],
    ///     nodes_falsenodeids: vec![2, 0, 0],
    ///     weights_treeids: vec![0, 0],
    ///     weights_nodeids: vec![1, 2],
    ///     weights_ids: vec![0, 0],
    ///     weights: vec![-1.0, 2.5],
    ///     ..Attributes::of(Operator::Regressor { n_targets: 1 })
    /// };
    /// let model = TreeEnsemble::from_onnx(&stump, 2)?;
    /// assert_eq!(model.scores(&[9.0, 0.75]), [2.5]);
    /// # Ok::<(), ml_ops::models::trees::TreeError>(())
    /// ```
    pub fn from_onnx(a: &Attributes, n_features: usize) -> Result<Self, TreeError> {
        a.check_lengths()?;
        let (outcome, n_targets) = a.outcome()?;
        // Before anything of that size is allocated.
        let leaves = a.nodes_modes.iter().filter(|mode| *mode == "LEAF").count();
        check_sizes(a.nodes_modes.len(), leaves, n_targets)?;
        let shift = matches!(outcome, Outcome::SecondScore { .. });
        let aggregate = match (a.aggregate_function.as_str(), a.operator) {
            ("SUM", _) => Aggregate::Sum,
            ("AVERAGE", Operator::Regressor { .. }) => Aggregate::Average,
            ("MIN", Operator::Regressor { .. }) => Aggregate::Min,
            ("MAX", Operator::Regressor { .. }) => Aggregate::Max,
            (got, _) => {
                let known = "SUM, and for regressors AVERAGE, MIN and MAX";
                return Err(TreeError::Word { attribute: "aggregate_function", got: clipped(got), known });
            }
        };
        let every_weight = matches!(aggregate, Aggregate::Min | Aggregate::Max);
        let trees = a.trees([n_features, n_targets], shift, every_weight)?;
        let base_values = match (outcome, a.base_values.len()) {
            (_, 0) => vec![0.0; n_targets],
            (Outcome::SecondScore { .. }, got) => {
                return Err(TreeError::BaseValues { got, why: "with weights for the second alone are lost" });
            }
            (Outcome::OneScore { .. } | Outcome::TwoClasses, got @ 2) => {
                return Err(TreeError::BaseValues {
                    got,
                    why: "replace what the trees say about one of them",
                });
            }
            // The only base value is that of the first class.
            (Outcome::TwoClasses, 1) => vec![a.base_values[0], 0.0],
            _ => a.base_values.clone(),
        };
        a.check_named(outcome, &base_values)?;
        let transform = match a.post_transform.as_str() {
            "NONE" => PostTransform::None,
            "LOGISTIC" => PostTransform::Logistic,
            "SOFTMAX" => PostTransform::Softmax,
            "SOFTMAX_ZERO" => PostTransform::SoftmaxZero,
            got => {
                let known = "NONE, LOGISTIC, SOFTMAX and SOFTMAX_ZERO";
                return Err(TreeError::Word { attribute: "post_transform", got: clipped(got), known });
            }
        };
        let alone = outcome == Outcome::Targets && n_targets == 1;
        let transform = if alone { PostTransform::None } else { transform };
        Self::new(trees, n_features, n_targets)?
            .with_aggregate(aggregate)
            .with_post_transform(transform)
            .with_base_values(base_values)?
            .with_outcome(outcome)
    }
}

impl Attributes {
    fn check_lengths(&self) -> Result<(), TreeError> {
        let nodes = self.nodes_treeids.len();
        let weights = self.weights.len();
        let lengths = [
            ("nodes_nodeids", self.nodes_nodeids.len(), nodes),
            ("nodes_featureids", self.nodes_featureids.len(), nodes),
            ("nodes_values", self.nodes_values.len(), nodes),
            ("nodes_modes", self.nodes_modes.len(), nodes),
            ("nodes_truenodeids", self.nodes_truenodeids.len(), nodes),
            ("nodes_falsenodeids", self.nodes_falsenodeids.len(), nodes),
            ("class_treeids or target_treeids", self.weights_treeids.len(), weights),
            ("class_nodeids or target_nodeids", self.weights_nodeids.len(), weights),
            ("class_ids or target_ids", self.weights_ids.len(), weights),
        ];
        match lengths.into_iter().find(|&(_, got, expected)| got != expected) {
            Some((attribute, got, expected)) => Err(TreeError::Length { attribute, expected, got }),
            None => Ok(()),
        }
    }

    /// Refuses targets of which a row may reach no weight where that means something else to onnxruntime than a weight of 0: it
    /// leaves out a regressor's base value, and never chooses a class that has none.
    fn check_named(&self, outcome: Outcome, base_values: &[f64]) -> Result<(), TreeError> {
        let negative = self.weights.iter().any(|&w| w < 0.0);
        let matters = |target: usize| match outcome {
            Outcome::Targets => base_values.len() > 1 && base_values[target] != 0.0,
            Outcome::Classes => self.base_values.is_empty() && negative,
            Outcome::TwoClasses | Outcome::OneScore { .. } | Outcome::SecondScore { .. } => false,
        };
        let mut leaves: BTreeMap<i64, usize> = BTreeMap::new();
        for (&tree, _) in self.nodes_treeids.iter().zip(&self.nodes_modes).filter(|(_, m)| *m == "LEAF") {
            *leaves.entry(tree).or_default() += 1;
        }
        let mut weights: BTreeMap<(i64, i64), usize> = BTreeMap::new();
        for (&tree, &target) in self.weights_treeids.iter().zip(&self.weights_ids) {
            *weights.entry((tree, target)).or_default() += 1;
        }
        // One tree with a weight in every leaf is enough.
        let mut named = vec![false; base_values.len()];
        for ((tree, target), count) in weights {
            let at = usize::try_from(target).ok().and_then(|t| named.get_mut(t));
            if let Some(named) = at {
                *named |= leaves.get(&tree) == Some(&count);
            }
        }
        match named.iter().enumerate().position(|(t, &named)| !named && matters(t)) {
            Some(target) => Err(TreeError::Unnamed { target }),
            None => Ok(()),
        }
    }

    /// What the targets are, and how many.
    fn outcome(&self) -> Result<(Outcome, usize), TreeError> {
        let positive = self.weights.iter().all(|&w| w >= 0.0);
        let names = |id| self.weights_ids.contains(&id);
        match self.operator {
            Operator::Regressor { n_targets } => match usize::try_from(n_targets) {
                Ok(n @ 1..=MAX_COLUMNS) => Ok((Outcome::Targets, n)),
                _ => Err(TreeError::Size {
                    what: "targets",
                    got: usize::try_from(n_targets).unwrap_or(0),
                    max: MAX_COLUMNS,
                }),
            },
            Operator::Classifier { n_classes: 2 } => match (names(0), names(1)) {
                (true, true) => Ok((Outcome::TwoClasses, 2)),
                (false, true) => Ok((Outcome::SecondScore { positive }, 1)),
                (_, false) => Ok((Outcome::OneScore { positive }, 1)),
            },
            Operator::Classifier { n_classes: n @ 3..=MAX_COLUMNS } => Ok((Outcome::Classes, n)),
            Operator::Classifier { n_classes } => {
                Err(TreeError::Targets { expected: "two or more classes as", got: n_classes })
            }
        }
    }

    /// The trees in the order of the file; with `shift`, target 1 becomes the only one.
    fn trees(
        &self,
        [features, n_targets]: [usize; 2],
        shift: bool,
        every_weight: bool,
    ) -> Result<Vec<Tree>, TreeError> {
        // Where each tree begins, and where each of its nodes is.
        let mut starts: Vec<usize> = vec![];
        let mut numbers: BTreeMap<i64, usize> = BTreeMap::new();
        let mut places: BTreeMap<(i64, i64), usize> = BTreeMap::new();
        for (i, (&tree, &node)) in self.nodes_treeids.iter().zip(&self.nodes_nodeids).enumerate() {
            if i == 0 || self.nodes_treeids[i - 1] != tree {
                if numbers.insert(tree, starts.len()).is_some() {
                    return Err(TreeError::Scattered { tree });
                }
                starts.push(i);
            }
            let number = starts.len() - 1;
            if places.insert((tree, node), i - starts[number]).is_some() {
                return Err(TreeError::DuplicateNode { tree: number, node });
            }
        }
        let mut leaves: BTreeMap<usize, Vec<Option<f64>>> = BTreeMap::new();
        for i in 0..self.weights.len() {
            let (tree, node, id) = (self.weights_treeids[i], self.weights_nodeids[i], self.weights_ids[i]);
            let Some(&number) = numbers.get(&tree) else { return Err(TreeError::MissingTree { tree }) };
            let Some(&place) = places.get(&(tree, node)) else {
                return Err(TreeError::MissingNode { tree: number, node });
            };
            let at = starts[number] + place;
            if self.nodes_modes[at] != "LEAF" {
                return Err(TreeError::NotALeaf { tree: number, node });
            }
            let target = usize::try_from(id.wrapping_sub(i64::from(shift))).ok().filter(|&t| t < n_targets);
            let Some(target) = target else {
                return Err(TreeError::NoSuchTarget { tree: number, node, got: id, targets: n_targets });
            };
            let weights = leaves.entry(at).or_insert_with(|| vec![None; n_targets]);
            if weights[target].replace(self.weights[i]).is_some() {
                return Err(TreeError::DuplicateWeight { tree: number, node, target });
            }
        }
        let mut trees: Vec<Tree> = starts.iter().map(|_| Tree { nodes: vec![] }).collect();
        for (at, mode) in self.nodes_modes.iter().enumerate() {
            let (id, node) = (self.nodes_treeids[at], self.nodes_nodeids[at]);
            let tree = numbers[&id];
            let test = match mode.as_str() {
                "LEAF" => {
                    let weights = leaves.remove(&at).unwrap_or_else(|| vec![None; n_targets]);
                    if every_weight && weights.contains(&None) {
                        return Err(TreeError::NoWeight { tree, node });
                    }
                    let weights = weights.into_iter().map(Option::unwrap_or_default).collect();
                    trees[tree].nodes.push(TreeNode::Leaf(weights));
                    continue;
                }
                "BRANCH_LEQ" => Test::LessEqual,
                "BRANCH_LT" => Test::Less,
                "BRANCH_GTE" => Test::GreaterEqual,
                "BRANCH_GT" => Test::Greater,
                "BRANCH_EQ" => Test::Equal,
                "BRANCH_NEQ" => Test::NotEqual,
                got => {
                    let known =
                        "BRANCH_LEQ, BRANCH_LT, BRANCH_GTE, BRANCH_GT, BRANCH_EQ, BRANCH_NEQ and LEAF";
                    return Err(TreeError::Word { attribute: "nodes_modes", got: clipped(got), known });
                }
            };
            let child =
                |node: i64| places.get(&(id, node)).copied().ok_or(TreeError::MissingNode { tree, node });
            let got = self.nodes_featureids[at];
            let feature =
                usize::try_from(got).map_err(|_| TreeError::NoSuchFeature { tree, node, got, features })?;
            let (yes, no) = (child(self.nodes_truenodeids[at])?, child(self.nodes_falsenodeids[at])?);
            trees[tree].nodes.push(TreeNode::Branch {
                feature,
                test,
                threshold: self.nodes_values[at],
                yes,
                no,
            });
        }
        let mut room = Room { nodes: MAX_TREE_NODES, weights: MAX_WEIGHTS };
        let own =
            |(i, tree): (usize, Tree)| written_out(tree.nodes, i, &mut room).map(|nodes| Tree { nodes });
        trees.into_iter().enumerate().map(own).collect()
    }
}

/// What a file says, short enough for an error.
fn clipped(word: &str) -> String {
    word.chars().take(40).collect()
}
