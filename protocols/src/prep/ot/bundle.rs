//! The bundle of a comparison, component by component.
//!
//! r, its bits and the parts of its quotient are those of `numbers`; the masks are uniform; products of bits are `gates`, all of
//! them in one circuit; b is uniform, and `scale` multiplies by it.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use mpc_core::bits::BitTensor;
use mpc_core::prg::Prg;
use mpc_core::ring::Ring;
use mpc_core::tensor::Tensor;
use zeroize::Zeroizing;

use super::circuit::{Circuit, Gate};
use super::engine::Engine;
use super::gates::{PRODUCTS, evaluate};
use super::numbers::Numbers;
use super::products::powers;
use super::scale::{Factor, Scaling, scale};
use crate::correlation::low_bits;
use crate::error::PrepError;
use crate::prefix::{Network, Product, block_product_place};
use crate::prep::comparison::{Comparison, Question};
use crate::prep::relation::Value;
use crate::tree::TreeChoice;

/// By how many bits the numbers of a comparison are shifted.
pub(super) const fn shift(spec: &Comparison) -> Option<u32> {
    match spec.question {
        Question::Quotient { bits } => Some(bits),
        _ if spec.truncation > 0 => Some(spec.truncation),
        _ => None,
    }
}

/// All products of bits. The lanes are those of r, the masks, the products in blocks and the products of masks. It is a function
/// of few small arguments, so it is made once.
pub(super) fn circuit<R: Ring>(spec: &Comparison) -> Arc<Circuit> {
    type Made = Mutex<HashMap<(u32, Question, TreeChoice, usize), Arc<Circuit>>>;
    static MADE: LazyLock<Made> = LazyLock::new(Default::default);
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (R::BITS, spec.question, spec.tree, spec.thresholds);
    Arc::clone(made.entry(key).or_insert_with(|| Arc::new(make_circuit::<R>(spec))))
}

fn make_circuit<R: Ring>(spec: &Comparison) -> Circuit {
    let network = spec.network::<R>();
    let masks = R::BITS as usize;
    let blocks = masks + spec.thresholds * network.wires();
    let mut gates = block_gates(&network, blocks);
    let (mut first, mut wire) = (blocks + network.block_products(), masks);
    for layer in (0..spec.thresholds).flat_map(|_| &network.layers) {
        gates.extend((first..).zip(&layer.products).map(|(out, product)| match *product {
            Product::OfWires(a, b) => Gate { choice: wire + b, operand: wire + a, out },
            Product::Longer { product, wire: w } => Gate { choice: wire + w, operand: first + product, out },
        }));
        first += layer.products.len();
        wire += layer.wires.len();
    }
    Circuit::new(&gates)
}

/// The products of two or more bits of every block, in the lanes from `out` on.
fn block_gates(network: &Network, mut out: usize) -> Vec<Gate> {
    let (mut gates, mut start) = (vec![], 0);
    for width in network.blocks() {
        let first = out;
        for set in (1usize..1 << width).filter(|set| set.count_ones() >= 2) {
            let top = set.ilog2() as usize;
            let rest = set ^ 1 << top;
            let operand = match rest.count_ones() {
                1 => start + rest.trailing_zeros() as usize,
                _ => first + block_product_place(rest),
            };
            gates.push(Gate { choice: start + top, operand, out });
            out += 1;
        }
        start += width;
    }
    gates
}

/// Bits of b for each group of answers whose ring elements have one width.
pub(super) fn answer_groups<R: Ring>(spec: &Comparison) -> Vec<(usize, u32)> {
    match spec.question {
        Question::Quotient { bits } => vec![(1, R::BITS), (1, bits)],
        _ => vec![(spec.answers::<R>(), R::BITS)],
    }
}

/// This party's shares.
pub(super) fn comparison<R: Ring>(
    engine: &mut Engine,
    prg: &mut Prg,
    spec: &Comparison,
) -> Result<Vec<Value<R>>, PrepError> {
    let (len, network) = (spec.len, spec.network::<R>());
    let numbers = Numbers::<R>::new(engine, prg, len, shift(spec))?;
    let masks = prg.bits(spec.thresholds * network.wires(), len);
    let products = network.block_products();
    let mut lanes = BitTensor::zeros(
        R::BITS as usize + masks.lanes() + products + spec.thresholds * network.products(),
        len,
    );
    copy_lanes(&numbers.bits, 0, &mut lanes, 0, R::BITS as usize);
    copy_lanes(&masks, 0, &mut lanes, R::BITS as usize, masks.lanes());
    evaluate(engine, &circuit::<R>(spec), &mut lanes, PRODUCTS)?;
    let first = R::BITS as usize + masks.lanes();
    let part = |from, count| {
        let mut out = BitTensor::zeros(count, len);
        copy_lanes(&lanes, from, &mut out, 0, count);
        Value::Bits(out)
    };
    let r = numbers.r();
    let (blocks, of_masks) =
        (part(first, products), part(first + products, lanes.lanes() - first - products));
    let mut out =
        vec![Value::Ring(r.clone()), part(0, R::BITS as usize), blocks, Value::Bits(masks), of_masks];
    drop(lanes);
    if spec.arithmetic {
        arithmetic(engine, prg, spec, &numbers, &r, &mut out)?;
    }
    if spec.powers {
        out.extend(powers(engine, prg, r.as_slice())?.map(Value::Ring));
    }
    Ok(out)
}

fn copy_lanes(from: &BitTensor, first: usize, to: &mut BitTensor, at: usize, count: usize) {
    for i in 0..count {
        to.lane_mut(at + i).copy_from_slice(from.lane(first + i));
    }
}

/// What is multiplied by b beside 1, with the bits that are wanted of it.
pub(super) fn factors<R: Ring>(spec: &Comparison) -> Vec<u32> {
    let mut out = vec![];
    if spec.product {
        out.push(R::BITS);
    }
    if spec.truncation > 0 {
        out.extend([R::BITS, spec.truncation]);
    }
    out.extend(std::iter::repeat_n(R::BITS, spec.payloads));
    out
}

/// b and everything that is multiplied by it.
fn arithmetic<R: Ring>(
    engine: &mut Engine,
    prg: &mut Prg,
    spec: &Comparison,
    numbers: &Numbers<R>,
    r: &Tensor<R>,
    out: &mut Vec<Value<R>>,
) -> Result<(), PrepError> {
    let (len, f) = (spec.len, spec.truncation);
    let quotient = (f > 0).then(|| [numbers.quotient(f), numbers.top(f)]);
    let payload = prg.tensor::<R>(&[spec.payloads * len]);
    let mut shared: Vec<&[R]> = vec![];
    shared.extend(spec.product.then_some(r.as_slice()));
    shared.extend(quotient.iter().flatten().map(Tensor::as_slice));
    shared.extend(payload.as_slice().chunks(len.max(1)));

    let b = prg.bits(spec.answers::<R>(), len);
    let (mut products, mut lane) = (vec![], 0);
    for (lanes, width) in answer_groups::<R>(spec) {
        let mut group = BitTensor::zeros(lanes, len);
        copy_lanes(&b, lane, &mut group, 0, lanes);
        lane += lanes;
        let one = [width];
        let widths = factors::<R>(spec);
        let mut scalings = vec![Scaling { factor: Factor::One, bits: &one }];
        scalings.extend(
            shared
                .iter()
                .zip(&widths)
                .map(|(y, bits)| Scaling { factor: Factor::Shared(y), bits: std::slice::from_ref(bits) }),
        );
        products.push(scale::<R>(engine, prg, Some(&packed(&group)), lanes * len, &scalings)?.products);
    }
    out.push(Value::Bits(b));
    if let Question::Quotient { bits } = spec.question {
        out.push(Value::Ring(numbers.shifted(bits)));
        let mut rows = products.into_iter().flatten();
        out.extend(rows.next().map(Value::Ring));
        out.extend(rows.next().map(|row| Value::Ring(low_bits(row, bits))));
        return Ok(());
    }
    let mut rows = products.into_iter().flatten();
    out.extend(rows.next().map(Value::Ring));
    if spec.product {
        out.extend(rows.next().map(Value::Ring));
    }
    if let Some(quotient) = quotient {
        out.extend(quotient.map(Value::Ring));
        out.extend(rows.next().map(Value::Ring));
        out.extend(rows.next().map(|row| Value::Ring(low_bits(row, f))));
    }
    if spec.payloads > 0 {
        let mut all = Tensor::zeros(&[spec.payloads * len]);
        for (out, row) in all.as_mut_slice().chunks_mut(len.max(1)).zip(rows) {
            out.copy_from_slice(row.as_slice());
        }
        out.extend([Value::Ring(payload), Value::Ring(all)]);
    }
    Ok(())
}

/// Lanes behind one another without gaps, as choices.
pub(super) fn packed(lanes: &BitTensor) -> Zeroizing<Vec<u64>> {
    let mut bytes =
        Zeroizing::new(Vec::with_capacity(mpc_core::bits::packed_bytes(lanes.lanes(), lanes.len()) + 8));
    lanes.pack_into(&mut bytes);
    let mut words = Zeroizing::new(vec![0u64; bytes.len().div_ceil(8)]);
    bytemuck::cast_slice_mut(&mut words)[..bytes.len()].copy_from_slice(&bytes);
    words
}
