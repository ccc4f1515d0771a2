//! Turns what went wrong in a session into what the command line shows: names instead of indices, a stable code, and
//! whom to blame.

use ml_ops::RunError;
use mpc_core::channel::{ChannelError, Peer};
use protocols::error::{PrepError, ProtocolError};

use crate::error::CliError;
use crate::net::{Names, NetError, blame};

/// A session that failed: what to show, and whom the other parties should hold responsible.
pub(super) struct Failure {
    pub(super) error: CliError,
    pub(super) culprit: Option<Peer>,
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
        NetError::Mismatch { .. } => CliError::outcome(error.code(), error)
            .with_hint("all parties need the same program file, the same list of parties and the same version"),
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
    Failure { error: CliError::outcome(code, message), culprit: Some(blame(error)) }
}

/// The computation failed.
pub(super) fn from_run(names: &Names, error: &RunError) -> Failure {
    match error {
        RunError::Input(e) => Failure { error: CliError::setup("out_of_range", e), culprit: None },
        RunError::Protocol { node, op, source } => {
            let step = format!("{op} (node {node})");
            match source {
                ProtocolError::Channel(e) | ProtocolError::Preprocessing(PrepError::Channel(e)) => {
                    from_channel(names, Some(&step), e)
                }
                ProtocolError::OpeningsDiffer { peer } => Failure {
                    error: CliError::outcome(
                        "openings_differ",
                        format_args!(
                            "{step}: {} saw other opened values than this party; no output leaves",
                            names.party(*peer)
                        ),
                    ),
                    culprit: None,
                },
                other => Failure {
                    error: CliError::outcome("protocol_failed", format_args!("{step}: {other}")),
                    culprit: None,
                },
            }
        }
        other => Failure { error: CliError::outcome("run_failed", other), culprit: None },
    }
}

/// A failure of this party alone.
pub(super) fn failure(code: &str, message: String) -> Failure {
    Failure { error: CliError::outcome(code, message), culprit: None }
}
