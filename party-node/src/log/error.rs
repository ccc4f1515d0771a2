//! What can go wrong with a node's own log.

use std::io;
use std::path::{Path, PathBuf};

use mpc_core::checkpoint::OfferError;
use mpc_core::tag::SessionId;
use mpc_core::transcript::MAX_ENTRY_BYTES;
use mpc_core::wire::WireError;

/// Why the log cannot be opened or written. `Clone`, because a failure of the writer is told to everyone who asks.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The operating system refused.
    #[error("cannot {action} {}: {reason}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What kind of refusal it is.
        kind: io::ErrorKind,
        /// What the system said.
        reason: String,
    },
    /// Another process has the log open.
    #[error("log {} is in use by another process", dir.display())]
    Locked {
        /// The log.
        dir: PathBuf,
    },
    /// There are tiles but no checkpoint.
    #[error(
        "log {} has no checkpoint but is not empty: restore its checkpoint file, or move the directory away to begin a new log",
        dir.display()
    )]
    NoCheckpoint {
        /// The log.
        dir: PathBuf,
    },
    /// The log belongs to another name or key.
    #[error("log {} belongs to another node: expected {expected}, got {got}", dir.display())]
    OtherNode {
        /// The log.
        dir: PathBuf,
        /// Our name or key.
        expected: String,
        /// What the log says.
        got: String,
    },
    /// The content contradicts the checkpoint.
    #[error("log {} is damaged: {what}; restore it from a copy, or move the directory away to begin a new log", dir.display())]
    Damaged {
        /// The log.
        dir: PathBuf,
        /// File, entry and fault.
        what: String,
    },
    /// What this node remembers of a peer's log is not what the peer signed.
    #[error("what this node remembers of {peer}'s log is damaged: {}: {what}", file.display())]
    MemoryDamaged {
        /// The file that holds it.
        file: PathBuf,
        /// The peer.
        peer: String,
        /// What is wrong.
        what: String,
    },
    /// A file that no log contains.
    #[error("log {} contains {file}, which does not belong there: move it away", dir.display())]
    Foreign {
        /// The log.
        dir: PathBuf,
        /// The file, relative to the log.
        file: String,
    },
    /// An entry above the format's limit.
    #[error("log entry too long: expected at most {MAX_ENTRY_BYTES} bytes, got {got}")]
    EntryTooLong {
        /// Its length in bytes.
        got: usize,
    },
    /// An entry that a verifier would refuse.
    #[error("log entry would not verify: {0}")]
    BadEntry(#[from] WireError),
    /// An entry of a session that is not open in this log: it was never opened, or it is closed, or it is opened again.
    #[error(
        "session {session} cannot take this entry: it was not opened before, or it is over, or it is opened again"
    )]
    SessionNotOpen {
        /// The session.
        session: SessionId,
    },
    /// Cosignatures that a verifier would refuse.
    #[error("cosignatures of session {session} would not verify: {what}")]
    NotCosigned {
        /// The session.
        session: SessionId,
        /// What is wrong.
        what: String,
    },
    /// A peer has seen another state of this log, or claims so.
    #[error("log {} does not fit what a peer has seen of it: {reason}", dir.display())]
    Refused {
        /// The log.
        dir: PathBuf,
        /// What the peer saw and what this log is.
        reason: OfferError,
    },
    /// An entry number or size that the log does not reach.
    #[error("log {} has {size} entries, and cannot prove anything about {asked}", dir.display())]
    OutOfRange {
        /// The log.
        dir: PathBuf,
        /// Its size.
        size: u64,
        /// The number or size asked for.
        asked: u64,
    },
    /// A session-open entry in which this node is not the one that owns the log.
    #[error("log of {expected} cannot take a session opened as {got}")]
    OtherIdentity {
        /// The log's name and key.
        expected: String,
        /// Those in the entry.
        got: String,
    },
    /// An earlier write failed, so it is not known what is on the disk; opening the log again finds out.
    #[error("log {} stopped after a failed write", dir.display())]
    Stopped {
        /// The log.
        dir: PathBuf,
    },
    /// The writer thread has ended.
    #[error("the log writer has ended")]
    WriterEnded,
}

impl LogError {
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |e| Self::Io { action, path: path.to_owned(), kind: e.kind(), reason: e.to_string() }
    }
}
