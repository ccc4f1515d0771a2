//! What a masked comparison consumes: all correlated randomness that hangs on one opening c = x + r.

use std::collections::BTreeSet;
use std::sync::Arc;

use mpc_core::ring::Ring;
use mpc_core::wire::{Decoder, Encoder};

use super::demand::DemandError;
use super::item::{Component, Holding, MAX_ELEMENTS, derived, free, size, within};
use crate::prefix::{Lane, Network};
use crate::tree::TreeChoice;

/// What is asked about c and r, and with that about x.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
pub enum Question {
    /// x < t: the top bit of x − t.
    Sign,
    /// x = t.
    Equal,
    /// Both of these, in this order.
    SignAndEqual,
    /// All bits of x, from the lowest on.
    Bits,
    /// The two borrows that ⌊x/2^bits⌋ takes: out of the lowest `bits` bits, and out of all.
    Quotient {
        /// Bits that are cut off.
        bits: u32,
    },
}

impl Question {
    /// What the network finds out, for k-bit numbers. The top bits of c and r join afterwards, where they matter.
    pub(crate) fn lanes(self, k: usize) -> BTreeSet<Lane> {
        match self {
            Self::Sign => BTreeSet::from([Lane::less(k - 2)]),
            Self::Equal => BTreeSet::from([Lane::equal(k - 1)]),
            Self::SignAndEqual => BTreeSet::from([Lane::less(k - 2), Lane::equal(k - 1)]),
            Self::Bits => (0..k - 1).map(Lane::less).collect(),
            Self::Quotient { bits } => BTreeSet::from([Lane::less(bits as usize - 1), Lane::less(k - 1)]),
        }
    }

    /// Shared bits in the answer, for k-bit numbers.
    #[must_use]
    pub const fn answers(self, k: usize) -> usize {
        match self {
            Self::Sign | Self::Equal => 1,
            Self::SignAndEqual | Self::Quotient { .. } => 2,
            Self::Bits => k,
        }
    }
}

/// What a comparison needs, all for one masked opening c = x + r of `len` elements (see `opening`).
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
pub struct Comparison {
    /// Elements opened.
    pub len: usize,
    /// What is asked.
    pub question: Question,
    /// Thresholds that each element is compared with; each has a network of its own.
    pub thresholds: usize,
    /// Shape of the networks.
    pub tree: TreeChoice,
    /// With doubly shared bits, to turn the answers into ring elements.
    pub arithmetic: bool,
    /// With `[r·b]`, to multiply x by the answers without another opening.
    pub product: bool,
    /// With what x/2^f and its products with the answers take, if this is f; 0 for nothing. Then no `product`.
    pub truncation: u32,
    /// Other values, of `len` elements each, that are multiplied by the answer. One threshold.
    pub payloads: usize,
    /// With `[r²]` and `[r³]`, for powers of x from the same opening.
    pub powers: bool,
}

impl Comparison {
    /// For the answers as shared bits.
    #[must_use]
    pub const fn new(question: Question, len: usize, tree: TreeChoice) -> Self {
        Self {
            len,
            question,
            thresholds: 1,
            tree,
            arithmetic: false,
            product: false,
            truncation: 0,
            payloads: 0,
            powers: false,
        }
    }

    /// For the answers as ring elements.
    #[must_use]
    pub const fn in_ring(question: Question, len: usize, tree: TreeChoice) -> Self {
        Self { arithmetic: true, ..Self::new(question, len, tree) }
    }

    pub(crate) fn network<R: Ring>(&self) -> Arc<Network> {
        Network::of(R::BITS, self.question, self.tree)
    }

    /// Shared bits per element that the whole comparison yields.
    pub(crate) const fn answers<R: Ring>(&self) -> usize {
        self.thresholds * self.question.answers(R::BITS as usize)
    }

    /// r, its bits, products inside the blocks, the networks' masks and their products, and what was asked for besides.
    pub(super) fn components<R: Ring>(&self) -> Vec<Component> {
        let (len, network) = (self.len, self.network::<R>());
        let rows = self.thresholds * len;
        let (ring, bits) = (|count| Holding::Ring { count }, |lanes| Holding::Bits { lanes, len });
        let low = |count, bits| Holding::RingLow { count, bits };
        let mut out = vec![
            free(ring(len)),
            derived(bits(R::BITS as usize)),
            derived(bits(network.block_products())),
            free(bits(self.thresholds * network.wires())),
            derived(bits(self.thresholds * network.products())),
        ];
        if self.arithmetic {
            out.push(free(bits(self.answers::<R>())));
            match self.question {
                Question::Quotient { bits } => {
                    out.extend([derived(ring(len)), derived(ring(len)), derived(low(len, bits))]);
                }
                _ => out.push(derived(ring(self.answers::<R>() * len))),
            }
        }
        if self.product {
            out.push(derived(ring(rows)));
        }
        if self.truncation > 0 {
            let f = self.truncation;
            out.extend([
                derived(ring(len)),
                derived(low(len, f)),
                derived(ring(rows)),
                derived(low(rows, f)),
            ]);
        }
        if self.payloads > 0 {
            out.extend([free(ring(self.payloads * len)), derived(ring(self.payloads * len))]);
        }
        if self.powers {
            out.extend([derived(ring(len)), derived(ring(len))]);
        }
        out
    }

    pub(super) fn has_sane_parameters(&self) -> bool {
        let quotient = match self.question {
            Question::Quotient { bits } => self.arithmetic && (1..=63).contains(&bits),
            _ => true,
        };
        let many =
            self.thresholds > 1 || self.product || self.truncation > 0 || self.payloads > 0 || self.powers;
        within(&[self.len, self.thresholds])
            && within(&[self.len, self.payloads])
            && self.len <= MAX_ELEMENTS / 64
            && (1..=64).contains(&self.thresholds)
            && self.truncation <= 62
            && quotient
            && (self.question == Question::Sign || !many)
            && (self.question != Question::Bits || !self.arithmetic)
            && (self.arithmetic || !(self.product || self.truncation > 0 || self.payloads > 0))
            && (self.payloads == 0 || self.thresholds == 1)
            && !(self.product && self.truncation > 0)
    }

    pub(super) fn encode(&self, e: &mut Encoder) {
        let (question, bits) = match self.question {
            Question::Sign => (0, 0),
            Question::Equal => (1, 0),
            Question::SignAndEqual => (2, 0),
            Question::Bits => (3, 0),
            Question::Quotient { bits } => (4, bits),
        };
        e.u8(question);
        e.u8(bits as u8);
        e.u8(self.tree.block() as u8);
        e.u8(self.tree.fan_in() as u8);
        e.u8(u8::from(self.arithmetic) | u8::from(self.product) << 1 | u8::from(self.powers) << 2);
        e.u8(self.truncation as u8);
        [self.len, self.thresholds, self.payloads].iter().for_each(|&v| e.u64(v as u64));
    }

    pub(super) fn decode(d: &mut Decoder<'_>) -> Result<Self, DemandError> {
        let question = match (d.u8()?, d.u8()?) {
            (0, 0) => Question::Sign,
            (1, 0) => Question::Equal,
            (2, 0) => Question::SignAndEqual,
            (3, 0) => Question::Bits,
            (4, bits) => Question::Quotient { bits: bits.into() },
            _ => return Err(DemandError::Insane),
        };
        let tree = TreeChoice::new(d.u8()?.into(), d.u8()?.into()).ok_or(DemandError::Insane)?;
        let flags = d.u8()?;
        if flags > 7 {
            return Err(DemandError::Insane);
        }
        let truncation = d.u8()?.into();
        let (arithmetic, product, powers) = (flags & 1 != 0, flags & 2 != 0, flags & 4 != 0);
        let (len, thresholds, payloads) = (size(d)?, size(d)?, size(d)?);
        Ok(Self { len, question, thresholds, tree, arithmetic, product, truncation, payloads, powers })
    }
}
