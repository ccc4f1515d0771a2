//! Products, matrix products and selection.

use mpc_core::conv::{ConvShape, conv_acc};
use mpc_core::party::PartyId;
use mpc_core::ring::{Ring, Z8, Z64};
use mpc_core::share::Additive;
use mpc_core::tensor::Tensor;
use mpc_core::windows::Sliding;
use protocols::convert::{select, select_cost};
use protocols::error::ProtocolError;
use protocols::mul::{dot, dot_cost, mul, mul_cost, square, square_cost};
use protocols::{conv, matmul, trial};

use crate::common::{PARTIES, run, tensor, words};
use crate::{pairs, wide_pairs};

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
fn batches_of_matrix_products() {
    for (label, n) in (40..).zip(PARTIES) {
        for (count, m, k, c) in [(1, 1, 1, 1), (4, 3, 5, 2), (7, 9, 2, 12), (3, 1, 8, 1)] {
            let x = tensor::<Z64>(words(label, count * m * k)).reshape(&[count, m, k]);
            let y = tensor::<Z64>(words(label + 9, count * k * c)).reshape(&[count, k, c]);
            let cost = matmul::batch_cost::<Additive<Z64>>(n, count, [m, k, c]);
            assert_eq!((cost.rounds, cost.items.len()), (1, 1));
            let z = run(n, label, &[x.clone(), y.clone()], &cost, |cx, s| matmul::batch(cx, &s[0], &s[1]));
            for i in 0..count {
                let part = |t: &Tensor<Z64>| t.slice(0, i, i + 1).reshape(&t.shape()[1..]);
                assert_eq!(part(&z), part(&x).matmul(&part(&y)), "{count} {m} {k} {c}, product {i}");
            }
        }
    }
}

#[test]
fn convolutions() {
    let (one, two) = (Sliding::by(1), Sliding::by(2).padded(1));
    let shapes = [
        ([1, 1, 1, 1], [1, 1, 1, 1], one, 1),
        ([3, 1, 9, 9], [4, 1, 5, 5], one, 1),
        ([2, 6, 7, 5], [4, 3, 3, 2], two, 2),
        ([2, 5, 6, 6], [5, 1, 3, 3], one.padded(1), 5),
        ([2, 3, 9, 8], [2, 3, 2, 3], one.dilated(3), 1),
        ([4, 8, 3, 3], [6, 8, 1, 1], two, 1),
    ];
    for (label, n) in (50..).zip(PARTIES) {
        for (input, kernel, sliding, groups) in shapes {
            let shape = ConvShape::new(input, kernel, sliding, groups).expect("sizes that fit");
            convolution(n, label, shape, |label, len| tensor::<Z64>(words(label, len)));
            convolution(n, label, shape, |label, len| tensor::<Z8>(words(label, len)));
        }
    }
}

fn convolution<R: Ring>(n: usize, label: u64, shape: ConvShape, values: impl Fn(u64, usize) -> Tensor<R>) {
    let of = |label, axes: [usize; 4]| values(label, axes.iter().product()).reshape(&axes);
    let (x, y) = (of(label, shape.input()), of(label + 9, shape.kernel()));
    let cost = conv::cost::<Additive<R>>(n, shape);
    // What is opened is the operands, whatever windows they are in.
    let opened = (x.len() + y.len()) * R::BYTES * (n - 1);
    assert!(cost.rounds == 1 && cost.sent_bytes.iter().all(|(_, &bytes)| bytes == opened as u64));
    let dealt = cost.dealer_bytes::<R>();
    assert_eq!(dealt[PartyId::new(0)], (shape.output().iter().product::<usize>() * R::BYTES) as u64);
    let z = run(n, label, &[x.clone(), y.clone()], &cost, |cx, s| conv::conv(cx, &s[0], &s[1], &shape));
    let mut want = Tensor::zeros(&shape.output());
    conv_acc(&shape, x.as_slice(), y.as_slice(), want.as_mut_slice());
    assert_eq!(z, want, "{n} parties, {shape:?}");
}

#[test]
fn unfitting_operands_are_refused() {
    let share = |axes: &[usize]| Additive::from_share(Tensor::<Z64>::zeros(axes));
    let shape = ConvShape::new([1, 2, 3, 3], [4, 2, 2, 2], Sliding::by(1), 1).expect("sizes that fit");
    trial::run::<Z64, _>(2, [60; 32], |cx| {
        let (x, y) = (share(&[1, 2, 3, 3]), share(&[4, 2, 2, 2]));
        assert!(conv::conv(cx, &x, &y, &shape).is_ok());
        for (x, y) in [(&x, &x), (&y, &y), (&share(&[18]), &y)] {
            assert!(matches!(conv::conv(cx, x, y, &shape), Err(ProtocolError::Shape { .. })));
        }
        for (x, y) in [([2, 3, 4], [3, 4, 1]), ([2, 3, 4], [2, 3, 4])] {
            assert!(matches!(matmul::batch(cx, &share(&x), &share(&y)), Err(ProtocolError::Shape { .. })));
        }
        assert!(matches!(
            matmul::batch(cx, &share(&[3, 4]), &share(&[4, 2])),
            Err(ProtocolError::Shape { .. })
        ));
        Ok(())
    })
    .expect("the honest run succeeds");
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
fn selection_of_corners() {
    let (x, y) = wide_pairs(7);
    for n in PARTIES {
        let bits = tensor::<Z64>((0..x.len()).map(|i| i as u64 % 2));
        let cost = select_cost::<Additive<Z64>>(n, x.len());
        let z = run(n, 117, &[bits, x.clone(), y.clone()], &cost, |cx, s| select(cx, &s[0], &s[1], &s[2]));
        for (i, z) in z.as_slice().iter().enumerate() {
            assert_eq!(*z, if i % 2 == 1 { x.as_slice()[i] } else { y.as_slice()[i] });
        }
    }
}
