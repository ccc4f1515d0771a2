//! What tests know that nobody else does: every key that nodes in this process derived, and what blinds their commitments.
//! With it a test can compute any share and mask of a session and look for them where they must not be.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use mpc_core::tag::SessionId;

/// Session, what it is for, and the secret.
type Note = ([u8; 32], String, [u8; 32]);

static NOTES: Mutex<Vec<Note>> = Mutex::new(Vec::new());

pub(crate) fn note(session: &SessionId, label: &str, secret: &[u8; 32]) {
    NOTES.lock().unwrap_or_else(PoisonError::into_inner).push((session.0, label.to_owned(), *secret));
}

/// The secrets of a session that were noted under a label, each once.
pub(crate) fn secrets(session: &SessionId, label: &str) -> Vec<[u8; 32]> {
    let notes = NOTES.lock().unwrap_or_else(PoisonError::into_inner);
    let of_it = notes.iter().filter(|(s, l, _)| s == &session.0 && l == label).map(|(_, _, secret)| *secret);
    of_it.collect::<BTreeSet<_>>().into_iter().collect()
}

/// All sessions that a key was derived for, in the order of their first.
pub(crate) fn sessions() -> Vec<SessionId> {
    let notes = NOTES.lock().unwrap_or_else(PoisonError::into_inner);
    let mut found: Vec<SessionId> = Vec::new();
    for (session, ..) in &*notes {
        if !found.iter().any(|s| s.0 == *session) {
            found.push(SessionId(*session));
        }
    }
    found
}
