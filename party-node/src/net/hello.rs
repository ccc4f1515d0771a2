//! The messages of the handshake and of aborts, and how they are decoded from an untrusted peer.
//!
//! Every control message is a `u32` length and that many bytes; the length is checked against the kind's limit before
//! anything is allocated. The first six bytes of every opening message are the magic and the version, and stay so in
//! all versions, so that two versions can tell each other apart.

use mpc_core::channel::Peer;
use mpc_core::party::{MAX_PARTIES, PartyId};
use mpc_core::wire::{Decoder, Encoder, WireError};

use super::printable::printable;

const MAGIC: &[u8; 4] = b"SBRS";
/// The longest abort reason in bytes.
pub const REASON_MAX_BYTES: usize = 200;
/// The longest demand that a dealer reads.
pub const DEMAND_MAX_BYTES: usize = 1 << 20;
/// No opening message is longer.
pub(crate) const HELLO_MAX_BYTES: usize = 512;
/// A dealer hello with the longest demand.
pub(crate) const DEALER_HELLO_MAX_BYTES: usize = DEMAND_MAX_BYTES + HELLO_MAX_BYTES;

/// QUIC application close codes.
pub(crate) mod close_code {
    /// The session is over and both ends know it.
    pub(crate) const DONE: u32 = 0;
    /// The session failed; the reason is an encoded [`super::Abort`].
    pub(crate) const ABORT: u32 = 1;
    /// Not now; dial again.
    pub(crate) const BUSY: u32 = 2;
}

/// The opening of every control stream: who speaks which version.
pub(crate) fn encode_greeting(version: u16) -> Encoder {
    let mut e = Encoder::new();
    e.array(MAGIC);
    e.u16(version);
    e
}

/// The version at the front of an opening message.
pub(crate) fn decode_greeting(d: &mut Decoder<'_>) -> Result<u16, WireError> {
    if d.array::<4>()? != *MAGIC {
        return Err(WireError::Invalid("magic: this is no Subrosa node"));
    }
    d.u16()
}

/// What a party says first to every other party.
pub(crate) struct Hello {
    pub(crate) version: u16,
    pub(crate) parties: u8,
    pub(crate) me: u8,
    pub(crate) you: u8,
    pub(crate) roster: [u8; 32],
    pub(crate) program: [u8; 32],
    pub(crate) parameters: [u8; 32],
    pub(crate) nonce: [u8; 32],
}

impl Hello {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut e = encode_greeting(self.version);
        [self.parties, self.me, self.you].into_iter().for_each(|b| e.u8(b));
        [self.roster, self.program, self.parameters, self.nonce].iter().for_each(|d| e.array(d));
        e.finish()
    }

    /// All that is understood of a hello of another version.
    pub(crate) const fn of_version(version: u16) -> Self {
        let zero = [0; 32];
        Self {
            version,
            parties: 0,
            me: 0,
            you: 0,
            roster: zero,
            program: zero,
            parameters: zero,
            nonce: zero,
        }
    }

    /// The rest of a hello whose version is ours.
    pub(crate) fn decode_after_greeting(version: u16, d: &mut Decoder<'_>) -> Result<Self, WireError> {
        Ok(Self {
            version,
            parties: d.u8()?,
            me: d.u8()?,
            you: d.u8()?,
            roster: d.array()?,
            program: d.array()?,
            parameters: d.array()?,
            nonce: d.array()?,
        })
    }
}

/// The second message between two parties: both must have computed the same session id.
pub(crate) struct Confirm {
    pub(crate) session: [u8; 32],
    /// The own row ids, hidden in a group element ([`super::rows`]).
    pub(crate) row_order: Option<[u8; 32]>,
}

impl Confirm {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::new();
        e.array(&self.session);
        e.u8(u8::from(self.row_order.is_some()));
        e.array(&self.row_order.unwrap_or_default());
        e.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut d = Decoder::new(bytes);
        let session = d.array()?;
        let present = d.u8()?;
        let digest = d.array()?;
        d.finish()?;
        let row_order = match present {
            0 if digest == [0; 32] => None,
            1 => Some(digest),
            _ => return Err(WireError::Invalid("row-order flag")),
        };
        Ok(Self { session, row_order })
    }
}

/// What a party asks of the dealer.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct DealerHello {
    pub(crate) session: [u8; 32],
    pub(crate) parties: u8,
    pub(crate) me: u8,
    pub(crate) roster: [u8; 32],
    pub(crate) program: [u8; 32],
    pub(crate) parameters: [u8; 32],
    pub(crate) demand: Vec<u8>,
}

impl DealerHello {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::new();
        e.array(&self.session);
        e.u8(self.parties);
        e.u8(self.me);
        [self.roster, self.program, self.parameters].iter().for_each(|d| e.array(d));
        e.bytes(&self.demand);
        e.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut d = Decoder::new(bytes);
        let hello = Self {
            session: d.array()?,
            parties: d.u8()?,
            me: d.u8()?,
            roster: d.array()?,
            program: d.array()?,
            parameters: d.array()?,
            demand: d.bytes(DEMAND_MAX_BYTES)?.to_vec(),
        };
        d.finish()?;
        Ok(hello)
    }
}

/// Why a session ends early, as told to a peer.
pub(crate) struct Abort {
    pub(crate) culprit: Option<Peer>,
    pub(crate) reason: String,
}

const NOBODY: u8 = 0xff;
const DEALER: u8 = 0xfe;

impl Abort {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::new();
        e.u8(match self.culprit {
            None => NOBODY,
            Some(Peer::Dealer) => DEALER,
            Some(Peer::Party(p)) => p.index() as u8,
        });
        e.str(&printable(&self.reason, REASON_MAX_BYTES));
        e.finish()
    }

    /// Never fails: what does not parse becomes an abort without a reason.
    pub(crate) fn decode(bytes: &[u8]) -> Self {
        let parse = || -> Result<Self, WireError> {
            let mut d = Decoder::new(bytes);
            let culprit = match d.u8()? {
                NOBODY => None,
                DEALER => Some(Peer::Dealer),
                p if usize::from(p) < MAX_PARTIES => Some(Peer::Party(PartyId::new(p.into()))),
                _ => return Err(WireError::Invalid("culprit")),
            };
            let reason = printable(d.str(REASON_MAX_BYTES)?, REASON_MAX_BYTES);
            d.finish()?;
            Ok(Self { culprit, reason })
        };
        parse().unwrap_or_else(|_| Self { culprit: None, reason: "no reason given".into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_abort_survives_the_wire_and_hostile_bytes_do_not_hurt() {
        let abort = Abort { culprit: Some(Peer::Party(PartyId::new(2))), reason: "x".repeat(500) };
        let back = Abort::decode(&abort.encode());
        assert_eq!(back.culprit, abort.culprit);
        assert_eq!(back.reason.len(), REASON_MAX_BYTES);
        for bytes in
            [&b""[..], &[7, 1, 0, 0, 0, b'x'], &[0, 255, 255, 255, 255], &[0xff, 2, 0, 0, 0, 0xc3, 0x28]]
        {
            let abort = Abort::decode(bytes);
            assert_eq!((abort.culprit, abort.reason.as_str()), (None, "no reason given"), "{bytes:?}");
        }
        let lines = Abort { culprit: None, reason: "a\nb\u{1b}[31mc".into() };
        assert_eq!(Abort::decode(&lines.encode()).reason, "a b [31mc");
    }

    #[test]
    fn a_dealer_hello_with_a_huge_demand_length_is_refused() {
        let hello = DealerHello {
            session: [1; 32],
            parties: 3,
            me: 0,
            roster: [2; 32],
            program: [3; 32],
            parameters: [4; 32],
            demand: vec![5; 10],
        };
        let mut bytes = hello.encode();
        assert!(DealerHello::decode(&bytes).unwrap() == hello);
        let at = bytes.len() - 14;
        bytes[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(matches!(DealerHello::decode(&bytes), Err(WireError::TooLong { .. })));
        assert!(DealerHello::decode(&bytes[..40]).is_err());
    }
}
