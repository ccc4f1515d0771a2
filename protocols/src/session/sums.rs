//! The message of an opening and the sums of everybody's: tensors of shares that lie behind one another, then packed bits. A
//! piece of the own message is worked out when it is sent; where pieces of the others' come, they are added to it, and hashed
//! when they are the last, while they are in the caches.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes;
use mpc_core::channel::Broadcast;
use mpc_core::party::{PartyId, PerParty};
use mpc_core::ring::Ring;
use mpc_core::share::Sharing;
use mpc_core::tensor::Tensor;

use super::add_bytes;
use crate::correlation::Padded;

/// See the module.
pub(super) struct Sums<'a, S: Sharing, const A: usize> {
    padded: [Padded<S>; A],
    /// As much of every tensor as a first other share was added to.
    sums: [Vec<S::Ring>; A],
    /// What comes after the tensors.
    packed: Bytes,
    bytes: usize,
    /// Pieces of the own message with their places, from the first on that is not in the sums yet.
    own: VecDeque<(usize, Bytes)>,
    /// How much of every other party's message has come; the own place counts as whole.
    come: PerParty<usize>,
    /// Up to where all shares are added.
    complete: usize,
    rest: PerParty<Vec<u8>>,
    digest: &'a mut blake3::Hasher,
}

mpc_core::secret_types!(Sums<'static, mpc_core::share::Additive<mpc_core::ring::Z64>, 1>);

/// Bytes of a party's message: tensors of shares, and what comes after them.
pub(super) fn message_bytes<S: Sharing>(padded: &[Padded<S>], packed: &[u8]) -> usize {
    padded.iter().map(|p| p.len() * S::Ring::BYTES).sum::<usize>() + packed.len()
}

impl<'a, S: Sharing, const A: usize> Sums<'a, S, A> {
    /// `packed` comes after the tensors in everybody's message; `digest` is told of every sum.
    pub(super) fn new(
        padded: [Padded<S>; A],
        packed: Bytes,
        me: PartyId,
        n: usize,
        digest: &'a mut blake3::Hasher,
    ) -> Self {
        let bytes = message_bytes(&padded, &[]);
        let sums = std::array::from_fn(|i| Vec::with_capacity(padded[i].len()));
        let come = PerParty::from_fn(n, |p| if p == me { usize::MAX } else { 0 });
        let rest = PerParty::from_fn(n, |p| Vec::with_capacity(if p == me { 0 } else { packed.len() }));
        let own = VecDeque::new();
        Self { padded, sums, packed, bytes, own, come, complete: 0, rest, digest }
    }

    /// The sums, and what came after the tensors from every other party.
    pub(super) fn finish(self) -> ([Tensor<S::Ring>; A], PerParty<Vec<u8>>) {
        let mut sums = self.sums.into_iter();
        let opened = self.padded.map(|p| Tensor::from_vec(p.shape(), sums.next().unwrap_or_default()));
        (opened, self.rest)
    }

    /// Adds elements of another party's message.
    fn add(&mut self, at: usize, elements: &[u8]) {
        let mut first = 0;
        for (padded, sum) in self.padded.iter().zip(&mut self.sums) {
            let place = first..first + padded.len() * S::Ring::BYTES;
            first = place.end;
            let Some(within) = common(&place, &(at..at + elements.len())) else { continue };
            let theirs = &elements[within.start - at..within.end - at];
            let summed = sum.len() * S::Ring::BYTES - (within.start - place.start);
            let (again, new) = theirs.split_at(summed.min(theirs.len()));
            let from = (within.start - place.start) / S::Ring::BYTES;
            add_bytes(&mut sum[from..], again);
            let mut missing = within.start + again.len()..within.end;
            for (start, piece) in &self.own {
                let Some(now) = common(&missing, &(*start..start + piece.len())) else { continue };
                let own = &piece[now.start - start..now.end - start];
                let theirs = &new[now.start + new.len() - within.end..][..own.len()];
                let both = elements_of::<S::Ring>(own).zip(elements_of::<S::Ring>(theirs));
                sum.extend(both.map(|(a, b)| a + b));
                missing.start = now.end;
            }
            assert!(missing.is_empty(), "nothing comes before the own message is made up to there");
        }
    }
}

impl<S: Sharing, const A: usize> Broadcast for Sums<'_, S, A> {
    fn make(&mut self, range: Range<usize>) -> Bytes {
        let mut elements = Vec::with_capacity(range.len().min(self.bytes) / S::Ring::BYTES);
        let mut first = 0;
        for padded in &self.padded {
            let place = first..first + padded.len() * S::Ring::BYTES;
            first = place.end;
            if let Some(within) = common(&place, &range) {
                let index = |byte: usize| (byte - place.start) / S::Ring::BYTES;
                padded.write(index(within.start)..index(within.end), &mut elements);
            }
        }
        let after = |byte: usize| byte.saturating_sub(self.bytes);
        let packed = self.packed.slice(after(range.start)..after(range.end));
        if elements.is_empty() {
            return packed;
        }
        let own = Bytes::from_owner(Elements(elements));
        self.own.push_back((range.start, own.clone()));
        if packed.is_empty() {
            return own;
        }
        Bytes::from([&own[..], &packed].concat())
    }

    fn take(&mut self, from: PartyId, piece: &[u8]) {
        let at = self.come[from];
        let (elements, rest) = piece.split_at(piece.len().min(self.bytes.saturating_sub(at)));
        self.come[from] += piece.len();
        self.rest[from].extend_from_slice(rest);
        self.add(at, elements);
        let others = || self.come.iter().map(|(_, &come)| come).filter(|&come| come != usize::MAX);
        let summed = others().max().unwrap_or(0);
        let all = others().min().unwrap_or(0).min(self.bytes);
        while self.own.front().is_some_and(|(start, own)| start + own.len() <= summed) {
            self.own.pop_front();
        }
        let mut first = 0;
        for (padded, sum) in self.padded.iter().zip(&self.sums) {
            let place = first..first + padded.len() * S::Ring::BYTES;
            first = place.end;
            if let Some(within) = common(&place, &(self.complete..all)) {
                let sum: &[u8] = bytemuck::cast_slice(sum);
                self.digest.update(&sum[within.start - place.start..within.end - place.start]);
            }
        }
        self.complete = all;
    }
}

/// Elements on their way out. They are padded, so nobody has to wipe them.
struct Elements<R: Ring>(Vec<R>);

impl<R: Ring> AsRef<[u8]> for Elements<R> {
    fn as_ref(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }
}

fn elements_of<R: Ring>(bytes: &[u8]) -> impl Iterator<Item = R> {
    bytes.chunks_exact(R::BYTES).map(bytemuck::pod_read_unaligned)
}

/// What two ranges have in common, if that is anything.
fn common(a: &Range<usize>, b: &Range<usize>) -> Option<Range<usize>> {
    let both = a.start.max(b.start)..a.end.min(b.end);
    (!both.is_empty()).then_some(both)
}

#[cfg(test)]
mod tests {
    use mpc_core::ring::Z64;
    use mpc_core::share::Additive;

    use super::*;

    #[test]
    fn pieces_of_any_sizes_give_the_sums_in_order() {
        let (me, n) = (PartyId::new(1), 3);
        let tensors = || [5, 0, 9].map(|len| Tensor::from_vec(&[len], (0..len as u64).map(Z64).collect()));
        let share = |t: Tensor<Z64>| Additive::from_share(t);
        let elements: Vec<u8> = tensors().iter().flat_map(|t| t.as_bytes().to_vec()).collect();
        let message = [&elements[..], b"bits"].concat();
        let expected = tensors().map(|t| t.scale(Z64(3)));
        let digest = |bytes: &[u8]| blake3::Hasher::new().update(bytes).finalize();
        let all: Vec<u8> = expected.iter().flat_map(|t| t.as_bytes().to_vec()).collect();
        for (own, first, second) in [(8, 8, 16), (16, 40, 8), (116, 112, 112), (24, 24, 116), (40, 116, 116)]
        {
            let padded = [
                Padded::new(share(tensors()[0].clone())),
                Padded::plus(&share(tensors()[1].clone()), share(tensors()[1].clone()), Z64(1), me),
                // 2t − t.
                Padded::less(&share(tensors()[2].scale(Z64(2))), &share(tensors()[2].clone())),
            ];
            let mut hasher = blake3::Hasher::new();
            assert_eq!(message_bytes(&padded, b"bits"), message.len());
            let mut sums = Sums::new(padded, Bytes::from_static(b"bits"), me, n, &mut hasher);
            let (mut made, mut come) = (Vec::new(), [0, 0]);
            while come != [message.len(); 2] {
                if made.len() < message.len() {
                    let part = sums.make(made.len()..message.len().min(made.len() + own));
                    made.extend_from_slice(&part);
                }
                for (i, (party, size)) in [(2, second), (0, first)].into_iter().enumerate() {
                    let end = message.len().min(come[i] + size);
                    if end <= made.len() && come[i] < end {
                        sums.take(PartyId::new(party), &message[come[i]..end]);
                        come[i] = end;
                    }
                }
            }
            assert_eq!((made, come), (message.clone(), [message.len(); 2]));
            assert!(sums.own.is_empty(), "nothing is kept that is in the sums");
            let (opened, rest) = sums.finish();
            assert_eq!(opened, expected);
            assert_eq!(rest.into_vec(), [b"bits".to_vec(), vec![], b"bits".to_vec()]);
            assert_eq!(hasher.finalize(), digest(&all), "every sum once, in order");
        }
    }
}
