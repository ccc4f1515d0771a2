//! Sessions that must not come about: each side says within its deadline which side expected what.

#![allow(clippy::unwrap_used, reason = "a failure of a test's own set-up may panic")]

mod net_world;

use std::time::Duration;

use net_world::*;
use party_node::identity::Identity;
use party_node::net::{Difference, Listener, Member, NetError, PROTOCOL_VERSION, SecretBytes};
use sha2::{Digest, Sha256};

/// Spoils a node.
type Spoil = fn(&mut Node);

fn deadline(nodes: &mut [Node], connect_timeout_ms: u64) {
    nodes.iter_mut().for_each(|n| n.options.connect_timeout_ms = connect_timeout_ms);
}

/// All fail, quickly; the errors in party order.
fn all_fail(nodes: Vec<Node>) -> Vec<NetError> {
    within(Duration::from_secs(10), || connect_all(nodes)).into_iter().map(error_of).collect()
}

#[test]
fn the_dialled_node_has_another_key_than_the_pinned_one() {
    let mut nodes = nodes(2);
    deadline(&mut nodes, 2_500);
    let pinned = Identity::generate().unwrap().public_key();
    nodes[0].options.parties[1].key = pinned;
    let real = nodes[1].identity.public_key();
    let errors = all_fail(nodes);
    let NetError::WrongKey { peer, pinned: p, presented, address } = &errors[0] else {
        panic!("{}", errors[0])
    };
    assert_eq!(
        (peer.as_str(), p.clone(), presented.clone()),
        ("bureau", pinned.fingerprint(), real.fingerprint())
    );
    assert!(errors[0].to_string().contains(address));
    // The other side cannot know who that was, but says what happened.
    let text = errors[1].to_string();
    assert!(matches!(errors[1], NetError::Absent { .. }), "{text}");
    assert!(
        text.contains("bank") && text.contains("expects another key") && text.contains("2500 ms"),
        "{text}"
    );
}

#[test]
fn a_key_that_the_accepting_node_does_not_list_is_refused() {
    let mut nodes = nodes(2);
    deadline(&mut nodes, 2_500);
    nodes[1].options.parties[0].key = Identity::generate().unwrap().public_key();
    let stranger = nodes[0].identity.public_key().fingerprint();
    let errors = all_fail(nodes);
    let NetError::KeyRefused { peer, ours, .. } = &errors[0] else { panic!("{}", errors[0]) };
    assert_eq!((peer.as_str(), ours), ("bureau", &stranger));
    let text = errors[1].to_string();
    assert!(matches!(errors[1], NetError::Absent { .. } | NetError::WrongKey { .. }), "{text}");
    assert!(text.contains(&stranger) && text.contains("bank"), "{text}");
}

#[test]
fn own_key_and_roster_must_fit() {
    let mut both = nodes(2);
    let found = both[1].identity.public_key().fingerprint();
    let swapped = both.remove(1);
    both[0].identity = swapped.identity;
    let error = error_of(both.remove(0).connect());
    assert!(
        matches!(&error, NetError::OwnKey { name, found: f, .. } if name == "bank" && *f == found),
        "{error}"
    );

    let expectations: [(&str, Spoil); 6] = [
        ("bank and bureau have the same key", |n| n.options.parties[1].key = n.options.parties[0].key),
        ("the name bank occurs twice", |n| n.options.parties[1].name = "bank".into()),
        ("expected 2 to 5 parties, found 1", |n| n.options.parties.truncate(1)),
        ("bad address \"nowhere\" of bureau: expected host:port", |n| {
            n.options.parties[1].address = "nowhere".into()
        }),
        ("not between 1 and 65535", |n| n.options.parties[1].address = "127.0.0.1:70000".into()),
        ("found port 0", |n| n.options.parties[1].address = "127.0.0.1:0".into()),
    ];
    for (expected, spoil) in expectations {
        let mut node = nodes(2).remove(0);
        spoil(&mut node);
        let text = error_of(node.connect()).to_string();
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn other_programs_parameters_and_rosters_are_seen_by_both_sides() {
    let cases: [(Difference, Spoil); 3] = [
        (Difference::Program, |n| n.options.program_digest = [0xab; 32]),
        (Difference::Parameters, |n| n.options.parameters_digest = [0xab; 32]),
        (Difference::Roster, |n| {
            let key = Identity::generate().unwrap().public_key();
            n.options.dealer = Some(Member { name: "dealer".into(), address: "127.0.0.1:9".into(), key });
        }),
    ];
    for (difference, change) in cases {
        for changed in [0, 1] {
            let mut nodes = nodes(2);
            change(&mut nodes[changed]);
            let errors = all_fail(nodes);
            for (me, error) in errors.iter().enumerate() {
                let NetError::Mismatch { peer, what, ours, theirs } = error else { panic!("{error}") };
                assert_eq!((peer.as_str(), *what), (NAMES[1 - me], difference));
                if difference != Difference::Roster {
                    assert_eq!([ours, theirs][usize::from(me != changed)], "abababababababab…", "{error}");
                }
            }
        }
    }
}

#[test]
fn a_difference_between_two_is_told_to_the_third() {
    // Who comes when the two have left already cannot be told: it waits for them in vain. So a few meetings may pass.
    for _ in 0..12 {
        let mut nodes = nodes(3);
        deadline(&mut nodes, 1_500);
        nodes[1].options.program_digest = [7; 32];
        let errors = all_fail(nodes);
        if errors.iter().any(|error| matches!(error, NetError::Absent { .. })) {
            continue;
        }
        for (me, error) in errors.iter().enumerate() {
            let text = error.to_string();
            assert!(text.contains("program"), "{text}");
            assert!(me == 1 || text.contains("bureau"), "{text}");
        }
        return;
    }
    panic!("all three never met");
}

#[test]
fn another_protocol_version_is_seen_by_both_sides() {
    for changed in [0, 1] {
        let mut nodes = nodes(2);
        nodes[changed].options.protocol_version = 9;
        for (me, error) in all_fail(nodes).iter().enumerate() {
            let NetError::Version { peer, ours, theirs } = error else { panic!("{error}") };
            let current = PROTOCOL_VERSION.to_string();
            let expected = if me == changed { ("9", current.as_str()) } else { (current.as_str(), "9") };
            assert_eq!((ours.as_str(), theirs.as_str()), expected);
            assert_eq!(peer, NAMES[1 - me]);
        }
    }
}

#[test]
fn lists_in_different_orders_are_seen_although_both_wait_to_be_dialled() {
    let mut nodes = nodes(2);
    // Each believes to be the second of the two.
    nodes[0].options.parties.reverse();
    nodes[0].options.me = mpc_core::party::PartyId::new(1);
    for error in all_fail(nodes) {
        assert!(matches!(error, NetError::Mismatch { what: Difference::Roster, .. }), "{error}");
    }
}

fn digest_of(key: &SecretBytes, ids: &str) -> [u8; 32] {
    Sha256::new().chain_update(key.expose()).chain_update(ids).finalize().into()
}

#[test]
fn rows_in_another_order_are_seen_by_both_sides_and_no_rows_are_fine() {
    let mut differ = nodes(2);
    differ[0].rows = Some(|key| digest_of(key, "a,b"));
    differ[1].rows = Some(|key| digest_of(key, "b,a"));
    for (me, error) in all_fail(differ).iter().enumerate() {
        let expected = format!("row ids differ between {} and {}", NAMES[me], NAMES[1 - me]);
        assert!(error.to_string().contains(&expected), "{error}");
    }
    let mut agree = nodes(3);
    agree[0].rows = Some(|key| digest_of(key, "a,b"));
    agree[2].rows = Some(|key| digest_of(key, "a,b"));
    run_all(agree, |session| session.handle.close().unwrap());
}

#[test]
fn who_never_comes_is_named_with_the_address() {
    let mut nodes = nodes(3);
    deadline(&mut nodes, 1_500);
    let absent = nodes.remove(2);
    for error in within(Duration::from_secs(4), || connect_all(nodes)).into_iter().map(error_of) {
        let text = error.to_string();
        assert!(text.contains("telecom") && text.contains(&absent.listener.address().to_string()), "{text}");
        match error {
            NetError::Absent { absent, waited_ms: 1_500, .. } => assert_eq!(absent.len(), 1, "{text}"),
            // The other one was a little faster and said so.
            NetError::Aborted { culprit: Some(culprit), .. } => assert_eq!(culprit, "telecom"),
            _ => panic!("{text}"),
        }
    }
}

#[test]
fn a_taken_port_is_reported_at_once() {
    let taken = Listener::bind(localhost()).unwrap();
    let error = error_of(Listener::bind(taken.address()));
    assert!(matches!(error, NetError::PortInUse { address } if address == taken.address()), "{error}");
    assert!(error.to_string().contains("the port is in use"), "{error}");
}
