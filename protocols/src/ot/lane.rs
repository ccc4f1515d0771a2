//! The lane on which the parties make correlated randomness: a channel of its own, so that it shares no stream and no tag with
//! the online phase.

use bytes::Bytes;
use mpc_core::channel::Channel;
use mpc_core::party::{PartyId, PerParty};
use mpc_core::tag::{SessionId, Tag};

use crate::error::PrepError;

/// Number of the lane.
pub const LANE: u16 = 1;

/// One party's end of the lane.
pub struct OtLane {
    channel: Box<dyn Channel>,
    session: SessionId,
    next: Tag,
    rounds: u64,
    sent_bytes: PerParty<u64>,
    received_bytes: u64,
}

impl OtLane {
    /// A lane about to start. `session` must be fresh: it is hashed into everything that is derived here.
    #[must_use]
    pub fn new(channel: Box<dyn Channel>, session: SessionId) -> Self {
        let sent_bytes = PerParty::from_fn(channel.parties(), |_| 0);
        let next = Tag { lane: LANE, node: 0, iteration: 0, round: 0 };
        Self { channel, session, next, rounds: 0, sent_bytes, received_bytes: 0 }
    }

    /// This party.
    #[must_use]
    pub fn me(&self) -> PartyId {
        self.channel.me()
    }

    /// Number of parties.
    #[must_use]
    pub fn parties(&self) -> usize {
        self.channel.parties()
    }

    /// The session's name.
    #[must_use]
    pub const fn session(&self) -> &SessionId {
        &self.session
    }

    /// Moves to an item of the demand: messages are named after it, so parties that are not at the same place find out.
    pub const fn enter(&mut self, item: u32) {
        if self.next.node == item {
            return;
        }
        self.next = Tag { node: item, round: 0, ..self.next };
    }

    /// Exchanges one round of messages. Messages that are expected to be empty are not sent.
    ///
    /// # Errors
    /// [`PrepError::Channel`].
    pub fn exchange(
        &mut self,
        send: PerParty<Option<Bytes>>,
        expect: PerParty<Option<usize>>,
    ) -> Result<PerParty<Option<Bytes>>, PrepError> {
        let tag = self.next;
        self.next.round += 1;
        self.rounds += 1;
        for (to, message) in send.iter() {
            self.sent_bytes[to] += message.as_ref().map_or(0, |m| m.len() as u64);
        }
        self.received_bytes += expect.iter().map(|(_, e)| e.unwrap_or(0) as u64).sum::<u64>();
        Ok(self.channel.exchange(tag, send, expect)?)
    }

    /// Exchanges so far.
    #[must_use]
    pub const fn rounds(&self) -> u64 {
        self.rounds
    }

    /// Payload bytes sent so far, to each party.
    #[must_use]
    pub const fn sent_bytes(&self) -> &PerParty<u64> {
        &self.sent_bytes
    }

    /// Payload bytes sent so far, to all parties together.
    #[must_use]
    pub fn total_sent_bytes(&self) -> u64 {
        self.sent_bytes.iter().map(|(_, bytes)| bytes).sum()
    }

    /// Payload bytes received so far, from all parties together.
    #[must_use]
    pub const fn received_bytes(&self) -> u64 {
        self.received_bytes
    }
}
