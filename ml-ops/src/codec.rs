//! The canonical encoding of a program: what is saved, agreed on by digest, and read back from untrusted bytes.
//!
//! Facts are not stored. Decoding appends every node through the same inference as building, so a decoded program is
//! as valid as a built one, and there is exactly one encoding of each program.
//!
//! Layout, little endian: magic, `u16` version, name, `u8` fraction bits, `u8` rounding, the shape of trees (`u8` 0 with block
//! and fan-in, or 1 with a link's round trip in µs as `u32` and bytes per second as `u64`), `u32` rows of a window or 0, `u8` number of parties and
//! their names, `u32` number of loops, each its first node, the node after its last and its iterations as `u32`, `u32` number of nodes, each an opcode and its fields (`op`), `u32` number of outputs, each a name, a node and a
//! recipient bit mask; without a recipient, every party keeps a share.

use mpc_core::fixed::FracBits;
use mpc_core::party::MAX_PARTIES;
use mpc_core::wire::{Decoder, Encoder, WireError};
use protocols::tree::{Link, TreeChoice};

use crate::error::ProgramError;
use crate::program::{MAX_NAME_BYTES, MAX_NODES, Program};
use crate::repeat::Repeat;
use crate::settings::{Rounding, Settings, Trees};

mod op;

use op::{decode_op, encode_op};

/// First bytes of every program file.
const MAGIC: [u8; 8] = *b"SUBROSAP";
/// Version of the format.
const VERSION: u16 = 5;
/// Largest program file: room for eight million constants.
pub(crate) const MAX_BYTES: usize = 64 << 20;

impl Program {
    /// The canonical encoding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::new();
        e.array(&MAGIC);
        e.u16(VERSION);
        e.str(&self.name);
        e.u8(self.frac.bits() as u8);
        encode_settings(&mut e, self.settings);
        e.u8(self.parties.len() as u8);
        self.parties.iter().for_each(|p| e.str(p));
        e.u32(self.loops.len() as u32);
        for l in &self.loops {
            [l.first, l.end, l.times].into_iter().for_each(|n| e.u32(n));
        }
        e.u32(self.nodes.len() as u32);
        self.nodes.iter().for_each(|n| encode_op(&mut e, &n.op));
        e.u32(self.outputs.len() as u32);
        for o in &self.outputs {
            e.str(&o.name);
            e.u32(o.node);
            e.u8(o.recipients.iter().fold(0, |mask, p| mask | 1 << p.index()));
        }
        e.finish()
    }

    /// Reads the canonical encoding. The bytes are not trusted: sizes are limited and checked against what is there
    /// before anything is allocated, and every rule of the builder applies.
    ///
    /// # Errors
    /// [`ProgramError::Malformed`], [`ProgramError::Version`], and every error of building.
    pub fn decode(bytes: &[u8]) -> Result<Self, ProgramError> {
        if bytes.len() > MAX_BYTES {
            return Err(WireError::TooLong { max: MAX_BYTES, got: bytes.len() }.into());
        }
        let mut d = Decoder::new(bytes);
        if d.array()? != MAGIC {
            return Err(WireError::Invalid("magic number: this is not a program file").into());
        }
        let got = d.u16()?;
        if got != VERSION {
            return Err(ProgramError::Version { got, expected: VERSION });
        }
        let name = d.str(MAX_NAME_BYTES)?.to_owned();
        let frac = FracBits::new(d.u8()?.into());
        let frac = frac.map_err(|source| ProgramError::Encoding { op: "program", source })?;
        let settings = decode_settings(&mut d)?;
        let parties = usize::from(d.u8()?);
        if !(2..=MAX_PARTIES).contains(&parties) {
            return Err(ProgramError::PartyCount { got: parties });
        }
        let parties =
            (0..parties).map(|_| Ok(d.str(MAX_NAME_BYTES)?.to_owned())).collect::<Result<_, WireError>>()?;
        let mut program = Self::empty(name, frac, parties);
        program.settings = settings;
        for _ in 0..count(&mut d)? {
            let after = program.loops.last().map_or(0, |l| l.end);
            let l = Repeat::new(d.u32()?, d.u32()?, d.u32()?);
            if !(after <= l.first && l.first < l.end && l.times > 0) {
                return Err(WireError::Invalid("loop").into());
            }
            program.loops.push(l);
        }
        for _ in 0..count(&mut d)? {
            let op = decode_op(&mut d)?;
            program.push(op)?;
        }
        for _ in 0..count(&mut d)? {
            let (name, node, mask) = (d.str(MAX_NAME_BYTES)?, d.u32()?, d.u8()?);
            let recipients: Vec<_> = (0..8).filter(|i| mask >> i & 1 == 1).collect();
            if recipients.is_empty() {
                program.push_kept(name, node)?;
            } else {
                program.push_output(name, node, &recipients)?;
            }
        }
        d.finish()?;
        program.checked()
    }
}

fn encode_settings(e: &mut Encoder, settings: Settings) {
    e.u8(match settings.rounding {
        Rounding::Dithered => 0,
        Rounding::Exact => 1,
    });
    match settings.trees {
        Trees::Fixed(tree) => {
            e.u8(0);
            e.u8(tree.block() as u8);
            e.u8(tree.fan_in() as u8);
        }
        Trees::For(link) => {
            e.u8(1);
            e.u32(link.round_trip_us());
            e.u64(link.bytes_per_second());
        }
    }
    e.u32(settings.window_rows.unwrap_or(0));
}

fn decode_settings(d: &mut Decoder<'_>) -> Result<Settings, WireError> {
    let rounding = match d.u8()? {
        0 => Rounding::Dithered,
        1 => Rounding::Exact,
        _ => return Err(WireError::Invalid("rounding")),
    };
    let trees = match d.u8()? {
        0 => TreeChoice::new(d.u8()?.into(), d.u8()?.into()).map(Trees::Fixed),
        1 => Link::new(d.u32()?, d.u64()?).map(Trees::For),
        _ => None,
    };
    let trees = trees.ok_or(WireError::Invalid("shape of trees"))?;
    let window_rows = Some(d.u32()?).filter(|&rows| rows > 0);
    Ok(Settings { rounding, trees, window_rows })
}

fn count(d: &mut Decoder<'_>) -> Result<u32, ProgramError> {
    match d.u32()? {
        n if n as usize <= MAX_NODES => Ok(n),
        _ => Err(ProgramError::TooManyNodes),
    }
}
