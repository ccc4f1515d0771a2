//! Arithmetic on constants.

use ndarray::{ArrayD, Axis, IxDyn, Zip};

use super::constant::{Kind, Numbers, broadcast, elements};

/// f of every element.
pub(super) fn unary(x: &Numbers, kind: Kind, f: impl Fn(f64) -> f64) -> Numbers {
    Numbers::new(kind, x.values.map(|&v| f(v)))
}

/// f of every pair, broadcasting; the result comes out of the budget.
pub(super) fn binary(
    a: &Numbers,
    b: &Numbers,
    kind: Kind,
    left: &mut usize,
    f: impl Fn(f64, f64) -> f64,
) -> Result<Numbers, String> {
    let shape = broadcast(a.values.shape(), b.values.shape())?;
    spend(&shape, left)?;
    Ok(Numbers::new(kind, zip(&a.values, &b.values, &shape, f)))
}

/// f of every pair of two arrays that broadcast to a shape.
pub(super) fn zip(
    a: &ArrayD<f64>,
    b: &ArrayD<f64>,
    shape: &[usize],
    f: impl Fn(f64, f64) -> f64,
) -> ArrayD<f64> {
    const FITS: &str = "invariant: the common shape was computed from both";
    let (a, b) = (a.broadcast(IxDyn(shape)).expect(FITS), b.broadcast(IxDyn(shape)).expect(FITS));
    Zip::from(&a).and(&b).map_collect(|&a, &b| f(a, b))
}

/// The kind of a sum or product.
pub(super) const fn wider(a: Kind, b: Kind) -> Kind {
    match (a, b) {
        (Kind::Real, _) | (_, Kind::Real) => Kind::Real,
        _ => Kind::Integer,
    }
}

/// a / b; integers are divided towards zero.
pub(super) fn quotient(kind: Kind) -> impl Fn(f64, f64) -> f64 {
    move |a, b| if kind == Kind::Real { a / b } else { (a / b).trunc() }
}

/// Takes the elements of a new constant out of the budget.
pub(super) fn spend(shape: &[usize], left: &mut usize) -> Result<usize, String> {
    let n = elements(shape, *left).ok_or_else(|| {
        format!("a constant of shape {shape:?} is more than all constants may have together")
    })?;
    *left -= n;
    Ok(n)
}

/// Reduces axes one after the other; they stay with length 1.
pub(super) fn reduce(x: &ArrayD<f64>, axes: &[usize], f: impl Fn(&[f64]) -> f64) -> ArrayD<f64> {
    let mut x = x.clone();
    for &axis in axes {
        let reduced = x.map_axis(Axis(axis), |lane| f(&lane.to_vec()));
        x = reduced.insert_axis(Axis(axis));
    }
    x
}

/// The matrix product of two matrices.
pub(super) fn matmul(a: &ArrayD<f64>, b: &ArrayD<f64>) -> Result<ArrayD<f64>, String> {
    let matrix = |x: &ArrayD<f64>| {
        x.clone()
            .into_dimensionality::<ndarray::Ix2>()
            .map_err(|_| "only matrices of constants are multiplied".to_owned())
    };
    let (a, b) = (matrix(a)?, matrix(b)?);
    if a.ncols() != b.nrows() {
        return Err(format!("matrices {:?} and {:?} do not fit", a.shape(), b.shape()));
    }
    Ok(a.dot(&b).into_dyn())
}

/// Largest magnitude.
pub(super) fn max_abs(x: &ArrayD<f64>) -> f64 {
    x.iter().fold(0.0, |m, v| f64::max(m, v.abs()))
}

/// Refuses what is not a finite number.
pub(super) fn finite(x: &ArrayD<f64>) -> Result<(), String> {
    match x.iter().find(|v| !v.is_finite()) {
        Some(v) => Err(format!("a parameter is {v}")),
        None => Ok(()),
    }
}
