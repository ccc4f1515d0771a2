//! A look at a model's bytes before they are decoded: how many messages and list elements they make.
//!
//! A message of two bytes becomes a structure of hundreds, so the number of them is bounded first. Nothing is allocated here but
//! one entry per open message, and messages nest as deep as the decoder allows, no deeper.

use super::error::ImportError;

/// Most messages, strings and list elements that are not packed.
const MAX_ITEMS: u64 = 1 << 21;
/// Most bytes of packed integers, each of which may become eight.
const MAX_PACKED_BYTES: u64 = 64 << 20;
/// Most open messages.
const MAX_DEPTH: usize = 90;

/// Kinds of messages, as far as they hold others.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Message {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    Function,
    ValueInfo,
    Type,
    TensorType,
    Shape,
    /// Holds no further messages.
    Leaf,
}

impl Message {
    /// The message in field `tag`, if one is there.
    const fn inner(self, tag: u64) -> Option<Self> {
        match (self, tag) {
            (Self::Model, 7) | (Self::Attribute, 6) => Some(Self::Graph),
            (Self::Model, 25) => Some(Self::Function),
            (Self::Graph, 1) | (Self::Function, 7) => Some(Self::Node),
            (Self::Graph, 5) | (Self::Attribute, 5) => Some(Self::Tensor),
            (Self::Graph, 11 | 12) => Some(Self::ValueInfo),
            (Self::Node, 5) | (Self::Function, 11) => Some(Self::Attribute),
            (Self::ValueInfo, 2) => Some(Self::Type),
            (Self::Type, 1) => Some(Self::TensorType),
            (Self::TensorType, 2) => Some(Self::Shape),
            (Self::Model, 8) | (Self::Function, 9) | (Self::Tensor, 13) | (Self::Shape, 1) => {
                Some(Self::Leaf)
            }
            _ => None,
        }
    }

    /// Whether field `tag` holds packed integers.
    const fn is_packed(self, tag: u64) -> bool {
        matches!((self, tag), (Self::Tensor, 1 | 5 | 7 | 11) | (Self::Attribute, 8))
    }
}

/// Checks that decoding makes at most so much.
pub(super) fn check(bytes: &[u8]) -> Result<(), ImportError> {
    let (mut items, mut packed) = (0u64, 0u64);
    let mut open = vec![(Message::Model, bytes)];
    while let Some((message, rest)) = open.pop() {
        let mut rest = rest;
        if rest.is_empty() {
            continue;
        }
        items += 1;
        if items > MAX_ITEMS {
            return Err(too_large("messages and list elements", items, MAX_ITEMS));
        }
        let key = varint(&mut rest)?;
        let tag = key >> 3;
        let body = match key & 7 {
            0 => varint(&mut rest).map(|_| None)?,
            1 => take(&mut rest, 8).map(|_| None)?,
            5 => take(&mut rest, 4).map(|_| None)?,
            2 => {
                let len = varint(&mut rest)?;
                Some(take(&mut rest, len)?)
            }
            other => return Err(ImportError::Malformed(format!("wire type {other}"))),
        };
        open.push((message, rest));
        let Some(body) = body else { continue };
        if message.is_packed(tag) {
            packed += body.len() as u64;
            if packed > MAX_PACKED_BYTES {
                return Err(too_large("bytes of packed integers", packed, MAX_PACKED_BYTES));
            }
        }
        if let Some(inner) = message.inner(tag) {
            if open.len() >= MAX_DEPTH {
                return Err(too_large("nested messages", open.len() as u64, MAX_DEPTH as u64));
            }
            open.push((inner, body));
        }
    }
    Ok(())
}

fn varint(bytes: &mut &[u8]) -> Result<u64, ImportError> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or_else(cut)?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(ImportError::Malformed("a number of more than 10 bytes".into()))
}

fn take<'a>(bytes: &mut &'a [u8], len: u64) -> Result<&'a [u8], ImportError> {
    let len = usize::try_from(len).ok().filter(|&len| len <= bytes.len()).ok_or_else(cut)?;
    let (taken, rest) = bytes.split_at(len);
    *bytes = rest;
    Ok(taken)
}

fn cut() -> ImportError {
    ImportError::Malformed("it ends in the middle of a field".into())
}

const fn too_large(what: &'static str, got: u64, limit: u64) -> ImportError {
    ImportError::TooLarge { what, got, limit }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_small_messages_are_refused_before_they_are_decoded() {
        // A graph of empty nodes, two bytes each.
        let nodes = [0x0a, 0x00].repeat(MAX_ITEMS as usize + 1);
        let mut model = vec![0x3a];
        let mut len = nodes.len();
        while len >= 0x80 {
            model.push(len as u8 | 0x80);
            len >>= 7;
        }
        model.push(len as u8);
        model.extend(nodes);
        assert!(matches!(check(&model), Err(ImportError::TooLarge { .. })));
        assert!(check(&[0x3a, 0x02, 0x0a, 0x00]).is_ok());
        assert!(matches!(check(&[0x3a, 0x03, 0x0a, 0x00]), Err(ImportError::Malformed(_))));
    }
}
