//! The network alone: what a small round takes, and how many bytes pass while both sides send.

use std::time::Instant;

use bytes::Bytes;
use mpc_core::channel::{Channel, ChannelError};
use mpc_core::party::PerParty;
use mpc_core::tag::Tag;
use serde::{Deserialize, Serialize};

use super::report::median;

/// Payload of a small round.
const SMALL_BYTES: usize = 64;
const SMALL_ROUNDS: u32 = 2_000;
const LARGE_ROUNDS: u32 = 12;

/// What the network did.
#[derive(Copy, Clone, Debug, Default, Serialize, Deserialize)]
pub struct LinkFigures {
    /// Median time of an exchange of 64 bytes with every other party, in µs.
    pub round_us: f64,
    /// Bytes sent per second, in each direction at once, in large exchanges: the median, in GB/s.
    pub gb_per_s: f64,
}

/// Exchanges small messages, then messages of `bytes`, with all other parties.
pub(super) fn measure(channel: &mut dyn Channel, bytes: usize) -> Result<LinkFigures, ChannelError> {
    let small = seconds_per_round(channel, 1, SMALL_BYTES, SMALL_ROUNDS)?;
    let large = seconds_per_round(channel, 2, bytes, LARGE_ROUNDS)?;
    let sent = bytes as f64 * (channel.parties() - 1) as f64;
    Ok(LinkFigures { round_us: 1e6 * small, gb_per_s: 1e-9 * sent / large })
}

fn seconds_per_round(
    channel: &mut dyn Channel,
    node: u32,
    bytes: usize,
    rounds: u32,
) -> Result<f64, ChannelError> {
    let (me, n) = (channel.me(), channel.parties());
    let message = Bytes::from(vec![7; bytes]);
    let mut seconds = Vec::new();
    for iteration in 0..rounds {
        let tag = Tag { lane: 0, node, iteration, round: 0 };
        let send = PerParty::from_fn(n, |p| (p != me).then(|| message.clone()));
        let expect = PerParty::from_fn(n, |p| (p != me).then_some(bytes));
        let began = Instant::now();
        drop(channel.exchange(tag, send, expect)?);
        seconds.push(began.elapsed().as_secs_f64());
    }
    Ok(median(seconds))
}
