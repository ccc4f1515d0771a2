#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    party_node::fuzzing::store(bytes);
});
