//! Optimisers and models: against the same steps in floating point, and as secure runs.
#![allow(clippy::unwrap_used, reason = "a test: a panic is how it fails")]

use std::collections::BTreeMap;

use ml_ops::models::network::{self, Network};
use ml_ops::models::regression::{HISTORY, LABELS, Regression, Target};
use ml_ops::models::scorecard::{BIAS, Member, WEIGHTS, features};
use ml_ops::training::{Adam, History, LOSS, Optimiser, Parameter, Penalty, Training, train};
use ml_ops::{Axis, Execution, Op, Owner, Program, ProgramBuilder, reference, run_local};
use mpc_core::fixed::FracBits;
use mpc_core::party::PartyId;
use mpc_core::windows::Sliding;
use ndarray::{Array1, Array2, ArrayD, arr1};

type Inputs = BTreeMap<String, ArrayD<f64>>;

fn numbers(seed: u64) -> impl FnMut() -> f64 {
    let mut next = seed;
    move || {
        next = next.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (next >> 33) as f64 / f64::from(1u32 << 30) - 1.0
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

fn regression(target: Target, training: Training<'static>) -> Regression<'static> {
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
fn by_hand(inputs: &Inputs, target: Target, how: &Training<'_>) -> (Array1<f64>, Vec<f64>) {
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
    let plain = Training { history: History::AtEnd, ..Training::sgd(4, 8, 0.5) };
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
fn the_loss_can_leave_after_every_epoch() {
    let class = Target::Class { weights: [1.0, 1.0] };
    let how = |history| Training { history, ..Training::sgd(4, 8, 0.5) };
    let fit = |history| {
        let mut regression = regression(class, how(history));
        regression.recipients = &[];
        regression.program().unwrap()
    };
    let (live, silent) = (fit(History::Live(&[1])), fit(History::None));
    // Four batches an epoch; squares and their truncations in every step.
    assert_eq!(live.plan().rounds, silent.plan().rounds + 4 * (4 * 2 + 2));
    assert!(live.to_string().contains("output \"loss\" = %"));
    assert!(live.to_string().contains(" to \"b\", after every 4 iterations\n"));
    let inputs = data();
    let runs = run_local(&live, &inputs, [3; 32]).unwrap();
    checked(&live, &runs);
    let (_, expected) = by_hand(&inputs, class, &how(History::None));
    assert_eq!(runs[1].outputs[LOSS].shape(), [4, 1]);
    for (got, expected) in runs[1].outputs[LOSS].iter().zip(&expected) {
        assert!((got - expected).abs() < 6e-3, "{got} is not {expected}");
    }
    assert!(runs[0].outputs.is_empty());
    // Nobody receives the model.
    assert_eq!(runs[1].kept.keys().collect::<Vec<_>>(), [BIAS, WEIGHTS]);
}

#[test]
fn a_step_with_momentum_and_penalties_takes_no_round_more() {
    let steps = |how: Training<'static>| {
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
    assert!(products.iter().all(|o| o.reused_factor.is_some() && o.times == 20));
    // The one where its rows are weighted, before the loop.
    let opening = plan.ops.iter().filter(|o| o.opens_reused_factor);
    let opening: Vec<_> = opening.map(|o| (o.op, o.reused_factor)).collect();
    let [("mul", Some(x)), ("matmul", Some(weighted))] = opening[..] else { panic!("{opening:?}") };
    assert_ne!(x, weighted);
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
        training: Training { history: History::AtEnd, ..Training::sgd(6, 10, 0.5) },
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
fn deep_and_wide_networks_build() {
    // Bounds of derivatives would multiply from layer to layer without a promise about each.
    for (columns, layers) in [(784, &[128, 128, 10][..]), (32, &[64; 8][..]), (32, &[16, 16, 16, 16, 1][..])]
    {
        let network = Network {
            name: "deep",
            frac: FracBits::DEFAULT,
            members: &[
                Member { name: "a", columns, max_abs: 4.0 },
                Member { name: "b", columns: 0, max_abs: 1.0 },
            ],
            rows: 1280,
            labels: 1,
            target: network::Target::Class { weights: &[] },
            layers,
            training: Training::sgd(1, 128, 0.1),
            max_weight: 4.0,
            max_hidden: 64.0,
            seed: 3,
            recipients: &[1],
        };
        let program = network.program().unwrap();
        program.demand().check().unwrap();
        let promises = program.nodes().iter().filter(|n| matches!(n.op, Op::AssumeRange { .. })).count();
        assert_eq!(promises, 2 * layers.len());
    }
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
    let how = Training { optimiser: momentum, history: History::AtEnd, ..Training::sgd(8, 12, 0.2) };
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
