//! The rings Z_2^k: wrapping integers whose overflow is the arithmetic, not an accident.

use std::fmt::Debug;
use std::ops::{Add, AddAssign, Mul, MulAssign, Neg, Sub, SubAssign};

use crate::kernels;

#[cfg(target_endian = "big")]
compile_error!("ring elements travel as little-endian memory; big-endian targets need a byte swap first");

mod sealed {
    pub trait Sealed {}
}

/// A ring Z_2^k with its bulk kernels. Protocol code is written once over this trait; tests run it on [`Z8`], where
/// every value and every mask can be enumerated.
pub trait Ring:
    sealed::Sealed
    + Copy
    + Default
    + Debug
    + Eq
    + Send
    + Sync
    + 'static
    + bytemuck::Pod
    + zeroize::DefaultIsZeroes
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
{
    /// k, the width in bits.
    const BITS: u32;
    /// Encoded width in bytes, little-endian.
    const BYTES: usize;
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;

    /// `v` mod 2^k.
    fn from_u64(v: u64) -> Self;
    /// The representative in 0..2^k.
    fn to_u64(self) -> u64;
    /// `v` mod 2^k, two's complement.
    fn from_i64(v: i64) -> Self {
        Self::from_u64(v as u64)
    }
    /// The representative in −2^(k−1)..2^(k−1).
    fn to_i64(self) -> i64 {
        let shift = 64 - Self::BITS;
        ((self.to_u64() << shift) as i64) >> shift
    }
    /// 2^e, 0 for e ≥ k.
    fn power_of_two(e: u32) -> Self {
        if e >= Self::BITS { Self::ZERO } else { Self::from_u64(1 << e) }
    }

    /// `out += a·b` for row-major a: m×k, b: k×n, out: m×n.
    fn matmul_acc(a: &[Self], b: &[Self], out: &mut [Self], m: usize, k: usize, n: usize);
    /// Lane i of `lanes` (each `lane_words` long) receives bit i of every value; padding bits are zero.
    fn bit_slice(values: &[Self], lanes: &mut [u64], lane_words: usize, bits: usize);
    /// Expands a bit lane to values 0 and 1.
    fn expand_bits(lane: &[u64], out: &mut [Self]);
}

macro_rules! z2k {
    ($(#[$doc:meta])* $name:ident, $word:ty, $bits:literal, $matmul:expr, $slice:path, $expand:path) => {
        $(#[$doc])*
        #[derive(Copy, Clone, Default, PartialEq, Eq, Hash, bytemuck::Pod, bytemuck::Zeroable)]
        #[repr(transparent)]
        pub struct $name(pub $word);

        impl sealed::Sealed for $name {}
        impl zeroize::DefaultIsZeroes for $name {}

        impl Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.to_i64().fmt(f)
            }
        }
        impl Add for $name {
            type Output = Self;
            #[inline]
            fn add(self, o: Self) -> Self { Self(self.0.wrapping_add(o.0)) }
        }
        impl Sub for $name {
            type Output = Self;
            #[inline]
            fn sub(self, o: Self) -> Self { Self(self.0.wrapping_sub(o.0)) }
        }
        impl Mul for $name {
            type Output = Self;
            #[inline]
            fn mul(self, o: Self) -> Self { Self(self.0.wrapping_mul(o.0)) }
        }
        impl Neg for $name {
            type Output = Self;
            #[inline]
            fn neg(self) -> Self { Self(self.0.wrapping_neg()) }
        }
        impl AddAssign for $name {
            #[inline]
            fn add_assign(&mut self, o: Self) { *self = *self + o; }
        }
        impl SubAssign for $name {
            #[inline]
            fn sub_assign(&mut self, o: Self) { *self = *self - o; }
        }
        impl MulAssign for $name {
            #[inline]
            fn mul_assign(&mut self, o: Self) { *self = *self * o; }
        }

        impl Ring for $name {
            const BITS: u32 = $bits;
            const BYTES: usize = $bits / 8;
            const ZERO: Self = Self(0);
            const ONE: Self = Self(1);
            #[inline]
            fn from_u64(v: u64) -> Self { Self(v as $word) }
            #[inline]
            fn to_u64(self) -> u64 { u64::from(self.0) }

            fn matmul_acc(a: &[Self], b: &[Self], out: &mut [Self], m: usize, k: usize, n: usize) {
                $matmul(bytemuck::cast_slice(a), bytemuck::cast_slice(b), bytemuck::cast_slice_mut(out), m, k, n);
            }
            fn bit_slice(values: &[Self], lanes: &mut [u64], lane_words: usize, bits: usize) {
                $slice(bytemuck::cast_slice(values), lanes, lane_words, bits);
            }
            fn expand_bits(lane: &[u64], out: &mut [Self]) {
                $expand(lane, bytemuck::cast_slice_mut(out));
            }
        }
    };
}

z2k!(
    /// Z_2^64, the ring of every computation.
    Z64, u64, 64, kernels::matmul_acc_u64, kernels::bit_slice_u64, kernels::expand_bits_u64
);
z2k!(
    /// Z_2^8, small enough to try every value: the ring of exhaustive tests.
    Z8, u8, 8, kernels::matmul_acc_portable::<u8>, kernels::bit_slice_u8, kernels::expand_bits_u8
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_wraps() {
        assert_eq!(Z64(u64::MAX) + Z64::ONE, Z64::ZERO);
        assert_eq!(Z8(200) * Z8(2), Z8(144));
        assert_eq!(-Z8(1), Z8(255));
        assert_eq!(Z8::from_i64(-3).to_i64(), -3);
        assert_eq!(Z64::from_i64(i64::MIN).to_i64(), i64::MIN);
        assert_eq!(Z8::power_of_two(7), Z8(128));
        assert_eq!(Z8::power_of_two(8), Z8(0));
    }

    #[test]
    fn every_product_of_the_small_ring_is_right() {
        for a in 0..=255u8 {
            for b in 0..=255u8 {
                assert_eq!((Z8(a) * Z8(b)).to_u64(), (u64::from(a) * u64::from(b)) % 256);
            }
        }
    }
}
