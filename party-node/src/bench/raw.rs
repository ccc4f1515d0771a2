//! Products in the plain ring, without a program: what `--raw` measures.

use std::collections::BTreeMap;

use mpc_core::fixed::{FracBits, decode};
use mpc_core::party::PartyId;
use mpc_core::ring::Z64;
use mpc_core::share::Additive;
use mpc_core::tensor::Tensor;
use protocols::error::ProtocolError;
use protocols::input::input;
use protocols::mul::mul;
use protocols::output::output;
use protocols::prep::{Demand, Item};
use protocols::session::Session;

use super::workload::Values;

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
