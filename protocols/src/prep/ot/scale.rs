//! Shared values times bits that are shared by XOR; with the value 1, such bits as ring elements.
//!
//! **Relation**: for b = b_0 ⊕ … ⊕ b_{n−1} and an additively shared y, z_j = y·(b_0 ⊕ … ⊕ b_j) follows from z_{j−1}:
//! `z_j = z_{j−1} + b_j·(y − 2·z_{j−1})`, where party j knows b_j and every other party i has a share d_i of the bracket. A COT
//! with the choice b_j and u = d_i + H(q) − H(q ⊕ Δ) gives shares of b_j·d_i, as in `cross`. All y of one bit share the COTs.
//! For y = 1, z_0 = b_0 is party 0's and `z_j = z_{j−1} + b_j − 2·b_j·z_{j−1}`: only parties before j send, and one bit less.
//! After ABY's OT-based conversions (Demmler, Schneider, Zohner, NDSS 2015, §III.E.4) and the chain of SCALE-MAMBA's daBits,
//! for n parties and several y at once; no bit is checked, since the parties are semi-honest.
//!
//! **Security**: as in `cross`, each u is padded. A party's new share is uniform to all others together but for the lowest
//! bit where y = 1: mod 2, sharings by sum and by XOR are the same, and so that bit of the share of b is the party's b_j.
//! So a party's ring shares are not independent of its XOR shares, as a dealer's are (nor are r, its quotient and its top bit, which
//! are sums of the same elements). That is harmless because no share of this provider is ever opened without a pad: what n − 1
//! parties see of the last one's shares is opened values less their own shares; where more than one party is honest, each opened
//! sharing has a pad whose own shares are uniform and used for it alone; and outputs are shared anew. A protocol that would open a
//! share of an item as it is would have to share it anew, too.
//!
//! **Cost**: n − 1 rounds for y = 1 alone, else n, and one before for the choices, unless each of them may be what it is. Per
//! bit and y, u of every two parties i < j; where y is shared, of every party with every other.

use mpc_core::bits::lane_words;
use mpc_core::party::{PartyId, PerParty};
use mpc_core::prg::Prg;
use mpc_core::ring::Ring;
use mpc_core::tensor::Tensor;
use zeroize::Zeroizing;

use super::engine::{Chosen, Engine, Pairs, every_pair, upward};
use super::packing::{Packer, Unpacker, packed_len};
use super::pads::{PadKeys, receiver_pads, sender_pads};
use crate::error::PrepError;
use crate::ot::extension::{ReceivedCots, SentCots};

/// What the bits are multiplied by.
#[derive(Copy, Clone)]
pub(super) enum Factor<'a, R> {
    /// 1.
    One,
    /// Shares of as many values as a row has; all rows are multiplied by the same.
    Shared(&'a [R]),
}

/// One product to be had.
pub(super) struct Scaling<'a, R> {
    pub(super) factor: Factor<'a, R>,
    /// Bits of the product that are wanted, for each bit of an element.
    pub(super) bits: &'a [u32],
}

mpc_core::secret_types!(Scaling<'static, mpc_core::ring::Z64>);

/// Bits, and products with them in their order, one tensor per scaling.
pub(super) struct Scaled<R: Ring> {
    pub(super) bits: Zeroizing<Vec<u64>>,
    pub(super) products: Vec<Tensor<R>>,
}

mpc_core::secret_types!(Scaled<mpc_core::ring::Z64>);

/// Widths of what is sent for a product.
pub(super) fn widths(is_one: bool, bits: &[u32]) -> Vec<u32> {
    bits.iter().map(|&b| if is_one { b.saturating_sub(1) } else { b }).collect()
}

/// Elements of `per` COTs each that are worked on at a time, if `chunk` COTs are.
pub(super) const fn elements_at_a_time(chunk: usize, per: usize) -> usize {
    chunk / per
}

/// Which pairs have COTs.
pub(super) fn pairs(all_one: bool) -> Pairs {
    if all_one { upward } else { every_pair }
}

/// The bits (the given ones, or uniform ones) and for each scaling this party's shares of the products, in the order of the
/// bits: bit i of element e is bit e·per + i of the words, where `per` is the length of `Scaling::bits`, which must divide 64.
pub(super) fn scale<R: Ring>(
    engine: &mut Engine,
    prg: &mut Prg,
    given: Option<&[u64]>,
    elements: usize,
    scalings: &[Scaling<'_, R>],
) -> Result<Scaled<R>, PrepError> {
    let per = scalings[0].bits.len();
    let pairs = pairs(scalings.iter().all(|s| matches!(s.factor, Factor::One)));
    let mut bits = Zeroizing::new(vec![0; lane_words(elements * per)]);
    let mut products: Vec<Tensor<R>> = scalings.iter().map(|_| Tensor::zeros(&[elements * per])).collect();
    let step = elements_at_a_time(engine.chunk(), per);
    for start in (0..elements).step_by(step) {
        let len = step.min(elements - start);
        let words = start * per / 64..((start + len) * per).div_ceil(64);
        let chosen = engine.choose(pairs, len * per, given.map(|g| &g[words.clone()]), prg)?;
        let chunks = products.iter_mut().map(|z| &mut z.as_mut_slice()[start * per..(start + len) * per]);
        Chain { engine, chosen: &chosen, scalings, per, start, z: chunks.collect() }.run()?;
        bits[words].copy_from_slice(&chosen.choices);
    }
    Ok(Scaled { bits, products })
}

/// The products of one chunk of bits.
struct Chain<'a, 'b, R: Ring> {
    engine: &'a mut Engine,
    chosen: &'a Chosen,
    scalings: &'a [Scaling<'b, R>],
    per: usize,
    start: usize,
    z: Vec<&'a mut [R]>,
}

mpc_core::secret_types!(Chain<'static, 'static, mpc_core::ring::Z64>);

impl<R: Ring> Chain<'_, '_, R> {
    fn run(mut self) -> Result<(), PrepError> {
        let (n, me) = (self.engine.parties(), self.engine.me());
        // Where party 0 does not multiply anything by its bits, it has no turn, just the bits.
        let first = usize::from(self.scalings.iter().all(|s| matches!(s.factor, Factor::One)));
        if first == 1 && me.index() == 0 {
            self.add_own();
        }
        for to in PartyId::all(n).skip(first) {
            let mut send = PerParty::from_fn(n, |_| vec![]);
            let mut expect = PerParty::from_fn(n, |_| 0);
            for from in to.others(n) {
                if me == from {
                    send[to] = self.send(to);
                } else if me == to {
                    expect[from] = self.taking_part(from, to).map(|s| self.bytes(s)).sum();
                }
            }
            let received = self.engine.exchange(send, &expect)?;
            if me == to {
                self.add_own();
                for from in to.others(n) {
                    self.receive(from, &received[from]);
                }
            }
        }
        Ok(())
    }

    /// The scalings for which `from` sends when it is `to`'s turn.
    fn taking_part(&self, from: PartyId, to: PartyId) -> impl Iterator<Item = usize> + use<R> {
        let part = self.scalings.iter().map(|s| match s.factor {
            Factor::One => from < to,
            Factor::Shared(_) => true,
        });
        part.collect::<Vec<_>>().into_iter().enumerate().filter(|(_, is)| *is).map(|(s, _)| s)
    }

    fn widths(&self, s: usize) -> Vec<u32> {
        widths(matches!(self.scalings[s].factor, Factor::One), self.scalings[s].bits)
    }

    fn bytes(&self, s: usize) -> usize {
        packed_len(self.z[s].len() / self.per, &self.widths(s))
    }

    /// Sends what `to` multiplies by its bits, and takes this party's share of that.
    fn send(&mut self, to: PartyId) -> Vec<u8> {
        let parts = self.taking_part(self.engine.me(), to);
        let mut message = Vec::with_capacity(parts.map(|s| self.bytes(s)).sum());
        for s in self.taking_part(self.engine.me(), to) {
            let (Some(cots), widths) = (&self.chosen.peers[to], self.widths(s)) else { continue };
            let mut packer = Packer::after(message);
            let keys = &mut self.engine.sent_keys(to, &cots.sent);
            let (z, place) = (&mut *self.z[s], Place { vector: s, widths: &widths });
            match self.scalings[s].factor {
                Factor::One => place.send(
                    keys,
                    &cots.sent,
                    |i, x| {
                        let d = z[i];
                        z[i] -= x + x;
                        d
                    },
                    &mut packer,
                ),
                Factor::Shared(y) => {
                    let mut at = self.start * self.per % y.len();
                    place.send(
                        keys,
                        &cots.sent,
                        |i, x| {
                            let d = y[at] - z[i] - z[i];
                            at = if at + 1 == y.len() { 0 } else { at + 1 };
                            z[i] += x;
                            d
                        },
                        &mut packer,
                    );
                }
            }
            message = packer.finish();
        }
        message
    }

    /// This party's bits times its own part of the bracket.
    fn add_own(&mut self) {
        for (s, z) in self.scalings.iter().zip(&mut self.z) {
            match s.factor {
                // Nothing is before it yet.
                Factor::One => add_bits(z, &self.chosen.choices),
                Factor::Shared(y) => {
                    let mut at = self.start * self.per % y.len();
                    for (i, z) in z.iter_mut().enumerate() {
                        let bit = R::from_u64(self.chosen.choices[i / 64] >> (i % 64) & 1);
                        let d = y[at] - *z - *z;
                        *z += bit * d;
                        at = if at + 1 == y.len() { 0 } else { at + 1 };
                    }
                }
            }
        }
    }

    /// This party's bits times the others' parts.
    fn receive(&mut self, from: PartyId, message: &[u8]) {
        let mut rest = message;
        for s in self.taking_part(from, self.engine.me()) {
            let (Some(cots), widths) = (&self.chosen.peers[from], self.widths(s)) else { continue };
            let (own, others) = rest.split_at(self.bytes(s));
            rest = others;
            let keys = &mut self.engine.received_keys(from, &cots.received);
            let (z, place) = (&mut *self.z[s], Place { vector: s, widths: &widths });
            let choices = &self.chosen.choices;
            match self.scalings[s].factor {
                Factor::One => place.receive(keys, &cots.received, choices, own, |i, y: R| z[i] -= y + y),
                Factor::Shared(_) => place.receive(keys, &cots.received, choices, own, |i, y: R| z[i] += y),
            }
        }
    }
}

fn add_bits<R: Ring>(z: &mut [R], bits: &[u64]) {
    for (z, &word) in z.chunks_mut(64).zip(bits) {
        for (i, z) in z.iter_mut().enumerate() {
            *z += R::from_u64(word >> i & 1);
        }
    }
}

/// Which of a COT's pads, and how wide.
struct Place<'a> {
    vector: usize,
    widths: &'a [u32],
}

impl Place<'_> {
    /// `take` is given the sender's share for every COT and returns what the choice multiplies.
    fn send<R: Ring>(
        &self,
        keys: &mut PadKeys,
        cots: &SentCots,
        mut take: impl FnMut(usize, R) -> R,
        packer: &mut Packer,
    ) {
        let (per, half) = (self.widths.len(), 64 * (self.vector % 2));
        sender_pads(keys, cots, 0..cots.q.len(), self.vector / 2, per, |first, zero, one| {
            let mut i = first * per;
            for (zero, one) in zero.chunks_exact(per).zip(one.chunks_exact(per)) {
                for ((zero, one), &width) in zero.iter().zip(one).zip(self.widths) {
                    let (zero, one) = ((zero >> half) as u64, (one >> half) as u64);
                    let d = take(i, R::from_u64(zero.wrapping_neg())).to_u64();
                    packer.push(d.wrapping_add(zero).wrapping_sub(one), width);
                    i += 1;
                }
            }
        });
    }

    /// `take` is given the receiver's share for every COT.
    fn receive<R: Ring>(
        &self,
        keys: &mut PadKeys,
        cots: &ReceivedCots,
        choices: &[u64],
        message: &[u8],
        mut take: impl FnMut(usize, R),
    ) {
        let (per, half) = (self.widths.len(), 64 * (self.vector % 2));
        let mut unpacker = Unpacker::new(message);
        receiver_pads(keys, cots, 0..cots.t.len(), self.vector / 2, per, |first, pads| {
            let mut i = first * per;
            for pads in pads.chunks_exact(per) {
                for (pad, &width) in pads.iter().zip(self.widths) {
                    let chosen = (choices[i / 64] >> (i % 64) & 1).wrapping_neg();
                    let u = unpacker.take(width) & chosen;
                    take(i, R::from_u64(((pad >> half) as u64).wrapping_add(u)));
                    i += 1;
                }
            }
        });
    }
}
