//! Admitting incoming connections: only pinned keys get past TLS, and only a few strangers at a time may try.

use std::sync::Arc;
use std::time::Duration;

use quinn::{Connection, ConnectionError, Incoming, ServerConfig, TransportConfig};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::dial::tls_alert;
use super::tls::{self, OwnKey};
use crate::identity::PublicKey;

/// Handshakes under way at once; more are turned away.
const PENDING_MAX: usize = 32;
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
}

/// A connection whose peer proved to hold a pinned key.
pub(crate) struct Admitted {
    pub(crate) connection: Connection,
    pub(crate) key: PublicKey,
    /// To be kept until the peer has greeted: a silent peer takes one of the few places for strangers.
    pub(crate) permit: OwnedSemaphorePermit,
}

impl Gate {
    pub(crate) fn new(
        own: OwnKey,
        own_key: PublicKey,
        pins: Vec<PublicKey>,
        transport: Arc<TransportConfig>,
    ) -> Self {
        Self { own, own_key, pins, transport, pending: Arc::new(Semaphore::new(PENDING_MAX)) }
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
        config.transport_config(self.transport.clone()).migration(false).max_incoming(PENDING_MAX);
        config
    }

    /// Completes the handshake of one connection. The error says who was turned away and why.
    pub(crate) async fn admit(&self, incoming: Incoming) -> Result<Admitted, String> {
        let from = incoming.remote_address();
        let Ok(permit) = self.pending.clone().try_acquire_owned() else {
            incoming.refuse();
            return Err(format!("{from} was turned away: too many handshakes at once"));
        };
        let (crypto, verifier) = tls::server(&self.own, self.pins.clone()).map_err(|e| e.to_string())?;
        let connecting = incoming
            .accept_with(Arc::new(self.with_transport(crypto)))
            .map_err(|e| format!("{from}: {e}"))?;
        match tokio::time::timeout(Duration::from_millis(GREETING_MS), connecting).await {
            Err(_) => Err(format!("{from} did not finish its handshake")),
            Ok(Ok(connection)) => match tls::peer_key(&connection) {
                Some(key) => Ok(Admitted { connection, key, permit }),
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
                _ => format!("{from}: {reason}"),
            }),
        }
    }
}
