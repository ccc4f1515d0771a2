//! Bit-sliced Boolean tensors: lane i holds one bit of every element, 64 elements to a word, so that one word
//! operation acts on 64 elements. As tensors of ring elements, they are wiped when dropped, whatever they hold.

use std::ops::Range;

use zeroize::Zeroize;

use crate::kernels::bit_slice_u64;
use crate::ring::Ring;
use crate::tensor::Tensor;

/// `lanes` rows of `len` bits, lane-major. Bits beyond `len` in a lane's last word have no meaning and never travel.
#[derive(Clone)]
pub struct BitTensor {
    lanes: usize,
    len: usize,
    words: Vec<u64>,
}

impl Drop for BitTensor {
    fn drop(&mut self) {
        self.words.as_mut_slice().zeroize();
    }
}

/// Words that one lane of `len` bits takes.
#[must_use]
pub const fn lane_words(len: usize) -> usize {
    len.div_ceil(64)
}

/// Bytes that `lanes` lanes of `len` bits take on the wire, packed without gaps.
#[must_use]
pub const fn packed_bytes(lanes: usize, len: usize) -> usize {
    (lanes * len).div_ceil(8)
}

impl BitTensor {
    /// All zeros.
    #[must_use]
    pub fn zeros(lanes: usize, len: usize) -> Self {
        Self { lanes, len, words: vec![0; lanes * lane_words(len)] }
    }

    /// From lane-major words.
    ///
    /// # Panics
    /// If the number of words is not `lanes · ceil(len / 64)`.
    #[must_use]
    pub fn from_words(lanes: usize, len: usize, words: Vec<u64>) -> Self {
        assert_eq!(words.len(), lanes * lane_words(len), "words of a bit tensor");
        Self { lanes, len, words }
    }

    /// The lowest `bits` bits of every element, bit i in lane i.
    #[must_use]
    pub fn slice_of<R: Ring>(values: &[R], bits: usize) -> Self {
        let mut out = Self::zeros(bits, values.len());
        R::bit_slice(values, &mut out.words, lane_words(values.len()), bits);
        out
    }

    /// One lane as ring elements 0 and 1.
    #[must_use]
    pub fn lane_to_ring<R: Ring>(&self, lane: usize) -> Tensor<R> {
        let mut out = Tensor::zeros(&[self.len]);
        R::expand_bits(self.lane(lane), out.as_mut_slice());
        out
    }

    /// The inverse of [`BitTensor::slice_of`]: bit i of every element from lane i.
    ///
    /// # Panics
    /// If there are more than 64 lanes.
    #[must_use]
    pub fn to_ring<R: Ring>(&self) -> Tensor<R> {
        // 64 words of 64 lanes are a square of bits, which transposing twice gives back.
        const SIDE: usize = 64;
        const SQUARES: usize = 8;
        assert!(self.lanes <= SIDE, "{} lanes of one word", self.lanes);
        let mut out = Vec::with_capacity(self.len);
        let (mut lanes, mut elements) = ([0; SIDE * SQUARES], [0; SIDE * SQUARES]);
        let words = lane_words(self.len);
        for first in (0..words).step_by(SQUARES) {
            let squares = SQUARES.min(words - first);
            for lane in 0..self.lanes {
                for (square, &word) in self.lane(lane)[first..first + squares].iter().enumerate() {
                    lanes[SIDE * square + lane] = word;
                }
            }
            bit_slice_u64(&lanes, &mut elements, SQUARES, SIDE);
            for square in 0..squares {
                let left = self.len - SIDE * (first + square);
                let column = elements[square..].iter().step_by(SQUARES);
                out.extend(column.take(left).map(|&word| R::from_u64(word)));
            }
        }
        lanes.zeroize();
        elements.zeroize();
        Tensor::from_vec(&[self.len], out)
    }

    /// Number of lanes.
    #[must_use]
    pub const fn lanes(&self) -> usize {
        self.lanes
    }

    /// Number of elements (bits in a lane).
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether lanes have no bits.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The words of one lane.
    #[must_use]
    pub fn lane(&self, lane: usize) -> &[u64] {
        let w = lane_words(self.len);
        &self.words[lane * w..(lane + 1) * w]
    }

    /// The words of one lane, mutable.
    pub fn lane_mut(&mut self, lane: usize) -> &mut [u64] {
        let w = lane_words(self.len);
        &mut self.words[lane * w..(lane + 1) * w]
    }

    /// All words, lane-major.
    #[must_use]
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// All words, lane-major, mutable.
    pub fn words_mut(&mut self) -> &mut [u64] {
        &mut self.words
    }

    /// One bit.
    #[must_use]
    pub fn bit(&self, lane: usize, element: usize) -> bool {
        (self.lane(lane)[element / 64] >> (element % 64)) & 1 == 1
    }

    /// XORs another tensor of the same dimensions into this one.
    ///
    /// # Panics
    /// If the dimensions differ.
    pub fn xor_assign(&mut self, other: &Self) {
        assert_eq!((self.lanes, self.len), (other.lanes, other.len), "XOR of different dimensions");
        for (a, b) in self.words.iter_mut().zip(&other.words) {
            *a ^= b;
        }
    }

    /// `self[lane] = self[earlier] ∧ bits`.
    ///
    /// # Panics
    /// If `earlier` is not before `lane`.
    pub fn and_earlier(&mut self, lane: usize, earlier: usize, bits: &[u64]) {
        assert!(earlier < lane, "a lane before the one that is written");
        let w = lane_words(self.len);
        let (before, from) = self.words.split_at_mut(lane * w);
        for ((o, a), b) in from[..w].iter_mut().zip(&before[earlier * w..]).zip(bits) {
            *o = a & b;
        }
    }

    /// Appends the bits, lane after lane without gaps, to `out`; the last byte is padded with zeros.
    pub fn pack_into(&self, out: &mut Vec<u8>) {
        out.reserve(packed_bytes(self.lanes, self.len));
        if self.len.is_multiple_of(64) {
            out.extend_from_slice(bytemuck::cast_slice(&self.words));
            return;
        }
        self.pack_lanes_into(0..self.lanes, out);
    }

    /// As [`BitTensor::pack_into`], for some of the lanes.
    pub fn pack_lanes_into(&self, lanes: Range<usize>, out: &mut Vec<u8>) {
        out.reserve(packed_bytes(lanes.len(), self.len));
        if self.len.is_multiple_of(8) {
            // Lanes begin and end at bytes.
            for lane in lanes {
                let bytes: &[u8] = bytemuck::cast_slice(self.lane(lane));
                out.extend_from_slice(&bytes[..self.len / 8]);
            }
            return;
        }
        let (mut acc, mut held) = (0u128, 0u32);
        for lane in lanes {
            let mut left = self.len;
            for &w in self.lane(lane) {
                let take = left.min(64);
                left -= take;
                let w = if take == 64 { w } else { w & ((1 << take) - 1) };
                acc |= u128::from(w) << held;
                held += take as u32;
                if held >= 64 {
                    out.extend_from_slice(&(acc as u64).to_le_bytes());
                    acc >>= 64;
                    held -= 64;
                }
            }
        }
        let tail = (held as usize).div_ceil(8);
        out.extend_from_slice(&(acc as u64).to_le_bytes()[..tail]);
    }

    /// The inverse of [`BitTensor::pack_into`]; `None` if the length is wrong or a padding bit is set.
    #[must_use]
    pub fn unpack(lanes: usize, len: usize, bytes: &[u8]) -> Option<Self> {
        if bytes.len() != packed_bytes(lanes, len) {
            return None;
        }
        if len.is_multiple_of(64) {
            return Some(Self { lanes, len, words: bytemuck::allocation::pod_collect_to_vec(bytes) });
        }
        if len.is_multiple_of(8) {
            let mut words = Vec::with_capacity(lanes * lane_words(len));
            for lane in bytes.chunks(len / 8) {
                let (whole, rest) = lane.as_chunks();
                words.extend(whole.iter().map(|&word| u64::from_le_bytes(word)));
                if !rest.is_empty() {
                    let mut last = [0; 8];
                    last[..rest.len()].copy_from_slice(rest);
                    words.push(u64::from_le_bytes(last));
                }
            }
            return Some(Self { lanes, len, words });
        }
        let mut out = Self::zeros(lanes, len);
        let (mut acc, mut held, mut input) = (0u128, 0u32, bytes.chunks(8));
        for lane in 0..lanes {
            let mut left = len;
            for w in out.lane_mut(lane) {
                let take = left.min(64);
                left -= take;
                if (held as usize) < take {
                    let mut word = [0; 8];
                    let chunk = input.next()?;
                    word[..chunk.len()].copy_from_slice(chunk);
                    acc |= u128::from(u64::from_le_bytes(word)) << held;
                    held += 8 * chunk.len() as u32;
                }
                *w = if take == 64 { acc as u64 } else { acc as u64 & ((1 << take) - 1) };
                acc >>= take;
                held = held.checked_sub(take as u32)?;
            }
        }
        (acc == 0).then_some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::{Z8, Z64};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn packing_round_trips(lanes in 0usize..9, len in 0usize..200, seed: u64) {
            let mut x = seed | 1;
            let words = (0..lanes * lane_words(len)).map(|_| { x = x.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31); x }).collect();
            let t = BitTensor::from_words(lanes, len, words);
            let mut bytes = vec![];
            t.pack_into(&mut bytes);
            prop_assert_eq!(bytes.len(), packed_bytes(lanes, len));
            let back = BitTensor::unpack(lanes, len, &bytes).unwrap();
            for l in 0..lanes { for i in 0..len { prop_assert_eq!(t.bit(l, i), back.bit(l, i)); } }
            prop_assert!(BitTensor::unpack(lanes, len + 8, &bytes).is_none() || lanes == 0);
        }

        #[test]
        fn slices_hold_the_bits(values in proptest::collection::vec(any::<u64>(), 0..150)) {
            let z: Vec<Z64> = values.iter().map(|&v| Z64(v)).collect();
            let t = BitTensor::slice_of(&z, 64);
            for (i, v) in values.iter().enumerate() { for b in 0..64 { prop_assert_eq!(t.bit(b, i), v >> b & 1 == 1); } }
            let back: Tensor<Z64> = t.to_ring();
            prop_assert_eq!(back.as_slice(), &z[..]);
            let small: Vec<Z8> = values.iter().map(|&v| Z8(v as u8)).collect();
            let t = BitTensor::slice_of(&small, 8);
            let back: Tensor<Z8> = t.to_ring();
            prop_assert_eq!(back.as_slice(), &small[..]);
            for (i, v) in values.iter().enumerate() { for b in 0..8 { prop_assert_eq!(t.bit(b, i), v >> b & 1 == 1); } }
            if !values.is_empty() {
                let lane: Tensor<Z8> = t.lane_to_ring(3);
                for (i, v) in values.iter().enumerate() { prop_assert_eq!(lane.as_slice()[i], Z8((v >> 3 & 1) as u8)); }
            }
        }
    }

    #[test]
    fn some_lanes_are_the_lowest_bits_of_many_elements() {
        let values: Vec<Z64> = (0..1301u64).map(|v| Z64(v.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
        for bits in [0, 1, 16, 63] {
            let low: Vec<Z64> = values.iter().map(|v| Z64(v.0 & ((1 << bits) - 1))).collect();
            assert_eq!(BitTensor::slice_of(&values, bits).to_ring::<Z64>().as_slice(), low, "{bits}");
        }
    }

    #[test]
    fn lanes_are_products_of_earlier_ones() {
        let mut t = BitTensor::from_words(3, 100, vec![0b1101, 7, 1, 1, 9, 9]);
        t.and_earlier(2, 0, &[0b0111, 2]);
        assert_eq!(t.words(), [0b1101, 7, 1, 1, 0b0101, 2]);
    }

    #[test]
    fn set_padding_is_refused() {
        assert!(BitTensor::unpack(1, 3, &[0b1000]).is_none());
        assert!(BitTensor::unpack(1, 3, &[0b0101]).is_some());
    }
}
