//! The joint scorecard: logistic regression over the columns of several owners, with weights that the first of them
//! keeps secret and scores that it alone receives.
//!
//! Whoever chooses secret weights chooses the function: one-hot weights would read out a partner's column. Partners who
//! mind should agree on outputs that are rounded to bands.

use mpc_core::fixed::FracBits;
use ndarray::Axis;

use crate::builder::{Owner, ProgramBuilder, Value};
use crate::error::ProgramError;
use crate::program::Program;

/// Input of party 0: one weight per column, of all parties in order, as \[columns, 1\].
pub const WEIGHTS: &str = "weights";
/// Input of party 0: the intercept, as \[1\].
pub const BIAS: &str = "bias";
/// The only output: the probability per row, as \[rows, 1\], for party 0.
pub const PROBABILITY: &str = "probability";

/// Name of a party's input: its columns, as \[rows, columns\].
#[must_use]
pub fn features(party: &str) -> String {
    format!("{party}.features")
}

/// Rows that are computed at a time.
pub const WINDOW_ROWS: u32 = 1 << 16;

/// A party that brings columns.
#[derive(Copy, Clone, PartialEq, Debug)]
pub struct Member<'a> {
    /// Name of the party.
    pub name: &'a str,
    /// Number of columns; a party with none brings no input.
    pub columns: usize,
    /// Largest magnitude of its values; standardised columns rarely exceed 32.
    pub max_abs: f64,
}

/// probability = σ(features · weights + bias) for every row, [`WINDOW_ROWS`] rows at a time. Three interactive operations: 1 opening and 1 truncation
/// for the product, then the sigmoid.
///
/// # Errors
/// [`ProgramError`] for names, sizes or ranges that make no valid program.
///
/// ```
/// use ml_ops::models::scorecard::{Member, scorecard};
/// use mpc_core::fixed::FracBits;
/// let members = [
///     Member { name: "bank", columns: 4, max_abs: 32.0 },
///     Member { name: "bureau", columns: 3, max_abs: 32.0 },
/// ];
/// let program = scorecard("loans", FracBits::DEFAULT, &members, 1000, 32.0)?;
/// assert_eq!(program.plan().rounds, 2 + 6 + 2);
/// # Ok::<(), ml_ops::ProgramError>(())
/// ```
pub fn scorecard(
    name: &str,
    frac: FracBits,
    members: &[Member<'_>],
    rows: usize,
    max_weight: f64,
) -> Result<Program, ProgramError> {
    let names: Vec<&str> = members.iter().map(|m| m.name).collect();
    let mut p = Program::builder(name, frac, &names);
    p.window_rows(WINDOW_ROWS);
    let parts = column_inputs(&mut p, members, rows)?;
    let columns = members.iter().fold(0usize, |sum, m| sum.saturating_add(m.columns));
    let w = p.weights(WEIGHTS, Owner(0), [columns, 1], max_weight)?;
    let b = p.weights(BIAS, Owner(0), [1], max_weight)?;
    let x = p.concat(&parts, Axis(1))?;
    let z = p.dense(x, w, b)?;
    let probability = p.sigmoid(z)?;
    p.output(PROBABILITY, probability, &[0])?;
    p.build()
}

/// The columns of every member that has some, as its input.
pub(super) fn column_inputs(
    p: &mut ProgramBuilder,
    members: &[Member<'_>],
    rows: usize,
) -> Result<Vec<Value>, ProgramError> {
    let own = members.iter().enumerate().filter(|(_, m)| m.columns > 0);
    own.map(|(i, m)| p.input(&features(m.name), Owner(i), [rows, m.columns], m.max_abs)).collect()
}
