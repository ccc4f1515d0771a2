//! A peer that passes the handshake and then misbehaves on the wire.

use std::time::{Duration, Instant};

use bytes::Bytes;
use mpc_core::channel::{Channel, ChannelError};
use mpc_core::party::{PartyId, PerParty};
use mpc_core::tag::Tag;
use quinn::VarInt;

use super::frame::Header;
use super::hello::close_code;
use super::options::{ConnectOptions, Member};
use super::session::{Connected, connect, connect_raw};
use super::transport::Listener;
use crate::identity::Identity;

const TAG: Tag = Tag { lane: 0, node: 3, iteration: 0, round: 0 };

/// What the honest party 1 gets when party 0 writes `bytes` on the lane and expects `expected` bytes.
fn against(bytes: Vec<u8>, then_end: bool, expected: usize) -> ChannelError {
    let make = || (Identity::generate().unwrap(), Listener::bind(([127, 0, 0, 1], 0).into()).unwrap());
    let (hostile, honest) = (make(), make());
    let member = |name: &str, (identity, listener): &(Identity, Listener)| Member {
        name: name.into(),
        address: listener.address().to_string(),
        key: identity.public_key(),
    };
    let members = vec![member("mallory", &hostile), member("alice", &honest)];
    let mut options = [0, 1].map(|i| ConnectOptions::new(PartyId::new(i), members.clone()));
    options.iter_mut().for_each(|o| o.receive_timeout_ms = 500);
    let [theirs, ours] = options;
    let (done, finished) = std::sync::mpsc::channel::<()>();
    let mallory = std::thread::spawn(move || {
        let (net, mut streams) = connect_raw(&hostile.0, hostile.1, theirs).unwrap();
        net.run(async move {
            let lane = &mut streams.lanes[0];
            // The honest side may close before all is written.
            let _ = lane.send.write_all(&bytes).await;
            if then_end {
                let _ = lane.send.finish();
            }
            let _ = tokio::time::timeout(Duration::from_secs(20), lane.connection.closed()).await;
            lane.connection.close(VarInt::from_u32(close_code::DONE), b"");
        })
        .unwrap();
        drop(done);
    });
    let Connected { mut channel, handle, .. } =
        connect(&honest.0, honest.1, ours, None).unwrap_or_else(|e| panic!("{e}"));
    let mut expect = PerParty::from_fn(2, |_| None);
    expect[PartyId::new(0)] = Some(expected);
    let start = Instant::now();
    let result = channel.exchange(TAG, PerParty::from_fn(2, |_| None::<Bytes>), expect);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    let error = result.err().unwrap_or_else(|| panic!("hostile bytes were taken for a message"));
    drop((channel, handle));
    let _ = finished.recv_timeout(Duration::from_secs(20));
    mallory.join().unwrap();
    error
}

fn frame(payload: usize, tag: Tag, message: u64, body: usize) -> Vec<u8> {
    [&Header { payload, tag, message }.encode()[..], &vec![7; body]].concat()
}

#[test]
fn an_oversized_frame_is_refused_before_it_is_read() {
    let error = against(frame((1 << 20) + 1, TAG, 1 << 40, 100), false, 1 << 21);
    assert!(matches!(error, ChannelError::Malformed { what, .. } if what.contains("1 MiB")), "{error}");
}

#[test]
fn a_message_of_another_length_is_refused() {
    for message in [99_u64, 101, u64::MAX] {
        let payload = message.min(1 << 20) as usize;
        let error = against(frame(payload, TAG, message, payload), false, 100);
        assert!(matches!(error, ChannelError::WrongLength { expected: 100, .. }), "{error}");
    }
}

#[test]
fn a_frame_of_another_place_is_refused() {
    let elsewhere = Tag { round: 1, ..TAG };
    let error = against(frame(100, elsewhere, 100, 100), false, 100);
    assert!(matches!(error, ChannelError::Desync { got, .. } if got == elsewhere), "{error}");
}

#[test]
fn frames_that_are_cut_short_or_empty_are_refused() {
    let error = against(frame(100, TAG, 100, 60), true, 100);
    assert!(
        matches!(error, ChannelError::Malformed { what, .. } if what.contains("inside a frame")),
        "{error}"
    );
    let error = against(frame(100, TAG, 100, 0)[..13].to_vec(), true, 100);
    assert!(matches!(error, ChannelError::Malformed { .. }), "{error}");
    let error = against(frame(0, TAG, 100, 0), false, 100);
    assert!(matches!(error, ChannelError::Malformed { .. }), "{error}");
    let error = against(Vec::new(), true, 100);
    assert!(matches!(error, ChannelError::Lost { .. }), "{error}");
}

#[test]
fn a_message_stretched_over_tiny_frames_is_refused() {
    let error = against(frame(1, TAG, 2_000_000, 1), false, 2_000_000);
    assert!(matches!(error, ChannelError::Malformed { what, .. } if what.contains("not full")), "{error}");
}

#[test]
fn a_frame_that_never_ends_costs_the_deadline() {
    let error = against(frame(100, TAG, 100, 60), false, 100);
    assert!(matches!(error, ChannelError::Timeout { waited_ms: 500, .. }), "{error}");
}
