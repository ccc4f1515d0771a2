//! Functions of every element.

use super::{ProgramBuilder, Value};
use crate::error::ProgramError;
use crate::function::Function;
use crate::op::Op;

impl ProgramBuilder {
    /// 1 / (1 + e^−x), off by at most 7.0e-5 at 16 fraction bits. Six rounds; seven above 16 fraction bits.
    ///
    /// # Errors
    /// A foreign handle or a public operand, as everywhere; an operand that could reach 2^(61−f).
    pub fn sigmoid(&mut self, x: Value) -> Result<Value, ProgramError> {
        self.function(Function::Sigmoid, x)
    }

    /// The hyperbolic tangent, off by at most 1.2e-4 at 16 fraction bits. Rounds as [`ProgramBuilder::sigmoid`].
    ///
    /// # Errors
    /// As [`ProgramBuilder::sigmoid`].
    pub fn tanh(&mut self, x: Value) -> Result<Value, ProgramError> {
        self.function(Function::Tanh, x)
    }

    /// A function of every element. `docs/functions.md` says of each how far results may be off and over which range.
    ///
    /// # Errors
    /// A foreign handle or a public operand; a parameter out of range; an operand whose bound leaves too little room.
    pub fn function(&mut self, function: Function, x: Value) -> Result<Value, ProgramError> {
        self.push(function.name(), &[x], |v| Op::Function { x: v[0], function })
    }
}
