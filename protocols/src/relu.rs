//! ReLU, absolute value and clamp, also fused with the truncation before them: one masked opening each.
//!
//! For m = \[x < 0\], ReLU(x) = x − x·m and |x| = x − 2·x·m; for bounds low ≤ high with m_l = \[x < low\] and m_h = \[x < high\],
//! clamp(x) = low·m_l + x·(m_h − m_l) + high·(1 − m_h). The products with x come from the opening of the comparison (`opening`).
//!
//! **Fused** with y = x/2^f: c = x + 2^(k−2) + r serves the truncation as well, with the same public dither t as `truncate`,
//! y = ⌊(x + 2^f − 1 − t)/2^f⌋. The bits are those of x: x < h·2^f gives y ≤ h and x ≥ h·2^f gives y ≥ h, for every
//! integer h and 0 ≤ t < 2^f. So the formulas above, with x·m replaced by y·m and bounds that are multiplied by 2^f where they
//! are compared, give exactly ReLU(y), |y| and clamp(y). Fusing W, E and their products with b in one bundle is ours.
//!
//! **Security**: that of `opening`; the dither is public and uniform as in `truncate`. **Correct** for |x − bound| < 2^(k−1);
//! fused, for |x| and bounds times 2^f below 2^(k−2).
//!
//! **Cost** per element, k = 64, blocks and fan-in 4: 4 rounds, 98 bits to each party and 457 from the dealer; clamp 132 and
//! 681. Fused with f = 16: 98 and 553; clamp 132 and 793.

use mpc_core::ring::Ring;
use mpc_core::share::Sharing;
use mpc_core::tensor::Tensor;

use crate::cost::Cost;
use crate::error::ProtocolError;
use crate::opening::{self, Decided, flat};
use crate::prep::{Comparison, Question};
use crate::session::Session;
use crate::tree::TreeChoice;

/// `[max(x, 0)]`. Four rounds.
///
/// # Errors
/// Channel and preprocessing errors.
pub fn relu<S: Sharing>(cx: &mut Session<S>, x: &S, tree: TreeChoice) -> Result<S, ProtocolError> {
    relu_truncated(cx, x, 0, tree)
}

/// `[max(y, 0)]` for y = x/2^bits, rounded as by [`truncate`](crate::truncate::truncate()); 0 bits for y = x. Four rounds.
///
/// # Errors
/// Channel and preprocessing errors.
pub fn relu_truncated<S: Sharing>(
    cx: &mut Session<S>,
    x: &S,
    bits: u32,
    tree: TreeChoice,
) -> Result<S, ProtocolError> {
    let below = below(cx, x, &[S::Ring::ZERO], bits, tree)?;
    Ok(below.y.sub(&below.products[0]).reshape(x.shape()))
}

/// As [`relu_truncated`], and \[x ≥ 0\] in the ring, which its opening tells as well: the derivative. Four rounds, at the same cost.
///
/// # Errors
/// Channel and preprocessing errors.
pub fn relu_and_bit<S: Sharing>(
    cx: &mut Session<S>,
    x: &S,
    bits: u32,
    tree: TreeChoice,
) -> Result<(S, S), ProtocolError> {
    let (len, holder) = (x.len(), cx.holder());
    let below = below(cx, x, &[S::Ring::ZERO], bits, tree)?;
    let negative = below.decided.bits(holder).map_linear(|m| m.map(|v| -v));
    let bit = negative.reshape(&[len]).add_public(&Tensor::filled(&[len], S::Ring::ONE), holder);
    Ok((below.y.sub(&below.products[0]).reshape(x.shape()), bit.reshape(x.shape())))
}

/// Cost of [`relu`], of [`relu_and_bit`], and of [`relu_truncated`] for the bits.
#[must_use]
pub fn relu_cost<S: Sharing>(n: usize, len: usize, bits: u32, tree: TreeChoice) -> Cost {
    opening::cost::<S>(n, spec(len, 1, bits, tree))
}

/// `[|y|]` for y = x/2^bits, rounded as by [`truncate`](crate::truncate::truncate()); 0 bits for y = x. Four rounds.
///
/// # Errors
/// Channel and preprocessing errors.
pub fn abs<S: Sharing>(cx: &mut Session<S>, x: &S, bits: u32, tree: TreeChoice) -> Result<S, ProtocolError> {
    let below = below(cx, x, &[S::Ring::ZERO], bits, tree)?;
    let twice = below.products[0].scale(S::Ring::from_u64(2));
    Ok(below.y.sub(&twice).reshape(x.shape()))
}

/// Cost of [`abs`].
#[must_use]
pub fn abs_cost<S: Sharing>(n: usize, len: usize, bits: u32, tree: TreeChoice) -> Cost {
    relu_cost::<S>(n, len, bits, tree)
}

/// `[min(max(y, low), high)]` for public bounds and y = x/2^bits, rounded as by
/// [`truncate`](crate::truncate::truncate()); 0 bits for y = x. Four rounds.
///
/// # Errors
/// Channel and preprocessing errors.
pub fn clamp<S: Sharing>(
    cx: &mut Session<S>,
    x: &S,
    [low, high]: [S::Ring; 2],
    bits: u32,
    tree: TreeChoice,
) -> Result<S, ProtocolError> {
    let (len, holder) = (x.len(), cx.holder());
    let one = S::Ring::power_of_two(bits);
    let below = below(cx, x, &[low * one, high * one], bits, tree)?;
    let [y_low, y_high] = &below.products[..] else { unreachable!("a product per threshold") };
    let bits = below.decided.bits(holder);
    let constants = bits.map_linear(|m| {
        let (m_low, m_high) = m.as_slice().split_at(len);
        let values = m_low.iter().zip(m_high).map(|(&l, &h)| low * l - high * h).collect();
        Tensor::from_vec(&[len], values)
    });
    let inside = y_high.sub(y_low).add(&constants);
    Ok(inside.add_public(&Tensor::filled(&[len], high), holder).reshape(x.shape()))
}

/// Cost of [`clamp`].
#[must_use]
pub fn clamp_cost<S: Sharing>(n: usize, len: usize, bits: u32, tree: TreeChoice) -> Cost {
    opening::cost::<S>(n, spec(len, 2, bits, tree))
}

/// Where x is below thresholds, with what follows from it.
struct Below<S: Sharing> {
    decided: Decided<S>,
    /// x, or x truncated.
    y: S,
    /// y where x is below a threshold, else 0; for each.
    products: Vec<S>,
}

mpc_core::secret_types!(Below<mpc_core::share::Additive<mpc_core::ring::Z64>>);

fn below<S: Sharing>(
    cx: &mut Session<S>,
    x: &S,
    thresholds: &[S::Ring],
    bits: u32,
    tree: TreeChoice,
) -> Result<Below<S>, ProtocolError> {
    let (x, holder) = (flat(x), cx.holder());
    let decided = opening::decide(cx, &x, None, thresholds, spec(x.len(), thresholds.len(), bits, tree))?;
    let (y, products) = match bits {
        0 => (x, (0..thresholds.len()).map(|i| decided.value_product(i, holder)).collect()),
        _ => decided.truncated(holder),
    };
    Ok(Below { decided, y, products })
}

fn spec(len: usize, thresholds: usize, bits: u32, tree: TreeChoice) -> Comparison {
    let sign = Comparison::in_ring(Question::Sign, len, tree);
    Comparison { thresholds, product: bits == 0, truncation: bits, ..sign }
}
