//! The joint scorecard: logistic regression over the columns of several owners, with weights that the first keeps
//! secret.

use mpc_core::fixed::FracBits;
use ndarray::Axis;

use crate::builder::Owner;
use crate::error::ProgramError;
use crate::program::Program;

/// Name of the only output: the probability per row, for party 0.
pub const PROBABILITY: &str = "probability";

/// A scorecard before it is a program.
#[derive(Clone, Debug)]
pub struct Scorecard<'a> {
    /// Name of the program.
    pub name: &'a str,
    /// Every party and the number of columns that it brings; party 0 also brings the weights and receives the scores.
    pub parties: &'a [(&'a str, usize)],
    /// Rows to score.
    pub rows: usize,
    /// Largest magnitude of a standardised feature.
    pub max_feature: f64,
    /// Largest magnitude of a weight and of the bias.
    pub max_weight: f64,
}

impl<'a> Scorecard<'a> {
    /// A scorecard for standardised features (within ±32) and weights within ±32.
    #[must_use]
    pub const fn new(name: &'a str, parties: &'a [(&'a str, usize)], rows: usize) -> Self {
        Self { name, parties, rows, max_feature: 32.0, max_weight: 32.0 }
    }

    /// Name of a party's feature input: \[rows, columns\].
    #[must_use]
    pub fn features(party: &str) -> String {
        format!("{party}.features")
    }

    /// Name of party 0's weights: \[columns of all parties in order, 1\].
    #[must_use]
    pub fn weights(party: &str) -> String {
        format!("{party}.weights")
    }

    /// Name of party 0's bias: \[1\].
    #[must_use]
    pub fn bias(party: &str) -> String {
        format!("{party}.bias")
    }

    /// The program: probability = σ(features · weights + bias) for every row. A party with 0 columns brings none.
    ///
    /// # Errors
    /// [`ProgramError`] for names, sizes or ranges that make no valid program.
    pub fn program(&self, frac: FracBits) -> Result<Program, ProgramError> {
        let names: Vec<&str> = self.parties.iter().map(|&(name, _)| name).collect();
        let mut p = Program::builder(self.name, frac, &names);
        let mut parts = vec![];
        let mut columns = 0;
        for (i, &(name, width)) in self.parties.iter().enumerate().filter(|(_, (_, width))| *width > 0) {
            parts.push(p.input(&Self::features(name), Owner(i), [self.rows, width], self.max_feature)?);
            columns += width;
        }
        let first = names.first().copied().unwrap_or_default();
        let w = p.weights(&Self::weights(first), Owner(0), [columns, 1], self.max_weight)?;
        let b = p.weights(&Self::bias(first), Owner(0), [1], self.max_weight)?;
        let x = p.concat(&parts, Axis(1))?;
        let z = p.dense(x, w, b)?;
        let s = p.sigmoid(z)?;
        p.output(PROBABILITY, s, &[0])?;
        p.build()
    }
}
