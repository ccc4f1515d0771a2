//! Random programs of arithmetic, comparisons and ranks on matrices.

use ml_ops::{Axis, Direction, Owner, Program, ProgramBuilder, ProgramError, Value, run_local};
use mpc_core::fixed::FracBits;
use ndarray::arr1;

use crate::{Random, all_within_bounds, corner, within_bounds};

/// One more operation on 3×3 matrices; those on bits take the last comparison.
fn step(
    p: &mut ProgramBuilder,
    random: &mut Random,
    all: &[Value],
    bits: &[Value],
) -> Result<Value, ProgramError> {
    let (a, b) = (random.pick(all), random.pick(all));
    let (bit, axis) = (random.pick(bits), Axis(random.below(2)));
    let scale = 2f64.powi(random.below(14) as i32 - 6);
    let whole = |p: &mut ProgramBuilder, row: Value| {
        let flat = p.reshape(row, [1, 3])?;
        let three = p.concat(&[flat, flat, flat], Axis(0))?;
        p.reshape(three, [3, 3])
    };
    match random.below(36) {
        0 => p.add(a, b),
        1 => p.sub(a, b),
        2 => p.neg(a),
        3 => p.mul(a, b),
        4 => p.square(a),
        5 => p.matmul(a, b),
        6 => {
            let bias = p.slice(b, Axis(0), 1..2)?;
            let bias = p.reshape(bias, [3])?;
            p.dense(a, b, bias)
        }
        7 => {
            let row = p.sum(a, axis)?;
            whole(p, row)
        }
        8 => {
            let row = p.mean(a, axis)?;
            whole(p, row)
        }
        9 => p.scale(a, random.unit() * scale),
        10 => p.scale(a, (random.unit() * 20.0).round()),
        11 => p.add_public(a, random.unit() * scale + scale),
        12 => {
            let values = arr1(&[0.0, 1.0 + scale, -2.5 * scale]).into_dyn();
            let row = p.constant(&values)?;
            p.mul(a, row)
        }
        13 => p.transpose(a),
        14 => p.gather(a, axis, &[2, 0, 2]),
        15 => {
            let sides = p.split(a, bit)?;
            let start = random.below(4);
            p.slice(sides, Axis(1), start..start + 3)
        }
        16 => p.minimum(a, b),
        17 => p.maximum(a, b),
        18 => p.abs(a),
        19 => p.sign(a),
        20 => {
            let row = p.max(a, axis)?;
            whole(p, row)
        }
        21 => {
            let row = p.argmin(a, axis)?;
            whole(p, row)
        }
        22 => p.argmax_one_hot(a, axis),
        23 => p.sort(a, axis, Direction::Descending),
        24 => Ok(p.top_k_with(a, b, 3, axis, Direction::Ascending)?.1),
        25 => p.select(bit, a, b),
        26 => p.relu(a),
        27 => {
            let (lo, hi) = (random.unit() * scale, random.unit() * scale);
            p.clamp(a, lo.min(hi), lo.max(hi))
        }
        28 => p.sigmoid(a),
        29 => p.tanh(a),
        30 => p.mul(bit, a),
        31 => {
            let other = random.pick(bits);
            let sum = p.add(bit, other)?;
            p.sub(sum, a)
        }
        32 => {
            let one = p.number(1.0)?;
            p.sub(one, a)
        }
        33 => {
            let top = p.slice(a, Axis(0), 0..2)?;
            let bottom = p.slice(b, Axis(0), 2..3)?;
            p.concat(&[top, bottom], Axis(0))
        }
        34 => {
            // A square less a product, as in variances.
            let (square, product) = (p.square(a)?, p.mul(a, a)?);
            p.sub(square, product)
        }
        _ => {
            // True by construction.
            let low = p.clamp(a, -scale, scale)?;
            p.assume_range(low, scale)
        }
    }
}

/// A program of random operations, every value of which is an output, and how often an operation was refused for its bounds.
fn random_program(random: &mut Random) -> (Program, u32) {
    let frac = [8, 16, 24][random.below(3)];
    let mut p = Program::builder("random", FracBits::new(frac).unwrap(), &["a", "b"]);
    let range = |random: &mut Random| 2f64.powi(random.below(30) as i32 - 3) * (1.0 + random.unit().abs());
    let x = p.input("x", Owner(0), [3, 3], range(random)).unwrap();
    let y = p.input("y", Owner(1), [3, 3], range(random)).unwrap();
    let n = p.integers("n", Owner(1), [3, 3], (range(random) + 1.0).floor()).unwrap();
    let (mut all, mut refused) = (vec![x, y, n], 0);
    let mut bits = vec![p.less(x, y).unwrap(), p.equal(x, n).unwrap()];
    while all.len() < 16 {
        match step(&mut p, random, &all, &bits) {
            Ok(v) => all.push(v),
            Err(ProgramError::Overflow { .. } | ProgramError::FactorPrecision { .. }) => refused += 1,
            // Operands that are public, factors that vanish: nothing to learn from.
            Err(_) => {}
        }
        if let (true, Ok(bit)) = (random.below(3) == 0, p.less_equal(random.pick(&all), random.pick(&all))) {
            bits.push(bit);
        }
    }
    for (i, &v) in all.iter().chain(&bits).enumerate() {
        p.output(&format!("v{i}"), v, &[0]).unwrap();
    }
    (p.build().unwrap(), refused)
}

#[test]
fn no_value_leaves_its_inferred_bound() {
    let mut random = Random(17);
    let mut refused = 0;
    for round in 0..400 {
        let (program, of) = random_program(&mut random);
        refused += of;
        for which in 0..6 {
            let inputs = corner(&program, &mut random, which);
            all_within_bounds(&program, &inputs);
            // The dither rounds up as well.
            if round < 12 {
                let secure = run_local(&program, &inputs, [round as u8; 32]).unwrap().remove(0).outputs;
                within_bounds(&program, &secure, "secure");
            }
        }
    }
    // The generator goes to the limits, where the way is refused.
    assert!(refused > 200, "{refused} operations were refused");
}
