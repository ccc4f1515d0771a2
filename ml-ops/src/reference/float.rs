//! Programs in floating point.

use mpc_core::fixed::decode;
use mpc_core::windows;
use ndarray::{ArrayD, Axis, IxDyn, Slice, Zip};

use super::ranks::{along, extreme, order, sorted};
use super::{Values, input, layers, named, one_side};
use crate::exec::InputError;
use crate::op::{NodeId, Op};
use crate::program::Program;
use crate::repeat::At;
use crate::report::Series;
use crate::walk::{beside, walk};

/// Runs the program in floating point on everybody's inputs; the result has every output by name.
///
/// # Errors
/// [`InputError`] if an input is missing or has another shape.
pub fn float(program: &Program, inputs: &Values) -> Result<Values, InputError> {
    float_seen(program, inputs, |_, _| Ok(()))
}

/// As [`float`], showing the value of every node, in every iteration.
///
/// # Errors
/// As [`float`], and what `seen` says.
pub fn float_seen<E: From<InputError>>(
    program: &Program,
    inputs: &Values,
    mut seen: impl FnMut(NodeId, &ArrayD<f64>) -> Result<(), E>,
) -> Result<Values, E> {
    let mut series = Series::default();
    let outputs = walk(program, beside(program), |at: At, x: &[&ArrayD<f64>]| {
        let value = evaluate(program, inputs, at, x)?;
        seen(at.node, &value)?;
        if let Some(due) = program.due(at) {
            series.push(&due, &value);
        }
        Ok::<_, E>(value)
    })?;
    Ok(named(program, outputs, series))
}

fn evaluate(
    program: &Program,
    inputs: &Values,
    At { node, iteration }: At,
    x: &[&ArrayD<f64>],
) -> Result<ArrayD<f64>, InputError> {
    let unit = 2f64.powi(-(program.frac_bits().bits() as i32));
    let shape = program.fact(node).shape.dims();
    let zip = |a: &ArrayD<f64>, b: &ArrayD<f64>, f: &dyn Fn(f64, f64) -> f64| {
        let (a, b) = (stretched(a, shape), stretched(b, shape));
        Zip::from(&a).and(&b).map_collect(|&a, &b| f(a, b))
    };
    let bit = |b: bool| f64::from(u8::from(b));
    let plain = |a: &ArrayD<f64>| a.iter().copied().collect::<Vec<f64>>();
    let array = |values: Vec<f64>| {
        ArrayD::from_shape_vec(IxDyn(shape), values).expect("invariant: inference found this shape")
    };
    Ok(match &program.nodes()[node as usize].op {
        Op::Input { name, .. } | Op::Shared { name, .. } => input(inputs, name, shape)?.clone(),
        Op::Constant { scale, values } => decode(values, *scale),
        Op::Add(..) => zip(x[0], x[1], &|a, b| a + b),
        Op::Sub(..) => zip(x[0], x[1], &|a, b| a - b),
        Op::Neg(_) => x[0].map(|v| -v),
        Op::Mul(..) => zip(x[0], x[1], &|a, b| a * b),
        Op::Square(_) => x[0].map(|v| v * v),
        Op::MatMul(..) => layers::product(x[0], x[1], shape),
        Op::Dense { .. } => {
            let xw = layers::product(x[0], x[1], shape);
            zip(&xw, x[2], &|a, b| a + b)
        }
        Op::Conv { bias, .. } => {
            let xw = array(layers::conv(&plain(x[0]), &plain(x[1]), &program.conv_shape(node)));
            match bias {
                None => xw,
                Some(_) => {
                    let column = [x[2].len(), 1, 1];
                    let b = x[2].to_shape(column).expect("invariant: a bias has one axis").to_owned();
                    zip(&xw, &b.into_dyn(), &|a, b| a + b)
                }
            }
        }
        Op::Unfold { window, sliding, outside, .. } => {
            let input = layers::images(x[0].shape());
            array(windows::unfold(&plain(x[0]), 0.0, input, *window, sliding, *outside))
        }
        Op::Permute { axes, .. } => x[0].clone().permuted_axes(IxDyn(axes)),
        Op::Pad { before, after, value, .. } => layers::pad(x[0], before, after, *value as f64 * unit),
        Op::Sum { axis, .. } => x[0].sum_axis(Axis(*axis)),
        Op::Mean { axis, .. } => x[0].sum_axis(Axis(*axis)) / x[0].shape()[*axis] as f64,
        Op::Scale { k, .. } => x[0] * *k,
        Op::Reshape { .. } => array(plain(x[0])),
        Op::Slice { axis, start, end, .. } => {
            x[0].slice_axis(Axis(*axis), Slice::from(*start..*end)).to_owned()
        }
        Op::Concat { axis, .. } => {
            let parts: Vec<_> = x.iter().map(|p| p.view()).collect();
            ndarray::concatenate(Axis(*axis), &parts).expect("invariant: inference compared the shapes")
        }
        Op::Gather { axis, indices, .. } => {
            let indices: Vec<usize> = indices.iter().map(|&i| i as usize).collect();
            array(plain(&x[0].select(Axis(*axis), &indices)))
        }
        Op::Split { .. } => {
            let (shape, last) = one_side(shape);
            let (all, bit) = (stretched(x[0], &shape), stretched(x[1], &shape));
            let yes = &all * &bit;
            let no = all - &yes;
            ndarray::concatenate(Axis(last), &[yes.view(), no.view()])
                .expect("invariant: inference compared the shapes")
        }
        Op::Transpose(_) => x[0].t().to_owned(),
        Op::Less(..) => zip(x[0], x[1], &|a, b| bit(a < b)),
        Op::Greater(..) => zip(x[0], x[1], &|a, b| bit(a > b)),
        Op::LessEqual(..) => zip(x[0], x[1], &|a, b| bit(a <= b)),
        Op::GreaterEqual(..) => zip(x[0], x[1], &|a, b| bit(a >= b)),
        Op::Equal(..) => zip(x[0], x[1], &|a, b| bit(a == b)),
        Op::NotEqual(..) => zip(x[0], x[1], &|a, b| bit(a != b)),
        Op::Minimum(..) => zip(x[0], x[1], &f64::min),
        Op::Maximum(..) => zip(x[0], x[1], &f64::max),
        Op::Abs(_) => x[0].map(|v| v.abs()),
        Op::Sign(_) => x[0].map(|&v| if v == 0.0 { 0.0 } else { v.signum() }),
        Op::Extreme { axis, which, with, .. } => {
            let column = |column: &[f64]| extreme(column, *which, *with, |v| v, |i| i as f64);
            array(along(&plain(x[0]), x[0].shape(), *axis, column))
        }
        Op::Sort { axis, direction, keep, .. } => {
            let order = |column: &[f64]| order(column, *direction, *keep, |v| v);
            let beside = x.get(1).map(|p| plain(p));
            array(sorted(&plain(x[0]), beside.as_deref(), x[0].shape(), *axis, order))
        }
        Op::Select { .. } => {
            let chosen = zip(x[0], x[1], &|s, a| s * a);
            let other = zip(x[0], x[2], &|s, b| (1.0 - s) * b);
            chosen + other
        }
        Op::Relu(_) => x[0].map(|v| v.max(0.0)),
        Op::ReluBit(_) => x[1].map(|v| bit(*v >= 0.0)),
        Op::Clamp { lo, hi, .. } => x[0].map(|v| v.max(*lo as f64 * unit).min(*hi as f64 * unit)),
        Op::Function { function, .. } => x[0].map(|&v| function.value(v)),
        Op::Divide { lowest, highest, .. } => zip(x[0], x[1], &|a, b| a / b.max(*lowest).min(*highest)),
        Op::AssumeRange { .. } | Op::Carry { .. } | Op::Carried { .. } => x[0].clone(),
        Op::WeightedSum { ks, .. } => {
            let terms = x.iter().zip(ks).map(|(x, k)| stretched(x, shape) * *k);
            terms.fold(ArrayD::zeros(IxDyn(shape)), |sum, term| sum + term)
        }
        Op::Batch { rows, .. } => {
            let start = program.batches(node).map_or(0, |b| b.start(iteration));
            x[0].slice_axis(Axis(0), Slice::from(start..start + rows)).to_owned()
        }
        Op::Report { .. } => x[1..].iter().fold(x[0].clone(), |sum, &v| sum + v),
        Op::History { every, .. } => {
            let sum = |group: &[&ArrayD<f64>]| group[1..].iter().fold(group[0].clone(), |sum, &v| sum + v);
            array(x.chunks(*every).flat_map(|group| plain(&sum(group))).collect())
        }
    })
}

fn stretched(a: &ArrayD<f64>, shape: &[usize]) -> ArrayD<f64> {
    a.broadcast(IxDyn(shape)).expect("invariant: inference compared the shapes").to_owned()
}
