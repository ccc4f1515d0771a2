//! The canonical encoding of a program: what is saved, agreed on by digest, and read back from untrusted bytes.
//!
//! Facts are not stored. Decoding appends every node through the same inference as building, so a decoded program is
//! as valid as a built one, and there is exactly one encoding of each program.
//!
//! Layout, little endian: magic, `u16` version, name, `u8` fraction bits, `u8` number of parties and their names,
//! `u32` number of nodes, each an opcode and its fields, `u32` number of outputs, each a name, a node and a recipient
//! bit mask.

use mpc_core::fixed::FracBits;
use mpc_core::party::MAX_PARTIES;
use mpc_core::ring::Z64;
use mpc_core::tensor::Tensor;
use mpc_core::wire::{Decoder, Encoder, WireError};

use crate::error::ProgramError;
use crate::op::{InputKind, NodeId, Op};
use crate::program::{MAX_NAME_BYTES, MAX_NODES, Program};
use crate::shape::Shape;

/// First bytes of every program file.
const MAGIC: [u8; 8] = *b"SUBROSAP";
/// Version of the format.
const VERSION: u16 = 2;
/// Largest program file: room for eight million constants.
pub(crate) const MAX_BYTES: usize = 64 << 20;

mod code {
    pub(super) const INPUT: u8 = 0;
    pub(super) const WEIGHTS: u8 = 1;
    pub(super) const CONSTANT: u8 = 2;
    pub(super) const ADD: u8 = 3;
    pub(super) const SUB: u8 = 4;
    pub(super) const NEG: u8 = 5;
    pub(super) const MUL: u8 = 6;
    pub(super) const SQUARE: u8 = 7;
    pub(super) const MATMUL: u8 = 8;
    pub(super) const DENSE: u8 = 9;
    pub(super) const SUM: u8 = 10;
    pub(super) const MEAN: u8 = 11;
    pub(super) const SCALE: u8 = 12;
    pub(super) const RESHAPE: u8 = 13;
    pub(super) const SLICE: u8 = 14;
    pub(super) const CONCAT: u8 = 15;
    pub(super) const TRANSPOSE: u8 = 16;
    pub(super) const LESS: u8 = 17;
    pub(super) const GREATER: u8 = 18;
    pub(super) const LESS_EQUAL: u8 = 19;
    pub(super) const GREATER_EQUAL: u8 = 20;
    pub(super) const SELECT: u8 = 21;
    pub(super) const RELU: u8 = 22;
    pub(super) const CLAMP: u8 = 23;
    pub(super) const SIGMOID: u8 = 24;
    pub(super) const ASSUME_RANGE: u8 = 25;
}

impl Program {
    /// The canonical encoding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::new();
        e.array(&MAGIC);
        e.u16(VERSION);
        e.str(&self.name);
        e.u8(self.frac.bits() as u8);
        e.u8(self.parties.len() as u8);
        self.parties.iter().for_each(|p| e.str(p));
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
        let parties = usize::from(d.u8()?);
        if !(2..=MAX_PARTIES).contains(&parties) {
            return Err(ProgramError::PartyCount { got: parties });
        }
        let parties =
            (0..parties).map(|_| Ok(d.str(MAX_NAME_BYTES)?.to_owned())).collect::<Result<_, WireError>>()?;
        let mut program = Self::empty(name, frac, parties);
        for _ in 0..count(&mut d)? {
            let op = decode_op(&mut d)?;
            program.push(op)?;
        }
        for _ in 0..count(&mut d)? {
            let (name, node, mask) = (d.str(MAX_NAME_BYTES)?, d.u32()?, d.u8()?);
            let recipients: Vec<_> = (0..8).filter(|i| mask >> i & 1 == 1).collect();
            program.push_output(name, node, &recipients)?;
        }
        d.finish()?;
        program.checked()
    }
}

fn count(d: &mut Decoder<'_>) -> Result<u32, ProgramError> {
    match d.u32()? {
        n if n as usize <= MAX_NODES => Ok(n),
        _ => Err(ProgramError::TooManyNodes),
    }
}

fn encode_shape(e: &mut Encoder, shape: &[usize]) {
    e.u8(shape.len() as u8);
    shape.iter().for_each(|&n| e.u32(n as u32));
}

fn decode_shape(d: &mut Decoder<'_>) -> Result<Shape, WireError> {
    let rank = usize::from(d.u8()?);
    if rank > Shape::MAX_RANK {
        return Err(WireError::TooLong { max: Shape::MAX_RANK, got: rank });
    }
    let dims: Vec<_> = (0..rank).map(|_| Ok(d.u32()? as usize)).collect::<Result<_, WireError>>()?;
    let shape = Shape::from(dims);
    if shape.is_allowed() { Ok(shape) } else { Err(WireError::Invalid("shape of a tensor")) }
}

/// Axes fit a byte: ranks are far smaller.
fn decode_axis(d: &mut Decoder<'_>) -> Result<usize, WireError> {
    Ok(usize::from(d.u8()?))
}

fn encode_op(e: &mut Encoder, op: &Op) {
    let mut with = |opcode: u8, operands: &[NodeId]| {
        e.u8(opcode);
        operands.iter().for_each(|&x| e.u32(x));
    };
    match op {
        Op::Input { name, owner, kind, shape, bound } => {
            with(if *kind == InputKind::Data { code::INPUT } else { code::WEIGHTS }, &[]);
            e.str(name);
            e.u8(*owner as u8);
            encode_shape(e, shape.dims());
            e.u64(*bound);
        }
        Op::Constant { scale, values } => {
            with(code::CONSTANT, &[]);
            e.u8(*scale as u8);
            encode_shape(e, values.shape());
            e.array(&values.to_bytes());
        }
        Op::Add(a, b) => with(code::ADD, &[*a, *b]),
        Op::Sub(a, b) => with(code::SUB, &[*a, *b]),
        Op::Neg(x) => with(code::NEG, &[*x]),
        Op::Mul(a, b) => with(code::MUL, &[*a, *b]),
        Op::Square(x) => with(code::SQUARE, &[*x]),
        Op::MatMul(a, b) => with(code::MATMUL, &[*a, *b]),
        Op::Dense { x, w, b } => with(code::DENSE, &[*x, *w, *b]),
        Op::Sum { x, axis } => {
            with(code::SUM, &[*x]);
            e.u8(*axis as u8);
        }
        Op::Mean { x, axis } => {
            with(code::MEAN, &[*x]);
            e.u8(*axis as u8);
        }
        Op::Scale { x, k } => {
            with(code::SCALE, &[*x]);
            e.u64(k.to_bits());
        }
        Op::Reshape { x, shape } => {
            with(code::RESHAPE, &[*x]);
            encode_shape(e, shape.dims());
        }
        Op::Slice { x, axis, start, end } => {
            with(code::SLICE, &[*x]);
            e.u8(*axis as u8);
            e.u32(*start as u32);
            e.u32(*end as u32);
        }
        Op::Concat { xs, axis } => {
            with(code::CONCAT, &[]);
            e.u8(*axis as u8);
            e.u32(xs.len() as u32);
            xs.iter().for_each(|&x| e.u32(x));
        }
        Op::Transpose(x) => with(code::TRANSPOSE, &[*x]),
        Op::Less(a, b) => with(code::LESS, &[*a, *b]),
        Op::Greater(a, b) => with(code::GREATER, &[*a, *b]),
        Op::LessEqual(a, b) => with(code::LESS_EQUAL, &[*a, *b]),
        Op::GreaterEqual(a, b) => with(code::GREATER_EQUAL, &[*a, *b]),
        Op::Select { bit, a, b } => with(code::SELECT, &[*bit, *a, *b]),
        Op::Relu(x) => with(code::RELU, &[*x]),
        Op::Clamp { x, lo, hi } => {
            with(code::CLAMP, &[*x]);
            e.u64(*lo as u64);
            e.u64(*hi as u64);
        }
        Op::Sigmoid(x) => with(code::SIGMOID, &[*x]),
        Op::AssumeRange { x, bound } => {
            with(code::ASSUME_RANGE, &[*x]);
            e.u64(*bound);
        }
    }
}

fn decode_op(d: &mut Decoder<'_>) -> Result<Op, WireError> {
    Ok(match d.u8()? {
        opcode @ (code::INPUT | code::WEIGHTS) => Op::Input {
            name: d.str(MAX_NAME_BYTES)?.to_owned(),
            owner: usize::from(d.u8()?),
            kind: if opcode == code::INPUT { InputKind::Data } else { InputKind::Weights },
            shape: decode_shape(d)?,
            bound: d.u64()?,
        },
        code::CONSTANT => {
            let (scale, shape) = (u32::from(d.u8()?), decode_shape(d)?);
            // Checked before the allocation: there are as many bytes as the shape asks for.
            let wanted = shape.elements() * 8;
            if d.remaining() < wanted {
                return Err(WireError::Truncated { wanted, left: d.remaining() });
            }
            let values = (0..shape.elements()).map(|_| d.u64().map(Z64)).collect::<Result<_, _>>()?;
            Op::Constant { scale, values: Tensor::from_vec(shape.dims(), values) }
        }
        code::ADD => Op::Add(d.u32()?, d.u32()?),
        code::SUB => Op::Sub(d.u32()?, d.u32()?),
        code::NEG => Op::Neg(d.u32()?),
        code::MUL => Op::Mul(d.u32()?, d.u32()?),
        code::SQUARE => Op::Square(d.u32()?),
        code::MATMUL => Op::MatMul(d.u32()?, d.u32()?),
        code::DENSE => Op::Dense { x: d.u32()?, w: d.u32()?, b: d.u32()? },
        code::SUM => Op::Sum { x: d.u32()?, axis: decode_axis(d)? },
        code::MEAN => Op::Mean { x: d.u32()?, axis: decode_axis(d)? },
        code::SCALE => Op::Scale { x: d.u32()?, k: f64::from_bits(d.u64()?) },
        code::RESHAPE => Op::Reshape { x: d.u32()?, shape: decode_shape(d)? },
        code::SLICE => {
            Op::Slice { x: d.u32()?, axis: decode_axis(d)?, start: d.u32()? as usize, end: d.u32()? as usize }
        }
        code::CONCAT => {
            let (axis, n) = (decode_axis(d)?, d.u32()? as usize);
            if d.remaining() / 4 < n {
                return Err(WireError::Truncated { wanted: n.saturating_mul(4), left: d.remaining() });
            }
            Op::Concat { xs: (0..n).map(|_| d.u32()).collect::<Result<_, _>>()?, axis }
        }
        code::TRANSPOSE => Op::Transpose(d.u32()?),
        code::LESS => Op::Less(d.u32()?, d.u32()?),
        code::GREATER => Op::Greater(d.u32()?, d.u32()?),
        code::LESS_EQUAL => Op::LessEqual(d.u32()?, d.u32()?),
        code::GREATER_EQUAL => Op::GreaterEqual(d.u32()?, d.u32()?),
        code::SELECT => Op::Select { bit: d.u32()?, a: d.u32()?, b: d.u32()? },
        code::RELU => Op::Relu(d.u32()?),
        code::CLAMP => Op::Clamp { x: d.u32()?, lo: d.u64()? as i64, hi: d.u64()? as i64 },
        code::SIGMOID => Op::Sigmoid(d.u32()?),
        code::ASSUME_RANGE => Op::AssumeRange { x: d.u32()?, bound: d.u64()? },
        _ => return Err(WireError::Invalid("operation code")),
    })
}
