//! Walking a program in order, loops as often as they say, with values dropped after their last use.

use std::collections::BTreeMap;

use crate::op::{NodeId, Op};
use crate::program::Program;
use crate::repeat::{At, Repeat};

const COMPUTED: &str = "invariant: operands precede their users and live until their last use";

/// Evaluates every node by `step(place, operands)` and returns the values of the outputs that leave at the end, in order. What `also` says that a node
/// uses follows its operands.
///
/// The operand of a carry is what the iteration before left; that of a node after the loop is what the last iteration left, and
/// a history has the values of all iterations as operands. The value of a report is the sum since the one before: its operands are what
/// this iteration adds, and the sum so far, where there is one.
pub(crate) fn walk<V: Clone, E>(
    program: &Program,
    also: impl Fn(NodeId) -> Option<NodeId>,
    mut step: impl FnMut(At, &[&V]) -> Result<V, E>,
) -> Result<Vec<V>, E> {
    let last = program.last_uses(&also);
    let mut values: Vec<Option<V>> = (0..last.len()).map(|_| None).collect();
    let mut kept = Kept::of(program);
    for at in program.places() {
        let node = at.node as usize;
        let op = &program.nodes()[node].op;
        let ids: Vec<NodeId> = op.operands().into_iter().chain(also(at.node)).collect();
        let value = if let Some(operands) = kept.operands(op, at) {
            step(at, &operands)?
        } else {
            let operands = ids.iter().map(|&x| values[x as usize].as_ref().expect(COMPUTED));
            let operands: Vec<&V> = operands.chain(kept.sum(op, at)).collect();
            step(at, &operands)?
        };
        kept.note_sum(op, at, &value);
        values[node] = (last[node] > node).then_some(value);
        let body = program.loop_of(at.node);
        for x in ids {
            // What a loop takes from outside is dropped at its end.
            if last[x as usize] <= node && body.is_none_or(|l| l.contains(x)) {
                values[x as usize] = None;
            }
        }
        if let Some(l) = body.filter(|l| l.end == at.node + 1) {
            kept.end_of_iteration(l, &values);
            values[l.first as usize..l.end as usize].fill(None);
            if at.iteration + 1 == l.times {
                let ended = |x: &usize| last[*x] < l.end as usize;
                (0..l.first as usize).filter(ended).for_each(|x| values[x] = None);
            }
        }
    }
    Ok(program.last_outputs().map(|o| values[o.node as usize].clone().expect(COMPUTED)).collect())
}

/// What outlives an iteration.
struct Kept<V> {
    /// By carry, what the iteration before left.
    carried: BTreeMap<NodeId, V>,
    /// By node of a body whose history is asked for, its values so far.
    histories: BTreeMap<NodeId, Vec<V>>,
    /// By report, the sum so far.
    sums: BTreeMap<NodeId, V>,
}

impl<V: Clone> Kept<V> {
    fn of(program: &Program) -> Self {
        let wanted = program.nodes().iter().filter_map(|n| match n.op {
            Op::History { x, .. } => Some((x, vec![])),
            _ => None,
        });
        Self { carried: BTreeMap::new(), histories: wanted.collect(), sums: BTreeMap::new() }
    }

    /// The operands of a node that takes them from here.
    fn operands(&self, op: &Op, at: At) -> Option<Vec<&V>> {
        match op {
            Op::Carry { .. } if at.iteration > 0 => Some(vec![self.carried.get(&at.node).expect(COMPUTED)]),
            Op::Carried { carry, .. } => Some(vec![self.carried.get(carry).expect(COMPUTED)]),
            Op::History { x, .. } => Some(self.histories[x].iter().collect()),
            _ => None,
        }
    }

    /// What a report adds to.
    fn sum(&self, op: &Op, at: At) -> Option<&V> {
        let Op::Report { every, .. } = op else { return None };
        if (at.iteration as usize).is_multiple_of(*every) { None } else { self.sums.get(&at.node) }
    }

    fn note_sum(&mut self, op: &Op, at: At, value: &V) {
        if let Op::Report { .. } = op {
            self.sums.insert(at.node, value.clone());
        }
    }

    fn end_of_iteration(&mut self, l: &Repeat, values: &[Option<V>]) {
        let of = |x: NodeId| values[x as usize].clone().expect(COMPUTED);
        for &(carry, next) in &l.carried {
            self.carried.insert(carry, of(next));
        }
        for (&x, all) in self.histories.range_mut(l.first..l.end) {
            all.push(of(x));
        }
    }
}

/// What the references use beside a node's operands: what a ReLU's bit is about.
pub(crate) fn beside(program: &Program) -> impl Fn(NodeId) -> Option<NodeId> + '_ {
    |node| match program.nodes()[node as usize].op {
        Op::ReluBit(relu) => program.nodes()[relu as usize].op.operands().first().copied(),
        _ => None,
    }
}
