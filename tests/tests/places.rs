//! What keeps a node from writing is found before it connects, and `check` finds all of it without changing anything.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test: a panic is how it fails")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use subrosa_tests::cluster::DEALER;
use subrosa_tests::refusal::refused;
use subrosa_tests::{Cluster, Refusal, files, finish_all};

const SUBROSA: &str = env!("CARGO_BIN_EXE_subrosa-under-test");
const WITHIN: Duration = Duration::from_secs(30);

/// Every file with its content, and every folder.
fn everything(dir: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![dir.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path.clone());
                found.insert(path, None);
            } else {
                found.insert(path.clone(), Some(fs::read(&path).unwrap()));
            }
        }
    }
    found
}

fn cluster() -> Cluster {
    let cluster = Cluster::new(SUBROSA, 2, 24);
    let _ran = cluster.run_well(WITHIN);
    // A node that is not refused here ends soon, as nobody else is up.
    cluster.connect_timeout(300);
    cluster
}

/// `check` refuses as the start of the node does, and has changed nothing.
fn refused_alike(cluster: &Cluster, node: &str, what: &str) -> Refusal {
    let config = cluster.config(node);
    let before = everything(cluster.root());
    let check = refused(cluster, &["check", "--config", &config]);
    assert!(everything(cluster.root()) == before, "{what}: check has changed something");
    let start: &[&str] = if node == DEALER { &["node", "--once", "--config"] } else { &["run", "--config"] };
    let start = refused(cluster, &[start, &[config.as_str()]].concat());
    assert_eq!((&start, start.exit), (&check, 2), "{what}");
    assert!(check.hint.is_some(), "{what}: {check:?}");
    check
}

#[test]
fn a_log_that_cannot_be_used() {
    let cluster = cluster();
    let log = cluster.path("bank/log");
    let kept = cluster.path("kept");
    files::copy_folder(&log, &kept);
    let cosigned = || files::all_files(&log.join("cosigned")).remove(0);
    type Harm<'a> = &'a dyn Fn();
    let cases: [(&str, Harm<'_>, &str); 6] = [
        ("no checkpoint", &|| fs::remove_file(log.join("checkpoint")).unwrap(), "has no checkpoint"),
        (
            "a file",
            &|| {
                fs::remove_dir_all(&log).unwrap();
                fs::write(&log, "").unwrap();
            },
            "bank/log",
        ),
        (
            "another node's",
            &|| {
                fs::remove_dir_all(&log).unwrap();
                files::copy_folder(&cluster.path("bureau/log"), &log);
            },
            "belongs to another node",
        ),
        ("no cosigned checkpoint", &|| fs::remove_file(cosigned()).unwrap(), "cosigned"),
        ("a stray file", &|| fs::write(log.join("notes.txt"), "mine").unwrap(), "notes.txt"),
        (
            "a changed file",
            &|| {
                let file = log.join("tile/entries/000.p").join("9");
                let file =
                    if file.exists() { file } else { files::all_files(&log.join("tile/entries")).remove(0) };
                let mut bytes = fs::read(&file).unwrap();
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                fs::write(&file, bytes).unwrap();
            },
            "is damaged",
        ),
    ];
    for (what, harm, part) in cases {
        harm();
        // Advice is in the hint or, where the message is all there is to say, in the message.
        let before = everything(cluster.root());
        let config = cluster.config("bank");
        let check = refused(&cluster, &["check", "--config", &config]);
        assert!(everything(cluster.root()) == before, "{what}: check has changed something");
        let run = refused(&cluster, &["run", "--config", &config]);
        assert_eq!((&run, run.exit, run.code.as_str()), (&check, 2, "log_unusable"), "{what}");
        run.says(&[part, log.to_str().unwrap()]);
        if log.is_dir() {
            fs::remove_dir_all(&log).unwrap()
        } else {
            fs::remove_file(&log).unwrap()
        }
        files::copy_folder(&kept, &log);
    }
    let ended = cluster.subrosa(&["check", "--json", "--config", &cluster.config("bank")]).succeeded();
    assert!(ended.json()["log"].as_str().unwrap().ends_with("entries, verified"), "{ended}");
}

#[test]
fn a_log_that_another_process_uses() {
    let cluster = cluster();
    let lock = fs::File::options().write(true).open(cluster.path("bank/log/lock")).unwrap();
    lock.lock().unwrap();
    let refusal = refused_alike(&cluster, "bank", "locked");
    refusal.says(&["is in use by another process"]);
    assert!(!refusal.hint.unwrap().contains("log verify"));
}

/// What the next start repairs is a note, and left for it.
#[test]
fn an_interrupted_commit_is_a_note() {
    let cluster = cluster();
    fs::write(cluster.path("bank/log/tmp"), "half a").unwrap();
    let before = everything(cluster.root());
    let report =
        cluster.subrosa(&["check", "--json", "--config", &cluster.config("bank")]).succeeded().json();
    assert!(everything(cluster.root()) == before, "check has changed something");
    let note = report["notes"][0].as_str().unwrap();
    assert!(note.contains("removes tmp"), "{report:#}");
    assert_eq!(report["ok"], true);
}

#[test]
fn results_openings_and_memory_have_a_place() {
    let cluster = cluster();
    let swap = |path: &str, harm: &dyn Fn(&Path), expected: &str| {
        let (path, aside) = (cluster.path(path), cluster.path("aside"));
        let there = path.exists();
        if there {
            fs::rename(&path, &aside).unwrap();
        }
        harm(&path);
        refused_alike(&cluster, "bank", path.to_str().unwrap()).says(&[expected]);
        if path.is_dir() {
            fs::remove_dir(&path).unwrap()
        } else {
            fs::remove_file(&path).unwrap()
        }
        if there {
            fs::rename(&aside, &path).unwrap();
        }
    };
    let file = |path: &Path| fs::write(path, "").unwrap();
    swap("bank/scores.csv", &|path| fs::create_dir(path).unwrap(), "bank/scores.csv");
    swap("bank/log-openings", &file, "bank/log-openings");
    swap("bank/log-witness", &file, "bank/log-witness");
    cluster.replace("bank/bank.toml", "\"scores.csv\"", "\"bank.csv/results/scores.csv\"");
    refused_alike(&cluster, "bank", "no folder").says(&["bank.csv/results/scores.csv"]);
}

/// The memory of one peer is that peer's file; the advice is about it alone.
#[test]
fn a_damaged_memory_names_its_file_and_peer() {
    let cluster = cluster();
    for (node, peer) in [("bank", "bureau"), ("bank", DEALER), (DEALER, "bank")] {
        let folder = cluster.path(&format!("{node}/log-witness"));
        let of_peer = |file: &PathBuf| fs::read_to_string(file).unwrap().starts_with(peer);
        let file = files::all_files(&folder).into_iter().find(of_peer).unwrap();
        let sound = fs::read(&file).unwrap();
        fs::write(&file, &sound[..sound.len() / 2]).unwrap();
        let refusal = refused_alike(&cluster, node, peer);
        refusal.says(&[file.to_str().unwrap(), &format!("remembers of {peer}'s log")]);
        assert!(!refusal.message.contains("move"), "{refusal:?}");
        let hint = refusal.hint.unwrap();
        assert!(hint.contains("restore this one file") && hint.contains(peer), "{hint}");
        fs::write(&file, sound).unwrap();
    }
}

/// An output whose place is gone when it is needed is this party's loss; one that has no place is found before others
/// compute in vain.
#[test]
fn nobody_computes_what_has_no_place() {
    let cluster = cluster();
    cluster.connect_timeout(2_000);
    fs::remove_file(cluster.scores()).unwrap();
    fs::create_dir(cluster.scores()).unwrap();
    let sizes = || cluster.verify(&cluster.nodes())["logs"].to_string();
    let before = sizes();
    let ended = finish_all(cluster.nodes().into_iter().map(|n| cluster.start(n)).collect(), WITHIN);
    for node in &ended {
        let refusal = node.refusal();
        let expected = if node.name == "bank" { 2 } else { 1 };
        assert_eq!(refusal.exit, expected, "{node}");
    }
    assert_eq!(sizes(), before, "a session was begun");
}

/// Trouble that comes when the session has begun ends it in the log too.
#[test]
fn a_session_that_cannot_go_on_is_closed() {
    for place in ["log-openings", "log-witness"] {
        let cluster = Cluster::new(SUBROSA, 2, 24);
        cluster.connect_timeout(5_000);
        let bank = cluster.start_until_ready();
        let path = cluster.path(&format!("bank/{place}"));
        fs::remove_dir(&path).unwrap();
        fs::write(&path, "").unwrap();
        let others = ["bureau", DEALER].map(|n| cluster.start(n));
        let ended = finish_all([bank].into_iter().chain(others).collect(), WITHIN);
        ended[0].refusal().says(&[path.to_str().unwrap()]);
        let shown = cluster.subrosa(&["log", "show", &cluster.text_path("bank/log")]).succeeded().stdout;
        assert!(shown.lines().last().unwrap().contains(": aborted ("), "{place}: {shown}");
        fs::remove_file(&path).unwrap();
        let _again = cluster.run_well(WITHIN);
        assert_eq!(cluster.verify(&cluster.nodes())["ok"], true);
    }
}
