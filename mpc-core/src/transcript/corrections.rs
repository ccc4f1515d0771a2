//! The dealer's correction stream, recorded at both ends.
//!
//! The dealer sends an item's correction in pieces of its choosing and the party asks for it in pieces of another size,
//! so the digest must not see pieces: an item is hashed as number ‖ bytes ‖ u64 length. (Read from the end, that can
//! be taken apart in one way only.) A batch ends with the item that brings it to [`ITEMS_PER_BATCH`] items or
//! [`BYTES_PER_BATCH`] bytes, which is the same item at both ends.

use bytes::Bytes;

use super::batch::{Batch, LogKey, PeerDigests, StreamDigest};
use super::recorder::Traffic;
use super::{Entry, TranscriptSink};
use crate::channel::{ChannelError, CorrectionSource, Peer};
use crate::tag::SessionId;

/// Lane numbers from here on name correction streams; computing lanes stay below.
pub(super) const CORRECTION_LANES: u16 = 0x8000;

const ITEMS_PER_BATCH: u64 = 256;
const BYTES_PER_BATCH: u64 = 64 << 20;

/// The lane number under which the corrections of computing lane `lane` are logged.
#[must_use]
pub const fn correction_lane(lane: u16) -> u16 {
    CORRECTION_LANES | lane
}

struct OpenBatch {
    stream: StreamDigest,
    first_item: u64,
    items: u64,
}

struct CurrentItem {
    number: u32,
    bytes: u64,
}

/// Records the corrections that pass between the dealer and one party. The dealer calls [`CorrectionRecorder::record`]
/// for what it sends; the party wraps its source in [`RecordedCorrections`], which calls it for what it receives.
pub struct CorrectionRecorder {
    sink: Box<dyn TranscriptSink>,
    session: SessionId,
    /// Already a correction lane.
    lane: u16,
    key: LogKey,
    me: Peer,
    peer: Peer,
    index: u64,
    batch: Option<OpenBatch>,
    item: Option<CurrentItem>,
    traffic: Traffic,
}

impl CorrectionRecorder {
    /// Records corrections for computing lane `lane` between `me` and `peer`, one of which is the dealer; `key` is the
    /// log key of the dealer's connection with that party.
    #[must_use]
    pub fn new(
        session: SessionId,
        lane: u16,
        key: LogKey,
        me: Peer,
        peer: Peer,
        sink: Box<dyn TranscriptSink>,
    ) -> Self {
        Self {
            sink,
            session,
            lane: correction_lane(lane),
            key,
            me,
            peer,
            index: 0,
            batch: None,
            item: None,
            traffic: Traffic::default(),
        }
    }

    fn sending(&self) -> bool {
        self.me == Peer::Dealer
    }

    fn fresh_stream(&self, sending: bool) -> StreamDigest {
        let (from, to) = if sending { (self.me, self.peer) } else { (self.peer, self.me) };
        StreamDigest::new(&self.key, from, to, self.lane, self.index)
    }

    /// Bytes of item `item`'s correction passed; an item may come in pieces, one item after the other.
    pub fn record(&mut self, item: u32, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if self.item.as_ref().is_some_and(|current| current.number != item) {
            self.end_item();
        }
        let sending = self.sending();
        let mut batch = self.batch.take().unwrap_or_else(|| OpenBatch {
            stream: self.fresh_stream(sending),
            first_item: u64::from(item),
            items: 0,
        });
        if self.item.is_none() {
            batch.stream.frame(&item.to_le_bytes());
            batch.items += 1;
        }
        batch.stream.piece(bytes);
        self.batch = Some(batch);

        let length = bytes.len() as u64;
        self.item.get_or_insert(CurrentItem { number: item, bytes: 0 }).bytes += length;
        if sending {
            self.traffic.sent += length;
        } else {
            self.traffic.received += length;
        }
    }

    fn end_item(&mut self) {
        let (Some(item), Some(batch)) = (self.item.take(), &mut self.batch) else { return };
        batch.stream.frame(&item.bytes.to_le_bytes());
        if batch.items >= ITEMS_PER_BATCH || batch.stream.bytes() >= BYTES_PER_BATCH {
            self.end_batch(item.number);
        }
    }

    fn end_batch(&mut self, last_item: u32) {
        let Some(batch) = self.batch.take() else { return };
        let sending = self.sending();
        // Nothing flows back; that direction is the digest of an empty batch, the same at both ends.
        let silent = self.fresh_stream(!sending).digest();
        let (digest, bytes) = (batch.stream.digest(), batch.stream.bytes());
        let peer = self.peer;
        let digests = if sending {
            PeerDigests { peer, sent: digest, received: silent, sent_bytes: bytes, received_bytes: 0 }
        } else {
            PeerDigests { peer, sent: silent, received: digest, sent_bytes: 0, received_bytes: bytes }
        };
        self.sink.append(Entry::Batch(Batch {
            session: self.session,
            lane: self.lane,
            index: self.index,
            first_round: batch.first_item,
            last_round: u64::from(last_item),
            peers: vec![digests],
        }));
        self.index += 1;
    }

    /// Appends the batch under way, if there is one: at the end of the session, also of an aborted one.
    pub fn finish(&mut self) {
        let Some(last) = self.item.as_ref().map(|item| item.number) else { return };
        self.end_item();
        self.end_batch(last);
    }

    /// Payload bytes so far.
    #[must_use]
    pub const fn traffic(&self) -> Traffic {
        self.traffic
    }
}

/// A party's [`CorrectionSource`] that writes down what it delivers.
pub struct RecordedCorrections<S: CorrectionSource> {
    inner: S,
    recorder: CorrectionRecorder,
}

impl<S: CorrectionSource> RecordedCorrections<S> {
    /// Records what `inner` delivers.
    #[must_use]
    pub const fn new(inner: S, recorder: CorrectionRecorder) -> Self {
        Self { inner, recorder }
    }

    /// Appends the batch under way, if there is one.
    pub fn finish(&mut self) {
        self.recorder.finish();
    }

    /// Payload bytes so far.
    #[must_use]
    pub const fn traffic(&self) -> Traffic {
        self.recorder.traffic()
    }
}

impl<S: CorrectionSource> CorrectionSource for RecordedCorrections<S> {
    fn next(&mut self, item: u32, bytes: usize) -> Result<Bytes, ChannelError> {
        let correction = self.inner.next(item, bytes)?;
        self.recorder.record(item, &correction);
        Ok(correction)
    }

    fn read(&mut self, item: u32, bytes: usize, take: &mut dyn FnMut(&[u8])) -> Result<(), ChannelError> {
        let recorder = &mut self.recorder;
        self.inner.read(item, bytes, &mut |piece| {
            recorder.record(item, piece);
            take(piece);
        })
    }
}
