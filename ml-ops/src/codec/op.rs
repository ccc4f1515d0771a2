//! Operations: an opcode, then operands and parameters.

use mpc_core::ring::Z64;
use mpc_core::tensor::Tensor;
use mpc_core::windows::{Outside, Sliding};
use mpc_core::wire::{Decoder, Encoder, WireError};

use crate::function::Function;
use crate::op::{Direction, Extreme, InputKind, NodeId, Op, Winner};
use crate::program::MAX_NAME_BYTES;
use crate::shape::Shape;

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
    pub(super) const ASSUME_RANGE: u8 = 25;
    pub(super) const EQUAL: u8 = 26;
    pub(super) const NOT_EQUAL: u8 = 27;
    pub(super) const MINIMUM: u8 = 28;
    pub(super) const MAXIMUM: u8 = 29;
    pub(super) const ABS: u8 = 30;
    pub(super) const SIGN: u8 = 31;
    pub(super) const EXTREME: u8 = 32;
    pub(super) const SORT: u8 = 33;
    pub(super) const SORT_WITH: u8 = 34;
    // Layers of networks have 55 to 69.
    pub(super) const CONV: u8 = 55;
    pub(super) const CONV_BIAS: u8 = 56;
    pub(super) const UNFOLD: u8 = 57;
    pub(super) const PERMUTE: u8 = 58;
    pub(super) const PAD: u8 = 59;
    pub(super) const FUNCTION: u8 = 40;
    pub(super) const DIVIDE: u8 = 45;
    pub(super) const CARRY: u8 = 70;
    pub(super) const CARRIED: u8 = 71;
    pub(super) const BATCH: u8 = 72;
    pub(super) const HISTORY: u8 = 73;
    pub(super) const WEIGHTED_SUM: u8 = 74;
    pub(super) const RELU_BIT: u8 = 75;
    pub(super) const SHARED: u8 = 76;
    pub(super) const REPORT: u8 = 77;
    pub(super) const GATHER: u8 = 85;
    pub(super) const SPLIT: u8 = 86;
    pub(super) const INTEGER_INPUT: u8 = 87;
    pub(super) const INTEGER_WEIGHTS: u8 = 88;
}

fn encode_shape(e: &mut Encoder, shape: &[usize]) {
    e.u8(shape.len() as u8);
    shape.iter().for_each(|&n| e.u32(n as u32));
}

fn decode_shape(d: &mut Decoder<'_>) -> Result<Shape, WireError> {
    let rank = decode_rank(d)?;
    let dims: Vec<_> = (0..rank).map(|_| Ok(d.u32()? as usize)).collect::<Result<_, WireError>>()?;
    let shape = Shape::from(dims);
    if shape.is_allowed() { Ok(shape) } else { Err(WireError::Invalid("shape of a tensor")) }
}

/// Axes fit a byte: ranks are far smaller.
fn decode_axis(d: &mut Decoder<'_>) -> Result<usize, WireError> {
    Ok(usize::from(d.u8()?))
}

/// As many numbers as there are axes.
fn encode_numbers(e: &mut Encoder, numbers: &[usize]) {
    numbers.iter().for_each(|&n| e.u32(n as u32));
}

fn decode_numbers<const N: usize>(d: &mut Decoder<'_>) -> Result<[usize; N], WireError> {
    let mut numbers = [0; N];
    for n in &mut numbers {
        *n = d.u32()? as usize;
    }
    Ok(numbers)
}

fn encode_sliding(e: &mut Encoder, s: &Sliding) {
    encode_numbers(e, &[s.stride, s.dilation, s.padding[0], s.padding[1]].concat());
}

fn decode_sliding(d: &mut Decoder<'_>) -> Result<Sliding, WireError> {
    let [stride, dilation, vertical, horizontal] = [(); 4].map(|()| decode_numbers(d));
    Ok(Sliding { stride: stride?, dilation: dilation?, padding: [vertical?, horizontal?] })
}

/// Number of axes.
fn decode_rank(d: &mut Decoder<'_>) -> Result<usize, WireError> {
    match usize::from(d.u8()?) {
        rank if rank <= Shape::MAX_RANK => Ok(rank),
        got => Err(WireError::TooLong { max: Shape::MAX_RANK, got }),
    }
}

pub(super) fn encode_op(e: &mut Encoder, op: &Op) {
    let mut with = |opcode: u8, operands: &[NodeId]| {
        e.u8(opcode);
        operands.iter().for_each(|&x| e.u32(x));
    };
    match op {
        Op::Input { name, owner, kind, shape, bound, integer } => {
            let code = match (kind, integer) {
                (InputKind::Data, false) => code::INPUT,
                (InputKind::Weights, false) => code::WEIGHTS,
                (InputKind::Data, true) => code::INTEGER_INPUT,
                (InputKind::Weights, true) => code::INTEGER_WEIGHTS,
            };
            with(code, &[]);
            e.str(name);
            e.u8(*owner as u8);
            encode_shape(e, shape.dims());
            e.u64(*bound);
        }
        Op::Shared { name, shape, bound } => {
            with(code::SHARED, &[]);
            e.str(name);
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
        Op::Conv { x, w, bias, sliding, groups } => {
            match bias {
                None => with(code::CONV, &[*x, *w]),
                Some(b) => with(code::CONV_BIAS, &[*x, *w, *b]),
            }
            encode_sliding(e, sliding);
            e.u32(*groups as u32);
        }
        Op::Unfold { x, window, sliding, outside } => {
            with(code::UNFOLD, &[*x]);
            encode_numbers(e, window);
            encode_sliding(e, sliding);
            e.u8(u8::from(*outside == Outside::Nearest));
        }
        Op::Permute { x, axes } => {
            with(code::PERMUTE, &[*x]);
            e.u8(axes.len() as u8);
            axes.iter().for_each(|&axis| e.u8(axis as u8));
        }
        Op::Pad { x, before, after, value } => {
            with(code::PAD, &[*x]);
            e.u8(before.len() as u8);
            encode_numbers(e, before);
            encode_numbers(e, after);
            e.u64(*value as u64);
        }
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
        Op::Gather { x, axis, indices } => {
            with(code::GATHER, &[*x]);
            e.u8(*axis as u8);
            e.u32(indices.len() as u32);
            indices.iter().for_each(|&i| e.u32(i));
        }
        Op::Split { x, bit } => with(code::SPLIT, &[*x, *bit]),
        Op::Transpose(x) => with(code::TRANSPOSE, &[*x]),
        Op::Less(a, b) => with(code::LESS, &[*a, *b]),
        Op::Greater(a, b) => with(code::GREATER, &[*a, *b]),
        Op::LessEqual(a, b) => with(code::LESS_EQUAL, &[*a, *b]),
        Op::GreaterEqual(a, b) => with(code::GREATER_EQUAL, &[*a, *b]),
        Op::Equal(a, b) => with(code::EQUAL, &[*a, *b]),
        Op::NotEqual(a, b) => with(code::NOT_EQUAL, &[*a, *b]),
        Op::Minimum(a, b) => with(code::MINIMUM, &[*a, *b]),
        Op::Maximum(a, b) => with(code::MAXIMUM, &[*a, *b]),
        Op::Abs(x) => with(code::ABS, &[*x]),
        Op::Sign(x) => with(code::SIGN, &[*x]),
        Op::Extreme { x, axis, which, with: winner } => {
            with(code::EXTREME, &[*x]);
            e.u8(*axis as u8);
            e.u8(u8::from(*which == Extreme::Smallest));
            e.u8(match winner {
                Winner::Value => 0,
                Winner::Index => 1,
                Winner::OneHot => 2,
            });
        }
        Op::Sort { keys, payload, axis, direction, keep } => {
            match payload {
                None => with(code::SORT, &[*keys]),
                Some(payload) => with(code::SORT_WITH, &[*keys, *payload]),
            }
            e.u8(*axis as u8);
            e.u8(u8::from(*direction == Direction::Descending));
            e.u32(*keep as u32);
        }
        Op::Select { bit, a, b } => with(code::SELECT, &[*bit, *a, *b]),
        Op::Relu(x) => with(code::RELU, &[*x]),
        Op::ReluBit(x) => with(code::RELU_BIT, &[*x]),
        Op::Clamp { x, lo, hi } => {
            with(code::CLAMP, &[*x]);
            e.u64(*lo as u64);
            e.u64(*hi as u64);
        }
        Op::AssumeRange { x, bound } => {
            with(code::ASSUME_RANGE, &[*x]);
            e.u64(*bound);
        }
        Op::Function { x, function } => {
            with(code::FUNCTION, &[*x]);
            function.encode(e);
        }
        Op::Carry { initial, bound } => {
            with(code::CARRY, &[*initial]);
            e.u64(*bound);
        }
        Op::Carried { carry, next } => with(code::CARRIED, &[*carry, *next]),
        Op::Batch { x, rows } => {
            with(code::BATCH, &[*x]);
            e.u32(*rows as u32);
        }
        Op::History { x, every } => {
            with(code::HISTORY, &[*x]);
            e.u32(*every as u32);
        }
        Op::Report { x, every, factor } => {
            with(code::REPORT, &[*x]);
            e.u32(*every as u32);
            e.u64(factor.to_bits());
        }
        Op::WeightedSum { xs, ks } => {
            with(code::WEIGHTED_SUM, &[]);
            e.u32(xs.len() as u32);
            for (x, k) in xs.iter().zip(ks) {
                e.u32(*x);
                e.u64(k.to_bits());
            }
        }
        Op::Divide { a, b, lowest, highest } => {
            with(code::DIVIDE, &[*a, *b]);
            e.u64(lowest.to_bits());
            e.u64(highest.to_bits());
        }
    }
}

pub(super) fn decode_op(d: &mut Decoder<'_>) -> Result<Op, WireError> {
    Ok(match d.u8()? {
        opcode @ (code::INPUT | code::WEIGHTS | code::INTEGER_INPUT | code::INTEGER_WEIGHTS) => Op::Input {
            name: d.str(MAX_NAME_BYTES)?.to_owned(),
            owner: usize::from(d.u8()?),
            kind: match opcode {
                code::INPUT | code::INTEGER_INPUT => InputKind::Data,
                _ => InputKind::Weights,
            },
            shape: decode_shape(d)?,
            bound: d.u64()?,
            integer: matches!(opcode, code::INTEGER_INPUT | code::INTEGER_WEIGHTS),
        },
        code::SHARED => {
            Op::Shared { name: d.str(MAX_NAME_BYTES)?.to_owned(), shape: decode_shape(d)?, bound: d.u64()? }
        }
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
        opcode @ (code::CONV | code::CONV_BIAS) => Op::Conv {
            x: d.u32()?,
            w: d.u32()?,
            bias: if opcode == code::CONV_BIAS { Some(d.u32()?) } else { None },
            sliding: decode_sliding(d)?,
            groups: d.u32()? as usize,
        },
        code::UNFOLD => Op::Unfold {
            x: d.u32()?,
            window: decode_numbers(d)?,
            sliding: decode_sliding(d)?,
            outside: match d.u8()? {
                0 => Outside::Zero,
                1 => Outside::Nearest,
                _ => return Err(WireError::Invalid("what is beyond an image")),
            },
        },
        code::PERMUTE => {
            let (x, rank) = (d.u32()?, decode_rank(d)?);
            Op::Permute { x, axes: (0..rank).map(|_| decode_axis(d)).collect::<Result<_, _>>()? }
        }
        code::PAD => {
            let (x, rank) = (d.u32()?, decode_rank(d)?);
            let mut numbers = || (0..rank).map(|_| Ok(d.u32()? as usize)).collect::<Result<_, WireError>>();
            Op::Pad { x, before: numbers()?, after: numbers()?, value: d.u64()? as i64 }
        }
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
        code::GATHER => {
            let (x, axis, n) = (d.u32()?, decode_axis(d)?, d.u32()? as usize);
            if d.remaining() / 4 < n {
                return Err(WireError::Truncated { wanted: n.saturating_mul(4), left: d.remaining() });
            }
            Op::Gather { x, axis, indices: (0..n).map(|_| d.u32()).collect::<Result<_, _>>()? }
        }
        code::SPLIT => Op::Split { x: d.u32()?, bit: d.u32()? },
        code::TRANSPOSE => Op::Transpose(d.u32()?),
        code::LESS => Op::Less(d.u32()?, d.u32()?),
        code::GREATER => Op::Greater(d.u32()?, d.u32()?),
        code::LESS_EQUAL => Op::LessEqual(d.u32()?, d.u32()?),
        code::GREATER_EQUAL => Op::GreaterEqual(d.u32()?, d.u32()?),
        code::EQUAL => Op::Equal(d.u32()?, d.u32()?),
        code::NOT_EQUAL => Op::NotEqual(d.u32()?, d.u32()?),
        code::MINIMUM => Op::Minimum(d.u32()?, d.u32()?),
        code::MAXIMUM => Op::Maximum(d.u32()?, d.u32()?),
        code::ABS => Op::Abs(d.u32()?),
        code::SIGN => Op::Sign(d.u32()?),
        code::EXTREME => Op::Extreme {
            x: d.u32()?,
            axis: decode_axis(d)?,
            which: match d.u8()? {
                0 => Extreme::Largest,
                1 => Extreme::Smallest,
                _ => return Err(WireError::Invalid("end of an axis")),
            },
            with: match d.u8()? {
                0 => Winner::Value,
                1 => Winner::Index,
                2 => Winner::OneHot,
                _ => return Err(WireError::Invalid("form of an extreme")),
            },
        },
        opcode @ (code::SORT | code::SORT_WITH) => Op::Sort {
            keys: d.u32()?,
            payload: if opcode == code::SORT_WITH { Some(d.u32()?) } else { None },
            axis: decode_axis(d)?,
            direction: match d.u8()? {
                0 => Direction::Ascending,
                1 => Direction::Descending,
                _ => return Err(WireError::Invalid("direction of a sort")),
            },
            keep: d.u32()? as usize,
        },
        code::SELECT => Op::Select { bit: d.u32()?, a: d.u32()?, b: d.u32()? },
        code::RELU => Op::Relu(d.u32()?),
        code::RELU_BIT => Op::ReluBit(d.u32()?),
        code::CLAMP => Op::Clamp { x: d.u32()?, lo: d.u64()? as i64, hi: d.u64()? as i64 },
        code::ASSUME_RANGE => Op::AssumeRange { x: d.u32()?, bound: d.u64()? },
        code::DIVIDE => Op::Divide {
            a: d.u32()?,
            b: d.u32()?,
            lowest: f64::from_bits(d.u64()?),
            highest: f64::from_bits(d.u64()?),
        },
        code::FUNCTION => Op::Function { x: d.u32()?, function: Function::decode(d)? },
        code::CARRY => Op::Carry { initial: d.u32()?, bound: d.u64()? },
        code::CARRIED => Op::Carried { carry: d.u32()?, next: d.u32()? },
        code::BATCH => Op::Batch { x: d.u32()?, rows: d.u32()? as usize },
        code::HISTORY => Op::History { x: d.u32()?, every: d.u32()? as usize },
        code::REPORT => {
            Op::Report { x: d.u32()?, every: d.u32()? as usize, factor: f64::from_bits(d.u64()?) }
        }
        code::WEIGHTED_SUM => {
            let n = d.u32()? as usize;
            if d.remaining() / 12 < n {
                return Err(WireError::Truncated { wanted: n.saturating_mul(12), left: d.remaining() });
            }
            let terms = (0..n).map(|_| Ok((d.u32()?, f64::from_bits(d.u64()?))));
            let (xs, ks) = terms.collect::<Result<Vec<_>, WireError>>()?.into_iter().unzip();
            Op::WeightedSum { xs, ks }
        }
        _ => return Err(WireError::Invalid("operation code")),
    })
}
