//! A computing party's run: read, meet the others, compute, write.
//!
//! The lane thread runs the program over the recorded channel. The main thread waits for the lane, for a failure that
//! the network notices first (a peer can die while the lane computes), and for progress. Whatever ends the session
//! goes into the log, and everyone is told whom it was about.
//!
//! What this process writes to disk: its log (digests and blinded commitments only), the openings of its own
//! commitments, and the outputs that the program gives to it, after the session was closed in good order by all.

use std::sync::Arc;
use std::time::Instant;

use ml_ops::{EncodedInputs, Execution, InputKind, Plan, Program, run_encoded};
use mpc_core::channel::Peer;
use mpc_core::hex::hex;
use mpc_core::ring::Z64;
use mpc_core::share::Additive;
use mpc_core::transcript::{CommitmentKind, Outcome};
use protocols::prep::{Provider, StoredPrep};
use protocols::session::Session;
use zeroize::Zeroizing;

use super::agreement::{agreement, options, row_order};
use super::errors::{Failure, failure, from_channel, from_net, from_run};
use super::heads::Heads;
use super::inputs::LocalInputs;
use super::lane::{self, Lane};
use super::outputs::{ReservedOutputs, reserve_outputs, write_outputs};
use super::places::open_of_party;
use super::report::{Expected, RunReport, Seconds, security_line};
use super::store::{FromStore, store_error, store_purpose, take_copy};
use super::transcript::{Agreement, Transcript};
use super::wiring::{Randomness, Recorders, Secrets};
use super::{Prepared, check_clock, check_own_key, close_log, load_identity, prepare};
use crate::config::Config;
use crate::error::CliError;
use crate::identity::Identity;
use crate::log::LogWriter;
use crate::memory::peak_rss_mb;
use crate::net::{Connected, Listener, SecretBytes, SessionHandle, connect};
use crate::output::say;
use crate::progress::{Progress, Report, Step};
use crate::store::Store;

/// Outputs are committed to in parts of this size.
const OUTPUT_PART_BYTES: usize = 64 << 10;

/// Runs the program of the configuration as this party.
///
/// # Errors
/// [`CliError`]: what the operator can fix before peers are up (exit code 2), or a session that failed (exit code 1),
/// naming the peer.
pub fn run_party(config: &Config, progress: &mut dyn Progress) -> Result<RunReport, CliError> {
    let mut clock = Clock::start();
    check_clock()?;
    progress.phase("reading inputs");
    let identity = load_identity(&config.node)?;
    check_own_key(config, &identity)?;
    let Prepared { program, mut inputs } = prepare(config)?;
    let encoded = inputs.encode(&program, config.me)?;
    let listener =
        Listener::bind(config.node.listen).map_err(|e| from_net(&e))?.behind(config.node.net.shape);
    let log = open_of_party(config, &identity)?;
    // After the log, whose lock keeps a second run of this configuration away from the same files.
    let reserved = reserve_outputs(config, &program, &inputs)?;
    let store = config.store.as_deref().map(Store::open).transpose().map_err(|e| store_error(&e))?;
    let provider = config.offline.provider(&program, config.node.net);
    let plan = program.plan_for(provider);
    clock.seconds.prepare = clock.lap();

    progress.phase("waiting for peers");
    let options = options(config, &program, &inputs.origins());
    let digests = (options.program_digest, options.parameters_digest);
    let digest = inputs.row_names.as_ref().map(|names| move |key: &SecretBytes| row_order(key, names));
    let row_order = digest.as_ref().map(|digest| digest as crate::net::RowOrder<'_>);
    let connected = connect(&identity, listener, options, row_order).map_err(|e| from_net(&e))?;
    clock.seconds.connect = clock.lap();

    progress.phase("computing");
    let agreed = agreement(config, connected.session_id, connected.nonces.clone().into_vec(), digests);
    let program = Arc::new(program);
    let run = Run { config, identity: &identity, program, provider, plan, from_store: None, inputs };
    run.session(connected, agreed, encoded, Written { log, outputs: reserved, store }, clock, progress)
}

/// One run's unchanging parts.
struct Run<'a> {
    config: &'a Config,
    identity: &'a Identity,
    program: Arc<Program>,
    provider: Provider,
    plan: Plan,
    /// The copy that is used, where randomness was made ahead.
    from_store: Option<FromStore>,
    inputs: LocalInputs,
}

mpc_core::secret_types!(serde::Serialize; Run<'static>);

/// What a run writes to.
struct Written {
    log: LogWriter,
    outputs: ReservedOutputs,
    store: Option<Store>,
}

mpc_core::secret_types!(serde::Serialize; Written);

impl Run<'_> {
    fn session(
        mut self,
        connected: Connected,
        agreement: Agreement,
        mut encoded: EncodedInputs,
        Written { log, outputs: reserved, mut store }: Written,
        mut clock: Clock,
        progress: &mut dyn Progress,
    ) -> Result<RunReport, CliError> {
        let Connected { session_id: id, keys, channel, dealer, handle, .. } = connected;
        let session = hex(&id.0);
        let me = Peer::Party(self.config.me);
        let randomness = Randomness::of(self.provider, dealer)?;
        let opened = Transcript::open(log.handle(), &self.config.node, me, agreement);
        let mut transcript = opened.inspect_err(|e| give_up(&handle, Some(me), e.code()))?;
        let committed = self.commit_inputs(&mut transcript, &mut encoded).and_then(|()| {
            let open = transcript.opened().clone();
            Heads::new(&self.config.node, self.identity, log.handle(), open, handle.names().clone())
        });
        let heads = match committed {
            Ok(heads) => heads,
            Err(error) => {
                let failure = Failure::own(error);
                self.abort(&handle, None, &transcript, &failure);
                return Err(failure.error);
            }
        };

        let mut secrets = Secrets { id, keys, randomness };
        let recorders = Recorders::new(self.config.me, channel, &mut secrets, &log.handle());
        let computed = heads
            .compare(handle.controls(), |f| handle.abort(f.accused(me), f.reason()))
            .and_then(|()| self.begin(&handle, secrets, &recorders, store.as_mut()))
            .and_then(|session| self.compute(&handle, session, encoded, &log, progress));
        clock.seconds.compute = clock.lap();
        progress.phase("closing the session");
        let wire = handle.wire_bytes();
        let finished = computed.and_then(|execution| {
            self.finish(&handle, &recorders, &mut transcript, &execution).map(|()| execution)
        });
        let execution = match finished {
            Ok(execution) => execution,
            Err(failure) => {
                self.abort(&handle, Some(&recorders), &transcript, &failure);
                // The error that ended the session matters more than one of closing the log after it.
                let _closing_too = close_log(&self.config.node, log);
                return Err(failure.error);
            }
        };
        // All parties agreed that the session is over. From here on only this node's own disk can fail, and what was
        // learnt is written whatever becomes of the log.
        let (rounds, sent) = recorders.finish();
        let logged = transcript.close(Outcome::Completed, rounds, sent);
        let written = write_outputs(self.config, &self.program, &self.inputs, &execution, reserved);
        progress.phase("comparing logs");
        let cosigned = logged.map(|()| heads.cosign(handle.controls()));
        handle.leave();
        let (outputs, scorecard) = written?;
        let (witnessed, refused) = cosigned?;
        witnessed.warn();
        let head = close_log(&self.config.node, log)?;
        refused.map_or(Ok(()), Err)?;
        clock.seconds.finish = clock.lap();
        clock.seconds.total = clock.began.elapsed().as_secs_f64();
        let mut estimate = Expected::of(&self.program, self.provider, self.config.node.net);
        if self.from_store.is_some() {
            estimate.offline_ms = 0.0;
        }
        let sum = |f: fn(&ml_ops::StepCost) -> u64| execution.measured.iter().map(f).sum();
        Ok(RunReport {
            party: self.config.node.name.clone(),
            parties: self.config.node.roster.names(),
            program: self.program.name().to_owned(),
            program_digest: self.plan.digest.clone(),
            session,
            security: security_line(self.config.node.roster.len(), self.provider),
            preprocessing: self.plan.preprocessing.into(),
            from_store: self.from_store,
            rounds: sum(|s| s.rounds),
            online_bytes_per_party: self.plan.online_bytes_per_party,
            offline_bytes_per_party: self.plan.offline_bytes_per_party,
            own_online_bytes: sum(|s| s.sent_bytes),
            own_offline_bytes: sum(|s| s.prep_bytes),
            wire_bytes: wire.0 + wire.1,
            peak_rss_mb: peak_rss_mb(),
            ops: self.plan.ops,
            seconds: clock.seconds,
            estimate,
            outputs,
            scorecard,
            witnessed,
            log: head,
        })
    }

    /// Commitments are durable before the first byte that depends on an input leaves.
    fn commit_inputs(
        &self,
        transcript: &mut Transcript,
        encoded: &mut EncodedInputs,
    ) -> Result<(), CliError> {
        let own = self.program.inputs().filter(|i| i.owner == self.config.me).map(|i| match i.kind {
            InputKind::Data => (CommitmentKind::Input, i.name, i.node),
            InputKind::Weights => (CommitmentKind::Weights, i.name, i.node),
        });
        let shares = self.program.shared().map(|s| (CommitmentKind::Weights, s.name, s.node));
        for (kind, name, node) in own.chain(shares) {
            transcript.commit(kind, name, |part| {
                let read = encoded.read(&self.program, node, |rows| {
                    part(rows.as_bytes());
                    Ok::<_, std::io::Error>(())
                });
                read.map_err(|e| CliError::outcome("input_failed", format_args!("input `{name}`: {e}")))
            })?;
        }
        transcript.flush()
    }

    /// The protocols' session: on randomness that was made ahead, if all parties have the same, which is durably spent
    /// before this returns, or on what is made in it.
    fn begin(
        &mut self,
        handle: &SessionHandle,
        secrets: Secrets,
        recorders: &Recorders,
        store: Option<&mut Store>,
    ) -> Result<Session<Additive<Z64>>, Failure> {
        let demand = self.program.demand();
        let copy = match self.provider {
            Provider::Dealer => None,
            Provider::Ot(_) => {
                let purpose = store_purpose(self.config, &self.program);
                take_copy(self.config, handle, secrets.id, store, &purpose)?
            }
        };
        let Some((copy, from)) = copy else {
            return Ok(recorders.session(self.config.me, secrets, demand));
        };
        self.plan = self.plan.clone().made_ahead();
        self.from_store = Some(from);
        Ok(recorders.session_with(
            secrets.id,
            &secrets.keys,
            Box::new(StoredPrep::<Z64>::new(demand, Box::new(copy))),
        ))
    }

    /// Starts the lane and waits for its end, or for the session's.
    fn compute(
        &self,
        handle: &SessionHandle,
        mut session: Session<Additive<Z64>>,
        encoded: EncodedInputs,
        log: &LogWriter,
        progress: &mut dyn Progress,
    ) -> Result<Execution, Failure> {
        let program = self.program.clone();
        let lane = Lane::start(handle, move |tell| {
            run_encoded(&mut session, &program, encoded, &mut |p| {
                let (next, rounds, iteration) = (p.next, p.rounds, p.iteration);
                let report = p.report.map(Report::from);
                tell(lane::Progress { next, rounds, bytes: p.sent_bytes, iteration, report });
            })
        })?;
        let ended = lane.follow(handle, &log.handle(), &mut |p| {
            progress.step(Step {
                label: p.next,
                iteration: p.iteration,
                report: p.report.as_ref(),
                rounds: p.rounds,
                rounds_total: self.plan.rounds,
                bytes: p.bytes,
                bytes_total: self.plan.sent_bytes[self.config.me],
            });
        });
        ended?.map_err(|e| from_run(handle.names(), &e))
    }

    /// The session's good end: costs as planned, all batches and then the outputs in the log, all parties agree that it
    /// is over. What was exchanged is durable before this node says so: a session that anybody has completed is whole
    /// in every member's log, whatever happens to that member afterwards.
    fn finish(
        &self,
        handle: &SessionHandle,
        recorders: &Recorders,
        transcript: &mut Transcript,
        execution: &Execution,
    ) -> Result<(), Failure> {
        self.plan
            .check(self.config.me, &execution.measured)
            .map_err(|e| failure("plan_mismatch", format!("this run did not cost what was planned: {e}")))?;
        recorders.finish();
        for (name, values) in &execution.outputs {
            let in_parts = |part: &mut dyn FnMut(&[u8])| {
                let mut bytes = Zeroizing::new(Vec::with_capacity(OUTPUT_PART_BYTES));
                for value in values {
                    if bytes.len() == OUTPUT_PART_BYTES {
                        part(&bytes);
                        bytes.clear();
                    }
                    bytes.extend_from_slice(&value.to_le_bytes());
                }
                part(&bytes);
                Ok(())
            };
            transcript.commit(CommitmentKind::Output, name, in_parts).map_err(Failure::own)?;
        }
        for (name, share) in &execution.kept {
            let whole = |part: &mut dyn FnMut(&[u8])| {
                part(&share.encode());
                Ok(())
            };
            transcript.commit(CommitmentKind::Output, name, whole).map_err(Failure::own)?;
        }
        transcript.flush().map_err(Failure::own)?;
        handle.conclude().map_err(|e| from_channel(handle.names(), Some("closing the session"), &e))
    }

    /// The session's bad end: everyone is told, the log says why.
    fn abort(
        &self,
        handle: &SessionHandle,
        recorders: Option<&Recorders>,
        transcript: &Transcript,
        failure: &Failure,
    ) {
        give_up(handle, failure.accused(Peer::Party(self.config.me)), failure.reason());
        let (rounds, sent) = recorders.map_or((0, 0), Recorders::finish);
        let outcome = Outcome::aborted(failure.error.code(), failure.culprit, failure.reason());
        if let Err(error) = transcript.close(outcome, rounds, sent) {
            say(format_args!("warning: the abort is not in the log: {error}"));
        }
    }
}

/// Tells all peers, and waits a moment until that has left.
fn give_up(handle: &SessionHandle, culprit: Option<Peer>, reason: &str) {
    handle.abort(culprit, reason);
    handle.flush();
}

/// Seconds per phase.
struct Clock {
    began: Instant,
    last: Instant,
    seconds: Seconds,
}

impl Clock {
    fn start() -> Self {
        let now = Instant::now();
        Self { began: now, last: now, seconds: Seconds::default() }
    }

    fn lap(&mut self) -> f64 {
        let now = Instant::now();
        let lap = now.duration_since(self.last).as_secs_f64();
        self.last = now;
        lap
    }
}
