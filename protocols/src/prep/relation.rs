//! The relation of every kind of item: its derived components as functions of its free ones. Only a dealer (and a test)
//! ever has all of these values in one place.

use mpc_core::bits::BitTensor;
use mpc_core::ring::Ring;
use mpc_core::tensor::Tensor;

use super::item::{Comparison, Item};

/// The value of one component.
pub(crate) enum Value<R: Ring> {
    Ring(Tensor<R>),
    Bits(BitTensor),
}

impl<R: Ring> Value<R> {
    pub(crate) fn into_ring(self) -> Tensor<R> {
        match self {
            Self::Ring(t) => t,
            Self::Bits(_) => unreachable!("the item's layout says that this component is ring elements"),
        }
    }

    pub(crate) fn into_bits(self) -> BitTensor {
        match self {
            Self::Bits(b) => b,
            Self::Ring(_) => unreachable!("the item's layout says that this component is bits"),
        }
    }

    fn ring(&self) -> &[R] {
        match self {
            Self::Ring(t) => t.as_slice(),
            Self::Bits(_) => unreachable!("the item's layout says that this component is ring elements"),
        }
    }

    fn bits(&self) -> &BitTensor {
        match self {
            Self::Bits(b) => b,
            Self::Ring(_) => unreachable!("the item's layout says that this component is bits"),
        }
    }
}

fn ring<R: Ring>(values: impl Iterator<Item = R>) -> Value<R> {
    let v: Vec<R> = values.collect();
    Value::Ring(Tensor::from_vec(&[v.len()], v))
}

fn zip<R: Ring>(a: &[R], b: &[R], f: impl Fn(R, R) -> R) -> Value<R> {
    ring(a.iter().zip(b).map(|(&a, &b)| f(a, b)))
}

/// All derived components of an item, in layout order, from its free ones.
pub(crate) fn derive<R: Ring>(item: &Item, free: &[Value<R>]) -> Vec<Value<R>> {
    match *item {
        Item::Triple { .. } => vec![zip(free[0].ring(), free[1].ring(), |a, b| a * b)],
        Item::Square { .. } => vec![ring(free[0].ring().iter().map(|&a| a * a))],
        Item::Dot { len, terms } => {
            let (a, b) = (free[0].ring(), free[1].ring());
            let mut c = vec![R::ZERO; len];
            for t in 0..terms {
                for (i, c) in c.iter_mut().enumerate() {
                    *c += a[t * len + i] * b[t * len + i];
                }
            }
            vec![Value::Ring(Tensor::from_vec(&[len], c))]
        }
        Item::Matmul { m, k, n } => {
            let mut c = Tensor::zeros(&[m * n]);
            R::matmul_acc(free[0].ring(), free[1].ring(), c.as_mut_slice(), m, k, n);
            vec![Value::Ring(c)]
        }
        Item::Truncation { bits, .. } => {
            let r = free[0].ring();
            vec![
                ring(r.iter().map(|&r| R::from_i64(r.to_i64() >> bits))),
                ring(r.iter().map(|&r| R::from_u64(r.to_u64() >> (R::BITS - 1)))),
            ]
        }
        Item::DaBits { .. } => vec![Value::Ring(free[0].bits().lane_to_ring(0))],
        Item::Comparison(spec) => derive_comparison(&spec, free),
    }
}

fn derive_comparison<R: Ring>(spec: &Comparison, free: &[Value<R>]) -> Vec<Value<R>> {
    let (r, masks) = (free[0].ring(), free[1].bits());
    let r_bits = BitTensor::slice_of(r, R::BITS as usize);
    let mut out =
        vec![Value::Bits(block_products::<R>(spec, &r_bits)), Value::Bits(tree_products::<R>(spec, masks))];
    out.insert(0, Value::Bits(r_bits));
    if spec.arithmetic {
        let b = free[2].bits();
        let rows: Vec<Tensor<R>> = (0..spec.trees).map(|t| b.lane_to_ring(t)).collect();
        let b = Tensor::concat(0, &rows.iter().collect::<Vec<_>>());
        if spec.product {
            let rb = zip(r, b.as_slice(), |r, b| r * b);
            out.extend([Value::Ring(b), rb]);
        } else {
            out.push(Value::Ring(b));
        }
    }
    if spec.powers {
        out.push(ring(r.iter().map(|&r| r * r)));
        out.push(ring(r.iter().map(|&r| r * r * r)));
    }
    out
}

/// `out[lane] = ∏_{i ∈ set} src[first + i]`, from the product of a smaller set where that is already there.
fn and_lanes(out: &mut BitTensor, lane: usize, src: &BitTensor, first: usize, set: u32) {
    let mut members = (0..32).filter(|i| set >> i & 1 == 1);
    let head = members.next().expect("products have two or more factors");
    out.lane_mut(lane).copy_from_slice(src.lane(first + head));
    for i in members {
        for (a, b) in out.lane_mut(lane).iter_mut().zip(src.lane(first + i)) {
            *a &= b;
        }
    }
}

/// For each block of the bits below the sign, ascending, the products of its sets of two or more bits, ascending.
fn block_products<R: Ring>(spec: &Comparison, r_bits: &BitTensor) -> BitTensor {
    let bits = R::BITS as usize - 1;
    let mut out = BitTensor::zeros(spec.block_products::<R>(), spec.len);
    let mut lane = 0;
    for start in (0..bits).step_by(spec.block) {
        for set in 1u32..1 << spec.block.min(bits - start) {
            if set.count_ones() >= 2 {
                and_lanes(&mut out, lane, r_bits, start, set);
                lane += 1;
            }
        }
    }
    out
}

/// For each tree and node, the products of masks that the node's formula needs.
fn tree_products<R: Ring>(spec: &Comparison, masks: &BitTensor) -> BitTensor {
    let shape = spec.tree::<R>();
    let mut out = BitTensor::zeros(spec.trees * shape.products(), spec.len);
    let (mut lane, mut wire) = (0, 0);
    for _ in 0..spec.trees {
        for node in shape.nodes() {
            for &set in node.product_sets() {
                and_lanes(&mut out, lane, masks, wire, set);
                lane += 1;
            }
            wire += node.wires();
        }
    }
    out
}
