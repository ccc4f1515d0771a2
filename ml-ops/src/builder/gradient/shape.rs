//! Derivatives of what repeats, adds up, moves or chooses elements by public rules: the same the other way round, and local.

use ndarray::Axis;

use super::super::{ProgramBuilder, Value};
use crate::error::ProgramError;
use crate::shape::Shape;

impl ProgramBuilder {
    /// The derivative of an operand that was repeated to the shape of the result: its sum over what was repeated.
    pub(super) fn narrowed(&mut self, g: Value, own: &Shape, shape: &Shape) -> Result<Value, ProgramError> {
        if own == shape {
            return Ok(g);
        }
        let mut g = self.full(g, own)?;
        for _ in shape.rank()..own.rank() {
            g = self.sum(g, Axis(0))?;
        }
        for axis in 0..shape.rank() {
            if shape.dims()[axis] == 1 && self.fact_of(g).shape.dims()[axis] > 1 {
                let narrow = self.fact_of(g).shape.with_axis(axis, 1);
                g = self.sum(g, Axis(axis))?;
                g = self.reshape(g, narrow)?;
            }
        }
        Ok(g)
    }

    /// The derivative of a sum's operand: that of the sum, the same along the axis.
    pub(super) fn along(&mut self, g: Value, axis: usize, shape: &Shape) -> Result<Value, ProgramError> {
        let one = self.along_one(g, axis, shape)?;
        self.full(one, shape)
    }

    /// A value that lacks an axis of a shape, with that axis of length 1.
    pub(super) fn along_one(&mut self, g: Value, axis: usize, shape: &Shape) -> Result<Value, ProgramError> {
        let g = self.full(g, &shape.without(axis))?;
        self.reshape(g, shape.with_axis(axis, 1))
    }

    /// A value repeated to a shape.
    pub(super) fn full(&mut self, g: Value, shape: &Shape) -> Result<Value, ProgramError> {
        if self.fact_of(g).shape == *shape {
            return Ok(g);
        }
        // Zeros along the axes that repeat are enough.
        let own = self.fact_of(g).shape.clone();
        let missing = shape.rank() - own.rank();
        let len = |(axis, &n): (usize, &usize)| {
            let has = axis.checked_sub(missing).map_or(1, |at| own.dims()[at]);
            if has == n { 1 } else { n }
        };
        let repeated: Vec<usize> = shape.dims().iter().enumerate().map(len).collect();
        let zeros = self.zeros(&repeated.into())?;
        self.add(g, zeros)
    }

    /// So many zeros more before and after along an axis, or elements less where a number is negative.
    pub(super) fn shifted(
        &mut self,
        x: Value,
        axis: usize,
        [before, after]: [isize; 2],
    ) -> Result<Value, ProgramError> {
        let rank = self.fact_of(x).shape.rank();
        let along = |n: isize| {
            let mut all = vec![0; rank];
            all[axis] = n.max(0).unsigned_abs();
            all
        };
        // Zeros first, so that something is left to take away from.
        let wide = if before.max(after) > 0 { self.pad(x, &along(before), &along(after), 0.0)? } else { x };
        let less = |n: isize| n.min(0).unsigned_abs();
        let len = self.fact_of(wide).shape.dims()[axis];
        self.part(wide, axis, less(before), len - less(before) - less(after))
    }

    /// So many elements of an axis.
    pub(super) fn part(
        &mut self,
        x: Value,
        axis: usize,
        start: usize,
        len: usize,
    ) -> Result<Value, ProgramError> {
        let all = self.fact_of(x).shape.dims()[axis] == len;
        if all { Ok(x) } else { self.slice(x, Axis(axis), start..start + len) }
    }

    /// The elements at indices of one axis, and a zero for each that is none.
    pub(super) fn picked(
        &mut self,
        x: Value,
        axis: usize,
        indices: &[Option<usize>],
    ) -> Result<Value, ProgramError> {
        let len = self.fact_of(x).shape.dims()[axis];
        if indices.iter().copied().eq((0..len).map(Some)) {
            return Ok(x);
        }
        let zero = isize::from(indices.contains(&None));
        let x = self.shifted(x, axis, [0, zero])?;
        let indices: Vec<usize> = indices.iter().map(|i| i.unwrap_or(len)).collect();
        self.gather(x, Axis(axis), &indices)
    }

    /// What undoes a choice of elements: each one along an axis is added to its place, of so many, or to none.
    pub(super) fn scattered(
        &mut self,
        x: Value,
        axis: usize,
        to: &[Option<usize>],
        len: usize,
    ) -> Result<Value, ProgramError> {
        let shape = self.fact_of(x).shape.clone();
        let [outer, inner] = [&shape.dims()[..axis], &shape.dims()[axis + 1..]].map(|d| d.iter().product());
        let mut from = vec![vec![]; len];
        for (i, place) in to.iter().enumerate() {
            place.iter().for_each(|&place: &usize| from[place].push(i));
        }
        let most = from.iter().map(Vec::len).max().unwrap_or(0).max(1);
        let each: Vec<_> = from.iter().flat_map(|f| (0..most).map(|j| f.get(j).copied())).collect();
        let list = self.reshape(x, [outer, to.len(), inner])?;
        let mut sum = self.picked(list, 1, &each)?;
        if most > 1 {
            sum = self.reshape(sum, [outer, len, most, inner])?;
            sum = self.sum(sum, Axis(2))?;
        }
        self.reshape(sum, shape.with_axis(axis, len))
    }

    fn zeros(&mut self, shape: &Shape) -> Result<Value, ProgramError> {
        self.constant(&ndarray::ArrayD::zeros(shape.dims()))
    }
}
