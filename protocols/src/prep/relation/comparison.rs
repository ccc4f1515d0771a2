//! The relation of a comparison's bundle.

use mpc_core::bits::BitTensor;
use mpc_core::ring::Ring;
use mpc_core::tensor::Tensor;

use super::{Value, quotient_parts, ring, zip};
use crate::prefix::{Network, Product, block_product_place};
use crate::prep::comparison::{Comparison, Question};

/// The derived components, in layout order.
pub(super) fn derive<R: Ring, E>(
    spec: &Comparison,
    free: &[Value<R>],
    each: &mut impl FnMut(Value<R>) -> Result<(), E>,
) -> Result<(), E> {
    let (r, masks, network) = (free[0].ring(), free[1].bits(), spec.network::<R>());
    let r_bits = BitTensor::slice_of(r, R::BITS as usize);
    let blocks = block_products(&network, &r_bits);
    each(Value::Bits(r_bits))?;
    each(Value::Bits(blocks))?;
    each(Value::Bits(mask_products(&network, spec, masks)))?;
    if !spec.arithmetic {
        return Ok(());
    }
    let b = lanes_to_ring(free[2].bits());
    // Every row of b, one per threshold, times the same values.
    let times = |v: &[R]| Value::Ring(rows_times(&b, v));
    let rb = spec.product.then(|| times(r));
    let quotient = (spec.truncation > 0).then(|| {
        let [w, e] = quotient_parts(r, spec.truncation);
        let products = [times(w.as_slice()), times(e.as_slice())];
        [Value::Ring(w), Value::Ring(e)].into_iter().chain(products)
    });
    let payload = (spec.payloads > 0).then(|| {
        let a = free[3].ring();
        // In place, as everywhere: a vector that grows leaves copies behind.
        let mut ab = Tensor::from_vec(&[a.len()], a.to_vec());
        for row in ab.as_mut_slice().chunks_mut(spec.len.max(1)) {
            row.iter_mut().zip(b.as_slice()).for_each(|(a, &b)| *a *= b);
        }
        Value::Ring(ab)
    });
    match spec.question {
        Question::Quotient { bits } => {
            each(ring(r.iter().map(|&r| R::from_u64(r.to_u64() >> bits))))?;
            for answer in 0..2 {
                let row = answer * spec.len..(answer + 1) * spec.len;
                each(ring(b.as_slice()[row].iter().copied()))?;
            }
        }
        _ => each(Value::Ring(b))?,
    }
    let rest = rb.into_iter().chain(quotient.into_iter().flatten()).chain(payload);
    rest.into_iter().try_for_each(&mut *each)?;
    if spec.powers {
        each(zip(r, r, |r, _| r * r))?;
        each(zip(r, r, |r, _| r * r * r))?;
    }
    Ok(())
}

/// Every row of `rows` times the same values.
fn rows_times<R: Ring>(rows: &Tensor<R>, values: &[R]) -> Tensor<R> {
    let mut out = rows.clone();
    for row in out.as_mut_slice().chunks_mut(values.len().max(1)) {
        row.iter_mut().zip(values).for_each(|(r, &v)| *r *= v);
    }
    out
}

/// All lanes behind one another.
fn lanes_to_ring<R: Ring>(bits: &BitTensor) -> Tensor<R> {
    let mut out = Tensor::zeros(&[bits.lanes() * bits.len()]);
    for (lane, row) in out.as_mut_slice().chunks_mut(bits.len().max(1)).enumerate() {
        R::expand_bits(bits.lane(lane), row);
    }
    out
}

/// `out[lane] = a ∧ b`.
fn and(out: &mut BitTensor, lane: usize, a: &[u64], b: &[u64]) {
    for ((o, a), b) in out.lane_mut(lane).iter_mut().zip(a).zip(b) {
        *o = a & b;
    }
}

/// For each block, ascending, the products of its sets of two or more bits, ascending.
fn block_products(network: &Network, r_bits: &BitTensor) -> BitTensor {
    let mut out = BitTensor::zeros(network.block_products(), r_bits.len());
    let (mut lane, mut start) = (0, 0);
    for width in network.blocks() {
        let first = lane;
        for set in 1usize..1 << width {
            let top = set.ilog2();
            let rest = set ^ 1 << top;
            let bit = r_bits.lane(start + top as usize);
            match rest.count_ones() {
                0 => continue,
                1 => and(&mut out, lane, r_bits.lane(start + rest.trailing_zeros() as usize), bit),
                _ => out.and_earlier(lane, first + block_product_place(rest), bit),
            }
            lane += 1;
        }
        start += width;
    }
    out
}

/// For each threshold and level, the products of masks that are dealt.
fn mask_products(network: &Network, spec: &Comparison, masks: &BitTensor) -> BitTensor {
    let mut out = BitTensor::zeros(spec.thresholds * network.products(), spec.len);
    let (mut lane, mut wire) = (0, 0);
    for _ in 0..spec.thresholds {
        for layer in &network.layers {
            let first = lane;
            for product in &layer.products {
                match *product {
                    Product::OfWires(a, b) => and(&mut out, lane, masks.lane(wire + a), masks.lane(wire + b)),
                    Product::Longer { product, wire: w } => {
                        out.and_earlier(lane, first + product, masks.lane(wire + w));
                    }
                }
                lane += 1;
            }
            wire += layer.wires.len();
        }
    }
    out
}
