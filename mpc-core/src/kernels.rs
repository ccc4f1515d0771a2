//! Hot loops on plain slices: ring matrix products and the transposition between words and bit lanes.
//!
//! Everything here is exact arithmetic modulo 2^64 (or 2^8): all paths give the same words, whichever the processor
//! at hand allows. The path is chosen at run time, so one binary serves every machine of a kind; the [portable
//! path](portable::matmul_acc_portable) is plain Rust and is what the others are tested against.
//!
//! Operands are shares and masks. No branch and no address depends on their values, only on the (public) shapes, and
//! every buffer that held them is wiped before it is kept or freed.
//!
//! Wrong slice lengths are a bug of the caller, never of a peer or a file, and panic.

mod aes_ctr;
mod and_xor;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod bits;
#[cfg(target_arch = "x86_64")]
mod clmul;
#[cfg(test)]
mod emulated;
mod gather;
mod gf128;
#[cfg(target_arch = "x86_64")]
mod gfni;
#[cfg(target_arch = "x86_64")]
mod gfni128;
mod leaves;
#[cfg(target_arch = "x86_64")]
mod leaves512;
mod portable;
#[cfg(any(test, target_arch = "x86_64"))]
mod scratch;
mod select;
#[cfg(any(test, target_arch = "x86_64"))]
mod simd;
#[cfg(any(test, target_arch = "x86_64"))]
mod thin;
mod transpose128;
#[cfg(target_arch = "x86_64")]
mod vaes;
#[cfg(target_arch = "x86_64")]
mod vaes_hash;
#[cfg(any(test, target_arch = "x86_64"))]
mod winograd;

pub use aes_ctr::AesCtr;
pub use and_xor::and_xor;
pub use bits::{bit_slice_u8, bit_slice_u64, expand_bits_u8, expand_bits_u64};
pub use gather::xor_rows;
pub use gf128::gf128_dot;
pub use leaves::{Leaf, LeafStreams};
pub use portable::{Word, matmul_acc_portable};
pub use select::xor_at;
pub use transpose128::transpose_128;
#[cfg(target_arch = "x86_64")]
pub(crate) use vaes_hash::VaesHash;

/// `out += a·b` in Z_2^64, row-major: `a` is m×k, `b` is k×n, `out` is m×n.
///
/// # Panics
/// If a slice is not as long as its dimensions say.
///
/// # Example
/// ```
/// use mpc_core::kernels::matmul_acc_u64;
///
/// let (a, b) = ([1, 2, u64::MAX, 4], [5, 6]); // −1 is 2^64 − 1
/// let mut out = [100, 0];
/// matmul_acc_u64(&a, &b, &mut out, 2, 2, 1);
/// assert_eq!(out, [117, 19]);
/// ```
pub fn matmul_acc_u64(a: &[u64], b: &[u64], out: &mut [u64], m: usize, k: usize, n: usize) {
    check_dims(a, b, out, m, k, n);
    #[cfg(target_arch = "x86_64")]
    {
        if let Some(unit) = avx512::Avx512::detect() {
            return unit.multiply(simd::Product { a, b, out, m, k, n });
        }
        if let Some(unit) = avx2::Avx2::detect() {
            return unit.multiply(simd::Product { a, b, out, m, k, n });
        }
    }
    matmul_acc_portable(a, b, out, m, k, n);
}

/// The length of a `rows`×`cols` slice; a product beyond the address space is no slice's length.
fn area(rows: usize, cols: usize) -> usize {
    rows.checked_mul(cols).expect("invariant: dimensions come from a tensor that is in memory")
}

/// Panics unless the three slices have the lengths of an (m×k)·(k×n) product.
#[track_caller]
fn check_dims<T>(a: &[T], b: &[T], out: &[T], m: usize, k: usize, n: usize) {
    assert_eq!(a.len(), area(m, k), "left operand is not {m}×{k}");
    assert_eq!(b.len(), area(k, n), "right operand is not {k}×{n}");
    assert_eq!(out.len(), area(m, n), "output is not {m}×{n}");
}

#[cfg(test)]
mod tests;
