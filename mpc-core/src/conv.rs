//! Two-dimensional convolutions over a ring.
//!
//! Images are \[images, channels, height, width\], kernels \[filters, channels / groups, height, width\], results
//! \[images, filters, down, across\]. As everywhere in machine learning, kernels are not flipped: a result is the sum of a
//! kernel's elements times those of the window below it, of the channels of its group, and what is beyond the image counts as zero.
//!
//! Columns of a matrix are the windows of some positions, a few megabytes at a time, and each block is a product of matrices. The
//! columns are copies of shares and masks and are wiped as all tensors are.

use std::ops::Range;

use crate::ring::Ring;
use crate::tensor::{Tensor, elements};
use crate::windows::Sliding;

/// Elements of a block of columns, about: they stay in the second cache.
const BLOCK: usize = 1 << 17;
/// Positions of a block that make a product of matrices worth its packing.
const POSITIONS: usize = 256;
/// The most elements of a block, where windows have so many that this allows more than one position.
const MOST: usize = 1 << 21;

/// Sizes of a convolution that fit each other. All numbers of elements fit a `usize`.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct ConvShape {
    input: [usize; 4],
    kernel: [usize; 4],
    sliding: Sliding,
    groups: usize,
    positions: [usize; 2],
}

impl ConvShape {
    /// The convolution of images \[images, channels, height, width\] by a kernel \[filters, channels / groups, height, width\];
    /// `None` if there is none.
    #[must_use]
    pub fn new(input: [usize; 4], kernel: [usize; 4], sliding: Sliding, groups: usize) -> Option<Self> {
        let ([images, channels, height, width], [filters, per_group, down, across]) = (input, kernel);
        let fits = images > 0
            && filters > 0
            && per_group > 0
            && groups > 0
            && filters % groups == 0
            && Some(channels) == per_group.checked_mul(groups);
        let positions = sliding.positions([height, width], [down, across]).filter(|_| fits)?;
        let shape = Self { input, kernel, sliding, groups, positions };
        let countable = |dims: [usize; 4]| dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        countable(input)?;
        countable(kernel)?;
        countable(shape.output())?;
        Some(shape)
    }

    /// Axes of the images.
    #[must_use]
    pub const fn input(&self) -> [usize; 4] {
        self.input
    }

    /// Axes of the kernel.
    #[must_use]
    pub const fn kernel(&self) -> [usize; 4] {
        self.kernel
    }

    /// Axes of the result.
    #[must_use]
    pub const fn output(&self) -> [usize; 4] {
        [self.input[0], self.kernel[0], self.positions[0], self.positions[1]]
    }

    /// How windows lie.
    #[must_use]
    pub const fn sliding(&self) -> Sliding {
        self.sliding
    }

    /// Groups of channels and filters that do not meet.
    #[must_use]
    pub const fn groups(&self) -> usize {
        self.groups
    }

    /// Products in an element of the result: elements of a window.
    #[must_use]
    pub const fn terms(&self) -> usize {
        self.kernel[1] * self.kernel[2] * self.kernel[3]
    }

    /// Windows in one channel of all images.
    #[must_use]
    pub const fn windows(&self) -> usize {
        self.input[0] * self.positions[0] * self.positions[1]
    }

    /// Multiplications, those with zeros beyond the image included.
    #[must_use]
    pub fn products(&self) -> u128 {
        elements(&self.output()) as u128 * self.terms() as u128
    }

    /// Which element of the images the kernel's element `tap` is multiplied by in `window`; `None` beyond the image.
    #[must_use]
    pub fn source(&self, tap: usize, window: usize) -> Option<usize> {
        let ([_, channels, height, width], [filters, per_group, down, across]) = (self.input, self.kernel);
        let (u, v) = (tap / across % down, tap % across);
        let channel = tap / (down * across) % per_group + self.group_of(tap, filters) * per_group;
        let [rows, columns] = self.positions;
        let (image, i, j) = (window / (rows * columns), window / columns % rows, window % columns);
        let y = self.sliding.inside(0, i, u, height)?;
        let x = self.sliding.inside(1, j, v, width)?;
        Some(((image * channels + channel) * height + y) * width + x)
    }

    /// Which element of the result that product is a part of.
    #[must_use]
    pub const fn target(&self, tap: usize, window: usize) -> usize {
        let plane = self.positions[0] * self.positions[1];
        (window / plane * self.kernel[0] + tap / self.terms()) * plane + window % plane
    }

    const fn group_of(&self, tap: usize, filters: usize) -> usize {
        tap / self.terms() / (filters / self.groups)
    }

    /// Whether a window is one element, and the next one the next.
    fn is_pointwise(&self) -> bool {
        self.kernel[2..] == [1, 1]
            && self.sliding == Sliding { dilation: self.sliding.dilation, ..Sliding::by(1) }
    }

    /// The positions of blocks: some whole images, or a part of one.
    fn blocks(&self) -> impl Iterator<Item = Range<usize>> {
        let (plane, terms) = (self.positions[0] * self.positions[1], self.terms());
        let most = (MOST / terms).max(1);
        let length = if plane >= POSITIONS || plane >= most {
            plane.min((BLOCK / terms).max(POSITIONS).min(most))
        } else {
            plane * POSITIONS.min(most).div_ceil(plane)
        };
        let (images, whole) = (self.input[0], length % plane == 0);
        // Parts do not cross from one image to the next.
        let together = if whole { images * plane } else { plane };
        (0..images * plane).step_by(together).flat_map(move |first| {
            (first..first + together).step_by(length).map(move |at| at..(first + together).min(at + length))
        })
    }

    /// The windows at these positions as columns, a row for every element of a window of one group.
    fn columns<R: Ring>(&self, group: usize, images: &[R], positions: Range<usize>, out: &mut [R]) {
        let ([_, channels, height, width], [_, per_group, down, across]) = (self.input, self.kernel);
        let [rows, columns] = self.positions;
        // Of every element of a window's line, the windows for which it is on the image, and where it is for the first of them.
        let on_image = |v: usize| {
            let valid = self.sliding.valid(1, v, width, 0..columns);
            (self.sliding.inside(1, valid.start, v, width).unwrap_or(0), valid)
        };
        let lines: Vec<_> = (0..across).map(on_image).collect();
        let start = positions.start;
        let first = (start / (rows * columns), start / columns % rows, start % columns);
        let taps = (0..per_group).flat_map(|c| (0..down * across).map(move |t| (c, t / across, t % across)));
        for ((c, u, v), row) in taps.zip(out.chunks_exact_mut(positions.len())) {
            let mut rest = row;
            let (mut image, mut i, mut j) = first;
            while !rest.is_empty() {
                let (line, others) = rest.split_at_mut((columns - j).min(rest.len()));
                rest = others;
                match self.sliding.inside(0, i, u, height) {
                    None => line.fill(R::ZERO),
                    Some(y) => {
                        let from = ((image * channels + group * per_group + c) * height + y) * width;
                        self.line(&images[from..from + width], &lines[v], j, line);
                    }
                }
                (i, j) = (i + 1, 0);
                if i == rows {
                    (image, i) = (image + 1, 0);
                }
            }
        }
    }

    /// An element of the windows of one line, from window j on.
    fn line<R: Ring>(&self, from: &[R], (first, valid): &(usize, Range<usize>), j: usize, out: &mut [R]) {
        let (end, stride) = (j + out.len(), self.sliding.stride[1]);
        let (start, stop) = (valid.start.clamp(j, end), valid.end.clamp(j, end));
        out[..start - j].fill(R::ZERO);
        out[stop - j..].fill(R::ZERO);
        if start == stop {
            return;
        }
        let (inside, first) = (&mut out[start - j..stop - j], first + (start - valid.start) * stride);
        if stride == 1 {
            inside.copy_from_slice(&from[first..first + inside.len()]);
        } else {
            inside.iter_mut().zip(from[first..].iter().step_by(stride)).for_each(|(o, &x)| *o = x);
        }
    }
}

/// `out += ` the convolution of `input` by `kernel`, all row-major.
///
/// # Panics
/// If a slice is not as long as its axes say.
///
/// ```
/// use mpc_core::{conv::{ConvShape, conv_acc}, ring::Z64, windows::Sliding};
/// let shape = ConvShape::new([1, 1, 1, 4], [1, 1, 1, 2], Sliding::by(1), 1).unwrap();
/// let mut out = [Z64(100), Z64(0), Z64(0)];
/// conv_acc(&shape, &[1, 2, 3, 4].map(Z64), &[10, 1].map(Z64), &mut out);
/// assert_eq!(out, [112, 23, 34].map(Z64));
/// ```
pub fn conv_acc<R: Ring>(shape: &ConvShape, input: &[R], kernel: &[R], out: &mut [R]) {
    assert_eq!(input.len(), elements(&shape.input), "as many elements as the images have places");
    assert_eq!(kernel.len(), elements(&shape.kernel), "as many elements as the kernel has places");
    assert_eq!(out.len(), elements(&shape.output()), "as many elements as the result has places");
    let (terms, filters) = (shape.terms(), shape.kernel[0]);
    let (of_group, plane) = (filters / shape.groups, shape.positions[0] * shape.positions[1]);
    let (mut columns, mut sums) = (Tensor::<R>::zeros(&[0]), Tensor::<R>::zeros(&[0]));
    for positions in shape.blocks() {
        let len = positions.len();
        let is_image = len == plane;
        let pointwise = is_image && shape.is_pointwise();
        if !pointwise && columns.len() != terms * len {
            columns = Tensor::zeros(&[terms * len]);
        }
        if !is_image && sums.len() != of_group * len {
            sums = Tensor::zeros(&[of_group * len]);
        }
        for group in 0..shape.groups {
            let kernel = &kernel[group * of_group * terms..][..of_group * terms];
            let below: &[R] = if pointwise {
                let first = positions.start / plane * shape.input[1] + group * shape.kernel[1];
                &input[first * plane..][..terms * plane]
            } else {
                shape.columns(group, input, positions.clone(), columns.as_mut_slice());
                columns.as_slice()
            };
            let first = positions.start / plane * filters + group * of_group;
            if is_image {
                let out = &mut out[first * plane..][..of_group * plane];
                R::matmul_acc(kernel, below, out, of_group, terms, len);
                continue;
            }
            let sums = sums.as_mut_slice();
            sums.fill(R::ZERO);
            R::matmul_acc(kernel, below, sums, of_group, terms, len);
            for (filter, sums) in sums.chunks_exact(len).enumerate() {
                let mut rest = sums;
                let mut at = positions.start;
                while !rest.is_empty() {
                    let (part, others) = rest.split_at((plane - at % plane).min(rest.len()));
                    rest = others;
                    let to = (at / plane * filters + group * of_group + filter) * plane + at % plane;
                    out[to..][..part.len()].iter_mut().zip(part).for_each(|(o, &s)| *o += s);
                    at += part.len();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ring::{Z8, Z64};

    /// From the definition.
    fn oracle<R: Ring>(shape: &ConvShape, input: &[R], kernel: &[R], out: &mut [R]) {
        let [images, channels, height, width] = shape.input();
        let [filters, per_group, down, across] = shape.kernel();
        let [_, _, rows, columns] = shape.output();
        let Sliding { stride, dilation, padding } = shape.sliding();
        for (b, f) in (0..images).flat_map(|b| (0..filters).map(move |f| (b, f))) {
            let group = f / (filters / shape.groups());
            for (i, j) in (0..rows).flat_map(|i| (0..columns).map(move |j| (i, j))) {
                for (c, u, v) in (0..per_group)
                    .flat_map(|c| (0..down).flat_map(move |u| (0..across).map(move |v| (c, u, v))))
                {
                    let y = (i * stride[0] + u * dilation[0]) as i64 - padding[0][0] as i64;
                    let x = (j * stride[1] + v * dilation[1]) as i64 - padding[1][0] as i64;
                    if (0..height as i64).contains(&y) && (0..width as i64).contains(&x) {
                        let from = ((b * channels + group * per_group + c) * height + y as usize) * width;
                        out[((b * filters + f) * rows + i) * columns + j] +=
                            input[from + x as usize] * kernel[((f * per_group + c) * down + u) * across + v];
                    }
                }
            }
        }
    }

    fn values<R: Ring>(len: usize, seed: u64) -> Vec<R> {
        let mixed = |i: u64| (i ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23) | 1;
        (0..len as u64).map(|i| R::from_u64(mixed(i).wrapping_mul(mixed(i + 77)))).collect()
    }

    fn check<R: Ring>(shape: &ConvShape, seed: u64) {
        let (input, kernel) =
            (values::<R>(elements(&shape.input()), seed), values(elements(&shape.kernel()), seed + 1));
        let mut out = values::<R>(elements(&shape.output()), seed + 2);
        let mut expected = out.clone();
        oracle(shape, &input, &kernel, &mut expected);
        conv_acc(shape, &input, &kernel, &mut out);
        assert!(out == expected, "{shape:?}");
        // The same products, one by one.
        let mut out = values::<R>(elements(&shape.output()), seed + 2);
        for (tap, &k) in kernel.iter().enumerate() {
            for window in 0..shape.windows() {
                if let Some(from) = shape.source(tap, window) {
                    out[shape.target(tap, window)] += k * input[from];
                }
            }
        }
        assert!(out == expected, "{shape:?} product by product");
    }

    fn shape(input: [usize; 4], kernel: [usize; 4], sliding: Sliding, groups: usize) -> ConvShape {
        ConvShape::new(input, kernel, sliding, groups).expect("sizes that fit")
    }

    #[test]
    fn layers_of_networks() {
        let same = Sliding::by(1).padded(1);
        for (input, kernel, sliding, groups) in [
            ([3, 1, 28, 28], [20, 1, 5, 5], Sliding::by(1), 1),
            ([5, 20, 12, 12], [50, 20, 5, 5], Sliding::by(1), 1),
            ([2, 16, 8, 8], [16, 16, 3, 3], same, 1),
            ([2, 16, 9, 7], [24, 16, 1, 1], Sliding::by(1), 1),
            ([2, 16, 9, 7], [24, 16, 1, 1], Sliding::by(2), 1),
            ([2, 12, 10, 10], [12, 1, 3, 3], same, 12),
            ([2, 12, 10, 10], [24, 3, 3, 3], same.dilated(2), 4),
            ([1, 3, 60, 61], [4, 3, 7, 7], Sliding::by(2).padded(3), 1),
            ([9, 4, 1, 1], [3, 4, 1, 1], Sliding::by(1), 1),
            ([4, 2, 1, 50], [3, 2, 1, 9], Sliding { padding: [[0, 0], [4, 3]], ..Sliding::by(1) }, 1),
        ] {
            check::<Z64>(&shape(input, kernel, sliding, groups), 5);
        }
    }

    #[test]
    fn blocks_of_all_kinds_join() {
        // Parts of an image, whole images one by one and several together; windows larger than a block.
        let parts = shape([2, 64, 40, 40], [2, 64, 5, 5], Sliding::by(1), 1);
        let together = shape([9, 3, 6, 6], [2, 3, 3, 3], Sliding::by(1), 1);
        let wide = shape([2, 1, 1, MOST + 1], [1, 1, 1, MOST], Sliding::by(1), 1);
        let blocks = |s: &ConvShape| s.blocks().map(|b| b.len()).collect::<Vec<_>>();
        assert_eq!(blocks(&parts), [256, 256, 256, 256, 256, 16, 256, 256, 256, 256, 256, 16]);
        assert_eq!(blocks(&together), [9 * 16]);
        assert_eq!(blocks(&shape([40, 3, 6, 6], [2, 3, 3, 3], Sliding::by(1), 1)), [256, 256, 128]);
        assert_eq!(blocks(&wide), [1; 4]);
        for s in [parts, together] {
            check::<Z64>(&s, 8);
        }
        let (input, kernel) = (values::<Z64>(2 * (MOST + 1), 1), values::<Z64>(MOST, 2));
        let mut out = [Z64::ZERO; 4];
        conv_acc(&wide, &input, &kernel, &mut out);
        for (i, &sum) in out.iter().enumerate() {
            let from = &input[i / 2 * (MOST + 1) + i % 2..];
            assert_eq!(sum, from.iter().zip(&kernel).fold(Z64::ZERO, |s, (&a, &b)| s + a * b));
        }
    }

    #[test]
    fn sizes_that_do_not_fit_make_no_shape() {
        let new = ConvShape::new;
        let one = Sliding::by(1);
        assert!(new([1, 2, 3, 3], [4, 2, 3, 3], one, 1).is_some());
        for (input, kernel, sliding, groups) in [
            ([0, 2, 3, 3], [4, 2, 3, 3], one, 1),
            ([1, 2, 3, 3], [0, 2, 3, 3], one, 1),
            ([1, 2, 3, 3], [4, 3, 3, 3], one, 1),
            ([1, 2, 3, 3], [4, 2, 3, 3], one, 2),
            ([1, 2, 3, 3], [4, 2, 3, 3], one, 0),
            ([1, 4, 3, 3], [3, 2, 3, 3], one, 2),
            ([1, 0, 3, 3], [4, 0, 3, 3], one, 1),
            ([1, 2, 3, 3], [4, 2, 4, 3], one, 1),
            ([1, 2, 3, 3], [4, 2, 3, 3], Sliding::by(0), 1),
            ([usize::MAX, 2, 3, 3], [4, 2, 3, 3], one, 1),
            ([1, 2, 3, 3], [usize::MAX / 4, 2, 3, 3], one, 1),
            ([1 << 40, 1, 1, 1], [1 << 30, 1, 1, 1], one, 1),
            ([1, 1, 1, 1], [1, 1, 1, 1], one.padded(1 << 40), 1),
        ] {
            assert!(
                new(input, kernel, sliding, groups).is_none(),
                "{input:?} {kernel:?} {sliding:?} {groups}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_shape_is_right(
            images in 1usize..4,
            groups in 1usize..4,
            per_group in 1usize..4,
            filters in 1usize..4,
            size in [1usize..9, 1usize..9],
            window in [1usize..5, 1usize..5],
            stride in [1usize..4, 1usize..4],
            dilation in [1usize..3, 1usize..3],
            padding in [[0usize..4, 0usize..4], [0usize..4, 0usize..4]],
            seed: u64,
        ) {
            let sliding = Sliding { stride, dilation, padding };
            let input = [images, groups * per_group, size[0], size[1]];
            let kernel = [groups * filters, per_group, window[0], window[1]];
            if let Some(shape) = ConvShape::new(input, kernel, sliding, groups) {
                check::<Z64>(&shape, seed);
                check::<Z8>(&shape, seed);
            }
        }
    }
}
