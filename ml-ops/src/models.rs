//! Ready-made programs.

pub mod network;
pub mod regression;
pub mod scorecard;
pub mod trees;
