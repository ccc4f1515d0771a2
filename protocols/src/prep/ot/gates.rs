//! ANDs of bits that are shared by XOR, level by level (Goldreich, Micali, Wigderson, STOC 1987).
//!
//! **Relation**: `x·y = ⊕_i x_i·y_i ⊕ ⊕_{i≠j} x_i·y_j`. For x_i·y_j party i is the sender and j the receiver of one COT, hashed to
//! a random OT of bits: the sender has m_0, m_1, the receiver c and m_c. The receiver sends e = c ⊕ y_j, after which m_0 and
//! m_1 change places where e is set; the sender sends f = m_0 ⊕ m_1 ⊕ x_i; the shares are m_0 and m_c ⊕ y_j·f. Neither waits for
//! the other, so a level is one round, and needs no opening of masked inputs as with triples (Beaver; Asharov, Lindell,
//! Schneider, Zohner, CCS 2013, §5): as many bits for two parties, fewer for more.
//!
//! Departs from those: all products that have the factor y share its COT and its e, and take a bit of the pad each (and
//! another pad after 128 products). A network's products and those of a block's bits therefore take one COT per element for each bit
//! that is the last factor of any product, whatever the tree's shape: about one per leaf.
//!
//! **Security**: e is padded by c, f by m_0 ⊕ m_1, of which the receiver knows one. The sender's share m_0 is uniform to the
//! receiver, who knows m_c. COTs belong to one factor of one item, pads and their bits to one product.
//!
//! **Cost**: to each peer a bit per element for each factor that is chosen and for each product; a round per level.

use std::ops::Range;

use mpc_core::bits::{BitTensor, lane_words, packed_bytes};
use mpc_core::fixed_key::Block;
use mpc_core::party::{PartyId, PerParty};
use mpc_core::ring::{Ring, Z64};
use zeroize::Zeroizing;

use super::circuit::Circuit;
use super::engine::{Engine, counts, every_pair};
use super::pads::{PadKeys, receiver_pads, sender_pads};
use crate::error::PrepError;
use crate::ot::extension::PairCots;

/// Products that take their bits from one pad.
const PAD_BITS: usize = 128;

/// Products that are made at a time: 32 MiB of bits, three times, with each peer.
pub(super) const PRODUCTS: usize = 1 << 28;

/// Random OTs of bits with one peer, a lane per choice or product.
struct Random {
    choice: BitTensor,
    chosen: BitTensor,
    zero: BitTensor,
    both: BitTensor,
}

mpc_core::secret_types!(Random);

/// Evaluates the gates on this party's shares, about so many products at a time.
pub(super) fn evaluate(
    engine: &mut Engine,
    circuit: &Circuit,
    lanes: &mut BitTensor,
    products: usize,
) -> Result<(), PrepError> {
    let len = lanes.len();
    if circuit.is_empty() {
        return Ok(());
    }
    for elements in circuit.slices(len, products) {
        if elements.len() == len {
            return evaluate_slice(engine, circuit, lanes);
        }
        let words = elements.start / 64..elements.end.div_ceil(64);
        let mut slice = BitTensor::zeros(lanes.lanes(), elements.len());
        for lane in 0..lanes.lanes() {
            slice.lane_mut(lane).copy_from_slice(&lanes.lane(lane)[words.clone()]);
        }
        evaluate_slice(engine, circuit, &mut slice)?;
        for gate in &circuit.gates {
            lanes.lane_mut(gate.out)[words.clone()].copy_from_slice(slice.lane(gate.out));
        }
    }
    Ok(())
}

fn evaluate_slice(engine: &mut Engine, circuit: &Circuit, lanes: &mut BitTensor) -> Result<(), PrepError> {
    let (n, me, len) = (engine.parties(), engine.me(), lanes.len());
    let mut random = random_ots(engine, circuit, len)?;
    for (round, level) in circuit.levels.iter().enumerate() {
        let choices = if round == 0 { circuit.choices.len() } else { 0 };
        let send = PerParty::from_fn(n, |p| match &random[p] {
            Some(ots) => message(circuit, level, choices, lanes, ots),
            None => vec![],
        });
        let [e_bytes, f_bytes] = [choices, level.len()].map(|lanes| packed_bytes(lanes, len));
        let expect = PerParty::from_fn(n, |p| if p == me { 0 } else { e_bytes + f_bytes });
        let received = engine.exchange(send, &expect)?;
        let mut sums = vec![];
        for p in me.others(n) {
            let (e, f) = received[p].split_at(e_bytes);
            if let (0, Some(ots)) = (round, &mut random[p]) {
                exchange_places(circuit, ots, &unpack(choices, len, e, p)?);
            }
            sums.push((p, unpack(level.len(), len, f, p)?));
        }
        let peers: Vec<_> = sums.into_iter().filter_map(|(p, f)| Some((random[p].as_ref()?, f))).collect();
        finish(circuit, level, lanes, &peers);
    }
    Ok(())
}

fn unpack(lanes: usize, len: usize, bytes: &[u8], peer: PartyId) -> Result<BitTensor, PrepError> {
    BitTensor::unpack(lanes, len, bytes).ok_or(PrepError::Padding { peer })
}

/// e of all choices in the first round, f of a level's products.
fn message(circuit: &Circuit, level: &[usize], choices: usize, lanes: &BitTensor, ots: &Random) -> Vec<u8> {
    let len = lanes.len();
    let (mut e, mut f) = (BitTensor::zeros(choices, len), BitTensor::zeros(level.len(), len));
    for (i, &lane) in circuit.choices[..choices].iter().enumerate() {
        xor_into(e.lane_mut(i), &[ots.choice.lane(i), lanes.lane(lane)]);
    }
    for (i, &place) in level.iter().enumerate() {
        xor_into(f.lane_mut(i), &[ots.both.lane(place), lanes.lane(circuit.gates[place].operand)]);
    }
    let mut out = vec![];
    e.pack_into(&mut out);
    f.pack_into(&mut out);
    out
}

fn xor_into(out: &mut [u64], terms: &[&[u64]]) {
    for term in terms {
        out.iter_mut().zip(*term).for_each(|(o, t)| *o ^= t);
    }
}

/// m_0 becomes m_1 where e is set.
fn exchange_places(circuit: &Circuit, ots: &mut Random, e: &BitTensor) {
    for (choice, products) in circuit.first.windows(2).enumerate() {
        for place in products[0]..products[1] {
            let both = ots.both.lane(place);
            for ((zero, e), both) in ots.zero.lane_mut(place).iter_mut().zip(e.lane(choice)).zip(both) {
                *zero ^= e & both;
            }
        }
    }
}

/// This party's own products, and with every peer m_0 as the sender and m_c ⊕ y·f as the receiver.
fn finish(circuit: &Circuit, level: &[usize], lanes: &mut BitTensor, peers: &[(&Random, BitTensor)]) {
    let mut share = Zeroizing::new(vec![0; lane_words(lanes.len())]);
    for (i, &place) in level.iter().enumerate() {
        let gate = circuit.gates[place];
        // y·(x ⊕ f_1 ⊕ f_2 ⊕ …) ⊕ m_0 ⊕ m_c for every peer.
        share.copy_from_slice(lanes.lane(gate.operand));
        peers.iter().for_each(|(_, f)| xor_into(&mut share, &[f.lane(i)]));
        share.iter_mut().zip(lanes.lane(gate.choice)).for_each(|(s, y)| *s &= y);
        peers
            .iter()
            .for_each(|(ots, _)| xor_into(&mut share, &[ots.zero.lane(place), ots.chosen.lane(place)]));
        lanes.lane_mut(gate.out).copy_from_slice(&share);
    }
}

/// The random OTs of all products with all peers.
fn random_ots(
    engine: &mut Engine,
    circuit: &Circuit,
    len: usize,
) -> Result<PerParty<Option<Random>>, PrepError> {
    let (n, me) = (engine.parties(), engine.me());
    let products = |_| BitTensor::zeros(circuit.gates.len(), len);
    let mut out = PerParty::from_fn(n, |p| {
        let [chosen, zero, both] = [0, 1, 2].map(products);
        (p != me).then(|| Random { choice: BitTensor::zeros(circuit.choices.len(), len), chosen, zero, both })
    });
    for [rows, columns] in circuit.chunks(len, engine.chunk()) {
        let count = rows.len() * columns.len();
        let made = engine.extend(&counts(every_pair, n, me, count))?;
        for p in me.others(n) {
            if let (Some(ots), Some(cots)) = (&mut out[p], &made[p]) {
                let keys = [engine.sent_keys(p, &cots.sent), engine.received_keys(p, &cots.received)];
                fill(keys, circuit, cots, (&rows, &columns), ots);
            }
        }
    }
    Ok(out)
}

/// Hashes the COTs of a chunk, `columns.len()` for each choice, to bits.
fn fill(
    [mut sent, mut received]: [PadKeys; 2],
    circuit: &Circuit,
    cots: &PairCots,
    (rows, columns): (&Range<usize>, &Range<usize>),
    out: &mut Random,
) {
    let len = columns.len();
    let words = columns.start / 64..columns.start / 64 + lane_words(len);
    let bytes: &[u8] = bytemuck::cast_slice(&cots.received.choices);
    // Without them, the factors that they pad would be sent as they are.
    let choices = BitTensor::unpack(rows.len(), len, &bytes[..packed_bytes(rows.len(), len)])
        .expect("invariant: choices past the last are zero");
    for (i, row) in rows.clone().enumerate() {
        out.choice.lane_mut(row)[words.clone()].copy_from_slice(choices.lane(i));
    }
    let mut tile = Tile::default();
    for (i, row) in rows.clone().enumerate() {
        let pads = i * len..(i + 1) * len;
        let products = circuit.first[row]..circuit.first[row + 1];
        for (counter, first) in products.clone().step_by(PAD_BITS).enumerate() {
            let lanes = first..products.end.min(first + PAD_BITS);
            sender_pads(&mut sent, &cots.sent, pads.clone(), counter, 1, |at, zero, one| {
                let word = words.start + at / 64;
                tile.slice(zero.iter().copied(), &mut out.zero, &lanes, word);
                tile.slice(zero.iter().zip(one).map(|(z, o)| z ^ o), &mut out.both, &lanes, word);
            });
            receiver_pads(&mut received, &cots.received, pads.clone(), counter, 1, |at, chosen| {
                tile.slice(chosen.iter().copied(), &mut out.chosen, &lanes, words.start + at / 64);
            });
        }
    }
}

/// Memory to take pads apart in.
#[derive(Default)]
struct Tile {
    words: Zeroizing<Vec<Z64>>,
    lanes: Zeroizing<Vec<u64>>,
}

mpc_core::secret_types!(Tile);

impl Tile {
    /// Bit i of every pad to the i-th of these lanes, from a word on.
    fn slice(
        &mut self,
        pads: impl Iterator<Item = Block> + Clone,
        out: &mut BitTensor,
        lanes: &Range<usize>,
        word: usize,
    ) {
        for (half, lane) in lanes.clone().step_by(64).enumerate() {
            let bits = (lanes.end - lane).min(64);
            self.words.clear();
            self.words.extend(pads.clone().map(|pad| Z64((pad >> (64 * half)) as u64)));
            let width = lane_words(self.words.len());
            // Of its full size from the first on: what grows leaves a copy behind.
            let room = (64 * width).max(self.lanes.len());
            self.lanes.resize(room, 0);
            Z64::bit_slice(&self.words, &mut self.lanes[..bits * width], width, bits);
            for (i, bits) in self.lanes[..bits * width].chunks_exact(width).enumerate() {
                out.lane_mut(lane + i)[word..word + width].copy_from_slice(bits);
            }
        }
    }
}
