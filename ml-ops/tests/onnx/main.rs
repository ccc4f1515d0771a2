//! Models of `tests/models`, which public tools exported, against what onnxruntime computed with them.
#![allow(clippy::unwrap_used, reason = "a test: a panic is how it fails")]

mod files;
mod models;
mod operators;
mod refusals;
