//! Numbers of a few bits each, one behind the other without gaps.

/// The lowest `bits` bits, all for 64.
pub(super) const fn mask(bits: u32) -> u64 {
    match bits {
        0 => 0,
        64.. => u64::MAX,
        _ => (1 << bits) - 1,
    }
}

/// Bytes that `elements` elements of numbers of these widths take.
pub(super) fn packed_len(elements: usize, widths: &[u32]) -> usize {
    (elements * widths.iter().sum::<u32>() as usize).div_ceil(8)
}

/// Writes them.
pub(super) struct Packer {
    out: Vec<u8>,
    word: u64,
    held: u32,
}

impl Packer {
    /// Appends to what is there, from the next byte on.
    pub(super) const fn after(out: Vec<u8>) -> Self {
        Self { out, word: 0, held: 0 }
    }

    /// Appends the lowest `bits` bits of `value`.
    #[inline(always)]
    pub(super) fn push(&mut self, value: u64, bits: u32) {
        let value = value & mask(bits);
        let wide = u128::from(value) << self.held | u128::from(self.word);
        self.word = wide as u64;
        self.held += bits;
        if self.held >= 64 {
            self.out.extend_from_slice(&self.word.to_le_bytes());
            self.word = (wide >> 64) as u64;
            self.held -= 64;
        }
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        let tail = self.held.div_ceil(8) as usize;
        self.out.extend_from_slice(&self.word.to_le_bytes()[..tail]);
        self.out
    }
}

/// Reads them. Past the end are zeros; nobody reads there, since messages have the length that was expected.
pub(super) struct Unpacker<'a> {
    bytes: &'a [u8],
    word: u64,
    held: u32,
}

impl<'a> Unpacker<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, word: 0, held: 0 }
    }

    /// The next number.
    #[inline(always)]
    pub(super) fn take(&mut self, bits: u32) -> u64 {
        let mut wide = u128::from(self.word);
        if self.held < bits {
            let next = match self.bytes.split_first_chunk::<8>() {
                Some((word, rest)) => {
                    self.bytes = rest;
                    u64::from_le_bytes(*word)
                }
                None => {
                    let mut word = [0; 8];
                    word[..self.bytes.len()].copy_from_slice(self.bytes);
                    self.bytes = &[];
                    u64::from_le_bytes(word)
                }
            };
            wide |= u128::from(next) << self.held;
            self.held += 64;
        }
        self.held -= bits;
        self.word = (wide >> bits) as u64;
        wide as u64 & mask(bits)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_come_back(numbers in proptest::collection::vec((any::<u64>(), 0u32..=64), 0..200)) {
            let widths: Vec<u32> = numbers.iter().map(|n| n.1).collect();
            let mut packer = Packer::after(vec![]);
            numbers.iter().for_each(|&(v, bits)| packer.push(v, bits));
            let bytes = packer.finish();
            prop_assert_eq!(bytes.len(), packed_len(1, &widths));
            let mut unpacker = Unpacker::new(&bytes);
            for (v, bits) in numbers {
                prop_assert_eq!(unpacker.take(bits), v & mask(bits));
            }
        }
    }
}
