//! Cases without comparisons, or with comparisons as operands alone.

use ml_ops::Axis;
use ndarray::{Array2, arr1, arr2};

use crate::{Build, COLUMNS, ROWS, Tolerance};

/// Arithmetic, shapes and approximations.
pub(super) fn cases() -> Vec<(&'static str, Tolerance, Build)> {
    use Tolerance::{Exact, Factor, Unit};
    vec![
        ("add", Exact, |p, x, y| p.add(x, y)),
        ("add row", Exact, |p, x, y| {
            let y = p.slice(y, Axis(0), 2..3)?;
            p.add(x, y)
        }),
        ("add constant", Exact, |p, x, _| {
            let k = p.constant(&arr1(&[0.5, -1.25, 3.0]).into_dyn())?;
            p.add(k, x)
        }),
        ("add bit to fixed", Exact, |p, x, y| {
            let bit = p.less(x, y)?;
            p.add(bit, x)
        }),
        ("add public", Exact, |p, x, _| p.add_public(x, -2.5)),
        ("sub", Exact, |p, x, y| p.sub(x, y)),
        ("sub from constant", Exact, |p, x, _| {
            let k = p.number(1.5)?;
            p.sub(k, x)
        }),
        ("neg", Exact, |p, x, _| p.neg(x)),
        ("mul", Unit, |p, x, y| p.mul(x, y)),
        ("mul column by row", Unit, |p, x, y| {
            let column = p.slice(x, Axis(1), 0..1)?;
            let row = p.slice(y, Axis(0), 0..1)?;
            p.mul(column, row)
        }),
        ("mul constant", Unit, |p, x, _| {
            let k = p.constant(&arr1(&[0.5, -1.25, 3.0]).into_dyn())?;
            p.mul(x, k)
        }),
        ("mul integers", Exact, |p, x, _| {
            let k = p.constant(&arr1(&[2.0, -1.0, 3.0]).into_dyn())?;
            p.mul(k, x)
        }),
        ("mul bits", Exact, |p, x, y| {
            let (a, b) = (p.less(x, y)?, p.greater_equal(x, y)?);
            p.mul(a, b)
        }),
        ("mul bit by fixed", Exact, |p, x, y| {
            let bit = p.less(x, y)?;
            p.mul(bit, y)
        }),
        ("square", Unit, |p, x, _| p.square(x)),
        ("matmul", Unit, |p, x, y| {
            let t = p.transpose(y)?;
            p.matmul(x, t)
        }),
        ("matmul by constant", Unit, |p, x, _| {
            let k = p.constant(&arr2(&[[0.5, 1.5], [-1.25, 0.0], [2.0, 7.5]]).into_dyn())?;
            p.matmul(x, k)
        }),
        ("matmul of integers", Exact, |p, x, _| {
            let k = p.constant(&Array2::from_shape_fn((2, ROWS), |(i, j)| (i + j) as f64).into_dyn())?;
            p.matmul(k, x)
        }),
        ("dense", Unit, |p, x, y| {
            let w = p.transpose(y)?;
            let b = p.reshape(x, [ROWS * COLUMNS])?;
            let b = p.slice(b, Axis(0), 0..ROWS)?;
            p.dense(x, w, b)
        }),
        ("dense with public weights", Unit, |p, x, _| {
            let w = p.constant(&arr2(&[[0.5, 1.5], [-1.25, 0.0], [2.0, 7.5]]).into_dyn())?;
            let b = p.constant(&arr1(&[0.75, -3.0]).into_dyn())?;
            p.dense(x, w, b)
        }),
        ("dense of bits", Exact, |p, x, y| {
            let bits = p.less(x, y)?;
            let w = p.constant(&arr2(&[[3.0], [5.0], [7.0]]).into_dyn())?;
            let b = p.constant(&arr1(&[0.5]).into_dyn())?;
            p.dense(bits, w, b)
        }),
        ("sum of rows", Exact, |p, x, _| p.sum(x, Axis(0))),
        ("sum of columns", Exact, |p, x, _| p.sum(x, Axis(1))),
        ("sum to a number", Exact, |p, x, _| {
            let s = p.sum(x, Axis(0))?;
            p.sum(s, Axis(0))
        }),
        ("mean of fives", Factor(1e-6), |p, x, _| p.mean(x, Axis(0))),
        ("mean of fours", Unit, |p, x, _| {
            let x = p.slice(x, Axis(0), 0..4)?;
            p.mean(x, Axis(0))
        }),
        ("mean of one", Exact, |p, x, _| {
            let x = p.slice(x, Axis(0), 0..1)?;
            p.mean(x, Axis(0))
        }),
        ("mean of bits", Factor(1e-6), |p, x, y| {
            let bits = p.less(x, y)?;
            p.mean(bits, Axis(1))
        }),
        ("scale by integer", Exact, |p, x, _| p.scale(x, -3.0)),
        ("scale by fraction", Factor(1e-6), |p, x, _| p.scale(x, 0.001)),
        ("scale bits", Exact, |p, x, y| {
            let bits = p.greater(x, y)?;
            p.scale(bits, 0.5)
        }),
        ("reshape", Exact, |p, x, _| p.reshape(x, [COLUMNS, ROWS])),
        ("slice", Exact, |p, x, _| p.slice(x, Axis(1), 1..3)),
        ("concat", Exact, |p, x, y| p.concat(&[x, y, x], Axis(1))),
        ("concat with constants and bits", Exact, |p, x, y| {
            let ones = p.constant(&Array2::from_elem((ROWS, 1), 1.0).into_dyn())?;
            let bits = p.less(x, y)?;
            p.concat(&[ones, x, bits], Axis(1))
        }),
        ("transpose", Exact, |p, x, _| p.transpose(x)),
        ("assume_range", Exact, |p, x, _| p.assume_range(x, 16.0)),
    ]
}
