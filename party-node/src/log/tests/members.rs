//! Members that an owner made up, or that go by other keys than they should.

use std::path::{Path, PathBuf};

use mpc_core::channel::Peer;
use mpc_core::party::PartyId;
use mpc_core::transcript::{Close, Entry, Outcome};

use super::super::{LogWriter, Report, render, verify};
use super::session::{Plan, key_of, member};
use super::verifier::{assert_ok, only_problem, temp};

/// The log in `dir`, `owner`'s, gets a completed session with a `bureau` that has the key of `signer`, cosigned by that.
fn add_session(dir: &Path, owner: &str, signer: &str, number: u8) {
    let writer = LogWriter::open(dir, owner, key_of(owner)).unwrap();
    let handle = writer.handle();
    let plan = Plan { number, ..Plan::new(2, 0) };
    let Entry::SessionOpen(mut open) = plan.open(Peer::Party(PartyId::new(0))) else { panic!("open") };
    open.parties[1].key = member(signer).key;
    open.session = open.derived_session().unwrap();
    handle.append(&Entry::SessionOpen(open.clone())).unwrap();
    let close = Close { session: open.session, outcome: Outcome::Completed, rounds: 0, bytes_sent: 0 };
    handle.append(&Entry::Close(close)).unwrap();
    let head = handle.flush().unwrap();
    let line = head.checkpoint().cosign("bureau", &key_of(signer), 7).unwrap();
    handle.keep_cosigned(&open, head.with_signature(line).unwrap()).unwrap();
    writer.close().unwrap();
}

fn noted(report: &Report, words: &[&str]) -> bool {
    report.notes.iter().any(|n| words.iter().all(|w| n.what.contains(w)))
}

/// The bank's log with a session that a made-up bureau cosigned, and the true bureau's.
fn invented(root: &Path) -> Vec<PathBuf> {
    let dirs = Plan::new(2, 3).run(root);
    add_session(&dirs[0], "bank", "mallory", 9);
    dirs
}

#[test]
fn a_witness_that_the_owner_made_up_is_named_beside_the_true_ones_log_and_by_its_key() {
    let root = temp();
    let dirs = invented(root.path());
    let (fake, real) = (key_text("mallory"), key_text("bureau"));
    let says_so = |report: &Report, words: &[&str]| {
        let problem = only_problem(report);
        assert_eq!(
            (&problem.log, problem.entry),
            (&dirs[0].display().to_string(), Some(4)),
            "{}",
            render(report)
        );
        assert!([&fake, &real].iter().all(|k| problem.what.contains(*k)), "{}", problem.what);
        assert!(words.iter().all(|w| problem.what.contains(w)), "{}", problem.what);
    };
    // By the other log alone, by the keys alone, by both.
    says_so(&verify(&dirs, &[]), &["bureau's log in", "is signed with another"]);
    let keys = ["bank", "bureau"].map(member);
    says_so(&verify(&dirs[..1], &keys), &["bureau has another key"]);
    says_so(&verify(&dirs, &keys), &["bureau has another key"]);
    // With nothing to compare it is one name under two keys, which everybody may have in time.
    let report = verify(&dirs[..1], &[]);
    assert_ok(&report);
    assert!(noted(&report, &["bureau goes by 2 keys", &fake, &real]), "{}", render(&report));
    // Keys are there to compare by eye, too.
    let text = render(&report);
    for key in [&fake, &real] {
        assert!(
            text.lines().any(|l| l.starts_with("key") && l.contains(key) && l.ends_with("not compared")),
            "{text}"
        );
    }
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["logs"][0]["cosignatures"][0]["key"], fake);
    assert!(json["logs"][0]["members"].as_array().unwrap().iter().any(|m| m["key"] == fake));
}

fn key_text(name: &str) -> String {
    crate::identity::public_key_text(&member(name).key)
}

#[test]
fn a_member_that_changed_its_key_is_noted_and_both_keys_may_be_given() {
    let root = temp();
    let dirs = invented(root.path());
    let second = mpc_core::transcript::Member { name: "bureau".to_owned(), ..member("mallory") };
    let keys = [member("bank"), member("bureau"), second];
    let report = verify(&dirs, &keys);
    assert_ok(&report);
    assert!(report.notes.iter().all(|n| !n.what.contains("key")), "{}", render(&report));
    assert!(render(&report).lines().filter(|l| l.starts_with("key")).all(|l| l.ends_with("as given")));
    // Both logs of the one that changed: its word for both keys.
    let later = root.path().join("later");
    let writer = LogWriter::open(&later, "bureau", key_of("mallory")).unwrap();
    let plan = Plan { number: 9, ..Plan::new(2, 0) };
    let Entry::SessionOpen(mut open) = plan.open(Peer::Party(PartyId::new(1))) else { panic!("open") };
    open.parties[1].key = member("mallory").key;
    open.session = open.derived_session().unwrap();
    let close = Close { session: open.session, outcome: Outcome::Completed, rounds: 0, bytes_sent: 0 };
    writer.handle().append(&Entry::SessionOpen(open)).unwrap();
    writer.handle().append(&Entry::Close(close)).unwrap();
    writer.close().unwrap();
    let report = verify(&[dirs[0].clone(), dirs[1].clone(), later], &[]);
    assert_ok(&report);
    assert!(noted(&report, &["bureau goes by 2 keys", "ask bureau"]), "{}", render(&report));
}

#[test]
fn members_without_a_key_are_noted_and_logs_without_one_refused() {
    let root = temp();
    let dirs = Plan { items: 5, ..Plan::new(3, 3) }.run(root.path());
    let report = verify(&dirs[..2], &["bank", "bureau"].map(member));
    assert_ok(&report);
    for name in ["telecom", "dealer"] {
        assert!(
            noted(&report, &[&format!("no key was given for {name}"), &key_text(name)]),
            "{}",
            render(&report)
        );
    }
    assert_eq!(report.notes.len(), 2, "each once: {}", render(&report));
    let report = verify(&dirs[..2], &[member("bank")]);
    assert!(only_problem(&report).what.contains("for bureau none was given"), "{}", render(&report));
    // The names are the caller's: another's key under a name is not that node's.
    let swapped = mpc_core::transcript::Member { name: "bank".to_owned(), ..member("bureau") };
    let report = verify(&dirs[..1], &[swapped]);
    assert!(
        report.problems.iter().any(|p| p.what.contains("not among those expected")),
        "{}",
        render(&report)
    );
    assert!(noted(&report, &["bureau has the key", "given for bank"]), "{}", render(&report));
}
