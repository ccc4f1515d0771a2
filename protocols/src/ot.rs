//! Oblivious transfer between every two parties: what correlated randomness is made from where nobody is trusted with it.
//!
//! A **correlated OT** (COT) of a sender and a receiver: the sender holds q and, once for all, Δ; the receiver holds a bit c and
//! t = q ⊕ c·Δ. [`extension::Extension`] makes them in bulk with all peers and in both directions at once, over a lane of their
//! own ([`lane::OtLane`]).

pub mod choice;
pub mod extension;
pub mod ferret;
mod ggm;
pub mod lane;
mod lpn;
