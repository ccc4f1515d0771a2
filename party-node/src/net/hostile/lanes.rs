//! Frames of the rounds and of the closing word.
//!
//! What a payload says is not checked: in this mode a party may open whatever share it likes, and bits that it turns
//! over for everybody alike change the result unseen. If it tells two peers different things, the comparison of openings
//! catches it, which the protocols' tests and those of the programs show. Here such bytes are harmless.

use mpc_core::channel::Peer;
use mpc_core::tag::{Tag, node};

use super::act::{Act, Kind, Script, honest, instead_of};
use super::cases::{Case, Expect, run_all};
use super::honest::{ROUND_BYTES, round_tag};
use super::mischief::{CUT, SILENT, flip, noise, recorded};
use super::party::frames;
use super::world::{Role, World};
use crate::net::frame::{FRAME_MAX_BYTES, Header};

const SIDES: [Role; 2] = [Role::Party(0), Role::Party(2)];
const FIRST: Kind = Kind::Round(0);
/// The round whose message takes two frames.
const LONG: Kind = Kind::Round(1);
const MALFORMED: Expect = Expect::Caught(&["malformed_frame"]);
const OUT_OF_STEP: Expect = Expect::Caught(&["out_of_step"]);
const LOST: Expect = Expect::Caught(&["peer_lost"]);
const SILENCE: Expect = Expect::Caught(&["peer_timeout"]);

fn to_parties(kind: Kind, acts: impl Fn(&[u8]) -> Vec<Act> + Send + Sync + 'static) -> Script {
    instead_of(kind, |peer| matches!(peer, Peer::Party(_)), acts)
}

/// A name, a message, what must come of it, and the bytes that go onto the lane in its place.
type Row = (&'static str, Kind, Expect, fn(&[u8]) -> Vec<u8>);

/// A case for each side.
fn cases(table: Vec<Row>) -> Vec<Case> {
    let both = |(name, kind, expect, write): Row| {
        SIDES.map(|hostile| {
            let script = to_parties(kind, move |b| vec![Act::Write(write(b))]);
            Case::new(format!("{kind:?} {name}"), World::new(hostile), script, expect.clone())
        })
    };
    table.into_iter().flat_map(both).collect()
}

/// One frame of any header, with so many bytes after it.
fn frame(payload: usize, tag: Tag, message: u64, body: usize) -> Vec<u8> {
    [&Header { payload, tag, message }.encode()[..], &vec![7; body]].concat()
}

fn elsewhere(change: fn(&mut Tag)) -> Vec<u8> {
    let mut tag = round_tag(0);
    change(&mut tag);
    frames(tag, &[7; ROUND_BYTES[0]])
}

#[test]
fn frames_of_another_place() {
    run_all(cases(vec![
        ("for another lane", FIRST, OUT_OF_STEP, |_| elsewhere(|t| t.lane += 1)),
        ("for another node", FIRST, OUT_OF_STEP, |_| elsewhere(|t| t.node += 1)),
        ("for another iteration", FIRST, OUT_OF_STEP, |_| elsewhere(|t| t.iteration += 1)),
        ("for another round", FIRST, OUT_OF_STEP, |_| elsewhere(|t| t.round += 1)),
        ("said twice", FIRST, OUT_OF_STEP, |b| [b, b].concat()),
        ("after the next one", FIRST, OUT_OF_STEP, |b| {
            [&frames(round_tag(1), &noise(ROUND_BYTES[1])), b].concat()
        }),
        ("replaced by the closing word", FIRST, OUT_OF_STEP, |_| {
            frames(Tag { lane: 0, node: node::CLOSE, iteration: 0, round: 0 }, &[0; ROUND_BYTES[0]])
        }),
        ("goes on elsewhere", LONG, OUT_OF_STEP, |b| {
            let second = frame(5, Tag { round: 7, ..round_tag(1) }, ROUND_BYTES[1] as u64, 5);
            [&b[..Header::BYTES + FRAME_MAX_BYTES], &second].concat()
        }),
    ]));
}

#[test]
fn frames_of_the_wrong_size() {
    const DUE: u64 = ROUND_BYTES[0] as u64;
    const WRONG: Expect = Expect::Caught(&["wrong_length"]);
    run_all(cases(vec![
        ("with more than a frame holds", FIRST, MALFORMED, |_| {
            frame(FRAME_MAX_BYTES + 1, round_tag(0), 1 << 40, 100)
        }),
        ("with 4 GiB", FIRST, MALFORMED, |_| frame(u32::MAX as usize, round_tag(0), u64::MAX, 100)),
        ("without payload", FIRST, MALFORMED, |_| frame(0, round_tag(0), DUE, 0)),
        ("with more than its message", FIRST, MALFORMED, |_| frame(101, round_tag(0), DUE, 101)),
        ("cut into single bytes", FIRST, MALFORMED, |_| frame(1, round_tag(0), DUE, 1).repeat(100)),
        ("one byte short", FIRST, WRONG, |_| frames(round_tag(0), &[7; ROUND_BYTES[0] - 1])),
        ("one byte long", FIRST, WRONG, |_| frames(round_tag(0), &[7; ROUND_BYTES[0] + 1])),
        ("of an endless message", FIRST, WRONG, |_| {
            frame(FRAME_MAX_BYTES, round_tag(0), u64::MAX, FRAME_MAX_BYTES)
        }),
        ("not full", LONG, MALFORMED, |_| frame(1000, round_tag(1), ROUND_BYTES[1] as u64, 1000)),
        ("with its frames swapped", LONG, MALFORMED, |b| {
            let (first, second) = b.split_at(Header::BYTES + FRAME_MAX_BYTES);
            [second, first].concat()
        }),
        ("with two lengths", LONG, WRONG, |b| {
            let second = frame(5, round_tag(1), ROUND_BYTES[1] as u64 + 1, 5);
            [&b[..Header::BYTES + FRAME_MAX_BYTES], &second].concat()
        }),
        ("replaced by noise", FIRST, MALFORMED, |b| noise(b.len())),
        ("without its header", FIRST, MALFORMED, |b| [&b[Header::BYTES..], &[7; Header::BYTES]].concat()),
    ]));
}

#[test]
fn lanes_that_end_or_fall_silent() {
    let mut cases = Vec::new();
    for hostile in SIDES {
        for kind in [FIRST, LONG, Kind::Closing] {
            // A stream that is dropped may take back what was on its way, even the lane's number.
            let dropped = Expect::Caught(&["peer_lost", "malformed"]);
            for ((name, acts), expect) in CUT.into_iter().zip([MALFORMED, dropped, LOST]) {
                let name = format!("{kind:?} {name}");
                cases.push(Case::new(name, World::new(hostile), to_parties(kind, acts), expect));
            }
            for (name, acts) in SILENT {
                let name = format!("{kind:?} {name}");
                cases.push(Case::new(name, World::hurried(hostile), to_parties(kind, acts), SILENCE));
            }
        }
        let between = to_parties(LONG, |b| {
            vec![Act::Write(b[..Header::BYTES + FRAME_MAX_BYTES].to_vec()), Act::Finish]
        });
        cases.push(Case::new("the lane ends between two frames", World::new(hostile), between, LOST));
        let deaf = to_parties(FIRST, |b| vec![Act::Stop, Act::Write(b.to_vec())]);
        cases.push(Case::new("the lane is not read any more", World::new(hostile), deaf, LOST));
        for (name, lost) in
            [("another stream", Act::Bi as fn(Vec<u8>) -> Act), ("a one-way stream", Act::Uni)]
        {
            let astray = to_parties(FIRST, move |b| {
                vec![lost([&[0, 0], b].concat()), lost([&[1, 0], b].concat()), Act::Silence]
            });
            let name = format!("a round on {name}");
            cases.push(Case::new(name, World::hurried(hostile), astray, SILENCE));
        }
    }
    run_all(cases);
}

#[test]
fn closing_words_that_are_not_the_due_one() {
    let mut all = cases(vec![
        ("said twice", Kind::Closing, Expect::Harmless, |b| [b, b].concat()),
        ("with another bit", Kind::Closing, MALFORMED, |b| flip(b, 8 * Header::BYTES + 77)),
        ("filled with noise", Kind::Closing, MALFORMED, |b| [&b[..Header::BYTES], &noise(32)].concat()),
        ("replaced by a round", Kind::Closing, OUT_OF_STEP, |_| elsewhere(|_| ())),
        ("too early", Kind::Round(2), OUT_OF_STEP, |_| {
            frames(Tag { lane: 0, node: node::CLOSE, iteration: 0, round: 0 }, &noise(32))
        }),
    ]);
    for hostile in SIDES {
        let (_, said) = World { nonces: |_| [0x0e; 32], ..World::new(hostile) }.run(honest());
        for (kind, expect) in [
            (Kind::Closing, MALFORMED),
            // Any payload is as good as another.
            (FIRST, Expect::Harmless),
            (LONG, Expect::Harmless),
        ] {
            let said = said.clone();
            let script: Script = std::sync::Arc::new(move |m| {
                let old = || recorded(&said, kind, m.to).unwrap();
                (m.kind == kind && m.to != Peer::Dealer).then(|| vec![Act::Write(old())])
            });
            let name = format!("{kind:?} of an earlier session");
            all.push(Case::new(name, World::new(hostile), script, expect));
        }
    }
    run_all(all);
}

#[test]
fn payload_bits_are_nobodys_concern() {
    let mut table: Vec<Case> = Vec::new();
    for hostile in SIDES {
        for bit in [0, 63, 8 * ROUND_BYTES[0] - 1] {
            let script = to_parties(FIRST, move |b| vec![Act::Write(flip(b, 8 * Header::BYTES + bit))]);
            table.push(Case::new(
                format!("payload bit {bit}"),
                World::new(hostile),
                script,
                Expect::Harmless,
            ));
        }
    }
    run_all(table);
}
