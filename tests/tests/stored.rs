//! Copies that were made ahead, from the command line: made, spent, used up; and what parties say who do not agree.
#![allow(clippy::unwrap_used, reason = "a test: a panic is how it fails")]

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use subrosa_tests::process::{Ended, Running, listing};
use subrosa_tests::{files, finish_all, run};
use tempfile::TempDir;

const SUBROSA: &str = env!("CARGO_BIN_EXE_subrosa-under-test");
const PARTIES: [&str; 3] = ["bank", "bureau", "telecom"];
const WITHIN: Duration = Duration::from_secs(60);

/// Three parties with a store each.
struct Stores(TempDir);

impl Stores {
    fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("subrosa-test-").tempdir().unwrap();
        let root = dir.path().to_str().unwrap();
        let what = ["--rows", "40", "--preprocessing", "ot", "--keep", root, "--json"];
        let _made = run(SUBROSA, &[&["demo", "loan-scoring"][..], &what].concat()).succeeded();
        let stores = Self(dir);
        let configs: Vec<PathBuf> = PARTIES.iter().map(|p| stores.config(p).into()).collect();
        files::move_to_free_ports(&configs);
        for config in &configs {
            files::edit(config, |text| {
                text.replace("preprocessing = \"ot\"\n", "preprocessing = \"ot\"\nstore = \"ahead/store\"\n")
            });
        }
        stores
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.0.path().join(relative)
    }

    fn config(&self, party: &str) -> String {
        self.path(&format!("{party}/{party}.toml")).to_str().unwrap().to_owned()
    }

    fn start(&self, party: &str, command: &str, more: &[&str]) -> Running {
        let config = self.config(party);
        Running::start(SUBROSA, party, &[&[command, "--json", "--config", &config][..], more].concat())
    }

    /// All parties at once, each with a command.
    fn all(&self, commands: [&[&str]; 3]) -> Vec<Ended> {
        let started = PARTIES.iter().zip(commands).map(|(p, c)| self.start(p, c[0], &c[1..])).collect();
        finish_all(started, WITHIN)
    }

    /// The same command at all, to a good end.
    fn well(&self, command: &[&str]) -> Vec<Value> {
        let ended = self.all([command; 3]);
        assert!(ended.iter().all(|e| e.code == Some(0)), "{}", listing(&ended));
        ended.iter().map(Ended::json).collect()
    }

    fn run_with(&self, word: &str) -> Vec<Value> {
        let ended = self.all([&["run"]; 3]);
        for end in &ended {
            assert!(end.code == Some(0) && end.stderr.contains(word), "{word}: {end}");
        }
        ended.iter().map(Ended::json).collect()
    }

    fn scores(&self) -> Vec<f64> {
        let (header, rows) = files::read_csv(&self.path("bank/scores.csv"));
        let at = header.iter().position(|h| h == "probability").unwrap();
        rows.iter().map(|row| row[at].parse().unwrap()).collect()
    }

    /// What `check` says of a party's store.
    fn store(&self, party: &str) -> Value {
        run(SUBROSA, &["check", "--json", "--config", &self.config(party)]).succeeded().json()["store"]
            .clone()
    }
}

fn close(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-3)
}

#[test]
fn copies_are_made_spent_and_used_up() {
    let stores = Stores::new();
    let fresh = stores.scores();
    assert_eq!(stores.store("bank"), Value::Array(vec![]));
    let made = stores.well(&["prepare", "--times", "2"]);
    let series = &made[0]["session"];
    for report in &made {
        assert_eq!(
            (&report["session"], &report["copies"], &report["available"]),
            (series, &2.into(), &2.into())
        );
        assert!(report["own_offline_bytes"].as_u64() > Some(100_000), "{report}");
        assert_eq!(report["witnessed"]["by"].as_array().unwrap().len(), 2, "{report}");
    }
    let [found] = stores.store("bureau").as_array().unwrap().clone().try_into().unwrap();
    assert_eq!((&found["series"], &found["left"], &found["fits"]), (series, &2.into(), &true.into()));
    assert_eq!(found["damage"], Value::Array(vec![]));

    for (copy, left) in [(0, 1), (1, 0)] {
        for report in stores.run_with("") {
            let from = &report["from_store"];
            assert_eq!((&from["series"], &from["copy"], &from["left"]), (series, &copy.into(), &left.into()));
            assert_eq!(
                (&report["own_offline_bytes"], &report["preprocessing"]),
                (&0.into(), &"ot (stored)".into())
            );
            assert_eq!(report["offline_bytes_per_party"], 0);
        }
        assert!(close(&stores.scores(), &fresh), "{:?} {fresh:?}", stores.scores());
    }
    for report in stores.run_with("nothing that was made ahead is left") {
        assert_eq!((&report["from_store"], &report["preprocessing"]), (&Value::Null, &"ot".into()));
        assert!(report["own_offline_bytes"].as_u64() > Some(50_000));
    }
    assert!(close(&stores.scores(), &fresh));
    assert_eq!(stores.store("telecom"), Value::Array(vec![]));
    let logs: Vec<String> =
        PARTIES.iter().map(|p| stores.path(&format!("{p}/log")).display().to_string()).collect();
    let logs = logs.iter().map(String::as_str);
    let _fine = run(SUBROSA, &["log", "verify"].into_iter().chain(logs).collect::<Vec<_>>()).succeeded();
}

#[test]
fn a_party_without_a_store_leaves_the_others_theirs() {
    let stores = Stores::new();
    stores.well(&["prepare"]);
    let config = PathBuf::from(stores.config("bureau"));
    let with = std::fs::read_to_string(&config).unwrap();
    files::edit(&config, |text| text.replace("store = \"ahead/store\"\n", ""));
    let ended = stores.all([&["run"]; 3]);
    assert!(ended.iter().all(|e| e.code == Some(0)), "{}", listing(&ended));
    assert!(ended[0].stderr.contains("bureau uses no store: what was made ahead is kept"), "{}", ended[0]);
    assert!(ended.iter().all(|e| e.json()["from_store"].is_null()));
    std::fs::write(&config, with).unwrap();
    assert!(stores.run_with("").iter().all(|report| report["from_store"]["copy"] == 0));
}

#[test]
fn a_damaged_copy_is_spent_at_all_and_a_damaged_index_stops_its_node() {
    let stores = Stores::new();
    stores.well(&["prepare", "--times", "3"]);
    let folder = stores.path("telecom/ahead/store");
    let copy = files::all_files(&folder).into_iter().find(|f| f.ends_with("00000000")).unwrap();
    let mut bytes = std::fs::read(&copy).unwrap();
    bytes[1000] ^= 4;
    std::fs::write(&copy, bytes).unwrap();
    let damage = stores.store("telecom")[0]["damage"][0].as_str().unwrap().to_owned();
    assert!(damage.contains("00000000 is damaged"), "{damage}");
    for report in stores.run_with("randomness is made now") {
        assert_eq!(report["from_store"], Value::Null);
    }
    assert!(stores.run_with("").iter().all(|report| report["from_store"]["copy"] == 1));

    let index = folder.join("index.redb");
    let whole = std::fs::read(&index).unwrap();
    std::fs::write(&index, &whole[..whole.len() / 2]).unwrap();
    for command in ["check", "run", "prepare"] {
        let refusal = run(SUBROSA, &[command, "--json", "--config", &stores.config("telecom")]).refusal();
        assert_eq!((refusal.exit, refusal.code.as_str()), (2, "store_damaged"), "{}", refusal.message);
    }
    // As the hint says: the others destroy theirs.
    std::fs::remove_dir_all(&folder).unwrap();
    for report in stores.run_with("made now") {
        assert_eq!(report["from_store"], Value::Null);
    }
    assert_eq!(stores.store("bank"), Value::Array(vec![]));
}

#[test]
fn parties_that_want_different_things_say_so() {
    let stores = Stores::new();
    let times = |n| ["prepare", "--times", n];
    let ended = stores.all([&times("2"), &times("3"), &times("2")]);
    let refusals: Vec<_> = ended.iter().map(Ended::refusal).collect();
    assert!(refusals.iter().all(|r| r.exit == 1), "{}", listing(&ended));
    assert_eq!(refusals[1].code, "prepare_differs");
    refusals[1].says(&["makes 2 copies, this node 3"]);
    let ended = stores.all([&["run"], &["prepare"], &["run"]]);
    let refusals: Vec<_> = ended.iter().map(Ended::refusal).collect();
    assert_eq!(refusals[1].code, "session_differs", "{}", listing(&ended));
    assert!(refusals[1].hint.as_deref().unwrap().contains("all `prepare`"));
    assert!(PARTIES.iter().all(|party| stores.store(party) == Value::Array(vec![])));
}

#[test]
fn what_cannot_be_made_ahead_is_said_before_anything_connects() {
    let stores = Stores::new();
    let config = PathBuf::from(stores.config("bank"));
    let refused = |args: &[&str]| {
        let refusal =
            run(SUBROSA, &[&["prepare", "--json", "--config", config.to_str().unwrap()], args].concat())
                .refusal();
        assert_eq!(refusal.exit, 2);
        format!("{} {}: {}", refusal.code, refusal.message, refusal.hint.unwrap_or_default())
    };
    assert!(refused(&["--times", "0"]).contains("0 is not in 1..=10000"));
    assert!(refused(&["--for", "missing.sbr"]).contains("missing.sbr"));
    files::edit(&config, |text| text.replace("store = \"ahead/store\"\n", ""));
    assert!(refused(&[]).contains("[job] store"));
}
