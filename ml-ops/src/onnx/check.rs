//! What can be said about every node before anything is translated: whether there is such an operator, and whether its
//! attributes have values that are supported.

use super::error::{Problem, Refusal};
use super::graph::Node;
use super::registry;

/// Every node that cannot be imported, whatever its operands are.
pub(super) fn all(nodes: &[Node]) -> Vec<Refusal> {
    nodes.iter().filter_map(|node| one(node).err().map(|problem| node.refused(problem))).collect()
}

fn one(node: &Node) -> Result<(), Problem> {
    let Some(operator) = registry::find(node) else { return Err(Problem::Operator) };
    let unknown: Vec<&str> =
        node.attributes.keys().map(String::as_str).filter(|a| !operator.knows(a)).collect();
    if !unknown.is_empty() {
        return Err(format!("attribute `{}` is not supported", unknown.join("`, `")).into());
    }
    (operator.check)(node).map_err(Problem::Node)
}
