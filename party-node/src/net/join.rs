//! Finding each other: every pair of parties ends with one connection on which both have said hello and agree.
//!
//! The party with the lower index dials, the other accepts. A party that waits in vain for a dial looks at the other
//! side itself after a while: if two configs list the parties in different orders, both could wait for ever, and this
//! way both learn what differs.

use std::sync::Arc;
use std::time::Duration;

use mpc_core::channel::Peer;
use mpc_core::party::PartyId;
use mpc_core::wire::Decoder;
use quinn::{Connection, Incoming, RecvStream, VarInt};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::accept::{Admitted, GREETING_MS, Gate};
use super::control::{ControlError, lost, read_message, write_message};
use super::dial::Dialer;
use super::error::{Difference, Names, NetError};
use super::hello::{HELLO_MAX_BYTES, Hello, close_code, decode_greeting, encode_greeting};
use super::keys::short;
use super::links::closed_or_silent;
use super::options::{Member, Notice};
use super::pace::Pace;
use super::present::{Greeted, Met, Present, connected_already};

/// How long a party waits for a dial before it looks for itself.
const PROBE_AFTER_MS: u64 = 2_000;
/// How long a hello that differs may take to reach the peer before the connection is closed.
const LAST_WORD_MS: u64 = 1_000;
/// Notes that an error message repeats.
const NOTES_MAX: usize = 4;

enum Event {
    Joined(Peer, Greeted),
    /// The session cannot come about; the peer is whom it is about.
    Failed(Peer, NetError),
    Note(Peer, String),
    Stranger(String),
}

/// Everything that finding each other needs.
#[derive(Clone)]
pub(crate) struct Meeting {
    pub(crate) me: PartyId,
    pub(crate) parties: Arc<Vec<Member>>,
    pub(crate) dealer: Option<Member>,
    pub(crate) dialer: Dialer,
    pub(crate) gate: Gate,
    pub(crate) names: Names,
    /// Our hello but for the index of the addressee.
    pub(crate) program: [u8; 32],
    pub(crate) parameters: [u8; 32],
    pub(crate) roster: [u8; 32],
    pub(crate) version: u16,
    pub(crate) nonce: [u8; 32],
    pub(crate) deadline: Instant,
    pub(crate) connect_timeout_ms: u64,
    pub(crate) notice: Notice,
    pub(crate) met: Met,
}

impl Meeting {
    /// Waits until everybody is there and agrees, or until one of them cannot agree or the deadline passes.
    pub(crate) async fn gather(self) -> Result<Present, NetError> {
        let (tell, mut events) = mpsc::channel(64);
        let mut tasks = tokio::task::JoinSet::new();
        for p in self.me.others(self.parties.len()) {
            let (meeting, tell) = (self.clone(), tell.clone());
            tasks.spawn(async move {
                if p > meeting.me { meeting.dial_party(p, tell).await } else { meeting.probe(p, tell).await }
            });
        }
        if let Some(dealer) = self.dealer.clone() {
            let (meeting, tell) = (self.clone(), tell.clone());
            tasks.spawn(async move { meeting.dial_dealer(&dealer, tell).await });
        }
        // Outlives the gathering: later connections are turned away politely, so that who is early for the next
        // session dials again.
        tokio::spawn(self.clone().accept_all(tell.clone()));
        self.coordinate(&mut events, &tell).await
    }

    async fn coordinate(
        &self,
        events: &mut mpsc::Receiver<Event>,
        tell: &mpsc::Sender<Event>,
    ) -> Result<Present, NetError> {
        let mut present = Present { parties: self.parties.iter().map(|_| None).collect(), dealer: None };
        let mut notes: Vec<String> = Vec::new();
        let mut reasons: Vec<(Peer, String)> = Vec::new();
        let pace = Pace::new();
        loop {
            let missing = self.missing(&present);
            if missing.is_empty() {
                self.met.settle(&present);
                return Ok(present);
            }
            let Ok(Some(event)) = timeout_at(self.deadline, events.recv()).await else {
                let known =
                    |peer| reasons.iter().find(|(p, _)| *p == peer).map(|(_, why)| format!(", {why}"));
                let absent = missing.iter().map(|&(peer, member)| {
                    (member.name.clone(), format!("{}{}", member.address, known(peer).unwrap_or_default()))
                });
                let waited_ms = self.connect_timeout_ms;
                let error = NetError::Absent { absent: absent.collect(), waited_ms, notes };
                let culprit = missing.first().map(|&(peer, _)| peer);
                self.met.give_up(&self.dialer.endpoint, culprit, &error).await;
                return Err(error);
            };
            match event {
                Event::Joined(peer, greeted) => {
                    self.notice.say(&format!("connected to {}", self.names.of(peer)));
                    let slot = match peer {
                        Peer::Party(p) => &mut present.parties[p.index()],
                        Peer::Dealer => &mut present.dealer,
                    };
                    if slot.is_some() {
                        connected_already(&greeted.connection);
                        continue;
                    }
                    self.watch(peer, greeted.connection.clone(), tell.clone());
                    *slot = Some(greeted);
                }
                Event::Failed(peer, error) => {
                    let culprit = error.culprit(peer, &self.names);
                    self.met.give_up(&self.dialer.endpoint, culprit, &error).await;
                    return Err(error);
                }
                Event::Note(peer, why) => {
                    reasons.retain(|(p, _)| *p != peer);
                    reasons.push((peer, why));
                }
                Event::Stranger(note) => {
                    if let Some(note) = pace.pass(&note) {
                        self.notice.say(&note);
                    }
                    if notes.len() < NOTES_MAX && !notes.contains(&note) {
                        notes.push(note);
                    }
                }
            }
        }
    }

    fn missing(&self, present: &Present) -> Vec<(Peer, &Member)> {
        let parties = PartyId::all(self.parties.len())
            .filter(|&p| p != self.me && present.parties[p.index()].is_none())
            .map(|p| (Peer::Party(p), &self.parties[p.index()]));
        let dealer = self.dealer.as_ref().filter(|_| present.dealer.is_none()).map(|d| (Peer::Dealer, d));
        parties.chain(dealer).collect()
    }

    /// A peer that leaves while others are still awaited ends the attempt.
    fn watch(&self, peer: Peer, connection: Connection, tell: mpsc::Sender<Event>) {
        let names = self.names.clone();
        tokio::spawn(async move {
            let reason = closed_or_silent(&connection).await;
            let _ = tell.send(Event::Failed(peer, lost(&names, peer, &reason))).await;
        });
    }

    async fn dial_party(self, p: PartyId, tell: mpsc::Sender<Event>) {
        let peer = Peer::Party(p);
        let greet = |connection| self.greet_as_dialer(p, connection);
        let note = |why| drop(tell.try_send(Event::Note(peer, why)));
        let result = self.dialer.dial(peer, &self.parties[p.index()], greet, note).await;
        self.report(p, result, &tell).await;
    }

    async fn report(
        &self,
        p: PartyId,
        result: Result<(Greeted, Hello), NetError>,
        tell: &mpsc::Sender<Event>,
    ) {
        let peer = Peer::Party(p);
        let event = match result.and_then(|(g, theirs)| self.compare(p, &theirs).map(|()| g)) {
            Ok(greeted) => Event::Joined(peer, greeted),
            Err(error) => Event::Failed(peer, error),
        };
        let _ = tell.send(event).await;
    }

    /// Looks why a party that should dial does not. Only a difference is of interest: if all is well, it will dial.
    async fn probe(self, p: PartyId, tell: mpsc::Sender<Event>) {
        sleep(Duration::from_millis(PROBE_AFTER_MS)).await;
        let target = &self.parties[p.index()];
        let greet = |connection| self.greet_as_dialer(p, connection);
        let Ok((greeted, theirs)) = self.dialer.dial(Peer::Party(p), target, greet, drop).await else {
            return;
        };
        match self.compare(p, &theirs) {
            Ok(()) => greeted.connection.close(VarInt::from_u32(close_code::BUSY), b"looked only"),
            Err(error) => drop(tell.send(Event::Failed(Peer::Party(p), error)).await),
        }
    }

    async fn greet_as_dialer(
        &self,
        p: PartyId,
        connection: Connection,
    ) -> Result<(Greeted, Hello), ControlError> {
        self.met.add(&connection);
        let (mut send, mut recv) = connection.open_bi().await.map_err(ControlError::Lost)?;
        write_message(&connection, &mut send, &self.hello(p).encode()).await?;
        let theirs = read_hello(&connection, &mut recv, self.version).await?;
        Ok((Greeted { connection, send, recv, nonce: theirs.nonce }, theirs))
    }

    async fn dial_dealer(self, dealer: &Member, tell: mpsc::Sender<Event>) {
        let (version, met) = (self.version, &self.met);
        let greet = |connection: Connection| async move {
            met.add(&connection);
            let (mut send, mut recv) = connection.open_bi().await.map_err(ControlError::Lost)?;
            write_message(&connection, &mut send, &encode_greeting(version).finish()).await?;
            let theirs = read_message(&connection, &mut recv, HELLO_MAX_BYTES).await?;
            let theirs = decode_greeting(&mut Decoder::new(&theirs)).map_err(ControlError::malformed)?;
            Ok((Greeted { connection, send, recv, nonce: [0; 32] }, theirs))
        };
        let note = |why| drop(tell.try_send(Event::Note(Peer::Dealer, why)));
        let event = match self.dialer.dial(Peer::Dealer, dealer, greet, note).await {
            Ok((_, theirs)) if theirs != version => {
                Event::Failed(Peer::Dealer, version_differs(&dealer.name, version, theirs))
            }
            Ok((greeted, _)) => Event::Joined(Peer::Dealer, greeted),
            Err(error) => Event::Failed(Peer::Dealer, error),
        };
        let _ = tell.send(event).await;
    }

    async fn accept_all(self, tell: mpsc::Sender<Event>) {
        while let Some(incoming) = self.dialer.endpoint.accept().await {
            if tell.is_closed() {
                incoming.refuse();
                continue;
            }
            let (meeting, tell) = (self.clone(), tell.clone());
            tokio::spawn(async move { meeting.accept_one(incoming, tell).await });
        }
    }

    async fn accept_one(self, incoming: Incoming, tell: mpsc::Sender<Event>) {
        let Admitted { connection, key, permit: _permit } = match self.gate.admit(incoming).await {
            Ok(admitted) => admitted,
            Err(note) => return drop(tell.send(Event::Stranger(note)).await),
        };
        self.met.add(&connection);
        let Some(p) = PartyId::all(self.parties.len()).find(|p| self.parties[p.index()].key == key) else {
            return;
        };
        let greeting =
            timeout(Duration::from_millis(GREETING_MS), self.greet_as_acceptor(p, &connection)).await;
        let result = match greeting {
            // A peer that leaves before it greets dials again if it means it.
            Err(_) | Ok(Err(ControlError::Lost(_))) => return,
            Ok(Err(error)) => Err(error.into_net_error(&self.names, Peer::Party(p))),
            Ok(Ok(greeted)) => Ok(greeted),
        };
        if let Ok((greeted, theirs)) = &result
            && p > self.me
            && self.compare(p, theirs).is_ok()
        {
            return greeted.connection.close(VarInt::from_u32(close_code::BUSY), b"the other side dials");
        }
        self.report(p, result, &tell).await;
    }

    async fn greet_as_acceptor(
        &self,
        p: PartyId,
        connection: &Connection,
    ) -> Result<(Greeted, Hello), ControlError> {
        let (mut send, mut recv) = connection.accept_bi().await.map_err(ControlError::Lost)?;
        let theirs = read_hello(connection, &mut recv, self.version).await?;
        write_message(connection, &mut send, &self.hello(p).encode()).await?;
        if self.compare(p, &theirs).is_err() && send.finish().is_ok() {
            // The dialler must see our hello to report the same difference.
            let _ = timeout(Duration::from_millis(LAST_WORD_MS), send.stopped()).await;
        }
        Ok((Greeted { connection: connection.clone(), send, recv, nonce: theirs.nonce }, theirs))
    }

    pub(crate) fn hello(&self, to: PartyId) -> Hello {
        Hello {
            version: self.version,
            parties: self.parties.len() as u8,
            me: self.me.index() as u8,
            you: to.index() as u8,
            roster: self.roster,
            program: self.program,
            parameters: self.parameters,
            nonce: self.nonce,
        }
    }

    pub(crate) fn compare(&self, p: PartyId, theirs: &Hello) -> Result<(), NetError> {
        let peer = self.parties[p.index()].name.clone();
        let ours = self.hello(p);
        if theirs.version != ours.version {
            return Err(version_differs(&peer, ours.version, theirs.version));
        }
        let index = |me: u8, n: u8| format!("{me} of {n}");
        let differs = |what, ours, theirs| Err(NetError::Mismatch { peer: peer.clone(), what, ours, theirs });
        for (what, a, b) in [
            (Difference::Roster, &ours.roster, &theirs.roster),
            (Difference::Program, &ours.program, &theirs.program),
            (Difference::Parameters, &ours.parameters, &theirs.parameters),
        ] {
            if a != b {
                return differs(what, short(a), short(b));
            }
        }
        if (theirs.me, theirs.you, theirs.parties) != (ours.you, ours.me, ours.parties) {
            return differs(
                Difference::Index,
                index(ours.you, ours.parties),
                index(theirs.me, theirs.parties),
            );
        }
        Ok(())
    }
}

/// Reads a hello of our version whole, of another version only so far.
pub(crate) async fn read_hello(
    connection: &Connection,
    recv: &mut RecvStream,
    ours: u16,
) -> Result<Hello, ControlError> {
    let bytes = read_message(connection, recv, HELLO_MAX_BYTES).await?;
    let mut d = Decoder::new(&bytes);
    let version = decode_greeting(&mut d).map_err(ControlError::malformed)?;
    if version != ours {
        return Ok(Hello::of_version(version));
    }
    let hello = Hello::decode_after_greeting(version, &mut d).map_err(ControlError::malformed)?;
    d.finish().map_err(ControlError::malformed)?;
    Ok(hello)
}

fn version_differs(peer: &str, ours: u16, theirs: u16) -> NetError {
    NetError::Version { peer: peer.into(), ours: ours.to_string(), theirs: theirs.to_string() }
}
