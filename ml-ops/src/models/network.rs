//! A network of dense layers with ReLU between them, that several owners of columns fit together. What everybody sees is as in
//! [`regression`](super::regression). The first weights are public and follow from a seed.
//!
//! Where classes count differently, the residuals of every step are multiplied by what their rows count, so
//! [`HISTORY`] has these.

use mpc_core::fixed::FracBits;
use ndarray::{ArrayD, Axis};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;

use super::regression::{HISTORY, LABELS, check_weights, counts_of_two, to};
use super::scorecard::{Member, PROBABILITY, column_inputs};
use super::scoring::{PREDICTION, Scoring};
use crate::builder::{Owner, ProgramBuilder, Value};
use crate::error::ProgramError;
use crate::program::Program;
use crate::settings::Rounding;
use crate::training::{Loss, Parameter, Penalty, Training, train};

/// What is predicted.
#[derive(Copy, Clone, PartialEq, Debug)]
pub enum Target<'a> {
    /// Numbers of at most this magnitude, by the least sum of squares.
    Number {
        /// Largest magnitude of a label.
        max_abs: f64,
    },
    /// Probabilities, by the least cross-entropy: that of label 1 for one output, where labels are 0 and 1; those of the classes for
    /// several outputs, where one label in a row is 1 and the others are 0.
    Class {
        /// How much a row of every class counts; for one output, of label 0 and of label 1. All alike if it is empty.
        weights: &'a [f64],
    },
}

/// A network to be fitted.
#[derive(Copy, Clone, PartialEq, Debug)]
pub struct Network<'a> {
    /// Name of the program.
    pub name: &'a str,
    /// Fraction bits.
    pub frac: FracBits,
    /// The parties, with their columns.
    pub members: &'a [Member<'a>],
    /// Rows.
    pub rows: usize,
    /// Who has the labels, as \[rows, outputs\].
    pub labels: usize,
    /// What they are.
    pub target: Target<'a>,
    /// Widths of the layers after the columns; the last is the number of outputs.
    pub layers: &'a [usize],
    /// How it is fitted. Penalties are about weights and not about biases.
    pub training: Training<'a>,
    /// Largest magnitude of a weight or bias in any step: a promise, which nothing checks.
    pub max_weight: f64,
    /// Largest magnitude of what a layer computes before its ReLU, and of its derivative: promises as well.
    pub max_hidden: f64,
    /// Of the first weights.
    pub seed: u64,
    /// Who receives the fitted weights `w0`, `b0`, `w1`…, and [`HISTORY`] if the training leaves one. Without
    /// recipients, the parties keep shares of all of them.
    pub recipients: &'a [usize],
}

impl Network<'_> {
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
    /// As [`Network::program`].
    pub fn program_with(&self, rounding: Rounding) -> Result<Program, ProgramError> {
        let names: Vec<&str> = self.members.iter().map(|m| m.name).collect();
        let mut p = Program::builder(self.name, self.frac, &names);
        p.rounding(rounding);
        let parts = column_inputs(&mut p, self.members, self.rows)?;
        let outputs = self.layers.last().copied().unwrap_or(0);
        let max_label = if let Target::Number { max_abs } = self.target { max_abs } else { 1.0 };
        let labels = p.input(LABELS, Owner(self.labels), [self.rows, outputs], max_label)?;
        let x = p.concat(&parts, Axis(1))?;
        let counts = self.counts(&mut p, labels)?;
        let parameters = self.parameters(&mut p)?;
        let trained = train(&mut p, self.rows, &parameters, &self.training, |p, w, batch| {
            let (x, y) = (p.batch(x, batch)?, p.batch(labels, batch)?);
            let mut loss = self.loss(p, x, y, w)?;
            if let Some(counts) = counts {
                let counts = p.batch(counts, batch)?;
                loss.residual = p.mul(loss.residual, counts)?;
            }
            Ok(loss)
        })?;
        for (i, pair) in trained.parameters.chunks(2).enumerate() {
            to(&mut p, &format!("w{i}"), pair[0], self.recipients)?;
            to(&mut p, &format!("b{i}"), pair[1], self.recipients)?;
        }
        if let Some(history) = trained.history {
            to(&mut p, HISTORY, history, self.recipients)?;
        }
        p.build()
    }

    /// The program that applies the fitted network to rows with the same columns: [`PROBABILITY`], or [`PREDICTION`] of numbers.
    ///
    /// # Errors
    /// As [`Network::program`].
    pub fn scoring(&self, how: &Scoring<'_>) -> Result<Program, ProgramError> {
        let (mut p, x) = how.begin(self.frac, self.members)?;
        let mut inputs = self.members.iter().map(|m| m.columns).sum::<usize>();
        let mut w = vec![];
        for (i, &outputs) in self.layers.iter().enumerate() {
            w.push(how.parameter(&mut p, &format!("w{i}"), [inputs, outputs], self.max_weight)?);
            w.push(how.parameter(&mut p, &format!("b{i}"), [outputs], self.max_weight)?);
            inputs = outputs;
        }
        let last = self.last(&mut p, x, &w)?;
        let (name, result) = match (self.target, inputs) {
            (Target::Number { .. }, _) => (PREDICTION, last),
            (Target::Class { .. }, 1) => (PROBABILITY, p.sigmoid(last)?),
            (Target::Class { .. }, _) => (PROBABILITY, p.softmax(last, Axis(1))?),
        };
        how.end(p, name, result)
    }

    /// How much every row counts, if they do not count alike.
    fn counts(&self, p: &mut ProgramBuilder, labels: Value) -> Result<Option<Value>, ProgramError> {
        let Target::Class { weights } = self.target else { return Ok(None) };
        let outputs = self.layers.last().copied().unwrap_or(0);
        if weights.iter().all(|&w| w == 1.0) {
            return Ok(None);
        }
        check_weights(weights)?;
        if weights.len() != outputs.max(2) {
            return Err(ProgramError::Training { what: "every class has a weight, or none has" });
        }
        if let (1, &[zero, one]) = (outputs, weights) {
            return counts_of_two(p, labels, [zero, one]).map(Some);
        }
        let each = ArrayD::from_shape_fn(vec![outputs, 1], |at| weights[at[0]]);
        let each = p.constant(&each)?;
        p.matmul(labels, each).map(Some)
    }

    /// Weights and biases of every layer, with their first values.
    fn parameters(&self, p: &mut ProgramBuilder) -> Result<Vec<Parameter>, ProgramError> {
        let mut random = ChaCha20Rng::seed_from_u64(self.seed);
        let mut inputs = self.members.iter().map(|m| m.columns).sum::<usize>();
        let mut all = vec![];
        for &outputs in self.layers {
            let shape = [inputs, outputs];
            all.extend(layer(p, &mut random, (&shape, inputs, outputs), self.max_weight)?);
            inputs = outputs;
        }
        Ok(all)
    }

    fn loss(
        &self,
        p: &mut ProgramBuilder,
        x: Value,
        labels: Value,
        w: &[Value],
    ) -> Result<Loss, ProgramError> {
        let last = self.last(p, x, w)?;
        match (self.target, self.layers.last()) {
            (Target::Number { .. }, _) => p.squared_error(last, labels),
            (Target::Class { .. }, Some(1)) => p.binary_cross_entropy(last, labels),
            (Target::Class { .. }, _) => p.cross_entropy(last, labels),
        }
    }

    /// What the last layer computes, before anything is made of it.
    fn last(&self, p: &mut ProgramBuilder, x: Value, w: &[Value]) -> Result<Value, ProgramError> {
        let mut x = x;
        for (i, pair) in w.chunks(2).enumerate() {
            x = p.dense(x, pair[0], pair[1])?;
            x = p.assume_range(x, self.max_hidden)?;
            p.assume_gradient(x, self.max_hidden)?;
            if i + 1 < self.layers.len() {
                x = p.relu(x)?;
            }
        }
        Ok(x)
    }
}

/// Weights of a shape and a bias for each output of a layer, with their first values: weights uniform, with a variance of 2 over the
/// layer's inputs (He et al. 2015), and no biases.
pub(super) fn layer(
    p: &mut ProgramBuilder,
    random: &mut ChaCha20Rng,
    (shape, inputs, outputs): (&[usize], usize, usize),
    max_weight: f64,
) -> Result<[Parameter; 2], ProgramError> {
    let unit = 2f64.powi(p.frac_bits() as i32);
    let limit = (6.0 / inputs.max(1) as f64).sqrt().min(max_weight);
    // Multiples of a unit, so that all have an encoding.
    let mut number = || (random.random_range(-limit..limit) * unit).round() / unit;
    let weights = p.constant(&ArrayD::from_shape_simple_fn(shape, &mut number))?;
    let biases = p.constant(&ArrayD::zeros(vec![outputs]))?;
    let parameter = |initial, penalty| Parameter { initial, max_abs: max_weight, penalty };
    Ok([parameter(weights, Penalty::All), parameter(biases, Penalty::None)])
}
