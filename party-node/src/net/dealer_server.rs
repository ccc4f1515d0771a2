//! The dealer's side of the network: sessions of a fixed roster, one after the other or at once.
//!
//! A session begins when every party of the roster has asked for it under the same session id and with the same
//! demand; the dealer refuses otherwise and tells all who differs. It learns who computes with whom, when, and the
//! demand (which shows the shapes of the program), and sees no data. It must collude with no party.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quinn::{Endpoint, VarInt};

use super::accept::Gate;
use super::dealer_session::DealerSession;
use super::error::NetError;
use super::hello::close_code;
use super::keys::{PROTOCOL_VERSION, roster_digest};
use super::lobby::{Lobby, Report};
use super::options::{Member, Notice, check_roster};
use super::runtime::NetThread;
use super::tls::OwnKey;
use super::transport::{LinkProfile, Listener};
use crate::identity::{Identity, PublicKey};

/// Agreed sessions and failed attempts that may wait to be taken.
const WAITING_MAX: usize = 16;
/// What a dealer serves.
#[derive(Clone, Debug)]
pub struct DealerOptions {
    /// The parties in order; their addresses are not used.
    pub parties: Vec<Member>,
    /// What kind of network lies between.
    pub link: LinkProfile,
    /// [`PROTOCOL_VERSION`], except in tests of disagreement.
    pub protocol_version: u16,
    /// How long a party that has come may wait for the others.
    pub session_timeout_ms: u64,
    /// Where progress and refusals are told.
    pub notice: Notice,
}

impl DealerOptions {
    /// Options with common deadlines, on loopback.
    #[must_use]
    pub fn new(parties: Vec<Member>) -> Self {
        Self {
            parties,
            link: LinkProfile::default(),
            protocol_version: PROTOCOL_VERSION,
            session_timeout_ms: 60_000,
            notice: Notice::silent(),
        }
    }
}

/// The listening endpoint, alive as long as the server or one of its sessions.
pub(crate) struct Base {
    pub(crate) endpoint: Endpoint,
    pub(crate) net: NetThread,
}

impl AsRef<NetThread> for Base {
    fn as_ref(&self) -> &NetThread {
        &self.net
    }
}

impl Drop for Base {
    fn drop(&mut self) {
        self.endpoint.close(VarInt::from_u32(close_code::ABORT), b"");
        let endpoint = self.endpoint.clone();
        let limit = Duration::from_millis(100);
        let _ = self.net.run(async move { tokio::time::timeout(limit, endpoint.wait_idle()).await.is_ok() });
    }
}

/// A dealer that listens.
pub struct DealerServer {
    base: Arc<Base>,
    address: SocketAddr,
    ready: Mutex<Receiver<Report>>,
}

impl DealerServer {
    /// Starts to listen.
    ///
    /// # Errors
    /// [`NetError::Roster`] for an impossible list of parties, [`NetError::Bind`] or [`NetError::Setup`] if the system
    /// does not cooperate.
    pub fn bind(identity: &Identity, listener: Listener, options: DealerOptions) -> Result<Self, NetError> {
        let setup = |e: rustls::Error| NetError::Setup(e.to_string());
        let own_key = identity.public_key();
        check_roster(&options.parties, None)?;
        if let Some(same) = options.parties.iter().find(|m| m.key == own_key) {
            return Err(NetError::Roster(format!("the dealer's own key is listed for {}", same.name)));
        }
        let keys: Vec<PublicKey> = options.parties.iter().map(|m| m.key).collect();
        let roster = roster_digest(&keys, Some(&own_key));
        let transport = options.link.dealer_transport();
        let gate = Gate::new(OwnKey::new(identity).map_err(setup)?, own_key, keys, transport);
        let server = gate.server_config().map_err(setup)?;
        let net = NetThread::start()?;
        let address = listener.address();
        let link = options.link;
        let endpoint = net.run(async move { listener.into_endpoint(link, Some(server)) })??;
        let (tell, ready) = sync_channel(WAITING_MAX);
        let lobby = Lobby::new(gate, options, roster, tell);
        net.handle().spawn(lobby.run(endpoint.clone()));
        Ok(Self { base: Arc::new(Base { endpoint, net }), address, ready: Mutex::new(ready) })
    }

    /// The address that it listens on.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for the next session on which all parties agree; `None` after `timeout`, if one is given.
    ///
    /// # Errors
    /// An attempt that failed: parties that differ, or that did not all come. The parties have been told, and the
    /// server goes on: call again.
    pub fn accept_session(&self, timeout: Option<Duration>) -> Result<Option<DealerSession>, NetError> {
        let ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = || NetError::Setup("the network thread ended".into());
        let report = match timeout {
            None => ready.recv().map_err(|_| gone())?,
            Some(limit) => match ready.recv_timeout(limit) {
                Ok(report) => report,
                Err(RecvTimeoutError::Timeout) => return Ok(None),
                Err(RecvTimeoutError::Disconnected) => return Err(gone()),
            },
        };
        drop(ready);
        let quorum = report.map_err(|(error, _permit)| error)?;
        DealerSession::start(self.base.clone(), quorum).map(Some)
    }
}
