//! What a node writes down about a session, and the recorder that produces it.
//!
//! A session is an *open* entry (who, which program, which parameters), *commitments* to the private values that went
//! in and came out, one *batch* of message digests per 64 rounds, and a *close*. [`Entry`] has one canonical encoding,
//! which is the leaf of the node's Merkle log.
//!
//! # What the entries reveal
//! Nothing about secrets, even to someone who can guess them:
//! - A message digest is BLAKE3 keyed with a [`LogKey`] that only the two ends of the connection know. It is a MAC,
//!   so without the key it is as good as random, whatever the message (shares, openings) was; it is equal at both ends,
//!   so anyone can compare "sent" with "received" without the key. Direction, lane, batch number and every message's
//!   tag and length are hashed, so a digest fits one place only. Digests cover the messages of the rounds and the
//!   dealer's corrections; the connections' hellos, confirmations and closing words are not messages in this sense.
//! - A commitment is SHA-256 over its place (session, kind, name), a fresh 32-byte blind and the value; the blind stays
//!   outside the log ([`Commitment::new`]). Equal values give unrelated commitments.
//! - Counts of rounds and bytes follow from the program, which is public to the parties.
//!
//! # When entries are made
//! Batches end after a number of *rounds*, never after a time, so the entries of two honest runs differ in digests
//! only, and both ends of a connection cut at the same place. That needs every party to take part in every exchange of
//! a lane, also where it has nothing to say; the program makes them do so.

mod batch;
mod corrections;
mod entry;
mod recorder;
mod session_id;

pub use batch::{Batch, LogKey, PeerDigests};
pub use corrections::{CorrectionRecorder, RecordedCorrections, correction_lane};
pub use entry::{
    Close, Commitment, CommitmentKind, Entry, MAX_REASON_BYTES, Member, Outcome, SessionOpen, Witnessed,
};
pub use recorder::{ROUNDS_PER_BATCH, Recorder, Traffic};
pub use session_id::SessionTerms;

/// The largest entry, in bytes: what a tile bundle's length prefix can express. Real entries are below 2 KiB.
pub const MAX_ENTRY_BYTES: usize = 65_535;

/// Where entries go. A node's sink hands them to the log's writer; a failure to store shows there, when the node asks
/// for what was written, and never stops in the middle of an exchange.
pub trait TranscriptSink: Send {
    /// Takes the next entry.
    fn append(&mut self, entry: Entry);
}

/// Collects entries in memory.
impl TranscriptSink for Vec<Entry> {
    fn append(&mut self, entry: Entry) {
        self.push(entry);
    }
}

#[cfg(test)]
mod tests;
