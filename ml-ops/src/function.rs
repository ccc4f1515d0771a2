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
    /// eˣ for x up to a highest; above, its value there.
    Exp {
        /// The largest argument.
        highest: f64,
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
    pub(super) const EXP: u8 = 20;
    pub(super) const LOG: u8 = 21;
    pub(super) const RECIPROCAL: u8 = 22;
    pub(super) const SQRT: u8 = 23;
    pub(super) const RSQRT: u8 = 24;
}

/// How a function is computed on shares.
pub(crate) enum Method {
    /// `protocols::piecewise`.
    Piecewise(Table),
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
        match self {
            Self::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            Self::Tanh => x.tanh(),
            Self::Exp { highest } => x.min(highest).exp(),
            Self::Log { lowest, highest } => x.max(lowest).min(highest).ln(),
            Self::Reciprocal { lowest, highest } => 1.0 / x.max(lowest).min(highest),
            Self::Sqrt { highest } => x.max(0.0).min(highest).sqrt(),
            Self::Rsqrt { lowest, highest } => 1.0 / x.max(lowest).min(highest).sqrt(),
        }
    }

    /// What is wrong with its parameters, if anything is.
    pub(crate) fn wrong_parameter(self) -> Option<&'static str> {
        self.limits().and_then(Limits::wrong)
    }

    /// The limits of a function that has some.
    const fn limits(self) -> Option<Limits> {
        let (kind, lowest, highest) = match self {
            Self::Sigmoid | Self::Tanh => return None,
            Self::Exp { highest } => (Kind::Exp, 0.0, highest),
            Self::Log { lowest, highest } => (Kind::Log, lowest, highest),
            Self::Reciprocal { lowest, highest } => (Kind::Reciprocal, lowest, highest),
            Self::Sqrt { highest } => (Kind::Sqrt, 0.0, highest),
            Self::Rsqrt { lowest, highest } => (Kind::Rsqrt, lowest, highest),
        };
        Some(Limits { kind, lowest, highest })
    }

    /// Its parameters for people, after a space each.
    pub(crate) fn parameters(self) -> String {
        self.limits().map_or_else(String::new, Limits::text)
    }

    /// How it is computed. The parameters are not wrong.
    pub(crate) fn method(self) -> Method {
        if let Some(limits) = self.limits() {
            return Method::Quartic(limits);
        }
        Method::Piecewise(match self {
            Self::Sigmoid => tables::sigmoid(),
            Self::Tanh => tables::tanh(),
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
            number::EXP => Self::Exp { highest: f64::from_bits(d.u64()?) },
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
