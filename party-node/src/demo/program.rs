//! The joint scorecard as a program: every party's columns side by side, one dense layer with the first party's secret
//! weights, the logistic function, and the probabilities for the first party alone.

use ml_ops::{Axis, Owner, Program, ProgramError};
use mpc_core::fixed::FracBits;

use super::scenario::{MAX_WEIGHT, Scenario};

/// The program's name for the weights.
pub const WEIGHTS: &str = "weights";
/// The program's name for the intercept.
pub const INTERCEPT: &str = "bias";
/// The program's name for the result.
pub const PROBABILITY: &str = "probability";

/// The program's name for a party's table.
#[must_use]
pub fn features(party: &str) -> String {
    format!("{party}.features")
}

/// Builds the program for a scenario.
///
/// # Errors
/// Whatever the builder refuses: too many rows, or bounds that could overflow.
pub fn build(scenario: &Scenario) -> Result<Program, ProgramError> {
    let names: Vec<&str> = scenario.parties.iter().map(|m| m.name.as_str()).collect();
    let mut p = Program::builder("loan scorecard", FracBits::DEFAULT, &names);
    let mut tables = Vec::new();
    let mut width = 0;
    for (index, member) in scenario.parties.iter().enumerate() {
        let columns = member.table.columns.len();
        let shape = [scenario.rows, columns];
        tables.push(p.input(&features(&member.name), Owner(index), shape, member.max_abs)?);
        width += columns;
    }
    let weights = p.weights(WEIGHTS, Owner(0), [width, 1], MAX_WEIGHT)?;
    let bias = p.weights(INTERCEPT, Owner(0), [1], MAX_WEIGHT)?;
    let x = p.concat(&tables, Axis(1))?;
    let z = p.dense(x, weights, bias)?;
    let probability = p.sigmoid(z)?;
    p.output(PROBABILITY, probability, &[0])?;
    p.build()
}
