//! Tensors of ring elements: a newtype over `ndarray` that is always contiguous and row-major, so that every kernel
//! and every message is one slice.
//!
//! A tensor may hold shares, masks, or a party's input on its way to be shared, and so may every temporary of local
//! arithmetic. So all of them are wiped when they are dropped, public ones included, nothing here copies elements to memory
//! that is freed otherwise, and `Debug` shows the shape alone.
//!
//! Clones share their elements until one of them is changed; whoever is dropped last wipes them.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use ndarray::{ArrayD, ArrayViewD, Axis, IxDyn, Slice};
use zeroize::Zeroize;

use crate::ring::Ring;

mod permute;

/// A row-major tensor of public ring elements, or of one party's shares inside a share type.
#[derive(Clone, PartialEq, Eq)]
pub struct Tensor<R: Ring>(Arc<Elements<R>>);

/// Elements with their shape.
#[derive(Clone, PartialEq, Eq)]
struct Elements<R: Ring>(ArrayD<R>);

impl<R: Ring> Elements<R> {
    fn as_mut_slice(&mut self) -> &mut [R] {
        self.0.as_slice_mut().expect("standard layout is this type's invariant")
    }

    fn into_vec(mut self) -> Vec<R> {
        let nothing = ArrayD::from_elem(IxDyn(&[0]), R::ZERO);
        let (v, offset) = std::mem::replace(&mut self.0, nothing).into_raw_vec_and_offset();
        debug_assert!(offset.is_none_or(|o| o == 0));
        v
    }
}

impl<R: Ring> Drop for Elements<R> {
    fn drop(&mut self) {
        self.as_mut_slice().zeroize();
    }
}

impl<R: Ring> fmt::Debug for Tensor<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tensor{:?}", self.shape())
    }
}

/// Number of elements of a shape.
#[must_use]
pub fn elements(shape: &[usize]) -> usize {
    shape.iter().product()
}

impl<R: Ring> Tensor<R> {
    /// A tensor from its elements in row-major order.
    ///
    /// # Panics
    /// If the number of elements does not fit the shape.
    #[must_use]
    pub fn from_vec(shape: &[usize], data: Vec<R>) -> Self {
        Self::of(
            ArrayD::from_shape_vec(IxDyn(shape), data).expect("as many elements as the shape has places"),
        )
    }

    fn of(array: ArrayD<R>) -> Self {
        Self(Arc::new(Elements(array)))
    }

    /// All zeros.
    #[must_use]
    pub fn zeros(shape: &[usize]) -> Self {
        Self::filled(shape, R::ZERO)
    }

    /// The same value everywhere.
    #[must_use]
    pub fn filled(shape: &[usize], value: R) -> Self {
        Self::of(ArrayD::from_elem(IxDyn(shape), value))
    }

    /// Copies a view, row-major.
    fn from_view(view: &ArrayViewD<'_, R>) -> Self {
        Self::of(view.as_standard_layout().into_owned())
    }

    /// Lengths of the axes.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        self.array().shape()
    }

    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.array().len()
    }

    /// Whether there are no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.array().is_empty()
    }

    /// Elements in row-major order.
    #[must_use]
    pub fn as_slice(&self) -> &[R] {
        self.array().as_slice().expect("standard layout is this type's invariant")
    }

    /// Elements in row-major order, mutable: no clone's any more.
    pub fn as_mut_slice(&mut self) -> &mut [R] {
        Arc::make_mut(&mut self.0).as_mut_slice()
    }

    /// The elements, row-major.
    #[must_use]
    pub fn into_vec(self) -> Vec<R> {
        Arc::unwrap_or_clone(self.0).into_vec()
    }

    /// The array, for reading.
    #[must_use]
    pub fn array(&self) -> &ArrayD<R> {
        &self.0.0
    }

    /// Applies `f` to every element.
    #[must_use]
    pub fn map(&self, f: impl Fn(R) -> R) -> Self {
        Self::from_vec(self.shape(), self.as_slice().iter().map(|&x| f(x)).collect())
    }

    /// Combines two tensors of one shape element by element.
    ///
    /// # Panics
    /// If the shapes differ.
    #[must_use]
    pub fn zip(&self, other: &Self, f: impl Fn(R, R) -> R) -> Self {
        assert_eq!(self.shape(), other.shape(), "elementwise operation on different shapes");
        let data = self.as_slice().iter().zip(other.as_slice()).map(|(&a, &b)| f(a, b)).collect();
        Self::from_vec(self.shape(), data)
    }

    /// Elementwise sum.
    #[must_use]
    pub fn add(&self, other: &Self) -> Self {
        self.zip(other, |a, b| a + b)
    }

    /// Elementwise difference.
    #[must_use]
    pub fn sub(&self, other: &Self) -> Self {
        self.zip(other, |a, b| a - b)
    }

    /// Elementwise product.
    #[must_use]
    pub fn hadamard(&self, other: &Self) -> Self {
        self.zip(other, |a, b| a * b)
    }

    /// Adds in place.
    ///
    /// # Panics
    /// If the numbers of elements differ.
    pub fn add_assign(&mut self, other: &Self) {
        assert_eq!(self.len(), other.len(), "elementwise operation on different shapes");
        for (a, &b) in self.as_mut_slice().iter_mut().zip(other.as_slice()) {
            *a += b;
        }
    }

    /// Subtracts in place.
    ///
    /// # Panics
    /// If the numbers of elements differ.
    pub fn sub_assign(&mut self, other: &Self) {
        assert_eq!(self.len(), other.len(), "elementwise operation on different shapes");
        for (a, &b) in self.as_mut_slice().iter_mut().zip(other.as_slice()) {
            *a -= b;
        }
    }

    /// Every element times `k`.
    #[must_use]
    pub fn scale(&self, k: R) -> Self {
        self.map(|x| x * k)
    }

    /// `self += a·b` for matrices.
    ///
    /// # Panics
    /// If a tensor is not a matrix or the dimensions do not fit.
    pub fn matmul_acc(&mut self, a: &Self, b: &Self) {
        let (&[m, k], &[k2, n]) = (a.shape(), b.shape()) else { panic!("matrix product of non-matrices") };
        assert!(k == k2 && self.shape() == [m, n], "matrix product of unfitting shapes");
        R::matmul_acc(a.as_slice(), b.as_slice(), self.as_mut_slice(), m, k, n);
    }

    /// Matrix product.
    ///
    /// # Panics
    /// As [`Tensor::matmul_acc`].
    #[must_use]
    pub fn matmul(&self, b: &Self) -> Self {
        let mut out = Self::zeros(&[self.shape()[0], b.shape()[1]]);
        out.matmul_acc(self, b);
        out
    }

    /// The same elements under another shape.
    ///
    /// # Panics
    /// If the number of elements differs.
    #[must_use]
    pub fn reshape(self, shape: &[usize]) -> Self {
        Self::from_vec(shape, self.into_vec())
    }

    /// Axes in another order.
    ///
    /// # Panics
    /// If `axes` does not name every axis once.
    #[must_use]
    pub fn permute(&self, axes: &[usize]) -> Self {
        let shape: Vec<usize> = axes.iter().map(|&a| self.shape()[a]).collect();
        Self::from_vec(&shape, permute::permuted(self.as_slice(), self.shape(), axes))
    }

    /// The part with indices `start..end` of one axis.
    #[must_use]
    pub fn slice(&self, axis: usize, start: usize, end: usize) -> Self {
        if (start, end) == (0, self.shape()[axis]) {
            return self.clone();
        }
        Self::from_view(&self.array().slice_axis(Axis(axis), Slice::from(start..end)))
    }

    /// The elements at these indices of one axis, in this order; an index may come several times.
    ///
    /// # Panics
    /// If an index is outside the axis.
    #[must_use]
    pub fn gather(&self, axis: usize, indices: &[u32]) -> Self {
        let mut shape = self.shape().to_vec();
        let (len, inner) = (shape[axis], elements(&shape[axis + 1..]));
        shape[axis] = indices.len();
        let mut out = Vec::with_capacity(elements(&shape));
        for block in self.as_slice().chunks((len * inner).max(1)) {
            for &i in indices {
                let at = i as usize * inner;
                out.extend_from_slice(&block[at..at + inner]);
            }
        }
        Self::from_vec(&shape, out)
    }

    /// Tensors joined along an axis.
    ///
    /// # Panics
    /// If the list is empty or the shapes do not fit.
    #[must_use]
    pub fn concat(axis: usize, parts: &[&Self]) -> Self {
        let mut shape = parts[0].shape().to_vec();
        let fits = |p: &&Self| {
            let rest = |s: &[usize]| [&s[..axis], &s[axis + 1..]].concat();
            p.shape().len() == shape.len() && rest(p.shape()) == rest(&shape)
        };
        assert!(parts.iter().all(fits), "shapes that fit along the axis");
        let outer = elements(&shape[..axis]);
        shape[axis] = parts.iter().map(|p| p.shape()[axis]).sum();
        let mut out = Vec::with_capacity(elements(&shape));
        for row in 0..outer {
            for part in parts {
                let width = part.len() / outer;
                out.extend_from_slice(&part.as_slice()[row * width..(row + 1) * width]);
            }
        }
        Self::from_vec(&shape, out)
    }

    /// Sum along an axis, which disappears.
    #[must_use]
    pub fn sum_axis(&self, axis: usize) -> Self {
        let shape = self.shape();
        let (outer, len, inner) = (elements(&shape[..axis]), shape[axis], elements(&shape[axis + 1..]));
        let mut out = vec![R::ZERO; outer * inner];
        for (o, block) in out.chunks_mut(inner.max(1)).zip(self.as_slice().chunks((len * inner).max(1))) {
            if let [sum] = o {
                *sum = block.iter().fold(R::ZERO, |sum, &x| sum + x);
                continue;
            }
            for row in block.chunks(inner.max(1)) {
                for (a, &b) in o.iter_mut().zip(row) {
                    *a += b;
                }
            }
        }
        let mut rest = shape.to_vec();
        rest.remove(axis);
        Self::from_vec(&rest, out)
    }

    /// Repeats the tensor to a larger shape by the usual broadcasting rules; `None` if they do not allow it.
    #[must_use]
    pub fn broadcast(&self, shape: &[usize]) -> Option<Self> {
        if shape == self.shape() {
            return Some(self.clone());
        }
        self.array().broadcast(IxDyn(shape)).map(|v| Self::from_view(&v))
    }

    /// Little-endian bytes of all elements, where they are.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        bytemuck::cast_slice(self.as_slice())
    }

    /// Little-endian bytes of all elements, copied to where nobody wipes them: for public values.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        Bytes::copy_from_slice(self.as_bytes())
    }

    /// The same without a copy: they are wiped when the last of them is dropped.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        struct Owner<R: Ring>(Tensor<R>);
        impl<R: Ring> AsRef<[u8]> for Owner<R> {
            fn as_ref(&self) -> &[u8] {
                self.0.as_bytes()
            }
        }
        Bytes::from_owner(Owner(self))
    }

    /// The inverse of [`Tensor::to_bytes`]; `None` if the number of bytes does not fit the shape.
    #[must_use]
    pub fn from_bytes(shape: &[usize], bytes: &[u8]) -> Option<Self> {
        (Some(bytes.len()) == elements(shape).checked_mul(R::BYTES))
            .then(|| Self::from_vec(shape, bytemuck::allocation::pod_collect_to_vec(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::Z64;

    fn t(shape: &[usize], v: &[u64]) -> Tensor<Z64> {
        Tensor::from_vec(shape, v.iter().map(|&x| Z64(x)).collect())
    }

    #[test]
    fn shapes_and_sums() {
        let a = t(&[2, 3], &[1, 2, 3, 4, 5, 6]);
        assert_eq!(a.sum_axis(0), t(&[3], &[5, 7, 9]));
        assert_eq!(a.sum_axis(1), t(&[2], &[6, 15]));
        assert_eq!(a.permute(&[1, 0]), t(&[3, 2], &[1, 4, 2, 5, 3, 6]));
        assert_eq!(a.slice(1, 1, 3), t(&[2, 2], &[2, 3, 5, 6]));
        assert_eq!(Tensor::concat(1, &[&a, &a.slice(1, 0, 1)]), t(&[2, 4], &[1, 2, 3, 1, 4, 5, 6, 4]));
        assert_eq!(a.matmul(&t(&[3, 1], &[1, 1, 1])), t(&[2, 1], &[6, 15]));
        assert_eq!(t(&[3], &[1, 2, 3]).broadcast(&[2, 3]), Some(t(&[2, 3], &[1, 2, 3, 1, 2, 3])));
        assert!(a.broadcast(&[4, 3]).is_none());
    }

    #[test]
    fn clones_share_until_one_is_changed() {
        let a = t(&[2], &[1, 2]);
        let (mut b, c) = (a.clone(), a.broadcast(&[2]).unwrap());
        assert!(std::ptr::eq(a.as_slice(), c.as_slice()));
        b.as_mut_slice()[0] = Z64(9);
        assert_eq!((b.into_vec(), c.into_vec()), (vec![Z64(9), Z64(2)], vec![Z64(1), Z64(2)]));
        assert_eq!(a, t(&[2], &[1, 2]));
    }

    #[test]
    fn debug_shows_the_shape_alone() {
        let secret = t(&[2, 2], &[11, 22, 33, 44]);
        let inside = Some(&secret);
        assert_eq!(
            format!("{secret:?} {secret:#?} {inside:?}"),
            "Tensor[2, 2] Tensor[2, 2] Some(Tensor[2, 2])"
        );
    }

    #[test]
    #[should_panic(expected = "shapes that fit along the axis")]
    fn unfitting_parts_are_not_joined() {
        let _joined = Tensor::concat(0, &[&t(&[2, 2], &[1, 2, 3, 4]), &t(&[1, 3], &[5, 6, 7])]);
    }

    #[test]
    fn bytes_round_trip_and_length_is_checked() {
        let a = t(&[2, 2], &[1, u64::MAX, 1 << 63, 7]);
        assert_eq!(Tensor::from_bytes(&[2, 2], &a.to_bytes()), Some(a.clone()));
        assert_eq!(a.clone().into_bytes(), a.to_bytes());
        assert_eq!(Tensor::<Z64>::from_bytes(&[2, 2], &a.to_bytes()[1..]), None);
    }
}
