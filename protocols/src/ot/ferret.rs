//! Correlated OTs with almost nothing sent: Ferret.
//!
//! **Relation.** That of [`extension`](super::extension): t = q ⊕ c·Δ. Here, moreover, the lowest bit of q is 0 and that of t is c.
//!
//! **After** Yang, Weng, Lan, Zhang, Wang (*Ferret: Fast Extension for Correlated OT with Small Communication*, CCS 2020, ePrint
//! 2020/924), with regular noise: k COTs are stretched to N by a public code (`lpn`), and the noise that makes them
//! unpredictable comes from t punctured trees, of which each carries one noisy place over by as many COTs as it has levels. A
//! part of every batch of N makes the next one. Trees are the correlated ones of the half-tree (`ggm`), whose sums the
//! COTs themselves mask (Guo et al., ePrint 2022/1431, figure 4): the sender sends one block per level, the receiver nothing.
//!
//! **Departures.**
//! - The noisy place of a tree is the complement of its COTs' bits, which are uniform already.
//! - A batch is not made at once but tree by tree, when its COTs are asked for: memory is the seed of a batch (9 MB per
//!   direction and peer with the set [`Parameters::B13`]) and what is asked. A batch is renewed when it is used up and more is
//!   asked for.
//! - The base COTs come from another extension, made for the purpose: [`Ferret::layered`] stretches 74,036 of it by the small set to
//!   the 548,988 of the large one.
//!
//! **Security.** Semi-honest, or against malicious senders with a [check](Ferret::checked) of every call; LPN with regular noise and the parameters of [`Parameters`], whose source stands there. The sender
//! sees nothing but its own messages. The receiver sees, for each level of each tree, a sum masked by q of a COT that is used for
//! nothing else: it opens with t on the side that the receiver has to know, and with t ⊕ Δ on the other. A peer that sends
//! other corrections spoils, where nothing is checked, the COTs of this pair (and learns from what happens then some of the
//! receiver's bits). The receiver can deviate in nothing but the check, where it gains nothing. A party that was caught poisons
//! the extension.
//! Roots come from a stream of the sender's own, and codes are named by session, direction and batch, so no pad repeats.
//!
//! **Cost.** An [`extend`](Extension::extend) is one round, or three with checks. It sends [`Stock::bytes`] in each direction, 16 bytes
//! per level of a tree: 0.210 bit per COT over whole batches. The first call makes the base, too: what the inner extension takes for its COTs.

mod check;
mod half;
mod model;
mod parameters;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use mpc_core::fixed_key::Block;
use mpc_core::party::PerParty;
use mpc_core::prg::Seed;
use zeroize::{ZeroizeOnDrop, Zeroizing};

pub use self::check::CHECK_COTS;
pub use self::model::FerretCost;
pub use self::parameters::{Parameters, Stock};

use self::check::{ANSWER_BYTES, CHALLENGE_BYTES};
use self::half::{Half, Receiver, Sender, TreeKeys};
use super::extension::{CotCount, Delta, Extension, PairCots, ReceivedCots, SentCots};
use super::lane::OtLane;
use crate::error::PrepError;

/// Stretches the COTs of an inner extension, whose Δ it keeps.
pub struct Ferret<E> {
    set: Parameters,
    seed: Seed,
    checks: bool,
    /// Until the base is made.
    inner: Option<E>,
    pairs: Option<PerParty<Option<Box<Pair>>>>,
}

struct Pair {
    sender: Half<Sender>,
    receiver: Half<Receiver>,
}

mpc_core::secret_types!(Ferret<()>, Pair);

impl<E: Extension> Ferret<E> {
    /// Stretches COTs by one set of parameters. `seed` is fresh, private randomness of this party.
    #[must_use]
    pub const fn new(set: Parameters, seed: Seed, inner: E) -> Self {
        Self { set, seed, checks: false, inner: Some(inner), pairs: None }
    }

    /// Checks every call for senders that are malicious: two rounds and 48 bytes more, and [`CHECK_COTS`] of its COTs. The
    /// inner extension must be secure against them, too.
    #[must_use]
    pub fn checked(self) -> Self {
        Self { checks: true, ..self }
    }

    /// What is left with every peer, in the directions to it and from it, once there is a base.
    #[must_use]
    pub fn stock(&self) -> Option<PerParty<Option<[Stock; 2]>>> {
        let pairs = self.pairs.as_ref()?;
        Some(PerParty::from_fn(pairs.parties(), |peer| {
            pairs[peer].as_ref().map(|pair| [pair.sender.stock(), pair.receiver.stock()])
        }))
    }

    /// Makes the base of every direction with every peer.
    fn begin(&self, mut inner: E, lane: &mut OtLane) -> Result<PerParty<Option<Box<Pair>>>, PrepError> {
        let (me, session) = (lane.me(), *lane.session());
        let seed_cots = self.set.seed_cots() + if self.checks { CHECK_COTS } else { 0 };
        let count = CotCount { sent: seed_cots, received: seed_cots };
        let counts = PerParty::from_fn(lane.parties(), |peer| (peer != me).then_some(count));
        let mut made = inner.extend(lane, &counts)?;
        Ok(PerParty::from_fn(lane.parties(), |peer| {
            let PairCots { mut sent, mut received } = made[peer].take()?;
            let (mine, theirs) = (me.index() as u8, peer.index() as u8);
            let q = Zeroizing::new(std::mem::take(&mut sent.q));
            let t = Zeroizing::new(std::mem::take(&mut received.t));
            let roots = half::roots(self.set, &self.seed, &session, peer.index());
            let keys = |from, to| TreeKeys::new(self.set, session, [from, to]);
            let sender = Sender::new(Delta::from(*sent.delta), roots, keys(me, peer));
            Some(Box::new(Pair {
                sender: Half::new(self.set, sender, without_bits(q), &session, [mine, theirs]),
                receiver: Half::new(
                    self.set,
                    Receiver::new(keys(peer, me)),
                    with_bits(t, &received.choices),
                    &session,
                    [theirs, mine],
                ),
            }))
        }))
    }
}

impl<E: Extension> Ferret<Ferret<E>> {
    /// The large set on the small one on `inner`: least is sent in the end, and not much to begin with.
    #[must_use]
    pub fn layered(seed: Seed, inner: E) -> Self {
        // Streams are named by the set, too.
        Self::new(Parameters::B13, seed.clone(), Ferret::new(Parameters::B10, seed, inner))
    }

    /// As [`Self::layered`], with both layers [`checked`](Self::checked).
    #[must_use]
    pub fn layered_checked(seed: Seed, inner: E) -> Self {
        let small = Ferret::new(Parameters::B10, seed.clone(), inner).checked();
        Self::new(Parameters::B13, seed, small).checked()
    }
}

impl<E: Extension> Extension for Ferret<E> {
    fn extend(
        &mut self,
        lane: &mut OtLane,
        counts: &PerParty<Option<CotCount>>,
    ) -> Result<PerParty<Option<PairCots>>, PrepError> {
        // What is taken out and not put back makes all later calls fail.
        let mut pairs = match (self.inner.take(), self.pairs.take()) {
            (Some(inner), _) => self.begin(inner, lane)?,
            (None, Some(pairs)) => pairs,
            (None, None) => return Err(PrepError::Spent),
        };
        let parties = lane.parties();
        let count = |peer| counts[peer].unwrap_or(CotCount { sent: 0, received: 0 });
        let tree_bytes = self.set.tree_bytes() as usize;

        // What is none is written as such: a value made elsewhere would bring along what was on the stack.
        let (mut messages, mut sent) =
            (PerParty::from_fn(parties, |_| None), PerParty::from_fn(parties, |_| None));
        for peer in lane.me().others(parties) {
            let Some(pair) = pairs[peer].as_mut() else { continue };
            let mut wire = Vec::with_capacity(pair.sender.trees(count(peer).sent) * tree_bytes);
            let (q, first) = pair.sender.take(count(peer).sent, &mut wire);
            messages[peer] = Some(Bytes::from(wire));
            sent[peer] = Some(SentCots { delta: Delta::from(pair.sender.side.delta()), q, first });
        }
        let expect = PerParty::from_fn(parties, |peer| {
            Some(pairs[peer].as_ref()?.receiver.trees(count(peer).received) * tree_bytes)
        });
        let mut corrections = lane.exchange(messages, expect)?;
        let mut made = PerParty::from_fn(parties, |_| None);
        for peer in lane.me().others(parties) {
            let (Some(pair), Some(sent)) = (pairs[peer].as_mut(), sent[peer].take()) else { continue };
            let mut wire = corrections[peer].take().unwrap_or_default();
            let (t, first) = pair.receiver.take(count(peer).received, &mut wire);
            let received = ReceivedCots { choices: lowest_bits(&t), t, first };
            made[peer] = Some(PairCots { sent, received });
        }
        if self.checks {
            check_all(lane, &mut pairs)?;
        }
        self.pairs = Some(pairs);
        Ok(made)
    }
}

/// Two rounds, in which the checks that are due in all directions are made.
fn check_all(lane: &mut OtLane, pairs: &mut PerParty<Option<Box<Pair>>>) -> Result<(), PrepError> {
    let parties = lane.parties();
    let challenges = PerParty::from_fn(parties, |peer| {
        let (check, _) = pairs[peer].as_ref()?.receiver.due_check()?;
        Some(Bytes::copy_from_slice(&check.challenge()))
    });
    let expect =
        PerParty::from_fn(parties, |peer| pairs[peer].as_ref()?.sender.due_check().map(|_| CHALLENGE_BYTES));
    let challenges = lane.exchange(challenges, expect)?;

    let answers = PerParty::from_fn(parties, |peer| {
        let sender = &pairs[peer].as_ref()?.sender;
        let (check, transcript) = sender.due_check()?;
        let challenge = challenges[peer].as_deref()?.try_into().ok()?;
        let answer = check.answer(transcript, sender.side.delta(), challenge);
        Some(Bytes::copy_from_slice(answer.as_bytes()))
    });
    let expect =
        PerParty::from_fn(parties, |peer| pairs[peer].as_ref()?.receiver.due_check().map(|_| ANSWER_BYTES));
    let answers = lane.exchange(answers, expect)?;

    for peer in lane.me().others(parties) {
        let Some(pair) = pairs[peer].as_mut() else { continue };
        if let Some((check, transcript)) = pair.receiver.due_check() {
            let answer = answers[peer].as_deref().unwrap_or_default();
            // Hashes are compared in constant time.
            if check.expected(transcript) != *answer {
                return Err(PrepError::Inconsistent { peer, what: "its trees are none" });
            }
        }
        pair.receiver.finish_check();
        pair.sender.finish_check();
    }
    Ok(())
}

/// Everything in it wipes itself.
impl<E: ZeroizeOnDrop> ZeroizeOnDrop for Ferret<E> {}

/// The sender's blocks, with nothing in the lowest place.
fn without_bits(mut q: Zeroizing<Vec<Block>>) -> Zeroizing<Vec<Block>> {
    q.iter_mut().for_each(|q| *q &= !1);
    q
}

/// The receiver's blocks, with its bits in the lowest place: there, Δ has a 1.
fn with_bits(mut t: Zeroizing<Vec<Block>>, choices: &[u64]) -> Zeroizing<Vec<Block>> {
    for (word, t) in choices.iter().zip(t.chunks_mut(64)) {
        for (i, t) in t.iter_mut().enumerate() {
            *t = *t & !1 | Block::from(word >> i & 1);
        }
    }
    t
}

fn lowest_bits(t: &[Block]) -> Vec<u64> {
    t.chunks(64).map(|t| t.iter().rev().fold(0, |word, t| word << 1 | (*t as u64 & 1))).collect()
}
