//! Trees in which branches lead to a common node, written out: LightGBM's converter makes such of categories, one comparison for
//! each, all with the same side.

use super::{MAX_DEPTH, MAX_TREE_NODES, TreeError, TreeNode};

/// How much there may still be of all trees together.
pub(super) struct Room {
    pub(super) nodes: usize,
    /// Weights of leaves.
    pub(super) weights: usize,
}

/// The nodes with every branch's sides its own, copied where they were shared.
///
/// A node that leads back to itself stays as it is, as does one that nothing leads to: neither is a tree, and the check of trees
/// says so.
pub(super) fn written_out(
    nodes: Vec<TreeNode>,
    tree: usize,
    room: &mut Room,
) -> Result<Vec<TreeNode>, TreeError> {
    let mut parents = vec![0u32; nodes.len()];
    for node in &nodes {
        if let &TreeNode::Branch { yes, no, .. } = node {
            for side in [yes, no] {
                if let Some(n) = parents.get_mut(side) {
                    *n += 1;
                }
            }
        }
    }
    let shared = parents.iter().any(|&n| n > 1);
    if !shared || parents.first() != Some(&0) || parents[1..].contains(&0) || has_cycle(&nodes) {
        return Ok(nodes);
    }
    let mut out: Vec<TreeNode> = vec![];
    // A node to copy, the branch that leads there, on which side, and how deep it is.
    let mut ahead = vec![(0, None, 0)];
    while let Some((at, from, depth)) = ahead.pop() {
        if depth > MAX_DEPTH {
            return Err(TreeError::TooDeep { tree, max: MAX_DEPTH });
        }
        let place = out.len();
        let weights = if let TreeNode::Leaf(weights) = &nodes[at] { weights.len() } else { 0 };
        let left = room.nodes.checked_sub(1).zip(room.weights.checked_sub(weights));
        let Some((nodes_left, weights_left)) = left else {
            let what = "nodes or weights of leaves with shared ones written out";
            return Err(TreeError::Size { what, got: usize::MAX, max: MAX_TREE_NODES });
        };
        *room = Room { nodes: nodes_left, weights: weights_left };
        if let Some((parent, first)) = from
            && let Some(TreeNode::Branch { yes, no, .. }) = out.get_mut(parent)
        {
            *(if first { yes } else { no }) = place;
        }
        if let TreeNode::Branch { yes, no, .. } = nodes[at] {
            ahead.push((no, Some((place, false)), depth + 1));
            ahead.push((yes, Some((place, true)), depth + 1));
        }
        out.push(nodes[at].clone());
    }
    Ok(out)
}

/// Whether some node leads back to itself. Nodes that only those lead to that are done are taken away until none is left.
fn has_cycle(nodes: &[TreeNode]) -> bool {
    let sides = |at: usize| match nodes[at] {
        TreeNode::Branch { yes, no, .. } => vec![yes, no],
        TreeNode::Leaf(_) => vec![],
    };
    let mut parents = vec![0u32; nodes.len()];
    (0..nodes.len()).flat_map(sides).for_each(|side| parents[side] += 1);
    let mut free: Vec<usize> = (0..nodes.len()).filter(|&at| parents[at] == 0).collect();
    let mut done = 0;
    while let Some(at) = free.pop() {
        done += 1;
        for side in sides(at) {
            parents[side] -= 1;
            if parents[side] == 0 {
                free.push(side);
            }
        }
    }
    done < nodes.len()
}
