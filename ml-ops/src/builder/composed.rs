//! What is made of several operations: softmax, norms, and rows of a table that a secret index names.

use ndarray::{ArrayD, Axis};

use super::gradient::Whole;
use super::{ProgramBuilder, Value};
use crate::error::ProgramError;
use crate::function::Function;

impl ProgramBuilder {
    /// e^xᵢ / Σ e^xⱼ along an axis, which stays, off by at most 2^−11 for rows of up to 1,000 (and half a unit
    /// for every element where rounding is exact). The largest element is subtracted first, so there is no range to
    /// name. Rounds: four for each of ⌈log₂ n⌉ levels of the largest, then 19.
    ///
    /// # Errors
    /// An axis that does not exist; a foreign handle or a public operand, as everywhere.
    pub fn softmax(&mut self, x: Value, axis: Axis) -> Result<Value, ProgramError> {
        let (_, powers, sum) = self.powers("softmax", x, axis)?;
        let part = self.reciprocal(sum, 1.0..)?;
        let softmax = self.mul(powers, part)?;
        self.note_whole(softmax, Whole::Softmax { x, axis });
        Ok(softmax)
    }

    /// ln of [`ProgramBuilder::softmax`], off by at most 2^−11: x less its largest element, less the logarithm of the sum of powers.
    /// Rounds: four for each of ⌈log₂ n⌉ levels of the largest, then 17.
    ///
    /// # Errors
    /// As [`ProgramBuilder::softmax`].
    pub fn log_softmax(&mut self, x: Value, axis: Axis) -> Result<Value, ProgramError> {
        let (below, _, sum) = self.powers("log_softmax", x, axis)?;
        let log = self.log(sum, 1.0..)?;
        let whole = self.sub(below, log)?;
        self.note_whole(whole, Whole::LogSoftmax { x, axis });
        Ok(whole)
    }

    /// 1 (scale 0) at the place that each element of `index` names, 0 at the others, along a new last axis of `n`; for an index that
    /// is none of 0..n, zeros alone. Exact; four rounds.
    ///
    /// # Errors
    /// As [`ProgramBuilder::equal`].
    pub fn one_hot(&mut self, index: Value, n: usize) -> Result<Value, ProgramError> {
        self.check("one_hot", &[index])?;
        let column = [self.fact_of(index).shape.dims(), &[1]].concat();
        let column = self.reshape(index, column)?;
        let places = self.constant(&ArrayD::from_shape_fn(vec![n], |place| place[0] as f64))?;
        self.equal(column, places)
    }

    /// The rows of a table of \[n, width\] that the elements of `index` name, along a new last axis; for an index that is none of 0..n,
    /// zeros. Nobody learns which. Exact; four rounds for [`ProgramBuilder::one_hot`], and one for the product if the table is secret.
    ///
    /// # Errors
    /// As [`ProgramBuilder::one_hot`]; a table that is no matrix.
    pub fn embedding(&mut self, index: Value, table: Value) -> Result<Value, ProgramError> {
        self.check("embedding", &[index, table])?;
        let dims = self.fact_of(table).shape.dims();
        let (n, width) = (dims.first().copied().unwrap_or(0), dims.last().copied().unwrap_or(0));
        let indices = self.fact_of(index).shape.clone();
        let hot = self.one_hot(index, n)?;
        let rows = self.reshape(hot, [indices.elements(), n])?;
        let found = self.matmul(rows, table)?;
        self.reshape(found, [indices.dims(), &[width]].concat())
    }

    /// √Σx² along an axis, which disappears.
    ///
    /// # Errors
    /// As [`ProgramBuilder::square`] and [`ProgramBuilder::sum`].
    pub fn norm(&mut self, x: Value, axis: Axis) -> Result<Value, ProgramError> {
        let squares = self.square(x)?;
        let sum = self.sum(squares, axis)?;
        self.sqrt(sum)
    }

    /// x less its largest element along an axis, e to the power of that, and the sum of these, with an axis of one element.
    fn powers(
        &mut self,
        op: &'static str,
        x: Value,
        axis: Axis,
    ) -> Result<(Value, Value, Value), ProgramError> {
        self.check(op, &[x])?;
        let largest = self.max(x, axis)?;
        let one = self.fact_of(x).shape.with_axis(axis.0, 1);
        let largest = self.reshape(largest, one.clone())?;
        let below = self.sub(x, largest)?;
        let terms = self.axis_len(x, axis).try_into().unwrap_or(u32::MAX);
        let powers = self.function(Function::Exp { highest: 0.0, terms }, below)?;
        let sum = self.sum(powers, axis)?;
        let sum = self.reshape(sum, one)?;
        Ok((below, powers, sum))
    }
}
