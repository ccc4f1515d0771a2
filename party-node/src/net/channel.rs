//! The [`Channel`] of one lane over QUIC, and the handle that ends a session.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use mpc_core::channel::{Broadcast, Channel, ChannelError, Peer};
use mpc_core::party::{PartyId, PerParty};
use mpc_core::tag::{SessionId, Tag, node};
use quinn::Endpoint;

use super::broadcast::GATHERED_BYTES;
use super::control_stream::ControlStream;
use super::dealer_link::GOODBYE;
use super::error::Names;
use super::frame::{FRAME_MAX_BYTES, Frame, Outgoing};
use super::links::Links;
use super::options::sooner_ms;
use super::pump::Duplex;
use super::queue::Blocked;
use super::runtime::NetThread;

/// How long the last messages may take to be acknowledged when a session ends well.
const DELIVERY_MS: u64 = 2_000;
/// How long the closing words may take to leave when the process ends.
const FAREWELL_MS: u64 = 100;

/// What all parts of a session share. Dropping it without a close tells the peers that this node gave up.
pub(crate) struct Core {
    pub(crate) me: Peer,
    pub(crate) links: Arc<Links>,
    pub(crate) endpoint: Endpoint,
    pub(crate) net: NetThread,
}

impl Core {
    /// Waits, for a bounded time, until the closing words have left.
    pub(crate) fn farewell(&self) {
        let endpoint = self.endpoint.clone();
        let limit = Duration::from_millis(FAREWELL_MS);
        let _ = self.net.run(async move { tokio::time::timeout(limit, endpoint.wait_idle()).await.is_ok() });
    }
}

impl AsRef<NetThread> for Core {
    fn as_ref(&self) -> &NetThread {
        &self.net
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        if !self.links.over() {
            self.links.abort(self.me, Some(self.me), "it ended without finishing the session");
        }
        self.farewell();
    }
}

/// One lane's streams to all peers.
pub(crate) struct Lane {
    pub(crate) lane: u16,
    pub(crate) me: PartyId,
    pub(crate) peers: PerParty<Option<Duplex>>,
    pub(crate) receive_timeout_ms: u64,
}

impl Lane {
    /// Hands a message or its first part to the network; waits while the queue is full.
    pub(super) fn put(&self, links: &Links, to: PartyId, out: Outgoing) -> Result<(), ChannelError> {
        let peer = Peer::Party(to);
        let Some(duplex) = &self.peers[to] else { return Ok(()) };
        // Whoever comes after it in the order of sending waits too.
        let waited_ms = sooner_ms(self.receive_timeout_ms);
        let timeout = Duration::from_millis(waited_ms);
        let tag = out.tag;
        duplex.outgoing.put_blocking(out.part.len(), out, timeout).map_err(|e| match e {
            Blocked::Failed(error) => error,
            Blocked::Deadline => links.fail(ChannelError::Timeout { peer, tag, waited_ms }),
        })
    }

    fn next_frame(
        &self,
        links: &Links,
        duplex: &Duplex,
        peer: Peer,
        tag: Tag,
    ) -> Result<Frame, ChannelError> {
        let (sooner, all) = (sooner_ms(self.receive_timeout_ms), self.receive_timeout_ms);
        let take = |ms| duplex.incoming.take_blocking(Duration::from_millis(ms));
        let timeout = |waited_ms| ChannelError::Timeout { peer, tag, waited_ms };
        let taken = match take(sooner) {
            Err(Blocked::Deadline) if self.is_overtaken(tag) => Err(timeout(sooner)),
            Err(Blocked::Deadline) => take(all - sooner).map_err(|e| match e {
                Blocked::Failed(error) => error,
                Blocked::Deadline => timeout(all),
            }),
            Err(Blocked::Failed(error)) => Err(error),
            Ok(frame) => Ok(frame),
        };
        taken.map_err(|error| links.fail(error))
    }

    /// Whether another party is past this place already. Then what is due was withheld from this node alone, which keeps
    /// that party waiting in turn.
    fn is_overtaken(&self, tag: Tag) -> bool {
        self.peers.iter().any(|(_, peer)| {
            peer.as_ref().is_some_and(|duplex| duplex.incoming.has(|frame| frame.header.tag != tag))
        })
    }

    /// The payload of the next frame of a message of which `left` bytes are to come.
    pub(super) fn next_payload(
        &self,
        links: &Links,
        (from, duplex): (PartyId, &Duplex),
        tag: Tag,
        expected: usize,
        left: usize,
    ) -> Result<Vec<Bytes>, ChannelError> {
        let peer = Peer::Party(from);
        let Frame { header, pieces } = self.next_frame(links, duplex, peer, tag)?;
        if header.tag != tag {
            return Err(links.fail(ChannelError::Desync { peer, expected: tag, got: header.tag }));
        }
        if header.message != expected as u64 {
            let got = usize::try_from(header.message).unwrap_or(usize::MAX);
            return Err(links.fail(ChannelError::WrongLength { peer, tag, expected, got }));
        }
        if header.payload != left.min(FRAME_MAX_BYTES) {
            let what = "a frame is not full although its message goes on";
            return Err(links.fail(ChannelError::Malformed { peer, what }));
        }
        Ok(pieces)
    }

    fn receive(
        &self,
        links: &Links,
        from: PartyId,
        tag: Tag,
        expected: usize,
    ) -> Result<Bytes, ChannelError> {
        let Some(duplex) = self.peers[from].as_ref().filter(|_| expected > 0) else {
            return Ok(Bytes::new());
        };
        let mut message = BytesMut::new();
        while message.len() < expected {
            let left = expected - message.len();
            let mut pieces = self.next_payload(links, (from, duplex), tag, expected, left)?;
            if pieces.len() == 1 && pieces[0].len() == expected {
                return Ok(pieces.swap_remove(0));
            }
            message.reserve(left);
            pieces.iter().for_each(|piece| message.extend_from_slice(piece));
        }
        Ok(message.freeze())
    }

    /// As [`Lane::receive`], a frame at a time, which is never copied further away than to the caches.
    fn receive_pieces(
        &self,
        links: &Links,
        from: PartyId,
        tag: Tag,
        expected: usize,
        take: &mut dyn FnMut(PartyId, &[u8]),
    ) -> Result<(), ChannelError> {
        let Some(duplex) = self.peers[from].as_ref() else { return Ok(()) };
        let (mut gathered, mut left) = (Vec::with_capacity(GATHERED_BYTES.min(expected)), expected);
        while left > 0 {
            let take = &mut |piece: &[u8]| take(from, piece);
            left -= self.take_frame(links, (from, duplex), tag, (expected, left), &mut gathered, take)?;
        }
        Ok(())
    }

    /// Hands every message to the network.
    fn send_all(&self, links: &Links, tag: Tag, send: PerParty<Option<Bytes>>) -> Result<(), ChannelError> {
        if let Some(error) = links.failure() {
            return Err(error);
        }
        for (to, message) in send.into_vec().into_iter().enumerate() {
            if let Some(message) = message.filter(|m| !m.is_empty()) {
                self.put(links, PartyId::new(to), Outgoing::whole(tag, message))?;
            }
        }
        Ok(())
    }

    pub(crate) fn exchange(
        &self,
        links: &Links,
        tag: Tag,
        send: PerParty<Option<Bytes>>,
        expect: &PerParty<Option<usize>>,
    ) -> Result<PerParty<Option<Bytes>>, ChannelError> {
        self.send_all(links, tag, send)?;
        let n = self.peers.parties();
        let mut received = PerParty::from_fn(n, |_| None);
        for from in self.me.others(n) {
            if let Some(expected) = expect[from] {
                received[from] = Some(self.receive(links, from, tag, expected)?);
            }
        }
        Ok(received)
    }

    fn exchange_pieces(
        &self,
        links: &Links,
        tag: Tag,
        send: PerParty<Option<Bytes>>,
        expect: &PerParty<Option<usize>>,
        take: &mut dyn FnMut(PartyId, &[u8]),
    ) -> Result<(), ChannelError> {
        self.send_all(links, tag, send)?;
        let receive = |from: PartyId| {
            expect[from].map_or(Ok(()), |bytes| self.receive_pieces(links, from, tag, bytes, take))
        };
        self.me.others(self.peers.parties()).try_for_each(receive)
    }
}

/// Lane 0 of a session over QUIC: the protocol's view of the network.
///
/// One call to [`Channel::exchange`] hands every message to the network thread without copying it and then waits for
/// the peers' messages, whole or a frame at a time. The deadline of each wait starts anew whenever bytes move, so a slow link is no failure and a
/// silent peer always is. Any error ends the session at all parties.
pub struct QuicChannel {
    pub(crate) core: Arc<Core>,
    pub(crate) lane: Arc<Mutex<Lane>>,
    pub(crate) me: PartyId,
    pub(crate) parties: usize,
}

impl Channel for QuicChannel {
    fn me(&self) -> PartyId {
        self.me
    }

    fn parties(&self) -> usize {
        self.parties
    }

    fn exchange(
        &mut self,
        tag: Tag,
        send: PerParty<Option<Bytes>>,
        expect: PerParty<Option<usize>>,
    ) -> Result<PerParty<Option<Bytes>>, ChannelError> {
        let watch = self.core.net.watch();
        watch.begin();
        let received = lock(&self.lane).exchange(&self.core.links, tag, send, &expect);
        watch.end();
        received
    }

    fn exchange_pieces(
        &mut self,
        tag: Tag,
        send: PerParty<Option<Bytes>>,
        expect: PerParty<Option<usize>>,
        take: &mut dyn FnMut(PartyId, &[u8]),
    ) -> Result<(), ChannelError> {
        let watch = self.core.net.watch();
        watch.begin();
        let done = lock(&self.lane).exchange_pieces(&self.core.links, tag, send, &expect, take);
        watch.end();
        done
    }

    fn broadcast(&mut self, tag: Tag, bytes: usize, message: &mut dyn Broadcast) -> Result<(), ChannelError> {
        let watch = self.core.net.watch();
        let done = lock(&self.lane).broadcast(&self.core.links, watch, tag, bytes, message);
        watch.end();
        done
    }
}

fn lock(lane: &Mutex<Lane>) -> MutexGuard<'_, Lane> {
    lane.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends a session, from any thread: in good order, or with a reason that every peer is told.
#[derive(Clone)]
pub struct SessionHandle {
    pub(crate) core: Arc<Core>,
    pub(crate) lane: Arc<Mutex<Lane>>,
    pub(crate) session: SessionId,
    pub(crate) controls: Arc<Vec<ControlStream>>,
}

impl SessionHandle {
    /// Ends the session because of something outside the network, such as a failed check or an interrupt. Every peer
    /// ends with this reason (at most 200 bytes are sent) and blames `culprit`; nobody, if none is named.
    pub fn abort(&self, culprit: Option<Peer>, reason: &str) {
        self.core.links.abort(self.core.me, culprit, reason);
    }

    /// The failure that ended the session, if it failed.
    #[must_use]
    pub fn failure(&self) -> Option<ChannelError> {
        self.core.links.failure()
    }

    /// Waits until the session fails, while a lane computes. `None` when it is closed, or after `timeout`.
    #[must_use]
    pub fn wait_failure(&self, timeout: Duration) -> Option<ChannelError> {
        self.core.links.wait_failure(timeout)
    }

    /// The names of everyone, for [`Names::render`].
    #[must_use]
    pub fn names(&self) -> &Names {
        self.core.links.names()
    }

    /// UDP bytes (sent, received) on all connections of this node so far, with framing and encryption.
    #[must_use]
    pub fn wire_bytes(&self) -> (u64, u64) {
        self.core.links.wire_bytes()
    }

    /// The control streams to all other parties, in order, and to the dealer.
    #[must_use]
    pub fn controls(&self) -> &[ControlStream] {
        &self.controls
    }

    /// Ends the session in good order: [`Self::conclude`] and [`Self::leave`].
    ///
    /// # Errors
    /// As [`Self::conclude`].
    pub fn close(&self) -> Result<(), ChannelError> {
        self.conclude()?;
        self.leave();
        Ok(())
    }

    /// Agrees on the end of the computation: exchanges a confirmation with every peer, waits until the peers have
    /// acknowledged everything, and tells the dealer. No exchange may be under way. After that the session cannot fail;
    /// the control streams stay open until [`Self::leave`].
    ///
    /// # Errors
    /// If the session failed, or fails now: then not all parties consider it closed.
    pub fn conclude(&self) -> Result<(), ChannelError> {
        let links = &self.core.links;
        let mut lane = lock(&self.lane);
        let tag = Tag { lane: lane.lane, node: node::CLOSE, iteration: 0, round: 0 };
        let (me, n) = (lane.me, lane.peers.parties());
        let word = Bytes::copy_from_slice(&self.session.0);
        let send = PerParty::from_fn(n, |p| (p != me).then(|| word.clone()));
        let expect = PerParty::from_fn(n, |p| (p != me).then_some(word.len()));
        let words = lane.exchange(links, tag, send, &expect)?;
        for p in me.others(n) {
            if words[p].as_ref() != Some(&word) {
                let what = "the closing word names another session";
                return Err(links.fail(ChannelError::Malformed { peer: Peer::Party(p), what }));
            }
            links.done(Peer::Party(p));
        }
        let mut deliveries = Vec::new();
        for p in me.others(n) {
            if let Some(duplex) = &mut lane.peers[p] {
                duplex.outgoing.finish();
                deliveries.extend(duplex.delivered.take());
            }
        }
        if let Some(dealer) = self.controls.iter().find(|c| c.peer() == Peer::Dealer) {
            links.done(Peer::Dealer);
            dealer.say(GOODBYE);
        }
        let _ = self.core.net.run(async move {
            let all = async {
                for delivery in deliveries {
                    let _ = delivery.await;
                }
            };
            tokio::time::timeout(Duration::from_millis(DELIVERY_MS), all).await.is_ok()
        });
        links.conclude()
    }

    /// Waits for a moment until the last control messages have arrived, and closes all connections.
    pub fn leave(&self) {
        let last_words: Vec<_> = self.controls.iter().map(ControlStream::finish).collect();
        let _ = self.core.net.run(async move {
            let all = async {
                for word in last_words {
                    word.await;
                }
            };
            tokio::time::timeout(Duration::from_millis(DELIVERY_MS), all).await.is_ok()
        });
        // A session that failed is closed already.
        let _ = self.core.links.close();
        self.core.farewell();
    }

    /// Waits, for at most a quarter of a second, until an abort has left; for use right before the process ends.
    pub fn flush(&self) {
        self.core.farewell();
    }
}
