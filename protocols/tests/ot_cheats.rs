//! Parties that do not keep to SoftSpokenOT: what is caught, at which rate, and by whom. There is no challenge for a sender
//! to corrupt: it comes from the receiver's own messages.

mod ot_common;

use bytes::Bytes;
use mpc_core::fixed_key::Block;
use mpc_core::party::{PartyId, PerParty};
use mpc_core::tag::SessionId;
use ot_common::{FIELDS, P0, P1, SESSION, channels, disturbed, extended, run, run_sessions, seed_of, wrong};
use protocols::error::PrepError;
use protocols::ot::extension::{CotCount, Extension, PairCots};
use protocols::ot::softspoken::{FieldBits, Security, SoftSpoken, batch_bytes};

const CHECKED: Security = Security::MaliciousReceiver;

/// The exchanges of a session: base OTs, trees, then the batches.
const TREES: usize = 1;
const FIRST: usize = 2;
const SECOND: usize = 3;

const COUNT: usize = 1000;
/// Bytes of the corrections of one tree.
const TREE: usize = 1024 / 8 + 16;

fn flip(message: &Bytes, bits: impl IntoIterator<Item = usize>) -> Bytes {
    let mut message = message.to_vec();
    bits.into_iter().for_each(|bit| message[bit / 8] ^= 1 << (bit % 8));
    message.into()
}

/// Party 1's end of two batches of which it is the sender; party 0's messages go through `on_send`.
fn sender_against(
    field: FieldBits,
    security: Security,
    number: u8,
    on_send: impl FnMut(usize, PartyId, Bytes) -> Bytes + Send + 'static,
) -> (Vec<PairCots>, Vec<PairCots>, Option<PrepError>) {
    let parties = run(disturbed(2, on_send), |lane| {
        let (me, mut batches) = (lane.me(), vec![]);
        let mut extension = SoftSpoken::new(field, security, seed_of(me, number));
        let (sent, received) = if me == P1 { (COUNT, 0) } else { (0, COUNT) };
        let counts = PerParty::from_fn(2, |p| (p != me).then_some(CotCount { sent, received }));
        for _ in 0..2 {
            match extension.extend(lane, &counts) {
                Ok(cots) => batches.extend(cots.into_vec().into_iter().flatten()),
                Err(error) => {
                    // A second try is another guess for a cheater: there is none.
                    let rounds = lane.rounds();
                    let again = extension.extend(lane, &counts).err().map(|e| e.to_string());
                    assert_eq!(again, Some(error.to_string()));
                    assert_eq!(lane.rounds(), rounds);
                    return (batches, Some(error));
                }
            }
        }
        (batches, None)
    });
    let Ok([(receiver, _), (sender, error)]) = <[_; 2]>::try_from(parties) else { panic!("two parties") };
    (sender, receiver, error)
}

fn caught(error: &Option<PrepError>) -> bool {
    match error {
        None => false,
        Some(PrepError::Inconsistent { peer, .. }) => {
            assert_eq!(*peer, P0, "the cheater is named");
            true
        }
        Some(other) => panic!("expected to catch the peer, got {other}"),
    }
}

fn element(delta: Block, tree: usize, field: FieldBits) -> Block {
    delta >> (tree * field.bits()) & ((1 << field.bits()) - 1)
}

/// The challenge covers the message, so a change that the receiver's proof does not know of is not even a guess. (Receivers
/// that prove what they changed are in the module's own tests.)
#[test]
fn corrections_changed_on_the_way_are_caught() {
    for field in FIELDS {
        for number in 0..6 {
            let tree = number as usize * 7 % (128 / field.bits() - 1);
            let bit = 8 * TREE * tree + number as usize * 205 % (8 * TREE);
            let (sender, receiver, error) = sender_against(field, CHECKED, number, move |at, _, message| {
                if at == SECOND { flip(&message, [bit]) } else { message }
            });
            assert!(caught(&error), "{field:?}, run {number}");
            assert_eq!(wrong(&sender[0].sent, &receiver[0].received), 0);
        }
    }
}

#[test]
fn several_trees_that_do_not_agree_are_caught() {
    for field in FIELDS {
        for number in 0..3 {
            let trees = 128 / field.bits();
            let (_, _, error) = sender_against(field, CHECKED, number, move |at, _, message| {
                // Different columns in all trees but the first.
                let bits = (0..trees - 1).map(|t| 8 * TREE * t + 3 * t);
                if at == FIRST { flip(&message, bits) } else { message }
            });
            assert!(caught(&error), "{field:?}");
        }
    }
}

#[test]
fn a_wrong_proof_is_caught() {
    for field in [FieldBits::Two, FieldBits::Eight] {
        let end = 8 * batch_bytes(field, CHECKED, COUNT) as usize;
        for bit in [end - 1, end - 8 * 32, end - 8 * 32 - 1, end - 8 * 48] {
            let (_, _, error) =
                sender_against(
                    field,
                    CHECKED,
                    1,
                    move |at, _, message| {
                        if at == FIRST { flip(&message, [bit]) } else { message }
                    },
                );
            assert!(caught(&error), "bit {bit}");
        }
    }
}

#[test]
fn trees_changed_on_the_way_are_caught() {
    const SUM: usize = 8 * 16;
    // Either sum of tree 0, which the holder may not read, a tree's proof, the hash.
    for bit in [0, SUM - 1, SUM, 2 * SUM - 1, 2 * SUM, 8 * 64 * 64 + 77] {
        let (_, _, error) = sender_against(FieldBits::Two, CHECKED, 1, move |at, _, message| {
            if at == TREES { flip(&message, [bit]) } else { message }
        });
        assert!(caught(&error), "bit {bit}");
    }
}

/// Semi-honest parties trust each other to follow the protocol: a flipped bit makes that one COT wrong, or none.
#[test]
fn without_the_check_a_flipped_bit_is_a_wrong_cot() {
    for number in 0..4 {
        let (sender, receiver, error) =
            sender_against(FieldBits::Four, Security::SemiHonest, number, |at, _, message| {
                if at == FIRST { flip(&message, [8 * 128 * 4 + 333]) } else { message }
            });
        assert!(error.is_none());
        let expected = usize::from(element(*sender[0].sent.delta, 5, FieldBits::Four) != 0);
        assert_eq!(wrong(&sender[0].sent, &receiver[0].received), expected);
        assert_eq!(wrong(&sender[1].sent, &receiver[1].received), 0);
    }
}

type Batches = Vec<Result<PerParty<Option<PairCots>>, PrepError>>;

fn two_sessions(security: Security) -> Batches {
    run_sessions(channels(2), &[SESSION, SessionId([8; 32])], |lane| {
        let me = lane.me();
        let both = CotCount { sent: COUNT, received: COUNT };
        let counts = PerParty::from_fn(2, |p| (p != me).then_some(both));
        SoftSpoken::new(FieldBits::Four, security, seed_of(me, 1)).extend(lane, &counts)
    })
}

#[test]
fn parties_of_different_sessions_are_refused_or_have_nothing_in_common() {
    for outcome in two_sessions(CHECKED) {
        assert!(matches!(outcome.err(), Some(PrepError::Inconsistent { .. })));
    }
    let parties: Vec<_> = two_sessions(Security::SemiHonest).into_iter().map(Result::unwrap).collect();
    let (a, b) = (parties[0][P1].as_ref().unwrap(), parties[1][P0].as_ref().unwrap());
    assert_eq!((wrong(&a.sent, &b.received), wrong(&b.sent, &a.received)), (COUNT, COUNT));
}

/// The same batch of another session, or of the same one again.
#[test]
fn a_replayed_batch_is_caught() {
    let keep = std::sync::Arc::new(std::sync::Mutex::new(Bytes::new()));
    let kept = keep.clone();
    let (_, _, error) = sender_against(FieldBits::Four, CHECKED, 1, move |at, _, message| {
        if at == FIRST {
            *kept.lock().unwrap() = message.clone();
        }
        if at == SECOND { kept.lock().unwrap().clone() } else { message }
    });
    assert!(caught(&error), "the first batch for the second");
    let old = keep.lock().unwrap().clone();
    let (_, _, error) =
        sender_against(
            FieldBits::Four,
            CHECKED,
            2,
            move |at, _, message| {
                if at == FIRST { old.clone() } else { message }
            },
        );
    assert!(caught(&error), "a batch of another session");
}

/// Whatever party 0 sends in place of a message, party 1 refuses it or goes on, and does not panic.
#[test]
fn no_message_makes_a_party_panic() {
    for (number, at) in (0..24).zip((0..=SECOND).cycle()) {
        for security in ot_common::SECURITIES {
            let noise = move |message: &Bytes| -> Bytes {
                let mut noise = vec![0; message.len()];
                let mut hasher = blake3::Hasher::new();
                hasher.update(&[number]).finalize_xof().fill(&mut noise);
                noise.into()
            };
            let (_, _, error) = sender_against(FieldBits::Four, security, number, move |now, _, message| {
                if now == at { noise(&message) } else { message }
            });
            match (at, security, error) {
                (0, _, Some(PrepError::NotAPoint { peer: P0, .. })) => {}
                (TREES.., CHECKED, Some(PrepError::Inconsistent { peer: P0, .. })) => {}
                (TREES.., Security::SemiHonest, None) => {}
                (at, security, error) => panic!("exchange {at}, {security:?}: {error:?}"),
            }
        }
    }
}

/// The honest are never caught: many small batches, so many challenges.
#[test]
fn the_honest_pass() {
    let batches: Vec<_> = (0..200).map(|i| move |a: PartyId, _: PartyId| 1 + i * 3 + a.index()).collect();
    let batches: Vec<_> = batches.iter().map(|b| b as &(dyn Fn(_, _) -> _ + Sync)).collect();
    for field in FIELDS {
        for party in extended(channels(3), field, CHECKED, 9, &batches) {
            assert_eq!(party.unwrap().len(), 200);
        }
    }
}
