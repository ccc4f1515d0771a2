//! Parties that make their correlated randomness themselves: what they agree on, what it costs, and how it ends when somebody
//! leaves in the middle.
#![allow(clippy::unwrap_used, reason = "a test: a panic is how it fails")]

use std::time::{Duration, Instant};

use serde_json::Value;
use subrosa_tests::process::{DEADLINE, listing};
use subrosa_tests::{Cluster, Ended, Running, finish_all, run};

const SUBROSA: &str = env!("CARGO_BIN_EXE_subrosa-under-test");

fn run_all(cluster: &Cluster) -> Vec<Ended> {
    let running: Vec<Running> = cluster.nodes().iter().map(|node| cluster.start(node)).collect();
    finish_all(running, DEADLINE)
}

fn reports(cluster: &Cluster) -> Vec<Value> {
    let ended = run_all(cluster);
    assert!(ended.iter().all(|e| e.code == Some(0)), "{}", listing(&ended));
    ended.iter().map(Ended::json).collect()
}

fn plan(cluster: &Cluster, more: &[&str]) -> Value {
    let config = cluster.config("bank");
    run(SUBROSA, &[&["plan", "--json", "--config", &config], more].concat()).succeeded().json()
}

/// Every operation's own figures.
fn ops(report: &Value) -> Vec<[&Value; 4]> {
    let ops = report["ops"].as_array().unwrap();
    let keys = ["id", "rounds", "online_bytes_per_party", "offline_bytes_per_party"];
    ops.iter().map(|op| keys.map(|key| &op[key])).collect()
}

#[test]
fn plan_and_run_agree_with_every_extension() {
    let cluster = Cluster::without_dealer(SUBROSA, 2, 60);
    let mut offline = Vec::new();
    for extension in ["softspoken-4", "softspoken-8", "ferret"] {
        for party in cluster.parties() {
            cluster.edit(&format!("{party}/{party}.toml"), |text| {
                let kept = text.lines().filter(|line| !line.starts_with("ot = "));
                let set = |line: &str| match line.starts_with("preprocessing") {
                    true => format!("{line}\not = \"{extension}\"\n"),
                    false => format!("{line}\n"),
                };
                kept.map(set).collect()
            });
        }
        let plan = plan(&cluster, &[]);
        assert_eq!((&plan["preprocessing"], &plan["cot_extension"]), (&"ot".into(), &extension.into()));
        for report in reports(&cluster) {
            for shared in ["rounds", "online_bytes_per_party", "offline_bytes_per_party"] {
                assert_eq!(plan[shared], report[shared], "{shared} with {extension}");
            }
            assert_eq!(ops(&plan), ops(&report), "{extension}");
            assert!(report["own_offline_bytes"].as_u64() <= plan["offline_bytes_per_party"].as_u64());
        }
        offline.push(plan["offline_bytes_per_party"].as_u64().unwrap());
    }
    assert!(offline[1] < offline[0], "k = 8 sends less than k = 4: {offline:?}");
    let by_dealer = plan(&cluster, &["--preprocessing", "dealer"]);
    assert_eq!(by_dealer["cot_extension"], Value::Null);
    assert!(by_dealer["offline_bytes_per_party"].as_u64().unwrap() < offline[1] / 10);
    // For few transfers, the base that Ferret makes first is more than it saves.
    assert!(offline[2] > offline[0] / 2, "{offline:?}");
}

#[test]
fn the_extension_is_chosen_for_the_network() {
    let cluster = Cluster::without_dealer(SUBROSA, 2, 60);
    let chosen = |net: &str| plan(&cluster, &["--net", net])["cot_extension"].as_str().unwrap().to_owned();
    assert_eq!(chosen("loopback"), "softspoken-4");
    assert_ne!(chosen("1ms/1mbit"), "softspoken-4", "31 bits a transfer are dear there");
}

#[test]
fn parties_that_make_it_in_other_ways_refuse_each_other() {
    let cluster = Cluster::without_dealer(SUBROSA, 2, 40);
    cluster.replace(
        "bureau/bureau.toml",
        "preprocessing = \"ot\"",
        "preprocessing = \"ot\"\not = \"ferret\"",
    );
    for ended in run_all(&cluster) {
        let refusal = ended.refusal();
        assert_eq!((refusal.exit, refusal.code.as_str()), (1, "session_differs"), "{refusal:?}");
        refusal.says(&["has another set of session parameters", "preprocessing"]);
    }
}

#[test]
fn configurations_that_contradict_themselves() {
    let with_dealer = Cluster::new(SUBROSA, 2, 40);
    let without = Cluster::without_dealer(SUBROSA, 2, 40);
    let check = |cluster: &Cluster| {
        let config = cluster.config("bank");
        run(SUBROSA, &["check", "--json", "--config", &config]).refusal()
    };
    with_dealer.replace("bank/bank.toml", "preprocessing = \"dealer\"", "preprocessing = \"ot\"");
    check(&with_dealer).says(&["with preprocessing = \"ot\" there is no [dealer]"]);
    with_dealer.replace(
        "bank/bank.toml",
        "preprocessing = \"ot\"",
        "preprocessing = \"dealer\"\not = \"ferret\"",
    );
    check(&with_dealer).says(&["`ot` belongs to preprocessing = \"ot\""]);
    without.replace("bank/bank.toml", "preprocessing = \"ot\"", "preprocessing = \"dealer\"");
    check(&without).says(&["needs a [dealer]"]);
    without.replace("bank/bank.toml", "preprocessing = \"dealer\"", "preprocessing = \"ot\"\not = \"iknp\"");
    check(&without).says(&["softspoken-4", "ferret"]);
    let usage =
        run(SUBROSA, &["bench", "mul", "--preprocessing", "dealer", "--ot", "ferret", "--json"]).refusal();
    assert_eq!((usage.exit, usage.code.as_str()), (2, "usage"));
    usage.says(&["--ot goes with --preprocessing ot"]);
    let cots = run(SUBROSA, &["bench", "cots", "--preprocessing", "dealer", "--json"]).refusal();
    cots.says(&["a dealer makes no transfers"]);
}

#[test]
fn a_party_that_dies_while_transfers_are_made_ends_it_for_all() {
    let cluster = Cluster::without_dealer(SUBROSA, 3, 4000);
    let mut running: Vec<Running> = cluster.parties().iter().map(|p| cluster.start_with(p, false)).collect();
    // Some seconds of transfers lie ahead once the log has the session's first entries.
    let deadline = Instant::now() + DEADLINE;
    let entries = || {
        let checkpoint = std::fs::read_to_string(cluster.path("telecom/log/checkpoint")).unwrap_or_default();
        checkpoint.lines().nth(1).and_then(|size| size.parse::<u64>().ok()).unwrap_or(0)
    };
    while entries() == 0 {
        assert!(Instant::now() < deadline, "the session did not begin");
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut telecom = running.remove(2);
    telecom.kill();
    let killed = Instant::now();
    let ended = finish_all(running, DEADLINE);
    let took = killed.elapsed();
    assert!(ended.iter().all(|e| e.code == Some(1) && e.stderr.contains("telecom")), "{}", listing(&ended));
    assert!(!cluster.scores().exists(), "no output after a failure");
    assert!(took < Duration::from_secs(10), "took {took:?}");
}
