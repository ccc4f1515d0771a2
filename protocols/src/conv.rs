//! Π_Conv: convolution of shared images by a shared kernel with one convolution triple.
//!
//! As `matmul` (Mohassel, Zhang, *SecureML*, IEEE S&P 2017, §4.2), for another bilinear map: D = X − A and E = Y − B are opened in the
//! shapes of the images and the kernel, and Z = C + D∗(B + E) + A∗E. That a convolution needs no more openings than its operands
//! have elements was seen for SPDZ by Chen et al. (*Maliciously Secure Matrix Multiplication with Applications to Private Deep
//! Learning*, ASIACRYPT 2020, §4). Differs from the papers: n parties, no MACs, and the public D∗E is folded into D∗(B + E).
//!
//! **Security**: as `mul`; every element of X and Y is padded by an element of A and B of its own, however many windows it is in.
//! C is an independent sharing. Shapes are public.
//!
//! **Cost** for |X| and |Y| elements and |Z| results: 1 round, 64·(|X| + |Y|) bits to each party, one convolution triple (64·|Z| bits
//! from the dealer), two ring convolutions per party. As a product of matrices the windows would be opened instead of X: for a
//! kernel of 5×5 about 25 times as much.

use mpc_core::conv::ConvShape;
use mpc_core::share::Sharing;
use mpc_core::tensor::elements;

use crate::cost::Cost;
use crate::error::ProtocolError;
use crate::prep::Item;
use crate::session::Session;

/// `[Z] = [X∗Y]`. One round.
///
/// # Errors
/// [`ProtocolError::Shape`] if the arguments do not have the shapes that the convolution says; channel and preprocessing errors.
pub fn conv<S: Sharing>(cx: &mut Session<S>, x: &S, y: &S, shape: &ConvShape) -> Result<S, ProtocolError> {
    for (argument, what, expected) in
        [(x, "images", shape.input()), (y, "kernel of a convolution", shape.kernel())]
    {
        if argument.shape() != expected {
            let (expected, got) = (expected.to_vec(), argument.shape().to_vec());
            return Err(ProtocolError::Shape { what, expected, got });
        }
    }
    // 1. [A], [B], [C] with C = A∗B;  [D] = [X] − [A], [E] = [Y] − [B]
    let (triple, padded) = cx.prep().conv(*shape)?.mask(x, y);
    // 2. open D and E
    let ([d, e], []) = cx.open_masked(padded, [])?;
    // 3. [Z] = [C] + D∗([B] + E) + [A]∗E
    Ok(triple.finish(&d, &e, cx.holder()))
}

/// Cost of [`conv`].
#[must_use]
pub fn cost<S: Sharing>(parties: usize, shape: ConvShape) -> Cost {
    let opened = elements(&shape.input()) + elements(&shape.kernel());
    Cost::item(parties, Item::Conv(shape)).then(Cost::opening::<S::Ring>(parties, opened, 0))
}
