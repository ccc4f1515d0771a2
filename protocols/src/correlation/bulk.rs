//! Triples of bilinear maps of whole tensors: convolutions and batches of matrix products.

use mpc_core::share::Sharing;
use mpc_core::tensor::Tensor;

use super::Padded;
use crate::prep::Bilinear;

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
