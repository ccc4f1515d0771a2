//! Everything that one masked comparison consumes; see `opening`.

use std::sync::Arc;

use mpc_core::share::Sharing;

use crate::prep::Comparison;

/// Everything one masked comparison consumes.
#[must_use]
pub struct ComparisonBundle<S: Sharing> {
    pub(crate) spec: Comparison,
    pub(crate) r: S,
    pub(crate) r_bits: S::Bits,
    pub(crate) block_products: S::Bits,
    pub(crate) masks: Arc<S::Bits>,
    pub(crate) mask_products: Arc<S::Bits>,
    /// A lane per answer.
    pub(crate) b: Option<S::Bits>,
    pub(crate) ring: Option<RingBits<S>>,
    /// `[r·b]`, a row per threshold.
    pub(crate) rb: Option<S>,
    pub(crate) quotient: Option<QuotientParts<S>>,
    pub(crate) payload: Option<PayloadMask<S>>,
    /// `[r²] and [r³]`.
    pub(crate) powers: Option<(S, S)>,
}

/// The bits b as ring elements.
pub(crate) enum RingBits<S> {
    /// A row per answer.
    Rows(S),
    /// For a quotient, with `[⌊r/2^f⌋]`: the second bit is multiplied by 2^(k−f), so f bits of it suffice.
    Quotient { shifted: S, low: S, all: S },
}

/// What the quotient of a fused truncation takes: W = ⌊signed(r)/2^f⌋, E ≡ (top bit of r) mod 2^f, and their products with
/// b, a row per threshold.
pub(crate) struct QuotientParts<S> {
    pub(crate) w: S,
    pub(crate) e: S,
    pub(crate) wb: S,
    pub(crate) eb: S,
}

/// A pad a for values beside x, and a·b.
pub(crate) struct PayloadMask<S> {
    pub(crate) a: S,
    pub(crate) ab: S,
}
