//! Which truncations are done by a later node on its own opening.
//!
//! A node that truncates at its end leaves that to a ReLU, an absolute value or a clamp if this is the only use of its
//! result, be it through nodes that only move elements, promise a range, or take the largest or smallest of some (of truncated
//! values that is the truncated one). A weighted sum truncates once for all of its operands.
//! The values in between have the scale of the
//! product; nothing else sees them. Where rounding is exact there is nothing to share: a floor asks another question.

use mpc_core::fixed::HEADROOM_BITS;
use protocols::truncate::Rounding;

use crate::op::{NodeId, Op, Winner};
use crate::program::Program;

impl Program {
    /// For every node, the bits that its value still has to lose when a later node uses it.
    pub(super) fn pending_truncations(&self) -> Vec<u32> {
        let mut pending = vec![0; self.nodes.len()];
        if self.rounding() == Rounding::Exact {
            return pending;
        }
        let users = self.only_users();
        for node in 0..self.nodes.len() {
            let weights = self.weights(node as NodeId, &pending);
            let bits = weights
                .map_or_else(|| self.truncation(node as NodeId), |w| w.scale - self.nodes[node].fact.scale);
            if bits == 0 {
                continue;
            }
            let mut path = vec![node];
            while let Some(user) = users[path[path.len() - 1]] {
                match self.nodes[user].op {
                    Op::Reshape { .. } | Op::Transpose(_) | Op::AssumeRange { .. } => path.push(user),
                    Op::Permute { .. } | Op::Unfold { .. } | Op::Pad { value: 0, .. } => path.push(user),
                    // Values at the scale of the product are below 2^62 as well, so their differences have room.
                    Op::Extreme { with: Winner::Value, .. } => path.push(user),
                    Op::Relu(_) | Op::Abs(_) => {
                        path.iter().for_each(|&on| pending[on] = bits);
                        break;
                    }
                    Op::Clamp { lo, hi, .. } => {
                        // The limits are compared at the scale of the product.
                        let limit = u128::from(lo.unsigned_abs().max(hi.unsigned_abs())) << bits;
                        if limit < 1 << HEADROOM_BITS {
                            path.iter().for_each(|&on| pending[on] = bits);
                        }
                        break;
                    }
                    Op::WeightedSum { .. } => {
                        // Where this leaves too few bits to a factor, the operand is truncated before.
                        let mut with = pending.clone();
                        path.iter().for_each(|&on| with[on] = bits);
                        if self.weights(user as NodeId, &with).is_some() {
                            pending = with;
                        }
                        break;
                    }
                    _ => break,
                }
            }
        }
        pending
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
