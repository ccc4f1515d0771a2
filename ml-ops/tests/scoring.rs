//! Models that a training leaves are applied by the scoring that goes with it, from shares and from an owner.
#![allow(clippy::unwrap_used, reason = "a test: a panic is how it fails")]

use std::collections::BTreeMap;

use ml_ops::models::network::{self, Network};
use ml_ops::models::regression::{LABELS, Regression, Target};
use ml_ops::models::scorecard::{BIAS, Member, PROBABILITY, WEIGHTS, features};
use ml_ops::models::scoring::{ModelFrom, PREDICTION, Scoring};
use ml_ops::training::Training;
use ml_ops::{Program, Rounding, reference, run_local, run_local_with};
use mpc_core::fixed::FracBits;
use mpc_core::party::PartyId;
use ndarray::{Array2, ArrayD};

type Inputs = BTreeMap<String, ArrayD<f64>>;

const ROWS: usize = 24;
const SCORED: usize = 7;
const MEMBERS: [Member<'_>; 3] = [
    Member { name: "a", columns: 2, max_abs: 4.0 },
    Member { name: "b", columns: 0, max_abs: 4.0 },
    Member { name: "c", columns: 1, max_abs: 4.0 },
];

fn columns(rows: usize) -> Inputs {
    let number = |k: usize| move |(i, j): (usize, usize)| ((i * k + j * 5) % 13) as f64 / 4.0 - 1.5;
    [("a", 2, 7), ("c", 1, 3)]
        .map(|(name, columns, k)| {
            (features(name), Array2::from_shape_fn((rows, columns), number(k)).into_dyn())
        })
        .into()
}

fn with_labels(of: impl Fn(usize, usize) -> f64, outputs: usize) -> Inputs {
    let labels = Array2::from_shape_fn((ROWS, outputs), |(i, j)| of(i, j)).into_dyn();
    columns(ROWS).into_iter().chain([(LABELS.to_owned(), labels)]).collect()
}

fn scoring(model: ModelFrom) -> Scoring<'static> {
    let rounding = Rounding::Exact;
    Scoring { name: "score", rows: SCORED, window_rows: Some(3), model, rounding, recipients: &[1, 2] }
}

fn far(a: &ArrayD<f64>, b: &ArrayD<f64>) -> f64 {
    assert_eq!(a.shape(), b.shape());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// Runs a training that keeps shares and one whose model `a` receives; both scorings must give what the plaintext model does.
fn scores_as_in_plaintext(
    inputs: &Inputs,
    [kept, received]: [Program; 2],
    [from_shares, from_owner]: [Program; 2],
    output: &str,
) -> ArrayD<f64> {
    let shares = run_local(&kept, inputs, [1; 32]).unwrap();
    assert!(shares.iter().all(|run| run.outputs.is_empty()));
    let model = run_local(&received, inputs, [1; 32]).unwrap()[0].outputs.clone();
    let mut rows = columns(SCORED);
    let scored = run_local_with(&from_shares, &rows, &shares, [2; 32]).unwrap();
    for (party, run) in PartyId::all(3).zip(&scored) {
        from_shares.plan().check(party, &run.measured).unwrap();
    }
    assert!(scored[0].outputs.is_empty());
    // The same session of the training but for who learns the model, so the same model.
    rows.extend(model);
    let owned = run_local(&from_owner, &rows, [3; 32]).unwrap();
    assert_eq!(owned[1].outputs, scored[1].outputs);
    let plain = &reference::float(&from_owner, &rows).unwrap()[output];
    let off = far(&scored[2].outputs[output], plain);
    assert!(off < 1e-3, "off by {off}");
    plain.clone()
}

#[test]
fn regressions_score_with_what_they_left() {
    let of_class = with_labels(|i, _| f64::from(u8::from(i % 3 == 0)), 1);
    let of_numbers = with_labels(|i, _| ((i * 7) % 13) as f64 - 5.0, 1);
    for (target, inputs, output) in [
        (Target::Class { weights: [1.0, 2.0] }, of_class, PROBABILITY),
        (Target::Number { max_abs: 8.0 }, of_numbers, PREDICTION),
    ] {
        let fit = |recipients| Regression {
            name: "fit",
            frac: FracBits::DEFAULT,
            members: &MEMBERS,
            rows: ROWS,
            labels: 1,
            target,
            training: Training::sgd(5, 8, 0.1),
            max_weight: 8.0,
            recipients,
        };
        let programs = [&[][..], &[0]].map(|r| fit(r).program_with(Rounding::Exact).unwrap());
        let scorings =
            [ModelFrom::Shares, ModelFrom::Owner(0)].map(|m| fit(&[]).scoring(&scoring(m)).unwrap());
        assert_eq!(scorings[0].shared().map(|s| s.name).collect::<Vec<_>>(), [WEIGHTS, BIAS]);
        assert_eq!(scorings[0].window_rows(), Some(3));
        let plain = scores_as_in_plaintext(&inputs, programs, scorings, output);
        assert_eq!(plain.shape(), [SCORED, 1]);
    }
}

fn network<'a>(target: network::Target<'a>, layers: &'a [usize], rate: f64) -> Network<'a> {
    Network {
        name: "fit",
        frac: FracBits::DEFAULT,
        members: &MEMBERS,
        rows: ROWS,
        labels: 1,
        target,
        layers,
        training: Training::sgd(3, 8, rate),
        max_weight: 8.0,
        max_hidden: 64.0,
        seed: 5,
        recipients: &[],
    }
}

#[test]
fn networks_score_with_what_they_left() {
    let of_class =
        |classes: usize| with_labels(move |i, j| f64::from(u8::from(i % classes.max(2) == j)), classes);
    let of_numbers = with_labels(|i, j| ((i * 7) % 13) as f64 / 4.0 - j as f64, 2);
    for (target, layers, inputs, output) in [
        (network::Target::Class { weights: &[] }, &[4, 1][..], of_class(1), PROBABILITY),
        (network::Target::Class { weights: &[1.0, 2.0, 0.5] }, &[4, 3], of_class(3), PROBABILITY),
        (network::Target::Number { max_abs: 4.0 }, &[4, 3, 2], of_numbers, PREDICTION),
    ] {
        let kept = network(target, layers, 0.1);
        let received = Network { recipients: &[0], ..kept };
        let programs = [kept, received].map(|n| n.program_with(Rounding::Exact).unwrap());
        let scorings = [ModelFrom::Shares, ModelFrom::Owner(0)].map(|m| kept.scoring(&scoring(m)).unwrap());
        let plain = scores_as_in_plaintext(&inputs, programs, scorings, output);
        assert_eq!(plain.shape(), [SCORED, layers[layers.len() - 1]]);
    }
}

#[test]
fn classes_of_a_network_count_as_they_are_said_to() {
    fn class(weights: &[f64]) -> network::Target<'_> {
        network::Target::Class { weights }
    }
    let inputs = with_labels(|i, j| f64::from(u8::from(i % 3 == j)), 3);
    let fitted = |weights: &[f64], rate: f64| {
        let network = Network { recipients: &[0], ..network(class(weights), &[4, 3], rate) };
        reference::float(&network.program().unwrap(), &inputs).unwrap()
    };
    // All twice as much is twice the rate.
    let (twice, fast) = (fitted(&[2.0, 2.0, 2.0], 0.125), fitted(&[], 0.25));
    assert!(twice.iter().all(|(name, value)| far(value, &fast[name]) < 1e-6));
    // What counts most is found most often.
    let found = |weights: &[f64]| {
        let network = network(class(weights), &[4, 3], 0.25);
        let how = Scoring { rows: ROWS, window_rows: None, ..scoring(ModelFrom::Owner(0)) };
        let mut rows = columns(ROWS);
        rows.extend(fitted(weights, 0.25));
        reference::float(&network.scoring(&how).unwrap(), &rows).unwrap()[PROBABILITY]
            .rows()
            .into_iter()
            .map(|r| r[1])
            .sum::<f64>()
    };
    assert!(found(&[1.0, 4.0, 1.0]) > found(&[]) + 1.0);
    // One probability: of label 0 and of label 1.
    let binary = network(class(&[0.5, 4.0]), &[4, 1], 0.1).program().unwrap();
    assert_ne!(binary.digest(), network(class(&[1.0, 1.0]), &[4, 1], 0.1).program().unwrap().digest());
    for (weights, layers, why) in [
        (&[1.0, 2.0, 3.0][..], &[4, 1][..], "every class has a weight"),
        (&[1.0, 2.0], &[4, 3], "every class has a weight"),
        (&[1.0, 0.0, 1.0], &[4, 3], "the weight of a class is a positive number"),
    ] {
        let error = network(class(weights), layers, 0.1).program().unwrap_err().to_string();
        assert!(error.contains(why), "{error:?} does not say {why:?}");
    }
}
