//! Linear and logistic regression that several owners of columns fit together. Nobody sees another's columns, nor the labels but
//! their owner, nor a parameter before the last step; whoever the program names receives the fitted ones.
//!
//! Each step of a batch opens the parameters and the residuals under masks, and the columns are opened under theirs once for all
//! epochs. With class weights, the rows are weighted once before the loop, so that steps cost the same.
//!
//! Who receives weights of columns of others learns something about these: what is fitted is a function of the data.

use mpc_core::fixed::FracBits;
use ndarray::{ArrayD, Axis};

use super::scorecard::{BIAS, Member, PROBABILITY, WEIGHTS, column_inputs};
use super::scoring::{PREDICTION, Scoring};
use crate::builder::{Owner, ProgramBuilder, Value};
use crate::error::ProgramError;
use crate::program::Program;
use crate::settings::Rounding;
use crate::training::{Parameter, Penalty, Training, train};

/// Input of the labels' owner, as \[rows, 1\].
pub const LABELS: &str = "labels";
/// Output: per epoch, the mean of the squares of the residuals, as \[epochs, 1\].
pub const HISTORY: &str = "history";

/// What is predicted.
#[derive(Copy, Clone, PartialEq, Debug)]
pub enum Target {
    /// A number of at most this magnitude, by the least sum of squares.
    Number {
        /// Largest magnitude of a label.
        max_abs: f64,
    },
    /// The probability of label 1, where labels are 0 and 1, by the least cross-entropy.
    Class {
        /// How much a row of label 0 counts, and one of label 1.
        weights: [f64; 2],
    },
}

/// A regression to be fitted.
#[derive(Copy, Clone, PartialEq, Debug)]
pub struct Regression<'a> {
    /// Name of the program.
    pub name: &'a str,
    /// Fraction bits.
    pub frac: FracBits,
    /// The parties, with their columns.
    pub members: &'a [Member<'a>],
    /// Rows.
    pub rows: usize,
    /// Who has the labels.
    pub labels: usize,
    /// What they are.
    pub target: Target,
    /// How it is fitted. Penalties are about weights and not about the bias.
    pub training: Training<'a>,
    /// Largest magnitude of a weight or the bias in any step: a promise, which nothing checks.
    pub max_weight: f64,
    /// Who receives the fitted parameters, [`WEIGHTS`] and [`BIAS`] as [`scorecard`](super::scorecard::scorecard()) takes them, and
    /// [`HISTORY`] if the training leaves one. Without recipients, the parties keep shares of all of them.
    pub recipients: &'a [usize],
}

impl Regression<'_> {
    /// The program that fits it.
    ///
    /// # Errors
    /// [`ProgramError`] for names, sizes or ranges that make no valid program.
    pub fn program(&self) -> Result<Program, ProgramError> {
        self.program_with(Rounding::Dithered)
    }

    /// The same, with truncations that round as is said.
    ///
    /// # Errors
    /// As [`Regression::program`].
    pub fn program_with(&self, rounding: Rounding) -> Result<Program, ProgramError> {
        let names: Vec<&str> = self.members.iter().map(|m| m.name).collect();
        let mut p = Program::builder(self.name, self.frac, &names);
        p.rounding(rounding);
        let fitted = self.fit(&mut p)?;
        for (name, value) in [(WEIGHTS, fitted.weights), (BIAS, fitted.bias)] {
            to(&mut p, name, value, self.recipients)?;
        }
        if let Some(history) = fitted.history {
            to(&mut p, HISTORY, history, self.recipients)?;
        }
        p.build()
    }

    /// The program that applies the fitted model to rows with the same columns: [`PROBABILITY`], or [`PREDICTION`] of numbers.
    ///
    /// # Errors
    /// As [`Regression::program`].
    pub fn scoring(&self, how: &Scoring<'_>) -> Result<Program, ProgramError> {
        let (mut p, x) = how.begin(self.frac, self.members)?;
        let columns = self.members.iter().map(|m| m.columns).sum::<usize>();
        let w = how.parameter(&mut p, WEIGHTS, [columns, 1], self.max_weight)?;
        let b = how.parameter(&mut p, BIAS, [1], self.max_weight)?;
        let z = p.dense(x, w, b)?;
        match self.target {
            Target::Number { .. } => how.end(p, PREDICTION, z),
            Target::Class { .. } => {
                let probability = p.sigmoid(z)?;
                how.end(p, PROBABILITY, probability)
            }
        }
    }

    /// Adds inputs and training to a program, and declares no output.
    ///
    /// # Errors
    /// As [`Regression::program`].
    pub fn fit(&self, p: &mut ProgramBuilder) -> Result<Fitted, ProgramError> {
        let mut parts = column_inputs(p, self.members, self.rows)?;
        let max_label = if let Target::Number { max_abs } = self.target { max_abs } else { 1.0 };
        let labels = p.input(LABELS, Owner(self.labels), [self.rows, 1], max_label)?;
        let columns = self.members.iter().map(|m| m.columns).sum::<usize>();
        // The bias is the weight of a column of ones.
        parts.push(p.constant(&ArrayD::ones(vec![self.rows, 1]))?);
        let x = p.concat(&parts, Axis(1))?;
        let weighted = self.weighted(p, x, labels)?;

        let initial = p.constant(&ArrayD::zeros(vec![columns + 1, 1]))?;
        let is_weight =
            ArrayD::from_shape_fn(vec![columns + 1, 1], |at| f64::from(u8::from(at[0] < columns)));
        let penalty = if self.training.l1 + self.training.l2 > 0.0 {
            Penalty::Where(p.constant(&is_weight)?)
        } else {
            Penalty::None
        };
        let w = Parameter { initial, max_abs: self.max_weight, penalty };
        let trained = train(p, self.rows, &[w], &self.training, |p, w, batch| {
            let (x, y) = (p.batch(x, batch)?, p.batch(labels, batch)?);
            let z = p.matmul(x, w[0])?;
            let mut loss = match self.target {
                Target::Number { .. } => p.squared_error(z, y)?,
                Target::Class { .. } => p.binary_cross_entropy(z, y)?,
            };
            if let Some(weighted) = weighted {
                // The same residuals on weighted rows.
                let rows = p.batch(weighted, batch)?;
                loss.of = p.matmul(rows, w[0])?;
            }
            Ok(loss)
        })?;
        let all = trained.parameters[0];
        let weights = p.slice(all, Axis(0), 0..columns)?;
        let bias = p.slice(all, Axis(0), columns..columns + 1)?;
        Ok(Fitted { weights, bias: p.reshape(bias, [1])?, history: trained.history })
    }

    /// The rows, each as often as it counts, if they do not count alike.
    fn weighted(
        &self,
        p: &mut ProgramBuilder,
        x: Value,
        labels: Value,
    ) -> Result<Option<Value>, ProgramError> {
        let Target::Class { weights } = self.target else { return Ok(None) };
        if weights == [1.0, 1.0] {
            return Ok(None);
        }
        check_weights(&weights)?;
        let counts = counts_of_two(p, labels, weights)?;
        p.mul(x, counts).map(Some)
    }
}

/// Refuses weights of classes that are none.
pub(super) fn check_weights(weights: &[f64]) -> Result<(), ProgramError> {
    if weights.iter().all(|w| *w > 0.0 && w.is_finite()) {
        return Ok(());
    }
    Err(ProgramError::Training { what: "the weight of a class is a positive number" })
}

/// How much every row counts, given how much one of label 0 does, and one of label 1.
pub(super) fn counts_of_two(
    p: &mut ProgramBuilder,
    labels: Value,
    [zero, one]: [f64; 2],
) -> Result<Value, ProgramError> {
    let base = p.number(1.0)?;
    p.weighted_sum(&[(labels, one - zero), (base, zero)])
}

/// Declares who learns a value; if nobody does, it stays in shares.
pub(super) fn to(
    p: &mut ProgramBuilder,
    name: &str,
    value: Value,
    recipients: &[usize],
) -> Result<(), ProgramError> {
    if recipients.is_empty() { p.keep(name, value) } else { p.output(name, value, recipients) }
}

/// What a training leaves, in shares.
#[derive(Copy, Clone, PartialEq, Debug)]
pub struct Fitted {
    /// One weight per column, as \[columns, 1\].
    pub weights: Value,
    /// The intercept, as \[1\].
    pub bias: Value,
    /// As [`crate::training::Trained::history`].
    pub history: Option<Value>,
}
