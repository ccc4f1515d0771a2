//! Who signed a log: the key that its own session-open entries name for its writer must be the one of the checkpoint.

use std::path::Path;

use ed25519_dalek::VerifyingKey;
use mpc_core::checkpoint::SignedCheckpoint;
use mpc_core::transcript::{Entry, Member};

use super::error::LogError;
use super::fault::Fault;
use super::layout::CHECKPOINT;
use super::read::{RawLog, read_settled};
use super::sessions::{self, Session};
use crate::identity::public_key_text;

/// The key that a log is by.
pub(super) struct Signer {
    pub(super) key: [u8; 32],
    /// Whether the checkpoint's signature verifies under it.
    pub(super) signed: bool,
}

/// Finds the key that the log must be signed with and checks that it is. If the entry that names it was not read, of a tree
/// that has the checkpoint's root, nothing speaks against the checkpoint.
pub(super) fn check_signer(
    signed: &SignedCheckpoint,
    sessions: &[Session],
    known: &[Member],
    raw: &RawLog,
    faults: &mut Vec<Fault>,
) -> Option<Signer> {
    let head = signed.checkpoint();
    let mut fault = |what: String| faults.push(Fault::in_file(CHECKPOINT, what));
    if signed.signatures().len() > 1 {
        let unknown =
            signed.signatures().iter().skip(1).map(|s| s.name.as_str()).collect::<Vec<_>>().join(", ");
        fault(format!("signature lines by unknown signers: {unknown}"));
    }
    let verifies = |key: &[u8; 32]| {
        let key = VerifyingKey::from_bytes(key).map_err(|_| "is not an Ed25519 key".to_owned())?;
        signed.verify(&key).map(drop).map_err(|e| e.to_string())
    };
    let expected = || known.iter().filter(|m| m.name == head.origin()).map(|m| m.key);
    let me = sessions.first().and_then(|s| s.open.member(s.open.me).map(|m| (s, m)));
    let Some((first, me)) = me else {
        // Nothing in the log names its key, so it must be one that the caller knows.
        let fitting = expected().find(|key| verifies(key).is_ok());
        if fitting.is_none() && (raw.complete || !raw.proven || !known.is_empty()) {
            let hint = if known.is_empty() { "none was given" } else { "none of those given fits" };
            fault(format!("no session names the signing key, and {hint}: the signature cannot be checked"));
        }
        return fitting.map(|key| Signer { key, signed: true });
    };
    let verified = verifies(&me.key);
    if let Err(e) = &verified {
        fault(format!("{e}; session {} in entry {} names the key", first.open.session, first.open_entry));
    }
    if !known.is_empty() && !expected().any(|key| key == me.key) {
        let expected: Vec<_> = expected().map(|key| public_key_text(&key)).collect();
        let given = match expected.as_slice() {
            [] => "none".to_owned(),
            keys => keys.join(" or "),
        };
        let (name, key) = (head.origin(), public_key_text(&me.key));
        fault(format!("key {key} is not among those expected: for {name} {given} was given"));
    }
    for session in sessions {
        let open = &session.open;
        let Some(member) = open.member(open.me) else { continue };
        if member.name != head.origin() || member.key != me.key {
            let got = format!("{} (key {})", member.name, public_key_text(&member.key));
            let expected = format!("{} (key {})", head.origin(), public_key_text(&me.key));
            let what = format!("session {} is by another node: expected {expected}, got {got}", open.session);
            faults.push(Fault::in_entry(session.open_entry, head.size(), what));
        }
    }
    Some(Signer { key: me.key, signed: verified.is_ok() })
}

/// Reads the log in `dir` for whoever wants to work with it: whole, and signed with the key that its entries name. A log
/// without sessions names none; then the reader of what is made of it needs the key anyway.
///
/// # Errors
/// [`LogError::Damaged`] for the first thing that is wrong; strays are not.
pub(super) fn read_whole(dir: &Path) -> Result<(RawLog, SignedCheckpoint), LogError> {
    let damaged = |what: String| LogError::Damaged { dir: dir.to_owned(), what };
    let raw = read_settled(dir).map_err(LogError::io("list", dir))?.raw;
    let mut faults = raw.faults.clone();
    let Some(head) = raw.checkpoint.clone() else {
        return Err(damaged(faults.first().map_or_else(|| "no checkpoint".to_owned(), Fault::line)));
    };
    let decoded =
        raw.entries.iter().enumerate().filter_map(|(i, e)| Some((i as u64, Entry::decode(e).ok()?)));
    let (sessions, _) = sessions::group(decoded);
    if !sessions.is_empty() {
        check_signer(&head, &sessions, &[], &raw, &mut faults);
    }
    match faults.first() {
        Some(fault) => Err(damaged(fault.line())),
        None => Ok((raw, head)),
    }
}
