//! Functions of every element.

use crate::{Build, Tolerance};

/// Functions, with the units that truncations take and the error of the fit.
pub(super) fn cases() -> Vec<(&'static str, Tolerance, Build)> {
    use Tolerance::Function;
    vec![
        ("sigmoid", Function(1.5, 4.72e-5), |p, x, _| p.sigmoid(x)),
        ("sigmoid of bits", Function(1.5, 4.72e-5), |p, x, y| {
            let bits = p.less(x, y)?;
            p.sigmoid(bits)
        }),
        ("exp", Function(6.0, 2.5e-4 * 8.0), |p, x, _| p.exp(x, 2.0)),
        ("exp of a square", Function(6.0, 2.5e-4), |p, x, _| {
            let x = p.square(x)?;
            let x = p.neg(x)?;
            p.exp(x, 0.0)
        }),
        ("log", Function(6.0, 2.5e-4), |p, x, _| p.log(x, 0.25..)),
        ("log of a range", Function(6.0, 2.5e-4), |p, x, _| p.log(x, 0.25..=4.0)),
        ("reciprocal", Function(6.0, 1e-3), |p, x, _| p.reciprocal(x, 0.125..)),
        ("sqrt", Function(6.0, 5e-4), |p, x, _| p.sqrt(x)),
        ("rsqrt", Function(6.0, 1e-3), |p, x, _| p.rsqrt(x, 0.0625..=9.0)),
        ("divide", Function(12.0, 2.5e-4), |p, x, y| {
            let x = p.clamp(x, -1.0, 1.0)?;
            p.divide(x, y, 0.5..)
        }),
        ("divide a number", Function(12.0, 1e-3), |p, _, y| {
            let one = p.number(1.5)?;
            p.divide(one, y, 0.5..=8.0)
        }),
        ("divide bits by a column", Function(12.0, 2.5e-4), |p, x, y| {
            let bits = p.less(x, y)?;
            let column = p.slice(y, ndarray::Axis(1), 0..1)?;
            p.divide(bits, column, 1.0..)
        }),
        ("divide, then relu", Function(12.0, 2.5e-4), |p, x, y| {
            let x = p.clamp(x, -1.0, 1.0)?;
            let q = p.divide(x, y, 0.5..)?;
            p.relu(q)
        }),
        ("divide_signed", Function(12.0, 2.5e-4), |p, x, y| {
            let x = p.clamp(x, -1.0, 1.0)?;
            p.divide_signed(x, y, 0.5)
        }),
        ("softmax", Function(30.0, 2f64.powi(-11)), |p, x, _| p.softmax(x, ndarray::Axis(1))),
        ("softmax down", Function(60.0, 2f64.powi(-11)), |p, x, _| p.softmax(x, ndarray::Axis(0))),
        ("log_softmax", Function(30.0, 2f64.powi(-11)), |p, x, _| p.log_softmax(x, ndarray::Axis(1))),
        ("norm", Function(12.0, 4e-3), |p, x, _| p.norm(x, ndarray::Axis(1))),
        ("one_hot", Tolerance::Exact, |p, x, _| {
            let index = p.argmax(x, ndarray::Axis(1))?;
            p.one_hot(index, 3)
        }),
        ("embedding", Tolerance::Exact, |p, x, y| {
            let index = p.argmax(x, ndarray::Axis(0))?;
            p.embedding(index, y)
        }),
        ("embedding of a public table", Tolerance::Exact, |p, x, _| {
            let index = p.argmax(x, ndarray::Axis(0))?;
            let table = ndarray::Array2::from_shape_fn((4, 2), |(i, j)| (i * 2 + j) as f64 / 4.0);
            let table = p.constant(&table.into_dyn())?;
            p.embedding(index, table)
        }),
        ("tanh", Function(2.0, 9.45e-5), |p, x, _| p.tanh(x)),
    ]
}
