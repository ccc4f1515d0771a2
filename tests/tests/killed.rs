//! Processes are killed at random moments of a run: nobody hangs, everybody else ends within the promised two seconds
//! and names who was killed, no output appears, and every log that is left behind still verifies.
//!
//! On a machine that is much slower than two busy cores, `SUBROSA_TEST_SLACK=1.5` (a factor) loosens the promise.
#![allow(clippy::unwrap_used, reason = "a test: a panic is how it fails")]

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use subrosa_tests::cluster::DEALER;
use subrosa_tests::process::listing;
use subrosa_tests::{Cluster, Ended, Random, Running, files, finish_all};

const SUBROSA: &str = env!("CARGO_BIN_EXE_subrosa-under-test");
/// Enough that the computation itself, not only start and end, can be hit.
const ROWS: usize = 40_000;
/// Kills of each node in turn.
const ROUNDS: usize = 4;
/// A node whose peer died before it had connected cannot know that; it waits this long for it.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(3_000);
/// From the kill of one process to the end of every other.
const PROMISE: Duration = Duration::from_secs(2);

fn promise() -> Duration {
    let slack = std::env::var("SUBROSA_TEST_SLACK").ok().and_then(|s| s.parse().ok());
    PROMISE.mul_f64(slack.unwrap_or(1.0))
}

/// What is done to the victim.
#[derive(Copy, Clone, PartialEq, Debug)]
enum Blow {
    /// SIGKILL: the process is gone, its sockets with it.
    Kill,
    /// SIGSTOP: the process and its sockets stay and say nothing more.
    Freeze,
}

/// Sessions that a node's log holds.
fn sessions(cluster: &Cluster, node: &str) -> u64 {
    if !cluster.path(&format!("{node}/log/checkpoint")).exists() {
        return 0;
    }
    cluster.verify(&[node])["logs"][0]["sessions"].as_u64().unwrap()
}

/// Hits `victim` at `moment` after the start and checks everyone else; gives the slowest time from blow to end of those
/// who failed because of it, if anyone did.
fn round(
    cluster: &Cluster,
    random: &mut Random,
    victim: &str,
    blow: Blow,
    moment: Duration,
) -> Option<Duration> {
    let scores = cluster.scores();
    if scores.exists() {
        std::fs::remove_file(&scores).unwrap();
    }
    let before = sessions(cluster, victim);
    let mut order = cluster.nodes();
    random.shuffle(&mut order);
    let began = Instant::now();
    let running: Vec<Running> = order.iter().map(|n| cluster.start(n)).collect();
    let (mut victims, others): (Vec<_>, Vec<_>) = running.into_iter().partition(|r| r.name() == victim);
    let mut hit = victims.remove(0);
    let was_done = hit.ends_before(began + moment);
    let at = match blow {
        Blow::Kill => hit.kill(),
        Blow::Freeze if was_done => Instant::now(),
        Blow::Freeze => {
            hit.signal("STOP");
            Instant::now()
        }
    };
    let scene = format!("{victim}: {blow:?} after {moment:.3?}, started as {order:?}");
    println!("{scene}{}", if was_done { " (it had ended)" } else { "" });
    // With time to spare: whoever is late is caught below, by how much.
    let ended = finish_all(others, CONNECT_TIMEOUT + 5 * PROMISE);
    drop(hit);

    let had_met = sessions(cluster, victim) > before;
    let mut slowest = None;
    for party in &ended {
        let took = party.at.saturating_duration_since(at);
        let refused = (party.code != Some(0)).then(|| party.refusal());
        match &refused {
            None => println!("  {:8} {took:.3?} finished", party.name),
            Some(r) => println!("  {:8} {took:.3?} {}: {}", party.name, r.code, r.message),
        }
        let Some(refusal) = refused else { continue };
        let everything = || format!("{scene}: {}", listing(&ended));
        assert!(!was_done, "{} failed after {victim} had ended: {}", party.name, everything());
        assert_eq!(refusal.exit, 1, "{}", everything());
        // Before there is a session the parties wait for each other, and a dealer for all of them.
        let absent =
            !had_met && (refusal.code == "peer_absent" || refusal.message.contains("did not come within"));
        let dealer_knows = !(absent && party.name == DEALER);
        assert!(
            refusal.message.contains(victim) || !dealer_knows,
            "{} names another: {}",
            party.name,
            everything()
        );
        if absent {
            let waited = party.at - began;
            assert!(
                waited < CONNECT_TIMEOUT + promise(),
                "{} waited {waited:?}: {}",
                party.name,
                everything()
            );
        } else {
            assert!(took <= promise(), "{} ended only after {took:?}: {}", party.name, everything());
            slowest = slowest.max(Some(took));
        }
    }
    check_output(cluster, victim, &ended, &scene);
    let logs: Vec<&str> = cluster
        .nodes()
        .into_iter()
        .filter(|n| cluster.path(&format!("{n}/log/checkpoint")).exists())
        .collect();
    let report = cluster.verify(&logs);
    let problems = report["problems"].as_array().expect("a report lists problems");
    let explained = problems.iter().all(|p| is_torn_write(p, victim));
    assert!(explained, "{scene}: {report:#} {}", listing(&ended));
    slowest
}

/// A process that is killed while it writes its log leaves files beyond the last checkpoint. They are said to be that, and
/// are gone after its next start, which [`recovers`] holds.
fn is_torn_write(problem: &Value, victim: &str) -> bool {
    let text = |key: &str| problem[key].as_str().unwrap_or_default();
    text("log").contains(victim) && text("what").contains("left by an interrupted write")
}

/// Scores are there, and complete, only if the bank said so or was hit at the very end.
fn check_output(cluster: &Cluster, victim: &str, ended: &[Ended], scene: &str) {
    let scores = cluster.scores();
    let bank = ended.iter().find(|e| e.name == "bank");
    if scores.exists() {
        let done = bank.map_or(victim == "bank", |e| e.code == Some(0));
        assert!(done, "{scene}: scores without success: {}", listing(ended));
        assert_eq!(files::read_csv(&scores).1.len(), ROWS, "{scene}: half a file of scores");
    } else if let Some(bank) = bank {
        assert_ne!(bank.code, Some(0), "{scene}: success without scores: {bank}");
    }
}

/// Blows are timed: one scene at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn prepared(random_name: &str) -> (Cluster, Random, Duration) {
    let random = Random::seeded(random_name);
    let cluster = Cluster::new(SUBROSA, 3, ROWS);
    cluster.connect_timeout(CONNECT_TIMEOUT.as_millis() as u64);
    let began = Instant::now();
    let ended = cluster.run_well(Duration::from_secs(60));
    let whole = ended.iter().map(|e| e.at - began).max().unwrap();
    println!("a run of {ROWS} rows takes {whole:.3?}");
    (cluster, random, whole)
}

/// A later run goes on with the logs that the blows left behind.
fn recovers(cluster: &Cluster) {
    let ended = cluster.run_well(Duration::from_secs(60));
    let report: Value = cluster.verify(&cluster.nodes());
    assert_eq!(report["ok"], true, "{report:#} {}", listing(&ended));
    assert_eq!(files::read_csv(&cluster.scores()).1.len(), ROWS);
}

#[test]
fn a_process_killed_at_any_moment_is_named_by_all_others_in_time() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (cluster, mut random, whole) = prepared("killed");
    let nodes = cluster.nodes();
    let mut slowest = Vec::new();
    for step in 0..ROUNDS {
        for victim in &nodes {
            // One moment in each part of the run, so that all of it is visited.
            let part = (step as f64 + random.fraction()) / ROUNDS as f64;
            let took = round(&cluster, &mut random, victim, Blow::Kill, whole.mul_f64(part));
            slowest.extend(took);
        }
    }
    // Runs are not all as long as the first one: some more in the middle, if too few of them hit a session.
    for extra in 0..2 * ROUNDS {
        if slowest.len() >= ROUNDS {
            break;
        }
        let part = 0.3 + 0.4 * random.fraction();
        let victim = nodes[extra % nodes.len()];
        slowest.extend(round(&cluster, &mut random, victim, Blow::Kill, whole.mul_f64(part)));
    }
    slowest.sort();
    println!("from kill to the last end: {slowest:.3?}");
    assert!(slowest.len() >= ROUNDS, "too few kills hit a session: {slowest:?}");
    recovers(&cluster);
}

#[test]
fn a_frozen_process_is_named_too() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (cluster, mut random, whole) = prepared("frozen");
    for victim in ["bureau", DEALER] {
        let moment = whole.mul_f64(0.3 + 0.4 * random.fraction());
        let took = round(&cluster, &mut random, victim, Blow::Freeze, moment);
        println!("from freeze to the last end: {took:.3?}");
    }
    recovers(&cluster);
}
