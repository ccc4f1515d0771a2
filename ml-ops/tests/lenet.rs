//! LeNet at its full size, fitted by two parties: against the same steps in floating point, and until it tells digits apart.
#![allow(clippy::unwrap_used, reason = "a test: a panic is how it fails")]

use std::collections::BTreeMap;

use ml_ops::models::lenet::{First, Fit, Pooling, lenet};
use ml_ops::models::regression::{HISTORY, LABELS};
use ml_ops::models::scorecard::PROBABILITY;
use ml_ops::models::scoring::{ModelFrom, Scoring};
use ml_ops::models::{DATA, RESULT, Roles};
use ml_ops::training::{Adam, History, Optimiser, Training};
use ml_ops::{Axis, Execution, Owner, Program, Rounding, reference, run_local, run_local_with};
use mpc_core::fixed::FracBits;
use mpc_core::party::PartyId;
use ndarray::{Array2, Array4, ArrayD, ArrayViewD};

type Values = BTreeMap<String, ArrayD<f64>>;

/// The strokes of digits as a clock shows them: across at the top, in the middle, at the bottom; down at the left and at the right,
/// above and below.
const STROKES: [[u8; 7]; 10] = [
    [1, 0, 1, 1, 1, 1, 1],
    [0, 0, 0, 0, 0, 1, 1],
    [1, 1, 1, 0, 1, 1, 0],
    [1, 1, 1, 0, 0, 1, 1],
    [0, 1, 0, 1, 0, 1, 1],
    [1, 1, 1, 1, 0, 0, 1],
    [1, 1, 1, 1, 1, 0, 1],
    [1, 0, 0, 0, 0, 1, 1],
    [1, 1, 1, 1, 1, 1, 1],
    [1, 1, 1, 1, 0, 1, 1],
];

/// Digits, moved about and with noise.
fn digits(rows: usize) -> Values {
    let mut next = 19u64;
    let mut below = |n: u64| {
        next = next.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (next >> 33) % n
    };
    let mut images = Array4::<f64>::zeros((rows, 1, 28, 28));
    let mut labels = Array2::zeros((rows, 10));
    for row in 0..rows {
        let digit = row % 10;
        labels[[row, digit]] = 1.0;
        let (top, left) = (3 + below(5) as usize, 5 + below(7) as usize);
        let places = [
            (0, 0, 1, 10),
            (8, 0, 1, 10),
            (16, 0, 1, 10),
            (0, 0, 9, 1),
            (8, 0, 9, 1),
            (0, 9, 9, 1),
            (8, 9, 9, 1),
        ];
        for (place, _) in places.iter().zip(STROKES[digit]).filter(|(_, on)| *on == 1) {
            let (y, x, height, width) = *place;
            for (i, j) in (0..height).flat_map(|i| (0..width).map(move |j| (i, j))) {
                for (di, dj) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                    images[[row, 0, top + y + i + di, left + x + j + dj]] = 1.0;
                }
            }
        }
    }
    images.mapv_inplace(|v| (0.8 * v + below(200) as f64 / 1000.0).clamp(0.0, 1.0));
    [(DATA, images.into_dyn()), (LABELS, labels.into_dyn())].map(|(n, v)| (n.to_owned(), v)).into()
}

fn fit(rows: usize, pooling: Pooling, training: Training<'static>) -> Program {
    fit_to(rows, pooling, training, &[1]).program().unwrap()
}

fn fit_to<'a>(rows: usize, pooling: Pooling, training: Training<'a>, recipients: &'a [usize]) -> Fit<'a> {
    Fit {
        name: "digits",
        frac: FracBits::DEFAULT,
        parties: &["clinic", "laboratory"],
        images: Owner(0),
        labels: Owner(1),
        rows,
        max_pixel: 1.0,
        pooling,
        training: Training { history: History::AtEnd, ..training },
        max_weight: 2.0,
        max_hidden: 64.0,
        max_derivative: 16.0,
        first: First::Seed(7),
        recipients,
    }
}

fn momentum(epochs: u32, batch: usize) -> Training<'static> {
    let optimiser = Optimiser::Sgd { learning_rate: 0.05, momentum: 0.9 };
    Training { optimiser, ..Training::sgd(epochs, batch, 0.05) }
}

fn checked(program: &Program, runs: &[Execution]) {
    let plan = program.plan();
    program.demand().check().unwrap();
    for (party, run) in PartyId::all(runs.len()).zip(runs) {
        plan.check(party, &run.measured).unwrap();
    }
}

/// The largest difference of every output.
fn differences(got: &Values, expected: &Values) -> Vec<(String, f64)> {
    let far = |(name, value): (&String, &ArrayD<f64>)| {
        (name.clone(), (value - &expected[name]).iter().fold(0.0f64, |far, d| far.max(d.abs())))
    };
    got.iter().map(far).collect()
}

#[test]
fn steps_of_two_parties_are_those_in_floating_point() {
    let plain = Training::sgd(1, 16, 0.125);
    for (pooling, rows, training, limit) in [
        (Pooling::Average, 16, plain, 2f64.powi(-12)),
        // A hidden value that is about zero in the second step may be on the other side of it.
        (Pooling::Max, 64, momentum(1, 32), 2f64.powi(-8)),
    ] {
        let (program, inputs) = (fit(rows, pooling, training), digits(rows));
        // The first weights and momenta, with a few bytes more.
        let first = if pooling == Pooling::Max { 2 } else { 1 } * 431_080 * 8;
        assert!(program.encode().len() < first + 8_000, "{} bytes", program.encode().len());
        let float = reference::float(&program, &inputs).unwrap();
        let runs = run_local(&program, &inputs, [9; 32]).unwrap();
        checked(&program, &runs);
        assert_eq!(runs[1].outputs.len(), 9);
        for (name, far) in differences(&runs[1].outputs, &float) {
            assert!(far < limit, "{pooling:?}, {name}: {far}");
        }
    }
}

#[test]
fn adam_moves_every_parameter() {
    let adam = Training { optimiser: Optimiser::Adam(Adam::with_rate(0.002)), ..Training::sgd(1, 4, 0.1) };
    let (program, inputs) = (fit(4, Pooling::Max, adam), digits(4));
    let float = reference::float(&program, &inputs).unwrap();
    let runs = run_local(&program, &inputs, [4; 32]).unwrap();
    checked(&program, &runs);
    for (name, far) in differences(&runs[1].outputs, &float) {
        assert!(far < 1e-3, "{name}: {far}");
    }
}

#[test]
fn a_fit_goes_on_where_another_left_shares() {
    let plain = fit_to(8, Pooling::Average, Training::sgd(1, 8, 0.03125), &[1]);
    let inputs = digits(8);
    let first = Fit { recipients: &[], ..plain }.program().unwrap();
    let mut left = run_local(&first, &inputs, [5; 32]).unwrap();
    for run in &mut left {
        assert!(run.outputs.is_empty() && run.kept.len() == 9);
        run.kept =
            std::mem::take(&mut run.kept).into_iter().map(|(n, v)| (format!("first.{n}"), v)).collect();
    }
    let second = Fit { first: First::Kept, ..plain }.program().unwrap();
    // No first weights in this one.
    assert!(second.encode().len() < 8_000);
    let got = run_local_with(&second, &inputs, &left, [6; 32]).unwrap();
    checked(&second, &got);
    let both = fit(8, Pooling::Average, Training::sgd(2, 8, 0.03125));
    let mut float = reference::float(&both, &inputs).unwrap();
    let last = float[HISTORY].slice_axis(Axis(0), (1..).into()).to_owned();
    float.insert(HISTORY.to_owned(), last);
    for (name, far) in differences(&got[1].outputs, &float) {
        assert!(far < 2f64.powi(-8), "{name}: {far}");
    }
}

#[test]
fn a_network_that_nobody_sees_reads_images() {
    let plain = Training::sgd(1, 2, 0.125);
    let fit = |recipients| fit_to(2, Pooling::Average, plain, recipients);
    let (kept, received) = (fit(&[]), fit(&[1]));
    let inputs = digits(2);
    let shares = run_local(&kept.program().unwrap(), &inputs, [5; 32]).unwrap();
    assert!(shares.iter().all(|run| run.outputs.is_empty()));
    let mut rows = digits(5);
    rows.remove(LABELS);
    let scoring = |model| Scoring {
        name: "read",
        rows: 5,
        window_rows: Some(3),
        model,
        rounding: Rounding::Dithered,
        recipients: &[0],
    };
    let from_shares = kept.scoring(&scoring(ModelFrom::Shares)).unwrap();
    assert_eq!(from_shares.shared().count(), 8);
    let runs = run_local_with(&from_shares, &rows, &shares, [6; 32]).unwrap();
    checked(&from_shares, &runs);
    let from_owner = received.scoring(&scoring(ModelFrom::Owner(1))).unwrap();
    let mut model = reference::float(&received.program().unwrap(), &inputs).unwrap();
    model.remove(HISTORY);
    rows.extend(model);
    let float = reference::float(&from_owner, &rows).unwrap();
    assert_eq!(float[PROBABILITY].shape(), [5, 10]);
    for (name, far) in differences(&runs[0].outputs, &float) {
        assert!(far < 2e-3, "{name}: {far}");
    }
}

#[test]
fn digits_are_told_apart() {
    let program = fit(80, Pooling::Max, momentum(8, 16));
    let inputs = digits(80);
    reference::check_ranges(&program, &inputs).unwrap();
    let mut fitted = reference::float(&program, &inputs).unwrap();
    let history: Vec<f64> = fitted.remove(HISTORY).unwrap().iter().copied().collect();
    assert!(history[7] < 0.3 * history[0], "{history:?}");
    // What comes out of the fit goes into the network as it is, which knows digits that stand elsewhere.
    let roles = Roles {
        name: "read",
        parties: &["clinic", "laboratory"],
        model: Owner(1),
        data: Owner(0),
        recipients: &[0],
        frac: FracBits::DEFAULT,
        max_weight: 2.0,
        max_data: 1.0,
        promised: 64.0,
    };
    let network = lenet(roles, 40, Pooling::Max).unwrap();
    let mut others = digits(120);
    let truth = others.remove(LABELS).unwrap();
    fitted.insert(DATA.to_owned(), others[DATA].slice_axis(Axis(0), (80..).into()).to_owned());
    let scores = &reference::float(&network, &fitted).unwrap()[RESULT];
    let largest = |row: ArrayViewD<'_, f64>| {
        row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map(|(class, _)| class)
    };
    let pairs = scores.axis_iter(Axis(0)).zip(truth.axis_iter(Axis(0)).skip(80));
    let right = pairs.filter(|(got, wanted)| largest(got.view()) == largest(wanted.view())).count();
    assert!(right >= 36, "{right} of 40");
}

#[test]
fn a_training_on_many_images_is_planned() {
    // Ten epochs of 60,000 images.
    let program = fit(60_000, Pooling::Max, momentum(10, 128));
    program.demand().check().unwrap();
    let (plan, one) = (program.plan(), fit(128, Pooling::Max, momentum(1, 128)).plan());
    assert_eq!(plan.rounds - 3, 4690 * (one.rounds - 3));
    // A step's values and not those of the training, beside the images: their shares, their mask, and what is opened and sent of them
    // once.
    let images = 60_000 * 28 * 28 * 8;
    assert!(plan.memory_bytes < 8 * images, "{}", plan.memory_bytes);
}
