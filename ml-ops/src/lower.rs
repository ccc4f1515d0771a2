//! From nodes to protocol invocations. The plan adds up the costs of these steps and the executor takes exactly these
//! steps; a test holds the two together.

use mpc_core::fixed::FracBits;
use mpc_core::share::Sharing;
use protocols::cost::Cost;
use protocols::tree::TreeChoice;
use protocols::{compare, matmul, mul, relu, sigmoid, truncate};

use crate::factor::{Factor, encode_factor};
use crate::op::{NodeId, Op};
use crate::program::Program;

/// One invocation of an interactive protocol.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    Mul { len: usize },
    Square { len: usize },
    Matmul { m: usize, k: usize, n: usize },
    Truncate { len: usize, bits: u32 },
    LessThanZero { len: usize },
    Relu { len: usize },
    Clamp { len: usize },
    Sigmoid { len: usize },
}

impl Step {
    /// Cost for `n` parties.
    pub(crate) fn cost<S: Sharing>(self, n: usize, frac: FracBits) -> Cost {
        match self {
            Self::Mul { len } => mul::mul_cost::<S>(n, len),
            Self::Square { len } => mul::square_cost::<S>(n, len),
            Self::Matmul { m, k, n: columns } => matmul::cost::<S>(n, m, k, columns),
            Self::Truncate { len, bits } => truncate::cost::<S>(n, len, bits),
            Self::LessThanZero { len } => compare::less_than_zero_cost::<S>(n, len, TreeChoice::DEFAULT),
            Self::Relu { len } => relu::relu_cost::<S>(n, len, 0, TreeChoice::DEFAULT),
            Self::Clamp { len } => relu::clamp_cost::<S>(n, len, 0, TreeChoice::DEFAULT),
            Self::Sigmoid { len } => {
                sigmoid::cost::<S>(n, len, frac, truncate::Rounding::Dithered, TreeChoice::DEFAULT)
            }
        }
    }
}

impl Program {
    /// The interactive steps of a node, in order.
    pub(crate) fn steps(&self, node: NodeId) -> Vec<Step> {
        let op = &self.nodes[node as usize].op;
        let len = self.fact(node).shape.elements();
        let secret = |x: NodeId| self.fact(x).is_secret();
        let product = match *op {
            Op::Mul(a, b) => (secret(a) && secret(b)).then_some(Step::Mul { len }),
            Op::Square(_) => Some(Step::Square { len }),
            Op::MatMul(a, b) | Op::Dense { x: a, w: b, .. } => {
                (secret(a) && secret(b)).then(|| self.matmul_step(a, b))
            }
            Op::Select { bit, a, b } => {
                (secret(bit) && (secret(a) || secret(b))).then_some(Step::Mul { len })
            }
            Op::Less(..) | Op::Greater(..) | Op::LessEqual(..) | Op::GreaterEqual(..) => {
                Some(Step::LessThanZero { len })
            }
            Op::Relu(_) => Some(Step::Relu { len }),
            Op::Clamp { .. } => Some(Step::Clamp { len }),
            Op::Sigmoid(_) => Some(Step::Sigmoid { len }),
            Op::Input { .. } | Op::Constant { .. } | Op::Add(..) | Op::Sub(..) | Op::Neg(_) => None,
            Op::Sum { .. } | Op::Mean { .. } | Op::Scale { .. } | Op::Reshape { .. } | Op::Slice { .. } => {
                None
            }
            Op::Concat { .. } | Op::Transpose(_) | Op::AssumeRange { .. } => None,
        };
        let truncate = |bits: u32| (bits > 0).then_some(Step::Truncate { len, bits });
        // Before a product with a public factor, which is local, and at the end.
        let (first, last) = (truncate(self.factor(node).first), truncate(self.truncation(node)));
        first.into_iter().chain(product).chain(last).collect()
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
