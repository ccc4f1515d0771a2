//! The kinds of correlated randomness and their sizes.
//!
//! An item is a fixed list of *components*. A **free** component is uniform: every party expands its share from its
//! seed and nothing is sent. A **derived** component is a function of free ones: all parties but party 0 expand their
//! share from their seed and party 0 receives a *correction*, which is its share.

use mpc_core::bits::packed_bytes;
use mpc_core::conv::ConvShape;
use mpc_core::ring::{Ring, Z64};
use mpc_core::tensor::elements;
use mpc_core::wire::{Decoder, Encoder};

use super::comparison::Comparison;
use super::demand::DemandError;
use super::part::{MaskPart, Part};

mod conv;
mod product;

pub use product::{Bilinear, Product};

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
    /// A, for one tensor; the parts of it that products take are derived from it again.
    Mask {
        /// Elements.
        len: usize,
    },
    /// B, and C the product of B and a part A′ of an earlier mask.
    Given {
        /// The part.
        part: MaskPart,
        /// Which product.
        product: Product,
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
    /// r mod 2^bits, an angle in units of 2^−bits of a turn, and cos kr and sin kr for k = 1, 2, …, with 40 fraction bits
    /// and as exact as the provider makes them: a row of each.
    Angles {
        /// Elements.
        len: usize,
        /// Bits of the angle.
        bits: u32,
        /// Multiples of the angle.
        multiples: usize,
    },
    /// A, B, C = A∗B: images, a kernel and their convolution.
    Conv(ConvShape),
    /// A_i, B_i, C_i = A_i·B_i.
    BatchMatmul {
        /// How many.
        count: usize,
        /// Rows of each A.
        m: usize,
        /// Columns of each A.
        k: usize,
        /// Columns of each B.
        n: usize,
    },
}

/// Fraction bits of the sines and cosines of angles.
pub(crate) const SINE_BITS: u32 = 40;
/// The most multiples of an angle.
const MOST_MULTIPLES: usize = 16;

/// The most elements of any component of an item: 2^28.
pub(super) const MAX_ELEMENTS: usize = 1 << 28;
/// The most bytes of one item's correction: 2 GiB. A dealer makes an item whole.
const MAX_CORRECTION_BYTES: u64 = 1 << 31;

/// The most multiplications of one item's convolution: those that a product of matrices can have.
const MAX_PRODUCTS: u128 = 1 << 42;

/// Whether the product is a number of elements that an item may have. So is every factor, also beside one that is zero: each may
/// be the length of another component, or of a loop.
pub(super) fn within(factors: &[usize]) -> bool {
    let product = factors.iter().try_fold(1usize, |a, &b| a.checked_mul(b));
    product.is_some_and(|p| p <= MAX_ELEMENTS) && factors.iter().all(|&f| f <= MAX_ELEMENTS)
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
            Self::Mask { len } => vec![free(ring(len))],
            Self::Given { product, .. } => {
                let [other, result] = product.sizes();
                vec![free(ring(other)), derived(ring(result))]
            }
            Self::Truncation { len, bits } => {
                vec![free(ring(len)), derived(ring(len)), derived(Holding::RingLow { count: len, bits })]
            }
            Self::DaBits { len } => vec![free(Holding::Bits { lanes: 1, len }), derived(ring(len))],
            Self::Angles { len, bits, multiples } => {
                vec![free(Holding::RingLow { count: len, bits }), derived(ring(2 * multiples * len))]
            }
            Self::Conv(shape) => {
                let count = |axes: [usize; 4]| ring(elements(&axes));
                vec![free(count(shape.input())), free(count(shape.kernel())), derived(count(shape.output()))]
            }
            Self::BatchMatmul { count, m, k, n } => {
                vec![free(ring(count * m * k)), free(ring(count * k * n)), derived(ring(count * m * n))]
            }
            Self::Comparison(spec) => spec.components::<R>(),
        }
    }

    /// Bytes of the correction that the dealer sends to party 0.
    #[must_use]
    pub fn correction_bytes<R: Ring>(&self) -> u64 {
        self.components::<R>().iter().map(|c| c.correction_bytes::<R>() as u64).sum()
    }

    /// The item where it follows `earlier` others that the masks it names are not among.
    #[must_use]
    pub const fn after(self, earlier: u32) -> Self {
        match self {
            Self::Given { mut part, product } => {
                part.mask += earlier;
                Self::Given { part, product }
            }
            other => other,
        }
    }

    /// A short name, for plans and logs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Triple { .. } => "triple",
            Self::Square { .. } => "square_pair",
            Self::Dot { .. } => "dot_triple",
            Self::Matmul { .. } => "matmul_triple",
            Self::Mask { .. } => "reusable_mask",
            Self::Given { product, .. } => match product.map {
                Bilinear::Elements { .. } => "masked_pair",
                Bilinear::Matmuls { .. } => "masked_matmul_pair",
                Bilinear::Conv(_) => "masked_conv_pair",
            },
            Self::Truncation { .. } => "truncation_tuple",
            Self::Comparison(_) => "comparison_bundle",
            Self::DaBits { .. } => "dabit",
            Self::Angles { .. } => "angle",
            Self::Conv(_) => "conv_triple",
            Self::BatchMatmul { .. } => "matmul_triple",
        }
    }

    /// How many of that name the item holds: elements, or of whole matrices or images how many.
    #[must_use]
    pub const fn count(&self) -> usize {
        match *self {
            Self::Triple { len }
            | Self::Square { len }
            | Self::Dot { len, .. }
            | Self::Truncation { len, .. }
            | Self::Angles { len, .. }
            | Self::DaBits { len } => len,
            Self::Comparison(s) => s.len,
            Self::Matmul { .. } | Self::Mask { .. } | Self::Conv(_) => 1,
            Self::Given { product, .. } => match product.map {
                Bilinear::Elements { len: count } | Bilinear::Matmuls { count, .. } => count,
                Bilinear::Conv(_) => 1,
            },
            Self::BatchMatmul { count, .. } => count,
        }
    }

    /// Whether all sizes are within a dealer's limits, so that nothing overflows or exhausts memory on a peer's word.
    #[must_use]
    pub fn is_sane(&self) -> bool {
        self.has_sane_parameters() && self.correction_bytes::<Z64>() <= MAX_CORRECTION_BYTES
    }

    /// Whether parameters are in range, so that sizes can be computed without overflow.
    fn has_sane_parameters(&self) -> bool {
        match *self {
            Self::Triple { len } | Self::Square { len } | Self::DaBits { len } => within(&[len]),
            Self::Dot { len, terms } => terms > 0 && within(&[len, terms]),
            Self::Matmul { m, k, n } => within(&[m, k]) && within(&[k, n]) && within(&[m, n]),
            Self::Mask { len } => within(&[len]),
            Self::Given { part: MaskPart { part, .. }, product } => {
                part.is_sane() && product.map.is_sane() && part.elements() == elements(&product.shapes()[0])
            }
            Self::Truncation { len, bits } => within(&[len]) && (1..=62).contains(&bits),
            Self::Angles { len, bits, multiples } => {
                (1..=32).contains(&bits) && multiples <= MOST_MULTIPLES && within(&[len, 2 * multiples])
            }
            Self::Comparison(spec) => spec.has_sane_parameters(),
            Self::Conv(shape) => Bilinear::Conv(shape).is_sane(),
            Self::BatchMatmul { count, m, k, n } => Bilinear::Matmuls { count, dims: [m, k, n] }.is_sane(),
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
            Self::Angles { len, bits, multiples } => put(9, &[len, bits as usize, multiples]),
            Self::Conv(shape) => put(13, &conv::numbers(&shape)),
            Self::BatchMatmul { count, m, k, n } => put(14, &[count, m, k, n]),
            Self::Mask { len } => put(15, &[len]),
            Self::Given { part: MaskPart { mask, part }, product } => {
                put(16, &[&[mask as usize], &part.numbers()[..], &product.numbers()].concat());
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
            9 => {
                let len = size(d)?;
                let bits = u32::try_from(size(d)?).map_err(|_| DemandError::Insane)?;
                Self::Angles { len, bits, multiples: size(d)? }
            }
            13 => Self::Conv(conv::decode(d)?),
            14 => Self::BatchMatmul { count: size(d)?, m: size(d)?, k: size(d)?, n: size(d)? },
            15 => Self::Mask { len: size(d)? },
            16 => {
                let mask = u32::try_from(size(d)?).map_err(|_| DemandError::Insane)?;
                let part = MaskPart { mask, part: Part::decode(d)? };
                Self::Given { part, product: Product::decode(d)? }
            }
            kind => return Err(DemandError::UnknownKind { kind }),
        };
        if item.is_sane() { Ok(item) } else { Err(DemandError::Insane) }
    }
}
