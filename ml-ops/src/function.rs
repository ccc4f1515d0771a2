//! Functions of one argument, applied to every element.
//!
//! Here is what each of them is: its name, its exact value, its encoding and the method that computes it on shares.
//! `docs/functions.md` says how far off results may be.

use mpc_core::fixed::FracBits;
use mpc_core::wire::{Decoder, Encoder, WireError};
use protocols::piecewise::{Layout, Table, tables};

use crate::fact::Fact;

/// A function of one argument.
#[derive(Copy, Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Function {
    /// 1 / (1 + e^−x)
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
}

/// Numbers of functions in the encoding.
mod number {
    pub(super) const SIGMOID: u8 = 0;
    pub(super) const TANH: u8 = 1;
}

/// How a function is computed on shares.
pub(crate) enum Method {
    /// `protocols::piecewise`.
    Piecewise(Table),
}

impl Function {
    /// The name in text, plans and errors.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sigmoid => "sigmoid",
            Self::Tanh => "tanh",
        }
    }

    /// The exact function, in floating point.
    #[must_use]
    pub fn value(self, x: f64) -> f64 {
        match self {
            Self::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            Self::Tanh => x.tanh(),
        }
    }

    /// What is wrong with its parameters, if anything is.
    pub(crate) const fn wrong_parameter(self) -> Option<&'static str> {
        match self {
            Self::Sigmoid | Self::Tanh => None,
        }
    }

    /// Its parameters for people, after a space each.
    pub(crate) const fn parameters(self) -> String {
        match self {
            Self::Sigmoid | Self::Tanh => String::new(),
        }
    }

    /// How it is computed. The parameters are not wrong.
    pub(crate) fn method(self) -> Method {
        Method::Piecewise(match self {
            Self::Sigmoid => tables::sigmoid(),
            Self::Tanh => tables::tanh(),
        })
    }

    pub(crate) fn encode(self, e: &mut Encoder) {
        match self {
            Self::Sigmoid => e.u8(number::SIGMOID),
            Self::Tanh => e.u8(number::TANH),
        }
    }

    pub(crate) fn decode(d: &mut Decoder<'_>) -> Result<Self, WireError> {
        Ok(match d.u8()? {
            number::SIGMOID => Self::Sigmoid,
            number::TANH => Self::Tanh,
            _ => return Err(WireError::Invalid("number of a function")),
        })
    }
}

/// How a table is evaluated for an argument with these facts, at the program's fraction bits; `None` if that leaves too little room.
pub(crate) fn layout(table: &Table, x: &Fact, frac: FracBits) -> Option<Layout> {
    table.layout(frac, u64::try_from(x.bound_at(frac.bits())).ok()?)
}
