//! The grammar of a log: open, then commitments to inputs, then batches, then commitments to outputs, then close, for
//! each session, and after that what fixes its cosignatures, if there are any. Sessions may interleave (a dealer serves
//! several at once), and a process that was killed leaves a session open.

use std::collections::{BTreeMap, HashMap, HashSet};

use mpc_core::channel::Peer;
use mpc_core::party::PartyId;
use mpc_core::transcript::{
    Batch, Close, Commitment, CommitmentKind, Entry, Outcome, ROUNDS_PER_BATCH, SessionOpen, correction_lane,
};

use super::cosigned::Cosigner;

/// A session as one log tells it.
pub(super) struct Session {
    pub(super) open: SessionOpen,
    pub(super) open_entry: u64,
    commitments: HashSet<(CommitmentKind, String)>,
    /// Whether there is one to an output among them.
    ended: bool,
    /// Batches of each lane in order, with their entry numbers.
    pub(super) lanes: BTreeMap<u16, Vec<(u64, Batch)>>,
    pub(super) close: Option<(u64, Close)>,
    /// The entry that fixes its cosignatures.
    pub(super) witnessed: Option<u64>,
    /// Who cosigned after it, once that was checked.
    pub(super) cosigners: Vec<Cosigner>,
}

impl Session {
    /// Rounds over all computing lanes.
    pub(super) fn rounds(&self) -> u64 {
        let computing = self.lanes.iter().filter(|(lane, _)| !is_correction_lane(**lane));
        let last = computing.filter_map(|(_, batches)| batches.last());
        last.fold(0, |sum, (_, b)| sum.saturating_add(b.last_round.saturating_add(1)))
    }

    fn has_rounds(&self) -> bool {
        self.lanes.keys().any(|lane| !is_correction_lane(*lane))
    }

    /// Payload bytes sent, to all peers and over all lanes.
    pub(super) fn bytes_sent(&self) -> u64 {
        let peers = self.lanes.values().flatten().flat_map(|(_, b)| &b.peers);
        peers.fold(0, |sum, p| sum.saturating_add(p.sent_bytes))
    }

    /// Whether all members confirmed the end.
    pub(super) fn completed(&self) -> bool {
        self.close.as_ref().is_some_and(|(_, c)| c.outcome == Outcome::Completed)
    }
}

pub(super) fn is_correction_lane(lane: u16) -> bool {
    correction_lane(lane) == lane
}

/// A lane for people.
pub(super) fn lane_name(lane: u16) -> String {
    match is_correction_lane(lane) {
        true => format!("corrections of lane {}", lane ^ correction_lane(0)),
        false => format!("lane {lane}"),
    }
}

/// Sorts entries into sessions; what breaks the grammar is reported with its entry number and left out.
pub(super) fn group(entries: impl Iterator<Item = (u64, Entry)>) -> (Vec<Session>, Vec<(u64, String)>) {
    let mut sessions: Vec<Session> = Vec::new();
    let mut by_id: HashMap<[u8; 32], usize> = HashMap::new();
    let mut faults = Vec::new();
    for (number, entry) in entries {
        let id = entry.session();
        let fault = match (by_id.get(&id.0).map(|&i| &mut sessions[i]), entry) {
            (None, Entry::SessionOpen(open)) => {
                by_id.insert(id.0, sessions.len());
                let checked = check_name(&open);
                sessions.push(Session {
                    open,
                    open_entry: number,
                    commitments: HashSet::new(),
                    ended: false,
                    lanes: BTreeMap::new(),
                    close: None,
                    witnessed: None,
                    cosigners: Vec::new(),
                });
                checked
            }
            (None, _) => Err(format!("session {id} was not opened before")),
            (Some(_), Entry::SessionOpen(_)) => Err(format!("session {id} is opened a second time")),
            (Some(session), Entry::Witnessed(_)) => check_witnessed(session).map(|()| {
                session.witnessed = Some(number);
            }),
            (Some(Session { close: Some((at, _)), .. }), _) => {
                Err(format!("session {id} was already closed in entry {at}"))
            }
            (Some(session), Entry::Commitment(commitment)) => check_commitment(session, commitment),
            (Some(session), Entry::Batch(batch)) => check_batch(session, &batch).map(|()| {
                session.lanes.entry(batch.lane).or_default().push((number, batch));
            }),
            (Some(session), Entry::Close(close)) => {
                let checked = check_totals(session, &close);
                session.close = Some((number, close));
                checked
            }
        };
        if let Err(what) = fault {
            faults.push((number, what));
        }
    }
    (sessions, faults)
}

fn check_witnessed(session: &Session) -> Result<(), String> {
    let id = session.open.session;
    match (&session.close, session.witnessed) {
        (None, _) => Err(format!("session {id} is witnessed before it is closed")),
        (_, Some(at)) => Err(format!("session {id} was already witnessed in entry {at}")),
        _ => Ok(()),
    }
}

/// A session's name is the hash of what it was opened with.
fn check_name(open: &SessionOpen) -> Result<(), String> {
    match open.derived_session() {
        Some(derived) if derived != open.session => Err(format!(
            "session {}: its id is not the hash of version, program, parameters, keys and nonces in this entry: expected {derived}",
            open.session
        )),
        _ => Ok(()),
    }
}

/// A session has one commitment to each value, in the place that makes it mean something: to what goes in before the
/// first round in which it could be chosen anew, to what comes out after the last.
fn check_commitment(session: &mut Session, commitment: Commitment) -> Result<(), String> {
    let Commitment { session: id, kind, name, .. } = commitment;
    let value = format!("{} {name:?}", kind.as_str());
    if session.open.me == Peer::Dealer {
        return Err(format!("session {id}: a dealer has nothing to commit to, got a commitment to {value}"));
    }
    if kind != CommitmentKind::Output && session.has_rounds() {
        return Err(format!("session {id}: the commitment to {value} comes after the first round"));
    }
    session.ended |= kind == CommitmentKind::Output;
    if !session.commitments.insert((kind, name)) {
        return Err(format!("session {id}: a second commitment to {value}"));
    }
    Ok(())
}

fn check_batch(session: &Session, batch: &Batch) -> Result<(), String> {
    let what =
        |problem: String| Err(format!("session {}, {}: {problem}", batch.session, lane_name(batch.lane)));
    if !is_correction_lane(batch.lane) && session.ended {
        return what("rounds after a commitment to an output".to_owned());
    }
    let peers: Vec<Peer> = batch.peers.iter().map(|p| p.peer).collect();
    let corrections = is_correction_lane(batch.lane);
    let due = match (corrections, session.open.me) {
        (false, Peer::Party(me)) => {
            me.others(session.open.parties.len()).map(Peer::Party).collect::<Vec<_>>()
        }
        (false, Peer::Dealer) => return what("a dealer takes no part in rounds".to_owned()),
        (true, Peer::Party(_)) => session.open.dealer.iter().map(|_| Peer::Dealer).collect(),
        // Corrections go to one party; any of the roster will do.
        (true, Peer::Dealer) => PartyId::all(session.open.parties.len())
            .map(Peer::Party)
            .filter(|p| peers.first() == Some(p))
            .collect(),
    };
    if peers != due || peers.is_empty() {
        return what(format!("wrong peers: expected {}, got {}", list(&due), list(&peers)));
    }
    let last = session.lanes.get(&batch.lane).and_then(|batches| batches.last()).map(|(_, b)| b);
    let index = last.map_or(0, |b| b.index.saturating_add(1));
    if batch.index != index {
        return what(format!("batches out of order: expected batch {index}, got {}", batch.index));
    }
    let next = last.map_or(0, |b| b.last_round.saturating_add(1));
    if corrections {
        return if batch.first_round >= next {
            Ok(())
        } else {
            what(format!("items out of order: expected item {next} or later, got {}", batch.first_round))
        };
    }
    if batch.first_round != next {
        return what(format!("rounds out of order: expected round {next}, got {}", batch.first_round));
    }
    if batch.last_round - batch.first_round >= ROUNDS_PER_BATCH {
        return what(format!("expected at most {ROUNDS_PER_BATCH} rounds in a batch"));
    }
    if last.is_some_and(|b| b.last_round - b.first_round + 1 != ROUNDS_PER_BATCH) {
        return what(format!("only the last batch may have fewer than {ROUNDS_PER_BATCH} rounds"));
    }
    Ok(())
}

/// A session that ran to its end has everything it counted in its batches.
fn check_totals(session: &Session, close: &Close) -> Result<(), String> {
    if close.outcome != Outcome::Completed {
        return Ok(());
    }
    let (rounds, bytes) = (session.rounds(), session.bytes_sent());
    if (close.rounds, close.bytes_sent) == (rounds, bytes) {
        return Ok(());
    }
    Err(format!(
        "session {}: close says {} rounds and {} bytes sent, the batches hold {rounds} and {bytes}",
        close.session, close.rounds, close.bytes_sent
    ))
}

fn list(peers: &[Peer]) -> String {
    if peers.is_empty() {
        return "nobody".to_owned();
    }
    peers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
