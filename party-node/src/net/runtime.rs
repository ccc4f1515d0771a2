//! The thread on which all networking of a session runs.
//!
//! It is apart from the lane's thread so that keep-alives, aborts and acknowledgements go on while the lane computes.

use std::future::Future;
use std::sync::mpsc;
use std::thread::JoinHandle;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::error::NetError;

/// A running network thread; dropping it stops the thread.
pub(crate) struct NetThread {
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
        Ok(Self { handle, stop: Some(stop), thread: Some(thread) })
    }

    pub(crate) const fn handle(&self) -> &Handle {
        &self.handle
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
