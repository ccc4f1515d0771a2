//! Fixed point: real numbers as ring elements x̂ = round-half-even(x·2^f), two's complement.
//!
//! Nothing wraps silently. NaN, infinities and values beyond the stated magnitude are refused with their position.

use ndarray::ArrayD;

use crate::ring::{Ring, Z64};
use crate::tensor::Tensor;

/// Number of fraction bits of a program's real numbers, 8 to 24.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash, Debug)]
pub struct FracBits(u8);

impl FracBits {
    /// 16 fraction bits: resolution 1.5e-5, products up to 2^30 before truncation.
    pub const DEFAULT: Self = Self(16);

    /// `bits` fraction bits.
    ///
    /// # Errors
    /// [`FixedError::FracBits`] outside 8..=24.
    pub fn new(bits: u32) -> Result<Self, FixedError> {
        match u8::try_from(bits) {
            Ok(b @ 8..=24) => Ok(Self(b)),
            _ => Err(FixedError::FracBits { got: bits }),
        }
    }

    /// The number of bits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0 as u32
    }
}

/// log2 of the magnitude that a ring element may not reach where it is truncated or compared.
pub const HEADROOM_BITS: u32 = 62;

/// Why a number has no fixed-point form.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FixedError {
    /// Fraction bits outside the supported range.
    #[error("fraction bits must be 8 to 24, got {got}")]
    FracBits {
        /// What was asked for.
        got: u32,
    },
    /// Not a finite number.
    #[error("element {position} is {value}, not a finite number")]
    NotFinite {
        /// Row-major position.
        position: usize,
        /// The value.
        value: f64,
    },
    /// A fraction where integers are encoded: rounding one to an integer would change what it says.
    #[error("element {position} is {value}, not an integer")]
    NotInteger {
        /// Row-major position.
        position: usize,
        /// The value.
        value: f64,
    },
    /// Magnitude above the limit.
    #[error("element {position} is {value}, outside ±{limit}")]
    OutOfRange {
        /// Row-major position.
        position: usize,
        /// The value.
        value: f64,
        /// The largest magnitude allowed.
        limit: f64,
    },
}

impl FixedError {
    /// Row-major position of the offending element, if the error is about one.
    #[must_use]
    pub fn position(&self) -> Option<usize> {
        match self {
            Self::NotFinite { position, .. }
            | Self::NotInteger { position, .. }
            | Self::OutOfRange { position, .. } => Some(*position),
            Self::FracBits { .. } => None,
        }
    }
}

/// Encodes a tensor at scale 2^`scale`, refusing magnitudes above `max_abs` and those that reach the ring's headroom,
/// 2^(62 − `scale`). `max_abs` itself is accepted where it is below the headroom. At scale 0 nothing is rounded: every
/// value must be an integer.
///
/// # Errors
/// The first element that is not finite, out of range, or at scale 0 not an integer.
///
/// ```
/// use mpc_core::fixed::{decode, encode};
/// use ndarray::arr1;
/// let x = arr1(&[1.5, -2.25]).into_dyn();
/// let t = encode(&x, 16, 100.0)?;
/// assert_eq!(decode(&t, 16), x);
/// assert!(encode(&arr1(&[f64::NAN]).into_dyn(), 16, 100.0).is_err());
/// # Ok::<(), mpc_core::fixed::FixedError>(())
/// ```
pub fn encode(values: &ArrayD<f64>, scale: u32, max_abs: f64) -> Result<Tensor<Z64>, FixedError> {
    let factor = 2f64.powi(scale as i32);
    // Truncation and comparison are right below the headroom, not at it. Numbers next to it have no fraction left to
    // round, so none below it reaches it by encoding.
    let limit = max_abs.min(2f64.powi(HEADROOM_BITS as i32 - scale as i32).next_down());
    // In place: a vector that grows leaves copies behind.
    let mut encoded = Tensor::zeros(values.shape());
    for (position, (&value, out)) in values.iter().zip(encoded.as_mut_slice()).enumerate() {
        if !value.is_finite() {
            return Err(FixedError::NotFinite { position, value });
        }
        if value.abs() > limit {
            return Err(FixedError::OutOfRange { position, value, limit });
        }
        if scale == 0 && value.fract() != 0.0 {
            return Err(FixedError::NotInteger { position, value });
        }
        *out = Z64::from_i64((value * factor).round_ties_even() as i64);
    }
    Ok(encoded)
}

/// Decodes a tensor at scale 2^`scale`.
#[must_use]
pub fn decode(t: &Tensor<Z64>, scale: u32) -> ArrayD<f64> {
    let factor = 2f64.powi(-(scale as i32));
    t.array().map(|x| x.to_i64() as f64 * factor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::arr1;

    #[test]
    fn rounds_half_to_even_and_keeps_signs() {
        let ulp = 2f64.powi(-8);
        let x = arr1(&[0.5 * ulp, 1.5 * ulp, -0.5 * ulp, -1.5 * ulp, -3.0]).into_dyn();
        let t = encode(&x, 8, 10.0).unwrap();
        assert_eq!(t.as_slice().iter().map(|v| v.to_i64()).collect::<Vec<_>>(), [0, 2, 0, -2, -768]);
    }

    #[test]
    fn refuses_what_does_not_fit_and_says_where() {
        for (bad, finite) in
            [(f64::NAN, false), (f64::INFINITY, false), (f64::NEG_INFINITY, false), (4.1, true)]
        {
            let e = encode(&arr1(&[0.0, 1.0, bad]).into_dyn(), 16, 4.0).unwrap_err();
            assert_eq!(e.position(), Some(2));
            assert_eq!(matches!(e, FixedError::OutOfRange { .. }), finite);
        }
        assert!(encode(&arr1(&[1e300]).into_dyn(), 16, f64::INFINITY).is_err());
        assert!(FracBits::new(7).is_err() && FracBits::new(25).is_err() && FracBits::new(24).is_ok());
    }

    #[test]
    fn the_headroom_is_excluded_and_the_declared_magnitude_included() {
        for scale in [0, 8, 16, 24] {
            let headroom = 2f64.powi(HEADROOM_BITS as i32 - scale as i32);
            for sign in [1.0, -1.0] {
                let one =
                    |value: f64, max_abs: f64| encode(&arr1(&[sign * value]).into_dyn(), scale, max_abs);
                for max_abs in [headroom, 2.0 * headroom, f64::INFINITY] {
                    let e = one(headroom, max_abs).unwrap_err();
                    assert!(
                        matches!(e, FixedError::OutOfRange { position: 0, limit, .. } if limit < headroom)
                    );
                    let below = one(headroom.next_down(), max_abs).unwrap();
                    assert!(below.as_slice()[0].to_i64().unsigned_abs() < 1 << HEADROOM_BITS);
                }
                assert!(one(100.0, 100.0).is_ok() && one(100.0f64.next_up(), 100.0).is_err());
            }
        }
    }
}
