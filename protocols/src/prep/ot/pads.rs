//! Pads: what the two parties of a COT hash it to.
//!
//! The sender has both pads of COT i, `H(q_i, tweak)` and `H(q_i ⊕ Δ, tweak)`, the receiver the one that it chose, H(t_i).
//! H is, under a key derived for the batch, the tweakable hash TMMO ([`FixedKey::tweakable`], GKWY20 §7.4), correlation robust for a Δ that all COTs of a pair
//! share; the tweak is `number of the COT + 2^64·counter`, where the number is unique in pair, direction and session and the
//! counter tells a COT's pads from each other. So no pad occurs twice, and the pad that was not chosen is uniform to the
//! receiver.

use std::ops::Range;

use mpc_core::fixed_key::{Block, FixedKey};
use zeroize::Zeroizing;

use crate::ot::extension::{ReceivedCots, SentCots};

/// Pads that are worked on at a time, so that they stay in the first-level cache.
const TILE: usize = 512;

fn tweak(counter: usize, number: u64) -> u128 {
    (counter as u128) << 64 | u128::from(number)
}

/// Elements of `per` COTs each that are worked on at a time.
fn tile(per: usize) -> usize {
    (TILE / per.max(1)).max(1)
}

/// Both pads of a range of the sender's COTs, `per` of them to an element: tiles of elements, each with its first element in
/// the range.
pub(super) fn sender_pads(
    hash: &FixedKey,
    cots: &SentCots,
    range: Range<usize>,
    counter: usize,
    per: usize,
    mut each: impl FnMut(usize, &[Block], &[Block]),
) {
    let mut zero = Zeroizing::new(Vec::with_capacity(tile(per) * per));
    let mut one = Zeroizing::new(Vec::with_capacity(tile(per) * per));
    let first = cots.first + range.start as u64;
    for (i, q) in cots.q[range].chunks(tile(per) * per.max(1)).enumerate() {
        let start = i * tile(per);
        zero.clear();
        one.clear();
        zero.extend_from_slice(q);
        one.extend(q.iter().map(|q| q ^ cots.delta));
        let tweak = tweak(counter, first + (start * per) as u64);
        hash.tweakable(&mut zero, tweak);
        hash.tweakable(&mut one, tweak);
        each(start, &zero, &one);
    }
}

/// The pads that the receiver chose, as [`sender_pads`].
pub(super) fn receiver_pads(
    hash: &FixedKey,
    cots: &ReceivedCots,
    range: Range<usize>,
    counter: usize,
    per: usize,
    mut each: impl FnMut(usize, &[Block]),
) {
    let mut pads = Zeroizing::new(Vec::with_capacity(tile(per) * per));
    let first = cots.first + range.start as u64;
    for (i, t) in cots.t[range].chunks(tile(per) * per.max(1)).enumerate() {
        let start = i * tile(per);
        pads.clear();
        pads.extend_from_slice(t);
        hash.tweakable(&mut pads, tweak(counter, first + (start * per) as u64));
        each(start, &pads);
    }
}
