//! Values that stay in shares: what one session keeps, a later one takes up, and nobody learns it in between.
#![allow(clippy::unwrap_used, reason = "a test: a panic is how it fails")]

use std::collections::BTreeMap;

use ml_ops::models::regression::{LABELS, Regression, Target};
use ml_ops::models::scorecard::{Member, features};
use ml_ops::training::Training;
use ml_ops::{
    Axis, Execution, KeptError, KeptShare, Owner, Program, Rounding, reference, run_local, run_local_with,
};
use mpc_core::fixed::FracBits;
use mpc_core::party::PartyId;
use ndarray::{Array2, ArrayD};
use proptest::prelude::*;

type Inputs = BTreeMap<String, ArrayD<f64>>;

const PARTIES: [&str; 3] = ["a", "b", "c"];

fn keeps(parties: usize, frac: u32, max_abs: f64) -> Program {
    let mut p = Program::builder("keeps", FracBits::new(frac).unwrap(), &PARTIES[..parties]);
    let x = p.input("x", Owner(1), [2, 3], max_abs).unwrap();
    let y = p.scale(x, 0.5).unwrap();
    p.keep("half", y).unwrap();
    p.build().unwrap()
}

fn takes_up(parties: usize, frac: u32, max_abs: f64) -> Program {
    let mut p = Program::builder("takes up", FracBits::new(frac).unwrap(), &PARTIES[..parties]);
    let x = p.shared("half", [2, 3], max_abs).unwrap();
    let y = p.scale(x, 2.0).unwrap();
    p.output("x", y, &[0]).unwrap();
    p.build().unwrap()
}

fn table() -> Inputs {
    let x = Array2::from_shape_fn((2, 3), |(i, j)| i as f64 * 1.5 - j as f64 / 4.0);
    [("x".to_owned(), x.into_dyn())].into()
}

#[test]
fn what_one_session_keeps_another_takes_up() {
    for parties in [2, 3] {
        let (first, second) = (keeps(parties, 16, 4.0), takes_up(parties, 16, 2.0));
        let kept = run_local(&first, &table(), [1; 32]).unwrap();
        for (party, run) in PartyId::all(parties).zip(&kept) {
            first.plan().check(party, &run.measured).unwrap();
            assert!(run.outputs.is_empty());
            assert_eq!(run.kept["half"].shape().dims(), [2, 3]);
            assert_eq!(run.kept["half"].origin(), kept[0].kept["half"].origin());
            assert_eq!(run.kept["half"].origin().program, first.digest());
        }
        let taken = run_local_with(&second, &Inputs::new(), &kept, [2; 32]).unwrap();
        assert_eq!(taken[0].outputs["x"], table()["x"]);
        second.plan().check(PartyId::new(0), &taken[0].measured).unwrap();
        for program in [&first, &second] {
            assert_eq!(&Program::decode(&program.encode()).unwrap(), program);
        }
        assert!(first.to_string().contains("keep \"half\" = %1 in shares"), "{first}");
        assert!(second.to_string().contains("%0 = shared \"half\" of an earlier session"), "{second}");
        // The plaintext references take the value itself.
        let value: Inputs = [("half".to_owned(), table()["x"].mapv(|v| v / 2.0))].into();
        assert_eq!(reference::fixed(&second, &value).unwrap()["x"], table()["x"]);
        assert_eq!(reference::float(&second, &value).unwrap()["x"], table()["x"]);
    }
}

#[test]
fn a_model_that_nobody_sees_is_fitted_and_scores() {
    let members =
        [Member { name: "a", columns: 2, max_abs: 4.0 }, Member { name: "b", columns: 1, max_abs: 4.0 }];
    let rows = 24;
    let fit = Regression {
        name: "fit",
        frac: FracBits::DEFAULT,
        members: &members,
        rows,
        labels: 0,
        target: Target::Class { weights: [1.0, 1.0] },
        training: Training::sgd(5, 8, 0.5),
        max_weight: 8.0,
        recipients: &[],
    };
    let table = |rows, columns, k: usize| {
        Array2::from_shape_fn((rows, columns), |(i, j)| ((i * k + j * 5) % 7) as f64 / 2.0 - 1.5).into_dyn()
    };
    let labels = Array2::from_shape_fn((rows, 1), |(i, _)| f64::from(u8::from(i % 3 == 0))).into_dyn();
    let (a, b) = (table(rows, 2, 3), table(rows, 1, 2));
    let inputs: Inputs =
        [(features("a"), a.clone()), (features("b"), b.clone()), (LABELS.to_owned(), labels)].into();
    let program = fit.program().unwrap();
    assert_eq!(program.kept().collect::<Vec<_>>(), ["weights", "bias"]);
    let fitted = run_local(&program, &inputs, [3; 32]).unwrap();

    let mut p = Program::builder("score", FracBits::DEFAULT, &PARTIES[..2]);
    p.rounding(Rounding::Exact);
    let xa = p.input("xa", Owner(0), [rows, 2], 4.0).unwrap();
    let xb = p.input("xb", Owner(1), [rows, 1], 4.0).unwrap();
    let (w, bias) = (p.shared("weights", [3, 1], 8.0).unwrap(), p.shared("bias", [1], 8.0).unwrap());
    let x = p.concat(&[xa, xb], Axis(1)).unwrap();
    let z = p.dense(x, w, bias).unwrap();
    p.output("score", z, &[1]).unwrap();
    let score = p.build().unwrap();
    let rows: Inputs = [("xa".to_owned(), a), ("xb".to_owned(), b)].into();
    let runs = run_local_with(&score, &rows, &fitted, [4; 32]).unwrap();

    // The same with parameters that are learnt.
    let seen = Regression { recipients: &[1], ..fit }.program().unwrap();
    let seen = run_local(&seen, &inputs, [3; 32]).unwrap();
    let mut rows = rows;
    rows.extend(seen[1].outputs.clone());
    let expected = &reference::float(&score, &rows).unwrap()["score"];
    for (got, expected) in runs[1].outputs["score"].iter().zip(expected) {
        assert!((got - expected).abs() < 1e-3, "{got} is not {expected}");
    }
}

#[test]
fn shares_that_do_not_fit_are_refused_before_anything_is_sent() {
    let kept = run_local(&keeps(2, 16, 4.0), &table(), [1; 32]).unwrap();
    let refused = |program: Program, earlier: &[Execution], why: &str| {
        let error = run_local_with(&program, &Inputs::new(), earlier, [2; 32]).unwrap_err().to_string();
        assert!(error.contains(why), "{error:?} does not say {why:?}");
    };
    refused(takes_up(2, 16, 2.0), &[], "no value for input \"half\"");
    refused(takes_up(2, 16, 1.5), &kept, "the program allows ±1.5, what the session kept may reach ±2");
    refused(
        takes_up(2, 20, 2.0),
        &kept,
        "the program has 20 fraction bits, the session that kept this had 16",
    );
    let three = [kept[0].clone(), kept[1].clone(), kept[0].clone()];
    refused(takes_up(3, 16, 2.0), &three, "this is the share of party 0 of 2, expected that of party 0 of 3");
    let swapped = [kept[1].clone(), kept[0].clone()];
    refused(
        takes_up(2, 16, 2.0),
        &swapped,
        "this is the share of party 1 of 2, expected that of party 0 of 2",
    );
    let mut p = Program::builder("wrong", FracBits::DEFAULT, &PARTIES[..2]);
    let x = p.shared("half", [3, 2], 8.0).unwrap();
    p.output("x", x, &[0]).unwrap();
    refused(p.build().unwrap(), &kept, "expected shape [3, 2], the session kept [2, 3]");

    let mut p = Program::builder("wrong", FracBits::DEFAULT, &PARTIES[..2]);
    let x = p.input("x", Owner(0), [3], 8.0).unwrap();
    let bits = p.less(x, x).unwrap();
    assert!(p.keep("bits", bits).unwrap_err().to_string().contains("no integer"));
    assert!(p.output("nobody", x, &[]).is_err());
    p.keep("x2", x).unwrap();
    assert!(p.keep("x2", x).and_then(|()| p.build()).unwrap_err().to_string().contains("is taken"));
}

#[test]
fn shares_of_two_sessions_are_independent() {
    let program = keeps(2, 16, 4.0);
    let of = |seed| run_local(&program, &table(), [seed; 32]).unwrap();
    let bytes = |run: &Execution| run.kept["half"].encode().to_vec();
    let (one, two) = (of(1), of(2));
    // Everything but the values is the same but for the session.
    let values = |run: &Execution| bytes(run)[bytes(run).len() - 32 - 48..bytes(run).len() - 32].to_vec();
    let same = |a: &[u8], b: &[u8]| a.chunks(8).zip(b.chunks(8)).filter(|(a, b)| a == b).count();
    assert_eq!(same(&values(&one[0]), &values(&two[0])), 0);
    assert_eq!(same(&values(&one[0]), &values(&one[1])), 0);
}

#[test]
fn a_file_of_a_share_is_whole_or_refused() {
    let kept = run_local(&keeps(2, 16, 4.0), &table(), [1; 32]).unwrap();
    let bytes = kept[0].kept["half"].encode();
    let read = KeptShare::decode(&bytes).unwrap();
    assert_eq!(read.encode(), bytes);
    assert_eq!(read.origin(), kept[1].kept["half"].origin());
    for at in 0..bytes.len() {
        let mut other = bytes.to_vec();
        other[at] ^= 1;
        assert!(matches!(KeptShare::decode(&other), Err(KeptError::Malformed(_))), "byte {at}");
        assert!(KeptShare::decode(&bytes[..at]).is_err());
    }
}

proptest! {
    #[test]
    fn hostile_shares_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), digest: bool) {
        if digest {
            use sha2::Digest as _;
            let mut whole = b"SUBROSAS\x01\x00".to_vec();
            whole.append(&mut bytes);
            let digest = sha2::Sha256::digest(&whole);
            whole.extend_from_slice(&digest);
            bytes = whole;
        }
        if let Ok(share) = KeptShare::decode(&bytes) {
            prop_assert_eq!(share.encode().to_vec(), bytes);
        }
    }
}
