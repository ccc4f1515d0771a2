//! Semi-honest protocols on additive shares over Z_2^k, for 2 to 5 parties, with a dealer of correlated randomness.
//!
//! | module | computes | after | secure against | cost per 64-bit element |
//! |---|---|---|---|---|
//! | [`input`] | sharing of a private tensor | CDI05 | n−1 parties | nothing |
//! | [`output`] | chosen parties learn a tensor | – | n−1 parties | 2 rounds, 64 bits to each recipient |
//! | [`mul`] | product, square, inner product | Beaver 1991 | n−1 parties | 1 round, 128 / 64 bits |
//! | [`matmul`] | matrix product | SecureML §4.2 | n−1 parties | 1 round, 64(mk+kn) bits |
//! | [`truncate`] | division by 2^f | ePrint 2020/338 §5.1 | n−1 parties | 1 round, 64 bits |
//! | [`compare`] | sign, less-than, ReLU, clamp | ePrint 2019/599, 2020/338 | n−1 parties | 3–4 rounds, 97–98 bits |
//! | [`convert`] | bit to ring element, selection | ePrint 2019/207 | n−1 parties | 1 round, 1 / 128 bits |
//! | [`sigmoid`] | σ(x), error ≤ 7.0e-5 at f = 16 | SecureML, this project | n−1 parties | 6 rounds, 980 bits |
//! | [`prep::dealer`] | correlated randomness | MP-SPDZ, SPU | dealer apart from the parties | corrections to party 0 |
//!
//! The paper behind each protocol, where the code departs from it and why it is secure stand at the head of its module.

pub mod compare;
pub mod convert;
pub mod correlation;
pub mod cost;
pub mod error;
pub mod input;
pub mod matmul;
pub mod mul;
pub mod output;
pub mod prefix;
pub mod prep;
#[cfg(test)]
mod privacy;
mod secret_types;
pub mod session;
pub mod sigmoid;
pub mod trial;
pub mod truncate;
