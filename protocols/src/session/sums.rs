//! Sums of several tensors of shares that lie behind one another in everybody's message, made while the messages come: a
//! piece is added, and hashed when it is the last, while it is in the caches.

use std::ops::Range;

use mpc_core::party::{PartyId, PerParty};
use mpc_core::ring::Ring;
use mpc_core::tensor::Tensor;

use super::add_bytes;

/// See the module.
pub(super) struct Sums<'a, R: Ring> {
    tensors: &'a mut [Tensor<R>],
    bytes: usize,
    /// How much of every other party's message has come; the own place counts as whole.
    come: PerParty<usize>,
    /// Up to where all shares are added.
    complete: usize,
    /// What comes after the tensors.
    pub(super) rest: PerParty<Vec<u8>>,
}

mpc_core::secret_types!(Sums<'static, mpc_core::ring::Z64>);

impl<'a, R: Ring> Sums<'a, R> {
    pub(super) fn new(tensors: &'a mut [Tensor<R>], length: usize, me: PartyId, n: usize) -> Self {
        let bytes = tensors.iter().map(|t| t.len() * R::BYTES).sum();
        let come = PerParty::from_fn(n, |p| if p == me { usize::MAX } else { 0 });
        let rest = PerParty::from_fn(n, |p| Vec::with_capacity(if p == me { 0 } else { length - bytes }));
        Self { tensors, bytes, come, complete: 0, rest }
    }

    /// Adds the next bytes of a party's message; `complete` is told of what no share is missing of any more, in order.
    pub(super) fn add(&mut self, from: PartyId, piece: &[u8], mut complete: impl FnMut(&[u8])) {
        let at = self.come[from];
        let (elements, rest) = piece.split_at(piece.len().min(self.bytes.saturating_sub(at)));
        self.come[from] += piece.len();
        self.rest[from].extend_from_slice(rest);
        let mut left = elements;
        for part in parts(self.tensors, at..at + elements.len()) {
            let (theirs, after) = left.split_at(size_of_val(part));
            add_bytes(part, theirs);
            left = after;
        }
        let all = self.come.iter().map(|(_, &come)| come).min().unwrap_or(0).min(self.bytes);
        for part in parts(self.tensors, self.complete..all.max(self.complete)) {
            complete(bytemuck::cast_slice(part));
        }
        self.complete = all.max(self.complete);
    }
}

/// The elements in a range of the bytes of several tensors behind one another.
fn parts<R: Ring>(tensors: &mut [Tensor<R>], bytes: Range<usize>) -> impl Iterator<Item = &mut [R]> {
    let mut first = 0;
    tensors.iter_mut().filter_map(move |t| {
        let own = first..first + t.len() * R::BYTES;
        first = own.end;
        let (start, end) = (bytes.start.max(own.start), bytes.end.min(own.end));
        let within = (start < end).then(|| (start - own.start) / R::BYTES..(end - own.start) / R::BYTES)?;
        Some(&mut t.as_mut_slice()[within])
    })
}

#[cfg(test)]
mod tests {
    use mpc_core::ring::Z64;

    use super::*;

    #[test]
    fn pieces_of_any_sizes_give_the_sums_in_order() {
        let n = 3;
        let tensors = || [5, 0, 9].map(|len| Tensor::from_vec(&[len], (0..len as u64).map(Z64).collect()));
        let elements: Vec<u8> = tensors().iter().flat_map(|t| t.as_bytes().to_vec()).collect();
        let message = [&elements[..], b"bits"].concat();
        for (first, second) in [(8, 16), (40, 8), (112, 112), (24, 116)] {
            let mut opened = tensors();
            let mut sums = Sums::new(&mut opened, message.len(), PartyId::new(1), n);
            let mut hashed = Vec::new();
            for (party, size) in [(2, second), (0, first)] {
                for piece in message.chunks(size) {
                    sums.add(PartyId::new(party), piece, |complete| hashed.extend_from_slice(complete));
                }
                assert_eq!(hashed.is_empty(), party == 2, "nothing is complete before everybody's is there");
            }
            let rest = sums.rest.into_vec();
            assert_eq!(rest, [b"bits".to_vec(), vec![], b"bits".to_vec()]);
            let expected = tensors().map(|t| t.scale(Z64(3)));
            assert_eq!(opened, expected);
            assert_eq!(hashed, expected.iter().flat_map(|t| t.as_bytes().to_vec()).collect::<Vec<_>>());
        }
    }
}
