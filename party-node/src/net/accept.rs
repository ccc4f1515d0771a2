//! Admitting incoming connections: only pinned keys get past TLS, only a few strangers at a time may try, and only a few
//! connections of one peer may wait for its greeting.

use std::sync::Arc;
use std::time::Duration;

use quinn::{Connection, ConnectionError, Incoming, ServerConfig, TransportConfig, VarInt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::dial::tls_alert;
use super::hello::close_code;
use super::printable::end_in_words;
use super::tls::{self, OwnKey};
use crate::identity::PublicKey;

/// Handshakes under way at once; more are turned away.
const PENDING_MAX: usize = 32;
/// Connections of one peer that have not greeted, at once. It needs one; another may be left from before a restart.
const UNGREETED_MAX: usize = 4;
/// Data of connections that are still to be looked at: a handshake begins with two packets, and is looked at at once.
const UNSEEN_BYTES: u64 = 128 << 10;
/// A handshake takes two round trips; a peer that needs longer than this is no peer.
pub(crate) const GREETING_MS: u64 = 5_000;

/// What every incoming connection is judged by.
#[derive(Clone)]
pub(crate) struct Gate {
    pub(crate) own: OwnKey,
    pub(crate) own_key: PublicKey,
    pub(crate) pins: Vec<PublicKey>,
    pub(crate) transport: Arc<TransportConfig>,
    pending: Arc<Semaphore>,
    /// By pin.
    ungreeted: Arc<Vec<Arc<Semaphore>>>,
}

/// A connection whose peer proved to hold a pinned key.
pub(crate) struct Admitted {
    pub(crate) connection: Connection,
    pub(crate) key: PublicKey,
    /// To be kept until the peer has greeted: one that does not takes its own places and nobody else's.
    pub(crate) permit: OwnedSemaphorePermit,
}

impl Gate {
    pub(crate) fn new(
        own: OwnKey,
        own_key: PublicKey,
        pins: Vec<PublicKey>,
        transport: Arc<TransportConfig>,
    ) -> Self {
        let places = |max| Arc::new(Semaphore::new(max));
        let ungreeted = Arc::new(pins.iter().map(|_| places(UNGREETED_MAX)).collect());
        Self { own, own_key, pins, transport, pending: places(PENDING_MAX), ungreeted }
    }

    /// The endpoint's own config. Each connection gets one of its own from [`Gate::admit`], so that a refused key can
    /// be told from the others.
    pub(crate) fn server_config(&self) -> Result<ServerConfig, rustls::Error> {
        let (crypto, _) = tls::server(&self.own, self.pins.clone())?;
        Ok(self.with_transport(crypto))
    }

    fn with_transport(&self, crypto: Arc<quinn::crypto::rustls::QuicServerConfig>) -> ServerConfig {
        let mut config = ServerConfig::with_crypto(crypto);
        // A party that moves to another address would have to dial again: fewer ways to divert a session.
        config
            .transport_config(self.transport.clone())
            .migration(false)
            .max_incoming(PENDING_MAX)
            .incoming_buffer_size(UNSEEN_BYTES)
            .incoming_buffer_size_total(PENDING_MAX as u64 * UNSEEN_BYTES);
        config
    }

    /// Completes the handshake of one connection. The error says who was turned away and why.
    pub(crate) async fn admit(&self, incoming: Incoming) -> Result<Admitted, String> {
        let from = incoming.remote_address();
        let Ok(_pending) = self.pending.clone().try_acquire_owned() else {
            incoming.refuse();
            return Err(format!("{from} was turned away: too many handshakes at once"));
        };
        let (crypto, verifier) = tls::server(&self.own, self.pins.clone()).map_err(|e| e.to_string())?;
        let connecting =
            incoming.accept_with(Arc::new(self.with_transport(crypto))).map_err(|e| match e {
                ConnectionError::TransportError(_) => {
                    format!(
                        "somebody at {from} without a listed key was refused: nothing of theirs could be read"
                    )
                }
                e => format!("{from}: {}", end_in_words(&e)),
            })?;
        match tokio::time::timeout(Duration::from_millis(GREETING_MS), connecting).await {
            Err(_) => Err(format!("{from} did not finish its handshake")),
            Ok(Ok(connection)) => match tls::peer_key(&connection) {
                Some(key) => self.place(connection, key),
                None => Err(format!("{from} presented no single Ed25519 key")),
            },
            Ok(Err(reason)) => Err(match (verifier.refused(), &reason) {
                (Some(key), _) => format!(
                    "the key {key}, which is not in the list of parties, tried to connect from {from}"
                ),
                (None, ConnectionError::ConnectionClosed(close))
                    if tls_alert(close.error_code.into()).is_some() =>
                {
                    format!(
                        "{from} dialled this node but expects another key than {}",
                        self.own_key.fingerprint()
                    )
                }
                (None, ConnectionError::TransportError(_)) => format!(
                    "somebody at {from} without a listed key was refused in the handshake: {}",
                    end_in_words(&reason)
                ),
                _ => format!("{from}: {}", end_in_words(&reason)),
            }),
        }
    }

    fn place(&self, connection: Connection, key: PublicKey) -> Result<Admitted, String> {
        let place = self.pins.iter().zip(self.ungreeted.iter()).find(|(pin, _)| **pin == key);
        let permit = place.and_then(|(_, place)| place.clone().try_acquire_owned().ok());
        permit.map(|permit| Admitted { connection: connection.clone(), key, permit }).ok_or_else(|| {
            connection.close(VarInt::from_u32(close_code::BUSY), b"greet first");
            format!("{} connects again and again without a greeting", key.fingerprint())
        })
    }
}
