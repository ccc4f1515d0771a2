//! The thread on which all networking of a session runs.
//!
//! It is apart from the lane's thread so that keep-alives, aborts and acknowledgements go on while the lane computes.
//!
//! **Watching.** Falling asleep and being woken takes longer than a small round. So while a lane waits for a message, both
//! threads look for it for a moment before they sleep, and give way to whatever else wants the processor at every look.

use std::future::Future;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};

use super::error::NetError;

/// How long threads look before they sleep.
pub(crate) const WATCH: Duration = Duration::from_micros(200);

/// Keeps the network thread awake for a moment.
#[derive(Default)]
pub(crate) struct Watch {
    /// In µs since `began`.
    until_us: AtomicU64,
    began: OnceLock<Instant>,
    more: Notify,
}

impl Watch {
    fn now_us(&self) -> u64 {
        self.began.get_or_init(Instant::now).elapsed().as_micros() as u64
    }

    /// A lane waits from now on.
    pub(crate) fn begin(&self) {
        self.until_us.store(self.now_us() + WATCH.as_micros() as u64, Relaxed);
        self.more.notify_one();
    }

    /// Has what it waited for.
    pub(crate) fn end(&self) {
        self.until_us.store(0, Relaxed);
    }

    async fn keep(self: Arc<Self>) {
        loop {
            if self.until_us.load(Relaxed) <= self.now_us() {
                self.more.notified().await;
            }
            std::thread::yield_now();
            // The runtime looks at its sockets before this task runs again.
            tokio::task::yield_now().await;
        }
    }
}

/// A running network thread; dropping it stops the thread.
pub(crate) struct NetThread {
    watch: Arc<Watch>,
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl NetThread {
    pub(crate) fn start() -> Result<Self, NetError> {
        let failed = |e: &dyn std::fmt::Display| NetError::Setup(e.to_string());
        let (ready, started) = mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new().name("subrosa-net".into()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = match runtime {
                Ok(runtime) => runtime,
                Err(e) => {
                    let _ = ready.send(Err(e));
                    return;
                }
            };
            let _ = ready.send(Ok(runtime.handle().clone()));
            // Ends when the sender is dropped, too.
            let _ = runtime.block_on(stopped);
            // Name look-ups may still be under way on another thread; do not wait for them.
            runtime.shutdown_background();
        });
        let thread = thread.map_err(|e| failed(&e))?;
        let handle = started.recv().map_err(|e| failed(&e))?.map_err(|e| failed(&e))?;
        let watch = Arc::new(Watch::default());
        handle.spawn(watch.clone().keep());
        Ok(Self { watch, handle, stop: Some(stop), thread: Some(thread) })
    }

    pub(crate) const fn handle(&self) -> &Handle {
        &self.handle
    }

    pub(crate) const fn watch(&self) -> &Arc<Watch> {
        &self.watch
    }

    /// Runs a future on the network thread and waits for it here.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, NetError> {
        let (tell, result) = mpsc::channel();
        self.handle.spawn(async move {
            let _ = tell.send(future.await);
        });
        result.recv().map_err(|_| NetError::Setup("the network thread ended".into()))
    }
}

impl Drop for NetThread {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
        {
            let _ = thread.join();
        }
    }
}
