//! A node's log on a disk that is full: the operating system's limit on file sizes stands in for it.
//!
//! This test's own program is the node: started again under `ulimit -f`, it appends and flushes until a write fails
//! (the signal ignored, so the write returns an error) or until the system kills it in the middle of a write.
#![cfg(unix)]
// Clippy knows test functions, not their helpers.
#![allow(clippy::unwrap_used)]

use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, fs};

use ed25519_dalek::SigningKey;
use mpc_core::channel::Peer;
use mpc_core::party::PartyId;
use mpc_core::transcript::{Batch, Entry, Member, PeerDigests, SessionOpen, SessionTerms};
use party_node::log::{LogWriter, render, verify};

const DIR: &str = "SUBROSA_TEST_FULL_DISK_DIR";
const BATCHES: u64 = 120;

fn key(party: u8) -> SigningKey {
    SigningKey::from_bytes(&[party + 1; 32])
}

fn public(party: u8) -> [u8; 32] {
    key(party).verifying_key().to_bytes()
}

fn open() -> SessionOpen {
    let nonces = vec![[5; 32], [6; 32]];
    let terms = SessionTerms {
        protocol_version: 1,
        program: [1; 32],
        parameters: [2; 32],
        parties: vec![public(0), public(1)],
        dealer: None,
        nonces: nonces.clone(),
    };
    let member = |name: &str, key| Member { name: name.into(), key };
    SessionOpen {
        session: terms.id(),
        protocol_version: 1,
        program: [1; 32],
        parameters: [2; 32],
        me: Peer::Party(PartyId::new(0)),
        parties: vec![member("bank", public(0)), member("bureau", public(1))],
        dealer: None,
        nonces,
        seed_commitment: [3; 32],
    }
}

fn batch(index: u64) -> Entry {
    let peer = PeerDigests {
        peer: Peer::Party(PartyId::new(1)),
        sent: [1; 32],
        received: [2; 32],
        sent_bytes: 3,
        received_bytes: 4,
    };
    let (first_round, last_round) = (64 * index, 64 * index + 63);
    let session = open().session;
    Entry::Batch(Batch { session, lane: 0, index, first_round, last_round, peers: vec![peer] })
}

/// Not a test by itself: the node. Tells on stdout what it was told to be durable.
#[test]
fn child() {
    let Ok(dir) = env::var(DIR) else { return };
    let tell = |line: String| {
        let mut out = io::stdout().lock();
        writeln!(out, "\n{line}").and_then(|()| out.flush()).unwrap();
    };
    let writer = match LogWriter::open(Path::new(&dir), "bank", key(0)) {
        Ok(writer) => writer,
        Err(error) => return tell(format!("failed {error}")),
    };
    let handle = writer.handle();
    let entries = [Entry::SessionOpen(open())].into_iter().chain((0..BATCHES).map(batch));
    for entry in entries {
        match handle.append(&entry).and_then(|()| handle.flush()) {
            Ok(head) => tell(format!("acknowledged {}", head.checkpoint().size())),
            Err(error) => {
                tell(format!("failed {error}"));
                // It says so again and writes nothing more.
                assert!(handle.append(&entry).is_err() && handle.flush().is_err() && handle.check().is_err());
                assert!(writer.close().is_err());
                return tell("ended".to_owned());
            }
        }
    }
    writer.close().unwrap();
    tell("whole".to_owned());
}

/// Runs the node under a limit of `blocks` of 512 bytes; gives its lines.
fn run(dir: &Path, blocks: Option<u32>, killed: bool) -> Vec<String> {
    let limit = blocks.map_or_else(String::new, |b| {
        format!("{}ulimit -f {b} || exit 99; ", if killed { "" } else { "trap '' XFSZ; " })
    });
    let script = format!("{limit}exec \"$0\" --exact child --nocapture --test-threads=1");
    let output = Command::new("sh")
        .args(["-c", &script])
        .arg(env::current_exe().unwrap())
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_ne!(output.status.code(), Some(99), "no limit could be set");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !killed {
        assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    }
    text.lines().map(str::to_owned).collect()
}

fn acknowledged(lines: &[String]) -> u64 {
    let sizes = lines.iter().filter_map(|l| l.strip_prefix("acknowledged ")?.parse().ok());
    sizes.max().unwrap_or(0)
}

/// The log holds what was acknowledged, verifies after the next start, and takes entries again.
fn assert_recovers(dir: &Path, least: u64, when: &str) {
    let writer = LogWriter::open(dir, "bank", key(0)).unwrap_or_else(|e| panic!("{when}: {e}"));
    let head = writer.close().unwrap();
    let size = head.checkpoint().size();
    // What was under way may be there, and the next start closes the session.
    assert!((least..=least + 2).contains(&size), "{when}: {least} were acknowledged, {size} are there");
    let report = verify(&[dir.to_owned()], &[Member { name: "bank".to_owned(), key: public(0) }]);
    assert!(report.ok, "{when}:\n{}", render(&report));
}

#[test]
fn a_full_disk_is_told_and_what_was_acknowledged_survives() {
    let mut failed = 0;
    for blocks in [0, 1, 2, 3, 5, 8, 13, 21, 30] {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("bank");
        let lines = run(&dir, Some(blocks), false);
        let when = format!("{blocks} blocks");
        if lines.iter().any(|l| l == "whole") {
            assert_recovers(&dir, BATCHES + 1, &when);
            continue;
        }
        failed += 1;
        let reason =
            lines.iter().find(|l| l.starts_with("failed ")).unwrap_or_else(|| panic!("{when}: {lines:?}"));
        assert!(reason.contains("cannot write") && reason.contains("bank"), "{when}: {reason}");
        assert_recovers(&dir, acknowledged(&lines), &when);
    }
    assert!(failed >= 5, "only {failed} limits were met");
}

#[test]
fn a_node_killed_by_the_system_in_the_middle_of_a_write_recovers() {
    let mut killed = 0;
    for blocks in [0, 1, 2, 3, 5, 8, 13, 21, 30] {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("bank");
        let lines = run(&dir, Some(blocks), true);
        let whole = lines.iter().any(|l| l == "whole");
        killed += u32::from(!whole);
        assert!(whole || !lines.iter().any(|l| l.starts_with("failed ")), "{lines:?}");
        assert_recovers(&dir, acknowledged(&lines), &format!("killed at {blocks} blocks"));
        assert!(!fs::exists(dir.join("tmp")).unwrap(), "a torn file is left");
    }
    assert!(killed >= 5, "only {killed} limits were met");
}

#[test]
fn without_a_limit_the_node_comes_to_its_end() {
    let root = tempfile::tempdir().unwrap();
    let lines = run(&root.path().join("bank"), None, false);
    assert!(lines.iter().any(|l| l == "whole") && acknowledged(&lines) == BATCHES + 1, "{lines:?}");
}
