//! Compares logs with each other: did their nodes mean the same session, and are two logs of one node one log?

use mpc_core::merkle;

use super::absent::find_absent;
use super::sessions::Session;
use super::traffic::compare_traffic;
use super::verify::{CheckedLog, Note, Report};

/// Compares every pair of logs.
pub(super) fn compare(logs: &[CheckedLog], report: &mut Report) {
    for (i, b) in logs.iter().enumerate() {
        for a in &logs[..i] {
            if a.key.is_some() && a.key == b.key {
                compare_copies(a, b, report);
                continue;
            }
            // What nobody signed is nobody's word.
            if !a.proven || !b.proven {
                continue;
            }
            for mine in &a.sessions {
                if let Some(theirs) = b.sessions.iter().find(|s| s.open.session == mine.open.session)
                    && same_agreement(a, mine, b, theirs, report)
                    && is_all(a, mine)
                    && is_all(b, theirs)
                {
                    compare_traffic(a, mine, b, theirs, report);
                }
            }
        }
    }
    logs.iter().for_each(|log| find_absent(log, logs, report));
}

/// Whether everything that the log has of a session was read.
fn is_all(log: &CheckedLog, session: &Session) -> bool {
    log.whole || session.close.is_some()
}

/// Two logs by one node: the shorter must be the beginning of the longer. Of one that is damaged the head is enough, but it
/// must be signed.
fn compare_copies(a: &CheckedLog, b: &CheckedLog, report: &mut Report) {
    let (old, new) = if a.head.size() <= b.head.size() { (a, b) } else { (b, a) };
    let root = match usize::try_from(old.head.size()).ok().and_then(|size| new.leaves.get(..size)) {
        _ if !old.signed || !new.signed => return,
        _ if old.head.size() == new.head.size() => new.head.root(),
        Some(leaves) if new.proven => merkle::root(leaves),
        _ => return,
    };
    if root == old.head.root() {
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
