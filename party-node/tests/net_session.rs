//! Sessions over real QUIC: exchanges of all sizes, any start order, orderly ends and sudden ones.

#![allow(clippy::unwrap_used, reason = "a failure of a test's own set-up may panic")]

mod net_world;

use std::ops::Range;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mpc_core::channel::{Broadcast, Channel, ChannelError, PIECE_UNIT_BYTES, Peer};
use mpc_core::party::{PartyId, PerParty};
use net_world::*;
use party_node::net::{Connected, blame};

/// What `from` sends to `to` in a round: any length and content that both can derive.
fn message(from: PartyId, to: PartyId, round: u32, len: usize) -> Bytes {
    let start = (from.index() * 31 + to.index() * 7) as u32 + round;
    (0..len as u32).map(|i| (i.wrapping_mul(2_654_435_761).wrapping_add(start) >> 13) as u8).collect()
}

fn exchange_lengths(session: &mut Connected, round: u32, length: impl Fn(PartyId, PartyId) -> usize) {
    let (me, n) = (session.channel.me(), session.channel.parties());
    let others = |p| p != me;
    let send = PerParty::from_fn(n, |p| others(p).then(|| message(me, p, round, length(me, p))));
    let expect = PerParty::from_fn(n, |p| others(p).then(|| length(p, me)));
    let got = session.channel.exchange(tag(1, round), send, expect).unwrap();
    for p in me.others(n) {
        assert_eq!(
            got[p].as_ref().unwrap(),
            &message(p, me, round, length(p, me)),
            "{p} to {me} round {round}"
        );
    }
    assert!(got[me].is_none());
}

#[test]
fn two_three_and_five_parties_exchange_messages_of_all_sizes() {
    for n in [2, 3, 5] {
        let seen = run_all(nodes(n), |mut session| {
            let sizes = [1, 0, 64, 16_000, 4_095, 3_000_000, (1 << 20) + 1, 1 << 20, 2];
            for (round, &size) in (0..).zip(&sizes) {
                exchange_lengths(&mut session, round, |_, _| size);
            }
            // Lengths that differ by direction, with empty ones among them.
            exchange_lengths(&mut session, 99, |from, to| from.index() * 70_000 + to.index());
            session.handle.close().unwrap();
            let (sent, received) = session.handle.wire_bytes();
            assert!(sent > 4_000_000 && received > 4_000_000, "{sent} sent, {received} received");
            let keys: Vec<_> = session.keys.into_vec();
            let keys = keys
                .iter()
                .map(|k| k.as_ref().map(|k| [*k.input.expose(), *k.zero.expose(), *k.log.expose()]));
            (session.session_id, session.nonces, keys.collect::<Vec<_>>())
        });
        for i in 0..n {
            assert_eq!(seen[i].0, seen[0].0, "one session id");
            assert_eq!(seen[i].1, seen[0].1, "one vector of nonces");
            for j in 0..i {
                assert_eq!(seen[i].2[j], seen[j].2[i], "keys of {i} and {j}");
                let [input, zero, log] = seen[i].2[j].unwrap();
                assert!(input != zero && zero != log && log != input, "one key per purpose");
            }
        }
        if n >= 3 {
            assert_ne!(seen[0].2[1], seen[0].2[2], "one key per pair");
        }
    }
}

/// A message to everybody, and what everybody else's was.
struct ToAll {
    me: PartyId,
    whole: Vec<u8>,
    made: usize,
    got: PerParty<Vec<u8>>,
}

impl Broadcast for ToAll {
    fn make(&mut self, range: Range<usize>) -> Bytes {
        assert_eq!(range.start, self.made, "in order");
        self.made = range.end;
        Bytes::copy_from_slice(&self.whole[range])
    }
    fn take(&mut self, from: PartyId, piece: &[u8]) {
        assert_ne!(from, self.me);
        self.got[from].extend_from_slice(piece);
        assert!(self.got[from].len() <= self.made, "nothing comes before the own message is made so far");
        assert!(piece.len().is_multiple_of(PIECE_UNIT_BYTES) || self.got[from].len() == self.whole.len());
    }
}

#[test]
fn messages_that_are_made_while_they_are_sent_arrive_whole() {
    for n in [2, 3, 5] {
        run_all(nodes(n), move |mut session| {
            let me = session.channel.me();
            // The last but one is more than all queues hold.
            for (round, length) in (0..).zip([0, 9, (1 << 20) + 4, 3 << 20, 17_000_001, 64]) {
                let whole = message(me, me, round, length).to_vec();
                let got = PerParty::from_fn(n, |_| Vec::new());
                let mut to_all = ToAll { me, whole, made: 0, got };
                session.channel.broadcast(tag(4, round), length, &mut to_all).unwrap();
                for p in me.others(n) {
                    assert!(to_all.got[p] == message(p, p, round, length), "{p} to {me} round {round}");
                }
            }
            session.handle.close().unwrap();
        });
    }
}

#[test]
fn one_party_only_sends_and_may_run_ahead_without_end_or_deadlock() {
    run_all(nodes(2), |mut session| {
        let me = session.channel.me();
        let other = PartyId::new(1 - me.index());
        for round in 0..200 {
            let (send, expect) = (PerParty::from_fn(2, |_| None), PerParty::from_fn(2, |_| None));
            let (mut send, mut expect) = (send, expect);
            if me.index() == 0 {
                send[other] = Some(message(me, other, round, 200_000));
            } else {
                expect[other] = Some(200_000);
            }
            let got = session.channel.exchange(tag(2, round), send, expect).unwrap();
            if me.index() == 1 {
                assert_eq!(got[other].as_ref().unwrap(), &message(other, me, round, 200_000));
            }
        }
        session.handle.close().unwrap();
    });
}

#[test]
fn parties_start_in_any_order() {
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let mut waiting: Vec<_> = nodes(3).into_iter().map(Some).collect();
        let (tell, first_is_up) = std::sync::mpsc::channel();
        let running: Vec<_> = order
            .into_iter()
            .map(|i| {
                let node = waiting[i].take().unwrap();
                let tell = tell.clone();
                let running = spawn(move || {
                    tell.send(()).unwrap();
                    let session = node.connect().unwrap_or_else(|e| panic!("party {i} in {order:?}: {e}"));
                    session.handle.close().unwrap();
                });
                first_is_up.recv_timeout(PATIENCE).unwrap();
                // The next starts only when this one has been alone for longer than a dial's first attempts.
                let alone_since = Instant::now();
                while alone_since.elapsed() < Duration::from_millis(400) {
                    std::thread::yield_now();
                }
                running
            })
            .collect();
        running.into_iter().for_each(Running::join);
    }
}

#[test]
fn an_abort_reaches_everyone_with_reason_and_culprit() {
    let culprit = Peer::Party(PartyId::new(1));
    let errors = run_all(nodes(3), move |mut session| {
        let (me, n) = (session.channel.me(), session.channel.parties());
        if me.index() == 0 {
            session.handle.abort(Some(culprit), "openings differ");
        }
        let (send, expect) = (to_others(me, n, Bytes::from_static(b"hi")), to_others(me, n, 2));
        let error =
            within(Duration::from_secs(5), || session.channel.exchange(tag(1, 1), send, expect).unwrap_err());
        (session.handle.names().render(&error), error)
    });
    for (text, error) in errors {
        assert!(
            matches!(&error, ChannelError::Aborted { reason, .. } if reason.contains("openings differ")),
            "{text}"
        );
        assert_eq!(blame(&error), Some(culprit), "{text}");
        assert!(text.contains("bureau"), "{text}");
    }
}

#[test]
fn dropping_a_session_unfinished_tells_the_others() {
    let texts = run_all(nodes(2), |mut session| {
        if session.channel.me().index() == 0 {
            return String::new();
        }
        let (send, expect) = (PerParty::from_fn(2, |_| None), to_others(PartyId::new(1), 2, 5));
        let error = session.channel.exchange(tag(1, 0), send, expect).unwrap_err();
        session.handle.names().render(&error)
    });
    assert!(texts[1].contains("bank gave up: it ended without finishing"), "{}", texts[1]);
}

#[test]
fn a_silent_peer_costs_the_receive_timeout_and_no_more() {
    let mut nodes = nodes(2);
    nodes.iter_mut().for_each(|n| n.options.receive_timeout_ms = 300);
    let errors = run_all(nodes, |mut session| {
        let me = session.channel.me();
        if me.index() == 0 {
            // Alive, but says nothing.
            return session.handle.wait_failure(PATIENCE).unwrap();
        }
        let (send, expect) = (PerParty::from_fn(2, |_| None), to_others(me, 2, 5));
        within(Duration::from_secs(2), || session.channel.exchange(tag(1, 0), send, expect).unwrap_err())
    });
    assert!(matches!(errors[1], ChannelError::Timeout { waited_ms: 300, .. }), "{:?}", errors[1]);
    assert!(
        matches!(&errors[0], ChannelError::Aborted { culprit: Some(Peer::Party(p)), .. } if p.index() == 0)
    );
}

#[test]
fn parties_at_different_places_of_the_program_see_it_at_the_first_frame() {
    let errors = run_all(nodes(2), |mut session| {
        let me = session.channel.me();
        let (send, expect) = (to_others(me, 2, Bytes::from_static(b"four")), to_others(me, 2, 4));
        session.channel.exchange(tag(me.index() as u32, 0), send, expect).unwrap_err()
    });
    let desync = errors.iter().any(|e| matches!(e, ChannelError::Desync { .. }));
    assert!(desync, "{errors:?}");
    let lengths = run_all(nodes(2), |mut session| {
        let me = session.channel.me();
        let message = Bytes::from(vec![0; 4 + me.index()]);
        let (send, expect) = (to_others(me, 2, message), to_others(me, 2, 4 + me.index()));
        session.channel.exchange(tag(1, 0), send, expect).unwrap_err()
    });
    let wrong = lengths.iter().any(|e| matches!(e, ChannelError::WrongLength { .. }));
    assert!(wrong, "{lengths:?}");
}
