//! All connections of one session, and its fate: the first failure wins, stops every lane and is told to every peer.
//!
//! A failure can be seen here first (a connection dies, a frame is wrong) or come from a peer's abort. Either way the
//! whole session ends: every queue is failed, so no lane waits on, and every connection is closed with a reason that
//! names the culprit. A peer that hears of it second hand therefore blames the same party as one that saw it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mpc_core::channel::{ChannelError, Peer};
use mpc_core::party::PartyId;
use quinn::{Connection, ConnectionError, VarInt};

use super::error::{Names, blame};
use super::hello::{Abort, REASON_MAX_BYTES, close_code};
use super::printable::{end_in_words, printable};
use super::queue::ByteQueue;
use super::transport::IDLE_TIMEOUT_MS;

/// How often a connection is looked at.
const TICK_MS: u64 = 50;

/// Something to stop when the session fails.
pub(crate) trait Stop: Send + Sync {
    fn stop(&self, error: &ChannelError);
}

impl<T: Send> Stop for ByteQueue<T> {
    fn stop(&self, error: &ChannelError) {
        self.fail(error);
    }
}

#[derive(Default)]
struct Fate {
    failure: Option<ChannelError>,
    /// Everybody has confirmed that the session is over. What goes wrong now concerns one connection, not the session.
    concluded: bool,
    /// This side has closed its connections.
    closed: bool,
    /// Peers that have confirmed the end of the session.
    done: Vec<Peer>,
    stops: Vec<Arc<dyn Stop>>,
    connections: Vec<(Peer, Connection)>,
}

impl Fate {
    /// A party that is not done.
    fn missing(&self, count: usize) -> Option<Peer> {
        PartyId::all(count).map(Peer::Party).find(|p| !self.done.contains(p))
    }
}

/// See the module.
pub(crate) struct Links {
    names: Names,
    fate: Mutex<Fate>,
    changed: Condvar,
}

impl Links {
    pub(crate) fn new(names: Names) -> Arc<Self> {
        Arc::new(Self { names, fate: Mutex::default(), changed: Condvar::new() })
    }

    pub(crate) const fn names(&self) -> &Names {
        &self.names
    }

    fn lock(&self) -> MutexGuard<'_, Fate> {
        self.fate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Watches a connection from now on. Must be called within the network runtime.
    pub(crate) fn watch(self: &Arc<Self>, peer: Peer, connection: &Connection) {
        self.lock().connections.push((peer, connection.clone()));
        let (links, connection) = (self.clone(), connection.clone());
        tokio::spawn(async move {
            let reason = closed_or_silent(&connection).await;
            links.connection_ended(peer, &reason);
            // Whoever still waits for a silent peer learns that it is in vain. No-op for a connection that has ended.
            connection.close(VarInt::from_u32(close_code::DONE), b"");
        });
    }

    /// Registers something that waits on behalf of a lane.
    pub(crate) fn stop_on_failure(&self, stop: Arc<dyn Stop>) {
        let mut fate = self.lock();
        match &fate.failure {
            Some(error) => stop.stop(error),
            None => fate.stops.push(stop),
        }
    }

    fn connection_ended(&self, peer: Peer, reason: &ConnectionError) {
        if let Some(error) = ended(peer, reason) {
            // A regular close can overtake data that still waits to be read; the reader reports it if it is early.
            let regular = matches!(reason, ConnectionError::ApplicationClosed(c)
                if c.error_code == VarInt::from_u32(close_code::DONE));
            if !regular && !self.lock().done.contains(&peer) {
                self.fail(error);
            }
        }
    }

    /// The first failure of the session, if there was one.
    pub(crate) fn failure(&self) -> Option<ChannelError> {
        self.lock().failure.clone()
    }

    /// Waits until the session fails; `None` after `timeout` or once it is closed.
    pub(crate) fn wait_failure(&self, timeout: Duration) -> Option<ChannelError> {
        let deadline = Instant::now() + timeout;
        let mut fate = self.lock();
        while fate.failure.is_none() && !fate.closed {
            let left = deadline.checked_duration_since(Instant::now()).filter(|d| !d.is_zero())?;
            fate = self.changed.wait_timeout(fate, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        fate.failure.clone()
    }

    /// Ends the session because of `error` and returns the error that ended it first.
    pub(crate) fn fail(&self, error: ChannelError) -> ChannelError {
        let reason = self.names.render(&error);
        self.end(error, None, reason)
    }

    /// Ends the session from this side, for a reason that is no matter of the network.
    pub(crate) fn abort(&self, me: Peer, culprit: Option<Peer>, reason: &str) -> ChannelError {
        let reason = printable(reason, REASON_MAX_BYTES);
        let error = ChannelError::Aborted { peer: me, culprit, reason: reason.clone() };
        self.end(error, Some(culprit), reason)
    }

    fn end(&self, error: ChannelError, culprit: Option<Option<Peer>>, reason: String) -> ChannelError {
        let mut fate = self.lock();
        if let Some(first) = &fate.failure {
            return first.clone();
        }
        if fate.closed || fate.concluded {
            return error;
        }
        fate.failure = Some(error.clone());
        let stops = std::mem::take(&mut fate.stops);
        let connections = fate.connections.clone();
        drop(fate);
        self.changed.notify_all();
        let culprit = culprit.unwrap_or_else(|| blame(&error));
        let message = Abort { culprit, reason }.encode();
        // First the connections: a pump that stops ends its stream, and the reason must be there before that.
        for (_, connection) in connections {
            connection.close(VarInt::from_u32(close_code::ABORT), &message);
        }
        stops.iter().for_each(|s| s.stop(&error));
        error
    }

    /// Notes that `peer` has said everything it had to say; losing it is no failure any more. True for the first one.
    pub(crate) fn done(&self, peer: Peer) -> bool {
        let mut fate = self.lock();
        let first = fate.done.is_empty();
        fate.done.push(peer);
        drop(fate);
        self.changed.notify_all();
        first
    }

    /// Waits until the parties 0 to `count − 1` are done, or the session fails.
    pub(crate) fn wait_done(&self, count: usize) -> Result<(), ChannelError> {
        let mut fate = self.lock();
        loop {
            if let Some(error) = &fate.failure {
                return Err(error.clone());
            }
            if fate.missing(count).is_none() {
                return Ok(());
            }
            fate = self.changed.wait(fate).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// For a dealer, some time after the first of `count` parties was done: a computation may take its time, but it ends
    /// for all at once, so a session that is not over by now never will be. Whether one party said too early that it is
    /// over or another keeps silent cannot be known, and nobody is blamed.
    pub(crate) fn overdue(&self, count: usize, after_ms: u64) {
        let fate = self.lock();
        if fate.concluded {
            return;
        }
        let (first, missing) = (fate.done.first().copied(), fate.missing(count));
        drop(fate);
        let corrected = Peer::Party(PartyId::new(0));
        match (first, missing) {
            (Some(first), Some(missing)) => {
                let [first, missing] = [first, missing].map(|peer| self.names.of(peer));
                let reason = format!(
                    "{first} said that the session is over, but {missing} did not within {after_ms} ms"
                );
                self.abort(Peer::Dealer, None, &reason);
            }
            _ => {
                let what = "it said that the session is over, but did not take its corrections";
                self.fail(ChannelError::Malformed { peer: corrected, what });
            }
        }
    }

    /// Notes that everybody has confirmed the end, unless the session failed before.
    pub(crate) fn conclude(&self) -> Result<(), ChannelError> {
        let mut fate = self.lock();
        match &fate.failure {
            Some(error) => Err(error.clone()),
            None => {
                fate.concluded = true;
                Ok(())
            }
        }
    }

    /// Closes all connections in good order, unless the session failed before.
    pub(crate) fn close(&self) -> Result<(), ChannelError> {
        let mut fate = self.lock();
        if let Some(error) = &fate.failure {
            return Err(error.clone());
        }
        fate.closed = true;
        fate.stops.clear();
        for (_, connection) in &fate.connections {
            connection.close(VarInt::from_u32(close_code::DONE), b"");
        }
        drop(fate);
        self.changed.notify_all();
        Ok(())
    }

    /// Whether the session has ended, in whatever way.
    pub(crate) fn over(&self) -> bool {
        let fate = self.lock();
        fate.closed || fate.failure.is_some()
    }

    /// All connections.
    pub(crate) fn connections(&self) -> Vec<Connection> {
        self.lock().connections.iter().map(|(_, c)| c.clone()).collect()
    }

    /// UDP bytes sent and received on all connections, everything included.
    pub(crate) fn wire_bytes(&self) -> (u64, u64) {
        let fate = self.lock();
        fate.connections
            .iter()
            .map(|(_, c)| c.stats())
            .fold((0, 0), |(tx, rx), stats| (tx + stats.udp_tx.bytes, rx + stats.udp_rx.bytes))
    }
}

/// Waits until a connection ends or its peer is silent for too long.
///
/// QUIC's own idle timeout is not enough: it is at least three times the probe timeout, which after a handshake on a
/// busy machine can be seconds, and sending restarts it. Here silence is what counts: the peer's keep-alives and
/// acknowledgements arrive several times within the limit. It is counted in ticks rather than by the clock, so that a
/// node that was not scheduled itself for a while reads what has come before it judges.
pub(crate) async fn closed_or_silent(connection: &Connection) -> ConnectionError {
    let mut tick = tokio::time::interval(Duration::from_millis(TICK_MS));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut seen, mut silent_ms) = (0, 0);
    loop {
        tokio::select! {
            reason = connection.closed() => return reason,
            _ = tick.tick() => {
                let datagrams = connection.stats().udp_rx.datagrams;
                silent_ms = if datagrams == seen { silent_ms + TICK_MS } else { 0 };
                seen = datagrams;
                if silent_ms >= IDLE_TIMEOUT_MS {
                    return ConnectionError::TimedOut;
                }
            }
        }
    }
}

/// What the end of a connection means; `None` if this side ended it.
pub(crate) fn ended(peer: Peer, reason: &ConnectionError) -> Option<ChannelError> {
    let lost = |reason: String| Some(ChannelError::Lost { peer, reason });
    match reason {
        ConnectionError::LocallyClosed => None,
        ConnectionError::ApplicationClosed(close)
            if close.error_code == VarInt::from_u32(close_code::ABORT) =>
        {
            let Abort { culprit, reason } = Abort::decode(&close.reason);
            Some(ChannelError::Aborted { peer, culprit, reason })
        }
        ConnectionError::ApplicationClosed(_) => lost("it closed the connection too early".into()),
        ConnectionError::TimedOut => lost(format!("nothing heard from it for {IDLE_TIMEOUT_MS} ms")),
        ConnectionError::Reset => lost("its process ended or was restarted".into()),
        other => lost(end_in_words(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links() -> Arc<Links> {
        Links::new(Names::new(vec!["bank".into(), "bureau".into()], Some("dealer".into())))
    }

    #[test]
    fn a_session_that_some_say_is_over_ends_without_blame() {
        let links = links();
        assert!(links.done(Peer::Party(PartyId::new(1))));
        links.overdue(2, 20);
        let error = links.wait_done(2).expect_err("party 0 never says that it is done");
        assert_eq!(blame(&error), None);
        let text = links.names().render(&error);
        assert!(text.contains("bureau said that the session is over, but bank did not"), "{text}");
    }

    #[test]
    fn all_done_is_done() {
        let links = links();
        assert!(links.done(Peer::Party(PartyId::new(1))));
        assert!(!links.done(Peer::Party(PartyId::new(0))), "the first was another");
        links.wait_done(2).expect("both are done");
        links.conclude().expect("nothing failed");
        links.overdue(2, 20);
        assert!(links.failure().is_none(), "a session that is over in time");
    }

    #[test]
    fn who_is_done_without_its_corrections_is_named() {
        let links = links();
        PartyId::all(2).for_each(|p| {
            links.done(Peer::Party(p));
        });
        links.overdue(2, 20);
        let error = links.failure().expect("the corrections were not delivered");
        assert_eq!(blame(&error), Some(Peer::Party(PartyId::new(0))));
    }
}
