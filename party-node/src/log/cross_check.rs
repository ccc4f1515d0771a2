//! Compares logs of different nodes: did they mean the same session, and is what one sent what the other received?
//!
//! Nothing here needs a key: both ends digest a message under the key they share, so equal messages have equal digests.
//! A session that did not complete may end in an *unmatched tail*: the last batch of one log covers other rounds than
//! the other's, because messages were in flight when it stopped. Everything before must match all the same.

use std::collections::BTreeSet;

use mpc_core::channel::Peer;
use mpc_core::merkle;
use mpc_core::transcript::{Batch, PeerDigests};

use super::sessions::{Session, is_correction_lane, lane_name};
use super::verify::{CheckedLog, Note, Report};

/// Compares every pair of logs.
pub(super) fn compare(logs: &[CheckedLog], report: &mut Report) {
    for (i, b) in logs.iter().enumerate() {
        for a in &logs[..i] {
            if a.key.is_some() && a.key == b.key {
                compare_copies(a, b, report);
                continue;
            }
            for mine in &a.sessions {
                if let Some(theirs) = b.sessions.iter().find(|s| s.open.session == mine.open.session)
                    && same_agreement(a, mine, b, theirs, report)
                {
                    compare_traffic(a, mine, b, theirs, report);
                }
            }
        }
    }
    logs.iter().for_each(|log| find_absent(log, logs, report));
}

/// A session of `a` that names the signer of another given log must be in that log, or in a copy of it. A member
/// writes its open entry before it sends anything, so if `a` completed the session, a log without it was cut back to
/// an older state, or never told the truth. If `a` did not complete it, the other may have ended before it began.
fn find_absent(a: &CheckedLog, logs: &[CheckedLog], report: &mut Report) {
    for session in &a.sessions {
        let id = session.open.session;
        for member in session.open.parties.iter().chain(&session.open.dealer) {
            let copies = || logs.iter().filter(|b| b.key == Some(member.key) && b.key != a.key);
            let Some(longest) = copies().max_by_key(|b| b.leaves.len()) else { continue };
            if copies().any(|b| b.sessions.iter().any(|s| s.open.session == id)) {
                continue;
            }
            let (size, other) = (longest.head.size(), longest.head.origin());
            let what = format!("session {id}, in which {other} took part, is absent from {}", longest.path);
            if session.completed() {
                let what = format!(
                    "{what}, a log of {size} entries: {} completed it, so {other}'s log was rolled back or left it out",
                    a.head.origin()
                );
                report.problems.push(a.problem(session.open_entry, what));
            } else {
                let what =
                    format!("entry {}: {what}; {} did not complete it", session.open_entry, a.head.origin());
                report.notes.push(Note { log: a.path.clone(), what });
            }
        }
    }
}

/// Two logs by one node: the shorter must be the beginning of the longer.
fn compare_copies(a: &CheckedLog, b: &CheckedLog, report: &mut Report) {
    let (old, new) = if a.leaves.len() <= b.leaves.len() { (a, b) } else { (b, a) };
    let prefix = merkle::root(&new.leaves[..old.leaves.len()]) == merkle::root(&old.leaves);
    if prefix {
        let what = format!("is an earlier state of {}, which only adds to it", new.path);
        report.notes.push(Note { log: old.path.clone(), what });
        return;
    }
    let at = old.leaves.iter().zip(&new.leaves).take_while(|(x, y)| x == y).count() as u64;
    let what = format!(
        "fork: {} signed two logs that differ from here on: {} has root {} at {} entries, {} has root {} at {}",
        old.head.origin(),
        old.path,
        old.head.root(),
        old.head.size(),
        new.path,
        new.head.root(),
        new.head.size(),
    );
    report.problems.push(old.problem(at, what));
}

/// Whether both logs opened the session with the same agreement.
fn same_agreement(
    a: &CheckedLog,
    mine: &Session,
    b: &CheckedLog,
    theirs: &Session,
    report: &mut Report,
) -> bool {
    let (x, y) = (&mine.open, &theirs.open);
    let keys = |s: &Session| {
        let members = s.open.parties.iter().chain(&s.open.dealer);
        (s.open.parties.len(), members.map(|m| m.key).collect::<Vec<_>>())
    };
    let names =
        |s: &Session| s.open.parties.iter().chain(&s.open.dealer).map(|m| m.name.clone()).collect::<Vec<_>>();
    let differs = [
        ("protocol version", x.protocol_version != y.protocol_version),
        ("program", x.program != y.program),
        ("parameters", x.parameters != y.parameters),
        ("roster", keys(mine) != keys(theirs)),
        ("own place in the roster (it is the same)", x.me == y.me),
    ];
    let mut same = true;
    for (what, _) in differs.iter().filter(|(_, differs)| *differs) {
        same = false;
        let place = format!("{} entry {}", b.path, theirs.open_entry);
        let what = format!("session {}: {what} differs from {place}", x.session);
        report.problems.push(a.problem(mine.open_entry, what));
    }
    if same && names(mine) != names(theirs) {
        let what = format!("session {}: members go by other names than in {}", x.session, b.path);
        report.notes.push(Note { log: a.path.clone(), what });
    }
    same
}

/// One side of a connection, as one log tells it.
struct Side<'a> {
    log: &'a CheckedLog,
    session: &'a Session,
    /// This lane's batches that concern the other side.
    batches: Vec<(u64, &'a Batch, &'a PeerDigests)>,
}

impl<'a> Side<'a> {
    fn new(log: &'a CheckedLog, session: &'a Session, lane: u16, other: Peer) -> Self {
        let batches = session.lanes.get(&lane).into_iter().flatten();
        let batches = batches
            .filter_map(|(entry, b)| Some((*entry, b, b.peers.iter().find(|p| p.peer == other)?)))
            .collect();
        Self { log, session, batches }
    }

    fn name(&self) -> &str {
        self.log.head.origin()
    }

    fn is_last(&self, i: usize) -> bool {
        i + 1 == self.batches.len()
    }
}

fn compare_traffic(a: &CheckedLog, mine: &Session, b: &CheckedLog, theirs: &Session, report: &mut Report) {
    let lanes: BTreeSet<u16> = mine.lanes.keys().chain(theirs.lanes.keys()).copied().collect();
    let clean = mine.completed() && theirs.completed();
    for lane in lanes {
        let a = Side::new(a, mine, lane, theirs.open.me);
        let b = Side::new(b, theirs, lane, mine.open.me);
        let mut unmatched = false;
        for i in 0..a.batches.len().max(b.batches.len()) {
            match (a.batches.get(i), b.batches.get(i)) {
                (Some(x), Some(y)) => {
                    let range = |b: &Batch| (b.index, b.first_round, b.last_round);
                    let same_range = range(x.1) == range(y.1);
                    let shorter_is_last = x.1.first_round == y.1.first_round
                        && if x.1.last_round < y.1.last_round { a.is_last(i) } else { b.is_last(i) };
                    if same_range {
                        unmatched |= compare_batch(&a, &b, i, clean, report);
                    } else if !clean && shorter_is_last {
                        unmatched = true;
                    } else {
                        let what = format!(
                            "{} covers {}, but {} entry {} covers {}",
                            place(&a, x.1),
                            rounds(x.1),
                            b.log.path,
                            y.0,
                            rounds(y.1)
                        );
                        report.problems.push(a.log.problem(x.0, what));
                    }
                }
                (Some(x), None) => unmatched |= alone(&a, x.0, x.1, &b, clean, report),
                (None, Some(y)) => unmatched |= alone(&b, y.0, y.1, &a, clean, report),
                (None, None) => {}
            }
        }
        if unmatched {
            let what = format!(
                "session {} did not complete: {} ends in messages that {} and {} did not both record",
                a.session.open.session,
                lane_name(lane),
                a.name(),
                b.name()
            );
            report.notes.push(Note { log: a.log.path.clone(), what });
        }
    }
}

/// A batch of one side that the other side has not; true if that is an unmatched tail.
fn alone(
    side: &Side<'_>,
    entry: u64,
    batch: &Batch,
    other: &Side<'_>,
    clean: bool,
    report: &mut Report,
) -> bool {
    if !clean {
        return true;
    }
    let what = format!("{} is missing in {} ({})", place(side, batch), other.log.path, other.name());
    report.problems.push(side.log.problem(entry, what));
    false
}

/// Compares both directions of two batches over the same rounds; true if they differ in a way that an aborted session
/// explains.
fn compare_batch(a: &Side<'_>, b: &Side<'_>, i: usize, clean: bool, report: &mut Report) -> bool {
    let mut unmatched = false;
    for (from, to) in [(a, b), (b, a)] {
        let ((entry, batch, sent), (other_entry, _, received)) = (&from.batches[i], &to.batches[i]);
        if sent.sent == received.received && sent.sent_bytes == received.received_bytes {
            continue;
        }
        // Corrections travel in pieces, so at one end or the other the last item may be there in part.
        let partial = is_correction_lane(batch.lane)
            && received.received_bytes != sent.sent_bytes
            && (to.is_last(i) || from.is_last(i));
        if !clean && partial {
            unmatched = true;
            continue;
        }
        let what = format!(
            "{} ({}): sent != received: {} sent {} bytes to {}, {} received {} bytes from {} ({} entry {other_entry}){}",
            place(from, batch),
            rounds(batch),
            from.name(),
            sent.sent_bytes,
            to.name(),
            to.name(),
            received.received_bytes,
            from.name(),
            to.log.path,
            if sent.sent_bytes == received.received_bytes { ", and their digests differ" } else { "" },
        );
        report.problems.push(from.log.problem(*entry, what));
    }
    unmatched
}

fn place(side: &Side<'_>, batch: &Batch) -> String {
    format!("session {}: {}, batch {} of {}", batch.session, lane_name(batch.lane), batch.index, side.name())
}

fn rounds(batch: &Batch) -> String {
    let unit = if is_correction_lane(batch.lane) { "items" } else { "rounds" };
    format!("{unit} {} to {}", batch.first_round, batch.last_round)
}
