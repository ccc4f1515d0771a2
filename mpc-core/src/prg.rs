//! Pseudorandom streams, one per (seed, session, tag, label, component).
//!
//! The key of a stream is BLAKE3 keyed by the 32-byte seed over the session id, the tag, the component and the label,
//! in fixed-width fields, so no two streams share a key unless all of these agree; a session id carries fresh entropy
//! of every party, so a restart never meets an old stream. The stream itself is AES-128 in counter mode (hardware
//! speed) under 16 bytes of that output with the other 16 as the initial counter.

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::bits::{BitTensor, lane_words};
use crate::kernels::AesCtr;
use crate::ring::Ring;
use crate::secret::SecretBytes;
use crate::tag::{SessionId, Tag};
use crate::tensor::{Tensor, elements};

/// A 32-byte secret that streams are keyed by. Wiped on drop; has no `Debug` and no comparison.
#[derive(Clone)]
pub struct Seed(SecretBytes);

impl Seed {
    /// Takes 32 uniformly random secret bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(SecretBytes::new(bytes))
    }

    /// The bytes, for keying other primitives.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }
}

impl From<SecretBytes> for Seed {
    fn from(bytes: SecretBytes) -> Self {
        Self(bytes)
    }
}

/// The field wipes itself.
impl ZeroizeOnDrop for Seed {}

/// Words of a block of [`Prg::blocks`]: 8 KiB.
const BLOCK_WORDS: usize = 1 << 10;

/// One pseudorandom stream. Its state is wiped on drop.
pub struct Prg(AesCtr);

/// The keystream wipes itself.
impl ZeroizeOnDrop for Prg where AesCtr: ZeroizeOnDrop {}

impl Prg {
    /// The stream named by (seed, session, tag, label, component).
    #[must_use]
    pub fn new(seed: &Seed, session: &SessionId, tag: Tag, label: &'static str, component: u32) -> Self {
        let mut h = blake3::Hasher::new_keyed(seed.expose());
        h.update(b"subrosa/prg/v1\0");
        h.update(&session.0).update(&tag.to_bytes()).update(&component.to_le_bytes());
        h.update(label.as_bytes());
        let mut key = h.finalize();
        let stream = AesCtr::new(key.as_slice());
        key.zeroize();
        h.zeroize();
        Self(stream)
    }

    /// Overwrites `out` with the next bytes of the stream.
    pub fn fill(&mut self, out: &mut [u8]) {
        self.0.fill(out);
    }

    /// Leaves out the next bytes of the stream.
    pub fn skip(&mut self, bytes: u64) {
        self.0.skip(bytes);
    }

    /// The next uniform ring elements.
    #[must_use]
    pub fn tensor<R: Ring>(&mut self, shape: &[usize]) -> Tensor<R> {
        Tensor::from_vec(shape, self.collect(elements(shape)))
    }

    /// The next uniform bits, padding included.
    #[must_use]
    pub fn bits(&mut self, lanes: usize, len: usize) -> BitTensor {
        BitTensor::from_words(lanes, len, self.collect(lanes * lane_words(len)))
    }

    /// Adds the next uniform ring elements to `out`, as [`Prg::tensor`] would give them.
    pub fn add_to<R: Ring>(&mut self, out: &mut [R]) {
        self.combine(out, |a, b| *a += b);
    }

    /// Subtracts the next uniform ring elements from `out`.
    pub fn subtract_from<R: Ring>(&mut self, out: &mut [R]) {
        self.combine(out, |a, b| *a -= b);
    }

    /// A tensor less the next uniform ring elements, in memory of its own: one pass instead of a copy and another.
    #[must_use]
    pub fn subtracted_from<R: Ring>(&mut self, from: &Tensor<R>) -> Tensor<R> {
        Tensor::from_vec(from.shape(), self.combined(from.as_slice(), |a, b| a - b))
    }

    /// A tensor and the next uniform ring elements added up, as [`Prg::subtracted_from`].
    #[must_use]
    pub fn added_to<R: Ring>(&mut self, to: &Tensor<R>) -> Tensor<R> {
        Tensor::from_vec(to.shape(), self.combined(to.as_slice(), |a, b| a + b))
    }

    /// XORs the next uniform bits onto the words of lanes, as [`Prg::bits`] would give them.
    pub fn xor_onto(&mut self, out: &mut [u64]) {
        self.combine(out, |a, b| *a ^= b);
    }

    /// The next `count` elements. Memory that is new is written once, not cleared before.
    fn collect<T: bytemuck::Pod>(&mut self, count: usize) -> Vec<T> {
        let mut out = Vec::with_capacity(count);
        self.blocks(count, |block| out.extend_from_slice(block));
        out
    }

    fn combined<T: bytemuck::Pod>(&mut self, with: &[T], each: impl Fn(T, T) -> T) -> Vec<T> {
        let (mut out, mut rest) = (Vec::with_capacity(with.len()), with);
        self.blocks(with.len(), |block| {
            let (now, after) = rest.split_at(block.len());
            out.extend(now.iter().zip(block).map(|(&a, &b)| each(a, b)));
            rest = after;
        });
        out
    }

    fn combine<T: bytemuck::Pod>(&mut self, out: &mut [T], each: impl Fn(&mut T, T)) {
        let mut rest = out.iter_mut();
        self.blocks(rest.len(), |block| {
            block.iter().zip(&mut rest).for_each(|(&b, a)| each(a, b));
        });
    }

    /// Hands the next `count` elements over in blocks that stay in the first cache.
    fn blocks<T: bytemuck::Pod>(&mut self, count: usize, mut each: impl FnMut(&[T])) {
        let mut block = [0u64; BLOCK_WORDS];
        let used = size_of_val(&block).min(count * size_of::<T>()).div_ceil(size_of::<u64>());
        let mut left = count;
        while left > 0 {
            let part: &mut [T] = bytemuck::cast_slice_mut(&mut block);
            let take = left.min(part.len());
            self.0.fill(bytemuck::cast_slice_mut(&mut part[..take]));
            each(&part[..take]);
            left -= take;
        }
        block[..used].zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::Z64;

    fn stream(seed: u8, session: u8, tag: Tag, label: &'static str, component: u32) -> [u8; 32] {
        let mut out = [0; 32];
        Prg::new(&Seed::new([seed; 32]), &SessionId([session; 32]), tag, label, component).fill(&mut out);
        out
    }

    const TAG: Tag = Tag { lane: 0, node: 1, iteration: 0, round: 0 };

    #[test]
    fn known_answer() {
        // Recomputed outside the project: key and counter from BLAKE3 keyed by 32 bytes of 7, then AES-128 blocks of
        // the counter, counted up as a little-endian 128-bit number.
        let hex: String = stream(7, 9, TAG, "test", 3).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, "b55c1ef152c0a5c29a9c4d43d48c4489c8812a17b78f2b1f93c551f1eda360b3");
    }

    #[test]
    fn every_field_of_the_name_separates_streams() {
        let base = stream(1, 1, TAG, "a", 0);
        let others = [
            stream(2, 1, TAG, "a", 0),
            stream(1, 2, TAG, "a", 0),
            stream(1, 1, Tag { lane: 1, ..TAG }, "a", 0),
            stream(1, 1, Tag { node: 2, ..TAG }, "a", 0),
            stream(1, 1, Tag { iteration: 1, ..TAG }, "a", 0),
            stream(1, 1, Tag { round: 1, ..TAG }, "a", 0),
            stream(1, 1, TAG, "b", 0),
            stream(1, 1, TAG, "a", 1),
        ];
        for (i, o) in others.iter().enumerate() {
            assert_ne!(&base, o, "variant {i}");
        }
        assert_eq!(base, stream(1, 1, TAG, "a", 0));
    }

    #[test]
    fn what_is_added_and_taken_away_is_the_stream() {
        let new = || Prg::new(&Seed::new([3; 32]), &SessionId([4; 32]), TAG, "x", 0);
        for len in [1, BLOCK_WORDS - 1, BLOCK_WORDS, 3 * BLOCK_WORDS + 5] {
            let whole: Tensor<Z64> = new().tensor(&[len]);
            let mut bytes = vec![0; 8 * len];
            new().fill(&mut bytes);
            assert_eq!(whole.as_bytes(), bytes);
            let mut sum = whole.clone();
            new().add_to(sum.as_mut_slice());
            assert_eq!(sum, whole.add(&whole));
            assert_eq!(new().added_to(&whole), sum);
            assert_eq!(new().subtracted_from(&sum), whole);
            new().subtract_from(sum.as_mut_slice());
            assert_eq!(sum, whole);
            let mut bits = new().bits(1, 64 * len);
            assert_eq!(bytemuck::cast_slice::<u64, u8>(bits.words()), bytes);
            new().xor_onto(bits.words_mut());
            assert!(bits.words().iter().all(|&w| w == 0));
        }
    }

    #[test]
    fn pieces_continue_the_stream() {
        let new = || Prg::new(&Seed::new([3; 32]), &SessionId([4; 32]), TAG, "x", 0);
        let whole: Tensor<Z64> = new().tensor(&[10]);
        let mut prg = new();
        let (a, b): (Tensor<Z64>, Tensor<Z64>) = (prg.tensor(&[3]), prg.tensor(&[7]));
        assert_eq!(Tensor::concat(0, &[&a, &b]), whole);
    }
}
