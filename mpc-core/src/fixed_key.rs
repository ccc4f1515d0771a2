//! Hashing of 128-bit blocks by AES under a public key, for oblivious transfer.
//!
//! With π the permutation AES-128 under a fixed key, after Guo, Katz, Wang, Yu (*Efficient and secure multiparty computation
//! from fixed-key block ciphers*, S&P 2020, ePrint 2019/074):
//! - [`FixedKey::circular`], their MMO after a linear σ: `π(σ(x)) ⊕ σ(x)`, circular correlation robust (§7.3): for trees and
//!   pads where everything hashed is uniform and occurs once;
//! - [`FixedKey::tweakable`], their TMMO: `π(π(x) ⊕ i) ⊕ π(x)`, tweakable circular correlation robust (§7.4): for pads that an
//!   adversary may have influenced, each with a tweak i of its own.
//!
//! Security is in the ideal cipher model; the key is no secret. It is not the same everywhere, though: who knows C images under
//! one key finds a secret that they share with 2^128/C trials of the permutation, and could prepare them once for all (Guo, Katz,
//! Wang, Weng, Yu, *Better concrete security for half-gates garbling*, CRYPTO 2020, ePrint 2019/1168). So every key is derived for one
//! use ([`FixedKey::derived`]), and the two hashes never share one. Constant time: AES instructions and no table. Where the
//! processor has VAES and AVX-512, 32 blocks are in flight at a time; elsewhere the `aes` crate does the same work, and tests
//! hold the two to each other.

use aes::Aes128;
use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};
use zeroize::Zeroize;

#[cfg(target_arch = "x86_64")]
use crate::kernels::VaesHash;
use crate::party::PartyId;
use crate::tag::SessionId;

/// 128 bits of a correlated OT, a tree or a pad: bit i is bit i of the number.
pub type Block = u128;

/// Blocks that are hashed at a time: a tile stays in the first-level cache.
const TILE: usize = 256;

/// The permutation, ready to be used.
pub struct FixedKey {
    cipher: Aes128,
    #[cfg(target_arch = "x86_64")]
    wide: Option<VaesHash>,
}

impl FixedKey {
    /// The permutation of one use: what it is for, in which session, between whom, and the how-manieth of these.
    #[must_use]
    pub fn derived(
        label: &'static str,
        session: &SessionId,
        from: PartyId,
        to: PartyId,
        number: u128,
    ) -> Self {
        let mut h = blake3::Hasher::new_derive_key("subrosa permutation v1");
        h.update(&session.0).update(&number.to_le_bytes()).update(&[from.index() as u8, to.index() as u8]);
        h.update(label.as_bytes());
        let mut key = [0; 16];
        h.finalize_xof().fill(&mut key);
        Self::keyed(key)
    }

    /// The permutation under a given key.
    #[must_use]
    pub fn keyed(key: [u8; 16]) -> Self {
        Self {
            cipher: Aes128::new(&key.into()),
            #[cfg(target_arch = "x86_64")]
            wide: VaesHash::detect(&key),
        }
    }

    /// As [`FixedKey::keyed`], without the processor's wide units.
    #[cfg(test)]
    fn portable(key: [u8; 16]) -> Self {
        Self {
            #[cfg(target_arch = "x86_64")]
            wide: None,
            ..Self::keyed(key)
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
    use super::*;

    const KEY: [u8; 16] = *b"public test key.";

    #[test]
    fn every_use_has_a_permutation_of_its_own() {
        let image = |label, session: u8, from, to, number: u128| {
            let mut x = [5];
            let [from, to] = [from, to].map(PartyId::new);
            FixedKey::derived(label, &SessionId([session; 32]), from, to, number).circular(&mut x);
            x[0]
        };
        let uses = [
            image("pads", 1, 0, 1, 7),
            image("tree", 1, 0, 1, 7),
            image("pads", 2, 0, 1, 7),
            image("pads", 1, 1, 0, 7),
            image("pads", 1, 0, 2, 7),
            image("pads", 1, 0, 1, 8),
            image("pads", 1, 0, 1, 7 + (1 << 64)),
        ];
        for (i, a) in uses.iter().enumerate() {
            assert!(uses[..i].iter().all(|b| a != b), "use {i} shares a permutation");
        }
        assert_eq!(uses[0], image("pads", 1, 0, 1, 7));
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
        for hash in [FixedKey::keyed(KEY), FixedKey::portable(KEY)] {
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
            FixedKey::keyed(KEY).tweakable(&mut wide, first);
            FixedKey::portable(KEY).tweakable(&mut portable, first);
            assert_eq!(wide, portable);
        }
    }

    #[test]
    fn children_add_up_to_their_parents() {
        for hash in [FixedKey::keyed(KEY), FixedKey::portable(KEY)] {
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
        let hash = FixedKey::keyed(KEY);
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
