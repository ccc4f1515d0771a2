//! A public linear function of the answers, times x: without another opening, from `[r·b]` of every threshold.
//!
//! For answers m_t with `[m_t] = z_t + (1 − 2z_t)[b_t]` and c = x + r,
//! `x·Σ w_t·m_t = c·Σ w_t·m_t − Σ w_t·(r·m_t)`, and `[r·m_t] = z_t·[r] + (1 − 2z_t)·[r·b_t]`.

use std::ops::Range;

use mpc_core::bits::BitTensor;
use mpc_core::ring::Ring;
use mpc_core::share::Sharing;

use super::products::{MaskedAnswers, sums};
use crate::correlation::RingBits;

impl<S: Sharing> MaskedAnswers<S> {
    /// For each row of weights, `x·(w_0 + Σ_i w_(i+1)·[m_i])` over the answers m_i of an element: a row of the result. The
    /// question was put about x as it is, with products.
    pub(crate) fn weighted_times(
        &self,
        x: &S,
        z: &BitTensor,
        weights: &[Vec<S::Ring>],
        holder: S::Holder,
    ) -> S {
        let (bundle, c, len) = (&self.0.bundle, &self.0.c, z.len());
        let (Some(RingBits::Rows(b)), Some(rb)) = (&bundle.ring, &bundle.rb) else {
            unreachable!("the bundle was asked for with [r·b]")
        };
        let factors: Vec<S::Ring> = weights.iter().flat_map(|w| &w[1..]).copied().collect();
        let dims = [weights.len(), z.lanes(), len];
        let bits = |answer: usize, some: Range<usize>, out: &mut [S::Ring]| {
            S::Ring::expand_bits(&z.lane(answer)[some.start / 64..some.end.div_ceil(64)], out);
        };
        let signed = |from: &[S::Ring], answer: usize, some: Range<usize>, out: &mut [S::Ring]| {
            bits(answer, some.clone(), out);
            for (o, &b) in out.iter_mut().zip(&from[answer * len..][some]) {
                *o = if *o == S::Ring::ZERO { b } else { -b };
            }
        };
        let mut public = sums(&factors, dims, bits);
        let linear = S::combine(&[b, rb, &bundle.r, x], |p| {
            let mut out =
                sums(&factors, dims, |answer, some, out| signed(p[0].as_slice(), answer, some, out));
            let masks = sums(&factors, dims, |answer, some, out| signed(p[1].as_slice(), answer, some, out));
            let rows = out.as_mut_slice().chunks_mut(len.max(1)).zip(masks.as_slice().chunks(len.max(1)));
            for ((row, masks), (public, w)) in rows.zip(public.as_slice().chunks(len.max(1)).zip(weights)) {
                let own = p[2].as_slice().iter().zip(p[3].as_slice());
                let parts = c.as_slice().iter().zip(masks).zip(public).zip(own);
                for (o, (((&c, &mask), &sum), (&r, &x))) in row.iter_mut().zip(parts) {
                    *o = c * *o - mask - sum * r + w[0] * x;
                }
            }
            out
        });
        for row in public.as_mut_slice().chunks_mut(len.max(1)) {
            row.iter_mut().zip(c.as_slice()).for_each(|(sum, &c)| *sum = c * *sum);
        }
        linear.add_public(&public, holder)
    }
}
