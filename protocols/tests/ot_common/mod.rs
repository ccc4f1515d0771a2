//! Parties that extend OTs, over channels that may watch or disturb what passes.

#![allow(dead_code, unreachable_pub, reason = "each test file includes this one and uses its part")]

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use mpc_core::channel::{Channel, ChannelError};
use mpc_core::local::network;
use mpc_core::party::{PartyId, PerParty};
use mpc_core::prg::Seed;
use mpc_core::tag::{SessionId, Tag};
use protocols::error::PrepError;
use protocols::ot::extension::{CotCount, Extension, PairCots, ReceivedCots, SentCots};
use protocols::ot::lane::OtLane;
use protocols::ot::softspoken::{FieldBits, Security, SoftSpoken};

pub const P0: PartyId = PartyId::new(0);
pub const P1: PartyId = PartyId::new(1);
pub const SESSION: SessionId = SessionId([7; 32]);

pub const FIELDS: [FieldBits; 4] = [FieldBits::One, FieldBits::Two, FieldBits::Four, FieldBits::Eight];
pub const SECURITIES: [Security; 2] = [Security::SemiHonest, Security::MaliciousReceiver];

/// Gives every message that a party sends to `on_send`, with the number of the exchange, and sends what comes back.
pub struct Watched<F> {
    pub inner: Box<dyn Channel>,
    pub exchanges: usize,
    pub on_send: F,
}

impl<F: FnMut(usize, PartyId, Bytes) -> Bytes + Send> Channel for Watched<F> {
    fn me(&self) -> PartyId {
        self.inner.me()
    }
    fn parties(&self) -> usize {
        self.inner.parties()
    }
    fn exchange(
        &mut self,
        tag: Tag,
        send: PerParty<Option<Bytes>>,
        expect: PerParty<Option<usize>>,
    ) -> Result<PerParty<Option<Bytes>>, ChannelError> {
        let at = self.exchanges;
        self.exchanges += 1;
        let send = PerParty::from_fn(send.parties(), |p| send[p].clone().map(|m| (self.on_send)(at, p, m)));
        self.inner.exchange(tag, send, expect)
    }
}

/// In-memory channels as `dyn Channel`.
pub fn channels(n: usize) -> Vec<Box<dyn Channel>> {
    network(n).into_iter().map(|c| Box::new(c) as Box<dyn Channel>).collect()
}

/// In-memory channels; party 0's messages go through `on_send`.
pub fn disturbed(
    n: usize,
    on_send: impl FnMut(usize, PartyId, Bytes) -> Bytes + Send + 'static,
) -> Vec<Box<dyn Channel>> {
    let mut channels = channels(n);
    let inner = channels.remove(0);
    channels.insert(0, Box::new(Watched { inner, exchanges: 0, on_send }));
    channels
}

/// A hash over all that every party sends, party by party.
pub fn traced(n: usize) -> (Vec<Box<dyn Channel>>, impl Fn() -> String) {
    let hashes: Vec<_> = (0..n).map(|_| Arc::new(Mutex::new(blake3::Hasher::new()))).collect();
    let channels = channels(n)
        .into_iter()
        .zip(hashes.clone())
        .map(|(inner, hash)| {
            let on_send = move |at: usize, to: PartyId, message: Bytes| {
                let mut hash = hash.lock().expect("no thread panicked");
                hash.update(&[at as u8, to.index() as u8]).update(&message);
                message
            };
            Box::new(Watched { inner, exchanges: 0, on_send }) as Box<dyn Channel>
        })
        .collect();
    let digest = move || {
        let mut all = blake3::Hasher::new();
        hashes
            .iter()
            .for_each(|h| _ = all.update(h.lock().expect("no thread panicked").finalize().as_bytes()));
        all.finalize().to_hex()[..32].to_string()
    };
    (channels, digest)
}

/// The seed of a party's randomness.
pub fn seed_of(p: PartyId, number: u8) -> Seed {
    let mut bytes = [number; 32];
    bytes[0] = p.index() as u8;
    Seed::new(bytes)
}

/// Runs every party in a thread of its own.
pub fn run<T: Send>(
    channels: Vec<Box<dyn Channel>>,
    party: impl Fn(&mut OtLane) -> T + Send + Sync,
) -> Vec<T> {
    let sessions = vec![SESSION; channels.len()];
    run_sessions(channels, &sessions, party)
}

/// The same with a session for each party.
pub fn run_sessions<T: Send>(
    channels: Vec<Box<dyn Channel>>,
    sessions: &[SessionId],
    party: impl Fn(&mut OtLane) -> T + Send + Sync,
) -> Vec<T> {
    let party = &party;
    std::thread::scope(|scope| {
        let start = |(channel, &session)| scope.spawn(move || party(&mut OtLane::new(channel, session)));
        let threads: Vec<_> = channels.into_iter().zip(sessions).map(start).collect();
        threads.into_iter().map(|t| t.join().expect("the party did not panic")).collect()
    })
}

pub type Cots = PerParty<Option<PairCots>>;

/// Every party extends for each of the counts in turn; count (a, b) is what party a sends to party b as COTs.
pub fn extended(
    channels: Vec<Box<dyn Channel>>,
    field: FieldBits,
    security: Security,
    number: u8,
    batches: &[&(dyn Fn(PartyId, PartyId) -> usize + Sync)],
) -> Vec<Result<Vec<Cots>, PrepError>> {
    run(channels, |lane| {
        let (me, n) = (lane.me(), lane.parties());
        let mut extension = SoftSpoken::new(field, security, seed_of(me, number));
        let counts = |count: &dyn Fn(PartyId, PartyId) -> usize| {
            PerParty::from_fn(n, |p| {
                (p != me).then(|| CotCount { sent: count(me, p), received: count(p, me) })
            })
        };
        batches.iter().map(|batch| extension.extend(lane, &counts(batch))).collect()
    })
}

/// Number of COTs in which the relation does not hold.
pub fn wrong(sent: &SentCots, received: &ReceivedCots) -> usize {
    assert_eq!(sent.q.len(), received.t.len());
    assert_eq!(received.choices.len(), received.t.len().div_ceil(64));
    assert_eq!(sent.first, received.first);
    (0..sent.q.len())
        .filter(|&i| {
            let c = received.choices[i / 64] >> (i % 64) & 1;
            received.t[i] != sent.q[i] ^ (*sent.delta & u128::from(c).wrapping_neg())
        })
        .count()
}
