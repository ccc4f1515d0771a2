//! The kinds of correlated randomness and their sizes.
//!
//! An item is a fixed list of *components*. A **free** component is uniform: every party expands its share from its
//! seed and nothing is sent. A **derived** component is a function of free ones: all parties but party 0 expand their
//! share from their seed and party 0 receives a *correction*, which is its share.

use mpc_core::bits::packed_bytes;
use mpc_core::ring::{Ring, Z64};
use mpc_core::wire::{Decoder, Encoder};

use super::comparison::Comparison;
use super::demand::DemandError;

/// One piece of correlated randomness.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
pub enum Item {
    /// a, b, c = a·b.
    Triple {
        /// Elements.
        len: usize,
    },
    /// a, c = a².
    Square {
        /// Elements.
        len: usize,
    },
    /// a_t, b_t, c = Σ_t a_t·b_t.
    Dot {
        /// Elements.
        len: usize,
        /// Terms of the sum.
        terms: usize,
    },
    /// A, B, C = A·B.
    Matmul {
        /// Rows of A.
        m: usize,
        /// Columns of A.
        k: usize,
        /// Columns of B.
        n: usize,
    },
    /// r, W = ⌊signed(r)/2^f⌋, E = top bit of r mod 2^f.
    Truncation {
        /// Elements.
        len: usize,
        /// f.
        bits: u32,
    },
    /// r, its bits, and what the answers about them take.
    Comparison(Comparison),
    /// A bit shared by XOR and in the ring.
    DaBits {
        /// Bits.
        len: usize,
    },
}

/// The most elements of any component of an item: 2^28.
pub(super) const MAX_ELEMENTS: usize = 1 << 28;
/// The most bytes of one item's correction: 2 GiB. A dealer makes an item whole.
const MAX_CORRECTION_BYTES: u64 = 1 << 31;

/// Whether the product is a number of elements that an item may have.
pub(super) fn within(factors: &[usize]) -> bool {
    factors.iter().try_fold(1usize, |a, &b| a.checked_mul(b)).is_some_and(|p| p <= MAX_ELEMENTS)
}

/// A size as it travels.
pub(super) fn size(d: &mut Decoder<'_>) -> Result<usize, DemandError> {
    usize::try_from(d.u64()?).map_err(|_| DemandError::Insane)
}

/// How a component is held.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) enum Holding {
    /// Ring elements.
    Ring { count: usize },
    /// Ring elements of which only the lowest `bits` matter.
    RingLow { count: usize, bits: u32 },
    /// Bit lanes.
    Bits { lanes: usize, len: usize },
}

/// One component of an item.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub(crate) struct Component {
    pub(crate) holding: Holding,
    pub(crate) derived: bool,
}

impl Component {
    pub(crate) fn correction_bytes<R: Ring>(&self) -> usize {
        match self.holding {
            _ if !self.derived => 0,
            Holding::Ring { count } => count * R::BYTES,
            Holding::RingLow { count, bits } => packed_bytes(count, bits as usize),
            Holding::Bits { lanes, len } => packed_bytes(lanes, len),
        }
    }
}

pub(super) const fn free(holding: Holding) -> Component {
    Component { holding, derived: false }
}

pub(super) const fn derived(holding: Holding) -> Component {
    Component { holding, derived: true }
}

impl Item {
    /// The components in the order in which they are expanded and corrected.
    pub(crate) fn components<R: Ring>(&self) -> Vec<Component> {
        let ring = |count| Holding::Ring { count };
        match *self {
            Self::Triple { len } => vec![free(ring(len)), free(ring(len)), derived(ring(len))],
            Self::Square { len } => vec![free(ring(len)), derived(ring(len))],
            Self::Dot { len, terms } => {
                vec![free(ring(len * terms)), free(ring(len * terms)), derived(ring(len))]
            }
            Self::Matmul { m, k, n } => vec![free(ring(m * k)), free(ring(k * n)), derived(ring(m * n))],
            Self::Truncation { len, bits } => {
                vec![free(ring(len)), derived(ring(len)), derived(Holding::RingLow { count: len, bits })]
            }
            Self::DaBits { len } => vec![free(Holding::Bits { lanes: 1, len }), derived(ring(len))],
            Self::Comparison(spec) => spec.components::<R>(),
        }
    }

    /// Bytes of the correction that the dealer sends to party 0.
    #[must_use]
    pub fn correction_bytes<R: Ring>(&self) -> u64 {
        self.components::<R>().iter().map(|c| c.correction_bytes::<R>() as u64).sum()
    }

    /// A short name, for plans and logs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Triple { .. } => "triple",
            Self::Square { .. } => "square_pair",
            Self::Dot { .. } => "dot_triple",
            Self::Matmul { .. } => "matmul_triple",
            Self::Truncation { .. } => "truncation_tuple",
            Self::Comparison(_) => "comparison_bundle",
            Self::DaBits { .. } => "dabit",
        }
    }

    /// How many of that name the item holds: elements, or 1 for a matrix triple.
    #[must_use]
    pub const fn count(&self) -> usize {
        match *self {
            Self::Triple { len }
            | Self::Square { len }
            | Self::Dot { len, .. }
            | Self::Truncation { len, .. }
            | Self::DaBits { len } => len,
            Self::Comparison(s) => s.len,
            Self::Matmul { .. } => 1,
        }
    }

    /// Whether all sizes are within limits, so that nothing overflows or exhausts memory on a peer's word.
    pub(crate) fn is_sane(&self) -> bool {
        self.has_sane_parameters() && self.correction_bytes::<Z64>() <= MAX_CORRECTION_BYTES
    }

    /// Whether parameters are in range, so that sizes can be computed without overflow.
    fn has_sane_parameters(&self) -> bool {
        match *self {
            Self::Triple { len } | Self::Square { len } | Self::DaBits { len } => within(&[len]),
            Self::Dot { len, terms } => terms > 0 && within(&[len, terms]),
            Self::Matmul { m, k, n } => within(&[m, k]) && within(&[k, n]) && within(&[m, n]),
            Self::Truncation { len, bits } => within(&[len]) && (1..=62).contains(&bits),
            Self::Comparison(spec) => spec.has_sane_parameters(),
        }
    }

    pub(super) fn encode(&self, e: &mut Encoder) {
        let mut put = |kind: u8, fields: &[usize]| {
            e.u8(kind);
            fields.iter().for_each(|&f| e.u64(f as u64));
        };
        match *self {
            Self::Triple { len } => put(0, &[len]),
            Self::Square { len } => put(1, &[len]),
            Self::Dot { len, terms } => put(2, &[len, terms]),
            Self::Matmul { m, k, n } => put(3, &[m, k, n]),
            Self::Truncation { len, bits } => put(4, &[len, bits as usize]),
            Self::DaBits { len } => put(5, &[len]),
            Self::Comparison(spec) => {
                put(6, &[]);
                spec.encode(e);
            }
        }
    }

    pub(super) fn decode(d: &mut Decoder<'_>) -> Result<Self, DemandError> {
        let item = match d.u8()? {
            0 => Self::Triple { len: size(d)? },
            1 => Self::Square { len: size(d)? },
            2 => Self::Dot { len: size(d)?, terms: size(d)? },
            3 => Self::Matmul { m: size(d)?, k: size(d)?, n: size(d)? },
            4 => Self::Truncation {
                len: size(d)?,
                bits: u32::try_from(size(d)?).map_err(|_| DemandError::Insane)?,
            },
            5 => Self::DaBits { len: size(d)? },
            6 => Self::Comparison(Comparison::decode(d)?),
            kind => return Err(DemandError::UnknownKind { kind }),
        };
        if item.is_sane() { Ok(item) } else { Err(DemandError::Insane) }
    }
}
