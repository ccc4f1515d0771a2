//! One node on shares. The interactive calls are those of `lower`, in the same order.

use std::collections::BTreeMap;

use mpc_core::party::PartyId;
use mpc_core::ring::{Ring, Z64};
use mpc_core::tensor::Tensor;
use protocols::error::ProtocolError;
use protocols::order::{Relation, holds, min_max};
use protocols::session::Session;
use protocols::tree::TreeChoice;
use protocols::{mul, order, quartic, relu, sort, tournament, truncate};

use super::function::function;
use super::product::{Masked, Reused};
use super::{Shareable, layers};
use crate::lower::Lowered;
use crate::op::{Extreme, NodeId, Op};
use crate::program::Program;
use crate::repeat::At;
use crate::settings::Rounding;

/// A node's value at one party.
#[derive(Clone)]
pub(super) enum Value<S> {
    /// The same at every party.
    Public(Tensor<Z64>),
    /// This party's share.
    Secret(S),
}

mpc_core::secret_types!(serde::Serialize; Value<mpc_core::share::Additive<Z64>>);

impl<S: Shareable> Value<S> {
    /// The share of a value that is secret by inference.
    pub(super) fn secret(&self) -> &S {
        match self {
            Self::Secret(share) => share,
            Self::Public(_) => unreachable!("inference found this value to be secret"),
        }
    }

    /// Lengths of the axes.
    pub(super) fn dims(&self) -> &[usize] {
        match self {
            Self::Public(t) => t.shape(),
            Self::Secret(s) => s.shape(),
        }
    }

    /// Applies a linear function.
    fn map(&self, linear: impl Fn(&Tensor<Z64>) -> Tensor<Z64>) -> Self {
        match self {
            Self::Public(t) => Self::Public(linear(t)),
            Self::Secret(s) => Self::Secret(s.map_linear(linear)),
        }
    }

    /// The value as a share, trivial if it is public.
    fn share(self, holder: S::Holder) -> S {
        match self {
            Self::Public(t) => S::public(&t, holder),
            Self::Secret(s) => s,
        }
    }

    fn add(self, other: Self, holder: S::Holder) -> Self {
        match (self, other) {
            (Self::Public(a), Self::Public(b)) => Self::Public(a.add(&b)),
            (Self::Public(k), Self::Secret(s)) | (Self::Secret(s), Self::Public(k)) => {
                Self::Secret(s.add_public(&k, holder))
            }
            (Self::Secret(a), Self::Secret(b)) => Self::Secret(a.add(&b)),
        }
    }

    fn neg(&self) -> Self {
        self.map(|t| t.map(|v| -v))
    }

    /// Elementwise product of values of one shape: interactive only if both are secret.
    pub(super) fn mul(self, other: Self, cx: &mut Session<S>) -> Result<Self, ProtocolError> {
        Ok(match (self, other) {
            (Self::Public(a), Self::Public(b)) => Self::Public(a.hadamard(&b)),
            (Self::Public(k), Self::Secret(s)) | (Self::Secret(s), Self::Public(k)) => {
                Self::Secret(s.mul_public(&k))
            }
            (Self::Secret(a), Self::Secret(b)) => Self::Secret(mul::mul(cx, &a, &b)?),
        })
    }

    /// Times the encoded factor of a node.
    fn scale(&self, program: &Program, node: NodeId) -> Self {
        let value = Z64::from_i64(program.factor(node).value);
        self.map(|t| t.scale(value))
    }

    /// Divides a secret value by 2^`bits`; free for 0 bits.
    fn truncate(
        self,
        bits: u32,
        (rounding, tree): (Rounding, TreeChoice),
        cx: &mut Session<S>,
    ) -> Result<Self, ProtocolError> {
        match bits {
            0 => Ok(self),
            _ => Ok(Self::Secret(truncate::divide(cx, self.secret(), bits, rounding, tree)?)),
        }
    }

    /// The axis in front, where protocols want it.
    fn axis_first(&self, axis: usize) -> Self {
        match axis {
            0 => self.clone(),
            _ => self.map(|t| t.permute(&moved_to_front(t.shape().len(), axis))),
        }
    }
}

/// The order of axes that has one of them in front.
fn moved_to_front(rank: usize, axis: usize) -> Vec<usize> {
    [axis].into_iter().chain((0..rank).filter(|&a| a != axis)).collect()
}

/// The inverse of [`moved_to_front`].
fn moved_back(rank: usize, axis: usize) -> Vec<usize> {
    (1..=axis).chain([0]).chain(axis + 1..rank).collect()
}

/// What a run keeps beside the values of nodes.
pub(super) struct Kept<'a, S: Shareable> {
    /// Own inputs that are still to come.
    pub(super) inputs: &'a mut BTreeMap<NodeId, Tensor<Z64>>,
    /// Tensors that are opened once.
    pub(super) masked: &'a mut Masked<S>,
    /// Bits of ReLUs, where they are used.
    pub(super) bits: &'a mut BTreeMap<NodeId, S>,
}

mpc_core::secret_types!(serde::Serialize; Kept<'static, mpc_core::share::Additive<Z64>>);

/// The value of a node from those of its operands, and of what it opens.
pub(super) fn evaluate<S: Shareable>(
    cx: &mut Session<S>,
    program: &Program,
    at: At,
    lowered: &Lowered,
    x: &[&Value<S>],
    kept: Kept<'_, S>,
) -> Result<Value<S>, ProtocolError> {
    let At { node, iteration } = at;
    let (op, fact, frac) = (&program.nodes()[node as usize].op, program.fact(node), program.frac_bits());
    let (shape, holder) = (fact.shape.dims(), cx.holder());
    let ids = op.operands();
    // What a product opens follows the operands.
    let root = || x.get(ids.len()).map(|value| value.secret());
    let reused = lowered.reuse.map(|how| Reused { how, iteration, root: root() });
    let scale_of = |i: usize| program.fact(ids[i]).scale;
    let stretch =
        |v: &Value<S>| v.map(|t| t.broadcast(shape).expect("invariant: inference compared the shapes"));
    let lift = |i: usize, scale: u32| match scale - scale_of(i) {
        0 => x[i].clone(),
        by => x[i].map(|t| t.scale(Z64::power_of_two(by))),
    };
    // Operand i at a common scale, repeated to the shape of the result.
    let aligned = |i: usize, scale: u32| stretch(&lift(i, scale));
    // Operand a less operand b.
    let difference = |a: usize, b: usize| {
        let scale = scale_of(a).max(scale_of(b));
        aligned(a, scale).add(aligned(b, scale).neg(), holder)
    };
    let rounding = program.rounding();
    // Operands at a common scale, as shares.
    let both = || {
        let scale = scale_of(0).max(scale_of(1));
        (aligned(0, scale).share(holder), aligned(1, scale).share(holder))
    };
    // A node that compares has one such step; it is the first.
    let tree = lowered.first_tree();
    let relation = |cx: &mut Session<S>, relation: Relation| {
        let (a, b) = both();
        Ok::<_, ProtocolError>(Value::Secret(holds(cx, &a, relation, &b, tree)?))
    };
    // Where a factor is applied, what the operand loses before, with the shape that this takes.
    let narrowed =
        |v: Value<S>, cx: &mut Session<S>| v.truncate(program.factor(node).first, (rounding, tree), cx);
    let value = match op {
        Op::Input { owner, .. } => {
            // Taken out: every input is shared once in a window.
            let own = kept.inputs.remove(&node);
            Value::Secret(S::input(cx, PartyId::new(*owner), shape, own.as_ref())?)
        }
        Op::Shared { .. } => {
            let share = kept.inputs.remove(&node).expect("invariant: every share was there at the start");
            Value::Secret(S::taken_up(cx, share))
        }
        Op::Constant { values, .. } => Value::Public(values.clone()),
        Op::Add(..) => aligned(0, fact.scale).add(aligned(1, fact.scale), holder),
        Op::Sub(..) => difference(0, 1),
        Op::Neg(_) => x[0].neg(),
        Op::Mul(..) => kept.masked.elements(cx, || stretch(x[0]), || stretch(x[1]), reused)?,
        Op::Square(_) => Value::Secret(mul::square(cx, x[0].secret())?),
        Op::MatMul(..) => kept.masked.matmul(cx, [x[0], x[1]], reused)?,
        Op::Dense { .. } => {
            let product = scale_of(0) + scale_of(1);
            let scale = product.max(scale_of(2));
            let xw = kept.masked.matmul(cx, [x[0], x[1]], reused)?;
            let xw =
                if scale > product { xw.map(|t| t.scale(Z64::power_of_two(scale - product))) } else { xw };
            xw.add(aligned(2, scale), holder)
        }
        Op::Conv { bias, .. } => {
            let product = scale_of(0) + scale_of(1);
            let scale = product.max(bias.map_or(0, |_| scale_of(2)));
            let xw = match reused {
                None => layers::conv(cx, x[0], x[1], &program.conv_shape(node))?,
                Some(reused) => {
                    Value::Secret(kept.masked.multiply(cx, &reused, x[reused.other()].secret())?)
                }
            };
            let xw =
                if scale > product { xw.map(|t| t.scale(Z64::power_of_two(scale - product))) } else { xw };
            match bias {
                None => xw,
                // A number per filter, for every place of every image.
                Some(_) => {
                    xw.add(stretch(&lift(2, scale).map(|t| t.clone().reshape(&[t.len(), 1, 1]))), holder)
                }
            }
        }
        Op::Unfold { window, sliding, outside, .. } => {
            x[0].map(|t| layers::unfold(t, *window, sliding, *outside))
        }
        Op::Permute { axes, .. } => x[0].map(|t| t.permute(axes)),
        Op::Pad { before, after, value, .. } => {
            let padding = layers::padding(*value, frac.bits() - fact.scale);
            let padded = lift(0, fact.scale).map(|t| layers::pad(t, before, after, Z64::ZERO));
            if padding == Z64::ZERO {
                padded
            } else {
                let zeros = Tensor::zeros(x[0].dims());
                padded.add(Value::Public(layers::pad(&zeros, before, after, padding)), holder)
            }
        }
        Op::Sum { axis, .. } => x[0].map(|t| t.sum_axis(*axis)),
        Op::Mean { axis, .. } => narrowed(x[0].map(|t| t.sum_axis(*axis)), cx)?.scale(program, node),
        Op::Scale { .. } => narrowed(x[0].clone(), cx)?.scale(program, node),
        Op::Reshape { .. } => x[0].map(|t| t.clone().reshape(shape)),
        Op::Slice { axis, start, end, .. } => x[0].map(|t| t.slice(*axis, *start, *end)),
        Op::Concat { axis, .. } => {
            let parts: Vec<S> = (0..x.len()).map(|i| lift(i, fact.scale).share(holder)).collect();
            Value::Secret(S::combine(&parts.iter().collect::<Vec<_>>(), |p| Tensor::concat(*axis, p)))
        }
        Op::Gather { axis, indices, .. } => x[0].map(|t| t.gather(*axis, indices)),
        Op::Split { .. } => {
            let mut one = shape.to_vec();
            let last = one.len() - 1;
            one[last] /= 2;
            let stretch = |v: &Value<S>| {
                v.map(|t| t.broadcast(&one).expect("invariant: inference compared the shapes"))
            };
            let yes = kept.masked.elements(cx, || stretch(x[0]), || stretch(x[1]), reused)?.share(holder);
            let all = stretch(x[0]).share(holder);
            Value::Secret(S::combine(&[&all, &yes], |p| Tensor::concat(last, &[p[1], &p[0].sub(p[1])])))
        }
        Op::Transpose(_) => x[0].map(|t| t.permute(&[1, 0])),
        Op::Less(..) => relation(cx, Relation::Less)?,
        Op::Greater(..) => relation(cx, Relation::Greater)?,
        Op::LessEqual(..) => relation(cx, Relation::LessEqual)?,
        Op::GreaterEqual(..) => relation(cx, Relation::GreaterEqual)?,
        Op::Equal(..) => relation(cx, Relation::Equal)?,
        Op::NotEqual(..) => relation(cx, Relation::NotEqual)?,
        Op::Minimum(..) | Op::Maximum(..) => {
            let (a, b) = both();
            let (min, max) = min_max(cx, &a, &b, tree)?;
            Value::Secret(if matches!(op, Op::Minimum(..)) { min } else { max })
        }
        Op::Abs(_) => Value::Secret(relu::abs(cx, x[0].secret(), lowered.fused, tree)?),
        Op::Sign(_) => Value::Secret(order::sign(cx, x[0].secret(), tree)?),
        Op::Extreme { axis, which, with, .. } => extreme(cx, x[0], *axis, (*which, *with), tree)?,
        Op::Sort { axis, direction, keep, .. } => {
            let front: Vec<S> =
                (0..x.len()).map(|i| lift(i, fact.scale).axis_first(*axis).share(holder)).collect();
            let payloads: Vec<&S> = front[1..].iter().collect();
            let (keys, moved) = sort::sort(cx, &front[0], &payloads, *direction, *keep, tree)?;
            let rank = keys.shape().len();
            let back = |v: S| v.map_linear(|t| t.permute(&moved_back(rank, *axis)));
            let parts: Vec<S> = [keys].into_iter().chain(moved).map(back).collect();
            let all = S::combine(&parts.iter().collect::<Vec<_>>(), |p| Tensor::concat(0, p));
            Value::Secret(all.reshape(shape))
        }
        Op::Select { .. } => {
            let (a, b) = (aligned(1, fact.scale), aligned(2, fact.scale));
            let difference = a.add(b.neg(), holder);
            kept.masked.elements(cx, || stretch(x[0]), || difference, reused)?.add(b, holder)
        }
        Op::Relu(_) if lowered.keeps_bit => {
            let (value, bit) = relu::relu_and_bit(cx, x[0].secret(), lowered.fused, tree)?;
            kept.bits.insert(node, bit);
            Value::Secret(value)
        }
        Op::Relu(_) => Value::Secret(relu::relu_truncated(cx, x[0].secret(), lowered.fused, tree)?),
        Op::ReluBit(relu) => {
            Value::Secret(kept.bits.get(relu).expect("invariant: the relu kept its bit").clone())
        }
        Op::Clamp { lo, hi, .. } => {
            let (x, limits) = (lift(0, frac.bits()), [*lo, *hi].map(Z64::from_i64));
            Value::Secret(relu::clamp(cx, x.secret(), limits, lowered.fused, tree)?)
        }
        Op::Function { function: f, .. } => {
            let x = lift(0, frac.bits());
            Value::Secret(function(cx, program, *f, x.secret(), program.fact(ids[0]), tree)?)
        }
        Op::AssumeRange { .. } | Op::Carried { .. } => x[0].clone(),
        Op::WeightedSum { .. } => {
            let weights = lowered.weights.as_ref().expect("invariant: a weighted sum has factors");
            let term = |i: usize| stretch(&x[i].map(|t| t.scale(Z64::from_i64(weights.values[i]))));
            (1..x.len()).fold(term(0), |sum, i| sum.add(term(i), holder))
        }
        // The first iteration takes an initial value that may be an integer.
        Op::Carry { .. } if iteration == 0 => Value::Secret(lift(0, fact.scale).share(holder)),
        Op::Carry { .. } => x[0].clone(),
        Op::Batch { rows, .. } => {
            let start = program.batches(node).map_or(0, |b| b.start(iteration));
            x[0].map(|t| t.slice(0, start, start + rows))
        }
        Op::History { every, .. } => {
            let row = |group: &[&Value<S>]| {
                let mut sum = group[0].clone();
                group[1..].iter().for_each(|&v| sum = sum.clone().add(v.clone(), holder));
                sum.map(|t| t.clone().reshape(&[&[1], t.shape()].concat())).share(holder)
            };
            let rows: Vec<S> = x.chunks(*every).map(row).collect();
            Value::Secret(S::combine(&rows.iter().collect::<Vec<_>>(), |p| Tensor::concat(0, p)))
        }
        Op::Report { .. } => x[1..].iter().fold(x[0].clone(), |sum, &v| sum.add(v.clone(), holder)),
        Op::Divide { .. } => {
            let table = program.reciprocal(node).table().expect("invariant: inference found a table");
            let divisor = lift(1, frac.bits());
            let part = quartic::evaluate(cx, divisor.secret(), &table, rounding, tree)?;
            stretch(x[0]).mul(stretch(&Value::Secret(part)), cx)?
        }
    };
    value.truncate(lowered.last, (rounding, lowered.last_tree()), cx)
}

/// The extreme along an axis, or where it is.
fn extreme<S: Shareable>(
    cx: &mut Session<S>,
    x: &Value<S>,
    axis: usize,
    (which, with): (Extreme, tournament::Winner),
    tree: TreeChoice,
) -> Result<Value<S>, ProtocolError> {
    let front = x.axis_first(axis);
    let (value, carried) = tournament::extreme(cx, front.secret(), which, with, tree)?;
    Ok(Value::Secret(match (with, carried) {
        (tournament::Winner::OneHot, Some(columns)) => {
            let back = moved_back(columns.shape().len(), axis);
            columns.map_linear(|t| t.permute(&back))
        }
        (_, Some(indices)) => indices,
        (_, None) => value,
    }))
}
