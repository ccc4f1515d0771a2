//! Nodes that misbehave, against nodes that do not.
//!
//! A hostile node here holds a pinned key, knows the protocol and follows it until its script says otherwise
//! (`act`): at any message it may say something else, twice, half or nothing, close, or vanish. `party` and `dealer`
//! are its two roles, `honest` is what everyone else does, `world` puts three parties and a dealer together. Whatever it
//! does, every honest node must end within its deadlines, without an output, without a panic, and without blaming an
//! honest node (`cases`).

mod act;
mod bits;
mod cases;
mod dealer;
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
mod words;
mod world;
