//! Extremes along an axis and sorts.

use ml_ops::{Axis, Direction};

use crate::{Build, Tolerance};

/// Tournaments and sorts, all exact.
pub(super) fn cases() -> Vec<(&'static str, Tolerance, Build)> {
    use Direction::{Ascending, Descending};
    let cases: Vec<(&'static str, Build)> = vec![
        ("max of columns", |p, x, _| p.max(x, Axis(0))),
        ("max of rows", |p, x, _| p.max(x, Axis(1))),
        ("min of columns", |p, x, _| p.min(x, Axis(0))),
        ("min of a vector", |p, x, _| {
            let x = p.reshape(x, [15])?;
            p.min(x, Axis(0))
        }),
        ("max in the middle", |p, x, y| {
            let both = p.concat(&[x, y], Axis(0))?;
            let cube = p.reshape(both, [2, 5, 3])?;
            p.max(cube, Axis(1))
        }),
        ("max of one", |p, x, _| {
            let x = p.slice(x, Axis(0), 3..4)?;
            p.max(x, Axis(0))
        }),
        ("max of bits", |p, x, y| {
            let bits = p.less(x, y)?;
            p.max(bits, Axis(1))
        }),
        ("argmax of columns", |p, x, _| p.argmax(x, Axis(0))),
        ("argmax of rows", |p, _, y| p.argmax(y, Axis(1))),
        ("argmin of columns", |p, x, _| p.argmin(x, Axis(0))),
        ("argmax of equals", |p, x, y| {
            let bits = p.less_equal(x, y)?;
            p.argmax(bits, Axis(0))
        }),
        ("argmin of one", |p, x, _| {
            let x = p.slice(x, Axis(1), 1..2)?;
            p.argmin(x, Axis(1))
        }),
        ("argmax of two as a bit", |p, x, y| {
            let two = p.slice(x, Axis(1), 0..2)?;
            let second = p.argmax(two, Axis(1))?;
            let second = p.reshape(second, [5, 1])?;
            p.select(second, x, y)
        }),
        ("argmax_one_hot of columns", |p, x, _| p.argmax_one_hot(x, Axis(0))),
        ("argmax_one_hot of rows", |p, x, _| p.argmax_one_hot(x, Axis(1))),
        ("argmin_one_hot of equals", |p, x, y| {
            let bits = p.less_equal(x, y)?;
            p.argmin_one_hot(bits, Axis(0))
        }),
        ("argmax_one_hot of one", |p, x, _| {
            let x = p.slice(x, Axis(0), 0..1)?;
            p.argmax_one_hot(x, Axis(0))
        }),
        ("sort columns", |p, x, _| p.sort(x, Axis(0), Ascending)),
        ("sort rows", |p, x, _| p.sort(x, Axis(1), Descending)),
        ("sort a vector", |p, x, _| {
            let x = p.reshape(x, [15])?;
            p.sort(x, Axis(0), Descending)
        }),
        ("sort one", |p, x, _| {
            let x = p.slice(x, Axis(1), 2..3)?;
            p.sort(x, Axis(1), Ascending)
        }),
        ("top two of columns", |p, x, _| p.top_k(x, 2, Axis(0), Descending)),
        ("three smallest of a vector", |p, _, y| {
            let y = p.reshape(y, [15])?;
            p.top_k(y, 3, Axis(0), Ascending)
        }),
        ("top one", |p, x, _| p.top_k(x, 1, Axis(0), Descending)),
        ("top two with payload", |p, x, y| {
            let (keys, beside) = p.top_k_with(x, y, 2, Axis(0), Descending)?;
            p.concat(&[keys, beside], Axis(1))
        }),
        ("rows sorted with bits beside", |p, x, y| {
            let bits = p.less(x, y)?;
            let (keys, beside) = p.top_k_with(x, bits, 3, Axis(1), Ascending)?;
            p.concat(&[beside, keys], Axis(0))
        }),
        ("places of a sort", |p, x, y| {
            let bits = p.less(x, y)?;
            let places = ndarray::Array2::from_shape_fn((5, 3), |(i, _)| i as f64);
            let places = p.constant(&places.into_dyn())?;
            let (_, order) = p.top_k_with(bits, places, 5, Axis(0), Descending)?;
            Ok(order)
        }),
    ];
    cases.into_iter().map(|(name, build)| (name, Tolerance::Exact, build)).collect()
}
