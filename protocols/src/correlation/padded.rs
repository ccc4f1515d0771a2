//! Sharings under their one-time pads, as they are opened.

use std::ops::Range;

use mpc_core::ring::Ring;
use mpc_core::share::Sharing;
use mpc_core::tensor::{Tensor, elements};

/// A sharing hidden by a one-time pad: opening it reveals nothing. It is worked out while it is sent, a piece at a time.
pub struct Padded<S: Sharing>(Hidden<S>);

enum Hidden<S: Sharing> {
    /// Hidden already.
    Whole(S),
    /// `[x] − [pad]`.
    Less { x: S, pad: S },
    /// `[x] + [pad]`, and this party's share of a public number.
    Plus { x: S, pad: S, offset: S::Ring },
}

mpc_core::secret_types!(Hidden<mpc_core::share::Additive<mpc_core::ring::Z64>>);

/// Shared bits hidden by a one-time pad.
pub struct PaddedBits<B>(B);

/// A sharing whose lowest bits are hidden by a one-time pad, and nothing above them.
pub(crate) struct PaddedLow<S> {
    value: S,
    bits: u32,
}

impl<S: Sharing> PaddedLow<S> {
    pub(crate) const fn new(value: S, bits: u32) -> Self {
        Self { value, bits }
    }

    /// This party's share of the lowest bits, which alone may leave.
    pub(crate) fn into_low_bits(self) -> (Tensor<S::Ring>, u32) {
        (low_bits(self.value.into_value_share(), self.bits), self.bits)
    }
}

/// Values mod 2^bits.
pub(crate) fn low_bits<R: Ring>(mut values: Tensor<R>, bits: u32) -> Tensor<R> {
    if bits < R::BITS {
        values.as_mut_slice().iter_mut().for_each(|v| *v = R::from_u64(v.to_u64() & ((1 << bits) - 1)));
    }
    values
}

impl<S: Sharing> Padded<S> {
    /// What is padded already.
    pub(crate) const fn new(x: S) -> Self {
        Self(Hidden::Whole(x))
    }

    /// `[x] − [pad]`, in the shape of x.
    pub(crate) fn less(x: &S, pad: &S) -> Self {
        assert_eq!(x.len(), pad.len(), "a pad for every element");
        Self(Hidden::Less { x: x.clone(), pad: pad.clone() })
    }

    /// `[x] + [pad] + offset` for a public number, in the shape of x.
    pub(crate) fn plus(x: &S, pad: S, offset: S::Ring, holder: S::Holder) -> Self {
        assert_eq!(x.len(), pad.len(), "a pad for every element");
        let offset = S::public(&Tensor::filled(&[1], offset), holder).value_share().as_slice()[0];
        Self(Hidden::Plus { x: x.clone(), pad, offset })
    }

    pub(crate) fn shape(&self) -> &[usize] {
        match &self.0 {
            Hidden::Whole(x) | Hidden::Less { x, .. } | Hidden::Plus { x, .. } => x.shape(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        elements(self.shape())
    }

    /// This party's share of the whole.
    pub(crate) fn into_value_share(self) -> Tensor<S::Ring> {
        let mut share = Vec::with_capacity(self.len());
        self.write(0..self.len(), &mut share);
        Tensor::from_vec(self.shape(), share)
    }

    /// Appends this party's share of some elements.
    pub(crate) fn write(&self, some: Range<usize>, out: &mut Vec<S::Ring>) {
        fn of<S: Sharing>(x: &S, some: Range<usize>) -> &[S::Ring] {
            &x.value_share().as_slice()[some]
        }
        match &self.0 {
            Hidden::Whole(x) => out.extend_from_slice(of(x, some)),
            Hidden::Less { x, pad } => {
                out.extend(of(x, some.clone()).iter().zip(of(pad, some)).map(|(&x, &pad)| x - pad));
            }
            &Hidden::Plus { ref x, ref pad, offset } => {
                out.extend(of(x, some.clone()).iter().zip(of(pad, some)).map(|(&x, &pad)| x + pad + offset));
            }
        }
    }
}

impl<B> PaddedBits<B> {
    pub(crate) const fn new(x: B) -> Self {
        Self(x)
    }
    pub(crate) const fn sharing(&self) -> &B {
        &self.0
    }
    pub(crate) fn into_sharing(self) -> B {
        self.0
    }
}
