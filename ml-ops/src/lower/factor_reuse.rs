//! Which matrices are opened once for several products.
//!
//! A product of an m×k by a k×n matrix opens mk + kn elements. If its m×k factor was opened before, under a mask that is kept
//! (`protocols::reuse`), it opens kn alone. So a matrix is masked once where that is less in all; its slices and transposes, and
//! promises about them, are parts of it and take parts of its mask. Rows along several axes are a matrix of them all. The mask opens in the round of the first product, so rounds
//! stay the same, and which way is taken depends on shapes alone.
//!
//! A matrix from before a loop is opened once for the products of all its iterations, whose batches are parts of it; one that a
//! loop computes is opened once in an iteration.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use protocols::reuse::Part;

use crate::op::{NodeId, Op};
use crate::program::Program;
use crate::repeat::{Batches, Repeat};

/// How a product uses a matrix that is opened once.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Reuse {
    /// The node whose value is opened.
    pub(crate) root: NodeId,
    /// The part of it that is the factor.
    pub(crate) part: Part,
    /// Whether it is the right factor: then the product's transpose is computed.
    pub(crate) right: bool,
    /// Whether this product opens it, being the first.
    pub(crate) opens: bool,
    /// Whether this is the last product of it.
    pub(crate) last: bool,
    /// Iterations of the product for one value of the matrix.
    times: u32,
    moves: Option<Moves>,
}

impl Reuse {
    /// The part that is the factor in an iteration.
    pub(crate) fn part_at(self, iteration: u32) -> Part {
        let moved = |m: Moves| self.part.moved(m.axis, m.batches.start(iteration));
        let part = self.moves.map_or(self.part, moved);
        if self.right { part.transpose() } else { part }
    }

    /// Whether the product opens the matrix in an iteration.
    pub(crate) const fn opens_at(self, iteration: u32) -> bool {
        self.opens && (self.times == 1 || iteration == 0)
    }

    /// Whether an iteration has the last product of the matrix.
    pub(crate) const fn is_last_at(self, iteration: u32) -> bool {
        self.last && (self.times == 1 || iteration + 1 == self.times)
    }
}

/// How a part moves from iteration to iteration.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
struct Moves {
    /// Axis of the part as it is.
    axis: usize,
    batches: Batches,
}

/// A factor of a product: a part of a node's value.
#[derive(Copy, Clone)]
struct View {
    root: NodeId,
    part: Part,
    moves: Option<Moves>,
}

/// What masking a matrix once would save, and which matrix; of equals the first.
type Saving = (i128, Reverse<NodeId>);

impl Program {
    /// For every product that uses a matrix opened once, how.
    pub(super) fn reused_factors(&self) -> BTreeMap<NodeId, Reuse> {
        let views = self.views();
        let mut products: BTreeMap<NodeId, [View; 2]> = BTreeMap::new();
        let mut users: BTreeMap<NodeId, Vec<NodeId>> = BTreeMap::new();
        for (node, n) in (0..).zip(&self.nodes) {
            let (Op::MatMul(a, b) | Op::Dense { x: a, w: b, .. }) = n.op else { continue };
            // A list of products has no factor that is one matrix.
            if self.fact(b).shape.rank() != 2 {
                continue;
            }
            if let (Some(left), Some(right)) = (views[a as usize], views[b as usize]) {
                products.insert(node, [left, right]);
                users.entry(left.root).or_default().push(node);
                if left.root != right.root {
                    users.entry(right.root).or_default().push(node);
                }
            }
        }
        // The largest saving first. A product that is taken lowers what its other factor would save, which is seen when that
        // one's turn comes.
        let mut open = products.clone();
        let mut queue: BinaryHeap<Saving> =
            users.iter().map(|(&root, of)| (self.saving(root, of, &open), Reverse(root))).collect();
        let mut reuse = BTreeMap::new();
        while let Some((saving, Reverse(root))) = queue.pop().filter(|(saving, _)| *saving > 0) {
            let now = self.saving(root, &users[&root], &open);
            if now < saving {
                queue.push((now, Reverse(root)));
                continue;
            }
            let of: Vec<NodeId> = users[&root].iter().copied().filter(|p| open.remove(p).is_some()).collect();
            for (i, &product) in of.iter().enumerate() {
                let (View { part, moves, .. }, right) =
                    factor(root, products[&product]).expect("invariant: a user of the root");
                let (opens, last) = (i == 0, i + 1 == of.len());
                let times = self.times_within(product, root);
                reuse.insert(product, Reuse { root, part, right, opens, last, times, moves });
            }
        }
        reuse
    }

    /// Elements that are not opened if the root is masked once for the products that still have a choice.
    fn saving(&self, root: NodeId, users: &[NodeId], open: &BTreeMap<NodeId, [View; 2]>) -> i128 {
        let elements = |part: Part| part.shape().iter().product::<usize>() as i128;
        let parts = users.iter().filter_map(|&p| Some((p, factor(root, *open.get(&p)?)?)));
        let times = |p| i128::from(self.times_within(p, root));
        let saved: i128 = parts.map(|(p, (view, _))| times(p) * elements(view.part)).sum();
        let of_one = saved - self.fact(root).shape.elements() as i128;
        i128::from(self.times(root)) * of_one
    }

    /// How often a node is computed for one value of an operand.
    fn times_within(&self, node: NodeId, operand: NodeId) -> u32 {
        let within = |l: &Repeat| if l.contains(operand) { 1 } else { l.times };
        self.loop_of(node).map_or(1, within)
    }

    /// Every secret matrix, its rows along any number of axes, as a part of the value that it was taken from.
    fn views(&self) -> Vec<Option<View>> {
        let mut views: Vec<Option<View>> = Vec::with_capacity(self.nodes.len());
        for (node, n) in (0..).zip(&self.nodes) {
            let of = |x: NodeId| views[x as usize];
            let moved = match n.op {
                Op::Slice { x, axis, start, end } => {
                    let dims = self.fact(x).shape.dims();
                    let last = dims.len().saturating_sub(1);
                    let within = |axis, each| {
                        of(x).map(|v| View { part: v.part.slice(axis, start * each, end * each), ..v })
                    };
                    match axis {
                        axis if axis == last => within(1, 1),
                        0 => within(0, dims[1..last].iter().product::<usize>()),
                        _ => None,
                    }
                }
                Op::Reshape { x, ref shape } if shape.dims().last() == self.fact(x).shape.dims().last() => {
                    of(x)
                }
                Op::Transpose(x) => of(x).map(|v| View {
                    part: v.part.transpose(),
                    moves: v.moves.map(|m| Moves { axis: 1 - m.axis, ..m }),
                    ..v
                }),
                // From before the loop, so that nothing has moved yet.
                Op::Batch { x, rows } if n.fact.shape.rank() == 2 => {
                    of(x).zip(self.batches(node)).map(|(v, batches)| {
                        let moves = Some(Moves { axis: 0, batches });
                        View { part: v.part.slice(0, 0, rows), moves, ..v }
                    })
                }
                Op::AssumeRange { x, .. } => of(x),
                _ => None,
            };
            let is_matrix = n.fact.is_secret() && n.fact.shape.rank() >= 2;
            let own = is_matrix.then(|| View {
                root: node,
                part: Part::whole(n.fact.shape.as_matrix()),
                moves: None,
            });
            views.push(moved.or(own));
        }
        views
    }
}

/// The factor that is the larger part of the root, and whether it is the right one.
fn factor(root: NodeId, [left, right]: [View; 2]) -> Option<(View, bool)> {
    let elements = |view: &View| view.part.shape().iter().product::<usize>();
    match (left.root == root, right.root == root) {
        (true, true) if elements(&right) > elements(&left) => Some((right, true)),
        (true, _) => Some((left, false)),
        (false, true) => Some((right, true)),
        (false, false) => None,
    }
}
