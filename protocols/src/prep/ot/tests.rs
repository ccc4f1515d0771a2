//! Every kind of item, made by all parties in threads and put together again.

use mpc_core::channel::Channel;
use mpc_core::local;
use mpc_core::party::{PartyId, PerParty};
use mpc_core::prg::{Prg, Seed};
use mpc_core::ring::Ring;
use mpc_core::tag::{SessionId, Tag};

use super::OtPrep;
use crate::error::PrepError;
use crate::ot::extension::{CotCount, Extension, PairCots, ReceivedCots, SentCots};
use crate::ot::lane::OtLane;
use crate::prep::components::Components;
use crate::prep::relation::Value;
use crate::prep::{CotExtension, Demand, Item};

mod costs;
mod dump;
mod gates;
pub(in crate::prep) mod items;
mod orders;
mod rates;
mod uniform;
mod wire;

const SESSION: SessionId = SessionId([7; 32]);

const CHUNK: usize = CotExtension::SoftSpoken4.chunk_cots();

/// Few COTs at a time: one 64-bit element, five, and a tile of pads and a little. Then few items have many chunks.
const SMALL_CHUNKS: [usize; 3] = [64, 320, 576];

/// COTs from a seed that all parties know: what an extension gives, without one. It sends nothing.
struct Ideal {
    seed: Seed,
    /// COTs so far of (sender, receiver).
    first: Vec<u64>,
    calls: u32,
}

impl Ideal {
    fn new(seed: u8, n: usize) -> Self {
        Self { seed: Seed::new([seed; 32]), first: vec![0; n * n], calls: 0 }
    }

    fn pair(&mut self, n: usize, from: PartyId, to: PartyId, count: usize) -> (SentCots, ReceivedCots) {
        let pair = from.index() * n + to.index();
        let stream = |label, round| {
            let tag = Tag { lane: 0, node: pair as u32, iteration: 0, round };
            Prg::new(&self.seed, &SESSION, tag, label, 0)
        };
        let mut delta = [0u128];
        stream("delta", 0).fill(bytemuck::cast_slice_mut(&mut delta));
        let delta = delta[0] | 1;
        let (mut q, mut choices) = (vec![0u128; count], vec![0u64; count.div_ceil(64)]);
        stream("q", self.calls).fill(bytemuck::cast_slice_mut(&mut q));
        stream("c", self.calls).fill(bytemuck::cast_slice_mut(&mut choices));
        if !count.is_multiple_of(64) {
            *choices.last_mut().unwrap() &= (1 << (count % 64)) - 1;
        }
        let bit = |i: usize| u128::from(choices[i / 64] >> (i % 64) & 1);
        let t = q.iter().enumerate().map(|(i, q)| q ^ (bit(i) * delta)).collect();
        let first = self.first[pair];
        self.first[pair] += count as u64;
        (SentCots { delta: delta.into(), q, first }, ReceivedCots { choices, t, first })
    }
}

impl Extension for Ideal {
    fn extend(
        &mut self,
        lane: &mut OtLane,
        counts: &PerParty<Option<CotCount>>,
    ) -> Result<PerParty<Option<PairCots>>, PrepError> {
        let (n, me) = (lane.parties(), lane.me());
        self.calls += 1;
        Ok(PerParty::from_fn(n, |p| {
            counts[p].map(|c| PairCots {
                sent: self.pair(n, me, p, c.sent).0,
                received: self.pair(n, p, me, c.received).1,
            })
        }))
    }
}

/// All parties' sources, on COTs from a common seed.
fn sources<R: Ring>(n: usize, seed: u8, demand: Option<&Demand>) -> Vec<OtPrep<R>> {
    sources_in_chunks(n, seed, CHUNK, demand)
}

fn sources_in_chunks<R: Ring>(n: usize, seed: u8, chunk: usize, demand: Option<&Demand>) -> Vec<OtPrep<R>> {
    sources_over(n, seed, chunk, demand, |_| Box::new(Ideal::new(seed, n)))
}

fn sources_over<R: Ring>(
    n: usize,
    seed: u8,
    chunk: usize,
    demand: Option<&Demand>,
    extension: impl Fn(u8) -> Box<dyn Extension>,
) -> Vec<OtPrep<R>> {
    let source = |channel: local::LocalChannel| {
        let me = channel.me().index() as u8;
        let lane = OtLane::new(Box::new(channel), SESSION);
        let own = Seed::new([seed ^ 0x80 ^ me; 32]);
        OtPrep::new(lane, extension(me), chunk, own, demand.cloned())
    };
    local::network(n).into_iter().map(source).collect()
}

/// Runs all parties and returns what each returns.
fn run<R: Ring, T: Send>(sources: Vec<OtPrep<R>>, party: impl Fn(OtPrep<R>) -> T + Sync) -> Vec<T> {
    let party = &party;
    std::thread::scope(|scope| {
        let threads: Vec<_> = sources.into_iter().map(|s| scope.spawn(move || party(s))).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    })
}

/// All parties' shares of the items.
fn shares<R: Ring>(n: usize, seed: u8, chunk: usize, items: &[Item]) -> Vec<Vec<Vec<Value<R>>>> {
    let sources = sources_in_chunks::<R>(n, seed, chunk, None);
    run(sources, |mut source| items.iter().map(|i| source.draw(*i).unwrap()).collect())
}

/// The sum of shares.
fn open<'a, R: Ring>(shares: impl Iterator<Item = &'a Value<R>>) -> Value<R> {
    let copy = |v: &Value<R>| match v {
        Value::Ring(t) => Value::Ring(t.clone()),
        Value::Bits(b) => Value::Bits(b.clone()),
    };
    let mut shares = shares;
    let mut sum = copy(shares.next().unwrap());
    for share in shares {
        match (&mut sum, share) {
            (Value::Ring(s), Value::Ring(t)) => s.add_assign(t),
            (Value::Bits(s), Value::Bits(t)) => s.xor_assign(t),
            _ => panic!("parties hold a component differently"),
        }
    }
    sum
}
