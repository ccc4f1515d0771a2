//! Shapes of a program's tensors, with the limits that keep a hostile program file from asking for the moon.

use std::fmt;

/// Lengths of a tensor's axes. `[]` is a single number.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Shape(Vec<usize>);

impl Shape {
    /// Most axes that a tensor may have.
    pub const MAX_RANK: usize = 6;
    /// Most elements that one tensor may have (1 GiB of ring elements).
    pub const MAX_ELEMENTS: usize = 1 << 27;

    /// Lengths of the axes.
    #[must_use]
    pub fn dims(&self) -> &[usize] {
        &self.0
    }

    /// Number of axes.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// Number of elements; `usize::MAX` if it does not fit a `usize`, which [`Shape::is_allowed`] refuses.
    #[must_use]
    pub fn elements(&self) -> usize {
        self.0.iter().fold(1, |n, &d| n.saturating_mul(d))
    }

    /// Whether the shape is within the limits of a program: no empty axis, at most [`Shape::MAX_RANK`] axes and
    /// [`Shape::MAX_ELEMENTS`] elements.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.rank() <= Self::MAX_RANK && self.elements() <= Self::MAX_ELEMENTS && !self.0.contains(&0)
    }

    /// The common shape of an elementwise operation: axes are aligned at the end, and an axis that is missing or has
    /// length 1 repeats. `None` if two lengths contradict.
    #[must_use]
    pub fn broadcast(&self, other: &Self) -> Option<Self> {
        let rank = self.rank().max(other.rank());
        let axis = |s: &Self, i: usize| (i + s.rank()).checked_sub(rank).map_or(1, |at| s.0[at]);
        (0..rank)
            .map(|i| match (axis(self, i), axis(other, i)) {
                (a, b) if a == b || b == 1 => Some(a),
                (1, b) => Some(b),
                _ => None,
            })
            .collect::<Option<_>>()
            .map(Self)
    }

    /// The shape without one axis.
    pub(crate) fn without(&self, axis: usize) -> Self {
        Self(self.0.iter().enumerate().filter(|&(i, _)| i != axis).map(|(_, &d)| d).collect())
    }

    /// The shape with another length of one axis.
    pub(crate) fn with_axis(&self, axis: usize, len: usize) -> Self {
        let mut dims = self.0.clone();
        dims[axis] = len;
        Self(dims)
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    fn from(dims: [usize; N]) -> Self {
        Self(dims.to_vec())
    }
}

impl From<&[usize]> for Shape {
    fn from(dims: &[usize]) -> Self {
        Self(dims.to_vec())
    }
}

impl From<Vec<usize>> for Shape {
    fn from(dims: Vec<usize>) -> Self {
        Self(dims)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_repeat_over_matrices_and_contradictions_do_not() {
        let b =
            |x: &[usize], y: &[usize]| Shape::from(x).broadcast(&Shape::from(y)).map(|s| s.dims().to_vec());
        assert_eq!(b(&[4, 3], &[3]), Some(vec![4, 3]));
        assert_eq!(b(&[3], &[4, 3]), Some(vec![4, 3]));
        assert_eq!(b(&[4, 1], &[1, 3]), Some(vec![4, 3]));
        assert_eq!(b(&[2, 2], &[]), Some(vec![2, 2]));
        assert_eq!(b(&[4, 3], &[4]), None);
        assert_eq!(b(&[2, 3], &[3, 2]), None);
    }

    #[test]
    fn limits_hold_without_overflow() {
        assert!(Shape::from([]).is_allowed());
        assert!(Shape::from([1 << 27]).is_allowed());
        assert!(!Shape::from([(1 << 27) + 1]).is_allowed());
        assert!(!Shape::from([usize::MAX, usize::MAX]).is_allowed());
        assert!(!Shape::from([usize::MAX, 0]).is_allowed());
        assert!(!Shape::from([1; 7]).is_allowed());
    }
}
