//! Who brings what to a network.

use mpc_core::fixed::FracBits;

use crate::builder::{Linear, Owner, ProgramBuilder, Value};
use crate::error::ProgramError;
use crate::program::Program;
use crate::shape::Shape;

/// Input of the party with data.
pub const DATA: &str = "data";
/// The only output of a network.
pub const RESULT: &str = "result";

/// A program's name and parties, and what they have.
#[derive(Copy, Clone, Debug)]
pub struct Roles<'a> {
    /// Name of the program.
    pub name: &'a str,
    /// Names of the parties.
    pub parties: &'a [&'a str],
    /// Who has the weights.
    pub model: Owner,
    /// Who has the data.
    pub data: Owner,
    /// Who learns the result.
    pub recipients: &'a [usize],
    /// Fraction bits.
    pub frac: FracBits,
    /// Largest magnitude of a weight.
    pub max_weight: f64,
    /// Largest magnitude of the data.
    pub max_data: f64,
    /// Promised about what layers compute ([`ProgramBuilder::assume_range`]), which is far below what all weights of one sign would
    /// make of all data.
    pub promised: f64,
}

/// A network being built.
pub(super) struct Network<'a> {
    pub(super) roles: Roles<'a>,
    pub(super) p: ProgramBuilder,
}

impl<'a> Network<'a> {
    pub(super) fn new(roles: Roles<'a>) -> Self {
        Self { roles, p: Program::builder(roles.name, roles.frac, roles.parties) }
    }

    pub(super) fn data(&mut self, shape: impl Into<Shape>) -> Result<Value, ProgramError> {
        self.p.input(DATA, self.roles.data, shape, self.roles.max_data)
    }

    pub(super) fn weights(&mut self, name: &str, shape: impl Into<Shape>) -> Result<Value, ProgramError> {
        self.p.weights(name, self.roles.model, shape, self.roles.max_weight)
    }

    /// Weights and bias called `name.weights` and `name.bias`.
    pub(super) fn linear(
        &mut self,
        name: &str,
        inputs: usize,
        outputs: usize,
    ) -> Result<Linear, ProgramError> {
        let weights = self.weights(&format!("{name}.weights"), [inputs, outputs])?;
        let bias = self.weights(&format!("{name}.bias"), [outputs])?;
        Ok(Linear { weights, bias })
    }

    /// A dense layer with weights and bias of its own, within the promise.
    pub(super) fn dense(&mut self, name: &str, x: Value, outputs: usize) -> Result<Value, ProgramError> {
        let inputs = self.p.fact(x)?.shape.dims().last().copied().unwrap_or(1);
        let Linear { weights, bias } = self.linear(name, inputs, outputs)?;
        let y = self.p.dense(x, weights, bias)?;
        self.promised(y)
    }

    /// A kernel \[filters, channels, height, width\] called `name.kernel` and a bias called `name.bias`.
    pub(super) fn kernel(&mut self, name: &str, shape: [usize; 4]) -> Result<(Value, Value), ProgramError> {
        let kernel = self.weights(&format!("{name}.kernel"), shape)?;
        Ok((kernel, self.weights(&format!("{name}.bias"), [shape[0]])?))
    }

    pub(super) fn promised(&mut self, x: Value) -> Result<Value, ProgramError> {
        self.p.assume_range(x, self.roles.promised)
    }

    pub(super) fn build(mut self, result: Value) -> Result<Program, ProgramError> {
        self.p.output(RESULT, result, self.roles.recipients)?;
        self.p.build()
    }
}
