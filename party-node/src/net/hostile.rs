//! Nodes that misbehave, against nodes that do not.
//!
//! A hostile node here holds a pinned key, knows the protocol and follows it until its script says otherwise (`act`): at
//! any message it may say something else, twice, half or nothing, close, or vanish. `party` and `dealer` are its two
//! roles, `honest` is what everyone else does, `world` puts three parties and a dealer together. Whatever it does, every
//! honest node must end within its deadlines, without an output, without a panic, in plain words, and without holding an
//! honest node responsible (`cases`).
//!
//! | tests | what |
//! |---|---|
//! | `handshake`, `words`, `to_dealer`, `from_dealer` | every control message cut, missized, repeated, replaced, replayed, withheld |
//! | `lanes` | frames of another place, size, session or stream; lanes that end or fall silent |
//! | `bits`, `frame_bits` | every bit of every header and control message, at one stream a case (`rig`) |
//! | `liars` | other nonces, programs, indices, rows or demands, to all or to one |
//! | `leaving` | closes of any kind, false accusations and vanishing, at every message |
//! | `floods`, `crowds` | memory and lines printed under floods of data and connections (`victim` is a process of its own) |
//!
//! A new message of the protocol gets a name in `act::Kind` and a place in the conversations of `party` or `dealer`.
#![allow(clippy::unwrap_used, reason = "a failure of a test's own set-up may panic")]

mod act;
mod bits;
mod cases;
mod crowds;
mod dealer;
mod floods;
mod frame_bits;
mod from_dealer;
mod handshake;
mod honest;
mod lanes;
mod leaving;
mod liars;
mod mischief;
mod party;
mod rig;
mod to_dealer;
mod victim;
mod words;
mod world;

pub(crate) use cases::ALONE;
