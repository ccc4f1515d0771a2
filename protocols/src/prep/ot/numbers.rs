//! Uniform numbers with their bits, and with what truncation takes (after the edaBits of Escudero, Ghosh, Keller, Rachuri,
//! Scholl, CRYPTO 2020, ePrint 2020/338, §3, for the same end by other means).
//!
//! **Relation**: r = Σ 2^i·β_i for bits β_i that every party has a uniform XOR share of. Each is turned into a ring element
//! (`scale` with the value 1), of which r needs k − i bits. With f more for i ≥ f (and k at most), sums of the same elements are
//! ⌊r/2^f⌋, ⌊signed(r)/2^f⌋ and the top bit mod 2^f.
//!
//! Departs from the paper: there r = Σ r_j of private numbers, and binary adders give the bits: k rounds and, for two
//! parties, k COTs in each direction. Here there are no adders and there is one round, at k COTs in one direction and 252 bytes of u.
//!
//! **Security**: that of `scale`. r is uniform to any n − 1 parties, as the XOR shares are.

use mpc_core::bits::BitTensor;
use mpc_core::prg::Prg;
use mpc_core::ring::Ring;
use mpc_core::tensor::Tensor;

use super::cross::elements;
use super::engine::Engine;
use super::scale::{Factor, Scaling, scale};
use crate::correlation::low_bits;
use crate::error::PrepError;

/// r and its bits, and the bits as ring elements, as precise as was asked for.
pub(super) struct Numbers<R: Ring> {
    pub(super) bits: BitTensor,
    arithmetic: Tensor<R>,
}

mpc_core::secret_types!(Numbers<mpc_core::ring::Z64>);

/// Bits of precision of every bit of a number, also for a shift by `f`.
pub(super) fn precision<R: Ring>(shift: Option<u32>) -> Vec<u32> {
    let of = |i: u32| match shift {
        Some(f) if i >= f => (R::BITS - i + f).min(R::BITS),
        _ => R::BITS - i,
    };
    (0..R::BITS).map(of).collect()
}

impl<R: Ring> Numbers<R> {
    pub(super) fn new(
        engine: &mut Engine,
        prg: &mut Prg,
        len: usize,
        shift: Option<u32>,
    ) -> Result<Self, PrepError> {
        let scaling = Scaling { factor: Factor::One, bits: &precision::<R>(shift) };
        let mut made = scale::<R>(engine, prg, None, len, &[scaling])?;
        let bits = BitTensor::slice_of(&elements::<R>(&made.bits)[..len], R::BITS as usize);
        Ok(Self { bits, arithmetic: made.products.remove(0) })
    }

    fn sum(&self, of: impl Fn(&[R]) -> R) -> Tensor<R> {
        let bits = self.arithmetic.as_slice().chunks(R::BITS as usize);
        Tensor::from_vec(&[self.bits.len()], bits.map(of).collect())
    }

    /// r.
    pub(super) fn r(&self) -> Tensor<R> {
        self.sum(|bits| weighted(bits))
    }

    /// ⌊r/2^f⌋.
    pub(super) fn shifted(&self, f: u32) -> Tensor<R> {
        self.sum(|bits| weighted(bits.get(f as usize..).unwrap_or_default()))
    }

    /// ⌊signed(r)/2^f⌋.
    pub(super) fn quotient(&self, f: u32) -> Tensor<R> {
        let top = R::BITS as usize - 1;
        self.sum(|bits| {
            let low = weighted(bits.get(f as usize..top).unwrap_or_default());
            low - bits[top] * R::power_of_two((R::BITS - 1).saturating_sub(f))
        })
    }

    /// The top bit mod 2^f.
    pub(super) fn top(&self, f: u32) -> Tensor<R> {
        low_bits(self.sum(|bits| bits[R::BITS as usize - 1]), f)
    }
}

/// Σ 2^i·b_i.
fn weighted<R: Ring>(bits: &[R]) -> R {
    (0..).zip(bits).fold(R::ZERO, |sum, (i, &b)| sum + b * R::power_of_two(i))
}
