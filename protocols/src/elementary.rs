//! eˣ, ln x, 1/x, √x and 1/√x as tables for `quartic`: what they are right for, how far off, and what holds elsewhere.
//!
//! | function | between | tolerance | outside |
//! |---|---|---|---|
//! | eˣ | anything and `highest` | 2^−14·max(1, eˣ) | 0 below ln 2^−14 = −9.70; e^`highest` above |
//! | eˣ, one of n terms | the same | 2^−14·max(1/n, eˣ, 2^−12) | the same, 0 where that is less |
//! | ln x | `lowest` > 0 and `highest` | 2^−14 | its value at that end, so ln `lowest` for x ≤ 0 |
//! | 1/x | `lowest` > 0 and `highest` | 2^−14/x, but half a unit at least | its value at that end |
//! | √x | 0 and `highest` | 2^−14·max(1, √x) | 0 below; √`highest` above |
//! | 1/√x | `lowest` > 0 and `highest` | 2^−14/√x, but half a unit at least | its value at that end |
//!
//! **Error**: that of the fit is at most the tolerance, rounding on the way at most as much, and the last truncation less than
//! one unit of the result, half of one where it is exact: [`Elementary::error`]. Relative errors are where results are large, absolute ones where they are small.
//!
//! A sum of n powers needs each of them better than one power alone: their errors add up, and what is small adds up to what matters.
//! With the tolerance of a term, that of the sum is 2^−13 of it where no power is above 1 and one of them is 1, as in a softmax.
//!
//! Where no x can lie beyond an end, by the bound of its magnitude, nothing is compared there. How many pieces a table has follows
//! from range and tolerance: a quartic serves eˣ for about 1.3, ln x from x to 1.9·x, 1/x to 1.6·x and 1/√x to 1.8·x.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use crate::quartic::fit::{Target, exp, ln, power_of_two};
use crate::quartic::{Ends, NoTable, Table};

/// Which function.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// eˣ
    Exp,
    /// ln x
    Log,
    /// 1/x
    Reciprocal,
    /// √x
    Sqrt,
    /// 1/√x
    Rsqrt,
}

/// The tolerance of all fits, relative or absolute.
const TOLERANCE: f64 = power_of_two(-14);
/// What terms of a sum are told apart from 0 by, in tolerances: less would be lost in rounding on the way.
const LEAST_TERM: f64 = power_of_two(-12);

/// A function with the range that it is wanted for. Arguments are numbers of `frac` bits after the point, as integers.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct Elementary {
    /// Which function.
    pub kind: Kind,
    /// The least argument that it is right for; of no meaning for eˣ and √x.
    pub lowest: i64,
    /// The largest argument that it is right for.
    pub highest: i64,
    /// What no argument exceeds in magnitude.
    pub bound: u64,
    /// Bits after the point of the argument.
    pub frac: u32,
    /// Bits after the point of the result.
    pub result: u32,
    /// How many such results are added up; of meaning for eˣ.
    pub terms: u32,
}

impl Elementary {
    /// The function itself.
    #[must_use]
    pub fn exact(&self, x: f64) -> f64 {
        match self.kind {
            Kind::Exp => exp(x),
            Kind::Log => ln(x),
            Kind::Reciprocal => 1.0 / x,
            Kind::Sqrt => x.sqrt(),
            Kind::Rsqrt => 1.0 / x.sqrt(),
        }
    }

    /// How far off the fit of a result may be.
    fn tolerance(&self, value: f64) -> f64 {
        let half_unit = power_of_two(-(self.result as i32) - 1);
        match self.kind {
            Kind::Exp if self.terms > 1 => TOLERANCE * value.max(1.0 / f64::from(self.terms)).max(LEAST_TERM),
            Kind::Exp | Kind::Sqrt => TOLERANCE * value.max(1.0),
            Kind::Log => TOLERANCE,
            Kind::Reciprocal | Kind::Rsqrt => (TOLERANCE * value).max(half_unit),
        }
    }

    /// How far a result is off at most, for an exact value within the range.
    #[must_use]
    pub fn error(&self, value: f64) -> f64 {
        2.0 * self.tolerance(value) + power_of_two(-(self.result as i32))
    }

    /// The least and the largest argument that the function follows its exact value for.
    #[must_use]
    pub fn range(&self) -> [i64; 2] {
        let bound = i64::try_from(self.bound).unwrap_or(i64::MAX);
        let from = match self.kind {
            Kind::Exp => {
                let vanishes = (ln(self.tolerance(0.0)) * power_of_two(self.frac as i32)).ceil() as i64;
                vanishes.max(-bound)
            }
            Kind::Sqrt => 1,
            Kind::Log | Kind::Reciprocal | Kind::Rsqrt => self.lowest.max(1),
        };
        [from, self.highest.min(bound)]
    }

    /// The table. It is made once for every function and range.
    ///
    /// # Errors
    /// [`NoTable`] for a range that is empty, or too wide for the result's bits.
    pub fn table(&self) -> Result<Arc<Table>, NoTable> {
        type Made = Mutex<HashMap<Elementary, Result<Arc<Table>, NoTable>>>;
        static MADE: LazyLock<Made> = LazyLock::new(Default::default);
        let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        made.entry(*self).or_insert_with(|| self.fit().map(Arc::new)).clone()
    }

    fn fit(&self) -> Result<Table, NoTable> {
        let unit = power_of_two(-(self.frac as i32));
        let [from, to] = self.range();
        if from > to {
            return Err(NoTable::Empty);
        }
        let target = Target {
            function: &|x| self.exact(x * unit),
            tolerance: &|value| self.tolerance(value),
            least_width: &|start| match self.kind {
                Kind::Exp => 1 << self.frac.saturating_sub(3),
                _ => start / 16,
            },
        };
        let at = |x: i64| Ends::Is(self.exact(x as f64 * unit));
        let bound = i64::try_from(self.bound).unwrap_or(i64::MAX);
        let below = match self.kind {
            Kind::Exp if from == -bound => Ends::Open,
            Kind::Exp | Kind::Sqrt => Ends::Is(0.0),
            Kind::Log | Kind::Reciprocal | Kind::Rsqrt => at(from),
        };
        // What is not below the end of a range is above it.
        match self.highest < bound {
            true => Table::fit(&target, [from, to.max(from + 1)], [below, at(to)], self.result),
            false => Table::fit(&target, [from, to + 1], [below, Ends::Open], self.result),
        }
    }
}
