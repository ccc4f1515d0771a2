//! The channel that writes down what passes through it.

use std::ops::Range;

use bytes::Bytes;

use super::batch::{Batch, LogKey, PeerDigests, StreamDigest};
use super::{Entry, TranscriptSink};
use crate::channel::{Broadcast, Channel, ChannelError, Peer};
use crate::party::{PartyId, PerParty};
use crate::tag::{SessionId, Tag};

/// How many rounds one batch covers; the last one of a lane may cover fewer.
pub const ROUNDS_PER_BATCH: u64 = 64;

/// Payload bytes to and from one peer, or in total.
#[derive(Copy, Clone, PartialEq, Eq, Default, Debug)]
pub struct Traffic {
    /// Payload bytes sent.
    pub sent: u64,
    /// Payload bytes received.
    pub received: u64,
}

#[derive(Clone)]
struct PeerStreams {
    sent: StreamDigest,
    received: StreamDigest,
}

/// Decorates the [`Channel`] of one lane: digests every message as it passes, counts rounds and bytes, and appends a
/// [`Batch`] to its sink every [`ROUNDS_PER_BATCH`] rounds and at [`Recorder::finish`]. Protocol code sees a channel
/// like any other.
///
/// A round counts and is digested when its exchange has succeeded. After a failed one the batch holds what was
/// completed before it; the peer may have completed one round more, which the log verifier calls an unmatched tail.
pub struct Recorder<C: Channel> {
    inner: C,
    sink: Box<dyn TranscriptSink>,
    session: SessionId,
    lane: u16,
    keys: PerParty<Option<LogKey>>,
    streams: PerParty<Option<PeerStreams>>,
    traffic: PerParty<Traffic>,
    /// Number of the batch under way and the first round in it.
    batch: u64,
    first_round: u64,
    rounds: u64,
}

impl<C: Channel> Recorder<C> {
    /// Records lane `lane` of `session`. `keys` holds the log key shared with each other party; the own slot is unused.
    ///
    /// # Panics
    /// If `keys` lacks another party of the channel: recording nothing about a peer would be a hole in the log.
    #[must_use]
    pub fn new(
        inner: C,
        session: SessionId,
        lane: u16,
        keys: PerParty<Option<LogKey>>,
        sink: Box<dyn TranscriptSink>,
    ) -> Self {
        let (me, n) = (inner.me(), inner.parties());
        assert!(
            keys.parties() == n && me.others(n).all(|p| keys[p].is_some()),
            "invariant: a log key for every other party"
        );
        let streams = Self::fresh_streams(me, &keys, lane, 0);
        let traffic = PerParty::from_fn(n, |_| Traffic::default());
        Self { inner, sink, session, lane, keys, streams, traffic, batch: 0, first_round: 0, rounds: 0 }
    }

    fn fresh_streams(
        me: PartyId,
        keys: &PerParty<Option<LogKey>>,
        lane: u16,
        batch: u64,
    ) -> PerParty<Option<PeerStreams>> {
        let me_peer = Peer::Party(me);
        PerParty::from_fn(keys.parties(), |p| {
            let key = keys[p].as_ref().filter(|_| p != me)?;
            let (sent_to, received_from) = (Peer::Party(p), Peer::Party(p));
            Some(PeerStreams {
                sent: StreamDigest::new(key, me_peer, sent_to, lane, batch),
                received: StreamDigest::new(key, received_from, me_peer, lane, batch),
            })
        })
    }

    /// Rounds completed so far, over the whole lane.
    #[must_use]
    pub const fn rounds(&self) -> u64 {
        self.rounds
    }

    /// Payload bytes exchanged with one party so far.
    #[must_use]
    pub fn traffic(&self, peer: PartyId) -> Traffic {
        self.traffic[peer]
    }

    /// Payload bytes exchanged with all parties so far.
    #[must_use]
    pub fn total_traffic(&self) -> Traffic {
        self.traffic.iter().fold(Traffic::default(), |sum, (_, t)| Traffic {
            sent: sum.sent + t.sent,
            received: sum.received + t.received,
        })
    }

    /// The channel underneath.
    pub fn inner_mut(&mut self) -> &mut C {
        &mut self.inner
    }

    /// Appends the batch under way, if any round of it was completed. Called at the end of the lane, also of an aborted
    /// one; exchanges after that begin a new batch.
    pub fn finish(&mut self) {
        if self.rounds == self.first_round {
            return;
        }
        let peers = self
            .streams
            .iter()
            .filter_map(|(p, streams)| {
                let streams = streams.as_ref()?;
                Some(PeerDigests {
                    peer: Peer::Party(p),
                    sent: streams.sent.digest(),
                    received: streams.received.digest(),
                    sent_bytes: streams.sent.bytes(),
                    received_bytes: streams.received.bytes(),
                })
            })
            .collect();
        self.sink.append(Entry::Batch(Batch {
            session: self.session,
            lane: self.lane,
            index: self.batch,
            first_round: self.first_round,
            last_round: self.rounds - 1,
            peers,
        }));
        self.batch += 1;
        self.first_round = self.rounds;
        self.streams = Self::fresh_streams(self.inner.me(), &self.keys, self.lane, self.batch);
    }

    /// Digests what was sent, after a round's exchange has succeeded.
    fn end_round(&mut self, tag: Tag, sent: &PerParty<Option<Bytes>>) {
        let label = tag.to_bytes();
        for p in self.inner.me().others(self.inner.parties()) {
            let Some(streams) = &mut self.streams[p] else { continue };
            if let Some(m) = sent[p].as_ref().filter(|m| !m.is_empty()) {
                streams.sent.message(&label, m);
                self.traffic[p].sent += m.len() as u64;
            }
        }
        self.count_round();
    }

    fn count_round(&mut self) {
        self.rounds += 1;
        if self.rounds - self.first_round == ROUNDS_PER_BATCH {
            self.finish();
        }
    }

    /// Ends recording and gives the channel back.
    #[must_use]
    pub fn into_inner(mut self) -> C {
        self.finish();
        self.inner
    }
}

impl<C: Channel> Channel for Recorder<C> {
    fn me(&self) -> PartyId {
        self.inner.me()
    }

    fn parties(&self) -> usize {
        self.inner.parties()
    }

    fn exchange(
        &mut self,
        tag: Tag,
        send: PerParty<Option<Bytes>>,
        expect: PerParty<Option<usize>>,
    ) -> Result<PerParty<Option<Bytes>>, ChannelError> {
        // `Bytes` are reference-counted, so keeping what was sent costs no copy.
        let sent = send.clone();
        let received = self.inner.exchange(tag, send, expect)?;
        let label = tag.to_bytes();
        for p in self.inner.me().others(self.inner.parties()) {
            let Some(streams) = &mut self.streams[p] else { continue };
            // Empty messages are not sent, so they do not exist for the other end either.
            if let Some(m) = received[p].as_ref().filter(|m| !m.is_empty()) {
                streams.received.message(&label, m);
                self.traffic[p].received += m.len() as u64;
            }
        }
        self.end_round(tag, &sent);
        Ok(received)
    }

    fn exchange_pieces(
        &mut self,
        tag: Tag,
        send: PerParty<Option<Bytes>>,
        expect: PerParty<Option<usize>>,
        take: &mut dyn FnMut(PartyId, &[u8]),
    ) -> Result<(), ChannelError> {
        let (sent, lengths) = (send.clone(), expect.clone());
        let (label, n) = (tag.to_bytes(), self.inner.parties());
        // A round that fails is not digested: then these are put back.
        let mut before = PerParty::from_fn(n, |_| None);
        for p in self.inner.me().others(n) {
            let Some(streams) = &mut self.streams[p] else { continue };
            if let Some(bytes) = lengths[p].filter(|&bytes| bytes > 0) {
                before[p] = Some(streams.received.clone());
                streams.received.head(&label, bytes);
            }
        }
        let streams = &mut self.streams;
        let done = self.inner.exchange_pieces(tag, send, expect, &mut |from, piece| {
            if let Some(streams) = &mut streams[from] {
                streams.received.piece(piece);
            }
            take(from, piece);
        });
        for (p, before) in before.into_vec().into_iter().enumerate() {
            let p = PartyId::new(p);
            match (&mut self.streams[p], before) {
                (Some(streams), Some(before)) if done.is_err() => streams.received = before,
                (Some(_), Some(_)) => self.traffic[p].received += lengths[p].unwrap_or_default() as u64,
                _ => {}
            }
        }
        done?;
        self.end_round(tag, &sent);
        Ok(())
    }

    fn broadcast(&mut self, tag: Tag, bytes: usize, message: &mut dyn Broadcast) -> Result<(), ChannelError> {
        let (label, n) = (tag.to_bytes(), self.inner.parties());
        // A round that fails is not digested: then these are put back. Empty messages are not sent.
        let mut before = PerParty::from_fn(n, |_| None);
        for p in self.inner.me().others(n).filter(|_| bytes > 0) {
            let Some(streams) = &mut self.streams[p] else { continue };
            before[p] = Some(streams.clone());
            streams.sent.head(&label, bytes);
            streams.received.head(&label, bytes);
        }
        let mut digested = Digested { streams: &mut self.streams, message };
        let done = self.inner.broadcast(tag, bytes, &mut digested);
        for (p, before) in before.into_vec().into_iter().enumerate() {
            let (p, Some(before)) = (PartyId::new(p), before) else { continue };
            if done.is_err() {
                self.streams[p] = Some(before);
            } else {
                self.traffic[p].sent += bytes as u64;
                self.traffic[p].received += bytes as u64;
            }
        }
        done?;
        self.count_round();
        Ok(())
    }
}

/// Digests what is made and what comes, while it is in the caches.
struct Digested<'a> {
    streams: &'a mut PerParty<Option<PeerStreams>>,
    message: &'a mut dyn Broadcast,
}

impl Broadcast for Digested<'_> {
    fn make(&mut self, range: Range<usize>) -> Bytes {
        let part = self.message.make(range);
        for p in PartyId::all(self.streams.parties()) {
            if let Some(streams) = &mut self.streams[p] {
                streams.sent.piece(&part);
            }
        }
        part
    }

    fn take(&mut self, from: PartyId, piece: &[u8]) {
        if let Some(streams) = &mut self.streams[from] {
            streams.received.piece(piece);
        }
        self.message.take(from, piece);
    }
}
