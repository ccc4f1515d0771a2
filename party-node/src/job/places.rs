//! The places that a node writes to, besides its outputs: its log, the memory of its peers' heads, the openings of its
//! commitments. What is wrong with them is found before anything connects: by `check` without leaving anything, and by
//! `run` and `node` again.

use std::io::ErrorKind;
use std::path::Path;

use mpc_core::transcript::Member;

use super::agreement::log_member;
use super::transcript::openings_folder;
use crate::config::{AnyConfig, Config, DealerConfig, NodeConfig};
use crate::error::CliError;
use crate::identity::Identity;
use crate::log::{LogError, LogState, LogWriter, WitnessStore, inspect};
use crate::private_file::{create_private_folder, probe_folder};

/// Finds what would keep this node from writing, and changes nothing; gives the state of its log.
///
/// # Errors
/// The first place that cannot be used.
pub fn check(config: &AnyConfig, identity: &Identity) -> Result<LogState, CliError> {
    let (node, peers) = match config {
        AnyConfig::Party(config) => (&config.node, peers_of_party(config)),
        AnyConfig::Dealer(config) => (&config.node, peers_of_dealer(config)),
    };
    let state =
        inspect(&node.log_dir, &node.name, &identity.signing_key().verifying_key()).map_err(unusable)?;
    WitnessStore::check(&WitnessStore::folder(&node.log_dir), &peers).map_err(unusable)?;
    if let AnyConfig::Party(config) = config {
        if let Some(store) = &config.store {
            probe_folder(store).map_err(|e| {
                CliError::file("write in", store, &e).with_hint("[job] store is where copies are kept")
            })?;
        }
        let folder = openings_folder(&node.log_dir);
        probe_folder(&folder).map_err(|e| no_openings(&folder, &e))?;
    }
    Ok(state)
}

/// Opens the log of a party, and makes its other places ready.
pub(super) fn open_of_party(config: &Config, identity: &Identity) -> Result<LogWriter, CliError> {
    let log = open(&config.node, identity, &peers_of_party(config))?;
    let folder = openings_folder(&config.node.log_dir);
    probe_folder(&folder)
        .and_then(|()| create_private_folder(&folder))
        .map_err(|e| no_openings(&folder, &e))?;
    Ok(log)
}

/// Opens the log of a dealer, and makes its other places ready.
pub(super) fn open_of_dealer(config: &DealerConfig, identity: &Identity) -> Result<LogWriter, CliError> {
    open(&config.node, identity, &peers_of_dealer(config))
}

fn open(node: &NodeConfig, identity: &Identity, peers: &[Member]) -> Result<LogWriter, CliError> {
    let log = LogWriter::open(&node.log_dir, &node.name, identity.signing_key().clone()).map_err(unusable)?;
    let folder = WitnessStore::folder(&node.log_dir);
    WitnessStore::check(&folder, peers)
        .and_then(|()| WitnessStore::open(&folder).map(drop))
        .map_err(unusable)?;
    Ok(log)
}

fn peers_of_party(config: &Config) -> Vec<Member> {
    let others = config.node.roster.parties().iter().filter(|p| p.name != config.node.name);
    others.chain(&config.dealer).map(log_member).collect()
}

fn peers_of_dealer(config: &DealerConfig) -> Vec<Member> {
    config.node.roster.parties().iter().map(log_member).collect()
}

fn no_openings(folder: &Path, error: &std::io::Error) -> CliError {
    CliError::file("write in", folder, error)
        .with_hint("what opens this node's commitments is kept there, beside its log")
}

/// A log, or what belongs to it, that cannot be used, before the node has connected.
fn unusable(error: LogError) -> CliError {
    with_advice(CliError::setup("log_unusable", &error), &error)
}

/// What is wrong with the log of a node that runs, as the command line shows it.
pub(super) fn log_error(error: LogError) -> CliError {
    with_advice(CliError::outcome("log_failed", &error), &error)
}

/// Adds what the operator can do, where the message does not say it.
fn with_advice(shown: CliError, error: &LogError) -> CliError {
    match error {
        LogError::Locked { .. } => shown.with_hint(
            "a log is one node's: end the other process, or give each node a folder of its own in [log] dir",
        ),
        LogError::OtherNode { .. } => {
            shown.with_hint("[log] dir must be the folder of this node's own log, kept with its name and key")
        }
        LogError::Damaged { .. } => shown.with_hint("`subrosa log verify` names everything that is wrong with it"),
        LogError::MemoryDamaged { peer, .. } => shown.with_hint(format_args!(
            "restore this one file from a copy; only if there is none, and after comparing with {peer}'s log, move it \
             away: then {peer} could show an older log and go unnoticed"
        )),
        LogError::Io { kind, .. } => match kind {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                shown.with_hint("the user that the node runs as must be able to read and to write there")
            }
            ErrorKind::AlreadyExists | ErrorKind::NotADirectory => shown.with_hint(
                "a file stands where a folder belongs: move it away, or name another folder in [log] dir",
            ),
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => shown.with_hint(
                "make room and start again; what was written durably is kept, and the start repairs the rest",
            ),
            _ => shown,
        },
        _ => shown,
    }
}
