//! Marked values are put into every column, the weights and the outcomes; after a run they and all private keys are searched
//! for, as text and in every encoding that the program knows, in everything that any process wrote or said. What travels
//! is encrypted shares; this is about files and messages. Runs that fail are in `secrecy_of_failures.rs`.
#![allow(clippy::unwrap_used, reason = "a test: a panic is how it fails")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use subrosa_tests::process::{DEADLINE, listing};
use subrosa_tests::secrets::{MARKED_ID, Search, Secret, Trace, plant, traces};
use subrosa_tests::{Cluster, Ended, Running, files, finish_all, run};

const SUBROSA: &str = env!("CARGO_BIN_EXE_subrosa-under-test");

/// Moves every node's folder to a place of its own, so that none can need what lies beside it.
fn scatter(cluster: &Cluster) -> Vec<(String, tempfile::TempDir)> {
    let move_away = |node: &str| {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("node");
        files::copy_folder(&cluster.path(node), &folder);
        std::fs::remove_dir_all(cluster.path(node)).unwrap();
        (node.to_owned(), place)
    };
    cluster.nodes().into_iter().map(move_away).collect()
}

#[test]
fn no_process_writes_or_says_what_belongs_to_another() {
    for (json, has_dealer) in [(true, true), (false, true), (true, false)] {
        let make = if has_dealer { Cluster::new } else { Cluster::without_dealer };
        let cluster = make(SUBROSA, 3, 40);
        let (_, rows) = files::read_csv(&cluster.path("bank/bank.csv"));
        let secrets = plant(&cluster);
        let search = Search::new(&secrets);
        let places = scatter(&cluster);
        let format = if json { &["--json"][..] } else { &[] };
        let start = |(node, place): &(String, tempfile::TempDir)| {
            let config = place.path().join(format!("node/{node}.toml"));
            let command = if node == "dealer" { &["node", "--once"][..] } else { &["run"] };
            let args = [command, format, &["--config", config.to_str().unwrap()]].concat();
            Running::start(SUBROSA, node, &args)
        };
        let ended = finish_all(places.iter().map(start).collect(), DEADLINE);
        assert!(ended.iter().all(|e| e.code == Some(0)), "{}", listing(&ended));

        let mut found_at_owner = std::collections::BTreeSet::new();
        for ((node, place), said) in places.iter().zip(&ended) {
            let folder = place.path().join("node");
            let traces = traces(&folder, said);
            check_files(node, &traces);
            found_at_owner.extend(search.check(node, &traces, "a run"));
            for id in rows.iter().map(|r| &r[0]) {
                let text = format!("{}{}", said.stdout, said.stderr);
                assert!(!text.contains(id.as_str()), "{node} says the id {id}");
            }
            check_commands(&search, node, &folder, format);
        }
        // The search does find everything where it belongs.
        assert_eq!(found_at_owner.len(), secrets.len());
    }
}

/// A node's folder holds what it should and nothing else.
fn check_files(node: &str, traces: &[Trace]) {
    let mut expected = vec![format!("{node}.key"), format!("{node}.pub"), format!("{node}.toml")];
    if node != "dealer" {
        expected.extend([format!("{node}.csv"), "scorecard.sbr".into()]);
    }
    if node == "bank" {
        expected.extend(["weights.csv", "outcomes.csv", "scores.csv"].map(str::to_owned));
    }
    for trace in traces {
        let name = trace.path.to_str().unwrap();
        let known =
            ["log/", "log-openings/", "log-witness/", "("].iter().any(|start| name.starts_with(start));
        assert!(known || expected.iter().any(|e| e == name), "{node} has a file {name}");
    }
    for file in expected {
        assert!(traces.iter().any(|t| t.path == Path::new(&file)), "{node} has no {file}");
    }
}

/// Commands about a node say nothing of what it keeps secret, not even to its owner.
fn check_commands(search: &Search<'_>, node: &str, folder: &Path, format: &[&str]) {
    let config = folder.join(format!("{node}.toml"));
    let log = folder.join("log");
    let (config, log) = (config.to_str().unwrap(), log.to_str().unwrap());
    let mut commands =
        vec![vec!["check", "--config", config], vec!["log", "show", log], vec!["log", "verify", log]];
    if node != "dealer" {
        commands.push(vec!["plan", "--text", "--config", config]);
    }
    for command in commands {
        search.check_silence(&run(SUBROSA, &[&command[..], format].concat()).succeeded());
    }
}

#[test]
fn a_new_key_is_shown_to_nobody() {
    for format in [&["--json"][..], &[]] {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("new.key");
        let made = run(SUBROSA, &[&["keygen", file.to_str().unwrap()][..], format].concat()).succeeded();
        let again = run(SUBROSA, &[&["keygen", file.to_str().unwrap()][..], format].concat());
        assert_eq!(again.code, Some(2));
        let secrets = [Secret::key("new", &file, "new.key")];
        let search = Search::new(&secrets);
        for said in [made, again] {
            search.check_silence(&said);
            assert_eq!(search.check("new", &traces(dir.path(), &said), "keygen").len(), 1);
        }
    }
}

/// The demo reads everybody's files, as it says, and shows the first party's scores; values, weights and keys it shows not.
#[test]
fn a_demo_on_own_files_keeps_each_partys_in_its_folder() {
    let cluster = Cluster::new(SUBROSA, 3, 40);
    let planted = plant(&cluster);
    let data = tempfile::tempdir().unwrap();
    let mut description = "weights = \"weights.csv\"\n".to_owned();
    for party in cluster.parties() {
        let file = format!("{party}.csv");
        std::fs::copy(cluster.path(&format!("{party}/{file}")), data.path().join(&file)).unwrap();
        let label = if party == "bank" { "label = \"defaulted\"\n" } else { "" };
        description.push_str(&format!(
            "[[party]]\nname = \"{party}\"\nfile = \"{file}\"\nkey = \"customer_id\"\n{label}missing = \"mean\"\nmax_abs = 100000\n"
        ));
    }
    std::fs::copy(cluster.path("bank/weights.csv"), data.path().join("weights.csv")).unwrap();
    std::fs::write(data.path().join("demo.toml"), description).unwrap();
    for format in [&["--json"][..], &[]] {
        let kept = tempfile::tempdir().unwrap();
        let folders = [data.path().to_str().unwrap(), kept.path().to_str().unwrap()];
        let args =
            ["demo", "loan-scoring", "--preprocessing", "dealer", "--data", folders[0], "--keep", folders[1]];
        let said = run(SUBROSA, &[&args[..], format].concat()).succeeded();
        // The marked customer is among the first ten, whose scores the demo shows to people.
        assert_eq!(said.stdout.contains(MARKED_ID), format.is_empty());
        let (secrets, ids): (Vec<Secret>, Vec<Secret>) = planted_again(&planted, kept.path())
            .into_iter()
            .partition(|s| !s.what.contains("marked customer"));
        let search = Search::new(&secrets);
        search.check_silence(&said);
        let silent = Ended { stdout: String::new(), stderr: String::new(), ..said };
        for node in cluster.nodes() {
            let left = traces(&kept.path().join(node), &silent);
            search.check(node, &left, "a demo");
            let not_in_scores: Vec<Trace> =
                left.into_iter().filter(|t| t.path != Path::new("scores.csv")).collect();
            Search::new(&ids).check(node, &not_in_scores, "a demo");
        }
    }
}

/// What was planted, with the keys that the demo made this time. Data stay outside of the nodes' folders.
fn planted_again(planted: &[Secret], kept: &Path) -> Vec<Secret> {
    let keys = ["bank", "bureau", "telecom", "dealer"].map(|node| {
        let file = format!("{node}.key");
        Secret::key(node, &kept.join(node).join(&file), &file)
    });
    planted.iter().filter(|s| !s.what.contains("key")).map(Secret::nowhere).chain(keys).collect()
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Under a umask that hides nothing, what is secret is for its owner alone from the moment it is there.
#[test]
fn files_are_made_for_their_owner_alone() {
    let open = |args: &[&str]| {
        let script = "umask 000; exec \"$0\" \"$@\"";
        let mut command = Command::new("sh");
        Running::from_command("sh", command.args(["-c", script, SUBROSA]).args(args))
    };
    let finish = |running: Vec<Running>| {
        let ended = finish_all(running, DEADLINE);
        assert!(ended.iter().all(|e| e.code == Some(0)), "{}", listing(&ended));
    };
    let dir = tempfile::tempdir().unwrap();
    let kept = dir.path().join("kept");
    finish(vec![open(&[
        "demo",
        "loan-scoring",
        "--preprocessing",
        "dealer",
        "--rows",
        "40",
        "--keep",
        kept.to_str().unwrap(),
    ])]);
    let keys = dir.path().join("keys");
    finish(vec![open(&["keygen", keys.join("new.key").to_str().unwrap()])]);
    assert_eq!([mode(&keys.join("new.key")), mode(&keys.join("new.pub"))], [0o600, 0o644]);
    assert_eq!([mode(&kept), mode(&keys)], [0o700, 0o700]);
    for node in ["bank", "bureau", "telecom", "dealer"] {
        let folder = kept.join(node);
        assert_eq!(mode(&folder), 0o700, "{node}");
        assert_eq!(mode(&folder.join(format!("{node}.key"))), 0o600, "{node}");
        assert_eq!(mode(&folder.join(format!("{node}.pub"))), 0o644, "{node}");
        let openings = folder.join("log-openings");
        assert_eq!(openings.exists(), node != "dealer", "{node}");
        if openings.exists() {
            assert_eq!(mode(&openings), 0o700, "{node}");
            let opened = files::all_files(&openings);
            assert!(!opened.is_empty() && opened.iter().all(|f| mode(f) == 0o600), "{node}: {opened:?}");
        }
    }
    assert_eq!(mode(&kept.join("bank/scores.csv")), 0o600);
}
