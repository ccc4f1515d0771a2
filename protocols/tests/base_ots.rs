//! The base transfers: keys agree as chosen, and what is no message of theirs is refused by name.

mod ot_common;

use std::collections::HashSet;
use std::sync::mpsc::channel;

use bytes::Bytes;
use mpc_core::fixed_key::Block;
use mpc_core::party::{PartyId, PerParty};
use mpc_core::tag::SessionId;
use ot_common::{P0, P1, SESSION, Watched, channels, disturbed, run, run_sessions, seed_of};
use protocols::error::PrepError;
use protocols::ot::base::{BaseKeys, COUNT, MESSAGE_BYTES, base_ots};
use protocols::ot::lane::OtLane;
use zeroize::Zeroizing;

/// What `me` chooses with `peer` as the sender.
fn choices(me: PartyId, peer: PartyId) -> Block {
    let x = (1 + me.index() + 5 * peer.index()) as Block;
    x.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c834).rotate_left(61)
}

fn party(lane: &mut OtLane) -> Result<PerParty<Option<BaseKeys>>, PrepError> {
    let (me, n) = (lane.me(), lane.parties());
    base_ots(lane, &PerParty::from_fn(n, |p| Zeroizing::new(choices(me, p))), &seed_of(me, 1))
}

#[test]
fn the_receiver_has_the_chosen_key_and_all_keys_differ() {
    for n in [2, 3, 5] {
        let parties: Vec<_> = run(channels(n), party).into_iter().map(Result::unwrap).collect();
        let mut all = HashSet::new();
        for (a, b) in PartyId::all(n).flat_map(|a| a.others(n).map(move |b| (a, b))) {
            let sent = &parties[a.index()][b].as_ref().unwrap().sent;
            let received = &parties[b.index()][a].as_ref().unwrap().received;
            assert_eq!((sent.len(), received.len()), (COUNT, COUNT));
            for i in 0..COUNT {
                let chosen = (choices(b, a) >> i & 1) as usize;
                assert_eq!(received[i], sent[i][chosen], "{a} to {b}, OT {i}");
                all.extend(sent[i]);
            }
        }
        assert_eq!(all.len(), 2 * COUNT * n * (n - 1), "no key occurs twice");
    }
}

#[test]
fn it_is_one_exchange() {
    for (rounds, sent, received) in run(channels(3), |lane| {
        party(lane).unwrap();
        (lane.rounds(), lane.total_sent_bytes(), lane.received_bytes())
    }) {
        assert_eq!((rounds, sent, received), (1, 2 * MESSAGE_BYTES as u64, 2 * MESSAGE_BYTES as u64));
    }
}

#[test]
fn keys_belong_to_a_session() {
    let other = SessionId([8; 32]);
    let parties: Vec<_> =
        run_sessions(channels(2), &[SESSION, other], party).into_iter().map(Result::unwrap).collect();
    let (sent, received) =
        (&parties[0][P1].as_ref().unwrap().sent, &parties[1][P0].as_ref().unwrap().received);
    assert!((0..COUNT).all(|i| !sent[i].contains(&received[i])), "no key in common");
}

/// Party 1 sends back what party 0 sends. Keys of party 0's two directions would be the same if they did not cover the
/// direction.
#[test]
fn a_reflected_message_gives_no_common_key() {
    let (to_keep, kept) = channel();
    let first = disturbed(2, move |_, _, message| {
        to_keep.send(message.clone()).unwrap();
        message
    });
    assert!(run(first, party).iter().all(Result::is_ok));
    let own = kept.recv().unwrap();
    let mut channels = channels(2);
    let inner = channels.remove(1);
    channels.push(Box::new(Watched { inner, exchanges: 0, on_send: move |_, _, _| own.clone() }));
    let parties: Vec<_> = run(channels, party).into_iter().map(Result::unwrap).collect();
    let keys = parties[0][P1].as_ref().unwrap();
    assert!(keys.received.iter().all(|key| !keys.sent.as_flattened().contains(key)));
}

#[test]
fn what_is_no_point_is_refused_by_name() {
    let neutral = [0; 32];
    let negative = [1; 32];
    let beyond_the_field = [0xff; 32];
    for bytes in [neutral, negative, beyond_the_field] {
        for at in [0, 1, 2, 77, 2 * COUNT] {
            let channels = disturbed(2, move |_, _, message: Bytes| {
                let mut message = message.to_vec();
                message[32 * at..][..32].copy_from_slice(&bytes);
                message.into()
            });
            let outcome = run(channels, |lane| party(lane).err());
            match &outcome[1] {
                Some(PrepError::NotAPoint { peer, at: seen }) => assert_eq!((*peer, *seen), (P0, at)),
                other => panic!("expected a refusal, got {other:?}"),
            }
            assert!(outcome[0].is_none(), "party 0 was sent points");
        }
    }
}
