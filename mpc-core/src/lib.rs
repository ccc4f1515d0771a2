//! Foundations of Subrosa: rings, tensors, fixed point, shares, PRG streams, wire format, the channel trait,
//! transcripts and the Merkle log. Nothing here does I/O, reads a clock or touches global randomness.

pub mod bits;
pub mod channel;
pub mod checkpoint;
pub mod conv;
pub mod fixed;
pub mod fixed_key;
pub mod hex;
pub mod kernels;
pub mod local;
pub mod merkle;
pub mod party;
pub mod prg;
pub mod ring;
pub mod secret;
pub mod share;
pub mod tag;
pub mod tensor;
pub mod text;
pub mod transcript;
pub mod windows;
pub mod wire;
