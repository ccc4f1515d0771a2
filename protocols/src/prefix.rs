//! The network that combines (less, equal) pairs of blocks into what is asked about two numbers, one bit-sliced and shared,
//! the other public: is it less, is it equal, and where do its digits borrow.
//!
//! For bits i of c (public) and r (shared), a *pair* of a range of bits says whether c is less than r there and whether they
//! are equal there. Pairs of neighbouring ranges combine, the higher one first:
//! `less = less_h ⊕ equal_h·less_l`, `equal = equal_h·equal_l`. Bits are cut into blocks, whose pairs are local (`blocks`);
//! every level combines up to `fan_in` groups: for a range that ends in group g of its super-group,
//! `less = less_g ⊕ equal_g·less_{g−1} ⊕ equal_g·equal_{g−1}·less_{g−2} ⊕ …`. What is asked decides which ranges are
//! followed: one at the top for a comparison, all prefixes for a subtraction (then this is a prefix adder after Sklansky,
//! IRE Trans. 1960, of fan-in k).
//!
//! A factor of a product is a *wire*. It is opened once per level under a mask of its own, whatever the number of products
//! that it is in, and every product is then a public combination of dealt products of the masks:
//! `∏ w_i = ∏ (d_i ⊕ m_i) = ⊕_S (∏_{i∉S} d_i)·[∏_{i∈S} m_i]`.
//! Multi-fan-in AND after Ohata, Nuida (arXiv 1907.03415) and ABY2.0 (Patra et al., USENIX Security 2021). Departs from
//! them: wires and mask products are shared between the products of a level.
//!
//! **Security**: every opened wire is masked by a uniform bit that no other wire, level or network uses, and dealt products
//! are independent sharings. What is opened is therefore uniform and independent of the inputs.
//!
//! **Cost**: a round and a bit per wire for each level; a bit from the dealer per mask product. A node of arity k of a
//! comparison has 2k−1 wires, or 2k−2 where nothing is below it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use crate::prep::Question;
use crate::tree::TreeChoice;

pub(crate) mod evaluate;
pub(crate) mod subsets;

/// What a lane says about the range of bits that ends at `end` and starts where its group does.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Lane {
    pub(crate) end: usize,
    pub(crate) says: Says,
}

/// Whether c is less than r, or equal to it.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Says {
    Less,
    Equal,
}

impl Lane {
    pub(crate) const fn less(end: usize) -> Self {
        Self { end, says: Says::Less }
    }

    pub(crate) const fn equal(end: usize) -> Self {
        Self { end, says: Says::Equal }
    }

    /// The lane as a sum of lanes and products of lanes of the level below, which has groups of `span` bits.
    fn formula(self, span: usize, fan_in: usize) -> (Option<Self>, Vec<Vec<Self>>) {
        let own = self.end / span;
        let first = own - own % fan_in;
        if own == first {
            return (Some(self), vec![]);
        }
        let end = |group: usize| (group + 1) * span - 1;
        let equal_from = |low: usize| {
            let above = (low..own).map(|group| Self::equal(end(group)));
            above.chain([Self::equal(self.end)]).collect::<Vec<_>>()
        };
        match self.says {
            Says::Equal => (None, vec![equal_from(first)]),
            Says::Less => {
                let term = |group| [equal_from(group + 1), vec![Self::less(end(group))]].concat();
                (Some(self), (first..own).rev().map(term).collect())
            }
        }
    }
}

/// A product of wires, with where the masks of its subsets are.
#[derive(Debug)]
pub(crate) struct Term {
    /// Wires of the layer.
    pub(crate) wires: Vec<usize>,
    /// For every set of them (bit i is the i-th) but the empty one: the wire's place if it is one, else the product's.
    pub(crate) places: Vec<usize>,
}

/// One lane of the next level.
#[derive(Debug)]
pub(crate) struct Sum {
    /// A lane of this level.
    pub(crate) lane: Option<usize>,
    pub(crate) terms: Vec<Term>,
}

/// A product of masks: one more factor than the mask of a wire, or than a product that stands before it.
#[derive(Copy, Clone, Debug)]
pub(crate) enum Product {
    OfWires(usize, usize),
    Longer { product: usize, wire: usize },
}

/// One round.
#[derive(Debug)]
pub(crate) struct Layer {
    /// The lanes that are opened.
    pub(crate) wires: Vec<usize>,
    /// The mask products that are dealt.
    pub(crate) products: Vec<Product>,
    /// The lanes of the next level.
    pub(crate) sums: Vec<Sum>,
}

impl Layer {
    /// From the lanes of one level, which has groups of `span` bits, to those of the next.
    fn new(from: &BTreeSet<Lane>, to: &BTreeSet<Lane>, span: usize, fan_in: usize) -> Self {
        let lanes: BTreeMap<Lane, usize> = from.iter().copied().zip(0..).collect();
        let formulas: Vec<_> = to.iter().map(|lane| lane.formula(span, fan_in)).collect();
        let in_products: BTreeSet<Lane> =
            formulas.iter().flat_map(|(_, terms)| terms).flatten().copied().collect();
        let wires: Vec<usize> = in_products.iter().map(|lane| lanes[lane]).collect();
        let wire: HashMap<Lane, usize> = in_products.into_iter().zip(0..).collect();
        let term = |lanes: Vec<Lane>| lanes.into_iter().map(|l| wire[&l]).collect::<BTreeSet<_>>();
        let sums: Vec<(Option<usize>, Vec<BTreeSet<usize>>)> = formulas
            .into_iter()
            .map(|(lane, terms)| (lane.map(|l| lanes[&l]), terms.into_iter().map(term).collect()))
            .collect();

        let terms = sums.iter().flat_map(|(_, terms)| terms);
        let needed: BTreeSet<Vec<usize>> = terms.flat_map(subsets).filter(|set| set.len() >= 2).collect();
        let places: HashMap<&[usize], usize> = needed.iter().map(Vec::as_slice).zip(0..).collect();
        // All subsets of a needed set are needed, and one without its last wire stands before it.
        let product = |set: &Vec<usize>| match **set {
            [a, b] => Product::OfWires(a, b),
            [ref rest @ .., wire] => Product::Longer { product: places[rest], wire },
            [] => unreachable!("products have two or more factors"),
        };
        let place = |set: Vec<usize>| match set[..] {
            [wire] => wire,
            _ => places[&set[..]],
        };
        let located = |wires: &BTreeSet<usize>| Term {
            places: subsets(wires).map(place).collect(),
            wires: wires.iter().copied().collect(),
        };
        let sum =
            |(lane, terms): &(_, Vec<_>)| Sum { lane: *lane, terms: terms.iter().map(located).collect() };
        Self { wires, products: needed.iter().map(product).collect(), sums: sums.iter().map(sum).collect() }
    }
}

/// All sets of wires but the empty one; in the n-th are those whose bit of n is set.
fn subsets(wires: &BTreeSet<usize>) -> impl Iterator<Item = Vec<usize>> {
    let wires: Vec<usize> = wires.iter().copied().collect();
    (1usize..1 << wires.len())
        .map(move |set| (0..wires.len()).filter(|i| set >> i & 1 == 1).map(|i| wires[i]).collect())
}

/// The levels from blocks to answers.
#[derive(Debug)]
pub(crate) struct Network {
    /// Bits that are compared, from the lowest on.
    pub(crate) bits: usize,
    /// Bits per block.
    pub(crate) block: usize,
    /// What the blocks are asked, ascending.
    pub(crate) leaves: Vec<Lane>,
    pub(crate) layers: Vec<Layer>,
}

impl Network {
    /// The network for a question about `ring_bits`-bit numbers. It is a function of few small arguments, so it is made once.
    pub(crate) fn of(ring_bits: u32, question: Question, tree: TreeChoice) -> Arc<Self> {
        type Made = Mutex<HashMap<(u32, Question, TreeChoice), Arc<Network>>>;
        static MADE: LazyLock<Made> = LazyLock::new(Default::default);
        let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Self::new(question.lanes(ring_bits as usize), tree));
        Arc::clone(made.entry((ring_bits, question, tree)).or_insert_with(new))
    }

    fn new(answers: BTreeSet<Lane>, tree: TreeChoice) -> Self {
        let bits = answers.iter().map(|lane| lane.end + 1).max().unwrap_or(0);
        // Bits per group at every level, the last of which is one group.
        let mut spans = vec![tree.block()];
        while spans[spans.len() - 1] < bits {
            spans.push(spans[spans.len() - 1] * tree.fan_in());
        }
        // What every level has to know, from the answers down.
        let mut levels = vec![answers];
        for &span in spans[..spans.len() - 1].iter().rev() {
            let formulas = levels[levels.len() - 1].iter().map(|lane| lane.formula(span, tree.fan_in()));
            let below =
                formulas.flat_map(|(lane, terms)| lane.into_iter().chain(terms.into_iter().flatten()));
            levels.push(below.collect());
        }
        levels.reverse();
        let layer =
            |(pair, &span): (&[BTreeSet<Lane>], _)| Layer::new(&pair[0], &pair[1], span, tree.fan_in());
        let layers = levels.windows(2).zip(&spans).map(layer).collect();
        Self { bits, block: tree.block(), leaves: levels[0].iter().copied().collect(), layers }
    }

    /// Bits opened in all levels.
    pub(crate) fn wires(&self) -> usize {
        self.layers.iter().map(|l| l.wires.len()).sum()
    }

    /// Mask products dealt for all levels.
    pub(crate) fn products(&self) -> usize {
        self.layers.iter().map(|l| l.products.len()).sum()
    }

    /// Widths of the blocks, from the lowest on.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = usize> {
        (0..self.bits).step_by(self.block).map(|start| self.block.min(self.bits - start))
    }

    /// Products of two or more bits inside the blocks.
    pub(crate) fn block_products(&self) -> usize {
        self.blocks().map(|width| (1 << width) - 1 - width).sum()
    }
}

/// Place of a set of two or more bits of a block among all such sets, ascending.
pub(crate) const fn block_product_place(set: usize) -> usize {
    set - set.ilog2() as usize - 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_the_sets_of_two_or_more() {
        let sets = (1usize..256).filter(|s| s.count_ones() >= 2);
        assert!(sets.enumerate().all(|(place, set)| block_product_place(set) == place));
    }

    fn network(question: Question, block: usize, fan_in: usize) -> Network {
        Network::new(question.lanes(64), TreeChoice::new(block, fan_in).unwrap())
    }

    fn counts(n: &Network) -> (usize, usize, usize) {
        (n.layers.len(), n.wires(), n.products())
    }

    #[test]
    fn comparisons_are_the_trees_of_the_formulas() {
        // 63 bits in blocks of 4: 16 leaves.
        let n = network(Question::Sign, 4, 4);
        assert_eq!((counts(&n), n.block_products()), ((2, 33, 96), 169));
        assert_eq!(n.layers.iter().map(|l| l.wires.len()).collect::<Vec<_>>(), [27, 6]);
        let n = network(Question::Sign, 2, 2);
        assert_eq!((n.layers.len(), n.wires()), (5, 88));
        let n = network(Question::Sign, 8, 8);
        assert_eq!((n.layers.len(), n.wires()), (1, 14));
        // A product of all bits: 4 nodes of 4, then one.
        assert_eq!(counts(&network(Question::Equal, 4, 4)), (2, 20, 55));
    }

    #[test]
    fn numbers_of_one_block_need_no_levels() {
        let n = Network::new(Question::Sign.lanes(8), TreeChoice::new(8, 2).unwrap());
        assert_eq!((counts(&n), n.leaves), ((0, 0, 0), vec![Lane::less(6)]));
    }

    /// Evaluates the network on plain bits.
    fn evaluate(n: &Network, c: u64, r: u64) -> Vec<bool> {
        let leaf = |lane: &Lane| {
            let start = lane.end - lane.end % n.block;
            let part = |v: u64| v >> start & (u64::MAX >> (63 - (lane.end - start)));
            match lane.says {
                Says::Less => part(c) < part(r),
                Says::Equal => part(c) == part(r),
            }
        };
        n.layers.iter().fold(n.leaves.iter().map(leaf).collect(), |lanes: Vec<bool>, layer| {
            let product = |t: &Term| t.wires.iter().all(|&w| lanes[layer.wires[w]]);
            let sum = |s: &Sum| s.terms.iter().fold(s.lane.is_some_and(|l| lanes[l]), |x, t| x ^ product(t));
            layer.sums.iter().map(sum).collect()
        })
    }

    #[test]
    fn every_network_answers_its_question() {
        let low = |v: u64, bits: usize| v & ((1u64 << bits) - 1);
        for tree in TreeChoice::ALL {
            for question in [Question::Sign, Question::Equal, Question::SignAndEqual, Question::Bits] {
                let n = network(question, tree.block(), tree.fan_in());
                for i in 0..2000u64 {
                    let r = i.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ i << 60;
                    let c = if i % 3 == 0 { r ^ (i & 1) << (i % 64) } else { r.rotate_left(7) ^ i };
                    let want: Vec<bool> = match question {
                        Question::Sign => vec![low(c, 63) < low(r, 63)],
                        Question::Equal => vec![c == r],
                        Question::SignAndEqual => vec![low(c, 63) < low(r, 63), c == r],
                        _ => (1..64).map(|bits| low(c, bits) < low(r, bits)).collect(),
                    };
                    assert_eq!(evaluate(&n, c, r), want, "{question:?} with {tree}: {c:x} {r:x}");
                }
            }
        }
    }
}
