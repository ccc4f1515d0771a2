//! One session at the dealer: seeds for everyone, a stream of corrections to party 0, and the wait for the end.

use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use mpc_core::channel::{ChannelError, Peer};
use mpc_core::party::{PartyId, PerParty};
use mpc_core::tag::SessionId;
use quinn::Connection;
use tokio::sync::oneshot;

use super::control::ControlError;
use super::control_stream::ControlStream;
use super::dealer_link::GOODBYE;
use super::dealer_server::Base;
use super::error::{Names, NetError};
use super::frame::FRAME_MAX_BYTES;
use super::keys::{Exported, SecretBytes};
use super::links::Links;
use super::queue::{Blocked, ByteQueue};
use super::quorum::Quorum;

/// Corrections that may wait here for the network.
const OUTGOING_LIMIT_BYTES: usize = 4 << 20;
/// How long a blocked sender sleeps at most before it looks again; it is woken when anything changes.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long after the first party the others may take to say that they are done.
const DONE_TOGETHER_MS: u64 = 10_000;
/// How long closing words may take to leave.
const FAREWELL: Duration = Duration::from_millis(100);

/// How long a party may take to acknowledge the last control message.
const LAST_WORDS: Duration = Duration::from_secs(2);

type Outgoing = ByteQueue<(u32, Bytes)>;

/// A session that all parties asked for. Dropping it unfinished tells the parties that the dealer gave up.
pub struct DealerSession {
    /// Its name.
    pub session_id: SessionId,
    /// The demand, equal at all parties.
    pub demand: Vec<u8>,
    /// Digest of the program, as the parties state it.
    pub program_digest: [u8; 32],
    /// Digest of the session parameters, as the parties state it.
    pub parameters_digest: [u8; 32],
    /// The seed of every party's correlated randomness.
    pub seeds: PerParty<SecretBytes>,
    /// Keys of the digests in the transcript log, one per party.
    pub logs: PerParty<SecretBytes>,
    sink: CorrectionSink,
    delivered: Mutex<Option<oneshot::Receiver<()>>>,
    controls: Vec<ControlStream>,
    listening: Once,
    base: Arc<Base>,
}

impl DealerSession {
    pub(crate) fn start(base: Arc<Base>, quorum: Quorum) -> Result<Self, NetError> {
        let session = SessionId(quorum.hello.session);
        let n = quorum.parties.len();
        let mut exported = Vec::with_capacity(n);
        for party in &quorum.parties {
            exported.push(Exported::from_connection(&party.connection)?);
        }
        let links = Links::new(quorum.names);
        let outgoing = Arc::new(Outgoing::new(OUTGOING_LIMIT_BYTES));
        links.stop_on_failure(outgoing.clone());
        let (tell, delivered) = oneshot::channel();
        let mut controls = Vec::with_capacity(n);
        {
            let _in_runtime = base.net.handle().enter();
            if let Some(first) = quorum.parties.first() {
                tokio::spawn(pump(outgoing.clone(), first.connection.clone(), tell));
            }
            for (i, party) in quorum.parties.into_iter().enumerate() {
                let p = Peer::Party(PartyId::new(i));
                links.watch(p, &party.connection);
                let ends = (party.send, party.recv);
                controls.push(ControlStream::new(p, party.connection, links.clone(), base.clone(), ends));
            }
        }
        let derive = |label: &str| PerParty::from_fn(n, |p| exported[p.index()].derive(&session, label));
        Ok(Self {
            session_id: session,
            demand: quorum.hello.demand,
            program_digest: quorum.hello.program,
            parameters_digest: quorum.hello.parameters,
            seeds: derive("dealer"),
            logs: derive("log"),
            sink: CorrectionSink { outgoing, links },
            delivered: Mutex::new(Some(delivered)),
            controls,
            listening: Once::new(),
            base,
        })
    }

    /// The control streams to all parties, in order. Until [`Self::sink`] or [`Self::conclude`] is called the next
    /// message on them is the caller's to ask for, and again after [`Self::conclude`].
    #[must_use]
    pub fn controls(&self) -> &[ControlStream] {
        &self.controls
    }

    /// Where corrections go, in the order of the demand. From here on the next control message of a party is its word
    /// that it is done.
    #[must_use]
    pub fn sink(&self) -> CorrectionSink {
        self.listen();
        self.sink.clone()
    }

    fn listen(&self) {
        self.listening.call_once(|| {
            for control in &self.controls {
                let (links, peer) = (self.sink.links.clone(), control.peer());
                let parties = self.controls.len();
                control.listen(GOODBYE.len(), move |heard| goodbye(&links, peer, parties, heard));
            }
        });
    }

    /// The names of everyone, for [`Names::render`].
    #[must_use]
    pub fn names(&self) -> &Names {
        self.sink.links.names()
    }

    /// The failure that ended the session, if it failed.
    #[must_use]
    pub fn failure(&self) -> Option<ChannelError> {
        self.sink.links.failure()
    }

    /// Waits until the session fails, while corrections are computed. `None` when it is closed, or after `timeout`.
    #[must_use]
    pub fn wait_failure(&self, timeout: Duration) -> Option<ChannelError> {
        self.sink.links.wait_failure(timeout)
    }

    /// UDP bytes (sent, received) in this session so far.
    #[must_use]
    pub fn wire_bytes(&self) -> (u64, u64) {
        self.sink.links.wire_bytes()
    }

    /// Ends the session because of something outside the network. Every party ends with this reason.
    pub fn abort(&self, culprit: Option<Peer>, reason: &str) {
        self.sink.links.abort(Peer::Dealer, culprit, reason);
        self.farewell();
    }

    /// [`Self::conclude`] and [`Self::leave`].
    ///
    /// # Errors
    /// As [`Self::conclude`].
    pub fn finish(self) -> Result<(), ChannelError> {
        self.conclude()?;
        self.leave();
        Ok(())
    }

    /// All corrections are sent: waits until party 0 has them and every party has said that it is done. After that the
    /// session cannot fail.
    ///
    /// # Errors
    /// If a party aborts or is lost before.
    pub fn conclude(&self) -> Result<(), ChannelError> {
        self.listen();
        self.sink.outgoing.finish();
        let delivered = self.delivered.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(delivered) = delivered {
            // The sender is dropped when the session fails; the next line tells how.
            let _ = self.base.net.run(async move { delivered.await.is_ok() });
        }
        self.sink.links.wait_done(self.seeds.parties())?;
        self.sink.links.conclude()
    }

    /// Waits for a moment until the last control messages have arrived, and closes all connections.
    pub fn leave(self) {
        let last_words: Vec<_> = self.controls.iter().map(ControlStream::finish).collect();
        let _ = self.base.net.run(async move {
            let all = async {
                for word in last_words {
                    word.await;
                }
            };
            tokio::time::timeout(LAST_WORDS, all).await.is_ok()
        });
        // A session that failed is closed already.
        let _ = self.sink.links.close();
    }

    /// Waits for a moment until what the parties are told has left.
    fn farewell(&self) {
        let connections = self.sink.links.connections();
        let _ = self.base.net.run(async move {
            let all = async {
                for connection in connections {
                    connection.closed().await;
                }
            };
            tokio::time::timeout(FAREWELL, all).await.is_ok()
        });
    }
}

impl Drop for DealerSession {
    fn drop(&mut self) {
        if !self.sink.links.over() {
            self.abort(Some(Peer::Dealer), "the dealer gave the session up");
        }
    }
}

/// Sends corrections to party 0.
#[derive(Clone)]
pub struct CorrectionSink {
    outgoing: Arc<Outgoing>,
    links: Arc<Links>,
}

impl CorrectionSink {
    /// Sends the next bytes of the correction of `item`; blocks while party 0 is behind by more than the window.
    ///
    /// # Errors
    /// The failure that ended the session.
    pub fn send(&self, item: u32, correction: Bytes) -> Result<(), ChannelError> {
        let mut rest = correction;
        while !rest.is_empty() {
            let piece = rest.split_to(rest.len().min(FRAME_MAX_BYTES));
            loop {
                match self.outgoing.put_blocking(piece.len(), (item, piece.clone()), PATIENCE) {
                    Ok(()) => break,
                    Err(Blocked::Failed(error)) => return Err(error),
                    // Party 0 is alive, or the session would have failed, and may compute for long.
                    Err(Blocked::Deadline) => {}
                }
            }
        }
        Ok(())
    }
}

async fn pump(queue: Arc<Outgoing>, connection: Connection, tell: oneshot::Sender<()>) {
    let Ok(mut stream) = connection.open_uni().await else { return };
    loop {
        match queue.take().await {
            Some(Ok((item, piece))) => {
                let mut header = BytesMut::with_capacity(8);
                header.put_u32_le(item);
                header.put_u32_le(piece.len() as u32);
                if stream.write_all_chunks(&mut [header.freeze(), piece]).await.is_err() {
                    return;
                }
            }
            Some(Err(_)) => return,
            None => break,
        }
    }
    if stream.finish().is_ok() && stream.stopped().await.is_ok() {
        let _ = tell.send(());
    }
}

/// Whatever the dealer waits for then, be it for a party that takes no corrections: the session ends in time.
async fn overdue(links: Arc<Links>, parties: usize) {
    tokio::time::sleep(Duration::from_millis(DONE_TOGETHER_MS)).await;
    links.overdue(parties, DONE_TOGETHER_MS);
}

/// A party that is done says so; everything else that ends its connection is a failure, which [`Links`] sees.
fn goodbye(links: &Arc<Links>, peer: Peer, parties: usize, heard: Result<Vec<u8>, ControlError>) {
    match heard {
        Ok(word) if word == GOODBYE => {
            if links.done(peer) {
                tokio::spawn(overdue(links.clone(), parties));
            }
        }
        Ok(_) => drop(links.fail(ChannelError::Malformed { peer, what: "an unknown word to the dealer" })),
        Err(ControlError::Lost(reason)) => {
            // A regular close without the word is too early.
            if let Some(error) = super::links::ended(peer, &reason) {
                links.fail(error);
            }
        }
        Err(_) => drop(links.fail(ChannelError::Malformed { peer, what: "no word of being done" })),
    }
}
