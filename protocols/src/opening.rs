//! One masked opening, and what is found out from it: the core of every comparison.
//!
//! Damgård et al. (ePrint 2019/599) and Escudero et al. (ePrint 2020/338), mask-and-open comparison, with dealt products
//! of the mask's bits inside blocks and a network of larger fan-in above (`prefix`). For a k-bit x:
//! 1. Open c = x + r. For a public threshold t, x − t is c − t minus r. What is asked about x − t ([`Question`]) follows
//!    from where c − t is less than r, or equal to it: its bit i is `(c − t)_i ⊕ r_i ⊕ [(c − t) mod 2^i < r mod 2^i]`.
//! 2. Inside a block, "less" and "equal" are Boolean functions of r's bits with public coefficients, so local (`blocks`).
//! 3. The network combines the blocks, one round per level.
//! 4. For answers in the ring, open z = answer ⊕ b. Then `[answer] = z + (1 − 2z)[b]`, and products of the answer with x, with
//!    x/2^f and with other values come from the same openings and dealt products with b (`products`).
//!
//! Departs from the papers: block products instead of a first round, several questions and several thresholds on one
//! opening (each threshold with masks of its own), and products from the comparison's own masks.
//!
//! **Security**: c is padded by r, other values by pads of their own, the wires and z by bits of their own; all are opened
//! once. r's bits, their products and products with b are independent sharings. So the view is uniform whatever x is.
//! **Correct** for all x with x − t not wrapping: |x − t| < 2^(k−1); equality and bits for all x.
//!
//! **Cost** per element: a round and k bits (k more per payload), then a round per level and a bit per wire and threshold, then
//! a round and a bit per answer for ring elements. For k = 64 and blocks and fan-in of 4: two levels, 33 wires for a sign.

use std::sync::Arc;

use mpc_core::bits::BitTensor;
use mpc_core::ring::Ring;
use mpc_core::share::{BitSharing, Sharing};
use mpc_core::tensor::Tensor;

use crate::correlation::{ComparisonBundle, Padded, PaddedBits};
use crate::cost::Cost;
use crate::error::ProtocolError;
use crate::prefix::evaluate::{Evaluation, NetworkMasks};
use crate::prep::{Comparison, Item, Question};
use crate::session::Session;

mod blocks;
mod lines;
mod products;

pub(crate) use products::{Decided, MaskedAnswers};

impl<S: Sharing> ComparisonBundle<S> {
    /// Step 1: `[c] = [x] + [r]`, and `[e] + [a]` for the values e that the answers are multiplied by.
    pub(crate) fn mask(self, x: &S, payload: Option<&S>, holder: S::Holder) -> (Masked<S>, [Padded<S>; 2]) {
        let c = Padded::plus(x, self.r.clone(), offset::<S::Ring>(&self.spec), holder);
        let e = match (&self.payload, payload) {
            (Some(pad), Some(e)) => Padded::plus(e, pad.a.clone(), S::Ring::ZERO, holder),
            _ => Padded::new(S::public(&Tensor::zeros(&[0]), holder)),
        };
        (Masked(self), [c, e])
    }
}

/// Quotients are taken of numbers that are not negative: this much above x.
fn offset<R: Ring>(spec: &Comparison) -> R {
    match spec.question {
        Question::Quotient { .. } => R::power_of_two(R::BITS - 1),
        _ if spec.truncation > 0 => R::power_of_two(R::BITS - 2),
        _ => R::ZERO,
    }
}

/// A bundle whose pads are used up.
pub(crate) struct Masked<S: Sharing>(ComparisonBundle<S>);

impl<S: Sharing> Masked<S> {
    /// Step 2, local: the blocks for every threshold.
    pub(crate) fn opened(
        self,
        [c, payload]: [Tensor<S::Ring>; 2],
        thresholds: &[S::Ring],
        holder: S::Holder,
    ) -> Opened<S> {
        let bundle = self.0;
        let network = bundle.spec.network::<S::Ring>();
        assert_eq!(thresholds.len(), bundle.spec.thresholds, "a network per threshold");
        // x − t is c less the offset that x was opened with; a quotient is asked about c as it is.
        let shift = match bundle.spec.question {
            Question::Quotient { .. } => S::Ring::ZERO,
            _ => offset(&bundle.spec),
        };
        let thresholds: Vec<S::Ring> = thresholds.iter().map(|&t| t + shift).collect();
        let runs = thresholds.iter().enumerate().map(|(t, &threshold)| {
            let masks = NetworkMasks {
                masks: Arc::clone(&bundle.masks),
                products: Arc::clone(&bundle.mask_products),
                first_wire: t * network.wires(),
                first_product: t * network.products(),
            };
            let leaves = bundle.leaves(&network, &c, threshold, holder);
            Evaluation::new(Arc::clone(&network), masks, leaves)
        });
        let runs = runs.collect();
        Opened { bundle, c, payload, thresholds, runs }
    }
}

/// A comparison under way: the bundle with its pads used up, and what was opened.
pub(crate) struct Opened<S: Sharing> {
    pub(crate) bundle: ComparisonBundle<S>,
    pub(crate) c: Tensor<S::Ring>,
    /// e + a.
    payload: Tensor<S::Ring>,
    thresholds: Vec<S::Ring>,
    runs: Vec<Evaluation<S>>,
}

impl<S: Sharing> Opened<S> {
    /// Whether no level is left.
    pub(crate) fn is_done(&self) -> bool {
        self.runs.iter().all(Evaluation::is_done)
    }

    /// Step 3: the wires of the current level for all thresholds. Their masks are used up: what comes next is the opening.
    pub(crate) fn masked_wires(self) -> (MaskedLevel<S>, PaddedBits<S::Bits>) {
        let wires = self.runs.iter().map(Evaluation::wires).sum();
        let mut out = S::Bits::zeros(wires, self.c.len());
        let mut first = 0;
        for run in &self.runs {
            run.mask_wires(&mut out, first);
            first += run.wires();
        }
        (MaskedLevel(self), PaddedBits::new(out))
    }

    /// The answers about x − t, for every threshold t after one another.
    pub(crate) fn answers(&mut self, holder: S::Holder) -> S::Bits {
        let top = S::VALUE_BITS as usize - 1;
        let (question, spec) = (self.bundle.spec.question, &self.bundle.spec);
        let mut out = S::Bits::zeros(spec.answers::<S::Ring>(), self.c.len());
        let mut lane = 0;
        let runs = std::mem::take(&mut self.runs).into_iter();
        for (answers, &t) in runs.map(Evaluation::answers).zip(&self.thresholds) {
            // Bit i of x − t: that of c − t, that of r, and the borrow from below.
            let add_bits = |out: &mut S::Bits, lane: usize, i: usize, c: &BitTensor, c_lane: usize| {
                out.xor_lane(lane, &self.bundle.r_bits, i);
                out.xor_public(lane, 0, c.lane(c_lane), holder);
            };
            match question {
                Question::Sign | Question::SignAndEqual => {
                    let sign: Vec<S::Ring> = self
                        .c
                        .as_slice()
                        .iter()
                        .map(|&c| S::Ring::from_u64((c - t).to_u64() >> top))
                        .collect();
                    add_bits(&mut out, lane, top, &BitTensor::slice_of(&sign, 1), 0);
                }
                Question::Bits => {
                    let c = BitTensor::slice_of(self.c.map(|c| c - t).as_slice(), top + 1);
                    (0..=top).for_each(|i| add_bits(&mut out, lane + i, i, &c, i));
                    lane += 1;
                }
                Question::Equal | Question::Quotient { .. } => {}
            }
            for i in 0..answers.lanes() {
                out.xor_lane(lane + i, &answers, i);
            }
            lane += answers.lanes();
        }
        out
    }
}

/// A comparison whose current level is being opened.
pub(crate) struct MaskedLevel<S: Sharing>(Opened<S>);

impl<S: Sharing> MaskedLevel<S> {
    /// Step 3, after the opening.
    pub(crate) fn finish(self, opened: &BitTensor, holder: S::Holder) -> Opened<S> {
        let mut run = self.0;
        let mut first = 0;
        for network in &mut run.runs {
            let wires = network.wires();
            network.finish_level(opened, first, holder);
            first += wires;
        }
        run
    }
}

/// Runs steps 1 to 3: the answers as shared bits.
pub(crate) fn ask<S: Sharing>(
    cx: &mut Session<S>,
    x: &S,
    payload: Option<&S>,
    thresholds: &[S::Ring],
    spec: Comparison,
) -> Result<(Opened<S>, S::Bits), ProtocolError> {
    let (bundle, padded) = cx.prep().comparison(spec)?.mask(x, payload, cx.holder());
    let (opened, []) = cx.open_masked(padded, [])?;
    let mut run = bundle.opened(opened, thresholds, cx.holder());
    while !run.is_done() {
        let (level, padded) = run.masked_wires();
        let ([], [wires]) = cx.open_masked([], [padded])?;
        run = level.finish(&wires, cx.holder());
    }
    let answers = run.answers(cx.holder());
    Ok((run, answers))
}

/// Runs steps 1 to 4.
pub(crate) fn decide<S: Sharing>(
    cx: &mut Session<S>,
    x: &S,
    payload: Option<&S>,
    thresholds: &[S::Ring],
    spec: Comparison,
) -> Result<Decided<S>, ProtocolError> {
    let (run, answers) = ask(cx, x, payload, thresholds, spec)?;
    let (masked, padded) = run.mask_answers(&answers);
    let ([], [z]) = cx.open_masked([], [padded])?;
    Ok(masked.decided(&z))
}

/// The elements in row-major order.
pub(crate) fn flat<S: Sharing>(x: &S) -> S {
    x.clone().reshape(&[x.len()])
}

/// Cost of steps 1 to 3, and of step 4 if the answers are wanted in the ring.
pub(crate) fn cost<S: Sharing>(n: usize, spec: Comparison) -> Cost {
    let network = spec.network::<S::Ring>();
    let first = Cost::item(n, Item::Comparison(spec)).then(Cost::opening::<S::Ring>(
        n,
        (1 + spec.payloads) * spec.len,
        0,
    ));
    let levels = network.layers.iter().map(|layer| spec.thresholds * layer.wires.len());
    let answers = spec.arithmetic.then(|| spec.answers::<S::Ring>());
    let bits = levels.chain(answers).map(|lanes| Cost::opening::<S::Ring>(n, 0, lanes * spec.len));
    bits.fold(first, Cost::then)
}
