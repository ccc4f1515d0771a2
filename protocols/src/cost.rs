//! Cost of a protocol: rounds, bytes that each party sends online, and the correlated randomness consumed.
//!
//! A round is one exchange. Bytes are message payloads, without framing. Every protocol module has a function that
//! returns its `Cost`; plans add them up and tests compare them with what a session counted.

use mpc_core::bits::packed_bytes;
use mpc_core::party::{PartyId, PerParty};
use mpc_core::ring::Ring;

use crate::prep::Item;

/// Predicted or measured cost for `n` parties.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Number of exchanges.
    pub rounds: u64,
    /// Payload bytes that each party sends to all others together.
    pub sent_bytes: PerParty<u64>,
    /// Correlated randomness, in order.
    pub items: Vec<Item>,
}

impl Cost {
    /// Nothing, for `n` parties.
    #[must_use]
    pub fn none(n: usize) -> Self {
        Self { rounds: 0, sent_bytes: PerParty::from_fn(n, |_| 0), items: vec![] }
    }

    /// One round in which every party opens `elements` ring elements and `bits` bits to every other.
    #[must_use]
    pub fn opening<R: Ring>(n: usize, elements: usize, bits: usize) -> Self {
        let message = (elements * R::BYTES + packed_bytes(1, bits)) as u64;
        Self { rounds: 1, sent_bytes: PerParty::from_fn(n, |_| message * (n as u64 - 1)), items: vec![] }
    }

    /// Correlated randomness alone.
    #[must_use]
    pub fn item(n: usize, item: Item) -> Self {
        Self { items: vec![item], ..Self::none(n) }
    }

    /// This cost followed by another.
    #[must_use]
    pub fn then(mut self, other: Self) -> Self {
        self.rounds += other.rounds;
        for p in PartyId::all(self.sent_bytes.parties()) {
            self.sent_bytes[p] += other.sent_bytes[p];
        }
        self.items.extend(other.items);
        self
    }

    /// This cost so many times. Items that name masks name those of the first time.
    #[must_use]
    pub fn times(&self, count: usize) -> Self {
        Self {
            rounds: self.rounds * count as u64,
            sent_bytes: PerParty::from_fn(self.sent_bytes.parties(), |p| self.sent_bytes[p] * count as u64),
            items: self.items.repeat(count),
        }
    }

    /// Bytes that each party receives from the dealer: the corrections, all at party 0.
    #[must_use]
    pub fn dealer_bytes<R: Ring>(&self) -> PerParty<u64> {
        let total = self.items.iter().map(Item::correction_bytes::<R>).sum();
        PerParty::from_fn(self.sent_bytes.parties(), |p| if p.index() == 0 { total } else { 0 })
    }

    /// The most that any party sends online.
    #[must_use]
    pub fn max_sent_bytes(&self) -> u64 {
        self.sent_bytes.iter().map(|(_, &b)| b).max().unwrap_or(0)
    }
}
