//! Names of a session and of the places inside it. The program is the clock: both ends of every exchange derive the
//! same tag from the same program, so a frame out of place is seen at once.

use std::fmt;

/// The name of one session: a hash over protocol version, program, parameters, party keys and every party's fresh
/// nonce. It keys every PRG stream of the session, so no pad of one session can occur in another.
#[derive(Copy, Clone, Eq, PartialEq, Hash)]
pub struct SessionId(pub [u8; 32]);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(8).try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({self}…)")
    }
}

/// Where in the session a message or a PRG stream belongs.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash, Debug)]
pub struct Tag {
    /// Independent sub-conversation; each has its own stream and thread.
    pub lane: u16,
    /// Node of the program graph, or a reserved number from [`node`].
    pub node: u32,
    /// How many times a loop has come to this node before.
    pub iteration: u32,
    /// Exchange number within (node, iteration), from 0.
    pub round: u32,
}

/// Reserved node numbers, above any node of a program.
pub mod node {
    /// Where a session stands before it enters a node.
    pub const START: u32 = 0xffff_ffef;
    /// Comparison of the digests of all opened values, before outputs.
    pub const CONFIRM: u32 = 0xffff_fff0;
    /// Output shares.
    pub const OUTPUT: u32 = 0xffff_fff1;
    /// The confirmation that ends a session.
    pub const CLOSE: u32 = 0xffff_fff2;
    /// What nodes tell each other about their logs, on the control stream.
    pub const LOG: u32 = 0xffff_fff3;
}

impl Tag {
    /// Encoded length in bytes.
    pub const BYTES: usize = 14;

    /// Fixed little-endian encoding.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut out = [0; Self::BYTES];
        out[0..2].copy_from_slice(&self.lane.to_le_bytes());
        out[2..6].copy_from_slice(&self.node.to_le_bytes());
        out[6..10].copy_from_slice(&self.iteration.to_le_bytes());
        out[10..14].copy_from_slice(&self.round.to_le_bytes());
        out
    }

    /// The inverse of [`Tag::to_bytes`]; every 14 bytes are a valid tag.
    #[must_use]
    pub fn from_bytes(b: &[u8; Self::BYTES]) -> Self {
        Self {
            lane: u16::from_le_bytes([b[0], b[1]]),
            node: u32::from_le_bytes([b[2], b[3], b[4], b[5]]),
            iteration: u32::from_le_bytes([b[6], b[7], b[8], b[9]]),
            round: u32::from_le_bytes([b[10], b[11], b[12], b[13]]),
        }
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.node {
            node::START => write!(f, "start"),
            node::CONFIRM => write!(f, "confirmation of openings"),
            node::OUTPUT => write!(f, "output"),
            node::CLOSE => write!(f, "close"),
            node::LOG => write!(f, "heads of logs"),
            n => write!(f, "node {n} round {}", self.round),
        }?;
        if self.iteration != 0 {
            write!(f, " iteration {}", self.iteration)?;
        }
        if self.lane != 0 {
            write!(f, " lane {}", self.lane)?;
        }
        Ok(())
    }
}
