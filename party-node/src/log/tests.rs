//! Tests of the log on real sessions: recorders over an in-process network, real directories.

mod absent;
mod cosigned;
mod crash;
mod exchange;
pub(crate) mod killed;
mod prove;
mod session;
mod store;
mod verifier;
mod writer;
