//! A session that one log tells and another, whose signer should have been in it, does not.

use std::collections::BTreeSet;

use super::sessions::Session;
use super::time::rfc3339;
use super::verify::{CheckedLog, Note, Report};

/// A session of `a` that names the signer of another given log must be in that log, or in a copy of it. A member
/// writes its open entry before it sends anything, so if `a` completed the session, one of the two logs is not true:
/// the other was cut back or never told of it, or `a` made it up. If `a` did not complete it, the other may have ended
/// before it began.
///
/// A log of which not everything could be read may have the session all the same, and one whose entries its owner did not
/// sign claims nothing.
pub(super) fn find_absent(a: &CheckedLog, logs: &[CheckedLog], report: &mut Report) {
    if !a.proven {
        return;
    }
    for session in &a.sessions {
        let id = session.open.session;
        for member in session.open.parties.iter().chain(&session.open.dealer) {
            let copies = || logs.iter().filter(|b| b.key == Some(member.key) && b.key != a.key);
            let Some(longest) = copies().max_by_key(|b| b.head.size()) else { continue };
            if !longest.whole || copies().any(|b| b.sessions.iter().any(|s| s.open.session == id)) {
                continue;
            }
            let (size, other, owner) = (longest.head.size(), longest.head.origin(), a.head.origin());
            let place = format!("is absent from {}, a log of {size} entries", longest.path);
            if session.completed() {
                let whose = match own_word(a, session, &member.key) {
                    Some(time_s) => format!(
                        "{other} cosigned it at {}: by its own word it took part, so its log was rolled back or left it out",
                        rfc3339(time_s)
                    ),
                    None => format!(
                        "no cosignature of {other}'s covers it for sure, so either {owner} made it up, or {other}'s log was rolled back or left it out"
                    ),
                };
                let what = format!(
                    "session {id}, of which {owner} says that it was completed with {other}, {place}; {whose}"
                );
                report.problems.push(a.problem(session.open_entry, what));
            } else {
                let what = format!(
                    "entry {}: session {id}, of which {owner} says that {other} was in it, {place}; {owner} did not complete it",
                    session.open_entry
                );
                report.notes.push(Note { log: a.path.clone(), what });
            }
        }
    }
}

/// When the member with `key` cosigned this session, if it certainly did. A cosignature does not say after which session
/// it was given, and an owner can keep one beside another session's close. But a member gives one for each session that it
/// has completed, and no more: if there are as many of them as sessions that they can be about, they are about each.
fn own_word(a: &CheckedLog, session: &Session, key: &[u8; 32]) -> Option<u64> {
    let by_member = |s: &Session| s.cosigners.iter().find(|c| &c.key == key).map(|c| (c.size, c.time_s));
    let (size, time_s) = by_member(session)?;
    let given: BTreeSet<_> = a.sessions.iter().filter_map(by_member).filter(|(at, _)| *at <= size).collect();
    let covered = a.sessions.iter().filter(|s| {
        let members = s.open.parties.iter().chain(&s.open.dealer);
        s.close.as_ref().is_some_and(|(at, _)| *at < size) && members.into_iter().any(|m| &m.key == key)
    });
    (given.len() >= covered.count()).then_some(time_s)
}
