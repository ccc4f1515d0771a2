//! Who is there while a session is set up, and telling all of them that it will not come about.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mpc_core::channel::Peer;
use quinn::{Connection, Endpoint, RecvStream, SendStream, VarInt};
use tokio::time::timeout;

use super::error::NetError;
use super::hello::{Abort, close_code};

/// A connection on which both sides have greeted.
pub(crate) struct Greeted {
    pub(crate) connection: Connection,
    pub(crate) send: SendStream,
    pub(crate) recv: RecvStream,
    /// The peer's nonce; the dealer has none.
    pub(crate) nonce: [u8; 32],
}

/// All peers, in party order with the own slot empty, and the dealer.
pub(crate) struct Present {
    pub(crate) parties: Vec<Option<Greeted>>,
    pub(crate) dealer: Option<Greeted>,
}

impl Present {
    fn connections(&self) -> Vec<Connection> {
        let all = self.parties.iter().flatten().chain(&self.dealer);
        all.map(|g| g.connection.clone()).collect()
    }
}

/// Every open connection with a peer, from before it has greeted: whoever may count this node as present must hear why
/// it gives up, or takes it for the one that is lost.
#[derive(Clone, Default)]
pub(crate) struct Met(Arc<Mutex<Open>>);

#[derive(Default)]
struct Open {
    connections: Vec<Connection>,
    /// How every further connection is closed: nobody else is needed.
    full: Option<(u32, Vec<u8>)>,
}

impl Met {
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, connection: &Connection) {
        let mut open = self.lock();
        if let Some((code, reason)) = &open.full {
            return connection.close(VarInt::from_u32(*code), reason);
        }
        open.connections.retain(|c| c.close_reason().is_none());
        open.connections.push(connection.clone());
    }

    /// Everyone is present: what else is open, or will be, is one too many.
    pub(crate) fn settle(&self, present: &Present) {
        let mut open = self.lock();
        let all = std::mem::replace(&mut open.connections, present.connections());
        let kept: Vec<usize> = open.connections.iter().map(Connection::stable_id).collect();
        all.iter().filter(|c| !kept.contains(&c.stable_id())).for_each(connected_already);
        open.full = Some((close_code::BUSY, CONNECTED_ALREADY.into()));
    }

    /// Tells everyone that the session will not come about, and gives the words time to leave.
    pub(crate) async fn give_up(&self, endpoint: &Endpoint, culprit: Option<Peer>, why: &NetError) {
        let message = Abort { culprit, reason: why.for_peers() }.encode();
        {
            let mut open = self.lock();
            for connection in open.connections.drain(..) {
                connection.close(VarInt::from_u32(close_code::ABORT), &message);
            }
            open.full = Some((close_code::ABORT, message));
        }
        let _ = timeout(Duration::from_millis(250), endpoint.wait_idle()).await;
    }
}

const CONNECTED_ALREADY: &[u8] = b"connected already";

pub(crate) fn connected_already(connection: &Connection) {
    connection.close(VarInt::from_u32(close_code::BUSY), CONNECTED_ALREADY);
}
