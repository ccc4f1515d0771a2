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

/// A private key in the place of anything is neither shown nor made the name of a file, in whatever form it comes.
#[test]
fn private_keys_are_not_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bank.key");
    let _made = run(SUBROSA, &["keygen", file.to_str().unwrap()]).succeeded();
    let pem = std::fs::read_to_string(&file).unwrap();
    let line = pem.lines().nth(1).unwrap();
    let secret = &line[22..];
    // As 32 bytes: a key of fixed text, since random base64 lacks a class of characters now and then.
    let (raw, digits) = ("CzBVep/E6Q4zWH2ix+wRNluApcrvFDleg6jN8hc8YYY=", "0b".repeat(32));
    for key in [&pem[..], line, raw, &digits] {
        let (flag, witness) = (format!("--key={key}"), format!("bureau={key}"));
        for args in [
            &["log", "check-proof", "p", "--key", key][..],
            &["log", "check-proof", "p", &flag],
            &["log", "check-proof", "p", "--key", "bank.pub", "--witness", key],
            &["log", "check-proof", "p", "--key", "bank.pub", "--witness", &witness],
            &["log", "prove", key, "--entry", "0"],
            &["log", "prove", "log", "--entry", key],
            &["log", "verify", key],
            &["log", "show", key],
            &["run", "--config", key],
            &["check", "--config", key],
            &["plan", key],
            &["demo", "loan-scoring", "--rows", key],
            &["demo", "loan-scoring", "--data", key],
            &["keygen", key],
            &[key],
        ] {
            for json in [&[][..], &["--json"]] {
                let args = [json, args].concat();
                let mut command = std::process::Command::new(SUBROSA);
                let command = command.args(&args).current_dir(dir.path());
                let by = std::time::Instant::now() + subrosa_tests::process::DEADLINE;
                let ended = subrosa_tests::Running::from_command("subrosa", command).finish(by);
                assert_eq!(ended.code, Some(2), "{ended}");
                for part in [secret, &raw[..20], &digits[..20]] {
                    let said = ended.stdout.contains(part) || ended.stderr.contains(part);
                    assert!(!said, "{ended}");
                }
            }
        }
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2, "a file was made");
    // Files called by a key or a session are asked about under their names.
    let head = "0b".repeat(32);
    std::fs::write(dir.path().join(&head), "no checkpoint").unwrap();
    let mut command = std::process::Command::new(SUBROSA);
    let command = command.args(["log", "prove", "log", "--since", &head]).current_dir(dir.path());
    let by = std::time::Instant::now() + subrosa_tests::process::DEADLINE;
    let refusal = subrosa_tests::Running::from_command("subrosa", command).finish(by).text_refusal();
    refusal.says(&[&head]);
}

/// A result that could not be written is no success, whoever reads the exit code.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_under_stdout_is_an_error() {
    let cluster = Cluster::new(SUBROSA, 2, 20);
    let _ran = cluster.run_well(std::time::Duration::from_secs(30));
    let log = cluster.text_path("bank/log");
    let (config, program) = (cluster.config("bank"), cluster.text_path("bank/scorecard.sbr"));
    let key = cluster.text_path("new.key");
    for args in [
        &["log", "prove", &log, "--entry", "0"][..],
        &["log", "verify", &log],
        &["log", "show", &log],
        &["plan", &program],
        &["check", "--config", &config],
        &["keygen", &key],
        &["--help"],
        &["--version"],
    ] {
        for json in [&[][..], &["--json"]] {
            if json == ["--json"] && args[0] == "keygen" {
                std::fs::remove_file(cluster.path("new.key")).unwrap();
                std::fs::remove_file(cluster.path("new.pub")).unwrap();
            }
            let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
            let output = std::process::Command::new(SUBROSA)
                .args([args, json].concat())
                .stdout(full)
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
            assert!(said.starts_with("error: cannot write to standard output"), "{args:?}: {said}");
        }
    }
    // Neither stream can be written: the exit code is all there is.
    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
    let status = std::process::Command::new(SUBROSA).arg("dance").stdout(full()).stderr(full()).status();
    assert_eq!(status.unwrap().code(), Some(2));
    // A reader that went away has read what it wanted.
    let gone = std::process::Command::new("sh")
        .args(["-c", "{ \"$0\" log show \"$1\"; echo $? >&2; } | true", SUBROSA, &log])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&gone.stderr), "0\n");
}

#[test]
fn hints_say_what_to_do() {
    let cluster = Cluster::new(SUBROSA, 2, 20);
    let _ran = cluster.run_well(std::time::Duration::from_secs(30));
    let (log, bank) = (cluster.text_path("bank/log"), cluster.config("bank"));
    let shown = run(SUBROSA, &["log", "show", "--json", &log]).succeeded().json();
    let size = shown["size"].as_u64().unwrap();
    let (csv, key) = (cluster.text_path("bank/bank.csv"), cluster.text_path("bank/bank.key"));
    let gone = cluster.text_path("gone");
    let proof = cluster.text_path("proof");
    let text = run(SUBROSA, &["log", "prove", &log, "--entry", "0"]).succeeded().stdout;
    std::fs::write(&proof, text).unwrap();
    for (args, hint) in [
        (&["log", "prove", &log, "--entry", "99"][..], format!("--entry 0 to {}", size - 1)),
        (&["log", "prove", &log, "--since", "99"], format!("--since 1 to {size}")),
        (&["plan", &csv], "Program::save".to_owned()),
        (&["plan", &gone], "Program::save".to_owned()),
        (&["demo", "loan-scoring", "--data", &gone], "configs/README.md".to_owned()),
        (&["demo", "loan-scoring", "--data", cluster.root().to_str().unwrap()], "demo.toml".to_owned()),
        (&["keygen", &key], "another file name".to_owned()),
        (&["log", "check-proof", &proof, "--key", &key], "FILE.pub".to_owned()),
        (&["run", "--config", &cluster.config("dealer")], "subrosa node".to_owned()),
        (&["node", "--config", &bank], "subrosa run".to_owned()),
    ] {
        let refusal = refused(args);
        assert_eq!(refusal.exit, 2, "{args:?}: {refusal:?}");
        assert!(refusal.hint.as_ref().is_some_and(|h| h.contains(&hint)), "{args:?}: {refusal:?}");
    }
    std::fs::write(&key, "no key\n").unwrap();
    assert!(refused(&["check", "--config", &bank]).hint.unwrap().contains("subrosa keygen"));
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
        (
            "w.csv",
            "telco.z,0.25\n",
            "telco.z,0.25\ntypo.x,3\n",
            2,
            "surplus_weight",
            &["w.csv, line 5: nothing uses the weight `typo.x`", "`telco.z`"],
        ),
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
