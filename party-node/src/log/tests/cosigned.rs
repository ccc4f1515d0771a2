//! Cosigned logs verify and name their witnesses; whatever is dropped, added, moved or forged is named.

use std::fs;
use std::path::{Path, PathBuf};

use mpc_core::checkpoint::{Checkpoint, NoteSignature, SignedCheckpoint};
use mpc_core::merkle::TreeHash;
use mpc_core::transcript::{Entry, Witnessed};

use super::super::layout;
use super::super::{LogStore, render, verify};
use super::session::{DEALER, NAMES, Plan, key_of};
use super::verifier::{assert_ok, copy, only_problem, rewritten, temp};

const TIME_S: u64 = 1_700_000_000;

pub(super) fn line(head: &Checkpoint, name: &str) -> NoteSignature {
    head.cosign(name, &key_of(name), TIME_S).unwrap()
}

fn name_of(dir: &Path) -> String {
    dir.file_name().unwrap().to_str().unwrap().to_owned()
}

/// Has the log in `dir` cosigned by `signers` after the session.
pub(super) fn cosign(plan: &Plan, dir: &Path, signers: &[&str]) {
    let name = name_of(dir);
    let mut store = LogStore::open_or_create(dir, &name, key_of(&name)).unwrap();
    let head = store.checkpoint().clone();
    let cosigned = signers
        .iter()
        .filter(|s| **s != name)
        .fold(head.clone(), |note, signer| note.with_signature(line(head.checkpoint(), signer)).unwrap());
    store.keep_cosigned(plan.session(), &cosigned).unwrap();
}

/// Runs the session and has everyone cosign everyone.
pub(super) fn cosigned_session(plan: &Plan, root: &Path) -> Vec<PathBuf> {
    let dirs = plan.run(root);
    let dealer = (plan.items > 0).then_some(DEALER);
    let signers: Vec<&str> = NAMES[..plan.parties].iter().copied().chain(dealer).collect();
    dirs.iter().for_each(|dir| cosign(plan, dir, &signers));
    dirs
}

#[test]
fn fully_cosigned_logs_name_their_witnesses_and_have_no_notes() {
    let root = temp();
    let plan = Plan { items: 5, ..Plan::new(3, 3) };
    let dirs = cosigned_session(&plan, root.path());
    let report = verify(&dirs, &[]);
    assert_ok(&report);
    assert!(report.notes.is_empty(), "{}", render(&report));
    assert_eq!(report.logs[0].witnesses, ["bureau", "telecom", "dealer"]);
    assert_eq!(report.logs[3].witnesses, ["bank", "bureau", "telecom"]);
    assert!(render(&report).contains("witnesses bureau, telecom, dealer"));
    // And sessions go on after that.
    let next = Plan { number: 2, ..plan };
    cosigned_session(&next, root.path());
    let report = verify(&dirs, &[]);
    assert_ok(&report);
    assert!(report.notes.is_empty() && report.logs[0].sessions == 2, "{}", render(&report));
}

#[test]
fn fewer_cosignatures_are_noted() {
    let root = temp();
    let plan = Plan { die: Some((1, 2)), ..Plan::new(3, 5) };
    let dirs = plan.run(root.path());
    cosign(&plan, &dirs[0], &["telecom"]);
    let report = verify(&dirs, &[]);
    assert_ok(&report);
    assert!(report.notes.iter().any(|n| n.what.contains("not cosigned by bureau")), "{}", render(&report));
    assert_eq!(report.logs[0].witnesses, ["telecom"]);
    Plan { number: 2, ..Plan::new(3, 5) }.run(root.path());
    let report = verify(&dirs[..1], &[]);
    assert_ok(&report);
    assert!(report.notes.iter().any(|n| n.what.contains("cosigned by nobody")), "{}", render(&report));
}

#[test]
fn lines_and_files_dropped_added_or_moved_by_somebody_without_the_key_are_named() {
    let root = temp();
    let plan = Plan::new(3, 3);
    let dirs = cosigned_session(&plan, root.path());
    let file = layout::cosigned(&plan.session());
    let path = dirs[0].join(&file);
    let text = fs::read_to_string(&path).unwrap();
    let expect = |what: &str| {
        let report = verify(&dirs, &[]);
        let problem = report.problems.iter().find(|p| p.what.starts_with(&format!("{file}: entry 4: ")));
        assert!(!report.ok && problem.is_some(), "{what}:\n{}", render(&report));
    };
    let lines: Vec<&str> = text.lines().collect();
    for i in 0..lines.len() {
        let mut fewer = lines.clone();
        let line = fewer.remove(i);
        fs::write(&path, fewer.join("\n") + "\n").unwrap();
        expect("dropped");
        let mut more = lines.clone();
        more.insert(i, line);
        fs::write(&path, more.join("\n") + "\n").unwrap();
        expect("doubled");
        let mut moved = lines.clone();
        moved.swap(i, (i + 1) % lines.len());
        fs::write(&path, moved.join("\n") + "\n").unwrap();
        expect("moved");
    }
    fs::write(&path, fs::read(dirs[1].join(&file)).unwrap()).unwrap();
    expect("another log's");
    fs::remove_file(&path).unwrap();
    expect("removed");
    fs::write(&path, &text).unwrap();
    assert_ok(&verify(&dirs, &[]));
    let stray = dirs[0].join("cosigned").join("ab".repeat(32));
    fs::write(&stray, &text).unwrap();
    let report = verify(&dirs, &[]);
    let what = &only_problem(&report).what;
    assert!(what.contains("does not belong") && !what.contains("interrupted write"), "{what}");
    // One of a session that is closed and has none may be the node's own, which was killed before it wrote the entry.
    fs::remove_file(stray).unwrap();
    let next = Plan { number: 2, ..plan };
    next.run(root.path());
    fs::write(dirs[0].join(layout::cosigned(&next.session())), &text).unwrap();
    let report = verify(&dirs, &[]);
    let what = &only_problem(&report).what;
    assert!(what.contains("does not belong") && what.contains("left by an interrupted write"), "{what}");
}

/// What an owner can fix in an entry under its own key, and must not pass all the same.
#[test]
fn cosignatures_that_the_session_does_not_warrant_are_named() {
    let root = temp();
    let plan = Plan::new(3, 3);
    let dirs = plan.run(root.path());
    let refused = |note: &dyn Fn(&SignedCheckpoint) -> SignedCheckpoint| {
        let to = root.path().join("forged").join("bank");
        copy(&dirs[0], &to);
        let mut store = LogStore::open_or_create(&to, "bank", key_of("bank")).unwrap();
        let forged = note(store.checkpoint());
        store.keep_cosigned(plan.session(), &forged).unwrap();
        drop(store);
        let report = verify(std::slice::from_ref(&to), &[]);
        let problem = only_problem(&report).clone();
        assert!(problem.entry == Some(4) && report.logs[0].witnesses.is_empty(), "{}", render(&report));
        fs::remove_dir_all(&to).unwrap();
        problem.what
    };
    let add = |head: &SignedCheckpoint, names: &[&str]| {
        names.iter().fold(head.clone(), |note, n| note.with_signature(line(head.checkpoint(), n)).unwrap())
    };
    assert!(refused(&|head| head.clone()).contains("no cosignature"));
    assert!(refused(&|head| add(head, &["telecom", "bureau"])).contains("out of order"));
    assert!(refused(&|head| add(head, &["bureau", "bureau"])).contains("a second time"));
    assert!(refused(&|head| add(head, &["grocer"])).contains("nobody of this session"));
    assert!(refused(&|head| add(head, &["bank"])).contains("nobody of this session"));
    // The roster's name, another's key.
    let impostor = |head: &SignedCheckpoint| {
        let line = head.checkpoint().cosign("bureau", &key_of("grocer"), TIME_S).unwrap();
        head.clone().with_signature(line).unwrap()
    };
    assert!(refused(&impostor).contains("another key"));
    let signed = |size: u64, root: TreeHash| {
        let head = Checkpoint::new("bank", size, root).unwrap().sign(&key_of("bank"));
        add(&head, &["bureau"])
    };
    let other_root = |head: &SignedCheckpoint| signed(head.checkpoint().size(), TreeHash([1; 32]));
    assert!(refused(&other_root).contains("another log"));
    assert!(refused(&|head| signed(3, head.checkpoint().root())).contains("between the session's close"));
    assert!(refused(&|head| signed(99, head.checkpoint().root())).contains("between the session's close"));
    let by_another = |head: &SignedCheckpoint| {
        let head = head.checkpoint().clone().sign(&key_of("grocer"));
        add(&head, &["bureau"])
    };
    assert!(refused(&by_another).contains("another key"));
}

#[test]
fn a_session_is_witnessed_once_and_after_its_close() {
    let root = temp();
    let plan = Plan::new(2, 3);
    let dirs = cosigned_session(&plan, root.path());
    for (change, word) in [
        ((|e: &mut Vec<Entry>| e.swap(3, 4)) as fn(&mut Vec<Entry>), "before it is closed"),
        (|e| e.push(e[4].clone()), "already witnessed in entry 4"),
        (|e| e.insert(0, e[4].clone()), "not opened before"),
        (|e| e.push(e[1].clone()), "already closed"),
    ] {
        let to = root.path().join("changed").join("bank");
        copy(&dirs[0], &to);
        fs::remove_dir_all(to.join("tile")).unwrap();
        fs::remove_file(to.join("checkpoint")).unwrap();
        let cosigned = fs::read(to.join(layout::cosigned(&plan.session()))).unwrap();
        fs::remove_dir_all(to.join("cosigned")).unwrap();
        rewritten(&dirs[0], &to, change);
        fs::create_dir(to.join("cosigned")).unwrap();
        fs::write(to.join(layout::cosigned(&plan.session())), cosigned).unwrap();
        let report = verify(&[to], &[]);
        assert!(report.problems.iter().any(|p| p.what.contains(word)), "{word}:\n{}", render(&report));
        fs::remove_dir_all(root.path().join("changed")).unwrap();
    }
}

#[test]
fn a_file_that_no_entry_fixes_is_removed_when_the_log_is_opened_and_one_that_is_missing_refused() {
    let root = temp();
    let plan = Plan::new(2, 3);
    let dirs = cosigned_session(&plan, root.path());
    let open = || LogStore::open_or_create(&dirs[0], "bank", key_of("bank"));
    let stray = format!("cosigned/{}", "ab".repeat(32));
    fs::write(dirs[0].join(&stray), "half").unwrap();
    assert_eq!(open().unwrap().recovered(), [stray]);
    assert_ok(&verify(&dirs, &[]));
    let file = dirs[0].join(layout::cosigned(&plan.session()));
    let text = fs::read(&file).unwrap();
    fs::write(&file, &text[1..]).unwrap();
    assert!(open().err().unwrap().to_string().contains("is not what its entry fixes"));
    fs::remove_file(&file).unwrap();
    assert!(open().err().unwrap().to_string().contains("is missing"));
    assert_eq!(Witnessed::digest(&text).len(), 32);
}
