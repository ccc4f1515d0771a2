//! Slopes of functions of every element, and derivatives of quotients. Where a function stays at its value beyond a limit, its slope
//! is 0 there.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

use mpc_core::ring::{Ring as _, Z64};
use mpc_core::tensor::Tensor;

use super::super::{ProgramBuilder, Value};
use crate::error::ProgramError;
use crate::fact::Fact;
use crate::function::Function;
use crate::op::{NodeId, Op};

/// Beyond, e^−x² is below 2^−23.
const BELL: f64 = 4.0;
/// Above the slopes of GELU (1.129 at most) and of SiLU (1.100); inference finds far more than that.
const STEEPEST: f64 = 1.25;
/// Units of 2^−f that these slopes are off by at most, with few fraction bits.
const STEEPEST_UNITS: f64 = 16.0;
/// √x counts as steep as here for smaller x.
const STEEP: f64 = 1.0 / 65_536.0;

impl ProgramBuilder {
    /// The slope of a function of x, whose value is y.
    pub(super) fn slope(&mut self, y: Value, x: Value, function: Function) -> Result<Value, ProgramError> {
        match function {
            // s(1 − s) = s − s².
            Function::Sigmoid | Function::SigmoidTraining => {
                let squared = self.square(y)?;
                self.sub(y, squared)
            }
            // 1 − t².
            Function::Tanh => {
                let (one, squared) = (self.number(1.0)?, self.square(y)?);
                self.sub(one, squared)
            }
            Function::Softplus => self.sigmoid(x),
            // s + y(1 − s), where y = x·s.
            Function::Silu => {
                let (s, one) = (self.sigmoid(x)?, self.number(1.0)?);
                let rest = self.sub(one, s)?;
                let bend = self.mul(y, rest)?;
                let slope = self.add(s, bend)?;
                self.assume_steepest(slope)
            }
            // Φ(x) + x·φ(x) = ½ + ½ erf(v) + v·e^−v²/√π for v = x/√2.
            Function::Gelu => {
                let v = self.scale(x, FRAC_1_SQRT_2)?;
                let v = self.near(v, BELL)?;
                let (half, bell) = (self.erf(v)?, self.bell(v)?);
                let bend = self.mul(v, bell)?;
                let slope = self.weighted_sum(&[(half, 0.5), (bend, 0.5 * FRAC_2_SQRT_PI)])?;
                let slope = self.add_public(slope, 0.5)?;
                self.assume_steepest(slope)
            }
            // 2/√π·e^−x².
            Function::Erf => {
                let v = self.near(x, BELL)?;
                let bell = self.bell(v)?;
                self.scale(bell, FRAC_2_SQRT_PI)
            }
            // 1 from 0 on, and α·e^x = y + α below.
            Function::Elu { alpha } => {
                let zero = self.number(0.0)?;
                let below = self.minimum(y, zero)?;
                let bent = self.add_public(below, alpha)?;
                // What is below half a unit is no factor.
                if (1.0 - alpha).abs() * 2f64.powi(self.frac_bits() as i32) < 0.5 {
                    return Ok(bent);
                }
                let positive = self.greater_equal(x, zero)?;
                let rest = self.scale(positive, 1.0 - alpha)?;
                self.add(bent, rest)
            }
            Function::ExpNegative => {
                let zero = self.number(0.0)?;
                let negative = self.less(x, zero)?;
                self.mul(y, negative)
            }
            Function::Exp { highest, .. } => {
                let inside = self.between(x, None, Some(highest))?;
                self.masked(y, inside)
            }
            Function::Log { lowest, highest } => {
                let slope = self.reciprocal(x, lowest..=highest)?;
                let inside = self.between(x, Some(lowest), Some(highest))?;
                self.masked(slope, inside)
            }
            // −y².
            Function::Reciprocal { lowest, highest } => {
                let squared = self.square(y)?;
                let slope = self.neg(squared)?;
                let inside = self.between(x, Some(lowest), Some(highest))?;
                self.masked(slope, inside)
            }
            // ½/√x, and nothing from 0 down.
            Function::Sqrt { highest } => {
                let least = STEEP.max(2f64.powi(-(self.frac_bits() as i32)));
                let rest = self.rsqrt(x, least..=highest.max(least))?;
                let slope = self.scale(rest, 0.5)?;
                let unit = 2f64.powi(-(self.frac_bits() as i32));
                let inside = self.between(x, Some(unit), Some(highest))?;
                self.masked(slope, inside)
            }
            // −½·y³.
            Function::Rsqrt { lowest, highest } => {
                let squared = self.square(y)?;
                let cubed = self.mul(squared, y)?;
                let slope = self.scale(cubed, -0.5)?;
                let inside = self.between(x, Some(lowest), Some(highest))?;
                self.masked(slope, inside)
            }
        }
    }

    /// What the numerator or the divisor of a quotient q = a/b adds to its derivative: g/b, or −q·g/b within the limits of b.
    pub(super) fn through_quotient(
        &mut self,
        node: NodeId,
        i: usize,
        g: Value,
    ) -> Result<Value, ProgramError> {
        let Op::Divide { b, lowest, highest, .. } = self.program.nodes[node as usize].op else {
            unreachable!("the node is a quotient")
        };
        let (quotient, b) = (Value { builder: self.id, node }, Value { builder: self.id, node: b });
        let part = self.divide(g, b, lowest..=highest)?;
        if i == 0 {
            return Ok(part);
        }
        let inside = self.between(b, Some(lowest), Some(highest))?;
        let counted = self.masked(quotient, inside)?;
        let product = self.mul(part, counted)?;
        self.neg(product)
    }

    /// Promises what slopes of GELU and SiLU are at most.
    fn assume_steepest(&mut self, slope: Value) -> Result<Value, ProgramError> {
        let unit = 2f64.powi(-(self.frac_bits() as i32));
        self.assume_range(slope, STEEPEST + STEEPEST_UNITS * unit)
    }

    /// x within ±limit.
    fn near(&mut self, x: Value, limit: f64) -> Result<Value, ProgramError> {
        if self.fact_of(x).max_abs() > limit { self.clamp(x, -limit, limit) } else { Ok(x) }
    }

    /// e^−v².
    fn bell(&mut self, v: Value) -> Result<Value, ProgramError> {
        let squared = self.square(v)?;
        let below = self.neg(squared)?;
        self.exp_negative(below)
    }

    /// As [`ProgramBuilder::inside`], for limits of a function, which are rounded as it rounds them.
    fn between(
        &mut self,
        x: Value,
        lowest: Option<f64>,
        highest: Option<f64>,
    ) -> Result<Option<Value>, ProgramError> {
        let unit = 2f64.powi(self.frac_bits() as i32);
        let units = |limit: f64| (limit * unit).round_ties_even() as i64;
        self.inside(x, [lowest.map(|l| units(l).max(1)), highest.map(units)])
    }

    /// Whether x is neither below a first limit nor above a second, in units of 2^−f; nothing where it never is.
    pub(super) fn inside(
        &mut self,
        x: Value,
        [low, high]: [Option<i64>; 2],
    ) -> Result<Option<Value>, ProgramError> {
        let scale = self.frac_bits();
        let Fact { lo, hi, scale: own, .. } = *self.fact_of(x);
        let lifted = |v: i64| i128::from(v) << (scale - own);
        let limit = |b: &mut Self, limit: i64| {
            let values = Tensor::from_vec(&[], vec![Z64::from_i64(limit)]);
            b.push("constant", &[], |_| Op::Constant { scale, values })
        };
        let low = low.filter(|&l| lifted(lo) < l.into()).map(|l| limit(self, l)).transpose()?;
        let high = high.filter(|&h| lifted(hi) > h.into()).map(|h| limit(self, h)).transpose()?;
        match (low, high) {
            (None, None) => Ok(None),
            (Some(low), None) => self.greater_equal(x, low).map(Some),
            (None, Some(high)) => self.less_equal(x, high).map(Some),
            (Some(low), Some(high)) => {
                let (above, beyond) = (self.greater_equal(x, low)?, self.greater(x, high)?);
                self.sub(above, beyond).map(Some)
            }
        }
    }

    /// x where a bit is 1, and 0 elsewhere; x without a bit.
    pub(super) fn masked(&mut self, x: Value, bit: Option<Value>) -> Result<Value, ProgramError> {
        bit.map_or(Ok(x), |bit| self.mul(x, bit))
    }
}
