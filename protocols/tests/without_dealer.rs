//! Protocols on correlated randomness that the parties made themselves, from base OTs on.
#![allow(clippy::unwrap_used, reason = "a test: a panic is how it fails")]

mod common;

use common::{corners, seed, tensor, words};
use mpc_core::fixed::FracBits;
use mpc_core::party::PartyId;
use mpc_core::ring::{Ring, Z64};
use mpc_core::share::{Additive, Sharing};
use mpc_core::tensor::Tensor;
use protocols::compare::{less_than_public, less_than_zero};
use protocols::error::ProtocolError;
use protocols::input::input;
use protocols::matmul::matmul;
use protocols::mul::{dot, mul, square};
use protocols::output::output;
use protocols::piecewise::{evaluate, tables};
use protocols::relu::{relu, relu_truncated};
use protocols::reuse::{mask_once, matmul_masked};
use protocols::session::Session;
use protocols::sort::{Direction, sort};
use protocols::tree::TreeChoice;
use protocols::trial;
use protocols::truncate::{Rounding, floor, truncate};

type Shares = Additive<Z64>;

const TREE: TreeChoice = TreeChoice::DEFAULT;

/// Shares the inputs, runs the protocol and opens what it returns.
fn run(
    n: usize,
    label: u64,
    inputs: &[Tensor<Z64>],
    protocol: impl Fn(&mut Session<Shares>, &[Shares]) -> Result<Shares, ProtocolError> + Send + Sync,
) -> Tensor<Z64> {
    let all: Vec<PartyId> = PartyId::all(n).collect();
    let party = |cx: &mut Session<Shares>| {
        let mut shares = vec![];
        for (i, x) in inputs.iter().enumerate() {
            let owner = PartyId::new(i % n);
            shares.push(input(cx, owner, x.shape(), (cx.me() == owner).then_some(x))?);
        }
        let y = protocol(cx, &shares)?;
        let opened = output(cx, &[(&y, &all)])?;
        Ok::<_, ProtocolError>(opened[0].clone().map(|r| r.tensor().clone()))
    };
    let results = trial::run_sessions(trial::sessions_with_ot(n, seed(label), None), party).unwrap();
    let first = results[0].clone().unwrap();
    assert!(results.iter().all(|r| r.as_ref() == Some(&first)), "all recipients learn the same");
    first
}

/// Values of both signs below 2^`bits`.
fn values(label: u64, count: usize, bits: u32) -> Tensor<Z64> {
    tensor(words(label, count).into_iter().map(|w| ((w as i64) >> (63 - bits)) as u64))
}

#[test]
fn products() {
    for n in [2, 3] {
        let [x, y] = [1, 2].map(|label| tensor::<Z64>(words(label, 90)));
        let inputs = [x.clone(), y.clone()];
        assert_eq!(run(n, 1, &inputs, |cx, s| mul(cx, &s[0], &s[1])), x.hadamard(&y));
        assert_eq!(run(n, 2, &inputs, |cx, s| square(cx, &s[1])), y.hadamard(&y));
        let rows = [x.clone().reshape(&[3, 30]), y.clone().reshape(&[3, 30])];
        let sums = x.hadamard(&y).reshape(&[3, 30]).sum_axis(0);
        assert_eq!(run(n, 3, &rows, |cx, s| dot(cx, &s[0], &s[1])), sums);
        let [a, b] = [x.reshape(&[6, 15]), y.reshape(&[15, 6])];
        let matrices = [a.clone(), b.clone()];
        assert_eq!(run(n, 4, &matrices, |cx, s| matmul(cx, &s[0], &s[1])), a.matmul(&b));
        let twice = run(n, 5, &matrices, |cx, s| {
            let once = mask_once(cx, &s[0])?;
            let all = [matmul_masked(cx, &once.whole(), &s[1])?, matmul_masked(cx, &once.rows(2..5), &s[1])?];
            Ok(Shares::combine(&all.iter().collect::<Vec<_>>(), |p| Tensor::concat(0, p)))
        });
        assert_eq!(twice, Tensor::concat(0, &[&a.matmul(&b), &a.slice(0, 2, 5).matmul(&b)]));
    }
}

#[test]
fn comparisons_and_truncations() {
    for n in [2, 3] {
        let x: Tensor<Z64> = tensor(corners().into_iter().chain(words(7, 100)));
        let negative = |v: Z64| Z64(u64::from(v.to_i64() < 0));
        let got = run(n, 10, std::slice::from_ref(&x), |cx, s| less_than_zero(cx, &s[0], TREE));
        assert_eq!(got, x.map(negative));
        let got = run(n, 11, std::slice::from_ref(&x), |cx, s| relu(cx, &s[0], TREE));
        assert_eq!(got, x.map(|v| if v.to_i64() < 0 { Z64(0) } else { v }));

        let x = values(8, 150, 60);
        let inputs = std::slice::from_ref(&x);
        let got = run(n, 12, inputs, |cx, s| floor(cx, &s[0], 16, TREE));
        assert_eq!(got, x.map(|v| Z64::from_i64(v.to_i64() >> 16)));
        let near = |got: &Tensor<Z64>, want: &dyn Fn(i64) -> i64| {
            got.as_slice()
                .iter()
                .zip(x.as_slice())
                .all(|(g, v)| (0..=1).contains(&(g.to_i64() - want(v.to_i64()))))
        };
        assert!(near(&run(n, 13, inputs, |cx, s| truncate(cx, &s[0], 16)), &|v| v >> 16));
        let got = run(n, 14, inputs, |cx, s| relu_truncated(cx, &s[0], 16, TREE));
        assert!(near(&got, &|v| if v < 0 { 0 } else { v >> 16 }));
        let thresholds = [Z64(0), Z64(1 << 40), Z64::from_i64(-(1 << 50))];
        let got = run(n, 15, inputs, |cx, s| less_than_public(cx, &s[0], &thresholds, TREE));
        let want = thresholds
            .iter()
            .flat_map(|t| x.as_slice().iter().map(|v| Z64(u64::from(v.to_i64() < t.to_i64()))));
        assert_eq!(got.as_slice(), want.collect::<Vec<_>>());
    }
}

#[test]
fn sigmoids_and_sorting() {
    for n in [2, 3] {
        let x = values(9, 100, 19);
        let table = tables::sigmoid();
        let layout = table.layout(FracBits::DEFAULT, 1 << 19).unwrap();
        for rounding in [Rounding::Dithered, Rounding::Exact] {
            let y = run(n, 20, std::slice::from_ref(&x), |cx, s| {
                evaluate(cx, &s[0], &table, layout, rounding, TREE)
            });
            for (y, x) in y.as_slice().iter().zip(x.as_slice()) {
                let [x, y] = [x, y].map(|v| v.to_i64() as f64 / 65536.0);
                assert!((y - table.value(x)).abs() < 5e-5, "σ({x}) = {y}, {n} parties");
            }
        }
        let x = values(10, 37, 50);
        let y = run(n, 21, std::slice::from_ref(&x), |cx, s| {
            Ok(sort(cx, &s[0], &[], Direction::Ascending, 37, TREE)?.0)
        });
        let mut want = x.as_slice().to_vec();
        want.sort_by_key(|v| v.to_i64());
        assert_eq!(y.as_slice(), want);
    }
}
