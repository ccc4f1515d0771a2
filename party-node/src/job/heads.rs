//! Comparing logs with the peers: before the first byte that depends on data leaves, and after the session's close.
//!
//! **Before.** Each side says which head of the other's log it saw last and shows that its own log only grew since. A
//! peer whose log was rolled back or forked is refused, with both heads in the message, before it gets a share of anything.
//! Then all tell all that they accept, and which heads they were shown. Only then are these heads remembered: a head that
//! another member refuses must not take the place of the one that this node knows. What an honest node shows holds the
//! session's open entry and the commitments to its inputs already, so from here on neither can be taken back without a peer
//! that knows better.
//!
//! **After.** Each side shows its head with the session's entries; the other compares them with its own and cosigns. A
//! peer that does not answer costs a deadline and a cosignature, and nothing else: the session is over.
//!
//! What a peer is shown: heads, hashes and this session's entries, in which messages are keyed digests and values blinded
//! commitments.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mpc_core::channel::ChannelError;
use mpc_core::checkpoint::{MAX_GROWTH_BYTES, Seen};
use mpc_core::transcript::{Member, SessionOpen};
use serde::Serialize;

use super::errors::{Failure, failure, from_channel};
use super::places::log_error;
use crate::config::NodeConfig;
use crate::error::CliError;
use crate::identity::Identity;
use crate::log::{LogHandle, Snapshot, WitnessError, WitnessStore};
use crate::net::{ControlStream, Names};
use crate::output::say;

mod after;
mod before;
mod faults;

#[cfg(test)]
pub(super) use before::digest_of_heads;
use faults::memory_fault;

/// The longest reason of a peer that is shown.
const REASON_BYTES: usize = 600;
/// The exchange of heads of one session.
pub(super) struct Heads<'a> {
    name: String,
    identity: &'a Identity,
    /// How long a peer may take over a message.
    limit: Duration,
    log: LogHandle,
    memory: Mutex<WitnessStore>,
    open: SessionOpen,
    names: Names,
}

mpc_core::secret_types!(Heads<'static>);

/// Who cosigned this node's log after a session.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Witnessed {
    /// Names of the members that did, parties in order, then the dealer.
    pub by: Vec<String>,
    /// Those that did not, and why.
    pub missing: Vec<Missing>,
}

/// A member that did not cosign.
#[derive(Clone, Debug, Serialize)]
pub struct Missing {
    /// Its name.
    pub name: String,
    /// Why, in one line.
    pub reason: String,
}

/// What went wrong with one peer.
enum Trouble {
    /// Something that the node's operator must see to.
    Fault(Failure),
    /// The peer did not take part to the end.
    Lost(ChannelError),
    /// The peer did not give what it was asked for.
    Withheld(String),
}

impl<'a> Heads<'a> {
    /// For the session that `open` began in `log`.
    pub(super) fn new(
        node: &NodeConfig,
        identity: &'a Identity,
        log: LogHandle,
        open: SessionOpen,
        names: Names,
    ) -> Result<Self, CliError> {
        let memory = WitnessStore::open(&WitnessStore::folder(&node.log_dir)).map_err(log_error)?;
        let (name, limit) = (node.name.clone(), Duration::from_millis(node.receive_timeout_ms));
        Ok(Self { name, identity, limit, log, memory: Mutex::new(memory), open, names })
    }

    /// As [`Heads::new`], without a configuration.
    #[cfg(test)]
    pub(super) fn for_test(
        name: &str,
        log_dir: &std::path::Path,
        limit: Duration,
        identity: &'a Identity,
        log: LogHandle,
        open: SessionOpen,
        names: Names,
    ) -> Self {
        let memory = Mutex::new(WitnessStore::open(&WitnessStore::folder(log_dir)).unwrap());
        Self { name: name.into(), identity, limit, log, memory, open, names }
    }

    /// What the peer has seen of our log, for what we have seen of its.
    fn trade_seen(&self, control: &ControlStream, member: &Member, limit: Duration) -> Result<Seen, Trouble> {
        let ours = self.memory().seen(member).map_err(|e| Trouble::Fault(memory_fault(e)))?;
        let theirs = control.exchange(ours.encode(), MAX_GROWTH_BYTES, limit);
        let theirs = theirs.map_err(Trouble::Lost)?;
        Seen::decode(&theirs).map_err(|reason| {
            let error = WitnessError::Refused { peer: member.name.clone(), reason };
            Trouble::Fault(self.refusal(control.peer(), member, &error))
        })
    }

    fn member(&self, control: &ControlStream) -> &Member {
        self.open.member(control.peer()).expect("invariant: streams lead to members of the session")
    }

    fn snapshot(&self) -> Result<Snapshot, Failure> {
        self.log.snapshot(self.open.session).map_err(|e| Failure::own(log_error(e)))
    }

    fn memory(&self) -> MutexGuard<'_, WitnessStore> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Witnessed {
    /// The names, for people.
    pub(super) fn render(&self) -> String {
        if self.by.is_empty() { "nobody".into() } else { self.by.join(", ") }
    }

    /// Tells the operator who did not cosign.
    pub(super) fn warn(&self) {
        for m in &self.missing {
            say(format_args!("warning: {} did not cosign this node's log: {}", m.name, m.reason));
        }
    }
}
