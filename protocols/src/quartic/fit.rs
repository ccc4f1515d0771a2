//! Quartics that follow a function, piece by piece, each as wide as a tolerance allows.
//!
//! A piece interpolates at the five Chebyshev nodes of its range, which is within a factor of two of the best quartic, and is
//! then written as `σ·(N² + c)² + L` with N and L linear and σ = ±1 (`decomposed`): two squarings instead of three powers.
//!
//! All parties must come to the same table, to the bit, on whatever machine they run. So this uses nothing but operations that
//! IEEE 754 defines exactly (+, −, ×, ÷, √, rounding); [`exp`] and [`ln`] are made of them here.

/// Nodes of the fourth-degree interpolation beside 0: cos 18° and cos 54°.
const NODES: [f64; 2] = [0.951_056_516_295_153_6, 0.587_785_252_292_473_1];
/// Places where the error of a piece is looked at, beside its middle.
const CHECKS: i64 = 24;
/// A piece is as wide as possible up to one part in this many.
const FINENESS: i64 = 64;

/// What is followed: a function of ring elements, as integers, and how far off a result may be.
pub(crate) struct Target<'a> {
    pub(crate) function: &'a dyn Fn(f64) -> f64,
    /// By the function's value.
    pub(crate) tolerance: &'a dyn Fn(f64) -> f64,
    /// The least width of a piece that starts there: on much less than a function's own scale, its fourth derivative is lost in
    /// rounding.
    pub(crate) least_width: &'a dyn Fn(i64) -> i64,
}

/// `σ·(N² + c)² + L` on the integers `from..to`, with N and L linear in u, which runs from −1 to 1.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Quartic {
    pub(crate) from: i64,
    pub(crate) to: i64,
    /// Constant and slope of N.
    pub(crate) inner: [f64; 2],
    /// c
    pub(crate) shift: f64,
    /// Constant and slope of L.
    pub(crate) outer: [f64; 2],
    /// Whether σ is −1.
    pub(crate) concave: bool,
}

impl Quartic {
    /// The middle of the range, times 2.
    pub(crate) const fn twice_middle(&self) -> i64 {
        self.from + self.to - 1
    }

    /// Half the width of the range.
    pub(crate) const fn half(&self) -> f64 {
        middle_and_half(self.from, self.to).1
    }

    /// Largest magnitudes of N, of N² + c and of the value, on the part of the range below `to`.
    pub(crate) fn largest(&self, to: i64) -> [f64; 3] {
        let last = (to.min(self.to) - 1) as f64 - self.twice_middle() as f64 / 2.0;
        let mut largest = [0f64; 3];
        for i in 0..=16 {
            let u = (last / self.half() + 1.0) * f64::from(i) / 16.0 - 1.0;
            let n = self.inner[0] + self.inner[1] * u;
            let m = n * n + self.shift;
            let y = self.outer[0] + self.outer[1] * u + if self.concave { -m * m } else { m * m };
            largest = [largest[0].max(n.abs()), largest[1].max(m.abs()), largest[2].max(y.abs())];
        }
        largest
    }
}

/// Of the integers `from..to`, with a quarter to either side, so that a single one has a width.
const fn middle_and_half(from: i64, to: i64) -> (f64, f64) {
    ((from + to - 1) as f64 / 2.0, (to - from) as f64 / 2.0 - 0.25)
}

/// Coefficients of the quartic in u that interpolates on `from..to`.
fn interpolated(target: &Target<'_>, from: i64, to: i64) -> [f64; 5] {
    let (middle, half) = middle_and_half(from, to);
    let at = |u: f64| (target.function)(middle + half * u);
    let zero = at(0.0);
    // Even and odd parts at both pairs of nodes, as polynomials in u².
    let [(e1, o1), (e2, o2)] = NODES.map(|u| {
        let (plus, minus) = (at(u), at(-u));
        (((plus + minus) / 2.0 - zero) / (u * u), (plus - minus) / (2.0 * u))
    });
    let [s1, s2] = NODES.map(|u| u * u);
    let (p4, p3) = ((e1 - e2) / (s1 - s2), (o1 - o2) / (s1 - s2));
    [zero, o1 - p3 * s1, e1 - p4 * s1, p3, p4]
}

/// Whether the quartic stays within the tolerance.
fn fits(target: &Target<'_>, from: i64, to: i64, [p0, p1, p2, p3, p4]: [f64; 5]) -> bool {
    let (middle, half) = middle_and_half(from, to);
    (-CHECKS..=CHECKS).all(|i| {
        let u = i as f64 / CHECKS as f64;
        let exact = (target.function)(middle + half * u);
        let fitted = p0 + u * (p1 + u * (p2 + u * (p3 + u * p4)));
        (fitted - exact).abs() <= (target.tolerance)(exact)
    })
}

/// As `σ·(N² + c)² + L`: with h = p3/(4·p4), s⁴ = |p4| and e = (p2/p4 − 4h²)/2, N = s(u + h) and c = s²(e − h²).
fn decomposed(from: i64, to: i64, coefficients: [f64; 5]) -> Quartic {
    let concave = coefficients[4] < 0.0;
    let sign = if concave { -1.0 } else { 1.0 };
    let [p0, p1, p2, p3, p4] = coefficients.map(|p| sign * p);
    let (s2, h) = (p4.sqrt(), p3 / (4.0 * p4));
    let (s, e) = (s2.sqrt(), (p2 / p4 - 4.0 * h * h) / 2.0);
    let outer = [p0 - p4 * e * e, p1 - 4.0 * p4 * h * e].map(|l| sign * l);
    Quartic { from, to, inner: [s * h, s], shift: s2 * (e - h * h), outer, concave }
}

/// The widest piece from `start` on, up to one part in [`FINENESS`], and at most `room` wide. `guess` is where to look first.
fn widest(target: &Target<'_>, start: i64, room: i64, guess: i64) -> Option<Quartic> {
    let piece = |width: i64| {
        let coefficients = interpolated(target, start, start + width);
        fits(target, start, start + width, coefficients)
            .then(|| decomposed(start, start + width, coefficients))
    };
    let whole = piece(room);
    if whole.is_some() {
        return whole;
    }
    // Between a width that fits and one that does not.
    let (mut best, mut fitting, mut failing) = (None, 0, room);
    let mut width = guess.clamp(1, room);
    while failing - fitting > 1 + fitting / FINENESS {
        match piece(width) {
            Some(piece) => (best, fitting) = (Some(piece), width),
            None => failing = width,
        }
        width = match fitting {
            0 => failing / 2,
            _ if failing == room => (2 * fitting).min(room - 1),
            _ => fitting + (failing - fitting) / 2,
        };
    }
    best
}

/// Pieces that follow the target on `from..to`, at most `most` of them; `None` if more would be needed. The last may go on
/// beyond.
///
/// The fourth derivative of the target has one sign, so that all pieces have the same σ.
pub(crate) fn pieces(target: &Target<'_>, from: i64, to: i64, most: usize) -> Option<Vec<Quartic>> {
    let (mut out, mut start, mut guess) = (vec![], from, 1);
    while start < to {
        if out.len() == most {
            return None;
        }
        let room = (to - start).max((target.least_width)(start)).max(1);
        let piece = widest(target, start, room, guess)?;
        (start, guess) = (piece.to, piece.to - piece.from);
        out.push(piece);
    }
    Some(out)
}

/// 2^e for −1022 ≤ e ≤ 1023.
pub(crate) const fn power_of_two(e: i32) -> f64 {
    f64::from_bits(((1023 + e) as u64) << 52)
}

/// The least e with v ≤ 2^e, for v that is positive and normal.
pub(crate) const fn bits(v: f64) -> i32 {
    let exponent = (v.to_bits() >> 52 & 0x7ff) as i32 - 1023;
    if v.to_bits() << 12 == 0 { exponent } else { exponent + 1 }
}

const LN_2: f64 = std::f64::consts::LN_2;

/// e^x for |x| < 700, within some units of the last place.
pub(crate) fn exp(x: f64) -> f64 {
    let k = (x / LN_2).round();
    // The low part of ln 2 beside its 53 bits.
    let r = x - k * LN_2 - k * 2.319_046_813_846_299_6e-17;
    let series = (1..=20).rev().fold(1.0, |sum, i| 1.0 + sum * r / f64::from(i));
    series * power_of_two(k as i32)
}

/// ln x for positive normal x, within some units of the last place.
pub(crate) fn ln(x: f64) -> f64 {
    let exponent = (x.to_bits() >> 52 & 0x7ff) as i32 - 1023;
    let mut e = f64::from(exponent);
    let mut m = x * power_of_two(-exponent);
    if m > std::f64::consts::SQRT_2 {
        (m, e) = (m / 2.0, e + 1.0);
    }
    let t = (m - 1.0) / (m + 1.0);
    let series = (0..=14).rev().fold(0.0, |sum, i| sum * t * t + 1.0 / f64::from(2 * i + 1));
    e * LN_2 + 2.0 * t * series
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_and_ln_are_those_of_the_library() {
        for i in -4000..=4000 {
            let x = f64::from(i) / 100.0;
            assert!((exp(x) / x.exp() - 1.0).abs() < 1e-14, "e^{x}");
            let y = x.exp();
            assert!((ln(y) - x).abs() < 1e-14 * x.abs().max(1.0), "ln {y}");
        }
        assert_eq!((bits(1.0), bits(1.5), bits(0.25), bits(0.3)), (0, 1, -2, -1));
    }

    #[test]
    fn a_decomposition_is_the_same_polynomial() {
        for coefficients in [[0.7, -0.3, 0.1, -0.04, 0.02], [1.0, 0.5, -0.125, 0.0625, -0.04]] {
            let q = decomposed(0, 2, coefficients);
            for i in -10..=10 {
                let u = f64::from(i) / 10.0;
                let direct = coefficients.iter().rev().fold(0.0, |sum, p| sum * u + p);
                let n = q.inner[0] + q.inner[1] * u;
                let square = (n * n + q.shift).powi(2);
                let composed = q.outer[0] + q.outer[1] * u + if q.concave { -square } else { square };
                assert!((direct - composed).abs() < 1e-12, "{direct} and {composed} at {u}");
            }
        }
    }
}
