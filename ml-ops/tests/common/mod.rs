//! Programs that several tests use.

use ml_ops::{Axis, Direction, Owner, Program, ProgramError, Sliding};
use mpc_core::fixed::FracBits;
use ndarray::{Array2, arr1};

/// A program with every operation.
pub(crate) fn every_op(parties: usize) -> Program {
    build_every_op(parties).expect("a valid program")
}

fn build_every_op(parties: usize) -> Result<Program, ProgramError> {
    let names = &["bank", "bureau", "telecom", "employer", "utility"][..parties];
    let mut p = Program::builder("every operation", FracBits::DEFAULT, names);
    let x = p.input("x", Owner(0), [4, 3], 8.0)?;
    let y = p.input("y", Owner(1), [4, 3], 8.0)?;
    let w = p.weights("w", Owner(0), [3, 2], 4.0)?;
    let b = p.weights("b", Owner(0), [2], 4.0)?;
    let row = p.constant(&arr1(&[0.5, -1.25, 2.0]).into_dyn())?;
    let table = p.constant(&Array2::from_shape_fn((4, 3), |(i, j)| (3 * i + j) as f64).into_dyn())?;
    let sum = p.add(x, row)?;
    let difference = p.sub(sum, y)?;
    let negative = p.neg(difference)?;
    let product = p.mul(negative, y)?;
    let weighted = p.mul(product, row)?;
    let counted = p.mul(x, table)?;
    let square = p.square(x)?;
    let mean = p.mean(square, Axis(0))?;
    let scaled = p.scale(mean, 0.3)?;
    let centred = p.sub(x, scaled)?;
    let h = p.dense(centred, w, b)?;
    let h = p.assume_range(h, 16.0)?;
    let relu = p.relu(h)?;
    let clamped = p.clamp(h, -2.0, 2.5)?;
    let s = p.sigmoid(h)?;
    let mut bent = s;
    let functions =
        [p.tanh(h)?, p.gelu(h)?, p.silu(h)?, p.elu(h, 0.75)?, p.softplus(h)?, p.erf(h)?, p.exp_negative(h)?];
    let training = p.sigmoid_training(clamped)?;
    for function in functions.into_iter().chain([training]) {
        bent = p.add(bent, function)?;
    }
    let curves = [
        p.exp(h, 2.0)?,
        p.log(h, 0.5..)?,
        p.reciprocal(h, 0.5..=8.0)?,
        p.sqrt(h)?,
        p.rsqrt(h, 0.5..)?,
        p.divide(h, relu, 0.5..)?,
    ];
    let curves = p.concat(&curves, Axis(0))?;
    let less = p.less(x, y)?;
    let greater = p.greater(x, y)?;
    let le = p.less_equal(x, row)?;
    let ge = p.greater_equal(x, row)?;
    let both = p.mul(less, le)?;
    let either = p.add(greater, ge)?;
    let votes = p.add(both, either)?;
    let chosen = p.select(less, counted, weighted)?;
    let wide = p.concat(&[relu, clamped, bent], Axis(1))?;
    let part = p.slice(wide, Axis(1), 1..5)?;
    let t = p.transpose(part)?;
    let again = p.matmul(t, chosen)?;
    let flat = p.reshape(again, [12])?;
    let total = p.sum(votes, Axis(1))?;
    let (same, other) = (p.equal(x, y)?, p.not_equal(x, row)?);
    let (low, high) = (p.minimum(x, y)?, p.maximum(x, row)?);
    let (size, sign) = (p.abs(low)?, p.sign(high)?);
    let (least, best) = (p.min(size, Axis(0))?, p.max(size, Axis(1))?);
    let (last, first) = (p.argmin(x, Axis(0))?, p.argmax(y, Axis(0))?);
    let (hot, cold) = (p.argmax_one_hot(x, Axis(1))?, p.argmin_one_hot(x, Axis(1))?);
    let sorted = p.sort(x, Axis(0), Direction::Ascending)?;
    let top = p.top_k(y, 2, Axis(0), Direction::Descending)?;
    let (keys, beside) = p.top_k_with(x, y, 3, Axis(0), Direction::Descending)?;
    let rows = [same, other, sign, hot, cold, sorted, top, keys, beside];
    let ranks = p.concat(&rows, Axis(0))?;
    let ends = p.concat(&[least, best, last, first], Axis(0))?;
    let picked = p.gather(x, Axis(1), &[1, 0, 1])?;
    let sides = p.split(picked, less)?;
    p.output("sides", sides, &[0])?;
    let image = p.reshape(top, [1, 1, 2, 3])?;
    let kernel = p.reshape(w, [2, 1, 1, 3])?;
    let same = Sliding { padding: [[0, 0], [1, 1]], ..Sliding::by(1) };
    let plain = p.conv2d(image, kernel, None, same)?;
    let image = p.max_pool2d(plain, [2, 2], Sliding::by(1))?;
    let image = p.pad(image, &[0; 4], &[0, 0, 1, 0], -0.5)?;
    let again = p.conv2d_grouped(image, kernel, Some(b), Sliding::by(2).padded(2), 2)?;
    let image = p.permute(again, &[0, 2, 3, 1])?;
    let pooled = p.average_pool2d(image, [1, 2], Sliding::by(1).padded(1), true)?;
    let maps = p.flatten(pooled, Axis(1))?;
    p.output("maps", maps, &[1])?;
    p.output("curves", curves, &[0])?;
    p.output("ranks", ranks, &[1])?;
    p.output("ends", ends, &[1])?;
    p.output("flat", flat, &[0])?;
    p.output("votes", total, &(0..parties).collect::<Vec<_>>())?;
    p.build()
}
