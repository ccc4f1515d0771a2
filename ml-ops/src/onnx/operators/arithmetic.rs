//! Sums, products, powers and limits, element by element.

use std::rc::Rc;

use ndarray::ArrayD;

use super::super::constant::{Kind, Known, Numbers, broadcast};
use super::super::emit::Importer;
use super::super::error::Problem;
use super::super::fold::{binary, quotient, unary, wider, zip};
use super::super::graph::Node;
use super::super::registry::Operator;
use super::super::value::{Affine, Lazy, Linear, Secret, Val};

pub(super) const TABLE: &[Operator] = &[
    Operator::new("Add", &[], |im, n| im.binary(n, Arithmetic::Add)),
    Operator::new("Sub", &[], |im, n| im.binary(n, Arithmetic::Sub)),
    Operator::new("Mul", &[], |im, n| im.binary(n, Arithmetic::Mul)),
    Operator::new("Div", &[], |im, n| im.binary(n, Arithmetic::Div)),
    Operator::new("Sum", &[], |im, n| im.variadic(n, Arithmetic::Add)),
    Operator::new("Mean", &[], mean),
    Operator::new("Neg", &[], neg),
    Operator::new("Pow", &[], pow),
    Operator::new("Mod", &["fmod"], modulo),
    Operator::new("Floor", &[], |im, n| constant_only(im, n, f64::floor)),
    Operator::new("Ceil", &[], |im, n| constant_only(im, n, f64::ceil)),
    Operator::new("Round", &[], |im, n| constant_only(im, n, f64::round_ties_even)),
    Operator::new("Sin", &[], |im, n| constant_only(im, n, f64::sin)),
    Operator::new("Cos", &[], |im, n| constant_only(im, n, f64::cos)),
];

/// What is done with two operands.
#[derive(Copy, Clone, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Sub,
    Mul,
    Div,
}

impl Importer<'_> {
    pub(super) fn binary(&mut self, node: &Node, op: Arithmetic) -> Result<Vec<Val>, Problem> {
        let (a, b) = (self.value(node, 0)?, self.value(node, 1)?);
        let secret = matches!(a, Val::Secret(_)) || matches!(b, Val::Secret(_));
        let by_one = matches!(&b, Val::Known(Known::Numbers(n)) if n.values.iter().all(|&v| v == 1.0));
        if op == Arithmetic::Div && secret && !by_one && self.has_integer_type(node, 0) {
            return Err("a quotient of integers loses its fraction, which is not supported; cast to a real type before".into());
        }
        Ok(vec![match (&a, &b) {
            (Val::Known(Known::Numbers(x)), Val::Known(Known::Numbers(y))) => self.folded(op, x, y)?.into(),
            (Val::Secret(x), Val::Known(Known::Numbers(y))) => {
                let (m, a) = match op {
                    Arithmetic::Add => (None, Some(y.clone())),
                    Arithmetic::Sub => (None, Some(unary(y, y.kind, |v| -v).called(y))),
                    Arithmetic::Mul => (Some(y.clone()), None),
                    Arithmetic::Div => (Some(inverse(y)?), None),
                };
                self.mapped(node, 0, x, m, a)?.into()
            }
            (Val::Known(Known::Numbers(x)), Val::Secret(y)) => match op {
                Arithmetic::Add => self.mapped(node, 1, y, None, Some(x.clone()))?.into(),
                Arithmetic::Sub => {
                    let minus = Numbers::new(Kind::Integer, ndarray::arr0(-1.0).into_dyn());
                    self.mapped(node, 1, y, Some(minus), Some(x.clone()))?.into()
                }
                Arithmetic::Mul => self.mapped(node, 1, y, Some(x.clone()), None)?.into(),
                Arithmetic::Div => {
                    let inverse = self.reciprocal(y)?;
                    if x.single() == Some(1.0) {
                        let shape = broadcast(x.values.shape(), &y.shape)?;
                        self.reshaped(&inverse.into(), &shape)?
                    } else {
                        self.mapped_alone(&inverse, Some(x.clone()), None)?.into()
                    }
                }
            },
            (Val::Secret(x), Val::Secret(y)) => self.two_secrets(node, op, x, y)?.into(),
            _ => return Err("texts have no arithmetic".into()),
        }])
    }

    fn folded(&mut self, op: Arithmetic, x: &Numbers, y: &Numbers) -> Result<Numbers, String> {
        let kind = wider(x.kind, y.kind);
        let name = x.name.clone().or_else(|| y.name.clone());
        let folded = match op {
            Arithmetic::Add => binary(x, y, kind, &mut self.left, |a, b| a + b),
            Arithmetic::Sub => binary(x, y, kind, &mut self.left, |a, b| a - b),
            Arithmetic::Mul => binary(x, y, kind, &mut self.left, |a, b| a * b),
            Arithmetic::Div => binary(x, y, kind, &mut self.left, quotient(kind)),
        }?;
        Ok(Numbers { name, ..folded })
    }

    fn two_secrets(
        &mut self,
        node: &Node,
        op: Arithmetic,
        x: &Secret,
        y: &Secret,
    ) -> Result<Secret, Problem> {
        let shape = broadcast(&x.shape, &y.shape)?;
        let integral = x.integral && y.integral && op != Arithmetic::Div;
        if op == Arithmetic::Div {
            return self.divided(x, y);
        }
        let (a, b) = (self.force(x)?, self.force(y)?);
        let value = match op {
            Arithmetic::Add => self.p.add(a, b)?,
            Arithmetic::Sub => self.p.sub(a, b)?,
            Arithmetic::Mul if node.input(0) == node.input(1) => self.p.square(a)?,
            Arithmetic::Mul | Arithmetic::Div => self.p.mul(a, b)?,
        };
        let value = self.assumed(value)?;
        let low = match op {
            Arithmetic::Add => x.low + y.low,
            Arithmetic::Mul if x.low >= 0.0 && y.low >= 0.0 => x.low * y.low,
            Arithmetic::Mul if node.input(0) == node.input(1) => 0.0,
            _ => f64::NEG_INFINITY,
        };
        Ok(Secret { integral, low, ..Secret::new(Lazy::Ready(value), shape) })
    }

    /// x · m + a for operand i of a node; it joins what is held back of x, if that is used nowhere else.
    pub(super) fn mapped(
        &mut self,
        node: &Node,
        i: usize,
        x: &Secret,
        m: Option<Numbers>,
        a: Option<Numbers>,
    ) -> Result<Secret, Problem> {
        let low = low_of(x.low, m.as_ref(), a.as_ref());
        let mapped =
            if self.is_only_use(node, i) { self.mapped_alone(x, m, a) } else { self.mapped_new(x, m, a) }?;
        Ok(Secret { low, ..mapped })
    }

    /// x · m + a for an x that nobody else uses.
    pub(super) fn mapped_alone(
        &mut self,
        x: &Secret,
        m: Option<Numbers>,
        a: Option<Numbers>,
    ) -> Result<Secret, Problem> {
        let state = x.state();
        if let Lazy::Linear(l) = &state
            && let Some(joined) = joined_linear(l, m.as_ref(), a.as_ref())
        {
            return Ok(Secret::new(Lazy::Linear(Rc::new(joined)), x.shape.clone()));
        }
        let Lazy::Affine(old) = &state else { return self.mapped_new(x, m, a) };
        let parameters = old.parameters || self.are_parameters(m.as_ref(), a.as_ref());
        let shape = self.common_shape(x, m.as_ref(), a.as_ref())?;
        let product = |p: Option<&ArrayD<f64>>, q: Option<&ArrayD<f64>>| match (p, q) {
            (Some(p), Some(q)) => {
                let shape = broadcast(p.shape(), q.shape())?;
                Ok::<_, String>(Some(zip(p, q, &shape, |p, q| p * q)))
            }
            (one, None) | (None, one) => Ok(one.cloned()),
        };
        let m_values = m.as_ref().map(|m| &m.values);
        let moved = match (&old.a, m_values) {
            (None, _) => None,
            (Some(a), m) => product(Some(a), m)?,
        };
        let add = match (moved, a.as_ref().map(|a| &a.values)) {
            (Some(p), Some(q)) => {
                let shape = broadcast(p.shape(), q.shape())?;
                Some(zip(&p, q, &shape, |p, q| p + q))
            }
            (one, None) => one,
            (None, one) => one.cloned(),
        };
        let m = product(old.m.as_ref(), m_values)?;
        let affine = Affine { m, a: add, shape: shape.clone(), parameters, ..Affine::clone(old) };
        let integral = x.integral && affine.is_integral();
        Ok(Secret { integral, ..Secret::new(Lazy::Affine(Rc::new(affine)), shape) })
    }

    fn mapped_new(&mut self, x: &Secret, m: Option<Numbers>, a: Option<Numbers>) -> Result<Secret, Problem> {
        let shape = self.common_shape(x, m.as_ref(), a.as_ref())?;
        let parameters = self.are_parameters(m.as_ref(), a.as_ref());
        let value = self.force(x)?;
        let a = a.map(|a| self.unmasked(&a, value)).transpose()?;
        let name = m.as_ref().or(a.as_ref()).and_then(|n| n.name.clone());
        let affine = Affine {
            from: self.node,
            x: value,
            m: m.map(|m| m.values),
            a: a.map(|a| a.values),
            name: name.unwrap_or_else(|| self.own_name("constant")),
            shape: shape.clone(),
            parameters,
        };
        let integral = x.integral && affine.is_integral();
        Ok(Secret { integral, ..Secret::new(Lazy::Affine(Rc::new(affine)), shape) })
    }

    fn common_shape(
        &self,
        x: &Secret,
        m: Option<&Numbers>,
        a: Option<&Numbers>,
    ) -> Result<Vec<usize>, String> {
        let mut shape = x.shape.clone();
        for n in m.into_iter().chain(a) {
            shape = broadcast(&shape, n.values.shape())?;
        }
        Ok(shape)
    }

    fn are_parameters(&self, m: Option<&Numbers>, a: Option<&Numbers>) -> bool {
        m.into_iter().chain(a).any(|n| self.is_parameter(n))
    }

    fn variadic(&mut self, node: &Node, op: Arithmetic) -> Result<Vec<Val>, Problem> {
        let mut sum = self.value(node, 0)?;
        for i in 1..node.inputs.len() {
            let next = self.value(node, i)?;
            sum = match (&sum, &next) {
                (Val::Known(Known::Numbers(x)), Val::Known(Known::Numbers(y))) => {
                    self.folded(op, x, y)?.into()
                }
                (Val::Secret(s), Val::Known(Known::Numbers(n)))
                | (Val::Known(Known::Numbers(n)), Val::Secret(s)) => {
                    self.mapped_new(s, None, Some(n.clone()))?.into()
                }
                (Val::Secret(x), Val::Secret(y)) => self.two_secrets(node, op, x, y)?.into(),
                _ => return Err("texts have no arithmetic".into()),
            };
        }
        Ok(vec![sum])
    }
}

impl Affine {
    fn is_integral(&self) -> bool {
        self.m.iter().chain(&self.a).all(|n| n.iter().all(|v| v.fract() == 0.0))
    }
}

impl Numbers {
    /// Under the name of another constant that it was made of.
    fn called(self, other: &Self) -> Self {
        Self { name: other.name.clone(), ..self }
    }
}

/// The least that x · m + a can be.
fn low_of(x: f64, m: Option<&Numbers>, a: Option<&Numbers>) -> f64 {
    let least = |n: Option<&Numbers>, none: f64| {
        n.map_or(none, |n| n.values.iter().copied().fold(f64::INFINITY, f64::min))
    };
    let most = m.map_or(1.0, |n| n.values.iter().copied().fold(f64::NEG_INFINITY, f64::max));
    let factor = least(m, 1.0);
    if factor < 0.0 || !x.is_finite() {
        return f64::NEG_INFINITY;
    }
    (x * if x < 0.0 { most } else { factor }) + least(a, 0.0)
}

/// 1 / y for a factor.
fn inverse(y: &Numbers) -> Result<Numbers, String> {
    if y.values.iter().any(|&v| v == 0.0) {
        return Err("a divisor is 0".into());
    }
    Ok(unary(y, Kind::Real, |v| 1.0 / v).called(y))
}

/// A product that takes over m and a, if they are numbers per output channel.
fn joined_linear(l: &Linear, m: Option<&Numbers>, a: Option<&Numbers>) -> Option<Linear> {
    let rank = l.shape.len();
    let channel = l.form.channel_axis(rank);
    let n = l.shape[channel];
    let per_channel = |x: &Numbers| -> Option<Vec<f64>> {
        let shape = x.values.shape();
        let offset = rank.checked_sub(shape.len())?;
        let fits = shape.iter().enumerate().all(|(i, &d)| d == 1 || (i + offset == channel && d == n));
        let values: Vec<f64> = x.values.iter().copied().collect();
        let finite = values.iter().all(|v| v.is_finite());
        (fits && finite).then(|| if values.len() == n { values } else { vec![values[0]; n] })
    };
    let mut joined = l.clone();
    if let Some(m) = m {
        let m = per_channel(m)?;
        joined.scale_channels(&m);
    }
    if let Some(a) = a {
        let a = super::super::constant::flat(per_channel(a)?);
        joined.b = Some(joined.b.map_or_else(|| a.clone(), |b| b + &a));
    }
    Some(joined)
}

impl Linear {
    /// Multiplies what belongs to each output channel.
    pub(super) fn scale_channels(&mut self, m: &[f64]) {
        let axis = self.form.weight_channel_axis(self.w.ndim());
        for (mut part, &m) in self.w.axis_iter_mut(ndarray::Axis(axis)).zip(m) {
            part.mapv_inplace(|v| v * m);
        }
        if let Some(b) = &mut self.b {
            b.iter_mut().zip(m).for_each(|(b, m)| *b *= m);
        }
    }
}

/// An operator that is computed on constants only.
pub(super) fn constant_only(
    im: &mut Importer<'_>,
    node: &Node,
    f: fn(f64) -> f64,
) -> Result<Vec<Val>, Problem> {
    match im.value(node, 0)? {
        Val::Known(Known::Numbers(x)) => Ok(vec![unary(&x, x.kind, f).into()]),
        _ => Err("its operand depends on the inputs, and it is computed on constants only".into()),
    }
}

fn mean(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let sum = im.variadic(node, Arithmetic::Add)?;
    let n = Numbers::real(ndarray::arr0(1.0 / node.inputs.len().max(1) as f64).into_dyn());
    Ok(vec![match &sum[0] {
        Val::Known(Known::Numbers(x)) => im.folded(Arithmetic::Mul, x, &n)?.into(),
        Val::Secret(s) => im.mapped_alone(s, Some(n), None)?.into(),
        Val::Known(Known::Texts(_)) => return Err("texts have no mean".into()),
    }])
}

fn neg(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    Ok(vec![match im.value(node, 0)? {
        Val::Known(Known::Numbers(x)) => unary(&x, x.kind, |v| -v).called(&x).into(),
        Val::Secret(s) => {
            let minus = Numbers::new(Kind::Integer, ndarray::arr0(-1.0).into_dyn());
            im.mapped(node, 0, &s, Some(minus), None)?.into()
        }
        Val::Known(Known::Texts(_)) => return Err("texts have no sign".into()),
    }])
}

fn modulo(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let (Val::Known(Known::Numbers(x)), Val::Known(Known::Numbers(y))) =
        (im.value(node, 0)?, im.value(node, 1)?)
    else {
        return Err("its operands depend on the inputs, and it is computed on constants only".into());
    };
    let fmod = node.int("fmod", 0)? != 0;
    let f = |a: f64, b: f64| if fmod { a % b } else { a - b * (a / b).floor() };
    Ok(vec![binary(&x, &y, wider(x.kind, y.kind), &mut im.left, f)?.into()])
}

fn pow(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let exponent = match (im.value(node, 0)?, im.value(node, 1)?) {
        (_, Val::Known(Known::Numbers(exponent))) => exponent,
        // b^x is e^(x · ln b).
        (Val::Known(Known::Numbers(base)), Val::Secret(x)) if base.single().is_some_and(|b| b > 0.0) => {
            let log = unary(&base, Kind::Real, f64::ln);
            let shape = broadcast(base.values.shape(), &x.shape)?;
            let exponent = im.mapped_new(&x, Some(Numbers { name: None, ..log }), None)?;
            let power = im.exponential(&exponent)?;
            return Ok(vec![im.reshaped(&power.into(), &shape)?]);
        }
        _ => return Err("the exponent depends on the inputs, and the base is not one number above 0".into()),
    };
    let s = match im.value(node, 0)? {
        Val::Known(Known::Numbers(x)) => {
            return Ok(vec![binary(&x, &exponent, x.kind, &mut im.left, f64::powf)?.into()]);
        }
        Val::Secret(s) => s,
        Val::Known(Known::Texts(_)) => return Err("texts have no powers".into()),
    };
    let first = exponent.values.first().copied().unwrap_or(1.0);
    // Some exporters take roots in another way than this, and write 0.49999976.
    let near = |a: f64, b: f64| (a - b).abs() < 1e-6;
    if exponent.values.iter().any(|&v| v != first) {
        return Err("all exponents must be the same".into());
    }
    let shape = broadcast(&s.shape, exponent.values.shape())?;
    let result = if first == 1.0 {
        s
    } else if near(first, 0.5) {
        im.root(&s)?
    } else if near(first, -0.5) {
        im.inverse_root(&s)?
    } else if first == -1.0 {
        im.reciprocal(&s)?
    } else if (2.0..=8.0).contains(&first) && first.fract() == 0.0 {
        let x = im.force(&s)?;
        let mut power = im.p.square(x)?;
        let mut reached = 2.0;
        while reached < first {
            power = if reached * 2.0 <= first { im.p.square(power)? } else { im.p.mul(power, x)? };
            reached = if reached * 2.0 <= first { reached * 2.0 } else { reached + 1.0 };
        }
        let power = im.assumed(power)?;
        let low = if first % 2.0 == 0.0 || s.low >= 0.0 { 0.0 } else { f64::NEG_INFINITY };
        Secret { integral: s.integral, low, ..Secret::new(Lazy::Ready(power), s.shape) }
    } else {
        return Err(format!("the exponent is {first}; 1 to 8, 0.5, -0.5 and -1 are supported").into());
    };
    Ok(vec![im.reshaped(&result.into(), &shape)?])
}
