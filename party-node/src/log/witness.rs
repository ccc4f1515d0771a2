//! What this node has seen of its peers' logs: the memory behind its cosignatures.
//!
//! One file per peer, named by its key, holds the last head of the peer's log that this node checked, signed by the peer.
//! It is durable before the cosignature leaves, so that after any crash the node knows every head it cosigned, and
//! refuses one that does not add to it. Heads that were refused as at variance with it are kept as `KEY.refused-1` and so on,
//! and never replaced: two of one size under one key prove a fork, others are for the auditor to ask the log's owner about.
//! A lost file would let a peer roll back unnoticed; so the folder belongs beside the log, in the same backups.

use std::fs;
use std::path::{Path, PathBuf};

use ed25519_dalek::VerifyingKey;
use mpc_core::checkpoint::{MAX_CHECKPOINT_BYTES, OfferError, Seen, SignedCheckpoint};
use mpc_core::hex::hex;
use mpc_core::transcript::Member;

use super::error::LogError;
use super::files::{Files, disk};
use super::layout::{TEMPORARY, beside_log};
use crate::private_file::probe_folder;
use crate::regular_file::read_regular;

/// As many refused heads of one peer are kept.
const MAX_REFUSED: usize = 8;

/// Why a peer's log is not cosigned.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum WitnessError {
    /// The offer does not hold, or is of a fork or an older state.
    #[error("the log of {peer} is not cosigned: {reason}")]
    Refused {
        /// Whose log.
        peer: String,
        /// What is wrong; a fork or a rollback shows both heads.
        reason: OfferError,
    },
    /// The session as the peer logged it is not as it was.
    #[error("the log of {peer} is not cosigned: {what}")]
    Entries {
        /// Whose log.
        peer: String,
        /// What is wrong.
        what: String,
    },
    /// The memory cannot be read or written.
    #[error(transparent)]
    Memory(#[from] LogError),
}

/// What this node has seen of its peers' logs.
pub struct WitnessStore {
    dir: PathBuf,
    files: Box<dyn Files>,
}

impl WitnessStore {
    /// Opens or begins the memory in `dir`. One process uses it at a time: the one that holds the log's lock.
    ///
    /// # Errors
    /// [`LogError::Io`].
    pub fn open(dir: &Path) -> Result<Self, LogError> {
        Self::open_with(dir, disk())
    }

    /// As [`WitnessStore::open`], with the file operations to use.
    pub(super) fn open_with(dir: &Path, mut files: Box<dyn Files>) -> Result<Self, LogError> {
        fs::create_dir_all(dir).map_err(LogError::io("create", dir))?;
        if let Some(parent) = dir.parent().filter(|p| !p.as_os_str().is_empty()) {
            files.sync_dir(parent).map_err(LogError::io("sync", parent))?;
        }
        Ok(Self { dir: dir.to_owned(), files })
    }

    /// Where the memory of the node with the log in `log_dir` is kept.
    #[must_use]
    pub fn folder(log_dir: &Path) -> PathBuf {
        beside_log(log_dir, "-witness")
    }

    /// The last head of the peer's log that this node has checked: the message that begins the exchange.
    ///
    /// # Errors
    /// [`LogError::Io`]; [`LogError::MemoryDamaged`] if the memory is not what the peer signed.
    pub fn seen(&self, peer: &Member) -> Result<Seen, LogError> {
        seen_in(&self.dir, peer)
    }

    /// Whether the memory in `dir` can be used for sessions with `peers`, found without changing it. It need not be there.
    ///
    /// # Errors
    /// As [`WitnessStore::open`] and [`WitnessStore::seen`].
    pub fn check(dir: &Path, peers: &[Member]) -> Result<(), LogError> {
        probe_folder(dir).map_err(LogError::io("write in", dir))?;
        peers.iter().try_for_each(|peer| seen_in(dir, peer).map(drop))
    }

    /// Remembers a head that was checked; durable when this returns.
    ///
    /// # Errors
    /// [`LogError::Io`].
    pub fn remember(&mut self, peer: &Member, head: &SignedCheckpoint) -> Result<(), LogError> {
        self.put(&self.seen_head(peer), head)
    }

    fn put(&mut self, path: &Path, head: &SignedCheckpoint) -> Result<(), LogError> {
        let temporary = self.dir.join(TEMPORARY);
        self.files
            .write_synced(&temporary, head.to_string().as_bytes())
            .map_err(LogError::io("write", path))?;
        self.files.rename(&temporary, path).map_err(LogError::io("put in place", path))?;
        self.files.sync_dir(&self.dir).map_err(LogError::io("sync", &self.dir))
    }

    /// The error for a head that is refused; one that is at variance with what was seen is kept beside it.
    pub(super) fn refuse(
        &mut self,
        peer: &Member,
        head: &SignedCheckpoint,
        reason: OfferError,
    ) -> WitnessError {
        if reason.is_at_variance()
            && let Err(error) = self.keep_refused(peer, head)
        {
            return error.into();
        }
        WitnessError::Refused { peer: peer.name.clone(), reason }
    }

    /// Where the last head of a peer's log that was checked is kept.
    #[must_use]
    pub fn seen_head(&self, peer: &Member) -> PathBuf {
        place(&self.dir, peer)
    }

    /// Where heads of a peer's log that are at variance with it are kept.
    pub fn refused_heads(&self, peer: &Member) -> impl Iterator<Item = PathBuf> {
        (1..=MAX_REFUSED).map(move |n| self.dir.join(format!("{}.refused-{n}", hex(&peer.key))))
    }

    /// In the first free place, unless it is kept already. When all are taken, the first heads are worth more than the last.
    fn keep_refused(&mut self, peer: &Member, head: &SignedCheckpoint) -> Result<(), LogError> {
        let places: Vec<PathBuf> = self.refused_heads(peer).collect();
        for path in places {
            match read_regular(&path, MAX_CHECKPOINT_BYTES) {
                Ok(kept) if kept == head.to_string().as_bytes() => return Ok(()),
                Ok(_) => {}
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => return self.put(&path, head),
                Err(e) => return Err(LogError::io("read", &path)(e)),
            }
        }
        Ok(())
    }
}

/// Where the last head of a peer's log is kept in the memory in `dir`.
fn place(dir: &Path, peer: &Member) -> PathBuf {
    dir.join(hex(&peer.key))
}

fn seen_in(dir: &Path, peer: &Member) -> Result<Seen, LogError> {
    let path = place(dir, peer);
    let text = match read_regular(&path, MAX_CHECKPOINT_BYTES) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Seen(None)),
        Err(e) => return Err(LogError::io("read", &path)(e)),
    };
    let wrong = |e: &dyn std::fmt::Display| LogError::MemoryDamaged {
        file: path.clone(),
        peer: peer.name.clone(),
        what: e.to_string(),
    };
    let head = SignedCheckpoint::parse(&text).map_err(|e| wrong(&e))?;
    let key = VerifyingKey::from_bytes(&peer.key).map_err(|e| wrong(&e))?;
    head.verify(&key).map_err(|e| wrong(&e))?;
    Ok(Seen(Some(head)))
}
