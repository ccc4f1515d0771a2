//! Functions of every element.

use super::super::constant::{Kind, Known, Numbers};
use super::super::emit::Importer;
use super::super::error::Problem;
use super::super::fold::unary;
use super::super::graph::Node;
use super::super::registry::Operator;
use super::super::value::{Lazy, Origin, Secret, Val};
use super::quotient::{LEAST_OF_CLASSIFIER, LEAST_OF_OPERATOR};
use crate::function::Function;

pub(super) const TABLE: &[Operator] = &[
    Operator::new("Sigmoid", &[], |im, n| function(im, n, Function::Sigmoid)),
    Operator::new("Tanh", &[], |im, n| function(im, n, Function::Tanh)),
    Operator::new("Erf", &[], |im, n| function(im, n, Function::Erf)),
    Operator::new("Softplus", &[], |im, n| function(im, n, Function::Softplus)),
    Operator::new("Gelu", &["approximate"], |im, n| function(im, n, Function::Gelu)).checked(known_gelu),
    Operator::new("Swish", &["alpha"], swish),
    Operator::new("Elu", &["alpha"], |im, n| {
        let alpha = n.float("alpha", 1.0)?;
        function(im, n, Function::Elu { alpha })
    }),
    Operator::new("Selu", &["alpha", "gamma"], selu),
    Operator::new("Celu", &["alpha"], celu),
    Operator::new("Mish", &[], mish),
    Operator::new("HardSigmoid", &["alpha", "beta"], hard_sigmoid),
    Operator::new("HardSwish", &[], hard_swish),
    Operator::new("LeakyRelu", &["alpha"], leaky_relu),
    Operator::new("PRelu", &[], parametric_relu),
    Operator::new("ThresholdedRelu", &["alpha"], thresholded_relu),
];

impl Importer<'_> {
    /// A function of a value.
    pub(super) fn applied(&mut self, function: Function, s: &Secret) -> Result<Secret, Problem> {
        let x = self.force(s)?;
        let value = self.p.function(function, x)?;
        let low =
            if matches!(function, Function::Sigmoid | Function::Softplus) { 0.0 } else { f64::NEG_INFINITY };
        let origin =
            (function == Function::Sigmoid).then_some(Origin::Sigmoid { of: x, least: LEAST_OF_OPERATOR });
        Ok(Secret { low, origin, ..Secret::new(Lazy::Ready(value), s.shape.clone()) })
    }

    pub(super) fn sigmoid(&mut self, s: &Secret) -> Result<Secret, Problem> {
        self.applied(Function::Sigmoid, s)
    }

    /// The probability that a classifier of the classical domain makes of a score.
    pub(super) fn probability(&mut self, s: &Secret) -> Result<Secret, Problem> {
        let p = self.applied(Function::Sigmoid, s)?;
        Ok(match p.origin {
            Some(Origin::Sigmoid { of, .. }) => {
                Secret { origin: Some(Origin::Sigmoid { of, least: LEAST_OF_CLASSIFIER }), ..p }
            }
            _ => p,
        })
    }

    /// Operand 0, which depends on the inputs.
    pub(super) fn secret(&self, node: &Node) -> Result<Secret, Problem> {
        match self.value(node, 0)? {
            Val::Secret(s) => Ok(s),
            Val::Known(_) => Err("its operand is a constant".into()),
        }
    }
}

pub(super) fn function(im: &mut Importer<'_>, node: &Node, f: Function) -> Result<Vec<Val>, Problem> {
    Ok(vec![match im.value(node, 0)? {
        Val::Known(Known::Numbers(x)) => unary(&x, Kind::Real, |v| f.value(v)).into(),
        Val::Known(Known::Texts(_)) => return Err("texts are no numbers".into()),
        Val::Secret(s) => im.applied(f, &s)?.into(),
    }])
}

fn number(value: f64) -> Numbers {
    Numbers::real(ndarray::arr0(value).into_dyn())
}

/// The approximation by a tanh is within 5e-4 of the function, and is computed as the function.
fn known_gelu(node: &Node) -> Result<(), String> {
    match node.text("approximate", "none")?.as_str() {
        "none" | "tanh" => Ok(()),
        other => Err(format!("approximate = {other} is not supported, only none and tanh")),
    }
}

/// x · σ(alpha · x)
fn swish(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let alpha = node.float("alpha", 1.0)?;
    if alpha == 1.0 {
        return function(im, node, Function::Silu);
    }
    let s = im.secret(node)?;
    let x = im.force(&s)?;
    let inner = im.mapped_alone(&s, Some(number(alpha)), None)?;
    let gate = im.sigmoid(&inner)?;
    let gate = im.force(&gate)?;
    let value = im.p.mul(x, gate)?;
    Ok(vec![Secret::new(Lazy::Ready(value), s.shape).into()])
}

/// gamma · (x from 0 on, alpha · (e^x − 1) below)
fn selu(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let (alpha, gamma) = (node.float("alpha", 1.673_263_2)?, node.float("gamma", 1.050_701)?);
    let s = im.secret(node)?;
    let bent = im.applied(Function::Elu { alpha }, &s)?;
    Ok(vec![im.mapped_alone(&bent, Some(number(gamma)), None)?.into()])
}

/// x from 0 on, alpha · (e^(x / alpha) − 1) below
fn celu(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let alpha = node.float("alpha", 1.0)?;
    if alpha <= 0.0 {
        return Err("alpha must be above 0".into());
    }
    let s = im.secret(node)?;
    im.force(&s)?;
    let inner = im.mapped_alone(&s, Some(number(1.0 / alpha)), None)?;
    let bent = im.applied(Function::Elu { alpha: 1.0 }, &inner)?;
    Ok(vec![im.mapped_alone(&bent, Some(number(alpha)), None)?.into()])
}

/// x · tanh(ln(1 + e^x))
fn mish(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let s = im.secret(node)?;
    let soft = im.applied(Function::Softplus, &s)?;
    let gate = im.applied(Function::Tanh, &soft)?;
    let (x, gate) = (im.force(&s)?, im.force(&gate)?);
    let value = im.p.mul(x, gate)?;
    Ok(vec![Secret::new(Lazy::Ready(value), s.shape).into()])
}

/// min(max(alpha · x + beta, 0), 1)
fn hard_sigmoid_of(im: &mut Importer<'_>, s: &Secret, alpha: f64, beta: f64) -> Result<Secret, Problem> {
    let ready = Secret::new(Lazy::Ready(im.force(s)?), s.shape.clone());
    let line = im.mapped_alone(&ready, Some(number(alpha)), Some(number(beta)))?;
    im.clipped(&line, Some(0.0), Some(1.0))
}

fn hard_sigmoid(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let s = im.secret(node)?;
    let (alpha, beta) = (node.float("alpha", 0.2)?, node.float("beta", 0.5)?);
    Ok(vec![hard_sigmoid_of(im, &s, alpha, beta)?.into()])
}

fn hard_swish(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let s = im.secret(node)?;
    let gate = hard_sigmoid_of(im, &s, 1.0 / 6.0, 0.5)?;
    let (x, gate) = (im.force(&s)?, im.force(&gate)?);
    let value = im.p.mul(x, gate)?;
    Ok(vec![Secret::new(Lazy::Ready(value), s.shape).into()])
}

/// alpha · x + (1 − alpha) · max(x, 0)
fn leaky(im: &mut Importer<'_>, s: &Secret, alpha: Numbers) -> Result<Secret, Problem> {
    let x = im.force(s)?;
    let positive = im.p.relu(x)?;
    let rest = unary(&alpha, Kind::Real, |a| 1.0 - a);
    let rest = Numbers { name: alpha.name.clone(), ..rest };
    let all = im.mapped_alone(&Secret::new(Lazy::Ready(x), s.shape.clone()), Some(alpha), None)?;
    let above = im.mapped_alone(&Secret::new(Lazy::Ready(positive), s.shape.clone()), Some(rest), None)?;
    let (all, above) = (im.force(&all)?, im.force(&above)?);
    let value = im.p.add(all, above)?;
    Ok(Secret::new(Lazy::Ready(value), s.shape.clone()))
}

fn leaky_relu(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let s = im.secret(node)?;
    let alpha = number(node.float("alpha", 0.01)?);
    Ok(vec![leaky(im, &s, alpha)?.into()])
}

fn parametric_relu(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let s = im.secret(node)?;
    let Val::Known(Known::Numbers(alpha)) = im.value(node, 1)? else {
        return Err("its slope depends on the inputs".into());
    };
    Ok(vec![leaky(im, &s, alpha)?.into()])
}

/// x where x > alpha, else 0
fn thresholded_relu(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let s = im.secret(node)?;
    let x = im.force(&s)?;
    let limit = im.constant(&ndarray::arr0(node.float("alpha", 1.0)?).into_dyn())?;
    let above = im.p.greater(x, limit)?;
    let value = im.p.mul(x, above)?;
    Ok(vec![Secret::new(Lazy::Ready(value), s.shape).into()])
}
