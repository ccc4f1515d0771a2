//! Setting up a session: who takes part, and what a party has once everyone agreed.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mpc_core::channel::Peer;
use mpc_core::party::{MAX_PARTIES, PartyId, PerParty};
use mpc_core::tag::SessionId;
use tokio::time::Instant;

use super::accept::Gate;
use super::channel::{Core, Lane, QuicChannel, SessionHandle};
use super::confirm::{self, Agreed};
use super::dealer_link::{DealerLink, Goodbye};
use super::dial::Dialer;
use super::error::{Names, NetError};
use super::hello::DealerHello;
use super::join::{Meeting, Present, give_up};
use super::keys::{Exported, PROTOCOL_VERSION, PeerKeys, SecretBytes, nonce, roster_digest, session_id};
use super::links::Links;
use super::pump;
use super::runtime::NetThread;
use super::tls::OwnKey;
use super::transport::{LinkProfile, Listener};
use crate::identity::{Identity, PublicKey};

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
    /// How long a peer may be silent while a message of it is due.
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

    fn names(&self) -> Names {
        Names::new(self.parties.iter().map(|m| m.name.clone()), self.dealer.as_ref().map(|d| d.name.clone()))
    }

    fn check(&self, own: PublicKey) -> Result<(), NetError> {
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
        if self.demand.len() > super::hello::DEMAND_MAX_BYTES {
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

/// Digests the own row ids in order under a key: HMAC-SHA256 or the like. It is called with several keys.
pub type RowOrder<'a> = &'a dyn Fn(&SecretBytes) -> [u8; 32];

/// A session that all parties agreed to.
pub struct Connected {
    /// Its name.
    pub session_id: SessionId,
    /// Everyone's nonce, in party order.
    pub nonces: PerParty<[u8; 32]>,
    /// The keys shared with each other party; the own slot is empty.
    pub keys: PerParty<Option<PeerKeys>>,
    /// Lane 0.
    pub channel: QuicChannel,
    /// The dealer's seed and corrections.
    pub dealer: Option<DealerLink>,
    /// Ends the session.
    pub handle: SessionHandle,
}

/// Meets all other parties (and the dealer), agrees on the session and returns it. Blocks until that is done or until
/// it cannot be done, `connect_timeout_ms` and a few seconds of handshake at most. `row_order` is given by a party
/// that holds rows, and makes sure that all such parties hold the same ids in the same order.
///
/// # Errors
/// A [`NetError`] that names the peer, what was expected and what was seen. Everyone who could be reached has been
/// told.
pub fn connect(
    identity: &Identity,
    listener: Listener,
    options: ConnectOptions,
    row_order: Option<RowOrder<'_>>,
) -> Result<Connected, NetError> {
    options.check(identity.public_key())?;
    let net = NetThread::start()?;
    let meeting = net.run(prepare(identity, listener, &options)?)??;
    let endpoint = meeting.dialer.endpoint.clone();
    let present = net.run(meeting.clone().gather())??;
    let connections = present.connections();
    let result = agree(&net, &meeting, present, &options, row_order);
    match result {
        Ok((agreed, setup)) => finish(net, &meeting, agreed, setup, &options),
        Err((culprit, error)) => {
            let told = error.clone();
            net.run(async move { give_up(&endpoint, &connections, Some(culprit), &told).await })?;
            Err(error)
        }
    }
}

type Prepared = std::pin::Pin<Box<dyn Future<Output = Result<Meeting, NetError>> + Send>>;

fn prepare(identity: &Identity, listener: Listener, options: &ConnectOptions) -> Result<Prepared, NetError> {
    let setup = |e: rustls::Error| NetError::Setup(e.to_string());
    let own_key = identity.public_key();
    let own = OwnKey::new(identity).map_err(setup)?;
    let transport = options.link.transport();
    let keys: Vec<PublicKey> = options.parties.iter().map(|m| m.key).collect();
    let pins = keys.iter().copied().filter(|k| *k != own_key).collect();
    let gate = Gate::new(own.clone(), own_key, pins, transport.clone());
    let server = gate.server_config().map_err(setup)?;
    let nonce = nonce()?;
    let options = options.clone();
    Ok(Box::pin(async move {
        let endpoint = listener.into_endpoint(options.link, Some(server))?;
        let names = options.names();
        Ok(Meeting {
            me: options.me,
            dialer: Dialer { endpoint, own, own_key, transport, names: names.clone() },
            gate,
            names,
            program: options.program_digest,
            parameters: options.parameters_digest,
            roster: roster_digest(&keys, options.dealer.as_ref().map(|d| &d.key)),
            version: options.protocol_version,
            nonce,
            deadline: Instant::now() + Duration::from_millis(options.connect_timeout_ms),
            connect_timeout_ms: options.connect_timeout_ms,
            parties: Arc::new(options.parties),
            dealer: options.dealer,
            notice: options.notice,
        })
    }))
}

/// What is computed between finding each other and the confirmation.
struct Setup {
    session: SessionId,
    nonces: PerParty<[u8; 32]>,
    exported: PerParty<Option<Exported>>,
    dealer_exported: Option<Exported>,
}

fn agree(
    net: &NetThread,
    meeting: &Meeting,
    present: Present,
    options: &ConnectOptions,
    row_order: Option<RowOrder<'_>>,
) -> Result<(Agreed, Setup), (Peer, NetError)> {
    let me = meeting.me;
    let myself = |error| (Peer::Party(me), error);
    let n = meeting.parties.len();
    let nonce_of = |p: PartyId| present.parties[p.index()].as_ref().map_or(meeting.nonce, |g| g.nonce);
    let nonces = PerParty::from_fn(n, nonce_of);
    let keys: Vec<PublicKey> = meeting.parties.iter().map(|m| m.key).collect();
    let all_nonces = nonces.clone().into_vec();
    let session = session_id(meeting.version, &meeting.program, &meeting.parameters, &keys, &all_nonces);
    let mut exported = PerParty::from_fn(n, |_| None);
    for p in me.others(n) {
        if let Some(greeted) = &present.parties[p.index()] {
            exported[p] = Some(Exported::from_connection(&greeted.connection).map_err(myself)?);
        }
    }
    let dealer_exported =
        present.dealer.as_ref().map(|d| Exported::from_connection(&d.connection)).transpose();
    let dealer_exported = dealer_exported.map_err(myself)?;
    let rows = PerParty::from_fn(n, |p| {
        let (exported, digest) = (exported[p].as_ref()?, row_order?);
        let [ours, theirs] = [me, p].map(|sender| digest(&exported.align_key(&session, sender)));
        Some(confirm::RowDigests { ours, theirs })
    });
    let hello = present.dealer.is_some().then(|| DealerHello {
        session: session.0,
        parties: n as u8,
        me: me.index() as u8,
        roster: meeting.roster,
        program: meeting.program,
        parameters: meeting.parameters,
        demand: options.demand.clone(),
    });
    let all = confirm::confirm(meeting.clone(), present, session, rows, hello);
    let agreed = net.run(all).map_err(myself)??;
    Ok((agreed, Setup { session, nonces, exported, dealer_exported }))
}

fn finish(
    net: NetThread,
    meeting: &Meeting,
    agreed: Agreed,
    setup: Setup,
    options: &ConnectOptions,
) -> Result<Connected, NetError> {
    let Setup { session, nonces, exported, dealer_exported } = setup;
    let me = meeting.me;
    let n = meeting.parties.len();
    let links = Links::new(meeting.names.clone());
    let timeout_ms = options.receive_timeout_ms;
    let mut goodbye = None;
    let mut source = None;
    let mut peers = PerParty::from_fn(n, |_| None);
    {
        // Watching and pumping spawn tasks on the network thread.
        let _in_runtime = net.handle().enter();
        for (p, lane) in me.others(n).zip(agreed.lanes) {
            links.watch(Peer::Party(p), &lane.connection);
            peers[p] = Some(pump::start(&links, Peer::Party(p), lane.send, lane.recv));
        }
        if let Some(dealer) = agreed.dealer {
            links.watch(Peer::Dealer, &dealer.connection);
            source = (me.index() == 0).then(|| {
                super::dealer_link::receive_corrections(&links, dealer.connection.clone(), timeout_ms)
            });
            goodbye = Some(Arc::new(Goodbye::new(dealer.send)));
        }
    }
    let lane = Arc::new(Mutex::new(Lane { lane: 0, me, peers, receive_timeout_ms: timeout_ms }));
    let core = Arc::new(Core { me: Peer::Party(me), links, endpoint: meeting.dialer.endpoint.clone(), net });
    let dealer = dealer_exported.map(|e| DealerLink {
        seed: e.derive(&session, "dealer"),
        log: e.derive(&session, "log"),
        source,
    });
    Ok(Connected {
        session_id: session,
        nonces,
        keys: PerParty::from_fn(n, |p| exported[p].as_ref().map(|e| e.peer_keys(&session))),
        channel: QuicChannel { core: core.clone(), lane: lane.clone(), me, parties: n },
        dealer,
        handle: SessionHandle { core, lane, session, dealer: goodbye },
    })
}

/// A party that has shaken hands and then holds the bare streams, to misbehave on them.
#[cfg(test)]
pub(crate) fn connect_raw(
    identity: &Identity,
    listener: Listener,
    options: ConnectOptions,
) -> Result<(NetThread, Agreed), NetError> {
    let net = NetThread::start()?;
    let meeting = net.run(prepare(identity, listener, &options)?)??;
    let present = net.run(meeting.clone().gather())??;
    let (agreed, _) = agree(&net, &meeting, present, &options, None).map_err(|(_, error)| error)?;
    Ok((net, agreed))
}
