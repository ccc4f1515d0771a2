//! Something with all peers at once, on their control streams: every peer has a thread of its own, so that a slow one delays
//! nobody else.

use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::distance_from_cause;
use super::errors::Failure;
use crate::net::ControlStream;

/// After the first fault, what is done with other peers has this long to come to its own end.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Does something with all peers at once.
pub(super) fn each<T: Send>(peers: &[ControlStream], work: impl Fn(&ControlStream) -> T + Sync) -> Vec<T> {
    let work = &work;
    thread::scope(|scope| {
        let threads: Vec<_> = peers.iter().map(|control| scope.spawn(move || work(control))).collect();
        threads.into_iter().map(|t| t.join().unwrap_or_else(|e| std::panic::resume_unwind(e))).collect()
    })
}

/// Does something with all peers at once, and gives up if one fails. `give_up` is told of every fault, so that nobody waits for
/// a silent peer; of several, the one nearest to the cause is returned.
pub(super) fn each_or_none<T: Send>(
    peers: &[ControlStream],
    give_up: &(impl Fn(&Failure) + Sync),
    work: impl Fn(&ControlStream) -> Result<T, Failure> + Sync,
) -> Result<Vec<T>, Failure> {
    let busy = Busy::new(peers.len());
    let results = each(peers, |control| {
        let result = work(control);
        busy.one_less();
        result.inspect_err(|failure| {
            // What one peer did wrong, the others should see for themselves rather than be told.
            busy.wait(LAST_WORDS);
            give_up(failure);
        })
    });
    let (mut done, mut faults) = (Vec::new(), Vec::new());
    for result in results {
        match result {
            Ok(value) => done.push(value),
            Err(failure) => faults.push(failure),
        }
    }
    faults.into_iter().min_by_key(|f| distance_from_cause(f.error.code())).map_or(Ok(done), Err)
}

/// How many peers something is still done with.
struct Busy {
    left: Mutex<usize>,
    changed: Condvar,
}

impl Busy {
    const fn new(left: usize) -> Self {
        Self { left: Mutex::new(left), changed: Condvar::new() }
    }

    fn one_less(&self) {
        *self.left.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.changed.notify_all();
    }

    /// Waits until there are none, or until `limit` has passed.
    fn wait(&self, limit: Duration) {
        let left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        // Either outcome is fine: then the others are told after all.
        let _ = self.changed.wait_timeout_while(left, limit, |left| *left > 0);
    }
}
