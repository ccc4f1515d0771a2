//! The network between nodes: identity-pinned QUIC, agreement on a session, lanes, deadlines and failure.
//!
//! ```text
//! lane thread ── exchange(tag, messages) ─▶ byte-bounded queue ─▶ pump task ─▶ QUIC stream ─▶ peer
//!             ◀─ frame checked against tag ◀─ byte-bounded queue ◀─ pump task ◀──────────────
//! ```
//!
//! **What the network sees.** Every byte between nodes is in TLS 1.3 between two pinned keys. An observer
//! learns addresses, times and sizes, which follow from the public program. A peer sees what the protocol sends it,
//! nothing else; in particular the nonces, digests and close reasons of the handshake depend on no private value.
//!
//! **What a peer can do.** It can end the session, and every text it sends is bounded and stripped of all but plain
//! characters before it is printed. It cannot make this node allocate more than the bounds of the queues, wait
//! longer than its deadlines, take another's place, mistake one party for another, or replay a message of another session:
//! the keys of a connection are fresh, and a frame carries its place in the program. `docs/threat-model.md` has the bounds, and
//! `hostile` tries them.
//!
//! **Failure** is decided in one place (`links`): the first failure ends the session everywhere, with the culprit's
//! name.

pub mod broadcast;
mod channel;
pub mod control_stream;
pub mod dealer_link;
pub mod dealer_server;
pub mod dealer_session;
pub mod error;
pub mod hello;
pub mod keys;
pub mod options;
pub mod session;
pub mod transport;

mod accept;
mod confirm;
mod control;
mod dial;
pub(crate) mod frame;
#[cfg(test)]
pub(crate) mod hostile;
mod join;
mod links;
mod lobby;
mod pace;
mod present;
mod printable;
mod pump;
mod queue;
mod quorum;
mod rows;
mod runtime;
pub mod shape;
pub(crate) mod tls;

pub use channel::{QuicChannel, SessionHandle};
pub use control_stream::ControlStream;
pub use dealer_link::{DealerLink, QuicCorrections};
pub use dealer_server::{DealerOptions, DealerServer};
pub use dealer_session::{CorrectionSink, DealerSession};
pub use error::{Difference, Names, NetError, blame};
pub use keys::{PROTOCOL_VERSION, PeerKeys, SecretBytes, roster_digest};
pub use options::{ConnectOptions, Member, Notice};
pub(crate) use printable::printable;
pub use session::{Connected, RowOrder, connect};
pub use shape::Shape;
pub use transport::{LinkProfile, Listener};
