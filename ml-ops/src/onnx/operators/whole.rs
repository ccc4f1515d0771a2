//! Real numbers without their fractions, and what is not a number.

use ndarray::ArrayD;

use super::super::constant::{Kind, Numbers};
use super::super::emit::Importer;
use super::super::error::Problem;
use super::super::fold::spend;
use super::super::graph::Node;
use super::super::registry::Operator;
use super::super::value::{Lazy, Secret, Val};
use crate::builder::Value;

/// Largest magnitude of a number whose fraction is cut off: it is compared with all integers up to that.
const MAX_WHOLE: f64 = 64.0;

pub(super) const TABLE: &[Operator] = &[
    Operator::new("IsNaN", &[], never),
    Operator::new("IsInf", &["detect_negative", "detect_positive"], never),
];

/// Inputs are numbers, and so is all that is computed of them.
fn never(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    Ok(vec![match im.value(node, 0)? {
        Val::Known(super::super::constant::Known::Numbers(n)) => {
            let is = |v: f64| if node.op == "IsNaN" { v.is_nan() } else { v.is_infinite() };
            super::super::fold::unary(&n, Kind::Bit, |v| f64::from(u8::from(is(v)))).into()
        }
        Val::Known(_) => return Err("texts are no numbers".into()),
        Val::Secret(s) => {
            spend(&s.shape, &mut im.left)?;
            Numbers::new(Kind::Bit, ArrayD::zeros(&s.shape[..])).into()
        }
    }])
}

impl Importer<'_> {
    /// Without fractions, towards zero; computed when somebody needs more than to compare it with constants.
    pub(super) fn without_fractions(&mut self, s: &Secret) -> Result<Secret, Problem> {
        let of = self.force(s)?;
        let low = if s.low >= 0.0 { s.low.floor() } else { f64::NEG_INFINITY };
        let whole = Secret::new(Lazy::Whole { of, from: self.node }, s.shape.clone()).integral();
        Ok(Secret { low, ..whole })
    }

    /// How many integers from 1 on x reaches, less how many from −1 down.
    pub(in super::super) fn whole(&mut self, x: Value) -> Result<Value, Problem> {
        let fact = self.fact(x)?;
        let most = fact.max_abs().floor();
        if most > MAX_WHOLE {
            return Err(format!(
                "the fractions of numbers of magnitudes up to {:.3e} are not cut off, only up to {MAX_WHOLE}; declare a smaller range, \
                 make the input one of integers, or encode categories before the model",
                fact.max_abs()
            )
            .into());
        }
        let least = (fact.lo as f64 / 2f64.powi(fact.scale as i32)).ceil().max(-most);
        let mut limits: Vec<f64> = (1..=most as i64).map(|k| k as f64).collect();
        limits.extend((1..=(-least).max(0.0) as i64).map(|k| -(k as f64)));
        if limits.is_empty() {
            return Ok(self.p.scale(x, 0.0)?);
        }
        let mut shape = fact.shape.dims().to_vec();
        let last = shape.len();
        shape.push(1);
        let beside = self.p.reshape(x, &shape[..])?;
        let (above, below): (Vec<f64>, Vec<f64>) = limits.iter().partition(|&&k| k > 0.0);
        let mut sum = None;
        for (limits, op) in [
            (above, crate::builder::ProgramBuilder::greater_equal as fn(&mut _, _, _) -> _),
            (below, crate::builder::ProgramBuilder::less_equal),
        ] {
            if limits.is_empty() {
                continue;
            }
            let sign = limits[0];
            let limits = self.constant(&super::super::constant::flat(limits))?;
            let bits = op(&mut self.p, beside, limits)?;
            let count = self.p.sum(bits, ndarray::Axis(last))?;
            sum = Some(match sum {
                None if sign > 0.0 => count,
                None => self.p.neg(count)?,
                Some(first) => self.p.sub(first, count)?,
            });
        }
        sum.ok_or_else(|| "it has no limits".into())
    }

    /// Bits that say whether x without its fraction is one of these integers, along a new last axis.
    pub(super) fn whole_is(&mut self, x: Value, integers: &[f64]) -> Result<Value, Problem> {
        let mut shape = self.fact(x)?.shape.dims().to_vec();
        shape.push(1);
        let x = self.p.reshape(x, &shape[..])?;
        // c is x from c up to c + 1 for a positive c, from −1 to 1 for 0.
        let unit = self.unit();
        let from = |c: f64| if c > 0.0 { c } else { c - 1.0 + unit };
        let to = |c: f64| if c < 0.0 { c } else { c + 1.0 - unit };
        let limits =
            |f: &dyn Fn(f64) -> f64| super::super::constant::flat(integers.iter().map(|&c| f(c)).collect());
        let (from, to) = (self.constant(&limits(&from))?, self.constant(&limits(&to))?);
        let (above, below) = (self.p.greater_equal(x, from)?, self.p.less_equal(x, to)?);
        Ok(self.p.mul(above, below)?)
    }
}
