//! What a party brings to the agreement on a session.

use std::io::IsTerminal as _;

use hmac::{Hmac, KeyInit, Mac};
use ml_ops::{Origin, Program};
use mpc_core::tag::SessionId;
use mpc_core::transcript::Member as LogMember;
use sha2::Sha256;

use super::transcript::Agreement;
use super::{link_profile, parameters_digest};
use crate::config::{Config, Peer};
use crate::data::RowNames;
use crate::net::{ConnectOptions, Member, Notice, SecretBytes};
use crate::output::say;

/// Tells a person who came and who was refused, above the progress line.
pub(super) fn notice() -> Notice {
    Notice::new(|line| say(format_args!("\r{line}\x1b[K")))
}

/// A peer of the configuration as the network knows it.
pub(super) fn member(peer: &Peer) -> Member {
    Member { name: peer.name.clone(), address: peer.address.clone(), key: peer.public_key }
}

/// A peer of the configuration as the log names it.
pub(super) fn log_member(peer: &Peer) -> LogMember {
    LogMember { name: peer.name.clone(), key: *peer.public_key.as_bytes() }
}

/// How to meet the others.
pub(super) fn options(config: &Config, program: &Program, shares: &[(&str, &Origin)]) -> ConnectOptions {
    let mut options =
        ConnectOptions::new(config.me, config.node.roster.parties().iter().map(member).collect());
    options.dealer = config.dealer.as_ref().map(member);
    options.link = link_profile(config.node.net.link);
    options.program_digest = program.digest();
    options.parameters_digest = parameters_digest(config.offline.provider(program, config.node.net), shares);
    options.demand = program.demand().encode();
    options.connect_timeout_ms = config.node.connect_timeout_ms;
    options.receive_timeout_ms = config.node.receive_timeout_ms;
    if std::io::stderr().is_terminal() {
        options.notice = notice();
    }
    options
}

/// What goes into the log about it.
pub(super) fn agreement(
    config: &Config,
    session: SessionId,
    nonces: Vec<[u8; 32]>,
    (program, parameters): ([u8; 32], [u8; 32]),
) -> Agreement {
    let parties = config.node.roster.parties().iter().map(log_member).collect();
    let dealer = config.dealer.as_ref().map(log_member);
    Agreement { session, program, parameters, parties, dealer, nonces }
}

/// HMAC-SHA256 over the row keys in order, each with its length.
pub(super) fn row_order(key: &SecretBytes, names: &RowNames) -> std::io::Result<[u8; 32]> {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key.expose()).expect("invariant: HMAC takes keys of any length");
    mac.update(&(names.rows() as u64).to_le_bytes());
    let mut names = names.read();
    while let Some(name) = names.next()? {
        mac.update(&(name.id.len() as u64).to_le_bytes());
        mac.update(name.id.as_bytes());
    }
    Ok(mac.finalize().into_bytes().into())
}
