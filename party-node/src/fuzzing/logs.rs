//! Log directories: edited by an enemy without the key, or written by an owner who logs what it likes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use ed25519_dalek::SigningKey;
use mpc_core::channel::Peer;
use mpc_core::merkle::{TreeHash, empty_root};
use mpc_core::party::PartyId;
use mpc_core::transcript::{
    Batch, Close, Commitment, CommitmentKind, Entry, MAX_ENTRY_BYTES, Member, Outcome, PeerDigests,
    ROUNDS_PER_BATCH, SessionOpen, SessionTerms,
};

use super::scratch;
use crate::log::{LogStore, render, render_log, show, verify};

/// Files of logs by `log/path`.
type Files = BTreeMap<String, Vec<u8>>;

const NAMES: [&str; 2] = ["bank", "bureau"];

fn key_of(party: usize) -> SigningKey {
    SigningKey::from_bytes(&[party as u8 + 1; 32])
}

fn member(party: usize) -> Member {
    Member { name: NAMES[party].into(), key: key_of(party).verifying_key().to_bytes() }
}

/// What `party` of two logs about a session of `batches` batches.
pub(super) fn entries_of(party: usize, batches: u64) -> Vec<Vec<u8>> {
    let key = |p: usize| member(p).key;
    let terms = SessionTerms {
        protocol_version: 1,
        program: [3; 32],
        parameters: [4; 32],
        parties: vec![key(0), key(1)],
        dealer: None,
        nonces: vec![[5; 32], [6; 32]],
    };
    let session = terms.id();
    let peer = |p: usize| Peer::Party(PartyId::new(p));
    // Both ends digest a message alike, so a digest depends on its direction and batch alone.
    let digest = |from: usize, batch: u64| {
        let mut digest = [from as u8; 32];
        digest[..8].copy_from_slice(&batch.to_le_bytes());
        digest
    };
    let open = Entry::SessionOpen(SessionOpen {
        session,
        protocol_version: 1,
        program: [3; 32],
        parameters: [4; 32],
        me: peer(party),
        parties: vec![member(0), member(1)],
        dealer: None,
        nonces: terms.nonces.clone(),
        seed_commitment: [party as u8; 32],
    });
    let commitment = Entry::Commitment(Commitment {
        session,
        kind: CommitmentKind::Input,
        name: format!("{}.features", NAMES[party]),
        blinded: [party as u8 + 7; 32],
    });
    let batch = |index: u64| {
        let bytes = |from: usize| 100 + from as u64;
        let digests = PeerDigests {
            peer: peer(1 - party),
            sent: digest(party, index),
            received: digest(1 - party, index),
            sent_bytes: bytes(party),
            received_bytes: bytes(1 - party),
        };
        let first_round = index * ROUNDS_PER_BATCH;
        let last_round = first_round + ROUNDS_PER_BATCH - 1;
        Entry::Batch(Batch { session, lane: 0, index, first_round, last_round, peers: vec![digests] })
    };
    let close = Entry::Close(Close {
        session,
        outcome: Outcome::Completed,
        rounds: batches * ROUNDS_PER_BATCH,
        bytes_sent: batches * (100 + party as u64),
    });
    let all = [open, commitment].into_iter().chain((0..batches).map(batch)).chain([close]);
    all.map(|e| e.encode()).collect()
}

/// Writes a log, cosigned by the other party, and reads it back as files.
fn genuine(party: usize, batches: u64) -> (Files, u64, TreeHash) {
    let dir = scratch();
    let log = dir.path().join(NAMES[party]);
    let mut store = LogStore::open_or_create(&log, NAMES[party], key_of(party)).expect("a new log");
    let entries = entries_of(party, batches);
    let session = Entry::decode(&entries[0]).expect("an entry just made").session();
    store.append(&entries).expect("short entries");
    let head = store.commit().expect("a writable temporary directory");
    let line = head.checkpoint().cosign(NAMES[1 - party], &key_of(1 - party), 1_700_000_000);
    let cosigned = head.with_signature(line.expect("a valid name")).expect("the first cosignature");
    store.keep_cosigned(session, &cosigned).expect("a writable temporary directory");
    let (size, root) = (store.size(), store.root());
    drop(store);
    (read_tree(dir.path(), NAMES[party]), size, root)
}

/// All files below `dir/name`, without the lock, which says nothing.
fn read_tree(dir: &Path, name: &str) -> Files {
    let mut files = Files::new();
    let mut queue = vec![name.to_owned()];
    while let Some(place) = queue.pop() {
        let path = dir.join(&place);
        if path.is_dir() {
            let list = fs::read_dir(&path).expect("a directory just written");
            queue.extend(
                list.map(|f| format!("{place}/{}", f.expect("readable").file_name().to_string_lossy())),
            );
        } else if place != format!("{name}/lock") {
            files.insert(place, fs::read(&path).expect("a file just written"));
        }
    }
    files
}

/// A log before anybody touched it.
struct Log {
    party: usize,
    files: Files,
    size: u64,
    root: TreeHash,
}

/// Two short logs of one session; one log of more than a tile.
static WORLDS: LazyLock<[Vec<Log>; 2]> = LazyLock::new(|| {
    let log = |party, batches| {
        let (files, size, root) = genuine(party, batches);
        Log { party, files, size, root }
    };
    [vec![log(0, 3), log(1, 3)], vec![log(0, 259)]]
});

/// Takes numbers and strings off the input; missing bytes are zero.
struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    fn u8(&mut self) -> u8 {
        let (&first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        first
    }

    fn u16(&mut self) -> usize {
        usize::from(self.u8()) | usize::from(self.u8()) << 8
    }

    fn bytes(&mut self, n: usize) -> &'a [u8] {
        let (head, tail) = self.0.split_at(n.min(self.0.len()));
        self.0 = tail;
        head
    }
}

/// Applies one edit of the script.
fn edit(files: &mut Files, script: &mut Script<'_>) {
    let (kind, chosen) = (script.u8(), usize::from(script.u8()));
    let names: Vec<String> = files.keys().cloned().collect();
    if names.is_empty() {
        return;
    }
    let pick = |i: usize| names[i % names.len()].clone();
    let name = pick(chosen);
    let content = files.entry(name.clone()).or_default();
    let at = |script: &mut Script<'_>, len: usize| script.u16() % (len + 1);
    match kind % 8 {
        0 => {
            let at = at(script, content.len());
            if let Some(byte) = content.get_mut(at) {
                *byte ^= script.u8();
            }
        }
        1 => content.truncate(script.u16()),
        2 => {
            let (at, n) = (at(script, content.len()), usize::from(script.u8()));
            let inserted = script.bytes(n).to_vec();
            content.splice(at..at, inserted);
        }
        3 => drop(files.remove(&name)),
        4 => {
            let other = pick(usize::from(script.u8()));
            let (a, b) = (files[&name].clone(), files[&other].clone());
            files.insert(name, b);
            files.insert(other, a);
        }
        5 => {
            let n = script.u16();
            *content = script.bytes(n).to_vec();
        }
        6 => {
            let n = usize::from(script.u8()) % 80;
            let new = String::from_utf8_lossy(script.bytes(n)).into_owned();
            let fine = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\0');
            let n = usize::from(script.u8());
            let log = name.split('/').next().unwrap_or_default();
            if new.split('/').all(fine) {
                files.insert(format!("{log}/{new}"), script.bytes(n).to_vec());
            }
        }
        _ => {
            let to = pick(usize::from(script.u8()));
            let copied = content.clone();
            files.insert(to, copied);
        }
    }
}

/// Writes the files; one that cannot stand beside the others is left out, and out of `files`.
fn write_tree(dir: &Path, files: &mut Files) {
    files.retain(|name, content| {
        let path = dir.join(name);
        path.parent().is_some_and(|p| fs::create_dir_all(p).is_ok()) && fs::write(&path, content).is_ok()
    });
}

/// Genuine logs under the edits that the input describes: the verifier is content with exactly the genuine ones, and
/// the owner's store opens none but them. The first byte chooses the logs, the rest are edits.
pub fn log_directory(bytes: &[u8]) -> bool {
    let mut script = Script(bytes);
    let world = &WORLDS[usize::from(script.u8() & 1)];
    let original: Files = world.iter().flat_map(|l| l.files.clone()).collect();
    let mut files = original.clone();
    for _ in 0..12 {
        if script.0.is_empty() {
            break;
        }
        edit(&mut files, &mut script);
    }
    let dir = scratch();
    for log in world {
        fs::create_dir(dir.path().join(NAMES[log.party])).expect("a fresh directory");
    }
    write_tree(dir.path(), &mut files);
    // An empty lock file says nothing.
    files.retain(|name, content| {
        !(name.ends_with("/lock") && name.matches('/').count() == 1 && content.is_empty())
    });

    let dirs: Vec<_> = world.iter().map(|l| dir.path().join(NAMES[l.party])).collect();
    let keys: Vec<Member> = world.iter().map(|l| member(l.party)).collect();
    let unchanged = files == original;
    // Which directory a log lies in says nothing: a genuine log is one in the other's place, too.
    let content = |files: &Files, party: usize| -> Files {
        let own = |name: &str| Some(name.strip_prefix(NAMES[party])?.strip_prefix('/')?.to_owned());
        files.iter().filter_map(|(name, bytes)| Some((own(name)?, bytes.clone()))).collect()
    };
    let genuine: Vec<_> = world.iter().map(|l| content(&l.files, l.party)).collect();
    let sound = world.iter().all(|l| genuine.contains(&content(&files, l.party)));
    for expected in [&keys[..], &[]] {
        let report = verify(&dirs, expected);
        assert_eq!(report.ok, sound, "exactly genuine logs verify:\n{}", render(&report));
        assert_eq!(report.ok, report.problems.is_empty(), "a failure has a reason");
    }
    for (log, dir_of) in world.iter().zip(&dirs) {
        if let Ok(shown) = show(dir_of) {
            assert!(!render_log(&shown).is_empty());
        }
        let Ok(store) = LogStore::open_or_create(dir_of, NAMES[log.party], key_of(log.party)) else {
            continue;
        };
        let begun_anew = store.size() == 0 && store.root() == empty_root();
        let had_checkpoint = files.contains_key(&format!("{}/checkpoint", NAMES[log.party]));
        assert!(
            (store.size(), store.root()) == (log.size, log.root) || (begun_anew && !had_checkpoint),
            "a store of {} entries was opened",
            store.size()
        );
        drop(store);
        if had_checkpoint {
            let whole = read_tree(dir.path(), NAMES[log.party]) == log.files;
            assert!(whole, "what was opened is whole, and what did not belong to it is gone");
        }
    }
    unchanged
}

/// A log whose owner, who has the key, logs what it likes: `u16` length and bytes of each entry. Checked alone and
/// against the peer's honest log. True if the verifier is content with it.
pub fn log_dishonest(bytes: &[u8]) -> bool {
    let mut script = Script(bytes);
    let mut entries = Vec::new();
    while !script.0.is_empty() && entries.len() < 600 {
        let n = script.u16().min(MAX_ENTRY_BYTES);
        entries.push(script.bytes(n).to_vec());
    }
    let dir = scratch();
    let own = dir.path().join(NAMES[0]);
    let mut store = LogStore::open_or_create(&own, NAMES[0], key_of(0)).expect("a new log");
    store.append(&entries).expect("entries are short");
    store.commit().expect("a writable temporary directory");
    drop(store);

    let alone = verify(std::slice::from_ref(&own), &[member(0)]);
    assert!(!render(&alone).is_empty());
    let decoded = entries.iter().all(|e| Entry::decode(e).is_ok());
    assert!(decoded || !alone.ok, "a log with entries that mean nothing is not verified");
    match show(&own) {
        Ok(shown) => {
            assert!(decoded && shown.entries.len() == entries.len(), "all entries are shown");
            let line = |e: &crate::log::ShownEntry| !e.text.chars().any(char::is_control);
            assert!(shown.entries.iter().all(line), "entries are shown in one line each");
        }
        // Sound entries may name another key than the one that signed the log.
        Err(_) => assert!(!decoded || !alone.ok, "a log that verifies can be shown"),
    }
    let mut honest = WORLDS[0][1].files.clone();
    write_tree(dir.path(), &mut honest);
    let both = verify(&[own, dir.path().join(NAMES[1])], &[]);
    assert!(alone.ok || !both.ok, "a second log excuses nothing");
    if entries == entries_of(0, 3) {
        assert!(alone.ok && both.ok, "honest logs agree: {}", render(&both));
    }
    alone.ok
}
