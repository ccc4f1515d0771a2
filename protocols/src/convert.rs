//! Π_B2A and selection.
//!
//! Bit to arithmetic by doubly shared bits (daBits; Rotaru, Wood, INDOCRYPT 2019, ePrint 2019/207, online phase): open
//! z = x ⊕ b, then `[x] = z + (1 − 2z)[b]`. **Security**: z is padded by the uniform bit b, used once.
//! **Cost** of [`to_ring`]: 1 round, 1 bit to each party and 64 from the dealer per bit. [`select`] is one product.

use mpc_core::share::{BitSharing, Sharing};

use crate::cost::Cost;
use crate::error::ProtocolError;
use crate::mul::{mul, mul_cost};
use crate::prep::Item;
use crate::session::Session;

/// One lane of shared bits as ring elements 0 and 1. One round.
///
/// # Errors
/// [`ProtocolError::Shape`] if there is not exactly one lane; channel and preprocessing errors.
pub fn to_ring<S: Sharing>(cx: &mut Session<S>, bits: &S::Bits) -> Result<S, ProtocolError> {
    if bits.lanes() != 1 {
        return Err(ProtocolError::Shape {
            what: "lanes of bits",
            expected: vec![1],
            got: vec![bits.lanes()],
        });
    }
    let (spent, padded) = cx.prep().dabits(bits.len())?.mask(bits);
    let ([], [z]) = cx.open_masked([], [padded])?;
    Ok(spent.finish(&z.lane_to_ring(0), cx.holder()))
}

/// Cost of [`to_ring`].
#[must_use]
pub fn to_ring_cost<S: Sharing>(n: usize, len: usize) -> Cost {
    Cost::item(n, Item::DaBits { len }).then(Cost::opening::<S::Ring>(n, 0, len))
}

/// `[x]` where the bit is 1, `[y]` where it is 0: y + bit·(x − y). The bit has scale 0. One round.
///
/// # Errors
/// As [`mul`].
pub fn select<S: Sharing>(cx: &mut Session<S>, bit: &S, x: &S, y: &S) -> Result<S, ProtocolError> {
    Ok(mul(cx, bit, &x.sub(y))?.add(y))
}

/// Cost of [`select`].
#[must_use]
pub fn select_cost<S: Sharing>(n: usize, len: usize) -> Cost {
    mul_cost::<S>(n, len)
}
