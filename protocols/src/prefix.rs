//! The prefix tree that combines (generate, propagate) pairs of blocks into one "less than" bit.
//!
//! A node of arity k takes wires g_{k−1}, p_{k−1}, …, g_0, p_0 (index k−1 most significant) and computes
//! `G = g_{k−1} ⊕ p_{k−1}g_{k−2} ⊕ p_{k−1}p_{k−2}g_{k−3} ⊕ …` and, unless it is the least significant of its level,
//! `P = p_{k−1}⋯p_0`. Each wire that occurs in a product is opened once under its own mask, and every product of wires
//! is then a public combination of dealt products of the masks:
//! `∏ w_i = ∏ (d_i ⊕ m_i) = ⊕_S (∏_{i∉S} d_i)·[∏_{i∈S} m_i]`.
//! Multi-fan-in AND after Ohata–Nuida (arXiv 1907.03415) and ABY2.0 (Patra et al., USENIX Security 2021).
//!
//! **Cost** of a node: 1 round for all nodes of a level, 2k−1 bits opened with P and 2k−2 without.
//! **Security**: every opened wire is masked by a bit of its own that no other node and no other tree uses; each dealt
//! product is an independent sharing. What is opened is therefore uniform and independent of the inputs.

use std::collections::BTreeSet;

use mpc_core::bits::BitTensor;
use mpc_core::share::{BitSharing, Sharing};

use crate::correlation::{PaddedBits, TreeMasks};

/// What one node combines.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeShape {
    arity: usize,
    with_product: bool,
    /// Every term of the outputs as a set of wires (bit i is wire i): first those of G, then that of P.
    terms: Vec<u32>,
    /// All sets of two or more wires whose mask product is needed, ascending.
    products: Vec<u32>,
}

impl NodeShape {
    fn new(arity: usize, with_product: bool) -> Self {
        if arity == 1 {
            return Self { arity, with_product, terms: vec![], products: vec![] };
        }
        let p = |i: usize| 1u32 << if with_product { i } else { i - 1 };
        let g = |i: usize| 1u32 << (i + arity - usize::from(!with_product));
        let above = |i: usize| (i + 1..arity).map(p).sum::<u32>();
        let mut terms: Vec<u32> = (0..arity - 1).map(|i| g(i) | above(i)).collect();
        if with_product {
            terms.push((0..arity).map(p).sum());
        }
        let needed: BTreeSet<u32> =
            terms.iter().flat_map(|&t| subsets(t)).filter(|s| s.count_ones() >= 2).collect();
        let products = needed.into_iter().collect();
        Self { arity, with_product, terms, products }
    }

    const fn wire_count(arity: usize, with_product: bool) -> usize {
        if arity == 1 { 0 } else { 2 * arity - 1 - !with_product as usize }
    }

    /// Wires opened: the p that occur in products, lowest first, then the g but the highest, lowest first.
    pub(crate) fn wires(&self) -> usize {
        Self::wire_count(self.arity, self.with_product)
    }

    /// The sets of masks whose products are dealt.
    pub(crate) fn product_sets(&self) -> &[u32] {
        &self.products
    }
}

/// The nodes of every level, leaves upward; node 0 of a level is the least significant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TreeShape {
    levels: Vec<Vec<NodeShape>>,
}

impl TreeShape {
    /// A tree over `leaves` pairs that combines up to `fan_in` at a time.
    #[must_use]
    pub fn new(leaves: usize, fan_in: usize) -> Self {
        let mut levels = vec![];
        let mut width = leaves;
        while width > 1 {
            let arity = |s: usize| fan_in.min(width - s);
            let level: Vec<_> =
                (0..width).step_by(fan_in).map(|s| NodeShape::new(arity(s), s != 0)).collect();
            width = level.len();
            levels.push(level);
        }
        Self { levels }
    }

    /// Rounds of the tree.
    #[must_use]
    pub fn rounds(&self) -> usize {
        self.levels.len()
    }

    /// Wires opened in one level.
    #[must_use]
    pub fn level_wires(&self, level: usize) -> usize {
        self.levels[level].iter().map(NodeShape::wires).sum()
    }

    /// Wires opened in the whole tree.
    #[must_use]
    pub fn wires(&self) -> usize {
        (0..self.rounds()).map(|l| self.level_wires(l)).sum()
    }

    /// Mask products dealt for the whole tree.
    #[must_use]
    pub fn products(&self) -> usize {
        self.nodes().map(|n| n.products.len()).sum()
    }

    /// All nodes in the order in which masks and products are laid out.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &NodeShape> {
        self.levels.iter().flatten()
    }
}

/// The (g, p) pairs of one level of one tree; lane i is the i-th pair, least significant first.
pub(crate) struct Pairs<B> {
    pub(crate) g: B,
    pub(crate) p: B,
}

/// The evaluation of one tree, level by level.
pub(crate) struct TreeEvaluation<S: Sharing> {
    shape: TreeShape,
    masks: TreeMasks<S>,
    level: usize,
    /// First mask lane and first product lane of the current level.
    wire_at: usize,
    product_at: usize,
    pairs: Pairs<S::Bits>,
}

impl<S: Sharing> TreeEvaluation<S> {
    pub(crate) fn new(shape: TreeShape, masks: TreeMasks<S>, leaves: Pairs<S::Bits>) -> Self {
        Self {
            shape,
            wire_at: masks.first_wire,
            product_at: masks.first_product,
            masks,
            level: 0,
            pairs: leaves,
        }
    }

    /// The masked wires of the current level, to be opened.
    pub(crate) fn masked_wires(&self) -> PaddedBits<S::Bits> {
        let len = self.pairs.g.len();
        let mut out = S::Bits::zeros(self.shape.level_wires(self.level), len);
        let (mut lane, mut child) = (0, 0);
        for node in &self.shape.levels[self.level] {
            if node.arity > 1 {
                for i in usize::from(!node.with_product)..node.arity {
                    out.xor_lane(lane, &self.pairs.p, child + i);
                    lane += 1;
                }
                for i in 0..node.arity - 1 {
                    out.xor_lane(lane, &self.pairs.g, child + i);
                    lane += 1;
                }
            }
            child += node.arity;
        }
        for i in 0..lane {
            out.xor_lane(i, &self.masks.masks, self.wire_at + i);
        }
        PaddedBits::new(out)
    }

    /// Combines the level with its opened wires.
    pub(crate) fn finish_level(&mut self, opened: &BitTensor, holder: S::Holder) {
        let len = self.pairs.g.len();
        let nodes = &self.shape.levels[self.level];
        let (mut g, mut p) = (S::Bits::zeros(nodes.len(), len), S::Bits::zeros(nodes.len(), len));
        let (mut wire, mut product, mut child) = (0, self.product_at, 0);
        for (i, node) in nodes.iter().enumerate() {
            g.xor_lane(i, &self.pairs.g, child + node.arity - 1);
            if node.arity == 1 {
                p.xor_lane(i, &self.pairs.p, child);
            }
            for (t, &term) in node.terms.iter().enumerate() {
                let out = if t < node.arity - 1 { &mut g } else { &mut p };
                self.add_term(
                    out,
                    i,
                    node,
                    term,
                    &opened_lanes(opened, wire, node.wires()),
                    wire,
                    product,
                    holder,
                );
            }
            wire += node.wires();
            product += node.products.len();
            child += node.arity;
        }
        self.wire_at += wire;
        self.product_at = product;
        self.level += 1;
        self.pairs = Pairs { g, p };
    }

    /// `out[lane] ⊕= ∏_{w ∈ term} (d_w ⊕ m_w)`.
    #[allow(clippy::too_many_arguments, reason = "one formula with its operands, in one place")]
    fn add_term(
        &self,
        out: &mut S::Bits,
        lane: usize,
        node: &NodeShape,
        term: u32,
        d: &[&[u64]],
        wire: usize,
        product: usize,
        holder: S::Holder,
    ) {
        // All subsets S of the term, with the public product of the opened wires outside S.
        for set in subsets(term) {
            let outside = public_product(d, term & !set);
            match (set.count_ones(), outside) {
                (0, Some(k)) => out.xor_public(lane, &k, holder),
                (0, None) => unreachable!("a term has at least two wires"),
                (1, k) => {
                    let src = self.wire_at + wire + set.trailing_zeros() as usize;
                    xor_coefficient(out, lane, &self.masks.masks, src, k.as_deref());
                }
                (_, k) => {
                    let place = node.products.binary_search(&set).expect("every subset of a term is dealt");
                    xor_coefficient(out, lane, &self.masks.products, product + place, k.as_deref());
                }
            }
        }
    }

    /// Whether only the root is left.
    pub(crate) fn is_done(&self) -> bool {
        self.level == self.shape.rounds()
    }

    /// The root's G: the "less than" bit, one lane.
    pub(crate) fn root(self) -> S::Bits {
        debug_assert!(self.is_done());
        self.pairs.g
    }
}

/// All subsets of a set, itself first and the empty one last.
fn subsets(set: u32) -> impl Iterator<Item = u32> {
    std::iter::successors(Some(set), move |&s| s.checked_sub(1).map(|s| s & set))
}

fn opened_lanes(opened: &BitTensor, first: usize, count: usize) -> Vec<&[u64]> {
    (first..first + count).map(|l| opened.lane(l)).collect()
}

/// AND of the lanes in `set`; `None` stands for all ones.
fn public_product(d: &[&[u64]], set: u32) -> Option<Vec<u64>> {
    let mut lanes = (0..d.len()).filter(|i| set >> i & 1 == 1).map(|i| d[i]);
    let mut out = lanes.next()?.to_vec();
    for lane in lanes {
        for (a, b) in out.iter_mut().zip(lane) {
            *a &= b;
        }
    }
    Some(out)
}

pub(crate) fn xor_coefficient<B: BitSharing>(
    out: &mut B,
    lane: usize,
    src: &B,
    src_lane: usize,
    k: Option<&[u64]>,
) {
    match k {
        Some(k) => out.xor_lane_masked(lane, src, src_lane, k),
        None => out.xor_lane(lane, src, src_lane),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_those_of_the_formulas() {
        // 63 bits in blocks of 4: 16 leaves.
        let t = TreeShape::new(16, 4);
        assert_eq!((t.rounds(), t.wires(), t.products()), (2, 33, 96));
        // 32 leaves, fan-in 2, and 8 leaves, fan-in 8.
        let t = TreeShape::new(32, 2);
        assert_eq!((t.rounds(), t.wires()), (5, 88));
        let t = TreeShape::new(8, 8);
        assert_eq!((t.rounds(), t.wires()), (1, 14));
        assert_eq!(TreeShape::new(1, 4).rounds(), 0);
    }
}
