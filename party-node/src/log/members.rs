//! Whose keys are in the logs: is every name in them the node that the caller, or another given log, means by it?
//!
//! A roster in a log is its owner's claim. Nothing in one log tells a member from one that the owner made up under the
//! member's name, with a key of its own that cosigns whatever it likes. The caller's keys do; and the log of that
//! member, where it is given too, does unless the caller says that the member has had several keys.

use std::collections::BTreeSet;

use mpc_core::hex::hex;
use mpc_core::transcript::{Member, SessionOpen};
use serde::Serialize;

use super::cosigned::Cosigner;
use super::sessions::Session;
use super::time::rfc3339;
use super::verify::{CheckedLog, Note, Report};
use crate::identity::public_key_text;

/// A member as a log's rosters name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShownMember {
    /// Its name.
    pub name: String,
    /// Its public key.
    pub key: String,
    /// Whether the caller gave this key for this name; where keys are not asked for, absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<bool>,
}

/// A cosignature that verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShownCosignature {
    /// The session after which it was given, in hexadecimal.
    pub session: String,
    /// The signer as the log's roster names it.
    pub name: String,
    /// The signer's public key.
    pub key: String,
    /// When, by the signer's clock: RFC 3339, UTC.
    pub time: String,
}

impl ShownCosignature {
    pub(super) fn new(open: &SessionOpen, by: &Cosigner) -> Self {
        let session = hex(&open.session.0);
        Self { session, name: by.name.clone(), key: public_key_text(&by.key), time: rfc3339(by.time_s) }
    }
}

/// Members of a roster: parties in order, then the dealer.
pub(super) fn members(open: &SessionOpen) -> impl Iterator<Item = &Member> {
    open.parties.iter().chain(&open.dealer)
}

/// Every name with every key that stands for it in these sessions, with the first that says so.
fn distinct(sessions: &[Session]) -> Vec<(&Member, &Session)> {
    let mut met = BTreeSet::new();
    let all = sessions.iter().flat_map(|s| members(&s.open).map(move |m| (m, s)));
    all.filter(|(m, _)| met.insert((&m.name, m.key))).collect()
}

/// The members of a log for its summary.
pub(super) fn summary(sessions: &[Session], known: &[Member]) -> Vec<ShownMember> {
    let shown = |m: &Member| ShownMember {
        name: m.name.clone(),
        key: public_key_text(&m.key),
        expected: (!known.is_empty()).then(|| known.contains(m)),
    };
    distinct(sessions).into_iter().map(|(m, _)| shown(m)).collect()
}

/// Checks all members of all sessions of all logs against the keys that the caller knows, and against each other.
pub(super) fn check(logs: &[CheckedLog], known: &[Member], report: &mut Report) {
    let mut unknown = BTreeSet::new();
    for log in logs {
        for (member, session) in distinct(&log.sessions) {
            // Of the log's own name and key the signature was checked.
            if log.key == Some(member.key) && log.head.origin() == member.name || known.contains(member) {
                continue;
            }
            let Member { name, key } = member;
            let text = public_key_text(key);
            let expected: Vec<_> =
                known.iter().filter(|m| m.name == *name).map(|m| public_key_text(&m.key)).collect();
            let id = session.open.session;
            if !expected.is_empty() {
                let expected = expected.join(" or ");
                let what = format!("session {id}: {name} has another key: expected {expected}, got {text}");
                report.problems.push(log.problem(session.open_entry, what));
            } else if let Some(other) = known.iter().find(|m| m.key == *key) {
                let what = format!(
                    "entry {}: {name} has the key {text} that was given for {}",
                    session.open_entry, other.name
                );
                report.notes.push(Note { log: log.path.clone(), what });
            } else if !known.is_empty() && unknown.insert((name.clone(), *key)) {
                let what = format!(
                    "no key was given for {name}: nobody vouches that it is {text}, as entry {} says",
                    session.open_entry
                );
                report.notes.push(Note { log: log.path.clone(), what });
            }
        }
    }
    check_names(logs, known, report);
}

/// One name under several keys, as far as the caller does not say which it has.
fn check_names(logs: &[CheckedLog], known: &[Member], report: &mut Report) {
    let mut uses: Vec<(&Member, &Session, &CheckedLog)> = Vec::new();
    for log in logs {
        for (member, session) in distinct(&log.sessions) {
            let known = known.iter().any(|m| m.name == member.name);
            if !known && !uses.iter().any(|(m, ..)| *m == member) {
                uses.push((member, session, log));
            }
        }
    }
    let names: BTreeSet<_> = uses.iter().map(|(m, ..)| &m.name).collect();
    for name in names {
        let keys: Vec<_> = uses.iter().filter(|(m, ..)| m.name == *name).collect();
        let own: Vec<_> = logs.iter().filter(|l| l.head.origin() == name && l.key.is_some()).collect();
        let foreign = |key: &[u8; 32]| !own.iter().any(|l| l.key.as_ref() == Some(key));
        if let Some(log) = own.first() {
            for (member, session, by) in keys.iter().filter(|(m, ..)| foreign(&m.key)) {
                let what = format!(
                    "session {}: {name} has the key {}, but {name}'s log in {} is signed with another, {}; if {name} has had both, give both keys",
                    session.open.session,
                    public_key_text(&member.key),
                    log.path,
                    log.key.as_ref().map(public_key_text).unwrap_or_default(),
                );
                report.problems.push(by.problem(session.open_entry, what));
            }
        }
        if let [first, .., last] = keys.as_slice()
            && !keys.iter().any(|(m, ..)| !own.is_empty() && foreign(&m.key))
        {
            let of = |(m, s, log): &(&Member, &Session, &CheckedLog)| {
                format!("{} ({} entry {})", public_key_text(&m.key), log.path, s.open_entry)
            };
            let what = format!(
                "{name} goes by {} keys, the first {}, the last {}: ask {name} whether it changed keys",
                keys.len(),
                of(first),
                of(last)
            );
            report.notes.push(Note { log: last.2.path.clone(), what });
        }
    }
}
