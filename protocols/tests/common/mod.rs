//! A world of 2 to 5 parties in one process for protocol tests: shares inputs, runs a protocol, opens the result and
//! holds what it cost against what it should.
#![allow(dead_code, unreachable_pub, reason = "each test file includes this one and uses its part")]

use mpc_core::party::PartyId;
use mpc_core::ring::Ring;
use mpc_core::share::Additive;
use mpc_core::tensor::Tensor;
use protocols::cost::Cost;
use protocols::error::ProtocolError;
use protocols::input::input;
use protocols::output::output;
use protocols::session::Session;
use protocols::trial;

pub const PARTIES: [usize; 3] = [2, 3, 5];

/// A seed that differs between calls of one test and is printed when the test fails.
pub fn seed(label: u64) -> [u8; 32] {
    let mut s = [0x5b; 32];
    s[..8].copy_from_slice(&label.to_le_bytes());
    println!("seed label {label}");
    s
}

/// Whether these tests run on correlated randomness from oblivious transfer: for all protocols, set
/// `SUBROSA_TESTS_WITHOUT_DEALER`. That takes longer, so it is not what they do by default.
pub fn without_dealer() -> bool {
    std::env::var_os("SUBROSA_TESTS_WITHOUT_DEALER").is_some()
}

fn sessions<R: Ring>(n: usize, seed: [u8; 32]) -> Vec<Session<Additive<R>>> {
    match without_dealer() {
        true => trial::sessions_with_ot(n, seed, None),
        false => trial::sessions(n, seed, None),
    }
}

/// Shares one-dimensional inputs (owner i mod n), runs `protocol`, and returns its opened result.
/// Asserts that every party counted exactly the rounds, bytes and dealer bytes of `cost`.
pub fn run<R: Ring>(
    n: usize,
    label: u64,
    inputs: &[Tensor<R>],
    cost: &Cost,
    protocol: impl Fn(&mut Session<Additive<R>>, &[Additive<R>]) -> Result<Additive<R>, ProtocolError>
    + Send
    + Sync,
) -> Tensor<R> {
    let all: Vec<PartyId> = PartyId::all(n).collect();
    let results = trial::run_sessions(sessions::<R>(n, seed(label)), |cx| {
        let mut shares = vec![];
        for (i, x) in inputs.iter().enumerate() {
            cx.enter(i as u32, 0)?;
            let owner = PartyId::new(i % n);
            shares.push(input(cx, owner, x.shape(), (cx.me() == owner).then_some(x))?);
        }
        assert_eq!((cx.rounds(), cx.sent_bytes()), (0, 0), "inputs cost nothing");
        cx.enter(1000, 0)?;
        let y = protocol(cx, &shares)?;
        let me = cx.me();
        assert_eq!(cx.rounds(), cost.rounds, "rounds, n = {n}");
        assert_eq!(cx.sent_bytes(), cost.sent_bytes[me], "bytes of {me}, n = {n}");
        if !without_dealer() {
            assert_eq!(cx.prep_bytes(), cost.dealer_bytes::<R>()[me], "dealer bytes of {me}, n = {n}");
        }
        let opened = output(cx, &[(&y, &all)])?;
        Ok::<_, ProtocolError>(opened[0].clone().map(|r| r.tensor().clone()))
    })
    .expect("the honest run succeeds");
    let first = results[0].clone().expect("everyone is a recipient");
    for r in &results {
        assert_eq!(r.as_ref(), Some(&first), "all recipients learn the same");
    }
    first
}

pub fn tensor<R: Ring>(values: impl IntoIterator<Item = u64>) -> Tensor<R> {
    let v: Vec<R> = values.into_iter().map(R::from_u64).collect();
    Tensor::from_vec(&[v.len()], v)
}

/// 0, ±1, ±2^61, ±2^62 − and their neighbours, MIN, MAX.
pub fn corners() -> Vec<u64> {
    let mut out = vec![];
    for base in [
        0i64,
        1,
        -1,
        1 << 61,
        -(1 << 61),
        (1 << 62) - 1,
        -(1 << 62) + 1,
        1 << 62,
        -(1 << 62),
        i64::MAX,
        i64::MIN,
    ] {
        for d in [-1i64, 0, 1] {
            out.push(base.wrapping_add(d) as u64);
        }
    }
    out
}

/// Deterministic pseudorandom words for test inputs.
pub fn words(label: u64, count: usize) -> Vec<u64> {
    let mut x = label.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..count)
        .map(|_| {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            x.wrapping_mul(0x2545_f491_4f6c_dd1d)
        })
        .collect()
}
