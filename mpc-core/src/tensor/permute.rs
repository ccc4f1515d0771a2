//! Axes in another order: copies of runs as long as the order leaves them.

/// An axis of the result: its length, and how far apart its elements are in the source.
#[derive(Copy, Clone)]
struct Moved {
    len: usize,
    step: usize,
}

/// The elements of a row-major tensor whose axes are taken in the order `axes`.
pub(super) fn permuted<T: Copy>(values: &[T], shape: &[usize], axes: &[usize]) -> Vec<T> {
    let mut seen = vec![false; shape.len()];
    axes.iter().for_each(|&a| seen[a] = true);
    assert!(axes.len() == shape.len() && seen.iter().all(|&s| s), "every axis once");
    if values.is_empty() {
        return vec![];
    }
    let step = |a: usize| shape[a + 1..].iter().product::<usize>();
    let mut moved: Vec<Moved> = vec![];
    for axis in axes.iter().map(|&a| Moved { len: shape[a], step: step(a) }).filter(|m| m.len > 1) {
        match moved.last_mut() {
            // What stayed together is one axis.
            Some(last) if last.step == axis.len * axis.step => {
                *last = Moved { len: last.len * axis.len, step: axis.step };
            }
            _ => moved.push(axis),
        }
    }
    let mut out = Vec::with_capacity(values.len());
    copy(values, &moved, &mut out);
    out
}

fn copy<T: Copy>(values: &[T], axes: &[Moved], out: &mut Vec<T>) {
    match axes {
        [] => out.push(values[0]),
        [Moved { len, step: 1 }] => out.extend_from_slice(&values[..*len]),
        [Moved { len, step }] => out.extend(values.iter().step_by(*step).take(*len)),
        [first, rest @ ..] => (0..first.len).for_each(|i| copy(&values[i * first.step..], rest, out)),
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{ArrayD, IxDyn};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_order_is_right(
            shape in proptest::collection::vec(0usize..5, 0..6),
            keys in proptest::collection::vec(any::<u8>(), 6),
        ) {
            let mut axes: Vec<usize> = (0..shape.len()).collect();
            axes.sort_by_key(|&a| keys[a]);
            let values: Vec<usize> = (0..shape.iter().product()).collect();
            let array = ArrayD::from_shape_vec(IxDyn(&shape), values.clone()).unwrap();
            let expected: Vec<usize> = array.permuted_axes(IxDyn(&axes)).iter().copied().collect();
            prop_assert_eq!(permuted(&values, &shape, &axes), expected);
        }
    }

    #[test]
    #[should_panic(expected = "every axis once")]
    fn an_axis_twice_is_refused() {
        let _copied = permuted(&[1, 2, 3, 4], &[2, 2], &[0, 0]);
    }
}
