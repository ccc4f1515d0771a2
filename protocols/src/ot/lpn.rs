//! The public code of learning parity with noise: long pseudorandom vectors from short ones.
//!
//! **Relation.** With A the code, `out += A·base` over F_2, on blocks: what the sender and the receiver each do with their half
//! of `t = q ⊕ c·Δ` gives the same relation of longer vectors, the noise being in the receiver's trees. The lowest bit of a
//! block is the receiver's bit c, so it needs no vector of its own.
//!
//! **After** Yang, Weng, Lan, Zhang, Wang (*Ferret: Fast Extension for Correlated OT with Small Communication*, CCS 2020,
//! ePrint 2020/924): a local code, ten places of `base` per output (with repetition), after Alekhnovich (FOCS 2003). Noise
//! is regular: one place in each stretch of an output vector.
//!
//! **Departures.** The length of `base` is a power of two, as in emp-ot, so a place is the low bits of a 32-bit number of the
//! stream and no bias remains. Numbers are taken in order: output j has numbers 10·j to 10·j + 9.
//!
//! **Security.** The code is public and fixed before the noise is drawn: its stream is AES in counter mode under a key and a
//! start that are hashed from the session, in which every party's fresh entropy is, the pair, the direction and the batch.
//! Addresses depend on the code alone, never on a block.
//!
//! **Cost.** 2.5 AES blocks and ten reads of `base` at random per output: time depends on the cache that `base` fits in.

use mpc_core::fixed_key::Block;
use mpc_core::kernels::{AesCtr, xor_rows};

/// Places of the base that an output is the sum of.
pub(super) const WEIGHT: usize = 10;

/// Outputs whose places are made at a time: they stay in the first-level cache, and few have no hint ahead of them.
const TILE: usize = 512;

/// The rows of the code that are not used yet.
pub(super) struct Code {
    stream: AesCtr,
    numbers: Box<[[u32; WEIGHT]; TILE]>,
}

impl Code {
    /// The code of a public key and start.
    pub(super) fn new(key_and_start: &[u8; 32]) -> Self {
        Self { stream: AesCtr::new(key_and_start), numbers: Box::new([[0; WEIGHT]; TILE]) }
    }

    /// Adds to every block of `out` its sum of blocks of `base`, by the next rows.
    ///
    /// # Panics
    /// If the length of `base` is no power of two.
    pub(super) fn add(&mut self, base: &[Block], out: &mut [Block]) {
        assert!(base.len() <= 1 << 32, "{} places are more than a number names", base.len());
        for tile in out.chunks_mut(TILE) {
            let numbers = &mut self.numbers[..tile.len()];
            self.stream.fill(bytemuck::cast_slice_mut(numbers));
            xor_rows(base, numbers, tile);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(len: usize) -> Vec<Block> {
        (1..=len as u128).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)).collect()
    }

    #[test]
    fn outputs_are_those_of_the_matrix() {
        let (base, outputs) = (base(64), 1000);
        let mut stream = vec![0; outputs * WEIGHT * 4];
        AesCtr::new(&[3; 32]).fill(&mut stream);
        // Row by row and bit by bit, over F_2: places that occur twice cancel.
        let matrix: Vec<[bool; 64]> = stream
            .chunks_exact(4 * WEIGHT)
            .map(|row| {
                let mut bits = [false; 64];
                row.as_chunks().0.iter().for_each(|&n| bits[u32::from_le_bytes(n) as usize % 64] ^= true);
                bits
            })
            .collect();
        let mut whole: Vec<Block> = (0..outputs as u128).collect();
        Code::new(&[3; 32]).add(&base, &mut whole);
        for (j, row) in matrix.iter().enumerate() {
            for bit in 0..128 {
                let sum = (0..64).filter(|&i| row[i] && base[i] >> bit & 1 == 1).count() as u128;
                assert_eq!(whole[j] >> bit & 1, (sum & 1) ^ (j as u128 >> bit & 1), "output {j}, bit {bit}");
            }
        }
        // In pieces the rows go on.
        let (mut pieces, mut code) = ((0..outputs as u128).collect::<Vec<_>>(), Code::new(&[3; 32]));
        let (first, rest) = pieces.split_at_mut(333);
        code.add(&base, first);
        code.add(&base, rest);
        assert_eq!(pieces, whole);
    }

    #[test]
    fn another_key_is_another_code() {
        let [mut x, mut y] = [(); 2].map(|()| vec![0; 100]);
        Code::new(&[1; 32]).add(&base(256), &mut x);
        Code::new(&[2; 32]).add(&base(256), &mut y);
        assert!(x.iter().zip(&y).all(|(x, y)| x != y));
    }

    #[test]
    #[ignore = "a measurement"]
    fn speed() {
        for log in 16..=19 {
            let (base, mut out) = (base(1 << log), vec![0; 1 << 13]);
            let mut code = Code::new(&[0; 32]);
            let best = (0..20).map(|_| {
                let start = std::time::Instant::now();
                (0..20).for_each(|_| code.add(&base, &mut out));
                start.elapsed().as_secs_f64() / 20.0
            });
            let rate = f64::from(1 << 13) / best.fold(f64::MAX, f64::min) / 1e6;
            println!("base of 2^{log} blocks: {rate:.0} M outputs/s");
        }
    }
}
