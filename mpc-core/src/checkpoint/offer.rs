//! What a log's owner shows a peer after a session, and what the peer checks before it cosigns.
//!
//! 1. The peer says which head of this log it saw last ([`Seen`]).
//! 2. The owner sends an [`Offer`]: its head, a proof that the head only adds to what the peer saw, and everything
//!    since the session began: the session's entries in full, entries of other sessions as hashes. From the subtrees
//!    complete before the session and these leaves the peer computes the root itself.
//! 3. The peer checks, remembers the head durably, and only then answers with a [`CosignatureReply`].
//!
//! Both sides show each other signed heads, so a fork or a rollback leaves evidence: two heads under one key. An owner
//! could send an entry of the session as a hash to hide it; what is missing then shows in the order of the entries,
//! which the node checks as it checks any log. Everything here is pure.
//!
//! [`CosignatureReply`]: super::CosignatureReply

use ed25519_dalek::VerifyingKey;

use super::proof::MAX_PROOF_HASHES;
use super::{Checkpoint, CheckpointError, MAX_CHECKPOINT_BYTES, SignedCheckpoint};
use crate::merkle::{Frontier, ProofError, TreeHash, leaf_hash, verify_consistency};
use crate::tag::SessionId;
use crate::transcript::{Entry, MAX_ENTRY_BYTES};
use crate::wire::{Decoder, Encoder, WireError};

/// The longest offer that is read, in bytes.
pub const MAX_OFFER_BYTES: usize = 64 << 20;

const SEEN_DOMAIN: &str = "subrosa/seen/v1";
const OFFER_DOMAIN: &str = "subrosa/offer/v1";

/// The head of the other's log that a peer saw last, as the log's owner signed it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen(pub Option<SignedCheckpoint>);

impl Seen {
    /// The message.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::new();
        e.str(SEEN_DOMAIN);
        e.u8(u8::from(self.0.is_some()));
        self.0.iter().for_each(|head| e.str(&head.to_string()));
        e.finish()
    }

    /// Reads a message; no signature is verified.
    ///
    /// # Errors
    /// [`OfferError::Wire`] or [`OfferError::Checkpoint`].
    pub fn decode(bytes: &[u8]) -> Result<Self, OfferError> {
        let mut d = domain(bytes, SEEN_DOMAIN)?;
        let head = match d.u8()? {
            0 => None,
            1 => Some(SignedCheckpoint::parse(d.bytes(MAX_CHECKPOINT_BYTES)?)?),
            _ => return Err(WireError::Invalid("seen: flag").into()),
        };
        d.finish()?;
        Ok(Self(head))
    }

    /// What the owner of the log makes of it: how many entries the peer knows. `size` and `root_at` are those of its own
    /// log.
    ///
    /// # Errors
    /// [`OfferError::Forked`] or [`OfferError::RolledBack`] if this log is not one that adds to what the peer saw: then
    /// it is this log that was put back or replaced. A head that `key` did not sign is the peer's invention.
    pub fn check(
        &self,
        key: &VerifyingKey,
        own: &Checkpoint,
        root_at: impl FnOnce(u64) -> Option<TreeHash>,
    ) -> Result<u64, OfferError> {
        let Some(seen) = &self.0 else { return Ok(0) };
        let seen = seen.verify(key)?;
        not_older(seen, own)?;
        if root_at(seen.size()) != Some(seen.root()) {
            return Err(OfferError::forked(seen, own));
        }
        Ok(seen.size())
    }
}

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
    /// The head to cosign.
    pub head: SignedCheckpoint,
    /// How many entries the peer knows.
    pub seen_size: u64,
    /// Shows that the head only adds to these.
    pub consistency: Vec<TreeHash>,
    /// Number of the session's first entry.
    pub start: u64,
    /// Complete subtrees over the entries before that, largest first.
    pub peaks: Vec<TreeHash>,
    /// All entries from `start` on.
    pub leaves: Vec<OfferedLeaf>,
}

/// Why a peer's log is not cosigned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OfferError {
    /// The bytes are no such message.
    #[error("malformed message: {0}")]
    Wire(#[from] WireError),
    /// A head is malformed or signed by somebody else.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The log was put back to an older state.
    #[error("log was rolled back: seen before: {seen}; shown now: {shown}")]
    RolledBack {
        /// The head seen before, in one line.
        seen: String,
        /// The head shown now.
        shown: String,
    },
    /// The log is not one that adds to what was seen.
    #[error("log was forked: seen before: {seen}; shown now: {shown}")]
    Forked {
        /// The head seen before, in one line.
        seen: String,
        /// The head shown now.
        shown: String,
    },
    /// The offer does not start from what this peer saw.
    #[error("the proof starts at {got} entries, expected {expected}")]
    OtherStart {
        /// Entries that the peer knows.
        expected: u64,
        /// What the owner took them to be.
        got: u64,
    },
    /// The leaves do not lead to the head's root.
    #[error("the leaves do not lead to the signed root: {0}")]
    Leaves(ProofError),
    /// A leaf is not an entry of the session.
    #[error("entry {entry} is not one of session {session}: {what}")]
    Entry {
        /// Its number.
        entry: u64,
        /// The session.
        session: SessionId,
        /// What is wrong.
        what: String,
    },
}

/// A head in one line, for people to keep as evidence.
fn line(head: &Checkpoint) -> String {
    format!("{} with {} entries and root {}", head.origin(), head.size(), head.root())
}

impl OfferError {
    fn forked(seen: &Checkpoint, shown: &Checkpoint) -> Self {
        Self::Forked { seen: line(seen), shown: line(shown) }
    }
}

/// A log keeps its name and never gets shorter.
fn not_older(seen: &Checkpoint, shown: &Checkpoint) -> Result<(), OfferError> {
    if seen.origin() != shown.origin() {
        return Err(OfferError::forked(seen, shown));
    }
    if shown.size() < seen.size() {
        return Err(OfferError::RolledBack { seen: line(seen), shown: line(shown) });
    }
    Ok(())
}

impl Offer {
    /// Checks everything that this offer claims: that `key` signed the head, that it only adds to `seen`, and that the
    /// leaves are what lies under its root. Gives the entries of `session` with their numbers; their order is for the
    /// caller to check.
    ///
    /// # Errors
    /// An [`OfferError`]; a fork and a rollback show both heads.
    pub fn check(
        &self,
        key: &VerifyingKey,
        seen: Option<&Checkpoint>,
        session: SessionId,
    ) -> Result<Vec<(u64, Entry)>, OfferError> {
        let head = self.head.verify(key)?;
        if !self.head.cosignatures().is_empty() {
            return Err(CheckpointError::Malformed("an offered head has one signature").into());
        }
        let seen_size = seen.map_or(0, Checkpoint::size);
        if let Some(seen) = seen {
            not_older(seen, head)?;
        }
        // Equal sizes need no proof: another root is a fork whatever the offer starts from.
        if let Some(seen) = seen.filter(|s| s.size() == head.size() && s.root() != head.root()) {
            return Err(OfferError::forked(seen, head));
        }
        if self.seen_size != seen_size {
            return Err(OfferError::OtherStart { expected: seen_size, got: self.seen_size });
        }
        let root = seen.map_or_else(crate::merkle::empty_root, Checkpoint::root);
        if let Err(e) = verify_consistency(seen_size, root, head.size(), head.root(), &self.consistency) {
            return Err(seen.map_or(OfferError::Leaves(e), |seen| OfferError::forked(seen, head)));
        }
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
        e.str(&self.head.to_string());
        e.u64(self.seen_size);
        encode_hashes(&mut e, &self.consistency);
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
        let head = SignedCheckpoint::parse(d.bytes(MAX_CHECKPOINT_BYTES)?)?;
        let (seen_size, consistency) = (d.u64()?, decode_hashes(&mut d)?);
        let (start, peaks) = (d.u64()?, decode_hashes(&mut d)?);
        let mut leaves = Vec::new();
        while d.remaining() > 0 {
            leaves.push(match d.u8()? {
                0 => OfferedLeaf::Entry(d.bytes(MAX_ENTRY_BYTES)?.to_vec()),
                1 => OfferedLeaf::Hash(TreeHash(d.array()?)),
                _ => return Err(WireError::Invalid("offer: kind of leaf").into()),
            });
        }
        Ok(Self { head, seen_size, consistency, start, peaks, leaves })
    }
}

fn domain<'a>(bytes: &'a [u8], expected: &str) -> Result<Decoder<'a>, WireError> {
    let mut d = Decoder::new(bytes);
    if d.str(expected.len())? == expected {
        Ok(d)
    } else {
        Err(WireError::Invalid("other domain or version"))
    }
}

fn encode_hashes(e: &mut Encoder, hashes: &[TreeHash]) {
    e.u8(u8::try_from(hashes.len()).unwrap_or(u8::MAX));
    hashes.iter().for_each(|h| e.array(&h.0));
}

fn decode_hashes(d: &mut Decoder<'_>) -> Result<Vec<TreeHash>, WireError> {
    let n = usize::from(d.u8()?);
    if n > MAX_PROOF_HASHES {
        return Err(WireError::TooLong { max: MAX_PROOF_HASHES, got: n });
    }
    (0..n).map(|_| d.array().map(TreeHash)).collect()
}

#[cfg(test)]
mod tests;
