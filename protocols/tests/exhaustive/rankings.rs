//! Tournaments and sorts: every pair of the 8-bit ring that does not wrap, and columns of many lengths.

use mpc_core::ring::{Ring, Z8, Z64};
use mpc_core::share::{Additive, Sharing};
use mpc_core::tensor::Tensor;
use protocols::sort::{Direction, sort, sort_cost};
use protocols::tournament::{Extreme, Winner, extreme, extreme_cost};
use protocols::tree::TreeChoice;

use crate::common::{PARTIES, run, words};

const TREE: TreeChoice = TreeChoice::DEFAULT;

/// \[n, columns\] of small values with many ties, or of wide ones.
fn columns<R: Ring>(n: usize, columns: usize, label: u64) -> Tensor<R> {
    let values = words(label, n * columns).into_iter().enumerate().map(|(i, w)| match i % 3 {
        0 => R::from_i64((w % 5) as i64 - 2),
        _ => R::from_i64((w as i64) >> (65 - R::BITS)).scaled_down(),
    });
    Tensor::from_vec(&[n, columns], values.collect())
}

/// Keeps magnitudes below a quarter of the ring, so that no difference wraps.
trait ScaledDown: Ring {
    fn scaled_down(self) -> Self {
        Self::from_i64(self.to_i64() >> (64 - Self::BITS) >> 1)
    }
}

impl<R: Ring> ScaledDown for R {}

fn column<R: Ring>(t: &Tensor<R>, i: usize) -> Vec<i64> {
    let width = t.len() / t.shape()[0];
    (0..t.shape()[0]).map(|row| t.as_slice()[row * width + i].to_i64()).collect()
}

fn tournaments<R: Ring>(label: u64, x: &Tensor<R>, parties: usize) {
    let &[n, len] = x.shape() else { panic!("rows and columns") };
    for (which, with) in [
        (Extreme::Largest, Winner::Value),
        (Extreme::Smallest, Winner::Value),
        (Extreme::Largest, Winner::Index),
        (Extreme::Smallest, Winner::Index),
        (Extreme::Largest, Winner::OneHot),
        (Extreme::Smallest, Winner::OneHot),
    ] {
        let cost = extreme_cost::<Additive<R>>(parties, n, len, with, TREE);
        let z = run(parties, label, std::slice::from_ref(x), &cost, |cx, s| {
            let (value, carried) = extreme(cx, &s[0], which, with, TREE)?;
            let value = value.reshape(&[1, len]);
            Ok(match carried {
                None => value,
                Some(c) => {
                    let c = c.reshape(&[if with == Winner::OneHot { n } else { 1 }, len]);
                    Additive::combine(&[&value, &c], |p| Tensor::concat(0, p))
                }
            })
        });
        for i in 0..len {
            let (own, got) = (column(x, i), column(&z, i));
            let best = match which {
                Extreme::Largest => own.iter().max(),
                Extreme::Smallest => own.iter().min(),
            };
            let best = *best.expect("a column has elements");
            let first = own.iter().position(|&v| v == best).expect("the best is in the column");
            let want = match with {
                Winner::Value => vec![best],
                Winner::Index => vec![best, first as i64],
                Winner::OneHot => {
                    [vec![best], (0..n).map(|j| i64::from(j == first)).collect::<Vec<_>>()].concat()
                }
            };
            assert_eq!(got, want, "{which:?} {with:?} of {own:?}");
        }
    }
}

/// All pairs of −63..=63.
fn every_pair() -> Tensor<Z8> {
    let side = |i: i64, first: bool| Z8::from_i64(if first { i / 127 } else { i % 127 } - 63);
    let row = |first| (0..127 * 127).map(move |i| side(i, first));
    Tensor::from_vec(&[2, 127 * 127], row(true).chain(row(false)).collect())
}

#[test]
fn extremes_of_every_pair_and_of_columns_of_many_lengths() {
    for parties in PARTIES {
        tournaments(170, &every_pair(), parties);
        for n in [1, 2, 3, 4, 5, 7, 8, 13] {
            tournaments(171, &columns::<Z8>(n, 120, n as u64), parties);
        }
    }
    tournaments(172, &columns::<Z64>(11, 50, 9), 2);
}

/// Sorts x with its place and its double beside it, and holds the results against the plain ones.
fn sorts<R: Ring>(label: u64, x: &Tensor<R>, parties: usize, keep: usize) {
    let &[n, len] = x.shape() else { panic!("rows and columns") };
    let places = (0..n * len).map(|i| R::from_u64((i / len) as u64)).collect();
    let places = Tensor::from_vec(&[n, len], places);
    for direction in [Direction::Ascending, Direction::Descending] {
        for payloads in [0, 2] {
            let cost = sort_cost::<Additive<R>>(parties, n, len, payloads, keep, TREE);
            let z = run(parties, label, &[x.clone(), places.clone()], &cost, |cx, s| {
                let double = s[0].add(&s[0]);
                let beside = &[&s[1], &double][..payloads];
                let (keys, moved) = sort(cx, &s[0], beside, direction, keep, TREE)?;
                let all: Vec<&Additive<R>> = [&keys].into_iter().chain(&moved).collect();
                Ok(Additive::combine(&all, |p| Tensor::concat(0, p)))
            });
            for i in 0..len {
                let (own, got) = (column(x, i), column(&z, i));
                let mut want = own.clone();
                want.sort_unstable();
                if direction == Direction::Descending {
                    want.reverse();
                }
                assert_eq!(got[..keep], want[..keep], "{direction:?}, first {keep} of {own:?}");
                if payloads == 2 {
                    let mut places = got[keep..2 * keep].to_vec();
                    let beside = |p: &i64| own[*p as usize];
                    assert_eq!(places.iter().map(beside).collect::<Vec<_>>(), got[..keep]);
                    assert!(got[2 * keep..].iter().zip(&got[..keep]).all(|(d, k)| *d == 2 * k));
                    places.sort_unstable();
                    places.dedup();
                    assert_eq!(places.len(), keep, "every place at most once");
                }
            }
        }
    }
}

#[test]
fn sorts_of_every_pair_and_of_columns_of_many_lengths() {
    for parties in PARTIES {
        sorts(173, &every_pair(), parties, 2);
        for n in [1usize, 2, 3, 5, 8, 11] {
            for keep in [1, n.div_ceil(2), n] {
                sorts(174, &columns::<Z8>(n, 60, n as u64), parties, keep);
            }
        }
    }
    sorts(175, &columns::<Z64>(20, 30, 3), 2, 20);
    sorts(176, &columns::<Z64>(20, 30, 4), 3, 3);
}
