//! Signals whose default would end the process without a word.

/// Makes a write beyond the limit on file sizes (`ulimit -f`) fail like one on a full disk, which is reported. By default
/// the system ends the process instead, by SIGXFSZ.
#[cfg(unix)]
pub(crate) fn survive_file_size_limit() {
    use tokio::signal::unix::{SignalKind, signal};
    let over_limit = SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
    // The handler stays for the life of the process, whether anybody listens or not.
    let installed = runtime.and_then(|runtime| {
        let _within = runtime.enter();
        signal(over_limit).map(drop)
    });
    // Without it the limit ends the process, as anywhere else.
    let _as_before = installed;
}

/// Elsewhere there is no such signal.
#[cfg(not(unix))]
pub(crate) fn survive_file_size_limit() {}
