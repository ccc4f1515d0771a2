//! Π_Mult: products of shared tensors with Beaver triples.
//!
//! Beaver, *Efficient multiparty protocols using circuit randomization* (CRYPTO 1991); notation of Damgård, Pastro,
//! Smart, Zakarias (ePrint 2011/535), online phase, "Multiply". Differs from the papers: whole tensors per round, and
//! party 0 adds the public term. Squares and inner products have cheaper correlations of the same kind.
//!
//! **Security**: d = x − a and e = y − b are one-time padded by uniform a, b that are used once (masking consumes the
//! triple), so openings are uniform and independent of x, y.
//!
//! **Cost** for `len` products of 64-bit elements: 1 round, 128·len bits to each party, a triple each (64·len bits from
//! the dealer); a square opens 64·len bits; an inner product of `terms` opens 128·terms·len and takes 64·len from the
//! dealer. Scales add up: fractions of f bits give a product of 2f bits.

use mpc_core::share::Sharing;

use crate::cost::Cost;
use crate::error::ProtocolError;
use crate::prep::Item;
use crate::session::Session;

/// `[z] = [x·y]` elementwise. One round.
///
/// # Errors
/// [`ProtocolError::Shape`] if the shapes differ; channel and preprocessing errors.
///
/// ```
/// use mpc_core::{ring::Z64, tensor::Tensor, party::PartyId};
/// use protocols::{input::input, mul::mul, output::output, trial};
///
/// let products = trial::run::<Z64, _>(3, [7; 32], |cx| {
///     let secret = |v: u64| Tensor::from_vec(&[1], vec![Z64(v)]);
///     let me = cx.me().index();
///     let x = input(cx, PartyId::new(0), &[1], (me == 0).then(|| secret(6)).as_ref())?;
///     let y = input(cx, PartyId::new(1), &[1], (me == 1).then(|| secret(7)).as_ref())?;
///     let z = mul(cx, &x, &y)?;
///     output(cx, &[(&z, &[PartyId::new(2)])])
/// })?;
/// assert!(products[0][0].is_none());
/// assert_eq!(products[2][0].as_ref().unwrap().tensor().as_slice(), [Z64(42)]);
/// # Ok::<(), protocols::error::ProtocolError>(())
/// ```
pub fn mul<S: Sharing>(cx: &mut Session<S>, x: &S, y: &S) -> Result<S, ProtocolError> {
    if x.shape() != y.shape() {
        return Err(ProtocolError::Shape {
            what: "second factor",
            expected: x.shape().to_vec(),
            got: y.shape().to_vec(),
        });
    }
    // 1. [a], [b], [c] with c = a·b;  [d] = [x] − [a], [e] = [y] − [b]
    let (triple, padded) = cx.prep().triple(x.len())?.mask(x, y);
    // 2. open d and e
    let ([d, e], []) = cx.open_masked(padded, [])?;
    // 3. [z] = [c] + d·([b] + e) + e·[a]
    Ok(triple.finish(&d, &e, cx.holder()))
}

/// Cost of [`mul`].
#[must_use]
pub fn mul_cost<S: Sharing>(n: usize, len: usize) -> Cost {
    Cost::item(n, Item::Triple { len }).then(Cost::opening::<S::Ring>(n, 2 * len, 0))
}

/// `[z] = [x²]` elementwise. One round.
///
/// # Errors
/// Channel and preprocessing errors.
pub fn square<S: Sharing>(cx: &mut Session<S>, x: &S) -> Result<S, ProtocolError> {
    let (pair, padded) = cx.prep().square(x.len())?.mask(x);
    let ([d], []) = cx.open_masked([padded], [])?;
    Ok(pair.finish(&d, cx.holder()))
}

/// Cost of [`square`].
#[must_use]
pub fn square_cost<S: Sharing>(n: usize, len: usize) -> Cost {
    Cost::item(n, Item::Square { len }).then(Cost::opening::<S::Ring>(n, len, 0))
}

/// `[z_i] = [Σ_t x_{t,i}·y_{t,i}]` for x, y of shape terms×len. One round.
///
/// # Errors
/// [`ProtocolError::Shape`] if an argument is no matrix or the shapes differ; channel and preprocessing errors.
pub fn dot<S: Sharing>(cx: &mut Session<S>, x: &S, y: &S) -> Result<S, ProtocolError> {
    let (&[terms, len], true) = (x.shape(), x.shape() == y.shape()) else {
        return Err(ProtocolError::Shape {
            what: "second factor of an inner product",
            expected: x.shape().to_vec(),
            got: y.shape().to_vec(),
        });
    };
    let (x, y) = (x.clone().reshape(&[terms * len]), y.clone().reshape(&[terms * len]));
    let (triple, padded) = cx.prep().dot(len, terms)?.mask(&x, &y);
    let ([d, e], []) = cx.open_masked(padded, [])?;
    Ok(triple.finish(&d, &e, cx.holder()))
}

/// Cost of [`dot`].
#[must_use]
pub fn dot_cost<S: Sharing>(n: usize, len: usize, terms: usize) -> Cost {
    Cost::item(n, Item::Dot { len, terms }).then(Cost::opening::<S::Ring>(n, 2 * len * terms, 0))
}
