//! Probabilities that are divided by their sum.
//!
//! The quotient p / Σp is that of small numbers where no class is likely, and in fixed point all of them may be 0. So where p is known
//! to be σ(z) or e^z, the quotient is computed as what it is: softmax(ln p), with ln σ(z) = −ln(1 + e^−z). Nothing underflows there.
//!
//! onnxruntime computes such a p in single precision, where σ is 1 from [`LARGEST_SCORE`] on and ends somewhere below, according to how
//! it is written ([`LEAST_SCORE`], [`LEAST_OF_OPERATOR`], [`LEAST_OF_CLASSIFIER`]). Scores count as these limits here too: where every
//! score is below the first, probabilities are all equal, as they are for onnxruntime with the guard that converters put in; and of
//! classes beyond one of them the first has the label.

use super::super::emit::Importer;
use super::super::error::Problem;
use super::super::graph::Node;
use super::super::registry::Operator;
use super::super::value::{Lazy, Origin, Secret, Val};
use crate::builder::Value;
use crate::function::Function;

/// Below, 1 + e^−z is beyond single precision.
pub(super) const LEAST_SCORE: f64 = -88.72;
/// Below, the operator `Sigmoid` of onnxruntime does not tell scores apart.
pub(super) const LEAST_OF_OPERATOR: f64 = -18.0;
/// Below, a classifier of the classical domain has 0.
pub(super) const LEAST_OF_CLASSIFIER: f64 = -LARGEST_SCORE;
/// From where on 1 + e^−z is 1 in single precision.
const LARGEST_SCORE: f64 = 16.64;

pub(super) const TABLE: &[Operator] = &[
    Operator::internal(super::super::pattern::GUARDED, &["classes"], guarded),
    Operator::internal(super::super::pattern::WRITTEN_SIGMOID, &[], written_sigmoid),
];

impl Importer<'_> {
    /// Scores between the limits, beyond which they make no difference.
    fn score(&mut self, z: Value, least: f64) -> Result<Value, Problem> {
        let shape = self.fact(z)?.shape.dims().to_vec();
        let clipped = self.clipped(&Secret::new(Lazy::Ready(z), shape), Some(least), Some(LARGEST_SCORE))?;
        self.force(&clipped)
    }

    /// a / b, if b is the sum of a along an axis, and it is known what a was made of.
    pub(super) fn by_own_sum(&mut self, a: &Secret, b: &Secret) -> Result<Option<Secret>, Problem> {
        let Some((of, at)) = b.sum.as_deref() else { return Ok(None) };
        let mut kept = a.shape.clone();
        if let Some(length) = kept.get_mut(*at) {
            *length = 1;
        }
        if !std::rc::Rc::ptr_eq(of, &a.lazy) || kept != b.shape {
            return Ok(None);
        }
        let (order, log) = match a.origin {
            Some(Origin::Sigmoid { of, least }) => {
                let z = self.score(of, least)?;
                let opposite = self.p.neg(z)?;
                let soft = self.p.softplus(opposite)?;
                (z, self.p.neg(soft)?)
            }
            Some(Origin::Power(x)) => (x, x),
            Some(Origin::Order { .. }) | None => return Ok(None),
        };
        let softmax = self.softmax(&Secret::new(Lazy::Ready(log), a.shape.clone()), *at)?;
        Ok(Some(Secret { origin: Some(Origin::Order { by: order, axis: *at }), ..softmax }))
    }

    /// What has the same order along an axis and is better told apart.
    pub(super) fn ordered_as(&mut self, s: &Secret, at: usize) -> Result<Value, Problem> {
        match s.origin {
            Some(Origin::Sigmoid { of, least }) => self.score(of, least),
            Some(Origin::Power(x)) => Ok(x),
            Some(Origin::Order { by, axis }) if axis == at => Ok(by),
            Some(Origin::Order { .. }) | None => self.force(s),
        }
    }

    /// An origin of which every element goes the same way as those of the value.
    pub(in super::super) fn moved_origin(
        &mut self,
        s: &Secret,
        f: impl Fn(&mut Self, Value) -> Result<Value, Problem>,
    ) -> Result<Option<Origin>, Problem> {
        Ok(match s.origin {
            Some(Origin::Sigmoid { of, least }) => Some(Origin::Sigmoid { of: f(self, of)?, least }),
            Some(Origin::Power(x)) => Some(Origin::Power(f(self, x)?)),
            Some(Origin::Order { .. }) | None => None,
        })
    }

    /// The origin of values that are joined, if all have one of the same kind.
    pub(in super::super) fn joined_origin(
        &mut self,
        parts: &[&Val],
        axis: usize,
    ) -> Result<Option<Origin>, Problem> {
        let (mut scores, mut exponents, mut highest) = (vec![], vec![], f64::NEG_INFINITY);
        for part in parts {
            match part {
                Val::Secret(Secret { origin: Some(Origin::Sigmoid { of, least }), .. }) => {
                    highest = f64::max(highest, *least);
                    scores.push(*of);
                }
                Val::Secret(Secret { origin: Some(Origin::Power(x)), .. }) => exponents.push(*x),
                _ => return Ok(None),
            }
        }
        let axis = ndarray::Axis(axis);
        Ok(match (&scores[..], &exponents[..]) {
            (all @ [_, _, ..], []) => Some(Origin::Sigmoid { of: self.p.concat(all, axis)?, least: highest }),
            ([], all @ [_, _, ..]) => Some(Origin::Power(self.p.concat(all, axis)?)),
            _ => None,
        })
    }
}

/// 1 / (1 + e^−x), written so.
fn written_sigmoid(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    let mut all = super::activation::function(im, node, Function::Sigmoid)?;
    for value in &mut all {
        if let Val::Secret(Secret { origin: Some(Origin::Sigmoid { least, .. }), .. }) = value {
            *least = LEAST_SCORE;
        }
    }
    Ok(all)
}

/// a / b as a converter writes p / Σp with a guard against Σp = 0: there every class has the same. The first two operands are a and b with
/// the guard in them, the others p and Σp.
fn guarded(im: &mut Importer<'_>, node: &Node) -> Result<Vec<Val>, Problem> {
    if let (Val::Secret(p), Val::Secret(sum)) = (im.value(node, 2)?, im.value(node, 3)?)
        && p.shape.last() == usize::try_from(node.int("classes", 0)?).ok().as_ref()
        && let Some(quotient) = im.by_own_sum(&p, &sum)?
    {
        return Ok(vec![quotient.into()]);
    }
    im.binary(node, super::arithmetic::Arithmetic::Div)
}
