//! Making correlated randomness ahead: all parties connect as for a run, make as many copies as they agreed on, and keep them.
//!
//! A session of its own, in the log like any other, with inputs and outputs of nobody. Its parameters say that it makes, so it
//! never meets a party that runs. The copies are kept when all parties have all files on disk; a party that is killed before
//! it has kept them, when others have, has nothing, and what the others have is destroyed when they next meet.

use std::time::{Duration, Instant};

use mpc_core::channel::{ChannelError, Peer};
use mpc_core::hex::hex;
use mpc_core::ring::Z64;
use mpc_core::transcript::Outcome;
use mpc_core::wire::WireError;
use protocols::prep::Preprocessing as _;
use protocols::prep::provider::{OfflineCost, without_dealer};
use protocols::prep::stored::make_copy;

use super::agreement::{agreement, options};
use super::each::each_or_none;
use super::errors::{Failure, failure, from_channel, from_net, from_prep};
use super::heads::Heads;
use super::lane::{Lane, Progress as LaneProgress};
use super::places::open_of_party;
use super::store::{store_error, store_failed};
use super::transcript::Transcript;
use super::wiring::{Randomness, Recorders, Secrets};
use super::{check_clock, check_own_key, close_log, load_identity, parameters_ahead};
use crate::config::Config;
use crate::error::CliError;
use crate::log::LogWriter;
use crate::net::{Connected, Listener, SessionHandle, connect};
use crate::output::say;
use crate::progress::{Progress, Step};
use crate::store::{MAX_COPIES, Making, Store, StoreError};

mod report;
mod wanted;

pub use report::AheadReport;
use wanted::Wanted;

const STEP: &str = "making copies";
/// More than the message.
const MAX_WORD_BYTES: usize = 64;

/// Makes `copies` copies of what a run of the configuration's program takes.
///
/// # Errors
/// [`CliError`]: what the operator can fix before peers are up (exit code 2), or a session that failed (exit code 1).
pub fn run_ahead(config: &Config, copies: u32, progress: &mut dyn Progress) -> Result<AheadReport, CliError> {
    let began = Instant::now();
    if !(1..=MAX_COPIES).contains(&copies) {
        return Err(CliError::setup(
            "usage",
            format_args!("expected 1 to {MAX_COPIES} copies, got {copies}"),
        ));
    }
    check_clock()?;
    let identity = load_identity(&config.node)?;
    check_own_key(config, &identity)?;
    let wanted = Wanted::new(config, super::inputs::load_program(config)?, copies)?;
    let Some(folder) = &config.store else {
        return Err(CliError::setup(
            "usage",
            format_args!("{}: there is no place for copies", config.node.path.display()),
        )
        .with_hint("name a folder of this node alone in [job] store"));
    };
    let listener =
        Listener::bind(config.node.listen).map_err(|e| from_net(&e))?.behind(config.node.net.shape);
    let log = open_of_party(config, &identity)?;
    let mut store = Store::open(folder).map_err(|e| store_error(&e))?;

    progress.phase("waiting for peers");
    let mut options = options(config, &wanted.program, &[]);
    options.parameters_digest = parameters_ahead(wanted.provider);
    let digests = (options.program_digest, options.parameters_digest);
    let Connected { session_id: id, nonces, keys, channel, handle, .. } =
        connect(&identity, listener, options, None).map_err(|e| from_net(&e))?;

    progress.phase("making copies");
    let me = Peer::Party(config.me);
    let agreed = agreement(config, id, nonces.into_vec(), digests);
    let mut secrets = Secrets { id, keys, randomness: Randomness::of(wanted.provider, None)? };
    let opened = Transcript::open(log.handle(), &config.node, me, agreed);
    let recorders = Recorders::new(config.me, channel, &mut secrets, &log.handle());
    let transcript = opened.inspect_err(|e| {
        handle.abort(Some(me), e.code());
        handle.flush();
    })?;
    let making = Session { config, wanted: &wanted, handle: &handle, recorders: &recorders, log: &log };
    let heads = transcript.flush().and_then(|()| {
        let open = transcript.opened().clone();
        Heads::new(&config.node, &identity, log.handle(), open, handle.names().clone())
    });
    let made = heads.map_err(Failure::own).and_then(|heads| {
        heads.compare(handle.controls(), |f| handle.abort(f.accused(me), f.reason()))?;
        making.make(secrets, &mut store, progress)?;
        recorders.finish();
        transcript.flush().map_err(Failure::own)?;
        let concluded = handle.conclude();
        concluded.map_err(|e| from_channel(handle.names(), Some("closing the session"), &e))?;
        Ok(heads)
    });
    let wire = handle.wire_bytes();
    let heads = match made {
        Ok(heads) => heads,
        Err(failure) => {
            // What a session that failed left is of no use: not all others have it.
            let destroyed = store.destroy(&id);
            handle.abort(failure.accused(me), failure.reason());
            handle.flush();
            let (rounds, sent) = recorders.finish();
            let outcome = Outcome::aborted(failure.error.code(), failure.culprit, failure.reason());
            if let Err(error) = transcript.close(outcome, rounds, sent) {
                say(format_args!("warning: the abort is not in the log: {error}"));
            }
            if let Err(error) = destroyed {
                say(format_args!("warning: {error}"));
            }
            // The error that ended the session matters more than one of closing the log after it.
            let _closing_too = close_log(&config.node, log);
            return Err(failure.error);
        }
    };
    let (rounds, sent) = recorders.finish();
    transcript.close(Outcome::Completed, rounds, sent)?;
    progress.phase("comparing logs");
    let (witnessed, refused) = heads.cosign(handle.controls());
    handle.leave();
    witnessed.warn();
    let head = close_log(&config.node, log)?;
    refused.map_or(Ok(()), Err)?;
    let available = store.offers(&wanted.purpose).iter().map(|o| o.copies - o.cursor).sum();
    Ok(AheadReport {
        party: config.node.name.clone(),
        parties: config.node.roster.names(),
        program: wanted.program.name().to_owned(),
        program_digest: wanted.program.digest_hex(),
        session: hex(&id.0),
        security: super::report::security_line(config.node.roster.len(), wanted.provider),
        preprocessing: wanted.provider.name().into(),
        cot_extension: wanted.extension.name().into(),
        copies,
        available,
        copy_bytes: wanted.copy_bytes,
        store: folder.clone(),
        rounds,
        own_offline_bytes: sent,
        wire_bytes: wire.0 + wire.1,
        seconds: began.elapsed().as_secs_f64(),
        witnessed,
        log: head,
    })
}

/// One session's unchanging parts.
struct Session<'a> {
    config: &'a Config,
    wanted: &'a Wanted,
    handle: &'a SessionHandle,
    recorders: &'a Recorders,
    log: &'a LogWriter,
}

impl Session<'_> {
    /// From the agreement on how many to the copies in the store.
    fn make(&self, secrets: Secrets, store: &mut Store, progress: &mut dyn Progress) -> Result<(), Failure> {
        let id = secrets.id;
        self.talk(&self.wanted.encode(), |name, theirs| self.wanted.compare(name, theirs))?;
        let making = store.begin(id, self.wanted.purpose, self.wanted.copies, self.wanted.copy_bytes);
        let making = self.fill(secrets, making.map_err(|e| store_failed(&e))?, progress)?;
        // Nobody keeps what somebody has not made.
        let word = [b"subrosa/made/v1".as_slice(), &id.0].concat();
        self.talk(&word, |_, theirs| {
            (theirs == word).then_some(()).ok_or(Err(WireError::Invalid("word about copies")))
        })?;
        store.keep(making).map_err(|e| store_failed(&e))
    }

    /// Makes the copies in the lane thread.
    fn fill(
        &self,
        secrets: Secrets,
        mut making: Making,
        progress: &mut dyn Progress,
    ) -> Result<Making, Failure> {
        let Secrets { id, randomness: Randomness::Ot(extension, seed), .. } = secrets else {
            return Err(failure("internal", "a session without a dealer has one".into()));
        };
        let (channel, items) = (self.recorders.channel(), self.wanted.demand.items.clone());
        let (copies, repeated) = (self.wanted.copies, self.wanted.repeated.clone());
        let work = move |tell: &mut dyn FnMut(LaneProgress)| -> Result<(Making, u64, u64), StoreError> {
            let mut source = without_dealer::<Z64>(extension, channel, id, seed, Some(repeated));
            for _ in 0..copies {
                making.copy(|keep| make_copy(&mut source, &items, keep))?;
                let (rounds, bytes) = (source.lane().rounds(), source.offline_bytes());
                tell(LaneProgress { next: "copy", rounds, bytes, iteration: None, report: None });
            }
            Ok((making, source.lane().rounds(), source.offline_bytes()))
        };
        let n = self.config.node.roster.len();
        let planned = OfflineCost::sum(n, &self.wanted.provider.costs(n, &self.wanted.repeated.items));
        let bytes_total = planned.bytes[self.config.me];
        let lane = Lane::start(self.handle, work)?;
        let made = lane.follow(self.handle, &self.log.handle(), &mut |p| {
            let (label, rounds, bytes) = (p.next, p.rounds, p.bytes);
            progress.step(Step {
                label,
                iteration: None,
                report: None,
                rounds,
                rounds_total: planned.rounds,
                bytes,
                bytes_total,
            });
        })?;
        let (making, rounds, bytes) = made.map_err(|e| match e {
            StoreError::Preprocessing(e) => from_prep(self.handle.names(), STEP, &e),
            e => store_failed(&e),
        })?;
        if (rounds, bytes) != (planned.rounds, bytes_total) {
            let message = format!(
                "the copies did not cost what was planned: {} rounds and {bytes_total} bytes, measured {rounds} and {bytes}",
                planned.rounds
            );
            return Err(failure("plan_mismatch", message));
        }
        Ok(making)
    }

    /// Exchanges a word with all peers at once, and checks theirs.
    fn talk(
        &self,
        word: &[u8],
        check: impl Fn(&str, &[u8]) -> Result<(), Result<Failure, WireError>> + Sync,
    ) -> Result<(), Failure> {
        let me = Peer::Party(self.config.me);
        let names = self.handle.names();
        // While this node waits here, others may wait for it: it must be the first to say for whom.
        let limit = Duration::from_millis(self.config.node.receive_timeout_ms) / 2;
        let give_up = |f: &Failure| self.handle.abort(f.accused(me), f.reason());
        each_or_none(self.handle.controls(), &give_up, |control| {
            let lost = |e: &ChannelError| from_channel(names, Some(STEP), e);
            let theirs = control.exchange(word.to_vec(), MAX_WORD_BYTES, limit).map_err(|e| lost(&e))?;
            check(names.of(control.peer()), &theirs).map_err(|wrong| {
                let peer = control.peer();
                wrong.unwrap_or_else(|_| {
                    lost(&ChannelError::Malformed { peer, what: "a malformed word about copies" })
                })
            })
        })
        .map(drop)
    }
}
