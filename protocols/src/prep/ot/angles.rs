//! Angles with the cosines and sines of their multiples.
//!
//! **Relation**: r = Σ r_j mod 2^w for a uniform r_j of every party, and `e^{ikr} = ∏_j e^{ikr_j}`, whose factors one party knows each.
//! The product is made along the parties: what is shared so far times the factor of party j is, in real numbers, four products
//! of shared values with private ones, each by Gilboa's protocol as in `cross`: party j's bits are the choices, and every
//! other party that has a share sends. Factors have 20 fraction bits, and so has what is shared before a product but the last:
//! there it is truncated (Π_TruncPr, `truncate`, on numbers from `numbers`), one round. The result has 40.
//! A coordinate is chosen by as 21 bits, made positive by adding 1, which is taken off again; u for bit e has k − e bits.
//!
//! **Error**: a factor is off by 2^−20 at most, a truncation by less than 2^−20, so a cosine or sine by less than
//! 2^−20·(1.5·n + 1.5·(n − 2)): 2^−18.4 for two parties, 2^−16.4 for five.
//! **Security**: that of `cross`: u is padded, and the receiver learns a uniform sum. What is opened for a truncation has the pad r of a
//! number of its own. Every party's r_j is from its own stream, so r is uniform to any n − 1 parties.
//! **Cost** per element and multiple for two parties: 42 COTs, 2 rounds, 5.25 bytes from party 1 and 567 to it. For each party more, all
//! others send that to it, and two values are truncated: 2·64 COTs of every two parties, 2·362 bytes of u and 16 to each other party besides.

use std::ops::Range;

use mpc_core::party::{MAX_PARTIES, PartyId, PerParty};
use mpc_core::prg::Prg;
use mpc_core::ring::Ring;
use mpc_core::share::{Additive, Sharing};
use mpc_core::tensor::Tensor;
use zeroize::Zeroizing;

use super::engine::{Engine, Pairs};
use super::numbers::Numbers;
use super::packing::{Packer, Unpacker, packed_len};
use super::pads::{PadKeys, receiver_pads, sender_pads};
use crate::circle::{POINT_BITS, Point};
use crate::correlation::TruncationTuple;
use crate::correlation::low_bits;
use crate::error::PrepError;
use crate::ot::extension::{ReceivedCots, SentCots};
use crate::prep::item::SINE_BITS;
use crate::session::add_bytes;

/// Fraction bits of a party's factor.
pub(super) const FACTOR_BITS: u32 = SINE_BITS / 2;
/// Bits of a coordinate to which 1 is added, so that none is negative; 1 itself is rounded down by a unit.
const COORDINATE_BITS: usize = FACTOR_BITS as usize + 1;
/// Choices of a factor: the bits of its cosine, then of its sine.
pub(super) const CHOICES: usize = 2 * COORDINATE_BITS;
/// Values that are truncated at a time.
const PIECE: usize = 1 << 14;

/// Factors whose COTs are made at a time, if `chunk` COTs are.
pub(super) fn chunks(chunk: usize, elements: usize) -> impl Iterator<Item = Range<usize>> {
    let step = (chunk / CHOICES).max(1);
    (0..elements).step_by(step).map(move |start| start..elements.min(start + step))
}

/// Values that are truncated at a time.
pub(super) fn pieces(values: usize) -> impl Iterator<Item = Range<usize>> {
    (0..values).step_by(PIECE).map(move |start| start..values.min(start + PIECE))
}

/// Bits of u: for every choice those for both shared coordinates.
pub(super) fn widths<R: Ring>() -> Vec<u32> {
    (0..CHOICES).flat_map(|i| [width::<R>(i); 2]).collect()
}

const fn width<R: Ring>(choice: usize) -> u32 {
    R::BITS.saturating_sub(place(choice))
}

/// The power of two that a choice stands for.
const fn place(choice: usize) -> u32 {
    (choice % COORDINATE_BITS) as u32
}

/// Who sends to the party whose factor is next: all others, but party 0 alone where only it has a share.
pub(super) const fn senders(to: PartyId) -> Pairs {
    const fn first(from: PartyId, to: PartyId) -> bool {
        from.index() == 0 && to.index() == 1
    }
    fn all<const J: usize>(from: PartyId, to: PartyId) -> bool {
        to.index() == J && from != to
    }
    const SENDERS: [Pairs; MAX_PARTIES] = [all::<0>, first, all::<2>, all::<3>, all::<4>];
    SENDERS[to.index()]
}

/// This party's shares of r, and of the cosines and sines of its multiples, a row of each.
pub(super) fn angles<R: Ring>(
    engine: &mut Engine,
    prg: &mut Prg,
    len: usize,
    bits: u32,
    multiples: usize,
) -> Result<[Tensor<R>; 2], PrepError> {
    let r = low_bits(prg.tensor::<R>(&[len]), bits);
    let (n, me, count) = (engine.parties(), engine.me(), len * multiples);
    let own = factors(r.as_slice(), bits, multiples);
    let mut shared = match me.index() {
        0 => [0, 1].map(|i| Zeroizing::new(own.iter().map(|f| R::from_i64(f[i])).collect::<Vec<R>>())),
        _ => [0, 1].map(|_| Zeroizing::new(vec![R::ZERO; count])),
    };
    for to in PartyId::all(n).skip(1) {
        for chunk in chunks(engine.chunk(), count) {
            let [cos, sin] = &mut shared;
            let parts = [&mut cos[chunk.clone()], &mut sin[chunk.clone()]];
            turn(engine, prg, to, &own[chunk], parts)?;
        }
        if to.index() + 1 < n {
            shorten(engine, prg, &mut shared)?;
        }
    }
    let mut rows = Tensor::zeros(&[2 * count]);
    for (at, part) in shared.iter().enumerate() {
        for (k, row) in part.chunks(len.max(1)).enumerate() {
            rows.as_mut_slice()[(2 * k + at) * len..][..len].copy_from_slice(row);
        }
    }
    Ok([r, rows])
}

/// Cosine and sine of the multiples of this party's angles, all elements of a multiple together.
fn factors<R: Ring>(r: &[R], bits: u32, multiples: usize) -> Zeroizing<Vec<[i64; 2]>> {
    let len = r.len();
    let mut out = Zeroizing::new(vec![[0; 2]; len * multiples]);
    let excess = POINT_BITS - FACTOR_BITS;
    let rounded = |v: i64| ((v + (1 << (excess - 1))) >> excess).min((1 << FACTOR_BITS) - 1);
    for (i, &r) in r.iter().enumerate() {
        let first = Point::of(r, bits);
        let points = std::iter::successors(Some(first), |p| Some(p.turned(first)));
        for (k, point) in points.take(multiples).enumerate() {
            out[k * len + i] = [rounded(point.cos), rounded(point.sin)];
        }
    }
    out
}

/// Shares of cosines and sines times the factors of party `to`.
fn turn<R: Ring>(
    engine: &mut Engine,
    prg: &mut Prg,
    to: PartyId,
    own: &[[i64; 2]],
    [cos, sin]: [&mut [R]; 2],
) -> Result<(), PrepError> {
    let (n, me, len, pairs) = (engine.parties(), engine.me(), own.len(), senders(to));
    let words = (len * CHOICES).div_ceil(64);
    let given = if me == to { choices(own) } else { Zeroizing::new(vec![0; words]) };
    let chosen = engine.choose(pairs, len * CHOICES, Some(&given), prg)?;
    let bytes = packed_len(len, &widths::<R>());
    // cos·c, cos·s, sin·c and sin·s, for the factor c + is.
    let mut products = Zeroizing::new(vec![[R::ZERO; 4]; len]);
    let send = PerParty::from_fn(n, |p| match &chosen.peers[p] {
        Some(cots) if pairs(me, p) => {
            send::<R>(&mut engine.sent_keys(p, &cots.sent), &cots.sent, [cos, sin], &mut products, bytes)
        }
        _ => vec![],
    });
    let received = engine.exchange(send, &PerParty::from_fn(n, |p| if pairs(p, me) { bytes } else { 0 }))?;
    for p in me.others(n).filter(|&p| pairs(p, me)) {
        let Some(cots) = &chosen.peers[p] else { continue };
        let keys = &mut engine.received_keys(p, &cots.received);
        receive::<R>(keys, &cots.received, &given, &received[p], &mut products);
    }
    let one = R::power_of_two(FACTOR_BITS);
    for (((cos, sin), products), own) in cos.iter_mut().zip(sin).zip(products.iter()).zip(own) {
        // Choices are those of the factor's coordinates and 1.
        let [c, s] = if me == to { own.map(R::from_i64) } else { [R::ZERO - one; 2] };
        let known = [*cos * c, *cos * s, *sin * c, *sin * s];
        let known = if me == to || pairs(me, to) { known } else { [R::ZERO; 4] };
        let [cc, cs, sc, ss] = [0, 1, 2, 3].map(|i| products[i] + known[i]);
        (*cos, *sin) = (cc - ss, cs + sc);
    }
    Ok(())
}

/// The bits of coordinates and 1.
fn choices(own: &[[i64; 2]]) -> Zeroizing<Vec<u64>> {
    // In its final size: a vector that grows leaves copies behind.
    let bytes = packed_len(own.len(), &[COORDINATE_BITS as u32; 2]);
    let mut packer = Packer::after(Vec::with_capacity(bytes));
    for value in own.iter().flatten() {
        packer.push((value + (1 << FACTOR_BITS)) as u64, COORDINATE_BITS as u32);
    }
    let bytes = Zeroizing::new(packer.finish());
    let mut out = Zeroizing::new(vec![0u64; bytes.len().div_ceil(8)]);
    bytemuck::cast_slice_mut::<u64, u8>(&mut out)[..bytes.len()].copy_from_slice(&bytes);
    out
}

/// Where the products with a choice belong.
const fn products_of(choice: usize) -> [usize; 2] {
    if choice < COORDINATE_BITS { [0, 2] } else { [1, 3] }
}

fn send<R: Ring>(
    keys: &mut PadKeys,
    cots: &SentCots,
    shared: [&[R]; 2],
    products: &mut [[R; 4]],
    bytes: usize,
) -> Vec<u8> {
    let mut packer = Packer::after(Vec::with_capacity(bytes));
    sender_pads(keys, cots, 0..cots.q.len(), 0, CHOICES, |first, zero, one| {
        for ((e, zero), one) in (first..).zip(zero.chunks_exact(CHOICES)).zip(one.chunks_exact(CHOICES)) {
            for (choice, (zero, one)) in zero.iter().zip(one).enumerate() {
                for (half, to) in products_of(choice).into_iter().enumerate() {
                    let (zero, one) = ((zero >> (64 * half)) as u64, (one >> (64 * half)) as u64);
                    let d = shared[half][e].to_u64();
                    packer.push(d.wrapping_add(zero).wrapping_sub(one), width::<R>(choice));
                    products[e][to] -= R::from_u64(zero << place(choice));
                }
            }
        }
    });
    packer.finish()
}

fn receive<R: Ring>(
    keys: &mut PadKeys,
    cots: &ReceivedCots,
    choices: &[u64],
    message: &[u8],
    products: &mut [[R; 4]],
) {
    let mut unpacker = Unpacker::new(message);
    receiver_pads(keys, cots, 0..cots.t.len(), 0, CHOICES, |first, pads| {
        for (e, pads) in (first..).zip(pads.chunks_exact(CHOICES)) {
            for (choice, pad) in pads.iter().enumerate() {
                let at = e * CHOICES + choice;
                let chosen = (choices[at / 64] >> (at % 64) & 1).wrapping_neg();
                for (half, to) in products_of(choice).into_iter().enumerate() {
                    let u = unpacker.take(width::<R>(choice)) & chosen;
                    let y = ((pad >> (64 * half)) as u64).wrapping_add(u);
                    products[e][to] += R::from_u64(y << place(choice));
                }
            }
        }
    });
}

/// Truncates shares by the bits of a factor.
fn shorten<R: Ring>(
    engine: &mut Engine,
    prg: &mut Prg,
    shared: &mut [Zeroizing<Vec<R>>; 2],
) -> Result<(), PrepError> {
    let (n, me) = (engine.parties(), engine.me());
    let [cos, sin] = shared;
    let all = Zeroizing::new([&cos[..], &sin[..]].concat());
    let mut short = Zeroizing::new(Vec::with_capacity(all.len()));
    for piece in pieces(all.len()) {
        let len = piece.len();
        let numbers = Numbers::<R>::new(engine, prg, len, Some(FACTOR_BITS))?;
        let [r, w, e] = [numbers.r(), numbers.quotient(FACTOR_BITS), numbers.top(FACTOR_BITS)];
        let [r, w, e] = [r, w, e].map(Additive::from_share);
        let x = Additive::from_share(Tensor::from_vec(&[len], all[piece].to_vec()));
        let (spent, padded) = TruncationTuple { r, w, e, bits: FACTOR_BITS }.mask(&x, me);
        let mut c = padded.into_value_share();
        let message = bytemuck::cast_slice::<R, u8>(c.as_slice()).to_vec();
        let send = PerParty::from_fn(n, |p| if p == me { vec![] } else { message.clone() });
        let received = engine.exchange(send, &PerParty::from_fn(n, |_| len * R::BYTES))?;
        me.others(n).for_each(|p| add_bytes(c.as_mut_slice(), &received[p]));
        short.extend_from_slice(spent.finish(&c, me).into_value_share().as_slice());
    }
    let (short_cos, short_sin) = short.split_at(short.len() / 2);
    cos.copy_from_slice(short_cos);
    sin.copy_from_slice(short_sin);
    Ok(())
}
