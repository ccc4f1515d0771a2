//! Extremes and sorts of columns, for both references.

use protocols::sort::sort_plain;

use crate::op::{Direction, Extreme, Winner};

/// Applies `f` to every column along an axis of row-major values; the axis gets the length of what `f` returns.
pub(super) fn along<V: Copy>(
    values: &[V],
    shape: &[usize],
    axis: usize,
    f: impl Fn(&[V]) -> Vec<V>,
) -> Vec<V> {
    let (n, inner) = (shape[axis], shape[axis + 1..].iter().product::<usize>());
    let mut out = vec![];
    for block in values.chunks(n * inner) {
        let columns: Vec<Vec<V>> =
            (0..inner).map(|i| f(&(0..n).map(|row| block[row * inner + i]).collect::<Vec<_>>())).collect();
        let rows = columns.first().map_or(0, Vec::len);
        out.extend((0..rows).flat_map(|row| columns.iter().map(move |c| c[row])));
    }
    out
}

/// The extreme of a column, its index or its one-hot column; the first of equals.
pub(super) fn extreme<V: Copy, K: PartialOrd>(
    column: &[V],
    which: Extreme,
    with: Winner,
    key: impl Fn(V) -> K,
    integer: impl Fn(u64) -> V,
) -> Vec<V> {
    let better = |a: V, b: V| match which {
        Extreme::Largest => key(a) > key(b),
        Extreme::Smallest => key(a) < key(b),
    };
    let best = (1..column.len()).fold(0, |best, i| if better(column[i], column[best]) { i } else { best });
    match with {
        Winner::Value => vec![column[best]],
        Winner::Index => vec![integer(best as u64)],
        Winner::OneHot => (0..column.len()).map(|i| integer(u64::from(i == best))).collect(),
    }
}

/// Where the first `keep` of a sorted column stood; equals as the protocol's network leaves them.
pub(super) fn order<V: Copy, K: PartialOrd + Copy>(
    column: &[V],
    direction: Direction,
    keep: usize,
    key: impl Fn(V) -> K,
) -> Vec<usize> {
    let mut places: Vec<usize> = (0..column.len()).collect();
    let mut keys: Vec<K> = column.iter().map(|&v| key(v)).collect();
    sort_plain(&mut keys, &mut places, direction, keep);
    places.truncate(keep);
    places
}

/// Sorted columns of keys, and after them what stood beside them.
pub(super) fn sorted<V: Copy>(
    keys: &[V],
    beside: Option<&[V]>,
    shape: &[usize],
    axis: usize,
    order: impl Fn(&[V]) -> Vec<usize>,
) -> Vec<V> {
    let places: Vec<usize> = (0..keys.len()).collect();
    let from = along(&places, shape, axis, |column| {
        let values: Vec<V> = column.iter().map(|&at| keys[at]).collect();
        order(&values).into_iter().map(|i| column[i]).collect()
    });
    let pick = |values: &[V]| from.iter().map(|&at| values[at]).collect::<Vec<V>>();
    [Some(keys), beside].into_iter().flatten().flat_map(pick).collect()
}
