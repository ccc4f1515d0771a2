//! Wrong commands, flags and paths on the command line: one line, a hint, exit code 2, and nothing is overwritten.
#![allow(clippy::unwrap_used, reason = "a test: a panic is how it fails")]

use subrosa_tests::{Cluster, Refusal, files, run};

const SUBROSA: &str = env!("CARGO_BIN_EXE_subrosa-under-test");

/// In text and under `--json`, before and after the command.
fn refused(args: &[&str]) -> Refusal {
    let text = run(SUBROSA, args).text_refusal();
    let before = run(SUBROSA, &[&["--json"], args].concat()).refusal();
    let after = run(SUBROSA, &[args, &["--json"]].concat()).refusal();
    // Hints show the usage of the flags that were given, so their words may differ.
    for json in [&before, &after] {
        assert_eq!((text.exit, text.hint.is_some()), (json.exit, json.hint.is_some()));
        assert_eq!(json.code, before.code);
        let alike = text.message == json.message || text.message == "a command is missing";
        assert!(alike, "{text:?} and {json:?}");
    }
    before
}

#[test]
fn unknown_commands_and_flags() {
    for (args, part) in [
        (&["dance"][..], "dance"),
        (&["runn", "--config", "x"], "runn"),
        (&["run"], "--config"),
        (&["run", "--config"], "--config"),
        (&["run", "--config", "x", "--fast"], "--fast"),
        (&["run", "x.toml"], "x.toml"),
        (&["plan"], "PROGRAM"),
        (&["plan", "x", "--config", "y"], "--config"),
        (&["log"], "command"),
        (&["log", "verify"], "DIRS"),
        (&["demo"], "command"),
        (&["demo", "loan-scoring", "--parties", "1"], "2..=5"),
        (&["demo", "loan-scoring", "--parties", "6"], "2..=5"),
        (&["demo", "loan-scoring", "--rows", "many"], "many"),
        (&["demo", "loan-scoring", "--rows", "0"], "20..=1000000"),
        (&["demo", "loan-scoring", "--rows", "-5"], "-5"),
        (&["demo", "loan-scoring", "--data", "x", "--parties", "3"], "--parties"),
        (&["keygen"], "FILES"),
        (&[], "command"),
    ] {
        let refusal = refused(args);
        assert_eq!((refusal.exit, refusal.code.as_str()), (2, "usage"), "{args:?}: {refusal:?}");
        refusal.says(&[part]);
        assert!(refusal.hint.is_some(), "{args:?}: {refusal:?}");
    }
    for asked in [&["--help"][..], &["run", "--help"], &["--version"]] {
        let ended = run(SUBROSA, asked).succeeded();
        assert!(ended.stdout.contains("subrosa") && ended.stderr.is_empty(), "{ended}");
    }
}

#[test]
fn keys_are_never_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("a.key");
    let key_text = key.to_str().unwrap();
    let _made = run(SUBROSA, &["keygen", key_text]).succeeded();
    let before = std::fs::read(&key).unwrap();
    let again = refused(&["keygen", key_text]);
    assert_eq!(again.exit, 2, "{again:?}");
    again.says(&[dir.path().to_str().unwrap(), "exists already"]);
    assert!(std::fs::read(&key).unwrap() == before, "the key has changed");
    let nowhere = dir.path().join("a.key/b.key");
    let refusal = refused(&["keygen", nowhere.to_str().unwrap()]);
    assert_eq!(refusal.exit, 2);
    refusal.says(&[key_text]);
}

#[test]
fn a_dealer_and_a_party_are_not_mixed_up() {
    let cluster = Cluster::new(SUBROSA, 2, 20);
    let [bank, dealer] = ["bank", "dealer"].map(|n| cluster.config(n));
    for (args, config) in [(["run", "--config", &dealer], &dealer), (["node", "--config", &bank], &bank)] {
        let refusal = refused(&args);
        assert_eq!(refusal.exit, 2, "{refusal:?}");
        refusal.says(&[config]);
    }
    std::fs::copy(cluster.path("bank/bank.key"), cluster.path("dealer/dealer.key")).unwrap();
    let refusal = refused(&["node", "--once", "--config", &dealer]);
    assert_eq!(refusal.exit, 2, "a dealer with a party's key: {refusal:?}");
    refusal.says(&["bank"]);
}

#[test]
fn logs_that_are_none() {
    let dir = tempfile::tempdir().unwrap();
    let (empty, gone) = (dir.path().join("empty"), dir.path().join("gone"));
    std::fs::create_dir(&empty).unwrap();
    for log in [&empty, &gone] {
        let ended = run(SUBROSA, &["log", "verify", "--json", log.to_str().unwrap()]);
        let report = ended.json();
        assert_eq!((ended.code, &report["ok"]), (Some(1), &serde_json::Value::Bool(false)), "{ended}");
        assert_eq!(report["problems"][0]["log"].as_str(), log.to_str(), "{ended}");
        let text = run(SUBROSA, &["log", "verify", log.to_str().unwrap()]);
        assert!(text.code == Some(1) && text.stdout.contains("failed: 1 problem"), "{text}");
    }
}

/// Two parties' own files for `--data`.
fn own_files() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let (mut a, mut b) = (String::from("id,bad,x\n"), String::from("id,y,z\n"));
    for i in 0..30_u32 {
        a.push_str(&format!("P{i},{},{}\n", i % 2, f64::from(i % 7) / 4.0));
        b.push_str(&format!("P{i},{},{}\n", f64::from(i % 3) - 1.0, f64::from(i % 5) / 8.0));
    }
    let description = "weights = \"w.csv\"\n[[party]]\nname = \"lender\"\nfile = \"a.csv\"\nkey = \"id\"\nlabel = \"bad\"\n\
                       [[party]]\nname = \"telco\"\nfile = \"b.csv\"\nkey = \"id\"\n";
    let weights = "name,weight\nlender.x,0.75\ntelco.y,-0.5\ntelco.z,0.25\nbias,-1\n".to_owned();
    for (name, text) in [("a.csv", a), ("b.csv", b), ("w.csv", weights), ("demo.toml", description.into())] {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

#[test]
fn own_data_that_does_not_fit() {
    let sound = own_files();
    let report = run(SUBROSA, &["demo", "loan-scoring", "--json", "--data", sound.path().to_str().unwrap()])
        .succeeded()
        .json();
    assert_eq!((report["rows"].as_u64(), &report["verified"]), (Some(30), &serde_json::Value::Bool(true)));
    for (file, from, to, exit, code, parts) in [
        ("demo.toml", "weights = \"w.csv\"", "weights = ", 2, "config_syntax", &["demo.toml:1:"][..]),
        (
            "demo.toml",
            "key = \"id\"",
            "kei = \"id\"",
            2,
            "config_syntax",
            &["demo.toml:5:1", "unknown field `kei`"],
        ),
        (
            "demo.toml",
            "\"telco\"",
            "\"lender\"",
            2,
            "duplicate_party",
            &["demo.toml:8:", "`lender` is named twice"],
        ),
        ("demo.toml", "\"telco\"", "\"dealer\"", 2, "duplicate_party", &["demo.toml:8:", "`dealer`"]),
        ("demo.toml", "\"telco\"", "\"../x\"", 2, "config_value", &["demo.toml:8:", "../x"]),
        ("demo.toml", "\"b.csv\"", "\"c.csv\"", 2, "file_missing", &["c.csv"]),
        (
            "demo.toml",
            "label = \"bad\"",
            "label = \"worse\"",
            2,
            "unknown_column",
            &["demo.toml:6:9: label: ", "a.csv: no column `worse`", "`id`, `bad`, `x`"],
        ),
        ("w.csv", "telco.z,0.25\n", "", 2, "unknown_weight", &["w.csv", "`telco.z`"]),
        ("b.csv", "P7,", "P07,", 1, "row_order", &["row ids differ", "telco", "lender"]),
        (
            "b.csv",
            "P7,0",
            "P7,nought",
            2,
            "not_a_number",
            &["b.csv, line 9 (id `P7`), column `y`", "`nought`"],
        ),
        ("b.csv", "P7,0", "P7,", 2, "missing_value", &["b.csv, line 9 (id `P7`), column `y`", "empty"]),
        (
            "b.csv",
            "P7,0",
            "P7,7000",
            2,
            "out_of_range",
            &["b.csv, line 9 (id `P7`), column `y`", "7000", "±256"],
        ),
        ("a.csv", "P7,1", "P7,3", 2, "bad_outcome", &["a.csv, line 9, column `bad`", "got 3"]),
    ] {
        let dir = own_files();
        files::edit(&dir.path().join(file), |text| text.replacen(from, to, 1));
        let ended = run(SUBROSA, &["demo", "loan-scoring", "--json", "--data", dir.path().to_str().unwrap()]);
        let refusal = ended.refusal();
        assert_eq!((refusal.exit, refusal.code.as_str()), (exit, code), "{from} -> {to}: {refusal:?}");
        refusal.says(parts);
    }
    let gone = refused(&["demo", "loan-scoring", "--data", "/nonexistent/folder"]);
    assert_eq!((gone.exit, gone.code.as_str()), (2, "file_missing"));
    gone.says(&["/nonexistent/folder"]);
    let file = sound.path().join("a.csv");
    let onto = refused(&["demo", "loan-scoring", "--keep", file.to_str().unwrap()]);
    assert_eq!(onto.exit, 2, "{onto:?}");
    onto.says(&[file.to_str().unwrap()]);
}
