//! Rows that a fitted model is applied to: the program that goes with that of a training. Its inputs are called as the training's
//! are, and it takes the parameters up as the training leaves them: as an input of whoever received them, or as the shares that all
//! keep.

use mpc_core::fixed::FracBits;
use ndarray::Axis;

use super::scorecard::{Member, column_inputs};
use crate::builder::{Owner, ProgramBuilder, Value};
use crate::error::ProgramError;
use crate::program::Program;
use crate::settings::Rounding;
use crate::shape::Shape;

/// Output of models that predict numbers, as \[rows, outputs\]. Those of classes have
/// [`PROBABILITY`](super::scorecard::PROBABILITY).
pub const PREDICTION: &str = "prediction";

/// Where a scoring takes a fitted model from.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum ModelFrom {
    /// From the shares that all parties kept.
    Shares,
    /// From this party, which received it.
    Owner(usize),
}

/// How rows are scored.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Scoring<'a> {
    /// Name of the program.
    pub name: &'a str,
    /// Rows.
    pub rows: usize,
    /// Rows that are computed at a time; all at once without.
    pub window_rows: Option<u32>,
    /// Where the model comes from.
    pub model: ModelFrom,
    /// How truncations round.
    pub rounding: Rounding,
    /// Who learns the results.
    pub recipients: &'a [usize],
}

impl Scoring<'_> {
    /// A program of these parties, with nothing in it.
    pub(super) fn program(&self, frac: FracBits, parties: &[&str]) -> ProgramBuilder {
        let mut p = Program::builder(self.name, frac, parties);
        p.rounding(self.rounding);
        if let Some(rows) = self.window_rows {
            p.window_rows(rows);
        }
        p
    }

    /// A program with the columns of all members side by side.
    pub(super) fn begin(
        &self,
        frac: FracBits,
        members: &[Member<'_>],
    ) -> Result<(ProgramBuilder, Value), ProgramError> {
        let names: Vec<&str> = members.iter().map(|m| m.name).collect();
        let mut p = self.program(frac, &names);
        let parts = column_inputs(&mut p, members, self.rows)?;
        let x = p.concat(&parts, Axis(1))?;
        Ok((p, x))
    }

    /// A parameter of the model.
    pub(super) fn parameter(
        &self,
        p: &mut ProgramBuilder,
        name: &str,
        shape: impl Into<Shape>,
        max_abs: f64,
    ) -> Result<Value, ProgramError> {
        match self.model {
            ModelFrom::Shares => p.shared(name, shape, max_abs),
            ModelFrom::Owner(owner) => p.weights(name, Owner(owner), shape, max_abs),
        }
    }

    /// The program, with its only output.
    pub(super) fn end(
        &self,
        mut p: ProgramBuilder,
        name: &str,
        result: Value,
    ) -> Result<Program, ProgramError> {
        p.output(name, result, self.recipients)?;
        p.build()
    }
}
