//! Exponentials, logarithms, reciprocals, quotients and roots.

use std::ops::{Bound, RangeBounds};

use super::{ProgramBuilder, Value};
use crate::error::ProgramError;
use crate::function::Function;
use crate::op::Op;

impl ProgramBuilder {
    /// eˣ for x up to `highest`, off by at most 2^−13·max(1, eˣ) and a unit of 2^−f. Above, its value at `highest`; 0 below −9.7. Eight
    /// or nine rounds. The limit is 20 at most, and a lower one takes fewer bits.
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
        self.function(Function::Exp { highest, terms: 1 }, x)
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

    /// a/b, broadcasting, for b between the ends of a range that starts above zero; outside, b counts as the nearer end. Off by at most
    /// 2^−13·|a/b| and two units, and more only where magnitudes leave the reciprocal of b fewer bits than a has before the point.
    /// Rounds and the range as for [`ProgramBuilder::log`], and two more. [`ProgramBuilder::scale`] divides by a public number.
    ///
    /// # Errors
    /// As [`ProgramBuilder::log`]; shapes that do not fit; a largest quotient that is too large.
    ///
    /// ```
    /// # use ml_ops::{Owner, Program};
    /// # use mpc_core::fixed::FracBits;
    /// # let mut p = Program::builder("ratios", FracBits::DEFAULT, &["a", "b"]);
    /// let debts = p.input("debts", Owner(0), [10], 100.0)?;
    /// let income = p.input("income", Owner(1), [10], 1000.0)?;
    /// let ratio = p.divide(debts, income, 0.25..)?;
    /// assert!(p.fact(ratio)?.max_abs() < 401.0);
    /// # Ok::<(), ml_ops::ProgramError>(())
    /// ```
    pub fn divide(
        &mut self,
        a: Value,
        b: Value,
        range: impl RangeBounds<f64>,
    ) -> Result<Value, ProgramError> {
        self.check("divide", &[a])?;
        let [lowest, highest] = self.limits("divide", b, range)?;
        self.push("divide", &[a, b], |v| Op::Divide { a: v[0], b: v[1], lowest, highest })
    }

    /// a/b, broadcasting, for b of either sign with a magnitude of at least `least`; of smaller magnitude, b counts as `least` with its
    /// sign, that of 0 being positive. Error as [`ProgramBuilder::divide`]; six rounds more.
    ///
    /// # Errors
    /// As [`ProgramBuilder::divide`].
    pub fn divide_signed(&mut self, a: Value, b: Value, least: f64) -> Result<Value, ProgramError> {
        self.check("divide", &[a, b])?;
        let zero = self.number(0.0)?;
        let negative = self.less(b, zero)?;
        self.note_constant(negative);
        let twice = self.scale(negative, -2.0)?;
        let sign = self.add_public(twice, 1.0)?;
        let size = self.mul(b, sign)?;
        let quotient = self.divide(a, size, least..)?;
        self.mul(quotient, sign)
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
