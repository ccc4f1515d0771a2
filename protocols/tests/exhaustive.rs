//! Every protocol on the 8-bit ring, for every value (or every pair of values), and for corner and random values on the
//! 64-bit ring, with 2, 3 and 5 parties. Costs are asserted in every run.

mod common;

use common::{PARTIES, corners, run, tensor, words};
use mpc_core::ring::{Ring, Z8, Z64};
use mpc_core::share::{Additive, Sharing};
use mpc_core::tensor::Tensor;
use protocols::compare::{
    clamp, clamp_cost, less_than, less_than_zero, less_than_zero_cost, relu, relu_cost, sign_bits,
    sign_bits_cost,
};
use protocols::convert::{select, select_cost, to_ring, to_ring_cost};
use protocols::cost::Cost;
use protocols::mul::{dot, dot_cost, mul, mul_cost, square, square_cost};
use protocols::truncate::{self, truncate};
use protocols::{matmul, output};

/// All pairs of the 8-bit ring, as two tensors of 65,536 elements.
fn pairs() -> (Tensor<Z8>, Tensor<Z8>) {
    (tensor((0..65536).map(|i| i >> 8)), tensor((0..65536).map(|i| i & 255)))
}

/// All values of the 8-bit ring, each many times, so that each meets many masks.
fn values() -> Tensor<Z8> {
    tensor((0..16384).map(|i| i & 255))
}

/// Corner values against each other and random ones.
fn wide_pairs(label: u64) -> (Tensor<Z64>, Tensor<Z64>) {
    let c = corners();
    let cross = c.iter().flat_map(|&a| c.iter().map(move |&b| (a, b)));
    let random = words(label, 400).into_iter().zip(words(label + 1, 400));
    let (a, b): (Vec<_>, Vec<_>) = cross.chain(random).unzip();
    (tensor(a), tensor(b))
}

fn check<R: Ring>(got: &Tensor<R>, x: &Tensor<R>, want: impl Fn(R) -> R) {
    for (i, (&g, &x)) in got.as_slice().iter().zip(x.as_slice()).enumerate() {
        assert_eq!(g, want(x), "element {i}, x = {x:?}");
    }
}

fn products<R: Ring>(label: u64, x: &Tensor<R>, y: &Tensor<R>) {
    for n in PARTIES {
        let len = x.len();
        let z = run(n, label, &[x.clone(), y.clone()], &mul_cost::<Additive<R>>(n, len), |cx, s| {
            mul(cx, &s[0], &s[1])
        });
        assert_eq!(z, x.hadamard(y));
        let z = run(n, label + 1, std::slice::from_ref(x), &square_cost::<Additive<R>>(n, len), |cx, s| {
            square(cx, &s[0])
        });
        assert_eq!(z, x.hadamard(x));
        let terms = 3;
        let cut = len / terms * terms;
        let shape = [terms, cut / terms];
        let rows = |t: &Tensor<R>| t.slice(0, 0, cut).reshape(&shape);
        let (a, b) = (rows(x), rows(y));
        let cost = dot_cost::<Additive<R>>(n, shape[1], terms);
        let z = run(n, label + 2, &[a.clone(), b.clone()], &cost, |cx, s| dot(cx, &s[0], &s[1]));
        assert_eq!(z, a.hadamard(&b).sum_axis(0));
    }
}

#[test]
fn products_of_every_pair() {
    let (x, y) = pairs();
    products(10, &x, &y);
}

#[test]
fn products_of_corners() {
    let (x, y) = wide_pairs(1);
    products(20, &x, &y);
}

#[test]
fn matrix_products() {
    for (label, n) in (30..).zip(PARTIES) {
        for (m, k, c) in [(1, 1, 1), (3, 5, 2), (17, 9, 33), (40, 8, 1), (1, 64, 7)] {
            let x = tensor::<Z64>(words(label, m * k)).reshape(&[m, k]);
            let y = tensor::<Z64>(words(label + 9, k * c)).reshape(&[k, c]);
            let cost = matmul::cost::<Additive<Z64>>(n, m, k, c);
            let z = run(n, label, &[x.clone(), y.clone()], &cost, |cx, s| matmul::matmul(cx, &s[0], &s[1]));
            assert_eq!(z, x.matmul(&y));
        }
    }
}

#[test]
fn matrix_products_of_every_pair() {
    // An outer product of all values with all values, in the middle of a sum of two.
    let all = tensor::<Z8>(0..256);
    for n in PARTIES {
        let x = Tensor::concat(1, &[&all.clone().reshape(&[256, 1]), &all.clone().reshape(&[256, 1])]);
        let y = Tensor::concat(0, &[&all.clone().reshape(&[1, 256]), &Tensor::filled(&[1, 256], Z8(77))]);
        let cost = matmul::cost::<Additive<Z8>>(n, 256, 2, 256);
        let z = run(n, 35, &[x, y], &cost, |cx, s| matmul::matmul(cx, &s[0], &s[1]));
        for (i, &z) in z.as_slice().iter().enumerate() {
            let (a, b) = (Z8((i / 256) as u8), Z8((i % 256) as u8));
            assert_eq!(z, a * b + a * Z8(77));
        }
    }
}

/// The functionality of truncation: the quotient rounded down or up, exact for multiples.
fn check_truncation<R: Ring>(got: &Tensor<R>, x: &Tensor<R>, bits: u32) {
    for (&g, &x) in got.as_slice().iter().zip(x.as_slice()) {
        let down = x.to_i64() >> bits;
        let up = down + i64::from(x.to_i64() & ((1 << bits) - 1) != 0);
        assert!((down..=up).contains(&g.to_i64()), "{x:?} / 2^{bits} gave {g:?}, not {down} or {up}");
    }
}

#[test]
fn truncation_of_every_value() {
    let x = tensor::<Z8>((0..16384).map(|i| i & 127).map(|v| if v < 64 { v } else { v + 128 }));
    for n in PARTIES {
        for bits in 1..=6 {
            let cost = truncate::cost::<Additive<Z8>>(n, x.len(), bits);
            let y = run(n, 40 + u64::from(bits), std::slice::from_ref(&x), &cost, |cx, s| {
                truncate(cx, &s[0], bits)
            });
            check_truncation(&y, &x, bits);
        }
    }
}

#[test]
fn truncation_of_corners() {
    let inside = |v: &u64| (*v as i64).unsigned_abs() < 1 << 62;
    let random = words(3, 3000).into_iter().map(|w| ((w as i64) >> (2 + w % 50)) as u64);
    let x = tensor::<Z64>(corners().into_iter().chain(random).filter(inside));
    for n in PARTIES {
        for bits in [1, 8, 13, 16, 24, 32, 48, 62] {
            let cost = truncate::cost::<Additive<Z64>>(n, x.len(), bits);
            let y = run(n, 50, std::slice::from_ref(&x), &cost, |cx, s| truncate(cx, &s[0], bits));
            check_truncation(&y, &x, bits);
        }
    }
}

#[test]
fn truncation_has_no_bias() {
    let bits = 8;
    let x = tensor::<Z64>(words(4, 200_000).into_iter().map(|w| ((w as i64) >> 24) as u64));
    let cost = truncate::cost::<Additive<Z64>>(3, x.len(), bits);
    let y = run(3, 60, std::slice::from_ref(&x), &cost, |cx, s| truncate(cx, &s[0], bits));
    let errors: Vec<f64> = y
        .as_slice()
        .iter()
        .zip(x.as_slice())
        .map(|(y, x)| y.to_i64() as f64 - x.to_i64() as f64 / f64::from(1 << bits))
        .collect();
    let mean = errors.iter().sum::<f64>() / errors.len() as f64;
    let variance = errors.iter().map(|e| (e - mean).powi(2)).sum::<f64>() / errors.len() as f64;
    let sigma = (variance / errors.len() as f64).sqrt();
    assert!(mean.abs() < 4.0 * sigma, "mean error {mean} is more than 4 × {sigma}");
    assert!(errors.iter().all(|e| e.abs() < 1.0));
}

fn signs<R: Ring>(label: u64, x: &Tensor<R>) {
    for n in PARTIES {
        let len = x.len();
        let bit = |b: bool| R::from_u64(u64::from(b));
        let cost = less_than_zero_cost::<Additive<R>>(n, len);
        let y = run(n, label, std::slice::from_ref(x), &cost, |cx, s| less_than_zero(cx, &s[0]));
        check(&y, x, |x| bit(x.to_i64() < 0));

        let cost = relu_cost::<Additive<R>>(n, len);
        let y = run(n, label + 1, std::slice::from_ref(x), &cost, |cx, s| relu(cx, &s[0]));
        check(&y, x, |x| if x.to_i64() < 0 { R::ZERO } else { x });

        let cost = sign_bits_cost::<Additive<R>>(n, len).then(to_ring_cost::<Additive<R>>(n, len));
        let y = run(n, label + 2, std::slice::from_ref(x), &cost, |cx, s| {
            let bits = sign_bits(cx, &s[0])?;
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
fn order_of_every_pair_that_does_not_wrap() {
    let (x, y) = pairs();
    for n in PARTIES {
        let cost = less_than_zero_cost::<Additive<Z8>>(n, x.len());
        let z = run(n, 90, &[x.clone(), y.clone()], &cost, |cx, s| less_than(cx, &s[0], &s[1]));
        for ((&z, &x), &y) in z.as_slice().iter().zip(x.as_slice()).zip(y.as_slice()) {
            if i8::try_from(x.to_i64() - y.to_i64()).is_ok() {
                assert_eq!(z, Z8(u8::from(x.to_i64() < y.to_i64())), "{x:?} < {y:?}");
            }
        }
    }
}

#[test]
fn clamp_of_every_value() {
    let x = tensor::<Z8>((0..128).map(|i| i + 192));
    for n in PARTIES {
        for (low, high) in [(-5, 7), (0, 31), (-64, 63), (10, 10)] {
            let cost = clamp_cost::<Additive<Z8>>(n, x.len());
            let y = run(n, 100, std::slice::from_ref(&x), &cost, |cx, s| {
                clamp(cx, &s[0], Z8::from_i64(low), Z8::from_i64(high))
            });
            check(&y, &x, |x| Z8::from_i64(x.to_i64().clamp(low, high)));
        }
    }
}

#[test]
fn selection_of_every_pair() {
    let (x, y) = pairs();
    for n in PARTIES {
        for bit in 0..2u64 {
            let b = Tensor::filled(x.shape(), Z8::from_u64(bit));
            let cost = select_cost::<Additive<Z8>>(n, x.len());
            let z = run(n, 110, &[b, x.clone(), y.clone()], &cost, |cx, s| select(cx, &s[0], &s[1], &s[2]));
            assert_eq!(&z, if bit == 1 { &x } else { &y });
        }
    }
}

#[test]
fn order_clamp_and_selection_of_corners() {
    let (x, y) = wide_pairs(7);
    let one_or_zero = |b: bool| Z64(u64::from(b));
    for n in PARTIES {
        let cost = less_than_zero_cost::<Additive<Z64>>(n, x.len());
        let z = run(n, 115, &[x.clone(), y.clone()], &cost, |cx, s| less_than(cx, &s[0], &s[1]));
        for ((&z, &x), &y) in z.as_slice().iter().zip(x.as_slice()).zip(y.as_slice()) {
            if x.to_i64().checked_sub(y.to_i64()).is_some() {
                assert_eq!(z, one_or_zero(x.to_i64() < y.to_i64()), "{x:?} < {y:?}");
            }
        }
        let small = tensor::<Z64>(corners().into_iter().filter(|&v| (v as i64).unsigned_abs() < 1 << 62));
        for (low, high) in [(-(1i64 << 61), 1i64 << 61), (0, 1), (-5, (1 << 62) - 1)] {
            let cost = clamp_cost::<Additive<Z64>>(n, small.len());
            let z = run(n, 116, std::slice::from_ref(&small), &cost, |cx, s| {
                clamp(cx, &s[0], Z64::from_i64(low), Z64::from_i64(high))
            });
            check(&z, &small, |x| Z64::from_i64(x.to_i64().clamp(low, high)));
        }
        let bits = tensor::<Z64>((0..x.len()).map(|i| i as u64 % 2));
        let cost = select_cost::<Additive<Z64>>(n, x.len());
        let z = run(n, 117, &[bits, x.clone(), y.clone()], &cost, |cx, s| select(cx, &s[0], &s[1], &s[2]));
        for (i, z) in z.as_slice().iter().enumerate() {
            assert_eq!(*z, if i % 2 == 1 { x.as_slice()[i] } else { y.as_slice()[i] });
        }
    }
}

#[test]
fn odd_lengths_pack_without_gaps() {
    for len in [1, 2, 3, 7, 8, 9, 63, 64, 65, 127, 129, 1000] {
        let x = tensor::<Z64>(words(len as u64, len));
        let cost = relu_cost::<Additive<Z64>>(3, len);
        let y = run(3, 120, std::slice::from_ref(&x), &cost, |cx, s| relu(cx, &s[0]));
        check(&y, &x, |x| if x.to_i64() < 0 { Z64::ZERO } else { x });
    }
}

#[test]
fn outputs_cost_what_their_recipients_take() {
    use mpc_core::party::PartyId;
    let recipients = [PartyId::new(1)];
    for n in PARTIES {
        let x = tensor::<Z64>([1, 2, 3]);
        let want = output::confirm_cost(n).then(output::cost::<Additive<Z64>>(n, &[(3, &recipients)]));
        protocols::trial::run::<Z64, _>(n, common::seed(130), |cx| {
            let value = (cx.me().index() == 0).then_some(&x);
            let s = protocols::input::input(cx, PartyId::new(0), &[3], value)?;
            let got = output::output(cx, &[(&s, &recipients)])?;
            assert_eq!(got[0].is_some(), cx.me() == recipients[0]);
            assert_eq!((cx.rounds(), cx.sent_bytes()), (want.rounds, want.sent_bytes[cx.me()]));
            Ok(())
        })
        .unwrap();
    }
}

#[test]
fn bits_to_each_party_are_those_of_the_tables() {
    let len = 1 << 12;
    let per_element = |c: Cost| (c.rounds, c.sent_bytes.iter().next().unwrap().1 * 8 / len as u64);
    type S = Additive<Z64>;
    assert_eq!(per_element(sign_bits_cost::<S>(2, len)), (3, 97));
    assert_eq!(per_element(less_than_zero_cost::<S>(2, len)), (4, 98));
    assert_eq!(per_element(relu_cost::<S>(2, len)), (4, 98));
    assert_eq!(per_element(mul_cost::<S>(2, len)), (1, 128));
    assert_eq!(per_element(square_cost::<S>(2, len)), (1, 64));
    assert_eq!(per_element(truncate::cost::<S>(2, len, 16)), (1, 64));
    assert_eq!(per_element(to_ring_cost::<S>(2, len)), (1, 1));
    assert_eq!(<S as Sharing>::VALUE_BITS, 64);
}
