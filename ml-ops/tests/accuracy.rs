//! Joint training on real data against what scikit-learn reaches on all columns: the area under the curve on rows that are held out.
#![allow(clippy::unwrap_used, reason = "a test: a panic is how it fails")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use ml_ops::models::regression::{LABELS, Regression, Target};
use ml_ops::models::scorecard::{BIAS, Member, WEIGHTS, features};
use ml_ops::training::{Optimiser, Training};
use ml_ops::{Program, reference, run_local};
use mpc_core::fixed::FracBits;
use ndarray::{Array2, ArrayD};

type Inputs = BTreeMap<String, ArrayD<f64>>;

/// Two parties' columns for the same rows, and what is known of them.
struct Table {
    columns: [Vec<Vec<f64>>; 2],
    labels: Vec<f64>,
}

/// The folder of a data set, or `None` with a word why; the project itself holds none.
fn folder(name: &str) -> Option<PathBuf> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data")).join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("SKIPPED: the data is not at {}; it is no part of the project", folder.display());
    None
}

fn lines(file: PathBuf, header: bool) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(file).unwrap();
    let row = |line: &str| line.trim().split(',').map(str::to_owned).collect::<Vec<_>>();
    text.lines().filter(|l| !l.trim().is_empty()).skip(usize::from(header)).map(row).collect()
}

/// A data set that is split between two parties.
fn split(name: &str, prefix: &str) -> Option<Table> {
    let folder = folder(name)?;
    let numbers = |cells: &[String]| cells.iter().map(|c| c.parse().unwrap()).collect::<Vec<f64>>();
    let guest = lines(folder.join(format!("{prefix}_guest.csv")), true);
    let host = lines(folder.join(format!("{prefix}_host.csv")), true);
    let host: BTreeMap<&str, Vec<f64>> = host.iter().map(|r| (r[0].as_str(), numbers(&r[1..]))).collect();
    Some(Table {
        columns: [
            guest.iter().map(|r| numbers(&r[2..])).collect(),
            guest.iter().map(|r| host[r[0].as_str()].clone()).collect(),
        ],
        labels: guest.iter().map(|r| r[1].parse().unwrap()).collect(),
    })
}

/// German Credit, with a column for every code; the first eight attributes are the first party's.
fn german() -> Option<Table> {
    let rows = lines(folder("german")?.join("german.csv"), false);
    let columns = |attributes: std::ops::Range<usize>| {
        let mut out: Vec<Vec<f64>> = vec![vec![]; rows.len()];
        for j in attributes {
            let mut codes: Vec<&str> =
                rows.iter().map(|r| r[j].as_str()).filter(|c| c.starts_with('A')).collect();
            codes.sort_unstable();
            codes.dedup();
            for (row, out) in rows.iter().zip(&mut out) {
                match codes[..] {
                    [] => out.push(row[j].parse().unwrap()),
                    _ => out.extend(codes.iter().map(|&c| f64::from(u8::from(row[j] == c)))),
                }
            }
        }
        out
    };
    let labels = rows.iter().map(|r| f64::from(u8::from(r[20] == "2"))).collect();
    Some(Table { columns: [columns(0..8), columns(8..20)], labels })
}

fn is_held_out(row: usize) -> bool {
    row.is_multiple_of(5)
}

/// Every party standardises its columns by the rows that are not held out.
fn standardised(rows: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let mut rows = rows.to_vec();
    for j in 0..rows[0].len() {
        let seen: Vec<f64> = (0..rows.len()).filter(|&i| !is_held_out(i)).map(|i| rows[i][j]).collect();
        let mean = seen.iter().sum::<f64>() / seen.len() as f64;
        let deviation = (seen.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / seen.len() as f64).sqrt();
        let unit = if deviation > 0.0 { deviation } else { 1.0 };
        rows.iter_mut().for_each(|row| row[j] = (row[j] - mean) / unit);
    }
    rows
}

/// The program and inputs of the fit, and a function from fitted parameters to the AUC on the rows that are held out.
fn fit(table: &Table) -> (Program, Inputs, impl Fn(&Inputs) -> f64 + '_) {
    let columns = [0, 1].map(|i| standardised(&table.columns[i]));
    let seen: Vec<usize> = (0..table.labels.len()).filter(|&i| !is_held_out(i)).collect();
    let largest = |of: &[Vec<f64>]| of.iter().flatten().fold(0.0, |m: f64, v| m.max(v.abs())).ceil();
    let member =
        |name, i: usize| Member { name, columns: columns[i][0].len(), max_abs: largest(&columns[i]) };
    let training = Training {
        optimiser: Optimiser::Sgd { learning_rate: 1.0, momentum: 0.9 },
        // The default of scikit-learn: a penalty of half the sum of squares beside the sum over all rows.
        l2: 1.0 / seen.len() as f64,
        ..Training::sgd(150, usize::MAX, 1.0)
    };
    let program = Regression {
        name: "joint credit risk",
        frac: FracBits::DEFAULT,
        members: &[member("guest", 0), member("host", 1)],
        rows: seen.len(),
        labels: 0,
        target: Target::Class { weights: [1.0, 1.0] },
        training,
        max_weight: 16.0,
        recipients: &[0],
    };
    let program = program.program().unwrap();
    let matrix = |rows: &[Vec<f64>]| {
        Array2::from_shape_fn((seen.len(), rows[0].len()), |(i, j)| rows[seen[i]][j]).into_dyn()
    };
    let labels = Array2::from_shape_fn((seen.len(), 1), |(i, _)| table.labels[seen[i]]).into_dyn();
    let inputs = [
        (features("guest"), matrix(&columns[0])),
        (features("host"), matrix(&columns[1])),
        (LABELS.to_owned(), labels),
    ];
    let held_out_auc = move |fitted: &Inputs| {
        let weights: Vec<f64> = fitted[WEIGHTS].iter().copied().collect();
        let score = |i: usize| {
            let row = columns[0][i].iter().chain(&columns[1][i]);
            row.zip(&weights).map(|(x, w)| x * w).sum::<f64>() + fitted[BIAS][[0]]
        };
        let held_out = (0..table.labels.len()).filter(|&i| is_held_out(i));
        auc(&held_out.map(|i| (score(i), table.labels[i])).collect::<Vec<_>>())
    };
    (program, inputs.into(), held_out_auc)
}

/// Share of pairs of a good and a bad row in which the bad one has the higher score.
fn auc(rows: &[(f64, f64)]) -> f64 {
    let of = |label: f64| rows.iter().filter(move |r| r.1 == label).map(|r| r.0);
    let (good, bad): (Vec<f64>, Vec<f64>) = (of(0.0).collect(), of(1.0).collect());
    let wins = |b: f64| {
        good.iter()
            .map(|&g| {
                if b > g {
                    1.0
                } else if b == g {
                    0.5
                } else {
                    0.0
                }
            })
            .sum::<f64>()
    };
    bad.iter().map(|&b| wins(b)).sum::<f64>() / (good.len() * bad.len()) as f64
}

/// What scikit-learn's logistic regression reaches.
fn sets() -> [(&'static str, Option<Table>, f64); 3] {
    [
        ("taiwan", split("taiwan", "default_credit_hetero"), 0.7140),
        ("german", german(), 0.7303),
        ("breast", split("breast", "breast_hetero"), 0.9962),
    ]
}

#[test]
fn joint_training_is_as_good_as_on_all_columns_in_one_place() {
    for (name, table, expected) in sets() {
        let Some(table) = table else { continue };
        let (program, inputs, auc) = fit(&table);
        let float = auc(&reference::float(&program, &inputs).unwrap());
        assert!((float - expected).abs() <= 0.002, "{name}: {float}, scikit-learn {expected}");
        // The protocol itself, where it takes seconds.
        if table.labels.len() > 1000 {
            println!("{name}: {float:.4} in floating point, scikit-learn {expected}");
            continue;
        }
        let runs = run_local(&program, &inputs, [1; 32]).unwrap();
        let secure = auc(&runs[0].outputs);
        println!("{name}: {secure:.4} in shares, {float:.4} in floating point, scikit-learn {expected}");
        assert!((secure - expected).abs() <= 0.002, "{name}: {secure}, scikit-learn {expected}");
    }
}
