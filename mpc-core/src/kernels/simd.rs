//! What the matrix kernels need from a vector unit, and which kernel serves which shape.
//!
//! The kernels are safe code over [`Simd`]; a value of an implementing type is the proof that the processor has the
//! instructions, so `unsafe` stays in the files that implement it. Everything between a `#[target_feature]` entry and
//! the intrinsics is `#[inline(always)]`: the kernels are compiled once per instruction set, inside that entry.

use super::{thin, winograd};

/// A vector unit with [`LANES`](Self::LANES) 64-bit lanes. All arithmetic wraps.
pub(super) trait Simd: Copy {
    /// One vector.
    type Vector: Copy;
    /// A running sum of lane-wise products, possibly held in parts that are put together in the end.
    type Sum: Copy;
    /// Words in a vector.
    const LANES: usize;
    /// Up to this many columns, dot products beat packing.
    const DOT_COLUMNS: usize;

    fn splat(self, word: u64) -> Self::Vector;
    /// The first `LANES` words of `src`; panics if there are fewer.
    fn load(self, src: &[u64]) -> Self::Vector;
    /// All of `src`, at most `LANES` words, then zeros.
    fn load_partial(self, src: &[u64]) -> Self::Vector;
    /// To the first `LANES` words of `dst`; panics if there are fewer.
    fn store(self, dst: &mut [u64], x: Self::Vector);
    /// As many words as `dst` has, at most `LANES`.
    fn store_partial(self, dst: &mut [u64], x: Self::Vector);
    fn add(self, x: Self::Vector, y: Self::Vector) -> Self::Vector;
    fn sub(self, x: Self::Vector, y: Self::Vector) -> Self::Vector;

    fn empty_sum(self) -> Self::Sum;
    /// `sum + x·y` lane by lane. Work on `y` alone may be shared between calls.
    fn mul_add(self, sum: Self::Sum, x: Self::Vector, y: Self::Vector) -> Self::Sum;
    fn total(self, sum: Self::Sum) -> Self::Vector;
    /// The sum of all lanes.
    fn across(self, x: Self::Vector) -> u64;

    /// Transposes a `LANES`×`LANES` tile between two row-major arrays.
    fn transpose(self, src: &[u64], src_stride: usize, dst: &mut [u64], dst_stride: usize);
}

/// The operands of `out += a·b` with their dimensions: `a` is m×k, `b` is k×n, `out` is m×n.
pub(super) struct Product<'a> {
    pub(super) a: &'a [u64],
    pub(super) b: &'a [u64],
    pub(super) out: &'a mut [u64],
    pub(super) m: usize,
    pub(super) k: usize,
    pub(super) n: usize,
}

/// Below this many multiplications, packing costs more than it saves.
const SMALL: usize = 32 * 32 * 32;
/// So few rows (or so small a depth) do not pay for packing the right operand.
const FEW: usize = 8;

/// Computes the product by the kernel that fits its shape. `TALL` rows (a multiple of the lanes) by one vector is the
/// packed register tile, `LOW` its remainder; `DOT_R`×`DOT_C` dot products and `R` rows by `C` vectors (or one row by
/// `ROW_C`) are the unpacked ones.
#[inline(always)]
pub(super) fn multiply<
    S: Simd,
    const TALL: usize,
    const LOW: usize,
    const DOT_R: usize,
    const DOT_C: usize,
    const R: usize,
    const C: usize,
    const ROW_C: usize,
>(
    simd: S,
    product: Product<'_>,
) {
    let Product { m, k, n, .. } = product;
    if m == 0 || k == 0 || n == 0 {
        return;
    }
    if n == 1 || (n <= S::DOT_COLUMNS && m > FEW && k >= 2 * S::LANES) {
        thin::dot::<S, DOT_R, DOT_C>(simd, product);
    } else if m <= FEW || k <= FEW || m.saturating_mul(k).saturating_mul(n) <= SMALL {
        thin::broadcast::<S, R, C, ROW_C>(simd, product);
    } else {
        winograd::multiply::<S, TALL, LOW>(simd, product);
    }
}
