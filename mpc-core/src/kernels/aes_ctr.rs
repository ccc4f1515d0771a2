//! AES-128 in counter mode as a plain keystream: the bulk of all correlated randomness comes from here.
//!
//! Block i of the stream is AES(key, (start + i) as a little-endian 128-bit number), as the `ctr` crate's `Ctr128LE` has
//! it. Where the processor has VAES, sixteen or thirty-two blocks are in flight at a time and are written straight to
//! where they are wanted; elsewhere the `aes` crate does the same work, and tests hold the two to each other.
//!
//! Constant time: AES instructions and no table; the counter is public. Round keys and the buffered block are wiped on
//! drop.

use aes::Aes128;
use aes::cipher::{KeyIvInit, StreamCipher, StreamCipherSeek};
use zeroize::{Zeroize, ZeroizeOnDrop};

#[cfg(target_arch = "x86_64")]
use super::vaes::Vaes;

const BLOCK: usize = 16;

/// A keystream.
pub struct AesCtr(Engine);

enum Engine {
    /// In a box as the other: moving a stream leaves no copy of its key.
    Portable(Box<ctr::Ctr128LE<Aes128>>),
    #[cfg(target_arch = "x86_64")]
    Vector(Box<Vector>),
}

#[cfg(target_arch = "x86_64")]
struct Vector {
    unit: Vaes,
    round_keys: [[u8; BLOCK]; 11],
    /// Of the next block.
    counter: u128,
    /// The last block, of which `left` bytes at the end are not given out yet.
    held: [u8; BLOCK],
    left: usize,
}

crate::secret_types!(AesCtr, Engine);
#[cfg(target_arch = "x86_64")]
crate::secret_types!(Vector);

impl AesCtr {
    /// The stream of a key and a start of 16 bytes each: its first block encrypts the start, read as a little-endian
    /// number.
    ///
    /// # Panics
    /// If there are not 32 bytes.
    #[must_use]
    pub fn new(key_and_start: &[u8]) -> Self {
        let (key, start) = halves(key_and_start);
        #[cfg(target_arch = "x86_64")]
        if let Some(unit) = Vaes::detect() {
            let (round_keys, counter) = (unit.expand_key(key), u128::from_le_bytes(*start));
            let vector = Vector { unit, round_keys, counter, held: [0; BLOCK], left: 0 };
            return Self(Engine::Vector(Box::new(vector)));
        }
        Self::portable(key_and_start)
    }

    /// As [`AesCtr::new`], without the processor's wide units.
    fn portable(key_and_start: &[u8]) -> Self {
        let (key, start) = halves(key_and_start);
        Self(Engine::Portable(Box::new(ctr::Ctr128LE::new(key.into(), start.into()))))
    }

    /// Overwrites `out` with the next bytes of the stream.
    pub fn fill(&mut self, out: &mut [u8]) {
        match &mut self.0 {
            Engine::Portable(stream) => {
                out.fill(0);
                stream.apply_keystream(out);
            }
            #[cfg(target_arch = "x86_64")]
            Engine::Vector(vector) => vector.fill(out),
        }
    }

    /// Leaves out the next `bytes` bytes of the stream, at the cost of a block at most.
    pub fn skip(&mut self, bytes: u64) {
        match &mut self.0 {
            Engine::Portable(stream) => {
                let at: u128 = stream.current_pos();
                stream.seek(at + u128::from(bytes));
            }
            #[cfg(target_arch = "x86_64")]
            Engine::Vector(vector) => vector.skip(bytes),
        }
    }
}

fn halves(bytes: &[u8]) -> (&[u8; BLOCK], &[u8; BLOCK]) {
    let [key, start] = bytes.as_chunks().0 else { panic!("expected a key and a start of 16 bytes each") };
    (key, start)
}

#[cfg(target_arch = "x86_64")]
impl Vector {
    fn fill(&mut self, out: &mut [u8]) {
        let (head, rest) = out.split_at_mut(self.left.min(out.len()));
        let from = BLOCK - self.left;
        head.copy_from_slice(&self.held[from..from + head.len()]);
        self.left -= head.len();
        let (blocks, tail) = rest.as_chunks_mut::<BLOCK>();
        self.blocks(blocks);
        if !tail.is_empty() {
            let mut last = [[0; BLOCK]];
            self.blocks(&mut last);
            self.held = last[0];
            last.zeroize();
            tail.copy_from_slice(&self.held[..tail.len()]);
            self.left = BLOCK - tail.len();
        }
    }

    fn skip(&mut self, bytes: u64) {
        let held = (self.left as u64).min(bytes);
        self.left -= held as usize;
        let rest = bytes - held;
        self.counter = self.counter.wrapping_add(u128::from(rest / BLOCK as u64));
        let mut part = [0; BLOCK];
        self.fill(&mut part[..(rest % BLOCK as u64) as usize]);
        part.zeroize();
    }

    fn blocks(&mut self, mut out: &mut [[u8; BLOCK]]) {
        while !out.is_empty() {
            // The wide units add to the low word alone: a run ends where that would carry, once in 2^64 blocks.
            let until_carry = u64::MAX - self.counter as u64;
            let run = out.len().min(usize::try_from(until_carry).unwrap_or(usize::MAX).saturating_add(1));
            let (now, later) = out.split_at_mut(run);
            self.unit.encrypt_counters(&self.round_keys, self.counter, now);
            self.counter = self.counter.wrapping_add(run as u128);
            out = later;
        }
    }
}

/// Either engine wipes itself.
impl ZeroizeOnDrop for AesCtr where ctr::Ctr128LE<Aes128>: ZeroizeOnDrop {}

#[cfg(target_arch = "x86_64")]
impl Drop for Vector {
    fn drop(&mut self) {
        self.round_keys.zeroize();
        self.held.zeroize();
        self.counter.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn taken(mut stream: AesCtr, pieces: &[usize]) -> Vec<u8> {
        let mut out = Vec::new();
        for &piece in pieces {
            let at = out.len();
            out.resize(at + piece, 0xee);
            stream.fill(&mut out[at..]);
        }
        out
    }

    /// FIPS 197, appendix C.1: the block is the counter.
    #[test]
    fn the_standards_vector() {
        let key: [u8; 16] = std::array::from_fn(|i| i as u8);
        let block: [u8; 16] = std::array::from_fn(|i| 0x11 * i as u8);
        let expected = "69c4e0d86a7b0430d8cdb78070b4c55a";
        let name = [key, block].concat();
        for stream in [AesCtr::new(&name), AesCtr::portable(&name)] {
            let hex: String = taken(stream, &[16]).iter().map(|b| format!("{b:02x}")).collect();
            assert_eq!(hex, expected);
        }
    }

    #[test]
    fn carries_reach_every_byte_of_the_counter() {
        for start in [u128::MAX - 3, u128::from(u64::MAX) - 40, (7 << 64) - 2, (1 << 96) - 70] {
            let name = [[3; 16], start.to_le_bytes()].concat();
            let pieces = [5, 11, 1000, 3000, 1];
            assert_eq!(taken(AesCtr::new(&name), &pieces), taken(AesCtr::portable(&name), &pieces));
        }
    }

    #[test]
    fn what_is_skipped_is_left_out_and_nothing_else() {
        let name = [[5; 16], (u128::from(u64::MAX) - 3).to_le_bytes()].concat();
        let whole = taken(AesCtr::portable(&name), &[1000]);
        for (first, skipped) in [(0, 0), (0, 16), (0, 5), (3, 13), (3, 14), (7, 400), (16, 333), (20, 1)] {
            for mut stream in [AesCtr::new(&name), AesCtr::portable(&name)] {
                stream.fill(&mut vec![0; first]);
                stream.skip(skipped as u64);
                let mut rest = [0; 100];
                stream.fill(&mut rest);
                assert_eq!(rest, whole[first + skipped..][..100], "{first} taken, {skipped} skipped");
            }
        }
    }

    proptest! {
        #[test]
        fn the_paths_agree_however_the_stream_is_cut(
            name: [u8; 32],
            pieces in proptest::collection::vec(0usize..1200, 0..6),
        ) {
            let portable = taken(AesCtr::portable(&name), &pieces);
            prop_assert_eq!(taken(AesCtr::new(&name), &pieces), portable);
        }
    }
}
