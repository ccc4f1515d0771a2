//! The binary as its users meet it: real processes, files and sockets.

// Clippy knows test functions, not their helpers.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

fn subrosa(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_subrosa")).args(args).output().unwrap()
}

fn start(args: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_subrosa"));
    command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Exit code and the JSON object on stdout.
fn json(output: &Output) -> (i32, Value) {
    let text = String::from_utf8_lossy(&output.stdout);
    let value = serde_json::from_str(&text)
        .unwrap_or_else(|e| panic!("{e} in {text:?}, stderr {:?}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code().unwrap_or(-1), value)
}

/// What a demo left behind: two parties and a dealer that can run again.
struct Kept {
    dir: tempfile::TempDir,
}

impl Kept {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let kept = dir.path().join("kept");
        let args = [
            "demo",
            "loan-scoring",
            "--preprocessing",
            "dealer",
            "--parties",
            "2",
            "--rows",
            "40",
            "--json",
            "--keep",
        ];
        let (code, report) = json(&subrosa(&[&args[..], &[kept.to_str().unwrap()]].concat()));
        assert_eq!(code, 0, "{report}");
        Self { dir }
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.dir.path().join("kept").join(relative)
    }

    fn config(&self, node: &str) -> String {
        self.path(&format!("{node}/{node}.toml")).to_str().unwrap().to_owned()
    }

    fn edit(&self, relative: &str, change: impl FnOnce(String) -> String) {
        let path = self.path(relative);
        let before = std::fs::read_to_string(&path).unwrap();
        let after = change(before.clone());
        assert_ne!(before, after, "the edit of {relative} changed nothing");
        std::fs::write(&path, after).unwrap();
    }

    /// Runs dealer, bank and bureau; the two parties' exit codes and objects.
    fn run(&self) -> [(i32, Value); 2] {
        let mut dealer = start(&["node", "--once", "--json", "--config", &self.config("dealer")]);
        let parties = ["bank", "bureau"].map(|p| start(&["run", "--json", "--config", &self.config(p)]));
        let results = parties.map(|p| json(&p.wait_with_output().unwrap()));
        // Parties that never agreed leave the dealer waiting.
        dealer.kill().unwrap();
        dealer.wait().unwrap();
        results
    }

    /// The error of a command about the bank's configuration.
    fn refused(&self, command: &str) -> (i32, String, String) {
        error(&subrosa(&[command, "--json", "--config", &self.config("bank")]))
    }
}

/// Exit code, error code and message.
fn error(output: &Output) -> (i32, String, String) {
    let (code, value) = json(output);
    let field = |name: &str| value["error"][name].as_str().unwrap_or_default().to_owned();
    assert!(!field("message").is_empty(), "no error in {value}");
    assert_eq!(field("message").lines().count(), 1);
    (code, field("code"), field("message"))
}

#[test]
fn demo_prints_the_object_that_scripts_rely_on() {
    for (parties, more, by, helper, nodes) in [
        ("2", &["--preprocessing", "dealer"][..], "dealer", "trusted dealer (sees no data", 3),
        ("5", &["--preprocessing", "dealer"], "dealer", "trusted dealer (sees no data", 6),
        ("2", &[], "ot", "no trusted dealer", 2),
        ("3", &["--ot", "softspoken-8"], "ot", "no trusted dealer", 3),
        ("3", &["--preprocessing", "ot"], "ot", "no trusted dealer", 3),
    ] {
        let args = [&["demo", "loan-scoring", "--parties", parties, "--rows", "60", "--json"], more].concat();
        let (code, report) = json(&subrosa(&args));
        assert_eq!(code, 0, "{report}");
        assert_eq!(report["parties"].to_string(), parties);
        assert_eq!((report["rows"].as_u64(), report["preprocessing"].as_str()), (Some(60), Some(by)));
        let security = report["security"].as_str().unwrap();
        assert!(security.starts_with("semi-honest") && security.contains(helper), "{security}");
        for figure in ["auc", "ks", "max_abs_error", "seconds"] {
            assert!(report[figure].as_f64().is_some_and(|x| x > 0.0), "{figure} in {report}");
        }
        assert!(report["max_abs_error"].as_f64().unwrap() < 1e-3);
        for figure in ["rounds", "online_bytes_per_party", "offline_bytes_per_party"] {
            assert!(report[figure].as_u64().is_some_and(|x| x > 0), "{figure} in {report}");
        }
        let logs = report["logs"].as_array().unwrap();
        assert_eq!(logs.len(), nodes);
        assert!(logs.iter().all(|l| l["party"].is_string()
            && l["path"].is_string()
            && l["size"].as_u64() > Some(2)
            && l["root"].is_string()));
        assert_eq!(report["verified"], true);
    }
}

#[test]
fn demo_tells_people_the_story() {
    let output = subrosa(&["demo", "loan-scoring", "--rows", "60"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for expected in [
        "late_payments_24m",
        "probability  points  decision",
        "telecom  no score",
        "AUC / Gini / KS",
        "largest difference from plaintext",
        "rounds",
        "semi-honest, up to 2 of 3 parties may collude",
        "Not hidden: bank chooses the secret weights",
        "verified offline",
    ] {
        assert!(text.contains(expected), "`{expected}` is missing in:\n{text}");
    }
}

#[test]
fn a_run_costs_what_the_plan_says_and_logs_grow() {
    let kept = Kept::new();
    let (_, plan) = json(&subrosa(&["plan", "--json", "--config", &kept.config("bank")]));
    let results = kept.run();
    for (code, report) in &results {
        assert_eq!(*code, 0, "{report}");
        for field in ["rounds", "online_bytes_per_party", "offline_bytes_per_party", "ops"] {
            assert_eq!(report[field], plan[field], "{field}");
        }
        assert!(report["wire_bytes"].as_u64() > report["own_online_bytes"].as_u64());
    }
    assert_eq!(results[0].1["outputs"][0]["rows"], 40);
    assert_eq!(results[1].1["outputs"].as_array().map(Vec::len), Some(0));
    let logs = ["bank", "bureau"].map(|p| kept.path(&format!("{p}/log")).to_str().unwrap().to_owned());
    let (code, report) = json(&subrosa(&["log", "verify", "--json", &logs[0], &logs[1]]));
    assert_eq!((code, &report["ok"]), (0, &Value::Bool(true)), "{report}");
    assert!(report["logs"][0]["entries"].as_u64() > Some(10), "{report}");
    let (code, shown) = json(&subrosa(&["log", "show", "--json", &logs[1]]));
    assert_eq!((code, &shown["size"]), (0, &report["logs"][1]["size"]));
    assert_eq!(
        (&shown["entries"][0]["kind"], shown["party"].as_str()),
        (&Value::from("open"), Some("bureau"))
    );
}

#[test]
fn a_changed_log_does_not_verify() {
    let kept = Kept::new();
    let file = kept.path("bureau/log/tile/entries/000.p/5");
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let log = kept.path("bureau/log");
    let (code, report) = json(&subrosa(&["log", "verify", "--json", log.to_str().unwrap()]));
    assert_eq!((code, &report["ok"]), (1, &Value::Bool(false)));
    assert!(report["problems"][0]["what"].as_str().unwrap().contains("entries/000.p/5"), "{report}");
}

#[test]
fn wrong_usage_is_an_object_under_json_and_two_lines_without() {
    let (code, name, _) = error(&subrosa(&["run", "--json"]));
    assert_eq!((code, name.as_str()), (2, "usage"));
    let output = subrosa(&["dance"]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.starts_with("error: unrecognized subcommand 'dance'\nhint: "), "{text}");
    assert_eq!(subrosa(&["--help"]).status.code(), Some(0));
    let (code, name, text) = error(&subrosa(&["run", "--json", "--config", "/nonexistent/bank.toml"]));
    assert_eq!((code, name.as_str()), (2, "file_missing"));
    assert!(text.contains("/nonexistent/bank.toml"), "{text}");
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("x"), "x").unwrap();
    let used = dir.path().to_str().unwrap();
    let (code, name, _) = error(&subrosa(&["demo", "loan-scoring", "--json", "--keep", used]));
    assert_eq!((code, name.as_str()), (2, "not_empty"));
    let (code, name, _) = error(&subrosa(&["plan", "--json", dir.path().join("x").to_str().unwrap()]));
    assert_eq!((code, name.as_str()), (2, "bad_program"));
}

#[test]
fn bad_files_are_named_by_check_and_by_run() {
    let cases: [(&str, &str, &str, &str, &str); 8] = [
        ("bank/bank.toml", "listen = ", "lisen = ", "config_syntax", "unknown field `lisen`"),
        ("bank/bank.toml", "name = \"bureau\"", "name = \"bank\"", "duplicate_party", "is named twice"),
        ("bank/bank.toml", "\"term_months\"", "\"term_weeks\"", "unknown_column", "no column `term_weeks`"),
        ("bank/bank.toml", "file = \"bank.csv\"", "file = \"gone.csv\"", "file_missing", "gone.csv"),
        ("bank/bank.toml", "[inputs.bias]", "[inputs.bais]", "unknown_input", "not `bais`"),
        ("bank/bank.toml", "scorecard.sbr", "bank.csv", "bad_program", "bank.csv: not a program"),
        (
            "bank/bank.csv",
            "\nC",
            "\nC0099999,1,2,3,four,0\nC",
            "not_a_number",
            "line 2 (id `C0099999`), column `debt_to_income`",
        ),
        ("bank/bank.csv", "\nC", "\nC0099999,9e9,2,3,4,0\nC", "wrong_shape", "41 rows"),
    ];
    let kept = Kept::new();
    for (file, from, to, code, expected) in cases {
        let before = std::fs::read_to_string(kept.path(file)).unwrap();
        let from =
            if file.ends_with(".toml") && from == "\"term_months\"" { "\"term_months\", " } else { from };
        let to = if to == "\"term_weeks\"" { "\"term_weeks\", " } else { to };
        kept.edit(file, |text| text.replacen(from, to, 1));
        if to.contains("term_weeks") {
            kept.edit(file, |text| text.replacen("term_months = {", "term_weeks = {", 1));
        }
        for command in ["check", "run"] {
            let (exit, name, text) = kept.refused(command);
            assert_eq!((exit, name.as_str()), (2, code), "{text}");
            assert!(text.contains(expected), "{text}");
        }
        std::fs::write(kept.path(file), before).unwrap();
    }
    let (code, report) = json(&subrosa(&["check", "--json", "--config", &kept.config("bank")]));
    assert_eq!((code, &report["ok"], &report["rows"]), (0, &Value::Bool(true), &Value::from(40)), "{report}");
    assert_eq!(report["log"], "9 entries, verified");
    let (code, report) = json(&subrosa(&["check", "--json", "--config", &kept.config("dealer")]));
    assert_eq!((code, report["role"].as_str()), (0, Some("dealer")));
}

#[test]
fn a_value_out_of_range_is_named_by_line_and_column() {
    let kept = Kept::new();
    let (spread, tiny) = ("standard_deviation = 772.6828", "standard_deviation = 0.001");
    kept.edit("bank/bank.toml", |text| text.replacen(spread, tiny, 1));
    let (exit, name, text) = kept.refused("check");
    assert_eq!((exit, name.as_str()), (2, "out_of_range"));
    assert!(text.contains("bank.csv, line 2 (id `C"), "{text}");
    assert!(text.contains("column `net_income_eur`") && text.contains("the program allows ±256"), "{text}");
}

#[cfg(unix)]
#[test]
fn keys_that_cannot_be_used() {
    use std::os::unix::fs::PermissionsExt as _;
    let kept = Kept::new();
    let key = kept.path("bank/bank.key");
    let set_mode = |mode| std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
    set_mode(0o644);
    let (exit, name, text) = kept.refused("run");
    assert_eq!((exit, name.as_str()), (2, "key_unreadable"));
    assert!(text.contains("expected mode 0600, found 0644"), "{text}");
    set_mode(0o600);
    std::fs::copy(kept.path("bureau/bureau.key"), &key).unwrap();
    let (exit, name, text) = kept.refused("check");
    assert_eq!((exit, name.as_str()), (2, "wrong_key"));
    assert!(text.contains("but the configuration pins ed25519:"), "{text}");
    std::fs::remove_file(&key).unwrap();
    let (exit, name, _) = kept.refused("check");
    assert_eq!((exit, name.as_str()), (2, "file_missing"));
}

#[test]
fn a_port_in_use_is_named() {
    let kept = Kept::new();
    let text = std::fs::read_to_string(kept.config("bank")).unwrap();
    let listen = text.lines().find_map(|l| l.strip_prefix("listen = ")).unwrap().trim_matches('"').to_owned();
    let _taken = std::net::UdpSocket::bind(&listen).unwrap();
    for command in ["check", "run"] {
        let (exit, name, text) = kept.refused(command);
        assert_eq!((exit, name.as_str()), (2, "port_in_use"));
        assert!(text.contains(&listen), "{text}");
    }
}

#[test]
fn a_peer_that_never_comes_is_named() {
    let kept = Kept::new();
    kept.edit("bank/bank.toml", |t| t.replacen("connect_timeout_ms = 30000", "connect_timeout_ms = 300", 1));
    let (exit, name, text) = kept.refused("run");
    assert_eq!((exit, name.as_str()), (1, "peer_absent"));
    assert!(text.contains("bureau (at 127.0.0.1:") && text.contains("300 ms"), "{text}");
}

#[test]
fn a_dealer_that_nobody_asks_ends_too() {
    let kept = Kept::new();
    let set = |t: String| t.replacen("connect_timeout_ms = 30000", "connect_timeout_ms = 200", 1);
    kept.edit("dealer/dealer.toml", set);
    let (exit, name, text) =
        error(&subrosa(&["node", "--once", "--json", "--config", &kept.config("dealer")]));
    assert_eq!((exit, name.as_str()), (1, "peer_absent"));
    assert_eq!(text, "no party asked for a session within 200 ms");
}

#[test]
fn ids_that_differ_between_parties_stop_both() {
    let kept = Kept::new();
    kept.edit("bureau/bureau.csv", |text| {
        let mut lines: Vec<&str> = text.lines().collect();
        lines.swap(3, 4);
        lines.join("\n")
    });
    for (exit, value) in kept.run() {
        assert_eq!(exit, 1, "{value}");
        let message = value["error"]["message"].as_str().unwrap();
        assert!(message.contains("row ids differ between"), "{message}");
    }
    assert!(!scores_are_newer_than(&kept, "bureau/bureau.csv"), "no output may follow a failed check");
}

fn scores_are_newer_than(kept: &Kept, file: &str) -> bool {
    let time = |path: &Path| std::fs::metadata(path).unwrap().modified().unwrap();
    time(&kept.path("bank/scores.csv")) > time(&kept.path(file))
}

#[test]
fn swapped_keys_stop_both() {
    let kept = Kept::new();
    for (node, peer) in [("bank", "bureau"), ("bureau", "bank")] {
        // Each pins, for the other, a key that the other does not have.
        let stranger = kept.path(&format!("{node}-stranger.key"));
        assert!(subrosa(&["keygen", stranger.to_str().unwrap()]).status.success());
        let wrong = std::fs::read_to_string(stranger.with_extension("pub")).unwrap();
        let right = std::fs::read_to_string(kept.path(&format!("{peer}/{peer}.pub"))).unwrap();
        kept.edit(&format!("{node}/{node}.toml"), |text| {
            text.replacen(right.trim(), wrong.trim(), 1).replacen("= 30000", "= 3000", 1)
        });
    }
    for (exit, value) in kept.run() {
        assert_eq!(exit, 1, "{value}");
        let code = value["error"]["code"].as_str().unwrap();
        assert!(["wrong_key", "key_refused", "peer_absent", "peer_aborted"].contains(&code), "{value}");
        let message = value["error"]["message"].as_str().unwrap();
        assert!(message.contains("ed25519:"), "no key is named: {message}");
    }
}

#[test]
fn other_programs_stop_both() {
    let (kept, other) = (Kept::new(), tempfile::tempdir().unwrap());
    let other = other.path().join("kept");
    let args = [
        "demo",
        "loan-scoring",
        "--preprocessing",
        "dealer",
        "--parties",
        "2",
        "--rows",
        "41",
        "--json",
        "--keep",
    ];
    assert!(subrosa(&[&args[..], &[other.to_str().unwrap()]].concat()).status.success());
    for file in ["scorecard.sbr", "bureau.csv"] {
        std::fs::copy(other.join("bureau").join(file), kept.path("bureau").join(file)).unwrap();
    }
    for (exit, value) in kept.run() {
        assert_eq!((exit, value["error"]["code"].as_str()), (1, Some("program_differs")), "{value}");
    }
}

#[test]
fn demo_runs_on_the_users_files() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    let (mut guest, mut host) = (String::from("id,y,x0,x1\n"), String::from("id,x0\n"));
    for i in 0..50_i32 {
        let (a, b) = (f64::from(i % 7) - 3.0, f64::from(i % 5) / 2.0);
        guest.push_str(&format!("{i},{},{a},{b}\n", i % 3 / 2));
        host.push_str(&format!("{i},{}\n", if i == 9 { String::new() } else { format!("{}", i % 11) }));
    }
    write("guest.csv", &guest);
    write("host.csv", &host);
    write("w.csv", "name,weight\nguest.x0,0.5\nguest.x1,-0.25\nhost.x0,0.125\nbias,-1\n");
    write(
        "demo.toml",
        "weights = \"w.csv\"\n[[party]]\nname = \"guest\"\nfile = \"guest.csv\"\nkey = \"id\"\nlabel = \"y\"\n\
         [[party]]\nname = \"host\"\nfile = \"host.csv\"\nkey = \"id\"\nmissing = \"mean\"\nstandardise = true\n",
    );
    let folder = dir.path().to_str().unwrap();
    let (code, report) = json(&subrosa(&["demo", "loan-scoring", "--json", "--data", folder]));
    assert_eq!(code, 0, "{report}");
    assert_eq!((report["rows"].as_u64(), report["verified"].as_bool()), (Some(50), Some(true)));
    write("host.csv", &host.replace("\n4,", "\nfour,"));
    let (code, name, text) = error(&subrosa(&["demo", "loan-scoring", "--json", "--data", folder]));
    assert_eq!((code, name.as_str()), (1, "row_order"), "{text}");
    write("host.csv", &host.replace("\n4,4", "\n4,much"));
    let (code, name, text) = error(&subrosa(&["demo", "loan-scoring", "--json", "--data", folder]));
    assert_eq!((code, name.as_str()), (2, "not_a_number"));
    assert!(
        text.starts_with("host: ") && text.contains("column `x0`: expected a number, got `much`"),
        "{text}"
    );
}
