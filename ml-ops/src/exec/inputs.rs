//! A party's own inputs: checked and encoded before anything is sent.

use std::collections::BTreeMap;
use std::ops::Range;

use mpc_core::fixed::{FixedError, encode};
use mpc_core::party::PartyId;
use mpc_core::ring::Z64;
use mpc_core::tensor::Tensor;
use ndarray::ArrayD;

use super::RunError;
use crate::kept::{KeptError, KeptShare};
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
    /// A share of an earlier session that the program cannot take up.
    #[error("shared value \"{name}\": {source}")]
    Share {
        /// Name of the value.
        name: String,
        /// What is wrong.
        source: KeptError,
    },
    /// A fraction in an input of integers.
    #[error("input \"{name}\", {place}: {value} is not an integer, as the program declares this input")]
    NotInteger {
        /// Name of the input.
        name: String,
        /// Where the number stands.
        place: Place,
        /// The number.
        value: f64,
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

impl Place {
    /// The place of a row-major position.
    pub(crate) fn of(position: usize, shape: &[usize]) -> Self {
        let (mut rest, mut index) = (position, vec![0; shape.len()]);
        for (i, &len) in index.iter_mut().zip(shape).rev() {
            (*i, rest) = (rest % len.max(1), rest / len.max(1));
        }
        Self { index }
    }
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
        let place = Place::of(e.position().unwrap_or(0), shape);
        let (value, limit) = match e {
            FixedError::OutOfRange { value, limit, .. } => (value, Some(limit)),
            FixedError::NotFinite { value, .. } => (value, None),
            FixedError::NotInteger { value, .. } => {
                return Self::NotInteger { name: name.to_owned(), place, value };
            }
            _ => (f64::NAN, None),
        };
        Self::Number { name: name.to_owned(), place, value, limit }
    }
}

/// Where the rows of an input are read from, a window at a time, where they are not all held in memory.
pub trait RowSource: Send {
    /// Rows `start..end`, encoded.
    ///
    /// # Errors
    /// Whatever reading fails with.
    fn rows(&mut self, rows: Range<usize>) -> std::io::Result<Tensor<Z64>>;
}

/// One party's inputs on the ring, ready to be shared. Wiped on drop, as all tensors are; without `Debug`.
#[derive(Default)]
pub struct EncodedInputs {
    values: BTreeMap<NodeId, Encoded>,
}

enum Encoded {
    Whole(Tensor<Z64>),
    Rows(Box<dyn RowSource>),
}

mpc_core::secret_types!(serde::Serialize; EncodedInputs, Encoded);

impl EncodedInputs {
    /// Adds an input that is held as a whole.
    pub fn insert(&mut self, node: NodeId, value: Tensor<Z64>) {
        self.values.insert(node, Encoded::Whole(value));
    }

    /// Adds an input of which a window of rows is read at a time.
    pub fn insert_rows(&mut self, node: NodeId, rows: Box<dyn RowSource>) {
        self.values.insert(node, Encoded::Rows(rows));
    }

    /// Adds this party's share of a value that the program takes up from an earlier session.
    ///
    /// # Errors
    /// A name that the program does not take up, or a share that does not fit it.
    pub fn insert_share(
        &mut self,
        program: &Program,
        me: PartyId,
        name: &str,
        share: &KeptShare,
    ) -> Result<(), InputError> {
        let Some(spec) = program.shared().find(|s| s.name == name) else {
            let known: Vec<_> = program.shared().map(|s| format!("\"{}\"", s.name)).collect();
            return Err(InputError::NoSuchInput { name: name.to_owned(), known: known.join(", ") });
        };
        let fits = share.fits(program, spec.node, me);
        fits.map_err(|source| InputError::Share { name: name.to_owned(), source })?;
        self.insert(spec.node, share.values().clone());
        Ok(())
    }

    /// Checks that the shares of all values that the program takes up are there.
    pub(super) fn check_shares(&self, program: &Program) -> Result<(), InputError> {
        match program.shared().find(|s| !self.values.contains_key(&s.node)) {
            Some(spec) => Err(InputError::Missing { name: spec.name.to_owned() }),
            None => Ok(()),
        }
    }

    /// Calls `part` with an input's encoded values in order, at most a window of the program's rows at a time: for commitments.
    ///
    /// # Errors
    /// What reading or `part` fails with.
    pub fn read<E: From<std::io::Error>>(
        &mut self,
        program: &Program,
        node: NodeId,
        mut part: impl FnMut(&Tensor<Z64>) -> Result<(), E>,
    ) -> Result<(), E> {
        match self.values.get_mut(&node) {
            None => Ok(()),
            Some(Encoded::Whole(value)) => part(value),
            Some(Encoded::Rows(source)) => {
                let rows = program.fact(node).shape.dims()[0];
                let window = program.window_rows().unwrap_or(rows).clamp(1, rows.max(1));
                (0..rows)
                    .step_by(window)
                    .try_for_each(|first| part(&source.rows(first..rows.min(first + window))?))
            }
        }
    }

    /// The values of this party's inputs for the rows of a window; all of them for a program of one window, which takes them out.
    pub(super) fn of_window(
        &mut self,
        program: &Program,
        rows: Option<Range<usize>>,
    ) -> Result<BTreeMap<NodeId, Tensor<Z64>>, RunError> {
        let Some(rows) = rows else {
            let all = std::mem::take(&mut self.values);
            return all.into_iter().map(|(node, value)| Ok((node, value.whole(program, node)?))).collect();
        };
        let part = |(&node, value): (&NodeId, &mut Encoded)| {
            let value = match value {
                Encoded::Whole(t) if program.has_rows(node) => t.slice(0, rows.start, rows.end),
                Encoded::Whole(t) => t.clone(),
                Encoded::Rows(source) => source.read(program, node, rows.clone())?,
            };
            Ok((node, value))
        };
        self.values.iter_mut().map(part).collect()
    }
}

impl Encoded {
    fn whole(self, program: &Program, node: NodeId) -> Result<Tensor<Z64>, RunError> {
        match self {
            Self::Whole(value) => Ok(value),
            Self::Rows(mut source) => source.read(program, node, 0..program.fact(node).shape.dims()[0]),
        }
    }
}

impl dyn RowSource {
    /// Reads rows of the input that `node` is and checks their shape.
    fn read(&mut self, program: &Program, node: NodeId, rows: Range<usize>) -> Result<Tensor<Z64>, RunError> {
        let expected = program.fact(node).shape.with_axis(0, rows.len());
        let failed = |what: String| {
            let name = program.inputs().find(|i| i.node == node).map_or("", |i| i.name).to_owned();
            RunError::Rows { name, first: rows.start, what }
        };
        let value = self.rows(rows.clone()).map_err(|e| failed(e.to_string()))?;
        if value.shape() != expected.dims() {
            return Err(failed(format!("expected shape {expected}, got {:?}", value.shape())));
        }
        Ok(value)
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
    let mut encoded = EncodedInputs::default();
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
        encoded.insert(spec.node, tensor);
    }
    Ok(encoded)
}
