//! A function as polynomials between knots, and how exactly it can be computed.

use mpc_core::fixed::{FracBits, HEADROOM_BITS};

/// Knots are multiples of 2^−8, the coarsest resolution of fixed point, so every scale has them exactly.
const KNOT_UNITS: f64 = 256.0;
/// Largest magnitude of a knot: between such, cubes with 3·16 fraction bits stay below 2^60.
const LARGEST_KNOT: f64 = 16.0;
/// Most knots: that many thresholds a comparison has.
const MOST_KNOTS: usize = 64;
/// Terms of a polynomial between its knots add up to less than this in magnitude: with 16 + 32 fraction bits, to
/// less than 2^61.
const LARGEST_TERMS: f64 = 8192.0;
/// Fraction bits of coefficients where arguments leave room for them.
const MOST_COEFFICIENT_BITS: u32 = 32;
/// The fewest; arguments that leave less room are refused.
const FEWEST_COEFFICIENT_BITS: u32 = 20;
/// Powers of an argument are kept at this many fraction bits at most.
pub(super) const MOST_FRACTION_BITS: u32 = 16;

/// A function of one argument, piece by piece a polynomial of degree 3 at most; the outermost pieces are straight lines.
///
/// A polynomial holds from its lower knot (included) to its upper one. Pieces need not meet.
#[derive(Clone, PartialEq, Debug)]
pub struct Table {
    knots: Vec<f64>,
    pieces: Vec<[f64; 4]>,
}

/// How the other half of a function follows from that of x ≥ 0.
#[derive(Copy, Clone, PartialEq, Debug)]
pub enum Mirror {
    /// f(−x) = 2m − f(x), for this m.
    Point(f64),
    /// f(−x) = f(x) − x, so f(x) − x/2 is even.
    Line,
}

impl Mirror {
    /// The polynomial of the mirrored piece.
    fn piece(self, [c0, c1, c2, c3]: [f64; 4]) -> [f64; 4] {
        match self {
            Self::Point(m) => [2.0 * m - c0, c1, -c2, c3],
            Self::Line => [c0, 1.0 - c1, c2, -c3],
        }
    }
}

/// Why knots and polynomials make no table.
#[derive(Copy, Clone, PartialEq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// A polynomial more than knots, and both within limits.
    #[error(
        "{pieces} polynomials for {knots} knots: one more than knots is needed, and 1 to {MOST_KNOTS} knots"
    )]
    Count {
        /// Knots.
        knots: usize,
        /// Polynomials.
        pieces: usize,
    },
    /// A knot that is out of order, too large or no multiple of 2^−8.
    #[error("knot {at} is {got}, expected an ascending multiple of 2^-8 within ±{LARGEST_KNOT}")]
    Knot {
        /// Its place.
        at: usize,
        /// The knot.
        got: f64,
    },
    /// A coefficient that is not finite or too large, or one of x² or x³ in an outermost polynomial, where powers wrap.
    #[error(
        "polynomial {at} has coefficients that are too large, or is an outermost one and no straight line"
    )]
    Polynomial {
        /// Its place.
        at: usize,
    },
}

/// How a table is evaluated for arguments of a bounded magnitude: all that the cost depends on beside the number of elements.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct Layout {
    /// Fraction bits of argument and result.
    pub frac: FracBits,
    /// Knots.
    pub thresholds: usize,
    /// Fraction bits of coefficients.
    pub coefficient_bits: u32,
}

impl Layout {
    /// Fraction bits that are computed with, and by how many bits an argument is rounded before.
    #[must_use]
    pub const fn fraction_bits(&self) -> (u32, u32) {
        let f = self.frac.bits();
        if f > MOST_FRACTION_BITS { (MOST_FRACTION_BITS, f - MOST_FRACTION_BITS) } else { (f, 0) }
    }
}

impl Table {
    /// The polynomial `pieces[i]`, as coefficients of 1, x, x², x³, between `knots[i − 1]` and `knots[i]`.
    ///
    /// # Errors
    /// [`TableError`].
    pub fn new(knots: Vec<f64>, pieces: Vec<[f64; 4]>) -> Result<Self, TableError> {
        if knots.is_empty() || knots.len() > MOST_KNOTS || pieces.len() != knots.len() + 1 {
            return Err(TableError::Count { knots: knots.len(), pieces: pieces.len() });
        }
        let is_wrong = |&(at, &k): &(usize, &f64)| {
            let follows = at == 0 || knots[at - 1] < k;
            !(k.abs() <= LARGEST_KNOT && (k * KNOT_UNITS).fract() == 0.0 && follows)
        };
        if let Some((at, &got)) = knots.iter().enumerate().find(is_wrong) {
            return Err(TableError::Knot { at, got });
        }
        let table = Self { knots, pieces };
        let last = table.pieces.len() - 1;
        let is_wrong = |&(at, c): &(usize, &[f64; 4])| {
            let ends = &table.knots[at.saturating_sub(1)..=at.min(last - 1)];
            let terms = terms(c, largest_of(ends));
            let is_line = c[2] == 0.0 && c[3] == 0.0;
            terms.is_nan() || terms >= LARGEST_TERMS || ((at == 0 || at == last) && !is_line)
        };
        match table.pieces.iter().enumerate().find(is_wrong) {
            Some((at, _)) => Err(TableError::Polynomial { at }),
            None => Ok(table),
        }
    }

    /// A function that follows from its half: polynomials on \[−k₀, k₀\], \[k₀, k₁\], … and after the last knot.
    ///
    /// # Errors
    /// [`TableError`].
    pub fn mirrored(mirror: Mirror, knots: &[f64], pieces: &[[f64; 4]]) -> Result<Self, TableError> {
        let below = knots.iter().rev().map(|k| -k);
        let outer = pieces.get(1..).unwrap_or_default();
        let left = outer.iter().rev().map(|&c| mirror.piece(c));
        Self::new(below.chain(knots.iter().copied()).collect(), left.chain(pieces.iter().copied()).collect())
    }

    /// Where pieces meet, ascending.
    #[must_use]
    pub fn knots(&self) -> &[f64] {
        &self.knots
    }

    /// Coefficients of 1, x, x², x³ of every piece.
    #[must_use]
    pub fn pieces(&self) -> &[[f64; 4]] {
        &self.pieces
    }

    /// What the protocol approximates, in floating point.
    #[must_use]
    pub fn value(&self, x: f64) -> f64 {
        polynomial(&self.pieces[self.knots.partition_point(|&k| k <= x)], x)
    }

    /// How the table is evaluated for arguments of at most `bound` units of 2^−f in magnitude, or `None` if they leave less room
    /// than that takes: c₁·x stays below 2^62 in the outermost pieces, where x is as large as it is at all.
    #[must_use]
    pub fn layout(&self, frac: FracBits, bound: u64) -> Option<Layout> {
        // Differences from knots take twice the room of others.
        if bound >= 1 << (HEADROOM_BITS - 1) {
            return None;
        }
        let layout = |coefficient_bits| Layout { frac, thresholds: self.knots.len(), coefficient_bits };
        let (f, excess) = layout(MOST_COEFFICIENT_BITS).fraction_bits();
        let reach = (bound >> excess) as f64 + 1.0;
        let outer = [&self.pieces[0], &self.pieces[self.pieces.len() - 1]];
        let largest = outer.map(|c| c[0].abs() * 2f64.powi(f as i32) + c[1].abs() * reach);
        // A bit more covers the rounding of coefficients. The parties must find the same, so nothing here may depend on a platform.
        let largest = largest[0].max(largest[1]).ceil() as u128;
        let taken = (largest + (largest >> 16) + 1).ilog2() + 1;
        let bits = HEADROOM_BITS.saturating_sub(taken).min(MOST_COEFFICIENT_BITS);
        (bits >= FEWEST_COEFFICIENT_BITS).then(|| layout(bits))
    }

    /// The largest b with a layout for all arguments below 2^b in magnitude.
    #[must_use]
    pub fn argument_bits(&self, frac: FracBits) -> u32 {
        let whole = 0..HEADROOM_BITS - frac.bits();
        let fits = |b: &u32| self.layout(frac, (1 << (b + frac.bits())) - 1).is_some();
        whole.rev().find(fits).unwrap_or(0)
    }

    /// The smallest and the largest value of the function for arguments from `lo` to `hi`.
    #[must_use]
    pub fn range(&self, lo: f64, hi: f64) -> [f64; 2] {
        let ([mut least, mut most], mut low) = ([f64::INFINITY, f64::NEG_INFINITY], f64::NEG_INFINITY);
        for (c, high) in self.pieces.iter().zip(self.knots.iter().copied().chain([f64::INFINITY])) {
            let (from, to) = (low.max(lo), high.min(hi));
            if from <= to {
                let turns = turning_points(c).into_iter().flatten().filter(|x| (from..=to).contains(x));
                for value in [from, to].into_iter().chain(turns).map(|x| polynomial(c, x)) {
                    (least, most) = (least.min(value), most.max(value));
                }
            }
            low = high;
        }
        [least, most]
    }

    /// How far a result may be from [`Self::value`] of the argument that is computed with, in units of 2^−min(f,16): a unit from the
    /// last truncation, those of x² and x³ times their coefficients, and the rounding of coefficients. Above 16 fraction bits
    /// that argument is off by less than one unit itself.
    #[must_use]
    pub fn rounding_units(&self, layout: Layout) -> f64 {
        let powers = self.pieces.iter().map(|c| c[2].abs() + c[3].abs()).fold(0.0, f64::max);
        let (f, _) = layout.fraction_bits();
        let half_a_unit = 2f64.powi(f as i32 - layout.coefficient_bits as i32 - 1);
        1.0 + powers + half_a_unit * terms(&[1.0; 4], largest_of(&self.knots))
    }
}

fn polynomial(&[c0, c1, c2, c3]: &[f64; 4], x: f64) -> f64 {
    c0 + x * (c1 + x * (c2 + x * c3))
}

fn largest_of(knots: &[f64]) -> f64 {
    knots.iter().fold(0.0, |m, k| m.max(k.abs()))
}

/// Sum of the magnitudes of all terms.
fn terms(c: &[f64; 4], x: f64) -> f64 {
    polynomial(&c.map(f64::abs), x)
}

/// Where the derivative is zero.
fn turning_points(&[_, c1, c2, c3]: &[f64; 4]) -> [Option<f64>; 2] {
    if c3 == 0.0 {
        return [(c2 != 0.0).then(|| -c1 / (2.0 * c2)), None];
    }
    let root = (c2 * c2 - 3.0 * c3 * c1).sqrt();
    if root.is_nan() {
        return [None; 2];
    }
    [root, -root].map(|root| Some((root - c2) / (3.0 * c3)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: [f64; 4] = [0.0, 1.0, 0.0, 0.0];
    const CUBIC: [f64; 4] = [0.5, 0.25, -0.125, 1.0];

    #[test]
    fn what_makes_no_table_is_named() {
        let new = |knots: &[f64], pieces: &[[f64; 4]]| Table::new(knots.to_vec(), pieces.to_vec());
        assert!(new(&[-1.0, 1.0], &[LINE, CUBIC, LINE]).is_ok());
        let message = |knots: &[f64], pieces: &[[f64; 4]]| new(knots, pieces).unwrap_err().to_string();
        assert!(message(&[], &[LINE]).contains("1 polynomials for 0 knots"));
        assert!(message(&[1.0], &[LINE]).contains("1 polynomials for 1 knots"));
        for (at, knots) in [(1, [1.0, 1.0]), (1, [1.0, 0.5]), (1, [0.0, 0.001]), (0, [-16.5, 1.0])] {
            assert_eq!(
                new(&knots, &[LINE, CUBIC, LINE]),
                Err(TableError::Knot { at, got: knots[at] }),
                "{knots:?}"
            );
        }
        assert!(new(&[f64::NAN], &[LINE, LINE]).is_err());
        for (at, pieces) in [
            (0, [CUBIC, CUBIC, LINE]),
            (2, [LINE, CUBIC, CUBIC]),
            (1, [LINE, [f64::NAN; 4], LINE]),
            (1, [LINE, [0.0, 0.0, 0.0, 8192.0], LINE]),
            (2, [LINE, CUBIC, [f64::INFINITY, 0.0, 0.0, 0.0]]),
        ] {
            assert_eq!(new(&[-1.0, 1.0], &pieces), Err(TableError::Polynomial { at }));
        }
    }

    #[test]
    fn a_knot_belongs_to_the_piece_above() {
        let table = Table::new(vec![0.0, 1.0], vec![LINE, CUBIC, [7.0, 0.0, 0.0, 0.0]]).unwrap();
        assert_eq!([-0.5, 0.0, 1.0].map(|x| table.value(x)), [-0.5, 0.5, 7.0]);
    }

    #[test]
    fn halves_are_mirrored() {
        let middle = [0.5, 0.25, 0.0, 1.0];
        let table = Table::mirrored(Mirror::Point(0.5), &[0.5, 2.0], &[middle, CUBIC, LINE]).unwrap();
        let middle = [0.5, 0.5, 2.0, 0.0];
        let even = Table::mirrored(Mirror::Line, &[0.5, 2.0], &[middle, CUBIC, LINE]).unwrap();
        for x in [0.25, 0.75, 1.5, 3.0] {
            assert!((table.value(x) + table.value(-x) - 1.0).abs() < 1e-12, "{x}");
            assert!((even.value(x) - even.value(-x) - x).abs() < 1e-12, "{x}");
        }
    }

    #[test]
    fn room_for_coefficients_is_what_arguments_leave() {
        let level = Table::new(vec![1.0], vec![[0.0; 4], [1.0, 0.0, 0.0, 0.0]]).unwrap();
        let rising = Table::new(vec![1.0], vec![[0.0; 4], LINE]).unwrap();
        let bits = |t: &Table, frac, bound| {
            t.layout(FracBits::new(frac).unwrap(), bound).map(|layout| layout.coefficient_bits)
        };
        assert_eq!(bits(&level, 16, (1 << 61) - 1), Some(32));
        assert_eq!(bits(&level, 16, 1 << 61), None);
        // |x|·2^bits < 2^62, with a bit to spare.
        assert_eq!(bits(&rising, 16, 1 << 29), Some(32));
        assert_eq!(bits(&rising, 16, 1 << 30), Some(31));
        assert_eq!(bits(&rising, 16, 1 << 41), Some(20));
        assert_eq!(bits(&rising, 16, 1 << 42), None);
        assert_eq!(bits(&rising, 24, 1 << 49), Some(20));
        let steep = Table::new(vec![1.0], vec![[0.0; 4], [0.0, 4096.0, 0.0, 0.0]]).unwrap();
        assert_eq!(bits(&steep, 16, 1 << 29), Some(20));
        assert_eq!(steep.argument_bits(FracBits::DEFAULT), 13);
    }

    #[test]
    fn extremes_are_found_inside_pieces_too() {
        // −4·x·(x − 1) has its top, 1, at ½.
        let bump = [0.0, 4.0, -4.0, 0.0];
        let table = Table::new(vec![0.0, 1.0], vec![[0.0; 4], bump, LINE]).unwrap();
        assert_eq!(table.range(0.0, 0.25), [0.0, 0.75]);
        assert_eq!(table.range(0.25, 0.75), [0.75, 1.0]);
        assert_eq!(table.range(-8.0, 8.0), [0.0, 8.0]);
        assert_eq!(table.range(2.0, 3.0), [2.0, 3.0]);
        // x³ − x turns at ±1/√3.
        let wave = [0.0, -1.0, 0.0, 1.0];
        let table = Table::new(vec![-1.0, 1.0], vec![[0.0; 4], wave, [0.0; 4]]).unwrap();
        let [least, most] = table.range(-5.0, 5.0);
        assert!((most - 2.0 / 27f64.sqrt()).abs() < 1e-12 && (least + most).abs() < 1e-12);
    }
}
