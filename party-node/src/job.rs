//! One party's run from configuration to results, and the dealer's service.

mod agreement;
mod ahead;
mod dealer;
mod each;
#[cfg(test)]
mod equivocation_tests;
mod errors;
mod heads;
#[cfg(test)]
mod heads_tests;
pub mod inputs;
#[cfg(all(test, unix))]
mod killed_tests;
mod lane;
pub mod outputs;
mod party;
pub mod places;
pub mod report;
mod shared;
pub(crate) mod store;
mod transcript;
mod window_rows;
pub(crate) mod wiring;

#[cfg(test)]
mod tests;

pub use ahead::{AheadReport, run_ahead};
pub use dealer::run_dealer;
pub(crate) use dealer::serve;
pub use heads::{Missing, Witnessed};
pub use party::run_party;
pub(crate) use store::store_error;
pub use store::{FromStore, store_purpose};

use std::time::{SystemTime, UNIX_EPOCH};

use ml_ops::{Origin, Program};
use protocols::prep::Provider;
use sha2::{Digest, Sha256};

use crate::config::{Config, Link, NodeConfig};
use crate::error::CliError;
use crate::identity::Identity;
use crate::log::LogWriter;
use crate::net::LinkProfile;
use inputs::LocalInputs;
use report::LogHead;

/// Everything of a run that can be known before any peer is up.
pub struct Prepared {
    /// The program.
    pub program: Program,
    /// This party's inputs.
    pub inputs: LocalInputs,
}

/// Reads program, inputs and outcomes and checks that all of it fits together.
///
/// # Errors
/// The first thing that does not.
pub fn prepare(config: &Config) -> Result<Prepared, CliError> {
    let program = inputs::load_program(config)?;
    outputs::check_outputs(config, &program)?;
    let inputs = LocalInputs::load(config, &program)?;
    Ok(Prepared { program, inputs })
}

/// Reads a node's private key.
///
/// # Errors
/// A key file that is missing, readable by others or malformed.
pub fn load_identity(node: &NodeConfig) -> Result<Identity, CliError> {
    Identity::load(&node.key).map_err(crate::cli::from_identity)
}

/// Checks that the private key is the one that the roster pins for this party.
///
/// # Errors
/// Both keys, if they differ.
pub fn check_own_key(config: &Config, identity: &Identity) -> Result<(), CliError> {
    let pinned = config.node.roster.parties()[config.me.index()].public_key;
    let own = identity.public_key();
    if own == pinned {
        return Ok(());
    }
    Err(CliError::setup(
        "wrong_key",
        format_args!(
            "{}: this is the private key of {own}, but the configuration pins {pinned} for `{}`",
            config.node.key.display(),
            config.node.name
        ),
    )
    .with_hint("the roster must hold this party's own public key too; `subrosa keygen` prints it"))
}

/// Cosignatures state their time in seconds since 1970.
///
/// # Errors
/// A clock that says an earlier time.
pub fn check_clock() -> Result<(), CliError> {
    check_time(SystemTime::now())
}

fn check_time(now: SystemTime) -> Result<(), CliError> {
    let Err(before) = now.duration_since(UNIX_EPOCH) else { return Ok(()) };
    let days = before.duration().as_secs().div_ceil(24 * 60 * 60);
    Err(CliError::setup(
        "wrong_clock",
        format_args!("the clock of this machine says a time {days} days before 1970"),
    )
    .with_hint("set the clock: what this node signs states the time"))
}

/// How far an error is from its cause, by its code: 0 for a node's own fault, then what it saw of a peer's, last what
/// it was told. Of several nodes' errors, the nearest explains the others.
#[must_use]
pub fn distance_from_cause(code: &str) -> u8 {
    match code {
        "peer_aborted" => 3,
        "peer_lost" | "peer_timeout" | "peer_absent" | "dealer_not_ready" => 2,
        "peer_malformed" | "out_of_step" => 1,
        _ => 0,
    }
}

/// Digest of everything besides program and roster that all parties of a session must have chosen alike.
/// Shares of earlier sessions are of one value only if they are of one session.
pub(crate) fn parameters_digest(provider: Provider, shares: &[(&str, &Origin)]) -> [u8; 32] {
    parameters_of("semi-honest", provider, shares)
}

/// The same for a session that makes correlated randomness ahead, so that it never meets one that runs.
fn parameters_ahead(provider: Provider) -> [u8; 32] {
    parameters_of("semi-honest, ahead", provider, &[])
}

fn parameters_of(kind: &str, provider: Provider, shares: &[(&str, &Origin)]) -> [u8; 32] {
    let extension = match provider {
        Provider::Dealer => None,
        Provider::Ot(extension) => Some(extension.name()),
    };
    let mut hash = Sha256::new();
    let fixed = ["subrosa/parameters/1", kind, "additive/Z_2^64", provider.name()];
    let fixed = fixed.into_iter().chain(extension).map(str::as_bytes);
    let shares = shares.iter().flat_map(|(name, from)| {
        [b"share", name.as_bytes(), &from.session[..], &from.program[..], from.name.as_bytes()]
    });
    for part in fixed.chain(shares) {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

pub(crate) const fn link_profile(link: Link) -> LinkProfile {
    match link {
        Link::Loopback => LinkProfile::Loopback,
        Link::Lan => LinkProfile::Lan,
        Link::Wan => LinkProfile::Wan,
    }
}

/// Ends the log's thread and says where the log stands.
fn close_log(node: &NodeConfig, log: LogWriter) -> Result<LogHead, CliError> {
    let head = log.close().map_err(places::log_error)?;
    Ok(LogHead::of(node, head.checkpoint()))
}

#[cfg(test)]
mod clock_tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_clock_before_1970_is_refused() {
        assert!(check_time(UNIX_EPOCH).is_ok() && check_clock().is_ok());
        let error = check_time(UNIX_EPOCH - Duration::from_secs(86_401)).unwrap_err();
        assert_eq!((error.code(), error.hint().is_some()), ("wrong_clock", true));
        assert!(error.message().contains("2 days before 1970"), "{error}");
    }
}
