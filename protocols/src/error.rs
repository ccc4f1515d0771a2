//! What can go wrong in a protocol, sorted by whose fault it is.

use mpc_core::channel::ChannelError;
use mpc_core::party::PartyId;
use mpc_core::tag::Tag;

use crate::prep::Item;

/// A protocol that did not finish. Nothing may be output afterwards: the session is poisoned.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// The network or a peer failed; names the peer.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// Correlated randomness could not be had.
    #[error(transparent)]
    Preprocessing(#[from] PrepError),
    /// The parties did not all see the same opened values. Someone told different peers different things; the check
    /// cannot say who.
    #[error("this party and {peer} saw different opened values: no output leaves")]
    OpeningsDiffer {
        /// The peer whose digest differs from ours; not necessarily the culprit.
        peer: PartyId,
    },
    /// A place in the program was entered twice; its pads would repeat.
    #[error("{tag} was entered before: its one-time randomness is spent")]
    EnteredTwice {
        /// The place.
        tag: Tag,
    },
    /// The session failed earlier.
    #[error("the session failed earlier and gives no more output")]
    Poisoned,
    /// A masked matrix of another session, where its mask means something else.
    #[error("the matrix was masked in another session")]
    MaskedElsewhere,
    /// The caller's arguments do not fit.
    #[error("{what}: expected {expected:?}, got {got:?}")]
    Shape {
        /// Which argument.
        what: &'static str,
        /// Expected lengths.
        expected: Vec<usize>,
        /// Lengths seen.
        got: Vec<usize>,
    },
}

/// Why correlated randomness is missing.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum PrepError {
    /// The program asks for something that the agreed demand does not have at this place.
    #[error("correlation {index} of the demand is {agreed:?}, but the program asks for {asked:?}")]
    Unexpected {
        /// Place in the demand.
        index: u32,
        /// What the demand says; `None` past its end.
        agreed: Option<Box<Item>>,
        /// What was asked for.
        asked: Box<Item>,
    },
    /// A product with a part of a mask that is none.
    #[error("correlation {index} takes a part of correlation {mask}, which is no earlier mask that has it")]
    NoSuchMask {
        /// Place in the demand.
        index: u32,
        /// Place of what should be a mask.
        mask: u32,
    },
    /// The dealer failed.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// An extension of oblivious transfers failed earlier, and has no base to go on from.
    #[error("the oblivious transfers failed earlier: no more can be made")]
    Spent,
    /// Party 0 was given no stream of corrections, without which its shares would be wrong.
    #[error("party 0 has no connection to receive the dealer's corrections from")]
    NoCorrections,
    /// A peer's bits have padding set.
    #[error("{peer} sent bits with padding set")]
    Padding {
        /// The peer.
        peer: PartyId,
    },
    /// The dealer's bits have padding set.
    #[error("malformed correction for item {index}")]
    Malformed {
        /// Place in the demand.
        index: u32,
    },
    /// A copy that was made ahead is not what it should be.
    #[error("item {index} of what was made ahead is malformed")]
    MalformedCopy {
        /// Place in the demand.
        index: u32,
    },
    /// A peer's message in the base oblivious transfers is none.
    #[error(
        "element {at} of the base transfers from {peer} is no canonical group element, or the neutral one"
    )]
    NotAPoint {
        /// Who sent it.
        peer: PartyId,
        /// Which of the message's elements.
        at: usize,
    },
    /// A check in the oblivious transfers failed: the peer did not keep to the protocol, or is in another session.
    #[error("the oblivious transfers with {peer} are inconsistent: {what}")]
    Inconsistent {
        /// The peer.
        peer: PartyId,
        /// Which check.
        what: &'static str,
    },
}
