//! What nodes tell each other on the control streams, before the first round and after the closing word. What these
//! messages are is for those who read them; here it matters that they come, whole and of the right size.

use mpc_core::channel::Peer;
use mpc_core::party::PartyId;

use super::act::{Act, Kind, instead_of};
use super::cases::{Case, Expect, run_all};
use super::mischief::{CUT, MISSIZED, SILENT, with_length};
use super::world::{Role, World};

const ROLES: [Role; 3] = [Role::Party(0), Role::Party(2), Role::Dealer];

#[test]
fn before_the_first_round_they_are_due() {
    let mut cases = Vec::new();
    for hostile in ROLES {
        for (name, acts) in CUT.into_iter().chain(MISSIZED) {
            // A whole message of whatever size is for its reader.
            let expect = match name {
                "one byte too long" | "one byte too short" | "empty" => Expect::Harmless,
                // What is left of it is taken for the next message.
                "announced shorter than it is" => Expect::Harmless,
                // What is dropped may take the answer before it along.
                _ => Expect::Caught(&["malformed_frame", "malformed"]),
            };
            let script = instead_of(Kind::Before, |_| true, acts);
            // To the dealer, the next message is the word that a party is done.
            if name == "announced shorter than it is" && hostile != Role::Dealer {
                let nobody = instead_of(Kind::Before, |peer| peer != Peer::Dealer, acts);
                cases.push(Case::new(format!("before: {name}"), World::new(hostile), nobody, expect));
                let seen = Expect::TooLate(&["malformed_frame"]);
                cases.push(Case::new(format!("to dealer: {name}"), World::new(hostile), script, seen));
                continue;
            }
            cases.push(Case::new(format!("before: {name}"), World::new(hostile), script, expect));
        }
        let large = |b: &[u8]| vec![Act::Write(with_length(65, &[b, &[0; 65]].concat()))];
        let script = instead_of(Kind::Before, |_| true, large);
        let expect = Expect::Caught(&["malformed_frame"]);
        cases.push(Case::new("before: larger than asked for", World::new(hostile), script, expect));
        for (name, acts) in SILENT {
            let script = instead_of(Kind::Before, |_| true, acts);
            let expect = Expect::Caught(&["peer_timeout"]);
            cases.push(Case::new(format!("before: {name}"), World::hurried(hostile), script, expect));
        }
        let one =
            instead_of(Kind::Before, |peer| peer == Peer::Party(PartyId::new(1)), |_| vec![Act::Silence]);
        let expect = Expect::Caught(&["peer_timeout"]);
        cases.push(Case::new("before: silent towards one", World::hurried(hostile), one, expect));
    }
    run_all(cases);
}

/// The session is over: they cost a deadline at most, and never an output.
#[test]
fn after_the_closing_word_they_are_a_favour() {
    let mut cases = Vec::new();
    for hostile in ROLES {
        for (name, acts) in CUT.into_iter().chain(MISSIZED).chain(SILENT) {
            // What is dropped may take the word that all is done along.
            let expect = if name == "dropped half-way" { Expect::Blameless } else { Expect::Harmless };
            let script = instead_of(Kind::After, |_| true, acts);
            cases.push(Case::new(format!("after: {name}"), World::hurried(hostile), script, expect));
        }
        // One that leaves at its own closing word may leave others before theirs.
        for (name, act) in [("closes", Act::Close(9, vec![7; 100])), ("vanishes", Act::Vanish)] {
            let script = instead_of(Kind::After, |_| true, move |_| vec![act.clone()]);
            cases.push(Case::new(
                format!("after: {name}"),
                World::hurried(hostile),
                script,
                Expect::Blameless,
            ));
        }
    }
    run_all(cases);
}
