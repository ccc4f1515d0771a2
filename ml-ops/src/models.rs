//! Ready-made programs: a scorecard, trainings with the scorings that go with them, and the reference networks, whose weights one
//! party keeps secret.

pub mod lenet;
pub mod mlp;
pub mod network;
pub mod regression;
pub mod residual;
mod roles;
pub mod scorecard;
pub mod scoring;
pub mod transformer;
pub mod trees;

pub use roles::{DATA, RESULT, Roles};
