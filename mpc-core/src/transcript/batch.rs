//! Batches of message digests, and how a digest is made.

use std::fmt;

use zeroize::{ZeroizeOnDrop, Zeroizing};

use super::entry::{decode_peer, encode_peer, peer_byte};
use crate::channel::Peer;
use crate::party::MAX_PARTIES;
use crate::secret::SecretBytes;
use crate::tag::SessionId;
use crate::wire::{Decoder, Encoder, WireError};

/// The key under which both ends of one connection digest their messages in one session: HKDF of the connection's TLS
/// exporter with label `log`. It protects nothing but the digests, so it may be shown to an auditor.
#[derive(Clone)]
pub struct LogKey(SecretBytes);

impl LogKey {
    /// Takes derived key bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(SecretBytes::new(bytes))
    }
}

impl From<SecretBytes> for LogKey {
    fn from(bytes: SecretBytes) -> Self {
        Self(bytes)
    }
}

/// The field wipes itself.
impl ZeroizeOnDrop for LogKey {}

/// What was exchanged with one peer during a batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PeerDigests {
    /// The other end.
    pub peer: Peer,
    /// Keyed digest of what went to it; equal to its `received`.
    pub sent: [u8; 32],
    /// Keyed digest of what came from it; equal to its `sent`.
    pub received: [u8; 32],
    /// Payload bytes that went to it.
    pub sent_bytes: u64,
    /// Payload bytes that came from it.
    pub received_bytes: u64,
}

/// Messages of consecutive rounds of one lane.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Batch {
    /// The session.
    pub session: SessionId,
    /// The lane; from 0x8000 on, the correction stream of the lane without that bit.
    pub lane: u16,
    /// Number of the batch within its lane, from 0.
    pub index: u64,
    /// First round in it, counted from 0 over the whole lane; for corrections, the first item.
    pub first_round: u64,
    /// Last round in it, inclusive; for corrections, the last item.
    pub last_round: u64,
    /// All peers of the lane, in order.
    pub peers: Vec<PeerDigests>,
}

impl Batch {
    pub(super) fn encode(&self, e: &mut Encoder) {
        e.array(&self.session.0);
        e.u16(self.lane);
        e.u64(self.index);
        e.u64(self.first_round);
        e.u64(self.last_round);
        e.u8(u8::try_from(self.peers.len()).unwrap_or(u8::MAX));
        for p in &self.peers {
            encode_peer(e, p.peer);
            e.array(&p.sent);
            e.array(&p.received);
            e.u64(p.sent_bytes);
            e.u64(p.received_bytes);
        }
    }

    pub(super) fn decode(d: &mut Decoder<'_>) -> Result<Self, WireError> {
        let session = SessionId(d.array()?);
        let lane = d.u16()?;
        let (index, first_round, last_round) = (d.u64()?, d.u64()?, d.u64()?);
        if last_round < first_round {
            return Err(WireError::Invalid("batch: ends before it begins"));
        }
        let n = usize::from(d.u8()?);
        if !(1..MAX_PARTIES).contains(&n) {
            return Err(WireError::Invalid("batch: number of peers"));
        }
        let mut peers: Vec<PeerDigests> = Vec::with_capacity(n);
        for _ in 0..n {
            let next = PeerDigests {
                peer: decode_peer(d)?,
                sent: d.array()?,
                received: d.array()?,
                sent_bytes: d.u64()?,
                received_bytes: d.u64()?,
            };
            if peers.last().is_some_and(|last| peer_byte(last.peer) >= peer_byte(next.peer)) {
                return Err(WireError::Invalid("batch: peers not in order"));
            }
            peers.push(next);
        }
        Ok(Self { session, lane, index, first_round, last_round, peers })
    }
}

impl fmt::Display for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (lane, unit) = match self.lane.checked_sub(super::corrections::CORRECTION_LANES) {
            Some(lane) => (lane, "items"),
            None => (self.lane, "rounds"),
        };
        write!(f, "batch {} of {} lane {lane}: {unit} ", self.index, self.session)?;
        write!(f, "{} to {}", self.first_round, self.last_round)?;
        self.peers.iter().try_for_each(|p| {
            write!(f, "; {}: {} bytes sent, {} received", p.peer, p.sent_bytes, p.received_bytes)
        })
    }
}

/// The running digest of one direction of one connection within one batch. It holds the key and the end of a message, so
/// it is wiped on drop and does not move.
#[derive(Clone)]
pub(super) struct StreamDigest {
    hasher: Box<Zeroizing<blake3::Hasher>>,
    bytes: u64,
}

crate::secret_types!(StreamDigest);

impl StreamDigest {
    /// Both ends give the same arguments, whichever of them is `from`.
    pub(super) fn new(key: &LogKey, from: Peer, to: Peer, lane: u16, index: u64) -> Self {
        let mut hasher = Box::new(Zeroizing::new(blake3::Hasher::new_keyed(key.0.expose())));
        hasher.update(b"subrosa/batch/v1");
        hasher.update(&[peer_byte(from), peer_byte(to)]);
        hasher.update(&lane.to_le_bytes());
        hasher.update(&index.to_le_bytes());
        Self { hasher, bytes: 0 }
    }

    /// One whole message: label ‖ u64 length ‖ payload.
    pub(super) fn message(&mut self, label: &[u8], payload: &[u8]) {
        self.head(label, payload.len());
        self.piece(payload);
    }

    /// What comes before the payload of a message.
    pub(super) fn head(&mut self, label: &[u8], payload_bytes: usize) {
        self.hasher.update(label);
        self.hasher.update(&(payload_bytes as u64).to_le_bytes());
    }

    /// Bytes of a message whose frame the caller writes.
    pub(super) fn piece(&mut self, payload: &[u8]) {
        self.hasher.update(payload);
        self.bytes += payload.len() as u64;
    }

    /// Framing that is not payload.
    pub(super) fn frame(&mut self, label: &[u8]) {
        self.hasher.update(label);
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn digest(&self) -> [u8; 32] {
        self.hasher.finalize().into()
    }
}
