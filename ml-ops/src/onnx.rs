//! Import of trained models from ONNX files, without Python.
//!
//! [`Model::load`] reads a file that nobody has to trust: its size, the number of its messages and of its tensors' elements are
//! bounded before anything is allocated for them, and nothing in it is followed by recursion. [`import`] then walks the graph in
//! order. What depends on constants alone is folded; shapes are known, because the batch is. What is left becomes operations of
//! a [`Program`](crate::Program), with the model's parameters as public constants or as inputs of their owner ([`Parameters`]).
//!
//! A model that cannot be imported is refused as a whole: [`ImportError::Refused`] names every node that stands in the way, not
//! only the first.
//!
//! **Numbers.** Public parameters become integers, k times the parameter for a power of two k that the bounds leave room for, and
//! the product is divided by k in the truncation that it needs anyway: they are far more precise than 2^−f. Private parameters are
//! inputs of 2^−f, or of 2^−f/k where that is too coarse, at one more truncation.
//!
//! **Bounds.** The importer knows the parameters, so it knows bounds of products that are tighter than what follows from the
//! largest parameter: the sum of magnitudes per output. It promises them with `assume_range`; they hold whatever the inputs are,
//! as long as these are within their declared range. Of private parameters it tells so the magnitudes, rounded up to powers of
//! two, and nothing else.

mod check;
mod columns;
mod constant;
mod emit;
mod error;
mod fold;
mod function;
mod graph;
mod load;
mod operators;
mod options;
mod outputs;
mod pattern;
mod proto;
mod registry;
mod scan;
mod structure;
mod tensor;
mod types;
mod value;
mod walk;

pub use error::{ImportError, Problem, Refusal};
pub use load::{MAX_MODEL_BYTES, Model};
pub use options::{ColumnRange, Features, Options, Parameters};
pub use outputs::{Imported, ImportedInput, ImportedOutput};
pub use registry::supported;

/// Translates a model.
///
/// # Errors
/// [`ImportError::Refused`] with every node that cannot be imported; options that do not fit the model.
pub fn import(model: &Model, options: &Options) -> Result<Imported, ImportError> {
    walk::import(model, options)
}
