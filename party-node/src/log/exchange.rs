//! The exchange of heads: what this node shows its peers before and after a session, how it checks what they show, and
//! how it takes their answers.
//!
//! The messages are in [`mpc_core::checkpoint`]; this is what a node adds: its log, the comparison of the session as
//! both logs tell it, and the memory of what it checked ([`WitnessStore`]).

use std::path::PathBuf;

use ed25519_dalek::{SigningKey, VerifyingKey};
use mpc_core::checkpoint::{
    CheckpointError, CosignatureReply, Growth, NoteSignature, Offer, OfferedLeaf, Seen, SignedCheckpoint,
};
use mpc_core::merkle::{self, Frontier, TreeHash};
use mpc_core::tag::SessionId;
use mpc_core::transcript::{Entry, Member, Outcome};

use super::cross_check;
use super::error::LogError;
use super::listing::Listing;
use super::read::read;
use super::sessions::{self, Session};
use super::store::LogStore;
use super::verify::{CheckedLog, Report};
use super::witness::{WitnessError, WitnessStore};

/// This node's log at one moment, as the peers of one session are shown it.
pub struct Snapshot {
    dir: PathBuf,
    key: VerifyingKey,
    head: SignedCheckpoint,
    leaves: Vec<TreeHash>,
    session: SessionId,
    /// Number of the session's first entry.
    start: usize,
    /// Everything from there on.
    shown: Vec<OfferedLeaf>,
}

impl Snapshot {
    /// Reads the log of `store`, which has nothing staged.
    pub(super) fn of(store: &LogStore, session: SessionId) -> Result<Self, LogError> {
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
        let is_ours = |bytes: &[u8]| Entry::decode(bytes).is_ok_and(|e| e.session() == session);
        let start =
            raw.entries.iter().position(|e| is_ours(e)).ok_or(LogError::SessionNotOpen { session })?;
        let since = raw.entries.into_iter().zip(&raw.leaves).skip(start);
        let shown = since.map(|(entry, hash)| match is_ours(&entry) {
            true => OfferedLeaf::Entry(entry),
            false => OfferedLeaf::Hash(*hash),
        });
        let shown = shown.collect();
        let (dir, key) = (dir.to_owned(), store.public_key());
        Ok(Self { dir, key, head, leaves: raw.leaves, session, start, shown })
    }

    /// The head.
    #[must_use]
    pub const fn head(&self) -> &SignedCheckpoint {
        &self.head
    }

    /// Checks that this log adds to what a peer has seen of it.
    ///
    /// # Errors
    /// [`LogError::Refused`]: this log was rolled back or replaced, or the peer claims so of a head that it cannot show.
    pub fn check(&self, seen: &Seen) -> Result<(), LogError> {
        let root_at = |size: u64| self.leaves.get(..usize::try_from(size).ok()?).map(merkle::root);
        seen.check(&self.key, self.head.checkpoint(), root_at)
            .map(drop)
            .map_err(|reason| LogError::Refused { dir: self.dir.clone(), reason })
    }

    /// What shows a peer that this log adds to what it has seen. Where [`Self::check`] fails, the peer's check fails
    /// too, with both heads.
    #[must_use]
    pub fn growth(&self, seen: &Seen) -> Growth {
        let seen_size = seen.0.as_ref().map_or(0, |head| head.checkpoint().size());
        let known = usize::try_from(seen_size).unwrap_or(usize::MAX);
        let consistency = merkle::consistency_proof(&self.leaves, known).unwrap_or_default();
        Growth { head: self.head.clone(), seen_size, consistency }
    }

    /// What a peer is shown to cosign this log.
    #[must_use]
    pub fn offer(&self, seen: &Seen) -> Offer {
        let mut before = Frontier::new();
        self.leaves[..self.start].iter().for_each(|&leaf| before.push(leaf));
        Offer {
            growth: self.growth(seen),
            start: self.start as u64,
            peaks: before.peaks().to_vec(),
            leaves: self.shown.clone(),
        }
    }

    fn entries(&self) -> impl Iterator<Item = (u64, Entry)> {
        (self.start as u64..).zip(&self.shown).filter_map(|(number, leaf)| match leaf {
            OfferedLeaf::Entry(bytes) => Some((number, Entry::decode(bytes).ok()?)),
            OfferedLeaf::Hash(_) => None,
        })
    }
}

/// Checks that a peer's log grew since it was seen last: every session begins with an entry. The head is not remembered
/// yet: another member may know better.
///
/// # Errors
/// A [`WitnessError`]; a head that is at variance with what was seen is kept.
pub fn accept_growth(store: &mut WitnessStore, peer: &Member, growth: &Growth) -> Result<(), WitnessError> {
    let key = key_of(peer)?;
    let seen = store.seen(peer)?;
    let seen = seen.0.as_ref().map(SignedCheckpoint::checkpoint);
    let checked = growth.check(&key, &peer.name, seen);
    let head = checked.map_err(|reason| store.refuse(peer, &growth.head, reason))?;
    if seen.is_some_and(|seen| seen.size() == head.size()) {
        let what = format!("it still has {} entries, though a session adds to it", head.size());
        return Err(WitnessError::Entries { peer: peer.name.clone(), what });
    }
    Ok(())
}

/// Checks a peer's offer against what was seen of its log before and against `own`, this node's log after the same
/// session; remembers the head; then cosigns it as `name` at `time_s`, seconds since 1970.
///
/// # Errors
/// A [`WitnessError`]: the offer does not hold, the two logs tell the session differently, or the memory cannot be
/// written. Nothing is signed and nothing remembered then.
pub fn answer_offer(
    store: &mut WitnessStore,
    peer: &Member,
    offer: &Offer,
    own: &Snapshot,
    (name, key, time_s): (&str, &SigningKey, u64),
) -> Result<CosignatureReply, WitnessError> {
    let their_key = key_of(peer)?;
    let refused = |reason| WitnessError::Refused { peer: peer.name.clone(), reason };
    let head = &offer.growth.head;
    let seen = store.seen(peer)?;
    let seen = seen.0.as_ref().map(SignedCheckpoint::checkpoint);
    let entries = offer
        .check(&their_key, &peer.name, seen, own.session)
        .map_err(|reason| store.refuse(peer, head, reason))?;
    // A node holds one session at a time, so nothing of another belongs here.
    if let Some(hidden) = offer.leaves.iter().position(|leaf| matches!(leaf, OfferedLeaf::Hash(_))) {
        let what = format!("entry {} is not shown", offer.start + hidden as u64);
        return Err(WitnessError::Entries { peer: peer.name.clone(), what });
    }
    compare_sessions(peer, head, entries, own.entries(), key)?;
    let line = head.checkpoint().cosign(name, key, time_s).map_err(|e| refused(e.into()))?;
    let reply = CosignatureReply::of(&line).ok_or_else(|| refused(bad_signature(name).into()))?;
    store.remember(peer, head)?;
    Ok(reply)
}

fn key_of(peer: &Member) -> Result<VerifyingKey, WitnessError> {
    VerifyingKey::from_bytes(&peer.key)
        .map_err(|_| WitnessError::Entries { peer: peer.name.clone(), what: "its key is not one".to_owned() })
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
    head: &SignedCheckpoint,
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
    if session.open.member(session.open.me) != Some(peer) {
        return Err(wrong(format!("entry {}: the session is by another node", session.open_entry)));
    }
    let (own_sessions, _) = sessions::group(own);
    let completed = |s: &Session| s.close.as_ref().is_some_and(|(_, c)| c.outcome == Outcome::Completed);
    match &session.close {
        None => return Err(wrong("the session is not closed".to_owned())),
        Some((entry, _)) if own_sessions.iter().any(completed) && !completed(session) => {
            return Err(wrong(format!("entry {entry}: the session is aborted, and it completed here")));
        }
        Some(_) => {}
    }
    let log = |path: &str, key, head, sessions| CheckedLog {
        path: path.to_owned(),
        head,
        key: Some(key),
        signed: true,
        proven: true,
        whole: true,
        leaves: Vec::new(),
        sessions,
    };
    let head = head.checkpoint().clone();
    let ours = log("own log", own_key.verifying_key().to_bytes(), head.clone(), own_sessions);
    let theirs = log("offered log", peer.key, head, their_sessions);
    let mut report = Report { ok: false, logs: Vec::new(), problems: Vec::new(), notes: Vec::new() };
    cross_check::compare(&[ours, theirs], &mut report);
    report.problems.first().map_or(Ok(()), |p| Err(wrong(format!("{}: {}", p.log, p.what))))
}
