//! Functions of every element.

use crate::{Build, Tolerance};

/// Functions, with the units that truncations take and the error of the fit.
pub(super) fn cases() -> Vec<(&'static str, Tolerance, Build)> {
    use Tolerance::{Exact, Factor, Function};
    vec![
        ("sigmoid", Function(1.5, 4.72e-5), |p, x, _| p.sigmoid(x)),
        ("sigmoid of bits", Function(1.5, 4.72e-5), |p, x, y| {
            let bits = p.less(x, y)?;
            p.sigmoid(bits)
        }),
        ("tanh", Function(2.0, 9.45e-5), |p, x, _| p.tanh(x)),
        ("gelu", Function(2.0, 5.13e-5), |p, x, _| p.gelu(x)),
        ("silu", Function(2.0, 1.229e-4), |p, x, _| p.silu(x)),
        ("silu of a sum of bits", Function(2.0, 1.229e-4), |p, x, y| {
            let (a, b) = (p.less(x, y)?, p.equal(x, y)?);
            let sum = p.add(a, b)?;
            p.silu(sum)
        }),
        ("elu", Function(2.0, 2.64e-5), |p, x, _| p.elu(x, 1.0)),
        ("elu of a quarter", Function(2.0, 0.66e-5), |p, x, _| p.elu(x, 0.25)),
        ("softplus", Function(2.0, 4.43e-5), |p, x, _| p.softplus(x)),
        ("erf", Function(2.0, 4.69e-5), |p, x, _| p.erf(x)),
        ("exp_negative", Function(2.0, 2.64e-5), |p, x, _| p.exp_negative(x)),
        ("gelu where little room is left", Function(6.0, 5.13e-5), |p, x, _| {
            // As large as a bound may be at 16 fraction bits: coefficients have 20.
            let wide = p.scale(x, f64::from(1 << 19))?;
            let none = p.sub(wide, wide)?;
            let x = p.add(x, none)?;
            p.gelu(x)
        }),
        ("leaky_relu", Factor(1e-6), |p, x, _| p.leaky_relu(x, 0.01)),
        ("leaky_relu of an integer slope", Exact, |p, x, _| p.leaky_relu(x, -2.0)),
        ("hard_sigmoid", Factor(1e-6), |p, x, _| p.hard_sigmoid(x)),
        ("hard_swish", Function(4.0, 0.0), |p, x, _| p.hard_swish(x)),
        ("hard_tanh", Exact, |p, x, _| p.hard_tanh(x)),
    ]
}
