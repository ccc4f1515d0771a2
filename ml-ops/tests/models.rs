//! The reference networks, run on shares by 2 and 3 parties, against computations of their own in floating point.
#![allow(clippy::unwrap_used, reason = "a test: a panic is how it fails")]

use std::collections::BTreeMap;

use ml_ops::models::lenet::{Pooling, lenet};
use ml_ops::models::mlp::mlp;
use ml_ops::models::residual::{Block, residual_block};
use ml_ops::models::transformer::{Encoder, encoder_block};
use ml_ops::models::{DATA, RESULT, Roles};
use ml_ops::{InputKind, Owner, Program, reference, run_local};
use mpc_core::fixed::FracBits;
use mpc_core::party::PartyId;
use ndarray::{Array1, Array2, Array4, ArrayD, Axis, Ix1, Ix2, Ix3, Ix4, s};

type Values = BTreeMap<String, ArrayD<f64>>;

const PARTIES: [&str; 3] = ["a", "b", "c"];

fn roles(parties: usize) -> Roles<'static> {
    Roles {
        name: "network",
        parties: &PARTIES[..parties],
        model: Owner(0),
        data: Owner(1),
        recipients: if parties == 2 { &[0] } else { &[2] },
        frac: FracBits::DEFAULT,
        max_weight: 2.0,
        max_data: 4.0,
        promised: 64.0,
    }
}

/// Numbers between −1 and 1.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as f64 / f64::from(1u32 << 30) - 1.0
    }
}

/// Data between −1 and 1, and weights so that layers keep the size of what they get.
fn inputs(program: &Program, seed: u64) -> Values {
    let mut numbers = Numbers(seed);
    let array = |i: ml_ops::InputSpec<'_>| {
        let dims = i.shape.dims();
        let terms: usize = match dims.len() {
            1 => 9,
            2 => dims[0],
            _ => dims[1..].iter().product(),
        };
        let is_factor = i.name.ends_with(".scale");
        let limit = if i.kind == InputKind::Data { 1.0 } else { (3.0 / terms as f64).sqrt() };
        let mut number = || numbers.next() * limit + f64::from(u8::from(is_factor));
        (i.name.to_owned(), ArrayD::from_shape_simple_fn(dims, &mut number))
    };
    program.inputs().map(array).collect()
}

/// Runs the program for 2 and 3 parties and holds its result against `expected` and its cost against the plan.
fn check(build: impl Fn(Roles<'_>) -> Program, expected: impl Fn(&Values) -> ArrayD<f64>, tolerance: f64) {
    for parties in [2, 3] {
        let program = build(roles(parties));
        assert_eq!(Program::decode(&program.encode()).unwrap(), program);
        let inputs = inputs(&program, 40 + parties as u64);
        let wanted = expected(&inputs);
        let distance =
            |got: &ArrayD<f64>| got.iter().zip(&wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        // The network is what it should be, and functions apart from exact ones are not what differs.
        let float = &reference::float(&program, &inputs).unwrap()[RESULT];
        assert_eq!(float.shape(), wanted.shape());
        assert!(distance(float) < 2e-4, "{} from the definition", distance(float));
        let runs = run_local(&program, &inputs, [parties as u8; 32]).unwrap();
        let got = &runs[roles(parties).recipients[0]].outputs[RESULT];
        assert_eq!(got.shape(), wanted.shape());
        let largest = wanted.iter().fold(0.0f64, |m, v| m.max(v.abs()));
        assert!(largest > 0.25 && largest < 50.0, "results say something: {largest}");
        println!("{parties} parties: off by {:.2e}", distance(got));
        assert!(distance(got) <= tolerance, "{parties} parties: off by {:e}", distance(got));
        let plan = program.plan();
        program.demand().check().unwrap();
        for (party, run) in PartyId::all(parties).zip(&runs) {
            plan.check(party, &run.measured).unwrap();
        }
    }
}

fn vector(inputs: &Values, name: &str) -> Array1<f64> {
    inputs[name].clone().into_dimensionality::<Ix1>().unwrap()
}

fn images(inputs: &Values, name: &str) -> Array4<f64> {
    inputs[name].clone().into_dimensionality::<Ix4>().unwrap()
}

fn dense(inputs: &Values, name: &str, x: &Array2<f64>) -> Array2<f64> {
    let weights = inputs[&format!("{name}.weights")].clone().into_dimensionality::<Ix2>().unwrap();
    x.dot(&weights) + vector(inputs, &format!("{name}.bias"))
}

fn relu<D: ndarray::Dimension>(x: ndarray::Array<f64, D>) -> ndarray::Array<f64, D> {
    x.mapv_into(|v| v.max(0.0))
}

/// A convolution with padding of zeros, from sums over views.
fn conv(inputs: &Values, name: &str, x: &Array4<f64>, stride: usize, padding: usize) -> Array4<f64> {
    let (kernel, bias) = (images(inputs, &format!("{name}.kernel")), vector(inputs, &format!("{name}.bias")));
    let (images, channels, height, width) = x.dim();
    let (filters, _, down, across) = kernel.dim();
    let mut padded = Array4::zeros((images, channels, height + 2 * padding, width + 2 * padding));
    padded.slice_mut(s![.., .., padding..padding + height, padding..padding + width]).assign(x);
    let count = |len: usize, taps: usize| (len + 2 * padding - taps) / stride + 1;
    Array4::from_shape_fn((images, filters, count(height, down), count(width, across)), |(b, f, i, j)| {
        let window = padded.slice(s![b, .., i * stride..i * stride + down, j * stride..j * stride + across]);
        (&window * &kernel.index_axis(Axis(0), f)).sum() + bias[f]
    })
}

#[test]
fn digits_by_dense_layers() {
    let expected = |v: &Values| {
        let x = v[DATA].clone().into_dimensionality::<Ix2>().unwrap();
        let h = relu(dense(v, "dense0", &x));
        let h = relu(dense(v, "dense1", &h));
        dense(v, "dense2", &h).into_dyn()
    };
    check(|roles| mlp(roles, 3, &[40, 24, 16, 10]).unwrap(), expected, 1e-3);
}

#[test]
fn lenet_with_either_pooling() {
    for pooling in [Pooling::Max, Pooling::Average] {
        let expected = |v: &Values| {
            let mut x = images(v, DATA);
            for name in ["conv1", "conv2"] {
                x = relu(conv(v, name, &x, 1, 0));
                let (batch, channels, height, width) = x.dim();
                x = Array4::from_shape_fn((batch, channels, height / 2, width / 2), |(b, c, i, j)| {
                    let window = x.slice(s![b, c, 2 * i..2 * i + 2, 2 * j..2 * j + 2]);
                    window.fold(f64::MIN, |m, &v| m.max(v))
                });
            }
            let flat = x.to_shape((2, 800)).unwrap().to_owned();
            dense(v, "dense2", &relu(dense(v, "dense1", &flat))).into_dyn()
        };
        let averaged = |v: &Values| {
            let mut x = images(v, DATA);
            for name in ["conv1", "conv2"] {
                x = conv(v, name, &x, 1, 0);
                let (batch, channels, height, width) = x.dim();
                x = relu(Array4::from_shape_fn((batch, channels, height / 2, width / 2), |(b, c, i, j)| {
                    x.slice(s![b, c, 2 * i..2 * i + 2, 2 * j..2 * j + 2]).mean().unwrap()
                }));
            }
            let flat = x.to_shape((2, 800)).unwrap().to_owned();
            dense(v, "dense2", &relu(dense(v, "dense1", &flat))).into_dyn()
        };
        let expected: &dyn Fn(&Values) -> ArrayD<f64> =
            if pooling == Pooling::Max { &expected } else { &averaged };
        check(|roles| lenet(roles, 2, pooling).unwrap(), expected, 1e-3);
    }
}

#[test]
fn residual_blocks_with_both_shortcuts() {
    for (filters, stride) in [(4, 1), (6, 2)] {
        let block = Block { images: [2, 4, 6, 5], filters, stride };
        let expected = |v: &Values| {
            let x = images(v, DATA);
            let y = conv(v, "conv2", &relu(conv(v, "conv1", &x, stride, 1)), 1, 1);
            relu(y + if stride == 1 { x } else { conv(v, "shortcut", &x, stride, 0) }).into_dyn()
        };
        check(|roles| residual_block(roles, block).unwrap(), expected, 1e-3);
    }
}

#[test]
fn an_encoder_block_is_within_a_hundredth() {
    let sizes = Encoder { batch: 2, length: 5, width: 16, heads: 4, hidden: 24 };
    let Encoder { batch, length, width, heads, .. } = sizes;
    let norm = |v: &Values, name: &str, x: &Array2<f64>| {
        let (scale, shift) = (vector(v, &format!("{name}.scale")), vector(v, &format!("{name}.shift")));
        let mut out = x.clone();
        for mut row in out.rows_mut() {
            let mean = row.mean().unwrap();
            let variance = row.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / width as f64;
            row.mapv_inplace(|v| (v - mean) / (variance + 1e-5).sqrt());
        }
        out * scale + shift
    };
    let attention = |v: &Values, x: &Array2<f64>| {
        let [q, k, u] = ["query", "key", "value"].map(|name| dense(v, name, x));
        let each = width / heads;
        let mut seen = Array2::zeros((length, width));
        for head in 0..heads {
            let part = s![.., head * each..(head + 1) * each];
            let mut scores = q.slice(part).dot(&k.slice(part).t()) / (each as f64).sqrt();
            for mut row in scores.rows_mut() {
                row.mapv_inplace(f64::exp);
                let sum = row.sum();
                row /= sum;
            }
            seen.slice_mut(part).assign(&scores.dot(&u.slice(part)));
        }
        dense(v, "output", &seen)
    };
    let expected = |v: &Values| {
        let x = v[DATA].clone().into_dimensionality::<Ix3>().unwrap();
        let mut out = x.clone();
        for b in 0..batch {
            let x = x.index_axis(Axis(0), b).to_owned();
            let y = &x + &attention(v, &norm(v, "norm1", &x));
            let inner = relu(dense(v, "dense1", &norm(v, "norm2", &y)));
            out.index_axis_mut(Axis(0), b).assign(&(&y + &dense(v, "dense2", &inner)));
        }
        out.into_dyn()
    };
    check(|roles| encoder_block(roles, sizes).unwrap(), expected, 1e-2);
}

#[test]
fn lenet_opens_images_and_kernels_and_truncates_after_pooling() {
    let plan = lenet(roles(2), 8, Pooling::Max).unwrap().plan();
    let ops = |name: &str| plan.ops.iter().filter(move |o| o.op == name).collect::<Vec<_>>();
    let bytes = |name| ops(name).iter().map(|o| (o.rounds, o.online_bytes_per_party / 8)).collect::<Vec<_>>();
    // Not 25 times as much, and no truncation.
    assert_eq!(bytes("conv2d"), [(1, 8 * 28 * 28 + 500), (1, 8 * 20 * 144 + 25_000)]);
    let fused: Vec<_> =
        ops("relu").iter().map(|o| (o.fused_truncation_bits, o.correlations[0].count)).collect();
    assert_eq!(fused, [(16, 8 * 20 * 144), (16, 8 * 50 * 16), (16, 8 * 500)]);
    let games: Vec<usize> = ops("max").iter().map(|o| o.correlations.iter().map(|c| c.count).sum()).collect();
    assert_eq!(games, [3 * 8 * 20 * 144, 3 * 8 * 50 * 16]);
    // Two levels of pooling and a ReLU twice, a ReLU, four products, the last truncation, the end.
    assert_eq!(plan.rounds, 2 * (1 + 8 + 4) + (1 + 4) + (1 + 1) + 2);
}

#[test]
fn attention_opens_its_rows_once() {
    let sizes = Encoder { batch: 1, length: 5, width: 16, heads: 4, hidden: 24 };
    let plan = encoder_block(roles(2), sizes).unwrap().plan();
    let layers: Vec<_> = plan.ops.iter().filter(|o| o.op == "dense").collect();
    let reused: Vec<_> = layers.iter().map(|o| o.reused_factor).collect();
    assert!(
        reused[0].is_some()
            && reused[..3].iter().all(|r| *r == reused[0])
            && reused[3..].iter().all(Option::is_none)
    );
    assert_eq!(layers.iter().map(|o| o.opens_reused_factor).collect::<Vec<_>>()[..3], [true, false, false]);
}
