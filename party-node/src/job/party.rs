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

use ml_ops::{EncodedInputs, Execution, InputKind, Plan, Program, encode_inputs};
use mpc_core::channel::Peer;
use mpc_core::hex::hex;
use mpc_core::party::PerParty;
use mpc_core::prg::Seed;
use mpc_core::ring::Z64;
use mpc_core::share::Additive;
use mpc_core::tag::SessionId;
use mpc_core::transcript::{
    CommitmentKind, CorrectionRecorder, LogKey, Outcome, RecordedCorrections, Recorder,
};
use protocols::prep::dealer::DealerPrep;
use protocols::session::{PairwiseSeeds, Session};
use zeroize::Zeroizing;

use super::agreement::{agreement, options, row_order};
use super::errors::{Failure, failure, from_channel, from_net};
use super::heads::Heads;
use super::inputs::LocalInputs;
use super::lane::Lane;
use super::outputs::{ReservedOutputs, reserve_outputs, write_outputs};
use super::places::open_of_party;
use super::report::{RunReport, Seconds, security_line};
use super::shared::Shared;
use super::transcript::{Agreement, Transcript};
use super::{Prepared, check_clock, check_own_key, close_log, load_identity, prepare};
use crate::config::Config;
use crate::error::CliError;
use crate::identity::Identity;
use crate::log::LogWriter;
use crate::net::{
    Connected, DealerLink, Listener, PeerKeys, QuicChannel, QuicCorrections, SecretBytes, SessionHandle,
    connect,
};
use crate::output::say;
use crate::progress::{Progress, Step};

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
    let encoded = encode_inputs(&program, config.me, &inputs.values)
        .map_err(|e| CliError::setup("out_of_range", format_args!("{}: {e}", config.node.path.display())))?;
    // From here on the encoded values are all that is needed.
    inputs.wipe_values();
    let listener = Listener::bind(config.node.listen).map_err(|e| from_net(&e))?;
    let log = open_of_party(config, &identity)?;
    // After the log, whose lock keeps a second run of this configuration away from the same files.
    let reserved = reserve_outputs(config, &program, &inputs)?;
    let plan = program.plan();
    clock.seconds.prepare = clock.lap();

    progress.phase("waiting for peers");
    let options = options(config, &program);
    let digests = (options.program_digest, options.parameters_digest);
    let digest = |key: &SecretBytes| row_order(key, &inputs.row_ids);
    let row_order = (!inputs.row_ids.is_empty()).then_some(&digest as crate::net::RowOrder<'_>);
    let connected = connect(&identity, listener, options, row_order).map_err(|e| from_net(&e))?;
    clock.seconds.connect = clock.lap();

    progress.phase("computing");
    let agreed = agreement(config, connected.session_id, connected.nonces.clone().into_vec(), digests);
    let run = Run { config, identity: &identity, program: Arc::new(program), plan, inputs };
    run.session(connected, agreed, encoded, Written { log, outputs: reserved }, clock, progress)
}

/// One run's unchanging parts.
struct Run<'a> {
    config: &'a Config,
    identity: &'a Identity,
    program: Arc<Program>,
    plan: Plan,
    inputs: LocalInputs,
}

/// What a run writes to.
struct Written {
    log: LogWriter,
    outputs: ReservedOutputs,
}

/// What the recorders of a session write down, whoever uses the channel at the moment.
struct Recorders {
    channel: Shared<Recorder<QuicChannel>>,
    corrections: Option<Shared<RecordedCorrections<QuicCorrections>>>,
}

/// What the protocol session is made of, besides the recorded channel.
struct Secrets {
    id: SessionId,
    keys: PerParty<Option<PeerKeys>>,
    dealer: DealerLink,
}

mpc_core::secret_types!(serde::Serialize; Run<'static>, Recorders, Secrets);

impl Run<'_> {
    fn session(
        self,
        connected: Connected,
        agreement: Agreement,
        encoded: EncodedInputs,
        Written { log, outputs: reserved }: Written,
        mut clock: Clock,
        progress: &mut dyn Progress,
    ) -> Result<RunReport, CliError> {
        let Connected { session_id: id, keys, channel, dealer, handle, .. } = connected;
        let session = hex(&id.0);
        let me = Peer::Party(self.config.me);
        let dealer = dealer.ok_or_else(|| {
            CliError::outcome("internal", "the session has no dealer, though it asked for one")
        })?;
        let opened = Transcript::open(log.handle(), &self.config.node, me, agreement);
        let mut transcript = opened.inspect_err(|e| give_up(&handle, Some(me), e.code()))?;
        let committed = self.commit_inputs(&mut transcript, &encoded).and_then(|()| {
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

        let mut secrets = Secrets { id, keys, dealer };
        let recorders = self.recorders(channel, &mut secrets, &log);
        let computed = heads
            .compare(handle.controls(), |f| handle.abort(f.accused(me), f.reason()))
            .and_then(|()| self.compute(&handle, secrets, &recorders, encoded, &log, progress));
        clock.seconds.compute = clock.lap();
        progress.phase("closing the session");
        let wire = handle.wire_bytes();
        let finished = computed
            .and_then(|execution| self.finish(&handle, &mut transcript, &execution).map(|()| execution));
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
        let written = write_outputs(self.config, &self.inputs, &execution.outputs, reserved);
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
        let sum = |f: fn(&ml_ops::StepCost) -> u64| execution.measured.iter().map(f).sum();
        Ok(RunReport {
            party: self.config.node.name.clone(),
            parties: self.config.node.roster.names(),
            program: self.program.name().to_owned(),
            program_digest: self.plan.digest.clone(),
            session,
            security: security_line(self.config.node.roster.len()),
            preprocessing: "dealer".into(),
            rounds: sum(|s| s.rounds),
            online_bytes_per_party: self.plan.online_bytes_per_party,
            offline_bytes_per_party: self.plan.offline_bytes_per_party,
            own_online_bytes: sum(|s| s.sent_bytes),
            own_offline_bytes: sum(|s| s.prep_bytes),
            wire_bytes: wire.0 + wire.1,
            ops: self.plan.ops,
            seconds: clock.seconds,
            outputs,
            scorecard,
            witnessed,
            log: head,
        })
    }

    /// Commitments are durable before the first byte that depends on an input leaves.
    fn commit_inputs(&self, transcript: &mut Transcript, encoded: &EncodedInputs) -> Result<(), CliError> {
        for (node, value) in encoded.iter() {
            let Some(spec) = self.program.inputs().find(|i| i.node == node) else { continue };
            let kind = match spec.kind {
                InputKind::Data => CommitmentKind::Input,
                InputKind::Weights => CommitmentKind::Weights,
            };
            transcript.commit(kind, spec.name, value.as_bytes())?;
        }
        transcript.flush()
    }

    fn recorders(&self, channel: QuicChannel, secrets: &mut Secrets, log: &LogWriter) -> Recorders {
        let me = Peer::Party(self.config.me);
        let keys = PerParty::from_fn(self.config.node.roster.len(), |p| {
            secrets.keys[p].as_ref().map(|k| LogKey::from(k.log.clone()))
        });
        let channel = Recorder::new(channel, secrets.id, 0, keys, Box::new(log.handle()));
        let corrections = secrets.dealer.take_source().map(|source| {
            let key = LogKey::from(secrets.dealer.log.clone());
            let recorder =
                CorrectionRecorder::new(secrets.id, 0, key, me, Peer::Dealer, Box::new(log.handle()));
            Shared::new(RecordedCorrections::new(source, recorder))
        });
        Recorders { channel: Shared::new(channel), corrections }
    }

    /// Starts the lane and waits for its end, or for the session's.
    fn compute(
        &self,
        handle: &SessionHandle,
        secrets: Secrets,
        recorders: &Recorders,
        encoded: EncodedInputs,
        log: &LogWriter,
        progress: &mut dyn Progress,
    ) -> Result<Execution, Failure> {
        let session = self.protocol_session(&secrets, recorders);
        drop(secrets);
        let lane = Lane::start(session, self.program.clone(), encoded, handle)?;
        lane.follow(handle, &log.handle(), &mut |label, rounds, bytes| {
            progress.step(Step {
                label,
                rounds,
                rounds_total: self.plan.rounds,
                bytes,
                bytes_total: self.plan.sent_bytes[self.config.me],
            });
        })
    }

    fn protocol_session(&self, secrets: &Secrets, recorders: &Recorders) -> Session<Additive<Z64>> {
        let source = recorders.corrections.clone().map(|s| Box::new(s) as Box<_>);
        let seed = Seed::from(secrets.dealer.seed.clone());
        let prep = DealerPrep::<Z64>::remote(self.config.me, secrets.id, seed, source, self.program.demand());
        let seeds = |f: fn(&PeerKeys) -> &SecretBytes| {
            PerParty::from_fn(self.config.node.roster.len(), |p| {
                secrets.keys[p].as_ref().map(|k| Seed::from(f(k).clone()))
            })
        };
        let pairwise = PairwiseSeeds { input: seeds(|k| &k.input), zero: seeds(|k| &k.zero) };
        Session::new(secrets.id, Box::new(recorders.channel.clone()), Box::new(prep), pairwise)
    }

    /// The session's good end: costs as planned, outputs committed, all parties agree that it is over.
    fn finish(
        &self,
        handle: &SessionHandle,
        transcript: &mut Transcript,
        execution: &Execution,
    ) -> Result<(), Failure> {
        self.plan
            .check(self.config.me, &execution.measured)
            .map_err(|e| failure("plan_mismatch", format!("this run did not cost what was planned: {e}")))?;
        for (name, values) in &execution.outputs {
            let mut bytes = Zeroizing::new(Vec::with_capacity(8 * values.len()));
            values.iter().for_each(|v| bytes.extend_from_slice(&v.to_bits().to_le_bytes()));
            transcript.commit(CommitmentKind::Output, name, &bytes).map_err(Failure::own)?;
        }
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

impl Recorders {
    /// Writes the batches under way; gives rounds and payload bytes sent. A lane that is still busy keeps its channel:
    /// then the log ends with what was written before.
    fn finish(&self) -> (u64, u64) {
        if let Some(mut corrections) = self.corrections.as_ref().and_then(Shared::try_lock) {
            corrections.finish();
        }
        let Some(mut channel) = self.channel.try_lock() else { return (0, 0) };
        channel.finish();
        (channel.rounds(), channel.total_traffic().sent)
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
