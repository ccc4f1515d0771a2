//! Correlated trees, of which one party learns all leaves but one.
//!
//! **Relation.** The sender has Δ and a root r and grows a tree of depth d. The receiver, who knows for a secret place α one of
//! two sums per level, gets the same leaves except at α, where it has the sender's leaf ⊕ Δ: its leaves are the sender's plus Δ
//! times the unit vector of α.
//!
//! **After** Guo, Yang, Wang, Zhang, Xie, Zhang, Liu (*Half-Tree: Halving the Cost of Tree Expansion in COT and DPF*, EUROCRYPT
//! 2023, ePrint 2022/1431), the correlated GGM tree of figure 3: the first level is (r, r ⊕ Δ), and below a node p hang
//! H(p) and p ⊕ H(p), so every level sums up to Δ and a tree costs half a hash per leaf. H is [`FixedKey::circular`].
//!
//! **Departures.** The left children of a level stand in its first half, the right ones in the second, so level i decides bit
//! i − 1 of a leaf's place and a level is two straight passes. The receiver does not set nodes of its path to zero but lets
//! them run on as garbage, which drops out of the sums: what it corrects is one node per level by an XOR.
//!
//! **Security.** In the random permutation model, in which H is circular correlation robust: whoever does not know Δ sees, in the sums that it gets, nothing of the
//! leaf at α. The place α is the receiver's secret: it enters no address and no branch, at the price of one more pass over each
//! level. Roots must be fresh.
//!
//! **Cost.** Half an AES call per leaf; nothing is sent here, d blocks per tree where the sums are transferred.

use mpc_core::fixed_key::{Block, FixedKey};
use mpc_core::kernels::xor_at;

/// Grows the sender's tree in `leaves`, a power of two of at least two of them. Level i's sum of left nodes goes to
/// `sums[i - 1]`; that of the right ones is this ⊕ Δ.
pub(super) fn grow(hash: &FixedKey, delta: Block, root: Block, leaves: &mut [Block], sums: &mut [Block]) {
    check(leaves, sums.len());
    (leaves[0], leaves[1]) = (root, root ^ delta);
    sums[0] = root;
    for (level, sum) in sums.iter_mut().enumerate().skip(1) {
        *sum = hash.split(&mut leaves[..2 << level]);
    }
}

/// Grows the receiver's tree in `leaves`: bit i − 1 of `hole` says which of level i's nodes, left (0) or right (1), is on the
/// way to the missing leaf, and `sums[i - 1]` is the sum of the others. Where the leaf is missing, it comes out ⊕ Δ.
pub(super) fn grow_punctured(hash: &FixedKey, hole: u32, sums: &[Block], leaves: &mut [Block]) {
    check(leaves, sums.len());
    // Where the way goes right, the left sum is the known one.
    let left = |level: usize| 0u128.wrapping_sub(u128::from(hole >> level & 1));
    // What stands on the way is any number; only the sibling must be right.
    (leaves[0], leaves[1]) = (sums[0] & left(0), sums[0] & !left(0));
    // The sum of the level as it stands, garbage included.
    let mut total = sums[0];
    for (level, &known) in sums.iter().enumerate().skip(1) {
        let nodes = &mut leaves[..2 << level];
        let left_sum = hash.split(nodes);
        let seen = (left_sum & left(level)) | ((left_sum ^ total) & !left(level));
        // On the known side stands what belongs there, but for garbage next to the way.
        let way = hole & ((1 << level) - 1);
        let sibling = way | (!hole & (1 << level));
        xor_at(nodes, sibling as usize, seen ^ known);
        // Children add up to their parents, garbage or not.
        total ^= seen ^ known;
    }
    xor_at(leaves, hole as usize, total);
}

#[track_caller]
fn check(leaves: &[Block], depth: usize) {
    assert!((1..=31).contains(&depth), "a tree of depth {depth}");
    assert_eq!(leaves.len(), 1 << depth, "leaves of a tree of depth {depth}");
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELTA: Block = 0x0123_4567_89ab_cdef_0fed_cba9_8765_4321;
    const ROOT: Block = 0x1111_2222_3333_4444_5555_6666_7777_8888;

    fn grown(depth: usize) -> (Vec<Block>, Vec<Block>) {
        let (mut leaves, mut sums) = (vec![0; 1 << depth], vec![0; depth]);
        grow(&FixedKey::keyed([7; 16]), DELTA, ROOT, &mut leaves, &mut sums);
        (leaves, sums)
    }

    /// The definition, node by node.
    fn leaf(depth: usize, place: usize) -> Block {
        let mut node = if place & 1 == 0 { ROOT } else { ROOT ^ DELTA };
        for level in 1..depth {
            let mut left = [node];
            FixedKey::keyed([7; 16]).circular(&mut left);
            node = if place >> level & 1 == 0 { left[0] } else { node ^ left[0] };
        }
        node
    }

    #[test]
    fn leaves_are_those_of_the_definition_and_levels_sum_up_to_delta() {
        for depth in 1..=9 {
            let (leaves, sums) = grown(depth);
            assert!((0..1 << depth).all(|place| leaves[place] == leaf(depth, place)));
            assert_eq!(leaves.iter().fold(0, |sum, x| sum ^ x), DELTA);
            for (level, &sum) in sums.iter().enumerate() {
                let lefts = (0..1 << level).map(|place| leaf(level + 1, place));
                assert_eq!(sum, lefts.fold(0, |sum, x| sum ^ x));
            }
        }
    }

    #[test]
    fn a_punctured_tree_differs_by_delta_at_its_hole_and_nowhere_else() {
        for depth in 1..=8 {
            let (leaves, sums) = grown(depth);
            for hole in 0..1u32 << depth {
                let known: Vec<Block> = sums
                    .iter()
                    .enumerate()
                    .map(|(level, &left)| if hole >> level & 1 == 1 { left } else { left ^ DELTA })
                    .collect();
                let mut punctured = vec![7; 1 << depth];
                grow_punctured(&FixedKey::keyed([7; 16]), hole, &known, &mut punctured);
                for (place, (&x, &y)) in leaves.iter().zip(&punctured).enumerate() {
                    assert_eq!(x ^ y, if place == hole as usize { DELTA } else { 0 }, "{place} of {depth}");
                }
            }
        }
    }

    #[test]
    fn a_wrong_sum_spoils_leaves() {
        let (leaves, sums) = grown(6);
        let mut known: Vec<Block> = sums.iter().map(|left| left ^ DELTA).collect();
        known[3] ^= 1;
        let mut punctured = vec![0; 64];
        grow_punctured(&FixedKey::keyed([7; 16]), 0, &known, &mut punctured);
        assert!(leaves.iter().zip(&punctured).filter(|(x, y)| x != y).count() > 1);
    }

    #[test]
    #[ignore = "a measurement"]
    fn speed() {
        let hash = FixedKey::keyed([7; 16]);
        for depth in [10, 11, 12, 13] {
            let (mut leaves, mut sums) = (vec![0; 1 << depth], vec![0; depth]);
            let rate = |f: &mut dyn FnMut()| {
                let best = (0..50).map(|_| {
                    let start = std::time::Instant::now();
                    (0..20).for_each(|_| f());
                    start.elapsed().as_secs_f64() / 20.0
                });
                f64::from(1 << depth) / best.fold(f64::MAX, f64::min) / 1e6
            };
            let sender = rate(&mut || grow(&hash, DELTA, ROOT, &mut leaves, &mut sums));
            let receiver = rate(&mut || grow_punctured(&hash, 5, &sums, &mut leaves));
            println!("depth {depth}: {sender:.0} M leaves/s, punctured {receiver:.0} M leaves/s");
        }
    }
}
