//! Products over the last two axes: leading axes as lists of matrices.
//!
//! Leading axes broadcast. One that both operands have makes a list of products; one that only the left operand has makes its
//! matrices taller, and one that only the right operand has makes its matrices wider, so every element of an operand is in one
//! matrix, and is opened once, however often it is repeated.

use mpc_core::ring::Ring;
use mpc_core::tensor::{Tensor, elements};
use protocols::prep::Part;

/// How two operands become lists of matrices, and a list of products the result.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Batches {
    /// Products in the list.
    pub(crate) count: usize,
    /// Rows, terms and columns of each.
    pub(crate) dims: [usize; 3],
    left: Moved,
    right: Moved,
    product: Moved,
}

/// A tensor seen under some axes, then with its axes in another order, then under others.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Moved {
    seen: Vec<usize>,
    order: Vec<usize>,
    result: Vec<usize>,
}

impl Batches {
    /// For operands that inference has accepted: at least two axes each, that fit.
    pub(crate) fn new(a: &[usize], b: &[usize]) -> Self {
        let (&[.., m, k], &[.., n]) = (a, b) else { unreachable!("inference accepts matrices") };
        let rank = a.len().max(b.len());
        let leading = rank - 2;
        let padded = |dims: &[usize]| [&vec![1; rank - dims.len()], dims].concat();
        let (a, b) = (padded(a), padded(b));
        let of = |keep: fn(usize, usize) -> bool| -> Vec<usize> {
            (0..leading).filter(|&i| keep(a[i], b[i])).collect()
        };
        let (both, tall, wide) =
            (of(|a, b| a == b), of(|a, b| a != b && b == 1), of(|a, b| a != b && a == 1));
        let len = |axes: &[usize], dims: &[usize]| axes.iter().map(|&i| dims[i]).product::<usize>();
        let count = len(&both, &a);
        let dims = [len(&tall, &a) * m, k, len(&wide, &b) * n];
        let [rows, terms, columns] = dims;
        let [row, column] = [[leading], [leading + 1]];
        let list = |rows, columns| if count == 1 { vec![rows, columns] } else { vec![count, rows, columns] };
        // The order of the products' axes, and for every axis of the result its place there.
        let stacked: Vec<usize> = [&both[..], &tall, &row, &wide, &column].concat();
        let shape = |axis: usize| match axis {
            axis if axis == leading => m,
            axis if axis == leading + 1 => n,
            axis => a[axis].max(b[axis]),
        };
        let place = |axis: usize| {
            stacked.iter().position(|&s| s == axis).expect("invariant: every axis is one of these")
        };
        Self {
            count,
            dims,
            left: Moved {
                order: [&both[..], &tall, &wide, &row, &column].concat(),
                seen: a.clone(),
                result: list(rows, terms),
            },
            right: Moved {
                order: [&both[..], &tall, &row, &wide, &column].concat(),
                seen: b.clone(),
                result: list(terms, columns),
            },
            product: Moved {
                seen: stacked.iter().map(|&axis| shape(axis)).collect(),
                order: (0..rank).map(place).collect(),
                result: (0..rank).map(shape).collect(),
            },
        }
    }

    /// The left factors, \[count, rows, terms\]; a single one is a matrix.
    pub(crate) fn left<R: Ring>(&self, t: &Tensor<R>) -> Tensor<R> {
        self.left.of(t)
    }

    /// The right factors, \[count, terms, columns\]; a single one is a matrix.
    pub(crate) fn right<R: Ring>(&self, t: &Tensor<R>) -> Tensor<R> {
        self.right.of(t)
    }

    /// As [`Self::left`], of a part of a tensor: the same elements in that order.
    pub(crate) fn left_part(&self, part: &Part) -> Option<Part> {
        self.left.part(part)
    }

    /// As [`Self::right`], of a part of a tensor.
    pub(crate) fn right_part(&self, part: &Part) -> Option<Part> {
        self.right.part(part)
    }

    /// The result, from the products.
    pub(crate) fn result<R: Ring>(&self, t: &Tensor<R>) -> Tensor<R> {
        self.product.of(t)
    }

    /// The products of matrices in the clear, or of shares with public ones.
    pub(crate) fn multiply<R: Ring>(&self, a: &Tensor<R>, b: &Tensor<R>) -> Tensor<R> {
        let (a, b) = (self.left(a), self.right(b));
        let [m, k, n] = self.dims;
        let mut products = Tensor::zeros(&[self.count, m, n]);
        let pairs = a.as_slice().chunks(m * k).zip(b.as_slice().chunks(k * n));
        for ((a, b), product) in pairs.zip(products.as_mut_slice().chunks_mut(m * n)) {
            R::matmul_acc(a, b, product, m, k, n);
        }
        self.result(&products)
    }
}

impl Moved {
    fn part(&self, part: &Part) -> Option<Part> {
        Some(part.reshape(&self.seen)?.permute(&self.order))
    }

    fn of<R: Ring>(&self, t: &Tensor<R>) -> Tensor<R> {
        // Axes of one element are nowhere.
        let kept = self.order.iter().filter(|&&axis| self.seen[axis] > 1);
        if kept.is_sorted() {
            return if t.shape() == self.result { t.clone() } else { t.clone().reshape(&self.result) };
        }
        debug_assert_eq!(t.len(), elements(&self.seen));
        t.clone().reshape(&self.seen).permute(&self.order).reshape(&self.result)
    }
}

#[cfg(test)]
mod tests {
    use mpc_core::ring::Z64;

    use super::*;

    fn counting(dims: &[usize]) -> Tensor<Z64> {
        Tensor::from_vec(dims, (1..=elements(dims) as u64).map(|v| Z64(v * v)).collect())
    }

    /// Element by element, from the definition.
    fn oracle(a: &Tensor<Z64>, b: &Tensor<Z64>, shape: &[usize]) -> Tensor<Z64> {
        let at = |t: &Tensor<Z64>, leading: &[usize], i: usize, j: usize| {
            let dims = t.shape();
            let own = dims.len() - 2;
            let place = (0..own).fold(0, |at, axis| {
                let index = leading[leading.len() - own + axis];
                at * dims[axis] + if dims[axis] == 1 { 0 } else { index }
            });
            t.as_slice()[(place * dims[own] + i) * dims[own + 1] + j]
        };
        let mut out = Tensor::zeros(shape);
        let rank = shape.len();
        for (place, sum) in out.as_mut_slice().iter_mut().enumerate() {
            let mut rest = place;
            let mut index = vec![0; rank];
            for axis in (0..rank).rev() {
                index[axis] = rest % shape[axis];
                rest /= shape[axis];
            }
            for t in 0..a.shape()[a.shape().len() - 1] {
                let leading = &index[..rank - 2];
                *sum += at(a, leading, index[rank - 2], t) * at(b, leading, t, index[rank - 1]);
            }
        }
        out
    }

    #[test]
    fn products_are_those_of_the_definition() {
        type Case<'a> = (&'a [usize], &'a [usize], &'a [usize], (usize, [usize; 3]));
        let cases: [Case<'_>; 10] = [
            (&[2, 3], &[3, 4], &[2, 4], (1, [2, 3, 4])),
            (&[5, 2, 3], &[3, 4], &[5, 2, 4], (1, [10, 3, 4])),
            (&[2, 3], &[5, 3, 4], &[5, 2, 4], (1, [2, 3, 20])),
            (&[5, 2, 3], &[5, 3, 4], &[5, 2, 4], (5, [2, 3, 4])),
            (&[5, 1, 2, 3], &[7, 3, 4], &[5, 7, 2, 4], (1, [10, 3, 28])),
            (&[5, 7, 2, 3], &[7, 3, 4], &[5, 7, 2, 4], (7, [10, 3, 4])),
            (&[5, 7, 2, 3], &[5, 1, 3, 4], &[5, 7, 2, 4], (5, [14, 3, 4])),
            (&[1, 7, 2, 3], &[5, 7, 3, 4], &[5, 7, 2, 4], (7, [2, 3, 20])),
            (&[6, 1, 3, 2, 1, 2], &[1, 4, 3, 1, 2, 3], &[6, 4, 3, 2, 1, 3], (3, [12, 2, 12])),
            (&[1, 1, 1], &[1, 1, 1], &[1, 1, 1], (1, [1, 1, 1])),
        ];
        for (left, right, shape, (count, dims)) in cases {
            let batches = Batches::new(left, right);
            assert_eq!((batches.count, batches.dims), (count, dims), "{left:?} {right:?}");
            let (a, b) = (counting(left), counting(right));
            assert_eq!(batches.multiply(&a, &b), oracle(&a, &b, shape), "{left:?} {right:?}");
        }
    }
}
