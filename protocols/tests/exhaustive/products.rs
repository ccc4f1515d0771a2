//! Products, matrix products and selection.

use mpc_core::ring::{Ring, Z8, Z64};
use mpc_core::share::Additive;
use mpc_core::tensor::Tensor;
use protocols::convert::{select, select_cost};
use protocols::matmul;
use protocols::mul::{dot, dot_cost, mul, mul_cost, square, square_cost};

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
