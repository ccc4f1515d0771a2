//! Floods, and what they cost the node that is flooded: bounds on its memory, measured in a process of its own.
//!
//! The bounds add up what a node lets a peer leave with it: QUIC's windows, of which quinn holds up to two and a half
//! times as much before it copies together what came in pieces, and the node's own queues. A peer with a QUIC of its own
//! could make every queued piece of at least 4 KiB keep a packet buffer of 64 KiB ([`super::super::pump`]); this one has
//! quinn, whose packets are full.

use std::sync::{Arc, mpsc};

use mpc_core::party::{PartyId, PerParty};

use super::act::{Act, Kind, Script, Stage, honest, instead_of};
use super::dealer::{self, MalloryDealer, pieces};
use super::honest::{DEMAND, round_tag};
use super::mischief::noise;
use super::party::{self, Mallory};
use super::victim::{Doing, Victim};
use crate::identity::Identity;
use crate::net::frame::{FRAME_MAX_BYTES, Header};
use crate::net::options::{ConnectOptions, Member};
use crate::net::runtime::NetThread;
use crate::net::transport::Listener;

pub(super) const MIB: u64 = 1 << 20;
/// Threads, allocator, TLS, and the socket's buffers, which are touched as packets come.
pub(super) const SLACK: u64 = 12 * MIB;
/// What quinn holds of a window of these many MiB.
pub(super) const fn window(mib: u64) -> u64 {
    mib * MIB * 5 / 2
}

pub(super) fn new_identity() -> &'static Identity {
    Box::leak(Box::new(Identity::generate().unwrap()))
}

pub(super) fn bind() -> Listener {
    Listener::bind(([127, 0, 0, 1], 0).into()).unwrap()
}

pub(super) fn member(name: &str, identity: &Identity, address: String) -> Member {
    Member { name: name.into(), address, key: identity.public_key() }
}

fn stage(script: Script) -> Stage {
    Stage { script, vanish: mpsc::channel().0, said: Arc::default() }
}

pub(super) fn side_by_side<T: Send>(cases: impl IntoIterator<Item = T>, run: impl Fn(T) + Sync) {
    std::thread::scope(|scope| {
        let run = &run;
        cases.into_iter().for_each(|case| drop(scope.spawn(move || run(case))));
    });
}

pub(super) fn assert_bounded(what: &str, grew: u64, at_least: u64, at_most: u64) {
    println!(
        "{what}: grew by {:.1} MiB, bound {:.1} MiB",
        grew as f64 / MIB as f64,
        at_most as f64 / MIB as f64
    );
    assert!(grew >= at_least, "{what}: {grew} bytes, which is no flood");
    assert!(grew <= at_most, "{what}: {grew} bytes, at most {at_most} are allowed");
}

/// A party that has met Mallory and computes, while she follows `script`.
fn computing(script: Script) -> u64 {
    let (mallory, alice, listener) = (new_identity(), new_identity(), bind());
    let address = listener.address().to_string();
    let mut members = vec![member("mallory", mallory, address), member("alice", alice, "127.0.0.1:9".into())];
    let (victim, address) = Victim::start(Doing::Computing, alice, &members, None);
    members[1].address = address;
    let options = ConnectOptions::new(PartyId::new(0), members);
    let nonces = PerParty::from_fn(2, |_| [7; 32]);
    let mallory = Mallory { identity: mallory, options, nonces, takes_corrections: true };
    let net = NetThread::start().unwrap();
    net.handle().spawn(party::play(mallory, listener, stage(script)));
    victim.growth_bytes()
}

/// Frames of messages of this length, as many as make up some MiB.
fn many_frames(message: usize, mib: usize) -> Vec<u8> {
    let header = Header { payload: message, tag: round_tag(0), message: message as u64 }.encode();
    let one = [&header[..], &noise(message)].concat();
    one.repeat((mib << 20) / one.len())
}

#[test]
fn a_flood_of_frames_that_nobody_reads() {
    // The queue takes an item while it holds less than 4 MiB; one frame may be on its way into it.
    let queue = 4 * MIB + 2 * FRAME_MAX_BYTES as u64;
    let floods = [("full frames", FRAME_MAX_BYTES, 48), ("single bytes", 1, 24), ("4 KiB", 4096, 48)];
    side_by_side(floods, |(name, message, mib)| {
        let flood = many_frames(message, mib);
        let script = instead_of(Kind::Round(0), |_| true, move |_| vec![Act::Write(flood.clone())]);
        assert_bounded(name, computing(script), 3 * MIB, 2 * queue + window(4) + SLACK);
    });
}

#[test]
fn floods_of_streams_that_nobody_accepts() {
    let streams: Script = Arc::new(|m| {
        (m.kind == Kind::Round(0)).then(|| {
            // As many as are allowed, and more: those wait until others end, which they never do.
            let two_way = (0..200).map(|_| Act::Bi(noise(1 << 20)));
            [Act::Uni(noise(1 << 20))].into_iter().chain(two_way).collect()
        })
    });
    let grew = computing(streams);
    // Up to 64 streams, each with 32 KiB of packets that it holds in pieces.
    assert_bounded("streams", grew, 3 * MIB, window(4) + 64 * (32 << 10) + SLACK);
}

/// Party 0, which takes corrections and computes, while a dealer sends what nobody asked for.
fn corrected(script: Script) -> u64 {
    let [mallory, alice, bob] = [(); 3].map(|()| new_identity());
    let (dealers, bobs) = (bind(), bind());
    let dealer = member("mallory", mallory, dealers.address().to_string());
    let members =
        vec![member("alice", alice, "127.0.0.1:9".into()), member("bob", bob, bobs.address().to_string())];
    let net = NetThread::start().unwrap();
    let serves = MalloryDealer { identity: mallory, parties: members.clone() };
    net.handle().spawn(dealer::serve(serves, dealers, stage(script)));
    let mut options = ConnectOptions::new(PartyId::new(1), members.clone());
    options.dealer = Some(dealer.clone());
    options.demand = DEMAND.to_vec();
    let nonces = PerParty::from_fn(2, |_| [7; 32]);
    let bob = Mallory { identity: bob, options, nonces, takes_corrections: true };
    net.handle().spawn(party::play(bob, bobs, stage(honest())));
    Victim::start(Doing::Computing, alice, &members, Some(&dealer)).0.growth_bytes()
}

#[test]
fn floods_of_corrections_that_nobody_asked_for() {
    let queue = 8 * MIB + 2 * FRAME_MAX_BYTES as u64;
    let large = pieces(0, &noise(48 << 20));
    let tiny = pieces(0, &[7]).repeat((24 << 20) / 9);
    side_by_side([("full pieces", large), ("single bytes", tiny)], |(name, flood)| {
        let script = instead_of(Kind::Correction(0), |_| true, move |_| vec![Act::Write(flood.clone())]);
        assert_bounded(name, corrected(script), 3 * MIB, 2 * queue + window(4) + SLACK);
    });
}
