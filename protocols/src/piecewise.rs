//! Functions by piecewise polynomials of degree 3 at most, all pieces on one masked opening.
//!
//! Piecewise polynomials follow Mohassel, Zhang (*SecureML*, S&P 2017) and Aly, Smart (ACNS 2019); the composition here is ours.
//! For a public [`Table`] of knots and coefficients:
//! 1. Open c = x + r. All knots are compared with from it (`compare`); x² = c² − 2cr + r² and
//!    x³ = c³ − 3c²r + 3cr² − r³ follow locally from dealt `[r²], [r³]`.
//! 2. While the comparison runs its three rounds, x² and x³ are truncated back to f bits in the first of them.
//! 3. The bits select the four coefficients, a public linear map. Bits of pieces that x is not in contribute exactly 0, so
//!    powers that wrapped for large |x| do no harm: the outermost pieces are straight lines.
//! 4. One inner product of length 3, plus the constant, and one truncation.
//!
//! **Range**: the sum at the end is below 2^62 with the coefficients' fraction bits that [`Table::layout`] chooses for the largest
//! argument: 32, or as few as 20 where a line outside takes the room. At f = 16: |x| < 2^45 where both lines are level, as of σ;
//! 2^25 where one is x itself. Programs check that when they are built.
//! **Error** beside that of the table: 1 unit of 2^−min(f,16) from the last truncation, those of x² and x³ times their
//! coefficients, and what rounding the coefficients takes ([`Table::rounding_units`]). A line with coefficients that are multiples of
//! 2^−20 is exact. Above f = 16 the argument is first rounded to 16 bits (one more round), and results are multiples of 2^−16.
//! **Security**: that of the parts; every opening has a pad of its own. The table is public.
//! **Cost** per element for t knots at f = 16, blocks and fan-in 4: 6 rounds, 64 + 2·64 + 34·t + 6·64 + 64 bits to each party: 980 for
//! the ten of most [`tables`]. With exact truncations, which make the result a function of x alone: 10 rounds, 1,085 bits.

use mpc_core::bits::BitTensor;
use mpc_core::ring::Ring;
use mpc_core::share::Sharing;
use mpc_core::tensor::Tensor;

use crate::cost::Cost;
use crate::error::ProtocolError;
use crate::opening::{MaskedAnswers, Opened};
use crate::prep::{Comparison, Item, Question};
use crate::session::Session;
use crate::tree::TreeChoice;
use crate::truncate::{Rounding, divide, divide_cost, floor_spec};

mod table;
pub mod tables;

pub use table::{Layout, Mirror, Table, TableError};

/// `[f(x)]` for the function of a table, laid out for the largest |x|. Six rounds; seven above 16 fraction bits.
///
/// # Errors
/// Channel and preprocessing errors.
///
/// # Panics
/// If the layout is that of another table.
pub fn evaluate<S: Sharing>(
    cx: &mut Session<S>,
    x: &S,
    table: &Table,
    layout: Layout,
    rounding: Rounding,
    tree: TreeChoice,
) -> Result<S, ProtocolError> {
    assert_eq!(S::VALUE_BITS, 64, "the coefficients' headroom is laid out for 64-bit values");
    assert_eq!(layout.thresholds, table.knots().len(), "a threshold for every knot");
    let (_, excess) = layout.fraction_bits();
    if excess > 0 {
        let rounded = divide(cx, x, excess, rounding, tree)?;
        let y = at_most_16_bits(cx, &rounded, table, layout, rounding, tree)?;
        return Ok(y.scale(S::Ring::power_of_two(excess)));
    }
    at_most_16_bits(cx, x, table, layout, rounding, tree)
}

fn at_most_16_bits<S: Sharing>(
    cx: &mut Session<S>,
    x: &S,
    table: &Table,
    layout: Layout,
    rounding: Rounding,
    tree: TreeChoice,
) -> Result<S, ProtocolError> {
    let ((f, _), bits) = (layout.fraction_bits(), layout.coefficient_bits);
    let (shape, len, holder) = (x.shape().to_vec(), x.len(), cx.holder());
    let x = x.clone().reshape(&[len]);
    let at =
        |bits: u32| move |v: f64| S::Ring::from_i64((v * 2f64.powi(bits as i32)).round_ties_even() as i64);
    let limits: Vec<S::Ring> = table.knots().iter().copied().map(at(f)).collect();

    // 1. c, and with it the blocks and the powers
    let (bundle, padded) = cx.prep().comparison(spec(len, layout.thresholds, tree))?.mask(&x, None, holder);
    let (opened, []) = cx.open_masked(padded, [])?;
    let mut run = bundle.opened(opened, &limits, holder);
    let powers = powers(&mut run, holder);

    // 2. and 3. [x < t] for every threshold, the powers at f bits, then the coefficients
    let (z, below, [x2, x3]) = match rounding {
        Rounding::Dithered => dithered(cx, run, powers, f)?,
        Rounding::Exact => exact(cx, run, powers, f, tree)?,
    };
    let coefficients = |which: &[usize]| {
        let weights: Vec<_> = which.iter().map(|&i| weights(table, i, at(bits))).collect();
        below.weighted(&z, &weights, holder)
    };
    let (k0, k123) = (coefficients(&[0]), coefficients(&[1, 2, 3]));

    // 4. y = c0 + c1·x + c2·x² + c3·x³ at the scale of x times that of the coefficients, then truncated
    let stack = |a: &S, b: &S, c: &S| S::combine(&[a, b, c], |p| Tensor::concat(0, p));
    let (triple, padded) = cx.prep().dot(len, 3)?.mask(&k123, &stack(&x, &x2, &x3));
    let ([d, e], []) = cx.open_masked(padded, [])?;
    let y = triple.finish(&d, &e, holder).add(&k0.scale(S::Ring::power_of_two(f)));
    Ok(divide(cx, &y, bits, rounding, tree)?.reshape(&shape))
}

/// The bits with what was opened for them, and x²/2^f and x³/2^2f, which are truncated in the round of the first tree level.
fn dithered<S: Sharing>(
    cx: &mut Session<S>,
    run: Opened<S>,
    [x2, x3]: [S; 2],
    f: u32,
) -> Result<(BitTensor, MaskedAnswers<S>, [S; 2]), ProtocolError> {
    let (len, holder) = (x2.len(), cx.holder());
    let (t2, m2) = cx.prep().truncation(len, f)?.mask(&x2, holder);
    let (t3, m3) = cx.prep().truncation(len, 2 * f)?.mask(&x3, holder);
    let (level, padded) = run.masked_wires();
    let ([c2, c3], [wires]) = cx.open_masked([m2, m3], [padded])?;
    let mut run = level.finish(&wires, holder);
    while !run.is_done() {
        let (level, padded) = run.masked_wires();
        let ([], [wires]) = cx.open_masked([], [padded])?;
        run = level.finish(&wires, holder);
    }
    let below = run.answers(holder);
    let (masked, padded) = run.mask_answers(&below);
    let ([], [z]) = cx.open_masked([], [padded])?;
    Ok((z, masked, [t2.finish(&c2, holder), t3.finish(&c3, holder)]))
}

/// As [`dithered`], with floors: their comparisons run beside that of x, which waits for their openings. The networks are as
/// deep, as 63 bits and 64 make as many blocks.
fn exact<S: Sharing>(
    cx: &mut Session<S>,
    run: Opened<S>,
    [x2, x3]: [S; 2],
    f: u32,
    tree: TreeChoice,
) -> Result<(BitTensor, MaskedAnswers<S>, [S; 2]), ProtocolError> {
    let (len, holder) = (x2.len(), cx.holder());
    let (m2, [c2, e2]) = cx.prep().comparison(floor_spec(len, f, tree))?.mask(&x2, None, holder);
    let (m3, [c3, e3]) = cx.prep().comparison(floor_spec(len, 2 * f, tree))?.mask(&x3, None, holder);
    let ([c2, e2, c3, e3], []) = cx.open_masked([c2, e2, c3, e3], [])?;
    let zero = [S::Ring::ZERO];
    let mut runs = [run, m2.opened([c2, e2], &zero, holder), m3.opened([c3, e3], &zero, holder)];
    while !runs.iter().all(Opened::is_done) {
        let [(l1, p1), (l2, p2), (l3, p3)] = runs.map(Opened::masked_wires);
        let ([], [w1, w2, w3]) = cx.open_masked([], [p1, p2, p3])?;
        runs = [l1.finish(&w1, holder), l2.finish(&w2, holder), l3.finish(&w3, holder)];
    }
    let masked = runs.map(|mut run| {
        let answers = run.answers(holder);
        run.mask_answers(&answers)
    });
    let [(a1, p1), (a2, p2), (a3, p3)] = masked;
    let ([], [z1, z2, z3]) = cx.open_masked([], [p1, p2, p3])?;
    let quotients = [a2.decided(&z2).quotient(f, holder), a3.decided(&z3).quotient(2 * f, holder)];
    Ok((z1, a1, quotients))
}

fn spec(len: usize, thresholds: usize, tree: TreeChoice) -> Comparison {
    let sign = Comparison::in_ring(Question::Sign, len, tree);
    Comparison { thresholds, powers: true, ..sign }
}

/// [x²] = c² − 2c[r] + [r²], [x³] = c³ − 3c²[r] + 3c[r²] − [r³], in the memory of [r²] and [r³].
fn powers<S: Sharing>(run: &mut Opened<S>, holder: S::Holder) -> [S; 2] {
    let (r2, r3) = run.bundle.powers.take().expect("the bundle was asked for with powers");
    let (c, r, three) = (&run.c, &run.bundle.r, S::Ring::from_u64(3));
    let x3 = r3.combine_into(&[r, &r2], |x3, p| {
        let parts = p[0].as_slice().iter().zip(p[1].as_slice()).zip(c.as_slice());
        for (x3, ((&r, &r2), &c)) in x3.as_mut_slice().iter_mut().zip(parts) {
            *x3 = three * c * (r2 - c * r) - *x3;
        }
    });
    let x2 = r2.combine_into(&[r], |x2, p| {
        for ((x2, &r), &c) in x2.as_mut_slice().iter_mut().zip(p[0].as_slice()).zip(c.as_slice()) {
            *x2 -= (c + c) * r;
        }
    });
    [x2.add_public_map(c, |c| c * c, holder), x3.add_public_map(c, |c| c * c * c, holder)]
}

/// Of coefficient `i`, that of the last piece, and the step down at every threshold that an element is below.
fn weights<R: Ring>(table: &Table, i: usize, encode: impl Fn(f64) -> R) -> Vec<R> {
    let values: Vec<R> = table.pieces().iter().map(|c| encode(c[i])).collect();
    [values[values.len() - 1]].into_iter().chain(values.windows(2).map(|step| step[0] - step[1])).collect()
}

/// Cost of [`evaluate`].
#[must_use]
pub fn cost<S: Sharing>(n: usize, len: usize, layout: Layout, rounding: Rounding, tree: TreeChoice) -> Cost {
    let (f, excess) = layout.fraction_bits();
    let divided = |bits: u32| divide_cost::<S>(n, len, bits, rounding, tree);
    let first = if excess > 0 { divided(excess) } else { Cost::none(n) };
    let specs = [spec(len, layout.thresholds, tree), floor_spec(len, f, tree), floor_spec(len, 2 * f, tree)];
    let [sign, ..] = specs;
    let item = |item| Cost::item(n, item);
    let open = |elements: usize, bits: usize| Cost::opening::<S::Ring>(n, elements * len, bits * len);
    let wires = |spec: Comparison, level: usize| {
        spec.thresholds * spec.network::<S::Ring>().layers[level].wires.len()
    };
    let levels = 0..sign.network::<S::Ring>().layers.len();
    let mut cost = first.then(item(Item::Comparison(sign))).then(open(1, 0));
    match rounding {
        Rounding::Dithered => {
            cost = cost
                .then(item(Item::Truncation { len, bits: f }))
                .then(item(Item::Truncation { len, bits: 2 * f }));
            for level in levels {
                cost = cost.then(open(if level == 0 { 2 } else { 0 }, wires(sign, level)));
            }
            cost = cost.then(open(0, sign.thresholds));
        }
        Rounding::Exact => {
            cost = specs[1..].iter().fold(cost, |cost, &spec| cost.then(item(Item::Comparison(spec))));
            cost = cost.then(open(2, 0));
            let together = |lanes: &dyn Fn(Comparison) -> usize| {
                let bytes = specs.map(|spec| Cost::opening::<S::Ring>(n, 0, lanes(spec) * len));
                // One round, each tensor of bits packed by itself.
                bytes.into_iter().fold(Cost::none(n), |a, b| Cost { rounds: 1, ..a.then(b) })
            };
            for level in levels {
                cost = cost.then(together(&|spec| wires(spec, level)));
            }
            cost = cost.then(together(&|spec| spec.answers::<S::Ring>()));
        }
    }
    cost.then(item(Item::Dot { len, terms: 3 })).then(open(6, 0)).then(divided(layout.coefficient_bits))
}
