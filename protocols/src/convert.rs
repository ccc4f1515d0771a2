//! Π_B2A, Π_A2B and selection.
//!
//! Bit to arithmetic by doubly shared bits (daBits; Rotaru, Wood, INDOCRYPT 2019, ePrint 2019/207, online phase): open
//! z = x ⊕ b, then `[x] = z + (1 − 2z)[b]`. **Security**: z is padded by the uniform bit b, used once.
//! **Cost** of [`to_ring`]: 1 round, 1 bit to each party and 64 from the dealer per bit. [`select`] is one product.
//!
//! Arithmetic to bits by a masked opening (ePrint 2020/338, with dealt bits of the mask instead of edaBits): x = c − r, and the
//! borrow into every bit is \[c mod 2^i < r mod 2^i\], all of them from one prefix network (`prefix`). **Security**: that of
//! `opening`. **Cost** of [`to_bits`] per 64-bit element, blocks and fan-in 4: 3 rounds, 176 bits to each party and 773 from the
//! dealer.

use mpc_core::ring::Ring;
use mpc_core::share::{BitSharing, Sharing};

use crate::cost::Cost;
use crate::error::ProtocolError;
use crate::mul::{mul, mul_cost};
use crate::opening::{self, flat};
use crate::prep::{Comparison, Item, Question};
use crate::session::Session;
use crate::tree::TreeChoice;

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

/// All bits of x, from the lowest on, a lane each, in row-major order. Three rounds.
///
/// # Errors
/// Channel and preprocessing errors.
pub fn to_bits<S: Sharing>(cx: &mut Session<S>, x: &S, tree: TreeChoice) -> Result<S::Bits, ProtocolError> {
    let spec = Comparison::new(Question::Bits, x.len(), tree);
    Ok(opening::ask(cx, &flat(x), None, &[S::Ring::ZERO], spec)?.1)
}

/// Cost of [`to_bits`].
#[must_use]
pub fn to_bits_cost<S: Sharing>(n: usize, len: usize, tree: TreeChoice) -> Cost {
    opening::cost::<S>(n, Comparison::new(Question::Bits, len, tree))
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
