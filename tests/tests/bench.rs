//! The bench: every workload, small, with the figures that scripts rely on; and networks that are slower than this machine.
#![allow(clippy::unwrap_used, reason = "a test: a panic is how it fails")]

use serde_json::Value;
use subrosa_tests::run;

const SUBROSA: &str = env!("CARGO_BIN_EXE_subrosa-under-test");

fn bench(args: &[&str]) -> Value {
    run(SUBROSA, &[&["bench", "--json", "--repeat", "2"], args].concat()).succeeded().json()
}

fn median(report: &Value, name: &str) -> f64 {
    report["median"][name].as_f64().unwrap_or_else(|| panic!("no number `{name}` in {report}"))
}

/// Flags, rounds, largest error. Rounds are those of the trees that suit so few elements on this link.
const WORKLOADS: [(&[&str], f64, f64); 13] = [
    (&["mul", "--n", "500"], 4.0, 1e-3),
    (&["mul", "--raw", "--n", "500"], 3.0, 1e-3),
    (&["compare", "--n", "500"], 6.0, 0.0),
    (&["relu", "--n", "500"], 6.0, 1e-4),
    (&["matmul", "--n", "20"], 4.0, 1e-3),
    (&["sigmoid", "--n", "500"], 8.0, 1e-4),
    (&["gelu", "--n", "500"], 8.0, 1e-4),
    (&["softmax", "--n", "100"], 37.0, 1e-3),
    (&["lr-infer", "--n", "100", "--columns", "8"], 10.0, 1e-3),
    // Two batches in each of ten epochs, nine rounds each.
    (&["lr-train", "--n", "150", "--columns", "8"], 182.0, 2e-3),
    (&["mlp", "--n", "2"], 14.0, 1e-2),
    (&["tree", "--n", "40", "--columns", "6"], 16.0, 1e-4),
    (&["lenet"], 35.0, 1e-2),
];

#[test]
fn every_workload_is_right_and_reports_what_it_cost() {
    for (args, rounds, error) in WORKLOADS {
        let report = bench(args);
        assert_eq!(report["workload"], args[0]);
        assert_eq!(report["parties"], 2);
        assert_eq!(report["preprocessing"], "dealer");
        assert_eq!(report["security"], "semi-honest");
        assert_eq!(report["net"], "loopback");
        assert!(report["shape"].is_string(), "{report}");
        assert_eq!(report["repeats"].as_array().map(Vec::len), Some(2), "{report}");
        assert_eq!(median(&report, "rounds"), rounds, "{report}");
        assert!(median(&report, "max_abs_error") <= error, "{report}");
        for name in
            ["online_ms", "offline_ms", "online_bytes_per_party", "offline_bytes_per_party", "peak_rss_mb"]
        {
            assert!(median(&report, name) > 0.0, "{name}: {report}");
        }
        let payload = median(&report, "online_bytes_per_party");
        assert!(median(&report, "wire_bytes") > payload, "both directions and framing: {report}");
        for repeat in report["repeats"].as_array().unwrap() {
            let sum = repeat["online_ms"].as_f64().unwrap() + repeat["offline_ms"].as_f64().unwrap();
            assert!((repeat["total_ms"].as_f64().unwrap() - sum).abs() < 1e-6, "{report}");
        }
    }
}

#[test]
fn the_network_is_timed_by_itself() {
    let report = bench(&["link", "--n", "100000", "--parties", "3"]);
    let link = &report["median"]["link"];
    let (round_us, gb_per_s) = (link["round_us"].as_f64().unwrap(), link["gb_per_s"].as_f64().unwrap());
    assert!(round_us > 1.0 && gb_per_s > 0.0, "{report}");
    // 2,000 small and 12 large messages to each of two parties, and as many from them.
    assert!(median(&report, "wire_bytes") > 2.0 * 2.0 * (2_000.0 * 64.0 + 12.0 * 100_000.0), "{report}");
    assert!(report["estimate"].is_null(), "{report}");
}

#[test]
fn five_parties_take_as_many_rounds() {
    let report = bench(&["lr-infer", "--n", "100", "--columns", "10", "--parties", "5"]);
    assert_eq!(median(&report, "rounds"), 10.0);
    assert!(median(&report, "max_abs_error") < 1e-3, "{report}");
}

/// A slow link can only be slower than it says: no round passes before the slowest packet has come.
#[test]
fn a_slow_link_delays_every_round() {
    let report = bench(&["lr-infer", "--n", "50", "--columns", "8", "--net", "30ms/100mbit"]);
    assert_eq!(report["net"], "30ms/100mbit");
    let least = 30.0 * median(&report, "rounds");
    let online = median(&report, "online_ms");
    assert!(online >= least, "{online} ms for rounds that take {least} ms: {report}");
    let expected = report["estimate"]["online_ms"].as_f64().unwrap();
    assert!((least..2.0 * least).contains(&expected), "{report}");
}

/// 2 MB each way over 10 Mbit/s.
#[test]
fn a_narrow_link_takes_the_time_of_its_bytes() {
    let report = bench(&["mul", "--raw", "--n", "65536", "--net", "1ms/20mbit"]);
    let least = median(&report, "online_bytes_per_party") / 2.5e3;
    assert!(median(&report, "online_ms") >= 0.9 * least, "at least {least} ms: {report}");
}

#[test]
fn what_makes_no_bench_is_refused_in_one_line() {
    for (args, says) in [
        (&["bench", "relu", "--raw"][..], "--raw goes with `mul` alone"),
        (&["bench", "relu", "--net", "slow"], "expected a delay and a rate, such as 40ms/100mbit"),
        (&["bench", "relu", "--parties", "6"], "6 is not in 2..=5"),
        (&["bench", "matmul", "--n", "0"], "0 is not in 1..=20000000"),
    ] {
        let ended = run(SUBROSA, args);
        assert_eq!(ended.code, Some(2), "{ended}");
        assert!(ended.stderr.contains(says), "{ended}");
    }
}
