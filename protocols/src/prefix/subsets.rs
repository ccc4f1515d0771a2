//! Products of public lanes over all subsets, a few hundred words at a time so that they stay in cache.

use std::ops::Range;

use mpc_core::share::BitSharing;

/// Words of a lane that are worked on at a time: the subsets of four lanes take half of the first cache.
const CHUNK: usize = 128;

/// Ranges of at most [`CHUNK`] words that cover `words`.
pub(crate) fn chunks(words: usize) -> impl Iterator<Item = Range<usize>> {
    (0..words).step_by(CHUNK).map(move |start| start..words.min(start + CHUNK))
}

/// ANDs of all subsets of a few public lanes. The buffer is used again.
#[derive(Default)]
pub(crate) struct Subsets {
    products: Vec<u64>,
    words: usize,
}

impl Subsets {
    /// Fills the table for these lanes, each of `words` words; the i-th is bit i of a set.
    pub(crate) fn fill<'a>(&mut self, words: usize, lanes: impl Iterator<Item = &'a [u64]>) {
        self.words = words;
        self.products.clear();
        // The empty product is never read: `of` says so.
        self.products.resize(words, 0);
        for lane in lanes {
            let known = self.products.len();
            self.products.extend_from_slice(lane);
            for from in (words..known).step_by(words.max(1)) {
                let at = self.products.len();
                self.products.extend_from_within(from..from + words);
                for (p, l) in self.products[at..].iter_mut().zip(lane) {
                    *p &= l;
                }
            }
        }
    }

    /// `None` stands for the empty product, all ones.
    pub(crate) fn of(&self, set: usize) -> Option<&[u64]> {
        (set != 0).then(|| &self.products[set * self.words..(set + 1) * self.words])
    }

    /// `out[lane] ^= ∏_{i ∈ set} lanes[i] ∧ src[src_lane]` at these words.
    pub(crate) fn add_times<B: BitSharing>(
        &self,
        set: usize,
        (src, src_lane): (&B, usize),
        (out, lane): (&mut B, usize),
        words: Range<usize>,
    ) {
        match self.of(set) {
            Some(k) => out.xor_masked(lane, src, src_lane, words.start, k),
            None => out.xor_words(lane, src, src_lane, words),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_hold_the_products_of_their_lanes() {
        let lanes = [[0b1111, 7], [0b0110, 5], [0b1010, 4]];
        let mut s = Subsets::default();
        for _ in 0..2 {
            s.fill(2, lanes.iter().map(|l| &l[..]));
            for set in 1usize..8 {
                let want =
                    |w: usize| (0..3).filter(|i| set >> i & 1 == 1).fold(u64::MAX, |p, i| p & lanes[i][w]);
                assert_eq!(s.of(set), Some(&[want(0), want(1)][..]), "set {set:b}");
            }
            assert_eq!(s.of(0), None);
        }
        assert_eq!(chunks(300).collect::<Vec<_>>(), [0..128, 128..256, 256..300]);
    }
}
