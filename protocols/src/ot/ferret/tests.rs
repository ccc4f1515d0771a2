use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use mpc_core::channel::{Channel, ChannelError};
use mpc_core::local::{self, LocalChannel};
use mpc_core::party::PartyId;
use mpc_core::prg::Prg;
use mpc_core::tag::{SessionId, Tag};

use super::*;
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
                sent: SentCots { delta, q, first: 0 },
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
        assert_eq!(*t, q ^ (sent.delta * Block::from(bit(i))), "COT {i}");
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
                assert_eq!(*delta.get_or_insert(sent.delta), sent.delta);
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
    assert_eq!(pair(p0, p1).sent.delta, Ideal::draw(p0, p1, 0, 0).0);
}

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
                received.t[i] != sent.q[i] ^ (sent.delta * c)
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
            "1adb51f035142315e34a86fec374795a",
            "cec1e6a67bb58818bdab60b7f590843f",
            "4fb5b56e66acde42b0bc258a0e0e2b51",
        ]
    );
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

/// Processor time of this thread, where the system tells; else the time on the wall.
fn thread_seconds(start: Instant) -> f64 {
    let busy = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let busy = busy.and_then(|line| line.split(' ').next()?.parse::<f64>().ok());
    busy.map_or_else(|| start.elapsed().as_secs_f64(), |nanoseconds| nanoseconds / 1e9)
}

/// COTs per second of processor time: at a party that sends, one that receives, and ones that do both, in calls of 2^20 COTs;
/// the best call and the median one.
#[test]
#[ignore = "a measurement"]
fn speed() {
    const CALLS: usize = 41;
    const COUNT: usize = 1 << 20;
    let start = Instant::now();
    for set in [Parameters::B10, Parameters::B11, Parameters::B13] {
        for (what, ways) in [("one way", [true, false]), ("both ways", [true, true])] {
            let rates = run(2, |mut lane| {
                let me = lane.me();
                let mut ferret = Ferret::new(set, seed(me), Ideal { given: 0 });
                ferret.extend(&mut lane, &PerParty::from_fn(2, |_| None)).unwrap();
                let [sends, receives] = if me.index() == 0 { ways } else { [ways[1], ways[0]] };
                let [sent, received] = [sends, receives].map(|does| if does { COUNT } else { 0 });
                let counts = PerParty::from_fn(2, |p| (p != me).then_some(CotCount { sent, received }));
                let mut rates: Vec<f64> = (0..CALLS)
                    .map(|_| {
                        let before = thread_seconds(start);
                        drop(ferret.extend(&mut lane, &counts).unwrap());
                        (sent + received) as f64 / (thread_seconds(start) - before) / 1e6
                    })
                    .collect();
                rates.sort_by(f64::total_cmp);
                format!("{:.0} (median {:.0})", rates[CALLS - 1], rates[CALLS / 2])
            });
            println!("{set:?}, {what}: {} M COT/s", rates.join(" and "));
        }
    }
}
