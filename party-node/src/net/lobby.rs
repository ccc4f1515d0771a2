//! Where parties wait at the dealer until all of their session have come and agree.

use std::collections::HashMap;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mpc_core::channel::Peer;
use mpc_core::party::PartyId;
use mpc_core::wire::Decoder;
use quinn::{Connection, Endpoint, Incoming, RecvStream, SendStream, VarInt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::accept::{Admitted, GREETING_MS, Gate};
use super::confirm::DEALER_READY;
use super::control::{ControlError, lost, read_message, write_message};
use super::dealer_server::DealerOptions;
use super::error::{Difference, Names, NetError};
use super::hello::{
    Abort, DEALER_HELLO_MAX_BYTES, DealerHello, HELLO_MAX_BYTES, close_code, decode_greeting, encode_greeting,
};
use super::keys::short;
use super::links::closed_or_silent;
use super::pace::Pace;
use super::quorum::{Asker, Quorum, disagreement};

/// Connections of one party that may wait for a session, each with a demand of up to 1 MiB. Every party has places of its
/// own, so that one that takes all it can get keeps nobody else out.
const PLACES_OF_A_PARTY: usize = 12;
/// Failed attempts that may wait to be taken: fewer than places, so that there is always room for a session.
const REPORTS_MAX: usize = 8;
/// How long a greeting that differs, or the answer to a demand, may take to reach the peer.
const LAST_WORD_MS: u64 = 1_000;

/// What the dealer is told: a session, or an attempt that failed.
pub(crate) type Report = Result<Quorum, (NetError, OwnedSemaphorePermit)>;

type Waiting = HashMap<[u8; 32], Vec<Option<Asker>>>;

/// See the module.
#[derive(Clone)]
pub(crate) struct Lobby {
    gate: Gate,
    options: Arc<DealerOptions>,
    names: Names,
    roster: [u8; 32],
    waiting: Arc<Mutex<Waiting>>,
    /// By party.
    places: Vec<Arc<Semaphore>>,
    reports: Arc<Semaphore>,
    pace: Arc<Pace>,
    tell: SyncSender<Report>,
}

impl Lobby {
    pub(crate) fn new(
        gate: Gate,
        options: DealerOptions,
        roster: [u8; 32],
        tell: SyncSender<Report>,
    ) -> Self {
        let names = Names::new(options.parties.iter().map(|m| m.name.clone()), Some("this dealer".into()));
        let places = || Arc::new(Semaphore::new(PLACES_OF_A_PARTY));
        Self {
            gate,
            places: options.parties.iter().map(|_| places()).collect(),
            options: Arc::new(options),
            names,
            roster,
            waiting: Arc::default(),
            reports: Arc::new(Semaphore::new(REPORTS_MAX)),
            pace: Arc::new(Pace::new()),
            tell,
        }
    }

    pub(crate) async fn run(self, endpoint: Endpoint) {
        while let Some(incoming) = endpoint.accept().await {
            let lobby = self.clone();
            tokio::spawn(async move { lobby.receive(incoming).await });
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn receive(self, incoming: Incoming) {
        let Admitted { connection, key, permit } = match self.gate.admit(incoming).await {
            Ok(admitted) => admitted,
            Err(note) => return self.say(&note),
        };
        let Some(p) = self.options.parties.iter().position(|m| m.key == key).map(PartyId::new) else {
            return;
        };
        let Ok(place) = self.places[p.index()].clone().try_acquire_owned() else {
            return connection.close(VarInt::from_u32(close_code::BUSY), b"too many connections");
        };
        let greeting = timeout(Duration::from_millis(GREETING_MS), self.greet(&connection)).await;
        drop(permit);
        let name = self.names.party(p);
        let (send, mut recv) = match greeting {
            Err(_) => return self.say(&format!("{name} connected and said nothing")),
            Ok(Err(ControlError::Lost(_))) => return,
            Ok(Err(error)) => {
                return self.refuse(p, &connection, error.into_net_error(&self.names, Peer::Party(p)));
            }
            Ok(Ok((_, _, version))) if version != self.options.protocol_version => {
                let (ours, theirs) = (self.options.protocol_version.to_string(), version.to_string());
                return self.refuse(p, &connection, NetError::Version { peer: name.into(), ours, theirs });
            }
            Ok(Ok((send, recv, _))) => (send, recv),
        };
        // The parties may wait long for each other before they know what to ask for.
        let patience = Duration::from_millis(self.options.session_timeout_ms);
        let hello = match timeout(patience, read_message(&connection, &mut recv, DEALER_HELLO_MAX_BYTES))
            .await
        {
            Err(_) => {
                let reason = format!("it asked for nothing within {} ms", self.options.session_timeout_ms);
                return self.refuse(p, &connection, NetError::Lost { peer: name.into(), reason });
            }
            // It gave up before the session existed: the matter of the parties alone.
            Ok(Err(ControlError::Lost(reason))) => {
                return self.say(&lost(&self.names, Peer::Party(p), &reason).to_string());
            }
            Ok(Err(error)) => {
                return self.refuse(p, &connection, error.into_net_error(&self.names, Peer::Party(p)));
            }
            Ok(Ok(bytes)) => DealerHello::decode(&bytes),
        };
        match hello {
            Err(e) => {
                let error = ControlError::malformed(e).into_net_error(&self.names, Peer::Party(p));
                self.refuse(p, &connection, error);
            }
            Ok(hello) => match self.check(p, &hello) {
                Err(error) => self.refuse(p, &connection, error),
                Ok(()) => self.seat(p, Asker { connection, send, recv, hello, _place: place }).await,
            },
        }
    }

    pub(crate) async fn greet(
        &self,
        connection: &Connection,
    ) -> Result<(SendStream, RecvStream, u16), ControlError> {
        let (mut send, mut recv) = connection.accept_bi().await.map_err(ControlError::Lost)?;
        let theirs = read_message(connection, &mut recv, HELLO_MAX_BYTES).await?;
        let theirs = decode_greeting(&mut Decoder::new(&theirs)).map_err(ControlError::malformed)?;
        write_message(connection, &mut send, &encode_greeting(self.options.protocol_version).finish())
            .await?;
        if theirs != self.options.protocol_version && send.finish().is_ok() {
            let _ = timeout(Duration::from_millis(LAST_WORD_MS), send.stopped()).await;
        }
        Ok((send, recv, theirs))
    }

    pub(crate) fn check(&self, p: PartyId, hello: &DealerHello) -> Result<(), NetError> {
        let peer = self.names.party(p).to_owned();
        let differs = |what, ours, theirs| Err(NetError::Mismatch { peer: peer.clone(), what, ours, theirs });
        if hello.roster != self.roster {
            return differs(Difference::Roster, short(&self.roster), short(&hello.roster));
        }
        let n = self.options.parties.len();
        if (usize::from(hello.me), usize::from(hello.parties)) != (p.index(), n) {
            let index = |me: usize, n: usize| format!("{me} of {n}");
            return differs(
                Difference::Index,
                index(p.index(), n),
                index(hello.me.into(), hello.parties.into()),
            );
        }
        Ok(())
    }

    /// Tells of what others did, at a pace that they cannot force.
    fn say(&self, text: &str) {
        if let Some(text) = self.pace.pass(text) {
            self.options.notice.say(&text);
        }
    }

    fn report(&self, error: NetError) {
        self.say(&error.to_string());
        // If nobody takes the reports, they are dropped.
        if let Ok(permit) = self.reports.clone().try_acquire_owned() {
            let _ = self.tell.try_send(Err((error, permit)));
        }
    }

    /// Turns one party away and reports it as a failed attempt.
    fn refuse(&self, p: PartyId, connection: &Connection, error: NetError) {
        close(connection, Some(Peer::Party(p)), &error.for_peers());
        self.report(error);
    }

    async fn seat(&self, p: PartyId, asker: Asker) {
        let session = asker.hello.session;
        let connection = asker.connection.clone();
        let complete = {
            let mut waiting = self.lock();
            let first = !waiting.contains_key(&session);
            let n = self.options.parties.len();
            let seats = waiting.entry(session).or_insert_with(|| (0..n).map(|_| None).collect());
            if seats[p.index()].is_some() {
                return connection.close(VarInt::from_u32(close_code::BUSY), b"connected already");
            }
            seats[p.index()] = Some(asker);
            if first {
                tokio::spawn(self.clone().expire(session));
            }
            if seats.iter().all(Option::is_some) { waiting.remove(&session) } else { None }
        };
        match complete {
            Some(seats) => self.begin(seats.into_iter().flatten().collect()).await,
            None => self.watch(p, session, connection).await,
        }
    }

    /// If a party leaves while others are awaited, its session is over.
    async fn watch(&self, p: PartyId, session: [u8; 32], connection: Connection) {
        let reason = closed_or_silent(&connection).await;
        let mut waiting = self.lock();
        let here = |seats: &Vec<Option<Asker>>| {
            seats[p.index()].as_ref().is_some_and(|a| a.connection.stable_id() == connection.stable_id())
        };
        if waiting.get(&session).is_none_or(|seats| !here(seats)) {
            return;
        }
        let seats = waiting.remove(&session);
        drop(waiting);
        let error = lost(&self.names, Peer::Party(p), &reason);
        let culprit = error.culprit(Peer::Party(p), &self.names);
        self.dismiss(seats.into_iter().flatten().flatten(), culprit, error);
    }

    async fn expire(self, session: [u8; 32]) {
        tokio::time::sleep(Duration::from_millis(self.options.session_timeout_ms)).await;
        let (seats, absent, culprit) = {
            let mut waiting = self.lock();
            let Some(seats) = waiting.remove(&session) else { return };
            let missing = || PartyId::all(seats.len()).filter(|p| seats[p.index()].is_none());
            // Whoever waits under another id may be told a wrong one by somebody, or tell one.
            let elsewhere = |p: &PartyId| waiting.values().any(|seats| seats[p.index()].is_some());
            let place = |p: &PartyId| match elsewhere(p) {
                true => "this dealer, but for another session",
                false => "this dealer",
            };
            let absent: Vec<_> =
                missing().map(|p| (self.names.party(p).to_owned(), place(&p).to_owned())).collect();
            let culprit = missing().find(|p| !elsewhere(p)).map(Peer::Party);
            (seats, absent, culprit)
        };
        let error =
            NetError::Absent { absent, waited_ms: self.options.session_timeout_ms, notes: Vec::new() };
        self.dismiss(seats.into_iter().flatten(), culprit, error);
    }

    /// Sends all parties of a session away and reports it as a failed attempt.
    fn dismiss(&self, askers: impl IntoIterator<Item = Asker>, culprit: Option<Peer>, error: NetError) {
        let reason = error.for_peers();
        askers.into_iter().for_each(|asker| close(&asker.connection, culprit, &reason));
        self.report(error);
    }

    async fn begin(&self, mut askers: Vec<Asker>) {
        let hellos: Vec<_> = askers.iter().map(|asker| &asker.hello).collect();
        if let Some(error) = disagreement(&self.names, &hellos) {
            return self.dismiss(askers, None, error);
        }
        for (i, asker) in askers.iter_mut().enumerate() {
            let p = Peer::Party(PartyId::new(i));
            let answer = write_message(&asker.connection, &mut asker.send, DEALER_READY);
            // A party can refuse to take it and stay.
            let error = match timeout(Duration::from_millis(LAST_WORD_MS), answer).await {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => error.into_net_error(&self.names, p),
                Err(_) => {
                    let reason = "it did not take the dealer's answer".into();
                    NetError::Lost { peer: self.names.of(p).into(), reason }
                }
            };
            let culprit = error.culprit(p, &self.names);
            return self.dismiss(askers, culprit, error);
        }
        let Some(first) = askers.first() else { return };
        let quorum = Quorum { names: self.names.clone(), hello: first.hello.clone(), parties: askers };
        if let Err(refused) = self.tell.try_send(Ok(quorum)) {
            use std::sync::mpsc::TrySendError;
            let (TrySendError::Full(quorum) | TrySendError::Disconnected(quorum)) = refused;
            let reason = "the dealer has too much to do";
            quorum.into_iter().flat_map(|q| q.parties).for_each(|a| close(&a.connection, None, reason));
        }
    }
}

fn close(connection: &Connection, culprit: Option<Peer>, reason: &str) {
    let message = Abort { culprit, reason: reason.to_owned() }.encode();
    connection.close(VarInt::from_u32(close_code::ABORT), &message);
}
