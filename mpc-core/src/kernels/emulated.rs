//! An eight-lane vector unit in plain Rust, so that the kernels are tested with the tile shapes of AVX-512 on every
//! machine.

use super::simd::{Product, Simd, multiply};

#[derive(Copy, Clone)]
pub(super) struct Emulated;

impl Emulated {
    pub(super) fn multiply(self, product: Product<'_>) {
        multiply::<Self, 16, 8, 4, 4, 4, 4, 8>(self, product);
    }
}

impl Simd for Emulated {
    type Vector = [u64; 8];
    type Sum = [u64; 8];
    const LANES: usize = 8;
    const DOT_COLUMNS: usize = 12;

    fn splat(self, word: u64) -> [u64; 8] {
        [word; 8]
    }

    fn load(self, src: &[u64]) -> [u64; 8] {
        std::array::from_fn(|i| src[i])
    }

    fn load_partial(self, src: &[u64]) -> [u64; 8] {
        assert!(src.len() <= 8);
        std::array::from_fn(|i| src.get(i).copied().unwrap_or(0))
    }

    fn store(self, dst: &mut [u64], x: [u64; 8]) {
        dst[..8].copy_from_slice(&x);
    }

    fn store_partial(self, dst: &mut [u64], x: [u64; 8]) {
        dst.copy_from_slice(&x[..dst.len()]);
    }

    fn add(self, x: [u64; 8], y: [u64; 8]) -> [u64; 8] {
        std::array::from_fn(|i| x[i].wrapping_add(y[i]))
    }

    fn sub(self, x: [u64; 8], y: [u64; 8]) -> [u64; 8] {
        std::array::from_fn(|i| x[i].wrapping_sub(y[i]))
    }

    fn empty_sum(self) -> [u64; 8] {
        [0; 8]
    }

    fn mul_add(self, sum: [u64; 8], x: [u64; 8], y: [u64; 8]) -> [u64; 8] {
        std::array::from_fn(|i| sum[i].wrapping_add(x[i].wrapping_mul(y[i])))
    }

    fn total(self, sum: [u64; 8]) -> [u64; 8] {
        sum
    }

    fn across(self, x: [u64; 8]) -> u64 {
        x.into_iter().fold(0, u64::wrapping_add)
    }

    fn transpose(self, src: &[u64], src_stride: usize, dst: &mut [u64], dst_stride: usize) {
        for i in 0..8 {
            for j in 0..8 {
                dst[j * dst_stride + i] = src[i * src_stride + j];
            }
        }
    }
}
