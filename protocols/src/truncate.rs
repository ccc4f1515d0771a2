//! Π_TruncPr: division by 2^f of a shared value, rounded with a public dither.
//!
//! Escudero, Ghosh, Keller, Rachuri, Scholl (CRYPTO 2020, ePrint 2020/338), §5.1, after Damgård et al. (ePrint 2019/599).
//! Differs from the papers: the two correlated values are W = ⌊signed(r)/2^f⌋ and E, the top bit of r, of which only f
//! bits are needed because it is multiplied by 2^(k−f).
//!
//! With c = x + 2^(k−2) + r opened,
//! `y = ⌊(c mod 2^(k−1))/2^f⌋ − 2^(k−2−f) + c_top·2^(k−1−f) − W − c_top·2^(k−f)·E`.
//!
//! **What it computes exactly**: `⌊(x + 2^f − 1 − t)/2^f⌋` with t = c mod 2^f, a public uniform number that depends on no
//! input. The error against x/2^f is below one unit and has mean zero over t. It never fails for |x| < 2^(k−2); beyond
//! that it is wrong without notice, so programs bound magnitudes when they are built. Rounding is *not* independent of
//! what is public, and this module does not claim so (Li et al., USENIX Security 2023; Santos et al., ePrint 2024/1127).
//!
//! **Security**: c is one-time padded by r. The simulator picks t and the rest of c uniformly.
//! **Cost**: 1 round, 64 bits to each party, 64 + f bits from the dealer, per element.
//!
//! # Exact
//! [`floor`] is ⌊x/2^f⌋ for every x: with x′ = x + 2^(k−1) and c = x′ + r,
//! `⌊x/2^f⌋ = ⌊c/2^f⌋ − ⌊r/2^f⌋ − [c mod 2^f < r mod 2^f] + 2^(k−f)·[c < r] − 2^(k−1−f)`,
//! both borrows from one network on one opening (`opening`), then two doubly shared bits, the second of f bits. **Security**: that
//! of `opening`. **Cost** per 64-bit element at f = 16, blocks and fan-in 4: 4 rounds, 99 bits to each party, 480 from the dealer.

use mpc_core::ring::Ring;
use mpc_core::share::Sharing;

use crate::cost::Cost;
use crate::error::ProtocolError;
use crate::opening::{self, flat};
use crate::prep::{Comparison, Item, Question};
use crate::session::Session;
use crate::tree::TreeChoice;

/// How a quotient is rounded.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Rounding {
    /// Up or down, by a public dither: [`truncate`].
    Dithered,
    /// Down: [`floor`].
    Exact,
}

/// `[x/2^bits]` rounded as told, by [`truncate`] or [`floor`]. One round or four and more.
///
/// # Errors
/// Channel and preprocessing errors.
pub fn divide<S: Sharing>(
    cx: &mut Session<S>,
    x: &S,
    bits: u32,
    rounding: Rounding,
    tree: TreeChoice,
) -> Result<S, ProtocolError> {
    match rounding {
        Rounding::Dithered => truncate(cx, x, bits),
        Rounding::Exact => floor(cx, x, bits, tree),
    }
}

/// Cost of [`divide`].
#[must_use]
pub fn divide_cost<S: Sharing>(
    n: usize,
    len: usize,
    bits: u32,
    rounding: Rounding,
    tree: TreeChoice,
) -> Cost {
    match rounding {
        Rounding::Dithered => cost::<S>(n, len, bits),
        Rounding::Exact => floor_cost::<S>(n, len, bits, tree),
    }
}

/// `[y] = [x/2^bits]`, rounded up or down, for |x| < 2^(k−2) as a signed number. One round.
///
/// # Errors
/// Channel and preprocessing errors.
///
/// # Panics
/// If `bits` is 0 or above k − 2; programs check that when they are built.
pub fn truncate<S: Sharing>(cx: &mut Session<S>, x: &S, bits: u32) -> Result<S, ProtocolError> {
    assert!(0 < bits && bits <= S::VALUE_BITS - 2, "bits to truncate");
    let (tuple, padded) = cx.prep().truncation(x.len(), bits)?.mask(x, cx.holder());
    let ([c], []) = cx.open_masked([padded], [])?;
    Ok(tuple.finish(&c, cx.holder()))
}

/// Cost of [`truncate`].
#[must_use]
pub fn cost<S: Sharing>(n: usize, len: usize, bits: u32) -> Cost {
    Cost::item(n, Item::Truncation { len, bits }).then(Cost::opening::<S::Ring>(n, len, 0))
}

/// `[⌊x/2^bits⌋]` for all x as signed numbers. Four rounds.
///
/// # Errors
/// Channel and preprocessing errors.
///
/// # Panics
/// If `bits` is 0 or above k − 1; programs check that when they are built.
pub fn floor<S: Sharing>(
    cx: &mut Session<S>,
    x: &S,
    bits: u32,
    tree: TreeChoice,
) -> Result<S, ProtocolError> {
    assert!(0 < bits && bits < S::VALUE_BITS, "bits to truncate");
    let decided = opening::decide(cx, &flat(x), None, &[S::Ring::ZERO], floor_spec(x.len(), bits, tree))?;
    Ok(decided.quotient(bits, cx.holder()).reshape(x.shape()))
}

pub(crate) fn floor_spec(len: usize, bits: u32, tree: TreeChoice) -> Comparison {
    Comparison::in_ring(Question::Quotient { bits }, len, tree)
}

/// Cost of [`floor`].
#[must_use]
pub fn floor_cost<S: Sharing>(n: usize, len: usize, bits: u32, tree: TreeChoice) -> Cost {
    opening::cost::<S>(n, floor_spec(len, bits, tree))
}
