//! Runs that fail, each with a marked secret where it fails: only the owner's own process may name it, on its own terminal,
//! and only where that helps its operator. No other node's output, log, abort reason or folder has it, and nobody's
//! output has eight bytes of a private key.
#![allow(clippy::unwrap_used, reason = "a test: a panic is how it fails")]

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

use subrosa_tests::process::{DEADLINE, listing};
use subrosa_tests::secrets::{MARKED_ID, MARKED_ROW, Search, Secret, plant, traces};
use subrosa_tests::{Cluster, Ended, Running, files, finish_all};

const SUBROSA: &str = env!("CARGO_BIN_EXE_subrosa-under-test");
/// Nodes that are to meet wait this long for each other.
const CONNECT_TIMEOUT_MS: u64 = 5_000;
/// Nodes wait this long for one that gives up before it connects.
const IN_VAIN_MS: u64 = 500;

/// Two parties and a dealer with everything marked.
struct Scene {
    cluster: Cluster,
    secrets: Vec<Secret>,
}

impl Scene {
    /// For a node that gives up by itself.
    fn of_one() -> Self {
        Self::new(40, IN_VAIN_MS)
    }

    fn new(rows: usize, connect_timeout_ms: u64) -> Self {
        let cluster = Cluster::new(SUBROSA, 2, rows);
        cluster.connect_timeout(connect_timeout_ms);
        let secrets = plant(&cluster);
        Self { cluster, secrets }
    }

    /// The marked customer: its owner may name it.
    fn customer_may_be_said(self) -> Self {
        let say = |s: Secret| if s.what.contains("marked customer") { s.that_may_be_said() } else { s };
        Self { secrets: self.secrets.into_iter().map(say).collect(), ..self }
    }

    fn set_cell(&self, party: &str, column: &str, value: &str) {
        files::set_cell(&self.cluster.path(&format!("{party}/{party}.csv")), MARKED_ROW, column, value);
    }

    /// Starts all nodes, in text or JSON, and searches what they leave and say. Gives how they ended.
    fn play(&self, what: &str, json: bool) -> Vec<Ended> {
        let nodes = self.cluster.nodes();
        let ended = finish_all(nodes.iter().map(|n| self.cluster.start_with(n, json)).collect(), DEADLINE);
        self.search(what, &ended);
        ended
    }

    fn search(&self, what: &str, ended: &[Ended]) {
        let search = Search::new(&self.secrets);
        for said in ended {
            let left = traces(&self.cluster.path(&said.name), said);
            search.check(&said.name, &left, what);
            let log = self.cluster.path(&format!("{}/log", said.name));
            if log.join("checkpoint").exists() {
                search.check_silence(&self.cluster.subrosa(&["log", "show", log.to_str().unwrap()]));
            }
        }
    }

    /// Plays in both formats; `offender` must fail with `code` and exit code 2, and say all of `parts`.
    fn refuses(&self, what: &str, offender: &str, code: &str, parts: &[&str]) {
        for json in [true, false] {
            let ended = self.play(what, json);
            let own = ended.iter().find(|e| e.name == offender).unwrap();
            let refusal = if json { own.refusal() } else { own.text_refusal() };
            assert_eq!(refusal.exit, 2, "{what}: {own}");
            assert!(refusal.code == code || !json, "{what}: {own}");
            refusal.says(parts);
            assert!(ended.iter().all(|e| e.code != Some(0)), "{what}: {}", listing(&ended));
            assert!(!self.cluster.scores().exists(), "{what}: an output");
            let check = self.cluster.subrosa(&["check", "--config", &self.cluster.config(offender)]);
            assert_eq!(check.text_refusal().exit, 2, "{what}");
            Search::new(&self.secrets).check(offender, &traces(&self.cluster.path(offender), &check), what);
        }
    }
}

#[test]
fn a_cell_that_is_no_number_or_too_large_is_named_to_its_owner_alone() {
    for (value, code) in [("cell-5512-qzv", "not_a_number"), ("98765432.125", "out_of_range")] {
        let mut scene = Scene::of_one().customer_may_be_said();
        scene.set_cell("bureau", "inquiries_6m", value);
        let secret = Secret::text(&["bureau"], "bad cell", value, &["bureau.csv"]).that_may_be_said();
        scene.secrets.push(secret);
        // A value out of range is shown as it would be shared: standardised.
        let shown = if code == "not_a_number" { &[value][..] } else { &["is out of range"] };
        scene.refuses(code, "bureau", code, &[&[MARKED_ID, "inquiries_6m"][..], shown].concat());
    }
}

#[test]
fn a_missing_cell_and_a_repeated_id_are_named_to_their_owner_alone() {
    let scene = Scene::of_one().customer_may_be_said();
    let table = scene.cluster.path("bureau/bureau.csv");
    let (header, mut rows) = files::read_csv(&table);
    // No other cell is missing.
    rows.iter_mut().flatten().filter(|cell| cell.is_empty()).for_each(|cell| "1".clone_into(cell));
    files::write_csv(&table, &header, &rows);
    scene.set_cell("bureau", "inquiries_6m", "");
    scene.cluster.replace("bureau/bureau.toml", "missing = \"mean\"", "missing = \"refuse\"");
    scene.refuses("a missing cell", "bureau", "missing_value", &[MARKED_ID, "inquiries_6m"]);

    let scene = Scene::of_one().customer_may_be_said();
    files::set_cell(&scene.cluster.path("bureau/bureau.csv"), 20, "customer_id", MARKED_ID);
    scene.refuses("a repeated id", "bureau", "duplicate_id", &[MARKED_ID]);
}

#[test]
fn an_unknown_code_is_named_to_its_owner_alone() {
    let mut scene = Scene::of_one().customer_may_be_said();
    let table = scene.cluster.path("bureau/bureau.csv");
    let (header, mut rows) = files::read_csv(&table);
    let at = header.iter().position(|c| c == "inquiries_6m").unwrap();
    rows.iter_mut().for_each(|row| "0".clone_into(&mut row[at]));
    rows[MARKED_ROW][at] = "code-44-zvk".to_owned();
    files::write_csv(&table, &header, &rows);
    scene.cluster.edit("bureau/bureau.toml", |text| {
        let codes = "missing = \"mean\"\none_hot = { inquiries_6m = [\"0\", \"1\"] }";
        let lines = text.lines().filter(|l| !l.starts_with("inquiries_6m = {"));
        lines.map(|l| format!("{l}\n")).collect::<String>().replace("missing = \"mean\"", codes)
    });
    let secret = Secret::text(&["bureau"], "unknown code", "code-44-zvk", &["bureau.csv"]);
    scene.secrets.push(secret.that_may_be_said());
    scene.refuses("an unknown code", "bureau", "unknown_code", &[MARKED_ID, "inquiries_6m", "code-44-zvk"]);
}

#[test]
fn bad_weights_and_outcomes_are_named_to_their_owner_alone() {
    let mut scene = Scene::of_one();
    let (_, weights) = files::read_csv(&scene.cluster.path("bank/weights.csv"));
    let old = weights[2].join(",");
    scene.cluster.replace("bank/weights.csv", &old, &format!("{},heavy-71-kqx", weights[2][0]));
    scene
        .secrets
        .push(Secret::text(&["bank"], "bad weight", "heavy-71-kqx", &["weights.csv"]).that_may_be_said());
    scene.refuses("a corrupt weight", "bank", "not_a_number", &["heavy-71-kqx"]);

    let mut scene = Scene::of_one();
    files::set_cell(&scene.cluster.path("bank/outcomes.csv"), 3, "defaulted", "7.713377");
    let secret = Secret::number("bank", "bad outcome", "7.713377", 7.713_377, "outcomes.csv");
    scene.secrets.push(secret.that_may_be_said());
    scene.refuses("a bad outcome", "bank", "bad_outcome", &["7.713377"]);
}

#[test]
fn keys_that_cannot_be_used_are_not_repeated() {
    for node in ["bureau", "dealer"] {
        let scene = Scene::of_one();
        let key = scene.cluster.path(&format!("{node}/{node}.key"));
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o620)).unwrap();
        let parts = [key.to_str().unwrap(), "expected mode 0600, found 0620"];
        scene.refuses("an open key file", node, "key_unreadable", &parts);
        let command = if node == "dealer" { "node" } else { "run" };
        let said = scene.cluster.subrosa(&[command, "--config", &scene.cluster.config(node)]).text_refusal();
        assert_eq!(said.hint, Some(format!("chmod 600 {}", key.display())));

        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
        let sound = std::fs::read_to_string(&key).unwrap();
        for broken in [
            sound.replace("\n-----END", "?\n-----END"),
            sound.replace("\nMC4C", "\nMC4D"),
            sound.replace("-----END PRIVATE KEY-----\n", ""),
            sound.lines().nth(1).unwrap().to_owned(),
        ] {
            assert_ne!(broken, sound);
            std::fs::write(&key, broken).unwrap();
            scene.refuses("a broken key file", node, "key_unreadable", &["not an Ed25519 private key"]);
        }
    }
}

#[test]
fn a_private_key_in_place_of_another_file_is_not_repeated() {
    let scene = Scene::of_one();
    let config = "bureau/bureau.toml";
    let sound = std::fs::read_to_string(scene.cluster.config("bureau")).unwrap();
    let key = std::fs::read_to_string(scene.cluster.path("bureau/bureau.key")).unwrap();
    let secret_line = key.lines().nth(1).unwrap();
    let pinned = sound.lines().filter(|l| l.starts_with("public_key = ")).nth(1).unwrap();
    for (from, to, code) in [
        ("file = \"bureau.csv\"", "file = \"bureau.key\"".to_owned(), "unknown_column"),
        ("program = \"scorecard.sbr\"", "program = \"bureau.key\"".to_owned(), "bad_program"),
        (pinned, "public_key_file = \"bureau.key\"".to_owned(), "bad_public_key"),
        (pinned, format!("public_key = \"{secret_line}\""), "bad_public_key"),
        ("key = \"bureau.key\"", format!("key = \"{secret_line}\""), "config_value"),
        ("key = \"bureau.key\"", format!("key = {secret_line}"), "config_syntax"),
    ] {
        assert!(sound.contains(from), "{from}");
        scene.cluster.replace(config, from, &to);
        // The configuration now holds the key itself; what is looked at is what the commands say about it.
        for json in [&["--json"][..], &[]] {
            for command in ["check", "run"] {
                let said = scene
                    .cluster
                    .subrosa(&[&[command, "--config", &scene.cluster.config("bureau")][..], json].concat());
                Search::new(&scene.secrets).check_silence(&said);
                let refusal = if json.is_empty() { said.text_refusal() } else { said.refusal() };
                assert!(refusal.exit == 2 && (refusal.code == code || json.is_empty()), "{to}: {refusal:?}");
            }
        }
        std::fs::write(scene.cluster.config("bureau"), &sound).unwrap();
    }
    for command in ["check", "run", "node", "plan"] {
        let said =
            scene.cluster.subrosa(&[command, "--config", &scene.cluster.text_path("bureau/bureau.key")]);
        assert_eq!(said.text_refusal().exit, 2);
        Search::new(&scene.secrets).check_silence(&said);
    }
}

#[test]
fn nodes_that_do_not_agree_name_nothing_of_each_other() {
    let scene = Scene::new(40, CONNECT_TIMEOUT_MS);
    files::set_cell(&scene.cluster.path("bureau/bureau.csv"), MARKED_ROW, "customer_id", "C0100000");
    for ended in scene.play("other rows", true) {
        assert_eq!(ended.code, Some(1), "{ended}");
    }

    // A bureau with another key than the others pin.
    let scene = Scene::new(40, 2_000);
    let made = scene.cluster.subrosa(&["keygen", &scene.cluster.text_path("bureau/new.key")]).succeeded();
    let key = scene.cluster.path("bureau/bureau.key");
    std::fs::rename(scene.cluster.path("bureau/new.key"), &key).unwrap();
    let [old, new] = ["bureau", "new"].map(|n| {
        std::fs::read_to_string(scene.cluster.path(&format!("bureau/{n}.pub"))).unwrap().trim().to_owned()
    });
    scene.cluster.replace("bureau/bureau.toml", &old, &new);
    let mut secrets = scene.secrets;
    secrets.push(Secret::key("bureau", &key, "bureau.key"));
    let scene = Scene { secrets, ..scene };
    Search::new(&scene.secrets).check_silence(&made);
    for ended in scene.play("another key", false) {
        assert_ne!(ended.code, Some(0), "{ended}");
    }
}

#[test]
fn a_killed_peer_leaves_nothing_with_the_others() {
    let scene = Scene::new(20_000, CONNECT_TIMEOUT_MS);
    let mut running: Vec<Running> = scene.cluster.nodes().iter().map(|n| scene.cluster.start(n)).collect();
    // The bureau has agreed on a session as soon as it keeps what opens its commitments.
    let openings = scene.cluster.path("bureau/log-openings");
    let by = Instant::now() + DEADLINE;
    let at = running.iter().position(|r| r.name() == "bureau").unwrap();
    while !openings.exists() && Instant::now() < by {
        assert!(
            !running[at].ends_before(Instant::now() + Duration::from_millis(2)),
            "it ended before it was hit"
        );
    }
    running[at].kill();
    let ended = finish_all(running, DEADLINE);
    scene.search("a killed peer", &ended);
    let bank = ended.iter().find(|e| e.name == "bank").unwrap().refusal();
    assert_eq!(bank.exit, 1);
    bank.says(&["bureau"]);
}

#[test]
fn outputs_that_cannot_be_written_name_their_file_alone() {
    // Scores larger than the limit on file sizes, which stands in for a full disk; all else is smaller.
    let scene = Scene::new(4_000, CONNECT_TIMEOUT_MS);
    let script = "ulimit -f 64 || exit 99; exec \"$0\" \"$@\"";
    let start = |node: &str| {
        if node != "bank" {
            return scene.cluster.start(node);
        }
        let args = ["-c", script, SUBROSA, "run", "--json", "--config", &scene.cluster.config(node)];
        Running::from_command(node, Command::new("sh").args(args))
    };
    let ended = finish_all(scene.cluster.nodes().into_iter().map(start).collect(), DEADLINE);
    scene.search("a full disk", &ended);
    let bank = ended.iter().find(|e| e.name == "bank").unwrap().refusal();
    bank.says(&["cannot write", scene.cluster.scores().to_str().unwrap()]);
    assert!(!scene.cluster.scores().exists(), "half a file of scores");
}

/// Trouble at home that stops a session under way: the others are told that much and no more, and so is the log.
#[test]
fn others_hear_the_kind_of_an_error_at_home_and_not_its_text() {
    let shown = |scene: &Scene, node: &str| {
        let log = scene.cluster.text_path(&format!("{node}/log"));
        scene.cluster.subrosa(&["log", "show", &log]).succeeded().stdout
    };
    let check = |scene: &Scene| {
        let root = scene.cluster.root().to_str().unwrap();
        for node in scene.cluster.nodes() {
            let shown = shown(scene, node);
            assert!(!shown.contains(root) && !shown.contains("/log"), "{node}: {shown}");
        }
    };
    let refusal = |ended: &[Ended], node: &str| ended.iter().find(|e| e.name == node).unwrap().refusal();

    // The bank cannot keep what opens its commitments, since it began to wait for its peers.
    let scene = Scene::new(40, CONNECT_TIMEOUT_MS);
    let bank = scene.cluster.start_until_ready();
    let openings = scene.cluster.path("bank/log-openings");
    std::fs::remove_dir(&openings).unwrap();
    std::fs::write(&openings, "").unwrap();
    let others = scene.cluster.nodes().into_iter().filter(|n| *n != "bank").map(|n| scene.cluster.start(n));
    let ended = finish_all([bank].into_iter().chain(others).collect(), DEADLINE);
    scene.search("openings", &ended);
    refusal(&ended, "bank").says(&["log-openings"]);
    refusal(&ended, "bureau").says(&["bank gave up: file_error"]);
    assert!(shown(&scene, "bureau").contains("bank gave up: file_error"), "{}", shown(&scene, "bureau"));
    assert!(shown(&scene, "bank").contains("aborted (file_error): file_error;"), "{}", shown(&scene, "bank"));
    check(&scene);

    // The bank's log is an old copy, which it learns from its peers.
    let scene = Scene::new(40, CONNECT_TIMEOUT_MS);
    let (log, old) = (scene.cluster.path("bank/log"), scene.cluster.path("old-log"));
    let _first = scene.cluster.run_well(DEADLINE);
    files::copy_folder(&log, &old);
    let _second = scene.cluster.run_well(DEADLINE);
    std::fs::remove_dir_all(&log).unwrap();
    files::copy_folder(&old, &log);
    std::fs::remove_file(scene.cluster.scores()).unwrap();
    let ended = scene.play("an old log", true);
    let bank = refusal(&ended, "bank");
    assert_eq!(bank.code, "log_rolled_back");
    bank.says(&[log.to_str().unwrap()]);
    assert!(shown(&scene, "bank").ends_with("0 bytes sent\n"), "{}", shown(&scene, "bank"));
    assert!(
        shown(&scene, "bank").contains("aborted (log_rolled_back): log_rolled_back;"),
        "{}",
        shown(&scene, "bank")
    );
    check(&scene);
}
