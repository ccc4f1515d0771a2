//! Memory that does not grow with the rows: party processes with several times the rows take a few bytes more for each.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test: a panic is how it fails")]

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use subrosa_tests::Running;

const SUBROSA: &str = env!("CARGO_BIN_EXE_subrosa-under-test");
const WITHIN: Duration = Duration::from_secs(300);
/// Both have several windows of the scorecard: what a node holds of one varies with what has come from its peers meanwhile.
const ROWS: [u64; 2] = [200_000, 700_000];
/// Of which 8 are shares of the scores, 1 an outcome, and the rest is what the peak varies by from run to run.
const BYTES_PER_ROW: f64 = 32.0;

/// The peak memory of each node in bytes, by name.
fn peaks(rows: u64) -> Vec<(String, f64)> {
    let rows = rows.to_string();
    let mut demo = Command::new(SUBROSA);
    demo.args(["demo", "loan-scoring", "--json", "--preprocessing", "dealer", "--rows", &rows]);
    // The allocator gives back what is freed at once, so that the peak is what was in use and not what was kept for later.
    demo.env("MIMALLOC_PURGE_DELAY", "0");
    let report = Running::from_command("demo", &mut demo).finish(Instant::now() + WITHIN).succeeded().json();
    assert_eq!(report["verified"], true);
    let Value::Object(peaks) = &report["peak_rss_mb"] else { panic!("{report:#}") };
    peaks.iter().map(|(name, mb)| (name.clone(), mb.as_f64().unwrap() * f64::from(1 << 20))).collect()
}

#[test]
fn memory_is_bounded_by_the_window_and_not_by_the_rows() {
    let [few, many] = ROWS.map(peaks);
    assert_eq!(few.len(), 4, "three parties and a dealer");
    let added = (ROWS[1] - ROWS[0]) as f64;
    let mut beyond = Vec::new();
    for ((name, few), (_, many)) in few.iter().zip(&many) {
        let per_row = (many - few) / added;
        println!("{name}: {:.1} MB, then {:.1} MB: {per_row:.1} bytes per added row", few / 1e6, many / 1e6);
        if per_row > BYTES_PER_ROW {
            beyond.push((name, per_row));
        }
    }
    assert!(beyond.is_empty(), "more than {BYTES_PER_ROW} bytes for each of {added} added rows: {beyond:?}");
}
