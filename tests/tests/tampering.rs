//! The logs of real sessions, one of them aborted, against every change: bits, bytes, entries, lines, files. `log verify`
//! must fail and name the file, and the entry where there is one.
#![allow(clippy::unwrap_used, reason = "a test: a panic is how it fails")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mpc_core::transcript::{Close, Commitment, CommitmentKind, Entry, Outcome};
use party_node::identity::Identity;
use party_node::log::{LogStore, Report, render, verify};
use subrosa_tests::process::{DEADLINE, listing};
use subrosa_tests::{Cluster, Random, Running, files, finish_all};

const SUBROSA: &str = env!("CARGO_BIN_EXE_subrosa-under-test");
/// Enough that a node can be killed in the middle.
const ROWS: usize = 30_000;
const WITHIN: Duration = Duration::from_secs(60);
/// Of files up to this size every bit is flipped, of larger ones one bit of every byte up to the next size, and beyond
/// that of every few bytes.
const EVERY_BIT_BYTES: usize = 700;
const EVERY_BYTE_BYTES: usize = 16_384;

/// Entries that a node's log holds.
fn entries(cluster: &Cluster, node: &str) -> u64 {
    let head = std::fs::read_to_string(cluster.path(&format!("{node}/log/checkpoint")));
    head.ok().and_then(|text| text.lines().nth(1)?.parse().ok()).unwrap_or(0)
}

/// A session that completes, one in which the bureau is killed, and one that completes.
fn three_sessions() -> Cluster {
    let cluster = Cluster::new(SUBROSA, 2, ROWS);
    cluster.connect_timeout(5_000);
    let _first = cluster.run_well(WITHIN);
    let before = ["bank", "bureau"].map(|n| entries(&cluster, n));
    let mut running: Vec<Running> = cluster.nodes().into_iter().map(|n| cluster.start(n)).collect();
    let by = Instant::now() + DEADLINE;
    // As soon as both have the session in their logs.
    while ["bank", "bureau"].map(|n| entries(&cluster, n)).iter().zip(&before).any(|(now, old)| now == old) {
        assert!(Instant::now() < by, "the session does not begin");
        std::thread::yield_now();
    }
    running[1].kill();
    let ended = finish_all(running, WITHIN);
    assert_eq!(
        [ended[0].code, ended[1].code, ended[2].code],
        [Some(1), None, Some(1)],
        "{}",
        listing(&ended)
    );
    let _third = cluster.run_well(WITHIN);
    cluster
}

struct Log {
    dir: PathBuf,
    /// Every file by its path in the log.
    files: BTreeMap<String, Vec<u8>>,
}

impl Log {
    fn read(dir: PathBuf) -> Self {
        let name = |f: &Path| f.strip_prefix(&dir).unwrap().to_str().unwrap().to_owned();
        let files = files::all_files(&dir).iter().map(|f| (name(f), std::fs::read(f).unwrap())).collect();
        Self { dir, files }
    }

    fn verify(&self) -> Report {
        verify(std::slice::from_ref(&self.dir), &[])
    }

    /// Checks that with `content` in `file` (or without the file) the log is refused, by that file's name, and by the number of
    /// `entry`.
    fn refused_with(&self, file: &str, content: Option<&[u8]>, entry: Option<u64>, what: &str) {
        let path = self.dir.join(file);
        let sound = std::fs::read(&path).ok();
        match content {
            Some(content) => {
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                write_anew(&path, content);
            }
            None => std::fs::remove_file(&path).unwrap(),
        }
        let report = self.verify();
        let whole = || format!("{what} of {}: {}", path.display(), render(&report));
        assert!(!report.ok && !report.problems.is_empty(), "accepted: {}", whole());
        let names =
            |p: &&party_node::log::Problem| p.what.contains(file) && p.log == self.dir.to_str().unwrap();
        let named: Vec<_> = report.problems.iter().filter(names).collect();
        assert!(!named.is_empty(), "the file is not named: {}", whole());
        if let Some(entry) = entry {
            let said = |p: &&&party_node::log::Problem| {
                p.entry == Some(entry) && p.what.contains(&format!("entry {entry}"))
            };
            assert!(named.iter().any(|p| said(&p)), "entry {entry} is not named: {}", whole());
        }
        match sound {
            Some(sound) => write_anew(&path, &sound),
            None => {
                std::fs::remove_file(&path).unwrap();
                remove_empty(path.parent().unwrap(), &self.dir);
            }
        }
    }
}

/// File systems that flush a file which is cut and written again, for fear of a crash, take milliseconds for each of many
/// thousand changes; a new file waits for nothing.
fn write_anew(path: &Path, content: &[u8]) {
    let _there_was_none = std::fs::remove_file(path);
    std::fs::write(path, content).unwrap();
}

fn remove_empty(from: &Path, root: &Path) {
    for dir in from.ancestors().take_while(|d| *d != root) {
        if std::fs::remove_dir(dir).is_err() {
            break;
        }
    }
}

/// The entries of a bundle.
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

/// The entry that a byte of a bundle belongs to, its length included.
fn entry_at(bundle: &[u8], at: usize) -> Option<u64> {
    let mut start = 0;
    for (number, entry) in (0..).zip(split(bundle)) {
        if (start..start + 2 + entry.len()).contains(&at) {
            return Some(number);
        }
        start += 2 + entry.len();
    }
    None
}

#[test]
fn no_change_to_the_logs_of_real_sessions_goes_unseen() {
    let cluster = three_sessions();
    let mut random = Random::seeded("tampering");
    let nodes = cluster.nodes();
    let report = cluster.verify(&nodes);
    assert_eq!(report["ok"], true, "{report:#}");
    let notes: Vec<&str> =
        report["notes"].as_array().unwrap().iter().map(|n| n["what"].as_str().unwrap()).collect();
    let fewer = notes.iter().filter(|n| n.contains("was cosigned by nobody")).count();
    assert_eq!(fewer, nodes.len(), "each log has one aborted session: {notes:#?}");

    let mut changes = 0;
    for node in nodes {
        let log = Log::read(cluster.path(&format!("{node}/log")));
        assert!(log.verify().ok);
        assert!(
            log.files.len() >= 6,
            "checkpoint, lock, two tiles, two cosigned heads: {:?}",
            log.files.keys()
        );
        for (file, sound) in &log.files {
            changes += flips(&log, file, sound, &mut random);
            changes += edges(&log, file, sound);
            if file.starts_with("tile/entries/") {
                changes += entries_moved(&log, file, sound);
            } else if file.ends_with("checkpoint") || file.starts_with("cosigned/") {
                changes += lines_moved(&log, file, sound);
            }
        }
        changes += swapped_and_stray(&log);
        assert!(log.verify().ok, "everything was put back");
    }
    println!("{changes} changes");
    assert!(changes > 10_000, "{changes}");
}

/// What an owner can write under its own key about a real session, and must not pass beside the others' logs.
#[test]
fn no_owner_takes_back_what_its_peers_completed() {
    let cluster = Cluster::new(SUBROSA, 2, 24);
    let _ran = cluster.run_well(WITHIN);
    let (dir, key) = (cluster.path("bank/log"), cluster.path("bank/bank.key"));
    let log = Log::read(dir);
    let bundle = log.files.iter().find(|(f, _)| f.starts_with("tile/entries/")).unwrap().1;
    let entries: Vec<Entry> = split(bundle).into_iter().map(|e| Entry::decode(e).unwrap()).collect();
    // The last one fixes cosignatures, which no rewritten log has.
    let entries = &entries[..entries.len() - 1];
    let session = entries[0].session();
    let place = |wanted: fn(&Entry) -> bool| entries.iter().position(wanted).unwrap();
    let (batch, output) = (
        place(|e| matches!(e, Entry::Batch(b) if b.lane == 0)),
        place(|e| matches!(e, Entry::Commitment(c) if c.kind == CommitmentKind::Output)),
    );
    let rewritten = |others: &[&str], change: &dyn Fn(&mut Vec<Entry>)| {
        let mut entries = entries.to_vec();
        change(&mut entries);
        let root = tempfile::tempdir().unwrap();
        let own = root.path().join("log");
        let identity = Identity::load(&key).unwrap();
        let mut store = LogStore::open_or_create(&own, "bank", identity.signing_key().clone()).unwrap();
        store.append(&entries.iter().map(Entry::encode).collect::<Vec<_>>()).unwrap();
        store.commit().unwrap();
        drop(store);
        let others = others.iter().map(|n| cluster.path(&format!("{n}/log")));
        verify(&std::iter::once(own).chain(others).collect::<Vec<_>>(), &[])
    };
    let all = ["bureau", "dealer"];
    let honest = rewritten(&all, &|_| ());
    assert!(honest.ok, "{}", render(&honest));
    let close = |code| {
        let outcome = Outcome::aborted(code, None, "it did not happen");
        Entry::Close(Close { session, outcome, rounds: 0, bytes_sent: 0 })
    };
    let refused = |what: &str, others: &[&str], words: &str, change: &dyn Fn(&mut Vec<Entry>)| {
        let report = rewritten(others, change);
        let named = report.problems.iter().any(|p| p.what.contains(words));
        assert!(!report.ok && named, "{what}: {}", render(&report));
    };
    for code in ["peer_lost", "interrupted"] {
        for other in all {
            refused("called aborted, without batches", &[other], "is missing in", &|e| {
                e.retain(|e| !matches!(e, Entry::Batch(_) | Entry::Close(_)));
                e.push(close(code));
            });
        }
    }
    refused("left open, without batches", &all, "is missing in", &|e| {
        e.retain(|e| !matches!(e, Entry::Batch(_) | Entry::Close(_)));
    });
    refused("a second commitment", &[], "a second commitment", &|e| {
        let second = Commitment::new(session, CommitmentKind::Input, "bank.features", &[1; 32], b"others");
        e.insert(2, Entry::Commitment(second));
    });
    refused("weights chosen afterwards", &[], "after the first round", &|e| {
        let late = Commitment::new(session, CommitmentKind::Weights, "late", &[1; 32], b"others");
        e.insert(batch + 1, Entry::Commitment(late));
    });
    refused("an output before its rounds", &[], "rounds after a commitment", &|e| e.swap(batch, output));
}

fn flips(log: &Log, file: &str, sound: &[u8], random: &mut Random) -> u64 {
    let bits: Vec<(usize, usize)> = match sound.len() {
        n if n <= EVERY_BIT_BYTES => (0..8 * n).map(|i| (i / 8, i % 8)).collect(),
        n => {
            let step = if n <= EVERY_BYTE_BYTES { 1 } else { n / EVERY_BYTE_BYTES + 1 };
            (0..n).step_by(step).map(|at| (at, random.below(8))).collect()
        }
    };
    for &(at, bit) in &bits {
        let mut wrong = sound.to_vec();
        wrong[at] ^= 1 << bit;
        let entry = match file {
            _ if file.starts_with("tile/entries/") => entry_at(sound, at),
            // Hashes of 32 bytes, one for each entry; these logs have one tile.
            _ if file.starts_with("tile/0/") => Some(at as u64 / 32),
            _ => None,
        };
        log.refused_with(file, Some(&wrong), entry, &format!("bit {bit} of byte {at}"));
    }
    bits.len() as u64
}

/// Missing, empty, cut short, longer.
fn edges(log: &Log, file: &str, sound: &[u8]) -> u64 {
    if file == "lock" {
        // It says nothing, and may be left out of copies.
        log.refused_with(file, Some(b"x"), None, "a byte");
        return 1;
    }
    log.refused_with(file, None, None, "removal");
    log.refused_with(file, Some(b""), None, "emptying");
    log.refused_with(file, Some(&sound[..sound.len() - 1]), None, "a lost byte");
    log.refused_with(file, Some(&[sound, b"\n"].concat()), None, "a byte more");
    log.refused_with(file, Some(&[sound, sound].concat()), None, "doubling");
    5
}

fn entries_moved(log: &Log, file: &str, sound: &[u8]) -> u64 {
    let entries = split(sound);
    let mut changes = 0;
    for i in 0..entries.len() {
        let mut dropped = entries.clone();
        dropped.remove(i);
        log.refused_with(file, Some(&join(&dropped)), Some(i as u64), &format!("dropping entry {i}"));
        let mut doubled = entries.clone();
        doubled.insert(i, entries[i]);
        // The first that is not where it was; after the last there is none.
        let moved = (i + 1).min(entries.len() - 1) as u64;
        log.refused_with(file, Some(&join(&doubled)), Some(moved), &format!("doubling entry {i}"));
        changes += 2;
        if i + 1 < entries.len() {
            let mut swapped = entries.clone();
            swapped.swap(i, i + 1);
            log.refused_with(file, Some(&join(&swapped)), Some(i as u64), &format!("swapping entry {i}"));
            changes += 1;
        }
    }
    changes
}

fn lines_moved(log: &Log, file: &str, sound: &[u8]) -> u64 {
    let text = std::str::from_utf8(sound).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut changes = 0;
    let mut refuse = |lines: &[&str], what: String| {
        let content = lines.concat();
        if content != text {
            log.refused_with(file, Some(content.as_bytes()), None, &what);
            changes += 1;
        }
    };
    for i in 0..lines.len() {
        let mut dropped = lines.clone();
        dropped.remove(i);
        refuse(&dropped, format!("dropping line {i}"));
        for j in 0..=lines.len() {
            let mut doubled = lines.clone();
            doubled.insert(j, lines[i]);
            refuse(&doubled, format!("line {i} again before line {j}"));
            if j < lines.len() {
                let mut swapped = lines.clone();
                swapped.swap(i, j);
                refuse(&swapped, format!("swapping lines {i} and {j}"));
            }
        }
    }
    changes
}

/// Files in each other's place, and files that no log has.
fn swapped_and_stray(log: &Log) -> u64 {
    let mut changes = 0;
    for (file, sound) in &log.files {
        for other in log.files.keys().filter(|o| *o != file && *o != "lock") {
            if log.files[other] != *sound && file != "lock" {
                log.refused_with(other, Some(sound), None, &format!("{file} in place"));
                changes += 1;
            }
        }
    }
    let session = log.files.keys().find_map(|f| f.strip_prefix("cosigned/")).unwrap();
    let other = format!("cosigned/{}", session.chars().rev().collect::<String>());
    for stray in ["x", "tmp", "tile/0/000", "tile/entries/001", "tile/2/000.p/1", "tile/0/000.p/1", &other] {
        if !log.files.contains_key(stray) {
            log.refused_with(stray, Some(b"x"), None, "a stray file");
            changes += 1;
        }
    }
    changes
}
