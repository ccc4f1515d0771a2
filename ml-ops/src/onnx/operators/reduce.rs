//! Sums, means and extremes along axes, and where extremes are.

use std::rc::Rc;

use ndarray::{ArrayD, Axis};

use super::super::constant::{Kind, Known, Numbers, axis};
use super::super::emit::Importer;
use super::super::error::Problem;
use super::super::fold::reduce;
use super::super::graph::Node;
use super::super::registry::Operator;
use super::super::value::{Lazy, Secret, Val};
use super::shape::axes;
use crate::builder::Value;
use crate::op::Direction;

const ATTRIBUTES: &[&str] = &["axes", "keepdims", "noop_with_empty_axes"];

pub(super) const TABLE: &[Operator] = &[
    Operator::new("ReduceSum", ATTRIBUTES, |im, n| reduced(im, n, Reduction::Sum)),
    Operator::new("ReduceMean", ATTRIBUTES, |im, n| reduced(im, n, Reduction::Mean)),
    Operator::new("ReduceMax", ATTRIBUTES, |im, n| reduced(im, n, Reduction::Max)),
    Operator::new("ReduceMin", ATTRIBUTES, |im, n| reduced(im, n, Reduction::Min)),
    Operator::new("ReduceProd", ATTRIBUTES, |im, n| reduced(im, n, Reduction::Product)),
    Operator::new("ReduceSumSquare", ATTRIBUTES, |im, n| reduced(im, n, Reduction::SquareSum)),
    Operator::new("ReduceLogSumExp", ATTRIBUTES, |im, n| reduced(im, n, Reduction::LogSumExp)),
    Operator::new("ReduceL1", ATTRIBUTES, |im, n| reduced(im, n, Reduction::L1)),
    Operator::new("ReduceL2", ATTRIBUTES, |im, n| reduced(im, n, Reduction::L2)),
    Operator::new("ArgMax", &["axis", "keepdims", "select_last_index"], |im, n| arg(im, n, true))
        .checked(first_index),
    Operator::new("ArgMin", &["axis", "keepdims", "select_last_index"], |im, n| arg(im, n, false))
        .checked(first_index),
    Operator::new("TopK", &["axis", "k", "largest", "sorted"], top_k),
];

#[derive(Copy, Clone, PartialEq, Eq)]
enum Reduction {
    Sum,
    Mean,
    Max,
    Min,
    Product,
    SquareSum,
    L1,
    L2,
    LogSumExp,
}

impl Reduction {
    fn of(self, lane: &[f64]) -> f64 {
        match self {
            Self::Sum | Self::SquareSum | Self::L1 | Self::L2 => lane.iter().sum(),
            Self::Mean => lane.iter().sum::<f64>() / lane.len() as f64,
            Self::Max => lane.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            Self::Min => lane.iter().copied().fold(f64::INFINITY, f64::min),
            Self::Product => lane.iter().product(),
            Self::LogSumExp => lane.iter().map(|v| v.exp()).sum::<f64>().ln(),
        }
    }
}

fn reduced(im: &mut Importer<'_>, node: &Node, what: Reduction) -> Result<Vec<Val>, Problem> {
    let x = im.value(node, 0)?;
    let rank = x.shape().len();
    let along = match im.integers(node, "axes", 1)? {
        Some(list) if !list.is_empty() => axes(&list, rank)?,
        _ if node.int("noop_with_empty_axes", 0)? != 0 => return Ok(vec![x]),
        _ => (0..rank).collect(),
    };
    let keep = node.int("keepdims", 1)? != 0;
    let kept: Vec<usize> =
        x.shape().iter().enumerate().map(|(i, &d)| if along.contains(&i) { 1 } else { d }).collect();
    let shape: Vec<usize> = match keep {
        true => kept,
        false => kept.iter().enumerate().filter(|(i, _)| !along.contains(i)).map(|(_, &d)| d).collect(),
    };
    let result: Val = match &x {
        Val::Known(Known::Texts(_)) => return Err("texts are not reduced".into()),
        Val::Known(Known::Numbers(n)) => {
            let values = match what {
                Reduction::SquareSum | Reduction::L2 => n.values.map(|v| v * v),
                Reduction::L1 => n.values.map(|v| v.abs()),
                _ => n.values.clone(),
            };
            let values = reduce(&values, &along, |lane| what.of(lane));
            let values = if what == Reduction::L2 { values.map(|v| v.sqrt()) } else { values };
            Numbers { values, ..n.clone() }.into()
        }
        Val::Secret(_) if what == Reduction::Mean && im.has_integer_type(node, 0) => {
            return Err(
                "a mean of integers loses its fraction, which is not supported; cast to a real type before"
                    .into(),
            );
        }
        Val::Secret(s) => im.reduced_secret(s, &along, what)?.into(),
    };
    let result = im.reshaped(&result, &shape)?;
    Ok(vec![match (result, &x, &along[..]) {
        (Val::Secret(sum), Val::Secret(of), &[at]) if what == Reduction::Sum && keep => {
            Secret { sum: Some(Rc::new((of.lazy.clone(), at))), ..sum }.into()
        }
        (result, ..) => result,
    }])
}

impl Importer<'_> {
    /// Along axes, which disappear.
    fn reduced_secret(&mut self, s: &Secret, along: &[usize], what: Reduction) -> Result<Secret, Problem> {
        if what == Reduction::LogSumExp {
            return self.log_sum_exp(s, along);
        }
        let mut x = self.force(s)?;
        x = match what {
            Reduction::SquareSum | Reduction::L2 => self.p.square(x)?,
            Reduction::L1 => self.p.abs(x)?,
            _ => x,
        };
        for &at in along.iter().rev() {
            x = match what {
                Reduction::Max => self.p.max(x, Axis(at))?,
                Reduction::Min => self.p.min(x, Axis(at))?,
                Reduction::Product => self.product_along(x, at)?,
                _ => self.p.sum(x, Axis(at))?,
            };
        }
        let n: usize = along.iter().map(|&a| s.shape[a]).product();
        if what == Reduction::Mean && n > 1 {
            x = self.p.scale(x, 1.0 / n as f64)?;
        }
        let x = self.assumed(x)?;
        let shape = self.fact(x)?.shape.dims().to_vec();
        let integral = s.integral && !matches!(what, Reduction::Mean | Reduction::L2);
        let low = match what {
            Reduction::SquareSum | Reduction::L1 | Reduction::L2 => 0.0,
            Reduction::Sum => s.low * n as f64,
            Reduction::Product if s.low < 0.0 => f64::NEG_INFINITY,
            Reduction::Product => 0.0,
            _ => s.low,
        };
        let result = Secret { integral, low, ..Secret::new(Lazy::Ready(x), shape) };
        if what == Reduction::L2 { self.root(&result) } else { Ok(result) }
    }

    /// The product along an axis, which disappears: halves times halves.
    fn product_along(&mut self, x: Value, at: usize) -> Result<Value, Problem> {
        let mut x = x;
        loop {
            let shape = self.fact(x)?.shape;
            let n = shape.dims()[at];
            if n == 1 {
                let rest: Vec<usize> =
                    shape.dims().iter().enumerate().filter(|&(i, _)| i != at).map(|(_, &d)| d).collect();
                return Ok(self.p.reshape(x, rest)?);
            }
            let first = self.p.slice(x, Axis(at), 0..n / 2)?;
            let second = self.p.slice(x, Axis(at), n / 2..n / 2 * 2)?;
            let product = self.p.mul(first, second)?;
            x = if n % 2 == 0 {
                product
            } else {
                let last = self.p.slice(x, Axis(at), n - 1..n)?;
                self.p.concat(&[product, last], Axis(at))?
            };
        }
    }

    /// The largest, plus ln Σ e^(x − largest), which is between 0 and ln n.
    fn log_sum_exp(&mut self, s: &Secret, along: &[usize]) -> Result<Secret, Problem> {
        let x = self.force(s)?;
        let mut kept = s.shape.clone();
        along.iter().for_each(|&a| kept[a] = 1);
        let mut largest = x;
        for &at in along.iter().rev() {
            largest = self.p.max(largest, Axis(at))?;
        }
        let beside = self.p.reshape(largest, &kept[..])?;
        let below = self.p.sub(x, beside)?;
        let mut sum = self.p.exp(below, 0.0)?;
        for &at in along.iter().rev() {
            sum = self.p.sum(sum, Axis(at))?;
        }
        let log = self.p.log(sum, 1.0..)?;
        let value = self.p.add(largest, log)?;
        let shape = self.fact(value)?.shape.dims().to_vec();
        Ok(Secret::new(Lazy::Ready(value), shape))
    }

    /// The sum of all elements along one axis, which stays with length 1.
    pub(super) fn summed(&mut self, s: &Secret, at: usize) -> Result<Secret, Problem> {
        let sum = self.reduced_secret(s, &[at], Reduction::Sum)?;
        let mut shape = s.shape.clone();
        shape[at] = 1;
        match self.reshaped(&sum.into(), &shape)? {
            Val::Secret(sum) => Ok(Secret { sum: Some(Rc::new((s.lazy.clone(), at))), ..sum }),
            Val::Known(_) => Err("the sum of a secret value is secret".into()),
        }
    }
}

fn first_index(node: &Node) -> Result<(), String> {
    node.only("select_last_index", 0)
}

fn arg(im: &mut Importer<'_>, node: &Node, largest: bool) -> Result<Vec<Val>, Problem> {
    let x = im.value(node, 0)?;
    let at = axis(node.int("axis", 0)?, x.shape().len())?;
    let mut shape = x.shape().to_vec();
    if node.int("keepdims", 1)? != 0 {
        shape[at] = 1;
    } else {
        shape.remove(at);
    }
    let result: Val = match &x {
        Val::Known(Known::Texts(_)) => return Err("texts have no largest".into()),
        Val::Known(Known::Numbers(n)) => {
            let first = |lane: &[f64]| {
                let better = |a: f64, b: f64| if largest { a > b } else { a < b };
                (1..lane.len()).fold(0, |best, i| if better(lane[i], lane[best]) { i } else { best }) as f64
            };
            Numbers::new(Kind::Integer, reduce(&n.values, &[at], first)).into()
        }
        Val::Secret(s) => {
            let x = im.ordered_as(s, at)?;
            let value = if largest { im.p.argmax(x, Axis(at))? } else { im.p.argmin(x, Axis(at))? };
            let shape = im.fact(value)?.shape.dims().to_vec();
            Secret::new(Lazy::Ready(value), shape).integral().into()
        }
    };
    Ok(vec![im.reshaped(&result, &shape)?])
}

fn top_k(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let Val::Secret(s) = im.value(node, 0)? else { return Err("its operand is a constant".into()) };
    let at = axis(node.int("axis", -1)?, s.shape.len())?;
    let k = match im.integers(node, "", 1)? {
        Some(list) => *list.first().ok_or("it has no k")?,
        None => node.int("k", 0)?,
    };
    let k = usize::try_from(k).map_err(|_| "k is negative")?;
    let direction = if node.int("largest", 1)? != 0 { Direction::Descending } else { Direction::Ascending };
    let x = im.force(&s)?;
    let mut shape = s.shape.clone();
    shape[at] = k;
    if !node.has_output(1) || !im.uses.contains_key(&node.outputs[1]) {
        let value = im.p.top_k(x, k, Axis(at), direction)?;
        let values = Secret { integral: s.integral, ..Secret::new(Lazy::Ready(value), shape) };
        let unused = values.clone();
        return Ok(vec![values.into(), unused.into()]);
    }
    super::super::fold::spend(&s.shape, &mut im.left)?;
    let mut indices = ArrayD::zeros(s.shape.clone());
    for (i, mut part) in indices.axis_iter_mut(Axis(at)).enumerate() {
        part.fill(i as f64);
    }
    let zero = im.p.scale(x, 0.0)?;
    let indices = im.p.constant(&indices)?;
    let beside = im.p.add(zero, indices)?;
    let (values, indices) = im.p.top_k_with(x, beside, k, Axis(at), direction)?;
    let values = Secret { integral: s.integral, ..Secret::new(Lazy::Ready(values), shape.clone()) };
    Ok(vec![values.into(), Secret::new(Lazy::Ready(indices), shape).integral().into()])
}
