//! Gradients through products of any rank, convolutions and pooling.

use mpc_core::windows::Sliding;
use ndarray::Axis;

use super::super::{ProgramBuilder, Value};
use crate::error::ProgramError;
use crate::op::{NodeId, Op};
use crate::shape::Shape;

impl ProgramBuilder {
    /// The derivative of a factor of a matrix product: G·Bᵀ for the left one, Aᵀ·G for the right one, over the last two axes.
    pub(super) fn through_product(
        &mut self,
        g: Value,
        other: Value,
        is_left: bool,
        shape: &Shape,
    ) -> Result<Value, ProgramError> {
        let rank = self.fact_of(other).shape.rank();
        let other = if rank == 2 {
            self.transpose(other)?
        } else {
            let axes: Vec<usize> = (0..rank - 2).chain([rank - 1, rank - 2]).collect();
            self.permute(other, &axes)?
        };
        let product = if is_left { self.matmul(g, other)? } else { self.matmul(other, g)? };
        // What was repeated along leading axes.
        let own = self.fact_of(product).shape.clone();
        self.narrowed(product, &own, shape)
    }

    /// The derivative of a factor of a dense layer; what has leading axes is a matrix of all its rows.
    pub(super) fn through_dense(
        &mut self,
        g: Value,
        (x, w): (Value, Value),
        of_x: bool,
    ) -> Result<Value, ProgramError> {
        let rows = |b: &mut Self, v: Value| {
            let dims = b.fact_of(v).shape.dims().to_vec();
            let Some((&last, leading)) = dims.split_last() else { return Ok(v) };
            if leading.len() == 1 { Ok(v) } else { b.reshape(v, [leading.iter().product(), last]) }
        };
        let (shape, g) = (self.fact_of(x).shape.clone(), rows(self, g)?);
        if of_x {
            let w = self.transpose(w)?;
            let all = self.matmul(g, w)?;
            return if shape.rank() == 2 { Ok(all) } else { self.reshape(all, shape) };
        }
        let x = rows(self, x)?;
        let x = self.transpose(x)?;
        self.matmul(x, g)
    }

    /// The derivative of operand `i` of a convolution: convolutions as well.
    pub(super) fn through_conv(
        &mut self,
        node: NodeId,
        i: usize,
        g: Value,
        shape: &Shape,
    ) -> Result<Value, ProgramError> {
        let Op::Conv { x, w, sliding, groups, .. } = self.program.nodes[node as usize].op else {
            unreachable!("the node is a convolution")
        };
        let value = |node| Value { builder: self.id, node };
        match i {
            0 => self.through_images(g, value(w), (sliding, groups), shape),
            1 => self.through_kernel(g, value(x), (sliding, groups), shape),
            _ => {
                // One number for every filter.
                let over_images = self.sum(g, Axis(0))?;
                let over_rows = self.sum(over_images, Axis(1))?;
                self.sum(over_rows, Axis(1))
            }
        }
    }

    /// That of the images is G by the kernel turned around. With steps of s, rows of the images are of s kinds, and a kind meets every
    /// s-th row of the kernel alone: all kinds of all channels are the filters of one convolution of G in steps of one, whose results
    /// then go side by side.
    fn through_images(
        &mut self,
        g: Value,
        w: Value,
        (sliding, groups): (Sliding, usize),
        shape: &Shape,
    ) -> Result<Value, ProgramError> {
        let (images, kernel, results) = (dims(shape), self.dims_of(w), self.dims_of(g));
        let [vertical, horizontal] = [0, 1]
            .map(|axis| Back::of(&sliding, axis, images[axis + 2], kernel[axis + 2], results[axis + 2]));
        let [filters, channels, down, across] = kernel;
        let taps: Vec<Option<usize>> = (0..vertical.stride)
            .flat_map(|r| (0..horizontal.stride).map(move |s| (r, s)))
            .flat_map(|(r, s)| {
                let beside = horizontal.taps(s);
                vertical
                    .taps(r)
                    .into_iter()
                    .flat_map(move |u| beside.clone().into_iter().map(move |v| (u, v)))
            })
            .map(|(u, v)| Some(u? * across + v?))
            .collect();
        let flat = self.reshape(w, [filters, channels, down * across])?;
        let turned = self.picked(flat, 2, &taps)?;
        let kinds = channels * vertical.stride * horizontal.stride;
        let (rows, columns) = (vertical.each, horizontal.each);
        let apart = self.reshape(turned, [groups, filters / groups, kinds, rows, columns])?;
        let swapped = self.permute(apart, &[0, 2, 1, 3, 4])?;
        let turned = self.reshape(swapped, [groups * kinds, filters / groups, rows, columns])?;
        let (mut g, mut padding) = (g, [[0; 2]; 2]);
        for (axis, back) in [vertical, horizontal].iter().enumerate() {
            if back.padding.iter().all(|&n| n >= 0) {
                padding[axis] = back.padding.map(isize::unsigned_abs);
            } else {
                // Results of windows that are beside the images altogether.
                g = self.shifted(g, axis + 2, back.padding)?;
            }
        }
        let dilation = [vertical.dilation, horizontal.dilation];
        let mut out =
            self.conv2d_grouped(g, turned, None, Sliding { stride: [1; 2], dilation, padding }, groups)?;
        let [_, _, rows, columns] = self.dims_of(out);
        let steps = [vertical.stride, horizontal.stride];
        if steps != [1; 2] {
            out = self.reshape(out, [images[0], images[1], steps[0], steps[1], rows, columns])?;
            out = self.permute(out, &[0, 1, 4, 2, 5, 3])?;
            out = self.reshape(out, [images[0], images[1], rows * steps[0], columns * steps[1]])?;
        }
        out = self.part(out, 2, vertical.cut, images[2])?;
        self.part(out, 3, horizontal.cut, images[3])
    }

    /// That of the kernel is the images with G for a kernel, where images and channels change places, and so do the steps of windows
    /// and those between elements of a window.
    fn through_kernel(
        &mut self,
        g: Value,
        x: Value,
        (sliding, groups): (Sliding, usize),
        shape: &Shape,
    ) -> Result<Value, ProgramError> {
        let ([images, channels, height, width], kernel) = (self.dims_of(x), dims(shape));
        let (results, mut padding) = (self.dims_of(g), sliding.padding);
        let mut rows = if groups == 1 {
            self.permute(x, &[1, 0, 2, 3])?
        } else {
            let apart = self.reshape(x, [images, groups, channels / groups, height, width])?;
            let swapped = self.permute(apart, &[2, 1, 0, 3, 4])?;
            self.reshape(swapped, [channels / groups, groups * images, height, width])?
        };
        for axis in [0, 1] {
            let (len, windows, taps) = ([height, width][axis], results[axis + 2], kernel[axis + 2]);
            let reached = (windows - 1) * sliding.stride[axis] + (taps - 1) * sliding.dilation[axis] + 1;
            // What no window reached.
            let rest = len + padding[axis].iter().sum::<usize>() - reached;
            let cut = rest.saturating_sub(padding[axis][1]).min(len - 1);
            padding[axis][1] -= rest.min(padding[axis][1]);
            rows = self.part(rows, axis + 2, 0, len - cut)?;
        }
        let g = self.permute(g, &[1, 0, 2, 3])?;
        let sliding = Sliding { stride: sliding.dilation, dilation: sliding.stride, padding };
        let mut product = self.conv2d_grouped(rows, g, None, sliding, groups)?;
        for axis in [2, 3] {
            product = self.part(product, axis, 0, kernel[axis])?;
        }
        self.permute(product, &[1, 0, 2, 3])
    }

    /// The derivative of images from that of windows: every element is added to where it came from, first down and then across.
    pub(super) fn through_unfold(
        &mut self,
        node: NodeId,
        g: Value,
        shape: &Shape,
    ) -> Result<Value, ProgramError> {
        let Op::Unfold { window, sliding, outside, .. } = self.program.nodes[node as usize].op else {
            unreachable!("the node unfolds images")
        };
        let [images, channels, height, width] = dims(shape);
        let &[_, _, _, down, across] = self.fact_of(g).shape.dims() else {
            unreachable!("inference gives windows five axes")
        };
        let places = |axis: usize, positions: usize, len: usize| -> Vec<Option<usize>> {
            let all = (0..window[axis]).flat_map(|tap| (0..positions).map(move |position| (tap, position)));
            all.map(|(tap, position)| sliding.source(axis, position, tap, (window[axis], len), outside))
                .collect()
        };
        let apart = self.reshape(g, [images, window[0], window[1], channels, down, across])?;
        let columns = self.permute(apart, &[0, 2, 3, 5, 1, 4])?;
        let columns = self.reshape(columns, [images * window[1], channels, across, window[0] * down])?;
        let rows = self.scattered(columns, 3, &places(0, down, height), height)?;
        let rows = self.reshape(rows, [images, window[1], channels, across, height])?;
        let rows = self.permute(rows, &[0, 2, 4, 1, 3])?;
        let rows = self.reshape(rows, [images, channels, height, window[1] * across])?;
        self.scattered(rows, 3, &places(1, across, width), width)
    }

    fn dims_of(&self, x: Value) -> [usize; 4] {
        dims(&self.fact_of(x).shape)
    }
}

/// Axes of images or of a kernel.
fn dims(shape: &Shape) -> [usize; 4] {
    shape.dims().try_into().unwrap_or_else(|_| unreachable!("inference gives images and kernels four axes"))
}

/// One axis of a convolution, the other way: from its results to its images.
#[derive(Copy, Clone)]
struct Back {
    /// Steps of the windows.
    stride: usize,
    /// Taps of the kernel.
    len: usize,
    /// How far they are apart among those that are counted.
    apart: usize,
    /// Taps that one kind of rows meets.
    each: usize,
    /// How far these are apart.
    dilation: usize,
    /// Zeros before and after the results, or results that no row meets.
    padding: [isize; 2],
    /// Rows before the first of the images.
    cut: usize,
}

impl Back {
    fn of(sliding: &Sliding, axis: usize, images: usize, kernel: usize, results: usize) -> Self {
        let (stride, before) = (sliding.stride[axis], sliding.padding[axis][0]);
        // In steps of one, elements of the kernel stay apart; else what is between them counts as zeros of it.
        let (apart, dilation) =
            if stride == 1 { (1, sliding.dilation[axis]) } else { (sliding.dilation[axis], 1) };
        let each = ((kernel - 1) * apart + 1).div_ceil(stride);
        let (first, end) = (before / stride, (before + images).div_ceil(stride));
        let reach = (each - 1) * dilation;
        let padding = [reach as isize - first as isize, end as isize - results as isize];
        Self { stride, len: kernel, apart, each, dilation, padding, cut: before - first * stride }
    }

    /// The taps that rows of a kind meet, the last one first.
    fn taps(&self, kind: usize) -> Vec<Option<usize>> {
        let tap =
            |at: usize| Some(at / self.apart).filter(|&t| at.is_multiple_of(self.apart) && t < self.len);
        (0..self.each).rev().map(|t| tap(t * self.stride + kind)).collect()
    }
}
