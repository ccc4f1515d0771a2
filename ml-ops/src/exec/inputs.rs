//! A party's own inputs: checked and encoded before anything is sent.

use std::collections::BTreeMap;

use mpc_core::fixed::{FixedError, encode};
use mpc_core::party::PartyId;
use mpc_core::ring::Z64;
use mpc_core::tensor::Tensor;
use ndarray::ArrayD;

use crate::op::NodeId;
use crate::program::Program;
use crate::shape::Shape;

/// Why a party's inputs are not those that the program declares.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// An input without a value.
    #[error("no value for input \"{name}\"")]
    Missing {
        /// Name of the input.
        name: String,
    },
    /// A value for something that is no input of this party.
    #[error("\"{name}\" is no input of party {party} in this program; its inputs are: {known}")]
    Unknown {
        /// The name given.
        name: String,
        /// The party.
        party: usize,
        /// The names that exist.
        known: String,
    },
    /// A value for something that is no input of the program.
    #[error("\"{name}\" is no input of this program; its inputs are: {known}")]
    NoSuchInput {
        /// The name given.
        name: String,
        /// The names that exist.
        known: String,
    },
    /// A value of another shape.
    #[error("input \"{name}\": expected shape {expected}, got {got}")]
    Shape {
        /// Name of the input.
        name: String,
        /// As in the program.
        expected: Shape,
        /// As given.
        got: Shape,
    },
    /// A number that is not finite or beyond the declared range.
    #[error("input \"{name}\", {place}: {value} {}", match limit {
        Some(limit) => format!("is outside the declared range ±{limit}"),
        None => "is not a finite number".to_owned(),
    })]
    Number {
        /// Name of the input.
        name: String,
        /// Where the number stands.
        place: Place,
        /// The number.
        value: f64,
        /// The declared range, if the number is finite.
        limit: Option<f64>,
    },
}

/// Where a number stands in an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Index along every axis, from 0.
    pub index: Vec<usize>,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // People count rows from 1.
        match self.index[..] {
            [] => f.write_str("single value"),
            [row] => write!(f, "row {}", row + 1),
            [row, column] => write!(f, "row {}, column {}", row + 1, column + 1),
            ref index => write!(f, "index {index:?}"),
        }
    }
}

impl InputError {
    /// The error for a number without an encoding, at its row and column.
    pub(crate) fn encoding(name: &str, shape: &[usize], e: FixedError) -> Self {
        let mut rest = e.position().unwrap_or(0);
        let mut index = vec![0; shape.len()];
        for (i, &len) in index.iter_mut().zip(shape).rev() {
            (*i, rest) = (rest % len.max(1), rest / len.max(1));
        }
        let (value, limit) = match e {
            FixedError::OutOfRange { value, limit, .. } => (value, Some(limit)),
            FixedError::NotFinite { value, .. } => (value, None),
            _ => (f64::NAN, None),
        };
        Self::Number { name: name.to_owned(), place: Place { index }, value, limit }
    }
}

/// One party's inputs on the ring, ready to be shared. Wiped on drop, as all tensors are; without `Debug`.
pub struct EncodedInputs {
    values: BTreeMap<NodeId, Tensor<Z64>>,
}

mpc_core::secret_types!(serde::Serialize; EncodedInputs);

impl EncodedInputs {
    /// The value of an input node, if this party owns it. It is taken out: every input is shared once.
    pub(crate) fn take(&mut self, node: NodeId) -> Option<Tensor<Z64>> {
        self.values.remove(&node)
    }

    /// The encoded values in node order, for commitments.
    pub fn iter(&self) -> impl Iterator<Item = (NodeId, &Tensor<Z64>)> {
        self.values.iter().map(|(&node, t)| (node, t))
    }
}

/// Encodes the inputs of party `me`; nothing is sent.
///
/// # Errors
/// [`InputError`] for the first input that is missing, unknown, of another shape, or has a number that is not finite or
/// beyond its declared range, with its row and column.
pub fn encode_inputs(
    program: &Program,
    me: PartyId,
    inputs: &BTreeMap<String, ArrayD<f64>>,
) -> Result<EncodedInputs, InputError> {
    let own: Vec<_> = program.inputs().filter(|i| i.owner == me).collect();
    if let Some(name) = inputs.keys().find(|&name| own.iter().all(|i| i.name != name)) {
        let known: Vec<_> = own.iter().map(|i| format!("\"{}\"", i.name)).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return Err(InputError::Unknown { name: name.clone(), party: me.index(), known });
    }
    let mut encoded = EncodedInputs { values: BTreeMap::new() };
    for spec in own {
        let name = || spec.name.to_owned();
        let value = inputs.get(spec.name).ok_or_else(|| InputError::Missing { name: name() })?;
        if value.shape() != spec.shape.dims() {
            let (expected, got) = (spec.shape.clone(), value.shape().into());
            return Err(InputError::Shape { name: name(), expected, got });
        }
        let scale = program.fact(spec.node).scale;
        let tensor = encode(value, scale, spec.max_abs)
            .map_err(|e| InputError::encoding(spec.name, spec.shape.dims(), e))?;
        encoded.values.insert(spec.node, tensor);
    }
    Ok(encoded)
}
