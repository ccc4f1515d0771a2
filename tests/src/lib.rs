//! What the end-to-end tests share: processes with deadlines, clusters of nodes, seeded randomness.
//!
//! Rules of these tests: everything runs as processes of the real program over QUIC on loopback; every wait has a
//! deadline; processes are killed when their owner goes away; a failure prints what the processes said.
#![allow(clippy::unwrap_used, reason = "a test harness: a panic is how a test fails")]

pub mod cluster;
pub mod files;
pub mod freed;
pub mod logistic;
pub mod page;
pub mod people;
pub mod process;
pub mod random;
pub mod refusal;
pub mod secrets;
pub mod site;

pub use cluster::Cluster;
pub use people::People;
pub use process::{Ended, Refusal, Running, finish_all, run};
pub use random::Random;
