//! What can go wrong between nodes, in the words of the operator: every text names the peer as the config does.

use std::fmt;
use std::net::SocketAddr;

use mpc_core::channel::{ChannelError, Peer};
use mpc_core::party::PartyId;

/// Why a session could not be set up.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum NetError {
    /// Another process listens there.
    #[error("cannot listen on {address}: the port is in use by another process")]
    PortInUse {
        /// The address.
        address: SocketAddr,
    },
    /// The socket cannot be opened.
    #[error("cannot listen on {address}: {reason}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        reason: String,
    },
    /// The local network machinery cannot start.
    #[error("cannot start the network: {0}")]
    Setup(String),
    /// The own row ids cannot be read.
    #[error("cannot read this party's row ids again: {0}")]
    RowsUnread(String),
    /// The list of parties makes no sense.
    #[error("bad list of parties: {0}")]
    Roster(String),
    /// The own key is not the one that the roster gives to this party.
    #[error("the key file holds {found}, but the config lists {expected} for {name}, which is this node")]
    OwnKey {
        /// This party.
        name: String,
        /// The roster's key.
        expected: String,
        /// The key at hand.
        found: String,
    },
    /// An address is neither `ip:port` nor `host:port`.
    #[error("bad address \"{address}\" of {peer}: expected host:port, {reason}")]
    BadAddress {
        /// Whose.
        peer: String,
        /// As configured.
        address: String,
        /// What is wrong.
        reason: String,
    },
    /// The peer proved to hold another key than the pinned one.
    #[error(
        "wrong key at {address}: the config pins {pinned} for {peer}, the node there presented {presented}"
    )]
    WrongKey {
        /// Who was expected.
        peer: String,
        /// Where.
        address: String,
        /// The key in our config.
        pinned: String,
        /// The key that was presented.
        presented: String,
    },
    /// The peer does not know our key.
    #[error("{peer} at {address} refused this node's key {ours}: it is not in the list of parties there")]
    KeyRefused {
        /// Who refused.
        peer: String,
        /// Where.
        address: String,
        /// Our key.
        ours: String,
    },
    /// The peer speaks another version.
    #[error("{peer} speaks another protocol version: ours is {ours}, theirs is {theirs}")]
    Version {
        /// Who.
        peer: String,
        /// Our version.
        ours: String,
        /// Its version.
        theirs: String,
    },
    /// The peer would run something else.
    #[error("{peer} has another {what}: ours is {ours}, theirs is {theirs}")]
    Mismatch {
        /// Who.
        peer: String,
        /// What differs.
        what: Difference,
        /// Our value, shortened.
        ours: String,
        /// Its value, shortened.
        theirs: String,
    },
    /// Some peers did not come in time.
    #[error("{} did not come within {waited_ms} ms{}", Listed(.absent), Notes(.notes))]
    Absent {
        /// Name and address of everyone who is missing.
        absent: Vec<(String, String)>,
        /// How long this node waited.
        waited_ms: u64,
        /// What happened meanwhile, such as strangers that tried to connect.
        notes: Vec<String>,
    },
    /// Both hold the same number of rows or not, but not the same ids in the same order.
    #[error("row ids differ between {ours} and {peer}: they do not list the same ids in the same order")]
    RowOrder {
        /// This party.
        ours: String,
        /// The other one.
        peer: String,
    },
    /// The session ids differ although all hellos agree: someone told different nonces to different parties.
    #[error("{peer} computed another session id: not all parties saw the same nonces")]
    SessionId {
        /// Who.
        peer: String,
    },
    /// The dealer did not say that all parties have asked it for this session. It may be any party that did not.
    #[error(
        "{dealer} was not ready within the deadline, which it is once all parties have asked it for this session"
    )]
    NotReady {
        /// The dealer.
        dealer: String,
    },
    /// A message of the handshake does not parse.
    #[error("malformed handshake message from {peer}: {what}")]
    Malformed {
        /// Who.
        peer: String,
        /// What is wrong.
        what: String,
    },
    /// The connection to a peer ended.
    #[error("lost {peer}: {reason}")]
    Lost {
        /// Who.
        peer: String,
        /// What the transport said.
        reason: String,
    },
    /// A peer gave up and said so.
    #[error("{peer} gave up: {reason}")]
    Aborted {
        /// Who told us.
        peer: String,
        /// Whom it holds responsible.
        culprit: Option<String>,
        /// Why.
        reason: String,
    },
}

/// What differs between two hellos.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Difference {
    /// Keys of the parties in order, and the dealer's.
    Roster,
    /// The digest of the program.
    Program,
    /// The digest of the session's parameters.
    Parameters,
    /// The index that it takes for itself.
    Index,
    /// The demand of correlated randomness (seen by the dealer).
    Demand,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Roster => "list of parties (keys in order, dealer's key)",
            Self::Program => "program",
            Self::Parameters => "set of session parameters",
            Self::Index => "party index",
            Self::Demand => "demand of correlated randomness",
        })
    }
}

impl NetError {
    /// Whom the others should hold responsible for an error that was met with `about`: the same that an aborting peer
    /// names, and nobody where it may be a third: one that told two others different nonces, or that the dealer waits for.
    pub(crate) fn culprit(&self, about: Peer, names: &Names) -> Option<Peer> {
        match self {
            Self::SessionId { .. } | Self::NotReady { .. } => None,
            Self::Aborted { culprit, .. } => culprit.as_deref().and_then(|name| names.peer(name)),
            _ => Some(about),
        }
    }

    /// A stable word for scripts.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::PortInUse { .. } => "port_in_use",
            Self::Bind { .. } => "cannot_listen",
            Self::Setup(_) => "network_setup",
            Self::RowsUnread(_) => "rows_not_kept",
            Self::Roster(_) => "bad_roster",
            Self::OwnKey { .. } => "own_key",
            Self::BadAddress { .. } => "bad_address",
            Self::WrongKey { .. } => "wrong_key",
            Self::KeyRefused { .. } => "key_refused",
            Self::Version { .. } => "protocol_version",
            Self::Mismatch { what: Difference::Program, .. } => "program_differs",
            Self::Mismatch { .. } => "session_differs",
            Self::Absent { .. } => "peer_absent",
            Self::RowOrder { .. } => "row_order",
            Self::SessionId { .. } => "session_id",
            Self::NotReady { .. } => "dealer_not_ready",
            Self::Malformed { .. } => "malformed",
            Self::Lost { .. } => "peer_lost",
            Self::Aborted { .. } => "peer_aborted",
        }
    }

    /// What peers are told. Of trouble on this machine that is the code: what the system or the configuration says about it is
    /// nobody else's business. All else is made of names, addresses, public keys and digests that the session is about.
    #[must_use]
    pub fn for_peers(&self) -> String {
        match self {
            Self::PortInUse { .. }
            | Self::Bind { .. }
            | Self::Setup(_)
            | Self::RowsUnread(_)
            | Self::Roster(_)
            | Self::OwnKey { .. }
            | Self::BadAddress { .. } => self.code().to_owned(),
            _ => self.to_string(),
        }
    }
}

struct Listed<'a>(&'a [(String, String)]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (name, address)) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{name} (at {address})")?;
        }
        Ok(())
    }
}

struct Notes<'a>(&'a [String]);

impl fmt::Display for Notes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|note| write!(f, "; {note}"))
    }
}

/// The names of everyone in a session, to turn "party 1" into "bureau".
#[derive(Clone, Debug)]
pub struct Names {
    parties: Vec<String>,
    dealer: String,
}

impl Names {
    /// The names in roster order.
    #[must_use]
    pub fn new(parties: impl IntoIterator<Item = String>, dealer: Option<String>) -> Self {
        Self { parties: parties.into_iter().collect(), dealer: dealer.unwrap_or_else(|| "the dealer".into()) }
    }

    /// The name of a peer.
    #[must_use]
    pub fn of(&self, peer: Peer) -> &str {
        match peer {
            Peer::Party(p) => self.parties.get(p.index()).map_or("an unlisted party", String::as_str),
            Peer::Dealer => &self.dealer,
        }
    }

    /// Whose name that is.
    pub(crate) fn peer(&self, name: &str) -> Option<Peer> {
        let party = self.parties.iter().position(|n| n == name).map(|i| Peer::Party(PartyId::new(i)));
        party.or_else(|| (self.dealer == name).then_some(Peer::Dealer))
    }

    /// The name of a party.
    #[must_use]
    pub fn party(&self, party: PartyId) -> &str {
        self.of(Peer::Party(party))
    }

    /// How many parties there are.
    #[must_use]
    pub fn parties(&self) -> usize {
        self.parties.len()
    }

    /// The error in one line, with names in place of indices.
    #[must_use]
    pub fn render(&self, error: &ChannelError) -> String {
        let name = self.of(error.peer());
        match error {
            ChannelError::Timeout { tag, waited_ms, .. } => {
                format!("no message from {name} for {tag} within {waited_ms} ms")
            }
            ChannelError::Lost { reason, .. } => format!("lost {name}: {reason}"),
            ChannelError::Aborted { culprit, reason, .. } => match culprit {
                Some(c) if *c != error.peer() && !reason.contains(self.of(*c)) => {
                    format!("{name} gave up because of {}: {reason}", self.of(*c))
                }
                _ => format!("{name} gave up: {reason}"),
            },
            ChannelError::Desync { expected, got, .. } => {
                format!("out of step with {name}: expected {expected}, got {got}")
            }
            ChannelError::WrongLength { tag, expected, got, .. } => {
                format!(
                    "message from {name} for {tag} has the wrong length: expected {expected} bytes, got {got}"
                )
            }
            ChannelError::Malformed { what, .. } => format!("malformed frame from {name}: {what}"),
            ChannelError::WrongItem { expected, got } => {
                format!("{name} is out of step: expected correction {expected}, got {got}")
            }
            other => other.to_string(),
        }
    }
}

/// Whom an error holds responsible. Of a peer that gave up, that is whom it names, which is its word alone; if it names
/// nobody, nobody can be blamed, least of all the one who passes it on.
#[must_use]
pub fn blame(error: &ChannelError) -> Option<Peer> {
    match error {
        ChannelError::Aborted { culprit, .. } => *culprit,
        other => Some(other.peer()),
    }
}
