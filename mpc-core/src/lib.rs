//! Foundations of Subrosa: rings, tensors, fixed point, shares, PRG streams, wire format, the channel trait,
//! transcripts and the Merkle log. Nothing here does I/O, reads a clock or touches global randomness.

pub mod channel;
pub mod party;
pub mod tag;
pub mod wire;
