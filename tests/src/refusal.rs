//! Commands that must be refused: the same words in text and under `--json`, from `check` and from `run`.

use crate::cluster::Cluster;
use crate::files;
use crate::process::Refusal;

/// Runs a command that must be refused, in text and under `--json`: both must say the same.
#[must_use]
pub fn refused(cluster: &Cluster, args: &[&str]) -> Refusal {
    let text = cluster.subrosa(args).text_refusal();
    let json = cluster.subrosa(&[args, &["--json"]].concat()).refusal();
    assert_eq!((text.exit, &text.message, &text.hint), (json.exit, &json.message, &json.hint));
    assert!(
        !json.code.is_empty() && json.code.chars().all(|c| c.is_ascii_lowercase() || c == '_'),
        "{json:?}"
    );
    json
}

/// The bank's `check` and `run` must both refuse, alike, with exit code 2, `code` and all of `parts`.
pub fn bank_is_refused(cluster: &Cluster, code: &str, parts: &[&str]) {
    let config = cluster.config("bank");
    let [check, run] = ["check", "run"].map(|command| refused(cluster, &[command, "--config", &config]));
    assert_eq!(check, run, "check and run differ");
    assert_eq!((run.exit, run.code.as_str()), (2, code), "{run:?}");
    run.says(parts);
    assert!(!cluster.path("bank/log").exists(), "a run that cannot begin writes no log");
}

/// Replaces the first `from` in a file of the bank, expects the refusal, and puts the file back.
pub fn with_change(cluster: &Cluster, file: &str, from: &str, to: &str, code: &str, parts: &[&str]) {
    let path = cluster.path(file);
    let sound = std::fs::read(&path).unwrap();
    cluster.replace(file, from, to);
    bank_is_refused(cluster, code, parts);
    std::fs::write(&path, sound).unwrap();
}

/// Sets one cell of the bank's table (rows from 0), expects the refusal, and puts the file back.
pub fn with_cell(cluster: &Cluster, row: usize, column: &str, value: &str, code: &str, parts: &[&str]) {
    let path = cluster.path("bank/bank.csv");
    let sound = std::fs::read(&path).unwrap();
    files::set_cell(&path, row, column, value);
    bank_is_refused(cluster, code, parts);
    std::fs::write(&path, sound).unwrap();
}
