//! Cosigned checkpoints: the log's head after a session, with a line by every peer that checked it and remembers it.
//!
//! The signers are fixed by the session's open entry: any member but the log's own node, each at most once and in
//! roster order, under the name that the roster gives it. Who is missing is a note: a peer may have been gone.

use std::collections::BTreeMap;

use ed25519_dalek::VerifyingKey;
use mpc_core::checkpoint::SignedCheckpoint;
use mpc_core::merkle::{Frontier, TreeHash};
use mpc_core::tag::SessionId;
use mpc_core::transcript::{Member, SessionOpen};

use super::fault::Fault;
use super::layout;
use super::read::RawLog;
use super::sessions::Session;

/// All members of a session but the one that writes this log: parties in roster order, then the dealer.
fn peers(open: &SessionOpen) -> impl Iterator<Item = &Member> {
    let me = open.member(open.me).map(|m| m.key);
    open.parties.iter().chain(&open.dealer).filter(move |m| Some(m.key) != me)
}

/// A peer that cosigned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Cosigner {
    /// As the log's own roster calls it.
    pub(super) name: String,
    /// The key that verified.
    pub(super) key: [u8; 32],
    /// When, by its own clock, in seconds since 1970.
    pub(super) time_s: u64,
    /// Entries of the head that it signed.
    pub(super) size: u64,
}

/// Checks the signature lines of a cosigned checkpoint; gives the peers that signed.
pub(super) fn check_signers(open: &SessionOpen, note: &SignedCheckpoint) -> Result<Vec<Cosigner>, String> {
    let own = open.member(open.me).ok_or("the session has no place for this log's node")?;
    let key = |member: &Member| {
        VerifyingKey::from_bytes(&member.key).map_err(|_| format!("the key of {} is not one", member.name))
    };
    note.verify(&key(own)?).map_err(|e| e.to_string())?;
    if note.cosignatures().is_empty() {
        return Err("has no cosignature".to_owned());
    }
    let mut due = peers(open);
    let mut signed: Vec<Cosigner> = Vec::new();
    for line in note.cosignatures() {
        let Some(member) = due.find(|m| m.name == line.name) else {
            let twice = if signed.iter().any(|c| c.name == line.name) { "a second time or " } else { "" };
            return Err(format!(
                "is cosigned {twice}out of order or by nobody of this session: {}",
                line.name
            ));
        };
        let verified = line.verify_cosignature(note.checkpoint(), &member.name, &key(member)?);
        let time_s = verified.map_err(|e| format!("cosignature: {e}"))?;
        let size = note.checkpoint().size();
        signed.push(Cosigner { name: member.name.clone(), key: member.key, time_s, size });
    }
    Ok(signed)
}

/// What the cosigned checkpoints of a log say.
#[derive(Default)]
pub(super) struct Witnesses {
    /// Everyone who cosigned this log, as first met.
    pub(super) names: Vec<String>,
    pub(super) notes: Vec<String>,
    pub(super) faults: Vec<Fault>,
}

/// Checks all cosigned checkpoints of a log, and notes in each session who cosigned after it.
pub(super) fn check(raw: &RawLog, sessions: &mut [Session]) -> Witnesses {
    let mut found = Witnesses::default();
    let mut roots = Roots::default();
    let mut filed = BTreeMap::new();
    for session in sessions.iter_mut() {
        let id = session.open.session;
        let Some(file) = session.witnessed.map(|_| layout::cosigned(&id)) else { continue };
        let Some((entry, text)) = raw.cosigned.get(&file).and_then(|c| Some((c.entry, c.text.as_ref()?)))
        else {
            continue;
        };
        let checked = check_one(session, entry, text, &mut roots, &raw.leaves);
        match checked.and_then(|cosigners| check_once(id, cosigners, &mut filed)) {
            Ok(cosigners) => {
                let missing: Vec<_> = peers(&session.open)
                    .map(|m| m.name.as_str())
                    .filter(|n| !cosigners.iter().any(|c| c.name == *n))
                    .collect();
                if !missing.is_empty() {
                    found.notes.push(format!("session {id} was not cosigned by {}", missing.join(", ")));
                }
                let new: Vec<_> =
                    cosigners.iter().map(|c| c.name.clone()).filter(|n| !found.names.contains(n)).collect();
                found.names.extend(new);
                session.cosigners = cosigners;
            }
            Err(what) => found.faults.push(Fault { file: Some(file), entry: Some(entry), what }),
        }
    }
    // A node that has its sessions cosigned at all has something to say about one that is not.
    // Where the entry was that fixes its cosignatures, it may not have been read.
    let any = raw.complete && sessions.iter().any(|s| s.witnessed.is_some());
    for session in sessions.iter().filter(|s| any && s.close.is_some() && s.witnessed.is_none()) {
        found.notes.push(format!("session {} was cosigned by nobody", session.open.session));
    }
    found
}

/// A head is filed beside one session. A witness signs one that ends in the session that it was in, with nothing of another's
/// since that began, so the sessions of two cosigned heads end in two places; whoever files one head twice lends a session the
/// signatures of another.
fn check_once(
    id: SessionId,
    cosigners: Vec<Cosigner>,
    filed: &mut BTreeMap<u64, SessionId>,
) -> Result<Vec<Cosigner>, String> {
    // All of these heads are of this log, so those of one size are one.
    let Some(size) = cosigners.first().map(|c| c.size) else { return Ok(cosigners) };
    match filed.insert(size, id) {
        None => Ok(cosigners),
        Some(other) => Err(format!(
            "is the head of {size} entries that is filed beside session {other}, too: its cosigners signed it after one session, and not after both"
        )),
    }
}

fn check_one(
    session: &Session,
    entry: u64,
    text: &[u8],
    roots: &mut Roots,
    leaves: &[TreeHash],
) -> Result<Vec<Cosigner>, String> {
    let note = SignedCheckpoint::parse(text).map_err(|e| e.to_string())?;
    let cosigners = check_signers(&session.open, &note)?;
    let head = note.checkpoint();
    let closed = session.close.as_ref().map_or(entry, |(at, _)| *at);
    if !(closed + 1..=entry).contains(&head.size()) {
        return Err(format!(
            "is of {} entries, expected a checkpoint between the session's close in entry {closed} and this entry",
            head.size()
        ));
    }
    match roots.at(head.size(), leaves) {
        Some(root) if root == head.root() => Ok(cosigners),
        root => Err(format!(
            "is a checkpoint of another log: expected root {} at {} entries, got {}",
            root.map_or_else(|| "none".to_owned(), |r| r.to_string()),
            head.size(),
            head.root()
        )),
    }
}

/// Roots over the first entries, computed in one pass as long as sizes grow.
#[derive(Default)]
struct Roots(Frontier);

impl Roots {
    fn at(&mut self, size: u64, leaves: &[TreeHash]) -> Option<TreeHash> {
        if size < self.0.size() {
            self.0 = Frontier::new();
        }
        let (from, to) = (usize::try_from(self.0.size()).ok()?, usize::try_from(size).ok()?);
        leaves.get(from..to)?.iter().for_each(|&leaf| self.0.push(leaf));
        Some(self.0.root())
    }
}
