//! The control stream with one peer: the handshake's stream, kept for what nodes tell each other outside the lanes.
//!
//! Messages alternate: each side knows which message is due and how long it may be, and reads nothing before it asks
//! for it. So what a peer can make this node hold is bounded by what this node asked for.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mpc_core::channel::{ChannelError, Peer};
use mpc_core::tag::{Tag, node};
use quinn::{Connection, RecvStream, SendStream};
use tokio::time::timeout;

use super::control::{ControlError, read_message, write_message};
use super::links::{Links, ended};
use super::runtime::NetThread;

/// Place of these messages in error texts.
const TAG: Tag = Tag { lane: 0, node: node::LOG, iteration: 0, round: 0 };

type Ends = Option<(SendStream, RecvStream)>;

/// See the module.
pub struct ControlStream {
    peer: Peer,
    connection: Connection,
    links: Arc<Links>,
    /// Keeps the network thread alive.
    net: Arc<dyn AsRef<NetThread> + Send + Sync>,
    /// Taken out by whoever uses them; gone after an error.
    ends: Arc<Mutex<Ends>>,
}

impl ControlStream {
    pub(crate) fn new(
        peer: Peer,
        connection: Connection,
        links: Arc<Links>,
        net: Arc<dyn AsRef<NetThread> + Send + Sync>,
        ends: (SendStream, RecvStream),
    ) -> Self {
        Self { peer, connection, links, net, ends: Arc::new(Mutex::new(Some(ends))) }
    }

    /// The node at the other end.
    #[must_use]
    pub const fn peer(&self) -> Peer {
        self.peer
    }

    /// Sends a message and receives the peer's, of at most `max_bytes`; waits for that no longer than `limit`.
    ///
    /// # Errors
    /// A [`ChannelError`] about the peer, or the failure that ended the session. The stream is unusable afterwards.
    pub fn exchange(
        &self,
        message: Vec<u8>,
        max_bytes: usize,
        limit: Duration,
    ) -> Result<Vec<u8>, ChannelError> {
        let (mut send, mut recv) = lock(&self.ends).take().ok_or_else(|| self.gone())?;
        let connection = self.connection.clone();
        let both = async move {
            // At once: both ends may have more to say than the stream's window holds.
            let write = write_message(&connection, &mut send, &message);
            let read = read_message(&connection, &mut recv, max_bytes);
            let received = tokio::try_join!(write, read).map(|((), received)| received);
            received.map(|received| (received, (send, recv)))
        };
        let (received, ends) = self.wait(limit, both)?;
        *lock(&self.ends) = Some(ends);
        Ok(received)
    }

    /// Sends a message for which no answer is due; it leaves in the background.
    pub(crate) fn say(&self, message: &'static [u8]) {
        let Some((mut send, recv)) = lock(&self.ends).take() else { return };
        let connection = self.connection.clone();
        // A control message is far below the stream's window, so this ends at once; an error shows at the next use.
        let limit = Duration::from_secs(1);
        let written = self.wait(limit, async move {
            write_message(&connection, &mut send, message).await.map(|()| (send, recv))
        });
        *lock(&self.ends) = written.ok();
    }

    /// Waits in the background for a message without an answer, and calls `then` with the outcome.
    pub(crate) fn listen(
        &self,
        max_bytes: usize,
        then: impl FnOnce(Result<Vec<u8>, ControlError>) + Send + 'static,
    ) {
        let Some((send, mut recv)) = lock(&self.ends).take() else { return };
        let (connection, ends) = (self.connection.clone(), self.ends.clone());
        self.net().handle().spawn(async move {
            let heard = read_message(&connection, &mut recv, max_bytes).await;
            if heard.is_ok() {
                *lock(&ends) = Some((send, recv));
            }
            then(heard);
        });
    }

    /// Says that nothing more will come, and waits until the peer has everything.
    pub(crate) fn finish(&self) -> impl Future<Output = ()> + Send + 'static {
        let ends = lock(&self.ends).take();
        async move {
            if let Some((mut send, _recv)) = ends
                && send.finish().is_ok()
            {
                // An error means that the peer closed the connection, which it does only when it has everything.
                let _ = send.stopped().await;
            }
        }
    }

    fn net(&self) -> &NetThread {
        self.net.as_ref().as_ref()
    }

    fn wait<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<T, ControlError>>,
    ) -> Result<T, ChannelError> {
        let peer = self.peer;
        let result = self.net().handle().block_on(async { timeout(limit, work).await });
        match result {
            Ok(Ok(value)) => Ok(value),
            Err(_) => Err(ChannelError::Timeout { peer, tag: TAG, waited_ms: limit.as_millis() as u64 }),
            Ok(Err(ControlError::Malformed(_))) => {
                let what = "a control message that is too long or cut short";
                Err(ChannelError::Malformed { peer, what })
            }
            // This side closes a connection only if the session failed, or if its peer fell silent.
            Ok(Err(ControlError::Lost(reason))) => {
                Err(self.links.failure().or_else(|| ended(peer, &reason)).unwrap_or_else(|| self.gone()))
            }
        }
    }

    fn gone(&self) -> ChannelError {
        let lost = || ChannelError::Lost { peer: self.peer, reason: "it fell silent or went away".into() };
        self.links.failure().unwrap_or_else(lost)
    }
}

fn lock(ends: &Mutex<Ends>) -> MutexGuard<'_, Ends> {
    ends.lock().unwrap_or_else(PoisonError::into_inner)
}
