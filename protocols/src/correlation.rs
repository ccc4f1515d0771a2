//! Correlated randomness as it is used: once.
//!
//! Masking takes an item by value and returns what is left of it, so a second use of the same pad does not compile.
//! [`Padded`] and [`PaddedBits`] are the only things a session opens, and only this crate can make them:
//!
//! ```compile_fail
//! use mpc_core::{ring::Z64, share::Additive, tensor::Tensor};
//! let x = Additive::from_share(Tensor::<Z64>::zeros(&[1]));
//! let unpadded = protocols::correlation::Padded::new(x); // private
//! ```
//! ```compile_fail
//! fn twice<S: mpc_core::share::Sharing>(t: protocols::correlation::Triple<S>, x: &S) {
//!     t.mask(x, x);
//!     t.mask(x, x); // moved
//! }
//! ```

use mpc_core::ring::Ring;
use mpc_core::share::Sharing;
use mpc_core::tensor::Tensor;

mod bulk;
mod bundle;
mod padded;
mod reuse;

pub use bulk::{BulkTriple, SpentBulk};
pub use bundle::ComparisonBundle;
pub(crate) use bundle::{PayloadMask, QuotientParts, RingBits};
pub use padded::{Padded, PaddedBits};
pub(crate) use padded::{PaddedLow, low_bits};
pub(crate) use reuse::UnopenedOnce;
pub use reuse::{GivenTriple, MaskedOnce, MaskedPart, ReusableMask, SpentGiven};

/// a, b uniform, c = a·b elementwise.
#[must_use]
pub struct Triple<S> {
    pub(crate) a: S,
    pub(crate) b: S,
    pub(crate) c: S,
}

/// a uniform, c = a².
#[must_use]
pub struct SquarePair<S> {
    pub(crate) a: S,
    pub(crate) c: S,
}

/// a, b of `terms·len` elements, c_i = Σ_t a_{t,i}·b_{t,i}.
#[must_use]
pub struct DotTriple<S> {
    pub(crate) a: S,
    pub(crate) b: S,
    pub(crate) c: S,
    pub(crate) terms: usize,
}

/// A: m×k and B: k×n uniform, C = A·B.
#[must_use]
pub struct MatmulTriple<S> {
    pub(crate) a: S,
    pub(crate) b: S,
    pub(crate) c: S,
}

/// r uniform, W = ⌊signed(r)/2^f⌋, E ≡ (top bit of r) mod 2^f.
#[must_use]
pub struct TruncationTuple<S> {
    pub(crate) r: S,
    pub(crate) w: S,
    pub(crate) e: S,
    pub(crate) bits: u32,
}

/// A uniform bit b as an XOR share (one lane) and as a ring element.
#[must_use]
pub struct DaBits<S: Sharing> {
    pub(crate) xor: S::Bits,
    pub(crate) ring: S,
}

/// r uniform mod 2^bits, an angle, and the cosines and sines of its multiples, a row of each.
#[must_use]
pub struct AngleTuple<S> {
    pub(crate) r: S,
    pub(crate) sines: S,
    pub(crate) bits: u32,
}

/// As [`SpentTriple`], for angles.
pub struct SpentAngles<S> {
    pub(crate) sines: S,
}

impl<S: Sharing> AngleTuple<S> {
    /// `[c] = [z] + [r]`, of which as many bits are padded as r has: no more may be opened.
    pub(crate) fn mask(self, z: &S) -> (SpentAngles<S>, PaddedLow<S>) {
        let Self { r, sines, bits } = self;
        let value = r.combine_into(&[z], |c, p| c.add_assign(p[0]));
        (SpentAngles { sines }, PaddedLow::new(value, bits))
    }
}

/// A triple whose pads are used up; what remains to finish the product.
pub struct SpentTriple<S>(Triple<S>);

impl<S: Sharing> Triple<S> {
    /// `[d] = [x] − [a], [e] = [y] − [b]`, in the shape of x and y.
    pub fn mask(self, x: &S, y: &S) -> (SpentTriple<S>, [Padded<S>; 2]) {
        let Self { a, b, c } = self;
        let [a, b, c] = [a, b, c].map(|part| part.reshape(x.shape()));
        let triple = Self { a, b, c };
        let padded = [Padded::less(x, &triple.a), Padded::less(y, &triple.b)];
        (SpentTriple(triple), padded)
    }
}

impl<S: Sharing> SpentTriple<S> {
    /// `[z] = [c] + d·([b] + e) + e·[a]`, in the memory of c and one pass.
    #[must_use]
    pub fn finish(self, d: &Tensor<S::Ring>, e: &Tensor<S::Ring>, holder: S::Holder) -> S {
        let Triple { a, b, c } = self.0;
        let finish = |z: &mut Tensor<S::Ring>, p: &[&Tensor<S::Ring>], public: bool| {
            let operands =
                d.as_slice().iter().zip(p[0].as_slice()).zip(e.as_slice().iter().zip(p[1].as_slice()));
            let all = z.as_mut_slice().iter_mut().zip(operands);
            if public {
                all.for_each(|(z, ((&d, &b), (&e, &a)))| *z += d * (b + e) + e * a);
            } else {
                all.for_each(|(z, ((&d, &b), (&e, &a)))| *z += d * b + e * a);
            }
        };
        c.combine_with_public(&[&b, &a], finish, holder)
    }
}

/// As [`SpentTriple`], for squares.
pub struct SpentSquare<S>(SquarePair<S>);

impl<S: Sharing> SquarePair<S> {
    /// `[d] = [x] − [a]`, in the shape of x.
    pub fn mask(self, x: &S) -> (SpentSquare<S>, Padded<S>) {
        let [a, c] = [self.a, self.c].map(|part| part.reshape(x.shape()));
        let padded = Padded::less(x, &a);
        (SpentSquare(Self { a, c }), padded)
    }
}

impl<S: Sharing> SpentSquare<S> {
    /// `[z] = [c] + 2d·[a] + d²`.
    #[must_use]
    pub fn finish(self, d: &Tensor<S::Ring>, holder: S::Holder) -> S {
        let two = S::Ring::from_u64(2);
        let SquarePair { a, c } = self.0;
        let finish = |z: &mut Tensor<S::Ring>, p: &[&Tensor<S::Ring>], public: bool| {
            let all = z.as_mut_slice().iter_mut().zip(d.as_slice()).zip(p[0].as_slice());
            if public {
                all.for_each(|((z, &d), &a)| *z += d * (two * a + d));
            } else {
                all.for_each(|((z, &d), &a)| *z += two * d * a);
            }
        };
        c.combine_with_public(&[&a], finish, holder)
    }
}

/// As [`SpentTriple`], for inner products.
pub struct SpentDot<S>(DotTriple<S>);

impl<S: Sharing> DotTriple<S> {
    /// `[d] = [x] − [a], [e] = [y] − [b]` for x, y of `terms·len` elements.
    pub fn mask(self, x: &S, y: &S) -> (SpentDot<S>, [Padded<S>; 2]) {
        let padded = [Padded::less(x, &self.a), Padded::less(y, &self.b)];
        (SpentDot(self), padded)
    }
}

impl<S: Sharing> SpentDot<S> {
    /// `[z_i] = [c_i] + Σ_t (d·([b] + e) + e·[a])_{t,i}`, in the memory of c.
    #[must_use]
    pub fn finish(self, d: &Tensor<S::Ring>, e: &Tensor<S::Ring>, holder: S::Holder) -> S {
        let DotTriple { a, b, c, terms } = self.0;
        let len = c.len();
        let finish = |z: &mut Tensor<S::Ring>, p: &[&Tensor<S::Ring>], public: bool| {
            for t in 0..terms {
                let row = t * len..(t + 1) * len;
                let factors = d.as_slice()[row.clone()].iter().zip(&p[0].as_slice()[row.clone()]);
                let others = e.as_slice()[row.clone()].iter().zip(&p[1].as_slice()[row]);
                let all = z.as_mut_slice().iter_mut().zip(factors.zip(others));
                if public {
                    all.for_each(|(z, ((&d, &b), (&e, &a)))| *z += d * (b + e) + e * a);
                } else {
                    all.for_each(|(z, ((&d, &b), (&e, &a)))| *z += d * b + e * a);
                }
            }
        };
        c.combine_with_public(&[&b, &a], finish, holder)
    }
}

/// As [`SpentTriple`], for matrices.
pub struct SpentMatmul<S>(MatmulTriple<S>);

impl<S: Sharing> MatmulTriple<S> {
    /// `[D] = [X] − [A], [E] = [Y] − [B]`.
    pub fn mask(self, x: &S, y: &S) -> (SpentMatmul<S>, [Padded<S>; 2]) {
        let padded = [Padded::less(x, &self.a), Padded::less(y, &self.b)];
        (SpentMatmul(self), padded)
    }
}

impl<S: Sharing> SpentMatmul<S> {
    /// `[Z] = [C] + D·([B] + E) + [A]·E, the public E added to B first so that every party does two products`.
    #[must_use]
    pub fn finish(self, d: &Tensor<S::Ring>, e: &Tensor<S::Ring>, holder: S::Holder) -> S {
        let MatmulTriple { a, b, c } = self.0;
        let b = b.add_public(e, holder);
        c.combine_into(&[&b, &a], |z, p| {
            z.matmul_acc(d, p[0]);
            z.matmul_acc(p[1], e);
        })
    }
}

/// As [`SpentTriple`], for truncation.
pub struct SpentTruncation<S> {
    w: S,
    e: S,
    bits: u32,
}

impl<S: Sharing> TruncationTuple<S> {
    /// `[c] = [x] + 2^(k−2) + [r]`, in the shape of x.
    pub fn mask(self, x: &S, holder: S::Holder) -> (SpentTruncation<S>, Padded<S>) {
        let offset = S::Ring::power_of_two(S::VALUE_BITS - 2);
        let [r, w, e] = [self.r, self.w, self.e].map(|part| part.reshape(x.shape()));
        (SpentTruncation { w, e, bits: self.bits }, Padded::plus(x, r, offset, holder))
    }
}

impl<S: Sharing> SpentTruncation<S> {
    /// `[y] = ⌊(c mod 2^(k−1))/2^f⌋ − 2^(k−2−f) + c_top·2^(k−1−f) − [W] − c_top·2^(k−f)·[E]`.
    #[must_use]
    pub fn finish(self, c: &Tensor<S::Ring>, holder: S::Holder) -> S {
        let f = self.bits;
        let finish = |y: &mut Tensor<S::Ring>, p: &[&Tensor<S::Ring>], public: bool| {
            let all = y.as_mut_slice().iter_mut().zip(p[0].as_slice()).zip(c.as_slice());
            if public {
                all.for_each(|((y, &e), &c)| *y = public_quotient(c, f) - *y - wrap_factor(c, f) * e);
            } else {
                all.for_each(|((y, &e), &c)| *y = -(*y + wrap_factor(c, f) * e));
            }
        };
        self.w.combine_with_public(&[&self.e], finish, holder)
    }
}

/// The public part of a truncated value: `⌊(c mod 2^(k−1))/2^f⌋ − 2^(k−2−f) + c_top·2^(k−1−f)`.
pub(crate) fn public_quotient<R: Ring>(c: R, f: u32) -> R {
    let (k, top) = (R::BITS, c.to_u64() >> (R::BITS - 1));
    let low = c.to_u64() & ((1 << (k - 1)) - 1);
    R::from_u64(low >> f) - R::power_of_two(k - 2 - f) + R::from_u64(top << (k - 1 - f))
}

/// What `[E]` is multiplied by in a truncated value: `c_top·2^(k−f)`.
pub(crate) fn wrap_factor<R: Ring>(c: R, f: u32) -> R {
    R::from_u64((c.to_u64() >> (R::BITS - 1)) << (R::BITS - f))
}

/// As [`SpentTriple`], for bits turned into ring elements.
pub struct SpentDaBits<S>(pub(crate) S);

impl<S: Sharing> DaBits<S> {
    /// `⟨z⟩ = ⟨x⟩ ⊕ ⟨b⟩ for all lanes of x`.
    pub fn mask(self, x: &S::Bits) -> (SpentDaBits<S>, PaddedBits<S::Bits>) {
        use mpc_core::share::BitSharing;
        let mut z = x.clone();
        for lane in 0..z.lanes() {
            z.xor_lane(lane, &self.xor, lane);
        }
        (SpentDaBits(self.ring), PaddedBits::new(z))
    }
}

impl<S: Sharing> SpentDaBits<S> {
    /// `[x] = z + (1 − 2z)·[b]`.
    #[must_use]
    pub fn finish(&self, z: &Tensor<S::Ring>, holder: S::Holder) -> S {
        select_by_public_bit(z, &self.0).add_public(z, holder)
    }
}

/// `(1 − 2z)·[b] for a public bit z: b or −b`.
pub(crate) fn select_by_public_bit<S: Sharing>(z: &Tensor<S::Ring>, b: &S) -> S {
    b.map_linear(|b| z.zip(b, |z, b| if z == S::Ring::ZERO { b } else { -b }))
}
