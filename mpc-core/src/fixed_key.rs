//! Hashing of 128-bit blocks by AES under one public key, for oblivious transfer.
//!
//! With π the permutation AES-128 under a fixed key, after Guo, Katz, Wang, Yu (*Efficient and secure multiparty computation
//! from fixed-key block ciphers*, S&P 2020, ePrint 2019/074):
//! - [`FixedKey::circular`], their MMO after a linear σ: `π(σ(x)) ⊕ σ(x)`, circular correlation robust (§7.3): for trees and
//!   pads where everything hashed is uniform and occurs once;
//! - [`FixedKey::tweakable`], their TMMO: `π(π(x) ⊕ i) ⊕ π(x)`, tweakable circular correlation robust (§7.4): for pads that an
//!   adversary may have influenced, each with a tweak i of its own.
//!
//! Security is in the ideal cipher model; the key is no secret. Constant time: AES instructions and no table. Where the
//! processor has VAES and AVX-512, 32 blocks are in flight at a time; elsewhere the `aes` crate does the same work, and tests
//! hold the two to each other.

use aes::Aes128;
use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};
use zeroize::Zeroize;

#[cfg(target_arch = "x86_64")]
use crate::kernels::VaesHash;

/// 128 bits of a correlated OT, a tree or a pad: bit i is bit i of the number.
pub type Block = u128;

/// The key: SHA-256 of "subrosa fixed key v1", the first sixteen bytes.
const KEY: [u8; 16] =
    [0x3f, 0x0b, 0x6c, 0xff, 0x04, 0x27, 0xdc, 0xc9, 0x9a, 0x7a, 0x0a, 0x27, 0xbf, 0xb9, 0x9f, 0xac];

/// Blocks that are hashed at a time: a tile stays in the first-level cache.
const TILE: usize = 256;

/// The permutation, ready to be used.
pub struct FixedKey {
    cipher: Aes128,
    #[cfg(target_arch = "x86_64")]
    wide: Option<VaesHash>,
}

impl Default for FixedKey {
    fn default() -> Self {
        Self::new()
    }
}

impl FixedKey {
    /// Expands the key.
    #[must_use]
    pub fn new() -> Self {
        Self {
            cipher: Aes128::new(&KEY.into()),
            #[cfg(target_arch = "x86_64")]
            wide: VaesHash::detect(&KEY),
        }
    }

    /// As [`FixedKey::new`], without the processor's wide units.
    #[cfg(test)]
    fn portable() -> Self {
        Self {
            #[cfg(target_arch = "x86_64")]
            wide: None,
            ..Self::new()
        }
    }

    /// x becomes `π(σ(x)) ⊕ σ(x)`, where σ maps the halves (high, low) to (high ⊕ low, high).
    pub fn circular(&self, blocks: &mut [Block]) {
        #[cfg(target_arch = "x86_64")]
        if let Some(wide) = &self.wide {
            return wide.circular(blocks);
        }
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
        #[cfg(target_arch = "x86_64")]
        if let Some(wide) = &self.wide {
            return wide.tweakable(blocks, first);
        }
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

    /// One level of a correlated tree: the first half of `nodes` are parents p. Their left children, the circular hash h of
    /// p, take their places, and the right ones, p ⊕ h, the second half. Returns the sum of the left children.
    ///
    /// # Panics
    /// If there is an odd number of nodes.
    pub fn split(&self, nodes: &mut [Block]) -> Block {
        #[cfg(target_arch = "x86_64")]
        if let Some(wide) = &self.wide {
            return wide.split(nodes);
        }
        assert!(nodes.len().is_multiple_of(2), "parents and as many places for children");
        let (left, right) = nodes.split_at_mut(nodes.len() / 2);
        right.copy_from_slice(left);
        self.circular(left);
        let mut sum = 0;
        for (x, y) in left.iter().zip(right) {
            *y ^= x;
            sum ^= x;
        }
        sum
    }

    fn permute(&self, blocks: &mut [Block]) {
        self.cipher.encrypt_blocks(Array::cast_slice_from_core_mut(bytemuck::cast_slice_mut(blocks)));
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
        let cipher = Aes128::new(&KEY.into());
        let pi = |x: Block| {
            let mut block = x.to_le_bytes().into();
            cipher.encrypt_block(&mut block);
            Block::from_le_bytes(block.into())
        };
        let first = u128::MAX - 5;
        for hash in [FixedKey::new(), FixedKey::portable()] {
            for count in (0..70).chain([700]) {
                let xs = blocks(count);
                let (mut circular, mut tweakable) = (xs.clone(), xs.clone());
                hash.circular(&mut circular);
                hash.tweakable(&mut tweakable, first);
                for (j, &x) in xs.iter().enumerate() {
                    assert_eq!(circular[j], pi(sigma(x)) ^ sigma(x), "{j} of {count}");
                    let tweak = first.wrapping_add(j as u128);
                    assert_eq!(tweakable[j], pi(pi(x) ^ tweak) ^ pi(x), "{j} of {count}");
                }
            }
        }
    }

    #[test]
    fn tweaks_carry_into_the_high_word() {
        let xs = blocks(200);
        for first in [(7 << 64) - 90, (1 << 64) - 32, (1 << 64) - 31, (5 << 64) + 3] {
            let (mut wide, mut portable) = (xs.clone(), xs.clone());
            FixedKey::new().tweakable(&mut wide, first);
            FixedKey::portable().tweakable(&mut portable, first);
            assert_eq!(wide, portable);
        }
    }

    #[test]
    fn children_add_up_to_their_parents() {
        for hash in [FixedKey::new(), FixedKey::portable()] {
            for count in (0..70).chain([512]) {
                let parents = blocks(count);
                let mut left = parents.clone();
                hash.circular(&mut left);
                let mut nodes = parents.clone();
                nodes.resize(2 * count, 77);
                let sum = hash.split(&mut nodes);
                assert_eq!(nodes[..count], left);
                assert!((0..count).all(|j| nodes[j] ^ nodes[count + j] == parents[j]));
                assert_eq!(sum, left.iter().fold(0, |sum, x| sum ^ x));
            }
        }
    }

    fn blocks(count: usize) -> Vec<Block> {
        (0..count as u128).map(|i| i.wrapping_mul(0x1234_5678_9abc_def1_0fed_cba9_8765_4321)).collect()
    }

    /// Throughput in the second-level cache; printed, and not a matter of pass or fail.
    #[test]
    #[ignore = "a measurement"]
    fn speed() {
        let hash = FixedKey::new();
        let mut xs = blocks(4096);
        let mut time = |what, blocks: usize, f: &mut dyn FnMut(&mut [Block])| {
            let best = (0..50).map(|_| {
                let start = std::time::Instant::now();
                (0..20).for_each(|_| f(&mut xs));
                start.elapsed().as_secs_f64() / 20.0
            });
            let best = best.fold(f64::MAX, f64::min);
            println!("{what}: {:.0} M blocks/s", blocks as f64 / best / 1e6);
        };
        time("circular", 4096, &mut |xs| hash.circular(xs));
        time("tweakable", 4096, &mut |xs| hash.tweakable(xs, 5));
        time("split", 4096, &mut |xs| assert_ne!(hash.split(xs), 0));
    }
}
