//! Products that packing does not pay for: matrix-vector, tall and skinny, vector-matrix, and small ones.

use super::scratch::Scratch;
use super::simd::{Product, Simd};

/// Depth of a block of transposed columns: with the few columns that come here, it stays in L2.
const DEPTH: usize = 2048;

/// Few columns: every element is a dot product of a row of `a` and a column of `b`, both read along the depth; `R`×`C`
/// of them at a time share their loads. `a` is read once, in order, and never copied.
#[inline(always)]
pub(super) fn dot<S: Simd, const R: usize, const C: usize>(simd: S, product: Product<'_>) {
    let Product { a, b, out, m, k, n } = product;
    if n == 1 {
        return dot_block::<S, 4, 1>(simd, a, k, b, k, out, m, 1);
    }
    let mut scratch = Scratch::zeroed(DEPTH.min(k) * n);
    for l0 in (0..k).step_by(DEPTH) {
        let depth = DEPTH.min(k - l0);
        let columns = &mut scratch.words()[..depth * n];
        for (l, row) in b[l0 * n..][..depth * n].chunks_exact(n).enumerate() {
            for (j, &word) in row.iter().enumerate() {
                columns[j * depth + l] = word;
            }
        }
        dot_block::<S, R, C>(simd, &a[l0..], k, columns, depth, out, m, n);
    }
}

/// `m` rows of `a` (a row begins every `stride` words) against `n` columns of `depth` words.
#[inline(always)]
#[allow(clippy::too_many_arguments)] // plain dimensions of an inner kernel
fn dot_block<S: Simd, const R: usize, const C: usize>(
    simd: S,
    a: &[u64],
    stride: usize,
    columns: &[u64],
    depth: usize,
    out: &mut [u64],
    m: usize,
    n: usize,
) {
    let mut i = 0;
    while i + R <= m {
        let rows = &a[i * stride..];
        let sums = &mut out[i * n..][..R * n];
        let mut j = 0;
        while j + C <= n {
            dots::<S, R, C>(simd, rows, stride, &columns[j * depth..], depth, &mut sums[j..], n);
            j += C;
        }
        while j + 2 <= n {
            dots::<S, R, 2>(simd, rows, stride, &columns[j * depth..], depth, &mut sums[j..], n);
            j += 2;
        }
        while j < n {
            dots::<S, R, 1>(simd, rows, stride, &columns[j * depth..], depth, &mut sums[j..], n);
            j += 1;
        }
        i += R;
    }
    while i < m {
        for j in 0..n {
            dots::<S, 1, 1>(
                simd,
                &a[i * stride..],
                stride,
                &columns[j * depth..],
                depth,
                &mut out[i * n + j..],
                n,
            );
        }
        i += 1;
    }
}

/// `R` rows against `C` columns.
#[inline(always)]
fn dots<S: Simd, const R: usize, const C: usize>(
    simd: S,
    a: &[u64],
    stride: usize,
    columns: &[u64],
    depth: usize,
    out: &mut [u64],
    out_stride: usize,
) {
    let mut rows: [&[u64]; R] = [&[]; R];
    for r in 0..R {
        rows[r] = &a[r * stride..][..depth];
    }
    let mut cols: [&[u64]; C] = [&[]; C];
    for c in 0..C {
        cols[c] = &columns[c * depth..][..depth];
    }
    let mut sums = [[simd.empty_sum(); C]; R];
    let whole = depth - depth % S::LANES;
    let mut l = 0;
    while l < whole {
        let mut y = [simd.splat(0); C];
        for c in 0..C {
            y[c] = simd.load(&cols[c][l..]);
        }
        for r in 0..R {
            let x = simd.load(&rows[r][l..]);
            for c in 0..C {
                sums[r][c] = simd.mul_add(sums[r][c], x, y[c]);
            }
        }
        l += S::LANES;
    }
    if whole < depth {
        for r in 0..R {
            let x = simd.load_partial(&rows[r][whole..]);
            for c in 0..C {
                sums[r][c] = simd.mul_add(sums[r][c], x, simd.load_partial(&cols[c][whole..]));
            }
        }
    }
    for r in 0..R {
        for c in 0..C {
            let sum = &mut out[r * out_stride + c];
            *sum = sum.wrapping_add(simd.across(simd.total(sums[r][c])));
        }
    }
}

/// Few rows, small depth or small everything: words of `a` are broadcast against vectors of `b` where they lie. Tiles
/// are `R` rows by `C` vectors; rows that remain are done one by one, `ROW_C` vectors wide.
#[inline(always)]
pub(super) fn broadcast<S: Simd, const R: usize, const C: usize, const ROW_C: usize>(
    simd: S,
    product: Product<'_>,
) {
    let Product { a, b, out, m, k, n } = product;
    let mut i = 0;
    while i + R <= m {
        rows::<S, R, C>(simd, &a[i * k..][..R * k], b, &mut out[i * n..][..R * n], k, n);
        i += R;
    }
    while i < m {
        rows::<S, 1, ROW_C>(simd, &a[i * k..][..k], b, &mut out[i * n..][..n], k, n);
        i += 1;
    }
}

#[inline(always)]
fn rows<S: Simd, const R: usize, const C: usize>(
    simd: S,
    a: &[u64],
    b: &[u64],
    out: &mut [u64],
    k: usize,
    n: usize,
) {
    let mut j = 0;
    while j + C * S::LANES <= n {
        strip::<S, R, C>(simd, a, &b[j..], &mut out[j..], k, n, S::LANES);
        j += C * S::LANES;
    }
    while j + S::LANES <= n {
        strip::<S, R, 1>(simd, a, &b[j..], &mut out[j..], k, n, S::LANES);
        j += S::LANES;
    }
    if j < n {
        strip::<S, R, 1>(simd, a, &b[j..], &mut out[j..], k, n, n - j);
    }
}

/// `R` rows by `C` vectors of columns, the last of which is `width` words wide.
#[inline(always)]
fn strip<S: Simd, const R: usize, const C: usize>(
    simd: S,
    a: &[u64],
    b: &[u64],
    out: &mut [u64],
    k: usize,
    n: usize,
    width: usize,
) {
    let words = (C - 1) * S::LANES + width;
    let mut sums = [[simd.empty_sum(); C]; R];
    for l in 0..k {
        let b_row = &b[l * n..][..words];
        let mut y = [simd.splat(0); C];
        for c in 0..C {
            y[c] = load(simd, &b_row[c * S::LANES..], width);
        }
        for r in 0..R {
            let x = simd.splat(a[r * k + l]);
            for c in 0..C {
                sums[r][c] = simd.mul_add(sums[r][c], x, y[c]);
            }
        }
    }
    for r in 0..R {
        let out_row = &mut out[r * n..][..words];
        for c in 0..C {
            let part = &mut out_row[c * S::LANES..];
            let sum = simd.add(load(simd, part, width), simd.total(sums[r][c]));
            if width == S::LANES {
                simd.store(part, sum);
            } else {
                simd.store_partial(part, sum);
            }
        }
    }
}

#[inline(always)]
fn load<S: Simd>(simd: S, src: &[u64], width: usize) -> S::Vector {
    if width == S::LANES { simd.load(src) } else { simd.load_partial(src) }
}
