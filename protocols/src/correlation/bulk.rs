//! Triples of bilinear maps of whole tensors: convolutions and batches of matrix products.

use mpc_core::conv::{ConvShape, conv_acc};
use mpc_core::ring::Ring;
use mpc_core::share::Sharing;
use mpc_core::tensor::Tensor;

use super::Padded;

/// Which map.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Bilinear {
    /// Images by a kernel.
    Conv(ConvShape),
    /// So many products of an m×k by a k×n matrix, one behind the other.
    Matmuls {
        /// How many.
        count: usize,
        /// m, k and n.
        dims: [usize; 3],
    },
}

impl Bilinear {
    /// Adds the map's value to `out`.
    pub(crate) fn add<R: Ring>(&self, a: &[R], b: &[R], out: &mut [R]) {
        match *self {
            Self::Conv(shape) => conv_acc(&shape, a, b, out),
            Self::Matmuls { count, dims: [m, k, n] } => {
                assert!(a.len() == count * m * k && b.len() == count * k * n && out.len() == count * m * n);
                for i in 0..count {
                    let (a, b) = (&a[i * m * k..][..m * k], &b[i * k * n..][..k * n]);
                    R::matmul_acc(a, b, &mut out[i * m * n..][..m * n], m, k, n);
                }
            }
        }
    }
}

/// A and B uniform, C their image under a bilinear map.
#[must_use]
pub struct BulkTriple<S> {
    pub(crate) map: Bilinear,
    pub(crate) a: S,
    pub(crate) b: S,
    pub(crate) c: S,
}

/// As [`super::SpentTriple`], for bilinear maps.
pub struct SpentBulk<S>(BulkTriple<S>);

impl<S: Sharing> BulkTriple<S> {
    /// `[D] = [X] − [A], [E] = [Y] − [B]`.
    pub fn mask(self, x: &S, y: &S) -> (SpentBulk<S>, [Padded<S>; 2]) {
        let padded = [Padded::less(x, &self.a), Padded::less(y, &self.b)];
        (SpentBulk(self), padded)
    }
}

impl<S: Sharing> SpentBulk<S> {
    /// `[Z] = [C] + f(D, [B] + E) + f([A], E), the public E added to B first so that every party applies f twice`.
    #[must_use]
    pub fn finish(self, d: &Tensor<S::Ring>, e: &Tensor<S::Ring>, holder: S::Holder) -> S {
        let BulkTriple { map, a, b, c } = self.0;
        let b = b.add_public(e, holder);
        c.combine_into(&[&b, &a], |z, p| {
            map.add(d.as_slice(), p[0].as_slice(), z.as_mut_slice());
            map.add(p[1].as_slice(), e.as_slice(), z.as_mut_slice());
        })
    }
}
