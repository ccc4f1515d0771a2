//! Whose fault it is when logs do not fit, and what the operator can do.

use mpc_core::channel::Peer;
use mpc_core::checkpoint::Answer;
use mpc_core::transcript::Member;

use super::{Failure, Heads, log_error};
use crate::error::CliError;
use crate::log::{LogError, WitnessError};

impl Heads<'_> {
    /// Our own log does not fit what a peer says that it saw.
    pub(super) fn own_fault(&self, peer: Peer, member: &Member, error: &LogError) -> Failure {
        match error {
            LogError::Refused { reason, .. } if reason.is_at_variance() => {
                let message = format!("{error}, as {} remembers it", member.name);
                let error = CliError::outcome("log_rolled_back", message).with_hint(
                    "restore the copy of this node's log that holds the head seen before; if there is none, every peer must \
                     agree to begin anew: see docs/auditing.md",
                );
                Failure::own(error)
            }
            // The head that it claims to have seen was never signed here.
            LogError::Refused { reason, .. } => {
                let what = format!("what {} says that it saw of this node's log: {reason}", member.name);
                Failure::of_session(CliError::outcome("log_refused", what), Some(peer))
            }
            other => Failure::own(log_error(other.clone())),
        }
    }

    /// A peer's log is not one that this node can vouch for.
    pub(super) fn refusal(&self, peer: Peer, member: &Member, error: &WitnessError) -> Failure {
        let about_peer = |e: CliError| Failure::of_session(e, Some(peer));
        match error {
            WitnessError::Refused { reason, .. } if reason.is_at_variance() => {
                let hint = format!(
                    "both signed heads are kept: {0} and, numbered, {0}.refused-; if {1} lost its log and all agree that \
                     it begins anew, move the first away",
                    self.memory().seen_head(member).display(),
                    member.name
                );
                about_peer(CliError::outcome("log_refused", error).with_hint(hint))
            }
            WitnessError::Memory(e) => memory_fault(e.clone()),
            other => about_peer(CliError::outcome("log_refused", other)),
        }
    }
}

/// The answer that refuses a log.
pub(super) fn refusing(error: &WitnessError) -> Answer {
    Answer::Refused(match error {
        // Of this node's own faults the peer learns the kind alone.
        WitnessError::Memory(_) => "the memory of heads cannot be read or written".into(),
        other => other.to_string(),
    })
}

pub(super) fn memory_fault(error: LogError) -> Failure {
    Failure::own(log_error(error))
}
