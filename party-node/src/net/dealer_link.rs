//! A party's side of the dealer: its seed, and for party 0 the stream of corrections.
//!
//! The dealer sends ahead of use. What has come and is not consumed yet is bounded by the queue here and by the
//! stream's flow-control window; then the dealer waits.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mpc_core::channel::{ChannelError, CorrectionSource, Peer};
use quinn::Connection;
use zeroize::Zeroizing;

use super::broadcast::GATHERED_BYTES;
use super::frame::FRAME_MAX_BYTES;
use super::keys::SecretBytes;
use super::links::{Links, ended};
use super::options::sooner_ms;
use super::pump::{read_header, read_payload};
use super::queue::{Blocked, ByteQueue};

/// Corrections that may wait at party 0.
pub(crate) const PREFETCH_BYTES: usize = 8 << 20;
/// What a queued part costs beyond its bytes.
const PART_COST_BYTES: usize = 256;
/// The control message that tells the dealer that a party is done with the session.
pub(crate) const GOODBYE: &[u8] = b"done";

/// What the dealer gives to this party.
pub struct DealerLink {
    /// The seed of all its correlated randomness. Only this party and the dealer know it.
    pub seed: SecretBytes,
    /// Keys the digests of what the dealer sent, in the transcript log.
    pub log: SecretBytes,
    pub(crate) source: Option<QuicCorrections>,
}

impl DealerLink {
    /// The corrections, once, and at party 0 only: every other party expands all it needs from its seed.
    pub fn take_source(&mut self) -> Option<QuicCorrections> {
        self.source.take()
    }
}

/// A piece of the correction of one item, in the parts in which it came.
struct Piece {
    item: u32,
    parts: VecDeque<Bytes>,
}

mpc_core::secret_types!(Piece);

/// Corrections over QUIC, prefetched.
pub struct QuicCorrections {
    links: Arc<Links>,
    queue: Arc<ByteQueue<Piece>>,
    current: Piece,
    receive_timeout_ms: u64,
}

impl QuicCorrections {
    fn refill(&mut self, item: u32) -> Result<(), ChannelError> {
        if self.current.parts.is_empty() {
            let taken = self.queue.take_blocking(Duration::from_millis(self.receive_timeout_ms));
            self.current = taken.map_err(|e| match e {
                Blocked::Failed(error) => error,
                Blocked::Deadline => {
                    let reason =
                        format!("correction {item} did not come within {} ms", self.receive_timeout_ms);
                    ChannelError::Lost { peer: Peer::Dealer, reason }
                }
            })?;
        }
        if self.current.item != item {
            return Err(ChannelError::WrongItem { expected: item, got: self.current.item });
        }
        Ok(())
    }

    /// The next bytes, at most so many and as they came.
    fn part(&mut self, item: u32, most: usize) -> Result<Bytes, ChannelError> {
        self.refill(item).map_err(|error| self.links.fail(error))?;
        match self.current.parts.pop_front() {
            Some(mut part) if part.len() > most => {
                let now = part.split_to(most);
                self.current.parts.push_front(part);
                Ok(now)
            }
            part => Ok(part.unwrap_or_default()),
        }
    }
}

impl CorrectionSource for QuicCorrections {
    fn next(&mut self, item: u32, bytes: usize) -> Result<Bytes, ChannelError> {
        let mut out = Vec::with_capacity(bytes);
        while out.len() < bytes {
            out.extend_from_slice(&self.part(item, bytes - out.len())?);
        }
        Ok(out.into())
    }

    fn read(&mut self, item: u32, bytes: usize, take: &mut dyn FnMut(&[u8])) -> Result<(), ChannelError> {
        // A correction is this party's share.
        let mut gathered = Zeroizing::new(Vec::with_capacity(GATHERED_BYTES.min(bytes)));
        let mut left = bytes;
        while left > 0 {
            let part = self.part(item, left.min(GATHERED_BYTES - gathered.len()))?;
            left -= part.len();
            gathered.extend_from_slice(&part);
            if left == 0 || gathered.len() == GATHERED_BYTES {
                take(&gathered);
                gathered.clear();
            }
        }
        Ok(())
    }
}

/// Starts to receive. Must be called within the network runtime.
pub(crate) fn receive_corrections(
    links: &Arc<Links>,
    connection: Connection,
    receive_timeout_ms: u64,
) -> QuicCorrections {
    let queue = Arc::new(ByteQueue::new(PREFETCH_BYTES));
    links.stop_on_failure(queue.clone());
    tokio::spawn(pump(links.clone(), connection, queue.clone()));
    let current = Piece { item: 0, parts: VecDeque::new() };
    // While this party waits for the dealer, all others wait for this party.
    let receive_timeout_ms = sooner_ms(receive_timeout_ms);
    QuicCorrections { links: links.clone(), queue, current, receive_timeout_ms }
}

async fn pump(links: Arc<Links>, connection: Connection, queue: Arc<ByteQueue<Piece>>) {
    match forward(&connection, &queue).await {
        Err(Some(error @ ChannelError::Malformed { .. })) => drop(links.fail(error)),
        Err(Some(error)) => queue.end(error),
        // Nobody listens any more.
        Ok(()) | Err(None) => {}
    }
}

async fn forward(connection: &Connection, queue: &ByteQueue<Piece>) -> Result<(), Option<ChannelError>> {
    let peer = Peer::Dealer;
    let mut stream = connection.accept_uni().await.map_err(|reason| ended(peer, &reason))?;
    loop {
        let header: [u8; 8] = read_header(&mut stream, peer).await?;
        let [i0, i1, i2, i3, l0, l1, l2, l3] = header;
        let (item, length) =
            (u32::from_le_bytes([i0, i1, i2, i3]), u32::from_le_bytes([l0, l1, l2, l3]) as usize);
        if !(1..=FRAME_MAX_BYTES).contains(&length) {
            let what = "a correction's length is not between 1 byte and 1 MiB";
            return Err(Some(ChannelError::Malformed { peer, what }));
        }
        let parts = VecDeque::from(read_payload(&mut stream, peer, length).await?);
        let cost = length + PART_COST_BYTES * parts.len();
        if queue.put(cost, Piece { item, parts }).await.is_err() {
            return Ok(());
        }
    }
}
