//! What all of it is made from: correlated OTs whose choices are set, and rounds.
//!
//! **Choices**: the receiver of a COT (c, t = q ⊕ c·Δ) that wants the choice b sends e = c ⊕ b, and the sender takes
//! q ⊕ e·Δ for q: then t = q ⊕ b·Δ. Where b may be any uniform bit, it is c with the first sender, and towards that one
//! nothing is sent. Seen by the sender: e, which c pads. c is used for this alone.

use bytes::Bytes;
use mpc_core::bits::lane_words;
use mpc_core::party::{PartyId, PerParty};
use mpc_core::prg::Prg;
use zeroize::Zeroizing;

use super::pads::PadKeys;
use crate::error::PrepError;
use crate::ot::extension::{CotCount, Extension, PairCots, ReceivedCots, SentCots};
use crate::ot::lane::OtLane;

/// Whether items can be cut into chunks of so many COTs.
///
/// # Panics
/// If they cannot.
#[track_caller]
pub(super) fn check_chunk(chunk: usize) {
    assert!(chunk > 0 && chunk.is_multiple_of(64), "{chunk} COTs at a time: not a positive multiple of 64");
}

/// Who sends to whom.
pub(super) type Pairs = fn(PartyId, PartyId) -> bool;

/// Every party to every other.
pub(super) fn every_pair(from: PartyId, to: PartyId) -> bool {
    from != to
}

/// Of every two parties the first to the second.
pub(super) fn upward(from: PartyId, to: PartyId) -> bool {
    from < to
}

/// Of every two parties one, so that all parties send about equally often.
pub(super) fn one_of_two(from: PartyId, to: PartyId) -> bool {
    let odd = (from.index() + to.index()) % 2 == 1;
    from != to && (from < to) == odd
}

/// The sender whose COTs decide the choices of a receiver who has none to make.
pub(super) fn decider(pairs: Pairs, n: usize, receiver: PartyId) -> Option<PartyId> {
    receiver.others(n).find(|&p| pairs(p, receiver))
}

/// Whether a receiver tells a sender how its choices differ.
pub(super) fn is_corrected(pairs: Pairs, n: usize, given: bool, from: PartyId, to: PartyId) -> bool {
    pairs(from, to) && (given || decider(pairs, n, to) != Some(from))
}

/// Whether anybody does.
pub(super) fn has_corrections(pairs: Pairs, n: usize, given: bool) -> bool {
    PartyId::all(n).any(|to| to.others(n).any(|from| is_corrected(pairs, n, given, from, to)))
}

/// How many COTs a party has with its peers.
pub(super) fn counts(pairs: Pairs, n: usize, me: PartyId, count: usize) -> PerParty<Option<CotCount>> {
    let of = |is: bool| if is { count } else { 0 };
    PerParty::from_fn(n, |p| {
        (p != me).then(|| CotCount { sent: of(pairs(me, p)), received: of(pairs(p, me)) })
    })
}

/// COTs whose choices are the same towards all senders.
pub(super) struct Chosen {
    /// The choices, as [`crate::ot::extension::ReceivedCots::choices`]. Those with the peers are not to be used.
    pub(super) choices: Zeroizing<Vec<u64>>,
    pub(super) peers: PerParty<Option<PairCots>>,
}

mpc_core::secret_types!(Chosen);

/// One party's end.
pub(super) struct Engine {
    pub(super) lane: OtLane,
    extension: Box<dyn Extension>,
    chunk: usize,
    cots: u64,
}

impl Engine {
    /// Makes `chunk` COTs at a time.
    pub(super) fn new(lane: OtLane, extension: Box<dyn Extension>, chunk: usize) -> Self {
        check_chunk(chunk);
        Self { lane, extension, chunk, cots: 0 }
    }

    /// COTs of one direction that are made, kept and used at a time.
    pub(super) const fn chunk(&self) -> usize {
        self.chunk
    }

    pub(super) fn me(&self) -> PartyId {
        self.lane.me()
    }

    pub(super) fn parties(&self) -> usize {
        self.lane.parties()
    }

    /// COTs so far, as sender and as receiver, with all peers together.
    #[cfg(test)]
    pub(super) const fn cots(&self) -> u64 {
        self.cots
    }

    /// One round. All parties take part, also those that neither send nor receive.
    pub(super) fn exchange(
        &mut self,
        send: PerParty<Vec<u8>>,
        expect: &PerParty<usize>,
    ) -> Result<PerParty<Bytes>, PrepError> {
        let (n, me) = (self.parties(), self.me());
        let mut send = send.into_vec().into_iter();
        let send = PerParty::from_fn(n, |p| {
            let message = send.next().unwrap_or_default();
            (p != me && !message.is_empty()).then(|| Bytes::from(message))
        });
        let expect = PerParty::from_fn(n, |p| (p != me && expect[p] > 0).then_some(expect[p]));
        let mut received = self.lane.exchange(send, expect)?.into_vec().into_iter();
        Ok(PerParty::from_fn(n, |_| received.next().flatten().unwrap_or_default()))
    }

    /// COTs as the extension makes them.
    pub(super) fn extend(
        &mut self,
        counts: &PerParty<Option<CotCount>>,
    ) -> Result<PerParty<Option<PairCots>>, PrepError> {
        self.cots += counts.iter().flat_map(|(_, c)| c).map(|c| (c.sent + c.received) as u64).sum::<u64>();
        self.extension.extend(&mut self.lane, counts)
    }

    /// What the pads of these COTs are hashed with, where this party is the sender.
    pub(super) fn sent_keys(&self, to: PartyId, cots: &SentCots) -> PadKeys {
        PadKeys::new(*self.lane.session(), [self.me(), to], cots.first, cots.q.len())
    }

    /// As [`Self::sent_keys`], where it is the receiver.
    pub(super) fn received_keys(&self, from: PartyId, cots: &ReceivedCots) -> PadKeys {
        PadKeys::new(*self.lane.session(), [from, self.me()], cots.first, cots.t.len())
    }

    /// `count` COTs of every one of `pairs`. The choices are the given ones, or uniform; then those of a party that
    /// receives nothing are from `prg`.
    pub(super) fn choose(
        &mut self,
        pairs: Pairs,
        count: usize,
        given: Option<&[u64]>,
        prg: &mut Prg,
    ) -> Result<Chosen, PrepError> {
        let (n, me) = (self.parties(), self.me());
        let mut peers = self.extend(&counts(pairs, n, me, count))?;
        let choices = Zeroizing::new(match (given, decider(pairs, n, me)) {
            (Some(given), _) => given.to_vec(),
            (None, Some(p)) => peers[p].as_ref().map_or_else(Vec::new, |c| c.received.choices.clone()),
            (None, None) => {
                let mut own = vec![0; lane_words(count)];
                prg.fill(bytemuck::cast_slice_mut(&mut own));
                own
            }
        });
        let is_given = given.is_some();
        if has_corrections(pairs, n, is_given) {
            let bytes = count.div_ceil(8);
            let send = PerParty::from_fn(n, |p| match &peers[p] {
                Some(c) if is_corrected(pairs, n, is_given, p, me) => {
                    difference(&choices, &c.received.choices, bytes)
                }
                _ => vec![],
            });
            let corrected = |p| is_corrected(pairs, n, is_given, me, p);
            let expect = PerParty::from_fn(n, |p| if corrected(p) { bytes } else { 0 });
            let received = self.exchange(send, &expect)?;
            for p in me.others(n).filter(|&p| corrected(p)) {
                if let Some(cots) = &mut peers[p] {
                    correct(cots, &received[p]);
                }
            }
        }
        Ok(Chosen { choices, peers })
    }
}

fn difference(a: &[u64], b: &[u64], bytes: usize) -> Vec<u8> {
    let words: Vec<u64> = a.iter().zip(b).map(|(a, b)| a ^ b).collect();
    let mut out = bytemuck::cast_slice(&words).to_vec();
    out.truncate(bytes);
    out
}

/// q ← q ⊕ e·Δ.
fn correct(cots: &mut PairCots, e: &[u8]) {
    let delta = *cots.sent.delta;
    for (q, &bits) in cots.sent.q.chunks_mut(8).zip(e) {
        for (i, q) in q.iter_mut().enumerate() {
            *q ^= delta & u128::from(bits >> i & 1).wrapping_neg();
        }
    }
}
