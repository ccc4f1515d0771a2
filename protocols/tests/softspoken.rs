//! Correlated OTs by SoftSpokenOT between parties that follow the protocol.

mod ot_common;

use mpc_core::party::{PartyId, PerParty};
use ot_common::{FIELDS, P0, P1, SECURITIES, channels, extended, run, seed_of, traced, wrong};
use protocols::ot::extension::{CotCount, Extension};
use protocols::ot::softspoken::{FieldBits, Security, SoftSpoken, batch_bytes, cost, setup_bytes};

/// Nothing, one, around words, blocks and tiles of columns, and over several tiles.
const COUNTS: [usize; 14] = [0, 1, 63, 64, 65, 127, 128, 129, 1000, 8063, 8064, 8065, 8192, 20_001];

#[test]
fn the_relation_holds_for_every_field_and_count() {
    for field in FIELDS {
        for security in SECURITIES {
            let batches = COUNTS.map(|count| move |_: PartyId, _: PartyId| count);
            let batches: Vec<_> = batches.iter().map(|b| b as &(dyn Fn(_, _) -> _ + Sync)).collect();
            let parties: Vec<_> =
                extended(channels(2), field, security, 1, &batches).into_iter().map(Result::unwrap).collect();
            let mut first = 0;
            for (batch, count) in COUNTS.into_iter().enumerate() {
                let [a, b] = [(0, P1), (1, P0)].map(|(me, peer)| parties[me][batch][peer].as_ref().unwrap());
                for (sent, received) in [(&a.sent, &b.received), (&b.sent, &a.received)] {
                    assert_eq!(sent.q.len(), count);
                    assert_eq!(wrong(sent, received), 0, "{field:?}, {security:?}, {count}");
                    assert_eq!(sent.first, first);
                    assert_eq!(*sent.delta & 1, 1);
                    if count % 64 != 0 {
                        assert_eq!(received.choices.last().unwrap() >> (count % 64), 0, "bits past the last");
                    }
                }
                assert_ne!(*a.sent.delta, *b.sent.delta);
                first += count as u64;
            }
        }
    }
}

#[test]
fn counts_may_differ_between_peers_and_directions() {
    let uneven = |a: PartyId, b: PartyId| (a.index() * 1000 + b.index() * 77) * usize::from(a.index() != 1);
    let again = |a: PartyId, b: PartyId| 100 + a.index() + 10 * b.index();
    for n in [2, 3, 5] {
        for security in SECURITIES {
            let parties: Vec<_> = extended(channels(n), FieldBits::Four, security, 2, &[&uneven, &again])
                .into_iter()
                .map(Result::unwrap)
                .collect();
            for (a, b) in PartyId::all(n).flat_map(|a| a.others(n).map(move |b| (a, b))) {
                for (batch, count) in [uneven(a, b), again(a, b)].into_iter().enumerate() {
                    let sent = &parties[a.index()][batch][b].as_ref().unwrap().sent;
                    let received = &parties[b.index()][batch][a].as_ref().unwrap().received;
                    assert_eq!(sent.q.len(), count);
                    assert_eq!(wrong(sent, received), 0);
                }
            }
        }
    }
}

/// Each bit of each value is a fair coin: within five standard deviations of half.
fn assert_fair(what: &str, values: impl Iterator<Item = u128> + Clone, bits: usize) {
    let total = values.clone().count() as f64;
    for bit in 0..bits {
        let ones = values.clone().filter(|v| v >> bit & 1 == 1).count() as f64;
        assert!(
            (ones - total / 2.0).abs() < 5.0 * (total / 4.0).sqrt(),
            "{what}, bit {bit}: {ones} of {total}"
        );
    }
}

#[test]
fn choices_and_blocks_are_uniform() {
    const COUNT: usize = 100_000;
    for field in FIELDS {
        let parties: Vec<_> = extended(channels(2), field, Security::SemiHonest, 3, &[&|_, _| COUNT])
            .into_iter()
            .map(Result::unwrap)
            .collect();
        let sent = &parties[0][0][P1].as_ref().unwrap().sent;
        let received = &parties[1][0][P0].as_ref().unwrap().received;
        assert_fair("choices", (0..COUNT).map(|i| u128::from(received.choices[i / 64] >> (i % 64) & 1)), 1);
        assert_fair("q", sent.q.iter().copied(), 128);
        assert_fair("t", received.t.iter().copied(), 128);
        // Neither half gives the choice away: q and c, and t and c, are independent.
        let chosen = (0..COUNT).filter(|i| received.choices[i / 64] >> (i % 64) & 1 == 1);
        assert_fair("q where 1 was chosen", chosen.clone().map(|i| sent.q[i]), 128);
        assert_fair("t where 1 was chosen", chosen.map(|i| received.t[i]), 128);
        let distinct: std::collections::HashSet<_> = sent.q.iter().collect();
        assert_eq!(distinct.len(), COUNT);
    }
}

#[test]
fn rounds_and_bytes_are_as_the_formula_says() {
    const COUNTS: [usize; 4] = [1000, 0, 1, 8193];
    for (n, field) in [2, 3].into_iter().flat_map(|n| FIELDS.map(|f| (n, f))) {
        for security in SECURITIES {
            let expected = cost(n, field, security, &COUNTS);
            let measured = run(channels(n), |lane| {
                let me = lane.me();
                let mut extension = SoftSpoken::new(field, security, seed_of(me, 4));
                for count in COUNTS {
                    let both = CotCount { sent: count, received: count };
                    extension.extend(lane, &PerParty::from_fn(n, |p| (p != me).then_some(both))).unwrap();
                }
                let sent = lane.total_sent_bytes();
                (lane.rounds(), sent, lane.received_bytes())
            });
            for (p, (rounds, sent, received)) in PartyId::all(n).zip(measured) {
                assert_eq!(
                    (rounds, sent),
                    (expected.rounds, expected.sent_bytes[p]),
                    "{field:?} {security:?}"
                );
                assert_eq!(received, sent, "all do the same");
            }
        }
    }
    // 31 bits for each of 128 COTs, and 31 of the 128 in the check with its 48 bytes.
    assert_eq!(batch_bytes(FieldBits::Four, Security::SemiHonest, 100), 31 * 16);
    assert_eq!(batch_bytes(FieldBits::Four, Security::MaliciousReceiver, 100), 2 * 31 * 16 + 48);
    assert_eq!(batch_bytes(FieldBits::Eight, Security::SemiHonest, 1 << 20), 15 << 17);
    assert_eq!(setup_bytes(FieldBits::One, Security::SemiHonest), 8224);
    assert_eq!(setup_bytes(FieldBits::Four, Security::SemiHonest), 8224 + 32 * 3 * 32);
    assert_eq!(setup_bytes(FieldBits::Four, Security::MaliciousReceiver), 8224 + 32 * 3 * 32 + 33 * 32);
}

/// Anything that changes on the wire is a new version of the protocol.
#[test]
fn known_answer_of_the_wire() {
    let digests = FIELDS.map(|field| {
        SECURITIES.map(|security| {
            let (channels, digest) = traced(3);
            extended(channels, field, security, 5, &[&|a, b| 300 + a.index() + b.index(), &|_, _| 9000])
                .into_iter()
                .for_each(|party| _ = party.unwrap());
            digest()
        })
    });
    let expected = [
        ["7fc6fb5426a345749401fe54663c7e92", "636e2e16435e847f5bf98e0d9ea877af"],
        ["b283c58e55798cc3f0cd21aaf829cfb1", "42821c4ff29732097b2445b87a970fdf"],
        ["69bc788fd170bbf57cdbeefbe2c5c934", "e12230d86454a5dbae79936664aed304"],
        ["5a010caa8b0a0d7f26f29c50d8479210", "c34326ca170bd24b9865847c53a4d477"],
    ];
    assert_eq!(digests, expected);
}
