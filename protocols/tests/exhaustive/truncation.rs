//! Truncation.

use mpc_core::ring::{Ring, Z8, Z64};
use mpc_core::share::Additive;
use mpc_core::tensor::Tensor;
use protocols::tree::TreeChoice;
use protocols::truncate::{self, floor, floor_cost, truncate};

use crate::common::{PARTIES, corners, run, tensor, words};

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

fn floors<R: Ring>(label: u64, x: &Tensor<R>, bits: impl IntoIterator<Item = u32> + Clone) {
    for (tree, n) in TreeChoice::ALL.into_iter().flat_map(|t| PARTIES.map(|n| (t, n))) {
        for bits in bits.clone() {
            let cost = floor_cost::<Additive<R>>(n, x.len(), bits, tree);
            let y = run(n, label, std::slice::from_ref(x), &cost, |cx, s| floor(cx, &s[0], bits, tree));
            for (&y, &x) in y.as_slice().iter().zip(x.as_slice()) {
                assert_eq!(y.to_i64(), x.to_i64() >> bits, "{x:?} / 2^{bits}, {tree}, n = {n}");
            }
        }
    }
}

#[test]
fn exact_truncation_of_every_value() {
    floors(63, &tensor::<Z8>((0..8192).map(|i| i & 255)), 1..=7);
}

#[test]
fn exact_truncation_of_corners() {
    floors(64, &tensor::<Z64>(corners().into_iter().chain(words(5, 300))), [1, 13, 16, 40, 62, 63]);
}
