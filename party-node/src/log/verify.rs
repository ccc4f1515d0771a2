//! Checks logs offline: signatures, tree, files, entries, and that what one party sent is what the other received.
//!
//! The verifier is stricter than the formats it reads. A log has one valid set of files and each file one valid
//! content: unknown signatures, other spellings, superseded tiles and stray files are problems, and so any change to
//! any stored bit is. The signing key is the one that the log's own session-open entries name for its writer; whoever
//! knows the keys beforehand passes them, and then that one and those of all members in all sessions must be among them.
//!
//! What one log cannot show is that nothing was cut off its end: that takes an older copy, or a peer that remembers.

use std::path::{Path, PathBuf};

use mpc_core::checkpoint::Checkpoint;
use mpc_core::merkle::TreeHash;
use mpc_core::text::is_plain;
use mpc_core::transcript::{Entry, Member};
use serde::Serialize;

use super::fault::Fault;
use super::members::{self, ShownCosignature, ShownMember};
use super::read::{RawLog, Settled, read_settled};
use super::sessions::{self, Session};
use super::signer::check_signer;
use super::{cosigned, cross_check};

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
    /// Entries that could be read, up to the first damage.
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
    /// Whether the head's signature verifies under that key.
    pub(super) signed: bool,
    /// Whether the entries that were read are its owner's: the signed head is over them.
    pub(super) proven: bool,
    /// Whether they are all that its owner signed. Of what another log lacks, nothing is known.
    pub(super) whole: bool,
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
    let Settled { listing, raw, in_use } = match read_settled(dir) {
        Ok(settled) => settled,
        Err(e) => {
            let what = format!("cannot be read: {e}");
            report.problems.push(Problem { log: path, file: None, entry: None, what });
            return None;
        }
    };
    let mut faults = raw.faults.clone();
    let Some(signed) = &raw.checkpoint else {
        report.problems.extend(faults.iter().map(|f| problem(&path, f)));
        return None;
    };
    let head = signed.checkpoint().clone();
    let size = head.size();
    faults.extend(listing.strays(&raw));

    let mut decoded = Vec::with_capacity(raw.entries.len());
    for (i, entry) in raw.entries.iter().enumerate() {
        match Entry::decode(entry) {
            Ok(entry) => decoded.push((i as u64, entry)),
            Err(e) => faults.push(Fault::in_entry(i as u64, size, e.to_string())),
        }
    }
    let (mut sessions, broken) = sessions::group(decoded.into_iter());
    faults.extend(broken.into_iter().map(|(entry, what)| Fault::in_entry(entry, size, what)));
    let signer = check_signer(signed, &sessions, known, &raw, &mut faults);
    let signed = signer.as_ref().is_some_and(|s| s.signed);
    let (proven, whole) = (raw.proven && signed, raw.proven && signed && raw.complete);
    let witnesses = cosigned::check(&raw, &mut sessions);
    faults.extend(witnesses.faults);
    report.notes.extend(witnesses.notes.into_iter().map(|what| Note { log: path.clone(), what }));

    report.notes.extend(unknown_rest(&raw, proven).map(|what| Note { log: path.clone(), what }));
    if in_use && !faults.is_empty() {
        let what = "a node is writing this log: what is wrong may be a write under way; try again, or have a copy made while the node is stopped";
        report.notes.push(Note { log: path.clone(), what: what.to_owned() });
    }
    for session in sessions.iter().filter(|s| s.close.is_none() && raw.complete) {
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
    let key = signer.map(|s| s.key);
    Some(CheckedLog { path, head, key, signed, proven, whole, leaves: raw.leaves, sessions })
}

/// What a log that is not whole cannot be held to.
fn unknown_rest(raw: &RawLog, proven: bool) -> Option<String> {
    let size = raw.checkpoint.as_ref()?.checkpoint().size();
    if !raw.complete {
        let read = raw.entries.len();
        let what = format!(
            "{read} of {size} entries could be read before the first damage: nothing is said about what else the log has or lacks"
        );
        return Some(what);
    }
    let what =
        "its entries are not known to be those that its owner signed: other logs are not compared with it";
    (!proven).then(|| what.to_owned())
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
