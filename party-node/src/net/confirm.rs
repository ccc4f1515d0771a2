//! The last step of the handshake: all parties computed the same session id, rows are in the same order, the dealer is
//! ready, and lane 0 has its streams.

use std::time::Duration;

use mpc_core::channel::Peer;
use mpc_core::party::{PartyId, PerParty};
use mpc_core::tag::SessionId;
use quinn::{Connection, RecvStream, SendStream};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, timeout, timeout_at};

use super::control::{ControlError, lost, read_exact, read_message, write_all, write_message};
use super::error::{Names, NetError};
use super::hello::{Confirm, DealerHello, HELLO_MAX_BYTES};
use super::join::Meeting;
use super::links::closed_or_silent;
use super::present::{Greeted, Present};
use super::rows::RowTest;

/// Others may have met everyone only at the very end of their deadline.
const GRACE_MS: u64 = 3_000;
/// How long a confirmation that differs may take to reach the peer before the connection is closed.
const LAST_WORD_MS: u64 = 1_000;
/// The dealer's answer to one party may be that much behind its answer to another.
const BEGUN_MS: u64 = 200;
/// What the dealer answers when all parties of a session asked for the same.
pub(crate) const DEALER_READY: &[u8] = b"ready";

/// A stream pair, and the connection that carries it.
pub(crate) struct Streams {
    pub(crate) connection: Connection,
    pub(crate) send: SendStream,
    pub(crate) recv: RecvStream,
}

/// Everyone confirmed.
pub(crate) struct Agreed {
    /// Lane 0 with every other party, in party order.
    pub(crate) lanes: Vec<Streams>,
    /// The handshake's stream with every other party, likewise.
    pub(crate) controls: Vec<Streams>,
    /// The control stream with the dealer.
    pub(crate) dealer: Option<Streams>,
}

/// Confirms with all parties at once, then asks the dealer: when it is ready, everyone has confirmed with everyone, and
/// nobody waits for a party that a third keeps waiting. The first failure wins and says whom it is about.
pub(crate) async fn confirm(
    meeting: Meeting,
    present: Present,
    session: SessionId,
    mut rows: PerParty<Option<RowTest>>,
    dealer_hello: Option<DealerHello>,
) -> Result<Agreed, (Peer, NetError)> {
    let deadline = meeting.deadline.max(Instant::now()) + Duration::from_millis(GRACE_MS);
    let myself = |e: JoinError| (Peer::Party(meeting.me), NetError::Setup(e.to_string()));
    let mut watches = JoinSet::new();
    let watch = |watches: &mut JoinSet<_>, peer, c: &Connection| {
        drop(watches.spawn(gone(meeting.names.clone(), peer, c.clone())))
    };
    let mut tasks = JoinSet::new();
    for (i, greeted) in present.parties.into_iter().enumerate() {
        let Some(greeted) = greeted else { continue };
        let p = PartyId::new(i);
        let (meeting, rows) = (meeting.clone(), rows[p].take());
        tasks.spawn(async move {
            let late = Err(absent(&meeting, Peer::Party(p)));
            let result = timeout_at(deadline, confirm_party(&meeting, p, greeted, session, rows)).await;
            result.unwrap_or(late).map(|streams| (p, streams)).map_err(|e| (Peer::Party(p), e))
        });
    }
    if let Some(dealer) = &present.dealer {
        watch(&mut watches, Peer::Dealer, &dealer.connection);
    }
    let mut parties: Vec<(PartyId, [Streams; 2])> = Vec::new();
    while !tasks.is_empty() {
        tokio::select! {
            // What was agreed before somebody left stays agreed.
            biased;
            Some(confirmed) = tasks.join_next() => {
                let (p, streams) = confirmed.map_err(myself)??;
                watch(&mut watches, Peer::Party(p), &streams[0].connection);
                parties.push((p, streams));
            }
            Some(gone) = watches.join_next() => return Err(gone.unwrap_or_else(myself)),
        }
    }
    let dealer = match (present.dealer, dealer_hello) {
        (Some(greeted), Some(hello)) => {
            let answer = timeout_at(deadline, ask_dealer(greeted, &hello));
            let mut answer = std::pin::pin!(answer);
            let answer = tokio::select! {
                biased;
                answer = &mut answer => answer,
                // Who leaves may have begun already. Then so has everyone, and the session says how it ended.
                Some(gone) = watches.join_next() => {
                    let gone = gone.unwrap_or_else(myself);
                    timeout(Duration::from_millis(BEGUN_MS), answer).await.map_err(|_| gone)?
                }
            };
            let answer = answer.map_err(|_| (Peer::Dealer, absent(&meeting, Peer::Dealer)))?;
            let named = |e: ControlError| e.into_net_error(&meeting.names, Peer::Dealer);
            Some(answer.map_err(|e| (Peer::Dealer, named(e)))?)
        }
        _ => None,
    };
    parties.sort_by_key(|(p, _)| p.index());
    let (lanes, controls) = parties.into_iter().map(|(_, [lane, control])| (lane, control)).unzip();
    Ok(Agreed { lanes, controls, dealer })
}

fn absent(meeting: &Meeting, peer: Peer) -> NetError {
    let name = meeting.names.of(peer).to_owned();
    match peer {
        Peer::Dealer => NetError::NotReady { dealer: name },
        Peer::Party(_) => {
            let reason = "it did not confirm the session within the deadline".into();
            NetError::Lost { peer: name, reason }
        }
    }
}

/// A peer of which nothing is due may leave.
async fn gone(names: Names, peer: Peer, connection: Connection) -> (Peer, NetError) {
    let reason = closed_or_silent(&connection).await;
    (peer, lost(&names, peer, &reason))
}

pub(crate) async fn confirm_party(
    meeting: &Meeting,
    p: PartyId,
    greeted: Greeted,
    session: SessionId,
    rows: Option<RowTest>,
) -> Result<[Streams; 2], NetError> {
    let named = |e: ControlError| e.into_net_error(&meeting.names, Peer::Party(p));
    let Greeted { connection, mut send, mut recv, .. } = greeted;
    let ours = Confirm { session: session.0, row_order: rows.as_ref().map(RowTest::blinded) };
    write_message(&connection, &mut send, &ours.encode()).await.map_err(named)?;
    let theirs = read_message(&connection, &mut recv, HELLO_MAX_BYTES).await.map_err(named)?;
    let theirs = Confirm::decode(&theirs).map_err(|e| named(ControlError::malformed(e)))?;
    let checked = if theirs.session != session.0 {
        Err(NetError::SessionId { peer: meeting.names.party(p).to_owned() })
    } else if let (Some(test), Some(point)) = (rows, theirs.row_order) {
        same_rows(&connection, &mut send, &mut recv, test, point).await.map_err(named).and_then(|same| {
            let [ours, peer] = [meeting.me, p].map(|p| meeting.names.party(p).to_owned());
            if same { Ok(()) } else { Err(NetError::RowOrder { ours, peer }) }
        })
    } else {
        // A party without rows has none to compare.
        Ok(())
    };
    if let Err(error) = checked {
        if send.finish().is_ok() {
            // The peer must see our confirmation to report the same difference.
            let _ = timeout(Duration::from_millis(LAST_WORD_MS), send.stopped()).await;
        }
        return Err(error);
    }
    let lost = |e| named(ControlError::Lost(e));
    let control = Streams { connection: connection.clone(), send, recv };
    let (send, recv) = if meeting.me < p {
        let (mut send, recv) = connection.open_bi().await.map_err(lost)?;
        // A stream exists for the other side only once something is written to it.
        write_all(&connection, &mut send, &0_u16.to_le_bytes()).await.map_err(named)?;
        (send, recv)
    } else {
        let (send, mut recv) = connection.accept_bi().await.map_err(lost)?;
        let mut lane = [0; 2];
        read_exact(&connection, &mut recv, &mut lane).await.map_err(named)?;
        if lane != [0, 0] {
            return Err(named(ControlError::Malformed("the first lane is not lane 0".into())));
        }
        (send, recv)
    };
    Ok([Streams { connection, send, recv }, control])
}

/// Answers the peer's hidden row ids and reads its answer to ours.
async fn same_rows(
    connection: &Connection,
    send: &mut SendStream,
    recv: &mut RecvStream,
    test: RowTest,
    point: [u8; 32],
) -> Result<bool, ControlError> {
    let malformed = |what: &str| ControlError::Malformed(what.to_owned());
    let answers =
        test.answer(point).ok_or_else(|| malformed("its row ids are hidden in no point of the group"))?;
    write_message(connection, send, &answers.ours).await?;
    let theirs = read_message(connection, recv, answers.ours.len()).await?;
    let theirs = theirs.try_into().map_err(|_| malformed("its answer about row ids is too short"))?;
    Ok(answers.agree(&theirs))
}

pub(crate) async fn ask_dealer(greeted: Greeted, hello: &DealerHello) -> Result<Streams, ControlError> {
    let Greeted { connection, mut send, mut recv, .. } = greeted;
    write_message(&connection, &mut send, &hello.encode()).await?;
    let answer = read_message(&connection, &mut recv, HELLO_MAX_BYTES).await?;
    if answer != DEALER_READY {
        return Err(ControlError::Malformed("the dealer's answer is not understood".into()));
    }
    Ok(Streams { connection, send, recv })
}
