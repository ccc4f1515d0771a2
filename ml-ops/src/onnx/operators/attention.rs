//! Softmax, normalisation along axes, products of batches of matrices, and tables at secret indices.

use ndarray::Axis;

use super::super::constant::{Kind, Known, Numbers, axis, broadcast};
use super::super::emit::Importer;
use super::super::error::Problem;
use super::super::fold::{matmul, reduce, zip};
use super::super::graph::Node;
use super::super::registry::Operator;
use super::super::value::{Lazy, Origin, Secret, Val};

/// The smallest variance that is told from zero: a standard deviation of 1/128.
const LEAST_VARIANCE: f64 = 1.0 / 16384.0;

pub(super) const TABLE: &[Operator] = &[
    Operator::new("Softmax", &["axis"], |im, n| along(im, n, false)),
    Operator::new("LogSoftmax", &["axis"], |im, n| along(im, n, true)),
    Operator::new("LayerNormalization", &["axis", "epsilon", "stash_type"], layer_normalization),
    Operator::new("InstanceNormalization", &["epsilon"], instance_normalization),
    Operator::new("GroupNormalization", &["epsilon", "num_groups", "stash_type"], group_normalization),
    Operator::new("LpNormalization", &["axis", "p"], lp_normalization),
];

impl Importer<'_> {
    /// Softmax along an axis.
    pub(super) fn softmax(&mut self, s: &Secret, at: usize) -> Result<Secret, Problem> {
        let x = self.force(s)?;
        let last = at + 1 == s.shape.len();
        let value = match s.shape[at] {
            1 => {
                let zero = self.p.scale(x, 0.0)?;
                self.p.add_public(zero, 1.0)?
            }
            // Of two elements it is the logistic function of their difference.
            2 => {
                let first = self.p.slice(x, Axis(at), 0..1)?;
                let second = self.p.slice(x, Axis(at), 1..2)?;
                let difference = self.p.sub(second, first)?;
                let p = self.p.sigmoid(difference)?;
                let one = self.p.number(1.0)?;
                let other = self.p.sub(one, p)?;
                self.p.concat(&[other, p], Axis(at))?
            }
            _ => self.p.softmax(x, Axis(at))?,
        };
        let value = self.promised(value, 1.01)?;
        let origin = Some(Origin::Order { by: x, axis: at });
        Ok(Secret { simplex: last, low: 0.0, origin, ..Secret::new(Lazy::Ready(value), s.shape.clone()) })
    }

    /// The matrix product of two values of which at least one is secret.
    pub(super) fn multiplied(&mut self, a: &Val, b: &Val) -> Result<Val, Problem> {
        if let (Val::Known(Known::Numbers(a)), Val::Known(Known::Numbers(b))) = (a, b) {
            return Ok(Numbers::real(matmul(&a.values, &b.values)?).into());
        }
        let (&[ref left @ .., m, k], &[ref right @ .., k2, n]) = (a.shape(), b.shape()) else {
            return Err("it multiplies matrices".into());
        };
        if k != k2 {
            return Err(format!("matrices {:?} and {:?} do not fit", a.shape(), b.shape()).into());
        }
        let mut shape = broadcast(left, right)?;
        shape.extend([m, n]);
        let weights = matches!(a, Val::Secret(s) if s.simplex);
        let (x, y) = (self.operand(a)?, self.operand(b)?);
        let value = self.p.matmul(x, y)?;
        // Weighted means are no larger than what they are means of.
        let value = if weights {
            let most = 1.01 * self.fact(y)?.max_abs();
            self.promised(value, most)?
        } else {
            self.assumed(value)?
        };
        Ok(Secret::new(Lazy::Ready(value), shape).into())
    }

    /// The rows of a table that secret indices name.
    pub(super) fn looked_up(&mut self, x: &Val, at: usize, index: &Secret) -> Result<Vec<Val>, Problem> {
        if at != 0 {
            return Err("secret indices name rows, along axis 0".into());
        }
        if !index.integral {
            return Err("an index that depends on the inputs may have fractions".into());
        }
        let n = x.shape()[0];
        let width: usize = x.shape()[1..].iter().product();
        let table = self.reshaped(x, &[n, width])?;
        let (table, at) = (self.operand(&table)?, self.force(index)?);
        let value = self.p.embedding(at, table)?;
        let mut shape = index.shape.clone();
        shape.extend(&x.shape()[1..]);
        let value = self.p.reshape(value, &shape[..])?;
        // One row of the table each.
        let most = self.fact(table)?.max_abs();
        let value = self.promised(value, most)?;
        Ok(vec![Secret::new(Lazy::Ready(value), shape).into()])
    }

    /// (x − mean) / √(variance + ε) along the last axis.
    fn standardised(&mut self, s: &Secret, epsilon: f64) -> Result<Secret, Problem> {
        let last = s.shape.len() - 1;
        let mut kept = s.shape.clone();
        let n = std::mem::replace(&mut kept[last], 1);
        let x = self.force(s)?;
        let mean = self.p.mean(x, Axis(last))?;
        let mean = self.p.reshape(mean, &kept[..])?;
        let centred = self.p.sub(x, mean)?;
        let square = self.p.square(centred)?;
        let variance = self.p.mean(square, Axis(last))?;
        let variance = self.p.reshape(variance, &kept[..])?;
        let variance = if epsilon >= self.unit() { self.p.add_public(variance, epsilon)? } else { variance };
        let variance =
            Secret { low: LEAST_VARIANCE.max(epsilon), ..Secret::new(Lazy::Ready(variance), kept) };
        let value = self.force(&variance)?;
        let scale = self.above(&variance, LEAST_VARIANCE, |p, least| p.rsqrt(value, least..))?;
        let value = self.p.mul(centred, scale)?;
        // No element is further from the mean than √n standard deviations.
        let value = self.promised(value, 1.01 * (n as f64).sqrt())?;
        Ok(Secret::new(Lazy::Ready(value), s.shape.clone()))
    }
}

/// Softmax or its logarithm. Before version 13, all axes from one on are taken together.
fn along(im: &mut Importer<'_>, node: &Node, log: bool) -> Result<Vec<Val>, Problem> {
    let x = im.value(node, 0)?;
    let rank = x.shape().len();
    let together = node.opset < 13;
    let at = axis(node.int("axis", if together { 1 } else { -1 })?, rank)?;
    if let Val::Known(Known::Numbers(n)) = &x {
        if together && at + 1 < rank {
            return Err("axes of constants are not taken together".into());
        }
        let largest = reduce(&n.values, &[at], |lane| lane.iter().copied().fold(f64::NEG_INFINITY, f64::max));
        let powers = zip(&n.values, &largest, n.values.shape(), |v, m| (v - m).exp());
        let sums = reduce(&powers, &[at], |lane| lane.iter().sum());
        let values = zip(&powers, &sums, n.values.shape(), |p, s| if log { (p / s).ln() } else { p / s });
        return Ok(vec![Numbers::real(values).into()]);
    }
    let flat = |x: &[usize]| vec![x[..at].iter().product(), x[at..].iter().product::<usize>()];
    let (work, at_of_work) = if together { (im.reshaped(&x, &flat(x.shape()))?, 1) } else { (x.clone(), at) };
    let Val::Secret(s) = work else { return Err("texts are no numbers".into()) };
    let result = if log {
        let value = im.force(&s)?;
        let value = im.p.log_softmax(value, Axis(at_of_work))?;
        Secret::new(Lazy::Ready(value), s.shape.clone())
    } else {
        im.softmax(&s, at_of_work)?
    };
    Ok(vec![im.reshaped(&result.into(), x.shape())?])
}

fn layer_normalization(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    if (1..node.outputs.len()).any(|i| im.is_used(node, i)) {
        return Err("its second and third outputs are not supported".into());
    }
    let s = im.secret(node)?;
    let at = axis(node.int("axis", -1)?, s.shape.len())?;
    let epsilon = node.float("epsilon", 1e-5)?;
    let flat = vec![s.shape[..at].iter().product(), s.shape[at..].iter().product::<usize>()];
    let normal = normalised(im, &s, &flat, epsilon)?;
    let m = match im.optional(node, 1) {
        None => None,
        Some(Val::Known(Known::Numbers(n))) => Some(n),
        Some(_) => return Err("its scale depends on the inputs".into()),
    };
    let a = match im.optional(node, 2) {
        None => None,
        Some(Val::Known(Known::Numbers(n))) => Some(n),
        Some(_) => return Err("its bias depends on the inputs".into()),
    };
    if m.is_none() && a.is_none() {
        return Ok(vec![normal.into()]);
    }
    Ok(vec![im.mapped_alone(&normal, m, a)?.into()])
}

/// Standardised along the last axis of another shape.
fn normalised(im: &mut Importer<'_>, s: &Secret, flat: &[usize], epsilon: f64) -> Result<Secret, Problem> {
    let Val::Secret(rows) = im.reshaped(&Val::Secret(s.clone()), flat)? else {
        return Err("a secret value stays secret".into());
    };
    let normal = im.standardised(&rows, epsilon)?;
    match im.reshaped(&normal.into(), &s.shape)? {
        Val::Secret(s) => Ok(s),
        Val::Known(_) => Err("a secret value stays secret".into()),
    }
}

/// Scale and bias per channel, in a shape that broadcasts.
fn channels(im: &Importer<'_>, node: &Node, i: usize, rank: usize, n: usize) -> Result<Numbers, Problem> {
    let Val::Known(Known::Numbers(x)) = im.value(node, i)? else {
        return Err(format!("operand {i} depends on the inputs").into());
    };
    if x.values.len() != n {
        return Err(format!("operand {i} must be {n} numbers").into());
    }
    let mut shape = vec![1; rank - 1];
    shape[0] = n;
    let values = super::super::constant::shaped(&shape, x.values.iter().copied().collect());
    Ok(Numbers { kind: Kind::Real, values, name: x.name })
}

fn instance_normalization(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let s = im.secret(node)?;
    let &[n, c, ref rest @ ..] = &s.shape[..] else { return Err("it takes batches of channels".into()) };
    let flat = [n, c, rest.iter().product()];
    let normal = normalised(im, &s, &flat, node.float("epsilon", 1e-5)?)?;
    let (m, a) = (channels(im, node, 1, s.shape.len(), c)?, channels(im, node, 2, s.shape.len(), c)?);
    Ok(vec![im.mapped_alone(&normal, Some(m), Some(a))?.into()])
}

fn group_normalization(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let s = im.secret(node)?;
    let &[n, c, ref rest @ ..] = &s.shape[..] else { return Err("it takes batches of channels".into()) };
    let groups = usize::try_from(node.int("num_groups", 1)?).ok().filter(|&g| g > 0 && c.is_multiple_of(g));
    let groups = groups.ok_or("num_groups must divide the channels")?;
    let flat = [n, groups, c / groups * rest.iter().product::<usize>()];
    let normal = normalised(im, &s, &flat, node.float("epsilon", 1e-5)?)?;
    // The first version has a number per group.
    let of = |i: usize| -> Result<Numbers, Problem> {
        match im.value(node, i)? {
            Val::Known(Known::Numbers(x)) if x.values.len() == groups && groups != c => {
                let each = x.values.iter().flat_map(|&v| std::iter::repeat_n(v, c / groups)).collect();
                let mut shape = vec![1; s.shape.len() - 1];
                shape[0] = c;
                Ok(Numbers {
                    kind: Kind::Real,
                    values: super::super::constant::shaped(&shape, each),
                    name: x.name,
                })
            }
            _ => channels(im, node, i, s.shape.len(), c),
        }
    };
    let (m, a) = (of(1)?, of(2)?);
    Ok(vec![im.mapped_alone(&normal, Some(m), Some(a))?.into()])
}

fn lp_normalization(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let s = im.secret(node)?;
    let at = axis(node.int("axis", -1)?, s.shape.len())?;
    // A pattern's norm may have been repeated to a shape.
    if let Some(shape) = im.integers(node, "", 1)? {
        let shape: Vec<usize> = shape.iter().map(|&d| usize::try_from(d).unwrap_or(usize::MAX)).collect();
        if broadcast(&s.shape, &shape)? != s.shape {
            return Err(format!("a norm that is repeated to {shape:?} divides {:?}", s.shape).into());
        }
    }
    Ok(vec![match node.int("p", 2)? {
        1 => im.by_sum(&s, at)?.into(),
        _ => im.by_root(&s, at)?.into(),
    }])
}
