//! Exponentials, logarithms, reciprocals and roots, and what is made of them.

use std::ops::{Bound, RangeBounds};

use ndarray::Axis;

use super::{ProgramBuilder, Value};
use crate::error::ProgramError;
use crate::function::Function;

impl ProgramBuilder {
    /// eˣ for x up to `highest`, off by at most 2^−13·max(1, eˣ) and a unit of 2^−f. Above, its value at `highest`; 0 below −9.7. Eight
    /// or nine rounds. A high limit takes bits and precision: e^`highest` is below 2^(56−f).
    ///
    /// # Errors
    /// A limit that is not finite or too high; a foreign handle or a public operand, as everywhere.
    ///
    /// ```
    /// use ml_ops::{Owner, Program};
    /// use mpc_core::fixed::FracBits;
    /// let mut p = Program::builder("growth", FracBits::DEFAULT, &["a", "b"]);
    /// let x = p.input("x", Owner(0), [10], 100.0)?;
    /// assert!(p.exp(x, 100.0).is_err());
    /// let y = p.exp(x, 6.0)?;
    /// # p.output("y", y, &[0])?;
    /// # Ok::<(), ml_ops::ProgramError>(())
    /// ```
    pub fn exp(&mut self, x: Value, highest: f64) -> Result<Value, ProgramError> {
        self.check("exp", &[x])?;
        self.function(Function::Exp { highest }, x)
    }

    /// ln x between the ends of a range that starts above zero, off by at most 2^−13 and a unit; outside, its value at the nearer
    /// end, so ln of the lower end for zero and below. Without an upper end, the range goes as far as x does. Eight or nine rounds;
    /// a wide range takes bits: about 34 for every factor of 1.9.
    ///
    /// # Errors
    /// A range that is empty or not above zero, or too wide; a foreign handle or a public operand, as everywhere.
    ///
    /// ```
    /// # use ml_ops::{Owner, Program};
    /// # use mpc_core::fixed::FracBits;
    /// # let mut p = Program::builder("logarithms", FracBits::DEFAULT, &["a", "b"]);
    /// let x = p.input("x", Owner(0), [10], 100.0)?;
    /// let y = p.log(x, 0.01..)?;
    /// let z = p.log(x, 1.0..=10.0)?;
    /// # Ok::<(), ml_ops::ProgramError>(())
    /// ```
    pub fn log(&mut self, x: Value, range: impl RangeBounds<f64>) -> Result<Value, ProgramError> {
        let [lowest, highest] = self.limits("log", x, range)?;
        self.function(Function::Log { lowest, highest }, x)
    }

    /// 1/x between the ends of a range that starts above zero, off by at most 2^−13/x and two units; outside, its value at the nearer
    /// end. Rounds and the range as for [`ProgramBuilder::log`].
    ///
    /// # Errors
    /// As [`ProgramBuilder::log`].
    pub fn reciprocal(&mut self, x: Value, range: impl RangeBounds<f64>) -> Result<Value, ProgramError> {
        let [lowest, highest] = self.limits("reciprocal", x, range)?;
        self.function(Function::Reciprocal { lowest, highest }, x)
    }

    /// √x, off by at most 2^−13·max(1, √x) and a unit; 0 for x below zero. Eight or nine rounds.
    ///
    /// # Errors
    /// A foreign handle or a public operand, as everywhere.
    pub fn sqrt(&mut self, x: Value) -> Result<Value, ProgramError> {
        let highest = self.fact(x)?.max_abs();
        self.function(Function::Sqrt { highest }, x)
    }

    /// 1/√x between the ends of a range that starts above zero, off by at most 2^−13/√x and two units; outside, its value at the nearer
    /// end. Rounds and the range as for [`ProgramBuilder::log`].
    ///
    /// # Errors
    /// As [`ProgramBuilder::log`].
    pub fn rsqrt(&mut self, x: Value, range: impl RangeBounds<f64>) -> Result<Value, ProgramError> {
        let [lowest, highest] = self.limits("rsqrt", x, range)?;
        self.function(Function::Rsqrt { lowest, highest }, x)
    }

    /// e^xᵢ / Σ e^xⱼ along an axis, which stays, off by at most 2^−11. The largest element is subtracted first, so there is no range to
    /// name. Rounds: four for each of ⌈log₂ n⌉ levels of the largest, then 18.
    ///
    /// # Errors
    /// An axis that does not exist; a foreign handle or a public operand, as everywhere.
    pub fn softmax(&mut self, x: Value, axis: Axis) -> Result<Value, ProgramError> {
        let (_, powers, sum) = self.powers("softmax", x, axis)?;
        let part = self.reciprocal(sum, 1.0..)?;
        self.mul(powers, part)
    }

    /// ln of [`ProgramBuilder::softmax`], off by at most 2^−11: x less its largest element, less the logarithm of the sum of powers.
    /// Rounds: four for each of ⌈log₂ n⌉ levels of the largest, then 16.
    ///
    /// # Errors
    /// As [`ProgramBuilder::softmax`].
    pub fn log_softmax(&mut self, x: Value, axis: Axis) -> Result<Value, ProgramError> {
        let (below, _, sum) = self.powers("log_softmax", x, axis)?;
        let log = self.log(sum, 1.0..)?;
        self.sub(below, log)
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
        let powers = self.exp(below, 0.0)?;
        let sum = self.sum(powers, axis)?;
        let sum = self.reshape(sum, one)?;
        Ok((below, powers, sum))
    }

    /// The ends of a range of arguments: above, the bound of x if there is none.
    fn limits(
        &self,
        op: &'static str,
        x: Value,
        range: impl RangeBounds<f64>,
    ) -> Result<[f64; 2], ProgramError> {
        self.check(op, &[x])?;
        let end = |bound: Bound<&f64>, open: f64| match bound {
            Bound::Included(&v) | Bound::Excluded(&v) => v,
            Bound::Unbounded => open,
        };
        Ok([end(range.start_bound(), 0.0), end(range.end_bound(), self.fact_of(x).max_abs())])
    }
}
