//! How much LPN is hard enough, and what that costs.

use mpc_core::tag::Tag;

use super::check::{ANSWER_BYTES, CHALLENGE_BYTES, CHECK_COTS};
use crate::ot::lane::LANE;

/// Bytes of a block.
const BLOCK: u64 = 16;

/// A set of LPN parameters with regular noise: security constants, not knobs. Every tree is one stretch of noise, with one
/// noisy place among its leaves.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Parameters {
    /// t: trees of a batch, which is the weight of the noise.
    trees: usize,
    /// log₂ k: length of the secret vector.
    base_log: usize,
    /// Depth of a tree.
    depth: usize,
}

impl Parameters {
    /// t = 1900, k = 2^19, stretches of 2^13, N = 15,564,800; ten places per output. One of emp-ot's sets (`tuning.h` of v1.0),
    /// there chosen with the LPN estimator for 128 bits against Gauss, SD-ISD, BJMM, hybrid and algebraic attacks on regular
    /// noise (of which the hybrid one binds). The code is that of Ferret, ePrint 2020/924.
    pub const B13: Self = Self { trees: 1900, base_log: 19, depth: 13 };

    /// t = 850, k = 2^16, stretches of 2^10, N = 870,400, from the same source: little to begin with, more bytes per COT. Makes
    /// the base of the larger set.
    pub const B10: Self = Self { trees: 850, base_log: 16, depth: 10 };

    /// t = 1170, k = 2^17, stretches of 2^11, N = 2,396,160, from the same source: for measurements of what lies between.
    pub const B11: Self = Self { trees: 1170, base_log: 17, depth: 11 };

    /// Of no security at all.
    #[cfg(test)]
    pub(super) const TOY: Self = Self { trees: 12, base_log: 7, depth: 6 };

    /// k, the length of the secret vector.
    #[must_use]
    pub const fn base(self) -> usize {
        1 << self.base_log
    }

    /// Outputs of a tree.
    #[must_use]
    pub const fn leaves(self) -> usize {
        1 << self.depth
    }

    /// Levels of a tree: as many COTs carry it over.
    #[must_use]
    pub const fn depth(self) -> usize {
        self.depth
    }

    /// COTs that a batch is made from: the secret vector, and one for each level of each tree.
    #[must_use]
    pub const fn seed_cots(self) -> usize {
        self.base() + self.trees * self.depth
    }

    /// Trees of a batch that are kept to make the next one from.
    #[must_use]
    pub const fn kept_trees(self) -> usize {
        self.seed_cots().div_ceil(self.leaves())
    }

    /// Trees of a batch that are given out.
    #[must_use]
    pub const fn given_trees(self) -> usize {
        self.trees - self.kept_trees()
    }

    /// Bytes that the sender sends per tree: a block for each level.
    #[must_use]
    pub const fn tree_bytes(self) -> u64 {
        BLOCK * self.depth as u64
    }

    /// Bits on the wire per COT over whole batches, the base of the first one left aside, in thousandths.
    #[must_use]
    pub const fn millibits_per_cot(self) -> u64 {
        8000 * self.trees as u64 * self.tree_bytes() / (self.given_trees() * self.leaves()) as u64
    }

    /// The place under which streams of a party are named, so that those of two sets do not meet.
    pub(super) const fn tag(self) -> Tag {
        Tag { lane: LANE, node: self.trees as u32, iteration: self.base_log as u32, round: self.depth as u32 }
    }
}

/// What is left of the COTs of one direction: counts, the same at sender and receiver. From it follows what is sent.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct Stock {
    /// Trees of the batch that were grown and given out.
    pub(super) tree: usize,
    /// COTs that were made and not given out.
    pub(super) spare: usize,
}

impl Stock {
    /// Takes `count` COTs; returns how many trees are grown for it, kept ones included.
    pub fn take(&mut self, set: Parameters, count: usize) -> usize {
        let needed = count.saturating_sub(self.spare).div_ceil(set.leaves());
        self.spare = self.spare + needed * set.leaves() - count;
        // A batch that is used up renews itself when one more tree is needed.
        let renewed = (self.tree + needed).saturating_sub(1) / set.given_trees();
        let renewed = if needed == 0 { 0 } else { renewed };
        self.tree = self.tree + needed - renewed * set.given_trees();
        needed + renewed * set.kept_trees()
    }

    /// Whether taking `count` COTs next ends with a check, if there are any: when trees are grown.
    #[must_use]
    pub const fn is_checked(self, count: usize, checks: bool) -> bool {
        checks && count > self.spare
    }

    /// Bytes that the sender and the receiver of this direction send when `count` COTs are taken next.
    #[must_use]
    pub fn bytes(mut self, set: Parameters, count: usize, checks: bool) -> [u64; 2] {
        let checked = self.is_checked(count, checks);
        let demand = if checked { count + CHECK_COTS } else { count };
        let corrections = self.take(set, demand) as u64 * set.tree_bytes();
        let [answer, challenge] = [ANSWER_BYTES, CHALLENGE_BYTES].map(|n| if checked { n as u64 } else { 0 });
        [corrections + answer, challenge]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_renews_itself_and_costs_what_the_head_says() {
        for (set, seed, given, millibits) in [
            (Parameters::B13, 548_988, 15_007_744, 210),
            (Parameters::B11, 143_942, 2_250_752, 731),
            (Parameters::B10, 74_036, 795_648, 1367),
        ] {
            assert_eq!(set.seed_cots(), seed);
            assert_eq!(set.given_trees() * set.leaves(), given);
            assert!(set.kept_trees() * set.leaves() >= seed);
            assert_eq!(set.millibits_per_cot(), millibits);
        }
        assert!(Parameters::B13.millibits_per_cot() <= 300);
    }

    #[test]
    fn stock_counts_trees() {
        let set = Parameters::TOY; // 64 leaves, 128 + 72 COTs from 4 trees, 8 given
        assert_eq!((set.kept_trees(), set.given_trees()), (4, 8));
        let mut stock = Stock::default();
        assert_eq!(stock.bytes(set, 65, false), [2 * 6 * 16, 0]);
        assert_eq!(stock.bytes(set, 65, true), [4 * 6 * 16 + 32, 16], "128 more, for the next check");
        assert_eq!(stock.bytes(set, 0, true), [0, 0]);
        assert_eq!(stock.take(set, 0), 0);
        assert_eq!(stock.take(set, 65), 2);
        assert_eq!(stock, Stock { tree: 2, spare: 63 });
        assert_eq!(stock.take(set, 63), 0);
        assert_eq!(stock.take(set, 6 * 64), 6);
        // The batch is used up: it renews itself only now.
        assert_eq!(stock.take(set, 1), 4 + 1);
        // Two batches and a little; then as if tree by tree.
        assert_eq!(stock.take(set, 63 + 7 * 64 + 8 * 64 + 1), 7 + (4 + 8) + (4 + 1));
        let (mut once, mut often) = (stock, stock);
        for count in 0..3000 {
            assert_eq!({ once }.take(set, count), (0..count).map(|_| often.take(set, 1)).sum());
            assert_eq!(once.take(set, count), { stock }.take(set, count));
            assert_eq!(once, often);
            (once, often) = (stock, stock);
        }
    }
}
