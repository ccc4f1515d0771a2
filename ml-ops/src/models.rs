//! Ready-made programs.

pub mod scorecard;
pub mod trees;
