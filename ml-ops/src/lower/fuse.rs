//! Which truncations are done by a later node on its own opening.
//!
//! A node that truncates at its end leaves that to a ReLU, an absolute value or a clamp if this is the only use of its
//! result, be it through nodes that only move elements, promise a range, or take the largest or smallest of some (of truncated
//! values that is the truncated one). A weighted sum truncates once for all of its operands.
//! The values in between have the scale of the
//! product; nothing else sees them. Where rounding is exact there is nothing to share: a floor asks another question.

use mpc_core::fixed::HEADROOM_BITS;
use protocols::truncate::Rounding;

use crate::factor::Weights;
use crate::op::{NodeId, Op, Winner};
use crate::program::Program;

/// How a node ends.
#[derive(Debug, Default)]
pub(super) struct Ending {
    /// Bits that its value still has to lose when a later node uses it.
    pub(super) pending: u32,
    /// Bits that it truncates at its end, unless they are pending.
    pub(super) bits: u32,
    /// The factors of a weighted sum.
    pub(super) weights: Option<Weights>,
}

impl Program {
    /// How every node ends.
    pub(super) fn endings(&self) -> Vec<Ending> {
        let mut endings: Vec<Ending> = self.nodes.iter().map(|_| Ending::default()).collect();
        let users = self.only_users();
        for node in 0..self.nodes.len() {
            // What its operands leave to it was decided when their turn came.
            let weights = self.weights(node as NodeId, |x| endings[x as usize].pending);
            let bits = self.truncation(node as NodeId, weights.as_ref());
            (endings[node].bits, endings[node].weights) = (bits, weights);
            if bits == 0 || self.rounding() == Rounding::Exact {
                continue;
            }
            let mut path = vec![node];
            while let Some(user) = users[path[path.len() - 1]] {
                let taken = match self.nodes[user].op {
                    Op::Reshape { .. } | Op::Transpose(_) | Op::AssumeRange { .. } => None,
                    Op::Permute { .. } | Op::Unfold { .. } | Op::Pad { value: 0, .. } => None,
                    // Values at the scale of the product are below 2^62 as well, so their differences have room.
                    Op::Extreme { with: Winner::Value, .. } => None,
                    Op::Relu(_) | Op::Abs(_) => Some(true),
                    Op::Clamp { lo, hi, .. } => {
                        // The limits are compared at the scale of the product.
                        let limit = u128::from(lo.unsigned_abs().max(hi.unsigned_abs())) << bits;
                        Some(limit < 1 << HEADROOM_BITS)
                    }
                    Op::WeightedSum { .. } => {
                        // Where this leaves too few bits to a factor, the operand is truncated before.
                        let on_path = |x: NodeId| path.contains(&(x as usize));
                        let pending = |x: NodeId| if on_path(x) { bits } else { endings[x as usize].pending };
                        Some(self.weights(user as NodeId, pending).is_some())
                    }
                    _ => Some(false),
                };
                match taken {
                    None => path.push(user),
                    Some(taken) => {
                        path.iter().filter(|_| taken).for_each(|&on| endings[on].pending = bits);
                        break;
                    }
                }
            }
        }
        endings
    }

    /// For every node, the node that uses it, if there is one only, once, and it is no output.
    fn only_users(&self) -> Vec<Option<usize>> {
        let mut users: Vec<Vec<usize>> = vec![vec![]; self.nodes.len()];
        for (user, node) in self.nodes.iter().enumerate() {
            node.op.operands().iter().for_each(|&x| users[x as usize].push(user));
        }
        // An output is a use that no node does.
        self.outputs.iter().for_each(|o| users[o.node as usize].extend([usize::MAX; 2]));
        users.iter().map(|list| if let [user] = list[..] { Some(user) } else { None }).collect()
    }
}
