//! Many connections at once, from a party that has more than it needs and from strangers who should have none.

use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use mpc_core::party::PartyId;
use quinn::Connection;

use super::act::dial;
use super::floods::{SLACK, assert_bounded, bind, member, new_identity, side_by_side, window};
use super::mischief::{noise, with_length};
use super::victim::{Doing, Victim};
use crate::identity::Identity;
use crate::net::dealer_server::{DealerOptions, DealerServer};
use crate::net::hello::{DEMAND_MAX_BYTES, DealerHello, encode_greeting};
use crate::net::keys::{PROTOCOL_VERSION, roster_digest};
use crate::net::options::{ConnectOptions, Member, Notice};
use crate::net::runtime::NetThread;
use crate::net::tls::OwnKey;
use crate::net::transport::LinkProfile;

/// Connections that are kept for as long as this is.
struct Crowd {
    _net: NetThread,
    kept: Arc<Mutex<Vec<Connection>>>,
    /// Told when all have been dialled.
    dialled: mpsc::Receiver<()>,
}

/// As many connections of one node as it can get, each left to `then`.
fn crowd(
    own: &'static Identity,
    target: &Member,
    count: usize,
    then: impl Fn(Connection) + Send + Sync + 'static,
) -> Crowd {
    let net = NetThread::start().unwrap();
    let kept: Arc<Mutex<Vec<Connection>>> = Arc::default();
    let (target, all) = (target.clone(), kept.clone());
    let (tell, dialled) = mpsc::channel();
    net.handle().spawn(async move {
        let link = LinkProfile::Loopback;
        let endpoint = bind().into_endpoint(link, None).unwrap();
        let own = OwnKey::new(own).unwrap();
        for _ in 0..count {
            if let Ok(connection) = dial(&endpoint, &own, link, &target).await {
                then(connection.clone());
                all.lock().unwrap().push(connection);
            }
        }
        // The test may be over.
        let _ = tell.send(());
    });
    Crowd { _net: net, kept, dialled }
}

#[test]
fn floods_of_silent_connections() {
    let [mallory, alice, carol, stranger] = [(); 4].map(|()| new_identity());
    let nowhere = || "127.0.0.1:9".to_owned();
    let members = [("mallory", mallory), ("alice", alice), ("carol", carol)]
        .map(|(name, identity)| member(name, identity, nowhere()));
    let doing = [Doing::Meeting, Doing::Dealing];
    let cases = doing.map(|doing| [("a party's", mallory, doing), ("a stranger's", stranger, doing)]);
    side_by_side(cases.concat(), |(name, who, doing)| {
        let (victim, address) = Victim::start(doing, alice, &members_of(doing, &members), None);
        let target = member("alice", alice, address);
        let _crowd = crowd(who, &target, 300, |_| ());
        let grew = victim.growth_bytes();
        // Few may wait at once; each has a TLS state and packets in flight.
        assert_bounded(&format!("{name} connections, {doing:?}"), grew, 0, 32 * (256 << 10) + SLACK);
    });
}

fn members_of(doing: Doing, members: &[Member; 3]) -> Vec<Member> {
    match doing {
        // A dealer is no party.
        Doing::Dealing => vec![members[0].clone(), members[2].clone()],
        _ => members.to_vec(),
    }
}

#[test]
fn a_flood_of_demands() {
    let [mallory, dora, carol] = [(); 3].map(|()| new_identity());
    let nowhere = || "127.0.0.1:9".to_owned();
    let members = vec![member("mallory", mallory, nowhere()), member("carol", carol, nowhere())];
    let (victim, address) = Victim::start(Doing::Dealing, dora, &members, None);
    let keys: Vec<_> = members.iter().map(|m| m.key).collect();
    let roster = roster_digest(&keys, Some(&dora.public_key()));
    let target = member("dora", dora, address);
    let crowd = crowd(mallory, &target, 100, move |connection| {
        tokio::spawn(async move {
            let Ok((mut send, _recv)) = connection.open_bi().await else { return };
            let greeting = encode_greeting(PROTOCOL_VERSION).finish();
            let _ = send.write_all(&with_length(greeting.len() as u32, &greeting)).await;
            let mut session = [0; 32];
            getrandom::fill(&mut session).unwrap();
            let (program, parameters) = ([0; 32], [0; 32]);
            let demand = noise(DEMAND_MAX_BYTES);
            let hello =
                DealerHello { session, parties: 2, me: 0, roster, program, parameters, demand }.encode();
            let _ = send.write_all(&with_length(hello.len() as u32, &hello)).await;
            // And whatever else the window takes.
            let Ok(mut junk) = connection.open_uni().await else { return };
            let _ = junk.write_all(&noise(4 << 20)).await;
            connection.closed().await;
        });
    });
    let grew = victim.growth_bytes();
    let open = crowd.kept.lock().unwrap().iter().filter(|c| c.close_reason().is_none()).count();
    assert!(open <= 12, "a party has twelve places, and these are open: {open}");
    // Twelve places: a demand, held once as it came and once decoded while it is looked at, and the connection's window.
    let place = 2 * DEMAND_MAX_BYTES as u64 + window(1) / 2;
    assert_bounded("demands", grew, 10 * DEMAND_MAX_BYTES as u64, 12 * place + SLACK);
}

#[test]
fn a_flood_of_connections_keeps_no_honest_node_out() {
    // While Mallory and a stranger dial as fast as they can, the honest parties meet each other and miss her alone.
    let [mallory, stranger] = [(); 2].map(|()| new_identity());
    let seats = [(); 2].map(|()| (new_identity(), bind()));
    let mut members: Vec<Member> = seats
        .iter()
        .zip(["alice", "bob"])
        .map(|((identity, listener), name)| member(name, identity, listener.address().to_string()))
        .collect();
    members.push(member("mallory", mallory, "127.0.0.1:9".into()));
    let floods: Vec<_> = [mallory, stranger]
        .iter()
        .flat_map(|who| members[..2].iter().map(|target| crowd(who, target, 100_000, |_| ())))
        .collect();
    let nodes = seats.into_iter().enumerate().map(|(i, (identity, listener))| {
        let mut options = ConnectOptions::new(PartyId::new(i), members.clone());
        options.connect_timeout_ms = 4_000;
        std::thread::spawn(move || super::honest::party(identity, listener, options))
    });
    let nodes: Vec<_> = nodes.collect();
    for node in nodes {
        let ending = node.join().unwrap();
        assert!(["peer_absent", "peer_aborted"].contains(&ending.code), "{ending:?}");
        assert_eq!(ending.blamed, ["mallory"], "{}", ending.text);
        assert!(ending.text.len() < 1_500, "{}", ending.text);
    }
    drop(floods);
}

#[test]
fn datagrams_that_mean_nothing() {
    let [alice, mallory, carol] = [(); 3].map(|()| new_identity());
    let members = [("mallory", mallory), ("alice", alice), ("carol", carol)]
        .map(|(name, identity)| member(name, identity, "127.0.0.1:9".into()));
    let (victim, address) = Victim::start(Doing::Meeting, alice, &members, None);
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let noise = noise(1_200 + 256);
    for i in 0..20_000_usize {
        // Every first byte, which says what kind of packet it is, with the version of QUIC after it or not.
        let mut datagram = noise[i % 256..][..1_200].to_vec();
        datagram[0] = i as u8;
        if i % 2 == 0 {
            datagram[1..5].copy_from_slice(&1_u32.to_be_bytes());
        }
        // What the system cannot take is lost, as on any network.
        let _ = socket.send_to(&datagram, &address);
    }
    assert_bounded("datagrams", victim.growth_bytes(), 0, 32 * (256 << 10) + SLACK);
}

/// Lines that a dealer prints while 200 connections of `who` do what they like with it.
fn lines_printed(who: &'static Identity, known: &'static Identity, then: fn(Connection)) -> Vec<String> {
    let dora = new_identity();
    let members = [("mallory", known), ("carol", new_identity())];
    let members = members.map(|(name, identity)| member(name, identity, "127.0.0.1:9".into())).to_vec();
    let lines: Arc<Mutex<Vec<String>>> = Arc::default();
    let told = lines.clone();
    let mut options = DealerOptions::new(members);
    options.notice = Notice::new(move |line| told.lock().unwrap().push(line.to_owned()));
    let server = DealerServer::bind(dora, bind(), options).unwrap();
    let target = member("dora", dora, server.address().to_string());
    let crowd = crowd(who, &target, 200, then);
    crowd.dialled.recv_timeout(Duration::from_secs(30)).unwrap();
    let mut reports = 0;
    while !matches!(server.accept_session(Some(Duration::from_millis(100))), Ok(None)) {
        reports += 1;
    }
    // Eight may wait, and the last four connections may still be judged while they are taken.
    assert!(reports <= 12, "{reports} failed attempts wait to be looked at");
    lines.lock().unwrap().clone()
}

#[test]
fn what_others_can_make_a_dealer_print() {
    let [mallory, stranger] = [(); 2].map(|()| new_identity());
    let began = Instant::now();
    let of_a_stranger = lines_printed(stranger, mallory, |_| ());
    let of_a_party = lines_printed(mallory, mallory, |connection| {
        tokio::spawn(async move {
            let Ok((mut send, _recv)) = connection.open_bi().await else { return };
            let _ = send.write_all(&noise(100)).await;
            connection.closed().await;
        });
    });
    // A burst of 20, and one line a second.
    let most = 21 + began.elapsed().as_secs() as usize;
    for (who, lines) in [("a stranger", of_a_stranger), ("a party", of_a_party)] {
        assert!(!lines.is_empty() && lines.len() <= most, "{who} causes {} lines: {lines:?}", lines.len());
        assert!(lines.iter().all(|l| l.len() < 300 && !l.contains(char::is_control)), "{who}: {lines:?}");
    }
}
