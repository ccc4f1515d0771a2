//! Programs on ring elements in the clear.

use mpc_core::fixed::{decode, encode};
use mpc_core::ring::{Ring, Z64};
use mpc_core::tensor::Tensor;

use super::function::function;
use super::ranks::{along, extreme, order, sorted};
use super::{Values, input, named, one_side};
use crate::batch::Batches;
use crate::exec::{InputError, convolved, pad, padding, unfold};
use crate::factor::Factor;
use crate::op::{NodeId, Op};
use crate::program::Program;
use crate::repeat::At;
use crate::report::Series;
use crate::walk::{beside, walk};

/// Runs the program in fixed point, with truncation as floor, on everybody's inputs; the result has every output by
/// name.
///
/// # Errors
/// [`InputError`] if an input is missing, has another shape or does not fit its declared range.
pub fn fixed(program: &Program, inputs: &Values) -> Result<Values, InputError> {
    fixed_seen(program, inputs, |_, _| Ok(()))
}

/// As [`fixed`], showing the value of every node, in every iteration, as it is encoded.
///
/// # Errors
/// As [`fixed`], and what `seen` says.
pub fn fixed_seen<E: From<InputError>>(
    program: &Program,
    inputs: &Values,
    mut seen: impl FnMut(NodeId, &Tensor<Z64>) -> Result<(), E>,
) -> Result<Values, E> {
    let mut series = Series::default();
    let outputs = walk(program, beside(program), |at: At, operands: &[&Tensor<Z64>]| {
        let value = evaluate(program, inputs, at, operands)?;
        seen(at.node, &value)?;
        if let Some(due) = program.due(at) {
            series.push_ring(program, &due, &value);
        }
        Ok::<_, E>(value)
    })?;
    let scales = program.last_outputs().map(|o| program.fact(o.node).scale);
    Ok(named(program, outputs.iter().zip(scales).map(|(t, s)| decode(t, s)).collect(), series))
}

fn product(a: &Tensor<Z64>, b: &Tensor<Z64>) -> Tensor<Z64> {
    Batches::new(a.shape(), b.shape()).multiply(a, b)
}

fn evaluate(
    program: &Program,
    inputs: &Values,
    At { node, iteration }: At,
    x: &[&Tensor<Z64>],
) -> Result<Tensor<Z64>, InputError> {
    let (op, fact, frac) =
        (&program.nodes()[node as usize].op, program.fact(node), program.frac_bits().bits());
    let shape = fact.shape.dims();
    let ids = op.operands();
    let weights = program.weights(node, |_| 0);
    let scale_of = |i: usize| program.fact(ids[i]).scale;
    let stretch = |t: &Tensor<Z64>| t.broadcast(shape).expect("invariant: inference compared the shapes");
    // Operand i at a common scale, repeated to the shape of the result.
    let aligned = |i: usize, scale: u32| stretch(&x[i].scale(Z64::power_of_two(scale - scale_of(i))));
    let both = || {
        let scale = scale_of(0).max(scale_of(1));
        (aligned(0, scale), aligned(1, scale))
    };
    let compare = |f: fn(i64, i64) -> bool| {
        let (a, b) = both();
        a.zip(&b, |a, b| Z64(u64::from(f(a.to_i64(), b.to_i64()))))
    };
    let chosen = |f: fn(i64, i64) -> i64| {
        let (a, b) = both();
        a.zip(&b, |a, b| Z64::from_i64(f(a.to_i64(), b.to_i64())))
    };
    let tensor = |values: Vec<Z64>| Tensor::from_vec(shape, values);
    let value = match op {
        Op::Input { name, .. } | Op::Shared { name, .. } => {
            let value = input(inputs, name, shape)?;
            encode(value, fact.scale, fact.max_abs()).map_err(|e| InputError::encoding(name, shape, e))?
        }
        Op::Constant { values, .. } => values.clone(),
        Op::Add(..) => {
            let (a, b) = both();
            a.add(&b)
        }
        Op::Sub(..) => {
            let (a, b) = both();
            a.sub(&b)
        }
        Op::Neg(_) => x[0].map(|v| -v),
        Op::Mul(..) => stretch(x[0]).hadamard(&stretch(x[1])),
        Op::Square(_) => x[0].hadamard(x[0]),
        Op::MatMul(..) => product(x[0], x[1]),
        Op::Dense { .. } => {
            let product = scale_of(0) + scale_of(1);
            let scale = product.max(scale_of(2));
            let xw = self::product(x[0], x[1]);
            xw.scale(Z64::power_of_two(scale - product)).add(&aligned(2, scale))
        }
        Op::Conv { bias, .. } => {
            let product = scale_of(0) + scale_of(1);
            let scale = product.max(bias.map_or(0, |_| scale_of(2)));
            let xw = convolved(x[0], x[1], &program.conv_shape(node));
            let xw = xw.scale(Z64::power_of_two(scale - product));
            match bias {
                None => xw,
                Some(_) => {
                    let b = x[2].scale(Z64::power_of_two(scale - scale_of(2)));
                    xw.add(&stretch(&b.reshape(&[x[2].len(), 1, 1])))
                }
            }
        }
        Op::Unfold { window, sliding, outside, .. } => unfold(x[0], *window, sliding, *outside),
        Op::Permute { axes, .. } => x[0].permute(axes),
        Op::Pad { before, after, value, .. } => {
            let lifted = x[0].scale(Z64::power_of_two(fact.scale - scale_of(0)));
            pad(&lifted, before, after, padding(*value, frac - fact.scale))
        }
        Op::Sum { axis, .. } => x[0].sum_axis(*axis),
        Op::Mean { axis, .. } => scaled(&x[0].sum_axis(*axis), program.factor(node)),
        Op::Scale { .. } => scaled(x[0], program.factor(node)),
        Op::Reshape { .. } => x[0].clone().reshape(shape),
        Op::Slice { axis, start, end, .. } => x[0].slice(*axis, *start, *end),
        Op::Concat { axis, .. } => {
            let parts: Vec<_> = x
                .iter()
                .enumerate()
                .map(|(i, t)| t.scale(Z64::power_of_two(fact.scale - scale_of(i))))
                .collect();
            Tensor::concat(*axis, &parts.iter().collect::<Vec<_>>())
        }
        Op::Gather { axis, indices, .. } => x[0].gather(*axis, indices),
        Op::Split { .. } => {
            let (shape, last) = one_side(shape);
            let stretch =
                |t: &Tensor<Z64>| t.broadcast(&shape).expect("invariant: inference compared the shapes");
            let (all, yes) = (stretch(x[0]), stretch(x[0]).hadamard(&stretch(x[1])));
            Tensor::concat(last, &[&yes, &all.sub(&yes)])
        }
        Op::Transpose(_) => x[0].permute(&[1, 0]),
        Op::Less(..) => compare(|a, b| a < b),
        Op::Greater(..) => compare(|a, b| a > b),
        Op::LessEqual(..) => compare(|a, b| a <= b),
        Op::GreaterEqual(..) => compare(|a, b| a >= b),
        Op::Equal(..) => compare(|a, b| a == b),
        Op::NotEqual(..) => compare(|a, b| a != b),
        Op::Minimum(..) => chosen(i64::min),
        Op::Maximum(..) => chosen(i64::max),
        Op::Abs(_) => x[0].map(|v| Z64(v.to_i64().unsigned_abs())),
        Op::Sign(_) => x[0].map(|v| Z64::from_i64(v.to_i64().signum())),
        Op::Extreme { axis, which, with, .. } => {
            let (values, shape) = (x[0].as_slice(), x[0].shape());
            tensor(along(values, shape, *axis, |column| extreme(column, *which, *with, |v| v.to_i64(), Z64)))
        }
        Op::Sort { payload, axis, direction, keep, .. } => {
            let lifted = |i: usize| x[i].scale(Z64::power_of_two(fact.scale - scale_of(i)));
            let (keys, beside) = (lifted(0), payload.map(|_| lifted(1)));
            let order = |column: &[Z64]| order(column, *direction, *keep, |v| v.to_i64());
            tensor(sorted(keys.as_slice(), beside.as_ref().map(Tensor::as_slice), x[0].shape(), *axis, order))
        }
        Op::Select { .. } => {
            let (bit, a, b) = (stretch(x[0]), aligned(1, fact.scale), aligned(2, fact.scale));
            bit.hadamard(&a.sub(&b)).add(&b)
        }
        Op::Relu(_) => x[0].map(|v| Z64::from_i64(v.to_i64().max(0))),
        Op::ReluBit(_) => x[1].map(|v| Z64(u64::from(v.to_i64() >= 0))),
        Op::Clamp { lo, hi, .. } => aligned(0, frac).map(|v| Z64::from_i64(v.to_i64().max(*lo).min(*hi))),
        Op::Function { function: f, .. } => {
            function(*f, &aligned(0, frac), program.fact(ids[0]), program.frac_bits())
        }
        Op::AssumeRange { .. } | Op::Carried { .. } => x[0].clone(),
        Op::WeightedSum { .. } => {
            let weights = weights.as_ref().expect("invariant: a weighted sum has factors");
            let term = |i: usize| stretch(x[i]).scale(Z64::from_i64(weights.values[i]));
            (1..x.len()).fold(term(0), |sum, i| sum.add(&term(i)))
        }
        Op::Carry { .. } if iteration == 0 => aligned(0, fact.scale),
        Op::Carry { .. } => x[0].clone(),
        Op::Batch { rows, .. } => {
            let start = program.batches(node).map_or(0, |b| b.start(iteration));
            x[0].slice(0, start, start + rows)
        }
        Op::Report { .. } => x[1..].iter().fold(x[0].clone(), |sum, v| sum.add(v)),
        Op::History { every, .. } => {
            let sum = |group: &[&Tensor<Z64>]| group[1..].iter().fold(group[0].clone(), |sum, v| sum.add(v));
            let rows: Vec<Z64> = x.chunks(*every).flat_map(|g| sum(g).as_slice().to_vec()).collect();
            tensor(rows)
        }
        Op::Divide { .. } => {
            let table = program.reciprocal(node).table().expect("invariant: inference found a table");
            let divisor = x[1].scale(Z64::power_of_two(frac - scale_of(1)));
            stretch(x[0]).hadamard(&stretch(&divisor.map(|v| Z64::from_i64(table.plain(v.to_i64())))))
        }
    };
    Ok(floored(&value, program.truncation(node, weights.as_ref())))
}

/// Truncation by `bits` as floor.
fn floored(t: &Tensor<Z64>, bits: u32) -> Tensor<Z64> {
    t.map(|v| Z64::from_i64(v.to_i64() >> bits))
}

/// Times a public factor, before the last truncation.
fn scaled(t: &Tensor<Z64>, by: Factor) -> Tensor<Z64> {
    floored(t, by.first).scale(Z64::from_i64(by.value))
}
