//! `log verify --key`: logs are held to keys that come from elsewhere.
#![allow(clippy::unwrap_used, reason = "a test: a panic is how it fails")]

use std::time::Duration;

use subrosa_tests::Cluster;
use subrosa_tests::refusal::refused;

const SUBROSA: &str = env!("CARGO_BIN_EXE_subrosa-under-test");
const WITHIN: Duration = Duration::from_secs(30);

#[test]
fn logs_are_held_to_the_keys_that_are_given() {
    let cluster = Cluster::new(SUBROSA, 2, 24);
    let _ran = cluster.run_well(WITHIN);
    let nodes = cluster.nodes();
    let logs: Vec<String> = nodes.iter().map(|n| cluster.text_path(&format!("{n}/log"))).collect();
    let key = |name: &str, of: &str| format!("{name}={}", cluster.text_path(&format!("{of}/{of}.pub")));
    let verify = |flags: &[&str], keys: &[String]| {
        let mut args = vec!["log", "verify"];
        args.extend(flags);
        args.extend(logs.iter().map(String::as_str));
        keys.iter().for_each(|k| args.extend(["--key", k]));
        cluster.subrosa(&args)
    };
    // As files and as text.
    let mut keys: Vec<String> = nodes.iter().map(|n| key(n, n)).collect();
    let text = std::fs::read_to_string(cluster.path("bank/bank.pub")).unwrap();
    keys.push(format!("bank={}", text.trim()));
    let shown = verify(&[], &keys).succeeded().stdout;
    let lines: Vec<&str> = shown.lines().filter(|l| l.starts_with("key")).collect();
    assert!(lines.len() == nodes.len() && lines.iter().all(|l| l.ends_with("as given")), "{shown}");
    assert!(shown.contains(text.trim()) && shown.contains("last cosigned by"), "{shown}");
    let report = verify(&["--json"], &keys).succeeded().json();
    for log in report["logs"].as_array().unwrap() {
        assert!(log["members"].as_array().unwrap().iter().all(|m| m["expected"] == true), "{report:#}");
        assert_eq!(log["cosignatures"].as_array().unwrap().len(), nodes.len() - 1, "{report:#}");
        for cosignature in log["cosignatures"].as_array().unwrap() {
            let time = cosignature["time"].as_str().unwrap();
            assert!(time.starts_with("20") && time.ends_with('Z') && time.len() == 20, "{time}");
        }
    }

    // Another's key under a name: that node's log, and every other log that names it, is refused.
    let wrong: Vec<String> = nodes.iter().map(|n| key(n, if *n == "bureau" { "bank" } else { n })).collect();
    let ended = verify(&["--json"], &wrong);
    assert_eq!(ended.code, Some(1), "{ended}");
    let problems = ended.json()["problems"].as_array().unwrap().clone();
    for (node, log) in nodes.iter().zip(&logs) {
        assert!(problems.iter().any(|p| p["log"] == *log.as_str()), "{node}: {problems:#?}");
    }
    for bad in ["bank", "=ed25519:AAAA", "bank=ed25519:AAAA", "bank=no/such/file"] {
        let refusal = refused(&cluster, &["log", "verify", &logs[0], "--key", bad]);
        assert_eq!(refusal.exit, 2, "{bad}: {refusal:?}");
    }
}
