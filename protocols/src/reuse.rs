//! Products with a matrix that is opened once: training data in every batch, weights in every layer.
//!
//! Mohassel, Zhang, *SecureML* (IEEE S&P 2017), §4.2: a fixed X is masked by one A, D = X − A is opened once, and every product
//! X·Y_t takes a fresh B_t with C_t = A·B_t and opens E_t = Y_t − B_t alone: `[Z] = [C] + D·([B] + E) + [A]·E`. Generalised to n parties,
//! and to parts and transposes of X, which use the same part of A: C = A′·B for that part. Departs from the paper in that:
//! a mini-batch is a part here and not a matrix of its own.
//!
//! **Security**: D is one-time padded by A, which is used for X and for nothing else: a mask is consumed by masking, parts are
//! taken of what was masked, and a masked matrix is refused outside of its session. A second matrix under A would reveal
//! the difference of the two. Every E_t is padded by a B_t of its own; C_t is an independent sharing. So all openings
//! are uniform and independent of X and of all Y_t. A is kept until the last product, and wiped with the
//! value that holds it; where the parties make their randomness, their shares of it stay until the session ends.
//!
//! **Cost**: [`mask_once`] of m×k: 1 round, 64·mk bits to each party, nothing from the dealer. A product with m×k · k×n:
//! 1 round, 64·kn bits, 64·mn from the dealer, which expands the rows of A again. [`mask_and_multiply`] does both in 1 round.

use mpc_core::share::Sharing;

pub use crate::correlation::Part;
use crate::correlation::{MaskedOnce, MaskedPart};
use crate::cost::Cost;
use crate::error::ProtocolError;
use crate::prep::{Item, MaskPart};
use crate::session::Session;

/// Opens the matrix X under a mask of its own, for use in products. One round.
///
/// # Errors
/// [`ProtocolError::Shape`] if it is no matrix; channel and preprocessing errors.
pub fn mask_once<S: Sharing>(cx: &mut Session<S>, x: &S) -> Result<MaskedOnce<S>, ProtocolError> {
    let [rows, columns] = matrix(x)?;
    let session = *cx.id();
    let (unopened, padded) = cx.prep().reusable_mask(rows, columns)?.mask(x, session);
    let ([d], []) = cx.open_masked([padded], [])?;
    Ok(unopened.opened(d))
}

/// As [`mask_once`] of X and then [`matmul_masked`] of a part X′ and Y, in one round: the product's mask depends on no opening.
///
/// # Errors
/// As of both.
pub fn mask_and_multiply<S: Sharing>(
    cx: &mut Session<S>,
    x: &S,
    part: Part,
    y: &S,
) -> Result<(MaskedOnce<S>, S), ProtocolError> {
    let [rows, columns] = matrix(x)?;
    let [_, n] = fitting(part.shape(), y)?;
    let session = *cx.id();
    let (unopened, padded_x) = cx.prep().reusable_mask(rows, columns)?.mask(x, session);
    let (triple, padded_y) = cx.prep().given_matmul(unopened.part(part), n)?.mask(y);
    let ([d, e], []) = cx.open_masked([padded_x, padded_y], [])?;
    let once = unopened.opened(d);
    let z = triple.finish(&once.select(part), &e, cx.holder());
    Ok((once, z))
}

/// Cost of [`mask_and_multiply`] where the mask of a matrix of `shape` is item `mask`, and Y has `n` columns.
#[must_use]
pub fn mask_and_multiply_cost<S: Sharing>(
    parties: usize,
    mask: u32,
    [rows, columns]: [usize; 2],
    part: Part,
    n: usize,
) -> Cost {
    let [_, k] = part.shape();
    Cost::item(parties, Item::Mask { rows, columns })
        .then(Cost::item(parties, Item::GivenMatmul { part: part.of(mask, columns), n }))
        .then(Cost::opening::<S::Ring>(parties, rows * columns + k * n, 0))
}

/// Cost of [`mask_once`].
#[must_use]
pub fn mask_once_cost<S: Sharing>(parties: usize, rows: usize, columns: usize) -> Cost {
    let item = Item::Mask { rows, columns };
    Cost::item(parties, item).then(Cost::opening::<S::Ring>(parties, rows * columns, 0))
}

/// `[Z] = [X′·Y]` for a part X′ of a matrix that is masked. One round.
///
/// # Errors
/// [`ProtocolError::Shape`] if Y does not fit; [`ProtocolError::MaskedElsewhere`]; channel and preprocessing errors.
pub fn matmul_masked<S: Sharing>(
    cx: &mut Session<S>,
    x: &MaskedPart<'_, S>,
    y: &S,
) -> Result<S, ProtocolError> {
    if x.of.session() != cx.id() {
        return Err(ProtocolError::MaskedElsewhere);
    }
    let [_, n] = fitting(x.shape(), y)?;
    let (triple, padded) = cx.prep().given_matmul(x.part, n)?.mask(y);
    let ([e], []) = cx.open_masked([padded], [])?;
    Ok(triple.finish(x, &e, cx.holder()))
}

/// The shape of a matrix.
fn matrix<S: Sharing>(x: &S) -> Result<[usize; 2], ProtocolError> {
    x.shape().try_into().map_err(|_| ProtocolError::Shape {
        what: "axes of a matrix that is masked once",
        expected: vec![2],
        got: vec![x.shape().len()],
    })
}

/// The shape of a right factor that fits a left one of shape `x`.
fn fitting<S: Sharing>(x: [usize; 2], y: &S) -> Result<[usize; 2], ProtocolError> {
    match *y.shape() {
        [k, n] if k == x[1] => Ok([k, n]),
        ref got => Err(ProtocolError::Shape {
            what: "right factor of a product with a masked matrix",
            expected: x.to_vec(),
            got: got.to_vec(),
        }),
    }
}

/// Cost of [`matmul_masked`] with a part of a mask and `n` columns.
#[must_use]
pub fn matmul_masked_cost<S: Sharing>(parties: usize, part: MaskPart, n: usize) -> Cost {
    let [_, k] = part.shape();
    Cost::item(parties, Item::GivenMatmul { part, n }).then(Cost::opening::<S::Ring>(parties, k * n, 0))
}

impl<S: Sharing> MaskedPart<'_, S> {
    /// Cost of [`matmul_masked`] with this part and `n` columns.
    #[must_use]
    pub fn product_cost(&self, parties: usize, n: usize) -> Cost {
        matmul_masked_cost::<S>(parties, self.part, n)
    }
}
