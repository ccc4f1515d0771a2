//! Honest logs verify; whatever is changed is found and named.

use std::fs;
use std::path::{Path, PathBuf};

use mpc_core::channel::Peer;
use mpc_core::hex::hex;
use mpc_core::party::PartyId;
use mpc_core::transcript::{Commitment, CommitmentKind, Entry, Outcome};
use tempfile::TempDir;

use super::super::layout::CHECKPOINT;
use super::super::listing::Listing;
use super::super::read::read;
use super::super::{LogStore, Problem, Report, render, render_log, show, verify};
use super::cosigned::cosigned_session;
use super::session::{DEALER, NAMES, Plan, key_of, member};

pub(super) fn temp() -> TempDir {
    tempfile::tempdir().unwrap()
}

pub(super) fn assert_ok(report: &Report) {
    assert!(report.ok && report.problems.is_empty(), "{}", render(report));
}

pub(super) fn files(dir: &Path) -> Vec<String> {
    Listing::of(dir).unwrap().files.into_iter().collect()
}

pub(super) fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let target = to.join(&file);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(from.join(&file), target).unwrap();
    }
}

/// The log in `dir`, with other entries, under its owner's key: what a dishonest owner can do.
pub(super) fn rewritten(dir: &Path, to: &Path, change: impl FnOnce(&mut Vec<Entry>)) {
    let listing = Listing::of(dir).unwrap();
    let raw = read(dir, &listing);
    let mut entries: Vec<Entry> = raw.entries.iter().map(|e| Entry::decode(e).unwrap()).collect();
    change(&mut entries);
    let name = dir.file_name().unwrap().to_str().unwrap();
    let mut store = LogStore::open_or_create(to, name, key_of(name)).unwrap();
    store.append(&entries.iter().map(Entry::encode).collect::<Vec<_>>()).unwrap();
    store.commit().unwrap();
}

pub(super) fn only_problem(report: &Report) -> &Problem {
    assert!(!report.ok);
    assert_eq!(report.problems.len(), 1, "{}", render(report));
    &report.problems[0]
}

#[test]
fn honest_sessions_of_2_3_and_5_parties_verify() {
    for parties in [2, 3, 5] {
        let root = temp();
        let dirs = Plan { items: 300, ..Plan::new(parties, 130) }.run(root.path());
        let report = verify(&dirs, &[]);
        assert_ok(&report);
        assert!(report.notes.is_empty(), "{}", render(&report));
        let names: Vec<_> = report.logs.iter().map(|l| l.party.as_str()).collect();
        assert_eq!(names, [&NAMES[..parties], &[DEALER]].concat());
        // open, commitment, 130 rounds in batches of 64, close; party 0 has two batches of corrections besides.
        let sizes: Vec<_> = report.logs.iter().map(|l| (l.size, l.entries, l.sessions)).collect();
        assert_eq!(sizes[0], (8, 8, 1));
        assert!(sizes[1..parties].iter().all(|&s| s == (6, 6, 1)));
        assert_eq!(sizes[parties], (4, 4, 1));
    }
}

#[test]
fn the_json_has_the_keys_that_scripts_rely_on() {
    let root = temp();
    let dirs = Plan::new(2, 3).run(root.path());
    fs::write(dirs[1].join("stray"), "x").unwrap();
    let json = serde_json::to_value(verify(&dirs, &[])).unwrap();
    assert_eq!(json["ok"], false);
    assert_eq!(json["logs"][0]["party"], "bank");
    assert_eq!(json["logs"][0]["size"], 4);
    assert_eq!(json["logs"][0]["entries"], 4);
    assert!(json["logs"][0]["root"].is_string() && json["logs"][0]["witnesses"].is_array());
    let problem = &json["problems"][0];
    assert_eq!(problem["log"], dirs[1].display().to_string());
    assert!(problem["entry"].is_null());
    assert!(problem["what"].as_str().unwrap().contains("stray"));
}

#[test]
fn every_flipped_byte_is_found_in_its_file() {
    let root = temp();
    let dirs = cosigned_session(&Plan { items: 20, ..Plan::new(2, 70) }, root.path());
    assert_ok(&verify(&dirs, &[]));
    let mut flips = 0;
    for dir in &dirs {
        for file in files(dir) {
            let path = dir.join(&file);
            let content = fs::read(&path).unwrap();
            for i in 0..content.len() {
                // Every bit of the small checkpoints, one bit of each byte of the rest.
                let bits =
                    if file == CHECKPOINT || file.starts_with("cosigned/") { 0..8 } else { i % 8..i % 8 + 1 };
                for bit in bits {
                    let mut bad = content.clone();
                    bad[i] ^= 1 << bit;
                    fs::write(&path, &bad).unwrap();
                    let report = verify(std::slice::from_ref(dir), &[]);
                    let named = |p: &Problem| p.log == dir.display().to_string() && p.what.contains(&file);
                    assert!(
                        !report.ok && report.problems.iter().any(named),
                        "bit {bit} of byte {i} of {}:\n{}",
                        path.display(),
                        render(&report)
                    );
                    flips += 1;
                }
            }
            fs::write(&path, &content).unwrap();
        }
    }
    assert!(flips > 5000, "{flips}");
    assert_ok(&verify(&dirs, &[]));
}

#[test]
fn cut_lengthened_removed_and_added_files_are_named() {
    let root = temp();
    let dirs = Plan::new(2, 70).run(root.path());
    let dir = &dirs[0];
    let expect = |file: &str, what: &str| {
        let report = verify(&dirs, &[]);
        let found = report.problems.iter().any(|p| p.what.contains(file));
        assert!(!report.ok && found, "{what} {file}:\n{}", render(&report));
    };
    for file in files(dir) {
        let path = dir.join(&file);
        let content = fs::read(&path).unwrap();
        for end in 0..content.len() {
            fs::write(&path, &content[..end]).unwrap();
            expect(&file, "cut");
        }
        fs::write(&path, [&content[..], b"x"].concat()).unwrap();
        expect(&file, "lengthened");
        if file != "lock" {
            fs::remove_file(&path).unwrap();
            expect(&file, "removed");
        }
        fs::write(&path, &content).unwrap();
        assert_ok(&verify(&dirs, &[]));
    }
    for stray in [
        "notes.txt",
        "tmp",
        "tile/1/000.p/1",
        "tile/0/000.p/1",
        "tile/entries/000",
        "tile/x",
        "tile/0/000.p/05",
    ] {
        let path = dir.join(stray);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "x").unwrap();
        expect(stray, "added");
        fs::remove_file(&path).unwrap();
        for parent in path.ancestors().skip(1).take_while(|p| p != dir) {
            if fs::remove_dir(parent).is_err() {
                break;
            }
        }
        assert_ok(&verify(&dirs, &[]));
    }
    fs::create_dir(dir.join("tile/empty")).unwrap();
    expect("tile/empty", "empty directory");
    fs::remove_dir(dir.join("tile/empty")).unwrap();
    std::os::unix::fs::symlink(dir.join(CHECKPOINT), dir.join("link")).unwrap();
    expect("link", "link");
}

#[test]
fn a_second_signature_line_is_refused() {
    let root = temp();
    let dirs = Plan::new(2, 3).run(root.path());
    let path = dirs[0].join(CHECKPOINT);
    let text = fs::read_to_string(&path).unwrap();
    let line = text.lines().last().unwrap();
    for extra in [line.to_owned(), line.replace("bank", "mallory"), String::new()] {
        fs::write(&path, format!("{text}{extra}\n")).unwrap();
        let report = verify(&dirs[..1], &[]);
        assert_eq!(only_problem(&report).file.as_deref(), Some(CHECKPOINT));
    }
}

#[test]
fn one_changed_byte_in_a_message_names_both_parties() {
    let root = temp();
    let dirs = Plan { flip: Some((1, 100)), ..Plan::new(3, 130) }.run(root.path());
    let report = verify(&dirs, &[]);
    let problem = only_problem(&report);
    assert_eq!(problem.entry, Some(3), "open, commitment, batch 0, batch 1");
    for word in
        ["sent != received", "bank sent", "bureau received", "batch 1", "rounds 64 to 127", "digests differ"]
    {
        assert!(problem.what.contains(word), "{word}: {}", problem.what);
    }
    assert_ok(&verify(&dirs[1..], &[]));
    assert_ok(&verify(&dirs[..1], &[]));
}

#[test]
fn an_aborted_session_may_end_in_an_unmatched_tail_only() {
    let root = temp();
    let dirs = Plan { die: Some((1, 100)), ..Plan::new(2, 130) }.run(root.path());
    let report = verify(&dirs, &[]);
    assert_ok(&report);
    assert_eq!(report.notes.len(), 1);
    assert!(report.notes[0].what.contains("did not complete"), "{}", render(&report));

    // What came before the tail must match all the same.
    let root = temp();
    let dirs = Plan { die: Some((1, 100)), flip: Some((0, 5)), ..Plan::new(2, 130) }.run(root.path());
    assert!(only_problem(&verify(&dirs, &[])).what.contains("bureau sent"));
}

#[test]
fn entries_dropped_or_reordered_by_the_owner_are_named() {
    let root = temp();
    let dirs = Plan::new(2, 130).run(root.path());
    let changed = |change: &dyn Fn(&mut Vec<Entry>)| {
        let to = root.path().join("changed");
        rewritten(&dirs[0], &to, change);
        let report = verify(&[to.clone(), dirs[1].clone()], &[]);
        fs::remove_dir_all(&to).unwrap();
        assert!(!report.ok && report.problems[0].entry.is_some(), "{}", render(&report));
        report.problems[0].what.clone()
    };
    assert!(changed(&|e| drop(e.remove(0))).contains("not opened"));
    assert!(changed(&|e| drop(e.remove(2))).contains("expected batch 0, got 1"));
    assert!(changed(&|e| drop(e.remove(4))).contains("close says 130 rounds"));
    assert!(changed(&|e| e.swap(2, 3)).contains("expected batch 0, got 1"));
    assert!(changed(&|e| e.swap(4, 5)).contains("close says"));
    assert!(changed(&|e| e.push(e[0].clone())).contains("opened a second time"));
    assert!(changed(&|e| e.push(e[1].clone())).contains("already closed"));
    // All traces of the last batch removed: only the other log can tell.
    let hidden = changed(&|e| {
        e.remove(4);
        let Some(Entry::Close(close)) = e.last_mut() else { panic!("close") };
        (close.rounds, close.bytes_sent) = (128, (0..128).map(|round| 1 + round % 5).sum());
    });
    assert!(hidden.contains("batch 2 of bureau is missing in"), "{hidden}");
}

#[test]
fn a_dropped_commitment_is_not_seen_in_one_log_but_an_older_copy_shows_it() {
    let root = temp();
    let dirs = Plan::new(2, 3).run(root.path());
    let (older, forked) = (root.path().join("older"), root.path().join("forked"));
    copy(&dirs[0], &older);
    rewritten(&dirs[0], &forked, |e| drop(e.remove(1)));
    assert_ok(&verify(std::slice::from_ref(&forked), &[]));
    let report = verify(&[older.clone(), forked], &[]);
    let problem = only_problem(&report);
    assert!(problem.what.contains("fork") && problem.entry == Some(1), "{}", problem.what);

    // The honest log only grows.
    Plan { number: 9, ..Plan::new(2, 3) }.run(root.path());
    let report = verify(&[older, dirs[0].clone()], &[]);
    assert_ok(&report);
    assert!(report.notes[0].what.contains("earlier state"));
}

#[test]
fn different_agreements_are_named() {
    let root = temp();
    let dirs = Plan { items: 5, ..Plan::new(2, 3) }.run(root.path());
    let to = root.path().join("changed");
    let mut seen = Vec::new();
    let changes: [fn(&mut mpc_core::transcript::SessionOpen); 4] = [
        |o| o.program = [9; 32],
        |o| o.parameters = [9; 32],
        |o| o.protocol_version = 9,
        |o| o.parties[1].key = [9; 32],
    ];
    for change in changes {
        rewritten(&dirs[0], &to, |e| {
            let Entry::SessionOpen(open) = &mut e[0] else { panic!("open") };
            change(open);
        });
        let report = verify(&[to.clone(), dirs[1].clone()], &[]);
        // By itself this log has a session by a false name; next to the other, another agreement, and perhaps a member
        // under another key than its own log's.
        let under_another_key = usize::from(seen.len() == 3);
        assert_eq!(report.problems.len(), 2 + under_another_key, "{}", render(&report));
        assert!(report.problems.iter().all(|p| p.entry == Some(0)), "{}", render(&report));
        assert!(report.problems[0].what.contains("its id is not the hash"), "{}", render(&report));
        seen.push(report.problems[1].what.clone());
        fs::remove_dir_all(&to).unwrap();
    }
    for (what, word) in seen.iter().zip(["program", "parameters", "protocol version", "roster"]) {
        assert!(what.contains(&format!("{word} differs")), "{what}");
    }
}

#[test]
fn a_session_under_another_name_than_its_terms_give_is_named() {
    let root = temp();
    let dirs = Plan::new(2, 3).run(root.path());
    let to = root.path().join("changed");
    rewritten(&dirs[0], &to, |e| {
        let Entry::SessionOpen(open) = &mut e[0] else { panic!("open") };
        open.nonces[1][7] ^= 1;
    });
    let report = verify(&[to], &[]);
    let problem = only_problem(&report);
    let id = Plan::new(2, 3).session().to_string();
    assert!(problem.entry == Some(0) && problem.what.contains(&id) && problem.what.contains("not the hash"));
}

#[test]
fn another_key_than_the_entries_name_or_the_caller_expects_is_refused() {
    let root = temp();
    let dirs = Plan::new(2, 3).run(root.path());
    let keys = ["bank", "bureau"].map(member);
    assert_ok(&verify(&dirs, &keys));
    let report = verify(&dirs, &keys[1..]);
    assert!(only_problem(&report).what.contains("not among those expected"));

    // The same entries under another key.
    let forged = root.path().join("forged");
    let raw = read(&dirs[0], &Listing::of(&dirs[0]).unwrap());
    let mut store = LogStore::open_or_create(&forged, "bank", key_of("mallory")).unwrap();
    store.append(&raw.entries).unwrap();
    store.commit().unwrap();
    let report = verify(&[forged], &[]);
    let problem = only_problem(&report);
    assert!(problem.file.as_deref() == Some(CHECKPOINT) && problem.what.contains("another key"));
}

#[test]
fn an_empty_log_needs_a_known_key_and_no_log_is_a_problem() {
    let root = temp();
    let dir = root.path().join("bank");
    drop(LogStore::open_or_create(&dir, "bank", key_of("bank")).unwrap());
    let dirs = [dir];
    assert!(only_problem(&verify(&dirs, &[])).what.contains("cannot be checked"));
    assert_ok(&verify(&dirs, &[member("bank")]));
    assert!(!verify(&dirs, &[member("bureau")]).ok);
    assert!(only_problem(&verify(&[], &[])).what.contains("no log"));
    let nowhere = [PathBuf::from("no/such/log")];
    assert!(only_problem(&verify(&nowhere, &[])).what.contains("cannot be read"));
}

#[test]
fn the_text_has_a_line_per_log_key_and_problem_and_a_verdict() {
    let root = temp();
    let dirs = Plan::new(2, 3).run(root.path());
    let text = render(&verify(&dirs, &[]));
    assert_eq!(text.lines().count(), 2 + 2 + 1, "logs, keys, verdict: {text}");
    assert!(text.starts_with("bank") && text.ends_with("ok: 2 logs verify and agree\n"), "{text}");
    fs::write(dirs[0].join("stray"), "").unwrap();
    let text = render(&verify(&dirs, &[]));
    assert!(
        text.contains("problem")
            && text.contains("stray: does not belong")
            && text.ends_with("failed: 1 problem\n")
    );
}

#[test]
fn a_log_can_be_shown() {
    let root = temp();
    let dirs = Plan::new(2, 3).run(root.path());
    let shown = show(&dirs[0]).unwrap();
    let kinds: Vec<_> = shown.entries.iter().map(|e| e.kind).collect();
    assert_eq!(kinds, ["open", "commitment", "batch", "close"]);
    let text = render_log(&shown);
    assert!(
        text.contains("bank.columns") && text.contains("rounds 0 to 2") && text.contains("completed"),
        "{text}"
    );
}

/// What an auditor compares is there to compare: whole digests, keys, times.
#[test]
fn a_log_is_shown_with_whole_digests_keys_and_times() {
    let root = temp();
    let plan = Plan::new(2, 3);
    let dirs = cosigned_session(&plan, root.path());
    let raw = read(&dirs[0], &Listing::of(&dirs[0]).unwrap());
    let entries: Vec<Entry> = raw.entries.iter().map(|e| Entry::decode(e).unwrap()).collect();
    let shown = show(&dirs[0]).unwrap();
    let json = serde_json::to_value(&shown).unwrap();
    let text = render_log(&shown);
    let keys = ["bank", "bureau"].map(|n| crate::identity::public_key_text(&member(n).key));
    let open = &json["entries"][0];
    assert_eq!((&open["program"], &open["parameters"]), (&"01".repeat(32).into(), &"02".repeat(32).into()));
    for (i, (name, key)) in ["bank", "bureau"].iter().zip(&keys).enumerate() {
        assert_eq!(open["members"][i], serde_json::json!({"name": name, "key": key}));
        assert!(text.lines().any(|l| l.contains(name) && l.contains(key)), "{text}");
    }
    let Entry::Commitment(commitment) = &entries[1] else { panic!("commitment") };
    let Entry::Batch(batch) = &entries[2] else { panic!("batch") };
    let blinded = hex(&commitment.blinded);
    assert_eq!(json["entries"][1]["commitment"], blinded);
    assert_eq!(json["entries"][2]["peers"][0]["sent"], hex(&batch.peers[0].sent));
    for whole in ["01".repeat(32), "02".repeat(32), hex(&plan.session().0), blinded] {
        assert!(text.contains(&whole), "{whole}: {text}");
    }
    let cosignature = serde_json::json!({
        "session": hex(&plan.session().0), "name": "bureau", "key": keys[1], "time": "2023-11-14T22:13:20Z",
    });
    assert_eq!(json["entries"][4]["cosignatures"], serde_json::json!([cosignature]));
    assert!(text.contains("bureau  at 2023-11-14T22:13:20Z"), "{text}");
    let report = verify(&dirs, &[]);
    assert!(render(&report).contains("last cosigned by bureau 2023-11-14T22:13:20Z"), "{}", render(&report));
    assert_eq!(serde_json::to_value(&report).unwrap()["logs"][0]["cosignatures"][0], cosignature);
}

#[test]
fn names_of_files_do_nothing_to_the_terminal() {
    let root = temp();
    let dirs = Plan::new(2, 3).run(root.path());
    fs::write(dirs[0].join("a\u{202e}b\u{1b}[2J"), "x").unwrap();
    let text = render(&verify(&dirs, &[]));
    assert!(text.contains("a\u{fffd}b\u{fffd}[2J: does not belong"), "{text}");
    assert!(text.chars().all(|c| c == '\n' || mpc_core::text::is_plain(c)), "{text:?}");
}

#[test]
fn commitments_stand_once_each_and_where_they_bind() {
    let root = temp();
    let dirs = Plan::new(2, 3).run(root.path());
    let session = Plan::new(2, 3).session();
    let commit = |kind, name: &str, value: &[u8]| {
        Entry::Commitment(Commitment::new(session, kind, name, &[1; 32], value))
    };
    let changed = |change: &dyn Fn(&mut Vec<Entry>)| {
        let to = root.path().join("changed/bank");
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        rewritten(&dirs[0], &to, change);
        let report = verify(&[to.clone(), dirs[1].clone()], &[]);
        fs::remove_dir_all(&to).unwrap();
        report
    };
    use CommitmentKind::{Input, Output, Weights};
    // open, input, batch, close
    for (change, at, word) in [
        (
            &(|e: &mut Vec<Entry>| e.insert(2, commit(Input, "bank.columns", b"other"))) as &dyn Fn(&mut _),
            2,
            "second",
        ),
        (&|e: &mut Vec<Entry>| e.insert(2, e[1].clone()), 2, "second"),
        (&|e: &mut Vec<Entry>| e.swap(1, 2), 2, "after the first round"),
        (&|e: &mut Vec<Entry>| e.insert(3, commit(Weights, "weights", b"late")), 3, "after the first round"),
        (
            &|e: &mut Vec<Entry>| e.insert(2, commit(Output, "score", b"early")),
            3,
            "after a commitment to an output",
        ),
    ] {
        let report = changed(change);
        let problem = report.problems.first().unwrap_or_else(|| panic!("{word}: {}", render(&report)));
        assert!(problem.entry == Some(at) && problem.what.contains(word), "{word}: {}", render(&report));
    }
    // One of each kind, also by one name, and outputs at the end.
    assert_ok(&changed(&|e| {
        e.insert(2, commit(Weights, "bank.columns", b"w"));
        let at = e.len() - 1;
        e.insert(at, commit(Output, "bank.columns", b"o"));
        e.insert(at, commit(Output, "score", b"o"));
    }));
    // Whoever commits to nothing looks like a member without inputs.
    assert_ok(&changed(&|e| drop(e.remove(1))));
    let root = temp();
    let dirs = Plan { items: 5, ..Plan::new(2, 3) }.run(root.path());
    let to = root.path().join("changed/dealer");
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    let session = Plan { items: 5, ..Plan::new(2, 3) }.session();
    rewritten(&dirs[2], &to, |e| {
        e.insert(1, Entry::Commitment(Commitment::new(session, Input, "x", &[1; 32], b"x")));
    });
    assert!(only_problem(&verify(&[to], &[])).what.contains("a dealer has nothing to commit to"));
}

#[test]
fn an_open_session_is_noted() {
    let root = temp();
    let dir = root.path().join("bank");
    let mut store = LogStore::open_or_create(&dir, "bank", key_of("bank")).unwrap();
    let open = Plan::new(2, 3).open(Peer::Party(PartyId::new(0)));
    store.append(&[open.encode()]).unwrap();
    store.commit().unwrap();
    let report = verify(&[dir], &[]);
    assert_ok(&report);
    assert!(report.notes[0].what.contains("not closed"));
    assert!(matches!(Outcome::aborted("x", None, "y"), Outcome::Aborted { .. }));
}
