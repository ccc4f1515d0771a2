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

use mpc_core::share::Sharing;

use crate::cost::Cost;
use crate::error::ProtocolError;
use crate::prep::Item;
use crate::session::Session;

/// `[y] = [x/2^bits]`, rounded up or down, for |x| < 2^(k−2) as a signed number. One round.
///
/// # Errors
/// Channel and preprocessing errors.
///
/// # Panics
/// If `bits` is 0 or above k − 2; programs check that when they are built.
pub fn truncate<S: Sharing>(cx: &mut Session<S>, x: &S, bits: u32) -> Result<S, ProtocolError> {
    assert!(0 < bits && bits <= S::VALUE_BITS - 2, "bits to truncate");
    let shape = x.shape().to_vec();
    let x = x.clone().reshape(&[x.len()]);
    let (tuple, padded) = cx.prep().truncation(x.len(), bits)?.mask(&x, cx.holder());
    let ([c], []) = cx.open_masked([padded], [])?;
    Ok(tuple.finish(&c, cx.holder()).reshape(&shape))
}

/// Cost of [`truncate`].
#[must_use]
pub fn cost<S: Sharing>(n: usize, len: usize, bits: u32) -> Cost {
    Cost::item(n, Item::Truncation { len, bits }).then(Cost::opening::<S::Ring>(n, len, 0))
}
