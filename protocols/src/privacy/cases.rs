//! The protocols held against their views.

use std::sync::{Arc, Mutex};

use mpc_core::channel::Channel;
use mpc_core::party::PartyId;
use mpc_core::prg::Seed;
use mpc_core::ring::Z8;
use mpc_core::share::{Additive, Sharing};
use mpc_core::tag::SessionId;
use mpc_core::tensor::Tensor;

use super::{
    Case, Tapped, assert_same_views, assert_uniform_pairs, enumerated, fresh, histogram, tape, views,
};
use crate::correlation::Padded;
use crate::order::Relation;
use crate::prep::dealer::DealerPrep;
use crate::prep::{Comparison, Item, Preprocessing, Question};
use crate::session::Session;
use crate::sort::Direction;
use crate::tree::TreeChoice;
use crate::trial;

const TREE: TreeChoice = TreeChoice::DEFAULT;

const MUL: Case = Case {
    item: |len| Item::Triple { len },
    inputs: 2,
    protocol: |cx, s| crate::mul::mul(cx, &s[0], &s[1]).map(drop),
    layout: &[(2, 0)],
};
const SQUARE: Case = Case {
    item: |len| Item::Square { len },
    inputs: 1,
    protocol: |cx, s| crate::mul::square(cx, &s[0]).map(drop),
    layout: &[(1, 0)],
};
const TRUNCATE: Case = Case {
    item: |len| Item::Truncation { len, bits: 2 },
    inputs: 1,
    protocol: |cx, s| crate::truncate::truncate(cx, &s[0], 2).map(drop),
    layout: &[(1, 0)],
};
const RELU: Case = Case {
    item: |len| {
        let spec = Comparison::in_ring(Question::Sign, len, TREE);
        Item::Comparison(Comparison { product: true, ..spec })
    },
    inputs: 1,
    protocol: |cx, s| crate::relu::relu(cx, &s[0], TREE).map(drop),
    layout: &[(1, 0), (0, 2), (0, 1)],
};

#[test]
fn multiplication_shows_nothing() {
    // a and b of the honest party, 2^16 values; as party 0 it has c from the dealer, so that is all its randomness.
    assert_same_views(&MUL, &[0, 8, 16], 16, |h| h.index() == 0);
    assert_uniform_pairs(&MUL);
}

#[test]
fn squaring_shows_nothing() {
    assert_same_views(&SQUARE, &[0, 8], 16, |_| true);
}

#[test]
fn truncation_shows_nothing() {
    // r, W and the two bits of E.
    assert_same_views(&TRUNCATE, &[0, 8, 16], 18, |_| true);
}

#[test]
fn relu_shows_nothing() {
    // r (8 bits), the two tree masks and b: all of party 0's own randomness. Components 1, 2, 4, 6, 7 are derived.
    assert_same_views(&RELU, &[0, 63, 63, 8, 63, 10, 63, 63], 11, |h| h.index() == 0);
    assert_uniform_pairs(&RELU);
}

/// Inner products of two terms.
const DOT: Case = Case {
    item: |len| Item::Dot { len, terms: 2 },
    inputs: 2,
    protocol: |cx, s| {
        let rows =
            |x: &Additive<Z8>| Additive::combine(&[x, x], |p| Tensor::concat(0, p)).reshape(&[2, x.len()]);
        crate::mul::dot(cx, &rows(&s[0]), &rows(&s[1])).map(drop)
    },
    layout: &[(4, 0)],
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
fn inner_products_and_signs_show_nothing() {
    assert_uniform_pairs(&DOT);
    assert_uniform_pairs(&SIGN);
}

#[test]
fn a_leak_would_be_seen() {
    // The same check on a protocol that opens x under half a pad must fail: the check can fail.
    let leaky = Case {
        item: |len| Item::Square { len },
        inputs: 1,
        protocol: |cx, s| {
            let pair = cx.prep().square(s[0].len())?;
            let half = Padded::new(s[0].add(&pair.a.scale(Z8(2))));
            cx.open_masked([half], []).map(drop)
        },
        layout: &[(1, 0)],
    };
    let view = |x: u8| histogram(views(2, PartyId::new(0), &leaky, 1 << 16, &[x], enumerated(&[0, 8])));
    assert!(view(0) != view(1));
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

/// What party 0, honest, sends when `protocol` runs in a session of its own, and what each party returns.
fn sent_by_party_0<T: Send>(
    n: usize,
    key: [u8; 32],
    protocol: impl Fn(&mut Session<Additive<Z8>>) -> T + Send + Sync,
) -> (Vec<Vec<u8>>, Vec<T>) {
    let sent = Arc::new(Mutex::new(vec![]));
    let channels = mpc_core::local::network(n)
        .into_iter()
        .map(|c| -> Box<dyn Channel> {
            let inner: Box<dyn Channel> = Box::new(c);
            let tapped = inner.me().index() == 0;
            if tapped { Box::new(Tapped { inner, sent: Arc::clone(&sent) }) } else { inner }
        })
        .collect();
    let sessions = trial::sessions_over::<Z8>(channels, key, None);
    let results = trial::run_sessions::<Z8, _, ()>(sessions, |cx| Ok(protocol(cx))).unwrap();
    let sent = sent.lock().unwrap().iter().map(|b| b.to_vec()).collect();
    (sent, results)
}

fn fresh_key() -> [u8; 32] {
    let mut key = [0x44; 32];
    key[..8].copy_from_slice(&fresh().to_le_bytes());
    key
}

#[test]
fn a_matrix_product_shows_nothing() {
    // A single entry times a single entry: what one honest party sends, for all 2^16 values of its shares of a and b.
    let seed = Seed::new(fresh_key());
    let share = |v: u8| Additive::from_share(Tensor::filled(&[1, 1], Z8(v)));
    let byte = |p: &Padded<Additive<Z8>>| p.sharing().value_share().as_slice()[0].0;
    let messages = |x: u8, y: u8| {
        let all = (0..1u64 << 16).map(|pads| {
            tape::record(&seed, Arc::new(move |place, _, _| pads >> (8 * place)));
            let mut prep =
                DealerPrep::<Z8>::in_process(PartyId::new(1), SessionId([1; 32]), seed.clone(), None, None);
            let (_, [d, e]) = prep.matmul(1, 1, 1).unwrap().mask(&share(x), &share(y));
            vec![byte(&d), byte(&e)]
        });
        histogram(all.collect())
    };
    let first = messages(0, 0);
    assert_eq!(first.len(), 1 << 16, "every pair of openings occurs once");
    assert!(first == messages(3, 200));
}

#[test]
fn an_input_sends_nothing_and_its_shares_do_not_depend_on_it() {
    for n in [2, 3, 5] {
        let key = fresh_key();
        let shares = |value: u8| {
            let x = Tensor::filled(&[1000], Z8(value));
            sent_by_party_0(n, key, |cx| {
                let own = (cx.me().index() == 0).then_some(&x);
                let share = crate::input::input(cx, PartyId::new(0), &[1000], own).unwrap();
                share.value_share().clone()
            })
        };
        let ((sent_a, a), (sent_b, b)) = (shares(1), shares(200));
        assert!(sent_a.is_empty() && sent_b.is_empty());
        assert_eq!(a[1..], b[1..], "the other parties' shares are the same for both inputs");
        assert_ne!(a[0], b[0]);
    }
}

#[test]
fn an_output_shows_its_recipient_the_sum_alone() {
    // Parties 0 and 1 are honest and hold constant shares; party 2 learns the sum. What party 0 sends is uniform, and
    // the same however the sum is split between the two.
    let len = 1 << 16;
    let message = |own: u8, key: [u8; 32]| {
        let (sent, results) = sent_by_party_0(3, key, |cx| {
            let mine = [own, 100u8.wrapping_sub(own), 7][cx.me().index()];
            let share = Additive::from_share(Tensor::filled(&[len], Z8(mine)));
            crate::output::output(cx, &[(&share, &[PartyId::new(2)])]).unwrap()
        });
        let learnt = results[2][0].as_ref().expect("party 2 is the recipient").tensor().clone();
        assert_eq!(learnt, Tensor::filled(&[len], Z8(107)));
        assert!(results[0][0].is_none() && results[1][0].is_none());
        sent.last().expect("the confirmation and the output share").clone()
    };
    for own in [0, 55, 200] {
        let bytes = message(own, fresh_key());
        assert_eq!(bytes.len(), len);
        let mut counts = [0f64; 256];
        bytes.iter().for_each(|&b| counts[b as usize] += 1.0);
        let chi2: f64 = counts.iter().map(|c| (c - 256.0).powi(2) / 256.0).sum();
        // 255 degrees of freedom: mean 255, standard deviation 22.6.
        assert!((255.0 - 6.0 * 22.6..255.0 + 6.0 * 22.6).contains(&chi2), "χ² = {chi2} with share {own}");
    }
}
