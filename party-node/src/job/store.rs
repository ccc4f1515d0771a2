//! Agreeing on what was made ahead, before anything that depends on it leaves.
//!
//! Two messages pass between every two parties, on their control stream. First each says which series it has for this program
//! and these parties, and how far it has spent them. From what all said each finds out the same: the first series that all have is
//! used, at the **largest** of their cursors. Every party then makes durable that this copy and all before it are spent, and only
//! then says so, with a digest of what it was told by all. When all have said so, the copy is used: so a party that was killed in
//! between has spent it, or its peers have, and either is enough.
//!
//! A series that not all have cannot be reconciled, and is destroyed. Where a party uses no store, nothing is used and nothing is
//! destroyed. Where a copy was damaged at one party, it is spent at all, and the run makes its own randomness.
//!
//! A peer that lies about its cursor, or about what it has, makes others throw away what was made with it, and nothing else. One
//! that tells different peers different things is found out by the digest.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use ml_ops::Program;
use mpc_core::channel::{ChannelError, Peer};
use mpc_core::hex::hex;
use mpc_core::tag::SessionId;
use mpc_core::wire::WireError;
use serde::Serialize;

use super::each::each_or_none;
use super::errors::{Failure, from_channel};
use crate::config::Config;
use crate::error::CliError;
use crate::net::{ControlStream, SessionHandle};
use crate::output::say;
use crate::store::{OpenCopy, Purpose, Store, StoreError};
use words::{Claim, MAX_WORD_BYTES, Spent, decide, digest};

#[cfg(all(test, unix))]
mod killed_tests;
#[cfg(test)]
mod lies;
#[cfg(test)]
mod tests;
pub(crate) mod words;

/// The step, for messages.
const STEP: &str = "agreeing on what was made ahead";

/// The copy that a run used.
#[derive(Clone, Debug, Serialize)]
pub struct FromStore {
    /// The session that made it, in hexadecimal.
    pub series: String,
    /// Its number in the series, from 0.
    pub copy: u32,
    /// Copies that are left after it.
    pub left: u32,
}

/// What copies of this configuration's randomness for a program are bound to.
#[must_use]
pub fn store_purpose(config: &Config, program: &Program) -> Purpose {
    let keys: Vec<[u8; 32]> = config.node.roster.parties().iter().map(|p| *p.public_key.as_bytes()).collect();
    Purpose::new(&keys, config.me, program.digest(), &program.demand().encode())
}

/// A store that cannot be used, before the node has connected.
pub(crate) fn store_error(error: &StoreError) -> CliError {
    with_advice(CliError::setup(code(error), error), error)
}

/// A store that fails in a session.
pub(super) fn store_failed(error: &StoreError) -> Failure {
    Failure::own(with_advice(CliError::outcome(code(error), error), error))
}

const fn code(error: &StoreError) -> &'static str {
    match error {
        StoreError::Locked { .. } => "store_in_use",
        StoreError::Damaged { .. } => "store_damaged",
        StoreError::Full { .. } => "store_full",
        _ => "store_failed",
    }
}

/// Adds what the operator can do, where the message does not say it.
fn with_advice(shown: CliError, error: &StoreError) -> CliError {
    match error {
        StoreError::Locked { .. } => shown
            .with_hint("a store is one node's: end the other process, or name another folder in [job] store"),
        StoreError::Damaged { .. } => shown.with_hint(
            "nothing in it can be trusted to be unspent: remove the store's folder, and make new copies with all \
             parties; they destroy theirs at the next run",
        ),
        StoreError::Full { .. } => {
            shown.with_hint("spend them first, or remove the store's folder")
        }
        StoreError::Io { source, .. } => match source.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                shown.with_hint("the user that the node runs as must be able to read and to write there")
            }
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                shown.with_hint("make room and start again; what was kept before is still there")
            }
            _ => shown,
        },
        _ => shown,
    }
}

/// Agrees with all others on a copy to use, and spends it. None if the run has to make its randomness.
pub(super) fn take_copy(
    config: &Config,
    handle: &SessionHandle,
    session: SessionId,
    store: Option<&mut Store>,
    purpose: &Purpose,
) -> Result<Option<(OpenCopy, FromStore)>, Failure> {
    let me = config.me;
    let limit = Duration::from_millis(config.node.receive_timeout_ms);
    let began = Instant::now();
    // While this node waits here, others wait for it: it must be the first to say for whom.
    let (claimed, settled) = (began + limit / 2, began + limit / 4 * 3);
    let give_up = |f: &Failure| handle.abort(f.accused(Peer::Party(me)), f.reason());
    let lost = |e: &ChannelError| from_channel(handle.names(), Some(STEP), e);
    let talk = |control: &ControlStream, message: Vec<u8>, until: Instant| {
        let left = until.saturating_duration_since(Instant::now());
        control.exchange(message, MAX_WORD_BYTES, left).map_err(|e| lost(&e))
    };
    let malformed = |control: &ControlStream, _: WireError| {
        lost(&ChannelError::Malformed { peer: control.peer(), what: "a malformed word about its store" })
    };

    let own = store.as_ref().map_or(Claim::NoStore, |store| Claim::Has(store.offers(purpose)));
    let mut claims = each_or_none(handle.controls(), &give_up, |control| {
        let theirs = talk(control, own.encode(), claimed)?;
        Claim::decode(&theirs).map_err(|e| malformed(control, e))
    })?;
    // The streams lead to the other parties in order.
    claims.insert(me.index(), own);
    let told = digest(session, &claims);
    let (spent, copy) = settle(config, store, &claims)?;
    let words = each_or_none(handle.controls(), &give_up, |control| {
        let theirs = talk(control, spent.encode(&told), settled)?;
        let (theirs, seen) = Spent::decode(&theirs).map_err(|e| malformed(control, e))?;
        let is_same = seen == told && (theirs == Spent::Nothing) == (spent == Spent::Nothing);
        let name = handle.names().of(control.peer());
        is_same.then_some(theirs).ok_or_else(|| {
            let message =
                format!("{name} and this node were told different things about what was made ahead");
            Failure::of_session(CliError::outcome("store_differs", message), None)
        })
    })?;
    let damaged = handle.controls().iter().zip(words).find(|(_, word)| *word == Spent::Damaged);
    match (copy, damaged) {
        (Some(_), Some((control, _))) => {
            let name = handle.names().of(control.peer());
            say(format_args!(
                "what was made ahead is damaged at {name}: it is spent, and randomness is made now"
            ));
            Ok(None)
        }
        (copy, _) => Ok(copy),
    }
}

/// Does to the own store what follows from all claims.
fn settle(
    config: &Config,
    store: Option<&mut Store>,
    claims: &[Claim],
) -> Result<(Spent, Option<(OpenCopy, FromStore)>), Failure> {
    let Some(store) = store else { return Ok((Spent::Nothing, None)) };
    let decision = decide(claims, config.me.index());
    for series in &decision.destroy {
        store.destroy(series).map_err(|e| store_failed(&e))?;
        say(format_args!("series {series}… that was made ahead is destroyed: not all parties have it"));
    }
    let Some(next) = decision.copy else {
        let names = config.node.roster.names();
        let without = claims.iter().position(|c| *c == Claim::NoStore);
        match without {
            Some(party) => say(format_args!(
                "{} uses no store: what was made ahead is kept, and randomness is made now",
                names[party]
            )),
            None => say(format_args!(
                "nothing that was made ahead is left: randomness is made now; `subrosa prepare` makes more"
            )),
        }
        return Ok((Spent::Nothing, None));
    };
    match store.spend(&next.series, next.cursor).map_err(|e| store_failed(&e))? {
        Ok(copy) => {
            let left = next.copies - next.cursor - 1;
            let from = FromStore { series: hex(&next.series.0), copy: next.cursor, left };
            Ok((Spent::Ready, Some((copy, from))))
        }
        Err(damage) => {
            say(format_args!("warning: {damage}: it is spent, and randomness is made now"));
            Ok((Spent::Damaged, None))
        }
    }
}
