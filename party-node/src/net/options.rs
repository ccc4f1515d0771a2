//! Who takes part in a session, and what a party brings to it.

use std::fmt;
use std::sync::Arc;

use mpc_core::party::{MAX_PARTIES, PartyId};

use super::error::{Names, NetError};
use super::hello::DEMAND_MAX_BYTES;
use super::keys::PROTOCOL_VERSION;
use super::transport::LinkProfile;
use crate::identity::PublicKey;

/// One node of the session as the config describes it.
#[derive(Clone, Debug)]
pub struct Member {
    /// The name in messages.
    pub name: String,
    /// `host:port` or `ip:port`, where it listens.
    pub address: String,
    /// Its pinned key.
    pub key: PublicKey,
}

/// Called with a line of text when something happens while a session is set up.
#[derive(Clone)]
pub struct Notice(Arc<dyn Fn(&str) + Send + Sync>);

impl Notice {
    /// Calls `f` with every line, from the network thread.
    pub fn new(f: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(f))
    }

    /// Says nothing.
    #[must_use]
    pub fn silent() -> Self {
        Self::new(|_| ())
    }

    pub(crate) fn say(&self, text: &str) {
        (self.0)(text);
    }
}

impl fmt::Debug for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Notice")
    }
}

/// What a party brings to a session.
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    /// This party.
    pub me: PartyId,
    /// All parties in order, this one included.
    pub parties: Vec<Member>,
    /// The dealer, if the session has one.
    pub dealer: Option<Member>,
    /// What kind of network lies between.
    pub link: LinkProfile,
    /// [`PROTOCOL_VERSION`], except in tests of disagreement.
    pub protocol_version: u16,
    /// Digest of the program.
    pub program_digest: [u8; 32],
    /// Digest of everything else that must be equal at all parties.
    pub parameters_digest: [u8; 32],
    /// The encoded demand for the dealer, at most 1 MiB; empty without a dealer.
    pub demand: Vec<u8>,
    /// How long to wait for the others.
    pub connect_timeout_ms: u64,
    /// How long a peer may be silent while a message of it is due. Less where this node is known to keep others waiting
    /// meanwhile, so that it says whom it waits for before they take it for the silent one.
    pub receive_timeout_ms: u64,
    /// Where progress is told.
    pub notice: Notice,
}

impl ConnectOptions {
    /// Options with common deadlines, on loopback.
    #[must_use]
    pub fn new(me: PartyId, parties: Vec<Member>) -> Self {
        Self {
            me,
            parties,
            dealer: None,
            link: LinkProfile::default(),
            protocol_version: PROTOCOL_VERSION,
            program_digest: [0; 32],
            parameters_digest: [0; 32],
            demand: Vec::new(),
            connect_timeout_ms: 30_000,
            receive_timeout_ms: 30_000,
            notice: Notice::silent(),
        }
    }

    pub(crate) fn names(&self) -> Names {
        Names::new(self.parties.iter().map(|m| m.name.clone()), self.dealer.as_ref().map(|d| d.name.clone()))
    }

    pub(crate) fn check(&self, own: PublicKey) -> Result<(), NetError> {
        check_roster(&self.parties, self.dealer.as_ref())?;
        let bad = |what: String| Err(NetError::Roster(what));
        let Some(me) = self.parties.get(self.me.index()) else {
            return bad(format!(
                "this node is number {}, but only {} are listed",
                self.me.index(),
                self.parties.len()
            ));
        };
        if me.key != own {
            let (expected, found) = (me.key.fingerprint(), own.fingerprint());
            return Err(NetError::OwnKey { name: me.name.clone(), expected, found });
        }
        if self.demand.len() > DEMAND_MAX_BYTES {
            return bad(format!("the demand has {} bytes, a dealer takes at most 1 MiB", self.demand.len()));
        }
        let others = self.parties.iter().enumerate().filter(|(i, _)| *i != self.me.index()).map(|(_, m)| m);
        others.chain(&self.dealer).try_for_each(check_address)
    }
}

/// Refuses rosters with too few or too many parties and with a key or name that occurs twice.
pub(crate) fn check_roster(parties: &[Member], dealer: Option<&Member>) -> Result<(), NetError> {
    if !(2..=MAX_PARTIES).contains(&parties.len()) {
        return Err(NetError::Roster(format!(
            "expected 2 to {MAX_PARTIES} parties, found {}",
            parties.len()
        )));
    }
    let all: Vec<&Member> = parties.iter().chain(dealer).collect();
    for (i, a) in all.iter().enumerate() {
        for b in &all[..i] {
            if a.key == b.key {
                return Err(NetError::Roster(format!("{} and {} have the same key", b.name, a.name)));
            }
            if a.name == b.name {
                return Err(NetError::Roster(format!("the name {} occurs twice", a.name)));
            }
        }
    }
    Ok(())
}

fn check_address(member: &Member) -> Result<(), NetError> {
    let bad = |reason: &str| {
        let (peer, address) = (member.name.clone(), member.address.clone());
        Err(NetError::BadAddress { peer, address, reason: reason.into() })
    };
    match member.address.rsplit_once(':') {
        None => bad("found no port"),
        Some(("", _)) => bad("found no host"),
        Some((_, port)) => match port.parse::<u16>() {
            Err(_) => bad("found a port that is not between 1 and 65535"),
            Ok(0) => bad("found port 0"),
            Ok(_) => Ok(()),
        },
    }
}

/// The patience of a node that keeps others waiting while it waits itself.
pub(crate) const fn sooner_ms(timeout_ms: u64) -> u64 {
    timeout_ms - timeout_ms / 4
}
