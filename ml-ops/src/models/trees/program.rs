//! Tree ensembles in programs, with a model that everybody knows or that one party keeps.
//!
//! All branches of all trees are decided at once, then every row is sent down all trees level by level:
//!
//! 1. **Select**: one column per comparison. With a public model a gather, local; with a secret one X·S for a matrix S of the
//!    owner, whose columns are one-hot. S is made of integers, so there is nothing to truncate and the selection is exact.
//! 2. **Compare** all columns with all thresholds in one batch. Exact; see [the module above](super) for thresholds.
//! 3. **Walk**: from the bits of a level and who is there, who is at the next one ([`ProgramBuilder::split`]): a branch passes its 1
//!    on to one of two sides. One product per branch below the roots and one round per level.
//! 4. **Sum** the leaves: 0-1 indicators times the matrix of their weights. With more than two trees weights carry more fraction
//!    bits than the program, one per doubling of their number, and the sum is truncated: so rounding the weights moves a target by
//!    at most half a unit of 2^−f, whatever the number of trees, and the truncation by less than one.
//!
//! **What is known to all parties** of a model that its owner keeps ([`Weights::Hidden`]): the number of trees, features, targets
//! and scores, how leaves are aggregated and transformed, powers of two that bound the weights of leaves and base values, and
//! either the shape of every tree and which branches ask for equality ([`Hidden::Values`]), or only the depth of the deepest tree,
//! to which all others are padded ([`Hidden::Shapes`]; where the model asks for equality, after every such branch became two).
//! Features, thresholds, weights of leaves and base values are shared secrets. As with all secret models, whoever chooses the
//! weights chooses the function: a selection that is not one-hot, or leaves that are not those of a trained tree, compute
//! something else, as an owner could with another tree; outputs can be restricted, functions not be checked.
//!
//! **Cost** for n rows, F features, I branches of which E ask for equality, T trees of depth d, L leaves, C targets, 2^k for the
//! added bits of weights; per party and to each other one, with trees of comparisons of 4 and 4:
//!
//! | | rounds | bytes |
//! |---|---|---|
//! | select (secret model) | 1 | 8(nF + F(I + E)) |
//! | compare | 4 | 98 bits for each of n(I + E) |
//! | equality, if E > 0 | 1 | 16nE |
//! | walk | d − 1 | 16n(I − T) |
//! | leaves (secret model) | 1 | 8(nL + LC) |
//! | truncate, if k > 0 | 1 | 8nC |
//!
//! MIN and MAX take a column per tree and target instead of one per target in L·C, and a tournament over trees at the end. A window
//! of n rows takes memory for n(I + E) comparisons ([`window_rows`](TreeEnsemble::window_rows) says for how many rows that is
//! moderate), and every window opens S and the leaves' matrix again.

use std::collections::BTreeMap;

use ndarray::{Array2, ArrayD, Axis, arr1};

use super::flat::{Grid, Outline, complete};
use super::{Aggregate, Outcome, PostTransform, TreeEnsemble, TreeError, TreeNode, class_limit};
use crate::builder::{Owner, ProgramBuilder, Value};

/// How many comparisons a window should have.
const WINDOW_COMPARISONS: usize = 1 << 19;
/// Features are below this, in units: thresholds are handed over as floating-point numbers, which are exact below it.
const MAX_UNITS: u64 = 1 << 53;

/// Scores up to so many units of 2^−f count as zero: as far as rounding can take them from it.
const ZERO_UNITS: f64 = 2.0;
/// e to the power of minus this is less than half a unit at any number of fraction bits.
const NOTHING: f64 = 20.0;

/// What an owner keeps of its model.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Hidden {
    /// Features, thresholds and weights. The trees' shapes are public.
    Values,
    /// The shapes too, save the number of trees and the largest depth: every tree is padded to 2^depth leaves.
    Shapes,
}

/// Whose the model is.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Weights<'a> {
    /// Everybody's: a part of the program.
    Public,
    /// One party's, who brings it as inputs `<prefix>.select`, `<prefix>.thresholds`, `<prefix>.leaves` and `<prefix>.base`.
    Hidden {
        /// Who brings it.
        owner: Owner,
        /// First part of the names.
        prefix: &'a str,
        /// What the owner keeps.
        hidden: Hidden,
    },
}

/// An ensemble in a program.
#[derive(Clone, Debug)]
pub struct InProgram {
    /// The targets, as \[rows, targets\].
    pub targets: Value,
    /// The scores, as \[rows, scores\].
    pub scores: Value,
    /// What the owner of a hidden model brings, by name; empty for a public one.
    pub weights: BTreeMap<String, ArrayD<f64>>,
}

impl TreeEnsemble {
    /// Adds the ensemble to a program, for features `x` of shape \[rows, features\].
    ///
    /// # Errors
    /// [`TreeError::Features`] for features of another shape, [`TreeError::Magnitude`] for too large ones, [`TreeError::Size`] for
    /// trees that are too deep to be padded, and [`TreeError::Program`] where the program refuses something.
    ///
    /// ```
    /// use ml_ops::models::trees::{Hidden, Test, Tree, TreeEnsemble, TreeNode, Weights};
    /// use ml_ops::{Owner, Program};
    /// use mpc_core::fixed::FracBits;
    /// # let nodes = vec![
    /// #     TreeNode::Branch { feature: 1, test: Test::LessEqual, threshold: 0.5, yes: 1, no: 2 },
    /// #     TreeNode::Leaf(vec![-1.0]),
    /// #     TreeNode::Leaf(vec![2.5]),
    /// # ];
    /// # let model = TreeEnsemble::new(vec![Tree { nodes }], 2, 1)?;
    /// let mut p = Program::builder("tree", FracBits::DEFAULT, &["bank", "bureau"]);
    /// let x = p.input("x", Owner(1), [100, 2], 8.0)?;
    /// let mine = Weights::Hidden { owner: Owner(0), prefix: "model", hidden: Hidden::Shapes };
    /// let tree = model.add_to(&mut p, x, mine)?;
    /// p.output("score", tree.scores, &[0])?;
    /// let program = p.build()?;
    /// // 1 to select, 4 to compare, 1 for the leaves, 2 for the output.
    /// assert_eq!(program.plan().rounds, 8);
    /// assert_eq!(tree.weights["model.thresholds"][0], 0.5);
    /// # Ok::<(), ml_ops::models::trees::TreeError>(())
    /// ```
    pub fn add_to(
        &self,
        p: &mut ProgramBuilder,
        x: Value,
        weights: Weights<'_>,
    ) -> Result<InProgram, TreeError> {
        let fact = p.fact(x)?.clone();
        let &[_, features] = fact.shape.dims() else {
            return Err(TreeError::Features { expected: self.n_features, got: fact.shape });
        };
        if features != self.n_features {
            return Err(TreeError::Features { expected: self.n_features, got: fact.shape });
        }
        if fact.bound >= MAX_UNITS - 1 {
            return Err(TreeError::Magnitude { max_abs: fact.max_abs(), scale: fact.scale });
        }
        let grid = Grid { scale: fact.scale, bound: fact.bound as i64 };
        let mut trees = self.flat(grid);
        if matches!(weights, Weights::Hidden { hidden: Hidden::Shapes, .. }) {
            trees = complete(&trees)?;
        }
        let outline = Outline::of(&trees);
        let mut make = Make { p, model: self, outline, grid, weights, inputs: BTreeMap::new() };
        let bits = make.compare(x)?;
        let bits = make.equalities(bits)?;
        let leaves = make.walk(bits)?;
        let targets = make.targets(leaves)?;
        let scores = make.scores(targets)?;
        Ok(InProgram { targets, scores, weights: make.inputs })
    }

    /// The index of every row's class (scale 0), as \[rows\].
    ///
    /// # Errors
    /// [`TreeError::NoClasses`] for a regressor; [`TreeError::Program`].
    pub fn class_in(&self, p: &mut ProgramBuilder, targets: Value) -> Result<Value, TreeError> {
        let rows = p.fact(targets)?.shape.dims()[0];
        let (column, limit) = match self.outcome {
            Outcome::Targets => return Err(TreeError::NoClasses),
            Outcome::Classes => return Ok(p.argmax(targets, Axis(1))?),
            Outcome::TwoClasses => (p.slice(targets, Axis(1), 1..2)?, 0.0),
            Outcome::OneScore { positive } | Outcome::SecondScore { positive } => {
                (targets, class_limit(positive))
            }
        };
        let limit = p.number(limit)?;
        let bit = p.greater(column, limit)?;
        Ok(p.reshape(bit, [rows])?)
    }

    /// For how many rows at a time the ensemble takes moderate memory: about 2^19 comparisons.
    #[must_use]
    pub fn window_rows(&self) -> u32 {
        let branches =
            self.trees.iter().flat_map(|t| &t.nodes).filter(|n| matches!(n, TreeNode::Branch { .. }));
        (WINDOW_COMPARISONS / branches.count().max(1)).max(1) as u32
    }

    /// The weight of a leaf for a target.
    fn weight(&self, (tree, leaf): (usize, usize), target: usize) -> f64 {
        match &self.trees[tree].nodes[leaf] {
            TreeNode::Leaf(weights) => weights[target],
            TreeNode::Branch { .. } => unreachable!("an outline lists leaves as such"),
        }
    }
}

/// An ensemble that is being added to a program.
struct Make<'a, 'p> {
    p: &'p mut ProgramBuilder,
    model: &'a TreeEnsemble,
    outline: Outline,
    grid: Grid,
    weights: Weights<'a>,
    inputs: BTreeMap<String, ArrayD<f64>>,
}

impl Make<'_, '_> {
    /// A part of the model: a constant, or an input of its owner.
    fn part(
        &mut self,
        name: &str,
        values: ArrayD<f64>,
        max_abs: f64,
        integer: bool,
    ) -> Result<Value, TreeError> {
        let Weights::Hidden { owner, prefix, .. } = self.weights else {
            return Ok(self.p.constant(&values)?);
        };
        let name = format!("{prefix}.{name}");
        let shape = values.shape().to_vec();
        let value = match integer {
            true => self.p.integer_weights(&name, owner, shape, max_abs)?,
            false => self.p.weights(&name, owner, shape, max_abs)?,
        };
        self.inputs.insert(name, values);
        Ok(value)
    }

    /// One bit per comparison, as \[rows, comparisons\].
    fn compare(&mut self, x: Value) -> Result<Value, TreeError> {
        let columns = std::mem::take(&mut self.outline.columns);
        let sign = |negated: bool| if negated { -1.0 } else { 1.0 };
        let selected = if self.weights == Weights::Public {
            let features: Vec<usize> = columns.iter().map(|c| c.feature).collect();
            let selected = self.p.gather(x, Axis(1), &features)?;
            if columns.iter().any(|c| c.negated) {
                let signs: Vec<f64> = columns.iter().map(|c| sign(c.negated)).collect();
                let signs = self.p.constant(&arr1(&signs).into_dyn())?;
                self.p.mul(selected, signs)?
            } else {
                selected
            }
        } else {
            let mut select = Array2::zeros((self.model.n_features, columns.len()));
            columns.iter().enumerate().for_each(|(i, c)| select[[c.feature, i]] = sign(c.negated));
            let select = self.part("select", select.into_dyn(), 1.0, true)?;
            self.p.matmul(x, select)?
        };
        let unit = 2f64.powi(-(self.grid.scale as i32));
        let limits: Vec<f64> = columns.iter().map(|c| c.limit as f64 * unit).collect();
        let largest = (self.grid.bound + 1) as f64 * unit;
        let limits = self.part("thresholds", arr1(&limits).into_dyn(), largest, self.grid.scale == 0)?;
        self.outline.columns = columns;
        Ok(self.p.less_equal(selected, limits)?)
    }

    /// One bit per branch.
    fn equalities(&mut self, bits: Value) -> Result<Value, TreeError> {
        let doubled = &self.outline.doubled;
        if doubled.is_empty() {
            return Ok(bits);
        }
        let (branches, all) = (self.outline.branches(), self.outline.columns.len());
        let first = self.p.gather(bits, Axis(1), doubled)?;
        let second = self.p.slice(bits, Axis(1), branches..all)?;
        let both = self.p.mul(first, second)?;
        let mut order: Vec<usize> = (0..branches).collect();
        doubled.iter().enumerate().for_each(|(i, &branch)| order[branch] = all + i);
        let joined = self.p.concat(&[bits, both], Axis(1))?;
        Ok(self.p.gather(joined, Axis(1), &order)?)
    }

    /// 1 for the leaf of every tree that a row reaches, 0 for the others.
    fn walk(&mut self, bits: Value) -> Result<Value, TreeError> {
        let (mut start, mut ends, mut here) = (0, vec![], None);
        for level in &self.outline.levels {
            let n = level.branches;
            let bit = match self.outline.levels.len() {
                1 => bits,
                _ => self.p.slice(bits, Axis(1), start..start + n)?,
            };
            start += n;
            // Every row is at all roots.
            let at = here.map_or_else(|| self.p.number(1.0), Ok)?;
            let sides = self.p.split(at, bit)?;
            let mut pick = |which: &[usize]| match which {
                [] => Ok(None),
                _ if which.iter().copied().eq(0..2 * n) => Ok(Some(sides)),
                _ => self.p.gather(sides, Axis(1), which).map(Some),
            };
            ends.extend(pick(&level.ends)?);
            here = pick(&level.onward)?;
        }
        Ok(match ends[..] {
            [one] => one,
            _ => self.p.concat(&ends, Axis(1))?,
        })
    }

    /// The leaves of all trees aggregated, and base values added.
    fn targets(&mut self, reached: Value) -> Result<Value, TreeError> {
        let (trees, n_targets) = (self.model.trees.len(), self.model.n_targets);
        let leaves = std::mem::take(&mut self.outline.leaves);
        // The smallest or largest is taken of one column per tree.
        let apart = trees > 1 && matches!(self.model.aggregate, Aggregate::Min | Aggregate::Max);
        let divisor = if self.model.aggregate == Aggregate::Average { trees as f64 } else { 1.0 };
        let width = if apart { trees * n_targets } else { n_targets };
        let mut matrix = Array2::zeros((leaves.len(), width));
        for (row, &leaf) in leaves.iter().enumerate() {
            for target in 0..n_targets {
                let column = if apart { leaf.0 * n_targets + target } else { target };
                matrix[[row, column]] = self.model.weight(leaf, target) / divisor;
            }
        }
        let largest = power_above(matrix.iter().copied());
        let added = if apart { 0 } else { self.added_bits(leaves.len(), largest, &matrix) };
        let by = 2f64.powi(added as i32);
        let matrix = self.rounded(matrix * by);
        let matrix = self.part("leaves", matrix, largest * by, false)?;
        let mut sum = self.p.matmul(reached, matrix)?;
        if added > 0 {
            sum = self.p.scale(sum, 1.0 / by)?;
        }
        if apart {
            let rows = self.p.fact(sum)?.shape.dims()[0];
            let columns = self.p.reshape(sum, [rows, trees, n_targets])?;
            sum = match self.model.aggregate {
                Aggregate::Min => self.p.min(columns, Axis(1))?,
                _ => self.p.max(columns, Axis(1))?,
            };
        }
        let base = self.model.base_values.clone();
        if self.weights == Weights::Public && base.iter().all(|&b| b == 0.0) {
            return Ok(sum);
        }
        let largest = power_above(base.iter().copied());
        let base = self.rounded(arr1(&base));
        let base = self.part("base", base, largest, false)?;
        Ok(self.p.add(sum, base)?)
    }

    /// How many more fraction bits than the program the weights of leaves get.
    fn added_bits(&self, leaves: usize, largest: f64, matrix: &Array2<f64>) -> u32 {
        let frac = self.p.frac_bits();
        let unit = 2f64.powi(frac as i32);
        let exact = self.weights == Weights::Public && matrix.iter().all(|w| (w * unit).fract() == 0.0);
        let trees = self.model.trees.len();
        if trees <= 2 || exact {
            return 0;
        }
        // The product is bounded as if a row could reach all leaves.
        let bits = (leaves as f64 * largest).log2().ceil() as i32 + frac as i32;
        trees.next_power_of_two().ilog2().min(u32::try_from(60 - bits).unwrap_or(0))
    }

    /// On the program's grid: what an owner brings would be rounded so, and a constant does not round small numbers by itself.
    fn rounded<D: ndarray::Dimension>(&self, values: ndarray::Array<f64, D>) -> ArrayD<f64> {
        let unit = 2f64.powi(self.p.frac_bits() as i32);
        values.mapv(|v| (v * unit).round_ties_even() / unit).into_dyn()
    }

    /// What the outcome makes of the targets.
    fn scores(&mut self, targets: Value) -> Result<Value, TreeError> {
        let transform = self.model.post_transform;
        match self.model.outcome {
            Outcome::Targets | Outcome::Classes | Outcome::TwoClasses => self.transformed(targets),
            Outcome::SecondScore { .. } => {
                let zero = self.p.scale(targets, 0.0)?;
                let both = self.p.concat(&[zero, targets], Axis(1))?;
                self.transformed(both)
            }
            Outcome::OneScore { positive } => {
                let logistic = transform == PostTransform::Logistic;
                let score = if logistic { self.p.sigmoid(targets)? } else { targets };
                let opposite = self.p.neg(score)?;
                let opposite =
                    if logistic || positive { self.p.add_public(opposite, 1.0)? } else { opposite };
                Ok(self.p.concat(&[opposite, score], Axis(1))?)
            }
        }
    }

    fn transformed(&mut self, scores: Value) -> Result<Value, TreeError> {
        match self.model.post_transform {
            PostTransform::None => Ok(scores),
            PostTransform::Logistic => Ok(self.p.sigmoid(scores)?),
            PostTransform::Softmax => Ok(self.p.softmax(scores, Axis(1))?),
            PostTransform::SoftmaxZero => {
                let size = self.p.abs(scores)?;
                let zero = self.p.number(ZERO_UNITS * 2f64.powi(-(self.p.frac_bits() as i32)))?;
                let other = self.p.greater(size, zero)?;
                // So far below every score that its power is nothing beside theirs.
                let low = self.p.number(-self.p.fact(scores)?.max_abs().ceil() - NOTHING)?;
                let low = self.p.select(other, scores, low)?;
                let powers = self.p.softmax(low, Axis(1))?;
                Ok(self.p.mul(other, powers)?)
            }
        }
    }
}

/// A power of two that no magnitude exceeds, and at least 1.
fn power_above(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(1.0f64, |m, v| m.max(v.abs())).log2().ceil().exp2()
}
