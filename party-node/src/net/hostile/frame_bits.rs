//! Every single bit of a frame's header and of a correction's header turned over, and some of their payloads.

use bytes::Bytes;
use mpc_core::channel::{ChannelError, CorrectionSource, Peer};
use mpc_core::party::PerParty;

use super::dealer::pieces;
use super::honest::round_tag;
use super::mischief::flip;
use super::party::frames;
use super::rig::{Rig, THEM, US};
use crate::net::channel::Lane;
use crate::net::dealer_link::receive_corrections;
use crate::net::frame::Header;
use crate::net::links::Links;
use crate::net::pump;

const BYTES: usize = 100;
const TIMEOUT_MS: u64 = 5_000;

fn word(result: Result<(), ChannelError>) -> &'static str {
    match result {
        Ok(()) => "accepted",
        Err(ChannelError::Malformed { .. }) => "malformed",
        Err(ChannelError::Desync { .. } | ChannelError::WrongItem { .. }) => "out of step",
        Err(ChannelError::WrongLength { .. }) => "wrong length",
        Err(ChannelError::Lost { .. }) => "lost",
        Err(_) => "something else",
    }
}

/// What an honest lane makes of these bytes where a message of [`BYTES`] is due.
fn on_a_lane(rig: &Rig, bytes: Vec<u8>) -> &'static str {
    let (ours, theirs) = (rig.ours.clone(), rig.theirs.clone());
    let streams = rig.net.run(async move {
        let (mut send, keep) = theirs.open_bi().await.unwrap();
        send.write_all(&bytes).await.unwrap();
        send.finish().unwrap();
        (ours.accept_bi().await.unwrap(), keep)
    });
    let ((send, recv), _keep) = streams.unwrap();
    let links = Links::new(rig.meeting.names.clone());
    let mut peers = PerParty::from_fn(2, |_| None);
    {
        let _in_runtime = rig.net.handle().enter();
        peers[THEM] = Some(pump::start(&links, Peer::Party(THEM), send, recv));
    }
    let lane = Lane { lane: 0, me: US, peers, receive_timeout_ms: TIMEOUT_MS };
    let mut expect = PerParty::from_fn(2, |_| None);
    expect[THEM] = Some(BYTES);
    let send = PerParty::from_fn(2, |_| None::<Bytes>);
    let verdict = word(lane.exchange(&links, round_tag(0), send, &expect).map(drop));
    assert_eq!(verdict != "accepted", links.failure().is_some(), "an error ends the session");
    if verdict == "accepted" {
        // The pumps end with the session.
        links.abort(Peer::Party(US), None, "the test is over");
    }
    verdict
}

#[test]
fn every_bit_of_a_frame() {
    let rig = Rig::new();
    let sound = frames(round_tag(0), &[7; BYTES]);
    assert_eq!(on_a_lane(&rig, sound.clone()), "accepted");
    for bit in 0..8 * Header::BYTES {
        let verdict = on_a_lane(&rig, flip(&sound, bit));
        let allowed: &[&str] = match bit / 8 {
            0..4 => &["malformed"],
            4..18 => &["out of step"],
            // A message shorter than its own frame cannot be.
            _ => &["wrong length", "malformed"],
        };
        assert!(allowed.contains(&verdict), "bit {bit}: {verdict}, not {allowed:?}");
    }
    for bit in [0, 1, 399, 8 * BYTES - 1] {
        assert_eq!(on_a_lane(&rig, flip(&sound, 8 * Header::BYTES + bit)), "accepted", "payload bit {bit}");
    }
}

/// What party 0 makes of these bytes where a correction of [`BYTES`] is due.
fn as_a_correction(rig: &Rig, bytes: Vec<u8>) -> &'static str {
    let theirs = rig.theirs.clone();
    let links = Links::new(rig.meeting.names.clone());
    let mut source = {
        let _in_runtime = rig.net.handle().enter();
        receive_corrections(&links, rig.ours.clone(), TIMEOUT_MS)
    };
    let written = rig.net.run(async move {
        let mut send = theirs.open_uni().await.unwrap();
        send.write_all(&bytes).await.unwrap();
        send.finish().unwrap();
    });
    written.unwrap();
    let verdict = word(source.next(0, BYTES).map(drop));
    assert_eq!(verdict != "accepted", links.failure().is_some(), "an error ends the session");
    verdict
}

#[test]
fn every_bit_of_a_correction() {
    let rig = Rig::new();
    let sound = pieces(0, &[7; BYTES]);
    assert_eq!(as_a_correction(&rig, sound.clone()), "accepted");
    for bit in 0..8 * 8 {
        let verdict = as_a_correction(&rig, flip(&sound, bit));
        let allowed: &[&str] = match bit / 8 {
            0..4 => &["out of step"],
            // A shorter piece is followed by what looks like another item's.
            _ => &["malformed", "out of step"],
        };
        assert!(allowed.contains(&verdict), "bit {bit}: {verdict}, not {allowed:?}");
    }
    for bit in [0, 399, 8 * BYTES - 1] {
        assert_eq!(as_a_correction(&rig, flip(&sound, 64 + bit)), "accepted", "payload bit {bit}");
    }
}
