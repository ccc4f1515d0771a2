//! What a node finds in the directory of its log before it writes there: the whole log, or why it cannot go on from it.

use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::path::Path;

use ed25519_dalek::VerifyingKey;
use mpc_core::checkpoint::CheckpointError;

use super::error::LogError;
use super::layout::{self, CHECKPOINT, LOCK, TEMPORARY};
use super::listing::Listing;
use super::read::{RawLog, read};
use super::store::try_lock;
use super::writer::interrupted;
use crate::private_file::probe_folder;

/// A log that its node can go on from.
pub(super) struct Found {
    /// The log, of which the checkpoint is there and everything fits it; none where no log has begun yet.
    pub(super) raw: Option<RawLog>,
    /// Files of an interrupted commit.
    pub(super) leftovers: Vec<String>,
}

impl Found {
    /// The log of the node with this name and key in `dir`.
    pub(super) fn of(
        dir: &Path,
        name: &str,
        key: &VerifyingKey,
        listing: &Listing,
    ) -> Result<Self, LogError> {
        if listing.files.contains(CHECKPOINT) {
            let raw = check_content(dir, name, key, listing)?;
            let leftovers = leftovers(dir, listing, &raw)?;
            return Ok(Self { raw: Some(raw), leftovers });
        }
        let others = listing.files.iter().any(|f| f != LOCK && f != TEMPORARY);
        if others || !listing.empty_dirs.is_empty() || !listing.odd.is_empty() {
            return Err(LogError::NoCheckpoint { dir: dir.to_owned() });
        }
        Ok(Self { raw: None, leftovers: Vec::new() })
    }
}

/// Checks the log that the checkpoint stands for.
fn check_content(dir: &Path, name: &str, key: &VerifyingKey, listing: &Listing) -> Result<RawLog, LogError> {
    let damaged = |what: String| LogError::Damaged { dir: dir.to_owned(), what };
    let raw = read(dir, listing);
    if let Some(head) = &raw.checkpoint {
        let other = |expected: &str, got: &str| LogError::OtherNode {
            dir: dir.to_owned(),
            expected: expected.to_owned(),
            got: got.to_owned(),
        };
        let origin = head.checkpoint().origin();
        if origin != name {
            return Err(other(name, origin));
        }
        head.verify(key).map_err(|e| match e {
            CheckpointError::OtherKey { expected, got } => other(&expected, &got),
            e => damaged(format!("{CHECKPOINT}: {e}")),
        })?;
    }
    if let Some(fault) = raw.faults.first() {
        return Err(damaged(fault.line()));
    }
    if raw.checkpoint.is_none() {
        return Err(damaged("no checkpoint".to_owned()));
    }
    Ok(raw)
}

/// What an interrupted commit left behind. Anything else that does not belong there is not the node's to remove.
fn leftovers(dir: &Path, listing: &Listing, raw: &RawLog) -> Result<Vec<String>, LogError> {
    let leftovers = listing.unexpected(raw.entries.len() as u64, &raw.cosigned);
    let ours = |f: &str| f == TEMPORARY || layout::parse(f).is_some() || layout::is_cosigned(f);
    match leftovers.iter().find(|f| !ours(f)) {
        Some(foreign) => Err(LogError::Foreign { dir: dir.to_owned(), file: foreign.clone() }),
        None => Ok(leftovers),
    }
}

/// What the next start of a node will find in its log, and what it will do about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogState {
    /// Entries; none where a new log will begin.
    pub entries: Option<u64>,
    /// What the start will repair, one line each, for people.
    pub repairs: Vec<String>,
}

/// Finds everything that [`LogWriter::open`](super::LogWriter::open) would refuse, and changes nothing.
///
/// # Errors
/// Those of [`LogStore::open_or_create`](super::LogStore::open_or_create).
pub fn inspect(dir: &Path, name: &str, key: &VerifyingKey) -> Result<LogState, LogError> {
    let new = LogState { entries: None, repairs: Vec::new() };
    match fs::symlink_metadata(dir) {
        Err(e) if e.kind() == ErrorKind::NotFound => {
            probe_folder(dir).map_err(LogError::io("create", dir))?;
            return Ok(new);
        }
        // Fails as the start would, because something else stands there.
        _ if !dir.is_dir() => return fs::create_dir(dir).map(|()| new).map_err(LogError::io("create", dir)),
        _ => {}
    }
    // Held while the log is read, so that nobody changes it meanwhile.
    let lock = dir.join(LOCK);
    let _lock = match OpenOptions::new().write(true).open(&lock) {
        Ok(file) => Some(try_lock(dir, file)?),
        Err(e) if e.kind() == ErrorKind::NotFound => None,
        Err(e) => return Err(LogError::io("open", &lock)(e)),
    };
    let listing = Listing::of(dir).map_err(LogError::io("list", dir))?;
    let Found { raw, leftovers } = Found::of(dir, name, key, &listing)?;
    probe(dir)?;
    let Some(raw) = raw else { return Ok(new) };
    let removed = leftovers.iter().map(|file| format!("removes {file}, left by an interrupted commit"));
    let closed = interrupted(&raw.entries)
        .into_iter()
        .map(|close| format!("closes session {}, interrupted when the node ended", close.session));
    Ok(LogState { entries: Some(raw.entries.len() as u64), repairs: removed.chain(closed).collect() })
}

/// Whether files can be made in the log. The one that is made and removed is the one that a start would remove itself.
fn probe(dir: &Path) -> Result<(), LogError> {
    let path = dir.join(TEMPORARY);
    let failed = |e: std::io::Error| LogError::io("write", &path)(e);
    match OpenOptions::new().write(true).create_new(true).open(&path) {
        Ok(_) => fs::remove_file(&path).map_err(failed),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {
            OpenOptions::new().write(true).open(&path).map(drop).map_err(failed)
        }
        Err(e) => Err(failed(e)),
    }
}
