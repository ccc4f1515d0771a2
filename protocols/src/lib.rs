//! Semi-honest protocols on additive shares over Z_2^k, for 2 to 5 parties, with correlated randomness from a dealer or from
//! oblivious transfer.
//!
//! | module | computes | after | secure against | cost per 64-bit element |
//! |---|---|---|---|---|
//! | [`input`] | sharing of a private tensor | CDI05 | n−1 parties | nothing |
//! | [`output`] | chosen parties learn a tensor | – | n−1 parties | 2 rounds, 64 bits to each recipient |
//! | [`mul`] | product, square, inner product | Beaver 1991 | n−1 parties | 1 round, 128 / 64 bits |
//! | [`matmul`] | matrix product | SecureML §4.2 | n−1 parties | 1 round, 64(mk+kn) bits |
//! | [`matmul::batch`] | products of two lists of matrices | same | n−1 parties | 1 round, 64(mk+kn) bits each |
//! | [`conv`] | convolution of images by a kernel | SecureML §4.2, ASIACRYPT 2020 | n−1 parties | 1 round, 64 bits an element of both |
//! | [`reuse`] | products with a matrix that is opened once | SecureML §4.2 | n−1 parties | 1 round, 64·kn bits |
//! | [`truncate`] | division by 2^f, dithered or exact | ePrint 2020/338 §5.1 | n−1 parties | 1 / 4 rounds, 64 / 99 bits |
//! | [`compare`] | sign, less-than, public thresholds | ePrint 2019/599, 2020/338 | n−1 parties | 3–4 rounds, 97–98 bits |
//! | [`order`] | all relations, three-way sign, minimum, maximum | same; Nishide, Ohta 2007 | n−1 parties | 3–4 rounds, 84–103 bits |
//! | [`relu`] | ReLU, absolute value, clamp, also with a truncation | same | n−1 parties | 4 rounds, 98 / 132 bits |
//! | [`convert`] | bit to ring element, ring element to bits, selection | ePrint 2019/207, 2020/338 | n−1 parties | 1 / 3 rounds, 1 / 176 bits |
//! | [`tournament`] | extreme along an axis, its index or one-hot column | this project | n−1 parties | 4 rounds a level |
//! | [`sort`] | sorting and the first few, with payloads | Batcher 1968 | n−1 parties | 4 rounds a stage |
//! | [`piecewise`] | σ(x), tanh x, other functions by tables of cubics | SecureML, this project | n−1 parties | 6 rounds, 980 bits |
//! | [`fourier`] | σ(x) for |x| ≤ 8, error ≤ 2.1e-4 | ACSAC 2023 (Zheng et al.) | n−1 parties | 2 rounds, 88 bits |
//! | [`quartic`] | the same by quartics, t thresholds | SecureML, this project | n−1 parties | 8–9 rounds, 320–384 + 34t bits |
//! | [`elementary`] | eˣ, ln x, 1/x, √x, 1/√x as tables of quartics | this project | n−1 parties | the same |
//! | [`ot::softspoken`] | correlated OTs, to make the rest from | ePrint 2019/706, 2022/192 | n−1 parties | 31 bits a COT at k = 4 |
//! | [`prep::dealer`] | correlated randomness | MP-SPDZ, SPU | dealer apart from the parties | corrections to party 0 |
//! | [`prep::ot`] | correlated randomness | Gilboa 1999, GMW 1987 | n−1 parties | 260 bytes and 64 COTs a product of two shares |
//!
//! Comparisons are built on one core, `opening`: x is opened once under a mask whose bits are shared, and networks of
//! [`tree`] shape answer what is asked about them.
//!
//! The paper behind each protocol, where the code departs from it and why it is secure stand at the head of its module.

mod circle;
pub mod compare;
pub mod conv;
pub mod convert;
pub mod correlation;
pub mod cost;
pub mod elementary;
pub mod error;
pub mod fourier;
pub mod input;
pub mod matmul;
pub mod mul;
mod opening;
pub mod order;
pub mod ot;
pub mod output;
pub mod piecewise;
mod prefix;
pub mod prep;
#[cfg(test)]
mod privacy;
pub mod quartic;
pub mod relu;
pub mod reuse;
mod secret_types;
pub mod session;
pub mod sort;
pub mod tournament;
pub mod tree;
pub mod trial;
pub mod truncate;
