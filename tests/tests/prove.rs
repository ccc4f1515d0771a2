//! Proofs about real logs, made at the command line and checked there with public keys alone.
#![allow(clippy::unwrap_used, reason = "a test: a panic is how it fails")]

use std::time::Duration;

use subrosa_tests::refusal::refused;
use subrosa_tests::{Cluster, files};

const SUBROSA: &str = env!("CARGO_BIN_EXE_subrosa-under-test");
const WITHIN: Duration = Duration::from_secs(30);

fn prove(cluster: &Cluster, log: &str, claim: &[&str], file: &str) {
    let text = cluster.subrosa(&[&["log", "prove", log], claim].concat()).succeeded().stdout;
    std::fs::write(cluster.path(file), text).unwrap();
}

#[test]
fn every_entry_is_proved_with_its_witnesses_and_nothing_else_is() {
    let cluster = Cluster::new(SUBROSA, 2, 24);
    let _ran = cluster.run_well(WITHIN);
    let (log, proof) = (cluster.text_path("bank/log"), cluster.text_path("entry.tlog-proof"));
    let key = cluster.text_path("bank/bank.pub");
    let witness = format!("bureau={}", cluster.text_path("bureau/bureau.pub"));
    let shown = cluster.subrosa(&["log", "show", "--json", &log]).succeeded().json();
    let entries = shown["entries"].as_array().unwrap();
    let last = entries.len() - 1;
    for (index, entry) in entries.iter().enumerate() {
        prove(&cluster, &log, &["--entry", &index.to_string()], "entry.tlog-proof");
        // The last entry is the one that fixes the cosignatures of the head before it.
        let covered = index < last;
        let witnesses: &[&str] = if covered { &["--witness", &witness] } else { &[] };
        let checked = [&["log", "check-proof", "--json", &proof, "--key", &key], witnesses].concat();
        let report = cluster.subrosa(&checked).succeeded().json();
        assert_eq!((&report["index"], &report["entry"]), (&index.into(), &entry["text"]), "{report:#}");
        assert_eq!(report["witnesses"], serde_json::json!(if covered { vec!["bureau"] } else { vec![] }));
        assert_eq!(report["size"].as_u64(), Some(if covered { last } else { last + 1 } as u64));
        let text = cluster.subrosa(&["log", "check-proof", &proof, "--key", &key]).succeeded().stdout;
        assert!(text.starts_with(&format!("ok: entry {index} of bank's log")), "{text}");
    }
    let refuses = |args: &[&str], exit: i32, parts: &[&str]| {
        let refusal = refused(&cluster, args);
        assert_eq!(refusal.exit, exit, "{refusal:?}");
        refusal.says(parts);
    };
    let other = cluster.text_path("bureau/bureau.pub");
    refuses(&["log", "check-proof", &proof, "--key", &other], 1, &["entry.tlog-proof", "expected"]);
    let missing = ["log", "check-proof", &proof, "--key", &key, "--witness", &witness];
    refuses(&missing, 1, &["bureau did not cosign"]);
    refuses(&["log", "prove", &log, "--entry", "999"], 2, &["has", "entries", "999"]);
    let sound = std::fs::read(&proof).unwrap();
    for at in (0..sound.len()).step_by(7) {
        let mut bad = sound.clone();
        bad[at] ^= 1 << (at % 8);
        std::fs::write(&proof, bad).unwrap();
        refuses(&["log", "check-proof", &proof, "--key", &key], 1, &["entry.tlog-proof"]);
    }
}

#[test]
fn growth_is_proved_from_any_head_that_somebody_kept() {
    let cluster = Cluster::new(SUBROSA, 2, 24);
    let _first = cluster.run_well(WITHIN);
    let (log, proof) = (cluster.text_path("bureau/log"), cluster.text_path("growth"));
    let (key, old) = (cluster.text_path("bureau/bureau.pub"), cluster.text_path("old"));
    std::fs::copy(cluster.path("bureau/log/checkpoint"), &old).unwrap();
    let _second = cluster.run_well(WITHIN);
    let seen = files::all_files(&cluster.path("bank/log-witness"));
    let heads = files::all_files(&cluster.path("bureau/log/cosigned")).into_iter().chain(seen);
    let mut kept = vec![old.clone()];
    kept.extend(heads.map(|f| f.to_str().unwrap().to_owned()));
    let mut proved = 0;
    for old in kept.iter().filter(|f| std::fs::read_to_string(f).unwrap().starts_with("bureau\n")) {
        prove(&cluster, &log, &["--since", old], "growth");
        let report = ["log", "check-proof", "--json", &proof, "--key", &key, "--old", old];
        let report = cluster.subrosa(&report).succeeded().json();
        assert_eq!(report["kind"], "consistency");
        proved += 1;
    }
    assert_eq!(proved, 4, "the old head, two cosigned ones, the one that the bank remembers");
    let text = std::fs::read_to_string(&old).unwrap();
    let size = text.lines().nth(1).unwrap();
    prove(&cluster, &log, &["--since", size], "growth");
    let check = ["log", "check-proof", &proof, "--key", &key];
    let _same = cluster.subrosa(&[&check[..], &["--old", &old]].concat()).succeeded();
    let refusal = refused(&cluster, &check);
    assert_eq!(refusal.exit, 2);
    refusal.says(&["--old"]);
    // A head of the same size that the log never had: the bank's own log is another tree.
    let others = [("bank/log/checkpoint", "expected"), ("bureau/log/checkpoint", "the proof is about")];
    for (file, part) in others {
        let refusal = refused(&cluster, &[&check[..], &["--old", &cluster.text_path(file)]].concat());
        assert_eq!(refusal.exit, 1, "{refusal:?}");
        refusal.says(&[part]);
    }
}
