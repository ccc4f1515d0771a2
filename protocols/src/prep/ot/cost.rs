//! What items cost without a dealer: the messages of every module, counted instead of sent.

use mpc_core::bits::packed_bytes;
use mpc_core::party::PartyId;
use mpc_core::ring::Ring;
use mpc_core::tensor::elements;

use super::angles;
use super::bundle::{answer_groups, circuit, factors, shift};
use super::circuit::Circuit;
use super::cross;
use super::engine::{Pairs, check_chunk, counts, every_pair, has_corrections, is_corrected, one_of_two};
use super::gates::PRODUCTS;
use super::numbers::precision;
use super::packing::packed_len;
use super::products::{chooses_left, chunks};
use super::scale;
use crate::ot::extension::ExtensionCost;
use crate::prep::provider::OfflineCost;
use crate::prep::{Bilinear, Comparison, Item, Product};

/// The cost of making these items, one after the other, in a new session of `n` parties whose extensions cost what
/// `extension` says of each party, and which make `chunk_cots` COTs at a time.
///
/// # Panics
/// As [`super::OtPrep::new`].
#[must_use]
pub fn cost<R: Ring>(
    n: usize,
    items: &[Item],
    chunk_cots: usize,
    extension: impl Fn(PartyId) -> Box<dyn ExtensionCost>,
) -> OfflineCost {
    OfflineCost::sum(n, &cost_of_each::<R>(n, items, chunk_cots, extension))
}

/// As [`cost`], for every item by itself; what an extension takes once is with the item that first asks for it.
///
/// # Panics
/// As [`super::OtPrep::new`].
#[must_use]
pub fn cost_of_each<R: Ring>(
    n: usize,
    items: &[Item],
    chunk_cots: usize,
    extension: impl Fn(PartyId) -> Box<dyn ExtensionCost>,
) -> Vec<OfflineCost> {
    check_chunk(chunk_cots);
    let extensions = PartyId::all(n).map(extension).collect();
    let mut count = Count { n, chunk: chunk_cots, extensions, cost: OfflineCost::none(n) };
    let one = |item| {
        count.item::<R>(item);
        std::mem::replace(&mut count.cost, OfflineCost::none(n))
    };
    items.iter().map(one).collect()
}

struct Count {
    n: usize,
    chunk: usize,
    extensions: Vec<Box<dyn ExtensionCost>>,
    cost: OfflineCost,
}

/// One product of `scale`: whether the factor is 1, and the bits wanted.
type Scaled = (bool, Vec<u32>);

impl Count {
    fn item<R: Ring>(&mut self, item: &Item) {
        match *item {
            Item::Triple { len } => self.inner::<R>(len),
            Item::Dot { len, terms } => self.inner::<R>(len * terms),
            Item::Square { len } => {
                for chunk in chunks::<R>(self.chunk, len) {
                    self.choose(one_of_two, chunk.len() * R::BITS as usize, false);
                    self.cross::<R>(one_of_two, chunk.len(), 0..1);
                }
            }
            Item::Matmul { m, k, n } => self.matmuls::<R>(1, [m, k, n], None),
            Item::BatchMatmul { count, m, k, n } => self.matmuls::<R>(count, [m, k, n], None),
            Item::Conv(shape) => self.factors::<R>(elements(&shape.kernel()), shape.windows(), false),
            Item::Mask { .. } => {}
            Item::Given { product: Product { map, right }, .. } => match map {
                Bilinear::Elements { len } => self.inner::<R>(len),
                Bilinear::Matmuls { count, dims } => self.matmuls::<R>(count, dims, Some(right)),
                Bilinear::Conv(shape) => {
                    self.factors::<R>(elements(&shape.kernel()), shape.windows(), right);
                }
            },
            Item::Truncation { len, bits } => self.scale(len, &[(true, precision::<R>(Some(bits)))], false),
            Item::DaBits { len } => self.scale(len, &[(true, vec![R::BITS])], false),
            Item::Comparison(spec) => self.comparison::<R>(&spec),
            Item::Angles { len, multiples, .. } => self.angles::<R>(len * multiples),
        }
    }

    fn inner<R: Ring>(&mut self, len: usize) {
        for chunk in chunks::<R>(self.chunk, len) {
            self.choose(every_pair, chunk.len() * R::BITS as usize, false);
            self.cross::<R>(every_pair, chunk.len(), 0..1);
        }
    }

    /// `given` says whether the right factor is given, or the left one.
    fn matmuls<R: Ring>(&mut self, count: usize, [m, k, n]: [usize; 3], given: Option<bool>) {
        let left = chooses_left(m, n);
        let (elements, vectors) = if left { (m * k, n) } else { (k * n, m) };
        self.factors::<R>(count * elements, vectors, given == Some(!left));
    }

    /// Products of elements, whose bits are choices, given or not, with so many others each.
    fn factors<R: Ring>(&mut self, elements: usize, vectors: usize, given: bool) {
        for chunk in chunks::<R>(self.chunk, elements) {
            self.choose(every_pair, chunk.len() * R::BITS as usize, given);
            self.cross::<R>(every_pair, chunk.len(), 0..vectors);
        }
    }

    fn comparison<R: Ring>(&mut self, spec: &Comparison) {
        self.scale(spec.len, &[(true, precision::<R>(shift(spec)))], false);
        self.gates(&circuit::<R>(spec), spec.len);
        if spec.arithmetic {
            for (lanes, width) in answer_groups::<R>(spec) {
                let shared = factors::<R>(spec).into_iter().map(|bits| (false, vec![bits]));
                let scaled: Vec<Scaled> = std::iter::once((true, vec![width])).chain(shared).collect();
                self.scale(lanes * spec.len, &scaled, true);
            }
        }
        if spec.powers {
            for chunk in chunks::<R>(self.chunk, spec.len) {
                self.choose(every_pair, chunk.len() * R::BITS as usize, true);
                self.cross::<R>(one_of_two, chunk.len(), 0..1);
                self.cross::<R>(every_pair, chunk.len(), 1..2);
            }
        }
    }

    /// So many complex products along all parties.
    fn angles<R: Ring>(&mut self, elements: usize) {
        let n = self.n;
        for to in PartyId::all(n).skip(1) {
            let pairs = angles::senders(to);
            for len in angles::chunks(self.chunk, elements).map(|c| c.len()) {
                self.choose(pairs, len * angles::CHOICES, true);
                let bytes = packed_len(len, &angles::widths::<R>());
                self.exchange(|from, receiver| if pairs(from, receiver) { bytes } else { 0 });
            }
            if to.index() + 1 < n {
                for len in angles::pieces(2 * elements).map(|p| p.len()) {
                    self.scale(len, &[(true, precision::<R>(Some(angles::FACTOR_BITS)))], false);
                    self.exchange(|_, _| len * R::BYTES);
                }
            }
        }
    }

    /// One call of every party's extension.
    fn extend(&mut self, pairs: Pairs, count: usize) {
        let mut rounds = 0;
        for (me, extension) in PartyId::all(self.n).zip(&mut self.extensions) {
            let counts = counts(pairs, self.n, me, count);
            let (own, sent) = extension.extend(&counts);
            rounds = own.max(rounds);
            self.cost.bytes[me] += sent.iter().map(|(_, bytes)| bytes).sum::<u64>();
            let both = counts.iter().flat_map(|(_, c)| c).map(|c| (c.sent + c.received) as u64);
            self.cost.cots[me] += both.sum::<u64>();
        }
        self.cost.rounds += rounds;
    }

    fn exchange(&mut self, bytes: impl Fn(PartyId, PartyId) -> usize) {
        self.cost.rounds += 1;
        for from in PartyId::all(self.n) {
            let sent: usize = from.others(self.n).map(|to| bytes(from, to)).sum();
            self.cost.bytes[from] += sent as u64;
        }
    }

    fn choose(&mut self, pairs: Pairs, count: usize, given: bool) {
        let n = self.n;
        self.extend(pairs, count);
        if has_corrections(pairs, n, given) {
            self.exchange(|receiver, sender| {
                if is_corrected(pairs, n, given, sender, receiver) { count.div_ceil(8) } else { 0 }
            });
        }
    }

    fn cross<R: Ring>(&mut self, pairs: Pairs, elements: usize, vectors: std::ops::Range<usize>) {
        let bytes = packed_len(elements, &cross::widths::<R>());
        for vectors in cross::messages::<R>(self.chunk, elements, vectors) {
            self.exchange(|from, to| if pairs(from, to) { bytes * vectors.len() } else { 0 });
        }
    }

    fn scale(&mut self, elements: usize, scaled: &[Scaled], given: bool) {
        let per = scaled[0].1.len();
        let all_one = scaled.iter().all(|(is_one, _)| *is_one);
        let step = scale::elements_at_a_time(self.chunk, per);
        for start in (0..elements).step_by(step) {
            let len = step.min(elements - start);
            self.choose(scale::pairs(all_one), len * per, given);
            for turn in PartyId::all(self.n).skip(usize::from(all_one)) {
                let bytes = |(is_one, bits): &Scaled| packed_len(len, &scale::widths(*is_one, bits));
                self.exchange(|from, to| match to == turn {
                    true => scaled.iter().filter(|(is_one, _)| from < to || !is_one).map(bytes).sum(),
                    false => 0,
                });
            }
        }
    }

    fn gates(&mut self, circuit: &Circuit, len: usize) {
        if circuit.is_empty() {
            return;
        }
        for len in circuit.slices(len, PRODUCTS).map(|elements| elements.len()) {
            for [rows, columns] in circuit.chunks(len, self.chunk) {
                self.extend(every_pair, rows.len() * columns.len());
            }
            for (round, level) in circuit.levels.iter().enumerate() {
                let choices = if round == 0 { circuit.choices.len() } else { 0 };
                self.exchange(|_, _| packed_bytes(choices, len) + packed_bytes(level.len(), len));
            }
        }
    }
}
