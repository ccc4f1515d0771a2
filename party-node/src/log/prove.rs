//! Proofs about a log, as texts that others can check with the key alone and without the log.

use std::path::Path;

use mpc_core::checkpoint::{ConsistencyProof, InclusionProof, SignedCheckpoint};
use mpc_core::merkle;

use super::error::LogError;
use super::read::{Listing, RawLog, read};

/// Proves that entry `index` is in the log in `dir`. Gives the proof and the entry it is about.
///
/// # Errors
/// [`LogError::Damaged`] for the first thing that makes the log unreadable, [`LogError::OutOfRange`] if there is no such
/// entry.
pub fn prove_inclusion(dir: &Path, index: u64) -> Result<(InclusionProof, Vec<u8>), LogError> {
    let (raw, head) = whole(dir)?;
    let out_of_range =
        || LogError::OutOfRange { dir: dir.to_owned(), size: head.checkpoint().size(), asked: index };
    let at = usize::try_from(index).map_err(|_| out_of_range())?;
    let hashes = merkle::inclusion_proof(&raw.leaves, at).ok_or_else(out_of_range)?;
    let entry = raw.entries.get(at).ok_or_else(out_of_range)?.clone();
    Ok((InclusionProof { index, hashes, head }, entry))
}

/// Proves that the log in `dir` only added to what it was at `old_size` entries.
///
/// # Errors
/// As [`prove_inclusion`].
pub fn prove_consistency(dir: &Path, old_size: u64) -> Result<ConsistencyProof, LogError> {
    let (raw, head) = whole(dir)?;
    let hashes = usize::try_from(old_size).ok().and_then(|m| merkle::consistency_proof(&raw.leaves, m));
    let size = head.checkpoint().size();
    let hashes = hashes.ok_or_else(|| LogError::OutOfRange { dir: dir.to_owned(), size, asked: old_size })?;
    Ok(ConsistencyProof { old_size, hashes, head })
}

fn whole(dir: &Path) -> Result<(RawLog, SignedCheckpoint), LogError> {
    let damaged = |what: String| LogError::Damaged { dir: dir.to_owned(), what };
    let listing = Listing::of(dir).map_err(LogError::io("list", dir))?;
    let raw = read(dir, &listing);
    if let Some(fault) = raw.faults.first() {
        return Err(damaged(fault.line()));
    }
    let head = raw.checkpoint.clone().ok_or_else(|| damaged("no checkpoint".to_owned()))?;
    Ok((raw, head))
}
