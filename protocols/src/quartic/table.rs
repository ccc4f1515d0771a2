//! A table of pieces with integer coefficients, and how many bits every step keeps.

use mpc_core::ring::Ring;

use super::fit::{Quartic, Target, bits, pieces, power_of_two};

/// Bits that a value may have before it is truncated or squared, the sign apart: one less than the protocols' limit.
const ROOM: i32 = 61;
/// Most bits after the point of M, and of N where M is cut.
const MOST_BITS: i32 = 30;
const INNER_BITS: i32 = 24;
/// Most thresholds that are compared on one opening.
const MAX_THRESHOLDS: usize = 64;

/// What holds outside the range of a table.
#[derive(Copy, Clone, Debug)]
pub(crate) enum Ends {
    /// The outermost piece goes on: nothing lies outside.
    Open,
    /// The result is this number.
    Is(f64),
}

/// Why there is no table.
#[derive(Debug, Copy, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoTable {
    /// Nothing lies between the ends of the range.
    #[error("its range is empty")]
    Empty,
    /// The range takes more pieces than are compared on one opening.
    #[error("its range takes more than {MAX_THRESHOLDS} pieces")]
    TooManyPieces,
    /// The largest result leaves too few bits after the point.
    #[error("its largest result leaves too few bits after the point")]
    TooLarge,
}

/// The linear parts of a piece, constants before slopes.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
struct Piece {
    inner: [i64; 2],
    shift: i64,
    outer: [i64; 2],
}

/// A function in pieces `σ·(N² + c)² + L` of ring elements, with integer coefficients; see the module above.
#[derive(Clone, PartialEq, Debug)]
pub struct Table {
    /// Where pieces meet, ascending: below the first is the first piece.
    thresholds: Vec<i64>,
    pieces: Vec<Piece>,
    concave: bool,
    /// Bits that N, M and the result are cut by.
    cuts: [u32; 3],
    bound: u64,
}

impl Table {
    /// A table that follows the target on `from..to`, for results of `result` bits after the point.
    pub(crate) fn fit(
        target: &Target<'_>,
        [from, to]: [i64; 2],
        [below, above]: [Ends; 2],
        result: u32,
    ) -> Result<Self, NoTable> {
        if from >= to {
            return Err(NoTable::Empty);
        }
        let ends = [below, above].iter().filter(|e| matches!(e, Ends::Is(_))).count();
        let fitted = pieces(target, from, to, MAX_THRESHOLDS + 1 - ends).ok_or(NoTable::TooManyPieces)?;
        let constants = [below, above].map(|e| if let Ends::Is(v) = e { v.abs() } else { 0.0 });
        let [mut n, mut m, mut y] = [0.0, 0.0, constants[0].max(constants[1])];
        for piece in &fitted {
            let largest = piece.largest(to);
            (n, m, y) = (largest[0].max(n), largest[1].max(m), largest[2].max(y));
        }
        let steps = Steps::new(&fitted, target, [n, m, y], result)?;
        let middle = fitted.iter().map(|piece| steps.piece(piece));
        let constant = |v: f64| Piece { inner: [0; 2], shift: 0, outer: [steps.outer(v), 0] };
        let mut table = Self {
            thresholds: fitted[1..].iter().map(|p| p.from).collect(),
            pieces: middle.collect(),
            concave: fitted[0].concave,
            cuts: steps.cuts(result),
            bound: ((y * 1.000_001 + steps.rounding(&fitted)) * power_of_two(result as i32)).ceil() as u64
                + 2,
        };
        if let Ends::Is(v) = below {
            table.thresholds.insert(0, from);
            table.pieces.insert(0, constant(v));
        }
        if let Ends::Is(v) = above {
            table.thresholds.push(to);
            table.pieces.push(constant(v));
        }
        Ok(table)
    }

    /// Where pieces meet, ascending.
    #[must_use]
    pub fn thresholds(&self) -> &[i64] {
        &self.thresholds
    }

    /// Bits that N, M and the result are cut by; 0 for M where it is squared as it is.
    #[must_use]
    pub const fn cuts(&self) -> [u32; 3] {
        self.cuts
    }

    /// Whether squares are subtracted.
    #[must_use]
    pub(crate) const fn is_concave(&self) -> bool {
        self.concave
    }

    /// Largest magnitude of a result, in units of its last place.
    #[must_use]
    pub const fn bound(&self) -> u64 {
        self.bound
    }

    /// Half a unit of the result before its cut: added, a cut that rounds down rounds to the nearest.
    pub(crate) const fn half(&self) -> i64 {
        1 << (self.cuts[2] - 1)
    }

    /// What the protocol computes where truncations are exact: the plain counterpart, on the same integers.
    #[must_use]
    pub fn plain(&self, x: i64) -> i64 {
        let piece = self.pieces[self.thresholds.partition_point(|&t| t <= x)];
        let line = |[constant, slope]: [i64; 2]| slope.wrapping_mul(x).wrapping_add(constant);
        let [first, second, last] = self.cuts;
        let n = line(piece.inner) >> first;
        let m = n.wrapping_mul(n).wrapping_add(piece.shift) >> second;
        let (m2, outer) = (m.wrapping_mul(m), line(piece.outer).wrapping_add(self.half()));
        (if self.concave { outer.wrapping_sub(m2) } else { outer.wrapping_add(m2) }) >> last
    }

    /// For N, c and L, constants before slopes: the last piece's, then the step down at every threshold.
    pub(crate) fn weights<R: Ring>(&self) -> [Vec<R>; 5] {
        let columns: [fn(&Piece) -> i64; 5] =
            [|p| p.inner[0], |p| p.inner[1], |p| p.shift, |p| p.outer[0], |p| p.outer[1]];
        columns.map(|column| {
            let values: Vec<R> = self.pieces.iter().map(|p| R::from_i64(column(p))).collect();
            let steps = values.windows(2).map(|step| step[0] - step[1]);
            [values[values.len() - 1]].into_iter().chain(steps).collect()
        })
    }
}

/// Bits after the point of N before and after its cut, and of M; L and M² have twice those of M.
struct Steps {
    wide: i32,
    inner: i32,
    middle: i32,
}

impl Steps {
    fn new(
        fitted: &[Quartic],
        target: &Target<'_>,
        [n, m, y]: [f64; 3],
        result: u32,
    ) -> Result<Self, NoTable> {
        // A little more than the largest value, for what rounding adds.
        let room = |v: f64| ROOM - bits(v * 1.01 + power_of_two(-20));
        let middle = (room(y) / 2).min(MOST_BITS) & !1;
        if 2 * middle < result as i32 + 4 {
            return Err(NoTable::TooLarge);
        }
        let wide = room(n).min(2 * MOST_BITS);
        let once = Self { wide, inner: middle / 2, middle };
        // Whether rounding takes no more than the tolerance.
        let fine = |steps: &Self| {
            fitted.iter().all(|piece| {
                let value = (target.function)(piece.twice_middle() as f64 / 2.0);
                steps.rounding(std::slice::from_ref(piece)) <= (target.tolerance)(value)
            })
        };
        // With as many bits of N as its square needs to be M, or with more, which are cut.
        let twice = Self { wide, inner: INNER_BITS.min(room(m) / 2), middle };
        [once, twice].into_iter().find(|steps| steps.are_in_order() && fine(steps)).ok_or(NoTable::TooLarge)
    }

    const fn are_in_order(&self) -> bool {
        self.inner < self.wide && 2 * self.inner >= self.middle
    }

    fn cuts(&self, result: u32) -> [u32; 3] {
        let last = 2 * self.middle - result as i32;
        [self.wide - self.inner, 2 * self.inner - self.middle, last].map(|bits| bits as u32)
    }

    /// What is lost at most before the last truncation: by a unit of N and one of M, and by slopes that are integers.
    fn rounding(&self, fitted: &[Quartic]) -> f64 {
        let of_m = if 2 * self.inner == self.middle { 0.0 } else { power_of_two(-self.middle) };
        let of_piece = |piece: &Quartic| {
            let ([n, m, _], half) = (piece.largest(piece.to), piece.half() / 2.0);
            let of_n = power_of_two(-self.inner) + half * power_of_two(-self.wide);
            2.0 * m * (2.0 * n * of_n + of_m) * 1.01 + half * power_of_two(-2 * self.middle)
        };
        fitted.iter().map(of_piece).fold(0.0, f64::max)
    }

    /// A constant of L.
    fn outer(&self, v: f64) -> i64 {
        scaled(v, 2 * self.middle) as i64
    }

    fn piece(&self, q: &Quartic) -> Piece {
        // As a function of x: the slope in ring units, and the constant that gives the middle of the range its value.
        let line = |[constant, slope]: [f64; 2], bits: i32| {
            let slope = scaled(slope / q.half(), bits);
            [scaled(constant, bits) - ((slope * i128::from(q.twice_middle())) >> 1), slope].map(|v| v as i64)
        };
        Piece {
            inner: line(q.inner, self.wide),
            shift: scaled(q.shift, 2 * self.inner) as i64,
            outer: line(q.outer, 2 * self.middle),
        }
    }
}

fn scaled(v: f64, bits: i32) -> i128 {
    (v * power_of_two(bits)).round() as i128
}
