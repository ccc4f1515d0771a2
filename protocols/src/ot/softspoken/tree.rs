//! Trees of 2^k leaves of which one party knows all and the other all but one, from k base OTs each.
//!
//! **Relation.** The **planter** knows every leaf of every tree. The **holder** of Δ knows, of tree j, all leaves but the one
//! whose label is Δ_j, bits jk to jk + k − 1 of Δ. Its leaves are numbered by label ⊕ Δ_j, so the missing one is always
//! number 0.
//!
//! **Protocol.** The punctured PRF of Goldreich, Goldwasser, Micali as it is set up in SoftSpokenOT (Roy, CRYPTO 2022,
//! ePrint 2022/192, Fig. 13). A level of the tree decides one bit of the label, the highest first. The
//! keys of the first level's base OT are its two nodes; on each other level the planter sends the sum of all left and of all
//! right nodes, each under one key of a base OT. The holder, whose choice is the complement of Δ's bit, reads the sum on the
//! side off the path and takes from it the nodes it knows.
//!
//! **Against a malicious planter** (Fig. 14), every leaf gives 32 more bytes; the planter sends their sum for each tree and a hash of
//! them all. The holder works out its missing bytes from the sum and compares the hash, so it knows the leaves that
//! the planter is committed to by the hash, or stops. A planter that garbles a sum makes the holder stop unless
//! it guessed the bits of Δ that the sum concerns, which the extension's ideal functionality lets it do: each bit guessed
//! halves the chance to go on.
//!
//! **Departures.** Nodes are expanded by BLAKE3 over the node, session, parties, tree and level in one block: no two
//! expansions of any session have the same input. Trees are small and made once, so this costs less than a millisecond.
//!
//! **Security.** Given what the holder sees, its missing leaf is pseudorandom: each sum is a pad's (key of a base OT used
//! for nothing else) or follows from nodes it knows. The planter sees nothing.
//!
//! **Cost.** [`message_bytes`] from planter to holder.

use mpc_core::fixed_key::Block;
use mpc_core::party::PartyId;
use mpc_core::tag::SessionId;
use subtle::{Choice, ConditionallySelectable};
use zeroize::{Zeroize, Zeroizing};

use super::{FieldBits, Security};

const SUM: usize = 16;
const PROOF: usize = 32;
const WIDE: usize = 64;

/// Name and start of a leaf's stream: leaf y of tree j is at j·2^k + y.
pub(super) type Leaves = Zeroizing<Vec<[u8; 32]>>;

/// Whose trees, and how large.
#[derive(Copy, Clone)]
pub(super) struct Forest {
    pub(super) session: SessionId,
    pub(super) planter: PartyId,
    pub(super) holder: PartyId,
    pub(super) field: FieldBits,
    pub(super) security: Security,
}

/// Bytes from planter to holder.
pub(super) const fn message_bytes(field: FieldBits, security: Security) -> usize {
    let sums = field.trees() * (field.bits() - 1) * 2 * SUM;
    match security {
        Security::SemiHonest => sums,
        Security::MaliciousReceiver => sums + (field.trees() + 1) * PROOF,
    }
}

enum Use {
    Node = 1,
    Leaf = 2,
}

impl Forest {
    const fn checked(&self) -> bool {
        matches!(self.security, Security::MaliciousReceiver)
    }

    /// What a check of batches is bound to: the planter's message, which has a hash of all leaves.
    pub(super) fn digest(&self, message: &[u8]) -> Option<[u8; 32]> {
        let mut hasher = blake3::Hasher::new_derive_key("subrosa softspoken 2026-11 setup");
        hasher.update(&self.session.0).update(&[self.planter.index() as u8, self.holder.index() as u8]);
        hasher.update(message);
        self.checked().then(|| *hasher.finalize().as_bytes())
    }

    /// All leaves, and what the holder gets.
    pub(super) fn plant(&self, base: &[[Block; 2]]) -> (Leaves, Vec<u8>) {
        let k = self.field.bits();
        let mut leaves = Zeroizing::new(Vec::with_capacity(self.field.trees() << k));
        let mut message = Vec::with_capacity(message_bytes(self.field, self.security));
        let mut all = blake3::Hasher::new();
        for tree in 0..self.field.trees() {
            let keys = |level: usize| base[tree * k + k - level];
            let mut nodes = Zeroizing::new(vec![0; 1 << k]);
            nodes[..2].copy_from_slice(&keys(1));
            for level in 2..=k {
                let mut sums = keys(level);
                for y in (0..1 << (level - 1)).rev() {
                    let [left, right] = self.children(tree, level, nodes[y]);
                    (nodes[2 * y], nodes[2 * y + 1]) = (left, right);
                    sums[0] ^= left;
                    sums[1] ^= right;
                }
                message.extend(sums[0].to_le_bytes());
                message.extend(sums[1].to_le_bytes());
            }
            let mut sum = [0; PROOF];
            for &node in nodes.iter() {
                let wide = self.expand(Use::Leaf, tree, k, node);
                let (leaf, proof) = halves(&wide);
                leaves.push(*leaf);
                xor(&mut sum, proof);
                all.update(proof);
            }
            if self.checked() {
                message.extend(sum);
            }
        }
        if self.checked() {
            message.extend(all.finalize().as_bytes());
        }
        (leaves, message)
    }

    /// All leaves but number 0 of each tree, which is left zero; `None` if the planter is caught.
    pub(super) fn puncture(&self, delta: Block, base: &[Block], message: &[u8]) -> Option<Leaves> {
        let k = self.field.bits();
        debug_assert_eq!(message.len(), message_bytes(self.field, self.security));
        let mut at = 0;
        let mut take = |bytes: usize| {
            at += bytes;
            &message[at - bytes..at]
        };
        let mut leaves = Zeroizing::new(Vec::with_capacity(self.field.trees() << k));
        let mut all = blake3::Hasher::new();
        for tree in 0..self.field.trees() {
            let bit = |level: usize| tree * k + k - level;
            let mut nodes = Zeroizing::new(vec![0; 1 << k]);
            nodes[1] = base[bit(1)];
            for level in 2..=k {
                let on_path = choice(delta, bit(level));
                let sums = take(2 * SUM);
                // The side off the path is the right one where the path goes left.
                let mut off_path =
                    Block::conditional_select(&block(&sums[SUM..]), &block(&sums[..SUM]), on_path);
                off_path ^= base[bit(level)];
                for z in (1..1 << (level - 1)).rev() {
                    let [mut same, mut other] = self.children(tree, level, nodes[z]);
                    Block::conditional_swap(&mut same, &mut other, on_path);
                    (nodes[2 * z], nodes[2 * z + 1]) = (same, other);
                    off_path ^= other;
                }
                (nodes[0], nodes[1]) = (0, off_path);
            }
            leaves.push([0; 32]);
            let mut proofs = Zeroizing::new(vec![[0; PROOF]; 1 << k]);
            for (z, &node) in nodes.iter().enumerate().skip(1) {
                let wide = self.expand(Use::Leaf, tree, k, node);
                let (leaf, proof) = halves(&wide);
                leaves.push(*leaf);
                proofs[z] = *proof;
            }
            if self.checked() {
                let (missing, known) = proofs.split_at_mut(1);
                missing[0].copy_from_slice(take(PROOF));
                known.iter().for_each(|proof| xor(&mut missing[0], proof));
                relabel(&mut proofs, delta >> (tree * k));
                proofs.iter().for_each(|proof| _ = all.update(proof));
            }
        }
        // Hashes are compared in constant time.
        let caught = self.checked() && all.finalize() != *take(PROOF);
        (!caught).then_some(leaves)
    }

    fn children(&self, tree: usize, level: usize, node: Block) -> [Block; 2] {
        let wide = self.expand(Use::Node, tree, level, node);
        [block(&wide[..SUM]), block(&wide[SUM..2 * SUM])]
    }

    fn expand(&self, usage: Use, tree: usize, level: usize, node: Block) -> Zeroizing<[u8; WIDE]> {
        let mut input = Zeroizing::new([0; WIDE]);
        input[..16].copy_from_slice(&node.to_le_bytes());
        input[16..48].copy_from_slice(&self.session.0);
        input[48..56].copy_from_slice(b"ot/tree1");
        input[56..61].copy_from_slice(&[
            usage as u8,
            self.planter.index() as u8,
            self.holder.index() as u8,
            tree as u8,
            level as u8,
        ]);
        let mut hasher = blake3::Hasher::new();
        hasher.update(&*input);
        let mut wide = Zeroizing::new([0; WIDE]);
        hasher.finalize_xof().fill(&mut *wide);
        hasher.zeroize();
        wide
    }
}

/// Puts what is numbered by z = y ⊕ d at y, for d below their number, without telling d.
fn relabel(numbered: &mut [[u8; PROOF]], d: Block) {
    let mut half = 1;
    let mut bit = 0;
    while half < numbered.len() {
        let swap = choice(d, bit);
        for pair in numbered.chunks_exact_mut(2 * half) {
            let (low, high) = pair.split_at_mut(half);
            for (x, y) in low.as_flattened_mut().iter_mut().zip(high.as_flattened_mut()) {
                u8::conditional_swap(x, y, swap);
            }
        }
        (half, bit) = (2 * half, bit + 1);
    }
}

fn choice(bits: Block, i: usize) -> Choice {
    Choice::from((bits >> i) as u8 & 1)
}

fn block(bytes: &[u8]) -> Block {
    Block::from_le_bytes(bytes.as_chunks::<SUM>().0[0])
}

fn halves(wide: &[u8; WIDE]) -> (&[u8; 32], &[u8; PROOF]) {
    let (parts, _) = wide.as_chunks::<32>();
    (&parts[0], &parts[1])
}

fn xor(sum: &mut [u8; PROOF], other: &[u8; PROOF]) {
    sum.iter_mut().zip(other).for_each(|(x, y)| *x ^= y);
}
