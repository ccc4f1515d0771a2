//! Frames on a lane's stream.
//!
//! A message travels as one or more frames of at most 1 MiB of payload. Every frame but the last of a message is full,
//! so a peer cannot stretch a message over endless tiny frames. The header is fixed: payload length (`u32`), tag
//! (14 bytes), length of the whole message (`u64`), little endian.

use bytes::{BufMut, Bytes, BytesMut};
use mpc_core::tag::Tag;

/// The largest payload of one frame in bytes.
pub(crate) const FRAME_MAX_BYTES: usize = 1 << 20;

/// What precedes every payload.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) payload: usize,
    pub(crate) tag: Tag,
    pub(crate) message: u64,
}

impl Header {
    pub(crate) const BYTES: usize = 4 + Tag::BYTES + 8;

    pub(crate) fn encode(self) -> Bytes {
        let mut out = BytesMut::with_capacity(Self::BYTES);
        out.put_u32_le(self.payload as u32);
        out.put_slice(&self.tag.to_bytes());
        out.put_u64_le(self.message);
        out.freeze()
    }

    /// Reads a header and checks everything that can be checked without knowing what is due.
    pub(crate) fn decode(bytes: &[u8; Self::BYTES]) -> Result<Self, &'static str> {
        let (payload, rest) = bytes.split_at(4);
        let (tag, message) = rest.split_at(Tag::BYTES);
        let fixed = "invariant: the header was split at fixed places";
        let payload = u32::from_le_bytes(payload.try_into().expect(fixed)) as usize;
        let tag = Tag::from_bytes(tag.try_into().expect(fixed));
        let message = u64::from_le_bytes(message.try_into().expect(fixed));
        if payload > FRAME_MAX_BYTES {
            return Err("payload above 1 MiB");
        }
        if payload == 0 || payload as u64 > message {
            return Err("payload length does not fit the message length");
        }
        Ok(Self { payload, tag, message })
    }
}

/// A message on its way out, or some frames of one.
pub(crate) struct Outgoing {
    pub(crate) tag: Tag,
    /// Length of the whole message.
    pub(crate) message: usize,
    pub(crate) part: Bytes,
}

mpc_core::secret_types!(Outgoing);

impl Outgoing {
    pub(crate) const fn whole(tag: Tag, message: Bytes) -> Self {
        Self { tag, message: message.len(), part: message }
    }
}

/// The frames of a message, or of a part that ends where a frame ends, as chunks to write: header, payload, header, payload.
/// Nothing is copied.
pub(crate) fn split(out: &Outgoing) -> Vec<Bytes> {
    let &Outgoing { tag, message, ref part } = out;
    (0..part.len())
        .step_by(FRAME_MAX_BYTES)
        .flat_map(|at| {
            let payload = part.slice(at..part.len().min(at + FRAME_MAX_BYTES));
            [Header { payload: payload.len(), tag, message: message as u64 }.encode(), payload]
        })
        .collect()
}

/// A frame as it came: its payload in the pieces in which the network delivered it.
pub(crate) struct Frame {
    pub(crate) header: Header,
    pub(crate) pieces: Vec<Bytes>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: Tag = Tag { lane: 1, node: 2, iteration: 3, round: 4 };

    #[test]
    fn a_message_is_cut_into_full_frames_without_copying() {
        let message = Bytes::from(vec![9; 2 * FRAME_MAX_BYTES + 5]);
        let whole = Outgoing::whole(TAG, message.clone());
        let chunks = split(&whole);
        let lengths: Vec<usize> = chunks.iter().map(Bytes::len).collect();
        assert_eq!(lengths, [26, FRAME_MAX_BYTES, 26, FRAME_MAX_BYTES, 26, 5]);
        assert_eq!(chunks[3].as_ptr(), message[FRAME_MAX_BYTES..].as_ptr());
        let header = Header::decode(chunks[4].as_ref().try_into().unwrap()).unwrap();
        assert_eq!(header, Header { payload: 5, tag: TAG, message: message.len() as u64 });
        let parts = [0..FRAME_MAX_BYTES, FRAME_MAX_BYTES..message.len()].map(|part| message.slice(part));
        let in_parts = parts.into_iter().flat_map(|part| split(&Outgoing { part, ..whole }));
        assert!(in_parts.eq(chunks), "frames are the same however a message is handed over");
    }

    #[test]
    fn headers_that_cannot_be_are_refused() {
        for (payload, message) in [(0, 0), (0, 5), (6, 5), (FRAME_MAX_BYTES + 1, u64::MAX)] {
            let bytes = Header { payload, tag: TAG, message }.encode();
            assert!(Header::decode(bytes.as_ref().try_into().unwrap()).is_err(), "{payload} of {message}");
        }
    }
}
