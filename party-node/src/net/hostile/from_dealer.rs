//! What a dealer says to the parties.

use std::sync::Arc;
use std::time::Duration;

use mpc_core::channel::Peer;
use mpc_core::party::PartyId;

use super::act::{Act, Kind, Script, honest, instead_of};
use super::cases::{Case, Expect, run_all};
use super::dealer::pieces;
use super::honest::CORRECTION_BYTES;
use super::mischief::{CUT, MISSIZED, SILENT, flip, noise, with_length};
use super::world::{Role, World};
use crate::net::frame::FRAME_MAX_BYTES;
use crate::net::hello::{Abort, close_code, encode_greeting};
use crate::net::keys::PROTOCOL_VERSION;

const HOSTILE: Role = Role::Dealer;
const FIRST: Kind = Kind::Correction(0);
/// The correction that takes several pieces.
const LONG: Kind = Kind::Correction(1);

fn case(
    kind: Kind,
    name: &str,
    expect: Expect,
    acts: impl Fn(&[u8]) -> Vec<Act> + Send + Sync + 'static,
) -> Case {
    Case::new(format!("{kind:?} {name}"), World::new(HOSTILE), instead_of(kind, |_| true, acts), expect)
}

#[test]
fn answers_that_are_cut_missized_or_something_else() {
    let mut cases = Vec::new();
    for kind in [Kind::DealerGreeting, Kind::Ready] {
        for (name, acts) in CUT.into_iter().chain(MISSIZED) {
            // Of a greeting only the front is read: other versions may have more to say.
            let expect = match (kind, name) {
                (Kind::DealerGreeting, "one byte too long") => Expect::Harmless,
                _ => Expect::Caught(&["malformed"]),
            };
            cases.push(case(kind, name, expect, acts));
        }
        let malformed = Expect::Caught(&["malformed"]);
        cases.push(case(kind, "replaced by noise", malformed.clone(), |b| vec![Act::Write(noise(b.len()))]));
        cases.push(case(kind, "with another bit", malformed, |b| vec![Act::Write(flip(b, 37))]));
    }
    let malformed = Expect::Caught(&["malformed"]);
    cases.push(case(Kind::DealerGreeting, "said twice", malformed, |b| vec![Act::Write([b, b].concat())]));
    // Ready twice is a word where one about logs is due.
    cases.push(case(Kind::Ready, "said twice", Expect::Harmless, |b| vec![Act::Write([b, b].concat())]));
    let version = Expect::Caught(&["protocol_version"]);
    cases.push(case(Kind::DealerGreeting, "of another version", version, |_| {
        vec![Act::Write(with_length(6, &encode_greeting(PROTOCOL_VERSION + 1).finish()))]
    }));
    for (name, acts) in SILENT {
        let world = || World::hurried(HOSTILE);
        let greeting = instead_of(Kind::DealerGreeting, |_| true, acts);
        let absent = Expect::Caught(&["peer_absent"]);
        cases.push(Case::new(format!("greeting {name}"), world(), greeting, absent));
        // It may be a party that it waits for.
        let ready = instead_of(Kind::Ready, |_| true, acts);
        let nobody = Expect::Unattributed(&["dealer_not_ready"]);
        cases.push(Case::new(format!("ready {name}"), world(), ready, nobody));
    }
    run_all(cases);
}

#[test]
fn corrections_that_are_not_the_due_ones() {
    const MALFORMED: Expect = Expect::Caught(&["malformed_frame"]);
    const OUT_OF_STEP: Expect = Expect::Caught(&["out_of_step"]);
    const LOST: Expect = Expect::Caught(&["peer_lost"]);
    let piece = |item: u32, length: u32, body: usize| {
        [&item.to_le_bytes()[..], &length.to_le_bytes(), &vec![7; body]].concat()
    };
    let mut cases = Vec::new();
    let mut write = |name: &str, kind: Kind, expect: Expect, bytes: fn(&[u8]) -> Vec<u8>| {
        cases.push(case(kind, name, expect, move |b| vec![Act::Write(bytes(b))]));
    };
    write("of another item", FIRST, OUT_OF_STEP, |b| flip(b, 0));
    write("said twice", FIRST, OUT_OF_STEP, |b| [b, b].concat());
    write("after the next one", FIRST, OUT_OF_STEP, |b| [&pieces(1, &[7; 50]), b].concat());
    write("one byte short", FIRST, OUT_OF_STEP, |_| pieces(0, &[7; CORRECTION_BYTES[0] - 1]));
    write("one byte long", FIRST, OUT_OF_STEP, |_| pieces(0, &[7; CORRECTION_BYTES[0] + 1]));
    write("one byte short", LONG, LOST, |_| pieces(1, &vec![7; CORRECTION_BYTES[1] - 1]));
    // Whatever comes after the last correction is never asked for.
    write("one byte long", LONG, Expect::Harmless, |_| pieces(1, &vec![7; CORRECTION_BYTES[1] + 1]));
    write("with other bits", LONG, Expect::Harmless, |b| flip(b, 8 * 100));
    write("in single bytes", FIRST, Expect::Harmless, |b| {
        b[8..].iter().flat_map(|&v| pieces(0, &[v])).collect()
    });
    write("replaced by noise", FIRST, MALFORMED, |b| noise(b.len()));
    let (empty, large, huge) =
        (piece(0, 0, 0), piece(0, FRAME_MAX_BYTES as u32 + 1, 100), piece(0, u32::MAX, 100));
    for (name, bytes) in [("empty", empty), ("of more than 1 MiB", large), ("of 4 GiB", huge)] {
        cases.push(case(FIRST, name, MALFORMED, move |_| vec![Act::Write(bytes.clone())]));
    }
    for kind in [FIRST, LONG] {
        for ((name, acts), expect) in CUT.into_iter().zip([MALFORMED, LOST, LOST]) {
            cases.push(case(kind, name, expect, acts));
        }
        for (name, acts) in SILENT {
            let script = instead_of(kind, |_| true, acts);
            cases.push(Case::new(format!("{kind:?} {name}"), World::hurried(HOSTILE), script, LOST));
        }
    }
    let astray =
        instead_of(FIRST, |_| true, |b| vec![Act::Bi(b.to_vec()), Act::Uni(b.to_vec()), Act::Silence]);
    cases.push(Case::new("corrections on another stream", World::hurried(HOSTILE), astray, LOST));
    // Streams to a party that has no corrections are never looked at.
    let to_others: Script = Arc::new(|m| {
        (m.kind == Kind::Before && m.to != Peer::Party(PartyId::new(0))).then(|| {
            vec![Act::Uni(noise(3_000_000)), Act::Bi(noise(3_000_000)), Act::Write(m.bytes.to_vec())]
        })
    });
    cases.push(Case::new("corrections for another party", World::new(HOSTILE), to_others, Expect::Harmless));
    run_all(cases);
}

#[test]
fn a_dealer_that_leaves_is_named() {
    let mut cases = Vec::new();
    for kind in [Kind::DealerGreeting, Kind::Ready, Kind::Before, FIRST, LONG] {
        let early = matches!(kind, Kind::DealerGreeting | Kind::Ready);
        // A close can overtake the greeting.
        let codes: &'static [&'static str] =
            if early { &["peer_absent", "peer_lost"] } else { &["peer_lost"] };
        let world = || if early { World::hurried(HOSTILE) } else { World::new(HOSTILE) };
        for (name, code) in [("done", close_code::DONE), ("busy", close_code::BUSY)] {
            let script = instead_of(kind, |_| true, move |_| vec![Act::Close(code, Vec::new())]);
            cases.push(Case::new(
                format!("{kind:?}: closed as {name}"),
                world(),
                script,
                Expect::Caught(codes),
            ));
        }
        let vanishes = instead_of(kind, |_| true, |_| vec![Act::Vanish]);
        let case = Case::new(format!("{kind:?}: vanishes"), world(), vanishes, Expect::Caught(codes));
        cases.push(if early { case } else { case.within(Duration::from_secs(4)) });
        let culprit = Some(Peer::Party(PartyId::new(2)));
        let abort = Abort { culprit, reason: "carol did it".into() }.encode();
        let accuses = instead_of(kind, |_| true, move |_| vec![Act::Close(close_code::ABORT, abort.clone())]);
        cases.push(Case::new(format!("{kind:?}: accuses carol"), world(), accuses, Expect::Hearsay));
    }
    run_all(cases);
}

#[test]
fn a_dealer_that_says_what_no_dealer_does() {
    // It knows no way to make a party speak or listen out of turn.
    let chatty: Script = Arc::new(|m| match m.kind {
        Kind::Before => Some(vec![Act::Write([m.bytes, m.bytes, m.bytes].concat())]),
        _ => None,
    });
    run_all(vec![
        Case::new("says more than it is asked for", World::new(HOSTILE), chatty, Expect::Harmless),
        Case::new("behaves", World::new(HOSTILE), honest(), Expect::Harmless),
    ]);
}
