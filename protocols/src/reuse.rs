//! Products with a tensor that is opened once: training data in every batch, weights in every layer.
//!
//! Mohassel, Zhang, *SecureML* (IEEE S&P 2017), §4.2: a fixed X is masked by one A, D = X − A is opened once, and every product
//! X·Y_t takes a fresh B_t with C_t = A·B_t and opens E_t = Y_t − B_t alone: `[Z] = [C] + D·([B] + E) + [A]·E`. Generalised to n parties,
//! to every bilinear map f, which is products of matrices, of lists of these, of elements, and convolutions
//! (Chen et al., ASIACRYPT 2020, §4), to X as the left or the right factor, and to parts of X, which use the same part of A: C = f(A′, B) for
//! that part. Departs from the papers in that: a mini-batch is a part here and not a matrix of its own; n parties, no MACs.
//!
//! **Security**: D is one-time padded by A, which is used for X and for nothing else: a mask is consumed by masking, parts are
//! taken of what was masked, and a masked tensor is refused outside of its session. A second tensor under A would reveal
//! the difference of the two. Every E_t is padded by a B_t of its own, with an element of B_t for every element of Y_t; C_t is an
//! independent sharing. A part that has an element of A twice, as where X repeats along an axis, opens nothing twice: D is there once, and
//! `[A′]` stays shared. So the simulator of n − 1 parties draws D and every E_t uniformly, independent of X and of all Y_t, and gives the
//! parties uniform shares of A, B_t and C_t: corrections of a dealer, or messages of oblivious transfer, are padded by what the other party
//! alone knows, for every item anew. A is kept until the last product, and wiped with the
//! value that holds it; where the parties make their randomness, their shares of it stay until the session ends.
//!
//! **Cost**: [`mask_once`] of |X| elements: 1 round, 64·|X| bits to each party, nothing from the dealer. A product of |Z| elements with
//! another factor of |Y|: 1 round, 64·|Y| bits, 64·|Z| from the dealer, which expands as much of A again as the part lies in.
//! [`mask_and_multiply`] does both in 1 round. By oblivious transfer a product costs what it does without a given factor; where the bits of
//! the given factor are the choices, another 8 bytes for each of its elements to one more peer.

use mpc_core::share::Sharing;
use mpc_core::tensor::elements;

use crate::correlation::{MaskedOnce, MaskedPart};
use crate::cost::Cost;
use crate::error::ProtocolError;
pub use crate::prep::{Bilinear, Part, Product};
use crate::prep::{Item, MaskPart};
use crate::session::Session;

/// Opens the tensor X under a mask of its own, for use in products. One round.
///
/// # Errors
/// [`ProtocolError::Shape`] if it has more axes than parts have; channel and preprocessing errors.
pub fn mask_once<S: Sharing>(cx: &mut Session<S>, x: &S) -> Result<MaskedOnce<S>, ProtocolError> {
    whole(x)?;
    let session = *cx.id();
    let (unopened, padded) = cx.prep().reusable_mask(x.shape())?.mask(x, session);
    let ([d], []) = cx.open_masked([padded], [])?;
    Ok(unopened.opened(d))
}

/// As [`mask_once`] of X and then [`multiply_masked`] of a part X′ and Y, in one round: the product's mask depends on no opening.
///
/// # Errors
/// As of both.
pub fn mask_and_multiply<S: Sharing>(
    cx: &mut Session<S>,
    x: &S,
    part: Part,
    product: Product,
    y: &S,
) -> Result<(MaskedOnce<S>, S), ProtocolError> {
    whole(x)?;
    fits(&part, product, y)?;
    let session = *cx.id();
    let (unopened, padded_x) = cx.prep().reusable_mask(x.shape())?.mask(x, session);
    let (triple, padded_y) = cx.prep().given(unopened.part(part), product)?.mask(y);
    let ([d, e], []) = cx.open_masked([padded_x, padded_y], [])?;
    let once = unopened.opened(d);
    let z = triple.finish(&once.select(part), &e, cx.holder());
    Ok((once, z))
}

/// Cost of [`mask_and_multiply`] where the mask of a tensor of `len` elements is item `mask`.
#[must_use]
pub fn mask_and_multiply_cost<S: Sharing>(
    parties: usize,
    mask: u32,
    len: usize,
    part: Part,
    product: Product,
) -> Cost {
    let [_, other, _] = product.shapes();
    Cost::item(parties, Item::Mask { len })
        .then(Cost::item(parties, Item::Given { part: MaskPart { mask, part }, product }))
        .then(Cost::opening::<S::Ring>(parties, len + elements(&other), 0))
}

/// Cost of [`mask_once`] for `len` elements.
#[must_use]
pub fn mask_once_cost<S: Sharing>(parties: usize, len: usize) -> Cost {
    Cost::item(parties, Item::Mask { len }).then(Cost::opening::<S::Ring>(parties, len, 0))
}

/// `[Z] = [f(X′, Y)]` or `[f(Y, X′)]` for a part X′ of a tensor that is masked. One round.
///
/// # Errors
/// [`ProtocolError::Shape`] if the factors do not fit; [`ProtocolError::MaskedElsewhere`]; channel and preprocessing errors.
pub fn multiply_masked<S: Sharing>(
    cx: &mut Session<S>,
    x: &MaskedPart<'_, S>,
    product: Product,
    y: &S,
) -> Result<S, ProtocolError> {
    if x.of.session() != cx.id() {
        return Err(ProtocolError::MaskedElsewhere);
    }
    fits(&x.part.part, product, y)?;
    let (triple, padded) = cx.prep().given(x.part, product)?.mask(y);
    let ([e], []) = cx.open_masked([padded], [])?;
    Ok(triple.finish(x, &e, cx.holder()))
}

/// Cost of [`multiply_masked`].
#[must_use]
pub fn multiply_masked_cost<S: Sharing>(parties: usize, part: MaskPart, product: Product) -> Cost {
    let [_, other, _] = product.shapes();
    Cost::item(parties, Item::Given { part, product }).then(Cost::opening::<S::Ring>(
        parties,
        elements(&other),
        0,
    ))
}

/// `[Z] = [X′·Y]` for a part X′ of a tensor that is masked, as a matrix. One round.
///
/// # Errors
/// As of [`multiply_masked`].
pub fn matmul_masked<S: Sharing>(
    cx: &mut Session<S>,
    x: &MaskedPart<'_, S>,
    y: &S,
) -> Result<S, ProtocolError> {
    match (&x.shape()[..], y.shape()) {
        (&[m, k], &[k2, n]) if k == k2 => multiply_masked(cx, x, matrices([m, k, n]), y),
        (expected, got) => Err(misfit("right factor of a product with a masked matrix", expected, got)),
    }
}

/// The product of an m×k matrix that is given by a k×n matrix.
#[must_use]
pub const fn matrices(dims: [usize; 3]) -> Product {
    Product::of_left(Bilinear::Matmuls { count: 1, dims })
}

/// Checks that a tensor can be masked once.
fn whole<S: Sharing>(x: &S) -> Result<(), ProtocolError> {
    match Part::whole(x.shape()) {
        Some(_) => Ok(()),
        None => Err(misfit("axes of a tensor that is masked once", &[6], &[x.shape().len()])),
    }
}

/// Checks that both factors have the shapes that a product says: the given one as many elements, in its order.
fn fits<S: Sharing>(part: &Part, product: Product, y: &S) -> Result<(), ProtocolError> {
    let [given, other, _] = product.shapes();
    if part.elements() != elements(&given) {
        return Err(misfit("the factor of a product that was masked", &given, &part.shape()));
    }
    if y.shape() != other {
        return Err(misfit("the other factor of a product with what was masked", &other, y.shape()));
    }
    Ok(())
}

fn misfit(what: &'static str, expected: &[usize], got: &[usize]) -> ProtocolError {
    ProtocolError::Shape { what, expected: expected.to_vec(), got: got.to_vec() }
}
