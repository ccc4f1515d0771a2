//! The node that is being inferred, for its errors and for what several operations share.

use mpc_core::fixed::HEADROOM_BITS;

use super::range::Range;
use super::{LIMIT, MAX_SORTED};
use crate::error::ProgramError;
use crate::fact::Fact;
use crate::factor::{NoFactor, encode_factor};
use crate::op::NodeId;
use crate::shape::Shape;

/// The node that is being inferred, for its errors.
#[derive(Copy, Clone)]
pub(super) struct Site {
    pub(super) node: NodeId,
    pub(super) op: &'static str,
}

impl Site {
    pub(super) fn within(self, what: &'static str, bound: u128, scale: u32) -> Result<u64, ProgramError> {
        if bound < LIMIT {
            return Ok(bound as u64);
        }
        let bound = bound as f64 / 2f64.powi(scale as i32);
        let limit_bits = HEADROOM_BITS - scale.min(HEADROOM_BITS);
        Err(ProgramError::Overflow { node: self.node, op: self.op, what, bound, scale, limit_bits })
    }

    /// A secret value whose elements are within a range.
    pub(super) fn ranged(
        self,
        what: &'static str,
        shape: Shape,
        scale: u32,
        range: Range,
    ) -> Result<Fact, ProgramError> {
        let bound = self.within(what, range.magnitude(), scale)?;
        // Below 2^62, as the bound is.
        let (lo, hi) = (range.lo as i64, range.hi as i64);
        let bit = scale == 0 && lo >= 0 && hi <= 1;
        Ok(Fact { lo, hi, bit, ..Fact::secret(shape, scale, bound) })
    }

    /// A product within a range, truncated to the program's scale.
    pub(super) fn truncated(
        self,
        shape: Shape,
        range: Range,
        scale: u32,
        frac: u32,
    ) -> Result<Fact, ProgramError> {
        self.within("the product before truncation", range.magnitude(), scale)?;
        let shift = scale.saturating_sub(frac);
        self.ranged("the product", shape, scale - shift, range.truncated(shift))
    }

    /// k · x, for x within the given range at the given scale.
    pub(super) fn scaled(
        self,
        shape: Shape,
        k: f64,
        range: Range,
        scale: u32,
        frac: u32,
    ) -> Result<Fact, ProgramError> {
        let bound = range.magnitude();
        let result_scale = if k.fract() == 0.0 { scale } else { frac };
        let result = bound as f64 * k.abs() * 2f64.powi((result_scale - scale) as i32);
        self.within("the result", result as u128, result_scale)?;
        let factor = encode_factor(k, bound, scale, frac).map_err(|e| match e {
            NoFactor::NotCanonical => self.parameter("the factor is a finite number, and zero has no sign"),
            NoFactor::TooLarge => self.parameter("the factor is below 2^62"),
            NoFactor::Vanishes => {
                self.parameter("the factor is so close to zero that every result is below one unit")
            }
            NoFactor::NoRoom { bits } => ProgramError::FactorPrecision {
                node: self.node,
                op: self.op,
                k,
                bound: bound as f64 / 2f64.powi(scale as i32),
                bits,
                frac,
            },
        })?;
        let product = range.truncated(factor.first).scaled(factor.value.into());
        self.truncated(shape, product, scale + factor.bits - factor.first, frac)
    }

    /// The common scale of two values whose difference is taken.
    pub(super) fn difference(self, a: &Fact, b: &Fact) -> Result<u32, ProgramError> {
        let scale = a.scale.max(b.scale);
        let difference = Range::of(a, scale) - Range::of(b, scale);
        self.within("the difference of the operands", difference.magnitude(), scale)?;
        Ok(scale)
    }

    pub(super) fn broadcast(self, a: &Fact, b: &Fact) -> Result<Shape, ProgramError> {
        let shape = a.shape.broadcast(&b.shape);
        shape.ok_or_else(|| self.shapes(a, &b.shape, "axes must be equal or 1, aligned at the end"))
    }

    /// The shape of products over the last two axes, and the terms of each of their elements.
    pub(super) fn matrix_products(self, a: &Fact, b: &Fact) -> Result<(Shape, usize), ProgramError> {
        let (&[ref left @ .., m, k], &[ref right @ .., k2, n]) = (a.shape.dims(), b.shape.dims()) else {
            return Err(self.shapes(a, &b.shape, "both must be matrices"));
        };
        if k != k2 {
            return Err(self.shapes(a, &b.shape, "columns of the first must equal rows of the second"));
        }
        let leading = Shape::from(left).broadcast(&Shape::from(right)).ok_or_else(|| {
            self.shapes(a, &b.shape, "leading axes must be equal or 1, aligned at the end of them")
        })?;
        Ok(([leading.dims(), &[m, n]].concat().into(), k))
    }

    pub(super) fn axis_len(self, x: &Fact, axis: usize) -> Result<usize, ProgramError> {
        x.shape.dims().get(axis).copied().ok_or_else(|| ProgramError::NoSuchAxis {
            node: self.node,
            op: self.op,
            axis,
            shape: x.shape.clone(),
        })
    }

    /// Checks that `keep` elements along an axis can be the first sorted ones.
    pub(super) fn sorted(self, keys: &Fact, axis: usize, keep: usize) -> Result<(), ProgramError> {
        let n = self.axis_len(keys, axis)?;
        if n > MAX_SORTED {
            return Err(self.parameter("an axis of at most 2^16 elements is sorted"));
        }
        if !(1..=n).contains(&keep) {
            return Err(self.parameter("at least one element is kept, and at most as many as there are"));
        }
        Ok(())
    }

    pub(super) fn allowed(self, shape: &Shape) -> Result<(), ProgramError> {
        if shape.is_allowed() {
            return Ok(());
        }
        Err(ProgramError::ShapeLimit { node: self.node, op: self.op, shape: shape.clone() })
    }

    pub(super) fn shapes(self, left: &Fact, right: &Shape, why: &'static str) -> ProgramError {
        let (left, right) = (left.shape.clone(), right.clone());
        ProgramError::Shapes { node: self.node, op: self.op, left, right, why }
    }

    pub(super) const fn parameter(self, what: &'static str) -> ProgramError {
        ProgramError::Parameter { node: self.node, op: self.op, what }
    }
}
