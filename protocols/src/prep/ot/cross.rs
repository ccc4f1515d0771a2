//! Products of one party's values with another's (Gilboa, *Two party RSA key generation*, CRYPTO 1999, §4.1).
//!
//! **Relation**: parties i ≠ j hold shares of d_i·b_j, b_j with the bits β_0, …, β_{k−1}: `d·b = Σ 2^e·(β_e·d)`. For every e
//! one COT whose choice is β_e gives x + y = β_e·d mod 2^{k−e}: the sender keeps x = −H(q) and sends
//! u = d + H(q) − H(q ⊕ Δ), the receiver computes y = H(t) + β_e·u. As 2^e cancels the upper bits, u has k − e bits:
//! k(k+1)/2 in all, 260 bytes for 64-bit rings. Several d share the COTs of one b; each has pads of its own.
//!
//! **Security**: u is padded, if β_e = 0, by H(q ⊕ Δ), if β_e = 1, by H(q), which the receiver does not know; it learns a
//! uniform y. The sender receives nothing here (see `engine` for the choices).

use std::ops::Range;

use mpc_core::party::PerParty;
use mpc_core::ring::Ring;
use zeroize::Zeroizing;

use super::engine::{Chosen, Engine, Pairs};
use super::packing::{Packer, Unpacker, packed_len};
use super::pads::{PadKeys, receiver_pads, sender_pads};
use crate::error::PrepError;
use crate::ot::extension::{ReceivedCots, SentCots};

/// Bytes of u of one message for each COT of a chunk, about: bounds the memory of products with long vectors.
const MESSAGE_BYTES: usize = 32;

/// Bits of u, for the bits of b from the lowest on.
pub(super) fn widths<R: Ring>() -> Vec<u32> {
    (0..R::BITS).map(|e| R::BITS - e).collect()
}

/// Which d go into one message each, if chunks have `chunk` COTs: two share a pad, and so a message.
pub(super) fn messages<R: Ring>(
    chunk: usize,
    elements: usize,
    vectors: Range<usize>,
) -> impl Iterator<Item = Range<usize>> {
    let step = (MESSAGE_BYTES * chunk / packed_len(elements, &widths::<R>()).max(1)).max(2) & !1;
    let end = vectors.end;
    let next = move |&start: &usize| Some((start - start % 2 + step).min(end)).filter(|_| start < end);
    std::iter::successors(Some(vectors.start), next)
        .take_while(move |&start| start < end)
        .map(move |start| start..(start - start % 2 + step).min(end))
}

/// Adds this party's shares of all d_i·b_j, i ≠ j, of `pairs`, b being the choices and d(v, ·) the v-th vector of this
/// party, to what `add` keeps: v, element and share. Vectors 0 and 1 share a pad, as do 2 and 3, and so on.
pub(super) fn cross<R: Ring>(
    engine: &mut Engine,
    chosen: &Chosen,
    pairs: Pairs,
    (elements, vectors): (usize, Range<usize>),
    d: &impl Fn(usize, usize) -> R,
    add: &mut impl FnMut(usize, usize, R),
) -> Result<(), PrepError> {
    let (n, me) = (engine.parties(), engine.me());
    let bytes = packed_len(elements, &widths::<R>());
    for vectors in messages::<R>(engine.chunk(), elements, vectors) {
        let send = PerParty::from_fn(n, |p| match &chosen.peers[p] {
            Some(cots) if pairs(me, p) => {
                let mut message = Vec::with_capacity(bytes * vectors.len());
                let keys = &mut engine.sent_keys(p, &cots.sent);
                for vectors in by_pad(vectors.clone()) {
                    message = send::<R>(keys, &cots.sent, vectors, d, add, message);
                }
                message
            }
            _ => vec![],
        });
        let expect = PerParty::from_fn(n, |p| if pairs(p, me) { bytes * vectors.len() } else { 0 });
        let received = engine.exchange(send, &expect)?;
        for p in me.others(n).filter(|&p| pairs(p, me)) {
            let Some(cots) = &chosen.peers[p] else { continue };
            let mut rest = &received[p][..];
            let keys = &mut engine.received_keys(p, &cots.received);
            for vectors in by_pad(vectors.clone()) {
                let (message, others) = rest.split_at(bytes * vectors.len());
                rest = others;
                receive::<R>(keys, &cots.received, &chosen.choices, (vectors, message), add);
            }
        }
    }
    Ok(())
}

/// The vectors that share a pad: two, or one of two.
fn by_pad(vectors: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let pads = vectors.start / 2..vectors.end.div_ceil(2);
    pads.map(move |pad| vectors.start.max(2 * pad)..vectors.end.min(2 * pad + 2))
}

/// Appends to the message u of the vectors of one pad, one behind the other.
fn send<R: Ring>(
    keys: &mut PadKeys,
    cots: &SentCots,
    vectors: Range<usize>,
    d: &impl Fn(usize, usize) -> R,
    add: &mut impl FnMut(usize, usize, R),
    message: Vec<u8>,
) -> Vec<u8> {
    let k = R::BITS as usize;
    let mut packers = [Packer::after(message), Packer::after(vec![])];
    sender_pads(keys, cots, 0..cots.q.len(), vectors.start / 2, k, |first, zero, one| {
        for (v, packer) in vectors.clone().zip(&mut packers) {
            let half = 64 * (v % 2);
            for ((e, zero), one) in (first..).zip(zero.chunks_exact(k)).zip(one.chunks_exact(k)) {
                let (d, mut x) = (d(v, e).to_u64(), 0u64);
                for (bit, (zero, one)) in (0..R::BITS).zip(zero.iter().zip(one)) {
                    let (zero, one) = ((zero >> half) as u64, (one >> half) as u64);
                    packer.push(d.wrapping_add(zero).wrapping_sub(one), R::BITS - bit);
                    x = x.wrapping_sub(zero << bit);
                }
                add(v, e, R::from_u64(x));
            }
        }
    });
    let [mut message, second] = packers.map(Packer::finish);
    message.extend_from_slice(&second);
    message
}

fn receive<R: Ring>(
    keys: &mut PadKeys,
    cots: &ReceivedCots,
    choices: &[u64],
    (vectors, message): (Range<usize>, &[u8]),
    add: &mut impl FnMut(usize, usize, R),
) {
    let k = R::BITS as usize;
    let b: &[R] = bytemuck::cast_slice(choices);
    let mut unpackers: Vec<_> =
        message.chunks((message.len() / vectors.len()).max(1)).map(Unpacker::new).collect();
    receiver_pads(keys, cots, 0..cots.t.len(), vectors.start / 2, k, |first, pads| {
        for (v, unpacker) in vectors.clone().zip(&mut unpackers) {
            let half = 64 * (v % 2);
            for ((e, pads), &b) in (first..).zip(pads.chunks_exact(k)).zip(&b[first..]) {
                let (b, mut y) = (b.to_u64(), 0u64);
                for (bit, pad) in (0..R::BITS).zip(pads) {
                    let chosen = (b >> bit & 1).wrapping_neg();
                    let u = unpacker.take(R::BITS - bit) & chosen;
                    y = y.wrapping_add(((pad >> half) as u64).wrapping_add(u) << bit);
                }
                add(v, e, R::from_u64(y));
            }
        }
    });
}

/// Choices as ring elements.
pub(super) fn elements<R: Ring>(choices: &Zeroizing<Vec<u64>>) -> &[R] {
    bytemuck::cast_slice(choices)
}

/// Ring elements as choices.
pub(super) fn choices<R: Ring>(elements: &[R]) -> Zeroizing<Vec<u64>> {
    let mut out = Zeroizing::new(vec![0; (elements.len() * R::BYTES).div_ceil(8)]);
    bytemuck::cast_slice_mut::<u64, R>(&mut out)[..elements.len()].copy_from_slice(elements);
    out
}
