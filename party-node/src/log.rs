//! The node's append-only log: a directory of C2SP tiles under a signed checkpoint.
//!
//! [`LogWriter`] owns the log while a node runs, on a thread of its own; everything else holds a [`LogHandle`], which
//! is also the sink of the transcript recorders. [`LogStore`] is the directory: crash-safe, one process at a time.
//! [`verify`] checks one or several logs offline and trusts nothing but keys; [`show`] prints one.
//!
//! What each file contains is fixed in `docs/log-format.md`; why it is so, in `docs/adr/0004-transcript-log.md`.

mod absent;
mod bundles;
mod cosigned;
mod cross_check;
mod error;
mod exchange;
mod fault;
mod files;
mod found;
mod layout;
mod listing;
mod members;
mod prove;
mod read;
mod sessions;
mod show;
mod signer;
mod store;
mod time;
mod traffic;
mod verify;
mod witness;
mod writer;

pub use error::LogError;
pub use exchange::{Snapshot, accept_growth, answer_offer, check_reply};
pub use found::{LogState, inspect};
pub(crate) use layout::beside_log;
pub use members::{ShownCosignature, ShownMember};
pub use prove::{prove_consistency, prove_inclusion};
pub use show::{Details, ShownEntry, ShownLog, ShownTraffic, render_log, show};
pub use store::LogStore;
pub use verify::{LogSummary, Note, Problem, Report, render, verify};
pub use witness::{WitnessError, WitnessStore};
pub use writer::{LogHandle, LogWriter};

#[cfg(test)]
pub(crate) mod tests;
