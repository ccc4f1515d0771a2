//! Sorting along an axis, or the first few of the sorted elements, with other values moved along.
//!
//! A sorting network (`network`), every stage one masked opening (`opening`). For places i and j with d = x_i − x_j and
//! m = \[d < 0\], d·m is subtracted at i and added at j, which leaves the larger in front; values e that move along change by
//! m·(e_j − e_i), from the same opening. Batcher's network under MPC after Jónsson, Kreitz, Uddin (ePrint 2011/122); products of
//! the moved values with the comparison's own bit are this project's.
//!
//! The order of elements with equal keys is that of the network, the same in every run, and not that of the input.
//!
//! **Security**: that of `opening`; which places are compared is public and depends on the number of elements alone.
//! **Correct** for |x − y| < 2^(k−1) of all pairs.
//!
//! **Cost** per comparator, k = 64, blocks and fan-in 4: 98 bits to each party and 457 from the dealer, and 64 and 64 more for
//! each value that moves along; 4 rounds a stage. All of n = 2^t elements take t(t+1)/2 stages; the first of 1,000
//! take 10, the first ten 40, all of them 55.

use mpc_core::ring::Ring;
use mpc_core::share::Sharing;
use mpc_core::tensor::{Tensor, elements};

use crate::cost::Cost;
use crate::error::ProtocolError;
use crate::opening;
use crate::prep::{Comparison, Question};
use crate::session::Session;
use crate::tree::TreeChoice;

mod network;

use network::Comparator;

/// Which end comes first.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Direction {
    /// The smallest.
    Ascending,
    /// The largest.
    Descending,
}

/// The first `keep` of x's elements along its first axis, sorted, and of every payload (of x's shape) those that stand beside
/// them. Four rounds a stage.
///
/// # Errors
/// [`ProtocolError::Shape`] if x has no axis, fewer elements than are kept, or another shape than a payload; channel and
/// preprocessing errors.
pub fn sort<S: Sharing>(
    cx: &mut Session<S>,
    x: &S,
    payloads: &[&S],
    direction: Direction,
    keep: usize,
    tree: TreeChoice,
) -> Result<(S, Vec<S>), ProtocolError> {
    let &[n, ref rest @ ..] = x.shape() else {
        return Err(ProtocolError::Shape { what: "axis to sort along", expected: vec![1], got: vec![] });
    };
    if keep > n {
        return Err(ProtocolError::Shape {
            what: "elements that are kept",
            expected: vec![n],
            got: vec![keep],
        });
    }
    if let Some(other) = payloads.iter().find(|p| p.shape() != x.shape()) {
        let (expected, got) = (x.shape().to_vec(), other.shape().to_vec());
        return Err(ProtocolError::Shape { what: "values that move with sorted keys", expected, got });
    }
    let len = elements(rest);
    let keys = if direction == Direction::Descending { x.clone() } else { x.neg() };
    // Keys, then the payloads, all as rows of `len`.
    let mut all = S::combine(&[&[&keys], payloads].concat(), |p| Tensor::concat(0, p))
        .reshape(&[n * (1 + payloads.len()), len]);
    for stage in network::stages(n, keep) {
        let moved = moved(cx, &all, n, &stage, spec(stage.len() * len, payloads.len(), tree))?;
        all = S::combine(&[&all, &moved], |p| exchanged(p[0], p[1], n, &stage));
    }
    let shape = [&[keep], rest].concat();
    let kept = |i: usize| all.map_linear(|t| t.slice(0, i * n, i * n + keep)).reshape(&shape);
    let keys = if direction == Direction::Descending { kept(0) } else { kept(0).neg() };
    Ok((keys, (1..=payloads.len()).map(kept).collect()))
}

/// Cost of [`sort`] for `len` columns of `n` elements.
#[must_use]
pub fn sort_cost<S: Sharing>(
    parties: usize,
    n: usize,
    len: usize,
    payloads: usize,
    keep: usize,
    tree: TreeChoice,
) -> Cost {
    let stage = |&games: &usize| opening::cost::<S>(parties, spec(games * len, payloads, tree));
    network::stage_sizes(n, keep).iter().map(stage).fold(Cost::none(parties), Cost::then)
}

/// What [`sort`] does, on plain values: where equal ones end up is that of the network.
///
/// `place` maps places to what stands there; afterwards the first `keep` are those that a sort of `keys` leaves there.
pub fn sort_plain<K: PartialOrd + Copy>(
    keys: &mut [K],
    place: &mut [usize],
    direction: Direction,
    keep: usize,
) {
    for (a, b) in network::stages(keys.len(), keep).into_iter().flatten() {
        let behind = match direction {
            Direction::Descending => keys[a] < keys[b],
            Direction::Ascending => keys[b] < keys[a],
        };
        if behind {
            keys.swap(a, b);
            place.swap(a, b);
        }
    }
}

fn spec(games: usize, payloads: usize, tree: TreeChoice) -> Comparison {
    let sign = Comparison::in_ring(Question::Sign, games, tree);
    Comparison { product: true, payloads, ..sign }
}

/// What moves from the second place of every comparator to the first: for keys, then for every payload, rows of `len`.
fn moved<S: Sharing>(
    cx: &mut Session<S>,
    all: &S,
    n: usize,
    stage: &[Comparator],
    spec: Comparison,
) -> Result<S, ProtocolError> {
    let len = all.shape()[1];
    let differences = |values: std::ops::RangeInclusive<usize>| {
        all.map_linear(|t| {
            let row = |value: usize, place: usize| &t.as_slice()[(value * n + place) * len..][..len];
            let mut out = Tensor::zeros(&[values.clone().count() * stage.len() * len]);
            let places = values.clone().flat_map(|v| stage.iter().map(move |&pair| (v, pair)));
            for (out, (v, (a, b))) in out.as_mut_slice().chunks_mut(len.max(1)).zip(places) {
                for ((out, &b), &a) in out.iter_mut().zip(row(v, b)).zip(row(v, a)) {
                    *out = b - a;
                }
            }
            out
        })
    };
    let payload = (spec.payloads > 0).then(|| differences(1..=spec.payloads));
    let keys = differences(0..=0).neg();
    let decided = opening::decide(cx, &keys, payload.as_ref(), &[S::Ring::ZERO], spec)?;
    let keys = decided.value_product(0, cx.holder()).neg();
    let moved = match spec.payloads {
        0 => keys,
        _ => S::combine(&[&keys, &decided.payload_products(cx.holder())], |p| Tensor::concat(0, p)),
    };
    Ok(moved.reshape(&[stage.len() * (1 + spec.payloads), len]))
}

/// The rows after a stage.
fn exchanged<R: Ring>(all: &Tensor<R>, moved: &Tensor<R>, n: usize, stage: &[Comparator]) -> Tensor<R> {
    let len = all.shape()[1];
    let mut out = all.clone();
    let values = out.as_mut_slice().chunks_mut((n * len).max(1));
    for (rows, moved) in values.zip(moved.as_slice().chunks((stage.len() * len).max(1))) {
        for (&(a, b), moved) in stage.iter().zip(moved.chunks(len.max(1))) {
            for (i, &m) in moved.iter().enumerate() {
                rows[a * len + i] += m;
                rows[b * len + i] -= m;
            }
        }
    }
    out
}
