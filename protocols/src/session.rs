//! One party's view of one session: who it is, its channel, its keys, its correlated randomness, and where in the
//! program it stands. A signature with `&mut Session` may communicate; one without is local.

use std::collections::HashSet;

use bytes::Bytes;
use mpc_core::bits::{BitTensor, packed_bytes};
use mpc_core::channel::{Channel, ChannelError, Peer};
use mpc_core::party::{PartyId, PerParty};
use mpc_core::prg::Seed;
use mpc_core::ring::Ring;
use mpc_core::share::{BitSharing, Sharing};
use mpc_core::tag::{SessionId, Tag, node};
use mpc_core::tensor::Tensor;
use zeroize::Zeroizing;

use crate::correlation::{Padded, PaddedBits, PaddedLow, low_bits};
use crate::error::ProtocolError;
use crate::prep::Preprocessing;

mod sums;

use sums::Sums;

/// The one lane that sessions have today. Streams and frames are named by it, so a second lane shares nothing with it.
pub(crate) const LANE: u16 = 0;

/// Keys that every pair of parties shares; the own slot is `None`. Both parties of a pair hold the same seeds, nobody
/// else does.
pub struct PairwiseSeeds {
    /// For shares of inputs.
    pub input: PerParty<Option<Seed>>,
    /// For shares of zero.
    pub zero: PerParty<Option<Seed>>,
}

/// What [`Session::open_masked`] opened: ring tensors and bit tensors.
pub type OpenedValues<R, const A: usize, const B: usize> = ([Tensor<R>; A], [BitTensor; B]);

/// A running session.
pub struct Session<S: Sharing> {
    id: SessionId,
    holder: S::Holder,
    me: PartyId,
    n: usize,
    channel: Box<dyn Channel>,
    prep: Box<dyn Preprocessing<S>>,
    seeds: PairwiseSeeds,
    here: Tag,
    entered: HashSet<(u32, u32)>,
    /// Opened values are public, but what a hasher leaves unused holds whatever the stack held where it was made.
    opened: Box<Zeroizing<blake3::Hasher>>,
    rounds: u64,
    sent_bytes: u64,
    poisoned: bool,
}

impl<S: Sharing> Session<S> {
    /// A session about to start. `id` must be fresh: it names every pad.
    #[must_use]
    pub fn new(
        id: SessionId,
        channel: Box<dyn Channel>,
        prep: Box<dyn Preprocessing<S>>,
        seeds: PairwiseSeeds,
    ) -> Self {
        let (me, n) = (channel.me(), channel.parties());
        let here = Tag { lane: LANE, node: node::START, iteration: 0, round: 0 };
        Self {
            id,
            holder: S::holder(me),
            me,
            n,
            channel,
            prep,
            seeds,
            here,
            entered: HashSet::from([(here.node, here.iteration)]),
            opened: Box::new(Zeroizing::new(blake3::Hasher::new_derive_key("subrosa opened values v1"))),
            rounds: 0,
            sent_bytes: 0,
            poisoned: false,
        }
    }

    /// This party.
    #[must_use]
    pub const fn me(&self) -> PartyId {
        self.me
    }

    /// Number of parties.
    #[must_use]
    pub const fn parties(&self) -> usize {
        self.n
    }

    /// What local operations on shares need to know of this party.
    #[must_use]
    pub const fn holder(&self) -> S::Holder {
        self.holder
    }

    /// The session's name.
    #[must_use]
    pub const fn id(&self) -> &SessionId {
        &self.id
    }

    /// Exchanges so far.
    #[must_use]
    pub const fn rounds(&self) -> u64 {
        self.rounds
    }

    /// Payload bytes sent so far, to all parties together.
    #[must_use]
    pub const fn sent_bytes(&self) -> u64 {
        self.sent_bytes
    }

    /// Payload bytes for correlated randomness so far: received from a dealer, or sent to the other parties to make it.
    #[must_use]
    pub fn prep_bytes(&self) -> u64 {
        self.prep.offline_bytes()
    }

    /// The provider of correlated randomness.
    pub fn prep(&mut self) -> &mut dyn Preprocessing<S> {
        &mut *self.prep
    }

    /// Moves to a node of the program. Tags, and with them all PRG streams, are named after it.
    ///
    /// # Errors
    /// [`ProtocolError::EnteredTwice`] if (node, iteration) was entered before: pads would repeat.
    pub fn enter(&mut self, node: u32, iteration: u32) -> Result<(), ProtocolError> {
        let tag = Tag { node, iteration, round: 0, ..self.here };
        if !self.entered.insert((node, iteration)) {
            return Err(ProtocolError::EnteredTwice { tag });
        }
        self.here = tag;
        Ok(())
    }

    /// The tag of a PRG stream at this place; every call gives another.
    pub(crate) fn fresh_tag(&mut self) -> Tag {
        let tag = self.here;
        self.here.round += 1;
        tag
    }

    pub(crate) fn input_seed(&self, with: PartyId) -> Option<&Seed> {
        self.seeds.input[with].as_ref()
    }

    pub(crate) fn zero_seed(&self, with: PartyId) -> Option<&Seed> {
        self.seeds.zero[with].as_ref()
    }

    pub(crate) fn exchange(
        &mut self,
        send: PerParty<Option<Bytes>>,
        expect: PerParty<Option<usize>>,
    ) -> Result<PerParty<Option<Bytes>>, ProtocolError> {
        if self.poisoned {
            return Err(ProtocolError::Poisoned);
        }
        let tag = self.begin_round(bytes_of(&send));
        let received = self.channel.exchange(tag, send, expect);
        self.poisoned |= received.is_err();
        Ok(received?)
    }

    /// As [`Session::exchange`]; what comes is handed over while it comes.
    pub(crate) fn exchange_pieces(
        &mut self,
        send: PerParty<Option<Bytes>>,
        expect: PerParty<Option<usize>>,
        take: &mut dyn FnMut(PartyId, &[u8]),
    ) -> Result<(), ProtocolError> {
        if self.poisoned {
            return Err(ProtocolError::Poisoned);
        }
        let tag = self.begin_round(bytes_of(&send));
        let done = self.channel.exchange_pieces(tag, send, expect, take);
        self.poisoned |= done.is_err();
        Ok(done?)
    }

    /// The tag of a round in which so many bytes are sent.
    fn begin_round(&mut self, bytes: u64) -> Tag {
        self.rounds += 1;
        self.sent_bytes += bytes;
        self.fresh_tag()
    }

    /// Opens values that are hidden by one-time pads, ring elements and bits together, in one round.
    ///
    /// Every party sends its shares to every other: Σ elements · ring width, then each bit tensor packed without
    /// gaps.
    ///
    /// # Errors
    /// [`ProtocolError::Channel`].
    pub fn open_masked<const A: usize, const B: usize>(
        &mut self,
        ring: [Padded<S>; A],
        bits: [PaddedBits<S::Bits>; B],
    ) -> Result<OpenedValues<S::Ring, A, B>, ProtocolError> {
        let mut packed = vec![];
        bits.iter().for_each(|p| p.sharing().value_share().pack_into(&mut packed));
        let me = self.me;
        if self.poisoned {
            return Err(ProtocolError::Poisoned);
        }
        let length = sums::message_bytes(&ring, &packed);
        let tag = self.begin_round(length as u64 * (self.n as u64 - 1));
        let mut sums = Sums::new(ring, packed.into(), me, self.n, &mut self.opened);
        let done = self.channel.broadcast(tag, length, &mut sums);
        self.poisoned |= done.is_err();
        done?;
        let (opened, received) = sums.finish();
        let mut opened_bits = bits.map(|p| p.into_sharing().into_value_share());
        for from in me.others(self.n) {
            let mut rest = &received[from][..];
            for b in &mut opened_bits {
                let (theirs, after) = rest.split_at(packed_bytes(b.lanes(), b.len()));
                let Some(theirs) = BitTensor::unpack(b.lanes(), b.len(), theirs) else {
                    self.poisoned = true;
                    let what = "padding of opened bits is not zero";
                    return Err(ChannelError::Malformed { peer: Peer::Party(from), what }.into());
                };
                b.xor_assign(&theirs);
                rest = after;
            }
        }
        let mut packed = vec![];
        opened_bits.iter().for_each(|b| b.pack_into(&mut packed));
        self.opened.update(&packed);
        Ok((opened, opened_bits))
    }

    /// Opens the lowest bits of values that are hidden there by one-time pads, in one round: so many bits per element, packed
    /// without gaps.
    ///
    /// # Errors
    /// [`ProtocolError::Channel`].
    pub(crate) fn open_low(&mut self, padded: PaddedLow<S>) -> Result<Tensor<S::Ring>, ProtocolError> {
        let (mut opened, bits) = padded.into_low_bits();
        let (lanes, len) = (bits as usize, opened.len());
        let packed = |values: &Tensor<S::Ring>| {
            let mut out = vec![];
            BitTensor::slice_of(values.as_slice(), lanes).pack_into(&mut out);
            Bytes::from(out)
        };
        let (payload, me) = (packed(&opened), self.me);
        let length = payload.len();
        let send = PerParty::from_fn(self.n, |p| (p != me).then(|| payload.clone()));
        let received = self.exchange(send, PerParty::from_fn(self.n, |p| (p != me).then_some(length)))?;
        for from in me.others(self.n) {
            let theirs = received[from].as_deref().and_then(|b| BitTensor::unpack(lanes, len, b));
            let Some(theirs) = theirs else {
                self.poisoned = true;
                let what = "padding of opened bits is not zero";
                return Err(ChannelError::Malformed { peer: Peer::Party(from), what }.into());
            };
            opened.add_assign(&theirs.to_ring());
        }
        let opened = low_bits(opened, bits);
        self.opened.update(&packed(&opened));
        Ok(opened)
    }

    /// Compares the digest of everything opened so far with all parties: one round of 32 bytes to each. Nothing is
    /// output before it.
    ///
    /// # Errors
    /// [`ProtocolError::OpeningsDiffer`], after which the session is poisoned.
    pub fn confirm_openings(&mut self) -> Result<(), ProtocolError> {
        self.enter(node::CONFIRM, self.entered.len() as u32)?;
        let digest = *self.opened.finalize().as_bytes();
        let me = self.me;
        let send = PerParty::from_fn(self.n, |p| (p != me).then(|| Bytes::copy_from_slice(&digest)));
        let expect = PerParty::from_fn(self.n, |p| (p != me).then_some(digest.len()));
        let received = self.exchange(send, expect)?;
        for peer in me.others(self.n) {
            if received[peer].as_deref() != Some(&digest[..]) {
                self.poisoned = true;
                return Err(ProtocolError::OpeningsDiffer { peer });
            }
        }
        Ok(())
    }
}

fn bytes_of(send: &PerParty<Option<Bytes>>) -> u64 {
    send.iter().filter_map(|(_, b)| b.as_ref()).map(|b| b.len() as u64).sum()
}

/// Adds elements as they travel.
pub(crate) fn add_bytes<R: Ring>(out: &mut [R], bytes: &[u8]) {
    for (a, b) in out.iter_mut().zip(bytes.chunks_exact(R::BYTES)) {
        *a += bytemuck::pod_read_unaligned(b);
    }
}
