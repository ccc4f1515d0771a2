//! Channels between threads of one process, for trying computations out and for tests.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use bytes::Bytes;

use crate::channel::{Channel, ChannelError, Peer};
use crate::party::{PartyId, PerParty};
use crate::tag::Tag;

/// How long a receive waits. Parties in one process are either running or gone.
const RECEIVE_TIMEOUT_MS: u64 = 60_000;

type Message = (Tag, Bytes);

/// One party's end of an in-process network.
pub struct LocalChannel {
    me: PartyId,
    outgoing: PerParty<Option<Sender<Message>>>,
    incoming: PerParty<Option<Receiver<Message>>>,
}

/// Connects `n` parties of one process; element i belongs to party i.
#[must_use]
pub fn network(n: usize) -> Vec<LocalChannel> {
    let mut ends: Vec<LocalChannel> = PartyId::all(n)
        .map(|me| LocalChannel {
            me,
            outgoing: PerParty::from_fn(n, |_| None),
            incoming: PerParty::from_fn(n, |_| None),
        })
        .collect();
    for from in PartyId::all(n) {
        for to in from.others(n) {
            let (sender, receiver) = channel();
            ends[from.index()].outgoing[to] = Some(sender);
            ends[to.index()].incoming[from] = Some(receiver);
        }
    }
    ends
}

impl Channel for LocalChannel {
    fn me(&self) -> PartyId {
        self.me
    }

    fn parties(&self) -> usize {
        self.outgoing.parties()
    }

    fn exchange(
        &mut self,
        tag: Tag,
        send: PerParty<Option<Bytes>>,
        expect: PerParty<Option<usize>>,
    ) -> Result<PerParty<Option<Bytes>>, ChannelError> {
        let n = self.parties();
        let lost = |peer| ChannelError::Lost { peer: Peer::Party(peer), reason: "its thread ended".into() };
        for (to, payload) in send.iter() {
            if let (Some(payload), Some(link)) = (payload, &self.outgoing[to])
                && !payload.is_empty()
            {
                link.send((tag, payload.clone())).map_err(|_| lost(to))?;
            }
        }
        let mut received = PerParty::from_fn(n, |_| None);
        for (from, &length) in expect.iter() {
            let (Some(expected), Some(link)) = (length, &self.incoming[from]) else { continue };
            if expected == 0 {
                received[from] = Some(Bytes::new());
                continue;
            }
            let peer = Peer::Party(from);
            let (got_tag, payload) =
                link.recv_timeout(Duration::from_millis(RECEIVE_TIMEOUT_MS)).map_err(|e| match e {
                    RecvTimeoutError::Timeout => {
                        ChannelError::Timeout { peer, tag, waited_ms: RECEIVE_TIMEOUT_MS }
                    }
                    RecvTimeoutError::Disconnected => lost(from),
                })?;
            if got_tag != tag {
                return Err(ChannelError::Desync { peer, expected: tag, got: got_tag });
            }
            if payload.len() != expected {
                return Err(ChannelError::WrongLength { peer, tag, expected, got: payload.len() });
            }
            received[from] = Some(payload);
        }
        Ok(received)
    }
}
