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

    /// The derivative of operand `i` of a convolution in steps of one: convolutions as well. That of the images is G with a kernel that is
    /// turned around; that of the kernel is the images with G for a kernel, where images and channels change places.
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
        if i == 2 {
            // One number for every filter.
            let over_images = self.sum(g, Axis(0))?;
            let over_rows = self.sum(over_images, Axis(1))?;
            return self.sum(over_rows, Axis(1));
        }
        let value = |node| Value { builder: self.id, node };
        let (x, w) = (value(x), value(w));
        let kernel = self.fact_of(w).shape.dims().to_vec();
        let reach = |axis: usize| {
            let [before, after] = sliding.padding[axis];
            let k = kernel[axis + 2] - 1;
            Some([k.checked_sub(before)?, k.checked_sub(after)?])
        };
        let (plain, Some(above), Some(beside)) =
            (sliding.stride == [1; 2] && sliding.dilation == [1; 2] && groups == 1, reach(0), reach(1))
        else {
            return Err(ProgramError::NoGradient { node, op: "conv" });
        };
        if !plain {
            return Err(ProgramError::NoGradient { node, op: "conv" });
        }
        let conv = |b: &mut Self, x: Value, w: Value, sliding: Sliding| {
            b.push("conv", &[x, w], |v| Op::Conv { x: v[0], w: v[1], bias: None, sliding, groups: 1 })
        };
        let swapped = |b: &mut Self, v: Value| b.permute(v, &[1, 0, 2, 3]);
        if i == 0 {
            let mut turned = swapped(self, w)?;
            for axis in [2, 3] {
                let last_first: Vec<usize> = (0..kernel[axis]).rev().collect();
                turned = self.gather(turned, Axis(axis), &last_first)?;
            }
            return conv(self, g, turned, Sliding { padding: [above, beside], ..sliding });
        }
        let (x, g) = (swapped(self, x)?, swapped(self, g)?);
        let product = conv(self, x, g, sliding)?;
        debug_assert_eq!(self.fact_of(product).shape.dims()[0], shape.dims()[1]);
        swapped(self, product)
    }

    /// The derivative of images from that of windows which do not overlap: every element goes back to where it came from.
    pub(super) fn through_unfold(
        &mut self,
        node: NodeId,
        g: Value,
        shape: &Shape,
    ) -> Result<Value, ProgramError> {
        let Op::Unfold { window, sliding, .. } = self.program.nodes[node as usize].op else {
            unreachable!("the node unfolds images")
        };
        if sliding.stride != window || sliding.dilation != [1; 2] || sliding.padding != [[0; 2]; 2] {
            return Err(ProgramError::NoGradient { node, op: "unfold" });
        }
        let &[images, _, channels, down, across] = self.fact_of(g).shape.dims() else {
            unreachable!("inference gives windows five axes")
        };
        let apart = self.reshape(g, [images, window[0], window[1], channels, down, across])?;
        let beside = self.permute(apart, &[0, 3, 4, 1, 5, 2])?;
        let mut image = self.reshape(beside, [images, channels, down * window[0], across * window[1]])?;
        for axis in [2, 3] {
            // Rows and columns that no window reached.
            let rest = shape.dims()[axis] - self.fact_of(image).shape.dims()[axis];
            image = self.padded(image, axis, [0, rest])?;
        }
        Ok(image)
    }
}
