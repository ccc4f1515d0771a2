//! Setting up a session: from options to what a party has once everyone agreed.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use mpc_core::channel::Peer;
use mpc_core::party::{PartyId, PerParty};
use mpc_core::tag::SessionId;
use mpc_core::transcript::SessionTerms;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::accept::Gate;
use super::channel::{Core, Lane, QuicChannel, SessionHandle};
use super::confirm::{self, Agreed, Streams};
use super::control_stream::ControlStream;
use super::dealer_link::DealerLink;
use super::dial::Dialer;
use super::error::NetError;
use super::hello::DealerHello;
use super::join::Meeting;
use super::keys::{Exported, PeerKeys, SecretBytes, nonce, roster_digest};
use super::links::Links;
use super::options::ConnectOptions;
use super::present::{Met, Present};
use super::pump;
use super::rows::RowTest;
use super::runtime::NetThread;
use super::tls::OwnKey;
use super::transport::Listener;
use crate::identity::{Identity, PublicKey};

/// Digests the own row ids in order under a key: HMAC-SHA256 or the like. It is called with several keys, and may have to
/// read the ids for that.
pub type RowOrder<'a> = &'a dyn Fn(&SecretBytes) -> std::io::Result<[u8; 32]>;

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
    let result = agree(&net, &meeting, present, &options, row_order);
    match result {
        Ok((agreed, setup)) => finish(net, &meeting, agreed, setup, &options),
        Err((about, error)) => {
            let (told, culprit) = (error.clone(), error.culprit(about, &meeting.names));
            let met = meeting.met.clone();
            net.run(async move { met.give_up(&endpoint, culprit, &told).await })?;
            Err(error)
        }
    }
}

pub(crate) type Prepared = std::pin::Pin<Box<dyn Future<Output = Result<Meeting, NetError>> + Send>>;

pub(crate) fn prepare(
    identity: &Identity,
    listener: Listener,
    options: &ConnectOptions,
) -> Result<Prepared, NetError> {
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
            met: Met::default(),
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

mpc_core::secret_types!(Setup, Connected);

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
    let terms = SessionTerms {
        protocol_version: meeting.version.into(),
        program: meeting.program,
        parameters: meeting.parameters,
        parties: meeting.parties.iter().map(|m| *m.key.as_bytes()).collect(),
        dealer: meeting.dealer.as_ref().map(|d| *d.key.as_bytes()),
        nonces: nonces.clone().into_vec(),
    };
    let session = terms.id();
    let mut exported = PerParty::from_fn(n, |_| None);
    for p in me.others(n) {
        if let Some(greeted) = &present.parties[p.index()] {
            exported[p] = Some(Exported::from_connection(&greeted.connection).map_err(myself)?);
        }
    }
    let dealer_exported =
        present.dealer.as_ref().map(|d| Exported::from_connection(&d.connection)).transpose();
    let dealer_exported = dealer_exported.map_err(myself)?;
    let mut rows = PerParty::from_fn(n, |_| None);
    for p in me.others(n) {
        if let (Some(exported), Some(digest)) = (&exported[p], row_order) {
            let [ours, theirs] = [me, p].map(|sender| exported.align_key(&session, sender));
            let ids = digest(&exported.rows_key(&session)).map_err(|e| NetError::RowsUnread(e.to_string()));
            let ids = Zeroizing::new(ids.map_err(myself)?);
            let test = RowTest::new(&ids, ours, theirs);
            rows[p] = Some(test.map_err(myself)?);
        }
    }
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
    let core = Arc::new(Core {
        me: Peer::Party(me),
        links: links.clone(),
        endpoint: meeting.dialer.endpoint.clone(),
        net,
    });
    let net = &core.net;
    let control = |peer, streams: Streams| {
        let Streams { connection, send, recv } = streams;
        ControlStream::new(peer, connection, links.clone(), core.clone(), (send, recv))
    };
    let parties = me.others(n).map(Peer::Party);
    let mut controls: Vec<_> = parties.zip(agreed.controls).map(|(p, s)| control(p, s)).collect();
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
            controls.push(control(Peer::Dealer, dealer));
        }
    }
    let lane = Arc::new(Mutex::new(Lane { lane: 0, me, peers, receive_timeout_ms: timeout_ms }));
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
        handle: SessionHandle { core, lane, session, controls: Arc::new(controls) },
    })
}
