//! Running a program as one party.
//!
//! Every node is entered in the session under its own number, so its messages and its one-time pads are named after
//! it; values are dropped (and with them wiped) after their last use. All outputs leave together at the end, after the
//! parties have compared what was opened; but for what a loop reports while it runs, which leaves in the same way ([`crate::report`]).
//!
//! **What a party sees**: its own inputs, shares, what the protocols open (all one-time padded; see each protocol's
//! module), and the outputs that name it as recipient. The program itself, with all shapes and public constants, is
//! known to everybody.

mod function;
mod inputs;
mod layers;
mod product;
mod report;
mod step;

use std::collections::BTreeMap;

use mpc_core::fixed::decode;
use mpc_core::party::PartyId;
use mpc_core::ring::Z64;
use mpc_core::share::{Additive, Sharing};
use mpc_core::tag::node;
use mpc_core::tensor::Tensor;
use ndarray::ArrayD;
use protocols::error::ProtocolError;
use protocols::output::{confirm_cost, output};
use protocols::session::Session;

pub use inputs::{EncodedInputs, InputError, Place, RowSource, encode_inputs};
pub(crate) use layers::{convolved, pad, padding, unfold};

use crate::kept::KeptShare;
use crate::op::NodeId;
use crate::program::{Output, Program};
use crate::reference::RangeError;
use crate::repeat::{At, Repeat};
use crate::report::{Reported, Series};
use crate::walk::walk;
use product::Masked;
use step::Value;

/// Sharings whose parties can bring inputs.
pub trait Shareable: Sharing<Ring = Z64> {
    /// Shares of `owner`'s tensor; `value` is given by the owner alone.
    ///
    /// # Errors
    /// Those of [`protocols::input::input`].
    fn input(
        cx: &mut Session<Self>,
        owner: PartyId,
        shape: &[usize],
        value: Option<&Tensor<Z64>>,
    ) -> Result<Self, ProtocolError>;

    /// The share that an earlier session kept, re-randomised.
    fn taken_up(cx: &mut Session<Self>, share: Tensor<Z64>) -> Self;

    /// The share for a later session, re-randomised.
    fn to_keep(&self, cx: &mut Session<Self>) -> Tensor<Z64>;
}

impl Shareable for Additive<Z64> {
    fn input(
        cx: &mut Session<Self>,
        owner: PartyId,
        shape: &[usize],
        value: Option<&Tensor<Z64>>,
    ) -> Result<Self, ProtocolError> {
        protocols::input::input(cx, owner, shape, value)
    }

    fn taken_up(cx: &mut Session<Self>, share: Tensor<Z64>) -> Self {
        protocols::output::refreshed(cx, &Self::from_share(share))
    }

    fn to_keep(&self, cx: &mut Session<Self>) -> Tensor<Z64> {
        protocols::output::refreshed(cx, self).into_value_share()
    }
}

/// Why a run ended without outputs.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// An own input is not as the program declares it.
    #[error(transparent)]
    Input(#[from] InputError),
    /// A promise of a range does not hold, where the inputs of all parties are known.
    #[error(transparent)]
    Range(#[from] RangeError),
    /// The session is for another number of parties.
    #[error("the program is for {expected} parties, the session has {got}")]
    Parties {
        /// As in the program.
        expected: usize,
        /// As in the session.
        got: usize,
    },
    /// Rows of an own input could not be read.
    #[error("input \"{name}\", from row {} on: {what}", first + 1)]
    Rows {
        /// Name of the input.
        name: String,
        /// First row of the window, from 0.
        first: usize,
        /// What happened.
        what: String,
    },
    /// A protocol failed.
    #[error("{op}{}: {source}", if *node < node::START { format!(" at node %{node}") } else { String::new() })]
    Protocol {
        /// Number of the node; reserved numbers are those of the confirmation and the outputs.
        node: u32,
        /// The operation.
        op: &'static str,
        /// What happened.
        source: ProtocolError,
    },
}

/// How far a run is.
#[derive(Copy, Clone, Debug)]
pub struct Progress<'a> {
    /// Steps done in all windows; the last two are the confirmation and the outputs.
    pub done: usize,
    /// Steps in all.
    pub total: usize,
    /// The operation that was done last.
    pub op: &'a str,
    /// The operation that comes next.
    pub next: &'static str,
    /// Rounds so far.
    pub rounds: u64,
    /// Bytes that this party has sent so far.
    pub sent_bytes: u64,
    /// Where in a loop the step is.
    pub iteration: Option<Iteration>,
    /// What the step reported.
    pub report: Option<Reported<'a>>,
}

/// An iteration of a loop, counted from 0.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Iteration {
    /// Its number.
    pub number: u32,
    /// Iterations of the loop.
    pub of: u32,
    /// How many go through all batches once.
    pub per_epoch: u32,
}

impl Iteration {
    fn of(program: &Program, l: &Repeat, number: u32) -> Self {
        Self { number, of: l.times, per_epoch: program.iterations_per_epoch(l) }
    }
}

/// What one step took in all windows together, as the session counted it.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct StepCost {
    /// Number of the node, or the reserved number of the confirmation or the outputs.
    pub id: u32,
    /// Exchanges.
    pub rounds: u64,
    /// Bytes that this party sent.
    pub sent_bytes: u64,
    /// Bytes of corrections that this party received from the dealer.
    pub prep_bytes: u64,
}

/// A finished run. `Debug` shows names and shapes of the outputs, not what they say.
#[derive(Clone)]
pub struct Execution {
    /// The outputs that this party receives, by name; of a report, all that it said along a first axis.
    pub outputs: BTreeMap<String, ArrayD<f64>>,
    /// This party's shares of what stays in shares, by name.
    pub kept: BTreeMap<String, KeptShare>,
    /// Cost of every step, in the order of [`crate::Plan::ops`].
    pub measured: Vec<StepCost>,
}

impl std::fmt::Debug for Execution {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shapes: BTreeMap<_, _> = self.outputs.iter().map(|(name, v)| (name, v.shape())).collect();
        let kept: Vec<_> = self.kept.keys().collect();
        f.debug_struct("Execution")
            .field("outputs", &shapes)
            .field("kept", &kept)
            .field("measured", &self.measured)
            .finish()
    }
}

/// Runs `program` as the session's party. `inputs` has a value for every input that this party owns and nothing else;
/// it is checked as a whole before anything is sent. `progress` is called after every step.
///
/// # Errors
/// [`RunError`]; no output leaves this party after an error.
pub fn run<S: Shareable>(
    cx: &mut Session<S>,
    program: &Program,
    inputs: &BTreeMap<String, ArrayD<f64>>,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Execution, RunError> {
    let inputs = encode_inputs(program, cx.me(), inputs)?;
    run_encoded(cx, program, inputs, progress)
}

/// As [`run`], with inputs that are already encoded.
///
/// # Errors
/// As [`run`].
pub fn run_encoded<S: Shareable>(
    cx: &mut Session<S>,
    program: &Program,
    inputs: EncodedInputs,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Execution, RunError> {
    run_windows(cx, program, inputs, &mut |_, _| Ok(()), progress)
}

/// What is done before a window, given the number of items of correlated randomness that it consumes.
pub type Ahead<'a, S> = &'a mut dyn FnMut(&mut Session<S>, usize) -> Result<(), ProtocolError>;

/// As [`run_encoded`]; `ahead` is called before every window with the number of items of correlated randomness that the
/// window consumes.
///
/// # Errors
/// As [`run`], and what `ahead` fails with.
pub fn run_windows<S: Shareable>(
    cx: &mut Session<S>,
    program: &Program,
    mut inputs: EncodedInputs,
    ahead: Ahead<'_, S>,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Execution, RunError> {
    if cx.parties() != program.parties().len() {
        return Err(RunError::Parties { expected: program.parties().len(), got: cx.parties() });
    }
    inputs.check_shares(program)?;
    let windows = program.windows();
    let nodes = program.nodes().len();
    let total = windows.iter().map(|(window, count)| count * window.steps()).sum::<usize>() + 2;
    let mut done = 0;
    let nothing = |id| StepCost { id, rounds: 0, sent_bytes: 0, prep_bytes: 0 };
    let mut measured: Vec<StepCost> = (0..nodes).map(|id| nothing(id as u32)).collect();
    let mut seen = Counters::of(cx);
    let name = |node: usize| program.nodes()[node].op.name();
    let mut collected: Vec<Vec<S>> = program.last_outputs().map(|_| vec![]).collect();
    let mut series = Series::default();
    let (mut iteration, mut first_row) = (0, 0);
    for (window, count) in windows {
        let lowered = window.lowered();
        let of_place = |at: At| lowered[at.node as usize].cost_at(at.iteration).items.len();
        let items = window.places().map(of_place).sum();
        let opens = |node: NodeId| lowered[node as usize].opens();
        for _ in 0..count {
            let rows =
                window.rows().filter(|_| !program.windows.is_empty()).map(|n| first_row..first_row + n);
            first_row += rows.as_ref().map_or(0, std::ops::Range::len);
            let mut own = inputs.of_window(program, rows)?;
            ahead(cx, items).map_err(|source| RunError::Protocol {
                node: node::START,
                op: "preprocessing",
                source,
            })?;
            // What was made ahead is of no step.
            let _made = seen.advance(cx, node::START);
            let (mut masked, mut bits) = (Masked::none(), BTreeMap::new());
            let first = iteration;
            let values = walk(window, opens, |at, operands: &[&Value<S>]| {
                let (node, i) = (at.node, at.node as usize);
                // A program has windows or loops.
                let (value, made) = cx
                    .enter(node, first + at.iteration)
                    .and_then(|()| {
                        let kept = step::Kept { inputs: &mut own, masked: &mut masked, bits: &mut bits };
                        step::evaluate(cx, window, at, &lowered[i], operands, kept)
                    })
                    .and_then(|value| {
                        let made = match &value {
                            Value::Secret(sum) => report::report(cx, window, at, sum, &mut series)?,
                            Value::Public(_) => None,
                        };
                        Ok((value, made))
                    })
                    .map_err(|source| RunError::Protocol { node, op: name(i), source })?;
                measured[i].add(&seen.advance(cx, node));
                done += 1;
                let body = window.loop_of(node);
                let again = body.filter(|l| l.end == node + 1 && at.iteration + 1 < l.times);
                let next = again.map_or(i + 1, |l| l.first as usize);
                let next = if done == total - 2 { "confirm" } else { name(next % nodes) };
                let iteration = body.map(|l| Iteration::of(window, l, at.iteration));
                let (rounds, sent_bytes) = (cx.rounds(), cx.sent_bytes());
                let report = made.as_ref().map(report::Made::reported);
                progress(Progress { done, total, op: name(i), next, rounds, sent_bytes, iteration, report });
                Ok::<_, RunError>(value)
            })?;
            for (all, value) in collected.iter_mut().zip(&values) {
                all.push(value.secret().clone());
            }
            iteration += 1;
        }
    }

    let shares: Vec<S> = collected.into_iter().map(joined).collect();
    let (leave, stay): (Vec<_>, Vec<_>) =
        program.last_outputs().zip(&shares).partition(|(o, _)| !o.recipients.is_empty());
    let keep = |(o, share): (&Output, &S)| {
        let values = share.to_keep(cx);
        (o.name.clone(), KeptShare::new(program, cx.id(), cx.me(), (&o.name, o.node), values))
    };
    let kept: BTreeMap<_, _> = stay.into_iter().map(keep).collect();
    let outputs: Vec<_> = leave.iter().map(|(o, share)| (*share, o.recipients.as_slice())).collect();
    let failed = |source| match source {
        ProtocolError::OpeningsDiffer { .. } => {
            RunError::Protocol { node: node::CONFIRM, op: "confirm", source }
        }
        _ => RunError::Protocol { node: node::OUTPUT, op: "output", source },
    };
    let revealed = output(cx, &outputs).map_err(failed)?;
    // The protocol does both rounds in one call; the first has a fixed size.
    let both = seen.advance(cx, node::OUTPUT);
    let confirm_bytes = confirm_cost(cx.parties()).sent_bytes[cx.me()];
    measured.push(StepCost { id: node::CONFIRM, rounds: 1, sent_bytes: confirm_bytes, prep_bytes: 0 });
    measured.push(StepCost {
        rounds: both.rounds.saturating_sub(1),
        sent_bytes: both.sent_bytes.saturating_sub(confirm_bytes),
        ..both
    });
    let (rounds, sent_bytes) = (cx.rounds(), cx.sent_bytes());
    let last = "output";
    let (op, next, iteration, report) = (last, last, None, None);
    progress(Progress { done: total, total, op, next, rounds, sent_bytes, iteration, report });

    let outputs = leave
        .iter()
        .zip(&revealed)
        .filter_map(|((o, _), r)| {
            Some((o.name.clone(), decode(r.as_ref()?.tensor(), program.fact(o.node).scale)))
        })
        .chain(series.finish(program))
        .collect();
    Ok(Execution { outputs, kept, measured })
}

/// The shares of all windows' rows, one after the other.
fn joined<S: Shareable>(mut parts: Vec<S>) -> S {
    match parts.len() {
        1 => parts.remove(0),
        _ => S::combine(&parts.iter().collect::<Vec<_>>(), |p| Tensor::concat(0, p)),
    }
}

impl StepCost {
    fn add(&mut self, other: &Self) {
        self.rounds += other.rounds;
        self.sent_bytes += other.sent_bytes;
        self.prep_bytes += other.prep_bytes;
    }
}

/// The session's counters at the end of the last step.
struct Counters {
    rounds: u64,
    sent_bytes: u64,
    prep_bytes: u64,
}

impl Counters {
    fn of<S: Sharing>(cx: &Session<S>) -> Self {
        Self { rounds: cx.rounds(), sent_bytes: cx.sent_bytes(), prep_bytes: cx.prep_bytes() }
    }

    /// What was added since the last call.
    fn advance<S: Sharing>(&mut self, cx: &Session<S>, id: u32) -> StepCost {
        let now = Self::of(cx);
        let cost = StepCost {
            id,
            rounds: now.rounds - self.rounds,
            sent_bytes: now.sent_bytes - self.sent_bytes,
            prep_bytes: now.prep_bytes - self.prep_bytes,
        };
        *self = now;
        cost
    }
}
