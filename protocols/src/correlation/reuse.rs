//! A mask that one tensor is opened under, once, and the products that use it again.

use std::borrow::Cow;
use std::ops::Range;

use mpc_core::ring::Ring;
use mpc_core::share::Sharing;
use mpc_core::tag::SessionId;
use mpc_core::tensor::Tensor;

use super::Padded;
use crate::prep::MaskPart;

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

/// Which part of a matrix is a factor: some of its rows and columns, as they are or transposed.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct Part {
    rows: [usize; 2],
    columns: [usize; 2],
    transposed: bool,
}

impl Part {
    /// All of a matrix of this shape.
    #[must_use]
    pub const fn whole([rows, columns]: [usize; 2]) -> Self {
        Self { rows: [0, rows], columns: [0, columns], transposed: false }
    }

    /// Rows and columns of the part.
    #[must_use]
    pub const fn shape(self) -> [usize; 2] {
        self.of(0, 0).shape()
    }

    /// The indices `start..end` of one axis of this part.
    #[must_use]
    pub fn slice(self, axis: usize, start: usize, end: usize) -> Self {
        let within = |[first, _]: [usize; 2]| [first + start, first + end];
        if (axis == 0) == self.transposed {
            Self { columns: within(self.columns), ..self }
        } else {
            Self { rows: within(self.rows), ..self }
        }
    }

    /// Its rows as columns.
    #[must_use]
    pub const fn transpose(self) -> Self {
        Self { transposed: !self.transposed, ..self }
    }

    /// The part of the same shape that begins so many indices of an axis of this part later.
    #[must_use]
    pub fn moved(self, axis: usize, by: usize) -> Self {
        let later = |[start, end]: [usize; 2]| [start + by, end + by];
        if (axis == 0) == self.transposed {
            Self { columns: later(self.columns), ..self }
        } else {
            Self { rows: later(self.rows), ..self }
        }
    }

    /// The part of the mask that is item `mask` and has `width` columns.
    #[must_use]
    pub const fn of(self, mask: u32, width: usize) -> MaskPart {
        let Self { rows, columns, transposed } = self;
        MaskPart { mask, width, rows, columns, transposed }
    }
}

/// A tensor that is about to be opened under its mask.
pub(crate) struct UnopenedOnce<S> {
    mask: ReusableMask<S>,
    session: SessionId,
}

impl<S: Sharing> UnopenedOnce<S> {
    /// The part of the mask for this part of the matrix, as a demand names it.
    pub(crate) fn part(&self, part: Part) -> MaskPart {
        part.of(self.mask.item, self.mask.a.shape()[1])
    }

    pub(crate) fn opened(self, d: Tensor<S::Ring>) -> MaskedOnce<S> {
        MaskedOnce { mask: self.mask, d, session: self.session }
    }
}

/// A matrix X that was opened once as D = X − A and can be a factor of many products in its session.
///
/// Parts and transposes use the same part of A, which is why they are taken of this and not of X. It has no way back to
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
    /// Rows and columns.
    #[must_use]
    pub fn shape(&self) -> [usize; 2] {
        [self.d.shape()[0], self.d.shape()[1]]
    }

    /// All of it.
    #[must_use]
    pub fn whole(&self) -> MaskedPart<'_, S> {
        self.select(Part::whole(self.shape()))
    }

    /// Some of its rows.
    #[must_use]
    pub fn rows(&self, rows: Range<usize>) -> MaskedPart<'_, S> {
        self.part(rows, 0..self.shape()[1])
    }

    /// Some of its rows and columns.
    #[must_use]
    pub fn part(&self, rows: Range<usize>, columns: Range<usize>) -> MaskedPart<'_, S> {
        let (rows, columns) = ([rows.start, rows.end], [columns.start, columns.end]);
        self.select(Part { rows, columns, transposed: false })
    }

    /// Any part.
    #[must_use]
    pub fn select(&self, part: Part) -> MaskedPart<'_, S> {
        MaskedPart { of: self, part: part.of(self.mask.item, self.shape()[1]) }
    }

    pub(crate) const fn session(&self) -> &SessionId {
        &self.session
    }
}

/// A part of a [`MaskedOnce`], as it is or transposed.
pub struct MaskedPart<'a, S: Sharing> {
    pub(crate) of: &'a MaskedOnce<S>,
    pub(crate) part: MaskPart,
}

impl<S: Sharing> MaskedPart<'_, S> {
    /// Rows and columns.
    #[must_use]
    pub const fn shape(&self) -> [usize; 2] {
        self.part.shape()
    }

    /// Its rows as columns.
    #[must_use]
    pub fn transpose(self) -> Self {
        let transposed = !self.part.transposed;
        Self { part: MaskPart { transposed, ..self.part }, ..self }
    }
}

/// B: k×n uniform, C = A′·B for a part A′ of an earlier mask.
#[must_use]
pub struct GivenTriple<S> {
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
    /// `[Z] = [C] + D′·([B] + E) + [A′]·E`.
    pub(crate) fn finish(self, x: &MaskedPart<'_, S>, e: &Tensor<S::Ring>, holder: S::Holder) -> S {
        let GivenTriple { b, c } = self.0;
        let d = part_of(&x.of.d, &x.part);
        let b = b.add_public(e, holder);
        c.combine_into(&[&b, &x.of.mask.a], |z, p| {
            z.matmul_acc(&d, p[0]);
            z.matmul_acc(&part_of(p[1], &x.part), e);
        })
    }
}

/// The part of a matrix, without a copy if it is all of it.
pub(crate) fn part_of<'a, R: Ring>(t: &'a Tensor<R>, part: &MaskPart) -> Cow<'a, Tensor<R>> {
    let mut out = Cow::Borrowed(t);
    for (axis, [start, end]) in [part.rows, part.columns].into_iter().enumerate() {
        if [start, end] != [0, out.shape()[axis]] {
            out = Cow::Owned(out.slice(axis, start, end));
        }
    }
    if part.transposed { Cow::Owned(out.permute(&[1, 0])) } else { out }
}
