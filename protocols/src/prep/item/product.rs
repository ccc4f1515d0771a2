//! Products: bilinear maps of two tensors, and which of their factors is given.

use mpc_core::conv::{ConvShape, conv_acc};
use mpc_core::ring::Ring;
use mpc_core::tensor::elements;
use mpc_core::wire::Decoder;

use super::{MAX_PRODUCTS, conv, size, within};
use crate::prep::demand::DemandError;

/// A bilinear map of two tensors.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum Bilinear {
    /// Element by element.
    Elements {
        /// How many.
        len: usize,
    },
    /// So many products of an m×k by a k×n matrix, one behind the other.
    Matmuls {
        /// How many.
        count: usize,
        /// m, k and n.
        dims: [usize; 3],
    },
    /// Images by a kernel.
    Conv(ConvShape),
}

impl Bilinear {
    /// The shapes of the left factor, of the right one, and of the product. A single matrix has no axis for how many there are.
    #[must_use]
    pub fn shapes(&self) -> [Vec<usize>; 3] {
        match *self {
            Self::Elements { len } => [0; 3].map(|_| vec![len]),
            Self::Matmuls { count, dims: [m, k, n] } => [[m, k], [k, n], [m, n]].map(|matrix| match count {
                1 => matrix.to_vec(),
                _ => [&[count], &matrix[..]].concat(),
            }),
            Self::Conv(shape) => [shape.input(), shape.kernel(), shape.output()].map(Vec::from),
        }
    }

    /// Multiplications.
    #[must_use]
    pub fn products(&self) -> u128 {
        match *self {
            Self::Elements { len } => len as u128,
            Self::Matmuls { count, dims: [m, k, n] } => {
                [count, m, k, n].iter().fold(1, |p: u128, &f| p.saturating_mul(f as u128))
            }
            Self::Conv(shape) => shape.products(),
        }
    }

    /// Whether all sizes are within the limits of an item.
    pub(super) fn is_sane(&self) -> bool {
        let countable = !matches!(*self, Self::Matmuls { count, .. } if !within(&[count]));
        countable && self.shapes().iter().all(|s| within(s)) && self.products() <= MAX_PRODUCTS
    }

    /// Adds the map's value to `out`.
    pub(crate) fn add<R: Ring>(&self, a: &[R], b: &[R], out: &mut [R]) {
        match *self {
            Self::Elements { .. } => {
                out.iter_mut().zip(a.iter().zip(b)).for_each(|(z, (&a, &b))| *z += a * b)
            }
            Self::Conv(shape) => conv_acc(&shape, a, b, out),
            Self::Matmuls { count, dims: [m, k, n] } => {
                assert!(a.len() == count * m * k && b.len() == count * k * n && out.len() == count * m * n);
                for i in 0..count {
                    let (a, b) = (&a[i * m * k..][..m * k], &b[i * k * n..][..k * n]);
                    R::matmul_acc(a, b, &mut out[i * m * n..][..m * n], m, k, n);
                }
            }
        }
    }
}

/// A product one factor of which is given.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct Product {
    /// The map.
    pub map: Bilinear,
    /// Whether the given factor is the right one.
    pub right: bool,
}

impl Product {
    /// With a given left factor.
    #[must_use]
    pub const fn of_left(map: Bilinear) -> Self {
        Self { map, right: false }
    }

    /// With a given right factor.
    #[must_use]
    pub const fn of_right(map: Bilinear) -> Self {
        Self { map, right: true }
    }

    /// The shapes of the given factor, of the other one, and of the product.
    #[must_use]
    pub fn shapes(&self) -> [Vec<usize>; 3] {
        let [a, b, c] = self.map.shapes();
        let [given, other] = self.ordered([a, b]);
        [given, other, c]
    }

    /// The left and the right factor from the given and the other one, or the other way around.
    pub(crate) fn ordered<T>(&self, [given, other]: [T; 2]) -> [T; 2] {
        if self.right { [other, given] } else { [given, other] }
    }

    /// Elements of the factor that is not given, and of the product.
    pub(super) fn sizes(&self) -> [usize; 2] {
        let [_, other, product] = self.shapes();
        [elements(&other), elements(&product)]
    }

    pub(super) fn numbers(&self) -> Vec<usize> {
        let map = match self.map {
            Bilinear::Elements { len } => vec![0, len],
            Bilinear::Matmuls { count, dims: [m, k, n] } => vec![1, count, m, k, n],
            Bilinear::Conv(shape) => [&[2], &conv::numbers(&shape)[..]].concat(),
        };
        [&[usize::from(self.right)], &map[..]].concat()
    }

    pub(super) fn decode(d: &mut Decoder<'_>) -> Result<Self, DemandError> {
        let right = match size(d)? {
            0 => false,
            1 => true,
            _ => return Err(DemandError::Insane),
        };
        let map = match size(d)? {
            0 => Bilinear::Elements { len: size(d)? },
            1 => Bilinear::Matmuls { count: size(d)?, dims: [size(d)?, size(d)?, size(d)?] },
            2 => Bilinear::Conv(conv::decode(d)?),
            _ => return Err(DemandError::Insane),
        };
        Ok(Self { map, right })
    }
}
