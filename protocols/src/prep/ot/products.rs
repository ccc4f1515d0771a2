//! Triples, squares, inner products and products of matrices.
//!
//! The sum of all parties' shares times that of all others is every party's own product and, for every two, the cross terms
//! of `cross`. A uniform factor is the choices that the COTs come with.
//! - Triple, and each term of an inner product: a_i·b_j of every party with every other. Square: 2·a_i·a_j of every two.
//! - Matrices m×k and k×n: the bits of the smaller factor are the choices; each COT of A's element (r, t) serves all of row t of
//!   B, or each of B's (t, s) all of column t of A.
//!
//! **Cost** per 64-bit triple, n = 2: 64 COTs and 260 bytes in each direction; a square half of that. A matrix product: 64·k·min(m, n)
//! COTs and 260·m·k·n bytes in each direction.

use mpc_core::prg::Prg;
use mpc_core::ring::Ring;
use mpc_core::tensor::Tensor;

use super::cross::{choices, cross, elements};
use super::engine::{Engine, every_pair, one_of_two};
use crate::error::PrepError;

/// Ranges of elements whose COTs are made at a time, if there are `chunk` of these.
pub(super) fn chunks<R: Ring>(chunk: usize, len: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let step = chunk / R::BITS as usize;
    (0..len).step_by(step).map(move |start| start..len.min(start + step))
}

/// a, b, and c_i = Σ_t a_{t,i}·b_{t,i}.
pub(super) fn inner<R: Ring>(
    engine: &mut Engine,
    prg: &mut Prg,
    len: usize,
    terms: usize,
) -> Result<[Tensor<R>; 3], PrepError> {
    let a = prg.tensor::<R>(&[terms * len]);
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
    Ok([a, b, c])
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

/// A, B and C = A·B, for a given A or a uniform one.
pub(super) fn matmul<R: Ring>(
    engine: &mut Engine,
    prg: &mut Prg,
    [m, k, n]: [usize; 3],
    given: Option<&Tensor<R>>,
) -> Result<[Tensor<R>; 3], PrepError> {
    let left = chooses_left(m, n);
    // The factor whose bits are choices is filled chunk by chunk if it is not given.
    let mut a = match given {
        Some(a) => a.clone().reshape(&[m * k]),
        None if left => Tensor::zeros(&[m * k]),
        None => prg.tensor(&[m * k]),
    };
    let mut b = if left { prg.tensor(&[k * n]) } else { Tensor::zeros(&[k * n]) };
    let mut c = Tensor::zeros(&[m * n]);
    let (count, vectors) = if left { (m * k, n) } else { (k * n, m) };
    for chunk in chunks::<R>(engine.chunk(), count) {
        let own = given.filter(|_| left).map(|a| choices(&a.as_slice()[chunk.clone()]));
        let bits = chunk.len() * R::BITS as usize;
        let chosen = engine.choose(every_pair, bits, own.as_ref().map(|o| &o[..]), prg)?;
        let factor = if left { &mut a } else { &mut b };
        factor.as_mut_slice()[chunk.clone()].copy_from_slice(&elements::<R>(&chosen.choices)[..chunk.len()]);
        let (a, b, c, size) = (a.as_slice(), b.as_slice(), c.as_mut_slice(), (chunk.len(), 0..vectors));
        let start = chunk.start;
        if left {
            let add = &mut |v, i: usize, x| c[(start + i) / k * n + v] += x;
            cross(engine, &chosen, every_pair, size, &|v, i: usize| b[(start + i) % k * n + v], add)?;
        } else {
            let add = &mut |v: usize, i: usize, x| c[v * n + (start + i) % n] += x;
            cross(engine, &chosen, every_pair, size, &|v: usize, i| a[v * k + (start + i) / n], add)?;
        }
    }
    R::matmul_acc(a.as_slice(), b.as_slice(), c.as_mut_slice(), m, k, n);
    Ok([a, b, c])
}
