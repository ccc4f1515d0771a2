//! Is what one node says it sent what the other says it received?
//!
//! Nothing here needs a key: both ends digest a message under the key they share, so equal messages have equal digests.
//!
//! A node's batches are durable before it says that it is done, and a dealer's before the last correction leaves. So a
//! session that anybody has completed is whole in every member's log, and must match to the last byte. A session that
//! neither of two completed may end in an *unmatched tail*: the last batch of one log covers other rounds than the
//! other's or is missing there, because messages were in flight when it stopped. How long that tail can be depends on
//! how the node ended ([`most_behind`]). Everything before must match all the same.

use std::collections::BTreeSet;

use mpc_core::channel::Peer;
use mpc_core::transcript::{Batch, Outcome, PeerDigests, ROUNDS_PER_BATCH};

use super::sessions::{Session, is_correction_lane, lane_name};
use super::verify::{CheckedLog, Note, Report};
use super::writer::{INTERRUPTED, UNCOMMITTED_ENTRIES};

/// Rounds that a peer can have logged and a node that ended by itself has not: the batch under way, which a busy lane does
/// not give back, and the two rounds by which a peer that receives no output is ahead (confirmation and outputs).
const UNDER_WAY_ROUNDS: u64 = ROUNDS_PER_BATCH - 1 + 2;

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

/// Compares what two logs say that their nodes sent each other in one session.
pub(super) fn compare_traffic(
    a: &CheckedLog,
    mine: &Session,
    b: &CheckedLog,
    theirs: &Session,
    report: &mut Report,
) {
    let lanes: BTreeSet<u16> = mine.lanes.keys().chain(theirs.lanes.keys()).copied().collect();
    // What one has completed is whole in the other's log, however that one ended.
    let whole = mine.completed() || theirs.completed();
    for lane in lanes {
        let a = Side::new(a, mine, lane, theirs.open.me);
        let b = Side::new(b, theirs, lane, mine.open.me);
        let mut unmatched = false;
        for i in 0..a.batches.len().min(b.batches.len()) {
            let (x, y) = (&a.batches[i], &b.batches[i]);
            let range = |b: &Batch| (b.index, b.first_round, b.last_round);
            let shorter_is_last = x.1.first_round == y.1.first_round
                && if x.1.last_round < y.1.last_round { a.is_last(i) } else { b.is_last(i) };
            if range(x.1) == range(y.1) {
                unmatched |= compare_batch(&a, &b, i, whole, report);
            } else if !whole && shorter_is_last {
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
        let (longer, shorter) = if a.batches.len() < b.batches.len() { (&b, &a) } else { (&a, &b) };
        unmatched |= longer.batches.len() > shorter.batches.len();
        if whole {
            unmatched = false;
            check_whole(longer, shorter, report);
        } else {
            check_lag(&a, &b, report);
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

/// In a session that one of the two completed, no batch is missing at the other.
fn check_whole(longer: &Side<'_>, shorter: &Side<'_>, report: &mut Report) {
    let missing = &longer.batches[shorter.batches.len()..];
    let Some((entry, batch, _)) = missing.first() else { return };
    let more = match missing.len() - 1 {
        0 => String::new(),
        n => format!(", and so are {n} more"),
    };
    let how = match (longer.session.completed(), shorter.session.completed()) {
        (true, false) => format!(
            "; {} completed the session, and {} did not, but nobody completes a session before it is whole in every member's log",
            longer.name(),
            shorter.name()
        ),
        _ => String::new(),
    };
    let (path, name) = (&shorter.log.path, shorter.name());
    let what = format!("{} is missing in {path} ({name}){more}{how}", place(longer, batch));
    report.problems.push(longer.log.problem(*entry, what));
}

/// In a session that neither completed, one side may be behind by what was under way when it ended.
fn check_lag(a: &Side<'_>, b: &Side<'_>, report: &mut Report) {
    let Some(lane) = a.batches.first().or_else(|| b.batches.first()).map(|(_, batch, _)| batch.lane) else {
        return;
    };
    let reached = |side: &Side<'_>| match is_correction_lane(lane) {
        true => side.batches.len() as u64,
        false => side.batches.last().map_or(0, |(_, b, _)| b.last_round.saturating_add(1)),
    };
    let (ahead, behind) = if reached(a) < reached(b) { (b, a) } else { (a, b) };
    let lag = reached(ahead) - reached(behind);
    let Some(most) = most_behind(behind.session, is_correction_lane(lane)) else { return };
    if lag <= most {
        return;
    }
    let unit = if is_correction_lane(lane) { "batches" } else { "rounds" };
    let what = format!(
        "session {}: {} of {} has {} {unit}, and of {} in {} only {}: {lag} fewer, and a node that ends as that one did lacks at most {most}",
        ahead.session.open.session,
        lane_name(lane),
        ahead.name(),
        reached(ahead),
        behind.name(),
        behind.log.path,
        reached(behind),
    );
    let entry = ahead.batches.last().map_or(ahead.session.open_entry, |(entry, ..)| *entry);
    report.problems.push(ahead.log.problem(entry, what));
}

/// How far the log of an honest node can be behind a peer's in a session that neither completed: in rounds, or, in a
/// lane of corrections, in batches. `None` where nothing bounds it.
fn most_behind(session: &Session, corrections: bool) -> Option<u64> {
    // The log of a node that is still running, or was killed and not started again, is of some moment, nobody knows which.
    let interrupted = match &session.close.as_ref()?.1.outcome {
        Outcome::Aborted { code, .. } => code == INTERRUPTED,
        Outcome::Completed => false,
    };
    let lost_batches = if interrupted { UNCOMMITTED_ENTRIES } else { 0 };
    match (corrections, session.open.me) {
        // The dealer logs a correction before it leaves, and a killed one also loses the batch under way.
        (true, Peer::Dealer) => Some(lost_batches + u64::from(interrupted)),
        // The dealer is ahead of a party by as much as the buffers between them hold.
        (true, Peer::Party(_)) => None,
        (false, _) => Some(lost_batches * ROUNDS_PER_BATCH + UNDER_WAY_ROUNDS),
    }
}

/// Compares both directions of two batches over the same rounds; true if they differ in a way that an aborted session
/// explains.
fn compare_batch(a: &Side<'_>, b: &Side<'_>, i: usize, whole: bool, report: &mut Report) -> bool {
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
        if !whole && partial {
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
