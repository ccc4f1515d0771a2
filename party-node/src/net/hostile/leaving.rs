//! A party that leaves, by a close of any kind or by vanishing as a killed process does, at every message.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mpc_core::channel::Peer;
use mpc_core::party::PartyId;

use super::act::{Act, Kind, Script, instead_of};
use super::cases::{Case, Expect, run_all};
use super::world::{Role, World};
use crate::net::hello::{Abort, close_code};

const SIDES: [Role; 2] = [Role::Party(0), Role::Party(2)];
/// What a party says to other parties, in order; the lane's number is the dialling side's to say.
const STAGES: [Kind; 7] = [
    Kind::Hello,
    Kind::Confirm,
    Kind::RowAnswer,
    Kind::Before,
    Kind::Round(0),
    Kind::Round(1),
    Kind::Closing,
];

/// What a terminal would obey, and more of it than is ever shown.
fn nasty() -> Vec<u8> {
    [b"\x1b[2J\x1b]0;mine\x07\r\nerror: bob did it\xe2\x80\xae".as_slice(), &[b'!'; 2000]].concat()
}

fn abort(culprit: Option<Peer>, reason: &str) -> Vec<u8> {
    Abort { culprit, reason: reason.into() }.encode()
}

fn leaves(kind: Kind, code: u32, reason: Vec<u8>) -> Script {
    instead_of(kind, |_| true, move |_| vec![Act::Close(code, reason.clone())])
}

#[test]
fn a_party_that_closes_its_connections_is_named() {
    let mut cases = Vec::new();
    for hostile in SIDES {
        for kind in STAGES {
            // Before the hello, a party that closes may dial again: it has until the deadline.
            // A close can overtake the hello.
            let (world, lost): (fn(Role) -> World, &[&str]) = match kind {
                Kind::Hello => (World::hurried, &["peer_absent"]),
                Kind::Confirm => (World::hurried, &["peer_absent", "peer_lost"]),
                _ => (World::new, &["peer_lost"]),
            };
            for (name, code) in [("done", close_code::DONE), ("busy", close_code::BUSY), ("no such code", 9)]
            {
                let case = Case::new(
                    format!("{kind:?}: closed as {name}"),
                    world(hostile),
                    leaves(kind, code, nasty()),
                    Expect::Caught(lost),
                );
                cases.push(case);
            }
            let said_nothing = Case::new(
                format!("{kind:?}: aborted with noise"),
                world(hostile),
                leaves(kind, close_code::ABORT, nasty()),
                Expect::Ended(&["peer_absent", "peer_aborted"]),
            );
            cases.push(said_nothing);
        }
    }
    run_all(cases);
}

/// An abort names whom it likes. That is passed on, for it is how everyone learns of a crash that one of them saw; but it
/// is passed on as the word of the one who said it.
#[test]
fn an_accusation_stays_the_word_of_who_made_it() {
    let mut cases = Vec::new();
    for hostile in SIDES {
        for kind in STAGES {
            let early = matches!(kind, Kind::Hello | Kind::Confirm);
            let world = if early { World::hurried } else { World::new };
            for culprit in [Peer::Party(PartyId::new(1)), Peer::Dealer] {
                let reason = abort(Some(culprit), "it told me\u{202e} \u{1b}[31mlies");
                let script = leaves(kind, close_code::ABORT, reason);
                let name = format!("{kind:?}: accuses {culprit}");
                cases.push(Case::new(name, world(hostile), script, Expect::Hearsay));
            }
        }
    }
    run_all(cases);
}

#[test]
fn a_party_that_vanishes_is_named_in_time() {
    let mut cases = Vec::new();
    for hostile in SIDES {
        for kind in STAGES {
            let script = instead_of(kind, |peer| peer != Peer::Dealer, |_| vec![Act::Vanish]);
            let name = format!("{kind:?}: vanishes");
            if kind == Kind::Hello {
                let expect = Expect::Caught(&["peer_absent", "peer_lost"]);
                cases.push(Case::new(name, World::hurried(hostile), script, expect));
                continue;
            }
            let case = Case::new(name, World::new(hostile), script, Expect::Caught(&["peer_lost"]));
            cases.push(case.within(Duration::from_millis(4_000)));
        }
    }
    run_all(cases);
}

/// Between a party's confirmation and the dealer's answer nothing is due from that party.
#[test]
fn a_party_that_leaves_while_the_dealer_waits_for_it_is_named() {
    let mut cases = Vec::new();
    for hostile in SIDES {
        for (name, act) in [("vanishes", Act::Vanish), ("closes", Act::Close(close_code::DONE, Vec::new()))] {
            let script: Script = Arc::new(move |m| match m.kind {
                Kind::Demand => Some(vec![Act::Silence]),
                Kind::Before => Some(vec![act.clone()]),
                _ => None,
            });
            let case = Case::new(
                format!("confirms, asks for nothing and {name}"),
                World::new(hostile),
                script,
                Expect::Caught(&["peer_lost"]),
            );
            cases.push(case.within(Duration::from_secs(4)));
        }
        // One that stays is not found out: the dealer does not say for whom it waits.
        let script = instead_of(Kind::Demand, |_| true, |_| vec![Act::Silence]);
        let expect = Expect::Unattributed(&["dealer_not_ready"]);
        cases.push(Case::new("confirms and asks for nothing", World::hurried(hostile), script, expect));
    }
    run_all(cases);
}

/// Towards one of two peers only.
#[test]
fn a_party_that_leaves_one_peer_is_named_by_both() {
    let mut cases = Vec::new();
    for kind in [Kind::RowAnswer, Kind::Before, Kind::Round(0), Kind::Round(1)] {
        let first = Peer::Party(PartyId::new(0));
        for (name, act, code) in [
            ("closes", Act::Close(close_code::DONE, Vec::new()), "peer_lost"),
            ("resets the stream", Act::Reset, "peer_lost or malformed"),
        ] {
            let once = AtomicBool::new(true);
            let script: Script = Arc::new(move |m| {
                let hit = m.kind == kind && m.to == first && once.swap(false, Ordering::Relaxed);
                hit.then(|| vec![act.clone(), Act::Silence])
            });
            let codes: &[&str] = match code {
                "peer_lost" => &["peer_lost"],
                _ => &["peer_lost", "malformed", "malformed_frame"],
            };
            let name = format!("{kind:?}: {name} towards alice");
            cases.push(Case::new(name, World::new(Role::Party(2)), script, Expect::Caught(codes)));
        }
    }
    run_all(cases);
}

/// From the dealer alone; the parties still have it.
#[test]
fn a_party_that_leaves_the_dealer_is_named() {
    let mut cases = Vec::new();
    for hostile in SIDES {
        for kind in [Kind::Greeting, Kind::Demand, Kind::Goodbye] {
            // A party that has asked for nothing may come back, for as long as the dealer waits.
            let expect = match kind {
                Kind::Goodbye => Expect::TooLate(&["peer_lost"]),
                _ => Expect::CaughtByDealer(&["peer_absent"]),
            };
            for (name, code) in [("done", close_code::DONE), ("no such code", 9)] {
                let script = leaves(kind, code, nasty());
                let world = World { dealer_timeout_ms: 1_500, ..World::new(hostile) };
                cases.push(Case::new(format!("{kind:?}: closed as {name}"), world, script, expect.clone()));
            }
        }
        for (kind, expect) in [
            (Kind::Greeting, Expect::Caught(&["peer_absent", "peer_lost"])),
            (Kind::Demand, Expect::Caught(&["peer_lost"])),
            (Kind::Goodbye, Expect::TooLate(&["peer_lost"])),
        ] {
            let script = instead_of(kind, |peer| peer == Peer::Dealer, |_| vec![Act::Vanish]);
            let world = if kind == Kind::Greeting { World::hurried(hostile) } else { World::new(hostile) };
            cases.push(Case::new(format!("{kind:?}: vanishes"), world, script, expect));
        }
    }
    run_all(cases);
}
