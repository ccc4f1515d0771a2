//! Text from others, made safe to print.

use mpc_core::text::is_plain;
use quinn::ConnectionError;

use super::hello::REASON_MAX_BYTES;

/// One line of bounded length that reads as it is written: what a terminal would obey, or not show, becomes a space.
pub(crate) fn printable(text: &str, max_bytes: usize) -> String {
    let mut out = String::new();
    for c in text.chars().map(|c| if is_plain(c) { c } else { ' ' }) {
        if out.len() + c.len_utf8() > max_bytes {
            break;
        }
        out.push(c);
    }
    out
}

/// What the transport says about the end of a connection. The peer's own words may be in it, and whoever answers at an
/// address can say them before it has proved anything.
pub(crate) fn end_in_words(reason: &ConnectionError) -> String {
    printable(&reason.to_string(), REASON_MAX_BYTES)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use quinn::{ApplicationClose, VarInt};

    use super::*;

    #[test]
    fn text_of_others_is_one_plain_line_of_bounded_length() {
        assert_eq!(printable("Zürich, naïve – 東京", 200), "Zürich, naïve – 東京");
        assert_eq!(printable("a\r\nb\u{1b}[31mc\u{7}\u{9b}2Jd", 200), "a  b [31mc  2Jd");
        assert_eq!(
            printable("pay \u{202e}001\u{202c} to\u{2028}me\u{200b}\u{feff}\u{e0041}", 200),
            "pay  001  to me   "
        );
        assert_eq!(printable(&"é".repeat(300), 201).len(), 200, "cut between characters");
    }

    #[test]
    fn a_close_reason_is_no_way_around_it() {
        let reason = Bytes::from([b"\x1b]0;mine\x07\n".as_slice(), &[b'x'; 5000]].concat());
        let close = ApplicationClose { error_code: VarInt::from_u32(9), reason };
        let text = end_in_words(&ConnectionError::ApplicationClosed(close));
        assert!(text.len() <= REASON_MAX_BYTES && !text.contains(char::is_control), "{text}");
    }
}
