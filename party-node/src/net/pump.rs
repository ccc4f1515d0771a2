//! Moves frames between a lane's queues and its QUIC stream, on the network thread.

use std::sync::Arc;

use bytes::Bytes;
use mpc_core::channel::{ChannelError, Peer};
use quinn::{ReadError, ReadExactError, RecvStream, SendStream};
use tokio::sync::oneshot;

use super::frame::{Frame, Header, Outgoing, split};
use super::links::{Links, ended};
use super::queue::ByteQueue;

/// Received bytes that may wait for a lane. A peer can hold up to sixteen times this in packet buffers, see
/// [`COPY_BELOW_BYTES`].
const INCOMING_LIMIT_BYTES: usize = 4 << 20;
/// Messages that may wait for the network, above the one that is being written.
const OUTGOING_LIMIT_BYTES: usize = 8 << 20;
/// Shorter pieces are copied out of the packet buffer, of 64 KB at most, that they would otherwise keep alive.
const COPY_BELOW_BYTES: usize = 4 << 10;
/// What a queued frame costs beyond its payload, so that many tiny frames fill the queue too.
const FRAME_COST_BYTES: usize = 256;

/// A lane's queues to and from one peer.
pub(crate) struct Duplex {
    pub(crate) outgoing: Arc<ByteQueue<Outgoing>>,
    pub(crate) incoming: Arc<ByteQueue<Frame>>,
    /// Fires when everything that was put into `outgoing` is acknowledged by the peer.
    pub(crate) delivered: Option<oneshot::Receiver<()>>,
}

mpc_core::secret_types!(Duplex);

/// Starts both pumps of a stream. Must be called within the network runtime.
pub(crate) fn start(links: &Arc<Links>, peer: Peer, send: SendStream, recv: RecvStream) -> Duplex {
    let outgoing = Arc::new(ByteQueue::new(OUTGOING_LIMIT_BYTES));
    let incoming = Arc::new(ByteQueue::new(INCOMING_LIMIT_BYTES));
    links.stop_on_failure(outgoing.clone());
    links.stop_on_failure(incoming.clone());
    let (tell, delivered) = oneshot::channel();
    tokio::spawn(pump_out(outgoing.clone(), send, tell));
    tokio::spawn(pump_in(links.clone(), peer, recv, incoming.clone()));
    Duplex { outgoing, incoming, delivered: Some(delivered) }
}

/// Errors of writing are not reported here: they are the end of the connection, which [`Links`] watches, or a peer that
/// will not read on, which harms itself; a lane that cannot get rid of its messages runs into its deadline.
async fn pump_out(queue: Arc<ByteQueue<Outgoing>>, mut stream: SendStream, tell: oneshot::Sender<()>) {
    loop {
        match queue.take().await {
            Some(Ok(message)) => {
                let mut chunks = split(&message);
                let mut rest = chunks.as_mut_slice();
                while !rest.is_empty() {
                    let Ok(written) = stream.write_chunks(rest).await else { return };
                    rest = &mut rest[written.chunks..];
                    queue.touch();
                }
            }
            Some(Err(_)) => return,
            None => break,
        }
    }
    if stream.finish().is_ok() {
        // An error means that the peer closed the connection, which it does only when it has everything.
        let _ = stream.stopped().await;
    }
    let _ = tell.send(());
}

async fn pump_in(links: Arc<Links>, peer: Peer, mut stream: RecvStream, queue: Arc<ByteQueue<Frame>>) {
    loop {
        match read_frame(&mut stream, peer).await {
            Ok(frame) => {
                let cost = frame.header.payload + FRAME_COST_BYTES * frame.pieces.len();
                if queue.put(cost, frame).await.is_err() {
                    return;
                }
            }
            Err(Some(error @ ChannelError::Malformed { .. })) => {
                links.fail(error);
                return;
            }
            Err(Some(error)) => return queue.end(error),
            Err(None) => return,
        }
    }
}

/// What the end of a stream means; `None` if this side closed the connection, when nobody is left to tell.
fn stream_ended(peer: Peer, error: &ReadError) -> Option<ChannelError> {
    match error {
        ReadError::ConnectionLost(reason) => ended(peer, reason),
        _ => Some(early_end(peer)),
    }
}

fn early_end(peer: Peer) -> ChannelError {
    ChannelError::Lost { peer, reason: "it ended its side of the conversation too early".into() }
}

fn cut(peer: Peer) -> ChannelError {
    ChannelError::Malformed { peer, what: "the stream ends inside a frame" }
}

/// Fills a fixed header.
pub(crate) async fn read_header<const N: usize>(
    stream: &mut RecvStream,
    peer: Peer,
) -> Result<[u8; N], Option<ChannelError>> {
    let mut header = [0; N];
    match stream.read_exact(&mut header).await {
        Ok(()) => Ok(header),
        Err(ReadExactError::FinishedEarly(0)) => Err(Some(early_end(peer))),
        Err(ReadExactError::FinishedEarly(_)) => Err(Some(cut(peer))),
        Err(ReadExactError::ReadError(error)) => Err(stream_ended(peer, &error)),
    }
}

async fn read_frame(stream: &mut RecvStream, peer: Peer) -> Result<Frame, Option<ChannelError>> {
    let header = read_header(stream, peer).await?;
    let header = Header::decode(&header).map_err(|what| ChannelError::Malformed { peer, what })?;
    let pieces = read_payload(stream, peer, header.payload).await?;
    Ok(Frame { header, pieces })
}

/// Reads exactly `bytes` bytes as the pieces that came, without copying large ones.
pub(crate) async fn read_payload(
    stream: &mut RecvStream,
    peer: Peer,
    bytes: usize,
) -> Result<Vec<Bytes>, Option<ChannelError>> {
    let mut pieces = Vec::new();
    let mut small = Vec::new();
    let mut left = bytes;
    while left > 0 {
        let chunk = stream.read_chunk(left, true).await.map_err(|e| stream_ended(peer, &e))?;
        let bytes = chunk.ok_or_else(|| cut(peer))?.bytes;
        left -= bytes.len();
        if bytes.len() < COPY_BELOW_BYTES {
            small.extend_from_slice(&bytes);
            continue;
        }
        if !small.is_empty() {
            pieces.push(Bytes::from(std::mem::take(&mut small)));
        }
        pieces.push(bytes);
    }
    if !small.is_empty() {
        pieces.push(Bytes::from(small));
    }
    Ok(pieces)
}
