//! The exchange of heads after a session: what this node offers, how it answers offers, and how it takes answers.
//!
//! The messages are in [`mpc_core::checkpoint`]; this is what a node adds: its log, the comparison of the session as
//! both logs tell it, and the memory of what it cosigned ([`WitnessStore`]).

use ed25519_dalek::{SigningKey, VerifyingKey};
use mpc_core::checkpoint::{
    CheckpointError, CosignatureReply, NoteSignature, Offer, OfferedLeaf, Seen, SignedCheckpoint,
};
use mpc_core::merkle::{self, Frontier};
use mpc_core::tag::SessionId;
use mpc_core::transcript::{Entry, Member};

use super::cross_check;
use super::error::LogError;
use super::read::{Listing, read};
use super::sessions;
use super::store::LogStore;
use super::verify::{CheckedLog, Report};
use super::witness::{WitnessError, WitnessStore};

/// What `store` shows a peer that has `seen` some older state of it. Everything staged is committed.
pub(super) fn make_offer(store: &LogStore, session: SessionId, seen: &Seen) -> Result<Offer, LogError> {
    let dir = store.dir();
    let damaged = |what: String| LogError::Damaged { dir: dir.to_owned(), what };
    let listing = Listing::of(dir).map_err(LogError::io("list", dir))?;
    let raw = read(dir, &listing);
    if let Some(fault) = raw.faults.first() {
        return Err(damaged(fault.line()));
    }
    let head = store.checkpoint().clone();
    if raw.leaves.len() as u64 != head.checkpoint().size() {
        return Err(damaged("changed while it was open".to_owned()));
    }
    let root_at = |size: u64| raw.leaves.get(..usize::try_from(size).ok()?).map(merkle::root);
    let seen_size = seen
        .check(&store.public_key(), head.checkpoint(), root_at)
        .map_err(|reason| LogError::Refused { dir: dir.to_owned(), reason })?;
    let is_ours = |bytes: &[u8]| Entry::decode(bytes).is_ok_and(|e| e.session() == session);
    let start = raw.entries.iter().position(|e| is_ours(e)).ok_or(LogError::SessionNotOpen { session })?;
    let mut before = Frontier::new();
    raw.leaves[..start].iter().for_each(|&leaf| before.push(leaf));
    let leaves = raw.entries[start..].iter().zip(&raw.leaves[start..]);
    let leaves = leaves.map(|(entry, hash)| match is_ours(entry) {
        true => OfferedLeaf::Entry(entry.clone()),
        false => OfferedLeaf::Hash(*hash),
    });
    let known = usize::try_from(seen_size).unwrap_or(usize::MAX);
    Ok(Offer {
        seen_size,
        consistency: merkle::consistency_proof(&raw.leaves, known).unwrap_or_default(),
        start: start as u64,
        peaks: before.peaks().to_vec(),
        leaves: leaves.collect(),
        head,
    })
}

/// Checks a peer's offer about `session` against what was seen of its log before and against `own`, this node's own
/// offer about the session; remembers the head; then cosigns it as `name` at `time_s`, seconds since 1970.
///
/// # Errors
/// A [`WitnessError`]: the offer does not hold, the two logs tell the session differently, or the memory cannot be
/// written. Nothing is signed and nothing remembered then.
pub fn answer_offer(
    store: &mut WitnessStore,
    peer: &Member,
    session: SessionId,
    offer: &Offer,
    own: &Offer,
    (name, key, time_s): (&str, &SigningKey, u64),
) -> Result<CosignatureReply, WitnessError> {
    let their_key = VerifyingKey::from_bytes(&peer.key).map_err(|_| WitnessError::Entries {
        peer: peer.name.clone(),
        what: "its key is not one".to_owned(),
    })?;
    let refused = |reason| WitnessError::Refused { peer: peer.name.clone(), reason };
    let seen = store.seen(peer)?;
    let entries = offer
        .check(&their_key, seen.0.as_ref().map(SignedCheckpoint::checkpoint), session)
        .map_err(refused)?;
    let own = own.entries().filter_map(|(number, bytes)| Some((number, Entry::decode(bytes).ok()?)));
    compare_sessions(peer, offer, entries, own, key)?;
    let line = offer.head.checkpoint().cosign(name, key, time_s).map_err(|e| refused(e.into()))?;
    let reply = CosignatureReply::of(&line).ok_or_else(|| refused(bad_signature(name).into()))?;
    store.remember(peer, &offer.head)?;
    Ok(reply)
}

/// Checks a peer's answer to the offer of `head`; gives the line to keep.
///
/// # Errors
/// [`CheckpointError`] if the signature is not the peer's over this head.
pub fn check_reply(
    peer: &Member,
    head: &SignedCheckpoint,
    reply: &CosignatureReply,
) -> Result<NoteSignature, CheckpointError> {
    let key = VerifyingKey::from_bytes(&peer.key).map_err(|_| bad_signature(&peer.name))?;
    let line = reply.line(&peer.name, &key);
    line.verify_cosignature(head.checkpoint(), &peer.name, &key)?;
    Ok(line)
}

fn bad_signature(name: &str) -> CheckpointError {
    CheckpointError::BadSignature(name.to_owned())
}

/// Whether the peer's entries are one well-ordered session by it that ended, and agree with ours as two logs must.
fn compare_sessions(
    peer: &Member,
    offer: &Offer,
    theirs: Vec<(u64, Entry)>,
    own: impl Iterator<Item = (u64, Entry)>,
    own_key: &SigningKey,
) -> Result<(), WitnessError> {
    let wrong = |what: String| WitnessError::Entries { peer: peer.name.clone(), what };
    let (their_sessions, faults) = sessions::group(theirs.into_iter());
    if let Some((entry, what)) = faults.first() {
        return Err(wrong(format!("entry {entry}: {what}")));
    }
    let [session] = their_sessions.as_slice() else { return Err(wrong("no session".to_owned())) };
    if session.open.member(session.open.me).is_none_or(|m| m.key != peer.key) {
        return Err(wrong(format!("entry {}: the session is by another node", session.open_entry)));
    }
    if session.close.is_none() {
        return Err(wrong("the session is not closed".to_owned()));
    }
    let (own_sessions, _) = sessions::group(own);
    let log = |path: &str, key, head, sessions| CheckedLog {
        path: path.to_owned(),
        head,
        key: Some(key),
        leaves: Vec::new(),
        sessions,
    };
    let head = offer.head.checkpoint().clone();
    let ours = log("own log", own_key.verifying_key().to_bytes(), head.clone(), own_sessions);
    let theirs = log("offered log", peer.key, head, their_sessions);
    let mut report = Report { ok: false, logs: Vec::new(), problems: Vec::new(), notes: Vec::new() };
    cross_check::compare(&[ours, theirs], &mut report);
    report.problems.first().map_or(Ok(()), |p| Err(wrong(format!("{}: {}", p.log, p.what))))
}
