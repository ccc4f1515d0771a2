//! The demo: the whole story as separate processes on this machine.

pub mod data;
pub mod fit;
pub mod model;
