//! Signs and comparisons with public thresholds: one masked opening each.
//!
//! The core (`opening`) opens x once and finds out for every threshold t whether x < t: the top bit of x − t.
//!
//! **Security**: that of `opening`. **Correct** for |x − t| < 2^(k−1).
//!
//! **Cost** per element, k = 64, blocks and fan-in 4: sign as a shared bit 3 rounds, 97 bits to each party and 329 from the
//! dealer; in the ring 4 rounds, 98 and 393 bits, each further threshold 34 and 160.

use mpc_core::ring::Ring;
use mpc_core::share::Sharing;

use crate::cost::Cost;
use crate::error::ProtocolError;
use crate::opening;
use crate::prep::{Comparison, Question};
use crate::session::Session;
use crate::tree::TreeChoice;

/// ⟨x < 0⟩ as one lane of shared bits, in row-major order. Three rounds.
///
/// # Errors
/// Channel and preprocessing errors.
pub fn sign_bits<S: Sharing>(cx: &mut Session<S>, x: &S, tree: TreeChoice) -> Result<S::Bits, ProtocolError> {
    let spec = Comparison::new(Question::Sign, x.len(), tree);
    Ok(opening::ask(cx, &opening::flat(x), None, &[S::Ring::ZERO], spec)?.1)
}

/// Cost of [`sign_bits`].
#[must_use]
pub fn sign_bits_cost<S: Sharing>(n: usize, len: usize, tree: TreeChoice) -> Cost {
    opening::cost::<S>(n, Comparison::new(Question::Sign, len, tree))
}

/// `[x < 0]` as ring elements 0 and 1. Four rounds.
///
/// # Errors
/// Channel and preprocessing errors.
pub fn less_than_zero<S: Sharing>(cx: &mut Session<S>, x: &S, tree: TreeChoice) -> Result<S, ProtocolError> {
    Ok(less_than_public(cx, x, &[S::Ring::ZERO], tree)?.reshape(x.shape()))
}

/// Cost of [`less_than_zero`].
#[must_use]
pub fn less_than_zero_cost<S: Sharing>(n: usize, len: usize, tree: TreeChoice) -> Cost {
    less_than_public_cost::<S>(n, len, 1, tree)
}

/// `[x < t]` for every public threshold t, along a new first axis. Four rounds.
///
/// # Errors
/// Channel and preprocessing errors.
pub fn less_than_public<S: Sharing>(
    cx: &mut Session<S>,
    x: &S,
    thresholds: &[S::Ring],
    tree: TreeChoice,
) -> Result<S, ProtocolError> {
    let shape = [&[thresholds.len()], x.shape()].concat();
    let spec = less_than_public_spec(x.len(), thresholds.len(), tree);
    let decided = opening::decide(cx, &opening::flat(x), None, thresholds, spec)?;
    Ok(decided.bits(cx.holder()).reshape(&shape))
}

fn less_than_public_spec(len: usize, thresholds: usize, tree: TreeChoice) -> Comparison {
    Comparison { thresholds, ..Comparison::in_ring(Question::Sign, len, tree) }
}

/// Cost of [`less_than_public`].
#[must_use]
pub fn less_than_public_cost<S: Sharing>(n: usize, len: usize, thresholds: usize, tree: TreeChoice) -> Cost {
    opening::cost::<S>(n, less_than_public_spec(len, thresholds, tree))
}

/// `[x < y]` as ring elements 0 and 1, for |x − y| < 2^(k−1). Four rounds.
///
/// # Errors
/// Channel and preprocessing errors.
pub fn less_than<S: Sharing>(
    cx: &mut Session<S>,
    x: &S,
    y: &S,
    tree: TreeChoice,
) -> Result<S, ProtocolError> {
    less_than_zero(cx, &x.sub(y), tree)
}
