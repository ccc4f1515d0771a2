//! Real data through `--data`: 30,000 card holders, split between a guest that knows the outcomes and a host. The
//! weights are fitted here in plaintext; the joint scores must be the plaintext scores.
#![allow(clippy::unwrap_used, reason = "a test: a panic is how it fails")]

use std::path::{Path, PathBuf};

use subrosa_tests::{files, run};

const SUBROSA: &str = env!("CARGO_BIN_EXE_subrosa-under-test");
const GUEST: &str = "default_credit_hetero_guest.csv";
const HOST: &str = "default_credit_hetero_host.csv";

/// Both halves joined: rows of all features with a 1 for the intercept at the end, and outcomes.
struct Joined {
    ids: Vec<String>,
    names: Vec<String>,
    rows: Vec<Vec<f64>>,
    bad: Vec<f64>,
}

fn join(folder: &Path) -> Joined {
    let (guest_header, guest) = files::read_csv(&folder.join(GUEST));
    let (host_header, host) = files::read_csv(&folder.join(HOST));
    assert_eq!((guest_header[0].as_str(), guest_header[1].as_str()), ("id", "y"));
    assert_eq!((host_header[0].as_str(), guest.len()), ("id", host.len()));
    let names = guest_header[2..].iter().map(|c| format!("guest.{c}"));
    let names = names.chain(host_header[1..].iter().map(|c| format!("host.{c}"))).collect();
    let number = |cell: &String| cell.parse::<f64>().unwrap();
    let rows = guest.iter().zip(&host).map(|(g, h)| {
        assert_eq!(g[0], h[0], "both files list the same people in the same order");
        g[2..].iter().chain(&h[1..]).map(number).chain([1.0]).collect()
    });
    Joined {
        names,
        rows: rows.collect(),
        bad: guest.iter().map(|g| number(&g[1])).collect(),
        ids: guest.into_iter().map(|mut g| g.swap_remove(0)).collect(),
    }
}

fn probability(row: &[f64], weights: &[f64]) -> f64 {
    1.0 / (1.0 + (-row.iter().zip(weights).map(|(x, w)| x * w).sum::<f64>()).exp())
}

/// Logistic regression by Newton's method, with the small ridge that keeps the equations solvable where columns
/// nearly agree.
fn fit(rows: &[&[f64]], bad: &[f64]) -> Vec<f64> {
    let n = rows[0].len();
    let mut weights = vec![0.0; n];
    for _ in 0..25 {
        let mut gradient: Vec<f64> = weights.iter().map(|w| -w).collect();
        let mut hessian = vec![vec![0.0; n]; n];
        for (row, y) in rows.iter().zip(bad) {
            let p = probability(row, &weights);
            for i in 0..n {
                gradient[i] += (y - p) * row[i];
                for j in 0..=i {
                    hessian[i][j] += p * (1.0 - p) * row[i] * row[j];
                }
            }
        }
        hessian.iter_mut().enumerate().for_each(|(i, row)| row[i] += 1.0);
        let step = solve(hessian, gradient);
        weights.iter_mut().zip(&step).for_each(|(w, s)| *w += s);
        if step.iter().all(|s| s.abs() < 1e-9) {
            return weights;
        }
    }
    panic!("the fit did not converge");
}

/// Solves `a·x = b` for a symmetric positive definite `a`, of which the lower half is given, by Cholesky.
fn solve(mut a: Vec<Vec<f64>>, mut b: Vec<f64>) -> Vec<f64> {
    let n = b.len();
    for i in 0..n {
        for j in 0..=i {
            let known: f64 = (0..j).map(|k| a[i][k] * a[j][k]).sum();
            let rest = a[i][j] - known;
            a[i][j] = if i == j { rest.sqrt() } else { rest / a[j][j] };
        }
    }
    for i in 0..n {
        let known: f64 = (0..i).map(|k| a[i][k] * b[k]).sum();
        b[i] = (b[i] - known) / a[i][i];
    }
    for i in (0..n).rev() {
        let known: f64 = (i + 1..n).map(|k| a[k][i] * b[k]).sum();
        b[i] = (b[i] - known) / a[i][i];
    }
    b
}

/// The probability that a bad row has a higher score than a good one.
fn auc(scored: &[(f64, f64)]) -> f64 {
    let mut sorted = scored.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut good_below, mut good, mut bad, mut area) = (0.0, 0.0, 0.0, 0.0);
    for tied in sorted.chunk_by(|a, b| a.0 == b.0) {
        let bad_here: f64 = tied.iter().map(|s| s.1).sum();
        let good_here = tied.len() as f64 - bad_here;
        area += bad_here * (good_below + good_here / 2.0);
        good_below += good_here;
        good += good_here;
        bad += bad_here;
    }
    area / (good * bad)
}

fn prepare(source: &Path, people: &Joined, weights: &[f64], to: &Path) {
    std::fs::copy(source.join(GUEST), to.join("guest.csv")).unwrap();
    std::fs::copy(source.join(HOST), to.join("host.csv")).unwrap();
    let named = people.names.iter().map(String::as_str).chain(["bias"]).zip(weights);
    let lines: String = named.map(|(name, weight)| format!("{name},{weight}\n")).collect();
    std::fs::write(to.join("weights.csv"), format!("name,weight\n{lines}")).unwrap();
    let description = "weights = \"weights.csv\"\n\n\
        [[party]]\nname = \"guest\"\nfile = \"guest.csv\"\nkey = \"id\"\nlabel = \"y\"\n\n\
        [[party]]\nname = \"host\"\nfile = \"host.csv\"\nkey = \"id\"\n";
    std::fs::write(to.join("demo.toml"), description).unwrap();
}

#[test]
fn joint_scores_of_30000_card_holders_are_the_plaintext_scores() {
    let source: PathBuf = files::workspace().join("../shared/data/taiwan");
    if !source.is_dir() {
        println!("SKIPPED: the data is not at {}; it is no part of the project", source.display());
        return;
    }
    let people = join(&source);
    assert_eq!((people.rows.len(), people.names.len()), (30_000, 23));
    // Every fifth row is held out.
    let held_out = |i: &usize| i.is_multiple_of(5);
    let training: Vec<usize> = (0..people.rows.len()).filter(|i| !held_out(i)).collect();
    let rows: Vec<&[f64]> = training.iter().map(|&i| people.rows[i].as_slice()).collect();
    let bad: Vec<f64> = training.iter().map(|&i| people.bad[i]).collect();
    let weights = fit(&rows, &bad);

    let dir = tempfile::tempdir().unwrap();
    let (data, keep) = (dir.path().join("data"), dir.path().join("kept"));
    std::fs::create_dir(&data).unwrap();
    prepare(&source, &people, &weights, &data);
    let [data_text, keep_text] = [&data, &keep].map(|p| p.to_str().unwrap());
    let args = ["demo", "loan-scoring", "--json", "--data", data_text, "--keep", keep_text];
    let report = run(SUBROSA, &args).succeeded().json();
    assert_eq!((report["parties"].as_u64(), report["rows"].as_u64()), (Some(2), Some(30_000)));
    assert_eq!(report["verified"], true);

    let (header, scores) = files::read_csv(&keep.join("guest/scores.csv"));
    assert_eq!(header[..2], ["id", "probability"]);
    assert_eq!(scores.len(), people.rows.len());
    let mut worst = 0.0_f64;
    let mut joint = Vec::new();
    for (i, (score, row)) in scores.iter().zip(&people.rows).enumerate() {
        assert_eq!(score[0], people.ids[i], "row {i}");
        let scored: f64 = score[1].parse().unwrap();
        worst = worst.max((scored - probability(row, &weights)).abs());
        joint.push((scored, people.bad[i]));
    }
    println!("largest difference from plaintext {worst:.2e} over {} rows", scores.len());
    assert!(worst > 0.0 && worst <= 1e-3, "largest difference from plaintext {worst}");
    assert!(
        (worst - report["max_abs_error"].as_f64().unwrap()).abs() < 1e-9,
        "the demo measured other scores"
    );

    let of_held_out: Vec<(f64, f64)> =
        joint.iter().copied().enumerate().filter(|(i, _)| held_out(i)).map(|(_, s)| s).collect();
    let (out, all) = (auc(&of_held_out), auc(&joint));
    println!("AUC {out:.4} held out, {all:.4} over all rows");
    assert!((out - 0.714).abs() < 0.003, "held-out AUC {out}, a plaintext library reaches 0.7140");
    assert!((all - report["auc"].as_f64().unwrap()).abs() < 1e-6, "{all} here, {} there", report["auc"]);

    each_config_names_its_own_file_only(&keep);
}

fn each_config_names_its_own_file_only(keep: &Path) {
    let text = |node: &str| std::fs::read_to_string(keep.join(node).join(format!("{node}.toml"))).unwrap();
    let settings = |node: &str| -> String {
        text(node).lines().filter(|l| !l.trim_start().starts_with('#')).map(|l| format!("{l}\n")).collect()
    };
    for (node, own, foreign) in [
        ("guest", &["guest.csv", "weights.csv"][..], &["host.csv"][..]),
        ("host", &["host.csv"], &["guest.csv", "weights.csv", "scores.csv", "outcomes"]),
        ("dealer", &[], &["guest.csv", "host.csv", "weights.csv", "scores.csv"]),
    ] {
        for file in own {
            assert!(settings(node).contains(file), "{node}.toml does not name {file}:\n{}", text(node));
        }
        for file in foreign {
            assert!(!settings(node).contains(file), "{node}.toml names {file}:\n{}", text(node));
        }
    }
}
