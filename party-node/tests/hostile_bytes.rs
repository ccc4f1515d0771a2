//! The fuzz targets' checks of this crate, over their seeds and deterministic mutations of them.

#[path = "../../fuzz/src/mutate.rs"]
pub mod mutate;

use party_node::fuzzing;

#[test]
fn frames() {
    mutate::run("frame", 10_000, fuzzing::frame);
}

#[test]
fn handshakes() {
    mutate::run("handshake", 10_000, fuzzing::handshake);
}

#[test]
fn dealer_hellos() {
    mutate::run("dealer_hello", 10_000, fuzzing::dealer_hello);
}

#[test]
fn configurations() {
    mutate::run("config", 2000, fuzzing::config);
}

#[test]
fn tables() {
    mutate::run("csv", 3000, fuzzing::csv);
}

#[test]
fn weights() {
    mutate::run("weights", 3000, fuzzing::weights);
}

#[test]
fn stores() {
    mutate::run("store", 10_000, fuzzing::store);
}

#[test]
fn edited_log_directories() {
    mutate::run("log_directory", 1000, fuzzing::log_directory);
}

#[test]
fn dishonest_logs() {
    mutate::run("log_dishonest", 1000, fuzzing::log_dishonest);
}
