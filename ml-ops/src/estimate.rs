//! Rough memory and time of a run. Unlike rounds and bytes these are estimates: they tell a minute from an hour.
//!
//! Online time is `rounds · round trip + bytes / bandwidth + work / rate`, where work is ring multiplications of matrix products
//! (two products per party and one at the dealer) and bytes of correlated randomness expanded. Offline and online time
//! are given apart; a streaming dealer overlaps them.

use mpc_core::party::PerParty;
use mpc_core::ring::Z64;
use protocols::cost::Cost;
use protocols::prep::provider::OfflineCost;
use protocols::prep::{Bilinear, CotExtension, Item, Provider};
use protocols::tree::Link;
use serde::Serialize;

use crate::lower::Lowered;
use crate::program::{Node, Program};

/// Ring multiplications per second in matrix products, one core.
const MACS_PER_SECOND: f64 = 15e9;
/// Bytes of correlated randomness expanded, masked and opened per second, one core.
const LOCAL_BYTES_PER_SECOND: f64 = 1e9;

/// Estimated time on one kind of network.
#[derive(Copy, Clone, PartialEq, Debug, Serialize)]
pub struct Estimate {
    /// Correlated randomness, if nothing overlaps.
    pub offline_ms: f64,
    /// The computation itself.
    pub online_ms: f64,
}

/// Estimated time on three kinds of network.
#[derive(Copy, Clone, PartialEq, Debug, Serialize)]
pub struct Estimates {
    /// Processes on one machine: 0.06 ms a round, 500 MB/s.
    pub loopback: Estimate,
    /// One site: 0.5 ms a round, 1 Gbit/s.
    pub lan: Estimate,
    /// Between sites: 40 ms a round, 100 Mbit/s.
    pub wan: Estimate,
}

pub(crate) fn estimates(
    program: &Program,
    total: &Cost,
    provider: Provider,
    made: &OfflineCost,
) -> Estimates {
    let on = |link: Link| {
        let network = (f64::from(link.round_trip_us()) / 1e3, link.bytes_per_second() as f64);
        estimate(program, total, provider, made, network)
    };
    Estimates { loopback: on(Link::LOOPBACK), lan: on(Link::LAN), wan: on(Link::WAN) }
}

/// On a network whose rounds take `round_ms`.
pub(crate) fn estimate(
    program: &Program,
    total: &Cost,
    provider: Provider,
    made: &OfflineCost,
    (round_ms, bytes_per_second): (f64, f64),
) -> Estimate {
    let macs: f64 = total
        .items
        .iter()
        .map(|item| match *item {
            Item::Matmul { m, k, n } => m as f64 * k as f64 * n as f64,
            Item::Given { product, .. } => match product.map {
                Bilinear::Elements { .. } => 0.0,
                map => map.products() as f64,
            },
            Item::BatchMatmul { count, m, k, n } => count as f64 * m as f64 * k as f64 * n as f64,
            Item::Conv(shape) => shape.products() as f64,
            _ => 0.0,
        })
        .sum();
    let expanded: f64 = total.items.iter().map(|i| item_bytes(i) as f64).sum();
    let of_node = |(i, n): (u32, &Node)| {
        // A report's value is what all its iterations say.
        let times = program.report(i).map_or_else(|| program.times(i), |r| r.every);
        n.fact.shape.elements() as f64 * f64::from(times)
    };
    let elements: f64 = (0..).zip(program.nodes()).map(of_node).sum();
    let parties = program.parties().len() as f64;
    let busiest = |of: &PerParty<u64>| of.iter().map(|(_, &v)| v).max().unwrap_or(0) as f64;
    let making = match provider.extension() {
        None => macs / MACS_PER_SECOND + parties * expanded / LOCAL_BYTES_PER_SECOND,
        Some(extension) => busiest(&made.cots) / cots_per_second(extension),
    };
    Estimate {
        offline_ms: (1 + made.rounds) as f64 * round_ms
            + 1e3 * (busiest(&made.bytes) / bytes_per_second + making),
        online_ms: total.rounds as f64 * round_ms
            + 1e3
                * (total.max_sent_bytes() as f64 / bytes_per_second
                    + 2.0 * macs / MACS_PER_SECOND
                    + (expanded + 16.0 * elements) / LOCAL_BYTES_PER_SECOND),
    }
}

/// COTs, made and used, per second of one core: 10, 40 or 30 ns to make one at either end, and 10 to use it.
const fn cots_per_second(extension: CotExtension) -> f64 {
    match extension {
        CotExtension::SoftSpoken4 => 50e6,
        CotExtension::SoftSpoken8 => 20e6,
        CotExtension::Ferret => 25e6,
    }
}

/// Bytes that one party holds of an item.
fn item_bytes(item: &Item) -> u64 {
    let elements = |count: usize| count as u64 * 8;
    match *item {
        Item::Triple { len } | Item::Truncation { len, .. } => elements(3 * len),
        Item::Square { len } => elements(2 * len),
        Item::Dot { len, terms } => elements(len * (2 * terms + 1)),
        Item::Matmul { m, k, n } => elements(m * k + k * n + m * n),
        Item::BatchMatmul { count, m, k, n } => elements(count * (m * k + k * n + m * n)),
        Item::Conv(shape) => {
            let axes = [shape.input(), shape.kernel(), shape.output()];
            elements(axes.iter().map(|axes| axes.iter().product::<usize>()).sum())
        }
        Item::Mask { len } => elements(len),
        Item::Given { product, .. } => {
            let [_, other, result] = product.shapes();
            elements(other.iter().product::<usize>() + result.iter().product::<usize>())
        }
        Item::DaBits { len } => elements(len) + len as u64 / 8,
        Item::Angles { len, multiples, .. } => elements(len * (2 * multiples + 1)),
        // The corrected parts, r itself and the masks of the tree, which are about as many as there are wires.
        Item::Comparison(spec) => {
            let wires = spec.thresholds * 40;
            item.correction_bytes::<Z64>() + elements(spec.len) + (wires * spec.len) as u64 / 8
        }
    }
}

/// Estimated peak of one party's tensors and messages: live values, tensors that are opened once with their masks, and for the
/// step under way its correlated randomness twice (as received and in use) and its messages to and from every party.
pub(crate) fn memory_bytes(program: &Program, lowered: &[Lowered]) -> u64 {
    let last = program.last_uses(|node| lowered[node as usize].opens());
    let mut ends = vec![vec![]; last.len()];
    for (node, &end) in last.iter().enumerate() {
        if let Some(list) = ends.get_mut(end) {
            list.push(node);
        }
    }
    let bytes = |node: usize| program.nodes()[node].fact.shape.elements() as u64 * 8;
    let (mut live, mut peak) = (0, 0);
    for (node, ended) in ends.iter().enumerate() {
        live += bytes(node);
        let (cost, reuse) = (lowered[node].cost_at(0), lowered[node].reuse);
        let masked = |which: bool| reuse.filter(|_| which).map_or(0, |r| 2 * bytes(r.root as usize));
        live += masked(reuse.is_some_and(|r| r.opens));
        let items: u64 = cost.items.iter().map(item_bytes).sum();
        peak = peak.max(live + 2 * items + 2 * cost.max_sent_bytes() + bytes(node));
        live -= ended.iter().map(|&n| bytes(n)).sum::<u64>();
        live -= masked(reuse.is_some_and(|r| r.last));
    }
    peak
}
