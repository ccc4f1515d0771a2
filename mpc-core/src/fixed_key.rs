//! Hashing of 128-bit blocks by AES under one public key, for oblivious transfer.
//!
//! With π the permutation AES-128 under a fixed key, after Guo, Katz, Wang, Yu (*Efficient and secure multiparty computation
//! from fixed-key block ciphers*, S&P 2020, ePrint 2019/074):
//! - [`FixedKey::circular`], their MMO after a linear σ: `π(σ(x)) ⊕ σ(x)`, circular correlation robust (§7.3): for trees and
//!   pads where everything hashed is uniform and occurs once;
//! - [`FixedKey::tweakable`], their TMMO: `π(π(x) ⊕ i) ⊕ π(x)`, tweakable circular correlation robust (§7.4): for pads that an
//!   adversary may have influenced, each with a tweak i of its own.
//!
//! Security is in the ideal cipher model; the key is no secret. Constant time: AES instructions and no table.

use aes::Aes128;
use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};
use zeroize::Zeroize;

/// 128 bits of a correlated OT, a tree or a pad: bit i is bit i of the number.
pub type Block = u128;

/// The key: SHA-256 of "subrosa fixed key v1", the first sixteen bytes.
const KEY: [u8; 16] =
    [0x3f, 0x0b, 0x6c, 0xff, 0x04, 0x27, 0xdc, 0xc9, 0x9a, 0x7a, 0x0a, 0x27, 0xbf, 0xb9, 0x9f, 0xac];

/// Blocks that are hashed at a time: a tile stays in the first-level cache.
const TILE: usize = 256;

/// The permutation, ready to be used.
pub struct FixedKey(Aes128);

impl Default for FixedKey {
    fn default() -> Self {
        Self::new()
    }
}

impl FixedKey {
    /// Expands the key.
    #[must_use]
    pub fn new() -> Self {
        Self(Aes128::new(&KEY.into()))
    }

    /// x becomes `π(σ(x)) ⊕ σ(x)`, where σ maps the halves (high, low) to (high ⊕ low, high).
    pub fn circular(&self, blocks: &mut [Block]) {
        let mut image = [0; TILE];
        for tile in blocks.chunks_mut(TILE) {
            tile.iter_mut().for_each(|x| *x = sigma(*x));
            let image = &mut image[..tile.len()];
            image.copy_from_slice(tile);
            self.permute(image);
            tile.iter_mut().zip(image).for_each(|(x, y)| *x ^= *y);
        }
        image.zeroize();
    }

    /// x at place j becomes `π(π(x) ⊕ i) ⊕ π(x)` with i = `first + j`.
    pub fn tweakable(&self, blocks: &mut [Block], first: u128) {
        let mut image = [0; TILE];
        let mut tweak = first;
        for tile in blocks.chunks_mut(TILE) {
            self.permute(tile);
            let image = &mut image[..tile.len()];
            for (y, &x) in image.iter_mut().zip(tile.iter()) {
                *y = x ^ tweak;
                tweak = tweak.wrapping_add(1);
            }
            self.permute(image);
            tile.iter_mut().zip(image).for_each(|(x, y)| *x ^= *y);
        }
        image.zeroize();
    }

    fn permute(&self, blocks: &mut [Block]) {
        self.0.encrypt_blocks(Array::cast_slice_from_core_mut(bytemuck::cast_slice_mut(blocks)));
    }
}

/// Linear, and so is x ↦ σ(x) ⊕ x, and both are permutations.
const fn sigma(x: Block) -> Block {
    let high = x >> 64;
    (high ^ (x & (u64::MAX as u128))) << 64 | high
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn the_key_is_the_hash_of_its_name() {
        assert_eq!(Sha256::digest(b"subrosa fixed key v1")[..16], KEY);
    }

    #[test]
    fn hashes_are_those_of_the_definition() {
        let (hash, cipher) = (FixedKey::new(), Aes128::new(&KEY.into()));
        let pi = |x: Block| {
            let mut block = x.to_le_bytes().into();
            cipher.encrypt_block(&mut block);
            Block::from_le_bytes(block.into())
        };
        let xs: Vec<Block> =
            (0..700).map(|i: u128| i.wrapping_mul(0x1234_5678_9abc_def1_0fed_cba9_8765_4321)).collect();
        let (mut circular, mut tweakable) = (xs.clone(), xs.clone());
        hash.circular(&mut circular);
        hash.tweakable(&mut tweakable, u128::MAX - 5);
        for (j, &x) in xs.iter().enumerate() {
            assert_eq!(circular[j], pi(sigma(x)) ^ sigma(x));
            let tweak = (u128::MAX - 5).wrapping_add(j as u128);
            assert_eq!(tweakable[j], pi(pi(x) ^ tweak) ^ pi(x));
        }
    }
}
