//! Random programs of layers, functions, lists of products, choices by secret indices, and loops, on images.

use std::collections::BTreeMap;

use ml_ops::{
    Attention, Axis, Linear, Outside, Owner, Program, ProgramBuilder, ProgramError, Sliding, Value, run_local,
};
use mpc_core::fixed::FracBits;

use crate::{Random, all_within_bounds, corner, within_bounds};

/// Axes of every value: images, channels, height, width.
const IMAGES: [usize; 4] = [2, 2, 4, 4];

/// What operations are made of.
struct Pool {
    /// Of the shape of images.
    all: Vec<Value>,
    /// Numbers of classes, \[2, 2, 4\], some of which are none.
    indices: Value,
}

/// The first element of every axis but some of one.
fn vector(p: &mut ProgramBuilder, x: Value, axis: usize, len: usize) -> Result<Value, ProgramError> {
    let mut x = x;
    for other in 0..4 {
        x = p.slice(x, Axis(other), 0..if other == axis { len } else { 1 })?;
    }
    p.reshape(x, [len])
}

/// The upper left corner of a value as a kernel.
fn kernel(p: &mut ProgramBuilder, x: Value, axes: [usize; 4]) -> Result<Value, ProgramError> {
    axes.into_iter().enumerate().try_fold(x, |x, (axis, len)| p.slice(x, Axis(axis), 0..len))
}

/// A convolution that keeps the axes.
fn convolution(
    p: &mut ProgramBuilder,
    random: &mut Random,
    a: Value,
    b: Value,
) -> Result<Value, ProgramError> {
    let bias = match random.below(2) {
        0 => None,
        _ => Some(vector(p, a, 1, 2)?),
    };
    match random.below(4) {
        0 => {
            let w = kernel(p, b, [2, 1, 3, 3])?;
            p.conv2d_grouped(a, w, bias, Sliding::by(1).padded(1), 2)
        }
        1 => {
            let w = kernel(p, b, [2, 2, 2, 2])?;
            p.conv2d(a, w, bias, Sliding::by(1).dilated(2).padded(1))
        }
        2 => {
            let w = kernel(p, b, [2, 2, 2, 2])?;
            let small = p.conv2d(a, w, bias, Sliding::by(2))?;
            p.pad(small, &[0, 0, 1, 1], &[0, 0, 1, 1], random.unit() * 4.0)
        }
        _ => {
            let w = kernel(p, b, [2, 2, 3, 3])?;
            p.conv2d(a, w, bias, Sliding::by(1).padded(1))
        }
    }
}

fn layer(p: &mut ProgramBuilder, random: &mut Random, a: Value, b: Value) -> Result<Value, ProgramError> {
    let sliding = Sliding::by(1).padded(1);
    match random.below(9) {
        0 | 1 => convolution(p, random, a, b),
        2 => p.max_pool2d(a, [3, 3], sliding),
        3 => p.average_pool2d(a, [3, 3], sliding, random.below(2) == 0),
        4 => {
            let pooled = p.global_average_pool(a)?;
            p.mul(b, pooled)
        }
        5 => {
            let pooled = p.global_max_pool(a)?;
            p.sub(b, pooled)
        }
        6 => {
            let (scale, shift) = (vector(p, a, 1, 2)?, vector(p, b, 1, 2)?);
            p.batch_norm(a, scale, shift)
        }
        7 => {
            let (scale, shift) = (vector(p, a, 3, 4)?, vector(p, b, 3, 4)?);
            p.layer_norm(a, scale, shift, [1e-5, 1e-3, 1.0][random.below(3)])
        }
        _ => attention(p, random, a, b),
    }
}

/// Attention over eight places of width four.
fn attention(p: &mut ProgramBuilder, random: &mut Random, a: Value, b: Value) -> Result<Value, ProgramError> {
    let places = p.reshape(a, [2, 8, 4])?;
    let matrix = kernel(p, b, [1, 1, 4, 4])?;
    let weights = p.reshape(matrix, [4, 4])?;
    let linear = Linear { weights, bias: vector(p, b, 3, 4)? };
    let heads = [1, 2, 4][random.below(3)];
    let all = Attention {
        heads,
        query: linear,
        key: linear,
        value: linear,
        output: linear,
        mask: None,
        promised: None,
    };
    let seen = p.multi_head_attention(places, &all)?;
    p.reshape(seen, IMAGES)
}

fn function(p: &mut ProgramBuilder, random: &mut Random, a: Value, b: Value) -> Result<Value, ProgramError> {
    let low = 2f64.powi(random.below(10) as i32 - 6);
    let range = low..low * 2f64.powi(random.below(8) as i32 + 1);
    match random.below(22) {
        0 => p.exp(a, random.unit() * 4.0 + 2.0),
        1 => p.exp_negative(a),
        2 => p.log(a, range),
        3 => p.reciprocal(a, range),
        4 => p.sqrt(a),
        5 => p.rsqrt(a, range),
        6 => p.divide(a, b, range),
        7 => p.divide_signed(a, b, low),
        8 => p.sigmoid(a),
        9 => p.tanh(a),
        10 => p.gelu(a),
        11 => p.silu(a),
        12 => p.elu(a, 0.75),
        13 => p.softplus(a),
        14 => p.erf(a),
        15 => p.sigmoid_training(a),
        16 => p.leaky_relu(a, 0.125),
        17 => p.hard_swish(a),
        18 => {
            let bounded = p.hard_sigmoid(a)?;
            let other = p.hard_tanh(b)?;
            p.mul(bounded, other)
        }
        19 => p.softmax(a, Axis(random.below(4))),
        20 => p.log_softmax(a, Axis(random.below(4))),
        _ => {
            let size = p.norm(a, Axis(3))?;
            let size = p.reshape(size, [2, 2, 4, 1])?;
            p.sub(b, size)
        }
    }
}

/// Products of lists of matrices, choices, and moves.
fn other(
    p: &mut ProgramBuilder,
    random: &mut Random,
    pool: &Pool,
    a: Value,
    b: Value,
) -> Result<Value, ProgramError> {
    match random.below(16) {
        0 => p.matmul(a, b),
        1 => {
            let turned = p.permute(b, &[0, 1, 3, 2])?;
            p.matmul(a, turned)
        }
        2 => {
            let one = p.slice(b, Axis(random.below(2)), 1..2)?;
            p.matmul(one, a)
        }
        3 => p.gather(a, Axis(random.below(2)), &[1, 1]),
        4 => p.gather(a, Axis(2 + random.below(2)), &[3, 0, 3, 1]),
        5 => p.one_hot(pool.indices, 4),
        6 => {
            let table = kernel(p, a, [1, 2, 4, 4])?;
            let table = p.reshape(table, [8, 4])?;
            p.embedding(pool.indices, table)
        }
        7 => {
            let column = p.slice(b, Axis(random.below(4)), 0..1)?;
            p.mul(a, column)
        }
        8 => {
            let (top, bottom) = (p.slice(a, Axis(0), 0..1)?, p.slice(b, Axis(0), 1..2)?);
            p.concat(&[top, bottom], Axis(0))
        }
        9 => {
            let windows = p.unfold(a, [2, 2], Sliding::by(2), Outside::Zero)?;
            p.reshape(windows, IMAGES)
        }
        10 => {
            let flat = p.flatten(a, Axis(1))?;
            let flat = p.relu(flat)?;
            p.reshape(flat, IMAGES)
        }
        11 => p.weighted_sum(&[(a, random.unit()), (b, random.unit() * 3.0)]),
        12 => {
            let bit = p.less(a, b)?;
            p.select(bit, a, b)
        }
        13 => p.square(a),
        14 => p.sub(a, b),
        _ => {
            let limit = 2f64.powi(random.below(10) as i32 - 4);
            p.clamp(a, -limit, limit)
        }
    }
}

fn step(p: &mut ProgramBuilder, random: &mut Random, pool: &Pool) -> Result<Value, ProgramError> {
    let (a, b) = (random.pick(&pool.all), random.pick(&pool.all));
    match random.below(3) {
        0 => layer(p, random, a, b),
        1 => function(p, random, a, b),
        _ => other(p, random, pool, a, b),
    }
}

/// A loop whose iterations take half of a value, and leave something within a range that it declares.
fn repeated(p: &mut ProgramBuilder, random: &mut Random, pool: &Pool) -> Result<Value, ProgramError> {
    let bound = 2f64.powi(random.below(8) as i32 - 2);
    let (rows, data) = (random.pick(&pool.all), random.pick(&pool.all));
    let initial = p.clamp(rows, -bound, bound)?;
    let (times, mut seen) = (2 + random.below(3) as u32, None);
    let left = p.repeat(times, &[(initial, bound)], |p, carried| {
        // What is refused leaves the loop as it is.
        let batch = p.batch(data, 1)?;
        let mut inner = Pool { all: vec![carried[0], data], indices: pool.indices };
        if let Ok(met) = p.mul(carried[0], batch) {
            inner.all.push(met);
        }
        for _ in 0..3 {
            if let Ok(v) = step(p, random, &inner) {
                inner.all.push(v);
            }
        }
        let last = inner.all[inner.all.len() - 1];
        seen = Some(last);
        Ok(vec![p.clamp(last, -bound, bound).unwrap_or(carried[0])])
    })?;
    if let Some(all) = seen.and_then(|seen| p.history(seen, 1).ok()) {
        let sums = p.sum(all, Axis(0))?;
        return p.sub(left[0], sums);
    }
    Ok(left[0])
}

/// A program of random operations, every value of which is an output; how often an operation was refused for its bounds, and how
/// often each was built.
fn random_program(random: &mut Random, built: &mut BTreeMap<&'static str, usize>) -> (Program, u32) {
    let frac = [16, 16, 8, 24][random.below(4)];
    let mut p = Program::builder("random", FracBits::new(frac).unwrap(), &["a", "b"]);
    let range = |random: &mut Random| 2f64.powi(random.below(20) as i32 - 6) * (1.0 + random.unit().abs());
    let x = p.input("x", Owner(0), IMAGES, range(random)).unwrap();
    let y = p.input("y", Owner(1), IMAGES, range(random)).unwrap();
    let indices = p.integers("n", Owner(1), [2, 2, 4], 9.0).unwrap();
    let (mut pool, mut refused) = (Pool { all: vec![x, y], indices }, 0);
    for turn in 0..24 {
        let made = if turn % 8 == 5 { repeated(&mut p, random, &pool) } else { step(&mut p, random, &pool) };
        match made {
            Ok(v) => pool.all.push(v),
            Err(ProgramError::Overflow { .. } | ProgramError::FactorPrecision { .. }) => refused += 1,
            // Functions with no room, ranges beyond the operand's: nothing to learn from.
            Err(_) => {}
        }
        if pool.all.len() == 10 {
            break;
        }
    }
    for (i, &v) in pool.all.iter().enumerate() {
        p.output(&format!("v{i}"), v, &[0]).unwrap();
    }
    let program = p.build().unwrap();
    for node in program.nodes() {
        *built.entry(node.op.name()).or_default() += 1;
    }
    *built.entry("repeat").or_default() += program.loops().len();
    (program, refused)
}

#[test]
fn no_value_of_a_layer_a_function_or_a_loop_leaves_its_inferred_bound() {
    let (mut random, mut refused, mut built) = (Random(71), 0, BTreeMap::new());
    for round in 0..400 {
        let (program, of) = random_program(&mut random, &mut built);
        refused += of;
        for which in 0..6 {
            let inputs = corner(&program, &mut random, which);
            all_within_bounds(&program, &inputs);
            // The dither rounds up as well.
            if round < 6 {
                let secure = run_local(&program, &inputs, [round as u8; 32]).unwrap().remove(0).outputs;
                within_bounds(&program, &secure, "secure");
            }
        }
    }
    // The generator goes to the limits, where the way is refused, and everywhere.
    assert!(refused > 100, "{refused} operations were refused");
    for op in [
        "conv2d",
        "unfold",
        "max",
        "mean",
        "matmul",
        "dense",
        "gather",
        "equal",
        "history",
        "batch",
        "carried",
        "repeat",
        "weighted_sum",
        "select",
        "divide",
        "sigmoid",
        "tanh",
        "gelu",
        "silu",
        "elu",
        "softplus",
        "erf",
        "exp",
        "log",
        "reciprocal",
        "sqrt",
        "rsqrt",
        "exp_negative",
        "sigmoid_training",
        "pad",
        "permute",
    ] {
        assert!(built.get(op).is_some_and(|&n| n >= 5), "{op}: {built:?}");
    }
}

#[test]
fn zeros_beside_an_image_are_among_its_values() {
    let mut p = Program::builder("padding", FracBits::DEFAULT, &["a", "b"]);
    let x = p.input("x", Owner(0), IMAGES, 8.0).unwrap();
    let w = p.input("w", Owner(1), [2, 2, 3, 3], 1.0).unwrap();
    let positive = |p: &mut ProgramBuilder, v: Value| {
        let size = p.abs(v).unwrap();
        p.add_public(size, 1.0).unwrap()
    };
    let (x, w) = (positive(&mut p, x), positive(&mut p, w));
    let range = |p: &ProgramBuilder, v: Value| {
        let fact = p.fact(v).unwrap();
        [fact.lo, fact.hi].map(|v| v as f64 / 2f64.powi(fact.scale as i32))
    };
    assert_eq!(range(&p, x), [1.0, 9.0]);
    let (plain, padded) = (Sliding::by(1), Sliding::by(1).padded(1));
    let windows = |p: &mut ProgramBuilder, sliding, outside| {
        let seen = p.unfold(x, [2, 2], sliding, outside).unwrap();
        range(p, seen)
    };
    assert_eq!(windows(&mut p, plain, Outside::Zero), [1.0, 9.0]);
    assert_eq!(windows(&mut p, padded, Outside::Nearest), [1.0, 9.0]);
    assert_eq!(windows(&mut p, padded, Outside::Zero), [0.0, 9.0]);
    let (inside, all) = (p.conv2d(x, w, None, plain).unwrap(), p.conv2d(x, w, None, padded).unwrap());
    assert_eq!((range(&p, inside), range(&p, all)), ([18.0, 324.0], [0.0, 324.0]));
}
