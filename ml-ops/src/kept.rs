//! Values that stay in shares after a session, for a later one: a model that is fitted today and scores tomorrow, and that no party
//! ever sees.
//!
//! A program keeps a value ([`ProgramBuilder::keep`](crate::ProgramBuilder::keep)); every party's run gives it its share, and a
//! later program of the same parties takes it up ([`ProgramBuilder::shared`](crate::ProgramBuilder::shared)). Shares of one value
//! come from one session: those of different sessions add up to noise, so a node agrees on the session with its peers before anything is
//! computed.
//!
//! **Security**: a share is uniform whatever the value is; all of them together are the value. It is re-randomised by a fresh sharing
//! of zero before it is kept and again when it is taken up, so that what is opened in one session is independent of the
//! other.

use mpc_core::party::PartyId;
use mpc_core::ring::Z64;
use mpc_core::tag::SessionId;
use mpc_core::tensor::Tensor;
use mpc_core::wire::{Decoder, Encoder, WireError};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::op::{NodeId, Op};
use crate::program::{MAX_NAME_BYTES, Program};
use crate::shape::Shape;

/// First bytes of every share.
const MAGIC: [u8; 8] = *b"SUBROSAS";
const VERSION: u16 = 1;

/// One party's share of a value that a session kept.
#[derive(Clone)]
pub struct KeptShare {
    origin: Origin,
    party: usize,
    parties: usize,
    frac: u32,
    bound: u64,
    values: Tensor<Z64>,
}

mpc_core::secret_types!(serde::Serialize; KeptShare);

/// Where a value was computed: the same at all parties, and no secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Origin {
    /// The session.
    pub session: [u8; 32],
    /// Digest of its program.
    pub program: [u8; 32],
    /// The program's name for the value.
    pub name: String,
}

/// Why a share is not what a program takes up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeptError {
    /// Bytes that are no share, or not whole.
    #[error("not a share that a session kept: {0}")]
    Malformed(#[from] WireError),
    /// Another party's share, or one among another number of parties.
    #[error(
        "this is the share of party {got} of {got_of}, expected that of party {expected} of {expected_of}"
    )]
    Party {
        /// Index of this party.
        expected: usize,
        /// Parties of the program.
        expected_of: usize,
        /// Index of the share's party.
        got: usize,
        /// Parties of its session.
        got_of: usize,
    },
    /// A value of another shape.
    #[error("expected shape {expected}, the session kept {got}")]
    Shape {
        /// As in the program.
        expected: Shape,
        /// As kept.
        got: Shape,
    },
    /// A value with other fraction bits.
    #[error("the program has {expected} fraction bits, the session that kept this had {got}")]
    FracBits {
        /// As in the program.
        expected: u32,
        /// As kept.
        got: u32,
    },
    /// A value that may be larger than the program allows.
    #[error("the program allows ±{expected}, what the session kept may reach ±{got}")]
    Bound {
        /// As in the program.
        expected: String,
        /// As kept.
        got: String,
    },
}

/// A value that a program takes up from an earlier session.
#[derive(Copy, Clone, Debug)]
pub struct SharedSpec<'a> {
    /// The node.
    pub node: NodeId,
    /// Unique name.
    pub name: &'a str,
    /// Lengths of the axes.
    pub shape: &'a Shape,
}

impl Program {
    /// The values that are taken up from earlier sessions, in node order: every party brings its share.
    pub fn shared(&self) -> impl Iterator<Item = SharedSpec<'_>> {
        (0..).zip(&self.nodes).filter_map(|(node, n)| match &n.op {
            Op::Shared { name, shape, .. } => Some(SharedSpec { node, name, shape }),
            _ => None,
        })
    }

    /// What every party keeps a share of, by name and in order.
    pub fn kept(&self) -> impl Iterator<Item = &str> {
        self.outputs.iter().filter(|o| o.recipients.is_empty()).map(|o| o.name.as_str())
    }
}

impl KeptShare {
    pub(crate) fn new(
        program: &Program,
        session: &SessionId,
        me: PartyId,
        (name, node): (&str, NodeId),
        values: Tensor<Z64>,
    ) -> Self {
        Self {
            origin: Origin { session: session.0, program: program.digest(), name: name.to_owned() },
            party: me.index(),
            parties: program.parties.len(),
            frac: program.frac.bits(),
            bound: program.fact(node).bound,
            values,
        }
    }

    /// Where the value was computed.
    #[must_use]
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Lengths of the axes.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.values.shape().into()
    }

    /// Checks that a node of a program can take up the share at party `me`.
    pub(crate) fn fits(&self, program: &Program, node: NodeId, me: PartyId) -> Result<(), KeptError> {
        let (fact, parties, frac) = (program.fact(node), program.parties.len(), program.frac.bits());
        if (self.party, self.parties) != (me.index(), parties) {
            let (expected, expected_of) = (me.index(), parties);
            return Err(KeptError::Party { expected, expected_of, got: self.party, got_of: self.parties });
        }
        if self.frac != frac {
            return Err(KeptError::FracBits { expected: frac, got: self.frac });
        }
        if self.values.shape() != fact.shape.dims() {
            return Err(KeptError::Shape { expected: fact.shape.clone(), got: self.shape() });
        }
        if self.bound > fact.bound {
            let unit = 2f64.powi(-(frac as i32));
            let real = |units: u64| (units as f64 * unit).to_string();
            return Err(KeptError::Bound { expected: real(fact.bound), got: real(self.bound) });
        }
        Ok(())
    }

    /// What the shares of all parties are together.
    pub(crate) fn value(shares: &[&Self]) -> ndarray::ArrayD<f64> {
        let sum = shares[1..].iter().fold(shares[0].values.clone(), |sum, share| sum.add(&share.values));
        mpc_core::fixed::decode(&sum, shares[0].frac)
    }

    pub(crate) fn values(&self) -> &Tensor<Z64> {
        &self.values
    }

    /// The bytes of a share's file: everything about it, the share, and a digest that tells whether they are whole.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut e = Encoder::new();
        e.array(&MAGIC);
        e.u16(VERSION);
        e.array(&self.origin.session);
        e.array(&self.origin.program);
        e.str(&self.origin.name);
        e.u8(self.party as u8);
        e.u8(self.parties as u8);
        e.u8(self.frac as u8);
        e.u64(self.bound);
        e.u8(self.values.shape().len() as u8);
        self.values.shape().iter().for_each(|&n| e.u32(n as u32));
        let (about, values) = (e.finish(), self.values.as_bytes());
        // Made in its final size: a vector that grows leaves copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(about.len() + values.len() + 32));
        bytes.extend_from_slice(&about);
        bytes.extend_from_slice(values);
        let digest = Sha256::digest(&bytes[..]);
        bytes.extend_from_slice(&digest);
        bytes
    }

    /// Reads what [`KeptShare::encode`] wrote. Nothing is believed: sizes are checked before anything is allocated.
    ///
    /// # Errors
    /// [`KeptError::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, KeptError> {
        let whole = bytes.len().checked_sub(32).map(|at| bytes.split_at(at));
        let (content, digest) = whole.ok_or(WireError::Truncated { wanted: 32, left: bytes.len() })?;
        let mut d = Decoder::new(content);
        if d.array()? != MAGIC {
            return Err(WireError::Invalid("magic number").into());
        }
        if d.u16()? != VERSION {
            return Err(WireError::Invalid("version").into());
        }
        if Sha256::digest(content)[..] != *digest {
            return Err(WireError::Invalid("digest: the file is not whole").into());
        }
        let (session, program) = (d.array()?, d.array()?);
        let name = d.str(MAX_NAME_BYTES)?.to_owned();
        let (party, parties) = (usize::from(d.u8()?), usize::from(d.u8()?));
        let (frac, bound) = (u32::from(d.u8()?), d.u64()?);
        let rank = usize::from(d.u8()?);
        if rank > Shape::MAX_RANK {
            return Err(WireError::TooLong { max: Shape::MAX_RANK, got: rank }.into());
        }
        let dims: Vec<usize> = (0..rank).map(|_| Ok(d.u32()? as usize)).collect::<Result<_, WireError>>()?;
        let shape = Shape::from(dims);
        if !shape.is_allowed() {
            return Err(WireError::Invalid("shape of a tensor").into());
        }
        let (wanted, left) = (shape.elements() * 8, d.remaining());
        // Read in one piece, as it is written.
        let values = Tensor::from_bytes(shape.dims(), &content[content.len() - left..]);
        let values = values.ok_or_else(|| match left.checked_sub(wanted) {
            None => WireError::Truncated { wanted, left },
            Some(left) => WireError::TrailingBytes { left },
        })?;
        Ok(Self { origin: Origin { session, program, name }, party, parties, frac, bound, values })
    }
}
