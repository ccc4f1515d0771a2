//! Tests of the log on real sessions: recorders over an in-process network, real directories.

mod absent;
mod crash;
mod session;
mod store;
mod verifier;
mod writer;
