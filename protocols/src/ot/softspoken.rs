//! SoftSpokenOT: correlated OTs from 128 base OTs for (128/k − 1) bits each.
//!
//! **Relation.** Sender q and Δ, receiver c and t with t = q ⊕ c·Δ, as [`Extension`] has it.
//!
//! **Protocol.** Roy, *SoftSpokenOT: Quieter OT Extension from Small-Field Silent VOLE in the Minicrypt Model*, CRYPTO 2022,
//! ePrint 2022/192: small-field VOLE (§3.1), subspace VOLE with the repetition code (§3.2), over F_{2^k} for k = 1, 2, 4
//! or 8 ([`FieldBits`]). The 128 bits of Δ are 128/k elements Δ_j of the field.
//! 1. Once: [base OTs](super::base) with the complement of Δ as the sender's choices; a `tree` of 2^k leaves r_y for each
//!    j, of which the sender misses that of y = Δ_j.
//! 2. From the leaves as streams the receiver has u_j = Σ_y r_y and v_j = Σ_y y·r_y, the sender w_j = Σ_y (y − Δ_j)·r_y =
//!    v_j − Δ_j·u_j: the one it misses has coefficient 0. In characteristic 2 a product by a bit string is bit by bit, so
//!    v_j and w_j are k rows of bits each.
//! 3. The choices are c = u_0. The receiver sends u_j ⊕ u_0 for the other trees; the sender adds Δ_j times that to w_j. Then
//!    all 128 rows agree with one c, and their columns are t and q.
//!
//! With [`Security::MaliciousReceiver`] trees are proved and every batch is checked (`check`); then nothing that a receiver
//! sends makes COTs that are wrong or tells it of Δ, but for bits that it guesses at the risk of being caught.
//!
//! **Departures.** The lowest bit of Δ is 1, which Ferret wants. It costs one bit of 128: Δ is otherwise uniform, so whoever
//! must guess it does so with 2^−127. Tree 0 has half the values, so cheating there is caught at 1 − 2^−(k−1); for k = 1 its Δ_0
//! is known, and a "wrong" row 0 is only another v_0, which its owner may choose anyway. Batches are rounded up to 128
//! COTs, and what is too much is thrown away.
//!
//! **Security.** A semi-honest sender sees, beside base OTs and trees, u_j ⊕ u_0: each is masked by the leaf of tree j that it
//! misses, so c stays masked by that of tree 0. A receiver gets nothing after the setup. No stream is read twice: leaves are keyed by the
//! session, which is fresh, and streams move on with every batch. The number of a COT ([`SentCots::first`]) occurs once
//! for each pair, direction and session, so tweaks made of it do not repeat. A party that was caught poisons the extension:
//! trying again would give the cheater another guess.
//!
//! **Cost.** [`SETUP_ROUNDS`] and [`setup_bytes`], then one round and [`batch_bytes`] from the receiver of each batch. About
//! 2^k/k blocks of AES for each COT and party.

mod check;
mod model;
mod receiver;
mod sender;
mod streams;
#[cfg(test)]
mod tests;
mod tree;

use std::ops::Range;

use bytes::Bytes;
use mpc_core::fixed_key::Block;
use mpc_core::party::{PartyId, PerParty};
use mpc_core::prg::{Prg, Seed};
use mpc_core::tag::Tag;
use zeroize::Zeroizing;

pub use self::model::SoftSpokenCost;
use self::receiver::Receiver;
use self::sender::Sender;
use self::streams::{ROWS, TILE, Tile};
use self::tree::Forest;
use super::base::{self, base_ots};
#[cfg(doc)]
use super::extension::SentCots;
use super::extension::{CotCount, Delta, Extension, PairCots};
use super::lane::{LANE, OtLane};
use crate::cost::Cost;
use crate::error::PrepError;

/// k: more bits send less and compute more.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub enum FieldBits {
    /// 127 bits a COT: the extension of Ishai, Kilian, Nissim and Petrank.
    One,
    /// 63 bits a COT.
    Two,
    /// 31 bits a COT.
    #[default]
    Four,
    /// 15 bits a COT, at eight times the AES of four.
    Eight,
}

impl FieldBits {
    /// k.
    #[must_use]
    pub const fn bits(self) -> usize {
        match self {
            Self::One => 1,
            Self::Two => 2,
            Self::Four => 4,
            Self::Eight => 8,
        }
    }

    /// Elements of Δ.
    const fn trees(self) -> usize {
        ROWS / self.bits()
    }
}

/// What receivers are held to.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Security {
    /// All follow the protocol.
    SemiHonest,
    /// A receiver that does not is caught. The sender cannot gain by cheating either way.
    MaliciousReceiver,
}

/// Exchanges before the first batch: base OTs, trees.
pub const SETUP_ROUNDS: u64 = 2;

/// Bytes that each party sends to each other in the setup. (For k = 1 and semi-honest parties trees need no message, and the
/// second exchange is empty.)
#[must_use]
pub const fn setup_bytes(field: FieldBits, security: Security) -> u64 {
    (base::MESSAGE_BYTES + tree::message_bytes(field, security)) as u64
}

/// Bytes that the receiver of a batch of `count` COTs sends: 128/k − 1 bits for each, for a count rounded up to a multiple of
/// 128, and 128 more and 48 bytes if it is checked.
#[must_use]
pub const fn batch_bytes(field: FieldBits, security: Security, count: usize) -> u64 {
    Batch::new(count, matches!(security, Security::MaliciousReceiver)).message_bytes(field) as u64
}

/// Setup and batches of `counts` COTs of every party with every other in either direction.
#[must_use]
pub fn cost(n: usize, field: FieldBits, security: Security, counts: &[usize]) -> Cost {
    let batches: u64 = counts.iter().map(|&count| batch_bytes(field, security, count)).sum();
    let each = (n as u64 - 1) * (setup_bytes(field, security) + batches);
    let rounds = SETUP_ROUNDS + counts.len() as u64;
    Cost { rounds, sent_bytes: PerParty::from_fn(n, |_| each), items: vec![] }
}

/// The extension of one party in one session.
pub struct SoftSpoken {
    field: FieldBits,
    security: Security,
    seed: Seed,
    tile: Tile,
    pairs: Option<PerParty<Option<Box<Pair>>>>,
    failed: Option<PrepError>,
}

struct Pair {
    sender: Sender,
    receiver: Receiver,
}

mpc_core::secret_types!(SoftSpoken, Pair);

impl SoftSpoken {
    /// Nothing happens before the first batch. `seed` must be fresh for every session and secret: all of this party's
    /// randomness comes from it.
    #[must_use]
    pub fn new(field: FieldBits, security: Security, seed: Seed) -> Self {
        Self { field, security, seed, tile: Tile::new(), pairs: None, failed: None }
    }

    fn forest(&self, lane: &OtLane, planter: PartyId, holder: PartyId) -> Forest {
        let (session, field, security) = (*lane.session(), self.field, self.security);
        Forest { session, planter, holder, field, security }
    }

    /// Base OTs and trees with every peer.
    fn set_up(&self, lane: &mut OtLane) -> Result<PerParty<Option<Box<Pair>>>, PrepError> {
        let (me, n) = (lane.me(), lane.parties());
        let deltas = PerParty::from_fn(n, |p| self.delta(lane, p));
        let choices = PerParty::from_fn(n, |p| Zeroizing::new(!*deltas[p]));
        let keys = base_ots(lane, &choices, &self.seed)?;
        let (mut receivers, mut messages) = (PerParty::from_fn(n, |_| None), PerParty::from_fn(n, |_| None));
        for (p, keys) in keys.iter() {
            if let Some(keys) = keys {
                let (receiver, message) = Receiver::new(&self.forest(lane, me, p), &keys.sent);
                (receivers[p], messages[p]) = (Some(receiver), Some(Bytes::from(message)));
            }
        }
        let bytes = tree::message_bytes(self.field, self.security);
        let expect = PerParty::from_fn(n, |p| (p != me).then_some(bytes));
        let theirs = lane.exchange(messages, expect)?;
        let mut pairs = PerParty::from_fn(n, |_| None);
        for (p, receiver) in receivers.into_vec().into_iter().enumerate().map(|(i, r)| (PartyId::new(i), r)) {
            if let (Some(receiver), Some(keys), Some(message)) = (receiver, &keys[p], &theirs[p]) {
                let sender =
                    Sender::new(&self.forest(lane, p, me), *deltas[p], &keys.received, message).ok_or(
                        PrepError::Inconsistent { peer: p, what: "the leaves are not those of the hash" },
                    )?;
                pairs[p] = Some(Box::new(Pair { sender, receiver }));
            }
        }
        Ok(pairs)
    }

    /// Δ of the COTs that go to the peer.
    fn delta(&self, lane: &OtLane, peer: PartyId) -> Delta {
        let tag = Tag { lane: LANE, node: 0, iteration: 0, round: 0 };
        let mut bytes = Zeroizing::new([0; 16]);
        Prg::new(&self.seed, lane.session(), tag, "ot/delta", peer.index() as u32).fill(&mut *bytes);
        Delta::from(Block::from_le_bytes(*bytes) | 1)
    }

    fn next_batches(
        &mut self,
        lane: &mut OtLane,
        counts: &PerParty<Option<CotCount>>,
    ) -> Result<PerParty<Option<PairCots>>, PrepError> {
        let n = lane.parties();
        let mut pairs = match self.pairs.take() {
            Some(pairs) => pairs,
            None => self.set_up(lane)?,
        };
        let count = |p| counts[p].unwrap_or(CotCount { sent: 0, received: 0 });
        let (mut received, mut messages) = (PerParty::from_fn(n, |_| None), PerParty::from_fn(n, |_| None));
        for p in PartyId::all(n) {
            if let Some(pair) = &mut pairs[p] {
                let (cots, message) = pair.receiver.extend(count(p).received, &mut self.tile);
                (received[p], messages[p]) = (Some(cots), Some(Bytes::from(message)));
            }
        }
        let bytes = |p| batch_bytes(self.field, self.security, count(p).sent) as usize;
        let expect = PerParty::from_fn(n, |p| pairs[p].is_some().then(|| bytes(p)));
        let theirs = lane.exchange(messages, expect)?;
        let mut cots = PerParty::from_fn(n, |_| None);
        for (p, received) in received.into_vec().into_iter().enumerate().map(|(i, r)| (PartyId::new(i), r)) {
            if let (Some(received), Some(pair), Some(message)) = (received, &mut pairs[p], &theirs[p]) {
                let sent = pair.sender.extend(count(p).sent, &mut self.tile, message).ok_or(
                    PrepError::Inconsistent { peer: p, what: "the corrections are not of one string" },
                )?;
                cots[p] = Some(PairCots { sent, received });
            }
        }
        self.pairs = Some(pairs);
        Ok(cots)
    }
}

impl Extension for SoftSpoken {
    fn extend(
        &mut self,
        lane: &mut OtLane,
        counts: &PerParty<Option<CotCount>>,
    ) -> Result<PerParty<Option<PairCots>>, PrepError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.next_batches(lane, counts).inspect_err(|error| self.failed = Some(error.clone()))
    }
}

/// How the columns of a batch fall into tiles.
#[derive(Copy, Clone)]
struct Batch {
    count: usize,
    columns: usize,
}

impl Batch {
    const fn new(count: usize, checked: bool) -> Self {
        let columns = ROWS * count.div_ceil(ROWS) + if checked && count > 0 { ROWS } else { 0 };
        Self { count, columns }
    }

    const fn message_bytes(self, field: FieldBits) -> usize {
        let proof = if self.columns > ROWS * self.count.div_ceil(ROWS) { check::PROOF_BYTES } else { 0 };
        (field.trees() - 1) * self.columns / 8 + proof
    }

    /// Of every tile its columns, those of them that are COTs to be given out, and whether it is the last.
    fn tiles(self) -> impl Iterator<Item = (Range<usize>, Range<usize>, bool)> {
        (0..self.columns).step_by(TILE).map(move |from| {
            let to = self.columns.min(from + TILE);
            (from..to, from.min(self.count)..to.min(self.count), to == self.columns)
        })
    }
}
