//! A function of one number in pieces, each a quartic that takes two squarings: all pieces on one masked opening.
//!
//! Every quartic is `L + σ·(N² + c)²` with N and L linear and σ = ±1: complete the square twice (`quartic::fit`). The pieces are
//! told apart by public thresholds t, and what a piece needs is a public linear function of the bits \[x < t\] and of their products
//! with x. So, for a table of pieces with integer coefficients:
//! 1. Open c = x + r. All thresholds are compared from it (`opening`), and `[x·m_t]` follows from dealt `[r·b_t]` (`opening::lines`).
//! 2. N = n₀ + n₁·x, c, and L = l₀ + l₁·x of the piece that x is in, all local: the last piece's, and the step down at every
//!    threshold that x is below. What other pieces would say cancels exactly in the ring.
//! 3. N is cut to its precision (a truncation) and squared; c is added, M; where there is no room, M is cut as well.
//! 4. M is squared, σ·M² + L is truncated to the result's scale.
//!
//! Piecewise polynomials follow Mohassel, Zhang (*SecureML*, S&P 2017) and Aly, Smart (ACNS 2019). Quartics by two squarings, their
//! linear parts from products with the comparison's own bits, and pieces as wide as a tolerance allows are ours: a cubic takes three
//! products of a secret coefficient and a power, and a fifth more pieces for each halving of the tolerance than a quartic's seventh.
//!
//! **Error**: that of the fit, and of rounding N, M and the result, which `elementary` states. **Correct** for all x
//! with |x| < 2^(k−2): outside the outermost thresholds a table says what holds. **Security**: that of the parts; every opening
//! has a pad of its own, and the table is public.
//!
//! **Cost** per element with t thresholds, k = 64, blocks and fan-in 4: 8 rounds, 64 + 34·t + 4·64 bits to each party; 9 and 64
//! more where M is cut. With exact truncations, which make the result a function of x alone: 14 or 18 rounds, 99 bits instead of 64
//! for a cut of 16. A table of one piece compares nothing: 4 rounds less.

use mpc_core::ring::Ring;
use mpc_core::share::Sharing;
use mpc_core::tensor::Tensor;

use crate::cost::Cost;
use crate::error::ProtocolError;
use crate::mul::{square, square_cost};
use crate::opening;
use crate::prep::{Comparison, Question};
use crate::session::Session;
use crate::tree::TreeChoice;
use crate::truncate::{Rounding, divide, divide_cost};

pub(crate) mod fit;
mod table;

pub(crate) use table::Ends;
pub use table::{NoTable, Table};

/// `[g(x)]` for the function g of the table. Eight rounds; nine if the table cuts twice.
///
/// # Errors
/// Channel and preprocessing errors.
pub fn evaluate<S: Sharing>(
    cx: &mut Session<S>,
    x: &S,
    table: &Table,
    rounding: Rounding,
    tree: TreeChoice,
) -> Result<S, ProtocolError> {
    assert_eq!(S::VALUE_BITS, 64, "the coefficients' headroom is laid out for 64-bit values");
    let (shape, x) = (x.shape().to_vec(), opening::flat(x));
    let Lines { inner, shift, outer } = lines(cx, &x, table, tree)?;
    let [first, second, last] = table.cuts();
    let n = divide(cx, &inner, first, rounding, tree)?;
    let m = square(cx, &n)?.add(&shift);
    let m = if second > 0 { divide(cx, &m, second, rounding, tree)? } else { m };
    let m2 = square(cx, &m)?;
    // Down by the last cut is to the nearest with half a unit more; a dither is right on average as it is.
    let outer = match rounding {
        Rounding::Exact => outer.add_public_each(S::Ring::from_i64(table.half()), cx.holder()),
        Rounding::Dithered => outer,
    };
    let y = if table.is_concave() { outer.sub(&m2) } else { outer.add(&m2) };
    Ok(divide(cx, &y, last, rounding, tree)?.reshape(&shape))
}

/// What the piece of every element says.
struct Lines<S> {
    inner: S,
    shift: S,
    outer: S,
}

mpc_core::secret_types!(Lines<mpc_core::share::Additive<mpc_core::ring::Z64>>);

/// Steps 1 and 2.
fn lines<S: Sharing>(
    cx: &mut Session<S>,
    x: &S,
    table: &Table,
    tree: TreeChoice,
) -> Result<Lines<S>, ProtocolError> {
    let (len, holder) = (x.len(), cx.holder());
    let [n0, n1, c, l0, l1] = table.weights::<S::Ring>();
    let thresholds: Vec<S::Ring> = table.thresholds().iter().map(|&t| S::Ring::from_i64(t)).collect();
    if thresholds.is_empty() {
        let line =
            |constant: &[S::Ring], slope: &[S::Ring]| x.scale(slope[0]).add_public_each(constant[0], holder);
        let shift = S::public(&Tensor::filled(&[len], c[0]), holder);
        return Ok(Lines { inner: line(&n0, &n1), shift, outer: line(&l0, &l1) });
    }
    let (run, answers) = opening::ask(cx, x, None, &thresholds, spec(len, table, tree))?;
    let (masked, padded) = run.mask_answers(&answers);
    let ([], [z]) = cx.open_masked([], [padded])?;
    let constants = masked.weighted(&z, &[n0, l0, c], holder).reshape(&[3, len]);
    let slopes = masked.weighted_times(x, &z, &[n1, l1], holder).reshape(&[2, len]);
    let row = |rows: &S, i: usize| rows.map_linear(|t| t.slice(0, i, i + 1).reshape(&[len]));
    let line = |i: usize| row(&constants, i).add(&row(&slopes, i));
    Ok(Lines { inner: line(0), shift: row(&constants, 2), outer: line(1) })
}

fn spec(len: usize, table: &Table, tree: TreeChoice) -> Comparison {
    let sign = Comparison::in_ring(Question::Sign, len, tree);
    Comparison { thresholds: table.thresholds().len(), product: true, ..sign }
}

/// Cost of [`evaluate`].
#[must_use]
pub fn cost<S: Sharing>(n: usize, len: usize, table: &Table, rounding: Rounding, tree: TreeChoice) -> Cost {
    let compared = match table.thresholds() {
        [] => Cost::none(n),
        _ => opening::cost::<S>(n, spec(len, table, tree)),
    };
    let [first, second, last] = table.cuts();
    let divided = |bits: u32| match bits {
        0 => Cost::none(n),
        _ => divide_cost::<S>(n, len, bits, rounding, tree),
    };
    let squared = || square_cost::<S>(n, len);
    [divided(first), squared(), divided(second), squared(), divided(last)]
        .into_iter()
        .fold(compared, Cost::then)
}
