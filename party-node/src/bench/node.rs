//! One node of a bench: a party or the dealer, in a process of its own. It holds one session after the other: all
//! correlated randomness first, then, when everybody has it, the computation. What it does besides is what a node does in
//! production: messages are recorded as keyed digests in a transcript log, in which the session's beginning is durable before
//! the clock starts. While it runs nobody waits for the disk, though: a dealer in production waits once, before its last
//! correction, until its log is durable.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use ml_ops::{Program, encode_inputs, run_encoded};
use mpc_core::channel::{ChannelError, Peer};
use mpc_core::party::PartyId;
use mpc_core::tag::SessionId;
use mpc_core::transcript::{
    Close, CorrectionRecorder, Entry, LogKey, Member as LogMember, Outcome, SessionOpen,
};
use protocols::error::PrepError;
use serde::{Deserialize, Serialize};

use super::link::{self, LinkFigures};
use super::raw;
use super::spec::{DEALER, Spec};
use super::workload::{Values, Workload, max_abs_error};
use crate::error::CliError;
use crate::identity::Identity;
use crate::job::wiring::{Randomness, Recorders, Secrets};
use crate::job::{link_profile, serve};
use crate::log::{LogHandle, LogWriter};
use crate::memory::peak_rss_mb;
use crate::net::{
    ConnectOptions, Connected, ControlStream, DealerOptions, DealerServer, Listener, Member,
    PROTOCOL_VERSION, QuicChannel, SessionHandle, connect,
};

/// How long nodes wait for each other.
const CONNECT_TIMEOUT_MS: u64 = 60_000;
/// How long the others may take over their correlated randomness.
const BARRIER: Duration = Duration::from_secs(600);

/// What one node measured in one repetition.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Measured {
    pub(super) offline_ms: f64,
    pub(super) online_ms: f64,
    pub(super) is_party: bool,
    pub(super) rounds: u64,
    pub(super) offline_rounds: u64,
    /// Payload bytes sent.
    pub(super) online_bytes: u64,
    /// Payload bytes of corrections received.
    pub(super) offline_bytes: u64,
    pub(super) wire_bytes: u64,
    /// At party 0.
    pub(super) max_abs_error: Option<f64>,
    pub(super) link: Option<LinkFigures>,
}

/// What one node prints in the end.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct NodeReport {
    pub(super) name: String,
    /// The uncounted repetition first.
    pub(super) repeats: Vec<Measured>,
    /// Largest memory of the process.
    pub(super) peak_rss_mb: f64,
}

/// Runs the node with this place in the bench's list.
pub(super) fn run(dir: &Path, index: usize) -> Result<NodeReport, CliError> {
    let spec = Spec::load(dir)?;
    let members = spec.members()?;
    let Some(me) = members.get(index) else {
        return Err(CliError::setup("bad_bench", format_args!("there is no node {index}")));
    };
    let identity = Identity::load(&Spec::key_file(dir, &me.name)).map_err(crate::cli::from_identity)?;
    let key = identity.signing_key().clone();
    let log = LogWriter::open(&Spec::log_dir(dir, &me.name), &me.name, key).map_err(log_failed)?;
    let node = Node { spec: &spec, members: &members, identity: &identity, index, log: log.handle() };
    let repeats = if me.name == DEALER { node.dealer()? } else { node.party()? };
    Ok(NodeReport { name: me.name.clone(), repeats, peak_rss_mb: peak_rss_mb().unwrap_or(f64::NAN) })
}

struct Node<'a> {
    spec: &'a Spec,
    /// Parties in order, then the dealer.
    members: &'a [Member],
    identity: &'a Identity,
    index: usize,
    log: LogHandle,
}

mpc_core::secret_types!(Node<'static>);

impl Node<'_> {
    fn address(&self) -> Result<SocketAddr, CliError> {
        let address = &self.members[self.index].address;
        address.parse().map_err(|e| CliError::setup("bad_bench", format_args!("address {address}: {e}")))
    }

    fn parties(&self) -> &[Member] {
        &self.members[..self.spec.task.parties]
    }

    fn party(&self) -> Result<Vec<Measured>, CliError> {
        let program = self.spec.task.program(self.spec.net).map_err(|e| CliError::setup("bad_program", e))?;
        (0..=self.spec.repeat).map(|repetition| self.one_session(&program, repetition)).collect()
    }

    fn one_session(&self, program: &Program, repetition: usize) -> Result<Measured, CliError> {
        let task = &self.spec.task;
        let me = PartyId::new(self.index);
        let inputs = task.inputs(program, self.spec.inputs_seed(repetition));
        let own: Values = program
            .inputs()
            .filter(|i| i.owner == me)
            .filter_map(|i| Some((i.name.to_owned(), inputs.get(i.name)?.clone())))
            .collect();
        let mut encoded = encode_inputs(program, me, &own).map_err(|e| CliError::outcome("internal", e))?;
        let mut vector = None;
        if let Some(input) = program.inputs().find(|i| i.owner == me && task.raw) {
            let copy = encoded.read(program, input.node, |values| {
                vector = Some(values.clone());
                Ok::<_, std::io::Error>(())
            });
            copy.map_err(|e| CliError::outcome("internal", e))?;
        }
        let demand = match task.workload {
            Workload::Link | Workload::Cots => raw::demand(1),
            Workload::Triples => raw::demand(task.n),
            _ if task.raw => raw::demand(task.n),
            _ => program.demand(),
        };

        let listener = Listener::bind(self.address()?).map_err(net_failed)?.behind(self.spec.net.shape);
        let mut options = ConnectOptions::new(me, self.parties().to_vec());
        options.dealer = self.members.get(task.parties).cloned();
        options.link = link_profile(self.spec.net.link);
        options.program_digest = program.digest();
        options.demand = demand.encode();
        options.connect_timeout_ms = CONNECT_TIMEOUT_MS;
        options.receive_timeout_ms = BARRIER.as_millis() as u64;
        let connected = connect(self.identity, listener, options, None).map_err(net_failed)?;
        let nonces = connected.nonces.clone().into_vec();
        let Connected { session_id: id, keys, channel, dealer, handle, .. } = connected;
        self.open(id, Peer::Party(me), program.digest(), nonces)?;
        if task.workload == Workload::Link {
            return self.link(channel, &handle, id);
        }
        let randomness = Randomness::of(task.offline.provider(program, self.spec.net), dealer)?;
        let mut secrets = Secrets { id, keys, randomness };
        let recorders = Recorders::new(me, channel, &mut secrets, &self.log);
        let mut measured = Measured { is_party: true, ..Measured::default() };
        let failed = |e: PrepError| CliError::outcome("preprocessing", e);
        let result = if let (Workload::Cots, Randomness::Ot(extension, seed)) =
            (task.workload, &secrets.randomness)
        {
            let began = Instant::now();
            let made = raw::cots(recorders.channel(), id, (*extension, seed), task.n).map_err(failed)?;
            barrier(&handle)?;
            measured.offline_ms = milliseconds(began);
            (measured.offline_rounds, measured.offline_bytes) = made;
            Values::new()
        } else {
            let mut session = recorders.session(me, secrets, demand);
            meet(handle.controls())?;
            let began = Instant::now();
            session.prep().prepare(usize::MAX).map_err(failed)?;
            barrier(&handle)?;
            measured.offline_ms = milliseconds(began);
            measured.offline_rounds = recorders.rounds();
            let began = Instant::now();
            let result = if task.raw {
                raw::run(&mut session, task.n, vector).map_err(|e| CliError::outcome("protocol_failed", e))?
            } else if task.workload.computes() {
                let run = run_encoded(&mut session, program, encoded, &mut |_| ());
                run.map_err(|e| CliError::outcome("run_failed", e))?.outputs
            } else {
                Values::new()
            };
            measured.online_ms = milliseconds(began);
            measured.rounds = session.rounds();
            measured.online_bytes = session.sent_bytes();
            measured.offline_bytes = session.prep_bytes();
            result
        };
        if self.index == 0 && task.workload.computes() {
            let expected = task.expected(program, &inputs).map_err(|e| CliError::outcome("internal", e))?;
            measured.max_abs_error = Some(max_abs_error(&result, &expected));
        }
        handle.conclude().map_err(channel_failed)?;
        let (sent, received) = handle.wire_bytes();
        measured.wire_bytes = sent + received;
        handle.leave();
        let (rounds, bytes_sent) = recorders.finish();
        self.close(id, rounds, bytes_sent)?;
        Ok(measured)
    }

    /// The network alone. The dealer's one triple is left to itself.
    fn link(
        &self,
        mut channel: QuicChannel,
        handle: &SessionHandle,
        session: SessionId,
    ) -> Result<Measured, CliError> {
        meet(handle.controls())?;
        let began = Instant::now();
        let link = link::measure(&mut channel, self.spec.task.n).map_err(channel_failed)?;
        let online_ms = milliseconds(began);
        handle.conclude().map_err(channel_failed)?;
        let (sent, received) = handle.wire_bytes();
        handle.leave();
        self.close(session, 0, 0)?;
        let (link, wire_bytes) = (Some(link), sent + received);
        Ok(Measured { is_party: true, online_ms, rounds: 1, wire_bytes, link, ..Measured::default() })
    }

    fn dealer(&self) -> Result<Vec<Measured>, CliError> {
        let mut options = DealerOptions::new(self.parties().to_vec());
        options.link = link_profile(self.spec.net.link);
        options.session_timeout_ms = CONNECT_TIMEOUT_MS;
        let listener = Listener::bind(self.address()?).map_err(net_failed)?.behind(self.spec.net.shape);
        let server = DealerServer::bind(self.identity, listener, options).map_err(net_failed)?;
        let limit = Duration::from_millis(CONNECT_TIMEOUT_MS);
        let mut repeats = Vec::new();
        for _ in 0..=self.spec.repeat {
            let session = server.accept_session(Some(limit)).map_err(net_failed)?;
            let session = session
                .ok_or_else(|| CliError::outcome("peer_absent", "the parties did not ask for a session"))?;
            let began = Instant::now();
            let id = session.session_id;
            self.open(id, Peer::Dealer, session.program_digest, Vec::new())?;
            let key = LogKey::from(session.logs[PartyId::new(0)].clone());
            let corrected = Peer::Party(PartyId::new(0));
            let log = Box::new(self.log.clone());
            let mut recorder = CorrectionRecorder::new(id, 0, key, Peer::Dealer, corrected, log);
            meet(session.controls())?;
            serve(&session, &mut recorder, || Ok(())).map_err(|failure| failure.error)?;
            recorder.finish();
            session.leave();
            self.close(id, 0, recorder.traffic().sent)?;
            repeats.push(Measured { offline_ms: milliseconds(began), ..Measured::default() });
        }
        Ok(repeats)
    }

    fn open(
        &self,
        session: SessionId,
        me: Peer,
        program: [u8; 32],
        nonces: Vec<[u8; 32]>,
    ) -> Result<(), CliError> {
        let member = |m: &Member| LogMember { name: m.name.clone(), key: *m.key.as_bytes() };
        let open = SessionOpen {
            session,
            protocol_version: u32::from(PROTOCOL_VERSION),
            program,
            parameters: [0; 32],
            me,
            parties: self.parties().iter().map(member).collect(),
            dealer: self.members.get(self.spec.task.parties).map(member),
            nonces,
            seed_commitment: [0; 32],
        };
        self.log.append(&Entry::SessionOpen(open)).map_err(log_failed)?;
        // As in production, nothing begins before the session is in the log for good.
        self.log.flush().map(drop).map_err(log_failed)
    }

    fn close(&self, session: SessionId, rounds: u64, bytes_sent: u64) -> Result<(), CliError> {
        let close = Close { session, outcome: Outcome::Completed, rounds, bytes_sent };
        self.log.append(&Entry::Close(close)).map_err(log_failed)
    }
}

/// Everybody is here before anybody goes on, a dealer as well. In production the members compare their logs at this place.
fn meet(controls: &[ControlStream]) -> Result<(), CliError> {
    controls.iter().try_for_each(|c| c.exchange(Vec::new(), 0, BARRIER).map(drop).map_err(channel_failed))
}

/// Every party is here before any goes on.
fn barrier(handle: &SessionHandle) -> Result<(), CliError> {
    for control in handle.controls().iter().filter(|c| c.peer() != Peer::Dealer) {
        control.exchange(Vec::new(), 0, BARRIER).map_err(channel_failed)?;
    }
    Ok(())
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

fn net_failed(error: crate::net::NetError) -> CliError {
    CliError::outcome(error.code(), error)
}

fn channel_failed(error: ChannelError) -> CliError {
    CliError::outcome("peer_lost", error)
}

fn log_failed(error: crate::log::LogError) -> CliError {
    CliError::outcome("log_failed", error)
}
