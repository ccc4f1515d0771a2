//! Products, truncation, inputs and outputs held against their views.

use std::sync::{Arc, Mutex};

use mpc_core::channel::Channel;
use mpc_core::conv::ConvShape;
use mpc_core::party::PartyId;
use mpc_core::prg::Seed;
use mpc_core::ring::Z8;
use mpc_core::share::{Additive, Sharing};
use mpc_core::tag::SessionId;
use mpc_core::tensor::Tensor;
use mpc_core::windows::Sliding;

use super::{
    Case, Tapped, assert_same_views, assert_uniform_pairs, enumerated, fresh, histogram, mixed, tape, views,
};
use crate::correlation::Padded;
use crate::prep::dealer::{Dealer, DealerPrep};
use crate::prep::{Bilinear, Item, MaskPart, Part, Preprocessing, Product};
use crate::reuse::matrices;
use crate::session::Session;
use crate::trial;

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
/// What a sigmoid by sines opens, for an angle of five bits; its sines have no room in eight.
const ANGLE: Case = Case {
    item: |len| Item::Angles { len, bits: 5, multiples: 0 },
    inputs: 1,
    protocol: |cx, s| {
        let (_, padded) = cx.prep().angles(s[0].len(), 5, 0)?.mask(&s[0]);
        cx.open_low(padded).map(drop)
    },
    layout: &[(0, 5)],
};

#[test]
fn angles_show_nothing() {
    // r. With a multiple, the correction of party 0 beside it.
    assert_same_views(&ANGLE, &[0, 5], 5, |_| true);
    let with_sines = Case {
        item: |len| Item::Angles { len, bits: 5, multiples: 1 },
        protocol: |cx, s| {
            let (_, padded) = cx.prep().angles(s[0].len(), 5, 1)?.mask(&s[0]);
            cx.open_low(padded).map(drop)
        },
        ..ANGLE
    };
    assert_uniform_pairs(&with_sines);
}

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
#[test]
fn inner_products_show_nothing() {
    assert_uniform_pairs(&DOT);
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
    let byte = |p: &Padded<Additive<Z8>>| {
        let mut share = vec![];
        p.write(0..1, &mut share);
        share[0].0
    };
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
fn a_convolution_shows_nothing() {
    // An image of two elements, of which a kernel of one sees the first alone and padding twice: what one honest party sends,
    // for the lowest six bits of its shares of the three pads in all combinations.
    let seed = Seed::new(fresh_key());
    let sliding = Sliding { padding: [[0, 0], [1, 1]], stride: [1, 2], dilation: [1, 1] };
    let shape = ConvShape::new([1, 1, 1, 2], [1, 1, 1, 1], sliding, 1).unwrap();
    let share = |values: &[u8], axes: &[usize]| {
        Additive::from_share(Tensor::from_vec(axes, values.iter().map(|&v| Z8(v)).collect()))
    };
    let bytes = |p: Padded<Additive<Z8>>| p.into_value_share().as_slice().iter().map(|v| v.0).collect();
    let messages = |x: [u8; 2], y: u8| {
        let all = (0..1u64 << 18).map(|pads| {
            // Six bits of each: the openings take 64 values each, all combinations of them once.
            let pad = move |place: u32, i: usize| (pads >> (6 * (2 * place as usize + i))) & 63;
            tape::record(&seed, Arc::new(move |place, i, _| pad(place, i)));
            let mut prep =
                DealerPrep::<Z8>::in_process(PartyId::new(1), SessionId([1; 32]), seed.clone(), None, None);
            let (_, [d, e]) =
                prep.conv(shape).unwrap().mask(&share(&x, &[1, 1, 1, 2]), &share(&[y], &[1, 1, 1, 1]));
            let opened: [Vec<u8>; 2] = [bytes(d), bytes(e)];
            // Up to multiples of 64, which the missing bits would pad.
            opened.concat().into_iter().map(|v| v & 63).collect()
        });
        histogram(all.collect())
    };
    let first = messages([0, 0], 0);
    assert_eq!(first.len(), 1 << 18, "every combination of openings occurs once");
    assert!(first == messages([3, 57], 20));
}

/// What party 1 sends and what the dealer sends party 0 about one element that is opened once and is a factor of two products, of
/// which the other factors are `ys`. All of party 1's streams are drawn, and every pair of bits is held against uniformity.
fn one_mask_shows_nothing(part: Part, product: Product, inputs: &[(u8, [u8; 2], [u8; 2])]) {
    const SAMPLES: u64 = 1 << 16;
    let session = SessionId([3; 32]);
    let seeds = [Seed::new(fresh_key()), Seed::new(fresh_key())];
    tape::record(&seeds[0], Arc::new(|place, i, _| (u64::from(place) + 5 * i as u64) * 41 + 9));
    let [_, shape, _] = product.shapes();
    let len = mpc_core::tensor::elements(&shape);
    let share = |values: &[u8], shape: &[usize]| {
        Additive::from_share(Tensor::from_vec(shape, values.iter().map(|&v| Z8(v)).collect()))
    };
    let bytes = |p: Padded<Additive<Z8>>| -> Vec<u8> {
        p.into_value_share().as_slice().iter().map(|v| v.0).collect()
    };
    let part = MaskPart { mask: 0, part };
    for (x, y, again) in inputs {
        let views: Vec<Vec<u8>> = (0..SAMPLES)
            .map(|sample| {
                let name = fresh() << 24 ^ sample;
                tape::record(
                    &seeds[1],
                    Arc::new(move |place, i, _| {
                        mixed(mixed(name ^ u64::from(place) << 56) ^ (i as u64) << 48)
                    }),
                );
                let mut prep =
                    DealerPrep::<Z8>::in_process(PartyId::new(1), session, seeds[1].clone(), None, None);
                let (_, d) = prep.reusable_mask(&[1]).unwrap().mask(&share(&[*x], &[1]), session);
                let (_, e) = prep.given(part, product).unwrap().mask(&share(&y[..len], &shape));
                let (_, e_again) = prep.given(part, product).unwrap().mask(&share(&again[..len], &shape));
                let correction = |index: u32| {
                    let (mut sent, item) = (vec![], Item::Given { part, product });
                    let dealer = Dealer::new(session, seeds.to_vec());
                    let made: Result<(), std::convert::Infallible> =
                        dealer.corrections::<Z8, _>(index, &item, |bytes| {
                            sent.extend_from_slice(&bytes);
                            Ok(())
                        });
                    let Ok(()) = made;
                    sent
                };
                [bytes(d), bytes(e), bytes(e_again), correction(1), correction(2)].concat()
            })
            .collect();
        let bit = |view: &[u8], i: usize| view[i / 8] >> (i % 8) & 1 == 1;
        let bits = 8 * views[0].len();
        for (i, j) in (0..bits).flat_map(|i| (0..i).map(move |j| (i, j))) {
            let ones = views.iter().filter(|v| bit(v, i) ^ bit(v, j)).count() as f64;
            let deviation = (ones - SAMPLES as f64 / 2.0) / (SAMPLES as f64 / 4.0).sqrt();
            let of = format!("inputs {x} {y:?} {again:?} of {product:?}");
            assert!(deviation.abs() < 6.5, "bits {i} and {j} are {deviation} σ off, {of}");
        }
    }
}

#[test]
fn two_products_with_one_mask_show_nothing() {
    let inputs = [(0, [0; 2], [0; 2]), (255, [3, 3], [3, 3]), (127, [128, 0], [1, 200])];
    let one = Part::whole(&[1]).unwrap();
    one_mask_shows_nothing(one, matrices([1, 1, 1]), &inputs);
    // An element that meets two others, in a list of products and in a column that repeats.
    one_mask_shows_nothing(one, matrices([1, 1, 2]), &inputs[2..]);
    let twice = one.broadcast(&[2]).unwrap();
    one_mask_shows_nothing(twice, Product::of_left(Bilinear::Elements { len: 2 }), &inputs);
    one_mask_shows_nothing(
        twice,
        Product::of_right(Bilinear::Matmuls { count: 2, dims: [1, 1, 1] }),
        &inputs[2..],
    );
    // The kernel of an image, and the image of a kernel, of which a window beyond it sees nothing.
    let sliding = Sliding { padding: [[0, 0], [1, 0]], stride: [1, 2], dilation: [1, 1] };
    let image = ConvShape::new([1, 1, 1, 2], [1, 1, 1, 1], sliding, 1).unwrap();
    one_mask_shows_nothing(one, Product::of_right(Bilinear::Conv(image)), &inputs);
    let kernel = ConvShape::new([1, 1, 1, 1], [2, 1, 1, 1], Sliding::by(1), 1).unwrap();
    one_mask_shows_nothing(one, Product::of_left(Bilinear::Conv(kernel)), &inputs);
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
