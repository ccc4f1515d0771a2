//! What is known about a node's value before anything runs.

use crate::shape::Shape;

/// Whether a value is known to all parties or held in shares.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Visibility {
    /// A constant of the program.
    Public,
    /// Shared: no party knows it.
    Secret,
}

/// Facts inferred for one node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fact {
    /// Lengths of the axes.
    pub shape: Shape,
    /// Fraction bits of the value: 0 for bits and integers, else those of the program.
    pub scale: u32,
    /// Who knows the value.
    pub visibility: Visibility,
    /// The smallest that an element's ring representative, the value times 2^scale, can be, by exact interval arithmetic on
    /// integers.
    pub lo: i64,
    /// The largest that it can be.
    pub hi: i64,
    /// The largest magnitude that it can have. Below 2^62 for every node.
    pub bound: u64,
    /// Whether every element is 0 or 1.
    pub bit: bool,
}

impl Fact {
    /// A secret value.
    pub(crate) const fn secret(shape: Shape, scale: u32, bound: u64) -> Self {
        // Bounds are below 2^62.
        let (lo, hi) = (-(bound as i64), bound as i64);
        Self { shape, scale, visibility: Visibility::Secret, lo, hi, bound, bit: false }
    }

    /// A secret tensor of zeros and ones.
    pub(crate) const fn secret_bit(shape: Shape) -> Self {
        Self { shape, scale: 0, visibility: Visibility::Secret, lo: 0, hi: 1, bound: 1, bit: true }
    }

    /// Whether the value is held in shares.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        self.visibility == Visibility::Secret
    }

    /// The bound as a real number: no element exceeds it in magnitude.
    #[must_use]
    pub fn max_abs(&self) -> f64 {
        self.bound as f64 / 2f64.powi(self.scale as i32)
    }

    /// The bound in ring units after lifting the value to `scale`, which is not below its own.
    pub(crate) fn bound_at(&self, scale: u32) -> u128 {
        u128::from(self.bound) << (scale - self.scale)
    }
}
