//! The party node.

pub mod config;
pub mod data;
pub mod demo;
pub mod error;
pub mod identity;
pub mod metrics;
pub mod output;
pub mod scorecard;

/// Entry point of the binary.
pub fn main() -> std::process::ExitCode { std::process::ExitCode::SUCCESS }
