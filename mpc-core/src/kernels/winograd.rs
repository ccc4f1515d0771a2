//! The packed product for large shapes, by Winograd's inner product ("A new algorithm for inner product", IEEE Trans.
//! Computers C-17, 1968), which halves the multiplications and is exact in any commutative ring:
//!
//! Σ_l a_l·b_l = Σ_j (a_2j + b_2j+1)·(a_2j+1 + b_2j) − ξ − η,  ξ = Σ_j a_2j·a_2j+1,  η = Σ_j b_2j·b_2j+1,
//!
//! where ξ depends on the row of `a` and η on the column of `b` only. Wrapping 64-bit multiplication is what vector
//! units do worst, additions are cheap. Blocking follows Goto and van de Geijn ("Anatomy of high-performance matrix
//! multiplication", 2008): a block of `a` lives in L2, a panel of `b` in L1, the sums in registers.

use super::scratch::Scratch;
use super::simd::{Product, Simd};

/// Depth of a block; even, so that pairs never straddle two blocks.
const DEPTH: usize = 256;
/// Rows of a block of `a`: 256 KB packed.
const ROWS: usize = 128;
/// Columns of a block of `b`: 2 MB packed.
const COLS: usize = 1024;

/// `out += a·b`. Register tiles are `TALL` rows (the last ones of a block maybe `LOW`, the number of lanes) by one
/// vector.
#[inline(always)]
pub(super) fn multiply<S: Simd, const TALL: usize, const LOW: usize>(simd: S, product: Product<'_>) {
    const { assert!(LOW == S::LANES && TALL.is_multiple_of(LOW) && ROWS.is_multiple_of(TALL)) };
    let Product { a, b, out, m, k, n } = product;
    let (max_rows, max_cols) = (ROWS.min(m.next_multiple_of(LOW)), COLS.min(n.next_multiple_of(S::LANES)));
    let max_depth = DEPTH.min(k.next_multiple_of(2));
    let mut scratch = Scratch::zeroed((max_depth + 1) * (max_rows + max_cols));
    let (packed_a, rest) = scratch.words().split_at_mut(max_depth * max_rows);
    let (packed_b, rest) = rest.split_at_mut(max_depth * max_cols);
    let (xi, eta) = rest.split_at_mut(max_rows);

    for j0 in (0..n).step_by(COLS) {
        let cols = COLS.min(n - j0);
        for l0 in (0..k).step_by(DEPTH) {
            let depth = DEPTH.min(k - l0);
            let even = depth.next_multiple_of(2);
            for j in (0..cols).step_by(S::LANES) {
                let panel = &mut packed_b[j * even..][..S::LANES * even];
                pack_columns(simd, &b[l0 * n + j0 + j..], n, depth, S::LANES.min(cols - j), panel);
                pair_products(simd, panel, S::LANES, &mut eta[j..]);
            }
            for i0 in (0..m).step_by(ROWS) {
                let rows = ROWS.min(m - i0);
                for i in (0..rows).step_by(TALL) {
                    let height = if rows - i > LOW { TALL } else { LOW };
                    let panel = &mut packed_a[i * even..][..height * even];
                    pack_rows(simd, &a[(i0 + i) * k + l0..], k, height.min(rows - i), depth, height, panel);
                    pair_products(simd, panel, height, &mut xi[i..]);
                }
                for i in (0..rows).step_by(TALL) {
                    let panel_a = &packed_a[i * even..];
                    for j in (0..cols).step_by(S::LANES) {
                        let panel_b = &packed_b[j * even..][..S::LANES * even];
                        let width = S::LANES.min(cols - j);
                        let corner = &mut out[(i0 + i) * n + j0 + j..];
                        if rows - i > LOW {
                            let sums = tile::<S, TALL>(simd, &panel_a[..TALL * even], panel_b);
                            settle(simd, &sums[..TALL.min(rows - i)], &xi[i..], &eta[j..], corner, n, width);
                        } else {
                            let sums = tile::<S, LOW>(simd, &panel_a[..LOW * even], panel_b);
                            settle(simd, &sums[..rows - i], &xi[i..], &eta[j..], corner, n, width);
                        }
                    }
                }
            }
        }
    }
}

/// The inner loop: Σ_j (a_2j + b_2j+1)·(a_2j+1 + b_2j) for `R` rows and one vector of columns.
#[inline(always)]
fn tile<S: Simd, const R: usize>(simd: S, panel_a: &[u64], panel_b: &[u64]) -> [S::Vector; R] {
    let mut sums = [simd.empty_sum(); R];
    for (x, y) in panel_a.chunks_exact(2 * R).zip(panel_b.chunks_exact(2 * S::LANES)) {
        let (y_even, y_odd) = (simd.load(&y[..S::LANES]), simd.load(&y[S::LANES..]));
        for i in 0..R {
            let left = simd.add(simd.splat(x[i]), y_odd);
            let right = simd.add(simd.splat(x[R + i]), y_even);
            sums[i] = simd.mul_add(sums[i], left, right);
        }
    }
    // A second array, so that the one above is never indexed by a variable and stays in registers.
    let mut totals = [simd.splat(0); R];
    for i in 0..R {
        totals[i] = simd.total(sums[i]);
    }
    totals
}

/// Subtracts ξ and η and adds to the output.
#[inline(always)]
fn settle<S: Simd>(
    simd: S,
    sums: &[S::Vector],
    xi: &[u64],
    eta: &[u64],
    corner: &mut [u64],
    stride: usize,
    width: usize,
) {
    let eta = simd.load(eta);
    for (i, (&sum, &xi)) in sums.iter().zip(xi).enumerate() {
        let dot = simd.sub(simd.sub(sum, simd.splat(xi)), eta);
        let row = &mut corner[i * stride..][..width];
        if width == S::LANES {
            simd.store(row, simd.add(simd.load(row), dot));
        } else {
            let sum = simd.add(simd.load_partial(row), dot);
            simd.store_partial(row, sum);
        }
    }
}

/// Packs `width` columns: one vector per depth, zeros beyond the last column and depth.
#[inline(always)]
fn pack_columns<S: Simd>(simd: S, b: &[u64], stride: usize, depth: usize, width: usize, panel: &mut [u64]) {
    for (l, dst) in panel.chunks_exact_mut(S::LANES).enumerate() {
        let vector = if l == depth {
            simd.splat(0)
        } else if width == S::LANES {
            simd.load(&b[l * stride..])
        } else {
            simd.load_partial(&b[l * stride..][..width])
        };
        simd.store(dst, vector);
    }
}

/// Packs `rows` rows transposed: `height` words per depth, zeros beyond the last row and depth.
#[inline(always)]
fn pack_rows<S: Simd>(
    simd: S,
    a: &[u64],
    stride: usize,
    rows: usize,
    depth: usize,
    height: usize,
    panel: &mut [u64],
) {
    let whole_rows = rows - rows % S::LANES;
    let whole_depth = depth - depth % S::LANES;
    for l in (0..whole_depth).step_by(S::LANES) {
        for i in (0..whole_rows).step_by(S::LANES) {
            simd.transpose(&a[i * stride + l..], stride, &mut panel[l * height + i..], height);
        }
    }
    for (l, dst) in panel.chunks_exact_mut(height).enumerate() {
        let from = if l < whole_depth { whole_rows } else { 0 };
        for (i, word) in dst.iter_mut().enumerate().skip(from) {
            *word = if i < rows && l < depth { a[i * stride + l] } else { 0 };
        }
    }
}

/// ξ of each of the `height` rows of a packed panel, or η of its columns.
#[inline(always)]
fn pair_products<S: Simd>(simd: S, panel: &[u64], height: usize, out: &mut [u64]) {
    for i in (0..height).step_by(S::LANES) {
        let mut sum = simd.empty_sum();
        for pair in panel.chunks_exact(2 * height) {
            sum = simd.mul_add(sum, simd.load(&pair[i..]), simd.load(&pair[height + i..]));
        }
        simd.store(&mut out[i..], simd.total(sum));
    }
}
