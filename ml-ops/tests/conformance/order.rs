//! Comparisons and what chooses by them, also with a truncation on the same opening.

use ml_ops::Axis;
use ndarray::arr1;

use crate::{Build, COLUMNS, ROWS, Tolerance};

/// Comparisons, minima and maxima, rectifiers.
pub(super) fn cases() -> Vec<(&'static str, Tolerance, Build)> {
    use Tolerance::{Exact, Factor, Unit};
    vec![
        ("less", Exact, |p, x, y| p.less(x, y)),
        ("less than constant", Exact, |p, x, _| {
            let k = p.number(0.5)?;
            p.less(x, k)
        }),
        ("greater", Exact, |p, x, y| p.greater(x, y)),
        ("less_equal", Exact, |p, x, y| p.less_equal(x, y)),
        ("greater_equal", Exact, |p, x, y| p.greater_equal(x, y)),
        ("compare counts", Exact, |p, x, y| {
            let bits = p.less(x, y)?;
            let votes = p.sum(bits, Axis(1))?;
            let most = p.number(1.5)?;
            p.greater(votes, most)
        }),
        ("select", Exact, |p, x, y| {
            let bit = p.less(x, y)?;
            p.select(bit, x, y)
        }),
        ("select constants", Exact, |p, x, y| {
            let bit = p.less(x, y)?;
            let (a, b) = (p.number(2.5)?, p.number(-1.0)?);
            p.select(bit, a, b)
        }),
        ("select by constant", Exact, |p, x, y| {
            let bit = p.constant(&arr1(&[1.0, 0.0, 1.0]).into_dyn())?;
            p.select(bit, x, y)
        }),
        ("select rows", Exact, |p, x, y| {
            let (a, b) = (p.slice(x, Axis(1), 0..1)?, p.slice(y, Axis(1), 0..1)?);
            let bit = p.less(a, b)?;
            p.select(bit, x, y)
        }),
        ("relu", Exact, |p, x, _| p.relu(x)),
        ("relu of counts", Exact, |p, x, y| {
            let (a, b) = (p.less(x, y)?, p.greater(x, y)?);
            let d = p.sub(a, b)?;
            p.relu(d)
        }),
        ("clamp", Exact, |p, x, _| p.clamp(x, -1.5, 2.25)),
        ("clamp of bits", Exact, |p, x, y| {
            let bits = p.less(x, y)?;
            p.clamp(bits, 0.25, 0.5)
        }),
        ("equal", Exact, |p, x, y| p.equal(x, y)),
        ("equal to constant", Exact, |p, x, _| {
            let k = p.number(16.0)?;
            p.equal(k, x)
        }),
        ("not_equal", Exact, |p, x, y| p.not_equal(x, y)),
        ("equal counts", Exact, |p, x, y| {
            let bits = p.less(x, y)?;
            let (votes, one) = (p.sum(bits, Axis(1))?, p.number(1.0)?);
            p.equal(votes, one)
        }),
        ("minimum", Exact, |p, x, y| p.minimum(x, y)),
        ("minimum by row", Exact, |p, x, y| {
            let y = p.slice(y, Axis(0), 1..2)?;
            p.minimum(x, y)
        }),
        ("maximum", Exact, |p, x, y| p.maximum(x, y)),
        ("maximum with constant", Exact, |p, x, _| {
            let k = p.number(0.25)?;
            p.maximum(k, x)
        }),
        ("maximum of bits", Exact, |p, x, y| {
            let (a, b) = (p.less(x, y)?, p.equal(x, y)?);
            p.maximum(a, b)
        }),
        ("maximum of bit and fixed", Exact, |p, x, y| {
            let bit = p.less(x, y)?;
            p.maximum(bit, y)
        }),
        ("abs", Exact, |p, x, _| p.abs(x)),
        ("abs of counts", Exact, |p, x, y| {
            let (a, b) = (p.less(x, y)?, p.greater(x, y)?);
            let d = p.sub(a, b)?;
            p.abs(d)
        }),
        ("sign", Exact, |p, x, _| p.sign(x)),
        ("sign of differences", Exact, |p, x, y| {
            let d = p.sub(x, y)?;
            p.sign(d)
        }),
        ("relu of product", Unit, |p, x, y| {
            let z = p.mul(x, y)?;
            p.relu(z)
        }),
        ("relu of product through shapes", Unit, |p, x, y| {
            let z = p.mul(x, y)?;
            let z = p.transpose(z)?;
            let z = p.reshape(z, [ROWS * COLUMNS])?;
            let z = p.assume_range(z, 256.0)?;
            p.relu(z)
        }),
        ("relu of dense", Unit, |p, x, y| {
            let w = p.transpose(y)?;
            let b = p.number(0.5)?;
            let z = p.dense(x, w, b)?;
            p.relu(z)
        }),
        ("relu of scaled", Factor(1e-6), |p, x, _| {
            let z = p.scale(x, 0.001)?;
            p.relu(z)
        }),
        ("relu of a product that is used twice", Unit, |p, x, y| {
            let z = p.mul(x, y)?;
            let r = p.relu(z)?;
            p.concat(&[r, z], Axis(0))
        }),
        ("abs of square", Unit, |p, x, _| {
            let z = p.square(x)?;
            p.abs(z)
        }),
        ("abs of product", Unit, |p, x, y| {
            let z = p.mul(x, y)?;
            p.abs(z)
        }),
        ("clamp of product", Unit, |p, x, y| {
            let z = p.mul(x, y)?;
            p.clamp(z, -31.5, 64.0)
        }),
        ("clamp of product to far limits", Unit, |p, x, y| {
            let z = p.mul(x, y)?;
            p.clamp(z, -31.5, 16384.0)
        }),
    ]
}
