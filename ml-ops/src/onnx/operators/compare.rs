//! Comparisons, logic, choices and limits.

use super::super::constant::{Kind, Known, Numbers, broadcast};
use super::super::emit::Importer;
use super::super::error::Problem;
use super::super::fold::{binary, unary, wider};
use super::super::graph::Node;
use super::super::registry::Operator;
use super::super::value::{Lazy, Secret, Val};
use crate::builder::{ProgramBuilder, Value};
use crate::error::ProgramError;

pub(super) const TABLE: &[Operator] = &[
    Operator::new("Less", &[], |im, n| im.compared(n, |a, b| a < b, ProgramBuilder::less)),
    Operator::new("Greater", &[], |im, n| im.compared(n, |a, b| a > b, ProgramBuilder::greater)),
    Operator::new("LessOrEqual", &[], |im, n| im.compared(n, |a, b| a <= b, ProgramBuilder::less_equal)),
    Operator::new("GreaterOrEqual", &[], |im, n| {
        im.compared(n, |a, b| a >= b, ProgramBuilder::greater_equal)
    }),
    Operator::new("Equal", &[], |im, n| im.compared(n, |a, b| a == b, ProgramBuilder::equal)),
    Operator::new("And", &[], |im, n| im.logic(n, |a, b| a && b)),
    Operator::new("Or", &[], |im, n| im.logic(n, |a, b| a || b)),
    Operator::new("Xor", &[], |im, n| im.logic(n, |a, b| a != b)),
    Operator::new("Not", &[], not),
    Operator::new("Where", &[], choice),
    Operator::new("Min", &[], |im, n| im.extreme_of(n, f64::min, ProgramBuilder::minimum)),
    Operator::new("Max", &[], |im, n| im.extreme_of(n, f64::max, ProgramBuilder::maximum)),
    Operator::new("Clip", &["min", "max"], clip),
    Operator::new("Abs", &[], |im, n| im.exact(n, f64::abs, ProgramBuilder::abs)),
    Operator::new("Sign", &[], |im, n| {
        im.exact(n, |v| if v == 0.0 { 0.0 } else { v.signum() }, ProgramBuilder::sign)
    }),
    Operator::new("Relu", &[], relu),
    Operator::ml("Binarizer", &["threshold"], binarizer),
];

type Two = fn(&mut ProgramBuilder, Value, Value) -> Result<Value, ProgramError>;
type One = fn(&mut ProgramBuilder, Value) -> Result<Value, ProgramError>;

/// Limits beyond this are none: exporters write the largest number of a type for them.
const NO_LIMIT: f64 = 1e30;

impl Importer<'_> {
    fn compared(&mut self, node: &Node, fold: fn(f64, f64) -> bool, op: Two) -> Result<Vec<Val>, Problem> {
        let (a, b) = (self.value(node, 0)?, self.value(node, 1)?);
        if let (Val::Known(Known::Numbers(x)), Val::Known(Known::Numbers(y))) = (&a, &b) {
            let bit = |a, b| f64::from(u8::from(fold(a, b)));
            return Ok(vec![binary(x, y, Kind::Bit, &mut self.left, bit)?.into()]);
        }
        let shape = broadcast(a.shape(), b.shape())?;
        for (x, c) in [(&a, &b), (&b, &a)] {
            let (Val::Secret(s), Val::Known(Known::Numbers(c))) = (x, c) else { continue };
            if let (Lazy::Whole { of, .. }, Some(c), "Equal") = (s.state(), c.single(), node.op.as_str()) {
                let bit = self.whole_is(of, &[c])?;
                let bit = self.p.reshape(bit, &shape[..])?;
                return Ok(vec![Secret::new(Lazy::Ready(bit), shape).integral().into()]);
            }
        }
        let (a, b) = (self.operand(&a)?, self.operand(&b)?);
        let value = op(&mut self.p, a, b)?;
        Ok(vec![Secret::new(Lazy::Ready(value), shape).integral().into()])
    }

    fn exact(&mut self, node: &Node, fold: fn(f64) -> f64, op: One) -> Result<Vec<Val>, Problem> {
        Ok(vec![match self.value(node, 0)? {
            Val::Known(Known::Numbers(x)) => unary(&x, x.kind, fold).into(),
            Val::Known(Known::Texts(_)) => return Err("texts are no numbers".into()),
            Val::Secret(s) => {
                let x = self.force(&s)?;
                let value = op(&mut self.p, x)?;
                let low = if fold(-1.0) >= 0.0 { 0.0 } else { f64::NEG_INFINITY };
                let integral = s.integral || node.op == "Sign";
                Secret { integral, low, ..Secret::new(Lazy::Ready(value), s.shape) }.into()
            }
        }])
    }

    /// A value of zeros and ones.
    fn bit(&mut self, x: &Val) -> Result<Value, Problem> {
        let value = match x {
            Val::Secret(s) => self.force(s)?,
            Val::Known(_) => return self.operand(x),
        };
        if self.fact(value)?.bit {
            return Ok(value);
        }
        let zero = self.p.number(0.0)?;
        Ok(self.p.not_equal(value, zero)?)
    }

    fn logic(&mut self, node: &Node, f: fn(bool, bool) -> bool) -> Result<Vec<Val>, Problem> {
        let (a, b) = (self.value(node, 0)?, self.value(node, 1)?);
        let bit = |b: bool| f64::from(u8::from(b));
        if let (Val::Known(Known::Numbers(x)), Val::Known(Known::Numbers(y))) = (&a, &b) {
            let fold = |a: f64, b: f64| bit(f(a != 0.0, b != 0.0));
            return Ok(vec![binary(x, y, Kind::Bit, &mut self.left, fold)?.into()]);
        }
        let shape = broadcast(a.shape(), b.shape())?;
        let (a, b) = (self.bit(&a)?, self.bit(&b)?);
        let both = self.p.mul(a, b)?;
        let value = if f(true, true) && !f(true, false) {
            both
        } else {
            let sum = self.p.add(a, b)?;
            let overlap = if f(true, true) { both } else { self.p.scale(both, 2.0)? };
            self.p.sub(sum, overlap)?
        };
        Ok(vec![Secret::new(Lazy::Ready(value), shape).integral().into()])
    }

    fn extreme_of(&mut self, node: &Node, fold: fn(f64, f64) -> f64, op: Two) -> Result<Vec<Val>, Problem> {
        let mut best = self.value(node, 0)?;
        for i in 1..node.inputs.len() {
            let next = self.value(node, i)?;
            if let (Val::Known(Known::Numbers(x)), Val::Known(Known::Numbers(y))) = (&best, &next) {
                best = binary(x, y, wider(x.kind, y.kind), &mut self.left, fold)?.into();
                continue;
            }
            let shape = broadcast(best.shape(), next.shape())?;
            let integral = |v: &Val| match v {
                Val::Secret(s) => s.integral,
                Val::Known(Known::Numbers(n)) => n.values.iter().all(|v| v.fract() == 0.0),
                Val::Known(Known::Texts(_)) => false,
            };
            let integral = integral(&best) && integral(&next);
            let (a, b) = (self.operand(&best)?, self.operand(&next)?);
            let value = op(&mut self.p, a, b)?;
            best = Secret { integral, ..Secret::new(Lazy::Ready(value), shape) }.into();
        }
        Ok(vec![best])
    }

    /// min(max(x, lo), hi), of which either may be missing.
    pub(super) fn clipped(
        &mut self,
        s: &Secret,
        lo: Option<f64>,
        hi: Option<f64>,
    ) -> Result<Secret, Problem> {
        if lo.is_some_and(f64::is_nan) || hi.is_some_and(f64::is_nan) {
            return Err("a limit is not a number".into());
        }
        let x = self.force(s)?;
        let most = self.fact(x)?.max_abs();
        let lo = lo.filter(|&v| v > -NO_LIMIT && v > -most);
        let hi = hi.filter(|&v| v < NO_LIMIT && v < most);
        let value = match (lo, hi) {
            (None, None) => x,
            (Some(0.0), None) => self.p.relu(x)?,
            (Some(lo), Some(hi)) if lo <= hi && lo.abs().max(hi.abs()) < 1e9 => self.p.clamp(x, lo, hi)?,
            (lo, hi) => {
                let mut x = x;
                for (limit, op) in [(lo, ProgramBuilder::maximum as Two), (hi, ProgramBuilder::minimum)] {
                    if let Some(limit) = limit {
                        let limit = self.constant(&ndarray::arr0(limit).into_dyn())?;
                        x = op(&mut self.p, x, limit)?;
                    }
                }
                x
            }
        };
        let low = s.low.max(lo.unwrap_or(f64::NEG_INFINITY)).min(hi.unwrap_or(f64::INFINITY));
        Ok(Secret { low, ..Secret::new(Lazy::Ready(value), s.shape.clone()) })
    }
}

fn not(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    Ok(vec![match im.value(node, 0)? {
        Val::Known(Known::Numbers(x)) => unary(&x, Kind::Bit, |v| f64::from(u8::from(v == 0.0))).into(),
        Val::Known(Known::Texts(_)) => return Err("texts are no truth values".into()),
        x @ Val::Secret(_) => {
            let of = im.bit(&x)?;
            Secret::new(Lazy::Not { of, from: im.node }, x.shape().to_vec()).integral().into()
        }
    }])
}

fn choice(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let (bit, mut a, mut b) = (im.value(node, 0)?, im.value(node, 1)?, im.value(node, 2)?);
    let shape = broadcast(&broadcast(bit.shape(), a.shape())?, b.shape())?;
    if let Val::Known(Known::Numbers(bit)) = &bit {
        return known_choice(im, bit, a, b, &shape);
    }
    let Val::Secret(s) = &bit else { return Err("texts are no truth values".into()) };
    let condition = match s.state() {
        Lazy::Not { of, .. } => {
            std::mem::swap(&mut a, &mut b);
            of
        }
        _ => im.bit(&bit)?,
    };
    let integral = |v: &Val| match v {
        Val::Secret(s) => s.integral,
        Val::Known(Known::Numbers(n)) => n.kind != Kind::Real,
        Val::Known(Known::Texts(_)) => false,
    };
    let integral = integral(&a) && integral(&b);
    let (a, b) = (im.operand(&a)?, im.operand(&b)?);
    let value = im.p.select(condition, a, b)?;
    Ok(vec![Secret { integral, ..Secret::new(Lazy::Ready(value), shape) }.into()])
}

/// A choice that is known: a · bit + b · (1 − bit), local.
fn known_choice(
    im: &mut Importer<'_>,
    bit: &Numbers,
    a: Val,
    b: Val,
    shape: &[usize],
) -> Result<Vec<Val>, Problem> {
    if bit.values.iter().all(|&v| v != 0.0) {
        return Ok(vec![im.expanded(&a, shape)?]);
    }
    if bit.values.iter().all(|&v| v == 0.0) {
        return Ok(vec![im.expanded(&b, shape)?]);
    }
    if let (Val::Known(Known::Numbers(x)), Val::Known(Known::Numbers(y))) = (&a, &b) {
        super::super::fold::spend(shape, &mut im.left)?;
        let to = |n: &Numbers| n.values.broadcast(shape).map(|v| v.to_owned()).ok_or("shapes do not fit");
        let (c, x_all, y_all) = (to(bit)?, to(x)?, to(y)?);
        let values = ndarray::Zip::from(&c)
            .and(&x_all)
            .and(&y_all)
            .map_collect(|&c, &x, &y| if c != 0.0 { x } else { y });
        let name = x.name.clone().or_else(|| y.name.clone());
        return Ok(vec![Numbers { kind: wider(x.kind, y.kind), values, name }.into()]);
    }
    let yes = unary(bit, Kind::Integer, |v| f64::from(u8::from(v != 0.0)));
    let no = unary(bit, Kind::Integer, |v| f64::from(u8::from(v == 0.0)));
    let mut sum: Option<Val> = None;
    let reference =
        [&a, &b].into_iter().find_map(|v| if let Val::Secret(s) = v { Some(s.clone()) } else { None });
    let reference = match reference {
        Some(s) => im.force(&s)?,
        None => return Err("texts are not chosen".into()),
    };
    for (part, mask) in [(a, yes), (b, no)] {
        let masked: Val = match part {
            Val::Secret(s) => {
                im.force(&s)?;
                im.mapped_alone(&s, Some(mask), None)?.into()
            }
            Val::Known(Known::Numbers(n)) => {
                let n = im.unmasked(&n, reference)?;
                binary(&n, &mask, n.kind, &mut im.left, |v, m| if m == 0.0 { 0.0 } else { v * m })?.into()
            }
            Val::Known(Known::Texts(_)) => return Err("texts are not chosen".into()),
        };
        sum = Some(match sum {
            None => masked,
            Some(first) => {
                let (x, y) = (im.operand(&first)?, im.operand(&masked)?);
                let value = im.p.add(x, y)?;
                Secret::new(Lazy::Ready(value), shape.to_vec()).into()
            }
        });
    }
    Ok(sum.into_iter().collect())
}

fn clip(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let limit = |i: usize, attribute: &str| -> Result<Option<f64>, Problem> {
        if node.has(attribute) {
            return Ok(Some(node.float(attribute, 0.0)?));
        }
        match im.optional(node, i) {
            None => Ok(None),
            Some(Val::Known(Known::Numbers(n))) => Ok(Some(n.single().ok_or("a limit is one number")?)),
            Some(_) => Err("a limit depends on the inputs".into()),
        }
    };
    let (lo, hi) = (limit(1, "min")?, limit(2, "max")?);
    Ok(vec![match im.value(node, 0)? {
        Val::Known(Known::Numbers(x)) => {
            let (lo, hi) = (lo.unwrap_or(f64::NEG_INFINITY), hi.unwrap_or(f64::INFINITY));
            unary(&x, x.kind, |v| v.max(lo).min(hi)).into()
        }
        Val::Known(Known::Texts(_)) => return Err("texts have no limits".into()),
        Val::Secret(s) => im.clipped(&s, lo, hi)?.into(),
    }])
}

fn relu(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    Ok(vec![match im.value(node, 0)? {
        Val::Known(Known::Numbers(x)) => unary(&x, x.kind, |v| v.max(0.0)).into(),
        Val::Known(Known::Texts(_)) => return Err("texts are no numbers".into()),
        // Once is enough; chains of them would be followed to their end.
        Val::Secret(s) if matches!(s.state(), Lazy::Relu { .. }) => s.into(),
        Val::Secret(s) => {
            let (shape, integral) = (s.shape.clone(), s.integral);
            let low = s.low.max(0.0);
            Secret { integral, low, ..Secret::new(Lazy::Relu { of: Box::new(s), from: im.node }, shape) }
                .into()
        }
    }])
}

fn binarizer(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let threshold = node.float("threshold", 0.0)?;
    Ok(vec![match im.value(node, 0)? {
        Val::Known(Known::Numbers(x)) => unary(&x, Kind::Bit, |v| f64::from(u8::from(v > threshold))).into(),
        Val::Known(Known::Texts(_)) => return Err("texts are no numbers".into()),
        Val::Secret(s) => {
            let x = im.force(&s)?;
            let limit = im.constant(&ndarray::arr0(threshold).into_dyn())?;
            let value = im.p.greater(x, limit)?;
            Secret::new(Lazy::Ready(value), s.shape).integral().into()
        }
    }])
}
