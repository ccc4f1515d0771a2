//! Gradients: against differences in floating point, on shapes and points at random, and as secure runs.
#![allow(clippy::unwrap_used, reason = "a test: a panic is how it fails")]

mod functions;
mod layers;
mod programs;
mod slopes;

use std::collections::BTreeMap;

use ml_ops::{
    Axis, Direction, Execution, Owner, Program, ProgramBuilder, ProgramError, Rounding, Sliding, Value,
    reference, run_local,
};
use mpc_core::fixed::FracBits;
use mpc_core::party::PartyId;
use ndarray::ArrayD;

type Inputs = BTreeMap<String, ArrayD<f64>>;
type Build = fn(&mut ProgramBuilder, Value, Value) -> Result<Value, ProgramError>;

/// Every operation that a gradient goes through, of x and y of [3, 2].
fn differentiable() -> Vec<(&'static str, Build)> {
    vec![
        ("add", |p, x, y| p.add(x, y)),
        ("sub of a row", |p, x, y| {
            let row = p.slice(y, Axis(0), 1..2)?;
            p.sub(row, x)
        }),
        ("neg", |p, x, _| p.neg(x)),
        ("mul", |p, x, y| p.mul(x, y)),
        ("mul of a column", |p, x, y| {
            let column = p.sum(y, Axis(1))?;
            let column = p.reshape(column, [3, 1])?;
            p.mul(x, column)
        }),
        ("mul of a vector", |p, x, y| {
            let vector = p.mean(y, Axis(0))?;
            p.mul(vector, x)
        }),
        ("square and scale", |p, x, _| {
            let square = p.square(x)?;
            p.scale(square, -0.3)
        }),
        ("matmul", |p, x, y| {
            let t = p.transpose(y)?;
            p.matmul(x, t)
        }),
        ("dense", |p, x, y| {
            let (w, b) = (p.transpose(y)?, p.slice(y, Axis(1), 0..1)?);
            let b = p.reshape(b, [3])?;
            p.dense(x, w, b)
        }),
        ("weighted sum", |p, x, y| {
            let vector = p.sum(y, Axis(0))?;
            p.weighted_sum(&[(x, 0.7), (vector, -1.25), (x, 2.0)])
        }),
        ("slice, concat and reshape", |p, x, y| {
            let part = p.slice(x, Axis(1), 1..2)?;
            let all = p.concat(&[y, part, x], Axis(1))?;
            p.reshape(all, [5, 3])
        }),
        ("relu", |p, x, y| {
            let d = p.sub(x, y)?;
            p.relu(d)
        }),
        ("abs of a sum", |p, x, _| {
            let sum = p.sum(x, Axis(0))?;
            p.abs(sum)
        }),
        ("clamp", |p, x, _| p.clamp(x, -0.5, 0.25)),
        ("minimum and maximum", |p, x, y| {
            let (low, high) = (p.minimum(x, y)?, p.maximum(x, y)?);
            p.weighted_sum(&[(low, 1.0), (high, 3.0)])
        }),
        ("select", |p, x, y| {
            let third = p.number(0.125)?;
            let bit = p.less(y, third)?;
            let (a, b) = (p.square(x)?, p.sum(x, Axis(0))?);
            p.select(bit, a, b)
        }),
        ("max along an axis", |p, x, _| p.max(x, Axis(0))),
        ("min along another", |p, x, _| p.min(x, Axis(1))),
        ("a product of batches of matrices, permuted", |p, x, y| {
            let (a, b) = (p.reshape(x, [3, 1, 2])?, p.reshape(y, [3, 2, 1])?);
            let one = p.matmul(a, b)?;
            let shared = p.slice(y, Axis(0), 0..2)?;
            let (many, one) = (p.matmul(a, shared)?, p.reshape(one, [3, 1, 1])?);
            let all = p.concat(&[many, one], Axis(2))?;
            p.permute(all, &[2, 0, 1])
        }),
        ("a dense layer of three axes", |p, x, y| {
            let x = p.reshape(x, [1, 3, 2])?;
            let w = p.slice(y, Axis(0), 0..2)?;
            let b = p.slice(y, Axis(0), 2..3)?;
            let b = p.reshape(b, [2])?;
            p.dense(x, w, b)
        }),
        ("a convolution with padding and a bias", |p, x, y| {
            let x = p.reshape(x, [2, 1, 1, 3])?;
            let w = p.reshape(y, [1, 1, 3, 2])?;
            let bias = p.slice(y, Axis(0), 0..1)?;
            let bias = p.sum(bias, Axis(1))?;
            p.conv2d(x, w, Some(bias), Sliding::by(1).padded(1))
        }),
        ("a convolution of channels", |p, x, y| {
            let both = p.concat(&[x, y], Axis(1))?;
            let x = p.reshape(both, [1, 2, 2, 3])?;
            let y = p.concat(&[y, y, y, y], Axis(1))?;
            let w = p.reshape(y, [3, 2, 2, 2])?;
            p.conv2d(x, w, None, Sliding::by(1))
        }),
        ("pooling, with a column that no window reaches", |p, x, y| {
            let both = p.concat(&[x, y, y], Axis(1))?;
            let x = p.reshape(both, [1, 2, 3, 3])?;
            let largest = p.max_pool2d(x, [2, 2], Sliding::by(2))?;
            let mean = p.average_pool2d(x, [3, 1], Sliding { stride: [3, 1], ..Sliding::by(1) }, true)?;
            let (largest, mean) = (p.reshape(largest, [2])?, p.reshape(mean, [6])?);
            p.concat(&[largest, mean], Axis(0))
        }),
        ("a convolution with steps, groups and a padding", |p, x, y| {
            let x = p.concat(&[x, y, x, y], Axis(1))?;
            let x = p.reshape(x, [1, 4, 2, 3])?;
            let w = p.reshape(y, [2, 1, 3, 1])?;
            let w = p.concat(&[w, w], Axis(1))?;
            p.conv2d_grouped(x, w, None, Sliding { padding: [[1, 1], [0, 2]], ..Sliding::by(2) }, 2)
        }),
        ("overlapping windows", |p, x, y| {
            let both = p.concat(&[x, y, y], Axis(1))?;
            let x = p.reshape(both, [1, 2, 3, 3])?;
            let largest = p.max_pool2d(x, [2, 2], Sliding::by(1).padded(1))?;
            let mean = p.average_pool2d(x, [3, 2], Sliding::by(1).padded(1), false)?;
            let (largest, mean) = (p.reshape(largest, [32])?, p.reshape(mean, [24])?);
            p.concat(&[largest, mean], Axis(0))
        }),
        ("rows that are picked twice", |p, x, y| {
            let picked = p.gather(x, Axis(0), &[2, 0, 2, 2])?;
            let padded = p.pad(y, &[1, 0], &[0, 2], 0.5)?;
            let (picked, padded) = (p.reshape(picked, [8])?, p.reshape(padded, [16])?);
            p.concat(&[picked, padded], Axis(0))
        }),
        ("sides", |p, x, y| {
            let zero = p.number(0.0)?;
            let row = p.slice(x, Axis(0), 0..1)?;
            let bit = p.less(y, zero)?;
            p.split(row, bit)
        }),
        ("sigmoid", |p, x, _| p.sigmoid(x)),
        ("tanh", |p, x, _| p.tanh(x)),
        ("gelu", |p, x, _| p.gelu(x)),
        ("silu", |p, x, _| p.silu(x)),
        ("softplus", |p, x, _| p.softplus(x)),
        ("erf", |p, x, _| p.erf(x)),
        ("elu", |p, x, y| {
            let (x, y) = (p.elu(x, 1.0)?, p.elu(y, 0.625)?);
            p.add(x, y)
        }),
        ("leaky relu and a hard swish", |p, x, y| {
            let (x, y) = (p.leaky_relu(x, 0.125)?, p.hard_swish(y)?);
            p.add(x, y)
        }),
        ("powers", |p, x, y| {
            let (x, y) = (p.exp(x, 3.0)?, p.exp_negative(y)?);
            p.add(x, y)
        }),
        ("a logarithm and roots", |p, x, y| {
            let (x, y) = (p.add_public(x, 1.5)?, p.add_public(y, 1.25)?);
            let all = [p.log(x, 0.25..)?, p.sqrt(y)?, p.rsqrt(x, 0.25..)?, p.sqrt(x)?];
            p.concat(&all, Axis(1))
        }),
        ("quotients", |p, x, y| {
            let row = p.slice(x, Axis(0), 0..1)?;
            let size = p.add_public(y, 1.5)?;
            let all = [
                p.divide(row, size, 0.25..)?,
                p.reciprocal(size, 0.25..=4.0)?,
                p.divide_signed(row, y, 0.03125)?,
            ];
            p.concat(&all, Axis(1))
        }),
        ("softmax", |p, x, y| {
            let (rows, columns) = (p.softmax(x, Axis(1))?, p.softmax(y, Axis(0))?);
            p.sub(rows, columns)
        }),
        ("logarithms of softmax", |p, x, y| {
            let (rows, columns) = (p.log_softmax(x, Axis(1))?, p.log_softmax(y, Axis(0))?);
            p.sub(rows, columns)
        }),
        ("a layer norm", |p, x, y| {
            let x = p.reshape(x, [2, 3])?;
            let (scale, shift) = (p.slice(y, Axis(1), 0..1)?, p.slice(y, Axis(1), 1..2)?);
            let (scale, shift) = (p.reshape(scale, [3])?, p.reshape(shift, [3])?);
            p.layer_norm(x, scale, shift, 0.03125)
        }),
        ("a norm", |p, x, _| p.norm(x, Axis(1))),
        ("a range", |p, x, _| {
            let square = p.square(x)?;
            p.assume_range(square, 3.0)
        }),
    ]
}

/// The derivatives of Σ seed·f(x, y), or f itself.
fn differentiated(build: Build, parties: usize, rounding: Rounding, gradient: bool) -> Program {
    let mut p = Program::builder("gradient", FracBits::DEFAULT, &["a", "b", "c"][..parties]);
    p.rounding(rounding);
    let x = p.input("x", Owner(0), [3, 2], 4.0).unwrap();
    let y = p.input("y", Owner(1), [3, 2], 4.0).unwrap();
    let z = build(&mut p, x, y).unwrap();
    if !gradient {
        p.output("z", z, &[0]).unwrap();
        return p.build().unwrap();
    }
    let shape = p.fact(z).unwrap().shape.clone();
    let seed = p.constant(&seed(shape.dims())).unwrap();
    let none = p.sub(z, z).unwrap();
    let seed = p.add(none, seed).unwrap();
    let found = p.gradients(&[(z, seed)], &[x, y]).unwrap();
    for (name, g) in ["x", "y"].iter().zip(&found) {
        if let Some(g) = *g {
            p.output(&format!("d{name}"), g, &[0]).unwrap();
        }
    }
    p.build().unwrap()
}

fn seed(shape: &[usize]) -> ArrayD<f64> {
    let mut next = 0.0;
    ArrayD::from_shape_simple_fn(shape, || {
        next += 0.25;
        next - 0.75
    })
}

fn points() -> Inputs {
    let mut random = slopes::Random(5);
    let mut array = || ArrayD::from_shape_simple_fn(vec![3, 2], || random.unit());
    ["x", "y"].map(|name| (name.to_owned(), array())).into()
}

#[test]
fn gradients_are_the_limits_of_differences() {
    let (inputs, h) = (points(), 1e-5);
    for (name, build) in differentiable() {
        let f = differentiated(build, 2, Rounding::Dithered, false);
        let loss = |inputs: &Inputs| {
            let z = &reference::float(&f, inputs).unwrap()["z"];
            (z * &seed(z.shape())).sum()
        };
        let found = reference::float(&differentiated(build, 2, Rounding::Dithered, true), &inputs).unwrap();
        assert!(!found.is_empty(), "{name}");
        for of in ["x", "y"] {
            for at in 0..6 {
                let moved = |by: f64| {
                    let mut inputs = inputs.clone();
                    inputs.get_mut(of).unwrap().as_slice_mut().unwrap()[at] += by;
                    loss(&inputs)
                };
                let slope = (moved(h) - moved(-h)) / (2.0 * h);
                let got = found.get(&format!("d{of}")).map_or(0.0, |d| *d.iter().nth(at).unwrap());
                assert!(
                    (slope - got).abs() < 1e-6 * (1.0 + slope.abs()),
                    "{name}, {of}[{at}]: {slope} is not {got}"
                );
            }
        }
    }
}

#[test]
fn gradients_are_computed_securely_at_the_planned_cost() {
    let inputs = points();
    for (name, build) in differentiable() {
        for (parties, rounding) in [(2, Rounding::Exact), (3, Rounding::Dithered)] {
            let program = differentiated(build, parties, rounding, true);
            let runs = run_local(&program, &inputs, [7; 32]).unwrap();
            let fixed = reference::fixed(&program, &inputs).unwrap();
            for (output, value) in &runs[0].outputs {
                let far = value.iter().zip(&fixed[output]).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                let limit = if rounding == Rounding::Exact { 0.0 } else { 1e-3 };
                assert!(far <= limit, "{name}, {output}: {far}");
            }
            checked(&program, &runs);
        }
    }
}

fn checked(program: &Program, runs: &[Execution]) {
    let plan = program.plan();
    program.demand().check().unwrap();
    for (party, run) in PartyId::all(runs.len()).zip(runs) {
        plan.check(party, &run.measured).unwrap();
    }
    assert_eq!(&Program::decode(&program.encode()).unwrap(), program);
}

#[test]
fn a_relu_is_differentiated_without_another_comparison() {
    let relu: Build = |p, x, _| p.relu(x);
    let plan = differentiated(relu, 2, Rounding::Dithered, true).plan();
    let rounds: Vec<_> = plan.ops.iter().filter(|o| o.rounds > 0).map(|o| (o.op, o.rounds)).collect();
    assert_eq!(rounds, [("relu", 4), ("mul", 1), ("confirm", 1), ("output", 1)]);
}

#[test]
fn what_has_no_gradient_is_named() {
    let none: [(&str, Build); 9] = [
        ("argmax", |p, x, _| p.argmax(x, Axis(0))),
        ("argmin_one_hot", |p, x, _| p.argmin_one_hot(x, Axis(1))),
        ("less", |p, x, y| p.less(x, y)),
        ("not_equal", |p, x, y| p.not_equal(x, y)),
        ("sign", |p, x, _| p.sign(x)),
        ("sort", |p, x, _| p.sort(x, Axis(0), Direction::Ascending)),
        ("sort_with", |p, x, y| Ok(p.top_k_with(x, y, 2, Axis(0), Direction::Ascending)?.1)),
        ("equal", |p, x, y| {
            let (index, table) = (p.slice(x, Axis(1), 0..1)?, p.reshape(y, [3, 2])?);
            p.embedding(index, table)
        }),
        ("greater", |p, x, y| {
            let bit = p.greater(x, y)?;
            p.mul(bit, y)
        }),
    ];
    for (name, build) in none {
        let mut p = Program::builder("none", FracBits::DEFAULT, &["a", "b"]);
        let x = p.input("x", Owner(0), [3, 2], 4.0).unwrap();
        let y = p.input("y", Owner(0), [3, 2], 4.0).unwrap();
        let z = build(&mut p, x, y).unwrap();
        let error = p.gradients(&[(z, z)], &[x]).unwrap_err();
        assert!(matches!(error, ProgramError::NoGradient { op, .. } if op == name), "{name}: {error}");
        let text = error.to_string();
        assert!(text.ends_with(&format!("({name}): there is no gradient through this operation")), "{text}");
        // Nothing is left of the attempt, and what x has no part in has no derivative.
        assert_eq!(p.gradients(&[(y, y)], &[x]).unwrap(), [None]);
    }
}

#[test]
fn no_node_of_a_gradient_is_built_twice() {
    for (name, build) in differentiable() {
        let program = differentiated(build, 2, Rounding::Dithered, true);
        let z = differentiated(build, 2, Rounding::Dithered, false);
        // What the function itself is made of may be there again.
        let of_gradient = &program.nodes()[z.nodes().len().min(program.nodes().len())..];
        for (i, node) in of_gradient.iter().enumerate() {
            assert!(of_gradient[..i].iter().all(|n| n.op != node.op), "{name}: {:?}", node.op.name());
        }
    }
}

#[test]
fn promises_about_derivatives_stand_in_the_text_and_are_checked() {
    let mut p = Program::builder("promise", FracBits::DEFAULT, &["a", "b"]);
    let x = p.input("x", Owner(0), [3], 4.0).unwrap();
    let y = p.square(x).unwrap();
    assert!(p.assume_gradient(y, 0.0).is_err());
    p.assume_gradient(y, 1.0).unwrap();
    let slope = p.gradients(&[(y, y)], &[x]).unwrap()[0].unwrap();
    // 2·x·g for |x| ≤ 4 and |g| ≤ 1.
    assert_eq!(p.fact(slope).unwrap().max_abs(), 8.0);
    p.output("slope", slope, &[0]).unwrap();
    let program = p.build().unwrap();
    assert!(program.to_string().contains("assume_range"), "{program}");
    let inputs = |v: f64| [("x".to_owned(), ArrayD::from_elem(vec![3], v))].into();
    assert!(run_local(&program, &inputs(0.5), [1; 32]).is_ok());
    let error = run_local(&program, &inputs(-1.5), [1; 32]).unwrap_err().to_string();
    assert!(error.contains("promises ±1 of node 1 (square)"), "{error}");
}
