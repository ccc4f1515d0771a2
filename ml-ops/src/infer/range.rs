//! Intervals of ring units: what inference computes with where it matters on which side of zero a value is.

use std::ops::{Add, Neg, Sub};

use crate::fact::Fact;

/// All integers from `lo` to `hi`.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) struct Range {
    pub(super) lo: i128,
    pub(super) hi: i128,
}

impl Range {
    /// What a value may be after lifting it to `scale`, which is not below its own.
    pub(super) fn of(x: &Fact, scale: u32) -> Self {
        let lift = |v: i64| i128::from(v) << (scale - x.scale);
        Self { lo: lift(x.lo), hi: lift(x.hi) }
    }

    /// From the smaller to the larger of some numbers.
    fn around<const N: usize>(all: [i128; N]) -> Self {
        let around = |r: Self, v: i128| Self { lo: r.lo.min(v), hi: r.hi.max(v) };
        all.into_iter().fold(Self { lo: i128::MAX, hi: i128::MIN }, around)
    }

    /// The largest magnitude.
    pub(super) const fn magnitude(self) -> u128 {
        let (lo, hi) = (self.lo.unsigned_abs(), self.hi.unsigned_abs());
        if lo > hi { lo } else { hi }
    }

    /// Sums of `terms` such values. What does not fit 128 bits is far beyond every limit.
    pub(super) fn times(self, terms: usize) -> Self {
        self.scaled(terms as i128)
    }

    /// Products with a public factor.
    pub(super) fn scaled(self, by: i128) -> Self {
        Self::around([self.lo.saturating_mul(by), self.hi.saturating_mul(by)])
    }

    /// Products of two values.
    pub(super) fn product(self, other: Self) -> Self {
        let of = |a: i128, b: i128| a.saturating_mul(b);
        Self::around([
            of(self.lo, other.lo),
            of(self.lo, other.hi),
            of(self.hi, other.lo),
            of(self.hi, other.hi),
        ])
    }

    pub(super) fn square(self) -> Self {
        let size = self.abs();
        Self { lo: size.lo.saturating_mul(size.lo), hi: size.hi.saturating_mul(size.hi) }
    }

    pub(super) fn abs(self) -> Self {
        let zero = self.lo <= 0 && 0 <= self.hi;
        let ends = Self::around([self.lo.abs(), self.hi.abs()]);
        if zero { Self { lo: 0, ..ends } } else { ends }
    }

    /// The sign, −1, 0 or 1.
    pub(super) const fn sign(self) -> Self {
        Self { lo: self.lo.signum(), hi: self.hi.signum() }
    }

    pub(super) fn max(self, other: Self) -> Self {
        Self { lo: self.lo.max(other.lo), hi: self.hi.max(other.hi) }
    }

    pub(super) fn min(self, other: Self) -> Self {
        Self { lo: self.lo.min(other.lo), hi: self.hi.min(other.hi) }
    }

    /// Either of two values.
    pub(super) fn or(self, other: Self) -> Self {
        Self { lo: self.lo.min(other.lo), hi: self.hi.max(other.hi) }
    }

    /// After a truncation by some bits, which rounds down or up.
    pub(super) const fn truncated(self, bits: u32) -> Self {
        Self { lo: self.lo >> bits, hi: -(-self.hi >> bits) }
    }
}

impl Add for Range {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self { lo: self.lo.saturating_add(other.lo), hi: self.hi.saturating_add(other.hi) }
    }
}

impl Neg for Range {
    type Output = Self;
    fn neg(self) -> Self {
        Self { lo: -self.hi, hi: -self.lo }
    }
}

impl Sub for Range {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All intervals with ends between −4 and 4.
    fn all() -> impl Iterator<Item = Range> {
        (-4..=4).flat_map(|lo| (lo..=4).map(move |hi| Range { lo, hi }))
    }

    /// The interval that some numbers take, exactly.
    fn exact(values: impl Iterator<Item = i128>) -> Range {
        values.fold(Range { lo: i128::MAX, hi: i128::MIN }, |r, v| Range { lo: r.lo.min(v), hi: r.hi.max(v) })
    }

    #[test]
    fn intervals_are_as_narrow_as_they_can_be() {
        for a in all() {
            let each = || a.lo..=a.hi;
            assert_eq!(a.abs(), exact(each().map(i128::abs)), "{a:?}");
            assert_eq!(a.square(), exact(each().map(|v| v * v)), "{a:?}");
            assert_eq!(a.sign(), exact(each().map(i128::signum)), "{a:?}");
            assert_eq!(-a, exact(each().map(|v| -v)), "{a:?}");
            assert_eq!(a.scaled(-3), exact(each().map(|v| -3 * v)), "{a:?}");
            // Down or up.
            assert_eq!(a.truncated(1), exact(each().flat_map(|v| [v >> 1, (v + 1) >> 1])), "{a:?}");
            for b in all() {
                let pairs = |f: fn(i128, i128) -> i128| {
                    exact((a.lo..=a.hi).flat_map(|x| (b.lo..=b.hi).map(move |y| f(x, y))))
                };
                assert_eq!(a + b, pairs(|x, y| x + y), "{a:?} {b:?}");
                assert_eq!(a - b, pairs(|x, y| x - y), "{a:?} {b:?}");
                assert_eq!(a.product(b), pairs(|x, y| x * y), "{a:?} {b:?}");
                assert_eq!(a.max(b), pairs(i128::max), "{a:?} {b:?}");
                assert_eq!(a.min(b), pairs(i128::min), "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn what_is_far_too_large_stays_so() {
        let wide = Range { lo: -(1 << 62), hi: 1 << 62 };
        let squares = wide.product(wide).times(usize::MAX);
        assert!(squares.magnitude() > 1 << 126);
        assert!((squares + squares).magnitude() > 1 << 126);
    }
}
