//! The fuzz targets' checks of this crate, over their seeds and deterministic mutations of them.

#[path = "../../fuzz/src/foundation.rs"]
pub mod foundation;
#[path = "../../fuzz/src/heads.rs"]
pub mod heads;
#[path = "../../fuzz/src/mutate.rs"]
pub mod mutate;

#[test]
fn checkpoints() {
    mutate::run("checkpoint", 4000, foundation::checkpoint);
}

#[test]
fn log_entries() {
    mutate::run("log_entry", 10_000, foundation::log_entry);
}

#[test]
fn proofs() {
    mutate::run("proof", 3000, foundation::proof);
}

#[test]
fn messages_about_heads() {
    mutate::run("heads", 6000, heads::heads);
}

#[test]
fn proofs_as_texts() {
    mutate::run("proof_text", 4000, heads::proof_text);
}

#[test]
fn packed_bits() {
    mutate::run("bits", 4000, foundation::bits);
}
