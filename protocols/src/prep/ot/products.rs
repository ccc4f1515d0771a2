//! Triples, squares, inner products and products of matrices.
//!
//! The sum of all parties' shares times that of all others is every party's own product and, for every two, the cross terms
//! of `cross`. A uniform factor is the choices that the COTs come with.
//! - Triple, and each term of an inner product: a_i·b_j of every party with every other. Square: 2·a_i·a_j of every two.
//! - Matrices m×k and k×n: the bits of the smaller factor are the choices; each COT of A's element (r, t) serves all of row t of
//!   B, or each of B's (t, s) all of column t of A. Of several products the COTs are made together.
//! - Convolutions, which are sums of products of the kernel's elements by windows: the bits of B are the choices; each COT of an
//!   element serves the elements below it in all windows, zeros beyond the images included, and each product is added to its
//!   element of C.
//!
//! **Cost** per 64-bit triple, n = 2: 64 COTs and 260 bytes in each direction; a square half of that. A matrix product: 64·k·min(m, n)
//! COTs and 260·m·k·n bytes in each direction. A convolution of w windows, in all images, by a kernel of |B| elements: 64·|B| COTs and
//! 260·w·|B| bytes in each direction; an element of C costs 260 bytes for each element of a window.

use mpc_core::conv::{ConvShape, conv_acc};
use mpc_core::prg::Prg;
use mpc_core::ring::Ring;
use mpc_core::tensor::Tensor;

use super::cross::{choices, cross, elements};
use super::engine::{Engine, every_pair, one_of_two};
use crate::error::PrepError;
use crate::prep::Bilinear;

/// Ranges of elements whose COTs are made at a time, if there are `chunk` of these.
pub(super) fn chunks<R: Ring>(chunk: usize, len: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let step = chunk / R::BITS as usize;
    (0..len).step_by(step).map(move |start| start..len.min(start + step))
}

/// This party's share of a factor that is there already.
pub(super) struct Given<R: Ring> {
    /// Whether it is the right one.
    pub(super) right: bool,
    pub(super) value: Tensor<R>,
}

mpc_core::secret_types!(Given<mpc_core::ring::Z64>);

impl<R: Ring> Given<R> {
    /// The left factor, or the right one, if that is given.
    fn factor(given: Option<&Self>, right: bool) -> Option<&Tensor<R>> {
        given.filter(|g| g.right == right).map(|g| &g.value)
    }
}

/// a, b, and c_i = Σ_t a_{t,i}·b_{t,i}; the choices are those of the factor that is not given.
pub(super) fn inner<R: Ring>(
    engine: &mut Engine,
    prg: &mut Prg,
    len: usize,
    terms: usize,
    given: Option<&Given<R>>,
) -> Result<[Tensor<R>; 3], PrepError> {
    let a = match given {
        Some(given) => given.value.clone().reshape(&[terms * len]),
        None => prg.tensor::<R>(&[terms * len]),
    };
    let [mut b, mut c] = [terms * len, len].map(|len| Tensor::zeros(&[len]));
    for chunk in chunks::<R>(engine.chunk(), terms * len) {
        let (count, a) = (chunk.len(), &a.as_slice()[chunk.clone()]);
        let chosen = engine.choose(every_pair, count * R::BITS as usize, None, prg)?;
        let own = &elements::<R>(&chosen.choices)[..count];
        b.as_mut_slice()[chunk.clone()].copy_from_slice(own);
        let c = c.as_mut_slice();
        let mut add = |_, i: usize, x| c[(chunk.start + i) % len] += x;
        a.iter().zip(own).enumerate().for_each(|(i, (&a, &b))| add(0, i, a * b));
        cross(engine, &chosen, every_pair, (count, 0..1), &|_, i| a[i], &mut add)?;
    }
    Ok(if given.is_some_and(|g| g.right) { [b, a, c] } else { [a, b, c] })
}

/// a and c = a².
pub(super) fn square<R: Ring>(
    engine: &mut Engine,
    prg: &mut Prg,
    len: usize,
) -> Result<[Tensor<R>; 2], PrepError> {
    let [mut a, mut c] = [0; 2].map(|_| Tensor::zeros(&[len]));
    for chunk in chunks::<R>(engine.chunk(), len) {
        let chosen = engine.choose(one_of_two, chunk.len() * R::BITS as usize, None, prg)?;
        let own = &elements::<R>(&chosen.choices)[..chunk.len()];
        let c = &mut c.as_mut_slice()[chunk.clone()];
        c.iter_mut().zip(own).for_each(|(c, &a)| *c = a * a);
        let add = &mut |_, i: usize, x| c[i] += x;
        cross(engine, &chosen, one_of_two, (chunk.len(), 0..1), &|_, i| own[i] + own[i], add)?;
        a.as_mut_slice()[chunk].copy_from_slice(own);
    }
    Ok([a, c])
}

/// r² and r³ of given shares.
pub(super) fn powers<R: Ring>(
    engine: &mut Engine,
    prg: &mut Prg,
    r: &[R],
) -> Result<[Tensor<R>; 2], PrepError> {
    let mut out = [0; 2].map(|_| Tensor::<R>::zeros(&[r.len()]));
    let [squares, cubes] = &mut out;
    for chunk in chunks::<R>(engine.chunk(), r.len()) {
        let (len, r) = (chunk.len(), &r[chunk.clone()]);
        let chosen = engine.choose(every_pair, len * R::BITS as usize, Some(&choices(r)), prg)?;
        let (squares, cubes) = (&mut squares.as_mut_slice()[chunk.clone()], &mut cubes.as_mut_slice()[chunk]);
        squares.iter_mut().zip(r).for_each(|(s, &r)| *s = r * r);
        let add = &mut |_, i: usize, x| squares[i] += x;
        cross(engine, &chosen, one_of_two, (len, 0..1), &|_, i| r[i] + r[i], add)?;
        cubes.iter_mut().zip(&*squares).zip(r).for_each(|((c, &s), &r)| *c = s * r);
        let add = &mut |_, i: usize, x| cubes[i] += x;
        cross(engine, &chosen, every_pair, (len, 1..2), &|_, i| squares[i], add)?;
    }
    Ok(out)
}

/// Whether the bits of the left factor are the choices.
pub(super) const fn chooses_left(m: usize, n: usize) -> bool {
    m <= n
}

/// `count` times A, B and C = A·B, one behind the other, for given A, given B, or uniform ones.
pub(super) fn matmuls<R: Ring>(
    engine: &mut Engine,
    prg: &mut Prg,
    products: usize,
    [m, k, n]: [usize; 3],
    given: Option<&Given<R>>,
) -> Result<[Tensor<R>; 3], PrepError> {
    let left = chooses_left(m, n);
    // The factor whose bits are choices is filled chunk by chunk if it is not given.
    let mut factor = |right: bool, len: usize| match Given::factor(given, right) {
        Some(own) => own.clone().reshape(&[len]),
        None if right == left => prg.tensor(&[len]),
        None => Tensor::zeros(&[len]),
    };
    let (mut a, mut b) = (factor(false, products * m * k), factor(true, products * k * n));
    let chosen_factor = Given::factor(given, !left);
    let mut c = Tensor::zeros(&[products * m * n]);
    let (count, vectors) = if left { (products * m * k, n) } else { (products * k * n, m) };
    for chunk in chunks::<R>(engine.chunk(), count) {
        let own = chosen_factor.map(|own| choices(&own.as_slice()[chunk.clone()]));
        let bits = chunk.len() * R::BITS as usize;
        let chosen = engine.choose(every_pair, bits, own.as_ref().map(|o| &o[..]), prg)?;
        let factor = if left { &mut a } else { &mut b };
        factor.as_mut_slice()[chunk.clone()].copy_from_slice(&elements::<R>(&chosen.choices)[..chunk.len()]);
        let (a, b, c, size) = (a.as_slice(), b.as_slice(), c.as_mut_slice(), (chunk.len(), 0..vectors));
        let start = chunk.start;
        if left {
            // Which product, and which element of its left factor.
            let place = |i: usize| ((start + i) / (m * k), (start + i) % k);
            let add = &mut |v, i: usize, x| c[(start + i) / k * n + v] += x;
            let d = |v: usize, i: usize| {
                let (product, t) = place(i);
                b[(product * k + t) * n + v]
            };
            cross(engine, &chosen, every_pair, size, &d, add)?;
        } else {
            let place = |i: usize| ((start + i) / (k * n), (start + i) / n % k, (start + i) % n);
            let add = &mut |v: usize, i: usize, x| {
                let (product, _, s) = place(i);
                c[(product * m + v) * n + s] += x;
            };
            let d = |v: usize, i: usize| {
                let (product, t, _) = place(i);
                a[(product * m + v) * k + t]
            };
            cross(engine, &chosen, every_pair, size, &d, add)?;
        }
    }
    Bilinear::Matmuls { count: products, dims: [m, k, n] }.add(a.as_slice(), b.as_slice(), c.as_mut_slice());
    Ok([a, b, c])
}

/// A, B and C = A∗B, for given A, given B, or uniform ones.
pub(super) fn conv<R: Ring>(
    engine: &mut Engine,
    prg: &mut Prg,
    shape: &ConvShape,
    given: Option<&Given<R>>,
) -> Result<[Tensor<R>; 3], PrepError> {
    let count = mpc_core::tensor::elements;
    let a = match Given::factor(given, false) {
        Some(own) => own.clone().reshape(&[count(&shape.input())]),
        None => prg.tensor::<R>(&[count(&shape.input())]),
    };
    let kernel = Given::factor(given, true);
    let [mut b, mut c] = [shape.kernel(), shape.output()].map(|axes| Tensor::zeros(&[count(&axes)]));
    for chunk in chunks::<R>(engine.chunk(), b.len()) {
        let own = kernel.map(|own| choices(&own.as_slice()[chunk.clone()]));
        let bits = chunk.len() * R::BITS as usize;
        let chosen = engine.choose(every_pair, bits, own.as_ref().map(|o| &o[..]), prg)?;
        let own = &elements::<R>(&chosen.choices)[..chunk.len()];
        b.as_mut_slice()[chunk.clone()].copy_from_slice(own);
        let (a, c) = (a.as_slice(), c.as_mut_slice());
        let below =
            |window: usize, i: usize| shape.source(chunk.start + i, window).map_or(R::ZERO, |at| a[at]);
        let add = &mut |window: usize, i: usize, x| c[shape.target(chunk.start + i, window)] += x;
        cross(engine, &chosen, every_pair, (chunk.len(), 0..shape.windows()), &below, add)?;
    }
    conv_acc(shape, a.as_slice(), b.as_slice(), c.as_mut_slice());
    Ok([a, b, c])
}
