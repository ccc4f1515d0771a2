//! From nodes to protocol invocations. The plan adds up the costs of these steps and the executor takes exactly these
//! steps; a test holds the two together.
//!
//! A truncation at the end of a node is left to the only user of its result where that is a ReLU, an absolute value or a
//! clamp, which does it on its own opening (`fuse`).

use mpc_core::fixed::FracBits;
use mpc_core::share::Sharing;
use protocols::cost::Cost;
use protocols::order::Relation;
use protocols::tournament::Winner;
use protocols::tree::TreeChoice;
use protocols::truncate::Rounding;
use protocols::{matmul, mul, order, relu, sigmoid, sort, tournament, truncate};

use crate::factor::{Factor, encode_factor};
use crate::op::{NodeId, Op};
use crate::program::Program;

mod fuse;

/// One invocation of an interactive protocol.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    Mul { len: usize },
    Square { len: usize },
    Matmul { m: usize, k: usize, n: usize },
    Truncate { len: usize, bits: u32 },
    Holds { len: usize, relation: Relation },
    Sign { len: usize },
    MinMax { len: usize },
    Relu { len: usize, bits: u32 },
    Abs { len: usize, bits: u32 },
    Clamp { len: usize, bits: u32 },
    Extreme { n: usize, len: usize, with: Winner },
    Sort { n: usize, len: usize, payloads: usize, keep: usize },
    Sigmoid { len: usize },
}

impl Step {
    /// Cost for `n` parties, with trees of the given shape.
    fn cost<S: Sharing>(self, parties: usize, frac: FracBits, rounding: Rounding, tree: TreeChoice) -> Cost {
        match self {
            Self::Mul { len } => mul::mul_cost::<S>(parties, len),
            Self::Square { len } => mul::square_cost::<S>(parties, len),
            Self::Matmul { m, k, n } => matmul::cost::<S>(parties, m, k, n),
            Self::Truncate { len, bits } => truncate::divide_cost::<S>(parties, len, bits, rounding, tree),
            Self::Holds { len, relation } => order::holds_cost::<S>(parties, len, relation, tree),
            Self::Sign { len } => order::sign_cost::<S>(parties, len, tree),
            Self::MinMax { len } => order::min_max_cost::<S>(parties, len, tree),
            Self::Relu { len, bits } => relu::relu_cost::<S>(parties, len, bits, tree),
            Self::Abs { len, bits } => relu::abs_cost::<S>(parties, len, bits, tree),
            Self::Clamp { len, bits } => relu::clamp_cost::<S>(parties, len, bits, tree),
            Self::Extreme { n, len, with } => tournament::extreme_cost::<S>(parties, n, len, with, tree),
            Self::Sort { n, len, payloads, keep } => {
                sort::sort_cost::<S>(parties, n, len, payloads, keep, tree)
            }
            Self::Sigmoid { len } => sigmoid::cost::<S>(parties, len, frac, rounding, tree),
        }
    }

    /// Whether the step compares, so that its cost depends on the shape of trees.
    const fn has_trees(self, rounding: Rounding) -> bool {
        match self {
            Self::Mul { .. } | Self::Square { .. } | Self::Matmul { .. } => false,
            Self::Truncate { .. } => matches!(rounding, Rounding::Exact),
            _ => true,
        }
    }
}

/// How a node is computed.
#[derive(Debug)]
pub(crate) struct Lowered {
    /// The interactive steps, in order, with the shape of their trees if they have any.
    pub(crate) steps: Vec<(Step, Option<TreeChoice>)>,
    /// Bits that the operand still has to lose, which this node does on its own opening.
    pub(crate) fused: u32,
    /// Bits that the node truncates at its end.
    pub(crate) last: u32,
}

impl Lowered {
    /// The shape of the trees of the node's step number `i`.
    pub(crate) fn tree(&self, i: usize) -> TreeChoice {
        self.steps.get(i).and_then(|(_, tree)| *tree).unwrap_or(TreeChoice::DEFAULT)
    }
}

impl Program {
    /// How all nodes are computed, in order.
    pub(crate) fn lowered(&self) -> Vec<Lowered> {
        let pending = self.pending_truncations();
        (0..self.nodes.len()).map(|node| self.lower(node as NodeId, &pending)).collect()
    }

    /// How one node is computed; `pending` says which bits the values of nodes still have to lose.
    fn lower(&self, node: NodeId, pending: &[u32]) -> Lowered {
        let op = &self.nodes[node as usize].op;
        let len = self.fact(node).shape.elements();
        let secret = |x: NodeId| self.fact(x).is_secret();
        let dims = |x: NodeId| self.fact(x).shape.dims();
        let holds = |relation| Some(Step::Holds { len, relation });
        let fused = match *op {
            Op::Relu(x) | Op::Abs(x) | Op::Clamp { x, .. } => pending[x as usize],
            _ => 0,
        };
        let step = match *op {
            Op::Mul(a, b) => (secret(a) && secret(b)).then_some(Step::Mul { len }),
            Op::Square(_) => Some(Step::Square { len }),
            Op::MatMul(a, b) | Op::Dense { x: a, w: b, .. } => {
                (secret(a) && secret(b)).then(|| self.matmul_step(a, b))
            }
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
            Op::Sigmoid(_) => Some(Step::Sigmoid { len }),
            Op::Input { .. } | Op::Constant { .. } | Op::Add(..) | Op::Sub(..) | Op::Neg(_) => None,
            Op::Sum { .. } | Op::Mean { .. } | Op::Scale { .. } | Op::Reshape { .. } | Op::Slice { .. } => {
                None
            }
            Op::Concat { .. } | Op::Transpose(_) | Op::AssumeRange { .. } => None,
        };
        let truncate = |bits: u32| (bits > 0).then_some(Step::Truncate { len, bits });
        // Before a product with a public factor, which is local, and at the end unless that is left to the user.
        let last = if pending[node as usize] > 0 { 0 } else { self.truncation(node) };
        let steps = truncate(self.factor(node).first).into_iter().chain(step).chain(truncate(last));
        Lowered { steps: steps.map(|step| (step, self.tree_of(step))).collect(), fused, last }
    }

    /// The shape of a step's trees, if it has any.
    fn tree_of(&self, step: Step) -> Option<TreeChoice> {
        let settings = self.settings;
        let cost = |tree| self.step_cost::<crate::plan::Planned>(step, tree);
        step.has_trees(settings.rounding).then(|| settings.trees.choose(cost))
    }

    /// Cost of a step with trees of the given shape.
    pub(crate) fn step_cost<S: Sharing>(&self, step: Step, tree: TreeChoice) -> Cost {
        step.cost::<S>(self.parties.len(), self.frac, self.settings.rounding, tree)
    }

    fn matmul_step(&self, a: NodeId, b: NodeId) -> Step {
        match (self.fact(a).shape.dims(), self.fact(b).shape.dims()) {
            (&[m, k], &[_, n]) => Step::Matmul { m, k, n },
            _ => unreachable!("inference accepts products of matrices only"),
        }
    }

    /// By how many bits a node truncates at its end: the scale of its product less that of its result.
    pub(crate) fn truncation(&self, node: NodeId) -> u32 {
        let scale = |x: NodeId| self.fact(x).scale;
        let product = match self.nodes[node as usize].op {
            Op::Mul(a, b) | Op::MatMul(a, b) => scale(a) + scale(b),
            Op::Square(x) => 2 * scale(x),
            Op::Dense { x, w, b } => (scale(x) + scale(w)).max(scale(b)),
            Op::Mean { x, .. } | Op::Scale { x, .. } => {
                let factor = self.factor(node);
                scale(x) + factor.bits - factor.first
            }
            _ => return 0,
        };
        product - scale(node)
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

    /// For every node, the last node that uses it; outputs are used at the end.
    pub(crate) fn last_uses(&self) -> Vec<usize> {
        let mut last: Vec<usize> = (0..self.nodes.len()).collect();
        for (user, node) in self.nodes.iter().enumerate() {
            for x in node.op.operands() {
                last[x as usize] = user;
            }
        }
        for o in &self.outputs {
            last[o.node as usize] = usize::MAX;
        }
        last
    }
}
