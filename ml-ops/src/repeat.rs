//! Loops: a range of nodes, the *body*, that is computed a fixed number of times.
//!
//! A program has loops one after the other and none inside another: the epochs and batches of a training are one loop whose
//! iterations go through the batches again and again. What an iteration takes over from the one before is declared
//! ([`Op::Carry`]) and what the last one leaves is a node after the loop ([`Op::Carried`]); nothing else of a body is seen outside
//! of it but by [`Op::History`] and [`Op::Report`]. Everything about a loop is static, so the plan covers every iteration.
//!
//! **Magnitudes**: the bound of a carried value is declared. Where the bound that inference finds for what an iteration leaves is
//! within it, it is proven by induction; elsewhere it is a promise as that of [`Op::AssumeRange`], and the text form says which.
//!
//! **Security**: iteration i enters every node of the body under iteration i, so its pads are its own
//! (`Session::enter` refuses a place that was entered before), and it consumes items of correlated randomness of its own.

use crate::error::ProgramError;
use crate::op::{NodeId, Op};
use crate::program::Program;

/// Most iterations of a loop, and most nodes that a program computes in all iterations together.
pub(crate) const MAX_STEPS: usize = 1 << 22;

/// A loop of a program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Repeat {
    /// First node of the body.
    pub first: NodeId,
    /// The node after its last; the largest number while the loop is being built.
    pub end: NodeId,
    /// Iterations.
    pub times: u32,
    /// The carries of the body, each with the node whose value an iteration leaves for the next.
    pub(crate) carried: Vec<(NodeId, NodeId)>,
}

impl Repeat {
    pub(crate) const fn new(first: NodeId, end: NodeId, times: u32) -> Self {
        Self { first, end, times, carried: vec![] }
    }

    /// Whether the node is in the body.
    #[must_use]
    pub const fn contains(&self, node: NodeId) -> bool {
        self.first <= node && node < self.end
    }
}

/// How the rows of a value fall into mini-batches of one length.
///
/// An epoch has ⌈N / B⌉ batches of B rows. Batch i begins at row ⌊i · (N − B) / (⌈N / B⌉ − 1)⌋: the first begins with the first
/// row, the last ends with the last, and where N is no multiple of B some rows are in two of them. The batch of an iteration follows
/// from its number alone.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Batches {
    /// N.
    pub rows: usize,
    /// B, at most N.
    pub batch: usize,
}

impl Batches {
    /// Batches of an epoch.
    #[must_use]
    pub const fn per_epoch(self) -> usize {
        self.rows.div_ceil(self.batch)
    }

    /// First row of the batch of an iteration.
    #[must_use]
    pub const fn start(self, iteration: u32) -> usize {
        let n = self.per_epoch();
        let i = iteration as usize % n;
        if n == 1 { 0 } else { i * (self.rows - self.batch) / (n - 1) }
    }
}

/// A node in one of its iterations; 0 outside of loops.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct At {
    pub(crate) node: NodeId,
    pub(crate) iteration: u32,
}

impl Program {
    /// The loops, in order.
    #[must_use]
    pub fn loops(&self) -> &[Repeat] {
        &self.loops
    }

    /// The loop that has the node in its body.
    #[must_use]
    pub fn loop_of(&self, node: NodeId) -> Option<&Repeat> {
        let after = self.loops.partition_point(|l| l.first <= node);
        self.loops[..after].last().filter(|l| l.contains(node))
    }

    /// How often a node is computed.
    pub(crate) fn times(&self, node: NodeId) -> u32 {
        self.loop_of(node).map_or(1, |l| l.times)
    }

    /// Every node in every iteration, in the order in which they are computed.
    pub(crate) fn places(&self) -> impl Iterator<Item = At> + '_ {
        let mut at = 0;
        let mut stretches = vec![];
        for l in &self.loops {
            stretches.extend([(at, l.first, 1), (l.first, l.end, l.times)]);
            at = l.end;
        }
        stretches.push((at, self.nodes.len() as NodeId, 1));
        stretches.into_iter().flat_map(|(first, end, times)| {
            (0..times).flat_map(move |iteration| (first..end).map(move |node| At { node, iteration }))
        })
    }

    /// How many of them there are.
    pub(crate) fn steps(&self) -> usize {
        let more = |l: &Repeat| ((l.end - l.first) as usize).saturating_mul(l.times as usize - 1);
        self.loops.iter().map(more).fold(self.nodes.len(), usize::saturating_add)
    }

    /// The batches of a [`Op::Batch`].
    #[must_use]
    pub fn batches(&self, node: NodeId) -> Option<Batches> {
        match self.nodes.get(node as usize)?.op {
            Op::Batch { x, rows } => Some(Batches { rows: self.fact(x).shape.dims()[0], batch: rows }),
            _ => None,
        }
    }

    /// Iterations that go through all batches of a loop once; all of them in a loop without batches.
    #[must_use]
    pub fn iterations_per_epoch(&self, l: &Repeat) -> u32 {
        let batches = (l.first..l.end).find_map(|node| self.batches(node));
        batches.map_or(l.times, |b| b.per_epoch() as u32)
    }

    /// Checks that an operation may stand where the next node is, and that it sees its operands from there.
    pub(crate) fn check_place(&self, op: &Op) -> Result<(), ProgramError> {
        let node = self.nodes.len() as NodeId;
        let refused = |what| Err(ProgramError::Parameter { node, op: op.name(), what });
        let of = |x: NodeId| self.loop_of(x).map(|l| l.first);
        let (here, operands) = (of(node), op.operands());
        let outside = operands.iter().all(|&x| of(x).is_none());
        if operands.iter().any(|&x| matches!(self.nodes[x as usize].op, Op::Report { .. })) {
            return refused("what is reported leaves, and nothing is computed with it");
        }
        match op {
            Op::Input { .. } | Op::Shared { .. } if here.is_some() => {
                refused("an input is shared before a loop, not in it")
            }
            Op::Carry { .. } | Op::Batch { .. } if here.is_none() => {
                refused("this is an operation of a loop's body")
            }
            Op::Carry { .. } | Op::Batch { .. } if !outside => {
                refused("the operand is a value from before the loop")
            }
            Op::Carry { .. } | Op::Batch { .. } => Ok(()),
            Op::Carried { .. } | Op::History { .. } if here.is_some() => {
                refused("this is an operation after a loop, not in one")
            }
            Op::History { x, .. } if of(*x).is_none() => refused("the operand is a value of a loop's body"),
            Op::History { .. } => Ok(()),
            Op::Report { x, .. } if here.is_none() || of(*x) != here => {
                refused("a report is of a value of its loop's body, in it")
            }
            Op::Carried { carry, next } => {
                if !matches!(self.nodes[*carry as usize].op, Op::Carry { .. }) || of(*next) != of(*carry) {
                    return refused("the operands are a carry and a value of the same loop's body");
                }
                let taken = self.loop_of(*carry).is_some_and(|l| l.carried.iter().any(|(c, _)| c == carry));
                if taken { refused("a carry has one next value") } else { Ok(()) }
            }
            Op::ReluBit(x) if !matches!(self.nodes[*x as usize].op, Op::Relu(_)) || of(*x) != here => {
                refused("the operand is a relu beside it")
            }
            _ if operands.iter().all(|&x| of(x).is_none() || of(x) == here) => Ok(()),
            _ => refused("a value of a loop's body is seen outside of it as carried or history alone"),
        }
    }

    /// Notes what an operation says about the loop of its operands.
    pub(crate) fn note_carried(&mut self, op: &Op) {
        if let Op::Carried { carry, next } = *op
            && let Some(l) = self.loops.iter_mut().find(|l| l.contains(carry))
        {
            l.carried.push((carry, next));
        }
    }

    /// Checks the loops of a program that is complete.
    pub(crate) fn check_loops(&self) -> Result<(), ProgramError> {
        let nodes = self.nodes.len() as NodeId;
        let mut at = 0;
        for l in &self.loops {
            let whole = at <= l.first && l.first < l.end && l.end <= nodes && l.times > 0;
            if !whole {
                return Err(ProgramError::Loop {
                    first: l.first,
                    what: "a loop has a body of nodes that no other loop has, and at least one iteration",
                });
            }
            let is_carry = |&node: &NodeId| matches!(self.nodes[node as usize].op, Op::Carry { .. });
            if (l.first..l.end).filter(is_carry).count() != l.carried.len() {
                let what = "every carry of a loop has a next value";
                return Err(ProgramError::Loop { first: l.first, what });
            }
            at = l.end;
        }
        if self.steps() > MAX_STEPS {
            let first = self.loops.first().map_or(0, |l| l.first);
            let what = "all iterations together compute at most 2^22 nodes";
            return Err(ProgramError::Loop { first, what });
        }
        Ok(())
    }

    /// Whether inference has proven that a carried value keeps its declared bound.
    #[must_use]
    pub fn is_proven(&self, carry: NodeId) -> bool {
        let next = self.loop_of(carry).and_then(|l| l.carried.iter().find(|(c, _)| *c == carry));
        next.is_some_and(|&(c, next)| self.fact(next).bound <= self.fact(c).bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_cover_all_rows_in_every_epoch() {
        for (rows, batch) in
            [(1000, 128), (1000, 1000), (7, 3), (7, 1), (8, 4), (1, 1), (129, 128), (455, 64)]
        {
            let b = Batches { rows, batch };
            let n = b.per_epoch() as u32;
            for epoch in 0..2 {
                let mut covered = 0;
                for i in epoch * n..(epoch + 1) * n {
                    let start = b.start(i);
                    assert!(start <= covered && start + batch <= rows, "{rows} rows in batches of {batch}");
                    covered = start + batch;
                }
                assert_eq!(covered, rows, "{rows} rows in batches of {batch}");
            }
        }
    }
}
