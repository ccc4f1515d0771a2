//! Walking a program in order, with values dropped after their last use.

use crate::op::NodeId;
use crate::program::Program;

/// Evaluates every node by `step(node, operands)` and returns the values of the outputs, in order. What `also` says that a node
/// uses follows its operands.
pub(crate) fn walk<V: Clone, E>(
    program: &Program,
    also: impl Fn(NodeId) -> Option<NodeId>,
    mut step: impl FnMut(NodeId, &[&V]) -> Result<V, E>,
) -> Result<Vec<V>, E> {
    const COMPUTED: &str = "invariant: operands precede their users and live until their last use";
    let last = program.last_uses(&also);
    let mut values: Vec<Option<V>> = Vec::with_capacity(last.len());
    for (i, node) in program.nodes().iter().enumerate() {
        let ids: Vec<NodeId> = node.op.operands().into_iter().chain(also(i as NodeId)).collect();
        let operands: Vec<&V> = ids.iter().map(|&x| values[x as usize].as_ref().expect(COMPUTED)).collect();
        let value = step(i as NodeId, &operands)?;
        values.push((last[i] > i).then_some(value));
        for x in ids {
            if last[x as usize] <= i {
                values[x as usize] = None;
            }
        }
    }
    Ok(program.outputs().iter().map(|o| values[o.node as usize].clone().expect(COMPUTED)).collect())
}
