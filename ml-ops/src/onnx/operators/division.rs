//! Exponentials, logarithms, quotients and roots of secret values.
//!
//! Their protocols work between limits. Where the graph proves that an argument is not below one (a sum of squares plus ε, the
//! result of a softmax), that is the limit. Where it does not, divisors and arguments of roots and logarithms of smaller magnitude
//! than [`LEAST`] count as that.

use super::super::constant::{Kind, Known, Numbers, broadcast};
use super::super::emit::Importer;
use super::super::error::Problem;
use super::super::fold::unary;
use super::super::graph::Node;
use super::super::registry::Operator;
use super::super::value::{Lazy, Origin, Secret, Val};
use crate::builder::{ProgramBuilder, Value};
use crate::error::ProgramError;

/// The smallest magnitude that is divided by, or whose root or logarithm is taken, where nothing is known about it: 2^−8.
const LEAST: f64 = 1.0 / 256.0;
/// The smallest proven limit that is used.
const SMALLEST: f64 = 1.0 / 16384.0;
/// The largest exponent: beyond, e^x is that of it. The largest that leaves enough room is taken.
const MAX_EXPONENTS: [f64; 5] = [24.0, 20.0, 16.0, 12.0, 8.0];

/// Most halvings of a root.
const MAX_HALVINGS: u32 = 6;

/// Limits that are tried for what roots are taken of.
pub(super) fn root_limits() -> impl Iterator<Item = f64> {
    (0..8).map(|i| SMALLEST * 4f64.powi(i))
}

pub(super) const TABLE: &[Operator] = &[
    Operator::new("Exp", &[], |im, n| folded_or(im, n, f64::exp, |im, s| im.exponential(s))),
    Operator::new("Log", &[], |im, n| folded_or(im, n, f64::ln, |im, s| im.logarithm(s))),
    Operator::new("Sqrt", &[], |im, n| folded_or(im, n, f64::sqrt, |im, s| im.root(s))),
    Operator::new("Reciprocal", &[], |im, n| folded_or(im, n, |v| 1.0 / v, |im, s| im.reciprocal(s))),
    Operator::new("Softsign", &[], softsign),
];

/// An operator of one operand: on constants, or on a secret value.
pub(super) fn folded_or(
    im: &mut Importer<'_>,
    node: &Node,
    fold: fn(f64) -> f64,
    secret: fn(&mut Importer<'_>, &Secret) -> Result<Secret, Problem>,
) -> Result<Vec<Val>, Problem> {
    Ok(vec![match im.value(node, 0)? {
        Val::Known(Known::Numbers(x)) => {
            Numbers { name: x.name.clone(), ..unary(&x, Kind::Real, fold) }.into()
        }
        Val::Known(Known::Texts(_)) => return Err("texts are no numbers".into()),
        Val::Secret(s) => secret(im, &s)?.into(),
    }])
}

impl Importer<'_> {
    pub(super) fn exponential(&mut self, s: &Secret) -> Result<Secret, Problem> {
        let x = self.force(s)?;
        let most = self.fact(x)?.max_abs();
        let limits = MAX_EXPONENTS.iter().map(|&limit| most.min(limit));
        let (value, highest) = self.first_that_fits(limits, |p, highest| p.exp(x, highest))?;
        if highest < most {
            self.note(format!("exponents above {highest} count as that"));
        }
        let origin = Some(Origin::Power(x));
        Ok(Secret { low: 0.0, origin, ..Secret::new(Lazy::Ready(value), s.shape.clone()) })
    }

    fn logarithm(&mut self, s: &Secret) -> Result<Secret, Problem> {
        let x = self.force(s)?;
        let value = self.above(s, SMALLEST, |p, least| p.log(x, least..))?;
        Ok(Secret::new(Lazy::Ready(value), s.shape.clone()))
    }

    pub(super) fn root(&mut self, s: &Secret) -> Result<Secret, Problem> {
        let x = self.force(s)?;
        // √x is 2^k · √(x / 4^k) for what is too large otherwise.
        let halvings = (0..=MAX_HALVINGS).map(f64::from);
        let (value, halved) = self.first_that_fits(halvings, |p, k| {
            let small = if k > 0.0 { p.scale(x, 4f64.powf(-k))? } else { x };
            let root = p.sqrt(small)?;
            if k > 0.0 { p.scale(root, 2f64.powf(k)) } else { Ok(root) }
        })?;
        if halved > 0.0 {
            self.note(format!("roots of numbers below {:.1e} are imprecise", 4f64.powf(halved) / 256.0));
        }
        let low = s.low.max(0.0).sqrt();
        Ok(Secret { low, ..Secret::new(Lazy::Ready(value), s.shape.clone()) })
    }

    /// The least that a value can be, by what the graph and the program prove.
    fn low(&mut self, s: &Secret) -> Result<f64, Problem> {
        let x = self.force(s)?;
        let fact = self.fact(x)?;
        Ok(s.low.max(fact.lo as f64 / 2f64.powi(fact.scale as i32)))
    }

    /// What is computed of arguments from a lower limit on: what is proven, but not below the smallest; else a default, or as much
    /// more as magnitudes leave room for.
    pub(super) fn above(
        &mut self,
        s: &Secret,
        default: f64,
        f: impl Fn(&mut ProgramBuilder, f64) -> Result<Value, ProgramError>,
    ) -> Result<Value, Problem> {
        let low = self.low(s)?;
        let least = if low > 0.0 { low.max(SMALLEST) } else { default };
        let limits = (0..8).map(|i| least * 4f64.powi(i)).take_while(|&limit| limit == least || limit <= 1.0);
        let (value, limit) = self.first_that_fits(limits, f)?;
        if limit > low {
            self.note(format!(
                "arguments of divisions, roots and logarithms below {limit:.2e} count as that"
            ));
        }
        Ok(value)
    }

    /// The first limit with which an operation can be built.
    pub(super) fn first_that_fits(
        &mut self,
        limits: impl Iterator<Item = f64>,
        f: impl Fn(&mut ProgramBuilder, f64) -> Result<Value, ProgramError>,
    ) -> Result<(Value, f64), Problem> {
        let mut refused = None;
        for limit in limits {
            match f(&mut self.p, limit) {
                Ok(value) => return Ok((value, limit)),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        Err(refused.map_or_else(|| "it has no limits".into(), Problem::Program))
    }

    /// 1/√x
    pub(super) fn inverse_root(&mut self, s: &Secret) -> Result<Secret, Problem> {
        let x = self.force(s)?;
        let value = self.above(s, SMALLEST, |p, least| p.rsqrt(x, least..))?;
        Ok(Secret { low: 0.0, ..Secret::new(Lazy::Ready(value), s.shape.clone()) })
    }

    /// 1/x
    pub(super) fn reciprocal(&mut self, s: &Secret) -> Result<Secret, Problem> {
        let x = self.force(s)?;
        let (value, low) = if self.low(s)? >= 0.0 {
            (self.above(s, LEAST, |p, least| p.reciprocal(x, least..))?, 0.0)
        } else {
            let zero = self.p.scale(x, 0.0)?;
            let one = self.p.add_public(zero, 1.0)?;
            (self.p.divide_signed(one, x, LEAST)?, f64::NEG_INFINITY)
        };
        let value = self.assumed(value)?;
        Ok(Secret { low, ..Secret::new(Lazy::Ready(value), s.shape.clone()) })
    }

    /// a/b
    pub(super) fn divided(&mut self, a: &Secret, b: &Secret) -> Result<Secret, Problem> {
        if let Some(quotient) = self.by_own_sum(a, b)? {
            return Ok(quotient);
        }
        let shape = broadcast(&a.shape, &b.shape)?;
        let (x, y) = (self.force(a)?, self.force(b)?);
        let value = if self.low(b)? >= 0.0 {
            self.above(b, LEAST, |p, least| p.divide(x, y, least..))?
        } else {
            self.p.divide_signed(x, y, LEAST)?
        };
        let value = self.assumed(value)?;
        let low = if a.low >= 0.0 && b.low >= 0.0 { 0.0 } else { f64::NEG_INFINITY };
        Ok(Secret { low, ..Secret::new(Lazy::Ready(value), shape) })
    }
}

/// x / (1 + |x|)
fn softsign(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let s = im.secret(node)?;
    let x = im.force(&s)?;
    let size = im.p.abs(x)?;
    let below = im.p.add_public(size, 1.0)?;
    let value = im.p.divide(x, below, 1.0..)?;
    let value = im.promised(value, 1.0)?;
    Ok(vec![Secret::new(Lazy::Ready(value), s.shape).into()])
}
