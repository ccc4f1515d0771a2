//! The example configurations as their README describes them: a process per terminal, in any order.
#![allow(clippy::unwrap_used, reason = "a test: a panic is how it fails")]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use subrosa_tests::process::{DEADLINE, listing};
use subrosa_tests::{Cluster, Ended, Random, Running, files, finish_all, page};

const SUBROSA: &str = env!("CARGO_BIN_EXE_subrosa-under-test");

/// A checkout's `configs/` as git has it, in a folder of its own and on free ports.
fn fresh_configs() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let from = files::workspace().join("configs");
    let to = dir.path().join("configs");
    for file in files::all_files(&from) {
        let name = file.strip_prefix(&from).unwrap();
        let made_by_runs = ["keys", "logs", "scores"].iter().any(|folder| name.starts_with(folder));
        if !made_by_runs {
            std::fs::create_dir_all(to.join(name).parent().unwrap()).unwrap();
            std::fs::copy(&file, to.join(name)).unwrap();
        }
    }
    let configs = ["bank", "bureau", "telecom", "dealer"].map(|n| to.join(format!("{n}.toml")));
    files::move_to_free_ports(&configs);
    dir
}

fn start(dir: &Path, args: &[String]) -> Running {
    Running::from_command(&args.join(" "), Command::new(SUBROSA).current_dir(dir).args(args).arg("--json"))
}

fn run(dir: &Path, args: &[String]) -> Ended {
    start(dir, args).finish(Instant::now() + DEADLINE).succeeded()
}

/// The shared fields of `plan --json` and `run --json`.
fn costs(report: &Value) -> Vec<&Value> {
    let ops = report["ops"].as_array().unwrap_or_else(|| panic!("no ops in {report}"));
    for op in ops {
        for field in ["id", "op", "rounds", "online_bytes_per_party", "correlations"] {
            assert!(!op[field].is_null(), "no {field} in {op}");
        }
    }
    ["rounds", "online_bytes_per_party", "offline_bytes_per_party", "ops"]
        .iter()
        .map(|f| &report[f])
        .collect()
}

#[test]
fn the_readme_works_in_any_order() {
    works_as_described_in("README.md");
}

#[test]
fn the_readme_of_the_configs_works_in_any_order() {
    works_as_described_in("configs/README.md");
}

fn works_as_described_in(readme: &str) {
    let mut random = Random::seeded(readme);
    let dir = fresh_configs();
    let commands = page::commands(&files::workspace().join(readme));
    let of = |words: &[&str]| -> Vec<Vec<String>> {
        let found: Vec<_> =
            commands.iter().filter(|c| c.iter().zip(words).all(|(a, b)| a == b)).cloned().collect();
        assert!(!found.is_empty(), "the README has no `subrosa {}`: {commands:?}", words.join(" "));
        found
    };
    for before in ["keygen", "check"].iter().flat_map(|w| of(&[w])) {
        let _done = run(dir.path(), &before);
    }
    let plans: Vec<Value> = of(&["plan"]).iter().map(|c| run(dir.path(), c).json()).collect();
    let program = run(dir.path(), &["plan", "configs/data/scorecard.sbr"].map(String::from)).json();

    let mut starts = [of(&["node"]), of(&["run"])].concat();
    assert_eq!(starts.len(), 4, "three parties and a dealer: {starts:?}");
    random.shuffle(&mut starts);
    let running: Vec<Running> = starts.iter().map(|args| start(dir.path(), args)).collect();
    let (serving, ending): (Vec<_>, Vec<_>) =
        running.into_iter().partition(|r| r.name().starts_with("node") && !r.name().contains("--once"));
    let ended = finish_all(ending, DEADLINE);
    assert!(ended.iter().all(|p| p.code == Some(0)), "started as {starts:?}: {}", listing(&ended));
    // Without --once a dealer serves until it is told to end. (Not by an interrupt, which shells have background processes ignore.)
    for dealer in serving {
        dealer.signal("TERM");
        let dealer = dealer.finish(Instant::now() + Duration::from_secs(5));
        assert_eq!(dealer.stderr, "", "interrupted between sessions, it has nothing to complain: {dealer}");
    }
    let parties: Vec<Ended> = ended.into_iter().filter(|e| e.name.starts_with("run")).collect();
    assert_eq!(parties.len(), 3);

    for party in &parties {
        let report = party.json();
        assert_eq!(costs(&report), costs(&program), "plan of the program and {}", party.name);
        for plan in &plans {
            assert_eq!(costs(&report), costs(plan), "plan of the configuration and {}", party.name);
        }
    }
    let (header, scores) = files::read_csv(&dir.path().join("configs/scores/scores.csv"));
    assert_eq!(header, ["customer_id", "probability", "points", "decision"]);
    let (_, applicants) = files::read_csv(&dir.path().join("configs/data/bank.csv"));
    let ids = |rows: &[Vec<String>]| rows.iter().map(|r| r[0].clone()).collect::<Vec<_>>();
    assert_eq!(ids(&scores), ids(&applicants));
    let written = files::all_files(&dir.path().join("configs/scores"));
    assert_eq!(written.len(), 1, "the bank alone learns scores: {written:?}");

    for verify in of(&["log", "verify"]) {
        let report = run(dir.path(), &verify).json();
        assert_eq!((&report["ok"], report["logs"].as_array().map(Vec::len)), (&Value::Bool(true), Some(4)));
    }
}

#[test]
fn every_party_costs_what_the_plan_says() {
    let mut random = Random::seeded("plan_is_run");
    for (parties, rows) in [(2, 57), (4, 23), (5, 130)] {
        let cluster = Cluster::new(SUBROSA, parties, rows);
        let plan =
            cluster.subrosa(&["plan", "--json", "--config", &cluster.config("bank")]).succeeded().json();
        let mut order = cluster.nodes();
        random.shuffle(&mut order);
        let ended = finish_all(order.iter().map(|n| cluster.start(n)).collect(), DEADLINE);
        assert!(ended.iter().all(|e| e.code == Some(0)), "started as {order:?}: {}", listing(&ended));
        let reports = || ended.iter().filter(|e| e.name != "dealer").map(Ended::json);
        assert!(reports().all(|r| costs(&r) == costs(&plan)), "{} and the plan {plan:#}", listing(&ended));
        let largest = |field: &str| reports().map(|r| r[field].as_u64().unwrap()).max();
        assert_eq!(largest("own_online_bytes"), plan["online_bytes_per_party"].as_u64());
        assert_eq!(largest("own_offline_bytes"), plan["offline_bytes_per_party"].as_u64());
        assert_eq!(cluster.verify(&cluster.nodes())["ok"], true);
    }
}

/// Two nodes hold each other's key files.
#[test]
fn swapped_key_files_are_named_by_both() {
    let cluster = Cluster::new(SUBROSA, 2, 20);
    let keys = ["bank", "bureau"].map(|n| cluster.path(&format!("{n}/{n}.key")));
    let texts = keys.clone().map(|k| std::fs::read(k).unwrap());
    std::fs::write(&keys[0], &texts[1]).unwrap();
    std::fs::write(&keys[1], &texts[0]).unwrap();
    let public =
        ["bank", "bureau"].map(|n| std::fs::read_to_string(cluster.path(&format!("{n}/{n}.pub"))).unwrap());
    for ended in cluster.run_parties(Duration::from_secs(10)) {
        let refusal = ended.refusal();
        assert_eq!((refusal.exit, refusal.code.as_str()), (2, "wrong_key"), "{ended}");
        refusal.says(&[public[0].trim(), public[1].trim(), &ended.name]);
    }
}

/// One node's configuration has the keys of the two others the wrong way round.
#[test]
fn swapped_keys_of_peers_are_named_by_all() {
    const TIMEOUT_MS: u64 = 4_000;
    let cluster = Cluster::new(SUBROSA, 3, 20);
    cluster.connect_timeout(TIMEOUT_MS);
    let [bureau, telecom] = ["bureau", "telecom"]
        .map(|n| std::fs::read_to_string(cluster.path(&format!("{n}/{n}.pub"))).unwrap());
    let (bureau, telecom) = (bureau.trim(), telecom.trim());
    cluster.edit("bank/bank.toml", |text| {
        text.replace(bureau, "SWAP").replace(telecom, bureau).replace("SWAP", telecom)
    });
    let began = Instant::now();
    // The connect timeout, and one second to start and to end on a busy machine.
    let ended = cluster.run_parties(Duration::from_millis(TIMEOUT_MS + 1_000));
    for party in &ended {
        println!("{} after {:?}: {}", party.name, party.at - began, party.stdout.trim());
    }
    for party in &ended {
        let refusal = party.refusal();
        assert_eq!(refusal.exit, 1, "{party}");
        let others: Vec<&str> =
            ["bank", "bureau", "telecom"].into_iter().filter(|n| *n != party.name).collect();
        assert!(others.iter().any(|o| refusal.message.contains(o)), "no peer is named: {party}");
        assert!(refusal.message.contains("key"), "what is wrong is the key: {party}");
        assert!(refusal.message.contains("ed25519:"), "no key is shown: {party}");
    }
    assert!(!cluster.scores().exists());
}
