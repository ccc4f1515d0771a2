//! What protocol code may do with the network: exchange one round of messages.

use std::ops::Range;

use bytes::Bytes;

use crate::party::{PartyId, PerParty};
use crate::tag::Tag;

/// A blocking, ordered, authenticated connection to all other parties, for one lane of one session.
///
/// The primitive is [`Channel::exchange`]: it sends and receives one round and drains while it sends, so two parties
/// that both send a large tensor never wait for each other. Message lengths are public (they follow from shapes), so
/// the receiver states them and nothing is allocated on a peer's word.
pub trait Channel: Send {
    /// This party.
    fn me(&self) -> PartyId;

    /// Number of parties in the session, this one included.
    fn parties(&self) -> usize;

    /// Sends `send[p]` to every party `p` for which it is `Some` and receives exactly `expect[p]` bytes from every
    /// party for which that is `Some`. The own slots are `None`. Empty messages are not sent.
    ///
    /// # Errors
    /// A [`ChannelError`] that names the peer; the channel is unusable afterwards.
    fn exchange(
        &mut self,
        tag: Tag,
        send: PerParty<Option<Bytes>>,
        expect: PerParty<Option<usize>>,
    ) -> Result<PerParty<Option<Bytes>>, ChannelError>;

    /// As [`Channel::exchange`], but hands over what comes while it comes: `take` is told the sender and the next bytes of
    /// its message, in order. All pieces but a message's last are multiples of [`PIECE_UNIT_BYTES`] long.
    ///
    /// # Errors
    /// As [`Channel::exchange`]. What was handed over before is then part of nothing.
    fn exchange_pieces(
        &mut self,
        tag: Tag,
        send: PerParty<Option<Bytes>>,
        expect: PerParty<Option<usize>>,
        take: &mut dyn FnMut(PartyId, &[u8]),
    ) -> Result<(), ChannelError> {
        let received = self.exchange(tag, send, expect)?;
        for (from, message) in received.iter() {
            if let Some(message) = message.as_ref().filter(|m| !m.is_empty()) {
                take(from, message);
            }
        }
        Ok(())
    }

    /// One round in which every party sends one message of `bytes` bytes to every other. The own one is made while it is
    /// sent, and what comes is handed over while it comes: neither has to be in memory as a whole.
    ///
    /// # Errors
    /// As [`Channel::exchange`]. What was handed over before is then part of nothing.
    fn broadcast(&mut self, tag: Tag, bytes: usize, message: &mut dyn Broadcast) -> Result<(), ChannelError> {
        let (me, n) = (self.me(), self.parties());
        let whole = message.make(0..bytes);
        let send = PerParty::from_fn(n, |p| (p != me).then(|| whole.clone()));
        let expect = PerParty::from_fn(n, |p| (p != me).then_some(bytes));
        self.exchange_pieces(tag, send, expect, &mut |from, piece| message.take(from, piece))
    }
}

/// Both ends of a [`Channel::broadcast`] at one party.
pub trait Broadcast {
    /// Some bytes of the own message. Ranges are asked for in order, each once, and begin and end at multiples of
    /// [`PIECE_UNIT_BYTES`] or at the message's end.
    fn make(&mut self, range: Range<usize>) -> Bytes;
    /// The next bytes of a party's message, in pieces as of [`Channel::exchange_pieces`], and none beyond what was made of
    /// the own message before.
    fn take(&mut self, from: PartyId, piece: &[u8]);
}

/// No element of any ring is cut in two by the pieces of a message.
pub const PIECE_UNIT_BYTES: usize = 8;

impl Channel for Box<dyn Channel> {
    fn me(&self) -> PartyId {
        (**self).me()
    }
    fn parties(&self) -> usize {
        (**self).parties()
    }
    fn exchange(
        &mut self,
        tag: Tag,
        send: PerParty<Option<Bytes>>,
        expect: PerParty<Option<usize>>,
    ) -> Result<PerParty<Option<Bytes>>, ChannelError> {
        (**self).exchange(tag, send, expect)
    }
    fn exchange_pieces(
        &mut self,
        tag: Tag,
        send: PerParty<Option<Bytes>>,
        expect: PerParty<Option<usize>>,
        take: &mut dyn FnMut(PartyId, &[u8]),
    ) -> Result<(), ChannelError> {
        (**self).exchange_pieces(tag, send, expect, take)
    }
    fn broadcast(&mut self, tag: Tag, bytes: usize, message: &mut dyn Broadcast) -> Result<(), ChannelError> {
        (**self).broadcast(tag, bytes, message)
    }
}

/// Where one party receives the dealer's corrections from, in the order of the demand. Every party but the corrected
/// one expands all its correlated randomness from its seed and needs no source.
pub trait CorrectionSource: Send {
    /// The next `bytes` bytes of the correction of item `item`. Items come in order; one item may be asked for in
    /// several pieces.
    ///
    /// # Errors
    /// A [`ChannelError`] about the dealer.
    fn next(&mut self, item: u32, bytes: usize) -> Result<Bytes, ChannelError>;

    /// As [`CorrectionSource::next`], but hands the bytes over while they come: `take` is told the next of them, in order. All
    /// pieces but the last are multiples of [`PIECE_UNIT_BYTES`] long.
    ///
    /// # Errors
    /// As [`CorrectionSource::next`]. What was handed over before is then part of nothing.
    fn read(&mut self, item: u32, bytes: usize, take: &mut dyn FnMut(&[u8])) -> Result<(), ChannelError> {
        let correction = self.next(item, bytes)?;
        take(&correction);
        Ok(())
    }
}

/// The other end of a connection.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Debug)]
pub enum Peer {
    /// A computing party.
    Party(PartyId),
    /// The dealer of correlated randomness.
    Dealer,
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Party(p) => p.fmt(f),
            Self::Dealer => f.write_str("dealer"),
        }
    }
}

/// Why an exchange did not happen. Every variant names the peer.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ChannelError {
    /// Nothing came within the deadline.
    #[error("no message from {peer} for {tag} within {waited_ms} ms")]
    Timeout {
        /// Who was silent.
        peer: Peer,
        /// What was waited for.
        tag: Tag,
        /// How long.
        waited_ms: u64,
    },
    /// The connection ended.
    #[error("lost {peer}: {reason}")]
    Lost {
        /// Who went away.
        peer: Peer,
        /// What the transport said.
        reason: String,
    },
    /// The peer gave up and said so.
    #[error("{peer} aborted: {reason}")]
    Aborted {
        /// Who aborted.
        peer: Peer,
        /// The party that the aborting peer holds responsible, if it named one.
        culprit: Option<Peer>,
        /// Its reason, at most 200 bytes.
        reason: String,
    },
    /// The peer is somewhere else in the program.
    #[error("out of step with {peer}: expected {expected}, got {got}")]
    Desync {
        /// Who is out of step.
        peer: Peer,
        /// Where we are.
        expected: Tag,
        /// Where it is.
        got: Tag,
    },
    /// A message has not the length that the shapes dictate.
    #[error("message from {peer} for {tag} has the wrong length: expected {expected} bytes, got {got}")]
    WrongLength {
        /// Who sent it.
        peer: Peer,
        /// Where in the program.
        tag: Tag,
        /// Bytes due.
        expected: usize,
        /// Bytes announced or received.
        got: usize,
    },
    /// A frame that does not parse.
    #[error("malformed frame from {peer}: {what}")]
    Malformed {
        /// Who sent it.
        peer: Peer,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The correction stream is at another item.
    #[error("dealer is out of step: expected correction {expected}, got {got}")]
    WrongItem {
        /// Item due.
        expected: u32,
        /// Item received.
        got: u32,
    },
}

impl ChannelError {
    /// The peer that the error is about.
    #[must_use]
    pub fn peer(&self) -> Peer {
        match self {
            Self::Timeout { peer, .. }
            | Self::Lost { peer, .. }
            | Self::Aborted { peer, .. }
            | Self::Desync { peer, .. }
            | Self::WrongLength { peer, .. }
            | Self::Malformed { peer, .. } => *peer,
            Self::WrongItem { .. } => Peer::Dealer,
        }
    }
}
