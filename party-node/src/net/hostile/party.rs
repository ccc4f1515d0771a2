//! A party that knows the protocol by heart and has a script for leaving it.
//!
//! It is written against the wire, not against the node's own code for a session, so that it goes on where an honest
//! node would have stopped. Every conversation is a task of its own: that one peer has had enough ends nothing with the
//! others.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use mpc_core::channel::Peer;
use mpc_core::party::{PartyId, PerParty};
use mpc_core::tag::{SessionId, Tag, node};
use mpc_core::transcript::SessionTerms;
use mpc_core::wire::Decoder;
use quinn::{Connection, Endpoint};
use tokio::sync::{mpsc, watch};

use super::act::{Kind, Line, Over, Stage, dial};
use super::honest::{ROUND_BYTES, WORD, round_tag, rows};
use crate::identity::Identity;
use crate::net::accept::Gate;
use crate::net::frame::{self, Header};
use crate::net::hello::{Confirm, DealerHello, Hello, decode_greeting, encode_greeting};
use crate::net::keys::{Exported, roster_digest};
use crate::net::options::{ConnectOptions, Member};
use crate::net::rows::RowTest;
use crate::net::tls::OwnKey;
use crate::net::transport::Listener;

/// What a hostile party is made of.
pub(super) struct Mallory {
    pub(super) identity: &'static Identity,
    pub(super) options: ConnectOptions,
    /// The nonce that each other party is told.
    pub(super) nonces: PerParty<[u8; 32]>,
    /// As party 0: whether it takes the dealer's corrections.
    pub(super) takes_corrections: bool,
}

/// What its conversations share.
struct Play {
    mallory: Mallory,
    own: OwnKey,
    endpoint: Endpoint,
    stage: Arc<Stage>,
    /// Nonces of the others, as they say them.
    heard: watch::Sender<PerParty<Option<[u8; 32]>>>,
    /// Conversations with parties that have come to their good end.
    ended: watch::Sender<usize>,
    incoming: PerParty<Mutex<Option<mpsc::Receiver<Connection>>>>,
}

/// Plays until every conversation is over. Must be called within a runtime.
pub(super) async fn play(mallory: Mallory, listener: Listener, stage: Stage) {
    let keys: Vec<_> = mallory.options.parties.iter().map(|m| m.key).collect();
    let n = keys.len();
    let own = OwnKey::new(mallory.identity).unwrap();
    let own_key = mallory.identity.public_key();
    let pins = keys.iter().copied().filter(|k| *k != own_key).collect();
    let gate = Gate::new(own.clone(), own_key, pins, mallory.options.link.transport());
    let endpoint = listener.into_endpoint(mallory.options.link, Some(gate.server_config().unwrap())).unwrap();
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..n).map(|_| mpsc::channel(64)).unzip();
    let mut receivers = receivers.into_iter();
    let play = Arc::new(Play {
        own,
        endpoint: endpoint.clone(),
        stage: Arc::new(stage),
        heard: watch::Sender::new(PerParty::from_fn(n, |_| None)),
        ended: watch::Sender::new(0),
        incoming: PerParty::from_fn(n, |_| Mutex::new(receivers.next())),
        mallory,
    });
    tokio::spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            let (gate, keys, senders) = (gate.clone(), keys.clone(), senders.clone());
            tokio::spawn(async move {
                let Ok(admitted) = gate.admit(incoming).await else { return };
                let from = keys.iter().position(|k| *k == admitted.key).unwrap();
                let _ = senders[from].send(admitted.connection).await;
            });
        }
    });
    let mut conversations = tokio::task::JoinSet::new();
    for p in play.me().others(n) {
        let play = play.clone();
        conversations.spawn(async move {
            let connection = play.connection(p).await;
            let _ = play.with_party(p, connection.clone()).await;
            connection.closed().await;
        });
    }
    if let Some(dealer) = play.mallory.options.dealer.clone() {
        let play = play.clone();
        conversations.spawn(async move {
            let connection = play.dial(&dealer).await;
            let _ = play.with_dealer(connection.clone()).await;
            connection.closed().await;
        });
    }
    while conversations.join_next().await.is_some() {}
}

impl Play {
    fn me(&self) -> PartyId {
        self.mallory.options.me
    }

    async fn connection(&self, p: PartyId) -> Connection {
        if p > self.me() {
            return self.dial(&self.mallory.options.parties[p.index()]).await;
        }
        let mut incoming = self.incoming[p].lock().unwrap().take().unwrap();
        incoming.recv().await.unwrap()
    }

    async fn dial(&self, target: &Member) -> Connection {
        loop {
            let link = self.mallory.options.link;
            if let Ok(connection) = dial(&self.endpoint, &self.own, link, target).await {
                return connection;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn roster(&self) -> [u8; 32] {
        let options = &self.mallory.options;
        let keys: Vec<_> = options.parties.iter().map(|m| m.key).collect();
        roster_digest(&keys, options.dealer.as_ref().map(|d| &d.key))
    }

    /// The session's id as `p` should compute it, once everyone's nonce is known.
    async fn session(&self, p: PartyId) -> SessionId {
        let (me, options) = (self.me(), &self.mallory.options);
        let mut heard = self.heard.subscribe();
        let known = |nonces: &PerParty<Option<[u8; 32]>>| nonces.iter().all(|(q, v)| q == me || v.is_some());
        let nonces = heard.wait_for(known).await.unwrap().clone();
        let nonces = PerParty::from_fn(nonces.parties(), |q| nonces[q].unwrap_or(self.mallory.nonces[p]));
        let terms = SessionTerms {
            protocol_version: options.protocol_version.into(),
            program: options.program_digest,
            parameters: options.parameters_digest,
            parties: options.parties.iter().map(|m| *m.key.as_bytes()).collect(),
            dealer: options.dealer.as_ref().map(|d| *d.key.as_bytes()),
            nonces: nonces.into_vec(),
        };
        terms.id()
    }

    async fn line(&self, connection: &Connection, to: Peer, opens: bool) -> Result<Line, Over> {
        let stream = if opens { connection.open_bi().await } else { connection.accept_bi().await };
        let (send, recv) = stream.map_err(|_| Over)?;
        Ok(Line { connection: connection.clone(), send, recv, to, stage: self.stage.clone() })
    }

    async fn with_party(&self, p: PartyId, connection: Connection) -> Result<(), Over> {
        let (me, options) = (self.me(), &self.mallory.options);
        let to = Peer::Party(p);
        let mut control = self.line(&connection, to, me < p).await?;
        let hello = Hello {
            version: options.protocol_version,
            parties: options.parties.len() as u8,
            me: me.index() as u8,
            you: p.index() as u8,
            roster: self.roster(),
            program: options.program_digest,
            parameters: options.parameters_digest,
            nonce: self.mallory.nonces[p],
        };
        let theirs = if me < p {
            control.say(Kind::Hello, &hello.encode()).await?;
            control.hear().await?
        } else {
            let theirs = control.hear().await?;
            control.say(Kind::Hello, &hello.encode()).await?;
            theirs
        };
        let mut d = Decoder::new(&theirs);
        let version = decode_greeting(&mut d).map_err(|_| Over)?;
        let theirs = Hello::decode_after_greeting(version, &mut d).map_err(|_| Over)?;
        self.heard.send_modify(|nonces| nonces[p] = Some(theirs.nonce));

        let session = self.session(p).await;
        let exported = Exported::from_connection(&connection).map_err(|_| Over)?;
        let [ours, yours] = [me, p].map(|sender| exported.align_key(&session, sender));
        let test = RowTest::new(&rows(&exported.rows_key(&session)).map_err(|_| Over)?, ours, yours)
            .map_err(|_| Over)?;
        let confirm = Confirm { session: session.0, row_order: Some(test.blinded()) };
        control.say(Kind::Confirm, &confirm.encode()).await?;
        let theirs = Confirm::decode(&control.hear().await?).map_err(|_| Over)?;
        let answers = theirs.row_order.and_then(|point| test.answer(point)).ok_or(Over)?;
        control.say(Kind::RowAnswer, &answers.ours).await?;
        control.hear().await?;

        let mut lane = self.line(&connection, to, me < p).await?;
        if me < p {
            lane.say_raw(Kind::LaneWord, vec![0, 0]).await?;
        } else {
            lane.hear_raw(2).await?;
        }
        control.say(Kind::Before, WORD).await?;
        control.hear().await?;
        for (round, bytes) in (0..).zip(ROUND_BYTES) {
            let message = vec![me.index() as u8; bytes];
            lane.say_raw(Kind::Round(round), frames(round_tag(round), &message)).await?;
            hear_frames(&mut lane, bytes).await?;
        }
        let tag = Tag { lane: 0, node: node::CLOSE, iteration: 0, round: 0 };
        lane.say_raw(Kind::Closing, frames(tag, &session.0)).await?;
        hear_frames(&mut lane, session.0.len()).await?;
        self.ended.send_modify(|ended| *ended += 1);
        control.say(Kind::After, WORD).await?;
        control.hear().await.map(drop)
    }

    async fn with_dealer(&self, connection: Connection) -> Result<(), Over> {
        let options = &self.mallory.options;
        let mut control = self.line(&connection, Peer::Dealer, true).await?;
        control.say(Kind::Greeting, &encode_greeting(options.protocol_version).finish()).await?;
        control.hear().await?;
        let first = self.me().others(options.parties.len()).next().unwrap();
        let hello = DealerHello {
            session: self.session(first).await.0,
            parties: options.parties.len() as u8,
            me: self.me().index() as u8,
            roster: self.roster(),
            program: options.program_digest,
            parameters: options.parameters_digest,
            demand: options.demand.clone(),
        };
        control.say(Kind::Demand, &hello.encode()).await?;
        control.hear().await?;
        control.say(Kind::Before, WORD).await?;
        control.hear().await?;
        if self.mallory.takes_corrections {
            tokio::spawn({
                let connection = connection.clone();
                async move {
                    let Ok(mut stream) = connection.accept_uni().await else { return };
                    while let Ok(Some(_)) = stream.read_chunk(1 << 20, true).await {}
                }
            });
        }
        let others = options.parties.len() - 1;
        self.ended.subscribe().wait_for(|ended| *ended == others).await.map_err(|_| Over)?;
        control.say(Kind::Goodbye, b"done").await?;
        control.say(Kind::After, WORD).await?;
        control.hear().await.map(drop)
    }
}

/// A message cut into frames, as it goes onto a lane.
pub(super) fn frames(tag: Tag, message: &[u8]) -> Vec<u8> {
    frame::split(&frame::Outgoing::whole(tag, bytes::Bytes::copy_from_slice(message))).concat()
}

async fn hear_frames(lane: &mut Line, mut bytes: usize) -> Result<(), Over> {
    while bytes > 0 {
        let header = lane.hear_raw(Header::BYTES).await?;
        let header = Header::decode(header.as_slice().try_into().unwrap()).map_err(|_| Over)?;
        lane.hear_raw(header.payload).await?;
        bytes = bytes.checked_sub(header.payload).ok_or(Over)?;
    }
    Ok(())
}
