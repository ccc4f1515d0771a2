//! The lane thread, which does a session's work, and whoever waits for it.
//!
//! A peer can die while the lane computes and the lane would notice only at its next exchange. So a second thread waits
//! for the network's word, and whichever comes first ends the run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use ml_ops::Iteration;
use mpc_core::channel::ChannelError;

use super::errors::{Failure, failure, from_channel};
use crate::log::LogHandle;
use crate::net::SessionHandle;
use crate::progress::Report;

/// After the network noticed a failure, the lane has this long to say in which step it was.
const LAST_WORD: Duration = Duration::from_millis(80);
/// The watcher looks at least this often whether the session is over.
const WATCH: Duration = Duration::from_secs(3600);

/// What the lane thread reports.
enum Event<T> {
    Step(Progress),
    Done(Box<T>),
    Crashed,
    Failed(ChannelError),
}

/// How far a lane is.
pub(super) struct Progress {
    /// What it does next.
    pub(super) next: &'static str,
    /// Exchanges so far.
    pub(super) rounds: u64,
    /// Payload bytes sent so far.
    pub(super) bytes: u64,
    /// Where in a loop it is.
    pub(super) iteration: Option<Iteration>,
    /// What it reported last.
    pub(super) report: Option<Report>,
}

/// Work under way, which ends with a `T`.
pub(super) struct Lane<T> {
    events: Receiver<Event<T>>,
    over: Arc<AtomicBool>,
}

impl<T: Send + 'static> Lane<T> {
    /// Starts the lane. `work` is given whom to tell how far it is.
    pub(super) fn start(
        handle: &SessionHandle,
        work: impl FnOnce(&mut dyn FnMut(Progress)) -> T + Send + 'static,
    ) -> Result<Self, Failure> {
        let (tell, events) = channel();
        let over = Arc::new(AtomicBool::new(false));
        watch(handle.clone(), tell.clone(), over.clone())
            .and_then(|()| start_lane(work, tell))
            .map_err(|e| failure("internal", format!("cannot start a thread: {e}")))?;
        Ok(Self { events, over })
    }

    /// Waits for the end of the lane, or of the session. `step` is told how far the lane is.
    pub(super) fn follow(
        self,
        handle: &SessionHandle,
        log: &LogHandle,
        step: &mut dyn FnMut(Progress),
    ) -> Result<T, Failure> {
        let names = handle.names();
        let mut noticed: Option<(ChannelError, Instant)> = None;
        loop {
            let event = match &noticed {
                None => self.events.recv().ok(),
                Some((_, until)) => {
                    self.events.recv_timeout(until.saturating_duration_since(Instant::now())).ok()
                }
            };
            match (event, &noticed) {
                (Some(Event::Step(progress)), _) => {
                    log.check().map_err(|e| failure("log_failed", e.to_string()))?;
                    step(progress);
                }
                (Some(Event::Done(result)), _) => return Ok(*result),
                (Some(Event::Failed(error)), _) => noticed = Some((error, Instant::now() + LAST_WORD)),
                (None, Some((error, _))) => return Err(from_channel(names, None, error)),
                (Some(Event::Crashed) | None, _) => {
                    return Err(failure("internal", "the computing thread ended unexpectedly".into()));
                }
            }
        }
    }
}

impl<T> Drop for Lane<T> {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// Reports a session that fails while the lane computes.
fn watch<T: Send + 'static>(
    handle: SessionHandle,
    tell: Sender<Event<T>>,
    over: Arc<AtomicBool>,
) -> std::io::Result<()> {
    let watcher = std::thread::Builder::new().name("watch".into());
    watcher
        .spawn(move || {
            while !over.load(Ordering::Relaxed) {
                if let Some(error) = handle.wait_failure(WATCH) {
                    // Nobody listens when the run is over already.
                    let _over = tell.send(Event::Failed(error));
                    return;
                }
            }
        })
        .map(drop)
}

fn start_lane<T: Send + 'static>(
    work: impl FnOnce(&mut dyn FnMut(Progress)) -> T + Send + 'static,
    tell: Sender<Event<T>>,
) -> std::io::Result<()> {
    let lane = std::thread::Builder::new().name("lane 0".into());
    lane.spawn(move || {
        let steps = tell.clone();
        let mut progress = |p: Progress| {
            // Nobody listens when the run has ended for another reason.
            let _over = steps.send(Event::Step(p));
        };
        let body = std::panic::AssertUnwindSafe(|| work(&mut progress));
        let event = match std::panic::catch_unwind(body) {
            Ok(result) => Event::Done(Box::new(result)),
            Err(_) => Event::Crashed,
        };
        let _over = tell.send(event);
    })
    .map(drop)
}
