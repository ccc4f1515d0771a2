//! The leaves of a tree as streams of bits, and sums of them: the bulk of OT extension.
//!
//! Leaf y of 2^k is a stream r_y: AES-128 in counter mode under its own key. **Row b** of a run of columns is the sum of all r_y
//! with bit b of y set, the **total** the sum of all. With VAES and AVX-512 (`leaves512`) streams are added up in registers
//! and never written; elsewhere they are written to scratch memory by [`AesCtr`] and folded there.

use zeroize::{Zeroize, optimization_barrier};

use super::AesCtr;

/// Key and start of a leaf's stream.
pub type Leaf = [u8; 32];

/// The streams of one tree. Wiped on drop.
pub struct LeafStreams {
    bits: usize,
    engine: Engine,
}

enum Engine {
    /// `None` for a leaf that is missing.
    Portable(Vec<Option<AesCtr>>),
    #[cfg(target_arch = "x86_64")]
    Vector(super::leaves512::Streams),
}

crate::secret_types!(LeafStreams, Engine);

impl LeafStreams {
    /// Streams of 2^`bits` leaves, of which the first counts as zeros if it is missing. A leaf's first 16 bytes are its key; the
    /// last eight are the high half of the counter, whose low half starts at 0.
    ///
    /// # Panics
    /// If there are not 2^`bits` leaves, or `bits` is not 1, 2, 4 or 8.
    #[must_use]
    pub fn new(bits: usize, leaves: &[Leaf], first_missing: bool) -> Self {
        check(bits, leaves);
        #[cfg(target_arch = "x86_64")]
        if let Some(unit) = super::leaves512::Leaves512::detect() {
            let streams = super::leaves512::Streams::new(unit, bits, leaves, first_missing);
            return Self { bits, engine: Engine::Vector(streams) };
        }
        Self::portable(bits, leaves, first_missing)
    }

    /// As [`LeafStreams::new`], on any processor.
    fn portable(bits: usize, leaves: &[Leaf], first_missing: bool) -> Self {
        let stream = |leaf: &Leaf| {
            let mut name = *leaf;
            name[16..24].fill(0);
            let stream = AesCtr::new(&name);
            name = [0; 32];
            optimization_barrier(&name);
            stream
        };
        let known = |(y, leaf)| (y > 0 || !first_missing).then(|| stream(leaf));
        Self { bits, engine: Engine::Portable(leaves.iter().enumerate().map(known).collect()) }
    }

    /// Overwrites `total` and as many words of each row with the sums over the next columns; row b is at word b·`stride` of
    /// `rows`. `scratch` is grown as needed and left with secrets in it.
    ///
    /// # Panics
    /// If `total` is not an even number of words, or longer than a row.
    pub fn next(&mut self, scratch: &mut Vec<u64>, rows: &mut [u64], stride: usize, total: &mut [u64]) {
        let words = total.len();
        assert!(words.is_multiple_of(2) && words <= stride, "{words} words of rows of {stride}");
        assert!(rows.len() >= (self.bits - 1) * stride + words, "length of {} rows of {stride}", self.bits);
        if words == 0 {
            return;
        }
        match &mut self.engine {
            Engine::Portable(streams) => {
                if scratch.len() < words << self.bits {
                    // What grows leaves a copy behind.
                    scratch.zeroize();
                    scratch.resize(words << self.bits, 0);
                }
                for (stream, out) in streams.iter_mut().zip(scratch.chunks_exact_mut(words)) {
                    match stream {
                        Some(stream) => stream.fill(bytemuck::cast_slice_mut(out)),
                        None => out.fill(0),
                    }
                }
                for (b, row) in rows.chunks_mut(stride).take(self.bits).enumerate() {
                    for y in 0..1 << (self.bits - 1 - b) {
                        add_pair(scratch, y, &mut row[..words]);
                    }
                }
                total.copy_from_slice(&scratch[..words]);
            }
            #[cfg(target_arch = "x86_64")]
            Engine::Vector(streams) => streams.next(rows, stride, total),
        }
    }
}

#[track_caller]
fn check(bits: usize, leaves: &[Leaf]) {
    assert!(matches!(bits, 1 | 2 | 4 | 8), "trees of {bits} bits");
    assert_eq!(leaves.len(), 1 << bits, "leaves of a tree of {bits} bits");
}

/// Runs 2y and 2y + 1 become one at place y; the odd one is added to the row, or starts it.
fn add_pair(runs: &mut [u64], y: usize, row: &mut [u64]) {
    let words = row.len();
    let (done, rest) = runs.split_at_mut(2 * y * words);
    let (even, odd) = rest[..2 * words].split_at_mut(words);
    if y == 0 {
        row.copy_from_slice(odd);
        even.iter_mut().zip(odd).for_each(|(x, o)| *x ^= *o);
        return;
    }
    let sums = &mut done[y * words..][..words];
    for (((sum, row), &e), &o) in sums.iter_mut().zip(row).zip(&*even).zip(&*odd) {
        *row ^= o;
        *sum = e ^ o;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRIDE: usize = 140;

    fn leaves(bits: usize) -> Vec<Leaf> {
        (0..1u32 << bits).map(|y| *blake3::hash(&y.to_le_bytes()).as_bytes()).collect()
    }

    /// Rows and total from the definition.
    fn defined(bits: usize, missing: bool, from: usize, words: usize) -> Vec<Vec<u64>> {
        let mut sums = vec![vec![0; words]; bits + 1];
        for (y, leaf) in leaves(bits).iter().enumerate().skip(usize::from(missing)) {
            let name = [&leaf[..16], &[0; 8], &leaf[24..]].concat();
            let mut stream = vec![0u64; from + words];
            AesCtr::new(&name).fill(bytemuck::cast_slice_mut(&mut stream));
            for (b, sum) in sums.iter_mut().enumerate() {
                if b == bits || y >> b & 1 == 1 {
                    sum.iter_mut().zip(&stream[from..]).for_each(|(s, r)| *s ^= r);
                }
            }
        }
        sums
    }

    #[test]
    fn the_paths_are_the_definition_however_the_columns_are_cut() {
        for (bits, missing) in [1, 2, 4, 8].into_iter().flat_map(|bits| [(bits, false), (bits, true)]) {
            let new = [LeafStreams::new, LeafStreams::portable];
            for mut streams in new.map(|new| new(bits, &leaves(bits), missing)) {
                let (mut from, mut scratch) = (0, vec![]);
                for words in [2, 0, 8, 6, 32, 34, 128, 138, 30] {
                    let (mut rows, mut total) = (vec![9; bits * STRIDE], vec![9; words]);
                    streams.next(&mut scratch, &mut rows, STRIDE, &mut total);
                    let expected = defined(bits, missing, from, words);
                    for (b, row) in rows.chunks(STRIDE).enumerate() {
                        assert_eq!(row[..words], expected[b], "row {b} of {bits}, {words} words");
                        assert!(row[words..].iter().all(|&w| w == 9), "only its words are written");
                    }
                    // The total is known to those only who know all leaves.
                    assert!(missing || total == expected[bits], "total of {bits}, {words} words");
                    from += words;
                }
            }
        }
    }
}
