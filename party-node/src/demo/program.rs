//! The joint scorecard as a program: every party's columns side by side, one dense layer with the first party's secret
//! weights, the logistic function, and the probabilities for the first party alone.

use ml_ops::models::scorecard::{self, scorecard};
use ml_ops::{Program, ProgramError};
use mpc_core::fixed::FracBits;

use super::scenario::{MAX_WEIGHT, Scenario};

/// Builds the program for a scenario.
///
/// # Errors
/// Whatever the builder refuses: too many rows, or bounds that could overflow.
pub fn build(scenario: &Scenario) -> Result<Program, ProgramError> {
    let members: Vec<scorecard::Member<'_>> = scenario
        .parties
        .iter()
        .map(|m| scorecard::Member { name: &m.name, columns: m.table.features().len(), max_abs: m.max_abs })
        .collect();
    scorecard("loan scorecard", FracBits::DEFAULT, &members, scenario.rows, MAX_WEIGHT)
}
