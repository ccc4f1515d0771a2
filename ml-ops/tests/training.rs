//! Gradients, optimisers and models: against differences, against the same steps in floating point, and as secure runs.
#![allow(clippy::unwrap_used, reason = "a test: a panic is how it fails")]

use std::collections::BTreeMap;

use ml_ops::models::network::{self, Network};
use ml_ops::models::regression::{HISTORY, LABELS, Regression, Target};
use ml_ops::models::scorecard::{BIAS, Member, WEIGHTS, features};
use ml_ops::training::{Adam, Optimiser, Parameter, Penalty, Training, train};
use ml_ops::{
    Axis, Execution, Owner, Program, ProgramBuilder, ProgramError, Rounding, Value, reference, run_local,
};
use mpc_core::fixed::FracBits;
use mpc_core::party::PartyId;
use mpc_core::windows::Sliding;
use ndarray::{Array1, Array2, ArrayD, arr1};

type Inputs = BTreeMap<String, ArrayD<f64>>;
type Build = fn(&mut ProgramBuilder, Value, Value) -> Result<Value, ProgramError>;

fn numbers(seed: u64) -> impl FnMut() -> f64 {
    let mut next = seed;
    move || {
        next = next.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (next >> 33) as f64 / f64::from(1u32 << 30) - 1.0
    }
}

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
        ("sigmoid", |p, x, _| p.sigmoid(x)),
        ("tanh", |p, x, _| p.tanh(x)),
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
    let mut number = numbers(5);
    ["x", "y"].map(|name| (name.to_owned(), ArrayD::from_shape_simple_fn(vec![3, 2], &mut number))).into()
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
                assert!((slope - got).abs() < 1e-6, "{name}, {of}[{at}]: {slope} is not {got}");
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
    let mut p = Program::builder("none", FracBits::DEFAULT, &["a", "b"]);
    let x = p.input("x", Owner(0), [3, 2], 4.0).unwrap();
    let order = p.argmax(x, Axis(0)).unwrap();
    let error = p.gradients(&[(order, order)], &[x]).unwrap_err().to_string();
    assert_eq!(error, "node 1 (argmax): there is no gradient through this operation");
    let y = p.input("y", Owner(0), [3, 2], 4.0).unwrap();
    assert_eq!(p.gradients(&[(y, y)], &[x]).unwrap(), [None]);
}

const ROWS: usize = 30;
const MEMBERS: [Member<'_>; 2] =
    [Member { name: "a", columns: 2, max_abs: 4.0 }, Member { name: "b", columns: 1, max_abs: 4.0 }];

fn data() -> Inputs {
    let mut number = numbers(11);
    let a = Array2::from_shape_simple_fn((ROWS, 2), || 2.0 * number());
    let b = Array2::from_shape_simple_fn((ROWS, 1), || 2.0 * number());
    let score = |i: usize| 1.5 * a[[i, 0]] - b[[i, 0]] + 0.25;
    let labels = Array2::from_shape_fn((ROWS, 1), |(i, _)| f64::from(u8::from(score(i) + number() > 0.0)));
    [(features("a"), a), (features("b"), b), (LABELS.to_owned(), labels)]
        .map(|(n, v)| (n, v.into_dyn()))
        .into()
}

fn regression(target: Target, training: Training) -> Regression<'static> {
    Regression {
        name: "fit",
        frac: FracBits::DEFAULT,
        members: &MEMBERS,
        rows: ROWS,
        labels: 1,
        target,
        training,
        max_weight: 16.0,
        recipients: &[0],
    }
}

/// The same steps in floating point, written as in a textbook.
fn by_hand(inputs: &Inputs, target: Target, how: &Training) -> (Array1<f64>, Vec<f64>) {
    let x = Array2::from_shape_fn((ROWS, 4), |(i, j)| match j {
        0 | 1 => inputs[&features("a")][[i, j]],
        2 => inputs[&features("b")][[i, 0]],
        _ => 1.0,
    });
    let y: Vec<f64> = inputs[LABELS].iter().copied().collect();
    let (mut m, mut v, mut steps) = (Array1::<f64>::zeros(4), Array1::<f64>::zeros(4), 0);
    let (mut w, mut u) = (Array1::<f64>::zeros(4), Array1::<f64>::zeros(4));
    let per_epoch = ROWS.div_ceil(how.batch);
    let mut history = vec![];
    for _ in 0..how.epochs {
        let mut squares = 0.0;
        for i in 0..per_epoch {
            let start = if per_epoch == 1 { 0 } else { i * (ROWS - how.batch) / (per_epoch - 1) };
            let mut gradient = Array1::<f64>::zeros(4);
            for row in start..start + how.batch {
                let z = x.row(row).dot(&w);
                let (residual, counts) = match target {
                    Target::Number { .. } => (z - y[row], 1.0),
                    Target::Class { weights } => {
                        (1.0 / (1.0 + (-z).exp()) - y[row], weights[usize::from(y[row] == 1.0)])
                    }
                };
                squares += residual * residual;
                gradient = gradient + &x.row(row) * (counts * residual / how.batch as f64);
            }
            let is_weight = arr1(&[1.0, 1.0, 1.0, 0.0]);
            gradient = gradient
                + (&w * how.l2 + w.mapv(|w| if w == 0.0 { 0.0 } else { w.signum() }) * how.l1) * is_weight;
            match how.optimiser {
                Optimiser::Sgd { learning_rate, momentum } => {
                    u = u * momentum + gradient * learning_rate;
                    w -= &u;
                }
                Optimiser::Adam(Adam { learning_rate, beta1, beta2, epsilon, unit, .. }) => {
                    steps += 1;
                    gradient *= unit;
                    m = m * beta1 + &gradient * (1.0 - beta1);
                    v = v * beta2 + gradient.mapv(|g| g * g) * (1.0 - beta2);
                    let (m, v) = (&m / (1.0 - beta1.powi(steps)), v.mapv(|v| v.max(epsilon * epsilon)));
                    let v = v / (1.0 - beta2.powi(steps));
                    w -= &(m / v.mapv(f64::sqrt) * learning_rate);
                }
                _ => panic!("another optimiser"),
            }
        }
        history.push(squares / (per_epoch * how.batch) as f64);
    }
    (w, history)
}

#[test]
fn regressions_are_fitted_as_by_hand() {
    let class = |weights| Target::Class { weights };
    let number = Target::Number { max_abs: 1.0 };
    let plain = Training { history: true, ..Training::sgd(4, 8, 0.5) };
    let momentum = Optimiser::Sgd { learning_rate: 0.25, momentum: 0.5 };
    for (target, how) in [
        (class([1.0, 1.0]), plain),
        (class([1.0, 1.0]), Training { l2: 0.1, ..plain }),
        (class([1.0, 1.0]), Training { l1: 0.05, l2: 0.02, ..plain }),
        (class([0.5, 2.0]), Training { batch: ROWS, ..plain }),
        (class([1.0, 1.0]), Training { optimiser: momentum, l2: 0.1, ..plain }),
        (number, Training { optimiser: momentum, ..plain }),
        (number, Training { batch: 100, l1: 0.01, ..plain }),
        (class([1.0, 1.0]), Training { optimiser: Optimiser::Adam(Adam::with_rate(0.1)), l2: 0.05, ..plain }),
        (number, Training { optimiser: Optimiser::Adam(Adam::with_rate(0.05)), batch: ROWS, ..plain }),
    ] {
        let program = regression(target, how).program().unwrap();
        let inputs = data();
        let how = Training { batch: how.batch.min(ROWS), ..how };
        let (w, history) = by_hand(&inputs, target, &how);
        let float = reference::float(&program, &inputs).unwrap();
        let runs = run_local(&program, &inputs, [3; 32]).unwrap();
        checked(&program, &runs);
        let dithers = if let Optimiser::Adam(_) = how.optimiser { 3e-2 } else { 6e-3 };
        for (values, limit) in [(&float, 2e-3), (&runs[0].outputs, dithers)] {
            for (got, expected) in values[WEIGHTS].iter().chain(&values[BIAS]).zip(&w) {
                assert!((got - expected).abs() < limit, "{target:?} {how:?}: {got} is not {expected}");
            }
            for (got, expected) in values[HISTORY].iter().zip(&history) {
                assert!((got - expected).abs() < limit, "{target:?} {how:?}: {got} is not {expected}");
            }
        }
        assert_eq!(runs[0].outputs[HISTORY].shape(), [4, 1]);
        assert!(history[3] < history[0]);
    }
}

#[test]
fn a_step_with_momentum_and_penalties_takes_no_round_more() {
    let steps = |how: Training| {
        let class = Target::Class { weights: [1.0, 1.0] };
        regression(class, how).program().unwrap().plan().rounds - 2
    };
    let plain = Training::sgd(1, ROWS, 0.5);
    let momentum = Optimiser::Sgd { learning_rate: 0.25, momentum: 0.5 };
    // The product, its truncation with the clamp, the sigmoid, the gradient, the move.
    assert_eq!(steps(plain), 1 + 4 + 2 + 1 + 1);
    assert_eq!(steps(Training { optimiser: momentum, l2: 0.1, ..plain }), steps(plain));
    let class = Target::Class { weights: [0.5, 2.0] };
    let weighted = regression(class, plain).program().unwrap();
    // Once, before the loop: the factors are no integers, so there are two truncations.
    assert_eq!(weighted.plan().rounds - 2, steps(plain) + 3);
    // Both matrices are opened once in longer trainings, and no product is computed for nothing.
    let plan = regression(class, Training::sgd(5, 8, 0.5)).program().unwrap().plan();
    let products: Vec<_> = plan.ops.iter().filter(|o| o.op == "matmul").collect();
    assert_eq!(products.len(), 2);
    assert!(products.iter().all(|o| o.opens_reused_factor && o.times == 20));
}

#[test]
fn trainings_that_are_none_are_refused() {
    let plain = Training::sgd(1, 8, 0.5);
    let sgd = |learning_rate, momentum| Optimiser::Sgd { learning_rate, momentum };
    for (how, why) in [
        (Training { optimiser: sgd(0.0, 0.0), ..plain }, "a learning rate is a positive number"),
        (Training { optimiser: sgd(f64::NAN, 0.0), ..plain }, "a learning rate is a positive number"),
        (Training { optimiser: sgd(0.1, 1.0), ..plain }, "a momentum is at least 0 and below 1"),
        (Training { l1: -1.0, ..plain }, "a penalty is not negative"),
        (Training { epochs: 0, ..plain }, "at least one epoch"),
    ] {
        let error = regression(Target::Class { weights: [1.0, 1.0] }, how).program().unwrap_err().to_string();
        assert!(error.contains(why), "{error:?} does not say {why:?}");
    }
    let error = regression(Target::Class { weights: [0.0, 1.0] }, plain).program().unwrap_err().to_string();
    assert!(error.contains("the weight of a class is a positive number"), "{error}");
    assert!(
        regression(Target::Class { weights: [1.0, 1.0] }, Training::sgd(u32::MAX, 1, 0.1)).program().is_err()
    );
}

#[test]
fn a_network_is_fitted() {
    let network = Network {
        name: "network",
        frac: FracBits::DEFAULT,
        members: &MEMBERS,
        rows: ROWS,
        labels: 1,
        target: network::Target::Class { weights: &[] },
        layers: &[5, 1],
        training: Training { history: true, ..Training::sgd(6, 10, 0.5) },
        max_weight: 8.0,
        max_hidden: 32.0,
        seed: 3,
        recipients: &[1],
    };
    let (program, inputs) = (network.program().unwrap(), data());
    let runs = run_local(&program, &inputs, [9; 32]).unwrap();
    checked(&program, &runs);
    let float = reference::float(&program, &inputs).unwrap();
    for (name, value) in &runs[1].outputs {
        let far = value.iter().zip(&float[name]).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(far < 0.01, "{name}: {far}");
    }
    let history: Vec<f64> = runs[1].outputs[HISTORY].iter().copied().collect();
    assert!(history[5] < 0.8 * history[0], "{history:?}");
    assert!(program.to_string().contains("repeat 18 times, 3 of them an epoch"));
}

#[test]
fn classes_are_told_apart_by_a_convolutional_network() {
    // Images of 6×6 with a bright bar, across or down; and its place.
    let rows = 24;
    let mut number = numbers(21);
    let images = ndarray::Array4::from_shape_fn((rows, 1, 6, 6), |(i, _, y, x)| {
        let on_bar = if i % 2 == 0 { y == i / 2 % 6 } else { x == i / 2 % 6 };
        f64::from(u8::from(on_bar)) + 0.2 * number()
    });
    let labels = Array2::from_shape_fn((rows, 2), |(i, j)| f64::from(u8::from(i % 2 == j)));
    let mut p = Program::builder("bars", FracBits::DEFAULT, &["a", "b"]);
    let x = p.input("images", Owner(0), [rows, 1, 6, 6], 2.0).unwrap();
    let y = p.input("labels", Owner(1), [rows, 2], 1.0).unwrap();
    let mut parameter = |p: &mut ProgramBuilder, shape: &[usize], limit: f64| {
        let initial = ArrayD::from_shape_simple_fn(shape, || (number() * limit * 1024.0).round() / 1024.0);
        Parameter { initial: p.constant(&initial).unwrap(), max_abs: 4.0, penalty: Penalty::None }
    };
    let parameters = [
        parameter(&mut p, &[4, 1, 3, 3], 0.5),
        parameter(&mut p, &[4], 0.1),
        parameter(&mut p, &[16, 2], 0.5),
        parameter(&mut p, &[2], 0.1),
    ];
    let momentum = Optimiser::Sgd { learning_rate: 0.2, momentum: 0.8 };
    let how = Training { optimiser: momentum, history: true, ..Training::sgd(8, 12, 0.2) };
    let trained = train(&mut p, rows, &parameters, &how, |p, w, batch| {
        let (x, y) = (p.batch(x, batch)?, p.batch(y, batch)?);
        let h = p.conv2d(x, w[0], Some(w[1]), Sliding::by(1))?;
        let h = p.relu(h)?;
        let h = p.max_pool2d(h, [2, 2], Sliding::by(2))?;
        let h = p.flatten(h, Axis(1))?;
        let logits = p.dense(h, w[2], w[3])?;
        let logits = p.assume_range(logits, 16.0)?;
        p.cross_entropy(logits, y)
    })
    .unwrap();
    p.output("history", trained.history.unwrap(), &[0]).unwrap();
    for (i, &w) in trained.parameters.iter().enumerate() {
        p.output(&format!("w{i}"), w, &[0]).unwrap();
    }
    let program = p.build().unwrap();
    let inputs: Inputs =
        [("images".to_owned(), images.into_dyn()), ("labels".to_owned(), labels.into_dyn())].into();
    let runs = run_local(&program, &inputs, [5; 32]).unwrap();
    checked(&program, &runs);
    let float = reference::float(&program, &inputs).unwrap();
    for (name, value) in &runs[0].outputs {
        let far = value.iter().zip(&float[name]).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(far < 0.05, "{name}: {far}");
    }
    let history: Vec<f64> = runs[0].outputs["history"].iter().copied().collect();
    assert!(history[7] < 0.5 * history[0], "{history:?}");
}
