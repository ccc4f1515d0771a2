//! The dealer's service: one session after the other, as the parties ask for them.
//!
//! It sees the demand, which shows the shapes of the program, and who computes with whom. It sees no data and no
//! message between the parties. It must collude with no party: with one party's messages its seeds would open
//! everything.

use std::time::{Duration, Instant};

use bytes::Bytes;
use mpc_core::channel::{ChannelError, Peer};
use mpc_core::hex::hex;
use mpc_core::party::PartyId;
use mpc_core::prg::Seed;
use mpc_core::ring::Z64;
use mpc_core::transcript::{CorrectionRecorder, LogKey, Member as LogMember, Outcome};
use protocols::prep::Demand;
use protocols::prep::dealer::Dealer;

use super::agreement::{log_member, member};
use super::errors::{Failure, from_channel, from_net};
use super::heads::Heads;
use super::places::{log_error, open_of_dealer};
use super::report::{DealerReport, LogHead};
use super::transcript::{Agreement, Transcript};
use super::{check_clock, close_log, link_profile, load_identity};
use crate::config::DealerConfig;
use crate::error::CliError;
use crate::identity::Identity;
use crate::log::LogWriter;
use crate::memory::peak_rss_mb;
use crate::net::{DealerOptions, DealerServer, DealerSession, Listener, Notice};
use crate::output::say;

/// The party that corrections go to.
const CORRECTED: Peer = Peer::Party(PartyId::new(0));

/// Parties wait as long for each other as a dealer that serves once, and know better who is missing: they speak first.
const AFTER_THE_PARTIES: Duration = Duration::from_secs(1);

/// Serves sessions until the process is ended, or one session if `once`. `served` is told of every finished one.
///
/// # Errors
/// What keeps the dealer from serving. With `once` also a session that fails or does not come within
/// `connect_timeout_ms`; without, that is a line on stderr.
pub fn run_dealer(
    config: &DealerConfig,
    once: bool,
    served: &mut dyn FnMut(&DealerReport) -> Result<(), CliError>,
) -> Result<(), CliError> {
    check_clock()?;
    let identity = load_identity(&config.node)?;
    let listener =
        Listener::bind(config.node.listen).map_err(|e| from_net(&e))?.behind(config.node.net.shape);
    let log = open_of_dealer(config, &identity)?;
    let server = DealerServer::bind(&identity, listener, options(config)).map_err(|e| from_net(&e))?;
    if once {
        let limit = Duration::from_millis(config.node.connect_timeout_ms) + AFTER_THE_PARTIES;
        let report = next(config, &identity, &server, &log, Some(limit));
        drop(server);
        let head = close_log(&config.node, log)?;
        return served(&DealerReport { log: head, ..report? });
    }
    loop {
        match next(config, &identity, &server, &log, None) {
            // A service goes on where nobody can be told.
            Ok(report) => served(&report).unwrap_or_else(|error| say(format_args!("warning: {error}"))),
            Err(error) => say(format_args!("session failed: {error}")),
        }
        log.handle().check().map_err(log_error)?;
    }
}

fn options(config: &DealerConfig) -> DealerOptions {
    let mut options = DealerOptions::new(config.node.roster.parties().iter().map(member).collect());
    options.link = link_profile(config.node.net.link);
    options.session_timeout_ms = config.node.connect_timeout_ms;
    // A service says on stderr whom it served and whom it refused.
    options.notice = Notice::new(|line| say(line));
    options
}

/// Waits for a session, for at most `limit` if one is given, and serves it.
fn next(
    config: &DealerConfig,
    identity: &Identity,
    server: &DealerServer,
    log: &LogWriter,
    limit: Option<Duration>,
) -> Result<DealerReport, CliError> {
    let session = server.accept_session(limit).map_err(|e| from_net(&e))?.ok_or_else(|| {
        let waited_ms = config.node.connect_timeout_ms;
        CliError::outcome("peer_absent", format_args!("no party asked for a session within {waited_ms} ms"))
    })?;
    let began = Instant::now();
    let id = hex(&session.session_id.0);
    let (names, controls) = (session.names().clone(), session.controls());
    let opened =
        Transcript::open(log.handle(), &config.node, Peer::Dealer, agreement(config, identity, &session))
            .and_then(|t| t.flush().map(|()| t));
    // Of an error of its own the parties learn the kind alone: its text may name local files.
    let transcript = opened.inspect_err(|e| session.abort(Some(Peer::Dealer), e.code()))?;
    let opened = transcript.opened().clone();
    let heads = match Heads::new(&config.node, identity, log.handle(), opened, names) {
        Ok(heads) => heads,
        Err(error) => {
            let failure = Failure::own(error);
            give_up(&session, &failure);
            return Err(end(&transcript, failure, 0));
        }
    };
    let key = LogKey::from(session.logs[PartyId::new(0)].clone());
    let mut recorder =
        CorrectionRecorder::new(session.session_id, 0, key, Peer::Dealer, CORRECTED, Box::new(log.handle()));
    let served = heads
        .compare(controls, |failure| give_up(&session, failure))
        .and_then(|()| serve(&session, &mut recorder, || transcript.flush()));
    recorder.finish();
    let bytes = recorder.traffic().sent;
    match served {
        Ok(items) => {
            transcript.close(Outcome::Completed, 0, bytes)?;
            let (witnessed, refused) = heads.cosign(controls);
            session.leave();
            witnessed.warn();
            refused.map_or(Ok(()), Err)?;
            let head = log.handle().flush().map_err(log_error)?;
            let log = LogHead::of(&config.node, head.checkpoint());
            let (dealer, seconds) = (config.node.name.clone(), began.elapsed().as_secs_f64());
            let peak_rss_mb = peak_rss_mb();
            Ok(DealerReport {
                dealer,
                session: id,
                offline_bytes: bytes,
                items,
                seconds,
                peak_rss_mb,
                witnessed,
                log,
            })
        }
        Err(failure) => Err(end(&transcript, failure, bytes)),
    }
}

/// The session's bad end: the log says why. Gives the error that ended it, which matters more than one of the log after it.
fn end(transcript: &Transcript, failure: Failure, bytes_sent: u64) -> CliError {
    let outcome = Outcome::aborted(failure.error.code(), failure.culprit, failure.reason());
    if let Err(error) = transcript.close(outcome, 0, bytes_sent) {
        say(format_args!("warning: the abort is not in the log: {error}"));
    }
    failure.error
}

fn give_up(session: &DealerSession, failure: &Failure) {
    session.abort(failure.accused(Peer::Dealer), failure.reason());
}

fn agreement(config: &DealerConfig, identity: &Identity, session: &DealerSession) -> Agreement {
    Agreement {
        session: session.session_id,
        program: session.program_digest,
        parameters: session.parameters_digest,
        parties: config.node.roster.parties().iter().map(log_member).collect(),
        dealer: Some(LogMember { name: config.node.name.clone(), key: *identity.public_key().as_bytes() }),
        nonces: Vec::new(),
    }
}

/// Makes and sends all corrections, then waits until every party is done. Gives the number of items.
///
/// The last piece leaves when all are in the log, which `log_is_durable` makes sure of: no party can complete the session
/// without it, so a session that anybody has completed is whole in the dealer's log, too.
pub(crate) fn serve(
    session: &DealerSession,
    recorder: &mut CorrectionRecorder,
    log_is_durable: impl FnOnce() -> Result<(), CliError>,
) -> Result<u64, Failure> {
    let names = session.names().clone();
    let demand = Demand::decode(&session.demand).map_err(|e| {
        let error = CliError::outcome("bad_demand", format_args!("the parties' demand is refused: {e}"));
        let failure = Failure::of_session(error, None);
        session.abort(None, failure.reason());
        failure
    })?;
    let parties = session.seeds.parties();
    let seeds = PartyId::all(parties).map(|p| Seed::from(session.seeds[p].clone())).collect();
    let dealer = Dealer::new(session.session_id, seeds);
    let sink = session.sink();
    let failed = |e: ChannelError| from_channel(&names, None, &e);
    let mut held: Option<(u32, Bytes)> = None;
    for (index, item) in (0..).zip(&demand.items) {
        let send = |correction: Bytes| {
            if correction.is_empty() {
                return Ok(());
            }
            recorder.record(index, &correction);
            let before = held.replace((index, correction));
            before.map_or(Ok(()), |(index, correction)| sink.send(index, correction))
        };
        dealer.corrections::<Z64, _>(index, item, send).map_err(failed)?;
    }
    recorder.finish();
    log_is_durable().map_err(Failure::own).inspect_err(|failure| give_up(session, failure))?;
    if let Some((index, correction)) = held {
        sink.send(index, correction).map_err(failed)?;
    }
    session.conclude().map_err(failed)?;
    Ok(demand.items.len() as u64)
}
