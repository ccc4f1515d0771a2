//! The consistency check against a malicious receiver (Roy, §4: universal hashes of a subspace VOLE).
//!
//! **What is checked.** The receiver's corrections must make the trees agree on one string u. Both parties hash every row of
//! the batch by one random function R, linear over F_2: with u and the receiver's rows v_c, the sender's are
//! w_c = v_c ⊕ Δ_c·u, so R w_c = R v_c ⊕ Δ_c·R u. The receiver sends R u and a hash of all R v_c; the sender compares.
//!
//! **R.** Blocks of 128 columns are elements x_i of GF(2^128); R x = Σ_i χ_i·x_i with uniform χ_i, and 1 for the last
//! block. That last block of columns is made for the check alone and given to nobody: its part of u masks R u. A string that
//! is not zero hashes to zero with probability at most 2^−128.
//!
//! **Departures.** χ comes from the receiver's messages by Fiat–Shamir, so the check takes no round of its own: for every
//! tile from a hash of the setup and of all corrections up to and with this tile's. Strings that differ differ for the last
//! time in some tile, whose χ are drawn after them. What a cheater can try by itself, without the sender seeing it, is another
//! message, at a chance of 2^−115 that two of at most 128 different strings have one hash. The rows' hashes travel as one hash of 32 bytes.
//!
//! **What it gives.** If the trees of all but one class disagree with R u, the cheater must have guessed Δ_j of each of the
//! disagreeing ones: it is caught but for a chance of 2^−k each (2^−(k−1) for the tree of Δ's fixed bit), and then knows these
//! bits, which the ideal functionality allows. The receiver's u stays uniform for the sender, who learns R u under its mask;
//! R v_c follows from what the sender has.
//!
//! **Cost.** 128 more columns and [`PROOF_BYTES`] a batch.

use mpc_core::fixed_key::Block;
use mpc_core::kernels::{AesCtr, gf128_dot};
use zeroize::{Zeroize, Zeroizing};

use super::streams::{ROWS, STRIDE, TILE};

/// R u and the hash of the rows' hashes.
pub(super) const PROOF_BYTES: usize = 16 + 32;

/// Blocks of a tile.
const BLOCKS: usize = TILE / ROWS;

/// The running hashes of one batch.
pub(super) struct Check {
    transcript: blake3::Hasher,
    coefficients: Vec<Block>,
    rows: Zeroizing<Vec<Block>>,
    choices: Zeroizing<Block>,
}

mpc_core::secret_types!(Check);

impl Check {
    /// For the batch from COT number `first` on, after the setup with this digest.
    pub(super) fn new(setup: &[u8; 32], first: u64) -> Self {
        let mut transcript = blake3::Hasher::new_keyed(setup);
        transcript.update(&first.to_le_bytes());
        Self {
            transcript,
            coefficients: Vec::with_capacity(BLOCKS),
            rows: Zeroizing::new(vec![0; ROWS]),
            choices: Zeroizing::new(0),
        }
    }

    /// Draws the coefficients of the next tile, which has these corrections.
    pub(super) fn draw(&mut self, corrections: &[u8], blocks: usize, last: bool) {
        self.transcript.update(corrections);
        let mut bytes = vec![0; 16 * blocks];
        AesCtr::new(self.transcript.finalize().as_slice()).fill(&mut bytes);
        self.coefficients.clear();
        self.coefficients.extend(bytes.as_chunks().0.iter().map(|b| Block::from_le_bytes(*b)));
        if last && let Some(mask) = self.coefficients.last_mut() {
            *mask = 1;
        }
    }

    /// Adds the tile's rows.
    pub(super) fn add_rows(&mut self, rows: &[u64]) {
        let words = 2 * self.coefficients.len();
        for (sum, row) in self.rows.iter_mut().zip(rows.chunks_exact(STRIDE)) {
            *sum ^= gf128_dot(&self.coefficients, &row[..words]);
        }
    }

    /// Adds the tile's part of u.
    pub(super) fn add_choices(&mut self, choices: &[u64]) {
        *self.choices ^= gf128_dot(&self.coefficients, choices);
    }

    /// What the receiver sends.
    pub(super) fn proof(mut self) -> [u8; PROOF_BYTES] {
        let digest = self.digest();
        let mut proof = [0; PROOF_BYTES];
        proof[..16].copy_from_slice(&self.choices.to_le_bytes());
        proof[16..].copy_from_slice(digest.as_bytes());
        proof
    }

    /// Whether the sender, whose rows were added, finds the proof right.
    pub(super) fn verify(mut self, delta: Block, proof: &[u8; PROOF_BYTES]) -> bool {
        let (choices, digest) = proof.split_at(16);
        let choices = Block::from_le_bytes(choices.as_chunks().0[0]);
        for (c, row) in self.rows.iter_mut().enumerate() {
            *row ^= choices & (delta >> c & 1).wrapping_neg();
        }
        // Hashes are compared in constant time.
        self.digest() == *digest
    }

    fn digest(&mut self) -> blake3::Hash {
        self.transcript.update(b"rows");
        for row in self.rows.iter() {
            self.transcript.update(&row.to_le_bytes());
        }
        let digest = self.transcript.finalize();
        self.transcript.zeroize();
        digest
    }
}
