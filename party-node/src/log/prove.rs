//! Proofs about a log, as texts that others can check with the key alone and without the log.
//!
//! A proof that an entry is in the log is made for the newest head that peers cosigned and that covers the entry: then it
//! also shows who vouched for that head. An entry that none of them covers yet is proved for the log's own head.

use std::path::Path;

use mpc_core::checkpoint::{ConsistencyProof, InclusionProof, SignedCheckpoint};
use mpc_core::merkle;

use super::error::LogError;
use super::read::RawLog;
use super::signer::read_whole;

/// Proves that entry `index` is in the log in `dir`.
///
/// # Errors
/// [`LogError::Damaged`] for the first thing that makes the log unreadable or not its owner's, [`LogError::OutOfRange`] if there is no such
/// entry.
pub fn prove_inclusion(dir: &Path, index: u64) -> Result<InclusionProof, LogError> {
    let (raw, head) = read_whole(dir)?;
    let size = head.checkpoint().size();
    let out_of_range = || LogError::OutOfRange { dir: dir.to_owned(), size, asked: index };
    let at = usize::try_from(index).map_err(|_| out_of_range())?;
    let entry = raw.entries.get(at).ok_or_else(out_of_range)?.clone();
    let head = cosigned_heads(&raw)
        .filter(|c| c.checkpoint().size() > index)
        .max_by_key(|c| c.checkpoint().size())
        .unwrap_or(head);
    let covered = usize::try_from(head.checkpoint().size()).ok().and_then(|size| raw.leaves.get(..size));
    let hashes = covered.and_then(|leaves| merkle::inclusion_proof(leaves, at)).ok_or_else(out_of_range)?;
    Ok(InclusionProof { entry, index, hashes, head })
}

/// Proves that the log in `dir` only added to what it was at `old_size` entries.
///
/// # Errors
/// As [`prove_inclusion`].
pub fn prove_consistency(dir: &Path, old_size: u64) -> Result<ConsistencyProof, LogError> {
    let (raw, head) = read_whole(dir)?;
    let hashes = usize::try_from(old_size).ok().and_then(|m| merkle::consistency_proof(&raw.leaves, m));
    let size = head.checkpoint().size();
    let hashes = hashes.ok_or_else(|| LogError::OutOfRange { dir: dir.to_owned(), size, asked: old_size })?;
    Ok(ConsistencyProof { old_size, hashes, head })
}

/// The cosigned checkpoints that fit the log. Whether the signatures hold is for the reader of a proof to check.
fn cosigned_heads(raw: &RawLog) -> impl Iterator<Item = SignedCheckpoint> {
    let parsed = raw.cosigned.values().filter_map(|c| SignedCheckpoint::parse(c.text.as_ref()?).ok());
    parsed.filter(|note| {
        let head = note.checkpoint();
        let leaves = usize::try_from(head.size()).ok().and_then(|size| raw.leaves.get(..size));
        leaves.is_some_and(|leaves| merkle::root(leaves) == head.root())
    })
}
