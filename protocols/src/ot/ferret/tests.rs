//! The relation and the counts, between parties in threads; [`wire`] is about messages, [`rates`] measures.

mod rates;
mod wire;

use std::collections::HashSet;

use mpc_core::local;
use mpc_core::party::PartyId;
use mpc_core::prg::Prg;
use mpc_core::tag::{SessionId, Tag};

use super::*;
use crate::ot::extension::ExtensionCost;
use crate::ot::lane::LANE;

const SESSION: SessionId = SessionId([6; 32]);

/// COTs from nowhere: both sides draw the same streams. Its blocks have any lowest bit, as those of other extensions.
struct Ideal {
    given: u64,
}

impl Ideal {
    fn stream(sender: PartyId, receiver: PartyId, label: &'static str, batch: u64) -> Prg {
        let tag = Tag {
            lane: LANE,
            node: sender.index() as u32,
            iteration: receiver.index() as u32,
            round: batch as u32,
        };
        Prg::new(&Seed::new([9; 32]), &SESSION, tag, label, 0)
    }

    /// Δ, q and c.
    fn draw(sender: PartyId, receiver: PartyId, batch: u64, count: usize) -> (Block, Vec<Block>, Vec<u64>) {
        let mut delta = [0; 16];
        Self::stream(sender, receiver, "delta", 0).fill(&mut delta);
        let (mut q, mut c) = (vec![0; count], vec![0; count.div_ceil(64)]);
        Self::stream(sender, receiver, "q", batch).fill(bytemuck::cast_slice_mut(&mut q));
        Self::stream(sender, receiver, "c", batch).fill(bytemuck::cast_slice_mut(&mut c));
        (Block::from_le_bytes(delta) | 1, q, c)
    }
}

impl Extension for Ideal {
    fn extend(
        &mut self,
        lane: &mut OtLane,
        counts: &PerParty<Option<CotCount>>,
    ) -> Result<PerParty<Option<PairCots>>, PrepError> {
        let (me, batch) = (lane.me(), self.given);
        self.given += 1;
        Ok(PerParty::from_fn(lane.parties(), |peer| {
            let CotCount { sent, received } = counts[peer]?;
            let (delta, q, _) = Self::draw(me, peer, batch, sent);
            let (theirs, mut t, choices) = Self::draw(peer, me, batch, received);
            for (i, t) in t.iter_mut().enumerate() {
                *t ^= theirs * Block::from(choices[i / 64] >> (i % 64) & 1);
            }
            Some(PairCots {
                sent: SentCots { delta: delta.into(), q, first: 0 },
                received: ReceivedCots { choices, t, first: 0 },
            })
        }))
    }
}

fn seed(me: PartyId) -> Seed {
    Seed::new([me.index() as u8 + 1; 32])
}

fn toy(me: PartyId) -> Ferret<Ideal> {
    Ferret::new(Parameters::TOY, seed(me), Ideal { given: 0 })
}

/// Runs a party in each thread.
fn run<T: Send>(n: usize, party: impl Fn(OtLane) -> T + Sync) -> Vec<T> {
    let lanes = local::network(n).into_iter().map(|channel| OtLane::new(Box::new(channel), SESSION));
    std::thread::scope(|scope| {
        let threads: Vec<_> = lanes.map(|lane| scope.spawn(|| party(lane))).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    })
}

/// How many COTs go from one party to another in a call: different for each pair, direction and call.
fn count(call: usize, from: PartyId, to: PartyId) -> usize {
    (call * 131 + from.index() * 37 + to.index() * 61) % 300
}

fn counts(call: usize, lane: &OtLane) -> PerParty<Option<CotCount>> {
    let me = lane.me();
    PerParty::from_fn(lane.parties(), |peer| {
        (peer != me).then(|| CotCount { sent: count(call, me, peer), received: count(call, peer, me) })
    })
}

/// Asserts the relation of one direction, and returns the bits.
fn check(sent: &SentCots, received: &ReceivedCots) -> Vec<bool> {
    assert_eq!((sent.q.len(), sent.first), (received.t.len(), received.first));
    assert_eq!(received.choices.len(), received.t.len().div_ceil(64));
    let bit = |i: usize| received.choices[i / 64] >> (i % 64) & 1;
    for (i, (q, t)) in sent.q.iter().zip(&received.t).enumerate() {
        assert_eq!(*t, q ^ (*sent.delta * Block::from(bit(i))), "COT {i}");
        assert_eq!((q & 1, t & 1), (0, Block::from(bit(i))));
    }
    assert!((received.t.len()..64 * received.choices.len()).all(|i| bit(i) == 0));
    (0..sent.q.len()).map(|i| bit(i) == 1).collect()
}

#[test]
fn all_pairs_and_directions_over_many_calls_of_odd_sizes() {
    // 300 COTs at most of 512 in a batch: over 40 calls, batches are renewed many times, between and within calls.
    const CALLS: usize = 40;
    for (n, checks) in [(2, false), (3, false), (5, false), (2, true), (3, true)] {
        let all = run(n, |mut lane| {
            let mut ferret = if checks { toy(lane.me()).checked() } else { toy(lane.me()) };
            (0..CALLS)
                .map(|call| {
                    let counts = counts(call, &lane);
                    ferret.extend(&mut lane, &counts).unwrap()
                })
                .collect::<Vec<_>>()
        });
        for (from, to) in
            PartyId::all(n).flat_map(|from| PartyId::all(n).map(move |to| (from, to))).filter(|(x, y)| x != y)
        {
            let (mut next, mut seen, mut ones, mut delta) = (0, HashSet::new(), 0, None);
            for (call, (at_sender, at_receiver)) in all[from.index()].iter().zip(&all[to.index()]).enumerate()
            {
                let sent = &at_sender[to].as_ref().unwrap().sent;
                let received = &at_receiver[from].as_ref().unwrap().received;
                assert_eq!(sent.q.len(), count(call, from, to));
                ones += check(sent, received).iter().filter(|&&bit| bit).count();
                assert_eq!(sent.first, next);
                next += sent.q.len() as u64;
                assert_eq!(*delta.get_or_insert(*sent.delta), *sent.delta);
                assert!(sent.q.iter().all(|&q| seen.insert(q)), "a COT was handed out twice");
            }
            // Five standard deviations of a fair coin.
            let (ones, next) = (ones as f64, next as f64);
            assert!((ones - next / 2.0).abs() < 5.0 * next.sqrt() / 2.0, "{ones} ones of {next}");
        }
    }
}

#[test]
fn what_is_sent_is_what_the_stock_says() {
    for checks in [false, true] {
        run(3, |mut lane| {
            let (me, n) = (lane.me(), lane.parties());
            let rounds_per_call = if checks { 3 } else { 1 };
            let mut ferret = if checks { toy(me).checked() } else { toy(me) };
            assert!(ferret.stock().is_none());
            ferret.extend(&mut lane, &PerParty::from_fn(n, |_| None)).unwrap();
            assert_eq!(
                (lane.rounds(), lane.received_bytes()),
                (rounds_per_call, 0),
                "the ideal base is free"
            );
            for call in 0..30 {
                let (counts, stock) = (counts(call, &lane), ferret.stock().unwrap());
                let (before, rounds) = (lane.sent_bytes().clone(), lane.rounds());
                let came = lane.received_bytes();
                ferret.extend(&mut lane, &counts).unwrap();
                let mut expected = 0;
                for peer in me.others(n) {
                    let ([to, from], count) = (stock[peer].unwrap(), counts[peer].unwrap());
                    let sending = to.bytes(Parameters::TOY, count.sent, checks);
                    let receiving = from.bytes(Parameters::TOY, count.received, checks);
                    assert_eq!(lane.sent_bytes()[peer] - before[peer], sending[0] + receiving[1]);
                    expected += sending[1] + receiving[0];
                }
                let rounds = lane.rounds() - rounds;
                assert_eq!((rounds, lane.received_bytes() - came), (rounds_per_call, expected));
            }
        });
    }
}

#[test]
fn layers_keep_delta() {
    let layered = |me| {
        let small = Parameters::TOY; // 512 per batch; the outer one needs 200
        Ferret::new(small, Seed::new([77; 32]), Ferret::new(small, seed(me), Ideal { given: 0 }))
    };
    let all = run(2, |mut lane| {
        let (me, n) = (lane.me(), lane.parties());
        let count = CotCount { sent: 700, received: 700 };
        let counts = PerParty::from_fn(n, |peer| (peer != me).then_some(count));
        layered(me).extend(&mut lane, &counts).unwrap()
    });
    let [p0, p1] = [0, 1].map(PartyId::new);
    let pair = |of: PartyId, with: PartyId| all[of.index()][with].as_ref().unwrap();
    check(&pair(p0, p1).sent, &pair(p1, p0).received);
    check(&pair(p1, p0).sent, &pair(p0, p1).received);
    assert_eq!(*pair(p0, p1).sent.delta, Ideal::draw(p0, p1, 0, 0).0);
}

/// Of many COTs with a set that is used, every place of q (but the lowest), of t and of c is as often 0 as 1.
#[test]
#[cfg_attr(debug_assertions, ignore = "2.3 million COTs are slow without optimisation")]
fn a_real_set_gives_uniform_cots() {
    const COUNT: usize = 2_300_000; // one batch and a little
    let all = run(2, |mut lane| {
        let me = lane.me();
        let counts =
            PerParty::from_fn(2, |p| (p != me).then_some(CotCount { sent: COUNT, received: COUNT / 100 }));
        let counts = if me.index() == 0 {
            counts
        } else {
            PerParty::from_fn(2, |p| (p != me).then_some(CotCount { sent: COUNT / 100, received: COUNT }))
        };
        Ferret::new(Parameters::B11, seed(me), Ideal { given: 0 }).extend(&mut lane, &counts).unwrap()
    });
    let [p0, p1] = [0, 1].map(PartyId::new);
    let (sent, received) = (&all[0][p1].as_ref().unwrap().sent, &all[1][p0].as_ref().unwrap().received);
    check(sent, received);
    check(&all[1][p0].as_ref().unwrap().sent, &all[0][p1].as_ref().unwrap().received);
    let bound = 5.0 * (COUNT as f64).sqrt() / 2.0;
    for place in 0..128 {
        for (what, blocks) in [("q", &sent.q), ("t", &received.t)] {
            let ones = blocks.iter().filter(|&x| x >> place & 1 == 1).count() as f64;
            if (what, place) != ("q", 0) {
                assert!((ones - COUNT as f64 / 2.0).abs() < bound, "bit {place} of {what}: {ones} ones");
            }
        }
    }
    // Neighbouring bits are independent: noise and code leave no pattern at distances that matter to either.
    let bit = |i: usize| received.choices[i / 64] >> (i % 64) & 1;
    for distance in [1, 2, 64, 128, 1 << 11, 1 << 17] {
        let pairs = COUNT - distance;
        let equal = (0..pairs).filter(|&i| bit(i) == bit(i + distance)).count() as f64;
        assert!((equal - pairs as f64 / 2.0).abs() < bound, "distance {distance}: {equal} of {pairs}");
    }
}

/// The sets that are used, as they are used, and what the model of costs says of them.
/// What [`Ideal`] costs.
struct Nothing;

impl ExtensionCost for Nothing {
    fn extend(&mut self, counts: &PerParty<Option<CotCount>>) -> (u64, PerParty<u64>) {
        (0, PerParty::from_fn(counts.parties(), |_| 0))
    }
}

#[test]
#[cfg_attr(debug_assertions, ignore = "a million COTs are slow without optimisation")]
fn the_large_set_on_the_small_one() {
    const COUNT: usize = 20_000;
    for checks in [false, true] {
        let all = run(2, |mut lane| {
            let me = lane.me();
            let ideal = Ideal { given: 0 };
            let make = if checks { Ferret::layered_checked } else { Ferret::layered };
            let count = CotCount { sent: COUNT, received: COUNT };
            let counts = PerParty::from_fn(2, |p| (p != me).then_some(count));
            let made = make(seed(me), ideal).extend(&mut lane, &counts).unwrap();
            let sent = lane.sent_bytes()[PartyId::new(1 - me.index())];
            if checks {
                // Two checks; the COTs that mask the next ones are from trees that are grown anyway.
                assert_eq!((lane.rounds(), sent), (6, 537 * 160 + 3 * 208 + 2 * 48));
            } else {
                let (rounds, expected) = FerretCost::layered(Nothing).extend(&counts);
                assert_eq!((lane.rounds(), sent), (rounds, expected[PartyId::new(1 - me.index())]));
            }
            made
        });
        let [p0, p1] = [0, 1].map(PartyId::new);
        let [zero, one] = [&all[0][p1], &all[1][p0]].map(|pair| pair.as_ref().unwrap());
        check(&zero.sent, &one.received);
        check(&one.sent, &zero.received);
    }
}
