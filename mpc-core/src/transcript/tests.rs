//! Two or three recorders over an in-process network, and the encoding of every entry.

use std::sync::mpsc::{Sender, channel};
use std::thread;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::channel::{Channel, ChannelError, CorrectionSource, Peer};
use crate::local::{LocalChannel, network};
use crate::party::{PartyId, PerParty};
use crate::tag::{SessionId, Tag};
use crate::wire::WireError;

mod pieces;

const SESSION: SessionId = SessionId([7; 32]);

impl TranscriptSink for Sender<Entry> {
    fn append(&mut self, entry: Entry) {
        self.send(entry).unwrap();
    }
}

fn tag(round: u32) -> Tag {
    Tag { lane: 0, node: 3, iteration: 0, round }
}

/// Pairwise keys that both ends agree on.
fn keys(me: PartyId, n: usize) -> PerParty<Option<LogKey>> {
    PerParty::from_fn(n, |p| {
        let (low, high) = (me.index().min(p.index()), me.index().max(p.index()));
        (p != me).then(|| LogKey::new([(16 * low + high) as u8; 32]))
    })
}

/// Party `me` sends `length` bytes of its own to everybody.
fn round<C: Channel>(channel: &mut C, round: u32, length: usize) -> Result<(), ChannelError> {
    let (me, n) = (channel.me(), channel.parties());
    let message = Bytes::from(vec![me.index() as u8 ^ round as u8; length]);
    let send = PerParty::from_fn(n, |p| (p != me).then(|| message.clone()));
    let expect = PerParty::from_fn(n, |p| (p != me).then_some(length));
    channel.exchange(tag(round), send, expect).map(drop)
}

/// Runs `rounds` rounds at `n` parties; returns each party's batches.
fn run(n: usize, rounds: u32, tamper: impl Fn(PartyId, u32) -> usize + Sync) -> Vec<Vec<Batch>> {
    thread::scope(|scope| {
        let ends: Vec<_> = network(n)
            .into_iter()
            .map(|end| {
                let tamper = &tamper;
                scope.spawn(move || {
                    let (sink, entries) = channel();
                    let me = end.me();
                    let mut recorder = Recorder::new(end, SESSION, 0, keys(me, n), Box::new(sink));
                    for r in 0..rounds {
                        round(&mut recorder, r, tamper(me, r)).unwrap();
                    }
                    recorder.finish();
                    recorder.finish();
                    assert_eq!(recorder.rounds(), u64::from(rounds));
                    drop(recorder);
                    entries
                        .into_iter()
                        .map(|e| match e {
                            Entry::Batch(b) => b,
                            other => panic!("{other}"),
                        })
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        ends.into_iter().map(|t| t.join().unwrap()).collect()
    })
}

#[test]
fn what_one_sent_is_what_the_other_received() {
    for n in [2, 3, 5] {
        let logs = run(n, 150, |_, r| r as usize % 5);
        for (i, mine) in logs.iter().enumerate() {
            let ranges: Vec<_> = mine.iter().map(|b| (b.index, b.first_round, b.last_round)).collect();
            assert_eq!(ranges, [(0, 0, 63), (1, 64, 127), (2, 128, 149)]);
            for batch in mine {
                for to_j in &batch.peers {
                    let Peer::Party(j) = to_j.peer else { panic!("no dealer here") };
                    let theirs = &logs[j.index()][batch.index as usize];
                    let from_me =
                        theirs.peers.iter().find(|p| p.peer == Peer::Party(PartyId::new(i))).unwrap();
                    assert_eq!(to_j.sent, from_me.received);
                    assert_eq!(to_j.sent_bytes, from_me.received_bytes);
                    assert_ne!(to_j.sent, to_j.received, "directions are told apart");
                }
                assert_eq!(batch.peers.len(), n - 1);
            }
        }
    }
}

#[test]
fn equal_messages_have_other_digests_in_another_batch_or_lane_or_under_another_key() {
    let logs = run(2, 128, |_, _| 0);
    let silent: Vec<_> = logs[0].iter().flat_map(|b| [b.peers[0].sent, b.peers[0].received]).collect();
    assert!((0..silent.len()).all(|i| !silent[..i].contains(&silent[i])));

    let digest = |key: u8, lane| {
        let mut sent = Vec::new();
        let (sink, entries) = channel();
        let end = network(2).remove(0);
        let keys = PerParty::from_fn(2, |p| (p.index() == 1).then(|| LogKey::new([key; 32])));
        let mut recorder = Recorder::new(end, SESSION, lane, keys, Box::new(sink));
        recorder.exchange(tag(0), PerParty::from_fn(2, |_| None), PerParty::from_fn(2, |_| None)).unwrap();
        drop(recorder.into_inner());
        for e in entries {
            let Entry::Batch(b) = e else { panic!("{e}") };
            sent.push(b.peers[0].sent);
        }
        sent
    };
    assert_eq!(digest(1, 0), digest(1, 0));
    assert_ne!(digest(1, 0), digest(2, 0));
    assert_ne!(digest(1, 0), digest(1, 1));
}

#[test]
fn bytes_are_counted_per_peer_and_in_total() {
    let mut ends = network(3);
    let mut recorders: Vec<_> = ends
        .drain(..)
        .map(|end| {
            let me = end.me();
            Recorder::new(end, SESSION, 0, keys(me, 3), Box::new(Vec::new()))
        })
        .collect();
    thread::scope(|scope| {
        for r in &mut recorders {
            scope.spawn(move || round(r, 0, 11).unwrap());
        }
    });
    for r in &recorders {
        assert_eq!(r.total_traffic(), Traffic { sent: 22, received: 22 });
        assert!(r.me().others(3).all(|p| r.traffic(p) == Traffic { sent: 11, received: 11 }));
        assert_eq!(r.traffic(r.me()), Traffic::default());
    }
}

#[test]
fn a_failed_exchange_leaves_what_was_completed() {
    let mut ends = network(2);
    let (other, end): (LocalChannel, LocalChannel) = (ends.remove(1), ends.remove(0));
    let (sink, entries) = channel();
    let mut recorder = Recorder::new(end, SESSION, 0, keys(PartyId::new(0), 2), Box::new(sink));
    let nothing = || PerParty::from_fn(2, |_| None);
    recorder.exchange(tag(0), nothing(), PerParty::from_fn(2, |_| None)).unwrap();
    drop(other);
    assert!(round(&mut recorder, 1, 8).is_err());
    recorder.finish();
    assert_eq!(recorder.rounds(), 1);
    assert_eq!(recorder.total_traffic(), Traffic::default(), "an unfinished round is not counted");
    drop(recorder);
    let ranges: Vec<_> = entries
        .into_iter()
        .map(|e| match e {
            Entry::Batch(b) => (b.first_round, b.last_round),
            other => panic!("{other}"),
        })
        .collect();
    assert_eq!(ranges, [(0, 0)]);
}

/// Serves corrections from memory.
struct Served(Vec<u8>);

impl CorrectionSource for Served {
    fn next(&mut self, _item: u32, bytes: usize) -> Result<Bytes, ChannelError> {
        Ok(Bytes::from(self.0.drain(..bytes).collect::<Vec<_>>()))
    }
}

fn corrections(sizes: &[usize], party_piece: usize, dealer_piece: usize) -> (Vec<Entry>, Vec<Entry>) {
    let (dealer_sink, dealer_log) = channel();
    let (party_sink, party_log) = channel();
    let party = Peer::Party(PartyId::new(0));
    let key = || LogKey::new([9; 32]);
    let mut dealer = CorrectionRecorder::new(SESSION, 0, key(), Peer::Dealer, party, Box::new(dealer_sink));
    let mut stream = Vec::new();
    for (i, &size) in sizes.iter().enumerate() {
        let item = vec![i as u8; size];
        item.chunks(dealer_piece).for_each(|piece| dealer.record(i as u32, piece));
        stream.extend(item);
    }
    dealer.finish();
    let recorder = CorrectionRecorder::new(SESSION, 0, key(), party, Peer::Dealer, Box::new(party_sink));
    let mut source = RecordedCorrections::new(Served(stream), recorder);
    for (i, &size) in sizes.iter().enumerate() {
        let mut left = size;
        while left > 0 {
            let piece = left.min(party_piece);
            source.next(i as u32, piece).unwrap();
            left -= piece;
        }
    }
    source.finish();
    assert_eq!(source.traffic().received, dealer.traffic().sent);
    drop((source, dealer));
    (dealer_log.into_iter().collect(), party_log.into_iter().collect())
}

#[test]
fn corrections_match_however_they_were_cut() {
    let sizes: Vec<usize> = (0..600).map(|i| i % 9).collect();
    let (dealer, party) = corrections(&sizes, 2, 5);
    assert_eq!(dealer.len(), 3);
    assert_eq!(dealer.len(), party.len());
    for (d, p) in dealer.iter().zip(&party) {
        let (Entry::Batch(d), Entry::Batch(p)) = (d, p) else { panic!("{d} {p}") };
        assert_eq!(
            (d.lane, d.index, d.first_round, d.last_round),
            (p.lane, p.index, p.first_round, p.last_round)
        );
        assert_eq!(d.lane, correction_lane(0));
        assert_eq!(d.peers[0].sent, p.peers[0].received);
        assert_eq!(d.peers[0].received, p.peers[0].sent);
        assert_eq!(d.peers[0].sent_bytes, p.peers[0].received_bytes);
    }
    // The same bytes divided differently among items are different corrections.
    let digest = |sizes: &[usize]| match &corrections(sizes, 100, 100).0[0] {
        Entry::Batch(b) => b.peers[0].sent,
        other => panic!("{other}"),
    };
    assert_ne!(digest(&[3, 3]), digest(&[2, 4]));
}

fn sample_entries() -> Vec<Entry> {
    let member = |name: &str, key| Member { name: name.into(), key: [key; 32] };
    let open = SessionOpen {
        session: SESSION,
        protocol_version: 1,
        program: [1; 32],
        parameters: [2; 32],
        me: Peer::Party(PartyId::new(1)),
        parties: vec![member("bank", 3), member("bureau", 4)],
        dealer: Some(member("dealer", 5)),
        nonces: vec![[10; 32], [11; 32]],
        seed_commitment: [6; 32],
    };
    let batch = Batch {
        session: SESSION,
        lane: 0,
        index: 0,
        first_round: 0,
        last_round: 63,
        peers: vec![PeerDigests {
            peer: Peer::Party(PartyId::new(0)),
            sent: [8; 32],
            received: [9; 32],
            sent_bytes: 10,
            received_bytes: 11,
        }],
    };
    let close = |outcome| Entry::Close(Close { session: SESSION, outcome, rounds: 64, bytes_sent: 10 });
    vec![
        Entry::SessionOpen(SessionOpen { me: Peer::Dealer, nonces: Vec::new(), ..open.clone() }),
        Entry::SessionOpen(open),
        Entry::Commitment(Commitment::new(SESSION, CommitmentKind::Weights, "weights", &[1; 32], b"value")),
        Entry::Batch(batch),
        Entry::Witnessed(Witnessed { session: SESSION, cosigned: [13; 32] }),
        close(Outcome::Completed),
        close(Outcome::aborted("lost", Some(Peer::Dealer), "connection closed\nby peer")),
    ]
}

#[test]
fn entries_come_back_and_print() {
    for entry in sample_entries() {
        let bytes = entry.encode();
        assert!(bytes.len() < 2048);
        assert_eq!(Entry::decode(&bytes).unwrap(), entry);
        let line = entry.to_string();
        assert!(!line.contains('\n') && line.contains("0707070707070707"), "{line}");
    }
}

#[test]
fn a_flipped_bit_never_decodes_to_the_same_entry_and_cuts_never_decode() {
    for entry in sample_entries() {
        let bytes = entry.encode();
        for i in 0..bytes.len() {
            assert!(Entry::decode(&bytes[..i]).is_err(), "cut at {i}");
            for bit in 0..8 {
                let mut bad = bytes.clone();
                bad[i] ^= 1 << bit;
                if let Ok(other) = Entry::decode(&bad) {
                    assert_ne!(other, entry);
                    assert_eq!(other.encode(), bad, "decoded from a non-canonical encoding");
                }
            }
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(Entry::decode(&longer), Err(WireError::TrailingBytes { left: 1 }));
    }
}

#[test]
fn impossible_rosters_and_batches_are_refused() {
    let entries = sample_entries();
    let Entry::SessionOpen(open) = &entries[1] else { panic!("open") };
    let refused = |change: &dyn Fn(&mut SessionOpen)| {
        let mut bad = open.clone();
        change(&mut bad);
        Entry::decode(&Entry::SessionOpen(bad).encode()).unwrap_err()
    };
    refused(&|o| o.parties.truncate(1));
    refused(&|o| o.parties = (0..6).map(|i| Member { name: format!("p{i}"), key: [i; 32] }).collect());
    refused(&|o| o.parties[1].key = o.parties[0].key);
    refused(&|o| o.parties[1].name = "bank".into());
    refused(&|o| o.parties[1].name = "two words".into());
    refused(&|o| o.dealer.as_mut().unwrap().key = [3; 32]);
    refused(&|o| o.me = Peer::Party(PartyId::new(2)));
    refused(&|o| o.nonces.truncate(1));
    refused(&|o| o.nonces.push([12; 32]));
    refused(&|o| o.me = Peer::Dealer);
    refused(&|o| (o.me, o.dealer) = (Peer::Dealer, None));

    let Entry::Batch(batch) = &entries[3] else { panic!("batch") };
    let refused = |change: &dyn Fn(&mut Batch)| {
        let mut bad = batch.clone();
        change(&mut bad);
        Entry::decode(&Entry::Batch(bad).encode()).unwrap_err()
    };
    refused(&|b| b.peers.clear());
    refused(&|b| b.peers.push(b.peers[0].clone()));
    refused(&|b| b.first_round = 64);
}

#[test]
fn reasons_are_bounded_and_single_line() {
    let Outcome::Aborted { code, reason, .. } = Outcome::aborted(&"c".repeat(500), None, &"é\t".repeat(500))
    else {
        panic!("aborted")
    };
    assert_eq!(code.len(), 64);
    assert!(reason.len() <= MAX_REASON_BYTES && reason.starts_with("é é"));
}

#[test]
fn a_commitment_is_opened_by_its_blind_and_value_at_its_place_alone() {
    use CommitmentKind::{Input, Output, Weights};
    let digest = |session, kind, name: &str, blind: u8, value: &[u8]| {
        Commitment::new(SessionId([session; 32]), kind, name, &[blind; 32], value).blinded
    };
    let digests = [
        digest(7, Input, "age", 1, b"1000"),
        digest(8, Input, "age", 1, b"1000"),
        digest(7, Weights, "age", 1, b"1000"),
        digest(7, Output, "age", 1, b"1000"),
        digest(7, Input, "wage", 1, b"1000"),
        digest(7, Input, "", 1, b"1000"),
        digest(7, Input, "age", 2, b"1000"),
        digest(7, Input, "age", 1, b"1001"),
        digest(7, Input, "age", 1, b""),
        // Bytes moved over the border of name and blind, and of blind and value.
        digest(7, Input, "age\u{1}", 1, b"1000"),
        digest(7, Input, "age", 1, b"\x011000"),
    ];
    assert!((0..digests.len()).all(|i| !digests[..i].contains(&digests[i])));

    let commitment = Commitment::new(SESSION, Input, "age", &[1; 32], b"1000");
    assert!(commitment.opens(&[1; 32], b"1000"));
    assert!(!commitment.opens(&[2; 32], b"1000") && !commitment.opens(&[1; 32], b"1001"));
    let moved = Commitment { kind: Output, ..commitment };
    assert!(!moved.opens(&[1; 32], b"1000"), "opened as another kind");
}

/// SHA-256 over the fields spelled out, as the format page describes them.
#[test]
fn a_commitment_is_the_documented_hash() {
    use sha2::{Digest as _, Sha256};
    let mut bytes = b"\x15\0\0\0subrosa/commitment/v1".to_vec();
    bytes.extend([7; 32]);
    bytes.extend(b"\x01\x03\0\0\0age");
    bytes.extend([9; 32]);
    bytes.extend(b"value");
    let expected: [u8; 32] = Sha256::digest(&bytes).into();
    assert_eq!(
        Commitment::new(SESSION, CommitmentKind::Weights, "age", &[9; 32], b"value").blinded,
        expected
    );
}

proptest! {
    #[test]
    fn hostile_entries_never_panic(tail in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut bytes = sample_entries()[0].encode();
        bytes.truncate(25);
        bytes.extend(tail);
        if let Ok(entry) = Entry::decode(&bytes) {
            prop_assert_eq!(entry.encode(), bytes);
        }
    }
}
