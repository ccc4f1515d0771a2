//! The relation of every kind of item: its derived components as functions of its free ones. Only a dealer (and a test)
//! ever has all of these values in one place.

use mpc_core::bits::BitTensor;
use mpc_core::ring::Ring;
use mpc_core::tensor::{Tensor, elements};

use super::item::{Bilinear, Item, Product, SINE_BITS};
use crate::circle::{POINT_BITS, Point};

mod comparison;

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

    pub(crate) fn ring(&self) -> &[R] {
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

/// Hands all derived components of an item over, in layout order and as they are made, from its free ones. Those of a
/// product with a part of a mask are that part and B.
///
/// # Errors
/// Whatever `each` fails with.
pub(crate) fn derive<R: Ring, E>(
    item: &Item,
    free: &[Value<R>],
    mut each: impl FnMut(Value<R>) -> Result<(), E>,
) -> Result<(), E> {
    match *item {
        Item::Triple { .. } => each(zip(free[0].ring(), free[1].ring(), |a, b| a * b)),
        Item::Square { .. } => each(ring(free[0].ring().iter().map(|&a| a * a))),
        Item::Dot { len, terms } => {
            let (a, b) = (free[0].ring(), free[1].ring());
            let mut c = vec![R::ZERO; len];
            for t in 0..terms {
                let factors = a[t * len..][..len].iter().zip(&b[t * len..][..len]);
                for (c, (&a, &b)) in c.iter_mut().zip(factors) {
                    *c += a * b;
                }
            }
            each(Value::Ring(Tensor::from_vec(&[len], c)))
        }
        Item::Matmul { m, k, n } => each(product(free, m, k, n)),
        Item::Mask { .. } => Ok(()),
        Item::Given { product, .. } => each(image(product, free)),
        Item::Conv(shape) => each(image(Product::of_left(Bilinear::Conv(shape)), free)),
        Item::BatchMatmul { count, m, k, n } => {
            each(image(Product::of_left(Bilinear::Matmuls { count, dims: [m, k, n] }), free))
        }
        Item::Truncation { bits, .. } => {
            quotient_parts(free[0].ring(), bits).into_iter().try_for_each(|part| each(Value::Ring(part)))
        }
        Item::DaBits { .. } => each(Value::Ring(free[0].bits().lane_to_ring(0))),
        Item::Angles { bits, multiples, .. } => each(sines(free[0].ring(), bits, multiples)),
        Item::Comparison(spec) => comparison::derive(&spec, free, &mut each),
    }
}

/// cos r, sin r, cos 2r, sin 2r, …, a row of each. Bits of r above the angle's are not looked at.
fn sines<R: Ring>(r: &[R], bits: u32, multiples: usize) -> Value<R> {
    let len = r.len();
    let mut rows = vec![R::ZERO; 2 * multiples * len];
    for (i, &r) in r.iter().enumerate() {
        let first = Point::of(r, bits);
        let points = std::iter::successors(Some(first), |p| Some(p.turned(first)));
        for (k, point) in points.take(multiples).enumerate() {
            for (row, of) in [(2 * k, point.cos), (2 * k + 1, point.sin)] {
                rows[row * len + i] = R::from_i64(of << (SINE_BITS - POINT_BITS));
            }
        }
    }
    Value::Ring(Tensor::from_vec(&[rows.len()], rows))
}

fn product<R: Ring>(free: &[Value<R>], m: usize, k: usize, n: usize) -> Value<R> {
    let mut c = Tensor::zeros(&[m * n]);
    R::matmul_acc(free[0].ring(), free[1].ring(), c.as_mut_slice(), m, k, n);
    Value::Ring(c)
}

/// A product of two factors, of which the given one comes first.
fn image<R: Ring>(product: Product, free: &[Value<R>]) -> Value<R> {
    let mut c = Tensor::zeros(&[elements(&product.shapes()[2])]);
    let [left, right] = product.ordered([free[0].ring(), free[1].ring()]);
    product.map.add(left, right, c.as_mut_slice());
    Value::Ring(c)
}

/// W = ⌊signed(r)/2^f⌋ and E, the top bit of r.
fn quotient_parts<R: Ring>(r: &[R], f: u32) -> [Tensor<R>; 2] {
    let all = |part: fn(R, u32) -> R| Tensor::from_vec(&[r.len()], r.iter().map(|&r| part(r, f)).collect());
    [all(|r, f| R::from_i64(r.to_i64() >> f)), all(|r, _| R::from_u64(r.to_u64() >> (R::BITS - 1)))]
}
