//! Lower-case hexadecimal, for digests and names that people read.

/// Two digits per byte.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
