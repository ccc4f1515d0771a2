//! Every protocol on the 8-bit ring, for every value (or every pair of values), and for corner and random values on the
//! 64-bit ring, with 2, 3 and 5 parties. Costs are asserted in every run.

#[path = "../common/mod.rs"]
mod common;
mod comparisons;
mod order;
mod outputs;
mod products;
mod rankings;
mod rectifiers;
mod truncation;

use common::{corners, tensor, words};
use mpc_core::ring::{Ring, Z8, Z64};
use mpc_core::tensor::Tensor;

/// All pairs of the 8-bit ring, as two tensors of 65,536 elements.
fn pairs() -> (Tensor<Z8>, Tensor<Z8>) {
    (tensor((0..65536).map(|i| i >> 8)), tensor((0..65536).map(|i| i & 255)))
}

/// All values of the 8-bit ring, each many times, so that each meets many masks.
fn values() -> Tensor<Z8> {
    tensor((0..16384).map(|i| i & 255))
}

/// Corner values against each other and random ones.
fn wide_pairs(label: u64) -> (Tensor<Z64>, Tensor<Z64>) {
    let c = corners();
    let cross = c.iter().flat_map(|&a| c.iter().map(move |&b| (a, b)));
    let random = words(label, 400).into_iter().zip(words(label + 1, 400));
    let (a, b): (Vec<_>, Vec<_>) = cross.chain(random).unzip();
    (tensor(a), tensor(b))
}

fn check<R: Ring>(got: &Tensor<R>, x: &Tensor<R>, want: impl Fn(R) -> R) {
    for (i, (&g, &x)) in got.as_slice().iter().zip(x.as_slice()).enumerate() {
        assert_eq!(g, want(x), "element {i}, x = {x:?}");
    }
}

/// A bit as a ring element.
fn bit<R: Ring>(b: bool) -> R {
    R::from_u64(u64::from(b))
}
