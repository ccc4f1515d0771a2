//! Oblivious transfer between every two parties: what correlated randomness is made from where nobody is trusted with it.
//!
//! A **correlated OT** (COT) of a sender and a receiver: the sender holds q and, once for all, Δ; the receiver holds a bit c and
//! t = q ⊕ c·Δ. [`extension::Extension`] makes them in bulk with all peers and in both directions at once, over a lane of their
//! own ([`lane::OtLane`]).

pub mod base;
pub mod extension;
pub mod ferret;
mod ggm;
pub mod lane;
mod lpn;
pub mod softspoken;

/// Overwrites all that a vector holds or held with zeros, at the speed of memory; `Zeroize` goes value by
/// value and then byte by byte through what is spare.
pub(crate) fn wipe<T: Copy + Default>(values: &mut Vec<T>) {
    values.clear();
    values.resize(values.capacity(), T::default());
    // The barrier makes the zeros observable, so the fill cannot be dropped as a dead store.
    zeroize::optimization_barrier(values.as_slice());
    values.clear();
}
