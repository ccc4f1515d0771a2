//! How much of a session a log may lack beside another's: nothing if anybody completed it, else what was under way.

use std::path::{Path, PathBuf};

use mpc_core::transcript::{Batch, Close, Entry, Outcome};

use super::super::writer::UNCOMMITTED_ENTRIES;
use super::super::{Report, render, verify};
use super::session::Plan;
use super::verifier::{assert_ok, only_problem, rewritten, temp};

const ROUNDS: u32 = 200;

/// The log in `dir` closed with `code` (left open if there is none), and only with the batches that `keep` says.
fn ended(dir: &Path, to: &Path, code: Option<&str>, keep: impl Fn(&Batch) -> bool) -> PathBuf {
    let to = to.join(dir.file_name().unwrap());
    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
    rewritten(dir, &to, |entries| {
        let session = entries[0].session();
        entries.retain(|e| match e {
            Entry::Batch(batch) => keep(batch),
            Entry::Close(_) => false,
            _ => true,
        });
        let close =
            |code| Close { session, outcome: Outcome::aborted(code, None, "lost"), rounds: 0, bytes_sent: 0 };
        entries.extend(code.map(|code| Entry::Close(close(code))));
    });
    to
}

fn with(root: &Path, dirs: &[PathBuf], code: Option<&str>, keep: impl Fn(&Batch) -> bool) -> Report {
    let to = tempfile::tempdir_in(root).unwrap();
    verify(&[ended(&dirs[0], to.path(), code, keep), dirs[1].clone()], &[])
}

#[test]
fn a_session_that_a_peer_completed_is_whole_however_the_other_says_it_ended() {
    let root = temp();
    let dirs = Plan { items: 600, ..Plan::new(2, ROUNDS) }.run(root.path());
    for code in [Some("lost"), Some("interrupted"), None] {
        assert_ok(&with(root.path(), &dirs, code, |_| true));
        let whole_dealer =
            [ended(&dirs[2], &root.path().join(format!("{code:?}")), code, |_| true), dirs[0].clone()];
        assert_ok(&verify(&whole_dealer, &[]));
        // All batches, one, the last.
        for (kept, missing) in
            [(0, "batch 0 of bureau is missing"), (1, "batch 1 of"), (3, "batch 3 of bureau is")]
        {
            let report = with(root.path(), &dirs, code, |b| b.lane == 0 && b.index < kept);
            let problem = only_problem(&report);
            assert!(
                problem.what.contains(missing) && problem.what.contains("bureau completed"),
                "{}",
                problem.what
            );
            assert_eq!(problem.log, dirs[1].display().to_string());
        }
        // Corrections, at either end.
        for (short, other) in [(2, 0), (0, 2)] {
            let to = tempfile::tempdir_in(root.path()).unwrap();
            let cut = ended(&dirs[short], to.path(), code, |b| b.lane == 0 || b.index < 2);
            let report = verify(&[cut, dirs[other].clone()], &[]);
            assert!(
                only_problem(&report).what.contains("corrections of lane 0, batch 2"),
                "{}",
                render(&report)
            );
        }
    }
}

#[test]
fn where_neither_completed_a_log_lacks_what_was_under_way_and_no_more() {
    let root = temp();
    let lost = u32::try_from(UNCOMMITTED_ENTRIES).unwrap();
    // As many rounds as a killed node can lose, the batch under way, and confirmation and outputs.
    let most = 64 * lost + 63 + 2;
    for (rounds, code, kept, fine) in [
        (129, "lost", 1, true),
        (130, "lost", 1, false),
        (200, "lost", 0, false),
        (129, "interrupted", 0, true),
        (most, "interrupted", 0, true),
        (most + 1, "interrupted", 0, false),
        (most + 64, "interrupted", 1, true),
        (most + 65, "interrupted", 1, false),
    ] {
        let root = temp();
        let dirs = Plan::new(2, rounds).run(root.path());
        let other = ended(&dirs[1], &root.path().join("other"), Some("lost"), |_| true);
        let report = with(root.path(), &[dirs[0].clone(), other.clone()], Some(code), |b| b.index < kept);
        let what = format!("{rounds} rounds, {code}, {kept} batches kept: {}", render(&report));
        assert_eq!(report.ok, fine, "{what}");
        match fine {
            true => assert!(report.notes.iter().any(|n| n.what.contains("did not both record")), "{what}"),
            false => {
                let problem = only_problem(&report);
                assert!(problem.log == other.display().to_string(), "{what}");
                assert!(
                    problem.what.contains(&format!("has {rounds} rounds"))
                        && problem.what.contains("lacks at most"),
                    "{what}"
                );
            }
        }
    }
    // A log of some moment while the node runs.
    let dirs = Plan::new(2, most + 100).run(root.path());
    let other = ended(&dirs[1], &root.path().join("other"), Some("lost"), |_| true);
    let report = with(root.path(), &[dirs[0].clone(), other], None, |_| false);
    assert_ok(&report);
    assert!(report.notes.iter().any(|n| n.what.contains("not closed")), "{}", render(&report));
}

#[test]
fn a_dealer_logs_corrections_before_they_leave_and_a_party_after() {
    let root = temp();
    let plan = Plan { items: 256 * 40, ..Plan::new(2, 3) };
    let dirs = plan.run(root.path());
    let bank = ended(&dirs[0], &root.path().join("all"), Some("lost"), |_| true);
    let (dealer, batches) = (&dirs[2], 40);
    let most = UNCOMMITTED_ENTRIES + 1;
    for (code, kept, fine) in [
        ("lost", batches, true),
        ("lost", batches - 1, false),
        ("interrupted", batches - most, true),
        ("interrupted", batches - most - 1, false),
    ] {
        let to = tempfile::tempdir_in(root.path()).unwrap();
        let cut = ended(dealer, to.path(), Some(code), |b| b.index < kept);
        let report = verify(&[cut, bank.clone()], &[]);
        assert_eq!(report.ok, fine, "{code}, {kept} kept: {}", render(&report));
    }
    let dealer = ended(dealer, &root.path().join("all"), Some("lost"), |_| true);
    let cut = ended(&dirs[0], &root.path().join("cut"), Some("lost"), |b| b.lane == 0);
    assert_ok(&verify(&[cut, dealer], &[]));
}
