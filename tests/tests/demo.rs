//! The demo, as scripts and as people see it, and the logs that it keeps.
#![allow(clippy::unwrap_used, reason = "a test: a panic is how it fails")]

use serde_json::Value;
use subrosa_tests::{Ended, Random, files, run};

const SUBROSA: &str = env!("CARGO_BIN_EXE_subrosa-under-test");

fn demo(args: &[&str]) -> Ended {
    run(SUBROSA, &[&["demo", "loan-scoring"], args].concat())
}

fn figure(report: &Value, name: &str) -> f64 {
    report[name].as_f64().unwrap_or_else(|| panic!("no number `{name}` in {report}"))
}

/// The keys and types that scripts rely on, and figures that an honest run has.
fn check_report(report: &Value, parties: usize, rows: usize) {
    assert_eq!(report["parties"].as_u64(), Some(parties as u64), "{report}");
    assert_eq!(report["rows"].as_u64(), Some(rows as u64), "{report}");
    let has_dealer = report["preprocessing"] == "dealer";
    assert!(has_dealer || report["preprocessing"] == "ot", "{report}");
    let security = report["security"].as_str().unwrap();
    assert!(security.starts_with("semi-honest, "), "{security}");
    assert_eq!(security.contains("no trusted dealer"), !has_dealer, "{security}");
    // A scorecard of this kind of data reaches about 0.8; 0.5 would be chance, 0.95 a leak of the outcome.
    assert!((0.68..0.92).contains(&figure(report, "auc")), "{report}");
    assert!((0.25..0.80).contains(&figure(report, "ks")), "{report}");
    let error = figure(report, "max_abs_error");
    assert!(error > 0.0 && error <= 1e-3, "exactly zero would not be fixed point: {report}");
    for counted in ["rounds", "online_bytes_per_party", "offline_bytes_per_party"] {
        assert!(report[counted].as_u64().is_some_and(|n| n > 0), "{counted} in {report}");
    }
    assert!((0.0..60.0).contains(&figure(report, "seconds")), "{report}");
    assert_eq!(report["verified"], true, "{report}");
    let logs = report["logs"].as_array().unwrap();
    assert_eq!(logs.len(), parties + usize::from(has_dealer), "one per node: {report}");
    for log in logs {
        assert!(log["party"].is_string() && log["path"].is_string(), "{log}");
        assert!(log["size"].as_u64().is_some_and(|n| n >= 2), "{log}");
        assert_eq!(log["root"].as_str().map(str::len), Some(44), "base64 of 32 bytes: {log}");
    }
}

#[test]
fn two_to_five_parties_score_as_the_plaintext_model() {
    for by in ["dealer", "ot"] {
        let mut rounds = Vec::new();
        for parties in 2..=5 {
            let parties_text = parties.to_string();
            let args = ["--json", "--rows", "200", "--parties", &parties_text, "--preprocessing", by];
            let report = demo(&args).succeeded().json();
            check_report(&report, parties, 200);
            assert_eq!(report["preprocessing"], by);
            rounds.push(figure(&report, "rounds"));
        }
        assert!(rounds.iter().all(|r| *r == rounds[0]), "rounds do not depend on the parties: {rounds:?}");
    }
}

#[test]
fn people_are_told_the_whole_story() {
    let ended = demo(&["--rows", "200"]).succeeded();
    let parts = [
        ("who contributed which columns", vec!["Who contributed what", "late_payments_24m", "tenure_months"]),
        ("the bank's view", vec!["What bank sees", "probability", "points", "decision"]),
        ("decisions", vec!["approve", "refer", "decline"]),
        ("what the others saw", vec!["What the others see", "bureau", "telecom", "no score"]),
        ("quality", vec!["AUC", "KS", "largest difference from plaintext"]),
        ("cost", vec!["rounds", "online, per party", "offline", "seconds", "connect", "compute"]),
        ("security", vec!["semi-honest, up to 2 of 3 parties may collude, no trusted dealer"]),
        ("what it does not hide", vec!["Not hidden:", "read out a partner's column"]),
        ("logs", vec!["Transcript logs", "entries", "root", "verified"]),
    ];
    for (what, needles) in parts {
        for needle in needles {
            assert!(ended.stdout.contains(needle), "{what}: `{needle}` is missing: {ended}");
        }
    }
    let row = |line: &&str| line.trim_start().starts_with('C') && line.matches("  ").count() >= 3;
    let applicants = ended.stdout.lines().filter(row).count();
    assert!(applicants >= 5, "a table of applicants: {ended}");
}

#[test]
fn made_up_data_is_the_same_every_time_and_as_documented() {
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    for dir in &folders {
        let keep = dir.path().to_str().unwrap();
        let report = demo(&["--json", "--preprocessing", "dealer", "--rows", "3000", "--keep", keep])
            .succeeded()
            .json();
        check_report(&report, 3, 3000);
        let bad = figure(&report, "bad_rate");
        assert!((0.20..=0.25).contains(&bad), "bad rate of 20 to 25 %, got {bad}");
    }
    for party in ["bank", "bureau", "telecom"] {
        let [first, second] = [0, 1].map(|i| {
            std::fs::read_to_string(folders[i].path().join(format!("{party}/{party}.csv"))).unwrap()
        });
        assert!(first == second, "{party}.csv differs between two runs");
        assert!(first.lines().any(|l| l.ends_with(',') || l.contains(",,")), "{party}.csv misses nothing");
    }
    let key = |i: usize| std::fs::read(folders[i].path().join("bank/bank.key")).unwrap();
    assert!(key(0) != key(1), "keys must be fresh");
}

#[test]
fn kept_logs_verify_until_any_byte_changes() {
    let mut random = Random::seeded("kept_logs");
    let dir = tempfile::tempdir().unwrap();
    let keep = dir.path().join("kept");
    let keep = keep.to_str().unwrap();
    let report = demo(&["--json", "--rows", "200", "--keep", keep]).succeeded().json();
    check_report(&report, 3, 200);

    let again = demo(&["--json", "--rows", "200", "--keep", keep]).refusal();
    assert_eq!((again.exit, again.code.as_str()), (2, "not_empty"));
    again.says(&[keep, "expected a new or empty folder"]);

    let logs: Vec<&str> =
        report["logs"].as_array().unwrap().iter().map(|l| l["path"].as_str().unwrap()).collect();
    let verify = || run(SUBROSA, &[&["log", "verify", "--json"], &logs[..]].concat());
    let sound = verify().succeeded().json();
    assert_eq!((&sound["ok"], sound["problems"].as_array().map(Vec::len)), (&Value::Bool(true), Some(0)));
    for (before, now) in report["logs"].as_array().unwrap().iter().zip(sound["logs"].as_array().unwrap()) {
        for field in ["party", "size", "root"] {
            assert_eq!(before[field], now[field], "{field} in {now}");
        }
    }

    let mut flips = 0;
    for log in &logs {
        for file in files::all_files(log.as_ref()) {
            let sound = std::fs::read(&file).unwrap();
            for _ in 0..4.min(sound.len()) {
                let mut wrong = sound.clone();
                let (at, bit) = (random.below(wrong.len()), random.below(8));
                wrong[at] ^= 1 << bit;
                std::fs::write(&file, &wrong).unwrap();
                let ended = verify();
                let what = format!("bit {bit} of byte {at} of {}", file.display());
                assert_eq!(ended.code, Some(1), "{what}: {ended}");
                let report = ended.json();
                let name = file.strip_prefix(log).unwrap().to_str().unwrap();
                let named = |p: &Value| p["log"] == *log && p["what"].as_str().unwrap().contains(name);
                let problems = report["problems"].as_array().unwrap();
                assert!(report["ok"] == false && problems.iter().any(named), "{what}: {report:#}");
                flips += 1;
            }
            std::fs::write(&file, &sound).unwrap();
        }
    }
    assert!(flips >= 3 * 3 * 4, "three logs of three files each, only {flips} flips");
    let _sound_again = verify().succeeded();
    let text = run(SUBROSA, &[&["log", "verify"], &logs[..]].concat()).succeeded();
    assert!(text.stdout.contains("ok: 3 logs verify and agree"), "{text}");
}
