//! The lane thread, which runs the program, and whoever waits for it.
//!
//! A peer can die while the lane computes and the lane would notice only at its next exchange. So a second thread waits
//! for the network's word, and whichever comes first ends the run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use ml_ops::{EncodedInputs, Execution, Program, RunError, run_encoded};
use mpc_core::channel::ChannelError;
use mpc_core::ring::Z64;
use mpc_core::share::Additive;
use protocols::session::Session;

use super::errors::{Failure, failure, from_channel, from_run};
use crate::log::LogHandle;
use crate::net::SessionHandle;

/// After the network noticed a failure, the lane has this long to say in which step it was.
const LAST_WORD: Duration = Duration::from_millis(80);
/// The watcher looks at least this often whether the session is over.
const WATCH: Duration = Duration::from_secs(3600);

/// What the lane thread reports.
enum Event {
    Step { op: &'static str, rounds: u64, bytes: u64 },
    Done(Box<Result<Execution, RunError>>),
    Crashed,
    Failed(ChannelError),
}

/// A run under way.
pub(super) struct Lane {
    events: Receiver<Event>,
    over: Arc<AtomicBool>,
}

impl Lane {
    /// Starts the lane.
    pub(super) fn start(
        session: Session<Additive<Z64>>,
        program: Arc<Program>,
        encoded: EncodedInputs,
        handle: &SessionHandle,
    ) -> Result<Self, Failure> {
        let (tell, events) = channel();
        let over = Arc::new(AtomicBool::new(false));
        watch(handle.clone(), tell.clone(), over.clone())
            .and_then(|()| start_lane(session, program, encoded, tell))
            .map_err(|e| failure("internal", format!("cannot start a thread: {e}")))?;
        Ok(Self { events, over })
    }

    /// Waits for the end of the lane, or of the session. `step` is told of every operation begun, with rounds and
    /// bytes so far.
    pub(super) fn follow(
        self,
        handle: &SessionHandle,
        log: &LogHandle,
        step: &mut dyn FnMut(&'static str, u64, u64),
    ) -> Result<Execution, Failure> {
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
                (Some(Event::Step { op, rounds, bytes }), _) => {
                    log.check().map_err(|e| failure("log_failed", e.to_string()))?;
                    step(op, rounds, bytes);
                }
                (Some(Event::Done(result)), _) => return result.map_err(|e| from_run(names, &e)),
                (Some(Event::Failed(error)), _) => noticed = Some((error, Instant::now() + LAST_WORD)),
                (None, Some((error, _))) => return Err(from_channel(names, None, error)),
                (Some(Event::Crashed) | None, _) => {
                    return Err(failure("internal", "the computing thread ended unexpectedly".into()));
                }
            }
        }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// Reports a session that fails while the lane computes.
fn watch(handle: SessionHandle, tell: Sender<Event>, over: Arc<AtomicBool>) -> std::io::Result<()> {
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

fn start_lane(
    mut session: Session<Additive<Z64>>,
    program: Arc<Program>,
    encoded: EncodedInputs,
    tell: Sender<Event>,
) -> std::io::Result<()> {
    let lane = std::thread::Builder::new().name("lane 0".into());
    lane.spawn(move || {
        let steps = tell.clone();
        let mut progress = |p: ml_ops::Progress<'_>| {
            // Nobody listens when the run has ended for another reason.
            let _over = steps.send(Event::Step { op: p.next, rounds: p.rounds, bytes: p.sent_bytes });
        };
        let body =
            std::panic::AssertUnwindSafe(|| run_encoded(&mut session, &program, encoded, &mut progress));
        let event = match std::panic::catch_unwind(body) {
            Ok(result) => Event::Done(Box::new(result)),
            Err(_) => Event::Crashed,
        };
        let _over = tell.send(event);
    })
    .map(drop)
}
