//! Windows that slide over the last two axes of images \[images, channels, height, width\], as convolutions and pooling do.

use std::ops::Range;

/// How windows lie on an image: down, then across.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct Sliding {
    /// From one window to the next.
    pub stride: [usize; 2],
    /// From one element of a window to the next.
    pub dilation: [usize; 2],
    /// How far windows reach beyond the image: above and below it, then left and right of it.
    pub padding: [[usize; 2]; 2],
}

impl Default for Sliding {
    fn default() -> Self {
        Self::by(1)
    }
}

impl Sliding {
    /// In steps of so many elements, inside the image.
    #[must_use]
    pub const fn by(stride: usize) -> Self {
        Self { stride: [stride; 2], dilation: [1; 2], padding: [[0; 2]; 2] }
    }

    /// So far beyond the image on all sides.
    #[must_use]
    pub const fn padded(self, by: usize) -> Self {
        Self { padding: [[by; 2]; 2], ..self }
    }

    /// Elements of a window so far apart.
    #[must_use]
    pub const fn dilated(self, by: usize) -> Self {
        Self { dilation: [by; 2], ..self }
    }

    /// How many windows of this size there are on an image of that size, down and across; `None` if there are none, if a
    /// length or a step is zero, or if a number does not fit.
    #[must_use]
    pub fn positions(&self, image: [usize; 2], window: [usize; 2]) -> Option<[usize; 2]> {
        let along = |axis: usize| {
            let (len, taps) = (image[axis], window[axis]);
            let (stride, dilation, [before, after]) =
                (self.stride[axis], self.dilation[axis], self.padding[axis]);
            if len == 0 || taps == 0 || stride == 0 || dilation == 0 {
                return None;
            }
            let reach = (taps - 1).checked_mul(dilation)?.checked_add(1)?;
            let padded = len.checked_add(before)?.checked_add(after)?;
            // Indices are computed with signs.
            isize::try_from(padded.checked_add(reach)?.checked_add(stride)?).ok()?;
            Some(padded.checked_sub(reach)? / stride + 1)
        };
        Some([along(0)?, along(1)?])
    }

    /// Where element `tap` of window `position` is along an axis, from the image's first element on.
    const fn place(&self, axis: usize, position: usize, tap: usize) -> isize {
        (position * self.stride[axis] + tap * self.dilation[axis]) as isize - self.padding[axis][0] as isize
    }

    /// The same where it is inside the image of length `len`.
    #[must_use]
    pub fn inside(&self, axis: usize, position: usize, tap: usize, len: usize) -> Option<usize> {
        usize::try_from(self.place(axis, position, tap)).ok().filter(|&at| at < len)
    }

    /// The positions, of `positions`, whose element `tap` is inside the image of length `len`.
    #[must_use]
    pub fn valid(&self, axis: usize, tap: usize, len: usize, positions: Range<usize>) -> Range<usize> {
        let first = self.place(axis, 0, tap);
        let stride = self.stride[axis] as isize;
        let least = (-first).max(0).unsigned_abs().div_ceil(stride.unsigned_abs());
        let end = (len as isize - first).max(0).unsigned_abs().div_ceil(stride.unsigned_abs());
        let start = least.clamp(positions.start, positions.end);
        start..end.clamp(start, positions.end)
    }

    /// The element of the window that is inside the image and nearest to element `tap`; `None` if the window has none.
    fn nearest(
        &self,
        axis: usize,
        position: usize,
        tap: usize,
        (taps, len): (usize, usize),
    ) -> Option<usize> {
        let (start, dilation) = (self.place(axis, position, 0), self.dilation[axis]);
        let wanted = self.place(axis, position, tap);
        let tap = if wanted < 0 {
            (-start).unsigned_abs().div_ceil(dilation)
        } else if wanted.unsigned_abs() >= len {
            (len as isize - 1 - start).max(-1).try_into().ok().map(|reach: usize| reach / dilation)?
        } else {
            tap
        };
        (tap < taps).then(|| self.inside(axis, position, tap, len))?
    }

    /// Which element of the image, of length `len`, element `tap` of a window of `taps` has; `None` for a zero.
    #[must_use]
    pub fn source(
        &self,
        axis: usize,
        position: usize,
        tap: usize,
        (taps, len): (usize, usize),
        outside: Outside,
    ) -> Option<usize> {
        match outside {
            Outside::Zero => self.inside(axis, position, tap, len),
            Outside::Nearest => self.nearest(axis, position, tap, (taps, len)),
        }
    }

    /// Whether every window has an element of the image.
    #[must_use]
    pub fn all_on_image(&self, image: [usize; 2], window: [usize; 2]) -> bool {
        let Some(positions) = self.positions(image, window) else { return false };
        let along = |axis: usize| {
            (0..positions[axis]).all(|p| self.nearest(axis, p, 0, (window[axis], image[axis])).is_some())
        };
        along(0) && along(1)
    }
}

/// What a window has where it reaches beyond the image.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Outside {
    /// Zeros.
    Zero,
    /// The nearest of its elements that are on the image again: what is largest or smallest stays so.
    Nearest,
}

/// The elements of every window, along a new second axis: \[images, window, channels, down, across\], row-major, from images
/// \[images, channels, height, width\].
///
/// # Panics
/// If the values do not fit the shape, or a window of [`Outside::Nearest`] has no element of the image.
#[must_use]
pub fn unfold<T: Copy>(
    values: &[T],
    zero: T,
    [images, channels, height, width]: [usize; 4],
    window: [usize; 2],
    sliding: &Sliding,
    outside: Outside,
) -> Vec<T> {
    assert_eq!(values.len(), images * channels * height * width, "as many values as the shape has places");
    let [down, across] = sliding.positions([height, width], window).expect("windows that are on the image");
    let source = |axis: usize, position: usize, tap: usize| {
        let source = sliding.source(axis, position, tap, (window[axis], [height, width][axis]), outside);
        assert!(source.is_some() || outside == Outside::Zero, "a window on the image");
        source
    };
    let columns: Vec<Vec<Option<usize>>> =
        (0..window[1]).map(|v| (0..across).map(|j| source(1, j, v)).collect()).collect();
    let mut out = Vec::with_capacity(images * window[0] * window[1] * channels * down * across);
    for image in values.chunks((channels * height * width).max(1)) {
        for u in 0..window[0] {
            for columns in &columns {
                for channel in image.chunks(height * width) {
                    for i in 0..down {
                        match source(0, i, u) {
                            None => out.extend(std::iter::repeat_n(zero, across)),
                            Some(y) => {
                                let line = &channel[y * width..][..width];
                                out.extend(columns.iter().map(|x| x.map_or(zero, |x| line[x])));
                            }
                        }
                    }
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_counted_as_everywhere() {
        let count = |len, taps, s: Sliding| s.positions([len, len], [taps, taps]).map(|p| p[0]);
        assert_eq!(count(28, 5, Sliding::by(1)), Some(24));
        assert_eq!(count(28, 2, Sliding::by(2)), Some(14));
        assert_eq!(count(5, 2, Sliding::by(2)), Some(2));
        assert_eq!(count(7, 3, Sliding::by(2).padded(1)), Some(4));
        assert_eq!(count(7, 3, Sliding::by(1).dilated(3)), Some(1));
        assert_eq!(count(7, 3, Sliding::by(1).dilated(4)), None);
        assert_eq!(count(3, 4, Sliding::by(1)), None);
        for zero in [Sliding::by(0), Sliding::by(1).dilated(0)] {
            assert_eq!(count(3, 1, zero), None);
        }
        assert_eq!(count(0, 1, Sliding::by(1).padded(4)), None);
        assert_eq!(count(1, 1, Sliding::by(1).padded(usize::MAX)), None);
        assert_eq!(count(1, usize::MAX, Sliding::by(1).dilated(3)), None);
        assert_eq!(count(usize::MAX, 1, Sliding::by(1)), None);
    }

    #[test]
    fn elements_stand_where_they_should() {
        let image: Vec<i32> = (1..=9).collect();
        let two = unfold(&image, 0, [1, 1, 3, 3], [2, 2], &Sliding::by(1), Outside::Zero);
        assert_eq!(two, [1, 2, 4, 5, 2, 3, 5, 6, 4, 5, 7, 8, 5, 6, 8, 9]);
        let padded = Sliding::by(3).padded(1);
        let zeros = unfold(&image, 0, [1, 1, 3, 3], [2, 2], &padded, Outside::Zero);
        // Positions −1 and 2 of both axes: tap 0 is outside at first, tap 1 at last.
        assert_eq!(zeros, [0, 0, 0, 9, 0, 0, 7, 0, 0, 3, 0, 0, 1, 0, 0, 0]);
        let nearest = unfold(&image, 0, [1, 1, 3, 3], [2, 2], &padded, Outside::Nearest);
        assert_eq!(nearest, [1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 7, 9]);
    }

    #[test]
    fn the_nearest_element_is_one_of_the_window() {
        let mut empty = 0;
        for len in 1..7usize {
            for (taps, stride, dilation) in
                (1..4).flat_map(|t| (1..4).flat_map(move |s| (1..4).map(move |d| (t, s, d))))
            {
                for (before, after) in (0..4).flat_map(|b| (0..4).map(move |a| (b, a))) {
                    let sliding = Sliding {
                        stride: [stride; 2],
                        dilation: [dilation; 2],
                        padding: [[before, after]; 2],
                    };
                    let Some([positions, _]) = sliding.positions([len; 2], [taps; 2]) else { continue };
                    let mut all = true;
                    for p in 0..positions {
                        let of_window: Vec<usize> =
                            (0..taps).filter_map(|t| sliding.inside(0, p, t, len)).collect();
                        all &= !of_window.is_empty();
                        for t in 0..taps {
                            let wanted = (p * stride + t * dilation) as i64 - before as i64;
                            let best = of_window.iter().copied().min_by_key(|&at| (at as i64 - wanted).abs());
                            assert_eq!(
                                sliding.nearest(0, p, t, (taps, len)),
                                best,
                                "{sliding:?} {len} {p} {t}"
                            );
                        }
                        for t in 0..taps {
                            let valid = sliding.valid(0, t, len, 0..positions).contains(&p);
                            assert_eq!(valid, sliding.inside(0, p, t, len).is_some());
                        }
                    }
                    assert_eq!(sliding.all_on_image([len; 2], [taps; 2]), all);
                    empty += usize::from(!all);
                }
            }
        }
        assert!(empty > 10, "some windows have no element");
    }
}
