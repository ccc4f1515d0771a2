//! The dealer over real QUIC: seeds, a bounded stream of corrections, refusals and deaths.

#![allow(clippy::unwrap_used, reason = "a failure of a test's own set-up may panic")]

mod net_world;

use std::time::{Duration, Instant};

use bytes::Bytes;
use mpc_core::channel::{Channel, ChannelError, CorrectionSource, Peer};
use mpc_core::party::PartyId;
use net_world::*;
use party_node::identity::Identity;
use party_node::net::{Connected, DealerOptions, DealerServer, DealerSession, Listener, NetError, blame};

/// A dealer and `n` parties that use it.
fn world(n: usize) -> (DealerServer, Vec<Node>) {
    world_with(n, |_| ())
}

fn world_with(n: usize, change: impl FnOnce(&mut DealerOptions)) -> (DealerServer, Vec<Node>) {
    let mut nodes = nodes(n);
    let identity = Identity::generate().unwrap();
    let mut options = DealerOptions::new(nodes[0].options.parties.clone());
    change(&mut options);
    let server = DealerServer::bind(&identity, Listener::bind(localhost()).unwrap(), options).unwrap();
    for node in &mut nodes {
        node.options.dealer = Some(member("dealer", &identity, server.address()));
        node.options.demand = b"three triples".to_vec();
    }
    (server, nodes)
}

fn accept(server: &DealerServer) -> DealerSession {
    server
        .accept_session(Some(PATIENCE))
        .unwrap_or_else(|e| panic!("{e}"))
        .expect("a session within the deadline")
}

fn correction(item: u32, len: usize) -> Bytes {
    (0..len as u32).map(|i| (i.wrapping_mul(2_654_435_761).wrapping_add(item) >> 11) as u8).collect()
}

#[test]
fn parties_and_dealer_agree_on_seeds_and_corrections() {
    for n in [2, 3, 5] {
        let (server, nodes) = world(n);
        let parties = spawn(move || {
            run_all(nodes, |mut session| {
                let me = session.channel.me();
                let mut dealer = session.dealer.take().unwrap();
                let source = dealer.take_source();
                assert_eq!(source.is_some(), me.index() == 0);
                if let Some(mut source) = source {
                    assert_eq!(source.next(0, 10).unwrap(), correction(0, 2_500_000).slice(..10));
                    assert_eq!(source.next(0, 2_499_990).unwrap(), correction(0, 2_500_000).slice(10..));
                    assert_eq!(source.next(3, 0).unwrap().len(), 0);
                    assert_eq!(source.next(7, 5).unwrap(), correction(7, 5));
                }
                session.handle.close().unwrap();
                (session.session_id, *dealer.seed.expose(), *dealer.log.expose())
            })
        });
        let session = accept(&server);
        assert_eq!(session.demand, b"three triples");
        session.sink().send(0, correction(0, 2_500_000)).unwrap();
        session.sink().send(7, correction(7, 5)).unwrap();
        let (id, seeds, logs) = (session.session_id, session.seeds.clone(), session.logs.clone());
        session.finish().unwrap();
        for (i, (session, seed, log)) in parties.join().into_iter().enumerate() {
            let p = PartyId::new(i);
            assert_eq!((session, seed, log), (id, *seeds[p].expose(), *logs[p].expose()));
            assert!(i == 0 || seed != *seeds[PartyId::new(0)].expose());
            assert_ne!(seed, log);
        }
    }
}

#[test]
fn a_dealer_serves_sessions_one_after_the_other_on_the_same_ports() {
    let (server, nodes) = world(2);
    let seats: Vec<_> = nodes.into_iter().map(|n| (n.options, n.identity)).collect();
    let mut seen = Vec::new();
    for _ in 0..3 {
        let nodes = seats
            .iter()
            .map(|(options, identity)| {
                let address = options.parties[options.me.index()].address.parse().unwrap();
                let listener = Listener::bind(address).unwrap();
                Node { identity: identity.clone(), listener, options: options.clone(), rows: None }
            })
            .collect();
        let parties = spawn(move || run_all(nodes, |session| session.handle.close().unwrap()));
        let session = accept(&server);
        seen.push((session.session_id, *session.seeds[PartyId::new(0)].expose()));
        session.finish().unwrap();
        parties.join();
    }
    for (i, a) in seen.iter().enumerate() {
        assert!(
            seen[..i].iter().all(|b| a.0 != b.0 && a.1 != b.1),
            "ids and seeds are fresh in every session"
        );
    }
}

#[test]
fn fifty_megabytes_go_through_a_bounded_window() {
    const ITEMS: u32 = 50;
    const ITEM_BYTES: usize = 1_000_000;
    let (server, nodes) = world(2);
    let (go, may_consume) = std::sync::mpsc::channel::<()>();
    let may_consume = std::sync::Mutex::new(may_consume);
    let parties = spawn(move || {
        run_all(nodes, move |mut session: Connected| {
            if let Some(mut source) = session.dealer.take().unwrap().take_source() {
                may_consume.lock().unwrap().recv_timeout(PATIENCE).unwrap();
                for item in 0..ITEMS {
                    assert_eq!(
                        source.next(item, ITEM_BYTES).unwrap(),
                        correction(item, ITEM_BYTES),
                        "{item}"
                    );
                }
            }
            session.handle.close().unwrap();
        })
    });
    let session = accept(&server);
    let sink = session.sink();
    let (tell, progress) = std::sync::mpsc::channel();
    let sender = spawn(move || {
        for item in 0..ITEMS {
            sink.send(item, correction(item, ITEM_BYTES)).unwrap();
            tell.send(item).unwrap();
        }
    });
    // Nobody consumes: the sender stops when queues and windows are full.
    let mut last = None;
    while let Ok(item) = progress.recv_timeout(Duration::from_millis(1_000)) {
        last = Some(item);
    }
    let waiting = (last.unwrap() + 1) as usize * ITEM_BYTES;
    // Our queue, QUIC's send buffer and window, party 0's queue, and one item in each hand.
    let bound = (4 << 20) + (16 << 20) + (2 << 20) + (8 << 20) + 3 * (1 << 20);
    assert!(waiting < bound && waiting > (8 << 20), "{waiting} bytes under way, bound {bound}");
    go.send(()).unwrap();
    sender.join();
    session.finish().unwrap();
    parties.join();
}

#[test]
fn parties_with_different_demands_are_refused_and_told_who_differs() {
    let (server, mut nodes) = world(3);
    nodes[2].options.demand = b"four triples".to_vec();
    let parties = spawn(move || connect_all(nodes));
    let error = error_of(server.accept_session(Some(PATIENCE)));
    assert!(error.to_string().contains("telecom, unlike bank, has another demand"), "{error}");
    for error in parties.join().into_iter().map(error_of) {
        let text = error.to_string();
        assert!(matches!(error, NetError::Aborted { .. }), "{text}");
        assert!(text.contains("telecom, unlike bank, has another demand"), "{text}");
    }
}

#[test]
fn a_dealer_refuses_strangers_other_versions_and_other_rosters() {
    // It lists another key for the bank.
    let stranger = Identity::generate().unwrap().public_key();
    let (_server, mut nodes) = world_with(2, |options| options.parties[0].key = stranger);
    let own = nodes[0].identity.public_key().fingerprint();
    let text = error_of(nodes.remove(0).connect()).to_string();
    assert!(text.contains("dealer") && text.contains("refused") && text.contains(&own), "{text}");

    let (server, nodes) = world_with(2, |options| options.protocol_version = 5);
    let parties = spawn(move || connect_all(nodes));
    let error = error_of(server.accept_session(Some(PATIENCE)));
    assert!(matches!(error, NetError::Version { .. }), "{error}");
    for error in parties.join().into_iter().map(error_of) {
        assert!(error.to_string().contains("dealer"), "{error}");
    }

    // Both parties are known to it, but in another order.
    let (server, nodes) = world_with(2, |options| options.parties.reverse());
    let parties = spawn(move || connect_all(nodes));
    let error = error_of(server.accept_session(Some(PATIENCE)));
    assert!(error.to_string().contains("another list of parties"), "{error}");
    for error in parties.join().into_iter().map(error_of) {
        assert!(error.to_string().contains("another list of parties"), "{error}");
    }
}

#[test]
fn a_dealer_that_is_not_there_is_named() {
    let (server, mut nodes) = world(2);
    drop(server);
    nodes.iter_mut().for_each(|n| n.options.connect_timeout_ms = 1_500);
    for error in within(Duration::from_secs(5), || connect_all(nodes)).into_iter().map(error_of) {
        assert!(error.to_string().contains("dealer"), "{error}");
    }
}

#[test]
fn a_dealer_that_gives_up_is_named_by_all_parties_at_once() {
    let (server, nodes) = world(3);
    let (tell, connected) = std::sync::mpsc::channel();
    let parties = spawn(move || {
        run_all(nodes, move |mut session| {
            tell.send(()).unwrap();
            match session.dealer.take().unwrap().take_source() {
                Some(mut source) => source.next(0, 100).unwrap_err(),
                None => session.handle.wait_failure(PATIENCE).unwrap(),
            }
        })
    });
    let session = accept(&server);
    connected.recv_timeout(PATIENCE).unwrap();
    drop(session);
    for error in within(Duration::from_secs(5), || parties.join()) {
        assert_eq!(blame(&error), Some(Peer::Dealer), "{error}");
    }
}

#[test]
fn a_party_that_gives_up_ends_the_session_at_the_dealer_with_its_name() {
    let (server, nodes) = world(3);
    let parties = spawn(move || {
        run_all(nodes, |mut session| {
            let me = session.channel.me();
            if me.index() == 1 {
                session.handle.abort(None, "the disk is full");
            }
            let (send, expect) = (to_others(me, 3, Bytes::from_static(b"x")), to_others(me, 3, 1));
            session.channel.exchange(tag(1, 0), send, expect).unwrap_err();
        })
    });
    let session = accept(&server);
    let names = session.names().clone();
    let start = Instant::now();
    let error = session.finish().unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(5));
    let text = names.render(&error);
    assert!(
        matches!(&error, ChannelError::Aborted { reason, .. } if reason.contains("the disk is full")),
        "{text}"
    );
    assert!(text.contains("bureau"), "{text}");
    parties.join();
}

#[test]
fn corrections_out_of_order_end_the_session() {
    let (server, nodes) = world(2);
    let parties = spawn(move || {
        run_all(nodes, |mut session| match session.dealer.take().unwrap().take_source() {
            // Party 0 blames the dealer as soon as it looks, and by then everyone is connected.
            Some(mut source) => source.next(1, 100).unwrap_err(),
            None => session.handle.wait_failure(PATIENCE).unwrap(),
        })
    });
    let session = accept(&server);
    session.sink().send(2, correction(2, 100)).unwrap();
    session.finish().unwrap_err();
    let errors = parties.join();
    assert!(matches!(errors[0], ChannelError::WrongItem { expected: 1, got: 2 }), "{}", errors[0]);
    assert_eq!(blame(&errors[1]), Some(Peer::Dealer), "{}", errors[1]);
}
