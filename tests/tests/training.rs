//! A model is fitted by real nodes, stays in shares on their disks, and scores in a later session.
#![allow(clippy::unwrap_used, reason = "a test: a panic is how it fails")]

use std::path::Path;
use std::time::Duration;

use ml_ops::models::regression::{LABELS, Regression, Target};
use ml_ops::models::scorecard::{BIAS, Member, PROBABILITY, WEIGHTS, features};
use ml_ops::training::{History, LOSS, Optimiser, Training};
use ml_ops::{Axis, Owner, Program};
use mpc_core::fixed::FracBits;
use subrosa_tests::cluster::Cluster;
use subrosa_tests::files::read_csv;
use subrosa_tests::logistic::auc;
use subrosa_tests::process::{finish_all, listing};

const SUBROSA: &str = env!("CARGO_BIN_EXE_subrosa-under-test");
const PARTIES: [&str; 2] = ["bank", "bureau"];
const ROWS: usize = 120;
const WITHIN: Duration = Duration::from_secs(120);

/// Columns of each party in the demo's program.
fn columns(cluster: &Cluster) -> [usize; 2] {
    let program = Program::load(cluster.path("bank/scorecard.sbr")).unwrap();
    PARTIES.map(|p| program.inputs().find(|i| i.name == features(p)).unwrap().shape.dims()[1])
}

/// Fits on the demo's own columns; nobody receives the model.
fn training(columns: [usize; 2], history: History<'_>) -> Program {
    let member = |i: usize| Member { name: PARTIES[i], columns: columns[i], max_abs: 32.0 };
    let regression = Regression {
        name: "fit",
        frac: FracBits::DEFAULT,
        members: &[member(0), member(1)],
        rows: ROWS,
        labels: 0,
        target: Target::Class { weights: [1.0, 1.0] },
        training: Training {
            optimiser: Optimiser::Sgd { learning_rate: 0.5, momentum: 0.5 },
            l2: 0.01,
            history,
            ..Training::sgd(6, 40, 0.5)
        },
        max_weight: 16.0,
        recipients: &[],
    };
    regression.program().unwrap()
}

/// Scores the same rows with the model that was kept.
fn scoring(columns: [usize; 2]) -> Program {
    let mut p = Program::builder("score", FracBits::DEFAULT, &PARTIES);
    let input = |i: usize| (features(PARTIES[i]), Owner(i), [ROWS, columns[i]]);
    let [bank, bureau] =
        [0, 1].map(input).map(|(name, owner, shape)| p.input(&name, owner, shape, 32.0).unwrap());
    let w = p.shared(WEIGHTS, [columns[0] + columns[1], 1], 16.0).unwrap();
    let b = p.shared(BIAS, [1], 16.0).unwrap();
    let x = p.concat(&[bank, bureau], Axis(1)).unwrap();
    let z = p.dense(x, w, b).unwrap();
    let probability = p.sigmoid(z).unwrap();
    p.output(PROBABILITY, probability, &[0]).unwrap();
    p.build().unwrap()
}

/// Gives every party this program, and these sections instead of what follows its features.
fn configure(cluster: &Cluster, program: &Program, sections: [&str; 2]) {
    for (party, sections) in PARTIES.into_iter().zip(sections) {
        program.save(cluster.path(&format!("{party}/job.sbr"))).unwrap();
        cluster.edit(&format!("{party}/{party}.toml"), |text| {
            let text = text.replace("scorecard.sbr", "job.sbr");
            // The bank's sections begin with its weights, once; what a test adds begins with a mark.
            let end = ["# of the test", "[inputs.weights]"].iter().find_map(|mark| text.find(mark));
            format!("{}\n# of the test\n{sections}", text[..end.unwrap_or(text.len())].trim_end())
        });
    }
}

const KEEP: &str = "[outputs.weights]\nfile = \"weights.share\"\n[outputs.bias]\nfile = \"bias.share\"\n";
const TAKE: &str = "[inputs.weights]\nkind = \"share\"\nfile = \"weights.share\"\n\
                    [inputs.bias]\nkind = \"share\"\nfile = \"bias.share\"\n";

/// What the bank has beside its features.
fn labels() -> String {
    format!(
        "[inputs.{LABELS}]\nfile = \"bank.csv\"\nkey_column = \"customer_id\"\ncolumns = [\"defaulted\"]\n{KEEP}"
    )
}

fn copy_shares(cluster: &Cluster, party: &str, from: &str, to: &str) {
    for share in ["weights", "bias"] {
        let file = |ending| cluster.path(&format!("{party}/{share}.share{ending}"));
        std::fs::copy(file(from), file(to)).unwrap();
    }
}

#[test]
fn a_model_stays_in_shares_between_sessions() {
    let cluster = Cluster::new(SUBROSA, 2, ROWS);
    let columns = columns(&cluster);
    configure(&cluster, &training(columns, History::None), [&labels(), KEEP]);
    let check = cluster.subrosa(&["check", "--config", &cluster.config("bank"), "--json"]);
    assert_eq!(check.code, Some(0), "{check}");
    let ended = cluster.run_well(WITHIN);
    for (ended, party) in ended.iter().zip(PARTIES) {
        let outputs = ended.json()["outputs"].as_array().unwrap().clone();
        assert_eq!(outputs.len(), 2, "{ended}");
        assert!(outputs.iter().all(|o| o["share"] == true), "{ended}");
        is_private(&cluster.path(&format!("{party}/weights.share")));
        copy_shares(&cluster, party, "", ".first");
    }
    // As measured, or the run would have failed.
    let plan = cluster.subrosa(&["plan", "--config", &cluster.config("bank"), "--json"]).json();
    assert_eq!(plan["rounds"], ended[0].json()["rounds"]);
    let opened = |op: &serde_json::Value| op["op"] == "matmul" && op["opens_reused_factor"] == true;
    let times: Vec<_> =
        plan["ops"].as_array().unwrap().iter().filter(|op| opened(op)).map(|op| &op["times"]).collect();
    assert_eq!(times, [18]);

    // The same again: another session, whose shares are of another value.
    let _again = cluster.run_well(WITHIN);

    let output = format!("{TAKE}[outputs.{PROBABILITY}]\nfile = \"probability.csv\"\n");
    configure(&cluster, &scoring(columns), [&output, TAKE]);
    copy_shares(&cluster, "bank", ".first", "");
    let mixed = cluster.run_parties(WITHIN);
    assert!(mixed.iter().all(|e| e.code == Some(1)), "{}", listing(&mixed));
    assert_eq!(mixed[0].refusal().code, "session_differs", "{}", listing(&mixed));
    assert!(!cluster.path("bank/probability.csv").exists());

    copy_shares(&cluster, "bureau", ".first", "");
    let _scored = cluster.run_well(WITHIN);
    let column = |file: &str, name: &str| -> Vec<f64> {
        let (header, rows) = read_csv(&cluster.path(file));
        let at = header.iter().position(|h| h == name).unwrap();
        rows.iter().map(|r| r[at].parse().unwrap()).collect()
    };
    let (scores, labels) =
        (column("bank/probability.csv", PROBABILITY), column("bank/bank.csv", "defaulted"));
    let scored: Vec<(f64, f64)> = scores.into_iter().zip(labels).collect();
    let auc = auc(&scored);
    assert!(auc > 0.7, "AUC {auc} on the rows that it was fitted to");
    assert_eq!(cluster.verify(&PARTIES)["ok"], true);

    // A share of another party, and one that is damaged, are refused before anybody is met.
    let other = std::fs::read(cluster.path("bureau/weights.share")).unwrap();
    std::fs::write(cluster.path("bank/weights.share"), &other).unwrap();
    let refused = cluster.subrosa(&["check", "--config", &cluster.config("bank"), "--json"]);
    assert_eq!(refused.code, Some(2), "{refused}");
    assert_eq!(refused.refusal().code, "wrong_share");
    std::fs::write(cluster.path("bank/weights.share"), &other[..other.len() - 1]).unwrap();
    let refused = cluster.subrosa(&["check", "--config", &cluster.config("bank"), "--json"]);
    assert_eq!(refused.refusal().code, "bad_share");
}

#[test]
fn the_loss_of_every_epoch_leaves_to_its_recipient_alone() {
    let cluster = Cluster::new(SUBROSA, 2, ROWS);
    let program = training(columns(&cluster), History::Live(&[1]));
    configure(&cluster, &program, [&labels(), KEEP]);
    let refused = cluster.subrosa(&["check", "--config", &cluster.config("bureau"), "--json"]).refusal();
    assert_eq!(refused.code, "missing_output", "{}", refused.message);
    cluster.edit("bureau/bureau.toml", |text| format!("{text}[outputs.{LOSS}]\nfile = \"loss.csv\"\n"));
    let plan = cluster.subrosa(&["plan", "--config", &cluster.config("bank"), "--json"]).json();
    let reports: Vec<_> = plan["ops"].as_array().unwrap().iter().filter(|op| op["op"] == "report").collect();
    assert_eq!(
        reports.iter().map(|op| (&op["rounds"], &op["times"])).collect::<Vec<_>>(),
        [(&12.into(), &6.into())]
    );

    // The bank's terminal is a person's, the bureau's a script's; neither is one.
    let nodes = cluster.nodes().into_iter().map(|n| cluster.start_with(n, n != "bank")).collect();
    let ended = finish_all(nodes, WITHIN);
    assert!(ended.iter().all(|e| e.code == Some(0)), "{}", listing(&ended));
    let [bank, bureau] = [&ended[0], &ended[1]];
    assert_eq!(bureau.json()["rounds"], plan["rounds"]);

    let lines: Vec<serde_json::Value> =
        bureau.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 6, "{bureau}");
    let losses: Vec<f64> = lines.iter().map(|line| line["values"][0].as_f64().unwrap()).collect();
    for (i, line) in lines.iter().enumerate() {
        assert_eq!(
            (&line["report"], &line["number"], &line["of"]),
            (&LOSS.into(), &(i + 1).into(), &6.into())
        );
        assert_eq!(
            (line["iteration"].as_u64(), line["values"].as_array().unwrap().len()),
            (Some(3 * i as u64 + 3), 1)
        );
    }
    // At first every probability is one half.
    assert!(losses[0] > 0.1 && losses[0] < 0.3 && losses[5] < losses[0], "{losses:?}");
    let (header, rows) = read_csv(&cluster.path("bureau/loss.csv"));
    assert_eq!(header, [LOSS]);
    let expected: Vec<Vec<String>> = losses.iter().map(|loss| vec![format!("{loss:.6}")]).collect();
    assert_eq!(rows, expected);
    is_private(&cluster.path("bureau/loss.csv"));

    let said: Vec<&str> = bank.stderr.lines().collect();
    assert_eq!(said.len(), 6, "{bank}");
    for (i, line) in said.iter().enumerate() {
        let place = format!("epoch {} of 6: {LOSS} reported to others", i + 1);
        assert!(line.starts_with(&place), "{line}");
    }
    assert!(!cluster.path("bank/loss.csv").exists());
    assert_eq!(cluster.verify(&PARTIES)["ok"], true);
}

#[cfg(unix)]
fn is_private(file: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "{}", file.display());
}

#[cfg(not(unix))]
fn is_private(_file: &Path) {}
