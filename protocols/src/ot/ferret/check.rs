//! The check that catches a sender whose trees are none.
//!
//! **After** the consistency check of Ferret (ePrint 2020/924), over GF(2^128), one for all trees of a call. With random χ for every
//! leaf, the sums of both sides, W = Σ χ·w and V = Σ χ·v, must differ by Δ·X, where X is the sum of χ at the receiver's noisy
//! places. X would tell where these are: it is masked by the bits x of 128 COTs (q, t) of their own, which are one product in
//! the field, m(t) = m(q) + Δ·x with m(y) = Σ_j y_j·2^j. The receiver sends d = X + x; the sender answers with a digest of
//! W + m(q) + Δ·d, which must be that of V + m(t).
//!
//! **Departures.** χ of a tree is hashed from all corrections up to this tree (Fiat–Shamir) instead of sent by the receiver. A
//! check's 128 COTs come from an earlier call, whose check they passed, or from the inner extension.
//!
//! **Security.** Against a sender that is malicious, given an inner extension that is secure against it: leaves that differ from
//! the relation at one place pass with 2^−128 per attempt to hash. What remains is that of the paper's functionality: the
//! sender may guess noisy places and learns from the check passing that it was right; LPN stands that on average one bit is
//! learnt so. A receiver gains nothing by another d: the digest then hides Δ times a number that it knows. Each COT that
//! masks is used once.

use mpc_core::fixed_key::Block;
use mpc_core::kernels::{AesCtr, gf128_dot};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// COTs that mask a check.
pub const CHECK_COTS: usize = 128;

/// Bytes that the receiver sends for a check.
pub(super) const CHALLENGE_BYTES: usize = 16;

/// Bytes that the sender answers with.
pub(super) const ANSWER_BYTES: usize = 32;

/// One side's sums over the trees of a call.
pub(super) struct Check {
    /// Σ χ·leaf.
    sum: Block,
    /// Σ χ over leaves with the lowest bit set.
    noise: Block,
    masks: Zeroizing<Vec<Block>>,
    coefficients: Vec<Block>,
}

mpc_core::secret_types!(Check);

impl Check {
    pub(super) fn new(masks: Zeroizing<Vec<Block>>, leaves: usize) -> Self {
        assert_eq!(masks.len(), CHECK_COTS, "invariant: as many COTs as a field element has bits");
        Self { sum: 0, noise: 0, masks, coefficients: vec![0; leaves] }
    }

    /// Adds a tree. `transcript` has seen its corrections.
    pub(super) fn fold(&mut self, transcript: &blake3::Hasher, leaves: &[Block]) {
        let key: [u8; 32] = transcript.clone().update(b"chi").finalize().into();
        AesCtr::new(&key).fill(bytemuck::cast_slice_mut(&mut self.coefficients));
        self.sum ^= gf128_dot(&self.coefficients, bytemuck::cast_slice(leaves));
        let noisy = self.coefficients.iter().zip(leaves).map(|(chi, leaf)| chi & (leaf & 1).wrapping_neg());
        self.noise ^= noisy.fold(0, |sum, chi| sum ^ chi);
    }

    /// The receiver's d.
    pub(super) fn challenge(&self) -> [u8; CHALLENGE_BYTES] {
        let bits = self.masks.iter().rev().fold(0, |bits, t| bits << 1 | t & 1);
        (self.noise ^ bits).to_le_bytes()
    }

    /// The sender's answer, when the receiver sent `challenge`.
    pub(super) fn answer(
        &self,
        transcript: &blake3::Hasher,
        delta: Block,
        challenge: [u8; CHALLENGE_BYTES],
    ) -> blake3::Hash {
        let d = Block::from_le_bytes(challenge);
        self.digest(transcript, self.value() ^ gf128_dot(&[delta], bytemuck::cast_slice(&[d])))
    }

    /// The answer that the receiver expects.
    pub(super) fn expected(&self, transcript: &blake3::Hasher) -> blake3::Hash {
        self.digest(transcript, self.value())
    }

    /// Begins anew with masks that passed.
    pub(super) fn renew(&mut self, masks: Zeroizing<Vec<Block>>) {
        (self.sum, self.noise, self.masks) = (0, 0, masks);
    }

    fn value(&self) -> Block {
        let powers: [Block; CHECK_COTS] = std::array::from_fn(|j| 1 << j);
        self.sum ^ gf128_dot(&powers, bytemuck::cast_slice(&self.masks))
    }

    fn digest(&self, transcript: &blake3::Hasher, mut value: Block) -> blake3::Hash {
        let digest = transcript.clone().update(b"answer").update(&value.to_le_bytes()).finalize();
        value.zeroize();
        digest
    }
}

impl Drop for Check {
    fn drop(&mut self) {
        self.sum.zeroize();
        self.noise.zeroize();
    }
}

/// The masks wipe themselves; coefficients are public.
impl ZeroizeOnDrop for Check {}
