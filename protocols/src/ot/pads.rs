//! From correlated OTs to random ones: one-time pads of which the receiver has one of two.
//!
//! **Relation.** Of COT i with q, Δ, c and t = q ⊕ c·Δ the sender has the pads H(q, i) and H(q ⊕ Δ, i), the receiver H(t, i):
//! the one its choice says.
//!
//! **Hash.** H(x, i) = π(π(x) ⊕ i) ⊕ π(x), [`FixedKey::tweakable`] (Guo, Katz, Wang, Yu, S&P 2020, ePrint 2019/074, §7.4), where i
//! is the COT's number among all of its pair, direction and session ([`SentCots::first`]); 64-bit pads are its low half.
//!
//! **Security.** The pad that the receiver does not have is H of its t ⊕ Δ, uniform to whoever does not know Δ because H is
//! tweakable correlation robust. The tweak keeps that true when a malicious receiver arranged for equal t in several COTs, which
//! the extension's check does not keep it from: without tweaks their pads would be equal too. COTs are consumed, so
//! nothing is hashed twice; other pairs and directions have another, independent Δ.
//!
//! **Cost.** Nothing is sent. Two fixed-key AES for each pad.

use std::mem;

use mpc_core::fixed_key::{Block, FixedKey};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::extension::{ReceivedCots, SentCots};
use super::wipe;

/// Pads hashed at a time: a tile stays in the first-level cache.
const TILE: usize = 1024;

/// What a pad may be: the hash or its low half.
pub trait Pad: Copy + Default + private::Sealed {
    /// From the whole hash.
    fn from_hash(hash: Block) -> Self;
}

impl Pad for u128 {
    fn from_hash(hash: Block) -> Self {
        hash
    }
}

impl Pad for u64 {
    fn from_hash(hash: Block) -> Self {
        hash as Self
    }
}

mod private {
    pub trait Sealed {}
    impl Sealed for u64 {}
    impl Sealed for u128 {}
}

/// Both pads of every OT. Wiped on drop.
pub struct SentPads<P: Pad> {
    /// The pads of choice 0.
    pub zero: Vec<P>,
    /// The pads of choice 1.
    pub one: Vec<P>,
}

/// The chosen pad of every OT. Wiped on drop.
pub struct ReceivedPads<P: Pad> {
    /// As in [`ReceivedCots::choices`].
    pub choices: Vec<u64>,
    /// The pads.
    pub chosen: Vec<P>,
}

impl<P: Pad> Drop for SentPads<P> {
    fn drop(&mut self) {
        wipe(&mut self.zero);
        wipe(&mut self.one);
    }
}

impl<P: Pad> Drop for ReceivedPads<P> {
    fn drop(&mut self) {
        wipe(&mut self.choices);
        wipe(&mut self.chosen);
    }
}

impl<P: Pad> ZeroizeOnDrop for SentPads<P> {}
impl<P: Pad> ZeroizeOnDrop for ReceivedPads<P> {}

mpc_core::secret_types!(SentPads<u64>, ReceivedPads<u64>);

/// The sender's pads.
#[must_use]
pub fn sent<P: Pad>(hash: &FixedKey, cots: SentCots) -> SentPads<P> {
    let pads = |offset| hashed(hash, &cots.q, offset, cots.first);
    SentPads { zero: pads(0), one: pads(cots.delta) }
}

/// The receiver's pads.
#[must_use]
pub fn received<P: Pad>(hash: &FixedKey, mut cots: ReceivedCots) -> ReceivedPads<P> {
    let chosen = hashed(hash, &cots.t, 0, cots.first);
    ReceivedPads { choices: mem::take(&mut cots.choices), chosen }
}

/// H(x ⊕ `offset`, i) of all blocks x, numbered from `first`.
fn hashed<P: Pad>(hash: &FixedKey, blocks: &[Block], offset: Block, first: u64) -> Vec<P> {
    let mut pads = Vec::with_capacity(blocks.len());
    let mut tile = [0; TILE];
    for chunk in blocks.chunks(TILE) {
        let tile = &mut tile[..chunk.len()];
        tile.iter_mut().zip(chunk).for_each(|(y, x)| *y = x ^ offset);
        hash.tweakable(tile, u128::from(first) + pads.len() as u128);
        pads.extend(tile.iter().map(|&y| P::from_hash(y)));
    }
    tile.zeroize();
    pads
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cots() -> (SentCots, ReceivedCots) {
        let mix = |i: u128| i.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c834).rotate_left(77);
        let delta = mix(99) | 1;
        let q: Vec<Block> = (0..3000).map(mix).collect();
        let choices: Vec<u64> = (0..47).map(|i| mix(1000 + i) as u64).collect();
        let c = |i: usize| u128::from(choices[i / 64] >> (i % 64) & 1);
        let t = q.iter().enumerate().map(|(i, &q)| q ^ delta & c(i).wrapping_neg()).collect();
        (SentCots { delta, q, first: u64::MAX - 1500 }, ReceivedCots { choices, t, first: u64::MAX - 1500 })
    }

    #[test]
    fn the_receiver_has_the_chosen_pad_and_not_the_other() {
        let hash = FixedKey::new();
        let (s, r) = cots();
        let (pads, chosen) = (sent::<u128>(&hash, s), received::<u128>(&hash, r));
        for i in 0..3000 {
            let (mine, other) = match chosen.choices[i / 64] >> (i % 64) & 1 {
                0 => (pads.zero[i], pads.one[i]),
                _ => (pads.one[i], pads.zero[i]),
            };
            assert_eq!(chosen.chosen[i], mine);
            assert_ne!(chosen.chosen[i], other);
        }
    }

    #[test]
    fn short_pads_are_the_low_halves() {
        let hash = FixedKey::new();
        let long = sent::<u128>(&hash, cots().0);
        let short = sent::<u64>(&hash, cots().0);
        assert!(long.zero.iter().zip(&short.zero).all(|(l, s)| *l as u64 == *s));
        assert!(long.one.iter().zip(&short.one).all(|(l, s)| *l as u64 == *s));
    }

    #[test]
    fn every_pad_is_the_hash_with_the_number_of_its_cot() {
        let hash = FixedKey::new();
        let (s, _) = cots();
        let (q, delta, first) = (s.q.clone(), s.delta, u128::from(s.first));
        let pads = sent::<u128>(&hash, s);
        for i in [0, 1, 1023, 1024, 1501, 2999] {
            let mut one = [q[i] ^ delta];
            hash.tweakable(&mut one, first + i as u128);
            assert_eq!(pads.one[i], one[0], "pad {i}");
        }
    }

    /// Equal blocks, as a malicious receiver could arrange them, have unrelated pads.
    #[test]
    fn equal_blocks_have_different_pads() {
        let cots = ReceivedCots { choices: vec![0], t: vec![5; 10], first: 7 };
        let pads = received::<u64>(&FixedKey::new(), cots).chosen.clone();
        let distinct: std::collections::HashSet<_> = pads.iter().collect();
        assert_eq!(distinct.len(), 10);
    }
}
