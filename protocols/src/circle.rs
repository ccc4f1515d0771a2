//! Points of the unit circle, in integers.
//!
//! Sines of public angles are factors of secret shares, so all parties must find the same ones, to the last bit. Floating point does
//! not promise that from one platform to the next; these are made of integers alone.
//!
//! Angles of masks are looked up as well, by whoever knows them. No branch depends on the angle, but what is read of the tables does.

use std::sync::LazyLock;

use mpc_core::ring::Ring;

/// Fraction bits of coordinates.
pub(crate) const POINT_BITS: u32 = 30;
/// Fraction bits that the tables are made with.
const FINE_BITS: u32 = 60;
/// Bits of an angle, in units of 2^−32 of a turn.
const ANGLE_BITS: u32 = 32;
/// Bits of an angle that each table is about, from the highest on.
const SPLIT: [u32; 3] = [11, 11, 10];

/// A point of the unit circle: cosine and sine with [`POINT_BITS`] fraction bits, off by a few units in the last.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Point {
    pub(crate) cos: i64,
    pub(crate) sin: i64,
}

impl Point {
    /// The point at an angle in units of 2^−32 of a turn.
    pub(crate) fn at(angle: u32) -> Self {
        let mut low = ANGLE_BITS;
        let parts = [0, 1, 2].map(|i| {
            low -= SPLIT[i];
            TABLES[i][(angle >> low) as usize & ((1 << SPLIT[i]) - 1)]
        });
        parts[0].turned(parts[1]).turned(parts[2])
    }

    /// The point at an angle in units of 2^−bits of a turn, of which the lowest bits of an element are.
    pub(crate) fn of<R: Ring>(angle: R, bits: u32) -> Self {
        Self::at((angle.to_u64() as u32) << (ANGLE_BITS - bits))
    }

    /// The point at the sum of the angles.
    #[inline]
    pub(crate) const fn turned(self, by: Self) -> Self {
        let half = 1 << (POINT_BITS - 1);
        Self {
            cos: (self.cos * by.cos - self.sin * by.sin + half) >> POINT_BITS,
            sin: (self.sin * by.cos + self.cos * by.sin + half) >> POINT_BITS,
        }
    }
}

/// The points at multiples of the smallest angle of each part.
static TABLES: LazyLock<[Vec<Point>; 3]> = LazyLock::new(|| {
    let steps = halvings();
    let mut high = 0;
    SPLIT.map(|bits| {
        // Bit i of a part, from its lowest on, is 2^−(low − i) of a turn.
        let low = high + bits;
        let mut points = vec![(1i128 << FINE_BITS, 0i128)];
        for bit in 0..bits {
            let step = steps[(low - bit) as usize];
            points.extend(points.clone().into_iter().map(|p| fine_turned(p, step)));
        }
        high = low;
        let round = |v: i128| ((v + (1 << (FINE_BITS - POINT_BITS - 1))) >> (FINE_BITS - POINT_BITS)) as i64;
        points.into_iter().map(|(cos, sin)| Point { cos: round(cos), sin: round(sin) }).collect()
    })
});

/// The points at 2^−j of a turn for j = 0, 1, …, 32, by halving angles: 2·cos²(α/2) = 1 + cos α and 2·sin(α/2)·cos(α/2) = sin α.
fn halvings() -> Vec<(i128, i128)> {
    let one = 1i128 << FINE_BITS;
    let mut points = vec![(one, 0), (-one, 0), (0, one)];
    while points.len() <= ANGLE_BITS as usize {
        let (cos, sin) = points[points.len() - 1];
        let half_cos = (((one + cos) as u128) << (FINE_BITS - 1)).isqrt() as i128;
        points.push((half_cos, (sin << (FINE_BITS - 1)) / half_cos));
    }
    points
}

const fn fine_turned((a, b): (i128, i128), (c, d): (i128, i128)) -> (i128, i128) {
    ((a * c - b * d) >> FINE_BITS, (b * c + a * d) >> FINE_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_those_of_floating_point() {
        let unit = 2f64.powi(-(POINT_BITS as i32));
        let some = (0..200_000u32).map(|i| i.wrapping_mul(0x9e37_79b1));
        for angle in some.chain((0..32).flat_map(|b| [1u32 << b, (1 << b) - 1, !(1 << b)])) {
            let (sin, cos) = (f64::from(angle) / 2f64.powi(32) * std::f64::consts::TAU).sin_cos();
            let point = Point::at(angle);
            let off = (point.cos as f64 * unit - cos).abs().max((point.sin as f64 * unit - sin).abs());
            assert!(off < 4.0 * unit, "{angle}: off by {off:e}");
        }
    }

    #[test]
    fn quarters_are_exact() {
        let one = 1 << POINT_BITS;
        for (angle, point) in [(0, (one, 0)), (1 << 30, (0, one)), (1 << 31, (-one, 0)), (3 << 30, (0, -one))]
        {
            let got = Point::at(angle);
            assert_eq!((got.cos, got.sin), point, "{angle}");
        }
    }
}
