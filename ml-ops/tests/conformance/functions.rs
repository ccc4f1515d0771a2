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
        ("tanh", Function(2.0, 9.45e-5), |p, x, _| p.tanh(x)),
    ]
}
