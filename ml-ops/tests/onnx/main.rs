//! Models of `tests/models`, which public tools exported, against what onnxruntime computed with them.

mod files;
mod models;
mod operators;
mod refusals;
