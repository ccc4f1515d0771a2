//! Turns what went wrong in a session into what the command line shows: names instead of indices, a stable code, and
//! whom to blame.

use ml_ops::RunError;
use mpc_core::channel::{ChannelError, Peer};
use mpc_core::tag::node;
use protocols::error::{PrepError, ProtocolError};

use crate::error::CliError;
use crate::net::{Difference, Names, NetError, blame};

/// A session that failed: what this node's operator sees, and what everybody else may know of it.
pub(crate) struct Failure {
    pub(crate) error: CliError,
    /// The member whose fault it is, as far as this node can know.
    pub(super) culprit: Option<Peer>,
    own: bool,
    reason: String,
}

impl Failure {
    /// Trouble of this node alone. Its text may name files, columns, people or values, so nobody else gets more than the
    /// code.
    pub(super) fn own(error: CliError) -> Self {
        let reason = error.code().to_owned();
        Self { error, culprit: None, own: true, reason }
    }

    /// What the network or a protocol noticed. Its text is made of names of members, steps, sizes and times, and of what a
    /// peer said about itself.
    pub(super) fn of_session(error: CliError, culprit: Option<Peer>) -> Self {
        let reason = error.message().to_owned();
        Self { error, culprit, own: false, reason }
    }

    /// Whom this node, `me`, tells the others to hold responsible: itself for its own trouble, and nobody where nobody can
    /// be known.
    pub(super) fn accused(&self, me: Peer) -> Option<Peer> {
        if self.own { Some(me) } else { self.culprit }
    }

    /// Why the session failed, as the peers are told and as the log says, which others are shown.
    pub(super) fn reason(&self) -> &str {
        &self.reason
    }
}

/// Setting up the session failed.
pub(super) fn from_net(error: &NetError) -> CliError {
    match error {
        NetError::PortInUse { .. } | NetError::Bind { .. } => CliError::setup(error.code(), error)
            .with_hint("end the other process, or choose another port for `listen` and in the peers' configurations"),
        NetError::Roster(_) | NetError::OwnKey { .. } | NetError::BadAddress { .. } => {
            CliError::setup(error.code(), error)
        }
        NetError::WrongKey { .. } | NetError::KeyRefused { .. } => CliError::outcome(error.code(), error)
            .with_hint("compare the public keys in both configurations with what `subrosa keygen` printed at their owners"),
        NetError::Absent { .. } => CliError::outcome(error.code(), error)
            .with_hint("peers may start in any order within connect_timeout_ms; check addresses and firewalls (UDP)"),
        NetError::Mismatch { what: Difference::Parameters, .. } => CliError::outcome(error.code(), error).with_hint(
            "all parties must `run`, or all `prepare`, with the same preprocessing and, without a dealer, the same `ot`; shares of a value must be those that all parties kept in one session",
        ),
        NetError::Mismatch { .. } => CliError::outcome(error.code(), error)
            .with_hint("all parties need the same program file, list of parties, preprocessing (and its extension, which the configured link decides) and version"),
        NetError::RowOrder { .. } => CliError::outcome(error.code(), error)
            .with_hint("all parties must list the same ids in the same order"),
        _ => CliError::outcome(error.code(), error),
    }
}

/// A peer failed during the session.
pub(super) fn from_channel(names: &Names, step: Option<&str>, error: &ChannelError) -> Failure {
    let code = match error {
        ChannelError::Timeout { .. } => "peer_timeout",
        ChannelError::Lost { .. } => "peer_lost",
        ChannelError::Aborted { .. } => "peer_aborted",
        ChannelError::Desync { .. } | ChannelError::WrongItem { .. } => "out_of_step",
        _ => "peer_malformed",
    };
    let text = names.render(error);
    let message = step.map_or_else(|| text.clone(), |step| format!("{step}: {text}"));
    Failure::of_session(CliError::outcome(code, message), blame(error))
}

/// The computation failed.
pub(super) fn from_run(names: &Names, error: &RunError) -> Failure {
    match error {
        RunError::Input(e) => Failure::own(CliError::setup("out_of_range", e)),
        RunError::Protocol { node: place, op, source } => {
            // The comparison and the outputs are no nodes of the program.
            let step = if *place < node::CONFIRM { format!("{op} (node {place})") } else { (*op).to_owned() };
            match source {
                ProtocolError::Channel(e) => from_channel(names, Some(&step), e),
                ProtocolError::Preprocessing(e) => from_prep(names, &step, e),
                ProtocolError::OpeningsDiffer { peer } => {
                    // Whoever told the two of them different things, it need not be either.
                    let peer = names.party(*peer);
                    let message =
                        format!("{op}: this party and {peer} saw different opened values; no output leaves");
                    Failure::of_session(CliError::outcome("openings_differ", message), None)
                }
                other => Failure::own(CliError::outcome("protocol_failed", format_args!("{step}: {other}"))),
            }
        }
        other => Failure::own(CliError::outcome("run_failed", other)),
    }
}

/// Correlated randomness could not be had.
pub(super) fn from_prep(names: &Names, step: &str, error: &PrepError) -> Failure {
    match error {
        PrepError::Channel(e) => from_channel(names, Some(step), e),
        PrepError::Padding { peer }
        | PrepError::NotAPoint { peer, .. }
        | PrepError::Inconsistent { peer, .. } => {
            let message = format!("{step}: {}: {error}", names.party(*peer));
            Failure::of_session(CliError::outcome("peer_malformed", message), Some(Peer::Party(*peer)))
        }
        other => Failure::own(CliError::outcome("protocol_failed", format_args!("{step}: {other}"))),
    }
}

/// A failure of this party alone.
pub(super) fn failure(code: &str, message: String) -> Failure {
    Failure::own(CliError::outcome(code, message))
}
