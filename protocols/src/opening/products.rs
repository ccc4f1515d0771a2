//! Step 4: the answers in the ring, and their products with what was opened.
//!
//! For an answer m with z = m ⊕ b opened, `[m] = z + (1 − 2z)[b]`. For a value v = d − a with d opened under the pad a and
//! `[a·b]` dealt, `[a·m] = z[a] + (1 − 2z)[ab]`, so `[v·m] = d[m] − [a·m]` without opening v again. For x itself, d is c and a
//! is r. For y = x/2^f (`truncate`), which is `A − W − κE` with A and κ public, `[y·m] = A[m] − [W·m] − κ[E·m]`.

use std::ops::Range;

use mpc_core::bits::BitTensor;
use mpc_core::ring::Ring;
use mpc_core::share::{BitSharing, Sharing};
use mpc_core::tensor::Tensor;

use super::Opened;
use crate::correlation::{PaddedBits, PayloadMask, QuotientParts, RingBits, public_quotient, wrap_factor};

/// Elements that are worked on at a time. A multiple of 64.
const TOGETHER: usize = 1 << 10;

impl<S: Sharing> Opened<S> {
    /// `⟨z⟩ = ⟨answers⟩ ⊕ ⟨b⟩`.
    pub(crate) fn mask_answers(mut self, answers: &S::Bits) -> (MaskedAnswers<S>, PaddedBits<S::Bits>) {
        let mut z = self.bundle.b.take().expect("the bundle was asked for with doubly shared bits");
        for lane in 0..z.lanes() {
            z.xor_lane(lane, answers, lane);
        }
        (MaskedAnswers(self), PaddedBits::new(z))
    }
}

/// A comparison whose answers are being opened under b.
pub(crate) struct MaskedAnswers<S: Sharing>(pub(super) Opened<S>);

impl<S: Sharing> MaskedAnswers<S> {
    /// For each row of weights, `w_0 + Σ_i w_(i+1)·[m_i]` over the answers m_i of an element: a row of the result. It is
    /// worked out a few elements at a time, so answers that are needed for nothing else never are in memory as a whole.
    pub(crate) fn weighted(&self, z: &BitTensor, weights: &[Vec<S::Ring>], holder: S::Holder) -> S {
        let len = z.len();
        let Some(RingBits::Rows(b)) = &self.0.bundle.ring else {
            unreachable!("the question has ring elements for answers")
        };
        let factors: Vec<S::Ring> = weights.iter().flat_map(|w| &w[1..]).copied().collect();
        let dims = [weights.len(), z.lanes(), len];
        let bits = |answer: usize, some: Range<usize>, out: &mut [S::Ring]| {
            S::Ring::expand_bits(&z.lane(answer)[some.start / 64..some.end.div_ceil(64)], out);
        };
        let linear = b.map_linear(|b| {
            sums(&factors, dims, |answer, some, out| {
                bits(answer, some.clone(), out);
                for (o, &b) in out.iter_mut().zip(&row(b, answer, len)[some]) {
                    *o = if *o == S::Ring::ZERO { b } else { -b };
                }
            })
        });
        let mut public = sums(&factors, dims, bits);
        for (row, w) in public.as_mut_slice().chunks_mut(len.max(1)).zip(weights) {
            row.iter_mut().for_each(|p| *p += w[0]);
        }
        linear.add_public(&public, holder)
    }

    pub(crate) fn decided(self, z: &BitTensor) -> Decided<S> {
        let mut rows = Tensor::zeros(&[z.lanes() * z.len()]);
        for (lane, row) in rows.as_mut_slice().chunks_mut(z.len().max(1)).enumerate() {
            S::Ring::expand_bits(z.lane(lane), row);
        }
        Decided { run: self.0, z: rows }
    }
}

/// The product of an m×k matrix and one of k×n, of which `fill` gives some columns of a row at a time.
pub(super) fn sums<R: Ring>(
    factors: &[R],
    [m, k, n]: [usize; 3],
    fill: impl Fn(usize, Range<usize>, &mut [R]),
) -> Tensor<R> {
    let mut out = Tensor::zeros(&[m * n]);
    let width = n.min(TOGETHER);
    let (mut all_terms, mut all_sums) = (Tensor::zeros(&[k * width]), Tensor::zeros(&[m * width]));
    for start in (0..n).step_by(TOGETHER) {
        let some = start..n.min(start + TOGETHER);
        let terms = &mut all_terms.as_mut_slice()[..k * some.len()];
        for (answer, row) in terms.chunks_mut(some.len()).enumerate() {
            fill(answer, some.clone(), row);
        }
        let sums = &mut all_sums.as_mut_slice()[..m * some.len()];
        sums.fill(R::ZERO);
        R::matmul_acc(factors, terms, sums, m, k, some.len());
        for (row, sum) in sums.chunks(some.len()).enumerate() {
            out.as_mut_slice()[row * n..][some.clone()].copy_from_slice(sum);
        }
    }
    out
}

/// A comparison with its answers. Rows are those of the answers: one per threshold for a sign.
pub(crate) struct Decided<S: Sharing> {
    run: Opened<S>,
    z: Tensor<S::Ring>,
}

/// A row of a tensor.
fn row<R: Ring>(t: &Tensor<R>, index: usize, len: usize) -> &[R] {
    &t.as_slice()[index * len..(index + 1) * len]
}

impl<S: Sharing> Decided<S> {
    fn len(&self) -> usize {
        self.run.c.len()
    }

    /// z of answer `i`.
    fn z(&self, i: usize) -> &[S::Ring] {
        row(&self.z, i, self.len())
    }

    fn rows(&self) -> &S {
        match &self.run.bundle.ring {
            Some(RingBits::Rows(b)) => b,
            _ => unreachable!("the question has ring elements for answers"),
        }
    }

    /// `[m] = z + (1 − 2z)·[b]`, for all answers after one another.
    pub(crate) fn bits(&self, holder: S::Holder) -> S {
        let linear = self.rows().map_linear(|b| signed(self.z.as_slice(), b.as_slice()));
        linear.add_public(&self.z, holder)
    }

    /// `[x·m]`, for answer `i`.
    pub(crate) fn value_product(&self, i: usize, holder: S::Holder) -> S {
        let (bundle, c) = (&self.run.bundle, &self.run.c);
        let rb = bundle.rb.as_ref().expect("the bundle was asked for with [r·b]");
        self.product(c, i, (&bundle.r, 0), (rb, i), holder)
    }

    /// `[e·m]` for all values e that came with x, one after another.
    pub(crate) fn payload_products(&self, holder: S::Holder) -> S {
        let PayloadMask { a, ab } =
            self.run.bundle.payload.as_ref().expect("the bundle was asked for with payloads");
        let len = self.len();
        let rows: Vec<S> = (0..self.run.bundle.spec.payloads)
            .map(|p| {
                let d = self.run.payload.slice(0, p * len, (p + 1) * len);
                self.product(&d, 0, (a, p), (ab, p), holder)
            })
            .collect();
        S::combine(&rows.iter().collect::<Vec<_>>(), |p| Tensor::concat(0, p))
    }

    /// `[(d − a)·m]` for answer `i`, a and a·b being the given rows.
    fn product(
        &self,
        d: &Tensor<S::Ring>,
        i: usize,
        (a, a_row): (&S, usize),
        (ab, ab_row): (&S, usize),
        holder: S::Holder,
    ) -> S {
        let (z, len) = (self.z(i), self.len());
        let linear = S::combine(&[self.rows(), a, ab], |p| {
            let mut out = signed(z, row(p[0], i, len));
            let pads = row(p[1], a_row, len).iter().zip(row(p[2], ab_row, len));
            for (((o, &d), &z), (&a, &ab)) in out.as_mut_slice().iter_mut().zip(d.as_slice()).zip(z).zip(pads)
            {
                *o = d * *o - masked(z, a, ab);
            }
            out
        });
        linear.add_public(&times(d, z), holder)
    }

    fn quotient_parts(&self) -> &QuotientParts<S> {
        self.run.bundle.quotient.as_ref().expect("the bundle was asked for with a truncation")
    }

    /// `[y]` for y = x/2^f, and `[y·m_i]` for every answer.
    pub(crate) fn truncated(&self, holder: S::Holder) -> (S, Vec<S>) {
        let (f, c) = (self.run.bundle.spec.truncation, &self.run.c);
        let QuotientParts { w, e, wb, eb } = self.quotient_parts();
        let public = c.map(|c| public_quotient(c, f));
        let y = S::combine(&[w, e], |p| {
            let mut y = p[0].map(|w| -w);
            for ((y, &e), &c) in y.as_mut_slice().iter_mut().zip(p[1].as_slice()).zip(c.as_slice()) {
                *y -= wrap_factor(c, f) * e;
            }
            y
        });
        let product = |i: usize| {
            let (z, len) = (self.z(i), self.len());
            let linear = S::combine(&[self.rows(), w, e, wb, eb], |p| {
                let mut out = signed(z, row(p[0], i, len));
                let whole = row(p[1], 0, len).iter().zip(row(p[3], i, len));
                let wraps = row(p[2], 0, len).iter().zip(row(p[4], i, len));
                let public = public.as_slice().iter().zip(c.as_slice()).zip(z);
                let parts = public.zip(whole).zip(wraps);
                for (o, ((((&quotient, &c), &z), (&w, &wb)), (&e, &eb))) in
                    out.as_mut_slice().iter_mut().zip(parts)
                {
                    *o = quotient * *o - masked(z, w, wb) - wrap_factor(c, f) * masked(z, e, eb);
                }
                out
            });
            linear.add_public(&times(&public, z), holder)
        };
        let products = (0..self.run.bundle.spec.thresholds).map(product).collect();
        (y.add_public(&public, holder), products)
    }

    /// `[⌊x/2^f⌋] = ⌊c/2^f⌋ − [⌊r/2^f⌋] − [m_0] + 2^(k−f)·[m_1] − 2^(k−1−f)`, c and r not negative: the question was a quotient.
    pub(crate) fn quotient(&self, f: u32, holder: S::Holder) -> S {
        let Some(RingBits::Quotient { shifted, low, all }) = &self.run.bundle.ring else {
            unreachable!("the question was a quotient")
        };
        let (k, z0, z1) = (S::VALUE_BITS, self.z(0), self.z(1));
        let wrap = S::Ring::power_of_two(k - f);
        let linear = S::combine(&[shifted, low, all], |p| {
            let mut out = signed(z1, p[2].as_slice());
            let parts = p[0].as_slice().iter().zip(p[1].as_slice()).zip(z0);
            for (o, ((&shifted, &b), &z)) in out.as_mut_slice().iter_mut().zip(parts) {
                *o = wrap * *o - shifted - if z == S::Ring::ZERO { b } else { -b };
            }
            out
        });
        let mut public =
            self.run.c.map(|c| S::Ring::from_u64(c.to_u64() >> f) - S::Ring::power_of_two(k - 1 - f));
        for ((p, &z0), &z1) in public.as_mut_slice().iter_mut().zip(z0).zip(z1) {
            *p += wrap * z1 - z0;
        }
        linear.add_public(&public, holder)
    }
}

/// `(1 − 2z)·b` for a public bit z: b or −b.
fn signed<R: Ring>(z: &[R], b: &[R]) -> Tensor<R> {
    let values = z.iter().zip(b).map(|(&z, &b)| if z == R::ZERO { b } else { -b });
    Tensor::from_vec(&[z.len()], values.collect())
}

/// A public value where z is 1, else 0.
fn times<R: Ring>(d: &Tensor<R>, z: &[R]) -> Tensor<R> {
    let values = d.as_slice().iter().zip(z).map(|(&d, &z)| d * z);
    Tensor::from_vec(&[z.len()], values.collect())
}

/// `a·m = z·a + (1 − 2z)·ab` for a public bit z.
fn masked<R: Ring>(z: R, a: R, ab: R) -> R {
    if z == R::ZERO { ab } else { a - ab }
}
