//! What nobody uses is not computed: nodes that no output depends on are left out when a program is built. A gradient needs the
//! factors of a product and not always the product, and a loss need not be known to be lowered.
//!
//! Inputs stay: that a party brings one is a part of what the parties agree on. A program that is read from a file stays as it is.

use crate::error::ProgramError;
use crate::op::{NodeId, Op};
use crate::program::Program;
use crate::repeat::Repeat;

impl Program {
    /// The same program without nodes that no output depends on.
    pub(crate) fn without_unused(self) -> Result<Self, ProgramError> {
        let used = self.used();
        if used.iter().all(|&u| u) {
            return Ok(self);
        }
        // For every node, and for the place after the last, how many used ones precede it.
        let mut numbers: Vec<NodeId> = vec![0];
        for &u in &used {
            numbers.push(numbers[numbers.len() - 1] + NodeId::from(u));
        }
        let number = |node: NodeId| numbers[node as usize];
        let mut program = Self::empty(self.name, self.frac, self.parties);
        program.settings = self.settings;
        let loops = self.loops.iter().map(|l| Repeat::new(number(l.first), number(l.end), l.times));
        program.loops = loops.filter(|l| l.first < l.end).collect();
        for (node, _) in self.nodes.into_iter().zip(&used).filter(|(_, used)| **used) {
            let mut op = node.op;
            op.operands_mut().into_iter().for_each(|x| *x = number(*x));
            program.push(op)?;
        }
        let moved = |mut output: crate::program::Output| {
            output.node = number(output.node);
            output
        };
        program.outputs = self.outputs.into_iter().map(moved).collect();
        Ok(program)
    }

    /// Of every node whether an output depends on it.
    fn used(&self) -> Vec<bool> {
        let mut used: Vec<bool> =
            self.nodes.iter().map(|n| matches!(n.op, Op::Input { .. } | Op::Shared { .. })).collect();
        let mut open: Vec<NodeId> = self.outputs.iter().map(|o| o.node).collect();
        while let Some(node) = open.pop() {
            if std::mem::replace(&mut used[node as usize], true) {
                continue;
            }
            let op = &self.nodes[node as usize].op;
            open.extend(op.operands());
            if let Op::Carry { .. } = op {
                // What an iteration takes, the one before leaves.
                let leaves =
                    |n: &crate::program::Node| matches!(n.op, Op::Carried { carry, .. } if carry == node);
                open.extend((0..).zip(&self.nodes).filter(|(_, n)| leaves(n)).map(|(i, _)| i));
            }
        }
        used
    }
}
