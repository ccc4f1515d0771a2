//! What is on the wire, and what happens if it is something else.

use std::sync::{Arc, Mutex};

use mpc_core::channel::{Channel, ChannelError};
use mpc_core::local::LocalChannel;

use super::*;

/// A network whose messages from party 1 are changed on the way.
struct Changed<F> {
    channel: LocalChannel,
    change: F,
}

impl<F: FnMut(Bytes) -> Bytes + Send> Channel for Changed<F> {
    fn me(&self) -> PartyId {
        self.channel.me()
    }

    fn parties(&self) -> usize {
        self.channel.parties()
    }

    fn exchange(
        &mut self,
        tag: Tag,
        mut send: PerParty<Option<Bytes>>,
        expect: PerParty<Option<usize>>,
    ) -> Result<PerParty<Option<Bytes>>, ChannelError> {
        if self.me() == PartyId::new(1) {
            let to = PartyId::new(0);
            send[to] = send[to].take().map(&mut self.change);
        }
        self.channel.exchange(tag, send, expect)
    }
}

fn hundred(me: PartyId) -> PerParty<Option<CotCount>> {
    PerParty::from_fn(2, |peer| (peer != me).then_some(CotCount { sent: 100, received: 100 }))
}

type Made = Result<PerParty<Option<PairCots>>, PrepError>;

/// What both parties get if party 1's messages are changed.
fn run_changed(checks: bool, change: impl FnMut(Bytes) -> Bytes + Send + Clone + 'static) -> Vec<Made> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = local::network(2)
            .into_iter()
            .map(|channel| {
                let change = change.clone();
                scope.spawn(move || {
                    let mut lane = OtLane::new(Box::new(Changed { channel, change }), SESSION);
                    let counts = hundred(lane.me());
                    let mut ferret = if checks { toy(lane.me()).checked() } else { toy(lane.me()) };
                    let made = ferret.extend(&mut lane, &counts);
                    if made.is_err() {
                        let again = ferret.extend(&mut lane, &counts);
                        assert!(matches!(again, Err(PrepError::Spent)), "a failed extension goes on");
                    }
                    made
                })
            })
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    })
}

#[test]
fn corrections_of_another_length_are_refused() {
    // 100 COTs take two trees of six levels.
    for length in [1, 16, 191, 193, 4000] {
        let results = run_changed(false, move |_| Bytes::from(vec![0; length]));
        let Err(PrepError::Channel(ChannelError::WrongLength { expected, got, .. })) = &results[0] else {
            panic!("{length} bytes were not refused");
        };
        assert_eq!((*expected, *got), (192, length));
    }
}

#[test]
fn wrong_corrections_spoil_a_tree_and_panic_nowhere() {
    let [p0, p1] = [0, 1].map(PartyId::new);
    for bit in (0..192 * 8).step_by(61) {
        let results = run_changed(false, move |message| {
            let mut message = message.to_vec();
            message[bit / 8] ^= 1 << (bit % 8);
            message.into()
        });
        let [zero, one] = [&results[0], &results[1]].map(|r| r.as_ref().unwrap_or_else(|e| panic!("{e}")));
        let (sent, received) = (&one[p0].as_ref().unwrap().sent, &zero[p1].as_ref().unwrap().received);
        let wrong = |range: std::ops::Range<usize>| {
            range.filter(|&i| {
                let c = Block::from(received.choices[i / 64] >> (i % 64) & 1);
                received.t[i] != sent.q[i] ^ (*sent.delta * c)
            })
        };
        let (spoiled, other) = if bit < 96 * 8 { (0..64, 64..100) } else { (64..100, 0..64) };
        assert!(wrong(spoiled).count() > 0, "bit {bit}");
        assert_eq!(wrong(other).count(), 0, "bit {bit}");
        check(&zero[p1].as_ref().unwrap().sent, &one[p0].as_ref().unwrap().received);
    }
}

#[test]
fn a_check_catches_every_change_of_a_correction() {
    // 100 COTs and 128 for the next check: four trees of six levels.
    for bit in (0..4 * 96 * 8).step_by(53) {
        let results = run_changed(true, move |message| {
            let mut message = message.to_vec();
            if message.len() == 4 * 96 {
                message[bit / 8] ^= 1 << (bit % 8);
            }
            message.into()
        });
        let Err(PrepError::Inconsistent { peer, .. }) = &results[0] else {
            panic!("bit {bit} was not caught")
        };
        assert_eq!(*peer, PartyId::new(1));
        assert!(results[1].is_ok(), "the other direction is not touched");
    }
}

#[test]
fn a_check_catches_other_answers_and_challenges() {
    for length in [16, 32] {
        let results = run_changed(true, move |message| {
            let mut message = message.to_vec();
            if message.len() == length {
                message[7] ^= 4;
            }
            message.into()
        });
        // A wrong challenge spoils the answer that its own sender gets.
        let victim = if length == 32 { 0 } else { 1 };
        assert!(matches!(results[victim], Err(PrepError::Inconsistent { .. })), "{length} bytes");
        assert!(results[1 - victim].is_ok());
    }
}

/// Frozen when this was written; a change breaks running with parties that did not change.
#[test]
fn the_wire_and_the_results_are_known() {
    let wire = Arc::new(Mutex::new(blake3::Hasher::new()));
    let seen = Arc::clone(&wire);
    let results = run_changed(false, move |message| {
        seen.lock().unwrap().update(&message);
        message
    });
    let (mut sent, mut received) = (blake3::Hasher::new(), blake3::Hasher::new());
    for (me, made) in results.into_iter().enumerate() {
        let made = made.unwrap();
        let pair = made[PartyId::new(1 - me)].as_ref().unwrap();
        pair.sent.q.iter().for_each(|q| _ = sent.update(&q.to_le_bytes()));
        pair.received.t.iter().for_each(|t| _ = received.update(&t.to_le_bytes()));
    }
    let wire = wire.lock().unwrap().clone();
    let digests = [wire, sent, received].map(|hash| hash.finalize().to_hex()[..32].to_string());
    assert_eq!(
        digests,
        [
            "3239bee6cc1709a9649beea399f9570f",
            "9376f25c2d83412b0cefced3133796f8",
            "b1505176b58af3775de87e5ddf3023e9",
        ]
    );
}
