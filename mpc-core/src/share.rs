//! Shares: what one party holds of a secret. Everything here is local; nothing communicates.
//!
//! A secret x of Z_2^k is `x = Σ x_i`; a secret bit is `b = ⊕ b_i`. Any n−1 shares are uniform and independent of the
//! secret. Shares are wiped on drop, as all tensors are, and have neither `Debug` nor comparison; code that would print
//! one or branch on one does not compile:
//!
//! ```compile_fail
//! fn show(x: &mpc_core::share::Additive<mpc_core::ring::Z64>) { println!("{x:?}"); }
//! ```
//! ```compile_fail
//! fn same(x: &mpc_core::share::Additive<mpc_core::ring::Z64>) -> bool { x == x }
//! ```
//!
//! [`Sharing`] is the one type parameter of protocol code. An authenticated sharing will implement the same trait with
//! a MAC beside the value: everything below is linear, so it acts on both alike.

use std::ops::Range;

use crate::bits::{BitTensor, lane_words};
use crate::kernels::and_xor;
use crate::party::PartyId;
use crate::ring::Ring;
use crate::tensor::Tensor;

mod sealed {
    pub trait Sealed {}
    impl<R: crate::ring::Ring> Sealed for super::Additive<R> {}
    impl Sealed for super::XorBits {}
}

/// One party's share of a secret tensor.
pub trait Sharing: Clone + Sized + Send + 'static + sealed::Sealed {
    /// Ring that shares live in.
    type Ring: Ring;
    /// Sharing of bits that goes with it.
    type Bits: BitSharing<Holder = Self::Holder>;
    /// What a party needs to know about itself to add a public value: its index (and, authenticated, its key share).
    type Holder: Copy + Send;
    /// Width of the shared values in bits; the sign is bit `VALUE_BITS − 1`.
    const VALUE_BITS: u32;

    /// The holder that party `me` is, where being a party is all it takes.
    fn holder(me: PartyId) -> Self::Holder;
    /// Lengths of the axes.
    fn shape(&self) -> &[usize];
    /// Number of elements.
    fn len(&self) -> usize {
        crate::tensor::elements(self.shape())
    }
    /// Whether there are no elements.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Applies a function that is linear in all parts together to shares of those parts.
    #[must_use]
    fn combine(parts: &[&Self], linear: impl Fn(&[&Tensor<Self::Ring>]) -> Tensor<Self::Ring>) -> Self;
    /// As [`Sharing::combine`], in the memory of this part: the function changes it by something linear in all of them.
    #[must_use]
    fn combine_into(
        self,
        parts: &[&Self],
        linear: impl Fn(&mut Tensor<Self::Ring>, &[&Tensor<Self::Ring>]),
    ) -> Self;
    /// As [`Sharing::combine_into`], of a function that adds something public as well where it is told so, in the same pass.
    #[must_use]
    fn combine_with_public(
        self,
        parts: &[&Self],
        affine: impl Fn(&mut Tensor<Self::Ring>, &[&Tensor<Self::Ring>], bool),
        holder: Self::Holder,
    ) -> Self;
    /// Adds a public tensor of the same number of elements.
    #[must_use]
    fn add_public(self, k: &Tensor<Self::Ring>, holder: Self::Holder) -> Self;
    /// Adds `f` of every element of a public tensor of the same number of elements. It is computed where it is added.
    #[must_use]
    fn add_public_map(
        self,
        k: &Tensor<Self::Ring>,
        f: impl Fn(Self::Ring) -> Self::Ring,
        holder: Self::Holder,
    ) -> Self;
    /// Adds one public element to every element.
    #[must_use]
    fn add_public_each(self, k: Self::Ring, holder: Self::Holder) -> Self;
    /// This party's additive share of the values: secret; for masked openings and re-randomised outputs alone.
    fn value_share(&self) -> &Tensor<Self::Ring>;
    /// The same, in the memory that it has.
    fn into_value_share(self) -> Tensor<Self::Ring>;

    /// Applies a linear function.
    #[must_use]
    fn map_linear(&self, linear: impl Fn(&Tensor<Self::Ring>) -> Tensor<Self::Ring>) -> Self {
        Self::combine(&[self], |p| linear(p[0]))
    }
    /// Sum.
    #[must_use]
    fn add(&self, other: &Self) -> Self {
        Self::combine(&[self, other], |p| p[0].add(p[1]))
    }
    /// Difference.
    #[must_use]
    fn sub(&self, other: &Self) -> Self {
        Self::combine(&[self, other], |p| p[0].sub(p[1]))
    }
    /// Product with a public scalar.
    #[must_use]
    fn scale(&self, k: Self::Ring) -> Self {
        self.map_linear(|t| t.scale(k))
    }
    /// Elementwise product with a public tensor.
    #[must_use]
    fn mul_public(&self, k: &Tensor<Self::Ring>) -> Self {
        self.map_linear(|t| t.hadamard(k))
    }
    /// Additive inverse.
    #[must_use]
    fn neg(&self) -> Self {
        self.map_linear(|t| t.map(|x| -x))
    }
    /// The trivial sharing of a public tensor.
    #[must_use]
    fn public(k: &Tensor<Self::Ring>, holder: Self::Holder) -> Self;
    /// The same elements under another shape.
    #[must_use]
    fn reshape(self, shape: &[usize]) -> Self;
}

/// One party's share of bit-sliced secret bits, `lanes` rows of `len` bits.
pub trait BitSharing: Clone + Sized + Send + 'static + sealed::Sealed {
    /// As [`Sharing::Holder`].
    type Holder: Copy + Send;
    /// Shares of zero.
    fn zeros(lanes: usize, len: usize) -> Self;
    /// Number of lanes.
    fn lanes(&self) -> usize;
    /// Bits in a lane.
    fn len(&self) -> usize;
    /// Whether lanes have no bits.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// `self[lane] ^= src[src_lane]`, for some of the words.
    fn xor_words(&mut self, lane: usize, src: &Self, src_lane: usize, words: Range<usize>);
    /// `self[lane] ^= mask ∧ src[src_lane]` for a public mask, which stands for the words from `from` on.
    fn xor_masked(&mut self, lane: usize, src: &Self, src_lane: usize, from: usize, mask: &[u64]);
    /// XORs public bits, which stand for the words from `from` on, onto the secret.
    fn xor_public(&mut self, lane: usize, from: usize, bits: &[u64], holder: Self::Holder);
    /// `self[lane] ^= src[src_lane]`.
    fn xor_lane(&mut self, lane: usize, src: &Self, src_lane: usize) {
        self.xor_words(lane, src, src_lane, 0..lane_words(self.len()));
    }
    /// This party's XOR share: secret; for masked openings alone.
    fn value_share(&self) -> &BitTensor;
    /// The same, in the memory that it has.
    fn into_value_share(self) -> BitTensor;
}

/// Additive share over Z_2^k, semi-honest.
#[derive(Clone)]
pub struct Additive<R: Ring>(Tensor<R>);

/// XOR share of bits, semi-honest.
#[derive(Clone)]
pub struct XorBits(BitTensor);

impl<R: Ring> Additive<R> {
    /// Takes a tensor as this party's share.
    #[must_use]
    pub const fn from_share(share: Tensor<R>) -> Self {
        Self(share)
    }

    /// The share's elements, for in-place local work of protocols.
    pub fn share_mut(&mut self) -> &mut Tensor<R> {
        &mut self.0
    }
}

impl XorBits {
    /// Takes bits as this party's share.
    #[must_use]
    pub const fn from_share(share: BitTensor) -> Self {
        Self(share)
    }
}

/// Public values are added by party 0 alone.
const fn adds_public(me: PartyId) -> bool {
    me.index() == 0
}

impl<R: Ring> Sharing for Additive<R> {
    type Ring = R;
    type Bits = XorBits;
    type Holder = PartyId;
    const VALUE_BITS: u32 = R::BITS;

    fn holder(me: PartyId) -> PartyId {
        me
    }
    fn shape(&self) -> &[usize] {
        self.0.shape()
    }
    fn combine(parts: &[&Self], linear: impl Fn(&[&Tensor<R>]) -> Tensor<R>) -> Self {
        match *parts {
            [a] => Self(linear(&[&a.0])),
            [a, b] => Self(linear(&[&a.0, &b.0])),
            _ => Self(linear(&parts.iter().map(|p| &p.0).collect::<Vec<_>>())),
        }
    }
    fn combine_into(mut self, parts: &[&Self], linear: impl Fn(&mut Tensor<R>, &[&Tensor<R>])) -> Self {
        match *parts {
            [a] => linear(&mut self.0, &[&a.0]),
            [a, b] => linear(&mut self.0, &[&a.0, &b.0]),
            _ => linear(&mut self.0, &parts.iter().map(|p| &p.0).collect::<Vec<_>>()),
        }
        self
    }
    fn combine_with_public(
        self,
        parts: &[&Self],
        affine: impl Fn(&mut Tensor<R>, &[&Tensor<R>], bool),
        me: PartyId,
    ) -> Self {
        self.combine_into(parts, |own, parts| affine(own, parts, adds_public(me)))
    }
    fn add_public(mut self, k: &Tensor<R>, me: PartyId) -> Self {
        if adds_public(me) {
            self.0.add_assign(k);
        }
        self
    }
    fn add_public_map(mut self, k: &Tensor<R>, f: impl Fn(R) -> R, me: PartyId) -> Self {
        if adds_public(me) {
            for (x, &k) in self.0.as_mut_slice().iter_mut().zip(k.as_slice()) {
                *x += f(k);
            }
        }
        self
    }
    fn add_public_each(mut self, k: R, me: PartyId) -> Self {
        if adds_public(me) {
            self.0.as_mut_slice().iter_mut().for_each(|x| *x += k);
        }
        self
    }
    fn value_share(&self) -> &Tensor<R> {
        &self.0
    }
    fn into_value_share(self) -> Tensor<R> {
        self.0
    }
    fn public(k: &Tensor<R>, me: PartyId) -> Self {
        Self(if adds_public(me) { k.clone() } else { Tensor::zeros(k.shape()) })
    }
    fn reshape(self, shape: &[usize]) -> Self {
        Self(self.0.reshape(shape))
    }
}

impl BitSharing for XorBits {
    type Holder = PartyId;

    fn zeros(lanes: usize, len: usize) -> Self {
        Self(BitTensor::zeros(lanes, len))
    }
    fn lanes(&self) -> usize {
        self.0.lanes()
    }
    fn len(&self) -> usize {
        self.0.len()
    }
    fn xor_words(&mut self, lane: usize, src: &Self, src_lane: usize, words: Range<usize>) {
        let src = &src.0.lane(src_lane)[words.clone()];
        for (a, b) in self.0.lane_mut(lane)[words].iter_mut().zip(src) {
            *a ^= b;
        }
    }
    fn xor_masked(&mut self, lane: usize, src: &Self, src_lane: usize, from: usize, mask: &[u64]) {
        let words = from..from + mask.len();
        let src = &src.0.lane(src_lane)[words.clone()];
        and_xor(&mut self.0.lane_mut(lane)[words], src, mask);
    }
    fn xor_public(&mut self, lane: usize, from: usize, bits: &[u64], me: PartyId) {
        if adds_public(me) {
            for (a, b) in self.0.lane_mut(lane)[from..from + bits.len()].iter_mut().zip(bits) {
                *a ^= b;
            }
        }
    }
    fn value_share(&self) -> &BitTensor {
        &self.0
    }
    fn into_value_share(self) -> BitTensor {
        self.0
    }
}
