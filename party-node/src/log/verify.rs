//! Checks logs offline: signatures, tree, files, entries, and that what one party sent is what the other received.
//!
//! The verifier is stricter than the formats it reads. A log has one valid set of files and each file one valid
//! content: unknown signatures, other spellings, superseded tiles and stray files are problems, and so any change to
//! any stored bit is. The signing key is the one that the log's own session-open entries name for its writer; whoever
//! knows the keys beforehand passes them, and then that one and those of all members in all sessions must be among them.
//!
//! What one log cannot show is that nothing was cut off its end: that takes an older copy, or a peer that remembers.

use std::path::{Path, PathBuf};

use ed25519_dalek::VerifyingKey;
use mpc_core::checkpoint::{Checkpoint, SignedCheckpoint};
use mpc_core::merkle::TreeHash;
use mpc_core::text::is_plain;
use mpc_core::transcript::{Entry, Member};
use serde::Serialize;

use super::layout::CHECKPOINT;
use super::members::{self, ShownCosignature, ShownMember};
use super::read::{Fault, Listing, read};
use super::sessions::{self, Session};
use super::{cosigned, cross_check};
use crate::identity::public_key_text;

/// The result of a verification; serialises to the JSON of `log verify --json`.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// No problems at all.
    pub ok: bool,
    /// The logs, in the order given.
    pub logs: Vec<LogSummary>,
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// What is worth knowing and not wrong, such as the unmatched tail of an aborted session.
    pub notes: Vec<Note>,
}

/// One log.
#[derive(Debug, Clone, Serialize)]
pub struct LogSummary {
    /// The name of the node that wrote it: the checkpoint's origin.
    pub party: String,
    /// The directory.
    pub path: String,
    /// Entries according to the checkpoint.
    pub size: u64,
    /// Root according to the checkpoint, in base64.
    pub root: String,
    /// Entries that could be read.
    pub entries: u64,
    /// Sessions in it.
    pub sessions: u64,
    /// Peers whose valid cosignatures the log carries.
    pub witnesses: Vec<String>,
    /// Their cosignatures, in the order of the log.
    pub cosignatures: Vec<ShownCosignature>,
    /// Everybody whom the log's sessions name, with the key that they name.
    pub members: Vec<ShownMember>,
}

/// Something wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The log's directory.
    pub log: String,
    /// The file in it, where there is one.
    pub file: Option<String>,
    /// The entry, from 0, where there is one.
    pub entry: Option<u64>,
    /// What is wrong; begins with file and entry.
    pub what: String,
}

/// Something to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    /// The log's directory.
    pub log: String,
    /// What there is to know.
    pub what: String,
}

/// A log that could be read at least in part.
pub(super) struct CheckedLog {
    pub(super) path: String,
    pub(super) head: Checkpoint,
    pub(super) key: Option<[u8; 32]>,
    pub(super) leaves: Vec<TreeHash>,
    pub(super) sessions: Vec<Session>,
}

impl CheckedLog {
    /// A problem in one of this log's entries.
    pub(super) fn problem(&self, entry: u64, what: impl Into<String>) -> Problem {
        problem(&self.path, &Fault::in_entry(entry, self.head.size(), what))
    }
}

/// Verifies the logs in `dirs`, each by itself and against each other. `known` are names with keys that the caller has
/// from elsewhere, several of one name if it changed keys: with any, each log must be by one of them, and no member of
/// any session may have another key than those given for its name. Without, logs say themselves whose they are.
#[must_use]
pub fn verify(dirs: &[PathBuf], known: &[Member]) -> Report {
    let mut report = Report { ok: false, logs: Vec::new(), problems: Vec::new(), notes: Vec::new() };
    if dirs.is_empty() {
        let what = "no log to verify".to_owned();
        report.problems.push(Problem { log: String::new(), file: None, entry: None, what });
    }
    let checked: Vec<_> = dirs.iter().filter_map(|dir| verify_one(dir, known, &mut report)).collect();
    cross_check::compare(&checked, &mut report);
    members::check(&checked, known, &mut report);
    report.ok = report.problems.is_empty();
    report
}

fn verify_one(dir: &Path, known: &[Member], report: &mut Report) -> Option<CheckedLog> {
    let path = dir.display().to_string();
    let listing = match Listing::of(dir) {
        Ok(listing) => listing,
        Err(e) => {
            let what = format!("cannot be read: {e}");
            report.problems.push(Problem { log: path, file: None, entry: None, what });
            return None;
        }
    };
    let raw = read(dir, &listing);
    let mut faults = raw.faults.clone();
    let Some(signed) = &raw.checkpoint else {
        report.problems.extend(faults.iter().map(|f| problem(&path, f)));
        return None;
    };
    let head = signed.checkpoint().clone();
    let size = head.size();
    faults.extend(listing.strays(size, &raw.cosigned));

    let mut decoded = Vec::with_capacity(raw.entries.len());
    for (i, entry) in raw.entries.iter().enumerate() {
        match Entry::decode(entry) {
            Ok(entry) => decoded.push((i as u64, entry)),
            Err(e) => faults.push(Fault::in_entry(i as u64, size, e.to_string())),
        }
    }
    let (mut sessions, broken) = sessions::group(decoded.into_iter());
    faults.extend(broken.into_iter().map(|(entry, what)| Fault::in_entry(entry, size, what)));
    let key = check_signer(signed, &sessions, known, &mut faults);
    let witnesses = cosigned::check(&raw, &mut sessions);
    faults.extend(witnesses.faults);
    report.notes.extend(witnesses.notes.into_iter().map(|what| Note { log: path.clone(), what }));

    for session in sessions.iter().filter(|s| s.close.is_none()) {
        let what = format!(
            "session {} is not closed: it is still running, or the node ended before it could close it",
            session.open.session
        );
        report.notes.push(Note { log: path.clone(), what });
    }
    report.problems.extend(faults.iter().map(|f| problem(&path, f)));
    report.logs.push(LogSummary {
        party: head.origin().to_owned(),
        path: path.clone(),
        size,
        root: head.root().to_string(),
        entries: raw.entries.len() as u64,
        sessions: sessions.len() as u64,
        witnesses: witnesses.names,
        cosignatures: sessions
            .iter()
            .flat_map(|s| s.cosigners.iter().map(|by| ShownCosignature::new(&s.open, by)))
            .collect(),
        members: members::summary(&sessions, known),
    });
    Some(CheckedLog { path, head, key, leaves: raw.leaves, sessions })
}

/// Finds the key that the log must be signed with and checks that it is.
fn check_signer(
    signed: &SignedCheckpoint,
    sessions: &[Session],
    known: &[Member],
    faults: &mut Vec<Fault>,
) -> Option<[u8; 32]> {
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
        if fitting.is_none() {
            let hint = if known.is_empty() { "none was given" } else { "none of those given fits" };
            fault(format!("no session names the signing key, and {hint}: the signature cannot be checked"));
        }
        return fitting;
    };
    if let Err(e) = verifies(&me.key) {
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
    Some(me.key)
}

fn problem(log: &str, fault: &Fault) -> Problem {
    Problem { log: log.to_owned(), file: fault.file.clone(), entry: fault.entry, what: fault.line() }
}

/// The report for people: a line per log and when it was last cosigned, one per member with its key, one per note and
/// per problem, and the verdict. What names and files in it would do to a terminal they do not do.
#[must_use]
pub fn render(report: &Report) -> String {
    let width = report.logs.iter().map(|l| l.party.chars().count()).max().unwrap_or(0);
    let mut lines = Vec::new();
    for l in &report.logs {
        let witnesses = match l.witnesses.as_slice() {
            [] => "no witnesses".to_owned(),
            names => format!("witnesses {}", names.join(", ")),
        };
        lines.push(format!(
            "{:width$}  {} entries, {} sessions, root {}, {witnesses}  {}",
            l.party, l.size, l.sessions, l.root, l.path
        ));
        let last = l.witnesses.iter().filter_map(|w| l.cosignatures.iter().rfind(|c| c.name == *w));
        let last: Vec<_> = last.map(|c| format!("{} {}", c.name, c.time)).collect();
        if !last.is_empty() {
            lines.push(format!("{:width$}  last cosigned by {}", "", last.join(", ")));
        }
    }
    let mut members: Vec<&ShownMember> = Vec::new();
    for member in report.logs.iter().flat_map(|l| &l.members) {
        if !members.contains(&member) {
            members.push(member);
        }
    }
    let width = members.iter().map(|m| m.name.chars().count()).max().unwrap_or(0);
    for m in members {
        let expected = match m.expected {
            Some(true) => "as given",
            Some(false) => "not as given",
            None => "not compared",
        };
        lines.push(format!("key      {:width$}  {}  {expected}", m.name, m.key));
    }
    lines.extend(report.notes.iter().map(|n| format!("note     {}: {}", n.log, n.what)));
    lines.extend(report.problems.iter().map(|p| format!("problem  {}: {}", p.log, p.what)));
    lines.push(match (report.ok, report.logs.len(), report.problems.len()) {
        (true, 1, _) => "ok: the log verifies".to_owned(),
        (true, n, _) => format!("ok: {n} logs verify and agree"),
        (false, _, 1) => "failed: 1 problem".to_owned(),
        (false, _, n) => format!("failed: {n} problems"),
    });
    lines.iter().map(|line| plain(line) + "\n").collect()
}

/// A line as it is shown.
pub(super) fn plain(line: &str) -> String {
    line.chars().map(|c| if is_plain(c) { c } else { '\u{fffd}' }).collect()
}
