//! Everything that a party says to another party before the first round.

use mpc_core::channel::Peer;

use super::act::{Act, Kind, Said, honest, instead_of};
use super::cases::{Case, Expect, run_all};
use super::mischief::{CUT, MISSIZED, SILENT, noise, recorded, with_length};
use super::world::{Role, World};

const CONTROL: [Kind; 3] = [Kind::Hello, Kind::Confirm, Kind::RowAnswer];
/// The dialling side of all connections, and the accepting side of all.
const SIDES: [Role; 2] = [Role::Party(0), Role::Party(2)];

fn is_party(peer: Peer) -> bool {
    matches!(peer, Peer::Party(_))
}

/// A session with `hostile`, who does this instead of saying `kind` to any party.
fn case(
    hostile: Role,
    kind: Kind,
    name: &str,
    acts: impl Fn(&[u8]) -> Vec<Act> + Send + Sync + 'static,
    expect: Expect,
) -> Case {
    let script = instead_of(kind, is_party, acts);
    Case::new(format!("{kind:?} {name}"), World::new(hostile), script, expect)
}

#[test]
fn messages_that_are_cut_or_have_the_wrong_size() {
    let mut cases = Vec::new();
    for hostile in SIDES {
        for kind in CONTROL {
            for (name, acts) in CUT.iter().chain(&MISSIZED) {
                cases.push(case(hostile, kind, name, acts, Expect::Caught(&["malformed"])));
            }
        }
    }
    run_all(cases);
}

#[test]
fn messages_that_do_not_come() {
    let mut cases = Vec::new();
    for hostile in SIDES {
        for kind in CONTROL.into_iter().chain([Kind::LaneWord]) {
            // Only the dialling side names the lane.
            if kind == Kind::LaneWord && hostile != Role::Party(0) {
                continue;
            }
            let code: &[&str] = if kind == Kind::Hello { &["peer_absent"] } else { &["peer_lost"] };
            for (name, acts) in SILENT {
                let script = instead_of(kind, is_party, acts);
                let name = format!("{kind:?} {name}");
                cases.push(Case::new(name, World::hurried(hostile), script, Expect::Caught(code)));
            }
        }
    }
    run_all(cases);
}

#[test]
fn messages_that_are_not_the_due_one() {
    let mut cases = Vec::new();
    for hostile in SIDES {
        let (_, said) = World::new(hostile).run(honest());
        for (i, kind) in CONTROL.into_iter().enumerate() {
            let to = if hostile == Role::Party(0) { 1 } else { 0 };
            let to = Peer::Party(mpc_core::party::PartyId::new(to));
            let twice = |b: &[u8]| vec![Act::Write([b, b].concat())];
            let again =
                if kind == Kind::RowAnswer { Expect::Harmless } else { Expect::Caught(&["malformed"]) };
            cases.push(case(hostile, kind, "said twice", twice, again));
            let other: Vec<&Said> = said.iter().filter(|(k, p, _)| *p == to && *k != kind).collect();
            for (k, _, bytes) in other {
                // The closing word's frame looks like an answer about other rows.
                let codes: &[&str] =
                    if kind == Kind::RowAnswer { &["malformed", "row_order"] } else { &["malformed"] };
                let bytes = bytes.clone();
                let acts = move |_: &[u8]| vec![Act::Write(bytes.clone()), Act::Finish];
                cases.push(case(hostile, kind, &format!("replaced by {k:?}"), acts, Expect::Caught(codes)));
            }
            let next = [Kind::Confirm, Kind::RowAnswer, Kind::Round(0)][i];
            let next = recorded(&said, next, to).unwrap();
            let early = move |b: &[u8]| vec![Act::Write([&next, b].concat())];
            let codes: &[&str] = &["malformed", "row_order"];
            cases.push(case(hostile, kind, "after the next one", early, Expect::Caught(codes)));
            let random = |b: &[u8]| vec![Act::Write(noise(b.len()))];
            cases.push(case(hostile, kind, "replaced by noise", random, Expect::Caught(&["malformed"])));
            let body = |b: &[u8]| vec![Act::Write(with_length(b.len() as u32 - 4, &noise(b.len() - 4)))];
            cases.push(case(hostile, kind, "filled with noise", body, Expect::Caught(codes)));
        }
    }
    run_all(cases);
}

#[test]
fn lanes_that_are_not_the_due_one() {
    let hostile = Role::Party(0);
    let mut cases: Vec<Case> = CUT[..3]
        .iter()
        .map(|(name, acts)| case(hostile, Kind::LaneWord, name, acts, Expect::Caught(&["malformed"])))
        .collect();
    for word in [[1, 0], [0, 1], [0xff, 0xff]] {
        let acts = move |_: &[u8]| vec![Act::Write(word.to_vec())];
        let name = format!("for lane {word:?}");
        cases.push(case(hostile, Kind::LaneWord, &name, acts, Expect::Caught(&["malformed"])));
    }
    let twice = |b: &[u8]| vec![Act::Write([b, b].concat())];
    cases.push(case(hostile, Kind::LaneWord, "twice", twice, Expect::Caught(&["malformed_frame"])));
    run_all(cases);
}

/// What was said in an earlier session, word for word.
#[test]
fn messages_of_an_earlier_session() {
    let mut cases = Vec::new();
    for hostile in SIDES {
        let old = World { nonces: |_| [0x0e; 32], ..World::new(hostile) };
        let (endings, said) = old.run(honest());
        assert!(endings.iter().all(super::honest::Ending::has_output), "{endings:?}");
        for (kind, expect) in [
            // The session id has this session's nonces.
            (Kind::Hello, Expect::Unattributed(&["session_id"])),
            (Kind::Confirm, Expect::Unattributed(&["session_id"])),
            // The answer has this connection's key.
            (Kind::RowAnswer, Expect::Caught(&["row_order"])),
        ] {
            let said = said.clone();
            let script: super::act::Script = std::sync::Arc::new(move |m| {
                let old = || recorded(&said, kind, m.to).unwrap();
                (m.kind == kind && is_party(m.to)).then(|| vec![Act::Write(old())])
            });
            cases.push(Case::new(
                format!("{kind:?} of an earlier session"),
                World::new(hostile),
                script,
                expect,
            ));
        }
        // A nonce that is not fresh makes no old session: the others' nonces are.
        let (_, again) = World { nonces: |_| [0x0e; 32], ..World::new(hostile) }.run(honest());
        let confirm = |said: &[Said]| said.iter().find(|s| s.0 == Kind::Confirm).unwrap().2[4..36].to_vec();
        assert_ne!(confirm(&said), confirm(&again), "another session id");
    }
    run_all(cases);
}

/// Half-closed: it speaks on and hears nothing any more.
#[test]
fn a_party_that_does_not_listen() {
    let mut cases = Vec::new();
    for hostile in SIDES {
        for kind in CONTROL.into_iter().chain([Kind::Before]) {
            let script = instead_of(kind, is_party, |b| vec![Act::Stop, Act::Write(b.to_vec())]);
            // What is noticed first: that it takes no answer, or that nothing more comes of it.
            let expect =
                Expect::Caught(&["malformed", "malformed_frame", "peer_absent", "peer_lost", "peer_timeout"]);
            cases.push(Case::new(
                format!("{kind:?}, not listening"),
                World::hurried(hostile),
                script,
                expect,
            ));
        }
    }
    run_all(cases);
}
