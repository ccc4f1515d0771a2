//! 128 base oblivious transfers between every two parties and in both directions: where all others are extended from.
//!
//! **Relation.** For each OT of a sender and a receiver, the sender holds two keys k_0, k_1 of 128 bits and the receiver, who
//! put in a choice b, holds k_b.
//!
//! **Protocol.** Endemic OT of Masny and Rindal (*Endemic Oblivious Transfer*, CCS 2019, ePrint 2019/706, Fig. 8: from a
//! one-round key agreement, here Diffie–Hellman over Ristretto). With random oracles H_0, H_1 into the group:
//! 1. The sender takes a scalar a and sends A = a·G, one for all 128.
//! 2. The receiver takes a scalar m and a random group element r_{1−b}, sets r_b = m·G − H_b(r_{1−b}) and sends (r_0, r_1).
//! 3. With M_c = r_c + H_c(r_{1−c}), k_c is a hash of a·M_c, and the receiver's of m·A.
//!
//! Neither message depends on the other, so all of it, both ways and with every peer, is one exchange.
//!
//! **Departures.** The sender's A is one for all OTs and branches. Every oracle is BLAKE3 with its own context over session, sender, receiver, number of the OT and branch; a
//! key also covers A, r_0 and r_1. All points are sent as doubles of what was computed (H is twice a hashed point, a and m are
//! twice scalars that were drawn), because the encodings of doubles come cheap in batches; the group has odd order, so nothing
//! changes in distribution.
//!
//! **Security**, against malicious parties, in the random oracle model. *The receiver's choice:* r_0 and r_1 are uniform and
//! independent for either b, so the sender learns nothing, whatever it can compute. *The other key:* of the queries H_0(r_1)
//! and H_1(r_0) the later one fixes a uniform M_c after both r are; the key behind it takes a·M_c. That is computational
//! Diffie–Hellman, with the oracle that tells right from wrong guesses (gap-CDH) for the one A; the paper states the like as
//! choose-and-open DDH. *Keys are endemic:* a cheating party can choose the keys that it ends with, which the extension's proof
//! allows. Nothing is used twice: the hash over session, direction and number keeps keys of all OTs apart, so neither replayed
//! nor reflected messages give related keys.
//!
//! **Cost** of each pair: [`MESSAGE_BYTES`] each way in one round; four scalar multiplications and four maps to the group per
//! OT and pair of directions.

use bytes::Bytes;
use curve25519_dalek::ristretto::CompressedRistretto;
use curve25519_dalek::traits::IsIdentity;
use curve25519_dalek::{RistrettoPoint, Scalar};
use mpc_core::fixed_key::Block;
use mpc_core::party::{PartyId, PerParty};
use mpc_core::prg::{Prg, Seed};
use mpc_core::tag::{SessionId, Tag};
use subtle::{Choice, ConditionallySelectable};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::lane::{LANE, OtLane};
use crate::error::PrepError;

/// OTs of each pair and direction.
pub const COUNT: usize = 128;

/// Bytes of an encoded group element.
const POINT: usize = 32;

/// What each party sends to each other: the sender's element, then the receiver's pairs.
pub const MESSAGE_BYTES: usize = POINT + COUNT * 2 * POINT;

/// Keys with one peer. Wiped on drop.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct BaseKeys {
    /// Both keys of the OTs where this party is the sender.
    pub sent: Vec<[Block; 2]>,
    /// The chosen keys of the OTs where it is the receiver.
    pub received: Vec<Block>,
}

/// What a party keeps between sending and receiving.
#[derive(ZeroizeOnDrop)]
struct Started {
    /// Half of a.
    sender: Scalar,
    /// Half of each m.
    receiver: Vec<Scalar>,
    choices: Block,
    #[zeroize(skip)]
    message: Bytes,
}

mpc_core::secret_types!(BaseKeys, Started);

/// The OTs with every peer; bit i of `choices[p]` is the choice in OT i with sender p. `seed` must be fresh and secret.
///
/// # Errors
/// [`PrepError::NotAPoint`] names a peer whose message is none.
pub fn base_ots(
    lane: &mut OtLane,
    choices: &PerParty<Zeroizing<Block>>,
    seed: &Seed,
) -> Result<PerParty<Option<BaseKeys>>, PrepError> {
    let (me, n, session) = (lane.me(), lane.parties(), *lane.session());
    let started = PerParty::from_fn(n, |p| {
        (p != me).then(|| Box::new(Started::new(&session, me, p, *choices[p], seed)))
    });
    let send = PerParty::from_fn(n, |p| started[p].as_ref().map(|s| s.message.clone()));
    let expect = PerParty::from_fn(n, |p| (p != me).then_some(MESSAGE_BYTES));
    let received = lane.exchange(send, expect)?;
    let mut keys = PerParty::from_fn(n, |_| None);
    for (p, message) in received.iter() {
        if let (Some(started), Some(message)) = (&started[p], message) {
            keys[p] = Some(started.finish(&session, me, p, message)?);
        }
    }
    Ok(keys)
}

impl Started {
    fn new(session: &SessionId, me: PartyId, peer: PartyId, choices: Block, seed: &Seed) -> Self {
        let tag = Tag { lane: LANE, node: 0, iteration: 0, round: 0 };
        let mut prg = Prg::new(seed, session, tag, "ot/base", peer.index() as u32);
        let mut draw = || {
            let mut wide = Zeroizing::new([0; 64]);
            prg.fill(&mut *wide);
            wide
        };
        let sender = Scalar::from_bytes_mod_order_wide(&draw());
        let receiver: Vec<Scalar> = (0..COUNT).map(|_| Scalar::from_bytes_mod_order_wide(&draw())).collect();
        let others: Zeroizing<Vec<_>> =
            Zeroizing::new((0..COUNT).map(|_| RistrettoPoint::from_uniform_bytes(&draw())).collect());
        let others = doubled(&others);
        let oracle = Oracle::new(session, peer, me);
        let own: Zeroizing<Vec<_>> = Zeroizing::new(
            (0..COUNT)
                .map(|i| {
                    let hashed = oracle.half_point(i, choice(choices, i).unwrap_u8(), &others[i]);
                    RistrettoPoint::mul_base(&receiver[i]) - hashed
                })
                .collect(),
        );
        let own = doubled(&own);
        let first = RistrettoPoint::double_and_compress_batch(&[RistrettoPoint::mul_base(&sender)]);
        let mut message = first[0].to_bytes().to_vec();
        message.reserve_exact(MESSAGE_BYTES - POINT);
        for i in 0..COUNT {
            let (mut r_0, mut r_1) = (own[i].to_bytes(), others[i].to_bytes());
            for (x, y) in r_0.iter_mut().zip(&mut r_1) {
                u8::conditional_swap(x, y, choice(choices, i));
            }
            message.extend(r_0);
            message.extend(r_1);
        }
        Self { sender, receiver, choices, message: message.into() }
    }

    fn finish(
        &self,
        session: &SessionId,
        me: PartyId,
        peer: PartyId,
        theirs: &[u8],
    ) -> Result<BaseKeys, PrepError> {
        Ok(BaseKeys {
            sent: self.keys_as_sender(&Oracle::new(session, me, peer), peer, theirs)?,
            received: self.keys_as_receiver(&Oracle::new(session, peer, me), peer, theirs)?,
        })
    }

    fn keys_as_sender(
        &self,
        oracle: &Oracle,
        peer: PartyId,
        theirs: &[u8],
    ) -> Result<Vec<[Block; 2]>, PrepError> {
        let first = encoding(&self.message, 0);
        let mut shared = Zeroizing::new(Vec::with_capacity(2 * COUNT));
        for i in 0..COUNT {
            let pair = [encoding(theirs, 1 + 2 * i), encoding(theirs, 2 + 2 * i)];
            for c in 0..2 {
                let hashed = oracle.half_point(i, c as u8, &pair[1 - c]);
                let sum = decode(&pair[c], peer, 1 + 2 * i + c)? + hashed + hashed;
                shared.push(sum * self.sender);
            }
        }
        let shared = doubled(&shared);
        let key =
            |i: usize, c: usize| oracle.key(i, c as u8, &first, points_of(theirs, i), &shared[2 * i + c]);
        Ok((0..COUNT).map(|i| [key(i, 0), key(i, 1)]).collect())
    }

    fn keys_as_receiver(
        &self,
        oracle: &Oracle,
        peer: PartyId,
        theirs: &[u8],
    ) -> Result<Vec<Block>, PrepError> {
        let first = encoding(theirs, 0);
        let point = decode(&first, peer, 0)?;
        let shared: Zeroizing<Vec<_>> = Zeroizing::new(self.receiver.iter().map(|m| point * m).collect());
        let shared = doubled(&shared);
        let key = |i: usize| {
            let c = choice(self.choices, i).unwrap_u8();
            oracle.key(i, c, &first, points_of(&self.message, i), &shared[i])
        };
        Ok((0..COUNT).map(key).collect())
    }
}

fn choice(choices: Block, i: usize) -> Choice {
    Choice::from((choices >> i) as u8 & 1)
}

/// The `at`-th element of a message.
fn encoding(message: &[u8], at: usize) -> CompressedRistretto {
    let (points, _) = message.as_chunks::<POINT>();
    CompressedRistretto(points[at])
}

/// The encodings of r_0 and r_1 of OT `i`.
fn points_of(message: &[u8], i: usize) -> &[u8] {
    &message[POINT * (1 + 2 * i)..][..2 * POINT]
}

/// A peer's point: canonical and not the neutral one, behind which everybody knows the key.
fn decode(point: &CompressedRistretto, peer: PartyId, at: usize) -> Result<RistrettoPoint, PrepError> {
    point.decompress().filter(|p| !p.is_identity()).ok_or(PrepError::NotAPoint { peer, at })
}

/// The random oracles of one session, sender and receiver.
struct Oracle {
    to_points: blake3::Hasher,
    to_keys: blake3::Hasher,
}

impl Oracle {
    fn new(session: &SessionId, sender: PartyId, receiver: PartyId) -> Self {
        let start = |context| {
            let mut hasher = blake3::Hasher::new_derive_key(context);
            hasher.update(&session.0).update(&[sender.index() as u8, receiver.index() as u8]);
            hasher
        };
        Self {
            to_points: start("subrosa base OT 2026-11 point"),
            to_keys: start("subrosa base OT 2026-11 key"),
        }
    }

    /// Half of H_branch(point).
    fn half_point(&self, i: usize, branch: u8, point: &CompressedRistretto) -> RistrettoPoint {
        let mut hasher = self.to_points.clone();
        hasher.update(&[i as u8, branch]).update(point.as_bytes());
        let mut wide = Zeroizing::new([0; 64]);
        hasher.finalize_xof().fill(&mut *wide);
        hasher.zeroize();
        RistrettoPoint::from_uniform_bytes(&wide)
    }

    fn key(
        &self,
        i: usize,
        branch: u8,
        first: &CompressedRistretto,
        pair: &[u8],
        shared: &CompressedRistretto,
    ) -> Block {
        let mut hasher = self.to_keys.clone();
        hasher.update(&[i as u8, branch]).update(first.as_bytes()).update(pair).update(shared.as_bytes());
        let mut key = Zeroizing::new([0; 16]);
        hasher.finalize_xof().fill(&mut *key);
        hasher.zeroize();
        Block::from_le_bytes(*key)
    }
}

/// Encodings of the points' doubles, as those of a public point are made. One at a time: a batch leaves what they follow from
/// in memory that it frees.
fn doubled(points: &[RistrettoPoint]) -> Zeroizing<Vec<CompressedRistretto>> {
    Zeroizing::new(points.iter().map(|point| (point + point).compress()).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ME: PartyId = PartyId::new(0);
    const PEER: PartyId = PartyId::new(1);
    const SESSION: SessionId = SessionId([1; 32]);

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// One element in place of a right one gives keys or the peer's name, and never a panic.
        #[test]
        fn any_element_is_decoded_or_refused(bytes: [u8; 32], at in 0..=2 * COUNT) {
            let started = |me, peer| Started::new(&SESSION, me, peer, 77, &Seed::new([me.index() as u8; 32]));
            let (own, theirs) = (started(ME, PEER), started(PEER, ME));
            let mut message = theirs.message.to_vec();
            message[POINT * at..][..POINT].copy_from_slice(&bytes);
            let is_point = CompressedRistretto(bytes).decompress().is_some_and(|p| !p.is_identity());
            match own.finish(&SESSION, ME, PEER, &message) {
                Ok(keys) => prop_assert!(is_point && keys.sent.len() == COUNT),
                Err(PrepError::NotAPoint { peer, at: seen }) => {
                    prop_assert!(!is_point && peer == PEER && seen == at);
                }
                Err(other) => prop_assert!(false, "{}", other),
            }
        }
    }
}
