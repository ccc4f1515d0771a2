//! A byte-bounded queue between a lane's thread and the network thread.
//!
//! One side of a queue is a plain thread, the other an async task. It takes an item as long as it holds less than its
//! limit, so it is never above the limit by more than one item, and an item larger than the limit still passes. A message
//! that is made while it is sent counts as one item, whose parts after the first need no room.
//!
//! **Why bounded queues cannot deadlock here.** A lane blocks on a full outgoing queue only while messages of earlier
//! rounds wait there, and it has consumed everything that its peers sent in rounds before its own. Among the lanes
//! that block, look at one in the earliest round: what its peer has not consumed belongs to a round the peer has not
//! finished, so the peer is in that round or before and not blocked by an earlier one; it reads.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mpc_core::channel::ChannelError;
use tokio::sync::Notify;

use super::runtime::WATCH;

/// Why nothing more can be put in or taken out.
pub(crate) enum Blocked {
    /// The other side made no progress within the deadline.
    Deadline,
    /// The session failed or the stream ended.
    Failed(ChannelError),
}

struct Inner<T> {
    items: VecDeque<(usize, T)>,
    held_bytes: usize,
    /// Bumped by every movement, so that a waiting side can tell slow from silent.
    progress: u64,
    /// Told after the remaining items.
    ended: Option<ChannelError>,
    /// Told at once.
    failed: Option<ChannelError>,
    /// No more items will be put in.
    finished: bool,
}

/// See the module.
pub(crate) struct ByteQueue<T> {
    inner: Mutex<Inner<T>>,
    changed: Condvar,
    task_wake: Notify,
    limit_bytes: usize,
}

impl<T> ByteQueue<T> {
    pub(crate) fn new(limit_bytes: usize) -> Self {
        let inner = Inner {
            items: VecDeque::new(),
            held_bytes: 0,
            progress: 0,
            ended: None,
            failed: None,
            finished: false,
        };
        Self { inner: Mutex::new(inner), changed: Condvar::new(), task_wake: Notify::new(), limit_bytes }
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        self.changed.notify_all();
        self.task_wake.notify_one();
    }

    /// Notes that the task moved bytes of an item it has taken out already.
    pub(crate) fn touch(&self) {
        self.lock().progress += 1;
    }

    /// Whether an item of this kind waits.
    pub(crate) fn has(&self, wanted: impl Fn(&T) -> bool) -> bool {
        self.lock().items.iter().any(|(_, item)| wanted(item))
    }

    /// Drops everything and tells both sides.
    pub(crate) fn fail(&self, error: &ChannelError) {
        let mut inner = self.lock();
        inner.items.clear();
        inner.held_bytes = 0;
        inner.failed.get_or_insert_with(|| error.clone());
        drop(inner);
        self.wake();
    }

    /// Tells the taking side, after the items that are there.
    pub(crate) fn end(&self, error: ChannelError) {
        self.lock().ended.get_or_insert(error);
        self.wake();
    }

    /// Tells the taking side that all is done, after the items that are there.
    pub(crate) fn finish(&self) {
        self.lock().finished = true;
        self.wake();
    }

    fn try_take(inner: &mut Inner<T>) -> Option<Result<T, ChannelError>> {
        if let Some(error) = &inner.failed {
            return Some(Err(error.clone()));
        }
        if let Some((bytes, item)) = inner.items.pop_front() {
            inner.held_bytes -= bytes;
            inner.progress += 1;
            return Some(Ok(item));
        }
        inner.ended.clone().map(Err)
    }

    fn try_put(
        &self,
        inner: &mut Inner<T>,
        bytes: usize,
        item: &mut Option<T>,
    ) -> Option<Result<(), ChannelError>> {
        if let Some(error) = &inner.failed {
            return Some(Err(error.clone()));
        }
        if inner.held_bytes >= self.limit_bytes {
            return None;
        }
        let item = item.take()?;
        inner.held_bytes += bytes;
        inner.progress += 1;
        inner.items.push_back((bytes, item));
        Some(Ok(()))
    }

    /// Takes the next item from a thread; gives up after `timeout` without any movement. Looks for a moment before it
    /// sleeps: see [`super::runtime`].
    pub(crate) fn take_blocking(&self, timeout: Duration) -> Result<T, Blocked> {
        let until = Instant::now() + WATCH.min(timeout);
        while Instant::now() < until {
            if let Some(result) = Self::try_take(&mut self.lock()) {
                self.task_wake.notify_one();
                return result.map_err(Blocked::Failed);
            }
            std::thread::yield_now();
        }
        self.wait(timeout, Self::try_take)
    }

    /// Puts an item from a thread; gives up after `timeout` without any movement.
    pub(crate) fn put_blocking(&self, bytes: usize, item: T, timeout: Duration) -> Result<(), Blocked> {
        let mut item = Some(item);
        self.wait(timeout, |inner| self.try_put(inner, bytes, &mut item))
    }

    /// Puts what belongs to an item that was put before, whatever the queue holds: it is never above its limit by more
    /// than the rest of one item.
    pub(crate) fn put_more(&self, bytes: usize, item: T) -> Result<(), ChannelError> {
        let mut inner = self.lock();
        if let Some(error) = &inner.failed {
            return Err(error.clone());
        }
        inner.held_bytes += bytes;
        inner.progress += 1;
        inner.items.push_back((bytes, item));
        drop(inner);
        self.task_wake.notify_one();
        Ok(())
    }

    fn wait<R>(
        &self,
        timeout: Duration,
        mut attempt: impl FnMut(&mut Inner<T>) -> Option<Result<R, ChannelError>>,
    ) -> Result<R, Blocked> {
        let mut inner = self.lock();
        let mut progress = inner.progress;
        let mut deadline = Instant::now() + timeout;
        loop {
            if let Some(result) = attempt(&mut inner) {
                drop(inner);
                self.task_wake.notify_one();
                return result.map_err(Blocked::Failed);
            }
            let now = Instant::now();
            if inner.progress != progress {
                progress = inner.progress;
                deadline = now + timeout;
            }
            let Some(left) = deadline.checked_duration_since(now).filter(|d| !d.is_zero()) else {
                return Err(Blocked::Deadline);
            };
            inner = self.changed.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Takes the next item from a task; `None` once all is done.
    pub(crate) async fn take(&self) -> Option<Result<T, ChannelError>> {
        loop {
            {
                let mut inner = self.lock();
                if let Some(result) = Self::try_take(&mut inner) {
                    drop(inner);
                    self.changed.notify_all();
                    return Some(result);
                }
                if inner.finished {
                    return None;
                }
            }
            self.task_wake.notified().await;
        }
    }

    /// Puts an item from a task.
    pub(crate) async fn put(&self, bytes: usize, item: T) -> Result<(), ChannelError> {
        let mut item = Some(item);
        loop {
            if let Some(result) = self.try_put(&mut self.lock(), bytes, &mut item) {
                self.changed.notify_all();
                return result;
            }
            self.task_wake.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mpc_core::channel::Peer;

    use super::*;

    fn lost() -> ChannelError {
        ChannelError::Lost { peer: Peer::Dealer, reason: "test".into() }
    }

    #[test]
    fn items_are_bounded_by_bytes_and_a_large_one_still_passes() {
        let queue = ByteQueue::new(10);
        let patience = Duration::from_millis(20);
        assert!(queue.put_blocking(1000, 1, patience).is_ok());
        assert!(matches!(queue.put_blocking(1, 2, patience), Err(Blocked::Deadline)));
        assert!(matches!(queue.take_blocking(patience), Ok(1)));
        assert!(queue.put_blocking(1, 3, patience).is_ok());
        queue.end(lost());
        assert!(matches!(queue.take_blocking(patience), Ok(3)), "items come before the end");
        assert!(matches!(queue.take_blocking(patience), Err(Blocked::Failed(_))));
    }

    #[test]
    fn a_failure_wakes_a_waiting_thread_at_once() {
        let queue = Arc::new(ByteQueue::<u8>::new(10));
        let waiting = std::thread::spawn({
            let queue = queue.clone();
            move || queue.take_blocking(Duration::from_secs(20)).err()
        });
        queue.fail(&lost());
        assert!(matches!(waiting.join().unwrap(), Some(Blocked::Failed(_))));
        assert!(matches!(queue.put_blocking(1, 1, Duration::ZERO), Err(Blocked::Failed(_))));
    }
}
