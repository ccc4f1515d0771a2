//! What is measured without a program: products in the plain ring (`--raw`), and correlated OTs.

use std::collections::BTreeMap;

use mpc_core::channel::Channel;
use mpc_core::fixed::{FracBits, decode};
use mpc_core::party::{PartyId, PerParty};
use mpc_core::prg::Seed;
use mpc_core::ring::Z64;
use mpc_core::share::Additive;
use mpc_core::tag::SessionId;
use mpc_core::tensor::Tensor;
use protocols::error::{PrepError, ProtocolError};
use protocols::input::input;
use protocols::mul::mul;
use protocols::ot::extension::CotCount;
use protocols::ot::lane::OtLane;
use protocols::output::output;
use protocols::prep::{CotExtension, Demand, Item};
use protocols::session::Session;

use super::workload::Values;

/// Makes `n` COTs in either direction with every other party, and uses none. Gives the payload bytes that this party sent.
pub(super) fn cots(
    channel: Box<dyn Channel>,
    session: SessionId,
    (extension, seed): (CotExtension, &Seed),
    n: usize,
) -> Result<(u64, u64), PrepError> {
    let (me, parties) = (channel.me(), channel.parties());
    let mut lane = OtLane::new(channel, session);
    let mut made = extension.build(&session, seed);
    // As items do.
    let chunk = extension.chunk_cots();
    for start in (0..n).step_by(chunk) {
        let count = chunk.min(n - start);
        let count = CotCount { sent: count, received: count };
        drop(made.extend(&mut lane, &PerParty::from_fn(parties, |p| (p != me).then_some(count)))?);
    }
    Ok((lane.rounds(), lane.total_sent_bytes()))
}

/// Correlated randomness for `n` products.
pub(super) fn demand(n: usize) -> Demand {
    Demand { items: vec![Item::Triple { len: n }] }
}

/// Shares both vectors, multiplies them once, and opens the products, at twice the scale, to party 0.
pub(super) fn run(
    cx: &mut Session<Additive<Z64>>,
    n: usize,
    own: Option<Tensor<Z64>>,
) -> Result<Values, ProtocolError> {
    let me = cx.me().index();
    let mut share = |owner: usize| {
        let value = own.as_ref().filter(|_| me == owner);
        input(cx, PartyId::new(owner), &[n], value)
    };
    let (x, y) = (share(0)?, share(1)?);
    let z = mul(cx, &x, &y)?;
    let revealed = output(cx, &[(&z, &[PartyId::new(0)])])?;
    let mut values = BTreeMap::new();
    if let Some(z) = &revealed[0] {
        values.insert("result".to_owned(), decode(z.tensor(), 2 * FracBits::DEFAULT.bits()));
    }
    Ok(values)
}
