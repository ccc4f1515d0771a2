//! Functions of wide range: which arguments they are wanted for.

use mpc_core::fixed::FracBits;
use mpc_core::wire::Encoder;
use protocols::elementary::{Elementary, Kind};

use crate::fact::Fact;
use crate::infer::LIMIT;

/// A function of `protocols::elementary` between two arguments. For eˣ and √x, the least is of no meaning and 0.
#[derive(Copy, Clone, PartialEq, Debug)]
pub(crate) struct Limits {
    pub(crate) kind: Kind,
    pub(crate) lowest: f64,
    pub(crate) highest: f64,
    /// How many results are added up; of meaning for eˣ, else 1.
    pub(crate) terms: u32,
}

impl Limits {
    pub(crate) const fn new(kind: Kind, lowest: f64, highest: f64) -> Self {
        Self { kind, lowest, highest, terms: 1 }
    }

    /// What is computed for an argument with these facts, at the program's fraction bits, for a result of so many. The limits are
    /// not wrong.
    pub(crate) fn of(self, x: &Fact, frac: FracBits, result: u32) -> Elementary {
        let units = |v: f64| (v * 2f64.powi(frac.bits() as i32)).round_ties_even() as i64;
        let bound = u64::try_from(x.bound_at(frac.bits())).unwrap_or(u64::MAX);
        let [lowest, highest] = [self.lowest, self.highest].map(units);
        // A limit above zero is one unit at least.
        let lowest = if self.lowest > 0.0 { lowest.max(1) } else { lowest };
        Elementary { kind: self.kind, lowest, highest, bound, frac: frac.bits(), result, terms: self.terms }
    }

    /// What is wrong with the limits, if anything is.
    pub(crate) fn wrong(self) -> Option<&'static str> {
        let canonical = |v: f64| v.is_finite() && !(v == 0.0 && v.is_sign_negative());
        if !canonical(self.lowest) || !canonical(self.highest) {
            return Some("limits are finite numbers, and zero has no sign");
        }
        match self.kind {
            Kind::Exp if self.terms == 0 => Some("a sum has terms"),
            Kind::Exp => None,
            Kind::Sqrt if self.highest <= 0.0 => Some("the largest argument must be above zero"),
            Kind::Sqrt => None,
            _ if self.lowest <= 0.0 => Some("the least argument must be above zero"),
            _ if self.lowest > self.highest => Some("the least argument must not be above the largest"),
            _ => None,
        }
    }

    /// For people, after a space.
    pub(crate) fn text(self) -> String {
        // In full: the shortest digits that are this number and no other.
        let number = |v: f64| match v.abs() {
            a if a == 0.0 || (1e-4..1e9).contains(&a) => v.to_string(),
            _ => format!("{v:e}"),
        };
        let highest = number(self.highest);
        match self.kind {
            Kind::Exp if self.terms > 1 => format!(" up to {highest}, for sums of {}", self.terms),
            Kind::Exp | Kind::Sqrt => format!(" up to {highest}"),
            _ => format!(" between {} and {highest}", number(self.lowest)),
        }
    }

    pub(crate) fn encode(self, e: &mut Encoder) {
        if !matches!(self.kind, Kind::Exp | Kind::Sqrt) {
            e.u64(self.lowest.to_bits());
        }
        e.u64(self.highest.to_bits());
        if self.kind == Kind::Exp {
            e.u32(self.terms);
        }
    }
}

/// The limits of a divisor.
pub(crate) const fn divisor(lowest: f64, highest: f64) -> Limits {
    Limits::new(Kind::Reciprocal, lowest, highest)
}

/// 1/b as a/b takes it: with as many bits after the point as make its last one less than half a unit of the quotient, or as many
/// as the product has room for; `None` if those are fewer than the program's.
pub(crate) fn reciprocal(a: &Fact, b: &Fact, limits: Limits, frac: FracBits) -> Option<Elementary> {
    let (f, whole) = (frac.bits(), u64::BITS - (a.bound >> a.scale).leading_zeros());
    let fits = |function: &Elementary| {
        let table = function.table();
        table.is_ok_and(|table| u128::from(a.bound) * u128::from(table.bound()) < LIMIT)
    };
    (f..=f + whole).rev().map(|result| limits.of(b, frac, result)).find(fits)
}
