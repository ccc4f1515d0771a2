//! The ring product in plain Rust: the path of every machine without a faster one, of the 8-bit ring, and the oracle of
//! the vector paths.

use super::check_dims;

/// A machine word seen as an element of Z_2^w.
pub trait Word: Copy + sealed::Sealed {
    /// `self + a·b` modulo 2^w.
    #[must_use]
    fn mul_add(self, a: Self, b: Self) -> Self;
}

impl Word for u8 {
    #[inline]
    fn mul_add(self, a: Self, b: Self) -> Self {
        self.wrapping_add(a.wrapping_mul(b))
    }
}

impl Word for u64 {
    #[inline]
    fn mul_add(self, a: Self, b: Self) -> Self {
        self.wrapping_add(a.wrapping_mul(b))
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for u8 {}
    impl Sealed for u64 {}
}

/// `out += a·b` in Z_2^w, row-major: `a` is m×k, `b` is k×n, `out` is m×n. Allocates nothing.
///
/// # Panics
/// If a slice is not as long as its dimensions say.
///
/// # Example
/// ```
/// let mut out = [1u8];
/// mpc_core::kernels::matmul_acc_portable(&[16, 2], &[16, 3], &mut out, 1, 2, 1);
/// assert_eq!(out, [7]); // 1 + 256 + 6 mod 256
/// ```
pub fn matmul_acc_portable<T: Word>(a: &[T], b: &[T], out: &mut [T], m: usize, k: usize, n: usize) {
    check_dims(a, b, out, m, k, n);
    if m == 0 || k == 0 || n == 0 {
        return;
    }
    if n == 1 {
        for (row, sum) in a.chunks_exact(k).zip(out) {
            *sum = row.iter().zip(b).fold(*sum, |sum, (&x, &y)| sum.mul_add(x, y));
        }
        return;
    }
    // Row by row, so that both inner operands are read in order; the output row stays in L1.
    for (a_row, out_row) in a.chunks_exact(k).zip(out.chunks_exact_mut(n)) {
        for (&x, b_row) in a_row.iter().zip(b.chunks_exact(n)) {
            for (sum, &y) in out_row.iter_mut().zip(b_row) {
                *sum = sum.mul_add(x, y);
            }
        }
    }
}
