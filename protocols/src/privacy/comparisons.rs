//! Comparisons, and what is built from them, held against their views.

use mpc_core::party::PartyId;
use mpc_core::ring::Z8;
use mpc_core::share::{Additive, Sharing};
use mpc_core::tensor::Tensor;

use super::{Case, assert_same_views, assert_uniform_pairs};
use crate::order::Relation;
use crate::prep::{Comparison, Item, Question};
use crate::sort::Direction;
use crate::tree::TreeChoice;

const TREE: TreeChoice = TreeChoice::DEFAULT;

const RELU: Case = Case {
    item: |len| {
        let spec = Comparison::in_ring(Question::Sign, len, TREE);
        Item::Comparison(Comparison { product: true, ..spec })
    },
    inputs: 1,
    protocol: |cx, s| crate::relu::relu(cx, &s[0], TREE).map(drop),
    layout: &[(1, 0), (0, 2), (0, 1)],
};

/// The sign as a shared bit, then as a ring element by a doubly shared bit of its own.
const SIGN: Case = Case {
    item: |len| Item::Comparison(Comparison::new(Question::Sign, len, TREE)),
    inputs: 1,
    protocol: |cx, s| {
        let bits = crate::compare::sign_bits(cx, &s[0], TREE)?;
        crate::convert::to_ring(cx, &bits).map(drop)
    },
    layout: &[(1, 0), (0, 2), (0, 1)],
};
#[test]
fn relu_and_signs_show_nothing() {
    // r (8 bits), the two tree masks and b: all of party 0's own randomness. Components 1, 2, 4, 6, 7 are derived.
    assert_same_views(&RELU, &[0, 63, 63, 8, 63, 10, 63, 63], 11, |h| h.index() == 0);
    assert_uniform_pairs(&RELU);
    assert_uniform_pairs(&SIGN);
}

/// Two thresholds on one opening.
const CLAMP: Case = Case {
    item: |len| {
        let spec = Comparison::in_ring(Question::Sign, len, TREE);
        Item::Comparison(Comparison { thresholds: 2, product: true, ..spec })
    },
    inputs: 1,
    protocol: |cx, s| crate::relu::clamp(cx, &s[0], [Z8(250), Z8(20)], 0, TREE).map(drop),
    layout: &[(1, 0), (0, 4), (0, 2)],
};
/// A truncation and a ReLU on one opening.
const TRUNCATED_RELU: Case = Case {
    item: |len| {
        let spec = Comparison::in_ring(Question::Sign, len, TREE);
        Item::Comparison(Comparison { truncation: 2, ..spec })
    },
    inputs: 1,
    protocol: |cx, s| crate::relu::relu_truncated(cx, &s[0], 2, TREE).map(drop),
    layout: &[(1, 0), (0, 2), (0, 1)],
};

#[test]
fn a_fused_truncation_shows_nothing() {
    // r, two wire masks and b of party 0. Components 1, 2, 4 and from 6 on are derived.
    let offsets = &[0, 63, 63, 8, 63, 10, 63, 63, 63, 63, 63];
    assert_same_views(&TRUNCATED_RELU, offsets, 11, |h| h.index() == 0);
    assert_uniform_pairs(&TRUNCATED_RELU);
}

#[test]
fn clamping_shows_nothing() {
    assert_uniform_pairs(&CLAMP);
}

/// A comparison of its own, with the answers in the ring or not.
const fn asked(question: Question, len: usize, arithmetic: bool) -> Item {
    Item::Comparison(Comparison { arithmetic, ..Comparison::new(question, len, TREE) })
}

const EQUAL: Case = Case {
    item: |len| asked(Question::Equal, len, true),
    inputs: 2,
    protocol: |cx, s| crate::order::holds(cx, &s[0], Relation::Equal, &s[1], TREE).map(drop),
    layout: &[(1, 0), (0, 2), (0, 1)],
};
const THREE_WAY_SIGN: Case = Case {
    item: |len| asked(Question::SignAndEqual, len, true),
    inputs: 1,
    protocol: |cx, s| crate::order::sign(cx, &s[0], TREE).map(drop),
    layout: &[(1, 0), (0, 4), (0, 2)],
};
const TO_BITS: Case = Case {
    item: |len| asked(Question::Bits, len, false),
    inputs: 1,
    protocol: |cx, s| crate::convert::to_bits(cx, &s[0], TREE).map(drop),
    layout: &[(1, 0), (0, 4)],
};
const FLOOR: Case = Case {
    item: |len| asked(Question::Quotient { bits: 3 }, len, true),
    inputs: 1,
    protocol: |cx, s| crate::truncate::floor(cx, &s[0], 3, TREE).map(drop),
    layout: &[(1, 0), (0, 2), (0, 2)],
};

#[test]
fn equality_signs_bits_and_exact_quotients_show_nothing() {
    // Party 0's own randomness is r, the wires' masks and b; the rest is derived.
    let first = |h: PartyId| h.index() == 0;
    assert_same_views(&EQUAL, &[0, 63, 63, 8, 63, 10, 63], 11, first);
    assert_same_views(&THREE_WAY_SIGN, &[0, 63, 63, 8, 63, 12, 63], 14, first);
    assert_same_views(&TO_BITS, &[0, 63, 63, 8, 63], 12, first);
    assert_same_views(&FLOOR, &[0, 63, 63, 8, 63, 10, 63, 63, 63], 12, first);
    for case in [&EQUAL, &THREE_WAY_SIGN, &TO_BITS, &FLOOR] {
        assert_uniform_pairs(case);
    }
}

/// Two keys, with a value beside each that moves along: a comparator.
const EXCHANGE: Case = Case {
    item: |len| {
        let sign = Comparison::in_ring(Question::Sign, len, TREE);
        Item::Comparison(Comparison { product: true, payloads: 1, ..sign })
    },
    inputs: 2,
    protocol: |cx, s| {
        let column = |a: &Additive<Z8>, b: &Additive<Z8>| {
            Additive::combine(&[a, b], |p| Tensor::concat(0, p)).reshape(&[2, a.len()])
        };
        let (keys, beside) = (column(&s[0], &s[1]), column(&s[1], &s[0]));
        crate::sort::sort(cx, &keys, &[&beside], Direction::Ascending, 2, TREE).map(drop)
    },
    layout: &[(2, 0), (0, 2), (0, 1)],
};

#[test]
fn an_exchange_of_a_sort_shows_nothing() {
    assert_uniform_pairs(&EXCHANGE);
}
