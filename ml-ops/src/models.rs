//! Ready-made programs.

pub mod scorecard;
