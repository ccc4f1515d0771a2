//! Π_MatMul: product of shared matrices with one matrix triple.
//!
//! Mohassel, Zhang, *SecureML* (IEEE S&P 2017), §4.2, generalised from two to n parties: D = X − A and E = Y − B are
//! opened once per matrix, not once per product. Differs from the paper: the public D·E is folded into D·(B + E).
//!
//! **Security**: as `mul`; every entry of X and Y is padded by an entry of A and B of its own. A is not kept: a second
//! product with the same X masks it afresh.
//!
//! **Cost** for m×k · k×n: 1 round, 64·(mk + kn) bits to each party, one matrix triple (64·mn bits from the dealer), two
//! ring products per party. [`batch`] does many such products in the same round.

use mpc_core::share::Sharing;

use crate::cost::Cost;
use crate::error::ProtocolError;
use crate::prep::Item;
use crate::session::Session;

/// `[Z] = [X·Y]`. One round.
///
/// # Errors
/// [`ProtocolError::Shape`] if the arguments are not matrices that fit; channel and preprocessing errors.
pub fn matmul<S: Sharing>(cx: &mut Session<S>, x: &S, y: &S) -> Result<S, ProtocolError> {
    let (m, k, n) = match (x.shape(), y.shape()) {
        (&[m, k], &[k2, n]) if k == k2 => (m, k, n),
        (_, got) => {
            return Err(ProtocolError::Shape {
                what: "right factor of a matrix product",
                expected: x.shape().to_vec(),
                got: got.to_vec(),
            });
        }
    };
    // 1. [A], [B], [C] with C = A·B;  [D] = [X] − [A], [E] = [Y] − [B]
    let (triple, padded) = cx.prep().matmul(m, k, n)?.mask(x, y);
    // 2. open D and E
    let ([d, e], []) = cx.open_masked(padded, [])?;
    // 3. [Z] = [C] + D·([B] + E) + [A]·E
    Ok(triple.finish(&d, &e, cx.holder()))
}

/// `[Z_i] = [X_i·Y_i]` for matrices one behind the other, along a first axis. One round.
///
/// # Errors
/// As [`matmul`].
pub fn batch<S: Sharing>(cx: &mut Session<S>, x: &S, y: &S) -> Result<S, ProtocolError> {
    let (count, dims) = match (x.shape(), y.shape()) {
        (&[count, m, k], &[count2, k2, n]) if count == count2 && k == k2 => (count, [m, k, n]),
        (_, got) => {
            return Err(ProtocolError::Shape {
                what: "right factors of matrix products",
                expected: x.shape().to_vec(),
                got: got.to_vec(),
            });
        }
    };
    let (triple, padded) = cx.prep().matmuls(count, dims)?.mask(x, y);
    let ([d, e], []) = cx.open_masked(padded, [])?;
    Ok(triple.finish(&d, &e, cx.holder()))
}

/// Cost of [`batch`].
#[must_use]
pub fn batch_cost<S: Sharing>(parties: usize, count: usize, [m, k, n]: [usize; 3]) -> Cost {
    let opened = count * (m * k + k * n);
    Cost::item(parties, Item::BatchMatmul { count, m, k, n })
        .then(Cost::opening::<S::Ring>(parties, opened, 0))
}

/// Cost of [`matmul`].
#[must_use]
pub fn cost<S: Sharing>(parties: usize, m: usize, k: usize, n: usize) -> Cost {
    Cost::item(parties, Item::Matmul { m, k, n }).then(Cost::opening::<S::Ring>(parties, m * k + k * n, 0))
}
