//! Pads: what the two parties of a COT hash it to.
//!
//! The sender has both pads of COT i, `H(q_i, tweak)` and `H(q_i ⊕ Δ, tweak)`, the receiver the one that it chose, H(t_i).
//! H is the tweakable hash TMMO ([`FixedKey::tweakable`], GKWY20 §7.4), correlation robust for a Δ that all COTs of a pair
//! share. The tweak is `number of the COT + 2^64·counter`, where the number is unique in pair, direction and session and the
//! counter tells a COT's pads from each other. So no pad occurs twice, and the pad that was not chosen is uniform to the
//! receiver. Keys of H are for [`SPAN`] hashes of unknown blocks each: so many COTs of a batch with one counter, or fewer with several.

use std::ops::Range;

use mpc_core::fixed_key::{Block, FixedKey};
use mpc_core::party::PartyId;
use mpc_core::tag::SessionId;
use zeroize::Zeroizing;

use crate::ot::extension::{ReceivedCots, SentCots};

/// Pads that are worked on at a time, so that they stay in the first-level cache.
const TILE: usize = 512;

/// Pads, one of each COT and counter, that have one key at most: whoever knows C hashes under a key finds Δ by 2^128/C trials, so C
/// grows neither with the batch nor with the pads that are taken of each COT.
const SPAN: usize = 1 << 17;

/// What the COTs of a batch are hashed with: a key for every [`SPAN`] pads, made when it is used.
pub(super) struct PadKeys {
    session: SessionId,
    ends: [PartyId; 2],
    /// Number of the first COT.
    first: u64,
    /// Counters that share keys.
    counters: usize,
    /// The key that was used last, and of which COTs and counters it is.
    last: Option<([usize; 2], FixedKey)>,
}

impl PadKeys {
    /// For a batch of `count` COTs of a sender and a receiver.
    pub(super) fn new(session: SessionId, ends: [PartyId; 2], first: u64, count: usize) -> Self {
        Self { session, ends, first, counters: SPAN / count.clamp(1, SPAN), last: None }
    }

    /// Hashes blocks of the batch's COTs from the `place`-th on.
    fn hash(&mut self, mut blocks: &mut [Block], counter: usize, mut place: usize) {
        while !blocks.is_empty() {
            let (those, rest) = blocks.split_at_mut(blocks.len().min(SPAN - place % SPAN));
            let tweak = tweak(counter, self.first + place as u64);
            self.key([counter / self.counters, place / SPAN]).tweakable(those, tweak);
            place += those.len();
            blocks = rest;
        }
    }

    fn key(&mut self, of @ [group, span]: [usize; 2]) -> &FixedKey {
        let (session, [from, to]) = (&self.session, self.ends);
        let number = tweak(group, self.first + (span * SPAN) as u64);
        if self.last.as_ref().is_some_and(|(last, _)| *last != of) {
            self.last = None;
        }
        &self.last.get_or_insert_with(|| (of, FixedKey::derived("pads", session, from, to, number))).1
    }
}

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
    keys: &mut PadKeys,
    cots: &SentCots,
    range: Range<usize>,
    counter: usize,
    per: usize,
    mut each: impl FnMut(usize, &[Block], &[Block]),
) {
    let mut zero = Zeroizing::new(Vec::with_capacity(tile(per) * per));
    let mut one = Zeroizing::new(Vec::with_capacity(tile(per) * per));
    let first = range.start;
    for (i, q) in cots.q[range].chunks(tile(per) * per.max(1)).enumerate() {
        let start = i * tile(per);
        zero.clear();
        one.clear();
        zero.extend_from_slice(q);
        one.extend(q.iter().map(|q| q ^ *cots.delta));
        let place = first + start * per;
        keys.hash(&mut zero, counter, place);
        keys.hash(&mut one, counter, place);
        each(start, &zero, &one);
    }
}

/// The pads that the receiver chose, as [`sender_pads`].
pub(super) fn receiver_pads(
    keys: &mut PadKeys,
    cots: &ReceivedCots,
    range: Range<usize>,
    counter: usize,
    per: usize,
    mut each: impl FnMut(usize, &[Block]),
) {
    let mut pads = Zeroizing::new(Vec::with_capacity(tile(per) * per));
    let first = range.start;
    for (i, t) in cots.t[range].chunks(tile(per) * per.max(1)).enumerate() {
        let start = i * tile(per);
        pads.clear();
        pads.extend_from_slice(t);
        keys.hash(&mut pads, counter, first + start * per);
        each(start, &pads);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: SessionId = SessionId([5; 32]);

    fn blocks(count: usize) -> Vec<Block> {
        (0..count as Block).map(|i| i << 64 | 0x5bd1_e995).collect()
    }

    /// By the definition, one by one: the key is that of the batch's [`SPAN`] COTs and of the counter, the tweak the number of the COT.
    #[test]
    fn pads_are_those_of_the_definition_on_either_side_of_a_key() {
        let (first, counter, ends) = (1000, 3, [0, 1].map(PartyId::new));
        let count = 2 * SPAN + 70;
        let q = blocks(count);
        let (delta, mut keys) = (Block::MAX / 3, PadKeys::new(SESSION, ends, first, count));
        let pad = |place: usize, x: Block| {
            let start = first + (place - place % SPAN) as u64;
            let mut pad = [x];
            let counted = (counter as u128) << 64;
            let number = counted | u128::from(start);
            let tweak = counted | u128::from(first + place as u64);
            FixedKey::derived("pads", &SESSION, ends[0], ends[1], number).tweakable(&mut pad, tweak);
            pad[0]
        };
        let sent = SentCots { delta: delta.into(), q: q.clone(), first };
        let received = ReceivedCots { choices: vec![0; count.div_ceil(64)], t: q.clone(), first };
        // Tiles that end at a key's COTs, and tiles of which one does not.
        for range in
            [SPAN - 512..SPAN + 512, SPAN - 300..SPAN + 70, SPAN - 1..SPAN, 2 * SPAN - 5..count, 0..600]
        {
            let mut seen = 0;
            sender_pads(&mut keys, &sent, range.clone(), counter, 1, |at, zero, one| {
                for (i, (zero, one)) in zero.iter().zip(one).enumerate() {
                    let place = range.start + at + i;
                    let wanted = [pad(place, q[place]), pad(place, q[place] ^ delta)];
                    assert_eq!([*zero, *one], wanted, "COT {place}");
                }
                seen += zero.len();
            });
            assert_eq!(seen, range.len());
            receiver_pads(&mut keys, &received, range.clone(), counter, 1, |at, pads| {
                for (i, got) in pads.iter().enumerate() {
                    let place = range.start + at + i;
                    assert_eq!(*got, pad(place, q[place]), "COT {place}");
                }
                seen += pads.len();
            });
            assert_eq!(seen, 2 * range.len());
        }
    }

    /// However many pads are taken of each COT: of a batch of a sixteenth of [`SPAN`], sixteen share a key.
    #[test]
    fn no_key_hashes_more_than_its_span() {
        let (count, ends) = (SPAN / 16, [0, 1].map(PartyId::new));
        let sent = SentCots { delta: 5.into(), q: blocks(count), first: 7 };
        let mut keys = PadKeys::new(SESSION, ends, sent.first, count);
        for counter in 0..40 {
            let number = tweak(counter / 16, sent.first);
            let mut wanted = sent.q[..9].to_vec();
            let key = FixedKey::derived("pads", &SESSION, ends[0], ends[1], number);
            key.tweakable(&mut wanted, tweak(counter, sent.first));
            sender_pads(&mut keys, &sent, 0..9, counter, 1, |_, zero, _| assert_eq!(zero, wanted));
        }
        for count in [0, 1, 63, 64, 1000, SPAN - 1, SPAN, SPAN + 1, 8 * SPAN] {
            let keys = PadKeys::new(SESSION, ends, 0, count);
            assert!(keys.counters > 0 && keys.counters * count.min(SPAN) <= SPAN, "{count} COTs");
        }
    }
}
