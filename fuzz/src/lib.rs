//! What the fuzz targets check, shared with the tests that run on a stable compiler (`tests/hostile_bytes.rs` in
//! `mpc-core`, `ml-ops` and `party-node` include these files).

pub mod foundation;
pub mod heads;
pub mod models;
pub mod mutate;
pub mod programs;
