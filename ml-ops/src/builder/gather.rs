//! Picking elements by public indices, and sending them to two sides by secret bits.

use ndarray::Axis;

use super::{ProgramBuilder, Value};
use crate::error::ProgramError;
use crate::op::Op;

impl ProgramBuilder {
    /// The elements at public indices of one axis, in this order; an index may come several times. Local.
    ///
    /// # Errors
    /// An index outside the axis.
    pub fn gather(&mut self, x: Value, axis: Axis, indices: &[usize]) -> Result<Value, ProgramError> {
        self.check("gather", &[x])?;
        let index = |&i: &usize| u32::try_from(i).unwrap_or(u32::MAX);
        let indices = indices.iter().map(index).collect();
        self.push("gather", &[x], |v| Op::Gather { x: v[0], axis: axis.0, indices })
    }

    /// x where `bit` is 1 and zero elsewhere, then x where it is 0 and zero elsewhere, joined along the last axis; broadcasting.
    /// Exact; one round if both are secret, else local.
    ///
    /// # Errors
    /// A condition that is not the result of a comparison; shapes that do not fit.
    ///
    /// ```
    /// use ml_ops::{Owner, Program};
    /// use mpc_core::fixed::FracBits;
    /// let mut p = Program::builder("sides", FracBits::DEFAULT, &["a", "b"]);
    /// let x = p.input("x", Owner(0), [10, 3], 8.0)?;
    /// let limits = p.input("limits", Owner(1), [3], 8.0)?;
    /// let below = p.less(x, limits)?;
    /// let sides = p.split(x, below)?;
    /// assert_eq!(p.fact(sides)?.shape.dims(), [10, 6]);
    /// # Ok::<(), ml_ops::ProgramError>(())
    /// ```
    pub fn split(&mut self, x: Value, bit: Value) -> Result<Value, ProgramError> {
        self.push("split", &[x, bit], |v| Op::Split { x: v[0], bit: v[1] })
    }
}
