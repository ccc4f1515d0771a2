//! Which tensors are opened once for several products.
//!
//! A product opens all elements of its factors. If one factor was opened before, under a mask that is kept (`protocols::reuse`), it opens
//! the other one alone. So a tensor is masked once where that is less in all, be it the factor of matrix products, lists of these,
//! convolutions or products element by element; its slices, transposes, reshapes, batches, and promises about them, are parts of it and
//! take parts of its mask. An element that is repeated along an axis is opened once as well. The mask opens in the round of the first
//! product, so rounds stay the same, and which way is taken depends on shapes alone.
//!
//! A tensor from before a loop is opened once for the products of all its iterations, whose batches are parts of it; one that a
//! loop computes is opened once in an iteration.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use protocols::prep::{Bilinear, Part, Product};

use crate::batch;
use crate::op::{NodeId, Op};
use crate::program::Program;
use crate::repeat::{Batches, Repeat};

/// How a product uses a tensor that is opened once.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Reuse {
    /// The node whose value is opened.
    pub(crate) root: NodeId,
    /// Which product, and which of its factors is a part of that.
    pub(crate) product: Product,
    /// Whether this product opens it, being the first.
    pub(crate) opens: bool,
    /// Whether this is the last product of it.
    pub(crate) last: bool,
    part: Part,
    /// Iterations of the product for one value of the tensor.
    times: u32,
    moves: Option<Moves>,
}

impl Reuse {
    /// The part that is the factor in an iteration.
    pub(crate) fn part_at(&self, iteration: u32) -> Part {
        let moved = |m: Moves| self.part.moved(m.step * m.batches.start(iteration) as i64);
        self.moves.map_or(self.part, moved)
    }

    /// Whether the product opens the tensor in an iteration.
    pub(crate) const fn opens_at(&self, iteration: u32) -> bool {
        self.opens && (self.times == 1 || iteration == 0)
    }

    /// Whether an iteration has the last product of the tensor.
    pub(crate) const fn is_last_at(&self, iteration: u32) -> bool {
        self.last && (self.times == 1 || iteration + 1 == self.times)
    }
}

/// How a part moves from iteration to iteration.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
struct Moves {
    /// Elements from one row to the next.
    step: i64,
    batches: Batches,
}

/// A part of a node's value.
#[derive(Copy, Clone)]
struct View {
    root: NodeId,
    part: Part,
    moves: Option<Moves>,
}

impl View {
    /// Another part of the same.
    fn with(self, part: Option<Part>) -> Option<Self> {
        part.map(|part| Self { part, ..self })
    }
}

/// A product, and its factors as far as they are parts of nodes.
#[derive(Copy, Clone)]
struct Candidate {
    map: Bilinear,
    factors: [Option<View>; 2],
}

impl Candidate {
    /// The factor that is the larger part of the root, and whether it is the right one.
    fn factor(&self, root: NodeId) -> Option<(View, bool)> {
        let elements = |view: &View| view.part.elements();
        match self.factors.map(|f| f.filter(|view| view.root == root)) {
            [Some(left), Some(right)] if elements(&right) > elements(&left) => Some((right, true)),
            [Some(left), _] => Some((left, false)),
            [None, Some(right)] => Some((right, true)),
            [None, None] => None,
        }
    }
}

/// What masking a tensor once would save, and which tensor; of equals the first.
type Saving = (i128, Reverse<NodeId>);

impl Program {
    /// For every product that uses a tensor opened once, how.
    pub(super) fn reused_factors(&self) -> BTreeMap<NodeId, Reuse> {
        let views = self.views();
        let mut products: BTreeMap<NodeId, Candidate> = BTreeMap::new();
        let mut users: BTreeMap<NodeId, Vec<NodeId>> = BTreeMap::new();
        for node in 0..self.nodes.len() as NodeId {
            let Some(candidate) = self.candidate(node, &views) else { continue };
            products.insert(node, candidate);
            for view in candidate.factors.iter().flatten() {
                let of = users.entry(view.root).or_default();
                if of.last() != Some(&node) {
                    of.push(node);
                }
            }
        }
        // The largest saving first. A product that is taken lowers what its other factor would save, which is seen when that
        // one's turn comes.
        let mut open: BTreeSet<NodeId> = products.keys().copied().collect();
        let mut worth: BTreeMap<NodeId, i128> =
            users.iter().map(|(&root, of)| (root, self.saving(root, of, &products))).collect();
        let mut queue: BinaryHeap<Saving> = worth.iter().map(|(&root, &of)| (of, Reverse(root))).collect();
        let mut reuse = BTreeMap::new();
        while let Some((saving, Reverse(root))) = queue.pop().filter(|(saving, _)| *saving > 0) {
            let now = worth[&root];
            if now < saving {
                queue.push((now, Reverse(root)));
                continue;
            }
            let of: Vec<NodeId> = users[&root].iter().copied().filter(|p| open.remove(p)).collect();
            for (i, &node) in of.iter().enumerate() {
                let candidate = products[&node];
                if let Some(other) = candidate.factors.iter().flatten().find(|view| view.root != root)
                    && let Some(worth) = worth.get_mut(&other.root)
                {
                    *worth -= self.saved(other.root, node, &candidate);
                }
                let (View { part, moves, .. }, right) =
                    candidate.factor(root).expect("invariant: a user of the root");
                let product = Product { map: candidate.map, right };
                let (opens, last) = (i == 0, i + 1 == of.len());
                let times = self.times_within(node, root);
                reuse.insert(node, Reuse { root, product, opens, last, part, times, moves });
            }
        }
        reuse
    }

    /// The product of secret values that a node is, if it is one.
    fn candidate(&self, node: NodeId, views: &[Option<View>]) -> Option<Candidate> {
        let secret = |x: NodeId| self.fact(x).is_secret();
        let (view, dims) = (|x: NodeId| views[x as usize], |x: NodeId| self.fact(x).shape.dims());
        let repeated = |x: NodeId, shape: &[usize]| view(x).and_then(|v| v.with(v.part.broadcast(shape)));
        let (map, factors) = match self.nodes[node as usize].op {
            Op::MatMul(a, b) | Op::Dense { x: a, w: b, .. } if secret(a) && secret(b) => {
                let batches = batch::Batches::new(dims(a), dims(b));
                let left = view(a).and_then(|v| v.with(batches.left_part(&v.part)));
                let right = view(b).and_then(|v| v.with(batches.right_part(&v.part)));
                (Bilinear::Matmuls { count: batches.count, dims: batches.dims }, [left, right])
            }
            Op::Conv { x, w, .. } if secret(x) && secret(w) => {
                (Bilinear::Conv(self.conv_shape(node)), [view(x), view(w)])
            }
            Op::Mul(a, b) if secret(a) && secret(b) => {
                let shape = dims(node);
                let len = self.fact(node).shape.elements();
                (Bilinear::Elements { len }, [repeated(a, shape), repeated(b, shape)])
            }
            Op::Split { x, bit } if secret(x) && secret(bit) => {
                let both = &self.fact(node).shape;
                let axis = both.rank() - 1;
                let one = both.with_axis(axis, both.dims()[axis] / 2);
                let factors = [x, bit].map(|x| repeated(x, one.dims()));
                (Bilinear::Elements { len: one.elements() }, factors)
            }
            Op::Select { bit, a, b } if secret(bit) && (secret(a) || secret(b)) => {
                let len = self.fact(node).shape.elements();
                // The other factor is a difference, which is no node.
                (Bilinear::Elements { len }, [repeated(bit, dims(node)), None])
            }
            _ => return None,
        };
        Some(Candidate { map, factors })
    }

    /// Elements that are not opened if the root is masked once for all of its products.
    fn saving(&self, root: NodeId, users: &[NodeId], products: &BTreeMap<NodeId, Candidate>) -> i128 {
        let saved: i128 = users.iter().map(|&p| self.saved(root, p, &products[&p])).sum();
        saved - i128::from(self.times(root)) * self.fact(root).shape.elements() as i128
    }

    /// Elements that one product of them does not open then.
    fn saved(&self, root: NodeId, product: NodeId, candidate: &Candidate) -> i128 {
        let elements = candidate.factor(root).map_or(0, |(view, _)| view.part.elements());
        i128::from(self.times(root)) * i128::from(self.times_within(product, root)) * elements as i128
    }

    /// How often a node is computed for one value of an operand.
    fn times_within(&self, node: NodeId, operand: NodeId) -> u32 {
        let within = |l: &Repeat| if l.contains(operand) { 1 } else { l.times };
        self.loop_of(node).map_or(1, within)
    }

    /// Every secret value as a part of the value that it was taken from.
    fn views(&self) -> Vec<Option<View>> {
        let mut views: Vec<Option<View>> = Vec::with_capacity(self.nodes.len());
        for (node, n) in (0..).zip(&self.nodes) {
            let of = |x: NodeId| views[x as usize];
            let part =
                |x: NodeId, part: &dyn Fn(Part) -> Option<Part>| of(x).and_then(|v| v.with(part(v.part)));
            let moved = match n.op {
                Op::Slice { x, axis, start, end } => part(x, &|p| Some(p.slice(axis, start, end))),
                Op::Gather { x, axis, ref indices } => part(x, &|p| evenly(p, axis, indices)),
                Op::Reshape { x, ref shape } => part(x, &|p| p.reshape(shape.dims())),
                Op::Transpose(x) => part(x, &|p| Some(p.transpose())),
                Op::Permute { x, ref axes } => part(x, &|p| Some(p.permute(axes))),
                // From before the loop, so that nothing has moved yet.
                Op::Batch { x, rows } => of(x).zip(self.batches(node)).map(|(v, batches)| {
                    let moves = Some(Moves { step: v.part.step(0), batches });
                    View { part: v.part.slice(0, 0, rows), moves, ..v }
                }),
                Op::AssumeRange { x, .. } => of(x),
                _ => None,
            };
            let own = || {
                let part = Part::whole(n.fact.shape.dims()).filter(|_| n.fact.is_secret())?;
                Some(View { root: node, part, moves: None })
            };
            views.push(moved.or_else(own));
        }
        views
    }
}

/// The elements at these indices of an axis, if each is as far from the one before.
fn evenly(part: Part, axis: usize, indices: &[u32]) -> Option<Part> {
    let first = *indices.first()?;
    let by = |pair: &[u32]| i64::from(pair[1]) - i64::from(pair[0]);
    let mut steps = indices.windows(2).map(by);
    let step = steps.next().unwrap_or(1);
    let even = steps.all(|other| other == step);
    even.then(|| part.every(axis, first as usize, step as i32, indices.len()))
}

#[cfg(test)]
mod tests {
    use mpc_core::fixed::FracBits;

    use super::*;
    use crate::builder::Owner;

    #[test]
    fn a_product_that_is_taken_lowers_what_its_other_factor_saves() {
        let mut p = Program::builder("turns", FracBits::DEFAULT, &["a", "b"]);
        let shared = p.input("shared", Owner(0), [1], 1.0).unwrap();
        for len in (1..=4).rev() {
            let x = p.input(&format!("x{len}"), Owner(0), [1], 1.0).unwrap();
            let y = p.input(&format!("y{len}"), Owner(1), [len], 1.0).unwrap();
            for (name, other) in [("shared", shared), ("own", y)] {
                let product = p.mul(x, other).unwrap();
                p.output(&format!("{name}{len}"), product, &[0]).unwrap();
            }
        }
        let program = p.build().unwrap();
        let named = |root: NodeId| program.inputs().find(|i| i.node == root).unwrap().name.to_owned();
        let roots: Vec<String> = program.reused_factors().values().map(|r| named(r.root)).collect();
        // Each time before the shared factor's turn comes, another one saves as much as is left to it.
        assert_eq!(roots, ["x4", "x4", "x3", "x3", "x2", "x2", "x1", "x1"]);
    }
}
