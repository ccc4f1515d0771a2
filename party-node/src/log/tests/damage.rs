//! What a damaged log is said to be: its file and its entry, and nothing about anybody that only follows from not having
//! read it. And a log that is being written is not a damaged one.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use mpc_core::channel::Peer;
use mpc_core::party::PartyId;
use mpc_core::transcript::{Close, Entry, Outcome};

use super::super::layout::CHECKPOINT;
use super::super::{LogStore, Report, prove_consistency, prove_inclusion, render, show, verify};
use super::cosigned::{cosigned_session, line};
use super::session::{NAMES, Plan, key_of};
use super::verifier::{assert_ok, copy, files, only_problem, temp};

/// The open and the close entry of a session without rounds, as party `me` tells it.
fn short_session(number: u8, me: usize) -> [Entry; 2] {
    let plan = Plan { number, ..Plan::new(2, 3) };
    let close = Close { session: plan.session(), outcome: Outcome::Completed, rounds: 0, bytes_sent: 0 };
    [plan.open(Peer::Party(PartyId::new(me))), Entry::Close(close)]
}

/// The logs of bank and bureau after 140 sessions: a full bundle and one of 24 entries.
fn two_bundles(root: &Path) -> Vec<PathBuf> {
    let log = |me: usize| {
        let dir = root.join(NAMES[me]);
        let mut store = LogStore::open_or_create(&dir, NAMES[me], key_of(NAMES[me])).unwrap();
        let entries: Vec<_> = (0..140).flat_map(|n| short_session(n, me)).map(|e| e.encode()).collect();
        store.append(&entries).unwrap();
        store.commit().unwrap();
        dir
    };
    vec![log(0), log(1)]
}

fn split(bundle: &[u8]) -> Vec<&[u8]> {
    let (mut rest, mut all) = (bundle, Vec::new());
    while let Some((length, after)) = rest.split_first_chunk::<2>() {
        let (entry, after) = after.split_at(usize::from(u16::from_be_bytes(*length)));
        all.push(entry);
        rest = after;
    }
    all
}

fn join(entries: &[&[u8]]) -> Vec<u8> {
    entries.iter().flat_map(|e| [&(e.len() as u16).to_be_bytes()[..], e].concat()).collect()
}

/// Fails if `work` does not end.
fn in_time<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, result) = mpsc::channel();
    thread::spawn(move || done.send(work()));
    result.recv_timeout(Duration::from_secs(60)).expect("an end")
}

#[cfg(unix)]
#[test]
fn a_pipe_in_the_place_of_a_file_is_named_and_not_waited_for() {
    let root = temp();
    let dirs = cosigned_session(&Plan::new(2, 3), root.path());
    for file in files(&dirs[0]) {
        let to = tempfile::tempdir_in(root.path()).unwrap();
        let dir = to.path().join("bank");
        copy(&dirs[0], &dir);
        fs::remove_file(dir.join(&file)).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(dir.join(&file)).status().unwrap().success());
        let report = in_time({
            let dir = dir.clone();
            move || {
                assert!(show(&dir).is_err() && prove_inclusion(&dir, 0).is_err());
                assert!(LogStore::open_or_create(&dir, "bank", key_of("bank")).is_err());
                verify(&[dir], &[])
            }
        });
        let odd = report.problems.iter().any(|p| p.what.contains(&format!("{file}: is neither a file")));
        assert!(odd, "{}", render(&report));
    }
}

#[test]
fn a_bundle_that_cannot_be_read_accuses_nobody() {
    let root = temp();
    let dirs = two_bundles(root.path());
    let whole = root.path().join("whole/bureau");
    copy(&dirs[1], &whole);
    assert_ok(&verify(&dirs, &[]));
    for file in ["tile/entries/000", "tile/entries/001.p/24"] {
        let path = dirs[1].join(file);
        let sound = fs::read(&path).unwrap();
        for bad in [None, Some(&b""[..]), Some(&sound[..sound.len() / 2])] {
            match bad {
                None => fs::remove_file(&path).unwrap(),
                Some(bad) => fs::write(&path, bad).unwrap(),
            }
            for given in
                [&[dirs[0].clone(), dirs[1].clone()][..], &[dirs[1].clone(), whole.clone(), dirs[0].clone()]]
            {
                let report = verify(given, &[]);
                assert_eq!(only_problem(&report).file.as_deref(), Some(file));
                let about = |n: &&super::super::Note| n.what.contains("nothing is said about what else");
                let about: Vec<_> = report.notes.iter().filter(about).collect();
                assert!(about.len() == 1, "{}", render(&report));
                assert_eq!(about[0].log, dirs[1].display().to_string());
                assert!(!render(&report).contains("not closed"), "{}", render(&report));
            }
            fs::write(&path, &sound).unwrap();
        }
    }
    // Both bundles gone: each is named.
    fs::remove_dir_all(dirs[1].join("tile/entries")).unwrap();
    let report = verify(&dirs, &[]);
    assert!(only_problem(&report).what.contains("and so are the next 1"), "{}", render(&report));
    // What a whole log lacks it is still asked about.
    let short = root.path().join("short/bureau");
    let mut store = LogStore::open_or_create(&short, "bureau", key_of("bureau")).unwrap();
    store.append(&short_session(0, 1).map(|e| e.encode())).unwrap();
    store.commit().unwrap();
    drop(store);
    let report = verify(&[dirs[0].clone(), short], &[]);
    assert_eq!(report.problems.len(), 139, "{}", render(&report));
}

#[test]
fn a_changed_entry_is_the_only_problem_wherever_it_is() {
    let root = temp();
    let dirs = two_bundles(root.path());
    let cosigned = temp();
    let cosigned = cosigned_session(&Plan::new(2, 3), cosigned.path());
    for (dirs, file, first) in [
        (&dirs, "tile/entries/000", 0),
        (&dirs, "tile/entries/001.p/24", 256),
        (&cosigned, "tile/entries/000.p/5", 0),
    ] {
        let path = dirs[0].join(file);
        let sound = fs::read(&path).unwrap();
        let entries = split(&sound);
        let step = if entries.len() > 30 { 37 } else { 1 };
        let last = entries.len() - 1;
        for i in (0..entries.len()).step_by(step).chain([last]) {
            let mut doubled = entries.clone();
            doubled.insert(i, entries[i]);
            let mut dropped = entries.clone();
            dropped.remove(i);
            let mut foreign = entries.clone();
            foreign.insert(i, b"x");
            let mut changed = entries.clone();
            let flipped: Vec<u8> = entries[i].iter().map(|b| b ^ 1).collect();
            changed[i] = &flipped;
            for (what, bad, named) in [
                ("doubled", doubled, (i + 1).min(last)),
                ("dropped", dropped, i),
                ("put before", foreign, i),
                ("changed", changed, i),
            ] {
                fs::write(&path, join(&bad)).unwrap();
                let report = verify(dirs, &[]);
                assert_eq!(report.problems.len(), 1, "{what} {i}:\n{}", render(&report));
                let problem = &report.problems[0];
                let place = (problem.file.as_deref(), problem.entry);
                assert_eq!(place, (Some(file), Some(first + named as u64)), "{what}: {}", problem.what);
            }
        }
        fs::write(&path, &sound).unwrap();
        assert_ok(&verify(dirs, &[]));
    }
}

#[test]
fn a_changed_hash_names_the_entries_that_it_is_about() {
    let root = temp();
    let dirs = two_bundles(root.path());
    for (file, at, entry, words) in [
        ("tile/0/000", 56, Some(56), "entry 56: hash of this entry differs"),
        ("tile/0/001.p/24", 3, Some(259), "entry 259: hash of this entry differs"),
        ("tile/1/000.p/1", 0, None, "hash over entries 0 to 255 differs"),
    ] {
        let path = dirs[0].join(file);
        let sound = fs::read(&path).unwrap();
        let mut bad = sound.clone();
        bad[at * 32] ^= 1;
        fs::write(&path, bad).unwrap();
        let report = verify(&dirs, &[]);
        let problem = only_problem(&report);
        assert!(problem.file.as_deref() == Some(file) && problem.entry == entry, "{}", problem.what);
        assert!(problem.what.contains(words), "{}", problem.what);
        fs::write(&path, sound).unwrap();
    }
}

/// A head that nobody signed is nobody's word, and no proof is made for it.
#[test]
fn a_checkpoint_whose_signature_was_altered_is_refused_by_every_reader() {
    let root = temp();
    let dirs = cosigned_session(&Plan::new(2, 3), root.path());
    let whole = root.path().join("whole/bank");
    copy(&dirs[0], &whole);
    let path = dirs[0].join(CHECKPOINT);
    let sound = fs::read_to_string(&path).unwrap();
    assert!(show(&dirs[0]).is_ok() && prove_consistency(&dirs[0], 2).is_ok());
    let (body, signature) = sound.trim_end().rsplit_once(' ').unwrap();
    let mut letters: Vec<char> = signature.chars().collect();
    letters[20] = if letters[20] == 'A' { 'B' } else { 'A' };
    let altered = format!("{body} {}\n", letters.iter().collect::<String>());
    let twice = format!("{sound}{}\n", sound.lines().last().unwrap());
    for (bad, word) in [(altered, "does not verify"), (twice, "unknown signers")] {
        fs::write(&path, bad).unwrap();
        for refusal in [
            show(&dirs[0]).err().unwrap(),
            prove_consistency(&dirs[0], 2).err().unwrap(),
            prove_consistency(&dirs[0], 5).err().unwrap(),
            prove_inclusion(&dirs[0], 4).err().unwrap(),
        ] {
            assert!(refusal.to_string().contains(word), "{refusal}");
        }
    }
    // Another root or size: the file is named, and the bank is not said to have signed two logs.
    for (from, to) in [("\n5\n", "\n4\n"), ("=\n\n", "=\n\n")] {
        let mut bad = sound.replacen(from, to, 1);
        if bad == sound {
            bad = sound.replacen(sound.lines().nth(2).unwrap(), &format!("{}=", "A".repeat(43)), 1);
        }
        fs::write(&path, bad).unwrap();
        let report = verify(&[dirs[0].clone(), whole.clone(), dirs[1].clone()], &[]);
        assert!(report.problems.iter().any(|p| p.file.as_deref() == Some(CHECKPOINT)), "{}", render(&report));
        let mut others = report.problems.iter().filter(|p| p.log != dirs[0].display().to_string());
        assert!(others.next().is_none() && !render(&report).contains("fork"), "{}", render(&report));
    }
}

#[test]
fn one_head_is_not_filed_beside_two_sessions() {
    let root = temp();
    let dir = root.path().join("bank");
    let sessions = [1, 2].map(|number| short_session(number, 0));
    let mut store = LogStore::open_or_create(&dir, "bank", key_of("bank")).unwrap();
    let order = [&sessions[0][0], &sessions[1][0], &sessions[0][1], &sessions[1][1]];
    store.append(&order.map(Entry::encode)).unwrap();
    let head = store.commit().unwrap();
    let head = head.clone().with_signature(line(head.checkpoint(), "bureau")).unwrap();
    store.keep_cosigned(sessions[0][0].session(), &head).unwrap();
    assert_ok(&verify(std::slice::from_ref(&dir), &[]));
    store.keep_cosigned(sessions[1][0].session(), &head).unwrap();
    drop(store);
    let report = verify(std::slice::from_ref(&dir), &[]);
    let problem = only_problem(&report);
    assert_eq!(problem.entry, Some(5));
    assert!(problem.what.contains("filed beside session"), "{}", problem.what);
    assert!(problem.what.contains(&sessions[0][0].session().to_string()), "{}", problem.what);
}

/// A log is whole at every moment, though its files come and go.
#[test]
fn the_log_of_a_running_node_verifies_at_any_time() {
    let root = temp();
    let dir = root.path().join("bank");
    let mut store = LogStore::open_or_create(&dir, "bank", key_of("bank")).unwrap();
    let mut commit = move |number: u8| {
        store.append(&short_session(number, 0).map(|e| e.encode())).unwrap();
        store.commit().unwrap();
    };
    commit(0);
    let enough = AtomicBool::new(false);
    let (deadline, mut sizes) = (Instant::now() + Duration::from_secs(120), BTreeSet::new());
    let reports: Vec<Report> = thread::scope(|scope| {
        scope.spawn(|| (1..=u8::MAX).take_while(|_| !enough.load(Ordering::Relaxed)).for_each(&mut commit));
        let mut reports = Vec::new();
        // A busy machine may give the node no time for a while: reading goes on until it was seen to grow.
        while reports.len() < 40 || (sizes.len() < 3 && Instant::now() < deadline) {
            let report = verify(std::slice::from_ref(&dir), &[]);
            sizes.insert(report.logs[0].size);
            reports.push(report);
        }
        enough.store(true, Ordering::Relaxed);
        reports
    });
    reports.iter().for_each(assert_ok);
    assert!(sizes.len() >= 3, "it did not grow meanwhile: {sizes:?}");
}
