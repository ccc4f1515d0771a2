//! A protocol of your own, on shares: for what no composition of a program's operations does as cheaply.
//!
//! `cargo run --release -p ml-ops --example custom_protocol`

use mpc_core::fixed::{decode, encode};
use mpc_core::party::PartyId;
use mpc_core::ring::Z64;
use mpc_core::share::{Additive, Sharing as _};
use ndarray::arr1;
use protocols::error::ProtocolError;
use protocols::input::input;
use protocols::mul::dot;
use protocols::output::output;
use protocols::session::Session;
use protocols::trial;

/// Fraction bits of coordinates.
const FRAC: u32 = 16;

type Share = Additive<Z64>;

/// `[|x − y|²]` for points x, y, with twice their fraction bits. One round: the difference is local, and an inner product opens
/// its factors under one-time pads and nothing else, so a party sees random numbers alone.
fn squared_distance(cx: &mut Session<Share>, x: &Share, y: &Share) -> Result<Share, ProtocolError> {
    let difference = x.sub(y).reshape(&[x.len(), 1]);
    dot(cx, &difference, &difference)
}

/// What both parties learn about their points: the squared distance; and how many rounds that takes.
pub(crate) fn distance(points: [[f64; 3]; 2]) -> Result<Vec<(f64, u64)>, ProtocolError> {
    let encoded = points.map(|p| encode(&arr1(&p).into_dyn(), FRAC, 1000.0));
    // Every party's part, in a thread of its own, over channels in memory.
    trial::run::<Z64, _>(2, [3; 32], |cx| {
        let me = cx.me();
        let own = encoded[me.index()].as_ref().ok();
        let [x, y] = [0, 1].map(|i| input(cx, PartyId::new(i), &[3], own.filter(|_| me.index() == i)));
        let before = cx.rounds();
        let square = squared_distance(cx, &x?, &y?)?;
        let rounds = cx.rounds() - before;
        let revealed = output(cx, &[(&square, &[PartyId::new(0), PartyId::new(1)])])?;
        let values = revealed[0].as_ref().map(|r| decode(r.tensor(), 2 * FRAC).sum());
        Ok((values.unwrap_or(f64::NAN), rounds))
    })
}

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    for (party, (square, rounds)) in distance([[1.0, 2.0, 3.0], [0.5, 4.0, -1.0]])?.into_iter().enumerate() {
        println!("party {party} learns the squared distance {square} after {rounds} round");
    }
    Ok(())
}
