//! Inference: from the facts of its operands to the facts of a node, or the reason why the node is refused.
//!
//! Bounds are exact integers in ring units, as intervals (`range`): that 1 less a bit is a bit, and a difference of what is not
//! negative no larger than either, follows from them. An addition adds them, a product multiplies them, and a truncation by s
//! bits divides by 2^s and rounds outwards, which covers both neighbours that the randomised rounding of TruncPr can choose.
//! Everything that is truncated, compared or kept must stay below 2^62, the range in which the protocols are right.

use mpc_core::fixed::HEADROOM_BITS;
use mpc_core::ring::Ring;

use crate::error::ProgramError;
use crate::fact::{Fact, Visibility};
use crate::factor::{Term, Weights};
use crate::function::divisor;
use crate::op::{NodeId, Op, Winner};
use crate::shape::Shape;

mod function;
pub(crate) mod layers;
mod range;
mod site;

use function::{divide, function};
use range::Range;
use site::Site;

/// Bounds stay below this.
pub(crate) const LIMIT: u128 = 1 << HEADROOM_BITS;
/// Most elements of a node that compares: a clamp compares each of them twice, and a dealer makes bundles of up to 2^22.
const MAX_COMPARED: usize = 1 << 21;

/// Most elements along an axis that is sorted: 136 stages.
const MAX_SORTED: usize = 1 << 16;

/// Where a node is being inferred.
#[derive(Copy, Clone)]
pub(crate) struct Context {
    /// Fraction bits of the program.
    pub(crate) frac: u32,
    /// Number of parties.
    pub(crate) parties: usize,
    /// Number that the node will have.
    pub(crate) node: NodeId,
    /// Whether a window of rows is computed at a time: then a node has no more elements than in one of them.
    pub(crate) windowed: bool,
    /// Iterations of the loop that the first operand is in; 1 outside of loops.
    pub(crate) times: u32,
}

/// Facts of `op` from those of its operands, which are in the order of [`Op::operands`].
pub(crate) fn infer(op: &Op, operands: &[&Fact], cx: Context) -> Result<Fact, ProgramError> {
    let at = Site { node: cx.node, op: op.name() };
    let may_be_public = matches!(op, Op::Carry { .. } | Op::Batch { .. });
    if !operands.is_empty() && !may_be_public && operands.iter().all(|f| !f.is_secret()) {
        return Err(ProgramError::PublicOnly { node: at.node, op: at.op });
    }
    let fact = match (op, operands) {
        (Op::Input { owner, shape, bound, integer, .. }, []) => {
            if *owner >= cx.parties {
                return Err(ProgramError::NoSuchParty { what: "input", got: *owner, parties: cx.parties });
            }
            let scale = if *integer { 0 } else { cx.frac };
            Fact::secret(shape.clone(), scale, at.within("the input", u128::from(*bound), scale)?)
        }
        (Op::Shared { shape, bound, .. }, []) => {
            Fact::secret(shape.clone(), cx.frac, at.within("the value", u128::from(*bound), cx.frac)?)
        }
        (Op::Constant { scale, values }, []) => {
            if *scale != 0 && *scale != cx.frac {
                return Err(at.parameter("a constant has 0 or the program's fraction bits"));
            }
            let all = || values.as_slice().iter().map(|v| i128::from(v.to_i64()));
            let range = Range { lo: all().min().unwrap_or(0), hi: all().max().unwrap_or(0) };
            let fact = at.ranged("the constant", values.shape().into(), *scale, range)?;
            Fact { visibility: Visibility::Public, ..fact }
        }
        (Op::Add(..) | Op::Sub(..), [a, b]) => {
            let (shape, scale) = (at.broadcast(a, b)?, a.scale.max(b.scale));
            let (a, b) = (Range::of(a, scale), Range::of(b, scale));
            let range = if matches!(op, Op::Add(..)) { a + b } else { a - b };
            at.ranged("the result", shape, scale, range)?
        }
        (Op::Neg(_), [x]) => at.ranged("the result", x.shape.clone(), x.scale, -Range::of(x, x.scale))?,
        (Op::Mul(..), [a, b]) => {
            let range = Range::of(a, a.scale).product(Range::of(b, b.scale));
            at.truncated(at.broadcast(a, b)?, range, a.scale + b.scale, cx.frac)?
        }
        (Op::Square(_), [x]) => {
            let range = Range::of(x, x.scale).square();
            at.truncated(x.shape.clone(), range, 2 * x.scale, cx.frac)?
        }
        (Op::MatMul(..), [a, b]) => {
            let (shape, k) = at.matrix_products(a, b)?;
            let range = Range::of(a, a.scale).product(Range::of(b, b.scale)).times(k);
            at.truncated(shape, range, a.scale + b.scale, cx.frac)?
        }
        (Op::Dense { .. }, [x, w, b]) => layers::dense(at, x, w, b, cx.frac)?,
        (Op::Conv { sliding, groups, bias, .. }, [x, w, rest @ ..]) if rest.len() == bias.iter().len() => {
            layers::conv(at, [x, w], rest.first().copied(), (*sliding, *groups), cx.frac)?
        }
        (Op::Unfold { window, sliding, outside, .. }, [x]) => {
            layers::unfold(at, x, *window, *sliding, *outside)?
        }
        (Op::Permute { axes, .. }, [x]) => layers::permute(at, x, axes)?,
        (Op::Pad { before, after, value, .. }, [x]) => layers::pad(at, x, before, after, *value, cx.frac)?,
        (Op::Sum { axis, .. }, [x]) => {
            let n = at.axis_len(x, *axis)?;
            at.ranged("the sum", x.shape.without(*axis), x.scale, Range::of(x, x.scale).times(n))?
        }
        (Op::Mean { axis, .. }, [x]) => {
            let n = at.axis_len(x, *axis)?;
            let sum = Range::of(x, x.scale).times(n);
            at.within("the sum", sum.magnitude(), x.scale)?;
            at.scaled(x.shape.without(*axis), 1.0 / n as f64, sum, x.scale, cx.frac)?
        }
        (Op::Scale { k, .. }, [x]) => {
            at.scaled(x.shape.clone(), *k, Range::of(x, x.scale), x.scale, cx.frac)?
        }
        (Op::Reshape { shape, .. }, [x]) => {
            at.allowed(shape)?;
            if shape.elements() != x.shape.elements() {
                return Err(at.shapes(x, shape, "the number of elements must stay the same"));
            }
            Fact { shape: shape.clone(), ..(*x).clone() }
        }
        (Op::Slice { axis, start, end, .. }, [x]) => {
            let len = at.axis_len(x, *axis)?;
            if !(start < end && *end <= len) {
                return Err(ProgramError::SliceRange { node: at.node, start: *start, end: *end, len });
            }
            Fact { shape: x.shape.with_axis(*axis, end - start), ..(*x).clone() }
        }
        (Op::Gather { axis, indices, .. }, [x]) => {
            let len = at.axis_len(x, *axis)?;
            if let Some(&index) = indices.iter().find(|&&i| i as usize >= len) {
                return Err(ProgramError::NoSuchIndex { node: at.node, index, len });
            }
            Fact { shape: x.shape.with_axis(*axis, indices.len()), ..(*x).clone() }
        }
        (Op::Split { .. }, [x, bit]) => {
            if !bit.bit {
                return Err(ProgramError::NotABit { node: at.node, op: at.op, max_abs: bit.max_abs() });
            }
            let shape = at.broadcast(x, bit)?;
            let Some(axis) = shape.rank().checked_sub(1) else {
                return Err(at.shapes(x, &bit.shape, "a single number has no axis to join along"));
            };
            let both = shape.with_axis(axis, shape.dims()[axis].saturating_mul(2));
            // Either side is x or 0.
            let range = Range::of(x, x.scale);
            at.ranged("the result", both, x.scale, range.or(Range { lo: 0, hi: 0 }))?
        }
        (Op::Concat { axis, .. }, [first, rest @ ..]) => concat(at, first, rest, *axis)?,
        (Op::Transpose(_), [x]) => {
            let &[m, n] = x.shape.dims() else {
                return Err(ProgramError::Rank {
                    node: at.node,
                    op: at.op,
                    expected: "a matrix",
                    got: x.shape.clone(),
                });
            };
            Fact { shape: [n, m].into(), ..(*x).clone() }
        }
        (Op::Less(..) | Op::Greater(..) | Op::LessEqual(..) | Op::GreaterEqual(..), [a, b])
        | (Op::Equal(..) | Op::NotEqual(..), [a, b]) => {
            let shape = at.broadcast(a, b)?;
            at.difference(a, b)?;
            Fact::secret_bit(shape)
        }
        (Op::Minimum(..) | Op::Maximum(..), [a, b]) => {
            let (shape, scale) = (at.broadcast(a, b)?, at.difference(a, b)?);
            let (a, b) = (Range::of(a, scale), Range::of(b, scale));
            let range = if matches!(op, Op::Minimum(..)) { a.min(b) } else { a.max(b) };
            at.ranged("the result", shape, scale, range)?
        }
        (Op::Abs(_), [x]) => {
            at.ranged("the result", x.shape.clone(), x.scale, Range::of(x, x.scale).abs())?
        }
        (Op::Sign(_), [x]) => at.ranged("the result", x.shape.clone(), 0, Range::of(x, x.scale).sign())?,
        (Op::Extreme { axis, with, .. }, [x]) => {
            let last = at.axis_len(x, *axis)?.saturating_sub(1);
            match with {
                Winner::Value => Fact { shape: x.shape.without(*axis), ..(*x).clone() },
                Winner::Index => {
                    let range = Range { lo: 0, hi: last.max(1) as i128 };
                    at.ranged("the index", x.shape.without(*axis), 0, range)?
                }
                Winner::OneHot => Fact::secret_bit(x.shape.clone()),
            }
        }
        (Op::Sort { payload: None, axis, keep, .. }, [keys]) => {
            at.sorted(keys, *axis, *keep)?;
            Fact { shape: keys.shape.with_axis(*axis, *keep), ..(*keys).clone() }
        }
        (Op::Sort { payload: Some(_), axis, keep, .. }, [keys, payload]) => {
            at.sorted(keys, *axis, *keep)?;
            if payload.shape != keys.shape {
                return Err(at.shapes(keys, &payload.shape, "what moves along has a value beside every key"));
            }
            let scale = keys.scale.max(payload.scale);
            let kept = keys.shape.with_axis(*axis, *keep);
            let both = [&[2], kept.dims()].concat().into();
            let range = Range::of(keys, scale).or(Range::of(payload, scale));
            at.ranged("an operand", both, scale, range)?
        }
        (Op::Select { .. }, [bit, a, b]) => {
            if !bit.bit {
                return Err(ProgramError::NotABit { node: at.node, op: at.op, max_abs: bit.max_abs() });
            }
            let values = at.broadcast(a, b)?;
            let shape = bit.shape.broadcast(&values);
            let shape = shape
                .ok_or_else(|| at.shapes(bit, &values, "axes must be equal or 1, aligned at the end"))?;
            let scale = at.difference(a, b)?;
            at.ranged("the result", shape, scale, Range::of(a, scale).or(Range::of(b, scale)))?
        }
        (Op::Relu(_), [x]) => {
            let range = Range::of(x, x.scale).max(Range { lo: 0, hi: 0 });
            at.ranged("the result", x.shape.clone(), x.scale, range)?
        }
        (Op::ReluBit(_), [x]) => Fact::secret_bit(x.shape.clone()),
        (Op::Clamp { lo, hi, .. }, [x]) => {
            if lo > hi {
                return Err(at.parameter("the lower limit must not be above the upper one"));
            }
            let limit = u128::from(lo.unsigned_abs().max(hi.unsigned_abs()));
            let bound = x.bound_at(cx.frac);
            at.within("the distance to a limit", bound.saturating_add(limit), cx.frac)?;
            let at_limit = |limit: i64| Range { lo: limit.into(), hi: limit.into() };
            let range = Range::of(x, cx.frac).max(at_limit(*lo)).min(at_limit(*hi));
            at.ranged("the result", x.shape.clone(), cx.frac, range)?
        }
        (Op::Function { function: f, .. }, [x]) => function(at, *f, x, cx.frac)?,
        (Op::Divide { lowest, highest, .. }, [a, b]) => {
            divide(at, a, b, divisor(*lowest, *highest), cx.frac)?
        }
        (Op::AssumeRange { bound, .. }, [x]) => {
            if *bound == 0 {
                return Err(at.parameter("the promised bound must be positive"));
            }
            let limit = i128::from(*bound);
            let range = Range::of(x, x.scale);
            let range = Range { lo: range.lo.clamp(-limit, limit), hi: range.hi.clamp(-limit, limit) };
            Fact { visibility: x.visibility, ..at.ranged("the result", x.shape.clone(), x.scale, range)? }
        }
        (Op::WeightedSum { ks, .. }, [_, ..]) => weighted_sum(at, operands, ks, cx.frac)?,
        (Op::Carry { bound, .. }, [x]) => {
            let bound = at.within("the carried value", u128::from(*bound), cx.frac)?;
            if x.bound_at(cx.frac) > u128::from(bound) {
                return Err(at.parameter("the initial value is within the declared range"));
            }
            Fact::secret(x.shape.clone(), cx.frac, bound)
        }
        (Op::Carried { .. }, [carry, next]) => {
            if next.shape != carry.shape {
                return Err(at.shapes(carry, &next.shape, "the next value has the shape of the initial one"));
            }
            if !next.is_secret() || next.scale != carry.scale {
                return Err(at.parameter("the next value is secret and no integer"));
            }
            (*carry).clone()
        }
        (Op::Batch { rows, .. }, [x]) => {
            let len = at.axis_len(x, 0)?;
            if !(1..=len).contains(rows) {
                return Err(at.parameter("a batch has at least one row, and at most all of them"));
            }
            Fact { shape: x.shape.with_axis(0, *rows), ..(*x).clone() }
        }
        (Op::History { every, .. }, [x]) => {
            let fact = in_turns(at, x, (*every, cx.times as usize))?;
            Fact { bit: x.bit && *every == 1, ..fact }
        }
        (Op::Report { every, factor, .. }, [x]) => {
            if !factor.is_finite() || *factor == 0.0 {
                return Err(at.parameter("a report is multiplied by a finite number that is not zero"));
            }
            in_turns(at, x, (*every, cx.times as usize))?
        }
        (Op::Input { .. } | Op::Shared { .. } | Op::Constant { .. }, _)
        | (Op::Neg(_) | Op::Square(_) | Op::Transpose(_) | Op::Relu(_) | Op::Function { .. }, _)
        | (Op::Sum { .. } | Op::Mean { .. } | Op::Scale { .. } | Op::Reshape { .. } | Op::Slice { .. }, _)
        | (
            Op::Clamp { .. }
            | Op::Divide { .. }
            | Op::AssumeRange { .. }
            | Op::Concat { .. }
            | Op::Gather { .. }
            | Op::Split { .. }
            | Op::Select { .. }
            | Op::Dense { .. },
            _,
        )
        | (Op::Conv { .. } | Op::Unfold { .. } | Op::Permute { .. } | Op::Pad { .. }, _)
        | (Op::Add(..) | Op::Sub(..) | Op::Mul(..) | Op::MatMul(..), _)
        | (Op::Less(..) | Op::Greater(..) | Op::LessEqual(..) | Op::GreaterEqual(..), _)
        | (Op::Equal(..) | Op::NotEqual(..) | Op::Minimum(..) | Op::Maximum(..), _)
        | (Op::Abs(_) | Op::Sign(_) | Op::Extreme { .. } | Op::Sort { .. }, _)
        | (Op::WeightedSum { .. } | Op::Carry { .. } | Op::Carried { .. }, _)
        | (Op::ReluBit(_) | Op::Batch { .. } | Op::History { .. } | Op::Report { .. }, _) => {
            return Err(at.parameter("the operation needs at least one operand"));
        }
    };
    at.allowed(&fact.shape)?;
    let largest = operands.iter().map(|x| x.shape.elements()).chain([fact.shape.elements()]).max();
    if compares(op) && !cx.windowed && largest.is_some_and(|elements| elements > MAX_COMPARED) {
        return Err(
            at.parameter("one node compares at most 2^21 elements; compute a window of rows at a time")
        );
    }
    Ok(fact)
}

/// Whether the operation takes comparison bundles, which a dealer makes for a limited number of elements at once.
const fn compares(op: &Op) -> bool {
    matches!(
        op,
        Op::Less(..)
            | Op::Greater(..)
            | Op::LessEqual(..)
            | Op::GreaterEqual(..)
            | Op::Equal(..)
            | Op::NotEqual(..)
            | Op::Minimum(..)
            | Op::Maximum(..)
            | Op::Abs(_)
            | Op::Sign(_)
            | Op::Extreme { .. }
            | Op::Sort { .. }
            | Op::Relu(_)
            | Op::Clamp { .. }
            | Op::Function { .. }
            | Op::Divide { .. }
    )
}

/// The values of so many iterations of all added up at a time, along a new first axis.
fn in_turns(at: Site, x: &Fact, (every, times): (usize, usize)) -> Result<Fact, ProgramError> {
    if every == 0 || !times.is_multiple_of(every) {
        return Err(at.parameter("so many iterations are added up at a time as the loop has several times"));
    }
    let shape: Shape = [&[times / every], x.shape.dims()].concat().into();
    if times.saturating_mul(x.shape.elements()) > Shape::MAX_ELEMENTS {
        return Err(at.parameter("the values of all iterations have at most 2^27 elements"));
    }
    let sum = u128::from(x.bound) * every as u128;
    Ok(Fact::secret(shape, x.scale, at.within("the sum", sum, x.scale)?))
}

fn concat(at: Site, first: &Fact, rest: &[&Fact], axis: usize) -> Result<Fact, ProgramError> {
    let mut len = at.axis_len(first, axis)?;
    let mut fact = first.clone();
    for x in rest {
        if x.shape.rank() != first.shape.rank() || x.shape.without(axis) != first.shape.without(axis) {
            return Err(at.shapes(first, &x.shape, "all axes but the joined one must be equal"));
        }
        len = len.saturating_add(at.axis_len(x, axis)?);
        let scale = fact.scale.max(x.scale);
        let range = Range::of(&fact, scale).or(Range::of(x, scale));
        fact = at.ranged("an operand", fact.shape, scale, range)?;
    }
    Ok(Fact { shape: first.shape.with_axis(axis, len), visibility: Visibility::Secret, ..fact })
}

/// Every number is encoded as for [`Op::Scale`], the terms stand at one scale, and the sum is truncated once.
fn weighted_sum(at: Site, xs: &[&Fact], ks: &[f64], frac: u32) -> Result<Fact, ProgramError> {
    if ks.len() != xs.len() {
        return Err(at.parameter("there is a number for every operand"));
    }
    let mut shape = xs[0].shape.clone();
    for x in &xs[1..] {
        let joined = shape.broadcast(&x.shape);
        shape = joined.ok_or_else(|| at.shapes(x, &shape, "axes must be equal or 1, aligned at the end"))?;
    }
    if ks.iter().any(|k| !k.is_finite() || (*k == 0.0 && k.is_sign_negative())) {
        return Err(at.parameter("every factor is a finite number, and zero has no sign"));
    }
    let terms: Vec<Term> = xs.iter().zip(ks).map(|(x, &k)| Term::of(x, k)).collect();
    let Some(weights) = Weights::encode(&terms, frac) else {
        return Err(ProgramError::WeightedSum {
            node: at.node,
            bound: xs.iter().map(|x| x.max_abs()).fold(0.0, f64::max),
            frac,
        });
    };
    let bound = at.within("the sum before truncation", weights.bound(&terms), weights.scale)?;
    let (scale, bound) = truncated(bound.into(), weights.scale, frac);
    // Fused with truncations before it, the factors have other encodings.
    let slack = if weights.scale > frac { 2 + (bound >> frac) } else { 0 };
    Ok(Fact::secret(shape, scale, at.within("the result", u128::from(bound + slack), scale)?))
}

/// Scale and bound after the truncation that brings a value back to the program's fraction bits.
fn truncated(bound: u128, scale: u32, frac: u32) -> (u32, u64) {
    let shift = scale.saturating_sub(frac);
    let bound = bound.div_ceil(1 << shift);
    (scale - shift, u64::try_from(bound).expect("invariant: the bound was checked against 2^62"))
}
