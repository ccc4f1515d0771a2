//! What a log's owner shows a peer after a session, and what the peer checks before it cosigns.
//!
//! 1. The peer says which head of this log it saw last ([`Seen`](super::Seen)).
//! 2. The owner sends an [`Offer`]: its head, a proof that the head only adds to what the peer saw, and everything
//!    since the session began: the session's entries in full, entries of other sessions as hashes. From the subtrees
//!    complete before the session and these leaves the peer computes the root itself.
//! 3. The peer checks, remembers the head durably, and only then answers with a [`CosignatureReply`].
//!
//! An owner could send an entry of the session as a hash to hide it. A batch that is missing then shows in the order of the
//! entries, a commitment does not: a peer that knows the log to hold one session at a time takes no hashes. Everything here
//! is pure.
//!
//! [`CosignatureReply`]: super::CosignatureReply

use ed25519_dalek::VerifyingKey;

use super::Checkpoint;
use super::growth::{Growth, OfferError, decode_hashes, domain, encode_hashes};
use crate::merkle::{Frontier, ProofError, TreeHash, leaf_hash};
use crate::tag::SessionId;
use crate::transcript::{Entry, MAX_ENTRY_BYTES};
use crate::wire::{Encoder, WireError};

/// The longest offer that is read, in bytes.
pub const MAX_OFFER_BYTES: usize = 64 << 20;

const OFFER_DOMAIN: &str = "subrosa/offer/v1";

/// A leaf since the session began.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OfferedLeaf {
    /// An entry of the session.
    Entry(Vec<u8>),
    /// The hash of an entry of another session.
    Hash(TreeHash),
}

/// A log's head with all that a peer needs to check it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Offer {
    /// The head to cosign, and that it only adds to what the peer saw.
    pub growth: Growth,
    /// Number of the session's first entry.
    pub start: u64,
    /// Complete subtrees over the entries before that, largest first.
    pub peaks: Vec<TreeHash>,
    /// All entries from `start` on.
    pub leaves: Vec<OfferedLeaf>,
}

impl Offer {
    /// Checks everything that this offer claims: that `key` signed the head of the log named `origin`, that it only adds
    /// to `seen`, and that the leaves are what lies under its root. Gives the entries of `session` with their numbers; their order is for the
    /// caller to check.
    ///
    /// # Errors
    /// An [`OfferError`]; a fork and a rollback show both heads.
    pub fn check(
        &self,
        key: &VerifyingKey,
        origin: &str,
        seen: Option<&Checkpoint>,
        session: SessionId,
    ) -> Result<Vec<(u64, Entry)>, OfferError> {
        let head = self.growth.check(key, origin, seen)?;
        self.check_leaves(head)?;
        self.entries()
            .map(|(number, bytes)| {
                let wrong = |what: String| OfferError::Entry { entry: number, session, what };
                let entry = Entry::decode(bytes).map_err(|e| wrong(e.to_string()))?;
                if entry.session() == session { Ok((number, entry)) } else { Err(wrong(entry.to_string())) }
            })
            .collect()
    }

    /// The entries of the session, with their numbers, as bytes.
    pub fn entries(&self) -> impl Iterator<Item = (u64, &[u8])> {
        (self.start..).zip(&self.leaves).filter_map(|(number, leaf)| match leaf {
            OfferedLeaf::Entry(bytes) => Some((number, bytes.as_slice())),
            OfferedLeaf::Hash(_) => None,
        })
    }

    fn check_leaves(&self, head: &Checkpoint) -> Result<(), OfferError> {
        let wrong = |computed| OfferError::Leaves(ProofError::WrongRoot { expected: head.root(), computed });
        let out_of_range = ProofError::OutOfRange { position: self.start, size: head.size() };
        if head.size().checked_sub(self.start) != Some(self.leaves.len() as u64) {
            return Err(OfferError::Leaves(out_of_range));
        }
        let mut tree = Frontier::from_peaks(self.start, self.peaks.clone())
            .ok_or(OfferError::Leaves(ProofError::WrongLength { got: self.peaks.len() }))?;
        for leaf in &self.leaves {
            tree.push(match leaf {
                OfferedLeaf::Entry(bytes) => leaf_hash(bytes),
                OfferedLeaf::Hash(hash) => *hash,
            });
        }
        if tree.root() == head.root() { Ok(()) } else { Err(wrong(tree.root())) }
    }

    /// The message.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::new();
        e.str(OFFER_DOMAIN);
        self.growth.encode_fields(&mut e);
        e.u64(self.start);
        encode_hashes(&mut e, &self.peaks);
        for leaf in &self.leaves {
            match leaf {
                OfferedLeaf::Entry(bytes) => {
                    e.u8(0);
                    e.bytes(bytes);
                }
                OfferedLeaf::Hash(hash) => {
                    e.u8(1);
                    e.array(&hash.0);
                }
            }
        }
        e.finish()
    }

    /// Reads a message; nothing is verified. The leaves end where the message ends.
    ///
    /// # Errors
    /// [`OfferError::Wire`] or [`OfferError::Checkpoint`].
    pub fn decode(bytes: &[u8]) -> Result<Self, OfferError> {
        if bytes.len() > MAX_OFFER_BYTES {
            return Err(WireError::TooLong { max: MAX_OFFER_BYTES, got: bytes.len() }.into());
        }
        let mut d = domain(bytes, OFFER_DOMAIN)?;
        let growth = Growth::decode_fields(&mut d)?;
        let (start, peaks) = (d.u64()?, decode_hashes(&mut d)?);
        let mut leaves = Vec::new();
        while d.remaining() > 0 {
            leaves.push(match d.u8()? {
                0 => OfferedLeaf::Entry(d.bytes(MAX_ENTRY_BYTES)?.to_vec()),
                1 => OfferedLeaf::Hash(TreeHash(d.array()?)),
                _ => return Err(WireError::Invalid("offer: kind of leaf").into()),
            });
        }
        Ok(Self { growth, start, peaks, leaves })
    }
}

#[cfg(test)]
mod tests;
