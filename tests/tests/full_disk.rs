//! A node whose disk is full in the middle of a session; the system's limit on file sizes stands in for it. It says so, its
//! peers end with a word about it, nothing that it acknowledged is lost, and with space again it goes on by itself.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test: a panic is how it fails")]

use std::process::Command;
use std::time::{Duration, Instant};

use subrosa_tests::cluster::DEALER;
use subrosa_tests::process::{DEADLINE, listing};
use subrosa_tests::{Cluster, Ended, Running};

const SUBROSA: &str = env!("CARGO_BIN_EXE_subrosa-under-test");
const ROWS: usize = 24;
const WITHIN: Duration = Duration::from_secs(30);

/// Starts `node` under a limit of `blocks` of 512 bytes on every file that it writes.
fn start_limited(cluster: &Cluster, node: &str, blocks: u32) -> Running {
    let command = if node == DEALER { "node --once" } else { "run" };
    let script = format!("ulimit -f {blocks} || exit 99; exec \"$0\" {command} --json --config \"$1\"");
    Running::from_command(node, Command::new("sh").args(["-c", &script, SUBROSA, &cluster.config(node)]))
}

fn run_limited(cluster: &Cluster, victim: &str, blocks: u32) -> Vec<Ended> {
    let start = |n: &str| if n == victim { start_limited(cluster, n, blocks) } else { cluster.start(n) };
    let running: Vec<Running> = cluster.nodes().into_iter().map(start).collect();
    let by = Instant::now() + DEADLINE;
    running.into_iter().map(|r| r.finish(by)).collect()
}

#[test]
fn a_full_disk_ends_the_session_everywhere_and_loses_nothing() {
    let mut refused = 0;
    for victim in ["bank", "bureau", DEALER] {
        let cluster = Cluster::new(SUBROSA, 2, ROWS);
        cluster.connect_timeout(2_000);
        for blocks in [0, 1, 2, 3, 4, 6] {
            let before = std::fs::read(cluster.path(&format!("{victim}/log/checkpoint"))).ok();
            if cluster.scores().exists() {
                std::fs::remove_file(cluster.scores()).unwrap();
            }
            let ended = run_limited(&cluster, victim, blocks);
            let everything = || format!("{victim} at {blocks} blocks: {}", listing(&ended));
            for node in ended.iter().filter(|e| e.code != Some(0)) {
                let refusal = node.refusal();
                if node.name == victim {
                    refused += 1;
                    let about_files = ["cannot write", "cannot put", "log", "scores"];
                    assert!(about_files.iter().any(|w| refusal.message.contains(w)), "{}", everything());
                    assert!(refusal.message.contains("File too large"), "{}", everything());
                } else {
                    assert_eq!(refusal.exit, 1, "{}", everything());
                    let names = refusal.message.contains(victim);
                    // A dealer that nobody asked cannot know whom the parties miss.
                    assert!(names || node.name == DEALER, "{}", everything());
                    assert!(
                        !refusal.message.contains("File too large"),
                        "another's disk is nobody's business"
                    );
                }
            }
            let bank = ended.iter().find(|e| e.name == "bank").unwrap();
            if victim != "bank" {
                assert_eq!(cluster.scores().exists(), bank.code == Some(0), "{}", everything());
            }
            // With space again everything goes on, and what was there before still is.
            let _well = cluster.run_well(WITHIN);
            let report = cluster.verify(&cluster.nodes());
            assert_eq!(report["ok"], true, "{}\n{report:#}", everything());
            if let Some(before) = before {
                let (old, log) = (cluster.path("old-head"), cluster.text_path(&format!("{victim}/log")));
                std::fs::write(&old, before).unwrap();
                let old = old.to_str().unwrap();
                let growth = cluster.subrosa(&["log", "prove", &log, "--since", old]).succeeded().stdout;
                std::fs::write(cluster.path("growth"), growth).unwrap();
                let key = cluster.text_path(&format!("{victim}/{victim}.pub"));
                let check = ["log", "check-proof", &cluster.text_path("growth"), "--key", &key, "--old", old];
                let _holds = cluster.subrosa(&check).succeeded();
            }
        }
    }
    assert!(refused >= 6, "only {refused} limits were met");
}

/// More than is held in memory, and a disk that takes none of it.
#[test]
fn rows_that_cannot_be_kept_are_told_before_anything_connects() {
    let cluster = Cluster::new(SUBROSA, 2, ROWS);
    let people = std::fs::read_to_string(cluster.path("bank/bank.csv")).unwrap();
    let (header, first) = people.split_once('\n').unwrap();
    let (_, cells) = first.lines().next().unwrap().split_once(',').unwrap();
    let long = "x".repeat(1_000);
    let rows: String = (0..6_000).map(|row| format!("{long}{row},{cells}\n")).collect();
    std::fs::write(cluster.path("bank/bank.csv"), format!("{header}\n{rows}")).unwrap();
    let files = || std::fs::read_dir(cluster.path("bank")).unwrap().count();
    let before = files();
    let refusal = start_limited(&cluster, "bank", 0).finish(Instant::now() + DEADLINE).refusal();
    assert_eq!((refusal.exit, refusal.code.as_str()), (2, "rows_not_kept"), "{refusal:?}");
    let expected =
        format!("bank.csv: its rows cannot be kept in {}: File too large", cluster.path("bank").display());
    assert!(refusal.message.contains(&expected), "{refusal:?}");
    assert!(refusal.hint.is_some_and(|hint| hint.contains("make room")));
    assert_eq!(files(), before, "it leaves nothing");
}
