//! The entries and their canonical encoding.

use std::fmt;

use sha2::{Digest as _, Sha256};

use super::batch::Batch;
use crate::channel::Peer;
use crate::checkpoint::{MAX_NAME_BYTES, SignedCheckpoint, is_valid_name};
use crate::hex::hex;
use crate::party::{MAX_PARTIES, PartyId};
use crate::tag::SessionId;
use crate::text::is_plain;
use crate::wire::{Decoder, Encoder, WireError};

const DOMAIN: &str = "subrosa/transcript/v1";
const COMMITMENT_DOMAIN: &str = "subrosa/commitment/v1";
const DEALER: u8 = 0xff;

/// The longest reason of an abort, in bytes.
pub const MAX_REASON_BYTES: usize = 200;
const MAX_CODE_BYTES: usize = 64;

/// One leaf of a node's log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Entry {
    /// A session begins.
    SessionOpen(SessionOpen),
    /// A private value is committed to.
    Commitment(Commitment),
    /// Messages were exchanged.
    Batch(Batch),
    /// The session ended.
    Close(Close),
    /// Peers cosigned the log as it was after the session.
    Witnessed(Witnessed),
}

/// A member of a session: the name it goes by and its public key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// Its name; also the origin of its log. See [`is_valid_name`].
    pub name: String,
    /// Its Ed25519 public key.
    pub key: [u8; 32],
}

/// A session begins: everything that its members agreed on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionOpen {
    /// The session.
    pub session: SessionId,
    /// Version of the wire protocol.
    pub protocol_version: u32,
    /// Digest of the program.
    pub program: [u8; 32],
    /// Digest of the session's parameters: never of a local config file, which differs and could be guessed.
    pub parameters: [u8; 32],
    /// Who writes this log.
    pub me: Peer,
    /// The computing parties, in roster order; 2 to 5.
    pub parties: Vec<Member>,
    /// The dealer, if the session has one.
    pub dealer: Option<Member>,
    /// Every party's nonce, in roster order, so that the session's name can be computed again; empty in the log of a
    /// dealer, which is not shown them.
    pub nonces: Vec<[u8; 32]>,
    /// Commitment to the seed of this member's commitment blinds in this session, and of nothing else: shares, masks
    /// and keys come from the connections' exporters and from the dealer. A dealer commits to a seed and does not use it.
    pub seed_commitment: [u8; 32],
}

impl SessionOpen {
    /// The roster entry of `peer`, if there is one.
    #[must_use]
    pub fn member(&self, peer: Peer) -> Option<&Member> {
        match peer {
            Peer::Party(p) => self.parties.get(p.index()),
            Peer::Dealer => self.dealer.as_ref(),
        }
    }
}

/// What a commitment is about.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum CommitmentKind {
    /// An input tensor.
    Input,
    /// Secret weights: an input that chooses the function.
    Weights,
    /// An output that this member received.
    Output,
}

impl CommitmentKind {
    /// The kind for people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Weights => "weights",
            Self::Output => "output",
        }
    }

    const fn byte(self) -> u8 {
        match self {
            Self::Input => 0,
            Self::Weights => 1,
            Self::Output => 2,
        }
    }
}

/// A blinded commitment to a private value of this member.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Commitment {
    /// The session.
    pub session: SessionId,
    /// What kind of value.
    pub kind: CommitmentKind,
    /// The value's name in the program.
    pub name: String,
    /// What [`Commitment::new`] computes over the canonical value bytes.
    pub blinded: [u8; 32],
}

impl Commitment {
    /// Commits to `value` as the `kind` named `name` of `session`: SHA-256 over a domain, session, kind, name, `blind`
    /// and `value`, so what opens one commitment opens no other. The blind is fresh for every commitment, is kept
    /// outside the log, and is shown together with the value to whoever is to check it with [`Commitment::opens`].
    #[must_use]
    pub fn new(session: SessionId, kind: CommitmentKind, name: &str, blind: &[u8; 32], value: &[u8]) -> Self {
        let whole = Self::over(session, kind, name, blind, |part| {
            part(value);
            Ok::<_, std::convert::Infallible>(())
        });
        whole.unwrap_or_else(|never| match never {})
    }

    /// As [`Commitment::new`], for a value that is given in parts: `value` passes them on in order.
    ///
    /// # Errors
    /// What `value` fails with.
    pub fn over<E>(
        session: SessionId,
        kind: CommitmentKind,
        name: &str,
        blind: &[u8; 32],
        value: impl FnOnce(&mut dyn FnMut(&[u8])) -> Result<(), E>,
    ) -> Result<Self, E> {
        let mut head = Encoder::new();
        head.str(COMMITMENT_DOMAIN);
        head.array(&session.0);
        head.u8(kind.byte());
        head.str(name);
        head.array(blind);
        // All before the value is fixed in length or carries its length, so no two inputs are hashed alike.
        let mut hash = Sha256::new_with_prefix(head.finish());
        value(&mut |part| hash.update(part))?;
        Ok(Self { session, kind, name: name.to_owned(), blinded: hash.finalize().into() })
    }

    /// Whether `blind` and `value` open this commitment.
    #[must_use]
    pub fn opens(&self, blind: &[u8; 32], value: &[u8]) -> bool {
        Self::new(self.session, self.kind, &self.name, blind, value).blinded == self.blinded
    }
}

/// How a session ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// All members confirmed the end.
    Completed,
    /// Somebody gave up. Built by [`Outcome::aborted`].
    Aborted {
        /// Stable error code.
        code: String,
        /// Whom this member holds responsible, where it knows.
        culprit: Option<Peer>,
        /// For people; no secrets.
        reason: String,
    },
}

impl Outcome {
    /// An abort; code and reason are cut to their limits, and control and invisible characters become spaces.
    #[must_use]
    pub fn aborted(code: &str, culprit: Option<Peer>, reason: &str) -> Self {
        Self::Aborted {
            code: bounded(code, MAX_CODE_BYTES),
            culprit,
            reason: bounded(reason, MAX_REASON_BYTES),
        }
    }
}

fn bounded(text: &str, max: usize) -> String {
    let text: String = text.chars().map(|c| if is_plain(c) { c } else { ' ' }).collect();
    text[..text.floor_char_boundary(max)].to_owned()
}

/// A session ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Close {
    /// The session.
    pub session: SessionId,
    /// How it ended.
    pub outcome: Outcome,
    /// Rounds this member took part in, over all lanes.
    pub rounds: u64,
    /// Payload bytes this member sent, over all lanes and to all peers; for a dealer, its corrections.
    pub bytes_sent: u64,
}

/// Peers cosigned a checkpoint that covers the session. The cosignatures are kept beside the tree; this entry fixes
/// which, so that none can be taken away unseen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Witnessed {
    /// The session.
    pub session: SessionId,
    /// SHA-256 of the cosigned checkpoint's text.
    pub cosigned: [u8; 32],
}

impl Witnessed {
    /// The entry for a cosigned checkpoint.
    #[must_use]
    pub fn new(session: SessionId, cosigned: &SignedCheckpoint) -> Self {
        Self { session, cosigned: Self::digest(cosigned.to_string().as_bytes()) }
    }

    /// The digest of a cosigned checkpoint's text.
    #[must_use]
    pub fn digest(text: &[u8]) -> [u8; 32] {
        Sha256::digest(text).into()
    }
}

impl Entry {
    /// The session that the entry belongs to.
    #[must_use]
    pub const fn session(&self) -> SessionId {
        match self {
            Self::SessionOpen(e) => e.session,
            Self::Commitment(e) => e.session,
            Self::Batch(e) => e.session,
            Self::Close(e) => e.session,
            Self::Witnessed(e) => e.session,
        }
    }

    /// The canonical encoding: the leaf.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::new();
        e.str(DOMAIN);
        match self {
            Self::SessionOpen(open) => {
                e.u8(0);
                e.array(&open.session.0);
                e.u32(open.protocol_version);
                e.array(&open.program);
                e.array(&open.parameters);
                encode_peer(&mut e, open.me);
                e.u8(u8::try_from(open.parties.len()).unwrap_or(u8::MAX));
                open.parties.iter().for_each(|m| encode_member(&mut e, m));
                e.u8(u8::from(open.dealer.is_some()));
                open.dealer.iter().for_each(|m| encode_member(&mut e, m));
                open.nonces.iter().for_each(|nonce| e.array(nonce));
                e.array(&open.seed_commitment);
            }
            Self::Commitment(c) => {
                e.u8(1);
                e.array(&c.session.0);
                e.u8(c.kind.byte());
                e.str(&c.name);
                e.array(&c.blinded);
            }
            Self::Batch(b) => {
                e.u8(2);
                b.encode(&mut e);
            }
            Self::Close(c) => {
                e.u8(3);
                e.array(&c.session.0);
                match &c.outcome {
                    Outcome::Completed => e.u8(0),
                    Outcome::Aborted { code, culprit, reason } => {
                        e.u8(1);
                        e.str(code);
                        e.u8(u8::from(culprit.is_some()));
                        culprit.iter().for_each(|p| encode_peer(&mut e, *p));
                        e.str(reason);
                    }
                }
                e.u64(c.rounds);
                e.u64(c.bytes_sent);
            }
            Self::Witnessed(w) => {
                e.u8(4);
                e.array(&w.session.0);
                e.array(&w.cosigned);
            }
        }
        e.finish()
    }

    /// Reads an entry. What decodes encodes to the same bytes again.
    ///
    /// # Errors
    /// A [`WireError`] for anything but the canonical encoding of a sensible entry.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut d = Decoder::new(bytes);
        if d.str(DOMAIN.len())? != DOMAIN {
            return Err(WireError::Invalid("transcript entry: other domain or version"));
        }
        let kind = d.u8()?;
        let entry = match kind {
            0 => Self::SessionOpen(decode_open(&mut d)?),
            1 => Self::Commitment(Commitment {
                session: SessionId(d.array()?),
                kind: match d.u8()? {
                    0 => CommitmentKind::Input,
                    1 => CommitmentKind::Weights,
                    2 => CommitmentKind::Output,
                    _ => return Err(WireError::Invalid("commitment kind")),
                },
                name: decode_text(&mut d, MAX_NAME_BYTES)?,
                blinded: d.array()?,
            }),
            2 => Self::Batch(Batch::decode(&mut d)?),
            3 => Self::Close(Close {
                session: SessionId(d.array()?),
                outcome: decode_outcome(&mut d)?,
                rounds: d.u64()?,
                bytes_sent: d.u64()?,
            }),
            4 => Self::Witnessed(Witnessed { session: SessionId(d.array()?), cosigned: d.array()? }),
            _ => return Err(WireError::Invalid("transcript entry kind")),
        };
        d.finish()?;
        Ok(entry)
    }
}

fn decode_open(d: &mut Decoder<'_>) -> Result<SessionOpen, WireError> {
    let session = SessionId(d.array()?);
    let protocol_version = d.u32()?;
    let (program, parameters) = (d.array()?, d.array()?);
    let me = decode_peer(d)?;
    let n = usize::from(d.u8()?);
    if !(2..=MAX_PARTIES).contains(&n) {
        return Err(WireError::Invalid("number of parties"));
    }
    let parties = (0..n).map(|_| decode_member(d)).collect::<Result<Vec<_>, _>>()?;
    let dealer = if decode_bool(d)? { Some(decode_member(d)?) } else { None };
    let shown = if me == Peer::Dealer { 0 } else { n };
    let nonces = (0..shown).map(|_| d.array()).collect::<Result<Vec<_>, _>>()?;
    let seed_commitment = d.array()?;
    let open = SessionOpen {
        session,
        protocol_version,
        program,
        parameters,
        me,
        parties,
        dealer,
        nonces,
        seed_commitment,
    };
    if open.member(me).is_none() {
        return Err(WireError::Invalid("own place: not in the roster"));
    }
    let members: Vec<_> = open.parties.iter().chain(&open.dealer).collect();
    let twice = |i: usize| members[..i].iter().any(|m| m.key == members[i].key || m.name == members[i].name);
    if (0..members.len()).any(twice) {
        return Err(WireError::Invalid("roster: a name or key occurs twice"));
    }
    Ok(open)
}

fn decode_outcome(d: &mut Decoder<'_>) -> Result<Outcome, WireError> {
    if !decode_bool(d)? {
        return Ok(Outcome::Completed);
    }
    Ok(Outcome::Aborted {
        code: decode_text(d, MAX_CODE_BYTES)?,
        culprit: if decode_bool(d)? { Some(decode_peer(d)?) } else { None },
        reason: decode_text(d, MAX_REASON_BYTES)?,
    })
}

fn encode_member(e: &mut Encoder, m: &Member) {
    e.str(&m.name);
    e.array(&m.key);
}

fn decode_member(d: &mut Decoder<'_>) -> Result<Member, WireError> {
    let name = d.str(MAX_NAME_BYTES)?;
    if !is_valid_name(name) {
        return Err(WireError::Invalid("member name"));
    }
    Ok(Member { name: name.to_owned(), key: d.array()? })
}

pub(super) fn encode_peer(e: &mut Encoder, p: Peer) {
    e.u8(peer_byte(p));
}

/// A party's index, or 0xff for the dealer.
pub(super) fn peer_byte(p: Peer) -> u8 {
    match p {
        Peer::Party(p) => p.index() as u8,
        Peer::Dealer => DEALER,
    }
}

pub(super) fn decode_peer(d: &mut Decoder<'_>) -> Result<Peer, WireError> {
    match d.u8()? {
        DEALER => Ok(Peer::Dealer),
        i if usize::from(i) < MAX_PARTIES => Ok(Peer::Party(PartyId::new(usize::from(i)))),
        _ => Err(WireError::Invalid("party index")),
    }
}

fn decode_bool(d: &mut Decoder<'_>) -> Result<bool, WireError> {
    match d.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(WireError::Invalid("flag: neither 0 nor 1")),
    }
}

/// Text is shown to people, so it must not be able to move their cursor or to read otherwise than it is written.
fn decode_text(d: &mut Decoder<'_>, max: usize) -> Result<String, WireError> {
    let text = d.str(max)?;
    if !text.chars().all(is_plain) {
        return Err(WireError::Invalid("text: contains control or invisible characters"));
    }
    Ok(text.to_owned())
}

/// One line for people.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SessionOpen(o) => {
                write!(f, "open {}: program {}, ", hex(&o.session.0), hex(&o.program))?;
                write!(f, "parameters {}", hex(&o.parameters))?;
                let parties = o.parties.iter().enumerate().map(|(i, m)| (Peer::Party(PartyId::new(i)), m));
                for (peer, member) in parties.chain(o.dealer.iter().map(|m| (Peer::Dealer, m))) {
                    let me = if peer == o.me { " (this log)" } else { "" };
                    write!(f, ", {peer} {}{me}", member.name)?;
                }
                Ok(())
            }
            Self::Commitment(c) => {
                write!(f, "commit {} to {} {:?}: {}", c.session, c.kind.as_str(), c.name, hex(&c.blinded))
            }
            Self::Batch(b) => b.fmt(f),
            Self::Witnessed(w) => write!(f, "witnessed {}: cosignatures are beside the log", w.session),
            Self::Close(c) => {
                write!(f, "close {}: ", c.session)?;
                match &c.outcome {
                    Outcome::Completed => f.write_str("completed"),
                    Outcome::Aborted { code, culprit, reason } => {
                        write!(f, "aborted ({code}")?;
                        culprit.iter().try_for_each(|p| write!(f, ", by {p}"))?;
                        write!(f, "): {reason}")
                    }
                }?;
                write!(f, "; {} rounds, {} bytes sent", c.rounds, c.bytes_sent)
            }
        }
    }
}
