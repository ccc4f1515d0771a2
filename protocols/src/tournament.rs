//! The largest or smallest element along an axis, with its index or as a one-hot column, by a tournament.
//!
//! Neighbours play each other, the winners' neighbours next: ⌈log₂ n⌉ levels, all games of a level in one masked opening
//! (`opening`). For left and right with d = left − right and m = \[d < 0\], the winner is left − d·m, so a tie is won by the lower
//! index. What a candidate carries moves with the same bit and in the same opening: an index i by i + m·(i_right − i_left),
//! a one-hot column by ((1 − m)·h_left, m·h_right). Columns sum to 1, so the product of one row follows from the others; that
//! makes the first level free. Products of carried values with a comparison's own bit, from pads that are opened with c, are
//! this project's; the tournament is folklore.
//!
//! **Security**: that of `opening`. **Correct** for |x − y| < 2^(k−1) of all pairs.
//!
//! **Cost** per game, k = 64, blocks and fan-in 4: 4 rounds a level, 98 bits to each party and 457 from the dealer; from the
//! second level on, 64 and 64 more with an index, and with one-hot columns of w rows 128·(w − 1) and the same.

use mpc_core::ring::Ring;
use mpc_core::share::Sharing;
use mpc_core::tensor::{Tensor, elements};

use crate::cost::Cost;
use crate::error::ProtocolError;
use crate::opening;
use crate::prep::{Comparison, Question};
use crate::session::Session;
use crate::tree::TreeChoice;

/// Which end wins.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Extreme {
    /// The maximum.
    Largest,
    /// The minimum.
    Smallest,
}

/// What a winner is returned with.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Winner {
    /// Nothing but its value.
    Value,
    /// Its index along the axis, the lowest of equals.
    Index,
    /// A column with 1 at that index and 0 elsewhere, along the axis.
    OneHot,
}

/// The extreme elements of x along its first axis, which disappears, and what the winners are returned with: nothing, indices
/// of the same shape, or columns of x's shape. Four rounds a level.
///
/// # Errors
/// [`ProtocolError::Shape`] without an axis or along an empty one; channel and preprocessing errors.
pub fn extreme<S: Sharing>(
    cx: &mut Session<S>,
    x: &S,
    which: Extreme,
    with: Winner,
    tree: TreeChoice,
) -> Result<(S, Option<S>), ProtocolError> {
    let (n, rest) = match *x.shape() {
        [n, ref rest @ ..] if n > 0 => (n, rest),
        ref got => {
            let (what, got) = ("axis to find an extreme along", got.to_vec());
            return Err(ProtocolError::Shape { what, expected: vec![1], got });
        }
    };
    let (len, holder) = (elements(rest), cx.holder());
    let rows = x.clone().reshape(&[n, len]);
    let values = if which == Extreme::Largest { rows } else { rows.neg() };
    let mut run = Candidates::new(values, with, holder);
    for level in levels(n) {
        run = run.play(cx, level.spec(len, with, tree))?;
    }
    let value = if which == Extreme::Largest { run.values } else { run.values.neg() };
    let carried = run.carried.map(|c| match with {
        Winner::OneHot => c
            .map_linear(|t| t.clone().reshape(&[c.len() / len.max(1), len]).slice(0, 0, n))
            .reshape(x.shape()),
        _ => c.reshape(rest),
    });
    Ok((value.reshape(rest), carried))
}

/// Cost of [`extreme`] for `len` columns of `n` elements.
#[must_use]
pub fn extreme_cost<S: Sharing>(
    parties: usize,
    n: usize,
    len: usize,
    with: Winner,
    tree: TreeChoice,
) -> Cost {
    let level = |level: Level| opening::cost::<S>(parties, level.spec(len, with, tree));
    levels(n).map(level).fold(Cost::none(parties), Cost::then)
}

/// One level: how many games per column, and how many leaves stand behind a candidate at most.
#[derive(Copy, Clone)]
struct Level {
    games: usize,
    width: usize,
}

fn levels(n: usize) -> impl Iterator<Item = Level> {
    let halves = std::iter::successors(Some((n, 1)), |&(n, width)| Some((n.div_ceil(2), 2 * width)));
    halves.take_while(|&(n, _)| n > 1).map(|(n, width)| Level { games: n / 2, width })
}

impl Level {
    fn spec(self, len: usize, with: Winner, tree: TreeChoice) -> Comparison {
        let payloads = match with {
            Winner::Value => 0,
            // Neighbouring indices differ by 1 at first.
            Winner::Index => usize::from(self.width > 1),
            Winner::OneHot => 2 * (self.width - 1),
        };
        let sign = Comparison::in_ring(Question::Sign, self.games * len, tree);
        Comparison { product: true, payloads, ..sign }
    }
}

/// Those still in: values \[n, len\], and what they carry: indices \[n, len\], or columns \[n, width, len\].
struct Candidates<S> {
    values: S,
    with: Winner,
    carried: Option<S>,
}

mpc_core::secret_types!(Candidates<mpc_core::share::Additive<mpc_core::ring::Z64>>);

impl<S: Sharing> Candidates<S> {
    fn new(values: S, with: Winner, holder: S::Holder) -> Self {
        let (n, len) = (values.shape()[0], values.shape()[1]);
        let carried = match with {
            Winner::Value => None,
            Winner::Index => {
                let indices = (0..n * len).map(|i| S::Ring::from_u64((i / len) as u64)).collect();
                Some(S::public(&Tensor::from_vec(&[n, len], indices), holder))
            }
            Winner::OneHot => Some(S::public(&Tensor::filled(&[n, 1, len], S::Ring::ONE), holder)),
        };
        Self { values, with, carried }
    }

    /// One level.
    fn play(self, cx: &mut Session<S>, spec: Comparison) -> Result<Self, ProtocolError> {
        let Self { values, with, carried } = self;
        let n = values.shape()[0];
        let (left, right) = (every_second(&values, 0, n / 2), every_second(&values, 1, n / 2));
        let d = opening::flat(&left.sub(&right));
        let payload = carried.as_ref().filter(|_| spec.payloads > 0).map(|c| payload(c, with));
        let decided = opening::decide(cx, &d, payload.as_ref(), &[S::Ring::ZERO], spec)?;
        let holder = cx.holder();
        // Winners, then the one who had no game.
        let join = |winners: S, all: &S| match n % 2 {
            0 => winners,
            _ => S::combine(&[&winners, all], |p| Tensor::concat(0, &[p[0], &p[1].slice(0, n - 1, n)])),
        };
        let moved = decided.value_product(0, holder).reshape(left.shape());
        let winners = join(left.sub(&moved), &values);
        let carried = match (with, carried) {
            (Winner::Index, Some(indices)) => {
                let moved = match spec.payloads {
                    0 => decided.bits(holder),
                    _ => decided.payload_products(holder),
                };
                let left = every_second(&indices, 0, n / 2);
                Some(join(left.add(&moved.reshape(left.shape())), &indices))
            }
            (Winner::OneHot, Some(columns)) => {
                let products = (spec.payloads > 0).then(|| decided.payload_products(holder));
                let merged = merged(&columns, &decided.bits(holder), products.as_ref());
                Some(join(merged, &widened(&columns)))
            }
            (_, none) => none,
        };
        Ok(Self { values: winners, with, carried })
    }
}

/// The rows of the first axis from `first` on, every second one, `count` of them.
fn every_second<S: Sharing>(x: &S, first: usize, count: usize) -> S {
    let width = x.len() / x.shape()[0];
    let shape = [&[count], &x.shape()[1..]].concat();
    x.map_linear(|t| {
        let mut out = Vec::with_capacity(count * width);
        for i in 0..count {
            out.extend_from_slice(&t.as_slice()[(2 * i + first) * width..][..width]);
        }
        Tensor::from_vec(&shape, out)
    })
}

/// What is multiplied by the bits: the difference of indices, or all rows but the last of both columns; row by row, each with
/// an element for every game and column.
fn payload<S: Sharing>(carried: &S, with: Winner) -> S {
    let games = carried.shape()[0] / 2;
    let (left, right) = (every_second(carried, 0, games), every_second(carried, 1, games));
    if with == Winner::Index {
        return opening::flat(&right.sub(&left));
    }
    let rows = carried.shape()[1] - 1;
    let some = |t: &Tensor<S::Ring>| t.slice(1, 0, rows).permute(&[1, 0, 2]);
    opening::flat(&S::combine(&[&left, &right], |p| Tensor::concat(0, &[&some(p[0]), &some(p[1])])))
}

/// The columns of the winners: ((1 − m)·h_left, m·h_right), twice as long.
fn merged<S: Sharing>(columns: &S, m: &S, products: Option<&S>) -> S {
    let &[n, width, len] = columns.shape() else { unreachable!("candidates carry columns") };
    let (games, none) = (n / 2, m.map_linear(|_| Tensor::zeros(&[0])));
    S::combine(&[columns, m, products.unwrap_or(&none)], |p| {
        let (h, m, products) = (p[0].as_slice(), p[1].as_slice(), p[2].as_slice());
        let mut out = Tensor::zeros(&[games, 2 * width, len]);
        for (game, block) in out.as_mut_slice().chunks_mut((2 * width * len).max(1)).enumerate() {
            let (left, right) = block.split_at_mut(width * len);
            let row = |products: &[S::Ring], r: usize, i: usize| products[r * games * len + game * len + i];
            for (side, half) in [left, right].into_iter().enumerate() {
                let products = &products[side * products.len() / 2..];
                for i in 0..len {
                    // The last product is m less the others, as the rows of a column sum to 1.
                    let mut last = m[game * len + i];
                    for r in 0..width - 1 {
                        half[r * len + i] = row(products, r, i);
                        last -= row(products, r, i);
                    }
                    half[(width - 1) * len + i] = last;
                }
                if side == 0 {
                    let own = &h[2 * game * width * len..][..width * len];
                    for (product, &own) in half.iter_mut().zip(own) {
                        *product = own - *product;
                    }
                }
            }
        }
        out
    })
}

/// The same columns with as many zeros after them.
fn widened<S: Sharing>(columns: &S) -> S {
    columns.map_linear(|t| Tensor::concat(1, &[t, &Tensor::zeros(t.shape())]))
}
