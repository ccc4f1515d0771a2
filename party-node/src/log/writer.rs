//! The thread that owns the log while a node runs.
//!
//! Entries reach it through a bounded queue, so a slow disk slows a computation down instead of filling the memory.
//! Session opens, commitments and closes are committed as soon as they come; batches wait a moment for others, because
//! each commit costs several synchronised writes. A failed write stops the log: every later append and flush returns
//! the reason, and the node aborts its sessions.

use std::collections::HashMap;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ed25519_dalek::SigningKey;
use mpc_core::checkpoint::SignedCheckpoint;
use mpc_core::hex::hex;
use mpc_core::tag::SessionId;
use mpc_core::transcript::{Close, Entry, Outcome, SessionOpen, TranscriptSink};

use super::error::LogError;
use super::exchange::Snapshot;
use super::files::{Files, disk};
use super::store::LogStore;
use super::{cosigned, sessions};

/// Entries that may wait for the writer. Few, because a node that is killed loses them.
const QUEUE_ENTRIES: usize = 16;
/// How long a batch may wait for others.
const GROUP_MS: u64 = 200;
/// After this many entries a commit is due at once.
const GROUP_ENTRIES: usize = 16;
/// The most entries of one lane that a killed node can lose: those of the commit under way, those in the queue, and the
/// one that its lane is waiting to queue.
pub(super) const UNCOMMITTED_ENTRIES: u64 = (GROUP_ENTRIES + QUEUE_ENTRIES + 1) as u64;
/// The code of a close entry that the next process writes for a killed one.
pub(super) const INTERRUPTED: &str = "interrupted";

enum Request {
    Append { leaf: Vec<u8>, urgent: bool },
    Flush(SyncSender<Result<SignedCheckpoint, LogError>>),
    KeepCosigned(SessionId, SignedCheckpoint, SyncSender<Result<SignedCheckpoint, LogError>>),
    Snapshot(SessionId, SyncSender<Result<Snapshot, LogError>>),
    Stop(SyncSender<Result<SignedCheckpoint, LogError>>),
}

struct Shared {
    name: String,
    key: [u8; 32],
    failure: Mutex<Option<LogError>>,
    /// All sessions of this log, 33 bytes each. Held while an entry is queued, so that the order in the log is the order
    /// of these checks.
    sessions: Mutex<HashMap<[u8; 32], State>>,
}

/// How far a session has come.
#[derive(Copy, Clone, PartialEq, Eq)]
enum State {
    /// It is of an earlier process. Its id is kept so that nobody can have it opened again: a dealer cannot tell an old
    /// id from a new one, and a session with two open entries would spoil the log for good.
    Past,
    Open,
    Closed,
    Witnessed,
}

impl Shared {
    fn failure(&self) -> Option<LogError> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn fail(&self, error: LogError) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }
}

/// The log of a running node.
pub struct LogWriter {
    handle: LogHandle,
    thread: Option<JoinHandle<()>>,
    recovered: Vec<String>,
}

impl LogWriter {
    /// Opens or begins the log in `dir` and starts its thread. Sessions that an earlier process left open are closed as
    /// interrupted.
    ///
    /// # Errors
    /// Those of [`LogStore::open_or_create`].
    pub fn open(dir: &Path, name: &str, key: SigningKey) -> Result<Self, LogError> {
        Self::open_with(dir, name, key, disk())
    }

    pub(super) fn open_with(
        dir: &Path,
        name: &str,
        key: SigningKey,
        files: Box<dyn Files>,
    ) -> Result<Self, LogError> {
        let public = key.verifying_key().to_bytes();
        let (mut store, entries) = LogStore::open_with(dir, name, key, files)?;
        let mut recovered: Vec<String> = store
            .recovered()
            .iter()
            .map(|file| format!("removed {file}, left by an interrupted commit"))
            .collect();
        let past = entries.iter().filter_map(|e| Some((Entry::decode(e).ok()?.session().0, State::Past)));
        let past: HashMap<_, _> = past.collect();
        for close in interrupted(&entries) {
            recovered.push(format!("closed session {}, interrupted when the node ended", close.session));
            store.append(&[Entry::Close(close).encode()])?;
        }
        store.commit()?;

        let shared = Arc::new(Shared {
            name: name.to_owned(),
            key: public,
            failure: Mutex::default(),
            sessions: Mutex::new(past),
        });
        let (queue, requests) = sync_channel(QUEUE_ENTRIES);
        let for_thread = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || serve(store, &requests, &for_thread))
            .map_err(LogError::io("start the writer of", dir))?;
        Ok(Self { handle: LogHandle { queue, shared }, thread: Some(thread), recovered })
    }

    /// A handle for whoever writes entries.
    #[must_use]
    pub fn handle(&self) -> LogHandle {
        self.handle.clone()
    }

    /// What opening the log repaired, one line each, for people.
    #[must_use]
    pub fn recovered(&self) -> &[String] {
        &self.recovered
    }

    /// Commits everything, ends the thread and gives the log free. Handles are useless afterwards.
    ///
    /// # Errors
    /// The failure that stopped the log, if one did.
    pub fn close(mut self) -> Result<SignedCheckpoint, LogError> {
        self.stop()
    }

    fn stop(&mut self) -> Result<SignedCheckpoint, LogError> {
        let Some(thread) = self.thread.take() else { return Err(LogError::WriterEnded) };
        let result = self.handle.ask(Request::Stop);
        let joined = thread.join();
        result.and_then(|head| joined.map(|()| head).map_err(|_| LogError::WriterEnded))
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        // A failure was already told to every flush; `close` is there for who wants to know.
        let _ = self.stop();
    }
}

/// A close entry for every session that has none.
pub(super) fn interrupted(entries: &[Vec<u8>]) -> Vec<Close> {
    let decoded = entries.iter().enumerate().filter_map(|(i, e)| Some((i as u64, Entry::decode(e).ok()?)));
    let (sessions, _) = sessions::group(decoded);
    sessions
        .iter()
        .filter(|s| s.close.is_none())
        .map(|s| Close {
            session: s.open.session,
            outcome: Outcome::aborted(INTERRUPTED, None, "the node ended before it could close the session"),
            rounds: s.rounds(),
            bytes_sent: s.bytes_sent(),
        })
        .collect()
}

/// Writes entries. Clones write to the same log.
#[derive(Clone)]
pub struct LogHandle {
    queue: SyncSender<Request>,
    shared: Arc<Shared>,
}

impl LogHandle {
    /// Queues an entry. It is durable once a later [`LogHandle::flush`] has returned.
    ///
    /// # Errors
    /// The failure that stopped the log; an entry that would not verify, or of a session that is not open.
    pub fn append(&self, entry: &Entry) -> Result<(), LogError> {
        if let Some(failure) = self.shared.failure() {
            return Err(failure);
        }
        let leaf = entry.encode();
        Entry::decode(&leaf)?;
        if let Entry::SessionOpen(open) = entry {
            let me = open.member(open.me);
            if !me.is_some_and(|m| m.name == self.shared.name && m.key == self.shared.key) {
                let show = |name: &str, key: [u8; 32]| format!("{name} (key {})", hex(&key));
                return Err(LogError::OtherIdentity {
                    expected: show(&self.shared.name, self.shared.key),
                    got: me.map_or_else(String::new, |m| show(&m.name, m.key)),
                });
            }
        }
        let mut sessions = self.shared.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let session = entry.session();
        let state = match (entry, sessions.get(&session.0)) {
            (Entry::SessionOpen(_), None) => State::Open,
            (Entry::Commitment(_) | Entry::Batch(_), Some(State::Open)) => State::Open,
            (Entry::Close(_), Some(State::Open)) => State::Closed,
            // Written by the store itself, together with the file that it fixes.
            _ => return Err(LogError::SessionNotOpen { session }),
        };
        sessions.insert(session.0, state);
        let urgent = !matches!(entry, Entry::Batch(_));
        self.queue.send(Request::Append { leaf, urgent }).map_err(|_| LogError::WriterEnded)
    }

    /// Waits until everything appended before is durable, and returns the checkpoint that covers it.
    ///
    /// # Errors
    /// The failure that stopped the log. The node must then abort its sessions.
    pub fn flush(&self) -> Result<SignedCheckpoint, LogError> {
        self.ask(Request::Flush)
    }

    /// The failure that stopped the log, if one did; does not wait.
    ///
    /// # Errors
    /// That failure.
    pub fn check(&self) -> Result<(), LogError> {
        self.shared.failure().map_or(Ok(()), Err)
    }

    fn is_closed(&self, entry: &Entry) -> bool {
        let sessions = self.shared.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        matches!(sessions.get(&entry.session().0), Some(State::Closed | State::Witnessed))
    }

    /// Keeps what the peers of a closed session cosigned, and returns the checkpoint that covers the entry which fixes
    /// it; durable then. `open` is the session's open entry, `cosigned` this log's head after the session with the
    /// peers' lines in roster order.
    ///
    /// # Errors
    /// [`LogError::NotCosigned`] if a verifier would refuse it, [`LogError::SessionNotOpen`] if the session is not closed
    /// or already has its cosignatures, and the failure that stopped the log.
    pub fn keep_cosigned(
        &self,
        open: &SessionOpen,
        cosigned: SignedCheckpoint,
    ) -> Result<SignedCheckpoint, LogError> {
        let session = open.session;
        cosigned::check_signers(open, &cosigned).map_err(|what| LogError::NotCosigned { session, what })?;
        {
            let mut sessions = self.shared.sessions.lock().unwrap_or_else(PoisonError::into_inner);
            if sessions.get(&session.0) != Some(&State::Closed) {
                return Err(LogError::SessionNotOpen { session });
            }
            sessions.insert(session.0, State::Witnessed);
        }
        self.ask(|reply| Request::KeepCosigned(session, cosigned, reply))
    }

    /// The log as it is now, as the peers of `session` are shown it. Commits what is waiting; reads the whole log.
    ///
    /// # Errors
    /// [`LogError::SessionNotOpen`] if the log has no such session, and the failure that stopped the log.
    pub fn snapshot(&self, session: SessionId) -> Result<Snapshot, LogError> {
        self.ask(|reply| Request::Snapshot(session, reply))
    }

    fn ask<T>(
        &self,
        request: impl FnOnce(SyncSender<Result<T, LogError>>) -> Request,
    ) -> Result<T, LogError> {
        let (reply, answer) = sync_channel(1);
        self.queue.send(request(reply)).map_err(|_| LogError::WriterEnded)?;
        answer.recv().map_err(|_| LogError::WriterEnded)?
    }
}

/// A failure to append is kept, and stops the log: the transcript would have a hole. Only what comes after the
/// session's close is dropped quietly: a lane that was still busy when the session was given up.
impl TranscriptSink for LogHandle {
    fn append(&mut self, entry: Entry) {
        match Self::append(self, &entry) {
            Ok(()) => {}
            Err(LogError::SessionNotOpen { .. }) if self.is_closed(&entry) => {}
            Err(error) => self.shared.fail(error),
        }
    }
}

fn serve(mut store: LogStore, requests: &Receiver<Request>, shared: &Shared) {
    let mut waiting: usize = 0;
    let mut due: Option<Instant> = None;
    loop {
        let request = match due {
            None => requests.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(at) => requests.recv_timeout(at.saturating_duration_since(Instant::now())),
        };
        let (commit, reply, stop) = match request {
            Ok(Request::Append { leaf, urgent }) => {
                if let Err(error) = store.append(&[leaf]) {
                    shared.fail(error);
                }
                waiting += 1;
                // What is already in the queue still joins an urgent commit.
                let now = Instant::now();
                let by = if urgent { now } else { now + Duration::from_millis(GROUP_MS) };
                due = Some(due.map_or(by, |at| at.min(by)));
                (waiting >= GROUP_ENTRIES, None, false)
            }
            Ok(Request::Flush(reply)) => (true, Some(reply), false),
            Ok(Request::KeepCosigned(session, cosigned, reply)) => {
                let head = shared.failure().map_or_else(|| store.keep_cosigned(session, &cosigned), Err);
                if let Err(error) = &head {
                    shared.fail(error.clone());
                }
                let _ = reply.send(head);
                continue;
            }
            Ok(Request::Snapshot(session, reply)) => {
                let committed = shared.failure().map_or_else(|| store.commit(), Err);
                if let Err(error) = &committed {
                    shared.fail(error.clone());
                }
                let _ = reply.send(committed.and_then(|_| Snapshot::of(&store, session)));
                continue;
            }
            Ok(Request::Stop(reply)) => (true, Some(reply), true),
            Err(RecvTimeoutError::Timeout) => (true, None, false),
            Err(RecvTimeoutError::Disconnected) => (true, None, true),
        };
        if commit {
            // After a failure nothing more is written: a log with a hole would look whole.
            let head = shared.failure().map_or_else(|| store.commit(), Err);
            if let Err(error) = &head {
                shared.fail(error.clone());
            }
            (waiting, due) = (0, None);
            if let Some(reply) = reply {
                // The asker may have gone; then nobody needs the answer.
                let _ = reply.send(head);
            }
        }
        if stop {
            return;
        }
    }
}
