//! Relations, signs, minimum and maximum, and bits of ring elements, for every shape of tree.

use mpc_core::ring::{Ring, Z8, Z64};
use mpc_core::share::{Additive, BitSharing, Sharing};
use mpc_core::tensor::Tensor;
use protocols::convert::{to_bits, to_bits_cost, to_ring, to_ring_cost};
use protocols::order::{
    Relation, equal_bits, equal_bits_cost, holds, holds_cost, min_max, min_max_cost, sign, sign_cost,
};
use protocols::session::Session;
use protocols::tree::TreeChoice;

use crate::common::{PARTIES, corners, run, tensor, words};
use crate::{bit, check, pairs, values, wide_pairs};

const TREE: TreeChoice = TreeChoice::DEFAULT;

type Plain = fn(i64, i64) -> bool;

const RELATIONS: [(Relation, Plain); 6] = [
    (Relation::Less, |x, y| x < y),
    (Relation::LessEqual, |x, y| x <= y),
    (Relation::Greater, |x, y| x > y),
    (Relation::GreaterEqual, |x, y| x >= y),
    (Relation::Equal, |x, y| x == y),
    (Relation::NotEqual, |x, y| x != y),
];

/// All six relations of x and y, wherever `fits` says that the difference does not wrap or the relation is an equality.
fn relations<R: Ring>(label: u64, x: &Tensor<R>, y: &Tensor<R>, fits: impl Fn(i64, i64) -> bool) {
    for ((relation, want), n) in RELATIONS.into_iter().flat_map(|r| PARTIES.map(|n| (r, n))) {
        let cost = holds_cost::<Additive<R>>(n, x.len(), relation, TREE);
        let z =
            run(n, label, &[x.clone(), y.clone()], &cost, |cx, s| holds(cx, &s[0], relation, &s[1], TREE));
        let exact = matches!(relation, Relation::Equal | Relation::NotEqual);
        for ((&z, x), y) in z.as_slice().iter().zip(x.as_slice()).zip(y.as_slice()) {
            let (x, y) = (x.to_i64(), y.to_i64());
            if exact || fits(x, y) {
                assert_eq!(z, bit(want(x, y)), "{x} {relation:?} {y}");
            }
        }
    }
}

#[test]
fn relations_of_every_pair() {
    let (x, y) = pairs();
    relations(160, &x, &y, |x, y| (x - y).abs() < 128);
}

#[test]
fn relations_of_corners() {
    let (x, y) = wide_pairs(8);
    relations(161, &x, &y, |x, y| x.checked_sub(y).is_some_and(|d| d != i64::MIN));
}

#[test]
fn equality_with_every_tree() {
    // Every difference that a bit can make, and every value against its neighbours.
    let all = values();
    let other = all.map(|v| Z8(v.0 ^ (v.0 & 3)));
    let wide = tensor::<Z64>(corners().into_iter().chain(words(9, 64)));
    let near = tensor::<Z64>(wide.as_slice().iter().zip(0..).map(|(v, i)| v.0 ^ (i & 1) << (i % 64)));
    for (tree, n) in TreeChoice::ALL.into_iter().flat_map(|t| PARTIES.map(|n| (t, n))) {
        let cost = equal_bits_cost::<Additive<Z8>>(n, all.len(), tree)
            .then(to_ring_cost::<Additive<Z8>>(n, all.len()));
        let z = run(n, 162, &[all.clone(), other.clone()], &cost, |cx, s| {
            let bits = equal_bits(cx, &s[0], &s[1], tree)?;
            to_ring(cx, &bits)
        });
        check(&z, &all, |v| bit(v.0 & 3 == 0));
        let cost = holds_cost::<Additive<Z64>>(n, wide.len(), Relation::Equal, tree);
        let z = run(n, 163, &[wide.clone(), near.clone()], &cost, |cx, s| {
            holds(cx, &s[0], Relation::Equal, &s[1], tree)
        });
        for (i, z) in z.as_slice().iter().enumerate() {
            assert_eq!(*z, bit(i % 2 == 0), "element {i}, {tree}");
        }
    }
}

#[test]
fn a_public_side_is_a_trivial_sharing() {
    let x = tensor::<Z64>(words(11, 500).into_iter().map(|w| ((w as i64) >> 40) as u64));
    let t = Tensor::filled(&[500], Z64::from_i64(-77));
    let cost = holds_cost::<Additive<Z64>>(3, 500, Relation::LessEqual, TREE);
    let z = run(3, 164, std::slice::from_ref(&x), &cost, |cx, s| {
        holds(cx, &s[0], Relation::LessEqual, &Additive::public(&t, cx.holder()), TREE)
    });
    check(&z, &x, |x| bit(x.to_i64() <= -77));
}

fn sign_of<R: Ring>(label: u64, x: &Tensor<R>) {
    for (tree, n) in TreeChoice::ALL.into_iter().flat_map(|t| PARTIES.map(|n| (t, n))) {
        let cost = sign_cost::<Additive<R>>(n, x.len(), tree);
        let y = run(n, label, std::slice::from_ref(x), &cost, |cx, s| sign(cx, &s[0], tree));
        check(&y, x, |x| R::from_i64(x.to_i64().signum()));
    }
}

#[test]
fn sign_of_every_value_and_of_corners() {
    sign_of(165, &values());
    sign_of(166, &tensor::<Z64>(corners().into_iter().chain(words(6, 300))));
}

#[test]
fn minimum_and_maximum_of_every_pair_that_does_not_wrap() {
    let (x, y) = pairs();
    for n in PARTIES {
        let cost = min_max_cost::<Additive<Z8>>(n, x.len(), TREE);
        let z = run(n, 167, &[x.clone(), y.clone()], &cost, |cx, s| {
            let (min, max) = min_max(cx, &s[0], &s[1], TREE)?;
            Ok(Additive::combine(&[&min, &max], |p| Tensor::concat(0, p)))
        });
        let (min, max) = z.as_slice().split_at(x.len());
        for (i, (x, y)) in x.as_slice().iter().zip(y.as_slice()).enumerate() {
            let (x, y) = (x.to_i64(), y.to_i64());
            if (x - y).abs() < 128 {
                assert_eq!((min[i].to_i64(), max[i].to_i64()), (x.min(y), x.max(y)), "{x} {y}");
            }
        }
    }
}

/// Bits back to the ring: Σ 2^i·bit_i.
fn recomposed<R: Ring>(cx: &mut Session<Additive<R>>, x: &Additive<R>, tree: TreeChoice) -> Additive<R> {
    let bits = to_bits(cx, x, tree).expect("an honest run");
    assert_eq!((bits.lanes(), bits.len()), (R::BITS as usize, x.len()));
    let zero = Additive::from_share(Tensor::zeros(&[x.len()]));
    (0..bits.lanes()).fold(zero, |sum, lane| {
        let mut one = <Additive<R> as Sharing>::Bits::zeros(1, x.len());
        one.xor_lane(0, &bits, lane);
        sum.add(&to_ring(cx, &one).expect("an honest run").scale(R::power_of_two(lane as u32)))
    })
}

fn bits_of<R: Ring>(label: u64, x: &Tensor<R>) {
    for (tree, n) in TreeChoice::ALL.into_iter().flat_map(|t| PARTIES.map(|n| (t, n))) {
        let to_ring = (0..R::BITS).map(|_| to_ring_cost::<Additive<R>>(n, x.len()));
        let cost = to_ring.fold(to_bits_cost::<Additive<R>>(n, x.len(), tree), |a, b| a.then(b));
        let y = run(n, label, std::slice::from_ref(x), &cost, |cx, s| Ok(recomposed(cx, &s[0], tree)));
        assert_eq!(&y, x, "{tree}");
    }
}

#[test]
fn bits_of_every_value_and_of_corners() {
    bits_of(168, &values());
    bits_of(169, &tensor::<Z64>(corners().into_iter().chain(words(7, 100))));
}
