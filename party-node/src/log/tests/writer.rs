//! The writer's thread: durability on request, group commits, failures that reach everyone.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mpc_core::channel::Peer;
use mpc_core::party::PartyId;
use mpc_core::tag::SessionId;
use mpc_core::transcript::{Batch, Close, Entry, Outcome, PeerDigests, TranscriptSink};

use super::super::files::{Disk, Files};
use super::super::{LogError, LogWriter, render, verify};
use super::session::{DEALER, Plan, key_of};

fn me() -> Peer {
    Peer::Party(PartyId::new(0))
}

fn writer(dir: &Path) -> Result<LogWriter, LogError> {
    LogWriter::open(dir, "bank", key_of("bank"))
}

fn batch(session: SessionId, index: u64) -> Entry {
    let peer = PeerDigests {
        peer: Peer::Party(PartyId::new(1)),
        sent: [1; 32],
        received: [2; 32],
        sent_bytes: 3,
        received_bytes: 4,
    };
    let (first_round, last_round) = (64 * index, 64 * index + 63);
    Entry::Batch(Batch { session, lane: 0, index, first_round, last_round, peers: vec![peer] })
}

#[test]
fn what_was_flushed_is_on_disk() {
    let root = tempfile::tempdir().unwrap();
    let writer = writer(root.path()).unwrap();
    let mut handle = writer.handle();
    let plan = Plan::new(2, 0);
    assert_eq!(handle.flush().unwrap().checkpoint().size(), 0);
    TranscriptSink::append(&mut handle, plan.open(me()));
    (0..1000).for_each(|i| TranscriptSink::append(&mut handle, batch(plan.session(), i)));
    assert_eq!(handle.flush().unwrap().checkpoint().size(), 1001);
    let report = verify(&[root.path().to_owned()], &[]);
    assert!(report.ok, "{}", render(&report));
    assert_eq!(report.logs[0].size, 1001);

    let close =
        Close { session: plan.session(), outcome: Outcome::Completed, rounds: 64_000, bytes_sent: 3000 };
    handle.append(&Entry::Close(close)).unwrap();
    assert_eq!(writer.close().unwrap().checkpoint().size(), 1002);
    assert!(matches!(handle.flush(), Err(LogError::WriterEnded)));
    let report = verify(&[root.path().to_owned()], &[]);
    assert!(report.ok && report.notes.is_empty(), "{}", render(&report));
}

#[test]
fn dropping_the_writer_commits() {
    let root = tempfile::tempdir().unwrap();
    let open = writer(root.path()).unwrap();
    open.handle().append(&Plan::new(2, 0).open(me())).unwrap();
    drop(open);
    assert_eq!(verify(&[root.path().to_owned()], &[]).logs[0].size, 1);
}

#[test]
fn a_session_left_open_is_closed_by_the_next_process() {
    let root = tempfile::tempdir().unwrap();
    let plan = Plan::new(2, 0);
    let first = writer(root.path()).unwrap();
    first.handle().append(&plan.open(me())).unwrap();
    first.handle().append(&batch(plan.session(), 0)).unwrap();
    drop(first);
    let second = writer(root.path()).unwrap();
    assert!(second.recovered()[0].contains("interrupted"), "{:?}", second.recovered());
    drop(second);
    let report = verify(&[root.path().to_owned()], &[]);
    assert!(report.ok && report.notes.is_empty(), "{}", render(&report));
    assert_eq!(report.logs[0].size, 3);
    let third = writer(root.path()).unwrap();
    assert!(third.recovered().is_empty());
}

#[test]
fn entries_that_would_not_verify_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let writer = writer(root.path()).unwrap();
    let handle = writer.handle();
    let other = Plan::new(2, 0).open(Peer::Party(PartyId::new(1)));
    assert!(matches!(handle.append(&other), Err(LogError::OtherIdentity { .. })));
    let Entry::SessionOpen(mut bad) = Plan::new(2, 0).open(me()) else { panic!("open") };
    bad.parties[1].name = "two words".to_owned();
    assert!(matches!(handle.append(&Entry::SessionOpen(bad)), Err(LogError::BadEntry(_))));
    assert_eq!(writer.close().unwrap().checkpoint().size(), 0);
}

#[test]
fn entries_outside_their_session_are_refused_and_late_batches_dropped() {
    let root = tempfile::tempdir().unwrap();
    let writer = writer(root.path()).unwrap();
    let mut handle = writer.handle();
    let plan = Plan::new(2, 0);
    assert!(matches!(handle.append(&batch(plan.session(), 0)), Err(LogError::SessionNotOpen { .. })));
    handle.append(&plan.open(me())).unwrap();
    assert!(matches!(handle.append(&plan.open(me())), Err(LogError::SessionNotOpen { .. })));
    let outcome = Outcome::aborted("lost", None, "cable cut");
    handle
        .append(&Entry::Close(Close { session: plan.session(), outcome, rounds: 0, bytes_sent: 0 }))
        .unwrap();
    // The lane of the aborted session is still busy, and its batch comes too late.
    TranscriptSink::append(&mut handle, batch(plan.session(), 0));
    assert_eq!(handle.flush().unwrap().checkpoint().size(), 2);
    // A batch of a session that nobody opened is a mistake, and stops the log.
    TranscriptSink::append(&mut handle, batch(SessionId([0xee; 32]), 0));
    assert!(matches!(handle.flush(), Err(LogError::SessionNotOpen { .. })));
    drop(writer);
    let report = verify(&[root.path().to_owned()], &[]);
    assert!(report.ok && report.notes.is_empty(), "{}", render(&report));
}

/// All parties together can ask a dealer for an old session again; it must not spoil its log with it.
#[test]
fn a_session_of_an_earlier_process_is_not_opened_again() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join(DEALER);
    let open_log = || LogWriter::open(&dir, DEALER, key_of(DEALER)).unwrap();
    let plan = Plan { items: 1, ..Plan::new(2, 0) };
    let (open, session) = (plan.open(Peer::Dealer), plan.session());
    let close = Entry::Close(Close { session, outcome: Outcome::Completed, rounds: 0, bytes_sent: 0 });
    let first = open_log();
    first.handle().append(&open).unwrap();
    first.handle().append(&close).unwrap();
    drop(first);
    for _ in 0..2 {
        let again = open_log();
        for entry in [&open, &close] {
            let refused = again.handle().append(entry);
            assert!(matches!(refused, Err(LogError::SessionNotOpen { .. })), "{refused:?}");
        }
        // Others go on.
        let next = Plan { number: 2, ..plan.clone() };
        let fresh = again.handle().append(&next.open(Peer::Dealer));
        assert_eq!(fresh.is_ok(), again.recovered().is_empty());
        drop(again);
        let report = verify(std::slice::from_ref(&dir), &[]);
        assert!(report.ok, "{}", render(&report));
    }
}

/// A disk that is full from some moment on.
struct Filling(Arc<AtomicBool>);

impl Files for Filling {
    fn write_synced(&mut self, path: &Path, content: &[u8]) -> io::Result<()> {
        if self.0.load(Ordering::SeqCst) {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        Disk.write_synced(path, content)
    }
    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        Disk.rename(from, to)
    }
    fn sync_dir(&mut self, path: &Path) -> io::Result<()> {
        Disk.sync_dir(path)
    }
    fn create_dir(&mut self, path: &Path) -> io::Result<()> {
        Disk.create_dir(path)
    }
    fn remove_file(&mut self, path: &Path) -> io::Result<()> {
        Disk.remove_file(path)
    }
    fn remove_dir(&mut self, path: &Path) -> io::Result<()> {
        Disk.remove_dir(path)
    }
}

#[test]
fn a_full_disk_reaches_everyone_and_loses_nothing_acknowledged() {
    let root = tempfile::tempdir().unwrap();
    let full = Arc::new(AtomicBool::new(false));
    let files = Box::new(Filling(Arc::clone(&full)));
    let first = LogWriter::open_with(root.path(), "bank", key_of("bank"), files).unwrap();
    let mut handle = first.handle();
    let plan = Plan::new(2, 0);
    handle.append(&plan.open(me())).unwrap();
    assert_eq!(handle.flush().unwrap().checkpoint().size(), 1);
    handle.check().unwrap();

    full.store(true, Ordering::SeqCst);
    TranscriptSink::append(&mut handle, batch(plan.session(), 0));
    let error = handle.flush().unwrap_err();
    assert!(matches!(error, LogError::Io { .. }), "{error}");
    assert!(handle.check().is_err() && handle.append(&batch(plan.session(), 1)).is_err());
    // More than the queue holds: a dead log must not block whoever still appends.
    (1..3000).for_each(|i| TranscriptSink::append(&mut handle, batch(plan.session(), i)));
    full.store(false, Ordering::SeqCst);
    assert!(handle.flush().is_err(), "a log with a hole goes on");
    assert!(first.close().is_err());

    let second = writer(root.path()).unwrap();
    drop(second);
    let report = verify(&[root.path().to_owned()], &[]);
    assert!(report.ok, "{}", render(&report));
    assert_eq!(report.logs[0].size, 2, "the open session and its interruption");
}
