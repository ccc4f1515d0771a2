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
        ("tanh", Function(2.0, 9.45e-5), |p, x, _| p.tanh(x)),
    ]
}
