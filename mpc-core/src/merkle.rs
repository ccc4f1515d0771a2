//! The Merkle tree of RFC 6962 (§2.1) over SHA-256, with inclusion and consistency proofs.
//!
//! A leaf is hashed as `H(0x00 ‖ data)` and an inner node as `H(0x01 ‖ left ‖ right)`, so no leaf can pass for a node.
//! The tree over n leaves splits at the largest power of two below n; what is complete never changes when leaves are
//! added, and that is what makes the log append-only in a way that can be proved: an *inclusion proof* shows that a
//! leaf is in a tree, a *consistency proof* that one tree is a prefix of another. Both are verified as RFC 9162
//! (§2.1.3.2, §2.1.4.2) spells out, without the tree. Everything here is pure.
//!
//! ```
//! use mpc_core::merkle::{self, leaf_hash};
//!
//! let leaves: Vec<_> = [b"open", b"data", b"done"].iter().map(|e| leaf_hash(*e)).collect();
//! let root = merkle::root(&leaves);
//! let proof = merkle::inclusion_proof(&leaves, 1).expect("leaf 1 of 3 exists");
//! merkle::verify_inclusion(leaves[1], 1, 3, &proof, root)?;
//!
//! let older = merkle::root(&leaves[..2]);
//! let proof = merkle::consistency_proof(&leaves, 2).expect("2 of 3 is a prefix");
//! merkle::verify_consistency(2, older, 3, root, &proof)?;
//! # Ok::<(), mpc_core::merkle::ProofError>(())
//! ```

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

/// A node of the tree.
#[derive(Copy, Clone, PartialEq, Eq, Hash)]
pub struct TreeHash(pub [u8; 32]);

/// Standard base64, as in checkpoints.
impl fmt::Display for TreeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for TreeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TreeHash({self})")
    }
}

/// Why a proof does not prove.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// The statement itself is impossible, such as leaf 7 of a tree of 5.
    #[error("position {position} is out of range for a tree of {size}")]
    OutOfRange {
        /// The leaf index or older size.
        position: u64,
        /// The tree's size.
        size: u64,
    },
    /// The proof has too few or too many hashes for these sizes.
    #[error("proof has the wrong length: {got} hashes")]
    WrongLength {
        /// Hashes in the proof.
        got: usize,
    },
    /// The proof leads to another root.
    #[error("proof leads to another root: expected {expected}, computed {computed}")]
    WrongRoot {
        /// The root that was to be shown.
        expected: TreeHash,
        /// Where the proof leads.
        computed: TreeHash,
    },
}

/// The hash of a leaf.
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> TreeHash {
    TreeHash(Sha256::new().chain_update([0x00]).chain_update(entry).finalize().into())
}

/// The hash of an inner node.
#[must_use]
pub fn node_hash(left: TreeHash, right: TreeHash) -> TreeHash {
    TreeHash(Sha256::new().chain_update([0x01]).chain_update(left.0).chain_update(right.0).finalize().into())
}

/// The root of the empty tree: the hash of nothing.
#[must_use]
pub fn empty_root() -> TreeHash {
    TreeHash(Sha256::digest([]).into())
}

/// A growing tree in O(log n) memory: the roots of its complete subtrees, largest (leftmost) first. There is one for
/// each bit that is set in the size.
#[derive(Clone, Debug, Default)]
pub struct Frontier {
    size: u64,
    peaks: Vec<TreeHash>,
}

impl Frontier {
    /// The empty tree.
    #[must_use]
    pub const fn new() -> Self {
        Self { size: 0, peaks: Vec::new() }
    }

    /// The tree of `size` leaves with these complete subtrees; `None` if a tree of that size has another number of them.
    /// Nothing shows that leaves with these hashes exist: the root over what is added does, to whoever knows it.
    #[must_use]
    pub fn from_peaks(size: u64, peaks: Vec<TreeHash>) -> Option<Self> {
        (size.count_ones() as usize == peaks.len()).then_some(Self { size, peaks })
    }

    /// Roots of the complete subtrees, largest first.
    #[must_use]
    pub fn peaks(&self) -> &[TreeHash] {
        &self.peaks
    }

    /// How many leaves there are.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Adds one leaf, by its hash. Every trailing one bit of the old size is a subtree that becomes complete.
    pub fn push(&mut self, leaf: TreeHash) {
        let mut node = leaf;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                node = node_hash(left, node);
            }
        }
        self.peaks.push(node);
        self.size += 1;
    }

    /// The root over all leaves so far.
    #[must_use]
    pub fn root(&self) -> TreeHash {
        self.peaks
            .iter()
            .rev()
            .copied()
            .reduce(|right, left| node_hash(left, right))
            .unwrap_or_else(empty_root)
    }
}

/// The root over these leaf hashes.
#[must_use]
pub fn root(leaves: &[TreeHash]) -> TreeHash {
    let mut frontier = Frontier::new();
    leaves.iter().for_each(|&leaf| frontier.push(leaf));
    frontier.root()
}

/// The largest power of two below `n`, for `n` ≥ 2: where a tree of `n` leaves splits.
fn split(n: usize) -> usize {
    1 << (n - 1).ilog2()
}

/// PATH(m, D\[n\]) of RFC 6962 §2.1.1: the siblings on the way from leaf `index` to the root, lowest first; `None` if
/// there is no such leaf.
#[must_use]
pub fn inclusion_proof(leaves: &[TreeHash], index: usize) -> Option<Vec<TreeHash>> {
    if index >= leaves.len() {
        return None;
    }
    let (mut tree, mut at, mut path) = (leaves, index, Vec::new());
    while tree.len() > 1 {
        let (left, right) = tree.split_at(split(tree.len()));
        if at < left.len() {
            path.push(root(right));
            tree = left;
        } else {
            path.push(root(left));
            at -= left.len();
            tree = right;
        }
    }
    path.reverse();
    Some(path)
}

/// PROOF(m, D\[n\]) of RFC 6962 §2.1.2: shows that the first `old_size` leaves were not changed; `None` if there are
/// fewer leaves than that. Empty for `old_size` 0 or n, where there is nothing to show.
#[must_use]
pub fn consistency_proof(leaves: &[TreeHash], old_size: usize) -> Option<Vec<TreeHash>> {
    if old_size > leaves.len() {
        return None;
    }
    if old_size == 0 || old_size == leaves.len() {
        return Some(Vec::new());
    }
    // `whole`: the old tree's root is still exactly the left part (the verifier has it already).
    let (mut tree, mut m, mut whole, mut path) = (leaves, old_size, true, Vec::new());
    while m < tree.len() {
        let (left, right) = tree.split_at(split(tree.len()));
        if m <= left.len() {
            path.push(root(right));
            tree = left;
        } else {
            path.push(root(left));
            m -= left.len();
            tree = right;
            whole = false;
        }
    }
    if !whole {
        path.push(root(tree));
    }
    path.reverse();
    Some(path)
}

/// Checks that `leaf` is number `index` of the tree of `size` leaves with root `expected` (RFC 9162 §2.1.3.2).
///
/// # Errors
/// A [`ProofError`] that says what does not fit.
pub fn verify_inclusion(
    leaf: TreeHash,
    index: u64,
    size: u64,
    proof: &[TreeHash],
    expected: TreeHash,
) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::OutOfRange { position: index, size });
    }
    let wrong_length = ProofError::WrongLength { got: proof.len() };
    let (mut f, mut s, mut computed) = (index, size - 1, leaf);
    for &sibling in proof {
        if s == 0 {
            return Err(wrong_length);
        }
        if f & 1 == 1 || f == s {
            computed = node_hash(sibling, computed);
            while f & 1 == 0 && f != 0 {
                (f, s) = (f >> 1, s >> 1);
            }
        } else {
            computed = node_hash(computed, sibling);
        }
        (f, s) = (f >> 1, s >> 1);
    }
    if s != 0 {
        return Err(wrong_length);
    }
    same_root(expected, computed)
}

/// Checks that the tree of `old_size` leaves is a prefix of the tree of `new_size` leaves (RFC 9162 §2.1.4.2).
///
/// # Errors
/// A [`ProofError`] that says what does not fit.
pub fn verify_consistency(
    old_size: u64,
    old_root: TreeHash,
    new_size: u64,
    new_root: TreeHash,
    proof: &[TreeHash],
) -> Result<(), ProofError> {
    if old_size > new_size {
        return Err(ProofError::OutOfRange { position: old_size, size: new_size });
    }
    let wrong_length = ProofError::WrongLength { got: proof.len() };
    if old_size == 0 || old_size == new_size {
        if !proof.is_empty() {
            return Err(wrong_length);
        }
        return same_root(old_root, if old_size == 0 { empty_root() } else { new_root });
    }
    // The prover leaves out the old root where it is a complete subtree of the new tree.
    let (first, rest) = if old_size.is_power_of_two() {
        (old_root, proof)
    } else {
        let (first, rest) = proof.split_first().ok_or_else(|| wrong_length.clone())?;
        (*first, rest)
    };
    let shift = (old_size - 1).trailing_ones();
    let (mut f, mut s) = ((old_size - 1) >> shift, (new_size - 1) >> shift);
    let (mut computed_old, mut computed_new) = (first, first);
    for &sibling in rest {
        if s == 0 {
            return Err(wrong_length);
        }
        if f & 1 == 1 || f == s {
            computed_old = node_hash(sibling, computed_old);
            computed_new = node_hash(sibling, computed_new);
            while f & 1 == 0 && f != 0 {
                (f, s) = (f >> 1, s >> 1);
            }
        } else {
            computed_new = node_hash(computed_new, sibling);
        }
        (f, s) = (f >> 1, s >> 1);
    }
    if s != 0 {
        return Err(wrong_length);
    }
    same_root(old_root, computed_old)?;
    same_root(new_root, computed_new)
}

fn same_root(expected: TreeHash, computed: TreeHash) -> Result<(), ProofError> {
    if expected == computed { Ok(()) } else { Err(ProofError::WrongRoot { expected, computed }) }
}

#[cfg(test)]
mod tests;
