//! Comparisons, and what chooses by them.

use mpc_core::fixed::encode;
use ndarray::Axis;

use super::{ProgramBuilder, Value};
use crate::error::ProgramError;
use crate::op::{Direction, Extreme, Op, Winner};

impl ProgramBuilder {
    /// \[a < b\] as 0 or 1 (scale 0), broadcasting. Exact; four rounds.
    ///
    /// # Errors
    /// As [`ProgramBuilder::add`].
    pub fn less(&mut self, a: Value, b: Value) -> Result<Value, ProgramError> {
        self.push("less", &[a, b], |v| Op::Less(v[0], v[1]))
    }

    /// \[a > b\] as 0 or 1 (scale 0), broadcasting. Exact; four rounds.
    ///
    /// # Errors
    /// As [`ProgramBuilder::add`].
    pub fn greater(&mut self, a: Value, b: Value) -> Result<Value, ProgramError> {
        self.push("greater", &[a, b], |v| Op::Greater(v[0], v[1]))
    }

    /// \[a ≤ b\] as 0 or 1 (scale 0), broadcasting. Exact; four rounds.
    ///
    /// # Errors
    /// As [`ProgramBuilder::add`].
    pub fn less_equal(&mut self, a: Value, b: Value) -> Result<Value, ProgramError> {
        self.push("less_equal", &[a, b], |v| Op::LessEqual(v[0], v[1]))
    }

    /// \[a ≥ b\] as 0 or 1 (scale 0), broadcasting. Exact; four rounds.
    ///
    /// # Errors
    /// As [`ProgramBuilder::add`].
    pub fn greater_equal(&mut self, a: Value, b: Value) -> Result<Value, ProgramError> {
        self.push("greater_equal", &[a, b], |v| Op::GreaterEqual(v[0], v[1]))
    }

    /// a where `bit` is 1, b where it is 0, broadcasting. Exact; one round.
    ///
    /// # Errors
    /// A condition that is not the result of a comparison; else as [`ProgramBuilder::add`].
    pub fn select(&mut self, bit: Value, a: Value, b: Value) -> Result<Value, ProgramError> {
        self.push("select", &[bit, a, b], |v| Op::Select { bit: v[0], a: v[1], b: v[2] })
    }

    /// \[a = b\] as 0 or 1 (scale 0), broadcasting. Exact; four rounds.
    ///
    /// # Errors
    /// As [`ProgramBuilder::add`].
    pub fn equal(&mut self, a: Value, b: Value) -> Result<Value, ProgramError> {
        self.push("equal", &[a, b], |v| Op::Equal(v[0], v[1]))
    }

    /// \[a ≠ b\] as 0 or 1 (scale 0), broadcasting. Exact; four rounds.
    ///
    /// # Errors
    /// As [`ProgramBuilder::add`].
    pub fn not_equal(&mut self, a: Value, b: Value) -> Result<Value, ProgramError> {
        self.push("not_equal", &[a, b], |v| Op::NotEqual(v[0], v[1]))
    }

    /// The smaller of a and b, broadcasting. Exact; four rounds.
    ///
    /// # Errors
    /// As [`ProgramBuilder::add`].
    pub fn minimum(&mut self, a: Value, b: Value) -> Result<Value, ProgramError> {
        self.push("minimum", &[a, b], |v| Op::Minimum(v[0], v[1]))
    }

    /// The larger of a and b, broadcasting. Exact; four rounds.
    ///
    /// # Errors
    /// As [`ProgramBuilder::add`].
    pub fn maximum(&mut self, a: Value, b: Value) -> Result<Value, ProgramError> {
        self.push("maximum", &[a, b], |v| Op::Maximum(v[0], v[1]))
    }

    /// |x|. Exact; four rounds. After a truncation it is fused with it, as [`ProgramBuilder::relu`].
    ///
    /// # Errors
    /// A foreign handle or a public operand, as everywhere.
    pub fn abs(&mut self, x: Value) -> Result<Value, ProgramError> {
        self.push("abs", &[x], |v| Op::Abs(v[0]))
    }

    /// −1, 0 or 1 (scale 0) as x is below, equal to or above 0. Exact; four rounds.
    ///
    /// # Errors
    /// A foreign handle or a public operand, as everywhere.
    pub fn sign(&mut self, x: Value) -> Result<Value, ProgramError> {
        self.push("sign", &[x], |v| Op::Sign(v[0]))
    }

    /// The largest element along an axis, which disappears. Exact; four rounds for each of ⌈log₂ n⌉ levels.
    ///
    /// # Errors
    /// An axis that does not exist.
    pub fn max(&mut self, x: Value, axis: Axis) -> Result<Value, ProgramError> {
        self.extreme("max", x, axis, Extreme::Largest, Winner::Value)
    }

    /// The smallest element along an axis, which disappears. Rounds as [`ProgramBuilder::max`].
    ///
    /// # Errors
    /// An axis that does not exist.
    pub fn min(&mut self, x: Value, axis: Axis) -> Result<Value, ProgramError> {
        self.extreme("min", x, axis, Extreme::Smallest, Winner::Value)
    }

    /// The index (scale 0) of the largest element along an axis, which disappears; of equal ones the lowest. Rounds as
    /// [`ProgramBuilder::max`].
    ///
    /// # Errors
    /// An axis that does not exist.
    pub fn argmax(&mut self, x: Value, axis: Axis) -> Result<Value, ProgramError> {
        self.extreme("argmax", x, axis, Extreme::Largest, Winner::Index)
    }

    /// The index (scale 0) of the smallest element along an axis, which disappears; of equal ones the lowest. Rounds as
    /// [`ProgramBuilder::max`].
    ///
    /// # Errors
    /// An axis that does not exist.
    pub fn argmin(&mut self, x: Value, axis: Axis) -> Result<Value, ProgramError> {
        self.extreme("argmin", x, axis, Extreme::Smallest, Winner::Index)
    }

    /// 1 (scale 0) where [`ProgramBuilder::argmax`] points to, 0 elsewhere along the axis. Rounds as
    /// [`ProgramBuilder::max`].
    ///
    /// # Errors
    /// An axis that does not exist.
    pub fn argmax_one_hot(&mut self, x: Value, axis: Axis) -> Result<Value, ProgramError> {
        self.extreme("argmax_one_hot", x, axis, Extreme::Largest, Winner::OneHot)
    }

    /// 1 (scale 0) where [`ProgramBuilder::argmin`] points to, 0 elsewhere along the axis. Rounds as
    /// [`ProgramBuilder::max`].
    ///
    /// # Errors
    /// An axis that does not exist.
    pub fn argmin_one_hot(&mut self, x: Value, axis: Axis) -> Result<Value, ProgramError> {
        self.extreme("argmin_one_hot", x, axis, Extreme::Smallest, Winner::OneHot)
    }

    /// The elements along an axis, sorted. Exact; four rounds for each of t(t+1)/2 stages, t = ⌈log₂ n⌉.
    ///
    /// # Errors
    /// An axis that does not exist or has more than 2^16 elements; too many comparisons in one program.
    pub fn sort(&mut self, x: Value, axis: Axis, direction: Direction) -> Result<Value, ProgramError> {
        self.check("sort", &[x])?;
        let keep = self.axis_len(x, axis);
        self.first_sorted(x, axis, direction, keep)
    }

    /// The first k of the sorted elements along an axis: the k largest for [`Direction::Descending`]. Exact, and in
    /// fewer rounds and bytes than all of them.
    ///
    /// # Errors
    /// As [`ProgramBuilder::sort`], or if k is 0 or more than there are.
    pub fn top_k(
        &mut self,
        x: Value,
        k: usize,
        axis: Axis,
        direction: Direction,
    ) -> Result<Value, ProgramError> {
        self.first_sorted(x, axis, direction, k)
    }

    /// As [`ProgramBuilder::top_k`], with values of the same shape that move along with the keys: the first k sorted
    /// keys, and what stood beside them. The order of equal keys is that of a network, the same in every run.
    ///
    /// # Errors
    /// As [`ProgramBuilder::top_k`]; values of another shape; keys of the highest rank.
    pub fn top_k_with(
        &mut self,
        keys: Value,
        payload: Value,
        k: usize,
        axis: Axis,
        direction: Direction,
    ) -> Result<(Value, Value), ProgramError> {
        let both = self.push("sort_with", &[keys, payload], |v| Op::Sort {
            keys: v[0],
            payload: Some(v[1]),
            axis: axis.0,
            direction,
            keep: k,
        })?;
        let shape = self.fact_of(both).shape.without(0);
        let mut part = |i: usize| {
            let part = self.slice(both, Axis(0), i..i + 1)?;
            self.reshape(part, shape.clone())
        };
        Ok((part(0)?, part(1)?))
    }

    /// max(x, 0). Exact; four rounds. If x is the result of an operation that truncates and is used for nothing else, one
    /// opening serves both, and the truncation's round and 64 bits are saved.
    ///
    /// # Errors
    /// A foreign handle or a public operand, as everywhere.
    pub fn relu(&mut self, x: Value) -> Result<Value, ProgramError> {
        self.push("relu", &[x], |v| Op::Relu(v[0]))
    }

    /// min(max(x, lo), hi) for public limits, which are rounded to the program's fraction bits, so by half a
    /// unit at most: a limit of less than that is 0. Exact; four rounds. Fused as [`ProgramBuilder::relu`].
    ///
    /// # Errors
    /// Limits that are not finite, too large or in the wrong order.
    pub fn clamp(&mut self, x: Value, lo: f64, hi: f64) -> Result<Value, ProgramError> {
        let limits = ndarray::arr1(&[lo, hi]).into_dyn();
        let encoded = encode(&limits, self.program.frac.bits(), f64::INFINITY);
        let limits = encoded.map_err(|source| ProgramError::Encoding { op: "clamp", source })?;
        let [lo, hi] = [0, 1].map(|i| mpc_core::ring::Ring::to_i64(limits.as_slice()[i]));
        self.push("clamp", &[x], |v| Op::Clamp { x: v[0], lo, hi })
    }

    pub(super) fn extreme(
        &mut self,
        name: &'static str,
        x: Value,
        axis: Axis,
        which: Extreme,
        with: Winner,
    ) -> Result<Value, ProgramError> {
        self.push(name, &[x], |v| Op::Extreme { x: v[0], axis: axis.0, which, with })
    }

    fn first_sorted(
        &mut self,
        x: Value,
        axis: Axis,
        direction: Direction,
        keep: usize,
    ) -> Result<Value, ProgramError> {
        self.push("sort", &[x], |v| Op::Sort { keys: v[0], payload: None, axis: axis.0, direction, keep })
    }

    /// Elements along an axis; 0 if it does not exist, which inference refuses.
    pub(super) fn axis_len(&self, x: Value, axis: Axis) -> usize {
        self.fact_of(x).shape.dims().get(axis.0).copied().unwrap_or(0)
    }
}
