//! Public factors: how k · x is computed in fixed point, for [`scale`](crate::ProgramBuilder::scale) and, with k = 1/n,
//! for [`mean`](crate::ProgramBuilder::mean).
//!
//! A program keeps the number that its author wrote. Its encoding v / 2^b follows from that number, the fraction bits
//! and the operand's bound, so every party derives the same one. v · x must stay below 2^62, so a wide bound leaves
//! few bits to v. An encoding is taken only if its relative error is at most 2^−f, or if it moves no result by more
//! than half a unit of 2^−f. Where the bound leaves too few bits and |k| is below 1, the operand is truncated first, by
//! so many bits that k times what this drops stays below one unit. What is left is refused: the result would be wrong
//! without notice.

use mpc_core::fixed::HEADROOM_BITS;

use crate::fact::Fact;
use crate::infer::LIMIT;

/// Fraction bits that a factor has if there is room; a factor below 2^(f − 40) gets what its precision asks for.
const USUAL_BITS: u32 = 40;
/// Most bits of the truncation after the product.
const MAX_SHIFT: u32 = 60;

/// An encoded factor: the operand is truncated by `first` bits, if any, and multiplied by `value`; the product has
/// `bits − first` more fraction bits than the operand.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Factor {
    pub(crate) first: u32,
    pub(crate) value: i64,
    pub(crate) bits: u32,
}

impl Factor {
    /// Multiplication by an integer, which is exact and local.
    pub(crate) const fn integer(value: i64) -> Self {
        Self { first: 0, value, bits: 0 }
    }

    /// Bound of the product before the last truncation. Both truncations round up or down.
    pub(crate) fn product_bound(self, bound: u128) -> u128 {
        bound.div_ceil(1 << self.first).saturating_mul(self.value.unsigned_abs().into())
    }
}

/// Why a factor has no encoding.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum NoFactor {
    /// Infinite, not a number, or minus zero, which has the same meaning as zero.
    NotCanonical,
    /// An integer of 2^62 or more.
    TooLarge,
    /// k · x is below one unit of 2^−f whatever x is.
    Vanishes,
    /// The operand's bound leaves room for so many bits, not enough.
    NoRoom { bits: u32 },
}

/// The encoding of `k` for a value of the given bound and scale in a program of `frac` fraction bits.
///
/// Integers are exact. Others get as many fraction bits as there is room for, up to [`USUAL_BITS`].
pub(crate) fn encode_factor(k: f64, bound: u128, scale: u32, frac: u32) -> Result<Factor, NoFactor> {
    if !k.is_finite() || (k == 0.0 && k.is_sign_negative()) {
        return Err(NoFactor::NotCanonical);
    }
    if k.fract() == 0.0 {
        let fits = k.abs() < 2f64.powi(HEADROOM_BITS as i32);
        return if fits { Ok(Factor::integer(k as i64)) } else { Err(NoFactor::TooLarge) };
    }
    let search = Search { k, bound, scale, frac };
    if search.largest_result() < 1.0 {
        return Err(NoFactor::Vanishes);
    }
    // A value lifted from the integers by exactly the program's fraction bits needs no truncation.
    let lifted = (scale == 0).then(|| search.exact_bits(0, frac)).flatten();
    lifted
        .or_else(|| (0..=search.most_first()).find_map(|first| search.best(first)))
        .ok_or_else(|| NoFactor::NoRoom { bits: search.room(search.most_first()) })
}

/// What decides about an encoding.
#[derive(Copy, Clone)]
struct Search {
    k: f64,
    bound: u128,
    scale: u32,
    frac: u32,
}

impl Search {
    /// The largest result in units of 2^−f.
    fn largest_result(self) -> f64 {
        self.k.abs() * self.bound as f64 * 2f64.powi(self.frac as i32 - self.scale as i32)
    }

    /// The t with 2^−(t+1) < |k| ≤ 2^−t: the most bits to truncate first, as k times the error stays within one unit.
    fn most_first(self) -> u32 {
        (-self.k.abs().log2()).floor().clamp(0.0, f64::from(HEADROOM_BITS)) as u32
    }

    /// How many bits are left for the factor's value.
    fn room(self, first: u32) -> u32 {
        let bits = 128 - self.bound.div_ceil(1 << first).leading_zeros();
        HEADROOM_BITS.saturating_sub(bits)
    }

    /// The most precise encoding after truncating the operand by `first` bits, if it is precise enough.
    fn best(self, first: u32) -> Option<Factor> {
        let lowest = self.frac + first - self.scale;
        let precise = (-self.k.abs().log2()).ceil().max(0.0) as u32 + self.frac;
        let highest = (USUAL_BITS.max(precise) + first).min(MAX_SHIFT + lowest);
        let mut factor = (lowest..=highest).rev().find_map(|bits| self.exact_bits(first, bits))?;
        while factor.value % 2 == 0 && factor.bits > lowest {
            factor = Factor { value: factor.value / 2, bits: factor.bits - 1, ..factor };
        }
        Some(factor)
    }

    /// The encoding with exactly these bits, if there is room for it and it is precise enough.
    fn exact_bits(self, first: u32, bits: u32) -> Option<Factor> {
        // Multiplying by a power of two is exact, and so is the difference to the nearest integer.
        let scaled = self.k * 2f64.powi(bits as i32);
        let value = scaled.round_ties_even();
        if value.abs() >= 2f64.powi(HEADROOM_BITS as i32) {
            return None;
        }
        let factor = Factor { first, value: value as i64, bits };
        let relative = ((scaled - value) / scaled).abs();
        let precise = relative <= 2f64.powi(-(self.frac as i32)) || relative * self.largest_result() <= 0.5;
        (precise && value != 0.0 && factor.product_bound(self.bound) < LIMIT).then_some(factor)
    }
}

/// One term of a weighted sum: k · x for an x of the given bound and scale.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Term {
    k: f64,
    bound: u128,
    scale: u32,
}

impl Term {
    pub(crate) fn of(x: &Fact, k: f64) -> Self {
        Self { k, bound: x.bound.into(), scale: x.scale }
    }

    /// The same for an x that has so many fraction bits more, because its truncation is left to the sum.
    pub(crate) const fn not_truncated(self, bits: u32) -> Self {
        Self { bound: self.bound << bits, scale: self.scale + bits, ..self }
    }
}

/// The encoded factors of a weighted sum, whose terms all stand at one scale.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Weights {
    pub(crate) values: Vec<i64>,
    /// Fraction bits of the sum before its truncation.
    pub(crate) scale: u32,
}

impl Weights {
    /// The most precise encoding that there is room for, with no more bits than that takes; `None` if a factor would be encoded
    /// too coarsely.
    pub(crate) fn encode(terms: &[Term], frac: u32) -> Option<Self> {
        let widest = terms.iter().map(|t| t.scale).max()?;
        let integers = terms.iter().all(|t| t.k.fract() == 0.0);
        let lowest = if integers { widest } else { widest.max(frac) };
        let highest = if integers { lowest } else { HEADROOM_BITS };
        let at = |scale: u32| {
            let one = |t: &Term| Self::value(t, scale, frac);
            let values: Vec<i64> = terms.iter().map(one).collect::<Option<_>>()?;
            let weights = Self { values, scale };
            (weights.bound(terms) < LIMIT).then_some(weights)
        };
        let mut best = (lowest..=highest).rev().find_map(at)?;
        while best.scale > lowest && best.values.iter().all(|v| v % 2 == 0) {
            best.values.iter_mut().for_each(|v| *v /= 2);
            best.scale -= 1;
        }
        Some(best)
    }

    /// The factor of a term at the sum's scale.
    fn value(t: &Term, scale: u32, frac: u32) -> Option<i64> {
        let search = Search { k: t.k, bound: t.bound, scale: t.scale, frac };
        if t.k == 0.0 {
            return Some(0);
        }
        search.exact_bits(0, scale - t.scale).map(|f| f.value)
    }

    /// Bound of the sum before its truncation.
    pub(crate) fn bound(&self, terms: &[Term]) -> u128 {
        let one = |(v, t): (&i64, &Term)| t.bound.saturating_mul(v.unsigned_abs().into());
        self.values.iter().zip(terms).map(one).fold(0, u128::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative error of the encoding, before any truncation.
    fn error(k: f64, f: Factor) -> f64 {
        (f.value as f64 * 2f64.powi(-(f.bits as i32)) / k - 1.0).abs()
    }

    #[test]
    fn factors_are_as_precise_as_the_bound_allows() {
        // The sum of 30,000 values up to 64 at 16 bits: 2^37 in ring units.
        let n = 30_000u32;
        let f = encode_factor(1.0 / f64::from(n), u128::from(n) << 22, 16, 16).unwrap();
        assert!(f.first == 0 && error(1.0 / f64::from(n), f) < 1e-6, "{f:?}");
        let exact = |k, bound, scale| encode_factor(k, bound, scale, 16).unwrap();
        assert_eq!(exact(1.0 / 1024.0, 1 << 32, 16), Factor { first: 0, value: 1, bits: 10 });
        assert_eq!(exact(1.0, 1 << 32, 16), Factor::integer(1));
        // A mean of bits takes at least the program's fraction bits.
        assert!(exact(0.5, 2, 0).bits >= 16);
        assert!(error(0.001, exact(0.001, 1 << 22, 16)) < 1e-8);
    }

    #[test]
    fn integer_factors_are_free_and_halves_are_short() {
        let of = |k, bound, scale| encode_factor(k, bound, scale, 16);
        assert_eq!(of(-3.0, 1 << 22, 16), Ok(Factor::integer(-3)));
        assert_eq!(of(0.0, 1 << 22, 16), Ok(Factor::integer(0)));
        assert_eq!(of(0.75, 1 << 22, 16), Ok(Factor { first: 0, value: 3, bits: 2 }));
        // Half a unit of error at most, and no truncation.
        assert_eq!(of(0.1, 1, 0), Ok(Factor { first: 0, value: 6554, bits: 16 }));
        // Counts up to 1000 would be off by 400 units with the same encoding.
        let f = of(0.1, 1000, 0).unwrap();
        assert!(f.bits > 16 && error(0.1, f) < 1e-9, "{f:?}");
        assert_eq!(of(1e-30, 1 << 22, 16), Err(NoFactor::Vanishes));
        assert_eq!(of(1e30, 1 << 22, 16), Err(NoFactor::TooLarge));
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0] {
            assert_eq!(of(bad, 1 << 22, 16), Err(NoFactor::NotCanonical));
        }
    }

    #[test]
    fn whatever_is_accepted_is_precise_and_has_room() {
        let (mut accepted, mut two_steps, mut refused) = (0, 0, 0);
        for frac in [8, 16, 24] {
            for scale in [0, frac] {
                for log_bound in 0..62 {
                    for k in [0.3, 1.0 / 3.0, 1e-3, 1e-6, 3e-9, 2e-15, 1.1, 1234.567, 725_000.3, 0.999_999_9]
                    {
                        let (bound, at) =
                            (1u128 << log_bound, format!("{k} at 2^{log_bound}, {frac} {scale}"));
                        match encode_factor(-k, bound, scale, frac) {
                            Ok(f) => {
                                let unit = 2f64.powi(-(frac as i32));
                                let moved = error(-k, f) * k * bound as f64 * 2f64.powi(-(scale as i32));
                                assert!(error(-k, f) <= unit || moved <= 0.5 * unit, "{at}: {f:?}");
                                assert!(f.product_bound(bound) < LIMIT, "{at}: {f:?}");
                                assert!(k * 2f64.powi(f.first as i32) <= 1.0 || f.first == 0, "{at}: {f:?}");
                                let shift = (scale + f.bits).checked_sub(f.first + frac);
                                assert!(shift.is_some_and(|s| s <= 62), "{at}: {f:?}");
                                accepted += 1;
                                two_steps += u32::from(f.first > 0);
                            }
                            Err(NoFactor::Vanishes) => {
                                assert!(k * bound as f64 * 2f64.powi((frac - scale) as i32) < 1.0, "{at}");
                            }
                            Err(NoFactor::NoRoom { bits }) => {
                                let result = k * bound as f64 * 2f64.powi((frac - scale) as i32);
                                assert!(bits < frac || result >= LIMIT as f64, "{at}: {bits} bits would do");
                                refused += 1;
                            }
                            Err(e) => panic!("{at}: {e:?}"),
                        }
                    }
                }
            }
        }
        assert!(accepted > 1000 && two_steps > 100 && refused > 100, "{accepted} {two_steps} {refused}");
    }
}
