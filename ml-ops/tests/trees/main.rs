//! Tree ensembles: in programs against the model in the clear, at their stated cost; from ONNX attributes, against
//! onnxruntime and against files that describe no trees.
#![allow(clippy::unwrap_used, reason = "a test: a panic is how it fails")]

mod hostile;
mod onnxruntime;
mod programs;

use ml_ops::models::trees::{Test, Tree, TreeNode};

/// Pseudo-random numbers, the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }

    /// A multiple of 1/16 between −2 and 2: so few that ties are frequent.
    fn sixteenths(&mut self) -> f64 {
        (self.below(65) as f64 - 32.0) / 16.0
    }

    /// A tree with every leaf at most `depth` branches from the root, and at least the given share of eighths of all places
    /// filled with branches.
    fn tree(
        &mut self,
        (depth, eighths): (usize, usize),
        features: usize,
        targets: usize,
        tests: &[Test],
    ) -> Tree {
        let mut nodes = vec![];
        self.grow(&mut nodes, (depth, eighths), features, targets, tests);
        Tree { nodes }
    }

    fn grow(
        &mut self,
        nodes: &mut Vec<TreeNode>,
        (depth, eighths): (usize, usize),
        features: usize,
        targets: usize,
        tests: &[Test],
    ) -> usize {
        let at = nodes.len();
        nodes.push(TreeNode::Leaf((0..targets).map(|_| self.sixteenths() * 1.37).collect()));
        if depth > 0 && self.below(8) < eighths {
            let (feature, test) = (self.below(features), tests[self.below(tests.len())]);
            // On the grid of the features, between its points, or out of their range.
            let threshold = match self.below(8) {
                0..5 => self.sixteenths(),
                5 | 6 => self.sixteenths() + 0.01,
                _ => self.sixteenths() * 1e30,
            };
            let yes = self.grow(nodes, (depth - 1, eighths), features, targets, tests);
            let no = self.grow(nodes, (depth - 1, eighths), features, targets, tests);
            nodes[at] = TreeNode::Branch { feature, test, threshold, yes, no };
        }
        at
    }
}
