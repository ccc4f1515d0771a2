//! A party that tells different peers different things while they meet, or something about itself that is not so.

use std::sync::Arc;

use mpc_core::channel::Peer;
use mpc_core::party::PartyId;

use super::act::{Act, Kind, Script, honest, instead_of};
use super::cases::{Case, Expect, run_all};
use super::mischief::{flip, recorded};
use super::world::{Role, World};

const ROLES: [Role; 3] = [Role::Party(0), Role::Party(1), Role::Party(2)];

/// Offsets in a hello, behind its length.
const PARTIES: usize = 4 + 6;
const ME: usize = PARTIES + 1;
const YOU: usize = ME + 1;
const ROSTER: usize = YOU + 1;
const PROGRAM: usize = ROSTER + 32;
const PARAMETERS: usize = PROGRAM + 32;
/// Offsets in a confirmation, behind its length.
const FLAG: usize = 4 + 32;
const POINT: usize = FLAG + 1;

/// Either of the two others may have been told the wrong one, or have told it.
#[test]
fn another_nonce_for_each_party() {
    let case = |hostile| {
        let world = World { nonces: |p| [p.index() as u8; 32], ..World::new(hostile) };
        Case::new("a nonce for each", world, honest(), Expect::Unattributed(&["session_id"]))
    };
    run_all(ROLES.map(case).into());
}

#[test]
fn another_program_roster_or_index() {
    let mut cases = Vec::new();
    for hostile in ROLES {
        let others: Vec<Peer> =
            (0..3).filter(|&i| hostile != Role::Party(i)).map(|i| Peer::Party(PartyId::new(i))).collect();
        for (name, at, code) in [
            ("as of more parties", PARTIES, &["session_differs"] as &'static [&'static str]),
            ("as another party", ME, &["session_differs"]),
            ("to another party", YOU, &["session_differs"]),
            ("with another roster", ROSTER, &["session_differs"]),
            ("for another program", PROGRAM, &["program_differs"]),
            ("with other parameters", PARAMETERS, &["session_differs"]),
        ] {
            let lie = move |b: &[u8]| vec![Act::Write(flip(b, 8 * at))];
            let to_all = instead_of(Kind::Hello, |_| true, lie);
            cases.push(Case::new(
                format!("hello {name}"),
                World::hurried(hostile),
                to_all,
                Expect::Caught(code),
            ));
            for &one in &others {
                let script = instead_of(Kind::Hello, move |peer| peer == one, lie);
                let name = format!("hello {name}, to {one} alone");
                cases.push(Case::new(name, World::hurried(hostile), script, Expect::Caught(code)));
            }
        }
    }
    run_all(cases);
}

#[test]
fn other_rows_or_none_that_can_be() {
    let mut cases = Vec::new();
    for hostile in ROLES {
        let (_, said) = World::new(hostile).run(honest());
        // A point of the group, but of an earlier session's secret: her answer does not fit it.
        let another: Script = Arc::new(move |m| {
            let old = || recorded(&said, Kind::Confirm, m.to).unwrap();
            (m.kind == Kind::Confirm).then(|| vec![Act::Write([&m.bytes[..POINT], &old()[POINT..]].concat())])
        });
        let seen = Expect::Caught(&["row_order"]);
        cases.push(Case::new("another point", World::new(hostile), another, seen.clone()));
        let once: Script = Arc::new(move |m| {
            let to_one = m.to == Peer::Party(PartyId::new(if hostile == Role::Party(0) { 1 } else { 0 }));
            (m.kind == Kind::RowAnswer && to_one).then(|| vec![Act::Write(flip(m.bytes, 77))])
        });
        cases.push(Case::new("a wrong answer to one", World::new(hostile), once, seen));
        let malformed = Expect::Caught(&["malformed"]);
        for (name, flag, point) in [
            ("the identity", 1, 0),
            ("no canonical point", 1, 0xff),
            ("a flag of 2", 2, 7),
            ("a point but no rows", 0, 7),
        ] {
            let script = instead_of(
                Kind::Confirm,
                |_| true,
                move |b| vec![Act::Write([&b[..FLAG], &[flag], &[point; 32]].concat())],
            );
            cases.push(Case::new(name, World::new(hostile), script, malformed.clone()));
        }
    }
    run_all(cases);
}

/// What it asks of the dealer fits what it told the others or it does not: the dealer holds all against each other.
#[test]
fn another_demand_than_its_own_hello() {
    let mut cases = Vec::new();
    for hostile in ROLES {
        let world =
            World { brings: |options| options.demand = b"three items".to_vec(), ..World::new(hostile) };
        let seen = Expect::CaughtByDealer(&["session_differs"]);
        cases.push(Case::new("more randomness", world, honest(), seen));
    }
    run_all(cases);
}
