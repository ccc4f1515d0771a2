//! Ready-made programs.

mod scorecard;

pub use scorecard::{PROBABILITY, Scorecard};
