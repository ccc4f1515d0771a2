//! How two secrets relate, the sign of one, and the smaller and larger of two.
//!
//! With d = x − y, every relation is a question about d and 0, answered by one masked opening (`opening`): x < y is the top bit
//! of d, x > y that of −d, and x ≤ y, x ≥ y, x ≠ y are complements. A public y is a trivial sharing. The sign asks for d < 0
//! and d = 0 at once: it is 1 − \[d = 0\] − 2·\[d < 0\]. max(x, y) = y + ReLU(x − y), min(x, y) = x − ReLU(x − y).
//!
//! Equality is a product of all bits of ¬(c ⊕ r), with the same dealt block products and wires as a comparison (Nishide, Ohta,
//! PKC 2007, over fields: the mask-and-open equality test that this follows).
//!
//! **Security**: that of `opening`. **Correct** for |x − y| < 2^(k−1); equality for all.
//!
//! **Cost** per element, k = 64, blocks and fan-in 4: order 4 rounds, 98 bits to each party and 393 from the dealer; equality
//! 3 rounds, 84 and 295 bits as a shared bit, 4 rounds, 85 and 359 in the ring; sign 4 rounds, 103 and 488; minimum or
//! maximum, or both, 4 rounds, 98 and 457.

use mpc_core::ring::Ring;
use mpc_core::share::Sharing;
use mpc_core::tensor::Tensor;

use crate::compare::{less_than_zero, less_than_zero_cost};
use crate::cost::Cost;
use crate::error::ProtocolError;
use crate::opening::{self, flat};
use crate::prep::{Comparison, Question};
use crate::relu::{relu, relu_cost};
use crate::session::Session;
use crate::tree::TreeChoice;

/// What may hold between two numbers.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Relation {
    /// x < y
    Less,
    /// x ≤ y
    LessEqual,
    /// x > y
    Greater,
    /// x ≥ y
    GreaterEqual,
    /// x = y
    Equal,
    /// x ≠ y
    NotEqual,
}

/// `[x R y]` as ring elements 0 and 1. Four rounds.
///
/// # Errors
/// [`ProtocolError::Shape`] if the shapes differ; channel and preprocessing errors.
pub fn holds<S: Sharing>(
    cx: &mut Session<S>,
    x: &S,
    relation: Relation,
    y: &S,
    tree: TreeChoice,
) -> Result<S, ProtocolError> {
    same_shape(x, y)?;
    let (holder, one) = (cx.holder(), Tensor::filled(x.shape(), S::Ring::ONE));
    let not = |bit: S| bit.neg().add_public(&one, holder);
    Ok(match relation {
        Relation::Less => less_than_zero(cx, &x.sub(y), tree)?,
        Relation::Greater => less_than_zero(cx, &y.sub(x), tree)?,
        Relation::LessEqual => not(less_than_zero(cx, &y.sub(x), tree)?),
        Relation::GreaterEqual => not(less_than_zero(cx, &x.sub(y), tree)?),
        Relation::Equal => is_zero(cx, &x.sub(y), tree)?,
        Relation::NotEqual => not(is_zero(cx, &x.sub(y), tree)?),
    })
}

/// Cost of [`holds`].
#[must_use]
pub fn holds_cost<S: Sharing>(n: usize, len: usize, relation: Relation, tree: TreeChoice) -> Cost {
    match relation {
        Relation::Equal | Relation::NotEqual => is_zero_cost::<S>(n, len, tree),
        _ => less_than_zero_cost::<S>(n, len, tree),
    }
}

/// ⟨x = y⟩ as one lane of shared bits, in row-major order. Three rounds.
///
/// # Errors
/// As [`holds`].
pub fn equal_bits<S: Sharing>(
    cx: &mut Session<S>,
    x: &S,
    y: &S,
    tree: TreeChoice,
) -> Result<S::Bits, ProtocolError> {
    same_shape(x, y)?;
    let spec = Comparison::new(Question::Equal, x.len(), tree);
    Ok(opening::ask(cx, &flat(&x.sub(y)), None, &[S::Ring::ZERO], spec)?.1)
}

/// Cost of [`equal_bits`].
#[must_use]
pub fn equal_bits_cost<S: Sharing>(n: usize, len: usize, tree: TreeChoice) -> Cost {
    opening::cost::<S>(n, Comparison::new(Question::Equal, len, tree))
}

/// `[x = 0]` as ring elements 0 and 1. Four rounds.
///
/// # Errors
/// Channel and preprocessing errors.
pub fn is_zero<S: Sharing>(cx: &mut Session<S>, x: &S, tree: TreeChoice) -> Result<S, ProtocolError> {
    let spec = Comparison::in_ring(Question::Equal, x.len(), tree);
    let decided = opening::decide(cx, &flat(x), None, &[S::Ring::ZERO], spec)?;
    Ok(decided.bits(cx.holder()).reshape(x.shape()))
}

/// Cost of [`is_zero`].
#[must_use]
pub fn is_zero_cost<S: Sharing>(n: usize, len: usize, tree: TreeChoice) -> Cost {
    opening::cost::<S>(n, Comparison::in_ring(Question::Equal, len, tree))
}

/// `[−1]`, `[0]` or `[1]` as x is below, equal to or above 0. Four rounds.
///
/// # Errors
/// Channel and preprocessing errors.
pub fn sign<S: Sharing>(cx: &mut Session<S>, x: &S, tree: TreeChoice) -> Result<S, ProtocolError> {
    let len = x.len();
    let spec = Comparison::in_ring(Question::SignAndEqual, len, tree);
    let both = opening::decide(cx, &flat(x), None, &[S::Ring::ZERO], spec)?.bits(cx.holder());
    let linear = both.map_linear(|bits| {
        let (negative, zero) = bits.as_slice().split_at(len);
        let values = negative.iter().zip(zero).map(|(&n, &z)| -(n + n + z)).collect();
        Tensor::from_vec(&[len], values)
    });
    Ok(linear.add_public(&Tensor::filled(&[len], S::Ring::ONE), cx.holder()).reshape(x.shape()))
}

/// Cost of [`sign`].
#[must_use]
pub fn sign_cost<S: Sharing>(n: usize, len: usize, tree: TreeChoice) -> Cost {
    opening::cost::<S>(n, Comparison::in_ring(Question::SignAndEqual, len, tree))
}

/// `[min(x, y)]` and `[max(x, y)]`. Four rounds.
///
/// # Errors
/// As [`holds`].
pub fn min_max<S: Sharing>(
    cx: &mut Session<S>,
    x: &S,
    y: &S,
    tree: TreeChoice,
) -> Result<(S, S), ProtocolError> {
    same_shape(x, y)?;
    let above = relu(cx, &x.sub(y), tree)?;
    Ok((x.sub(&above), y.add(&above)))
}

/// Cost of [`min_max`].
#[must_use]
pub fn min_max_cost<S: Sharing>(n: usize, len: usize, tree: TreeChoice) -> Cost {
    relu_cost::<S>(n, len, 0, tree)
}

fn same_shape<S: Sharing>(x: &S, y: &S) -> Result<(), ProtocolError> {
    if x.shape() == y.shape() {
        return Ok(());
    }
    let (expected, got) = (x.shape().to_vec(), y.shape().to_vec());
    Err(ProtocolError::Shape { what: "second of two values that are compared", expected, got })
}
