//! Where the binary's memory comes from.
//!
//! Tensors of megabytes come and go in every operation. The system's allocator gives such memory back at once and takes
//! it again page by page, which cost a third of the time of a product of a million numbers (`docs/performance.md`). Mimalloc
//! keeps it, by default for a second; then everything that is free at that moment goes, also what is needed again at once.

#![allow(unsafe_code)] // calls into mimalloc, whose Rust interface lacks its options

use std::ffi::{c_int, c_long};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc 3: after how many milliseconds freed memory goes back to the system.
const PURGE_DELAY: c_int = 15;
/// Longer than most sessions take. A service that goes on holds what its largest session took for about as long.
const PURGE_DELAY_MS: c_long = 60_000;

unsafe extern "C" {
    fn mi_option_set_default(option: c_int, value: c_long);
}

/// Keeps freed memory for longer, unless the environment (`MIMALLOC_PURGE_DELAY`) says how long.
pub(crate) fn keep_freed_memory() {
    // SAFETY: mimalloc is linked in, as the allocator. The function takes two numbers, compares the first with its list of
    // options, and stores the second.
    unsafe { mi_option_set_default(PURGE_DELAY, PURGE_DELAY_MS) }
}

#[cfg(test)]
mod tests {
    use super::*;

    unsafe extern "C" {
        fn mi_option_get(option: c_int) -> c_long;
    }

    /// Options have numbers alone, which another version may give to other options.
    #[test]
    fn the_option_is_the_one_that_is_meant() {
        // SAFETY: as above; it returns a number.
        let get = || unsafe { mi_option_get(PURGE_DELAY) };
        let from_environment = std::env::var("MIMALLOC_PURGE_DELAY").is_ok();
        assert!(from_environment || get() == 1_000, "the delay was {} ms before", get());
        keep_freed_memory();
        assert!(from_environment || get() == PURGE_DELAY_MS);
    }
}
