//! What a party says to the dealer.

use std::sync::Arc;
use std::time::Duration;

use mpc_core::channel::Peer;

use super::act::{Act, Kind, Script, honest, instead_of};
use super::cases::{Case, Expect, run_all};
use super::mischief::{CUT, MISSIZED, SILENT, flip, noise, recorded, with_length};
use super::world::{Role, World};
use crate::net::hello::{DEALER_HELLO_MAX_BYTES, encode_greeting};
use crate::net::keys::PROTOCOL_VERSION;

/// Party 0, which takes the corrections, and another one.
const SIDES: [Role; 2] = [Role::Party(0), Role::Party(2)];

fn to_dealer(kind: Kind, acts: impl Fn(&[u8]) -> Vec<Act> + Send + Sync + 'static) -> Script {
    instead_of(kind, |peer| peer == Peer::Dealer, acts)
}

/// A world whose dealer soon gives up on a party that does not come.
fn world(hostile: Role) -> World {
    World { dealer_timeout_ms: 1_500, ..World::new(hostile) }
}

fn cases(
    kind: Kind,
    name: &str,
    expect: Expect,
    acts: impl Fn(&[u8]) -> Vec<Act> + Send + Sync + Clone + 'static,
) -> Vec<Case> {
    let case = |hostile| {
        Case::new(format!("{kind:?} {name}"), world(hostile), to_dealer(kind, acts.clone()), expect.clone())
    };
    SIDES.map(case).into()
}

#[test]
fn messages_that_are_cut_or_have_the_wrong_size() {
    let mut all = Vec::new();
    for kind in [Kind::Greeting, Kind::Demand] {
        for (name, acts) in CUT.into_iter().chain(MISSIZED) {
            // Of a greeting only the front is read: other versions may have more to say.
            let expect = match (kind, name) {
                (Kind::Greeting, "one byte too long") => Expect::Harmless,
                _ => Expect::CaughtByDealer(&["malformed"]),
            };
            all.extend(cases(kind, name, expect, acts));
        }
    }
    let malformed = Expect::CaughtByDealer(&["malformed"]);
    all.extend(cases(Kind::Demand, "larger than any", malformed.clone(), |_| {
        vec![Act::Write(with_length(DEALER_HELLO_MAX_BYTES as u32 + 1, &[0; 1000]))]
    }));
    all.extend(cases(Kind::Demand, "with a list of 4 GiB", malformed.clone(), |b| {
        let mut b = b.to_vec();
        let at = b.len() - super::honest::DEMAND.len() - 4;
        b[at..at + 4].fill(0xff);
        vec![Act::Write(b)]
    }));
    for kind in [Kind::Greeting, Kind::Demand] {
        all.extend(cases(kind, "replaced by noise", malformed.clone(), |b| vec![Act::Write(noise(b.len()))]));
    }
    run_all(all);
}

#[test]
fn messages_that_do_not_come() {
    let mut all = Vec::new();
    for kind in [Kind::Greeting, Kind::Demand] {
        for (name, acts) in SILENT {
            let seen = Expect::CaughtByDealer(&["peer_absent", "peer_lost"]);
            all.extend(cases(kind, name, seen, acts));
        }
    }
    run_all(all);
}

/// Offsets of the fields of a demand, behind its length.
const SESSION: usize = 4;
const PARTIES: usize = SESSION + 32;
const ME: usize = PARTIES + 1;
const ROSTER: usize = ME + 1;
const PROGRAM: usize = ROSTER + 32;
const PARAMETERS: usize = PROGRAM + 32;
const LIST: usize = PARAMETERS + 32 + 4;

#[test]
fn demands_that_differ_from_the_others() {
    let mut all = Vec::new();
    for (name, at, code) in [
        ("for another program", PROGRAM, &["program_differs"] as &'static [&'static str]),
        ("with other parameters", PARAMETERS, &["session_differs"]),
        ("for other randomness", LIST, &["session_differs"]),
        ("with another list of parties", ROSTER, &["session_differs"]),
        ("as another party", ME, &["session_differs"]),
        ("of more parties", PARTIES, &["session_differs"]),
    ] {
        let acts = move |b: &[u8]| vec![Act::Write(flip(b, 8 * at + 1))];
        all.extend(cases(Kind::Demand, name, Expect::CaughtByDealer(code), acts));
    }
    // Whoever waits for another session was told of it by somebody, or made it up: the dealer cannot know.
    let nobody = Expect::Ended(&["peer_absent"]);
    all.extend(cases(Kind::Demand, "for another session", nobody.clone(), |b| {
        vec![Act::Write(flip(b, 8 * SESSION))]
    }));
    for hostile in SIDES {
        let old = World { nonces: |_| [0x0e; 32], ..World::new(hostile) };
        let (_, said) = old.run(honest());
        let old = recorded(&said, Kind::Demand, Peer::Dealer).unwrap();
        let script = to_dealer(Kind::Demand, move |_| vec![Act::Write(old.clone())]);
        all.push(Case::new("Demand of an earlier session", world(hostile), script, nobody.clone()));
    }
    run_all(all);
}

fn goodbye() -> Vec<u8> {
    with_length(4, b"done")
}

#[test]
fn words_out_of_turn() {
    let malformed = Expect::CaughtByDealer(&["malformed"]);
    let mut all =
        cases(Kind::Greeting, "said twice", malformed.clone(), |b| vec![Act::Write([b, b].concat())]);
    all.extend(cases(Kind::Demand, "replaced by a greeting", malformed.clone(), |_| {
        vec![Act::Write(with_length(6, &encode_greeting(PROTOCOL_VERSION).finish()))]
    }));
    all.extend(cases(Kind::Greeting, "replaced by the goodbye", malformed, |_| vec![Act::Write(goodbye())]));
    let version = Expect::CaughtByDealer(&["protocol_version"]);
    all.extend(cases(Kind::Greeting, "of another version", version, |_| {
        vec![Act::Write(with_length(6, &encode_greeting(PROTOCOL_VERSION + 1).finish()))]
    }));
    let unknown = Expect::CaughtByDealer(&["malformed_frame"]);
    all.extend(cases(Kind::Demand, "said twice", unknown, |b| vec![Act::Write([b, b].concat())]));
    let unknown = Expect::TooLate(&["malformed_frame"]);
    for (name, word) in [("in another word", b"gone"), ("with a bit turned over", b"eone")] {
        all.extend(cases(Kind::Goodbye, name, unknown.clone(), move |_| {
            vec![Act::Write(with_length(4, word))]
        }));
    }
    all.extend(cases(Kind::Goodbye, "cut short", unknown.clone(), |_| {
        vec![Act::Write(goodbye()[..6].to_vec()), Act::Finish]
    }));
    all.extend(cases(Kind::Goodbye, "not said, but ended", unknown, |_| vec![Act::Finish]));
    all.extend(cases(Kind::Goodbye, "said twice", Expect::Harmless, |b| vec![Act::Write([b, b].concat())]));
    all.extend(cases(Kind::Before, "with the goodbye", Expect::Harmless, |b| {
        vec![Act::Write([b, &goodbye()].concat())]
    }));
    run_all(all);
}

/// It takes the dealer's ten seconds. A dealer cannot know whether one party said goodbye too early or another does not say it: it ends the session and
/// holds nobody responsible.
#[test]
fn a_session_that_cannot_end_is_ended() {
    let nobody = Expect::Unattributed(&["peer_aborted"]);
    let mut all = Vec::new();
    for hostile in SIDES {
        let early: Script = Arc::new(|m| match m.kind {
            Kind::Before if m.to == Peer::Dealer => Some(vec![Act::Write([m.bytes, &goodbye()].concat())]),
            Kind::Round(0) => Some(vec![Act::Silence]),
            _ => None,
        });
        let patient = World { receive_timeout_ms: 20_000, ..World::new(hostile) };
        all.push(Case::new("done before the first round", patient, early, nobody.clone()));
    }
    // It needs no corrections to send what looks like shares.
    let greedless = World { takes_corrections: false, ..World::new(Role::Party(0)) };
    let seen = Expect::TooLate(&["malformed_frame"]);
    all.push(Case::new("party 0 reads no corrections", greedless, honest(), seen));
    let silent: Script = Arc::new(|m| (m.kind == Kind::Goodbye).then(|| vec![Act::Silence]));
    for hostile in SIDES {
        let nobody = Expect::TooLate(&["peer_aborted"]);
        all.push(Case::new("never done", World::new(hostile), silent.clone(), nobody));
    }
    run_all(all.into_iter().map(|case| case.within(Duration::from_secs(14))).collect());
}
