//! Functions of one argument, applied to every element.
//!
//! Here is what each of them is: its name, its exact value, its encoding and the method that computes it on shares.
//! `docs/functions.md` says how far off results may be.

use mpc_core::fixed::FracBits;
use mpc_core::wire::{Decoder, Encoder, WireError};
use protocols::elementary::Kind;
use protocols::piecewise::{Layout, Table, tables};

use crate::fact::Fact;

mod limits;

pub(crate) use limits::{Limits, divisor, reciprocal};

/// A function of one argument.
#[derive(Copy, Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Function {
    /// 1 / (1 + e^−x)
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
    /// x·Φ(x), for the normal distribution function Φ.
    Gelu,
    /// x / (1 + e^−x)
    Silu,
    /// x from 0 on, α·(e^x − 1) below.
    Elu {
        /// α
        alpha: f64,
    },
    /// ln(1 + e^x)
    Softplus,
    /// The error function.
    Erf,
    /// e^min(x, 0)
    ExpNegative,
    /// 1 / (1 + e^−x) for |x| ≤ 8, in fewer rounds.
    SigmoidTraining,
    /// eˣ for x up to a highest; above, its value there.
    Exp {
        /// The largest argument.
        highest: f64,
        /// How many such powers are added up: more takes the small ones to be better.
        terms: u32,
    },
    /// ln x between limits; outside, its value at the nearer.
    Log {
        /// The least argument, at least 2^−f.
        lowest: f64,
        /// The largest argument.
        highest: f64,
    },
    /// 1/x between limits; outside, its value at the nearer.
    Reciprocal {
        /// The least argument, at least 2^−f.
        lowest: f64,
        /// The largest argument.
        highest: f64,
    },
    /// √x for x up to a highest; above, its value there; 0 below 0.
    Sqrt {
        /// The largest argument.
        highest: f64,
    },
    /// 1/√x between limits; outside, its value at the nearer.
    Rsqrt {
        /// The least argument, at least 2^−f.
        lowest: f64,
        /// The largest argument.
        highest: f64,
    },
}

/// Numbers of functions in the encoding.
mod number {
    pub(super) const SIGMOID: u8 = 0;
    pub(super) const TANH: u8 = 1;
    pub(super) const GELU: u8 = 2;
    pub(super) const SILU: u8 = 3;
    pub(super) const ELU: u8 = 4;
    pub(super) const SOFTPLUS: u8 = 5;
    pub(super) const ERF: u8 = 6;
    pub(super) const EXP_NEGATIVE: u8 = 7;
    pub(super) const SIGMOID_TRAINING: u8 = 8;
    pub(super) const EXP: u8 = 20;
    pub(super) const LOG: u8 = 21;
    pub(super) const RECIPROCAL: u8 = 22;
    pub(super) const SQRT: u8 = 23;
    pub(super) const RSQRT: u8 = 24;
}

/// Largest α of an ELU.
const LARGEST_ALPHA: f64 = 64.0;

/// How a function is computed on shares.
pub(crate) enum Method {
    /// `protocols::piecewise`.
    Piecewise(Table),
    /// `protocols::fourier`.
    Fourier,
    /// `protocols::quartic`.
    Quartic(Limits),
}

impl Function {
    /// The name in text, plans and errors.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sigmoid => "sigmoid",
            Self::Tanh => "tanh",
            Self::Gelu => "gelu",
            Self::Silu => "silu",
            Self::Elu { .. } => "elu",
            Self::Softplus => "softplus",
            Self::Erf => "erf",
            Self::ExpNegative => "exp_negative",
            Self::SigmoidTraining => "sigmoid_training",
            Self::Exp { .. } => "exp",
            Self::Log { .. } => "log",
            Self::Reciprocal { .. } => "reciprocal",
            Self::Sqrt { .. } => "sqrt",
            Self::Rsqrt { .. } => "rsqrt",
        }
    }

    /// The exact function, in floating point; outside limits, what holds there.
    #[must_use]
    pub fn value(self, x: f64) -> f64 {
        let sigmoid = || 1.0 / (1.0 + (-x).exp());
        match self {
            Self::Sigmoid | Self::SigmoidTraining => sigmoid(),
            Self::Tanh => x.tanh(),
            Self::Gelu => 0.5 * x * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2),
            Self::Silu => x * sigmoid(),
            Self::Elu { alpha } => x.max(0.0) + alpha * x.min(0.0).exp_m1(),
            Self::Softplus => x.max(0.0) + (-x.abs()).exp().ln_1p(),
            Self::Erf => libm::erf(x),
            Self::ExpNegative => x.min(0.0).exp(),
            Self::Exp { highest, .. } => x.min(highest).exp(),
            Self::Log { lowest, highest } => x.max(lowest).min(highest).ln(),
            Self::Reciprocal { lowest, highest } => 1.0 / x.max(lowest).min(highest),
            Self::Sqrt { highest } => x.max(0.0).min(highest).sqrt(),
            Self::Rsqrt { lowest, highest } => 1.0 / x.max(lowest).min(highest).sqrt(),
        }
    }

    /// What is wrong with its parameters, if anything is.
    pub(crate) fn wrong_parameter(self) -> Option<&'static str> {
        if let Self::Elu { alpha } = self
            && !(alpha > 0.0 && alpha <= LARGEST_ALPHA)
        {
            return Some("α is above 0, and 64 at most");
        }
        self.limits().and_then(Limits::wrong)
    }

    /// The limits of a function that has some.
    const fn limits(self) -> Option<Limits> {
        let (kind, lowest, highest) = match self {
            Self::Sigmoid | Self::Tanh | Self::Gelu | Self::Silu | Self::Elu { .. } => return None,
            Self::Softplus | Self::Erf | Self::ExpNegative | Self::SigmoidTraining => return None,
            Self::Exp { highest, terms } => {
                return Some(Limits { terms, ..Limits::new(Kind::Exp, 0.0, highest) });
            }
            Self::Log { lowest, highest } => (Kind::Log, lowest, highest),
            Self::Reciprocal { lowest, highest } => (Kind::Reciprocal, lowest, highest),
            Self::Sqrt { highest } => (Kind::Sqrt, 0.0, highest),
            Self::Rsqrt { lowest, highest } => (Kind::Rsqrt, lowest, highest),
        };
        Some(Limits::new(kind, lowest, highest))
    }

    /// Its parameters for people, after a space each.
    pub(crate) fn parameters(self) -> String {
        match self {
            Self::Elu { alpha } => format!(" with {alpha}"),
            _ => self.limits().map_or_else(String::new, Limits::text),
        }
    }

    /// Whether results depend on the argument alone where truncations are exact.
    pub(crate) const fn is_exact(self) -> bool {
        !matches!(self, Self::SigmoidTraining)
    }

    /// How it is computed. The parameters are not wrong.
    pub(crate) fn method(self) -> Method {
        if let Some(limits) = self.limits() {
            return Method::Quartic(limits);
        }
        Method::Piecewise(match self {
            Self::Sigmoid => tables::sigmoid(),
            Self::Tanh => tables::tanh(),
            Self::Gelu => tables::gelu(),
            Self::Silu => tables::silu(),
            Self::Elu { alpha } => {
                tables::elu(alpha).expect("invariant: inference accepts parameters with a table")
            }
            Self::Softplus => tables::softplus(),
            Self::Erf => tables::erf(),
            Self::ExpNegative => tables::exp_negative(),
            Self::SigmoidTraining => return Method::Fourier,
            Self::Exp { .. }
            | Self::Log { .. }
            | Self::Reciprocal { .. }
            | Self::Sqrt { .. }
            | Self::Rsqrt { .. } => {
                unreachable!("functions with limits")
            }
        })
    }

    pub(crate) fn encode(self, e: &mut Encoder) {
        match self {
            Self::Sigmoid => e.u8(number::SIGMOID),
            Self::Tanh => e.u8(number::TANH),
            Self::Gelu => e.u8(number::GELU),
            Self::Silu => e.u8(number::SILU),
            Self::Elu { alpha } => {
                e.u8(number::ELU);
                e.u64(alpha.to_bits());
            }
            Self::Softplus => e.u8(number::SOFTPLUS),
            Self::Erf => e.u8(number::ERF),
            Self::ExpNegative => e.u8(number::EXP_NEGATIVE),
            Self::SigmoidTraining => e.u8(number::SIGMOID_TRAINING),
            Self::Exp { .. } => e.u8(number::EXP),
            Self::Log { .. } => e.u8(number::LOG),
            Self::Reciprocal { .. } => e.u8(number::RECIPROCAL),
            Self::Sqrt { .. } => e.u8(number::SQRT),
            Self::Rsqrt { .. } => e.u8(number::RSQRT),
        }
        if let Some(limits) = self.limits() {
            limits.encode(e);
        }
    }

    pub(crate) fn decode(d: &mut Decoder<'_>) -> Result<Self, WireError> {
        let both =
            |d: &mut Decoder<'_>| Ok::<_, WireError>([f64::from_bits(d.u64()?), f64::from_bits(d.u64()?)]);
        Ok(match d.u8()? {
            number::SIGMOID => Self::Sigmoid,
            number::TANH => Self::Tanh,
            number::GELU => Self::Gelu,
            number::SILU => Self::Silu,
            number::ELU => Self::Elu { alpha: f64::from_bits(d.u64()?) },
            number::SOFTPLUS => Self::Softplus,
            number::ERF => Self::Erf,
            number::EXP_NEGATIVE => Self::ExpNegative,
            number::SIGMOID_TRAINING => Self::SigmoidTraining,
            number::EXP => Self::Exp { highest: f64::from_bits(d.u64()?), terms: d.u32()? },
            number::LOG => {
                let [lowest, highest] = both(d)?;
                Self::Log { lowest, highest }
            }
            number::RECIPROCAL => {
                let [lowest, highest] = both(d)?;
                Self::Reciprocal { lowest, highest }
            }
            number::SQRT => Self::Sqrt { highest: f64::from_bits(d.u64()?) },
            number::RSQRT => {
                let [lowest, highest] = both(d)?;
                Self::Rsqrt { lowest, highest }
            }
            _ => return Err(WireError::Invalid("number of a function")),
        })
    }
}

/// How a table is evaluated for an argument with these facts, at the program's fraction bits; `None` if that leaves too little room.
pub(crate) fn layout(table: &Table, x: &Fact, frac: FracBits) -> Option<Layout> {
    table.layout(frac, u64::try_from(x.bound_at(frac.bits())).ok()?)
}
