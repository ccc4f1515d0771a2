//! The one codec for control data: hellos, programs, transcript entries.
//!
//! Everything is little endian and length-prefixed, and there is one way to write each value, so an encoding that
//! decodes is the encoding that was made (callers check ranges with [`WireError::Invalid`] and call
//! [`Decoder::finish`]). A decoder borrows from its input and allocates nothing: a length is checked against the bytes
//! that are really there before it is believed, whatever the peer or the file claims.
//!
//! ```
//! use mpc_core::wire::{Decoder, Encoder};
//!
//! let mut e = Encoder::new();
//! e.u16(7);
//! e.str("bureau");
//! let bytes = e.finish();
//!
//! let mut d = Decoder::new(&bytes);
//! assert_eq!(d.u16()?, 7);
//! assert_eq!(d.str(64)?, "bureau");
//! d.finish()?;
//! # Ok::<(), mpc_core::wire::WireError>(())
//! ```

/// Why bytes are not the encoding of what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The input ends too early.
    #[error("input ends too early: expected {wanted} more bytes, {left} left")]
    Truncated {
        /// Bytes needed.
        wanted: usize,
        /// Bytes there.
        left: usize,
    },
    /// A length above what the reader accepts.
    #[error("field too long: expected at most {max} bytes, got {got}")]
    TooLong {
        /// The reader's limit.
        max: usize,
        /// The announced length.
        got: usize,
    },
    /// A string that is not UTF-8.
    #[error("string is not valid UTF-8")]
    NotUtf8,
    /// Bytes after the end of the value.
    #[error("{left} bytes left over after the last field")]
    TrailingBytes {
        /// How many.
        left: usize,
    },
    /// A value that the format does not allow.
    #[error("invalid {0}")]
    Invalid(&'static str),
}

/// Writes values one after the other.
#[derive(Default)]
pub struct Encoder(Vec<u8>);

impl Encoder {
    /// An empty encoding.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// One byte.
    pub fn u8(&mut self, v: u8) {
        self.0.push(v);
    }

    /// Two bytes, little endian.
    pub fn u16(&mut self, v: u16) {
        self.0.extend_from_slice(&v.to_le_bytes());
    }

    /// Four bytes, little endian.
    pub fn u32(&mut self, v: u32) {
        self.0.extend_from_slice(&v.to_le_bytes());
    }

    /// Eight bytes, little endian.
    pub fn u64(&mut self, v: u64) {
        self.0.extend_from_slice(&v.to_le_bytes());
    }

    /// A `u32` length and the bytes.
    ///
    /// # Panics
    /// If there are 2^32 bytes or more: control data is never that large.
    pub fn bytes(&mut self, v: &[u8]) {
        let len = u32::try_from(v.len()).expect("invariant: control data is shorter than 4 GiB");
        self.u32(len);
        self.array(v);
    }

    /// The bytes alone; the reader knows how many there are.
    pub fn array(&mut self, v: &[u8]) {
        self.0.extend_from_slice(v);
    }

    /// A string, as [`Encoder::bytes`].
    pub fn str(&mut self, v: &str) {
        self.bytes(v.as_bytes());
    }

    /// The encoding.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Reads values one after the other.
#[derive(Clone)]
pub struct Decoder<'a>(&'a [u8]);

impl<'a> Decoder<'a> {
    /// Reads from the start of `input`.
    #[must_use]
    pub const fn new(input: &'a [u8]) -> Self {
        Self(input)
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], WireError> {
        let (head, tail) =
            self.0.split_at_checked(n).ok_or(WireError::Truncated { wanted: n, left: self.0.len() })?;
        self.0 = tail;
        Ok(head)
    }

    /// One byte.
    ///
    /// # Errors
    /// [`WireError::Truncated`] at the end of the input.
    pub fn u8(&mut self) -> Result<u8, WireError> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    /// Two bytes, little endian.
    ///
    /// # Errors
    /// [`WireError::Truncated`] at the end of the input.
    pub fn u16(&mut self) -> Result<u16, WireError> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    /// Four bytes, little endian.
    ///
    /// # Errors
    /// [`WireError::Truncated`] at the end of the input.
    pub fn u32(&mut self) -> Result<u32, WireError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// Eight bytes, little endian.
    ///
    /// # Errors
    /// [`WireError::Truncated`] at the end of the input.
    pub fn u64(&mut self) -> Result<u64, WireError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A length-prefixed field of at most `max` bytes, borrowed from the input.
    ///
    /// # Errors
    /// [`WireError::TooLong`] above `max`, [`WireError::Truncated`] at the end of the input.
    pub fn bytes(&mut self, max: usize) -> Result<&'a [u8], WireError> {
        let got = usize::try_from(self.u32()?).unwrap_or(usize::MAX);
        if got > max {
            return Err(WireError::TooLong { max, got });
        }
        self.take(got)
    }

    /// Exactly `N` bytes.
    ///
    /// # Errors
    /// [`WireError::Truncated`] at the end of the input.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (head, tail) =
            self.0.split_first_chunk().ok_or(WireError::Truncated { wanted: N, left: self.0.len() })?;
        self.0 = tail;
        Ok(*head)
    }

    /// A string of at most `max` bytes.
    ///
    /// # Errors
    /// As [`Decoder::bytes`], and [`WireError::NotUtf8`].
    pub fn str(&mut self, max: usize) -> Result<&'a str, WireError> {
        std::str::from_utf8(self.bytes(max)?).map_err(|_| WireError::NotUtf8)
    }

    /// How many bytes are left.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.0.len()
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// [`WireError::TrailingBytes`] if anything is left.
    pub fn finish(self) -> Result<(), WireError> {
        match self.0.len() {
            0 => Ok(()),
            left => Err(WireError::TrailingBytes { left }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_field_comes_back() {
        let mut e = Encoder::new();
        e.u8(1);
        e.u16(0x0203);
        e.u32(0x0405_0607);
        e.u64(u64::MAX - 1);
        e.bytes(b"xyz");
        e.array(&[9; 4]);
        e.str("größe");
        let bytes = e.finish();
        assert_eq!(&bytes[..3], &[1, 3, 2]);
        let mut d = Decoder::new(&bytes);
        assert_eq!(d.u8(), Ok(1));
        assert_eq!(d.u16(), Ok(0x0203));
        assert_eq!(d.u32(), Ok(0x0405_0607));
        assert_eq!(d.u64(), Ok(u64::MAX - 1));
        assert_eq!(d.bytes(3), Ok(&b"xyz"[..]));
        assert_eq!(d.array(), Ok([9; 4]));
        assert_eq!(d.str(7), Ok("größe"));
        assert_eq!(d.remaining(), 0);
        assert_eq!(d.finish(), Ok(()));
    }

    #[test]
    fn limits_and_ends_are_errors() {
        let mut e = Encoder::new();
        e.bytes(&[0xff; 5]);
        let bytes = e.finish();
        assert_eq!(Decoder::new(&bytes).bytes(4), Err(WireError::TooLong { max: 4, got: 5 }));
        assert_eq!(Decoder::new(&bytes).str(5), Err(WireError::NotUtf8));
        assert_eq!(Decoder::new(&bytes[..8]).bytes(9), Err(WireError::Truncated { wanted: 5, left: 4 }));
        assert!(Decoder::new(&[0xff; 4]).bytes(usize::MAX).is_err());
        assert_eq!(Decoder::new(&bytes).finish(), Err(WireError::TrailingBytes { left: 9 }));
        assert_eq!(Decoder::new(&[1]).u16(), Err(WireError::Truncated { wanted: 2, left: 1 }));
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(input in proptest::collection::vec(any::<u8>(), 0..64), ops in proptest::collection::vec(0u8..7, 0..16)) {
            let mut d = Decoder::new(&input);
            for op in ops {
                let before = d.remaining();
                let ok = match op {
                    0 => d.u8().is_ok(),
                    1 => d.u16().is_ok(),
                    2 => d.u32().is_ok(),
                    3 => d.u64().is_ok(),
                    4 => d.bytes(1000).is_ok(),
                    5 => d.str(1000).is_ok(),
                    _ => d.array::<3>().is_ok(),
                };
                prop_assert!(d.remaining() <= before);
                if !ok { break; }
            }
        }
    }
}
