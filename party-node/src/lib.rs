//! The party node.

pub mod bench;
pub mod cli;
pub mod config;
pub mod data;
pub mod demo;
pub mod error;
#[doc(hidden)]
pub mod fuzzing;
pub mod identity;
pub mod job;
pub mod log;
mod memory;
pub mod metrics;
pub mod net;
pub mod output;
mod private_file;
pub mod progress;
mod regular_file;
pub mod scorecard;
mod secret_types;
mod signals;
pub mod store;
#[cfg(test)]
mod tape;

pub use cli::main;
