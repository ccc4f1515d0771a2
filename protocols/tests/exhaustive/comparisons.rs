//! Signs and comparisons with public thresholds, for every shape of tree.

use mpc_core::ring::{Ring, Z8, Z64};
use mpc_core::share::Additive;
use mpc_core::tensor::Tensor;
use protocols::compare::{
    less_than, less_than_public, less_than_public_cost, less_than_zero, less_than_zero_cost, sign_bits,
    sign_bits_cost,
};
use protocols::convert::{to_ring, to_ring_cost};
use protocols::tree::TreeChoice;

use crate::common::{PARTIES, corners, run, tensor, words};
use crate::{bit, check, pairs, values, wide_pairs};

const TREE: TreeChoice = TreeChoice::DEFAULT;

fn signs<R: Ring>(label: u64, x: &Tensor<R>) {
    for (tree, n) in TreeChoice::ALL.into_iter().flat_map(|t| PARTIES.map(|n| (t, n))) {
        let len = x.len();
        let cost = less_than_zero_cost::<Additive<R>>(n, len, tree);
        let y = run(n, label, std::slice::from_ref(x), &cost, |cx, s| less_than_zero(cx, &s[0], tree));
        check(&y, x, |x| bit(x.to_i64() < 0));

        let cost = sign_bits_cost::<Additive<R>>(n, len, tree).then(to_ring_cost::<Additive<R>>(n, len));
        let y = run(n, label + 1, std::slice::from_ref(x), &cost, |cx, s| {
            let bits = sign_bits(cx, &s[0], tree)?;
            to_ring(cx, &bits)
        });
        check(&y, x, |x| bit(x.to_i64() < 0));
    }
}

#[test]
fn signs_of_every_value() {
    signs(70, &values());
}

#[test]
fn signs_of_corners() {
    signs(80, &tensor::<Z64>(corners().into_iter().chain(words(5, 500))));
}

#[test]
fn several_thresholds_of_every_value() {
    // No x − t wraps.
    let x = tensor::<Z8>((0..12800).map(|i| (i % 128) + 192));
    let limits = [-64, -3, 0, 1, 63].map(Z8::from_i64);
    for n in PARTIES {
        let cost = less_than_public_cost::<Additive<Z8>>(n, x.len(), limits.len(), TREE);
        let y =
            run(n, 85, std::slice::from_ref(&x), &cost, |cx, s| less_than_public(cx, &s[0], &limits, TREE));
        assert_eq!(y.shape(), [limits.len(), x.len()]);
        for (i, t) in limits.iter().enumerate() {
            let row = y.slice(0, i, i + 1);
            check(&row, &x, |x| bit(x.to_i64() < t.to_i64()));
        }
    }
}

#[test]
fn order_of_every_pair_that_does_not_wrap() {
    let (x, y) = pairs();
    for n in PARTIES {
        let cost = less_than_zero_cost::<Additive<Z8>>(n, x.len(), TREE);
        let z = run(n, 90, &[x.clone(), y.clone()], &cost, |cx, s| less_than(cx, &s[0], &s[1], TREE));
        for ((&z, &x), &y) in z.as_slice().iter().zip(x.as_slice()).zip(y.as_slice()) {
            if i8::try_from(x.to_i64() - y.to_i64()).is_ok() {
                assert_eq!(z, bit(x.to_i64() < y.to_i64()), "{x:?} < {y:?}");
            }
        }
    }
}

#[test]
fn order_of_corners() {
    let (x, y) = wide_pairs(7);
    for n in PARTIES {
        let cost = less_than_zero_cost::<Additive<Z64>>(n, x.len(), TREE);
        let z = run(n, 115, &[x.clone(), y.clone()], &cost, |cx, s| less_than(cx, &s[0], &s[1], TREE));
        for ((&z, &x), &y) in z.as_slice().iter().zip(x.as_slice()).zip(y.as_slice()) {
            if x.to_i64().checked_sub(y.to_i64()).is_some() {
                assert_eq!(z, bit(x.to_i64() < y.to_i64()), "{x:?} < {y:?}");
            }
        }
    }
}
