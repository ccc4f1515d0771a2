//! From nodes to protocol invocations. The plan adds up the costs of these steps and the executor takes exactly these
//! steps; a test holds the two together.
//!
//! A truncation at the end of a node is left to the only user of its result where that is a ReLU, an absolute value or a
//! clamp, which does it on its own opening, or a weighted sum, which does it with its own (`fuse`). A tensor that is a factor of
//! several products is opened once for all of them where that is less (`factor_reuse`), also for those of all iterations of a loop.

use std::collections::{BTreeMap, BTreeSet};

use mpc_core::conv::ConvShape;
use protocols::cost::Cost;
use protocols::elementary::Elementary;
use protocols::order::Relation;
use protocols::prep::{Item, MaskPart};
use protocols::tree::TreeChoice;

use crate::batch::Batches;
use crate::factor::{Factor, Term, Weights, encode_factor};
use crate::function::{Function, Method, divisor, layout, reciprocal};
use crate::infer::layers::conv_shape;
use crate::op::{NodeId, Op};
use crate::plan::Planned;
use crate::program::{Node, Program};

mod factor_reuse;
mod fuse;
mod step;

pub(crate) use factor_reuse::Reuse;
use fuse::Ending;
use step::Step;

/// How a node is computed.
#[derive(Debug)]
pub(crate) struct Lowered {
    /// The interactive steps, in order, with the shape of their trees if they have any.
    steps: Vec<(Step, Option<TreeChoice>)>,
    /// Bits that the operand still has to lose, which this node does on its own opening.
    pub(crate) fused: u32,
    /// Bits that the node truncates at its end.
    pub(crate) last: u32,
    /// Whether a ReLU's bit is used too.
    pub(crate) keeps_bit: bool,
    /// The factors of a weighted sum.
    pub(crate) weights: Option<Weights>,
    /// Which tensor that is opened once is a factor.
    pub(crate) reuse: Option<Reuse>,
    /// What the steps cost. Items that name masks, and the parts of them, are those of [`Program::items`].
    cost: Cost,
    /// What they cost in later iterations, if that is less.
    later: Option<Cost>,
    /// After how many iterations they are taken.
    every: u32,
}

impl Lowered {
    /// What the steps cost in an iteration.
    pub(crate) fn cost_at(&self, iteration: u32) -> &Cost {
        self.later.as_ref().filter(|_| iteration > 0).unwrap_or(&self.cost)
    }

    /// What the steps cost in so many iterations.
    pub(crate) fn cost_of(&self, times: u32) -> Cost {
        match &self.later {
            None => self.cost.times((times / self.every) as usize),
            Some(later) => self.cost.clone().then(later.times(times as usize - 1)),
        }
    }

    /// The node whose whole value this one needs beside its operands, to open it.
    pub(crate) fn opens(&self) -> Option<NodeId> {
        self.reuse.filter(|r| r.opens).map(|r| r.root)
    }

    /// The shapes of the trees of all steps that compare.
    pub(crate) fn trees(&self) -> impl Iterator<Item = TreeChoice> {
        self.steps.iter().filter_map(|(_, tree)| *tree)
    }

    /// The shape of the trees of the first step that compares.
    pub(crate) fn first_tree(&self) -> TreeChoice {
        self.trees().next().unwrap_or(TreeChoice::DEFAULT)
    }

    /// The shape of the trees of the last step that compares.
    pub(crate) fn last_tree(&self) -> TreeChoice {
        self.trees().last().unwrap_or(TreeChoice::DEFAULT)
    }
}

/// What is found out about a program as a whole before its nodes are lowered, and while.
struct Whole {
    /// How every node ends.
    endings: Vec<Ending>,
    reuse: BTreeMap<NodeId, Reuse>,
    /// ReLUs whose bits are used.
    bits: BTreeSet<NodeId>,
}

impl Program {
    /// How all nodes are computed, in order.
    pub(crate) fn lowered(&self) -> Vec<Lowered> {
        let bit = |n: &Node| if let Op::ReluBit(x) = n.op { Some(x) } else { None };
        let bits = self.nodes.iter().filter_map(bit).collect();
        let whole = Whole { endings: self.endings(), reuse: self.reused_factors(), bits };
        (0..self.nodes.len()).map(|node| self.lower(node as NodeId, &whole)).collect()
    }

    /// The items of correlated randomness that a run consumes, in order, where `earlier` others precede them.
    pub(crate) fn items(&self, lowered: &[Lowered], earlier: u32) -> Vec<Item> {
        let mut items: Vec<Item> = vec![];
        let mut masks = BTreeMap::new();
        for at in self.places() {
            let node = &lowered[at.node as usize];
            for &item in &node.cost_at(at.iteration).items {
                let next = earlier + items.len() as u32;
                items.push(match (item, node.reuse) {
                    (Item::Mask { .. }, Some(reuse)) => {
                        masks.insert(reuse.root, next);
                        item
                    }
                    (Item::Given { product, .. }, Some(reuse)) => {
                        let (mask, part) = (masks[&reuse.root], reuse.part_at(at.iteration));
                        Item::Given { part: MaskPart { mask, part }, product }
                    }
                    _ => item,
                });
            }
        }
        items
    }

    /// How one node is computed.
    fn lower(&self, node: NodeId, whole: &Whole) -> Lowered {
        let op = &self.nodes[node as usize].op;
        let len = self.fact(node).shape.elements();
        let secret = |x: NodeId| self.fact(x).is_secret();
        let dims = |x: NodeId| self.fact(x).shape.dims();
        let holds = |relation| Some(Step::Holds { len, relation });
        let reuse = whole.reuse.get(&node).copied();
        let fused = match *op {
            Op::Relu(x) | Op::Abs(x) | Op::Clamp { x, .. } => whole.endings[x as usize].pending,
            _ => 0,
        };
        let step = match *op {
            Op::Mul(a, b) => (secret(a) && secret(b)).then_some(Step::Mul { len }),
            // One product says both sides.
            Op::Split { x, bit } => (secret(x) && secret(bit)).then_some(Step::Mul { len: len / 2 }),
            Op::Square(_) => Some(Step::Square { len }),
            Op::MatMul(a, b) | Op::Dense { x: a, w: b, .. } => {
                (secret(a) && secret(b)).then(|| self.matmul_step([a, b]))
            }
            Op::Conv { x, w, .. } => (secret(x) && secret(w)).then(|| Step::Conv(self.conv_shape(node))),
            Op::Select { bit, a, b } => {
                (secret(bit) && (secret(a) || secret(b))).then_some(Step::Mul { len })
            }
            Op::Less(..) => holds(Relation::Less),
            Op::Greater(..) => holds(Relation::Greater),
            Op::LessEqual(..) => holds(Relation::LessEqual),
            Op::GreaterEqual(..) => holds(Relation::GreaterEqual),
            Op::Equal(..) => holds(Relation::Equal),
            Op::NotEqual(..) => holds(Relation::NotEqual),
            Op::Minimum(..) | Op::Maximum(..) => Some(Step::MinMax { len }),
            Op::Abs(_) => Some(Step::Abs { len, bits: fused }),
            Op::Sign(_) => Some(Step::Sign { len }),
            Op::Relu(_) => Some(Step::Relu { len, bits: fused }),
            Op::Clamp { .. } => Some(Step::Clamp { len, bits: fused }),
            Op::Extreme { x, axis, with, .. } => {
                let n = dims(x)[axis];
                // A single element wins without a game.
                (n > 1).then(|| Step::Extreme { n, len: self.fact(x).shape.elements() / n, with })
            }
            Op::Sort { keys, payload, axis, keep, .. } => {
                let n = dims(keys)[axis];
                let len = self.fact(keys).shape.elements() / n;
                (n > 1).then(|| Step::Sort { n, len, payloads: payload.iter().count(), keep })
            }
            Op::Function { x, function } => Some(self.function_step(x, function, len)),
            Op::Divide { b, .. } => {
                Some(Step::Quartic { len: self.fact(b).shape.elements(), function: self.reciprocal(node) })
            }
            Op::Input { .. }
            | Op::Shared { .. }
            | Op::Constant { .. }
            | Op::Add(..)
            | Op::Sub(..)
            | Op::Neg(_) => None,
            Op::Sum { .. } | Op::Mean { .. } | Op::Scale { .. } | Op::Reshape { .. } | Op::Slice { .. } => {
                None
            }
            Op::Concat { .. } | Op::Transpose(_) | Op::AssumeRange { .. } | Op::WeightedSum { .. } => None,
            Op::ReluBit(_) | Op::Carry { .. } | Op::Carried { .. } => None,
            Op::Batch { .. } | Op::History { .. } | Op::Report { .. } => None,
            Op::Gather { .. } | Op::Unfold { .. } | Op::Permute { .. } | Op::Pad { .. } => None,
        };
        let reused = |reuse: &Reuse, iteration| self.reused_step(reuse, iteration);
        let step = reuse.as_ref().map(|reuse| reused(reuse, 0)).or(step);
        let truncate = |bits: u32| (bits > 0).then_some(Step::Truncate { len, bits });
        let product = match *op {
            Op::Divide { a, .. } => secret(a).then_some(Step::Mul { len }),
            _ => None,
        };
        // Before a product with a public factor, which is local, and at the end unless that is left to the user.
        let Ending { pending, bits, ref weights } = whole.endings[node as usize];
        let (last, weights) = (if pending > 0 { 0 } else { bits }, weights.clone());
        let all = |step: Option<Step>| -> Vec<_> {
            let steps = truncate(self.factor(node).first)
                .into_iter()
                .chain(step)
                .chain(product)
                .chain(truncate(last));
            steps.map(|step| (step, self.tree_of(step))).collect()
        };
        let steps = all(step);
        let cost = self.cost_of_steps(&steps);
        let opens_first = reuse.filter(|r| r.opens && !r.opens_at(1));
        let later = opens_first.map(|reuse| self.cost_of_steps(&all(Some(reused(&reuse, 1)))));
        let keeps_bit = whole.bits.contains(&node);
        // What leaves in a report is no step on shares.
        let report = self.report(node).map(|r| (self.report_cost(node), r.every));
        let (cost, every) = report.unwrap_or((cost, 1));
        Lowered { steps, fused, last, keeps_bit, weights, reuse, cost, later, every }
    }

    fn cost_of_steps(&self, steps: &[(Step, Option<TreeChoice>)]) -> Cost {
        let costs =
            steps.iter().map(|&(step, tree)| self.step_cost(step, tree.unwrap_or(TreeChoice::DEFAULT)));
        costs.fold(Cost::none(self.parties.len()), Cost::then)
    }

    /// The shape of a step's trees, if it has any.
    fn tree_of(&self, step: Step) -> Option<TreeChoice> {
        let settings = self.settings;
        let cost = |tree| self.step_cost(step, tree);
        step.has_trees(settings.rounding).then(|| settings.trees.choose(cost))
    }

    /// Cost of a step with trees of the given shape.
    fn step_cost(&self, step: Step, tree: TreeChoice) -> Cost {
        step.cost::<Planned>(self.parties.len(), self.settings.rounding, tree)
    }

    /// The reciprocal that a quotient is a product with.
    pub(crate) fn reciprocal(&self, node: NodeId) -> Elementary {
        let Op::Divide { a, b, lowest, highest } = self.nodes[node as usize].op else {
            unreachable!("only quotients take a reciprocal")
        };
        let found = reciprocal(self.fact(a), self.fact(b), divisor(lowest, highest), self.frac);
        found.expect("invariant: inference found a reciprocal")
    }

    fn function_step(&self, x: NodeId, function: Function, len: usize) -> Step {
        match function.method() {
            Method::Piecewise(table) => {
                let layout = layout(&table, self.fact(x), self.frac);
                Step::Piecewise { len, layout: layout.expect("invariant: inference found a layout") }
            }
            Method::Fourier => Step::Fourier { len, frac: self.frac },
            Method::Quartic(limits) => {
                let function = limits.of(self.fact(x), self.frac, self.frac.bits());
                Step::Quartic { len, function }
            }
        }
    }

    fn matmul_step(&self, [a, b]: [NodeId; 2]) -> Step {
        let dims = |x: NodeId| self.fact(x).shape.dims();
        match Batches::new(dims(a), dims(b)) {
            Batches { count: 1, dims: [m, k, n], .. } => Step::Matmul { m, k, n },
            Batches { count, dims, .. } => Step::Matmuls { count, dims },
        }
    }

    /// The product of a node with what is opened once.
    fn reused_step(&self, reuse: &Reuse, iteration: u32) -> Step {
        let (part, product) = (reuse.part_at(iteration), reuse.product);
        if reuse.opens_at(iteration) {
            Step::Masking { len: self.fact(reuse.root).shape.elements(), part, product }
        } else {
            Step::Masked { part, product }
        }
    }

    /// By how many bits a node truncates at its end: the scale of its product less that of its result. A weighted sum's is that of
    /// its factors.
    pub(crate) fn truncation(&self, node: NodeId, weights: Option<&Weights>) -> u32 {
        let scale = |x: NodeId| self.fact(x).scale;
        let product = match self.nodes[node as usize].op {
            Op::Mul(a, b) | Op::MatMul(a, b) => scale(a) + scale(b),
            Op::Square(x) => 2 * scale(x),
            Op::Divide { a, .. } => scale(a) + self.reciprocal(node).result,
            Op::Dense { x, w, b } => (scale(x) + scale(w)).max(scale(b)),
            Op::Conv { x, w, bias, .. } => (scale(x) + scale(w)).max(bias.map_or(0, scale)),
            Op::Mean { x, .. } | Op::Scale { x, .. } => {
                let factor = self.factor(node);
                scale(x) + factor.bits - factor.first
            }
            Op::WeightedSum { .. } => weights.map_or_else(|| scale(node), |w| w.scale),
            _ => return 0,
        };
        product - scale(node)
    }

    /// Sizes of a node that is a convolution.
    pub(crate) fn conv_shape(&self, node: NodeId) -> ConvShape {
        let Op::Conv { x, w, sliding, groups, .. } = self.nodes[node as usize].op else {
            unreachable!("asked of convolutions alone")
        };
        conv_shape(&self.fact(x).shape, &self.fact(w).shape, sliding, groups)
            .expect("invariant: inference accepted this convolution")
    }

    /// The encoded factor of a mean or a scaling; 1 for any other node.
    pub(crate) fn factor(&self, node: NodeId) -> Factor {
        let (x, k, terms) = match self.nodes[node as usize].op {
            Op::Mean { x, axis } => {
                let n = self.fact(x).shape.dims()[axis];
                (x, 1.0 / n as f64, n)
            }
            Op::Scale { x, k } => (x, k, 1),
            _ => return Factor::integer(1),
        };
        let fact = self.fact(x);
        encode_factor(k, u128::from(fact.bound) * terms as u128, fact.scale, self.frac.bits())
            .expect("invariant: inference accepted this factor")
    }

    /// The encoded factors of a weighted sum, given the bits that an operand still has to lose; none for any other node.
    pub(crate) fn weights(&self, node: NodeId, pending: impl Fn(NodeId) -> u32) -> Option<Weights> {
        let Op::WeightedSum { xs, ks } = &self.nodes[node as usize].op else { return None };
        let term = |(&x, &k): (&NodeId, &f64)| Term::of(self.fact(x), k).not_truncated(pending(x));
        Weights::encode(&xs.iter().zip(ks).map(term).collect::<Vec<_>>(), self.frac.bits())
    }

    /// For every node, the last node that uses it; outputs are used at the end, and what a loop uses is used until the loop
    /// ends. `also` says what a node uses beside its operands.
    pub(crate) fn last_uses(&self, also: impl Fn(NodeId) -> Option<NodeId>) -> Vec<usize> {
        let mut last: Vec<usize> = (0..self.nodes.len()).collect();
        for (user, node) in self.nodes.iter().enumerate() {
            let body = self.loop_of(user as NodeId);
            for x in node.op.operands().into_iter().chain(also(user as NodeId)) {
                let from_outside = body.filter(|l| !l.contains(x));
                last[x as usize] = from_outside.map_or(user, |l| l.end as usize - 1);
            }
        }
        for o in self.last_outputs() {
            last[o.node as usize] = usize::MAX;
        }
        last
    }
}
