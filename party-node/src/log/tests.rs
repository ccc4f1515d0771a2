//! Tests of the log on real sessions: recorders over an in-process network, real directories.

mod absent;
mod cosigned;
mod crash;
mod damage;
mod exchange;
pub(crate) mod killed;
mod members;
mod prove;
mod session;
mod store;
mod tail;
mod verifier;
mod writer;
