//! Files and configurations that cannot be used: exactly one clear line that names file, key or field with what was
//! expected and what was seen, exit code 2, one error object under `--json`, and never a crash.
//!
//! Bad data is in `bad_data.rs`, disagreement between nodes in `bad_peers.rs`, bad usage in `bad_usage.rs`.
#![allow(clippy::unwrap_used, reason = "a test: a panic is how it fails")]

use std::os::unix::fs::PermissionsExt as _;

use subrosa_tests::Cluster;
use subrosa_tests::refusal::{bank_is_refused, refused, with_change};

const SUBROSA: &str = env!("CARGO_BIN_EXE_subrosa-under-test");
const ROWS: usize = 24;

fn cluster() -> Cluster {
    Cluster::new(SUBROSA, 2, ROWS)
}

#[test]
fn missing_files_are_named() {
    let cluster = cluster();
    for (file, code) in [
        ("bank/bank.csv", "file_missing"),
        ("bank/weights.csv", "file_missing"),
        ("bank/scorecard.sbr", "file_missing"),
        ("bank/bank.key", "file_missing"),
        ("bank/bank.toml", "file_missing"),
    ] {
        let aside = cluster.path("aside");
        std::fs::rename(cluster.path(file), &aside).unwrap();
        bank_is_refused(&cluster, code, &[&cluster.text_path(file), "No such file"]);
        std::fs::rename(&aside, cluster.path(file)).unwrap();
    }
}

#[test]
fn keys_that_cannot_be_used_are_named() {
    let cluster = cluster();
    let key = cluster.path("bank/bank.key");
    let sound = std::fs::read(&key).unwrap();
    let mode = |bits| std::fs::set_permissions(&key, std::fs::Permissions::from_mode(bits)).unwrap();
    for open in [0o644, 0o640, 0o604] {
        mode(open);
        let seen = format!("found {open:04o}");
        bank_is_refused(&cluster, "key_unreadable", &[key.to_str().unwrap(), "expected mode 0600", &seen]);
    }
    mode(0o600);
    for text in [
        &b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"[..],
        b"",
        b"\xff\xfe\x00",
        &[b'A'; 9000],
    ] {
        std::fs::write(&key, text).unwrap();
        bank_is_refused(&cluster, "key_unreadable", &[key.to_str().unwrap(), "not an Ed25519 private key"]);
    }
    std::fs::write(&key, sound).unwrap();
    with_change(
        &cluster,
        "bank/bank.toml",
        "public_key = \"ed25519:",
        "public_key = \"",
        "bad_public_key",
        &["bank.toml:14:14", "`bank`", "expected ed25519:<base64 of 32 bytes>"],
    );
}

#[test]
fn another_nodes_key_is_named() {
    let cluster = cluster();
    let public = |n: &str| std::fs::read_to_string(cluster.path(&format!("{n}/{n}.pub"))).unwrap();
    std::fs::copy(cluster.path("bureau/bureau.key"), cluster.path("bank/bank.key")).unwrap();
    bank_is_refused(&cluster, "wrong_key", &["bank.key", public("bank").trim(), public("bureau").trim()]);
}

#[test]
fn malformed_toml_is_pointed_at() {
    let cluster = cluster();
    let toml = "bank/bank.toml";
    let at = |line: &str| {
        let text = std::fs::read_to_string(cluster.path(toml)).unwrap();
        format!("bank.toml:{}:", text.lines().position(|l| l.starts_with(line)).unwrap() + 1)
    };
    with_change(&cluster, toml, "key = \"bank.key\"", "key = \"bank.key", "config_syntax", &[&at("key =")]);
    with_change(&cluster, toml, "[log]", "[log", "config_syntax", &[&at("[log]")]);
    with_change(
        &cluster,
        toml,
        "listen = \"",
        "listen = 7 # \"",
        "config_syntax",
        &[&at("listen"), "string"],
    );
    with_change(
        &cluster,
        toml,
        "link = \"loopback\"",
        "link = \"moon\"",
        "config_syntax",
        &[&at("link"), "moon", "loopback"],
    );
    with_change(
        &cluster,
        toml,
        "listen = \"127",
        "listen = \"x127",
        "config_value",
        &[&at("listen"), "x127", "IP:port"],
    );
    let timeout = at("connect_timeout_ms");
    with_change(
        &cluster,
        toml,
        "connect_timeout_ms = ",
        "connect_timeout_ms = 99999999",
        "config_value",
        &[&timeout, "milliseconds"],
    );
    std::fs::write(cluster.path(toml), b"name = \"\xff\"").unwrap();
    let config = cluster.config("bank");
    let refusal = refused(&cluster, &["run", "--config", &config]);
    assert_eq!(refusal.exit, 2);
    refusal.says(&[&config]);
}

#[test]
fn unknown_and_missing_fields_are_pointed_at() {
    let cluster = cluster();
    let toml = "bank/bank.toml";
    with_change(
        &cluster,
        toml,
        "listen = ",
        "lisen = ",
        "config_syntax",
        &["bank.toml:6:1", "unknown field `lisen`", "listen"],
    );
    with_change(
        &cluster,
        toml,
        "[[party]]",
        "[[party]]\ncolour = 1",
        "config_syntax",
        &["unknown field `colour`"],
    );
    with_change(
        &cluster,
        toml,
        "[job]",
        "[job]\npriority = 1",
        "config_syntax",
        &["unknown field `priority`"],
    );
    with_change(&cluster, toml, "listen = ", "#", "config_syntax", &["bank.toml", "missing field `listen`"]);
    with_change(&cluster, toml, "[inputs.bias]", "[inputs.bais]", "unknown_input", &["`bais`", "`bias`"]);
    with_change(
        &cluster,
        toml,
        "[outputs.probability]",
        "[outputs.probabilities]",
        "config_value",
        &["probabilit"],
    );
}

#[test]
fn duplicate_parties_are_pointed_at() {
    let cluster = cluster();
    let text = std::fs::read_to_string(cluster.config("bank")).unwrap();
    let entry = |name: &str| {
        text.split("[[party]]").find(|e| e.contains(&format!("name = \"{name}\"\naddress"))).unwrap()
    };
    let value = |name: &str, field: &str| {
        entry(name)
            .lines()
            .find_map(|l| l.strip_prefix(&format!("{field} = ")))
            .unwrap()
            .trim_matches('"')
            .to_owned()
    };
    let toml = "bank/bank.toml";
    with_change(
        &cluster,
        toml,
        "name = \"bureau\"",
        "name = \"bank\"",
        "duplicate_party",
        &["bank.toml:", "`bank` is named twice"],
    );
    for field in ["public_key", "address"] {
        let (bank, bureau) = (value("bank", field), value("bureau", field));
        with_change(
            &cluster,
            toml,
            &bureau,
            &bank,
            "duplicate_party",
            &["bank.toml:", "`bank` and `bureau`", &bank],
        );
    }
    with_change(
        &cluster,
        toml,
        "name = \"dealer\"",
        "name = \"bureau\"",
        "duplicate_party",
        &["bank.toml:", "`bureau`"],
    );
    with_change(
        &cluster,
        toml,
        "name = \"bank\"",
        "name = \"bink\"",
        "not_in_roster",
        &["`bink`", "bank, bureau"],
    );
}

#[test]
fn unreadable_programs_are_refused() {
    let cluster = cluster();
    let file = cluster.path("bank/scorecard.sbr");
    let sound = std::fs::read(&file).unwrap();
    let mut flipped = sound.clone();
    *flipped.last_mut().unwrap() ^= 0xff;
    let wrong = [
        Vec::new(),
        b"hello".to_vec(),
        sound[..sound.len() - 1].to_vec(),
        [&sound[..], b"x"].concat(),
        vec![0xff; 5000],
    ];
    for bytes in wrong {
        std::fs::write(&file, &bytes).unwrap();
        bank_is_refused(&cluster, "bad_program", &["bank/scorecard.sbr"]);
        let plan = refused(&cluster, &["plan", file.to_str().unwrap()]);
        assert_eq!((plan.exit, plan.code.as_str()), (2, "bad_program"));
    }
    let other = Cluster::new(SUBROSA, 3, ROWS);
    std::fs::copy(other.path("bank/scorecard.sbr"), &file).unwrap();
    bank_is_refused(&cluster, "wrong_program", &["bank, bureau, telecom", "names bank, bureau"]);
}
