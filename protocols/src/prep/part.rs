//! Which elements of a tensor that is masked once are a factor, and in which order.
//!
//! A part is a first element and axes, each with a length and how many elements of the tensor lie from one index to the next:
//! backwards where that is negative, the same element again where it is zero. Rows, columns, transposes, batches of images, a kernel that
//! is turned around and a column that is repeated along all others are parts, and parts of parts are parts.

use std::borrow::Cow;
use std::ops::Range;

use mpc_core::ring::Ring;
use mpc_core::tensor::Tensor;
use mpc_core::wire::Decoder;

use super::demand::DemandError;
use super::item::{Item, MAX_ELEMENTS, size, within};

/// The most axes of a part.
const MOST_AXES: usize = 6;

/// One axis of a part.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug, Default)]
struct Axis {
    len: u32,
    /// How many elements of the tensor the next index is later.
    step: i32,
}

/// Elements of a tensor, in an order and under a shape.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct Part {
    start: u32,
    rank: u8,
    /// Beyond the rank all the same.
    axes: [Axis; MOST_AXES],
}

impl Part {
    /// All of a tensor of this shape; `None` if it has more axes or elements than parts have.
    #[must_use]
    pub fn whole(shape: &[usize]) -> Option<Self> {
        if shape.len() > MOST_AXES || !within(shape) || shape.iter().any(|&len| len > MAX_ELEMENTS) {
            return None;
        }
        let mut part = Self { start: 0, rank: shape.len() as u8, axes: [Axis::default(); MOST_AXES] };
        let mut step = 1;
        for (axis, &len) in part.axes[..shape.len()].iter_mut().zip(shape).rev() {
            *axis = Axis { len: len as u32, step };
            // Beyond all limits only where there is no element at all.
            step = step.saturating_mul(len as i32);
        }
        Some(part)
    }

    fn axes(&self) -> &[Axis] {
        &self.axes[..usize::from(self.rank)]
    }

    /// Lengths of the axes.
    #[must_use]
    pub fn shape(&self) -> Vec<usize> {
        self.axes().iter().map(|a| a.len as usize).collect()
    }

    /// Elements, as often as they occur.
    #[must_use]
    pub fn elements(&self) -> usize {
        self.axes().iter().map(|a| a.len as usize).product()
    }

    /// How many elements of the tensor lie from one index of an axis to the next.
    #[must_use]
    pub fn step(&self, axis: usize) -> i64 {
        self.axes()[axis].step.into()
    }

    /// The part of the same shape whose elements are all so many later in the tensor.
    #[must_use]
    pub const fn moved(mut self, by: i64) -> Self {
        self.start = (self.start as i64 + by) as u32;
        self
    }

    /// The indices `start..end` of one axis.
    #[must_use]
    pub fn slice(self, axis: usize, start: usize, end: usize) -> Self {
        self.every(axis, start, 1, end - start)
    }

    /// `len` indices of one axis, the first of which is `start`, and each so many after the one before.
    #[must_use]
    pub fn every(mut self, axis: usize, start: usize, by: i32, len: usize) -> Self {
        let old = self.axes()[axis];
        self.axes[axis] = Axis { len: len as u32, step: old.step * by };
        self.moved(start as i64 * i64::from(old.step))
    }

    /// The axes in another order: of every axis of the result, which one of this part it is.
    #[must_use]
    pub fn permute(mut self, order: &[usize]) -> Self {
        let old = self.axes;
        self.axes.iter_mut().zip(order).for_each(|(axis, &from)| *axis = old[from]);
        self
    }

    /// Its rows as columns.
    ///
    /// # Panics
    /// If it has one axis or none.
    #[must_use]
    pub fn transpose(mut self) -> Self {
        let rank = usize::from(self.rank);
        self.axes.swap(rank - 2, rank - 1);
        self
    }

    /// The same elements in the same order under another shape of as many; `None` if their places follow from no such axes.
    #[must_use]
    pub fn reshape(&self, shape: &[usize]) -> Option<Self> {
        if shape.len() > MOST_AXES || !within(shape) || shape.iter().product::<usize>() != self.elements() {
            return None;
        }
        let mut part = Self { rank: shape.len() as u8, axes: [Axis::default(); MOST_AXES], ..*self };
        // Of what lies evenly, taken together: what is left of it, and how far apart.
        let mut runs = self.runs();
        let (mut left, mut step) = (1, 0);
        for (axis, &len) in part.axes[..shape.len()].iter_mut().zip(shape).rev() {
            if len <= 1 {
                *axis = Axis { len: len as u32, step: 0 };
                continue;
            }
            if left == 1 {
                let run = runs.pop()?;
                (left, step) = (run.len as usize, run.step);
            }
            if left % len != 0 {
                return None;
            }
            *axis = Axis { len: len as u32, step };
            (left, step) = (left / len, step * len as i32);
        }
        Some(part)
    }

    /// The axes of more than one element, those that lie evenly joined; none where there are no elements.
    fn runs(&self) -> Vec<Axis> {
        let mut runs: Vec<Axis> = vec![];
        for &axis in self.axes().iter().filter(|a| a.len > 1 && self.elements() > 0) {
            match runs.last_mut() {
                Some(last) if i64::from(last.step) == i64::from(axis.len) * i64::from(axis.step) => {
                    *last = Axis { len: last.len * axis.len, step: axis.step };
                }
                _ => runs.push(axis),
            }
        }
        runs
    }

    /// Repeated to a shape, axes aligned at the end; `None` if it does not fit or there are too many axes.
    #[must_use]
    pub fn broadcast(&self, shape: &[usize]) -> Option<Self> {
        let missing = shape.len().checked_sub(self.rank.into())?;
        if shape.len() > MOST_AXES || !within(shape) {
            return None;
        }
        let mut part = Self { rank: shape.len() as u8, axes: [Axis::default(); MOST_AXES], ..*self };
        for (at, &len) in shape.iter().enumerate() {
            let own = at.checked_sub(missing).map(|at| self.axes[at]);
            part.axes[at] = match own {
                Some(axis) if axis.len as usize == len => axis,
                Some(Axis { len: 1, .. }) | None => Axis { len: len as u32, step: 0 },
                Some(_) => return None,
            };
        }
        Some(part)
    }

    /// The first of its elements in the tensor, and the one after the last; nothing if there are too many, or some before the
    /// tensor.
    fn checked_places(&self) -> Option<Range<usize>> {
        if !within(&self.shape()) {
            return None;
        }
        let start = i128::from(self.start);
        let (mut first, mut last) = (start, start);
        for axis in self.axes().iter().filter(|a| a.len > 0) {
            let reach = i128::from(axis.len - 1) * i128::from(axis.step);
            (first, last) = (first + reach.min(0), last + reach.max(0));
        }
        let end = if self.elements() == 0 { first } else { last + 1 };
        (first >= 0 && end <= MAX_ELEMENTS as i128).then_some(first as usize..end as usize)
    }

    /// Whether it can be part of a tensor at all.
    pub(super) fn is_sane(&self) -> bool {
        self.checked_places().is_some()
    }

    /// The first of its elements in the tensor, and the one after the last.
    ///
    /// # Panics
    /// If they lie in no tensor.
    #[must_use]
    pub fn places(&self) -> Range<usize> {
        self.checked_places().expect("invariant: a part has a place in its tensor")
    }

    /// These elements of a tensor, without a copy if they are all of it in order.
    pub(crate) fn of<'a, R: Ring>(&self, t: &'a Tensor<R>) -> Cow<'a, Tensor<R>> {
        let (shape, runs) = (self.shape(), self.runs());
        let in_order = matches!(runs[..], [] | [Axis { step: 1, .. }]);
        if in_order && self.elements() == t.len() {
            return if t.shape() == shape { Cow::Borrowed(t) } else { Cow::Owned(t.clone().reshape(&shape)) };
        }
        let mut out = Vec::with_capacity(self.elements());
        if self.elements() > 0 {
            copy(t.as_slice(), self.start as usize, &runs, &mut out);
        }
        Cow::Owned(Tensor::from_vec(&shape, out))
    }

    /// As numbers.
    pub(super) fn numbers(&self) -> Vec<usize> {
        let axes = self.axes().iter().flat_map(|a| [a.len as usize, a.step as isize as usize]);
        [self.start as usize, self.rank.into()].into_iter().chain(axes).collect()
    }

    pub(super) fn decode(d: &mut Decoder<'_>) -> Result<Self, DemandError> {
        let narrow = |v: usize| u32::try_from(v).map_err(|_| DemandError::Insane);
        let (start, rank) = (narrow(size(d)?)?, size(d)?);
        let mut axes = [Axis::default(); MOST_AXES];
        for axis in axes.get_mut(..rank).ok_or(DemandError::Insane)? {
            let (len, step) = (narrow(size(d)?)?, size(d)? as isize);
            *axis = Axis { len, step: i32::try_from(step).map_err(|_| DemandError::Insane)? };
        }
        Ok(Self { start, rank: rank as u8, axes })
    }
}

/// Appends the elements at places of evenly spaced axes.
fn copy<R: Ring>(from: &[R], start: usize, axes: &[Axis], out: &mut Vec<R>) {
    let place = |step: i32, i: u32| (start as i64 + i64::from(i) * i64::from(step)) as usize;
    match *axes {
        [] => out.push(from[start]),
        [Axis { len, step: 1 }] => out.extend_from_slice(&from[start..start + len as usize]),
        [Axis { len, step }] if step > 0 => {
            out.extend(from[start..].iter().step_by(step as usize).take(len as usize));
        }
        [Axis { len, step }] => out.extend((0..len).map(|i| from[place(step, i)])),
        [Axis { len, step }, ref rest @ ..] => {
            (0..len).for_each(|i| copy(from, place(step, i), rest, out));
        }
    }
}

/// A part of an earlier mask, as a factor of a product.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
pub struct MaskPart {
    /// Number of the item that the mask is.
    pub mask: u32,
    /// Which part of it.
    pub part: Part,
}

impl MaskPart {
    /// Whether the item is a mask that has this part.
    pub(super) fn is_of(&self, item: Option<&Item>) -> bool {
        let has = |len| self.part.checked_places().is_some_and(|span| span.end <= len);
        matches!(item, Some(&Item::Mask { len }) if has(len))
    }
}

#[cfg(test)]
mod tests {
    use mpc_core::ring::Z64;
    use proptest::prelude::*;

    use super::*;

    fn counting(shape: &[usize]) -> Tensor<Z64> {
        Tensor::from_vec(shape, (0..shape.iter().product::<usize>() as u64).map(Z64).collect())
    }

    #[test]
    fn parts_are_what_tensors_say() {
        let t = counting(&[4, 3, 2, 5]);
        let whole = Part::whole(t.shape()).unwrap();
        assert!(matches!(whole.of(&t), Cow::Borrowed(_)));
        assert_eq!(*whole.slice(0, 1, 3).of(&t), t.slice(0, 1, 3));
        assert_eq!(*whole.slice(0, 0, 2).moved(2 * whole.step(0)).of(&t), t.slice(0, 2, 4));
        assert_eq!(*whole.permute(&[1, 0, 3, 2]).of(&t), t.permute(&[1, 0, 3, 2]));
        assert_eq!(*whole.transpose().of(&t), t.permute(&[0, 1, 3, 2]));
        let turned = whole.permute(&[1, 0, 2, 3]).every(2, 1, -1, 2).every(3, 4, -2, 3);
        assert_eq!(*turned.of(&t), t.permute(&[1, 0, 2, 3]).gather(2, &[1, 0]).gather(3, &[4, 2, 0]));
        assert_eq!((turned.places(), turned.shape()), (0..120, vec![3, 4, 2, 3]));
        let column = Part::whole(&[3, 1]).unwrap();
        let t = counting(&[3, 1]);
        assert_eq!(*column.broadcast(&[2, 3, 4]).unwrap().of(&t), t.broadcast(&[2, 3, 4]).unwrap());
        assert_eq!(column.broadcast(&[2, 4]), None);
        assert_eq!(column.broadcast(&[3]), None);
        let nothing = Part::whole(&[0, 5]).unwrap();
        assert_eq!((nothing.places(), nothing.elements()), (0..0, 0));
        assert_eq!(Part::whole(&[1; 7]), None);
        assert_eq!(Part::whole(&[1 << 20, 1 << 20]), None);
    }

    #[test]
    fn what_has_no_even_places_is_not_reshaped() {
        let columns = Part::whole(&[4, 6]).unwrap().slice(1, 0, 4);
        assert_eq!(columns.reshape(&[16]), None);
        assert_eq!(columns.reshape(&[4, 5]), None);
        let t = counting(&[4, 6]);
        let apart = columns.reshape(&[2, 2, 1, 2, 2]).unwrap();
        assert_eq!(*apart.of(&t), t.slice(1, 0, 4).reshape(&[2, 2, 1, 2, 2]));
        assert_eq!(apart.reshape(&[4, 4]), Some(columns));
    }

    proptest! {
        #[test]
        fn parts_of_parts_are_parts(
            steps in proptest::collection::vec(any::<(u8, u8, u8)>(), 0..12),
        ) {
            let t = counting(&[4, 6, 2]);
            let (mut part, mut value) = (Part::whole(t.shape()).unwrap(), t.clone());
            for (kind, a, b) in steps {
                let shape = value.shape().to_vec();
                let axis = usize::from(a) % shape.len();
                match kind % 5 {
                    0 => {
                        let start = usize::from(b) % shape[axis];
                        (part, value) = (part.slice(axis, start, shape[axis]), value.slice(axis, start, shape[axis]));
                    }
                    1 => {
                        let order: Vec<usize> = (0..shape.len()).map(|i| (i + axis) % shape.len()).collect();
                        (part, value) = (part.permute(&order), value.permute(&order));
                    }
                    2 => {
                        let back: Vec<u32> = (0..shape[axis] as u32).rev().collect();
                        part = part.every(axis, shape[axis] - 1, -1, shape[axis]);
                        value = value.gather(axis, &back);
                    }
                    3 => {
                        let other = if b % 2 == 0 {
                            vec![value.len()]
                        } else {
                            [&shape[..axis], &[1], &shape[axis..]].concat()
                        };
                        if let Some(seen) = part.reshape(&other) {
                            (part, value) = (seen, value.reshape(&other));
                        }
                    }
                    _ if shape.len() < MOST_AXES && value.len() < 500 => {
                        let more = [&[2], &shape[..]].concat();
                        part = part.broadcast(&more).unwrap();
                        value = value.broadcast(&more).unwrap();
                    }
                    _ => {}
                }
                prop_assert_eq!(part.shape(), value.shape());
                prop_assert_eq!(&*part.of(&t), &value);
                let places = || value.as_slice().iter().map(|v| v.0 as usize);
                prop_assert_eq!(Some(part.places()), places().min().zip(places().max()).map(|(a, b)| a..b + 1));
            }
        }
    }
}
