//! Correlated OTs in bulk.

use mpc_core::fixed_key::Block;
use mpc_core::party::PerParty;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::lane::OtLane;
use super::wipe;
use crate::error::PrepError;

/// Δ of one direction. Wiped on drop. It has a place of its own, so that nothing is left behind where its holder is moved
/// about.
pub struct Delta(Box<Block>);

impl From<Block> for Delta {
    fn from(value: Block) -> Self {
        Self(Box::new(value))
    }
}

impl std::ops::Deref for Delta {
    type Target = Block;

    fn deref(&self) -> &Block {
        &self.0
    }
}

impl Drop for Delta {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl ZeroizeOnDrop for Delta {}

/// Correlated OTs of a batch as the sender holds them. Used once; wiped on drop.
pub struct SentCots {
    /// Δ: the same for all COTs with this receiver; uniform, but its lowest bit is 1.
    pub delta: Delta,
    /// q, uniform to the receiver given t and c only in that Δ is unknown.
    pub q: Vec<Block>,
    /// Number of the first of these COTs among all of this pair, direction and session: a tweak for hashing.
    pub first: u64,
}

/// Correlated OTs of a batch as the receiver holds them. Used once; wiped on drop.
pub struct ReceivedCots {
    /// c, uniform: bit i of word i/64 belongs to COT i. Bits past the last are zero.
    pub choices: Vec<u64>,
    /// t = q ⊕ c·Δ.
    pub t: Vec<Block>,
    /// As with the sender.
    pub first: u64,
}

/// A batch with one peer, in both directions.
pub struct PairCots {
    /// Where this party is the sender.
    pub sent: SentCots,
    /// Where this party is the receiver.
    pub received: ReceivedCots,
}

impl Zeroize for SentCots {
    fn zeroize(&mut self) {
        self.delta.0.zeroize();
        wipe(&mut self.q);
    }
}

impl Zeroize for ReceivedCots {
    fn zeroize(&mut self) {
        wipe(&mut self.choices);
        wipe(&mut self.t);
    }
}

impl Drop for SentCots {
    fn drop(&mut self) {
        self.zeroize();
    }
}

impl Drop for ReceivedCots {
    fn drop(&mut self) {
        self.zeroize();
    }
}

impl ZeroizeOnDrop for SentCots {}
impl ZeroizeOnDrop for ReceivedCots {}

mpc_core::secret_types!(Delta, SentCots, ReceivedCots, PairCots);

/// How many COTs to make with one peer. The peer's are the same, the other way round.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct CotCount {
    /// As the sender.
    pub sent: usize,
    /// As the receiver.
    pub received: usize,
}

/// Makes COTs with all peers from a few base OTs.
pub trait Extension: Send {
    /// The next COTs with every peer; the own slots are `None`. All parties call it at the same time with counts that fit each
    /// other. The first call makes the base OTs.
    ///
    /// # Errors
    /// [`PrepError`] when the channel fails or a peer is caught.
    fn extend(
        &mut self,
        lane: &mut OtLane,
        counts: &PerParty<Option<CotCount>>,
    ) -> Result<PerParty<Option<PairCots>>, PrepError>;
}

/// What an extension costs one party, call by call: a model that is kept in step with it, for plans and tests. Its own state is
/// whatever makes calls differ in cost: whether the base OTs are made, and how many COTs are in store.
pub trait ExtensionCost {
    /// Rounds of the next call with these counts, and the bytes that this party sends to each peer in it.
    fn extend(&mut self, counts: &PerParty<Option<CotCount>>) -> (u64, PerParty<u64>);
}
