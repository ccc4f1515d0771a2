//! Dialling a peer until it is there, and judging whether another attempt makes sense.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mpc_core::channel::Peer;
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint, TransportConfig, VarInt};

use super::control::{ControlError, lost};
use super::error::{Names, NetError};
use super::hello::close_code;
use super::options::Member;
use super::printable::end_in_words;
use super::tls::{self, OwnKey};
use crate::identity::PublicKey;

/// Pause between two attempts.
const RETRY_MS: u64 = 50;
/// The TLS alert for "no common application protocol".
const ALERT_NO_APPLICATION_PROTOCOL: u64 = 120;

/// What every dial of a node needs.
#[derive(Clone)]
pub(crate) struct Dialer {
    pub(crate) endpoint: Endpoint,
    pub(crate) own: OwnKey,
    pub(crate) own_key: PublicKey,
    pub(crate) transport: Arc<TransportConfig>,
    pub(crate) names: Names,
}

/// Why an attempt failed.
pub(crate) enum Setback {
    /// The peer is not there yet, or busy.
    Retry(String),
    /// Trying again would not help.
    Fatal(NetError),
}

impl Dialer {
    /// Dials `target` until `greet` succeeds on a connection or an error is final. The last setback that was not
    /// final goes to `note`.
    pub(crate) async fn dial<T, G>(
        &self,
        peer: Peer,
        target: &Member,
        greet: impl Fn(Connection) -> G,
        note: impl Fn(String),
    ) -> Result<T, NetError>
    where
        G: Future<Output = Result<T, ControlError>>,
    {
        loop {
            let setback = match self.attempt(peer, target).await {
                Ok(connection) => match greet(connection).await {
                    Ok(greeted) => return Ok(greeted),
                    Err(ControlError::Lost(reason)) => self.judge(peer, target, &reason),
                    Err(error) => Setback::Fatal(error.into_net_error(&self.names, peer)),
                },
                Err(setback) => setback,
            };
            match setback {
                Setback::Fatal(error) => return Err(error),
                Setback::Retry(why) => note(why),
            }
            tokio::time::sleep(Duration::from_millis(RETRY_MS)).await;
        }
    }

    async fn attempt(&self, peer: Peer, target: &Member) -> Result<Connection, Setback> {
        let address = self.resolve(target).await?;
        let setup = |e: &dyn std::fmt::Display| Setback::Fatal(NetError::Setup(e.to_string()));
        let (crypto, verifier) = tls::client(&self.own, target.key).map_err(|e| setup(&e))?;
        let mut config = ClientConfig::new(crypto);
        config.transport_config(self.transport.clone());
        let connecting =
            self.endpoint.connect_with(config, address, tls::SERVER_NAME).map_err(|e| match e {
                quinn::ConnectError::InvalidRemoteAddress(_) => Setback::Fatal(NetError::BadAddress {
                    peer: target.name.clone(),
                    address: target.address.clone(),
                    reason: "this node's own address is of another kind (IPv4 or IPv6)".into(),
                }),
                other => setup(&other),
            })?;
        connecting.await.map_err(|reason| match verifier.refused() {
            Some(presented) => Setback::Fatal(NetError::WrongKey {
                peer: target.name.clone(),
                address: target.address.clone(),
                pinned: target.key.fingerprint(),
                presented,
            }),
            None => self.judge(peer, target, &reason),
        })
    }

    async fn resolve(&self, target: &Member) -> Result<SocketAddr, Setback> {
        let ours = self.endpoint.local_addr().ok();
        let found = tokio::net::lookup_host(&target.address).await;
        let found = found.map_err(|e| Setback::Retry(format!("cannot resolve {}: {e}", target.address)))?;
        let mut found: Vec<SocketAddr> = found.collect();
        found.sort_by_key(|a| ours.is_none_or(|o| o.is_ipv4() != a.is_ipv4()));
        found.first().copied().ok_or_else(|| Setback::Retry(format!("{} has no address", target.address)))
    }

    /// Whether a connection that ended before the peer greeted is worth another attempt.
    fn judge(&self, peer: Peer, target: &Member, reason: &ConnectionError) -> Setback {
        match reason {
            ConnectionError::ApplicationClosed(close)
                if close.error_code == VarInt::from_u32(close_code::ABORT) =>
            {
                Setback::Fatal(lost(&self.names, peer, reason))
            }
            ConnectionError::ConnectionClosed(close) => match tls_alert(close.error_code.into()) {
                Some(ALERT_NO_APPLICATION_PROTOCOL) => Setback::Fatal(NetError::Version {
                    peer: target.name.clone(),
                    ours: String::from_utf8_lossy(tls::ALPN).into_owned(),
                    theirs: "another application protocol".into(),
                }),
                Some(_) => Setback::Fatal(NetError::KeyRefused {
                    peer: target.name.clone(),
                    address: target.address.clone(),
                    ours: self.own_key.fingerprint(),
                }),
                None => Setback::Retry(end_in_words(reason)),
            },
            _ => Setback::Retry(end_in_words(reason)),
        }
    }
}

/// The TLS alert inside a QUIC error code, if it is one.
pub(crate) fn tls_alert(code: u64) -> Option<u64> {
    (0x100..0x200).contains(&code).then_some(code & 0xff)
}
