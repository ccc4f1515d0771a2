//! What the owner of a log and a peer tell each other about heads: what the peer saw last, and that the log only grew
//! since. Both sides show signed heads, so a fork or a rollback leaves evidence: two heads under one key.

use ed25519_dalek::VerifyingKey;

use super::proof::MAX_PROOF_HASHES;
use super::{Checkpoint, CheckpointError, MAX_CHECKPOINT_BYTES, SignedCheckpoint};
use crate::merkle::{ProofError, TreeHash, empty_root, verify_consistency};
use crate::tag::SessionId;
use crate::wire::{Decoder, Encoder, WireError};

/// No [`Seen`] or [`Growth`] is longer, in bytes.
pub const MAX_GROWTH_BYTES: usize = MAX_CHECKPOINT_BYTES + 32 * MAX_PROOF_HASHES + 64;

const SEEN_DOMAIN: &str = "subrosa/seen/v1";
const GROWTH_DOMAIN: &str = "subrosa/growth/v1";

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

/// A log's head with the proof that it only adds to what a peer saw of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Growth {
    /// The head, signed by the log alone.
    pub head: SignedCheckpoint,
    /// How many entries the peer knows.
    pub seen_size: u64,
    /// Shows that the head only adds to these (RFC 6962 §2.1.2).
    pub consistency: Vec<TreeHash>,
}

impl Growth {
    /// Checks that this is a head of the log named `origin`, that `key` signed it and that it only adds to `seen`; gives
    /// the head. Without the name a node could have a head of another's log cosigned, signed by a key of its own.
    ///
    /// # Errors
    /// An [`OfferError`]; a fork and a rollback show both heads.
    pub fn check(
        &self,
        key: &VerifyingKey,
        origin: &str,
        seen: Option<&Checkpoint>,
    ) -> Result<&Checkpoint, OfferError> {
        let head = self.head.verify(key)?;
        if head.origin() != origin {
            let (expected, got) = (origin.to_owned(), head.origin().to_owned());
            return Err(OfferError::OtherLog { expected, got });
        }
        if !self.head.cosignatures().is_empty() {
            return Err(CheckpointError::Malformed("an offered head has one signature").into());
        }
        let seen_size = seen.map_or(0, Checkpoint::size);
        if let Some(seen) = seen {
            not_older(seen, head)?;
        }
        // Equal sizes need no proof: another root is a fork whatever the proof starts from.
        if let Some(seen) = seen.filter(|s| s.size() == head.size() && s.root() != head.root()) {
            return Err(OfferError::forked(seen, head));
        }
        if self.seen_size != seen_size {
            return Err(OfferError::OtherStart { expected: seen_size, got: self.seen_size });
        }
        let root = seen.map_or_else(empty_root, Checkpoint::root);
        if let Err(e) = verify_consistency(seen_size, root, head.size(), head.root(), &self.consistency) {
            return Err(seen.map_or(OfferError::Leaves(e), |seen| OfferError::unproven(seen, head)));
        }
        Ok(head)
    }

    /// The message.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::new();
        e.str(GROWTH_DOMAIN);
        self.encode_fields(&mut e);
        e.finish()
    }

    /// Reads a message; nothing is verified.
    ///
    /// # Errors
    /// [`OfferError::Wire`] or [`OfferError::Checkpoint`].
    pub fn decode(bytes: &[u8]) -> Result<Self, OfferError> {
        let mut d = domain(bytes, GROWTH_DOMAIN)?;
        let growth = Self::decode_fields(&mut d)?;
        d.finish()?;
        Ok(growth)
    }

    pub(super) fn encode_fields(&self, e: &mut Encoder) {
        e.str(&self.head.to_string());
        e.u64(self.seen_size);
        encode_hashes(e, &self.consistency);
    }

    pub(super) fn decode_fields(d: &mut Decoder<'_>) -> Result<Self, OfferError> {
        let head = SignedCheckpoint::parse(d.bytes(MAX_CHECKPOINT_BYTES)?)?;
        Ok(Self { head, seen_size: d.u64()?, consistency: decode_hashes(d)? })
    }
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
    /// The head is one of another log.
    #[error("a head of the log of {got}, expected {expected}")]
    OtherLog {
        /// Whose log it should be.
        expected: String,
        /// Whose it says it is.
        got: String,
    },
    /// Two heads of one size that differ: signed by one key, they prove that it signed two logs.
    #[error("log was forked: seen before: {seen}; shown now: {shown}")]
    Forked {
        /// The head seen before, in one line.
        seen: String,
        /// The head shown now.
        shown: String,
    },
    /// The log does not show that it adds to what was seen: it was forked, or the proof is bad.
    #[error("log was forked, or cannot show that it was not: seen before: {seen}; shown now: {shown}")]
    Unproven {
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

    fn unproven(seen: &Checkpoint, shown: &Checkpoint) -> Self {
        Self::Unproven { seen: line(seen), shown: line(shown) }
    }

    /// Whether the log is at variance with what was seen of it: forked, rolled back, or not shown to be neither.
    #[must_use]
    pub const fn is_at_variance(&self) -> bool {
        matches!(self, Self::Forked { .. } | Self::Unproven { .. } | Self::RolledBack { .. })
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

pub(super) fn domain<'a>(bytes: &'a [u8], expected: &str) -> Result<Decoder<'a>, WireError> {
    let mut d = Decoder::new(bytes);
    if d.str(expected.len())? == expected {
        Ok(d)
    } else {
        Err(WireError::Invalid("other domain or version"))
    }
}

pub(super) fn encode_hashes(e: &mut Encoder, hashes: &[TreeHash]) {
    e.u8(u8::try_from(hashes.len()).unwrap_or(u8::MAX));
    hashes.iter().for_each(|h| e.array(&h.0));
}

pub(super) fn decode_hashes(d: &mut Decoder<'_>) -> Result<Vec<TreeHash>, WireError> {
    let n = usize::from(d.u8()?);
    if n > MAX_PROOF_HASHES {
        return Err(WireError::TooLong { max: MAX_PROOF_HASHES, got: n });
    }
    (0..n).map(|_| d.array().map(TreeHash)).collect()
}
