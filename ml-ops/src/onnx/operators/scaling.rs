//! Scaling of features and normalisation.

use super::super::constant::{Kind, Known, Numbers, flat, shaped};
use super::super::emit::Importer;
use super::super::error::Problem;
use super::super::fold::zip;
use super::super::graph::Node;
use super::super::registry::Operator;
use super::super::value::{Lazy, Secret, Val};
use super::division::root_limits;
use crate::builder::Value;

/// Norms below a limit count as that; this is the largest such limit.
const MOST_COUNTED: f64 = 0.125;
/// Most halvings of what is divided by its norm.
const MAX_HALVINGS: i32 = 12;

pub(super) const TABLE: &[Operator] = &[
    Operator::ml("Scaler", &["offset", "scale"], scaler),
    Operator::ml("Normalizer", &["norm"], normalizer).checked(known_norm),
    Operator::ml(
        "Imputer",
        &["imputed_value_floats", "imputed_value_int64s", "replaced_value_float", "replaced_value_int64"],
        imputer,
    ),
    Operator::new(
        "BatchNormalization",
        &["epsilon", "momentum", "training_mode", "spatial", "is_test"],
        batch_normalization,
    )
    .checked(inference_only),
];

fn inference_only(node: &Node) -> Result<(), String> {
    node.only("training_mode", 0)?;
    node.only("spatial", 1)
}

/// (x − offset) · scale per column.
fn scaler(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let Val::Secret(x) = im.value(node, 0)? else { return Err("its operand is a constant".into()) };
    let x = im.as_rows(&x)?;
    let columns = x.shape[1];
    let list = |name: &str, default: f64| -> Result<Vec<f64>, Problem> {
        let all = node.floats(name)?.unwrap_or_default();
        match all.len() {
            0 => Ok(vec![default; columns]),
            1 => Ok(vec![all[0]; columns]),
            n if n == columns => Ok(all),
            n => Err(format!("{name} has {n} numbers for {columns} columns").into()),
        }
    };
    let (offset, scale) = (list("offset", 0.0)?, list("scale", 1.0)?);
    let shift = offset.iter().zip(&scale).map(|(o, s)| -o * s).collect();
    let named = |values: Vec<f64>| Numbers {
        name: Some(format!("{}.scale", node.name)),
        ..Numbers::real(flat(values))
    };
    let m = if scale.iter().all(|&s| s == 1.0) { None } else { Some(named(scale)) };
    let a = if offset.iter().all(|&o| o == 0.0) { None } else { Some(named(shift)) };
    if m.is_none() && a.is_none() {
        return Ok(vec![x.into()]);
    }
    Ok(vec![im.mapped(node, 0, &x, m, a)?.into()])
}

fn normalizer(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let Val::Secret(x) = im.value(node, 0)? else { return Err("its operand is a constant".into()) };
    let norm = node.text("norm", "MAX")?;
    let last = x.shape.len().checked_sub(1).ok_or("it takes rows")?;
    if norm == "L1" && x.simplex {
        return Ok(vec![x.into()]);
    }
    Ok(vec![match norm.as_str() {
        "L1" => im.by_sum(&x, last)?.into(),
        "L2" => im.by_root(&x, last)?.into(),
        _ => im.by_largest(&x, last)?.into(),
    }])
}

fn known_norm(node: &Node) -> Result<(), String> {
    match node.text("norm", "MAX")?.as_str() {
        "L1" | "L2" | "MAX" => Ok(()),
        other => Err(format!("norm = {other} is not supported, only L1, L2 and MAX")),
    }
}

impl Importer<'_> {
    /// x / Σ|x| along an axis.
    pub(super) fn by_sum(&mut self, x: &Secret, at: usize) -> Result<Secret, Problem> {
        let value = self.force(x)?;
        let size = if x.low >= 0.0 {
            x.clone()
        } else {
            let size = self.p.abs(value)?;
            Secret { low: 0.0, ..Secret::new(Lazy::Ready(size), x.shape.clone()) }
        };
        let sum = self.summed(&size, at)?;
        let quotient = self.divided(x, &sum)?;
        if quotient.simplex {
            return Ok(quotient);
        }
        let value = self.force(&quotient)?;
        let value = self.promised(value, 1.01)?;
        Ok(Secret { low: quotient.low, ..Secret::new(Lazy::Ready(value), x.shape.clone()) })
    }

    /// x / max x along an axis.
    fn by_largest(&mut self, x: &Secret, at: usize) -> Result<Secret, Problem> {
        let value = self.force(x)?;
        let largest = self.p.max(value, ndarray::Axis(at))?;
        let mut shape = x.shape.clone();
        shape[at] = 1;
        let largest = self.p.reshape(largest, &shape[..])?;
        self.divided(x, &Secret { low: x.low, ..Secret::new(Lazy::Ready(largest), shape) })
    }

    /// x / √Σx² along an axis. Both are made smaller by a power of two where their squares would be too large.
    pub(super) fn by_root(&mut self, x: &Secret, at: usize) -> Result<Secret, Problem> {
        let value = self.force(x)?;
        let mut refused = None;
        for halvings in (0..=MAX_HALVINGS).step_by(2) {
            match self.by_root_of(value, at, 2f64.powi(-halvings)) {
                Ok(product) => {
                    let product = self.promised(product, 1.01)?;
                    let low = x.low.min(0.0);
                    return Ok(Secret { low, ..Secret::new(Lazy::Ready(product), x.shape.clone()) });
                }
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        Err(refused.unwrap_or_else(|| "it has no norm".into()))
    }

    fn by_root_of(&mut self, x: Value, at: usize, factor: f64) -> Result<Value, Problem> {
        let x = if factor < 1.0 { self.p.scale(x, factor)? } else { x };
        let mut shape = self.fact(x)?.shape.dims().to_vec();
        let square = self.p.square(x)?;
        let sum = self.p.sum(square, ndarray::Axis(at))?;
        shape[at] = 1;
        let sum = self.p.reshape(sum, &shape[..])?;
        let limits = root_limits().filter(|least| least.sqrt() <= MOST_COUNTED * factor);
        let (inverse, least) = self.first_that_fits(limits, |p, least| p.rsqrt(sum, least..))?;
        let product = self.p.mul(x, inverse)?;
        self.note(format!("norms below {:.1e} count as that", least.sqrt() / factor));
        Ok(product)
    }
}

/// What it replaces is missing values, and inputs have none.
fn imputer(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let replaced = if node.has("replaced_value_int64") {
        node.int("replaced_value_int64", 0)? as f64
    } else {
        node.float("replaced_value_float", f32::NAN)?
    };
    if !replaced.is_nan() {
        let Val::Secret(x) = im.value(node, 0)? else { return Err("its operand is a constant".into()) };
        let with = match (node.floats("imputed_value_floats")?, node.ints("imputed_value_int64s")?) {
            (Some(list), _) => list,
            (None, Some(list)) => list.iter().map(|&v| v as f64).collect(),
            (None, None) => return Err("it has nothing to put in".into()),
        };
        let value = im.force(&x)?;
        let old = im.constant(&ndarray::arr0(replaced).into_dyn())?;
        let is = im.p.equal(value, old)?;
        let new = im.constant(&flat(with))?;
        let value = im.p.select(is, new, value)?;
        return Ok(vec![Secret::new(Lazy::Ready(value), x.shape).into()]);
    }
    Ok(vec![im.value(node, 0)?])
}

/// (x − mean) · scale / √(variance + ε) + bias per channel.
fn batch_normalization(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    if (1..node.outputs.len()).any(|i| im.is_used(node, i)) {
        return Err("it is in training mode".into());
    }
    let Val::Secret(x) = im.value(node, 0)? else { return Err("its operand is a constant".into()) };
    let channels = *x.shape.get(1).ok_or("it takes batches of channels")?;
    let mut named = None;
    let mut vector = |i: usize| -> Result<ndarray::ArrayD<f64>, Problem> {
        match im.value(node, i)? {
            Val::Known(Known::Numbers(n)) if n.values.len() == channels => {
                named = named.take().or(n.name);
                Ok(flat(n.values.iter().copied().collect()))
            }
            _ => Err(format!("operand {i} must be {channels} constants").into()),
        }
    };
    let (scale, bias, mean, variance) = (vector(1)?, vector(2)?, vector(3)?, vector(4)?);
    let epsilon = node.float("epsilon", 1e-5)?;
    let m = zip(&scale, &variance, &[channels], |s, v| s / (v + epsilon).sqrt());
    let a = zip(&bias, &zip(&mean, &m, &[channels], |mean, m| mean * m), &[channels], |b, shift| b - shift);
    if m.iter().chain(&a).any(|v| !v.is_finite()) {
        return Err("a variance is negative".into());
    }
    // Along axis 1, whatever follows.
    let mut shape = vec![1; x.shape.len() - 1];
    shape[0] = channels;
    let along = |values: ndarray::ArrayD<f64>| Numbers {
        kind: Kind::Real,
        values: shaped(&shape, values.iter().copied().collect()),
        name: named.clone(),
    };
    Ok(vec![im.mapped(node, 0, &x, Some(along(m)), Some(along(a)))?.into()])
}
