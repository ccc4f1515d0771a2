//! The steps of a store: every change to the disk is one, and a crash may come before any of them. A test's process can be told
//! to die at one.

/// A step is about to be taken; `half` does a part of it, where there can be one.
#[cfg(not(test))]
pub(super) fn step(_half: impl FnOnce()) {}

#[cfg(test)]
pub(super) use super::tests::killed::step;
