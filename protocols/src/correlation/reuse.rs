//! A mask that one tensor is opened under, once, and the products that use it again.

use std::ops::Range;

use mpc_core::share::Sharing;
use mpc_core::tag::SessionId;
use mpc_core::tensor::Tensor;

use super::Padded;
use crate::prep::{MaskPart, Part, Product};

/// A uniform A, for one tensor of its shape. Masking takes it by value: no second tensor is ever opened under it.
#[must_use]
pub struct ReusableMask<S> {
    /// Number of the item that it is.
    pub(crate) item: u32,
    pub(crate) a: S,
}

impl<S: Sharing> ReusableMask<S> {
    /// `[D] = [X] − [A]`.
    pub(crate) fn mask(self, x: &S, session: SessionId) -> (UnopenedOnce<S>, Padded<S>) {
        let padded = Padded::less(x, &self.a);
        (UnopenedOnce { mask: self, session }, padded)
    }
}

/// A tensor that is about to be opened under its mask.
pub(crate) struct UnopenedOnce<S> {
    mask: ReusableMask<S>,
    session: SessionId,
}

impl<S: Sharing> UnopenedOnce<S> {
    /// A part of the mask, as a demand names it.
    pub(crate) const fn part(&self, part: Part) -> MaskPart {
        MaskPart { mask: self.mask.item, part }
    }

    pub(crate) fn opened(self, d: Tensor<S::Ring>) -> MaskedOnce<S> {
        MaskedOnce { mask: self.mask, d, session: self.session }
    }
}

/// A tensor X that was opened once as D = X − A and can be a factor of many products in its session.
///
/// Parts of X use the same parts of A, which is why they are taken of this and not of X. It has no way back to
/// the mask: A belongs to X.
///
/// ```compile_fail
/// fn again<S: mpc_core::share::Sharing>(x: &protocols::correlation::MaskedOnce<S>) {
///     let mask = &x.mask; // private, as is everything that could open another tensor under it
/// }
/// ```
pub struct MaskedOnce<S: Sharing> {
    mask: ReusableMask<S>,
    d: Tensor<S::Ring>,
    session: SessionId,
}

impl<S: Sharing> MaskedOnce<S> {
    /// Lengths of the axes.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        self.d.shape()
    }

    /// All of it.
    #[must_use]
    pub fn whole(&self) -> MaskedPart<'_, S> {
        self.select(Part::whole(self.shape()).expect("invariant: what is masked once has such a shape"))
    }

    /// Some indices of its first axis.
    #[must_use]
    pub fn rows(&self, rows: Range<usize>) -> MaskedPart<'_, S> {
        let whole = self.whole().part.part;
        self.select(whole.slice(0, rows.start, rows.end))
    }

    /// Any part of a tensor of its shape.
    ///
    /// # Panics
    /// If it has not as many elements.
    #[must_use]
    pub fn select(&self, part: Part) -> MaskedPart<'_, S> {
        assert!(part.places().end <= self.d.len(), "a part of what was masked");
        MaskedPart { of: self, part: MaskPart { mask: self.mask.item, part } }
    }

    pub(crate) const fn session(&self) -> &SessionId {
        &self.session
    }
}

/// A part of a [`MaskedOnce`].
pub struct MaskedPart<'a, S: Sharing> {
    pub(crate) of: &'a MaskedOnce<S>,
    pub(crate) part: MaskPart,
}

impl<S: Sharing> MaskedPart<'_, S> {
    /// Lengths of the axes.
    #[must_use]
    pub fn shape(&self) -> Vec<usize> {
        self.part.part.shape()
    }

    /// Its rows as columns.
    #[must_use]
    pub fn transpose(self) -> Self {
        let part = MaskPart { part: self.part.part.transpose(), ..self.part };
        Self { part, ..self }
    }
}

/// B uniform, C the image of B and a part A′ of an earlier mask under a bilinear map.
#[must_use]
pub struct GivenTriple<S> {
    pub(crate) product: Product,
    pub(crate) b: S,
    pub(crate) c: S,
}

/// As [`super::SpentTriple`], for a product with a factor that was masked before.
pub struct SpentGiven<S>(GivenTriple<S>);

impl<S: Sharing> GivenTriple<S> {
    /// `[E] = [Y] − [B]`.
    pub(crate) fn mask(self, y: &S) -> (SpentGiven<S>, Padded<S>) {
        let padded = Padded::less(y, &self.b);
        (SpentGiven(self), padded)
    }
}

impl<S: Sharing> SpentGiven<S> {
    /// `[Z] = [C] + f(D′, [B] + E) + f([A′], E)`, or with the factors the other way around.
    pub(crate) fn finish(self, x: &MaskedPart<'_, S>, e: &Tensor<S::Ring>, holder: S::Holder) -> S {
        let GivenTriple { product, b, c } = self.0;
        let d = x.part.part.of(&x.of.d);
        let b = b.add_public(e, holder);
        c.combine_into(&[&b, &x.of.mask.a], |z, p| {
            let mut add = |given: &Tensor<S::Ring>, other: &Tensor<S::Ring>| {
                let [left, right] = product.ordered([given.as_slice(), other.as_slice()]);
                product.map.add(left, right, z.as_mut_slice());
            };
            add(&d, p[0]);
            add(&x.part.part.of(p[1]), e);
        })
    }
}
