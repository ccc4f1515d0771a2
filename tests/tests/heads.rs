//! Nodes cosign each other's logs, and refuse a log that lost entries or was replaced, with both heads in the message.
#![allow(clippy::unwrap_used, reason = "a test: a panic is how it fails")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use subrosa_tests::cluster::DEALER;
use subrosa_tests::process::listing;
use subrosa_tests::{Cluster, Ended, files, finish_all};

const SUBROSA: &str = env!("CARGO_BIN_EXE_subrosa-under-test");
const ROWS: usize = 24;
const WITHIN: Duration = Duration::from_secs(30);

fn cluster(parties: usize) -> Cluster {
    Cluster::new(SUBROSA, parties, ROWS)
}

/// Size and root of a log's head.
fn head(log: &Path) -> (u64, String) {
    let text = std::fs::read_to_string(log.join("checkpoint")).unwrap();
    let mut lines = text.lines().skip(1);
    (lines.next().unwrap().parse().unwrap(), lines.next().unwrap().to_owned())
}

/// The head as messages show it.
fn shown(name: &str, (size, root): &(u64, String)) -> String {
    format!("{name} with {size} entries and root {root}")
}

fn replace(from: &Path, to: &Path) {
    if to.exists() {
        std::fs::remove_dir_all(to).unwrap();
    }
    files::copy_folder(from, to);
}

/// All nodes run and fail; the parties and the dealer in order.
fn all_fail(cluster: &Cluster) -> Vec<Ended> {
    let scores = cluster.scores();
    if scores.exists() {
        std::fs::remove_file(&scores).unwrap();
    }
    let ended = finish_all(cluster.nodes().into_iter().map(|n| cluster.start(n)).collect(), WITHIN);
    assert!(ended.iter().all(|e| e.code == Some(1)), "{}", listing(&ended));
    assert!(!scores.exists(), "an output after a refused log: {}", listing(&ended));
    ended
}

/// Those that saw for themselves what is wrong with the bank's log, one peer at least. Who is slower than the first may be told.
fn saw_it(ended: &[Ended]) -> Vec<&Ended> {
    let told = |e: &&Ended| e.refusal().code == "peer_aborted";
    ended.iter().filter(told).for_each(|e| e.refusal().says(&["bank", "gave up"]));
    let saw: Vec<_> = ended.iter().filter(|e| !told(e)).collect();
    for node in &saw {
        let code = if node.name == "bank" { "log_rolled_back" } else { "log_refused" };
        assert_eq!(node.refusal().code, code, "{node}");
    }
    assert!(saw.iter().any(|node| node.name != "bank"), "{}", listing(ended));
    saw
}

/// The heads that `node` remembers of others, by file.
fn remembered(cluster: &Cluster, node: &str) -> Vec<(PathBuf, String)> {
    let files = files::all_files(&cluster.path(&format!("{node}/log-witness")));
    files.into_iter().map(|f| (f.clone(), std::fs::read_to_string(f).unwrap())).collect()
}

#[test]
fn everyone_cosigns_everyone_session_after_session() {
    for parties in [2, 3, 5] {
        let cluster = cluster(parties);
        for session in 1..=3_u64 {
            let ended = cluster.run_well(WITHIN);
            for node in &ended {
                let others: Vec<_> = cluster.nodes().into_iter().filter(|n| *n != node.name).collect();
                let report = node.json();
                assert_eq!(report["witnessed"]["by"], serde_json::json!(others), "{report:#}");
                assert_eq!(report["witnessed"]["missing"], serde_json::json!([]), "{report:#}");
                assert!(!node.stderr.contains("warning"), "{node}");
            }
            let report = cluster.verify(&cluster.nodes());
            assert_eq!((&report["ok"], &report["notes"]), (&Value::Bool(true), &serde_json::json!([])));
            for (log, name) in report["logs"].as_array().unwrap().iter().zip(cluster.nodes()) {
                let others: Vec<_> = cluster.nodes().into_iter().filter(|n| *n != name).collect();
                assert_eq!(log["witnesses"], serde_json::json!(others), "{report:#}");
                assert_eq!(log["sessions"].as_u64(), Some(session));
            }
        }
    }
}

#[test]
fn a_log_put_back_is_refused_before_any_data_leaves() {
    let cluster = cluster(3);
    let _first = cluster.run_well(WITHIN);
    let (log, old, newest) = (cluster.path("bank/log"), cluster.path("old"), cluster.path("newest"));
    files::copy_folder(&log, &old);
    let _second = cluster.run_well(WITHIN);
    files::copy_folder(&log, &newest);
    // The last head that the others saw is the one before the entry that fixes their cosignatures.
    let (size, _) = head(&newest);
    let seen = remembered(&cluster, "bureau").into_iter().find(|(_, h)| h.starts_with("bank\n")).unwrap();
    assert_eq!(seen.1.lines().nth(1), Some((size - 1).to_string().as_str()));
    let seen = (size - 1, seen.1.lines().nth(2).unwrap().to_owned());

    replace(&old, &log);
    // The first attempt left entries of its own in the log that was put back.
    for what in ["rolled back", "forked"] {
        let ended = all_fail(&cluster);
        let now = head(&log);
        for node in saw_it(&ended) {
            let refusal = node.refusal();
            let own = node.name == "bank";
            refusal.says(&["bank", what, "seen before", &shown("bank", &seen), "shown now: bank with"]);
            let hint = refusal.hint.unwrap_or_default();
            assert!(hint.contains(if own { "restore" } else { "log-witness" }), "{what}: {node}");
            if own {
                continue;
            }
            let mut heads = remembered(&cluster, &node.name);
            heads.retain(|(_, head)| head.starts_with("bank\n"));
            let names: Vec<_> = heads.iter().map(|(f, _)| f.file_name().unwrap().to_str().unwrap()).collect();
            let last = names.len() - 1;
            assert!(last > 0 && names[last] == format!("{}.refused-{last}", names[0]), "{names:?}");
            assert!(hint.contains(&format!("{}.refused-", names[0])), "{hint}");
            let refused: u64 = heads[last].1.lines().nth(1).unwrap().parse().unwrap();
            assert!(refused < now.0, "the refused head is from before the abort was logged");
        }
    }
    // Nothing was lost: with its newest log the bank is welcome again, and the failed attempts are in the others' logs.
    replace(&newest, &log);
    let _third = cluster.run_well(WITHIN);
    let report = cluster.verify(&cluster.nodes());
    assert_eq!(report["ok"], true, "{report:#}");
}

/// Telecom was put back as well, so it alone sees nothing wrong with bank's older log. What it is shown there must not
/// take the place of what it knows: the others refuse that log, and bank comes back with the true one.
#[test]
fn what_another_member_refuses_is_not_remembered() {
    let cluster = cluster(3);
    let (log, memory) = (cluster.path("bank/log"), cluster.path("telecom/log-witness"));
    let (old, old_memory, newest) = (cluster.path("old"), cluster.path("old-memory"), cluster.path("newest"));
    let _first = cluster.run_well(WITHIN);
    files::copy_folder(&log, &old);
    files::copy_folder(&memory, &old_memory);
    let _second = cluster.run_well(WITHIN);
    files::copy_folder(&log, &newest);
    replace(&old, &log);
    replace(&old_memory, &memory);
    let knew = remembered(&cluster, "telecom");
    for _ in 0..2 {
        let _failed = all_fail(&cluster);
        assert_eq!(remembered(&cluster, "telecom"), knew);
    }
    replace(&newest, &log);
    let _third = cluster.run_well(WITHIN);
}

#[test]
fn a_log_with_another_history_is_refused_as_a_fork() {
    let cluster = cluster(2);
    let _first = cluster.run_well(WITHIN);
    let base = tempfile::tempdir().unwrap();
    let nodes = cluster.nodes();
    let folders: Vec<_> =
        nodes.iter().flat_map(|n| [format!("{n}/log"), format!("{n}/log-witness")]).collect();
    let save = |to: &Path| folders.iter().for_each(|f| replace(&cluster.path(f), &to.join(f)));
    let restore = |from: &Path| folders.iter().for_each(|f| replace(&from.join(f), &cluster.path(f)));
    save(base.path());
    let _here = cluster.run_well(WITHIN);
    let _and_here = cluster.run_well(WITHIN);
    let other = tempfile::tempdir().unwrap();
    save(other.path());
    restore(base.path());
    let _there = cluster.run_well(WITHIN);
    // The bank shows the longer log of the other history.
    replace(&other.path().join("bank/log"), &cluster.path("bank/log"));
    let ended = all_fail(&cluster);
    for node in saw_it(&ended) {
        node.refusal().says(&["bank", "forked", "seen before: bank with", "shown now: bank with"]);
    }
    // An auditor who is given both logs sees it, too.
    let logs = [cluster.text_path("bank/log"), other.path().join("bank/log").to_str().unwrap().to_owned()];
    replace(&base.path().join("bank/log"), &cluster.path("bank/log"));
    let _earlier = cluster.subrosa(&["log", "verify", &logs[0], &logs[1]]).succeeded();
}

#[test]
fn a_log_begun_anew_needs_everyones_consent() {
    let cluster = cluster(2);
    let _first = cluster.run_well(WITHIN);
    std::fs::remove_dir_all(cluster.path("bureau/log")).unwrap();
    let ended = all_fail(&cluster);
    let bank = ended.iter().find(|e| e.name == "bank").unwrap().refusal();
    bank.says(&["bureau", "rolled back"]);
    for node in ["bank", DEALER] {
        for (file, head) in remembered(&cluster, node) {
            if head.starts_with("bureau\n") && file.extension().is_none() {
                std::fs::remove_file(file).unwrap();
            }
        }
    }
    let _second = cluster.run_well(WITHIN);
    // Whoever has the bank's log still sees that a session is missing from the new one.
    let report = cluster.verify(&["bank", "bureau"]);
    let problems = report["problems"].as_array().unwrap();
    assert!(problems.iter().any(|p| p["what"].as_str().unwrap().contains("rolled back or left it out")));
}
