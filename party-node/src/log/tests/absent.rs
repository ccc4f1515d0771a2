//! A session that one log tells and another, whose signer took part, does not.

use std::path::{Path, PathBuf};

use mpc_core::channel::Peer;
use mpc_core::party::PartyId;
use mpc_core::transcript::{Close, Entry, Outcome};

use super::super::{LogWriter, render, verify};
use super::cosigned::{cosign, cosigned_session};
use super::session::{Plan, key_of};
use super::verifier::{assert_ok, copy, only_problem, rewritten, temp};

fn second(plan: &Plan) -> Plan {
    Plan { number: 2, ..plan.clone() }
}

/// Runs two sessions; returns the logs after the second, and copies of what they were after the first.
fn two_sessions(root: &Path, plan: &Plan) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let dirs = plan.run(root);
    let old: Vec<PathBuf> = dirs
        .iter()
        .map(|dir| {
            let to = root.join("old").join(dir.file_name().unwrap());
            copy(dir, &to);
            to
        })
        .collect();
    assert_eq!(second(plan).run(root), dirs);
    (dirs, old)
}

/// bank, telecom: both sessions; bureau, dealer: put back to the first.
#[test]
fn logs_put_back_to_before_a_completed_session_are_named_by_everyone_who_was_in_it() {
    let root = temp();
    let plan = Plan { items: 5, ..Plan::new(3, 3) };
    let id = second(&plan).session().to_string();
    let (new, old) = two_sessions(root.path(), &plan);
    assert_ok(&verify(&new, &[]));
    assert_ok(&verify(&old, &[]));
    let given = [new[0].clone(), old[1].clone(), new[2].clone(), old[3].clone()];
    let report = verify(&given, &[]);
    assert!(!report.ok);
    assert_eq!(report.problems.len(), 4, "{}", render(&report));
    for (honest, name, behind, entry) in [
        (&given[0], "bureau", &given[1], 5),
        (&given[0], "dealer", &given[3], 5),
        (&given[2], "bureau", &given[1], 4),
        (&given[2], "dealer", &given[3], 4),
    ] {
        let behind = behind.display().to_string();
        let found = report.problems.iter().find(|p| {
            p.log == honest.display().to_string() && p.what.contains(name) && p.what.contains(&behind)
        });
        let problem = found.unwrap_or_else(|| panic!("{name} in {honest:?}:\n{}", render(&report)));
        assert_eq!(problem.entry, Some(entry));
        assert!(problem.what.contains(&id) && problem.what.contains("rolled back"));
    }
}

#[test]
fn a_session_left_out_by_its_owner_is_missed_in_either_order_and_a_copy_that_has_it_is_enough() {
    let root = temp();
    let (new, old) = two_sessions(root.path(), &Plan::new(2, 3));
    for given in [[new[0].clone(), old[1].clone()], [old[1].clone(), new[0].clone()]] {
        let report = verify(&given, &[]);
        assert!(only_problem(&report).log == new[0].display().to_string(), "{}", render(&report));
    }
    assert_ok(&verify(&[new[0].clone(), old[1].clone(), new[1].clone()], &[]));
    // Left out in the middle rather than cut off.
    let hidden = root.path().join("hidden");
    let first = Plan::new(2, 3).session();
    rewritten(&new[1], &hidden, |e| e.retain(|e| e.session() != first));
    assert_eq!(only_problem(&verify(&[new[0].clone(), hidden], &[])).entry, Some(0));
}

#[test]
fn a_session_that_was_given_up_or_left_open_may_be_absent_and_is_noted() {
    let root = temp();
    let plan = Plan { die: Some((0, 1)), ..Plan::new(2, 3) };
    let (new, old) = two_sessions(root.path(), &plan);
    let report = verify(&[new[0].clone(), old[1].clone()], &[]);
    assert_ok(&report);
    let noted = |report: &super::super::Report| {
        report.notes.iter().any(|n| n.what.contains("absent from") && n.what.contains("did not complete"))
    };
    assert!(noted(&report), "{}", render(&report));
    let open = root.path().join("open");
    rewritten(&new[0], &open, |e| {
        let last = e.pop();
        assert!(matches!(last, Some(Entry::Close(_))));
    });
    let report = verify(&[open, old[1].clone()], &[]);
    assert_ok(&report);
    assert!(noted(&report), "{}", render(&report));
}

/// A claim of one is not the other's word; a cosignature is, if it can be about nothing else.
#[test]
fn an_absent_session_is_the_owners_claim_or_the_others_own_word() {
    let root = temp();
    let plan = Plan::new(2, 3);
    let dirs = cosigned_session(&plan, root.path());
    let (bureau, made_up) = (root.path().join("old/bureau"), root.path().join("made-up/bank"));
    copy(&dirs[1], &bureau);
    // The bank says that there was another session, and puts what the bureau signed after the first beside it.
    copy(&dirs[0], &made_up);
    let other = second(&plan);
    let writer = LogWriter::open(&made_up, "bank", key_of("bank")).unwrap();
    let open = other.open(Peer::Party(PartyId::new(0)));
    let close = Close { session: other.session(), outcome: Outcome::Completed, rounds: 0, bytes_sent: 0 };
    writer.handle().append(&open).unwrap();
    writer.handle().append(&Entry::Close(close)).unwrap();
    writer.close().unwrap();
    let claimed = |report: &super::super::Report| {
        let problem = only_problem(report);
        assert!(problem.what.contains("bank says that it was completed with bureau"), "{}", problem.what);
        assert!(problem.what.contains("either bank made it up, or bureau's log"), "{}", problem.what);
    };
    claimed(&verify(&[made_up.clone(), bureau.clone()], &[]));
    // A cosignature that the bureau gave after a third session covers the second's entries, and not what they say.
    let third = Plan { number: 3, ..plan.clone() };
    let writer = LogWriter::open(&made_up, "bank", key_of("bank")).unwrap();
    let Entry::SessionOpen(opened) = third.open(Peer::Party(PartyId::new(0))) else { panic!("open") };
    let close = Close {
        session: third.session(),
        outcome: Outcome::aborted("x", None, "y"),
        rounds: 0,
        bytes_sent: 0,
    };
    writer.handle().append(&Entry::SessionOpen(opened)).unwrap();
    writer.handle().append(&Entry::Close(close)).unwrap();
    writer.close().unwrap();
    cosign(&other, &made_up, &["bureau"]);
    claimed(&verify(&[made_up, bureau.clone()], &[]));
    // The bureau was in the second session, cosigned the bank's log after it, and was put back.
    assert_eq!(cosigned_session(&other, root.path()), dirs);
    let report = verify(&[dirs[0].clone(), bureau], &[]);
    let problem = only_problem(&report);
    for words in ["bank says", "bureau cosigned it at 2023-11-14T22:13:20Z", "by its own word"] {
        assert!(problem.what.contains(words), "{}", problem.what);
    }
}
