//! Bounds of gradients are true: at whatever inputs of the declared ranges, no node of a gradient that builds leaves its bound.

use mpc_core::fixed::FracBits;
use mpc_core::windows::Sliding;
use ndarray::{ArrayD, Axis};

use crate::builder::{Owner, ProgramBuilder, Value};
use crate::error::ProgramError;
use crate::program::Program;
use crate::reference::{self, Values};
use crate::run_local;

struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }

    fn unit(&mut self) -> f64 {
        self.below(1 << 20) as f64 / f64::from(1 << 19) - 1.0
    }
}

/// One more operation on images of [1, 2, 3, 3].
fn step(p: &mut ProgramBuilder, random: &mut Random, all: &[Value]) -> Result<Value, ProgramError> {
    let [a, b] = [0, 1].map(|_| all[random.below(all.len())]);
    let axis = Axis(1 + random.below(3));
    let kernel = |p: &mut ProgramBuilder, b| {
        let small = p.slice(b, Axis(3), 0..2)?;
        p.reshape(small, [2, 1, 3, 2])
    };
    match random.below(24) {
        0 => p.mul(a, b),
        1 => p.sub(a, b),
        2 => p.square(a),
        3 => p.matmul(a, b),
        4 => {
            let w = kernel(p, b)?;
            let sliding = Sliding { padding: [[1, 1], [0, 1]], ..Sliding::by(1) };
            p.conv2d_grouped(a, w, None, sliding, 2)
        }
        5 => {
            let w = kernel(p, b)?;
            let sliding = Sliding { stride: [2, 1], dilation: [1, 2], padding: [[3, 2], [1, 1]] };
            p.conv2d_grouped(a, w, None, sliding, 2)
        }
        6 => p.max_pool2d(a, [3, 3], Sliding::by(1).padded(1)),
        7 => p.average_pool2d(a, [3, 3], Sliding::by(1).padded(1), true),
        8 => p.softmax(a, axis),
        9 => p.log_softmax(a, axis),
        10 => {
            let numbers = p.slice(b, Axis(2), 0..1)?;
            let row = p.slice(numbers, Axis(1), 0..1)?;
            let row = p.reshape(row, [3])?;
            p.layer_norm(a, row, row, 0.01)
        }
        11 => p.gelu(a),
        12 => p.silu(a),
        13 => p.softplus(a),
        14 => p.elu(a, 0.5 + random.unit().abs()),
        15 => p.erf(a),
        16 => p.exp(a, 2.0 + 2.0 * random.unit()),
        17 => p.log(a, 0.125..),
        18 => p.reciprocal(a, 0.25..=4.0),
        19 => p.sqrt(a),
        20 => p.rsqrt(a, 0.25..),
        21 => p.divide(a, b, 0.5..),
        22 => p.divide_signed(a, b, 0.5),
        _ => {
            let low = p.clamp(a, -1.0, 2.0)?;
            p.tanh(low)
        }
    }
}

/// A program of random operations and their gradient, every node of which is an output.
fn random_gradient(random: &mut Random) -> Result<Program, ProgramError> {
    let frac = FracBits::new([8, 12, 16][random.below(3)]).expect("fraction bits");
    let mut p = Program::builder("random", frac, &["a", "b"]);
    let mut range = || 2f64.powi(random.below(28) as i32 - 3);
    let x = p.input("x", Owner(0), [1, 2, 3, 3], range())?;
    let y = p.input("y", Owner(1), [1, 2, 3, 3], range())?;
    let seed = p.input("seed", Owner(1), [1, 2, 3, 3], range())?;
    let mut all = vec![x, y];
    for _ in 0..1 + random.below(4) {
        all.push(step(&mut p, random, &all)?);
    }
    let last = all[all.len() - 1];
    if p.fact(last)?.shape != p.fact(seed)?.shape {
        return Err(ProgramError::Training { what: "all shapes are the same" });
    }
    let first = p.program.nodes.len();
    p.gradients(&[(last, seed)], &[x, y])?;
    for node in first..p.program.nodes.len() {
        let value = Value { builder: p.id, node: node as u32 };
        if p.fact(value)?.is_secret() {
            p.output(&format!("v{node}"), value, &[0])?;
        }
    }
    p.build()
}

fn inputs(program: &Program, random: &mut Random, which: usize) -> Values {
    let mut value = |limit: f64| match which {
        0 => limit,
        1 => limit * random.unit().signum(),
        2 => 0.0,
        _ => limit * random.unit(),
    };
    let mut array = |i: crate::InputSpec<'_>| {
        (i.name.to_owned(), ArrayD::from_shape_simple_fn(i.shape.dims(), || value(i.max_abs)))
    };
    program.inputs().map(&mut array).collect()
}

#[test]
fn no_derivative_leaves_its_bound() {
    let mut random = Random(29);
    let (mut built, mut refused) = (0, 0);
    for round in 0..400 {
        let program = match random_gradient(&mut random) {
            Ok(program) => program,
            Err(e) => {
                refused += u32::from(matches!(e, ProgramError::Overflow { .. }));
                continue;
            }
        };
        built += 1;
        for which in 0..5 {
            let inputs = inputs(&program, &mut random, which);
            let check = |values: &Values, what: &str| {
                for o in program.outputs() {
                    let fact = program.fact(o.node);
                    let unit = 2f64.powi(-(fact.scale as i32));
                    let (lo, hi) = (fact.lo as f64 * unit, fact.hi as f64 * unit);
                    let outside = values[&o.name].iter().find(|&&v| !(lo..=hi).contains(&v));
                    let node = o.node;
                    assert!(
                        outside.is_none(),
                        "{what}, node {node}: {outside:?}, allowed {lo} to {hi}\n{program}"
                    );
                }
            };
            check(&reference::fixed(&program, &inputs).expect("inputs fit"), "fixed");
            // The dither rounds up as well.
            if built < 8 {
                let runs = run_local(&program, &inputs, [round as u8; 32]).expect("promises hold");
                check(&runs[0].outputs, "secure");
            }
        }
    }
    assert!(built > 120 && refused > 20, "{built} were built, {refused} refused");
}
