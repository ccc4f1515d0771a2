//! σ(x) = 1/(1 + e^−x) by a piecewise cubic, all segments on one masked opening.
//!
//! Nine segments between ±9.96, the middle one odd about ½, the others mirrored by σ(−x) = 1 − σ(x); outside, 0 or 1. The
//! segments were chosen so that all have the same minimax error (weighted least squares, iterated), 4.72e-5. Piecewise
//! polynomials follow Mohassel, Zhang (*SecureML*, S&P 2017) and Aly, Smart (ACNS 2019); the composition here is ours:
//! 1. Open c = x + r. All ten thresholds are compared from it (`compare`); x² = c² − 2cr + r² and
//!    x³ = c³ − 3c²r + 3cr² − r³ follow locally from dealt `[r²], [r³]`.
//! 2. While the comparison runs its three rounds, x² and x³ are truncated back to f bits in the first of them.
//! 3. The ten bits select the four coefficients, a public linear map. Bits of segments that x is not in contribute
//!    exactly 0, so powers that wrapped for large |x| do no harm.
//! 4. One inner product of length 3, plus the constant, and one truncation.
//!
//! **Error**: at most 4.72e-5 from the fit plus 1.5 units of 2^−min(f,16) (7.0e-5 at f = 16): one from the last truncation,
//! 0.1 from those of x² and x³ times their coefficients, 0.25 from rounding the input where f > 16; for every
//! |x| < 2^(61−f). Above f = 16 the input is first rounded to 16 bits (one more round). **Security**: that of the parts; every
//! opening has a pad of its own.
//! **Cost** per element at f = 16, blocks and fan-in 4: 6 rounds, 64 + 2·64 + 10·34 + 6·64 + 64 = 980 bits to each party. With
//! exact truncations, which make the result a function of x alone: 10 rounds, 1,085 bits.

use mpc_core::bits::BitTensor;
use mpc_core::fixed::FracBits;
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

/// Where segments meet, for x ≥ 0; multiples of 2^−8, so exact at every scale.
pub const KNOTS: [f64; 5] = [0.835_937_5, 1.976_562_5, 3.722_656_25, 5.800_781_25, 9.964_843_75];

/// Coefficients of 1, x, x², x³ on [−k₀, k₀], [k₀, k₁], …, [k₃, k₄].
pub const CUBICS: [[f64; 4]; 5] = [
    [0.5, 0.249_714_113_346_521_88, 0.0, -0.019_145_232_540_610_534],
    [
        0.485_762_390_191_423_87,
        0.295_002_940_281_010_76,
        -0.050_556_996_187_216_215,
        0.000_897_301_660_732_593_9,
    ],
    [0.472_221_692_152_258_73, 0.327_534_606_888_428_3, -0.073_244_881_638_041_6, 0.005_814_536_797_600_983],
    [
        0.697_363_584_827_405_6,
        0.147_308_572_514_650_13,
        -0.024_704_709_759_520_493,
        0.001_416_319_925_090_068,
    ],
    [
        0.938_614_822_342_115_7,
        0.020_456_526_955_612_904,
        -0.002_286_113_244_182_185,
        8.544_379_297_644_898e-5,
    ],
];

/// Fraction bits of the coefficients.
const COEFFICIENT_BITS: u32 = 32;
/// Powers of x are kept at this many fraction bits at most.
const MAX_BITS: u32 = 16;

/// The function that the protocol approximates, piece by piece, in floating point.
#[must_use]
pub fn piecewise(x: f64) -> f64 {
    let [c0, c1, c2, c3] = segments()[thresholds().iter().filter(|&&t| x >= t).count()];
    c0 + x * (c1 + x * (c2 + x * c3))
}

/// All ten thresholds, ascending.
fn thresholds() -> Vec<f64> {
    KNOTS.iter().rev().map(|k| -k).chain(KNOTS).collect()
}

/// Coefficients of all eleven pieces, ascending.
fn segments() -> Vec<[f64; 4]> {
    let mirrored = |[c0, c1, c2, c3]: [f64; 4]| [1.0 - c0, c1, -c2, c3];
    let mut out = vec![[0.0; 4]];
    out.extend(CUBICS[1..].iter().rev().copied().map(mirrored));
    out.extend(CUBICS);
    out.push([1.0, 0.0, 0.0, 0.0]);
    out
}

/// `[σ(x)]` for x with `frac` fraction bits, |x| < 2^(61−f). Six rounds; seven above 16 fraction bits.
///
/// # Errors
/// Channel and preprocessing errors.
pub fn sigmoid<S: Sharing>(
    cx: &mut Session<S>,
    x: &S,
    frac: FracBits,
    rounding: Rounding,
    tree: TreeChoice,
) -> Result<S, ProtocolError> {
    assert_eq!(S::VALUE_BITS, 64, "the coefficients' headroom is laid out for 64-bit values");
    let excess = frac.bits().saturating_sub(MAX_BITS);
    if excess > 0 {
        let rounded = divide(cx, x, excess, rounding, tree)?;
        let y = at_most_16_bits(cx, &rounded, MAX_BITS, rounding, tree)?;
        return Ok(y.scale(S::Ring::power_of_two(excess)));
    }
    at_most_16_bits(cx, x, frac.bits(), rounding, tree)
}

fn at_most_16_bits<S: Sharing>(
    cx: &mut Session<S>,
    x: &S,
    f: u32,
    rounding: Rounding,
    tree: TreeChoice,
) -> Result<S, ProtocolError> {
    let (shape, len, holder) = (x.shape().to_vec(), x.len(), cx.holder());
    let x = x.clone().reshape(&[len]);
    let at =
        |bits: u32| move |v: f64| S::Ring::from_i64((v * 2f64.powi(bits as i32)).round_ties_even() as i64);
    let limits: Vec<S::Ring> = thresholds().into_iter().map(at(f)).collect();

    // 1. c, and with it the blocks and the powers
    let (bundle, padded) = cx.prep().comparison(spec(len, tree))?.mask(&x, None, holder);
    let (opened, []) = cx.open_masked(padded, [])?;
    let mut run = bundle.opened(opened, &limits, holder);
    let powers = powers(&mut run, holder);

    // 2. and 3. [x < t] for every threshold, the powers at f bits, then the coefficients
    let (z, below, [x2, x3]) = match rounding {
        Rounding::Dithered => dithered(cx, run, powers, f)?,
        Rounding::Exact => exact(cx, run, powers, f, tree)?,
    };
    let coefficients = |which: &[usize]| {
        let weights: Vec<_> = which.iter().map(|&i| weights(i, at(COEFFICIENT_BITS))).collect();
        below.weighted(&z, &weights, holder)
    };
    let (k0, k123) = (coefficients(&[0]), coefficients(&[1, 2, 3]));

    // 4. y = c0 + c1·x + c2·x² + c3·x³ at scale f + 32, then truncated
    let stack = |a: &S, b: &S, c: &S| S::combine(&[a, b, c], |p| Tensor::concat(0, p));
    let (triple, padded) = cx.prep().dot(len, 3)?.mask(&k123, &stack(&x, &x2, &x3));
    let ([d, e], []) = cx.open_masked(padded, [])?;
    let y = triple.finish(&d, &e, holder).add(&k0.scale(S::Ring::power_of_two(f)));
    Ok(divide(cx, &y, COEFFICIENT_BITS, rounding, tree)?.reshape(&shape))
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

fn spec(len: usize, tree: TreeChoice) -> Comparison {
    let sign = Comparison::in_ring(Question::Sign, len, tree);
    Comparison { thresholds: 2 * KNOTS.len(), powers: true, ..sign }
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
fn weights<R: Ring>(i: usize, encode: impl Fn(f64) -> R) -> Vec<R> {
    let values: Vec<R> = segments().iter().map(|s| encode(s[i])).collect();
    [values[values.len() - 1]].into_iter().chain(values.windows(2).map(|step| step[0] - step[1])).collect()
}

/// Cost of [`sigmoid`].
#[must_use]
pub fn cost<S: Sharing>(n: usize, len: usize, frac: FracBits, rounding: Rounding, tree: TreeChoice) -> Cost {
    let f = frac.bits().min(MAX_BITS);
    let excess = frac.bits() - f;
    let divided = |bits: u32| divide_cost::<S>(n, len, bits, rounding, tree);
    let first = if excess > 0 { divided(excess) } else { Cost::none(n) };
    let specs = [spec(len, tree), floor_spec(len, f, tree), floor_spec(len, 2 * f, tree)];
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
    cost.then(item(Item::Dot { len, terms: 3 })).then(open(6, 0)).then(divided(COEFFICIENT_BITS))
}
