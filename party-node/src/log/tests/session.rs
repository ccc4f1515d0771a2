//! Runs small sessions and keeps their logs.

use std::path::{Path, PathBuf};
use std::thread;

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use mpc_core::channel::{Channel, ChannelError, CorrectionSource, Peer};
use mpc_core::local::network;
use mpc_core::party::{PartyId, PerParty};
use mpc_core::tag::{SessionId, Tag};
use mpc_core::transcript::{
    Close, Commitment, CommitmentKind, CorrectionRecorder, Entry, LogKey, Member, Outcome,
    RecordedCorrections, Recorder, SessionOpen, SessionTerms,
};

use super::super::LogWriter;

pub(super) const NAMES: [&str; 5] = ["bank", "bureau", "telecom", "grocer", "insurer"];
pub(super) const DEALER: &str = "dealer";

pub(super) fn key_of(name: &str) -> SigningKey {
    let seed = name.bytes().fold([7; 32], |mut seed: [u8; 32], b| {
        seed.rotate_left(1);
        seed[0] ^= b;
        seed
    });
    SigningKey::from_bytes(&seed)
}

pub(super) fn member(name: &str) -> Member {
    Member { name: name.to_owned(), key: key_of(name).verifying_key().to_bytes() }
}

/// A session to run.
#[derive(Clone)]
pub(super) struct Plan {
    /// Tells sessions apart: it is everyone's nonce.
    pub(super) number: u8,
    pub(super) parties: usize,
    pub(super) rounds: u32,
    /// Items that the dealer corrects; 0 for a session without dealer.
    pub(super) items: u32,
    /// (party, round): one bit of what that party receives in that round flips before it is recorded.
    pub(super) flip: Option<(usize, u32)>,
    /// (party, round): that party's exchange fails after it has sent, and it goes away.
    pub(super) die: Option<(usize, u32)>,
}

impl Plan {
    pub(super) fn new(parties: usize, rounds: u32) -> Self {
        Self { number: 1, parties, rounds, items: 0, flip: None, die: None }
    }

    /// Runs the session; each member logs into `root/<its name>`. Returns these directories, the dealer's last.
    pub(super) fn run(&self, root: &Path) -> Vec<PathBuf> {
        thread::scope(|scope| {
            let dealer = (self.items > 0).then(|| scope.spawn(|| self.run_dealer(root)));
            let parties: Vec<_> = network(self.parties)
                .into_iter()
                .map(|end| scope.spawn(move || self.run_party(end, root)))
                .collect();
            parties.into_iter().chain(dealer).map(|t| t.join().unwrap()).collect()
        })
    }

    fn nonces(&self) -> Vec<[u8; 32]> {
        vec![[self.number; 32]; self.parties]
    }

    pub(super) fn session(&self) -> SessionId {
        let key = |name: &str| key_of(name).verifying_key().to_bytes();
        let terms = SessionTerms {
            protocol_version: 1,
            program: [1; 32],
            parameters: [2; 32],
            parties: NAMES[..self.parties].iter().map(|n| key(n)).collect(),
            dealer: (self.items > 0).then(|| key(DEALER)),
            nonces: self.nonces(),
        };
        terms.id()
    }

    pub(super) fn open(&self, me: Peer) -> Entry {
        Entry::SessionOpen(SessionOpen {
            session: self.session(),
            protocol_version: 1,
            program: [1; 32],
            parameters: [2; 32],
            me,
            parties: NAMES[..self.parties].iter().map(|n| member(n)).collect(),
            dealer: (self.items > 0).then(|| member(DEALER)),
            nonces: if me == Peer::Dealer { Vec::new() } else { self.nonces() },
            seed_commitment: [3; 32],
        })
    }

    fn correction(item: u32) -> Vec<u8> {
        vec![item as u8; 1 + item as usize % 7]
    }

    fn run_dealer(&self, root: &Path) -> PathBuf {
        let dir = root.join(DEALER);
        let writer = LogWriter::open(&dir, DEALER, key_of(DEALER)).unwrap();
        let handle = writer.handle();
        handle.append(&self.open(Peer::Dealer)).unwrap();
        let to = Peer::Party(PartyId::new(0));
        let key = LogKey::new([99; 32]);
        let mut recorder =
            CorrectionRecorder::new(self.session(), 0, key, Peer::Dealer, to, Box::new(writer.handle()));
        (0..self.items).for_each(|i| recorder.record(i, &Self::correction(i)));
        recorder.finish();
        let (outcome, bytes_sent) = (Outcome::Completed, recorder.traffic().sent);
        handle
            .append(&Entry::Close(Close { session: self.session(), outcome, rounds: 0, bytes_sent }))
            .unwrap();
        writer.close().unwrap();
        dir
    }

    fn run_party<C: Channel>(&self, end: C, root: &Path) -> PathBuf {
        let (me, n) = (end.me(), end.parties());
        let name = NAMES[me.index()];
        let dir = root.join(name);
        let writer = LogWriter::open(&dir, name, key_of(name)).unwrap();
        let handle = writer.handle();
        handle.append(&self.open(Peer::Party(me))).unwrap();
        handle.append(&self.commitment(me)).unwrap();

        let keys = PerParty::from_fn(n, |p| {
            let pair = [me.index().min(p.index()) as u8, me.index().max(p.index()) as u8];
            (p != me).then(|| LogKey::new([16 * pair[0] + pair[1] + 1; 32]))
        });
        let at = |fault: Option<(usize, u32)>| fault.filter(|f| f.0 == me.index()).map(|f| f.1);
        let channel = Faulty { inner: end, flip: at(self.flip), die: at(self.die) };
        let mut recorder = Recorder::new(channel, self.session(), 0, keys, Box::new(writer.handle()));
        let mut failure = None;
        for round in 0..self.rounds {
            if let Err(e) = exchange(&mut recorder, round) {
                failure = Some(e);
                break;
            }
        }
        recorder.finish();
        if me.index() == 0 && self.items > 0 {
            let sink = Box::new(writer.handle());
            let key = LogKey::new([99; 32]);
            let corrections =
                CorrectionRecorder::new(self.session(), 0, key, Peer::Party(me), Peer::Dealer, sink);
            let mut source = RecordedCorrections::new(Corrections, corrections);
            for i in 0..self.items {
                source.next(i, Self::correction(i).len()).unwrap();
            }
            source.finish();
        }
        let outcome = match &failure {
            None => Outcome::Completed,
            Some(e) => Outcome::aborted("channel", Some(e.peer()), &e.to_string()),
        };
        let (rounds, bytes_sent) = (recorder.rounds(), recorder.total_traffic().sent);
        drop(recorder);
        handle.append(&Entry::Close(Close { session: self.session(), outcome, rounds, bytes_sent })).unwrap();
        writer.close().unwrap();
        dir
    }

    fn commitment(&self, me: PartyId) -> Entry {
        let name = format!("{}.columns", NAMES[me.index()]);
        let blind = [me.index() as u8; 32];
        Entry::Commitment(Commitment::new(self.session(), CommitmentKind::Input, &name, &blind, b"values"))
    }
}

/// Every party sends every other a message of its own making.
fn exchange<C: Channel>(channel: &mut C, round: u32) -> Result<(), ChannelError> {
    let (me, n) = (channel.me(), channel.parties());
    let length = 1 + round as usize % 5;
    let message =
        |from: PartyId, to: PartyId| vec![(from.index() * 31 + to.index()) as u8 ^ round as u8; length];
    let send = PerParty::from_fn(n, |p| (p != me).then(|| Bytes::from(message(me, p))));
    let expect = PerParty::from_fn(n, |p| (p != me).then_some(length));
    channel.exchange(Tag { lane: 0, node: 1, iteration: 0, round }, send, expect).map(drop)
}

struct Corrections;

impl CorrectionSource for Corrections {
    fn next(&mut self, item: u32, _bytes: usize) -> Result<Bytes, ChannelError> {
        Ok(Bytes::from(Plan::correction(item)))
    }
}

/// A channel on which things go wrong.
struct Faulty<C> {
    inner: C,
    flip: Option<u32>,
    die: Option<u32>,
}

impl<C: Channel> Channel for Faulty<C> {
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
        let received = self.inner.exchange(tag, send, expect)?;
        let other = self.me().others(self.parties()).next().unwrap();
        if self.die == Some(tag.round) {
            return Err(ChannelError::Lost { peer: Peer::Party(other), reason: "cable cut".to_owned() });
        }
        let flip = self.flip == Some(tag.round);
        Ok(PerParty::from_fn(self.parties(), |p| {
            let message = received[p].clone()?;
            if flip && p == other {
                let mut bad = message.to_vec();
                bad[0] ^= 1;
                return Some(Bytes::from(bad));
            }
            Some(message)
        }))
    }
}
