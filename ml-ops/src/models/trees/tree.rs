//! One tree: where a row ends, and whether it is one.

use super::{MAX_DEPTH, Tree, TreeError, TreeNode};

impl Tree {
    /// The leaf that a row reaches.
    pub(super) fn leaf(&self, row: &[f64]) -> &[f64] {
        let mut at = 0;
        loop {
            match &self.nodes[at] {
                TreeNode::Leaf(values) => return values,
                TreeNode::Branch { feature, test, threshold, yes, no } => {
                    at = if test.holds(row[*feature], *threshold) { *yes } else { *no };
                }
            }
        }
    }

    /// Most branches between the root and a leaf.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.levels().len().saturating_sub(1)
    }

    /// The nodes by their distance from the root.
    fn levels(&self) -> Vec<Vec<usize>> {
        let mut levels = vec![vec![0]];
        loop {
            let children = |&at: &usize| match self.nodes[at] {
                TreeNode::Branch { yes, no, .. } => vec![yes, no],
                TreeNode::Leaf(_) => vec![],
            };
            let next: Vec<usize> = levels[levels.len() - 1].iter().flat_map(children).collect();
            if next.is_empty() {
                return levels;
            }
            levels.push(next);
        }
    }

    /// Walks from the root, so that nothing hostile is followed for ever.
    pub(super) fn check(&self, tree: usize, n_features: usize, n_targets: usize) -> Result<(), TreeError> {
        let mut depths = vec![None; self.nodes.len()];
        let mut ahead = vec![(0, 0)];
        while let Some((at, depth)) = ahead.pop() {
            let Some(node) = self.nodes.get(at) else {
                return Err(TreeError::MissingNode { tree, node: at as i64 });
            };
            if depths[at].replace(depth).is_some() {
                return Err(TreeError::TwoParents { tree, node: at as i64 });
            }
            if depth > MAX_DEPTH {
                return Err(TreeError::TooDeep { tree, max: MAX_DEPTH });
            }
            match node {
                TreeNode::Leaf(values) => {
                    if values.len() != n_targets {
                        let (expected, got) = (n_targets, values.len());
                        return Err(TreeError::Leaf { tree, node: at as i64, expected, got });
                    }
                    if let Some(&value) = values.iter().find(|v| !v.is_finite()) {
                        return Err(TreeError::NotFinite { what: "the weight of a leaf", value });
                    }
                }
                &TreeNode::Branch { feature, threshold, yes, no, .. } => {
                    if feature >= n_features {
                        let got = feature as i64;
                        return Err(TreeError::NoSuchFeature {
                            tree,
                            node: at as i64,
                            got,
                            features: n_features,
                        });
                    }
                    if threshold.is_nan() {
                        return Err(TreeError::NotFinite { what: "a threshold", value: threshold });
                    }
                    ahead.extend([(yes, depth + 1), (no, depth + 1)]);
                }
            }
        }
        match depths.iter().position(Option::is_none) {
            Some(node) => Err(TreeError::Unreachable { tree, node: node as i64 }),
            None => Ok(()),
        }
    }
}
