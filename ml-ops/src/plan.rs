//! What a program costs, before anything connects: exact rounds, bytes and correlated randomness; estimated memory and
//! time.
//!
//! A round is one exchange. Online bytes are message payloads sent; offline bytes are what a party receives from the dealer, all
//! of it at party 0, or sends to the others where the parties make correlated randomness themselves. They are added up per
//! party, and the largest party counts. A run measures the same numbers, and
//! [`Plan::check`] compares.

use std::collections::BTreeMap;

use mpc_core::party::{PartyId, PerParty};
use mpc_core::ring::Z64;
use mpc_core::share::Additive;
use mpc_core::tag::node;
use protocols::cost::Cost;
use protocols::output;
use protocols::prep::provider::OfflineCost;
use protocols::prep::{CotExtension, Demand, Item, Provider};
use serde::Serialize;

use crate::estimate::{Estimate, Estimates, estimate, estimates, memory_bytes};
use crate::exec::StepCost;
use crate::op::{InputKind, Op};
use crate::program::{InputSpec, Program};

/// The sharing that is planned for.
pub(crate) type Planned = Additive<Z64>;

/// Correlated randomness of one kind that an operation consumes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Correlation {
    /// Name of the kind.
    pub kind: &'static str,
    /// How many: elements, or 1 for a matrix triple.
    pub count: usize,
    /// Bytes that the busiest party receives from the dealer for it, or sends to make it.
    pub offline_bytes: u64,
}

/// Cost of one node, or of the confirmation or the outputs at the end.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct PlannedOp {
    /// Number of the node; the confirmation and the outputs have the reserved numbers of their tags.
    pub id: u32,
    /// Name of the operation.
    pub op: &'static str,
    /// Exchanges.
    pub rounds: u64,
    /// Bytes that the busiest party sends.
    pub online_bytes_per_party: u64,
    /// Bytes that the busiest party receives from the dealer, or sends to make correlated randomness.
    pub offline_bytes_per_party: u64,
    /// Correlated randomness, in order.
    pub correlations: Vec<Correlation>,
    /// Block and fan-in of the trees of every step that compares, in order.
    pub trees: Vec<[usize; 2]>,
    /// Bits by which the operand is truncated on the operation's own opening, instead of by the node before it.
    pub fused_truncation_bits: u32,
    /// The node whose value is a factor, in whole or in part, and is opened once for all products that use it.
    pub reused_factor: Option<u32>,
    /// Whether this operation opens it; in a loop, the first time.
    pub opens_reused_factor: bool,
    /// How often the operation is computed: the iterations of the loop that it is in; of a report, those in which something leaves.
    pub times: u32,
    /// Bytes that each party sends.
    #[serde(skip)]
    pub sent_bytes: PerParty<u64>,
    /// Bytes of each party that [`Self::offline_bytes_per_party`] is the largest of.
    #[serde(skip)]
    pub offline_bytes: PerParty<u64>,
}

/// Cost of a program.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Plan {
    /// Name of the program.
    pub program: String,
    /// Its digest in hexadecimal.
    pub digest: String,
    /// Number of parties.
    pub parties: usize,
    /// Exchanges in all.
    pub rounds: u64,
    /// Bytes that the busiest party sends in all.
    pub online_bytes_per_party: u64,
    /// Bytes that the busiest party receives from the dealer in all, or sends to make correlated randomness.
    pub offline_bytes_per_party: u64,
    /// Who makes correlated randomness: `dealer` or `ot`, or `ot (stored)` where it was made ahead.
    pub preprocessing: &'static str,
    /// Which extension makes the correlated oblivious transfers.
    pub cot_extension: Option<&'static str>,
    /// Exchanges that making correlated randomness takes.
    pub offline_rounds: u64,
    /// Correlated oblivious transfers of the busiest party, with all others and in both directions.
    pub cots_per_party: u64,
    /// Estimated peak of a party's tensors and messages.
    pub memory_bytes: u64,
    /// Estimated time on three kinds of network.
    pub estimates: Estimates,
    /// What parties bring: data, and weights that only their owner knows.
    pub inputs: Vec<PlannedInput>,
    /// Numbers in the program that everybody knows, such as public parameters of a model.
    pub public_numbers: u64,
    /// Every node in order, then `confirm` and `output`.
    pub ops: Vec<PlannedOp>,
    /// Bytes that each party sends in all.
    #[serde(skip)]
    pub sent_bytes: PerParty<u64>,
}

/// What a party brings.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlannedInput {
    /// The program's name for it.
    pub name: String,
    /// Name of the party, which alone knows it.
    pub owner: String,
    /// `data` or `weights`.
    pub kind: &'static str,
    /// Lengths of the axes.
    pub shape: Vec<usize>,
    /// Largest magnitude.
    pub max_abs: f64,
}

/// A run that did not cost what was planned: a bug, or another program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{op} (node {id}) of {party}: planned {planned:?}, measured {measured:?}")]
pub struct PlanMismatch {
    /// The party that measured.
    pub party: PartyId,
    /// Number of the node.
    pub id: u32,
    /// The operation.
    pub op: &'static str,
    /// As planned; `None` if the run had a step more.
    pub planned: Option<StepCost>,
    /// As measured; `None` if the run had a step less.
    pub measured: Option<StepCost>,
}

impl Program {
    /// Cost of the program with a dealer: exact rounds, bytes and correlated randomness.
    #[must_use]
    pub fn plan(&self) -> Plan {
        self.plan_for(Provider::Dealer)
    }

    /// Cost of the program with correlated randomness of this provider.
    #[must_use]
    pub fn plan_for(&self, provider: Provider) -> Plan {
        let windows: Vec<_> = self.windows().into_iter().map(|(w, count)| (w, w.lowered(), count)).collect();
        let (ends, mut ops) = (self.end_costs(), Vec::with_capacity(self.nodes.len() + 2));
        let (total, n) = (self.total(), self.parties.len());
        let offline = provider.costs(n, &self.demand().items);
        let mut of_nodes: Vec<Vec<OfflineCost>> = vec![vec![]; self.nodes.len()];
        let mut rest = offline.iter();
        for (window, lowered, count) in &windows {
            for _ in 0..*count {
                for at in window.places() {
                    let node = at.node as usize;
                    let of_place = lowered[node].cost_at(at.iteration).items.len();
                    of_nodes[node].extend(rest.by_ref().take(of_place).cloned());
                }
            }
        }
        for ((id, node), of_node) in (0..).zip(&self.nodes).zip(&of_nodes) {
            let mut cost = Cost::none(n);
            let mut trees = vec![];
            for (window, lowered, count) in &windows {
                let lowered = &lowered[id as usize];
                trees.extend(lowered.trees().map(|tree| [tree.block(), tree.fan_in()]));
                cost = cost.then(lowered.cost_of(window.times(id)).times(*count));
            }
            let first = &windows[0].1[id as usize];
            ops.push(PlannedOp {
                trees,
                fused_truncation_bits: first.fused,
                reused_factor: first.reuse.map(|r| r.root),
                opens_reused_factor: first.opens().is_some(),
                times: self.report(id).map_or_else(|| self.times(id), |r| r.times),
                ..planned(id, node.op.name(), &cost, of_node)
            });
        }
        ops.extend(ends.iter().map(|(id, op, cost)| planned(*id, op, cost, &[])));
        let made = OfflineCost::sum(n, &offline);
        Plan {
            program: self.name.clone(),
            digest: self.digest_hex(),
            parties: n,
            rounds: total.rounds,
            online_bytes_per_party: total.max_sent_bytes(),
            offline_bytes_per_party: largest(&made.bytes),
            preprocessing: provider.name(),
            cot_extension: provider.extension().map(CotExtension::name),
            offline_rounds: made.rounds,
            cots_per_party: largest(&made.cots),
            memory_bytes: self.memory_bytes(),
            estimates: estimates(self, &total, provider, &made),
            inputs: self.planned_inputs(),
            public_numbers: self.public_numbers(),
            ops,
            sent_bytes: total.sent_bytes,
        }
    }

    fn planned_inputs(&self) -> Vec<PlannedInput> {
        let one = |i: InputSpec<'_>| PlannedInput {
            name: i.name.to_owned(),
            owner: self.parties[i.owner.index()].clone(),
            kind: match i.kind {
                InputKind::Data => "data",
                InputKind::Weights => "weights",
            },
            shape: i.shape.dims().to_vec(),
            max_abs: i.max_abs,
        };
        self.inputs().map(one).collect()
    }

    fn public_numbers(&self) -> u64 {
        let constants = self.nodes.iter().filter(|n| matches!(n.op, Op::Constant { .. }));
        constants.map(|n| n.fact.shape.elements() as u64).sum()
    }

    /// Estimated time with this provider, on a network whose rounds take `round_ms` milliseconds and that carries so many bytes
    /// per second.
    #[must_use]
    pub fn estimate(&self, provider: Provider, round_ms: f64, bytes_per_second: f64) -> Estimate {
        let made =
            OfflineCost::sum(self.parties.len(), &provider.costs(self.parties.len(), &self.demand().items));
        estimate(self, &self.total(), provider, &made, (round_ms, bytes_per_second))
    }

    /// The extension with which the parties make this program's correlated randomness in least time, on such a network.
    #[must_use]
    pub fn cot_extension(&self, (round_ms, bytes_per_second): (f64, f64)) -> CotExtension {
        let time = |extension: &CotExtension| {
            let estimate = self.estimate(Provider::Ot(*extension), round_ms, bytes_per_second);
            (estimate.offline_ms * 1e3) as u64
        };
        CotExtension::ALL.into_iter().min_by_key(time).unwrap_or(CotExtension::SoftSpoken4)
    }

    fn total(&self) -> Cost {
        let none = || Cost::none(self.parties.len());
        let windows = self.windows().into_iter().map(|(window, count)| {
            let nodes = (0..).zip(window.lowered()).map(|(id, node)| node.cost_of(window.times(id)));
            nodes.fold(none(), Cost::then).times(count)
        });
        let ends = self.end_costs().into_iter().map(|(_, _, cost)| cost);
        windows.chain(ends).fold(none(), Cost::then)
    }

    /// Of one party: what the largest window takes, and the shares of outputs that wait for the end.
    fn memory_bytes(&self) -> u64 {
        let windows = self.windows.iter().map(|w| &w.program).chain(self.windows.is_empty().then_some(self));
        let outputs = self.outputs.iter().map(|o| self.fact(o.node).shape.elements() as u64 * 8).sum::<u64>();
        let waiting = if self.windows.is_empty() { 0 } else { outputs };
        windows.map(|w| memory_bytes(w, &w.lowered())).max().unwrap_or(0) + waiting
    }

    /// The correlated randomness that a run consumes, in order: what the parties ask the dealer for.
    #[must_use]
    pub fn demand(&self) -> Demand {
        let mut items: Vec<Item> = vec![];
        for (window, count) in self.windows() {
            let lowered = window.lowered();
            for _ in 0..count {
                let of_one = window.items(&lowered, items.len() as u32);
                items.extend(of_one);
            }
        }
        Demand { items }
    }

    /// Confirmation and outputs.
    fn end_costs(&self) -> [(u32, &'static str, Cost); 2] {
        let n = self.parties.len();
        let outputs: Vec<_> = self
            .last_outputs()
            .map(|o| (self.fact(o.node).shape.elements(), o.recipients.as_slice()))
            .collect();
        [
            (node::CONFIRM, "confirm", output::confirm_cost(n)),
            (node::OUTPUT, "output", output::cost::<Planned>(n, &outputs)),
        ]
    }
}

impl Plan {
    /// The plan of a run whose correlated randomness was made ahead: nothing passes for it any more.
    #[must_use]
    pub fn made_ahead(mut self) -> Self {
        let none = || PerParty::from_fn(self.parties, |_| 0);
        for op in &mut self.ops {
            op.offline_bytes_per_party = 0;
            op.offline_bytes = none();
            op.correlations.iter_mut().for_each(|c| c.offline_bytes = 0);
        }
        (self.offline_bytes_per_party, self.offline_rounds, self.cots_per_party) = (0, 0, 0);
        self.preprocessing = "ot (stored)";
        for estimate in [&mut self.estimates.loopback, &mut self.estimates.lan, &mut self.estimates.wan] {
            estimate.offline_ms = 0.0;
        }
        self
    }

    /// Compares what party `me` measured with the plan, step by step.
    ///
    /// # Errors
    /// [`PlanMismatch`] with the first step that differs.
    pub fn check(&self, me: PartyId, measured: &[StepCost]) -> Result<(), PlanMismatch> {
        let expected = |op: &PlannedOp| StepCost {
            id: op.id,
            rounds: op.rounds,
            sent_bytes: op.sent_bytes[me],
            prep_bytes: op.offline_bytes[me],
        };
        for i in 0..self.ops.len().max(measured.len()) {
            let (op, measured) = (self.ops.get(i), measured.get(i).copied());
            let planned = op.map(expected);
            if planned != measured {
                let id = planned.or(measured).map_or(0, |s| s.id);
                return Err(PlanMismatch {
                    party: me,
                    id,
                    op: op.map_or("extra step", |o| o.op),
                    planned,
                    measured,
                });
            }
        }
        Ok(())
    }
}

fn planned(id: u32, op: &'static str, cost: &Cost, offline: &[OfflineCost]) -> PlannedOp {
    let correlation = |(item, made): (&Item, &OfflineCost)| Correlation {
        kind: item.name(),
        count: item.count(),
        offline_bytes: largest(&made.bytes),
    };
    let made = OfflineCost::sum(cost.sent_bytes.parties(), offline);
    PlannedOp {
        id,
        op,
        rounds: cost.rounds,
        online_bytes_per_party: cost.max_sent_bytes(),
        offline_bytes_per_party: largest(&made.bytes),
        correlations: cost.items.iter().zip(offline).map(correlation).collect(),
        trees: vec![],
        fused_truncation_bits: 0,
        reused_factor: None,
        opens_reused_factor: false,
        times: 1,
        sent_bytes: cost.sent_bytes.clone(),
        offline_bytes: made.bytes,
    }
}

fn largest(bytes: &PerParty<u64>) -> u64 {
    bytes.iter().map(|(_, &b)| b).max().unwrap_or(0)
}

/// For people: every step that costs something, then the totals and estimates.
impl std::fmt::Display for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "{:>6}  {:14} {:>7} {:>15} {:>15}  correlations",
            "node", "op", "rounds", "online bytes", "offline bytes"
        )?;
        for op in self.ops.iter().filter(|o| o.rounds > 0 || !o.correlations.is_empty()) {
            let id = if op.id < node::CONFIRM { format!("%{}", op.id) } else { String::new() };
            let mut counts = BTreeMap::new();
            for c in &op.correlations {
                *counts.entry(c.kind).or_insert(0) += c.count;
            }
            let mut list: Vec<_> = counts.iter().map(|(kind, count)| format!("{count} x {kind}")).collect();
            let mut trees = op.trees.clone();
            trees.dedup();
            list.extend(trees.iter().map(|[block, fan_in]| format!("trees of {block}, {fan_in}")));
            if op.fused_truncation_bits > 0 {
                list.push(format!("truncates by {} bits", op.fused_truncation_bits));
            }
            if let Some(root) = op.reused_factor {
                let how = if op.opens_reused_factor { "opens" } else { "uses opened" };
                list.push(format!("{how} %{root}"));
            }
            if op.times > 1 {
                list.push(format!("in {} iterations", op.times));
            }
            let (rounds, online, offline) =
                (op.rounds, op.online_bytes_per_party, op.offline_bytes_per_party);
            let line =
                format!("{id:>6}  {:14} {rounds:>7} {online:>15} {offline:>15}  {}", op.op, list.join(", "));
            writeln!(f, "{}", line.trim_end())?;
        }
        let (rounds, online, offline) =
            (self.rounds, self.online_bytes_per_party, self.offline_bytes_per_party);
        writeln!(f, "{:>6}  {:14} {rounds:>7} {online:>15} {offline:>15}", "", "total")?;
        if let Some(extension) = self.cot_extension {
            let (rounds, cots) = (self.offline_rounds, self.cots_per_party);
            writeln!(
                f,
                "correlated randomness by {extension}: {cots} transfers per party in {rounds} rounds"
            )?;
        }
        writeln!(f, "memory per party: about {:.1} MB", self.memory_bytes as f64 / 1e6)?;
        for (name, e) in
            [("loopback", self.estimates.loopback), ("lan", self.estimates.lan), ("wan", self.estimates.wan)]
        {
            writeln!(f, "{name}: about {:.1} ms online, {:.1} ms offline", e.online_ms, e.offline_ms)?;
        }
        Ok(())
    }
}
