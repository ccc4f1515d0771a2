//! Numbers and bytes that a test knows to be secret, and the search for them in whatever form.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use mpc_core::ring::Z64;
use mpc_core::tensor::Tensor;

/// Words to look for, and pairs of words where single ones are too small to be told from chance.
#[derive(Default)]
pub(super) struct Known {
    pub(super) words: HashSet<u64>,
    pairs: HashSet<u128>,
}

impl Known {
    /// Every eight bytes in a row.
    pub(super) fn add_bytes(&mut self, secret: &[u8]) {
        let word = |w: &[u8]| u64::from_le_bytes(std::array::from_fn(|i| w[i]));
        secret.windows(8).for_each(|w| self.add_word(word(w)));
    }

    pub(super) fn add_word(&mut self, word: u64) {
        self.words.extend([word, word.swap_bytes()]);
    }

    /// Random numbers.
    pub(super) fn add_random(&mut self, tensor: &Tensor<Z64>) {
        tensor.as_slice().iter().for_each(|z| self.add_word(z.0));
    }

    /// Numbers that may be small.
    pub(super) fn add_numbers(&mut self, tensor: &Tensor<Z64>) {
        let pairs = tensor.as_slice().windows(2).filter(|p| p.iter().all(|z| z.0 != 0));
        let little = |p: &[Z64]| u128::from(p[0].0) | u128::from(p[1].0) << 64;
        let big = |p: &[Z64]| u128::from(p[0].0.swap_bytes()) | u128::from(p[1].0.swap_bytes()) << 64;
        self.pairs.extend(pairs.flat_map(|p| [little(p), big(p)]));
    }

    fn is_in_bytes(&self, bytes: &[u8]) -> bool {
        let word = |w: &[u8]| u64::from_le_bytes(std::array::from_fn(|i| w[i]));
        let pair = |w: &[u8]| u128::from_le_bytes(std::array::from_fn(|i| w[i]));
        bytes.windows(8).any(|w| self.words.contains(&word(w)))
            || bytes.windows(16).any(|w| self.pairs.contains(&pair(w)))
    }

    /// As bytes, and as what runs of digits in them may stand for.
    pub(super) fn is_in(&self, bytes: &[u8]) -> bool {
        let runs = |belongs: fn(&u8) -> bool, least: usize| {
            bytes.split(move |b| !belongs(b)).filter(move |run| run.len() >= least)
        };
        let hexadecimal = |run: &[u8]| {
            let digit = |b: u8| char::from(b).to_digit(16).unwrap_or(0) as u8;
            let decode =
                |from: usize| run[from..].chunks_exact(2).map(|p| digit(p[0]) << 4 | digit(p[1])).collect();
            [0, 1].into_iter().any(|from| self.is_in_bytes(&Vec::from_iter::<Vec<u8>>(decode(from))))
        };
        let base64 = |run: &[u8]| {
            (0..4).any(|from| {
                let whole = &run[from..from + (run.len() - from) / 4 * 4];
                let engines = [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD];
                engines.iter().filter_map(|e| e.decode(whole).ok()).any(|d| self.is_in_bytes(&d))
            })
        };
        let decimal = |run: &[u8]| {
            let text = String::from_utf8_lossy(run);
            let magnitude = text.trim_matches('-').parse::<u64>().ok();
            magnitude.is_some_and(|m| self.words.contains(&m) || self.words.contains(&m.wrapping_neg()))
        };
        self.is_in_bytes(bytes)
            || runs(u8::is_ascii_hexdigit, 16).any(hexadecimal)
            || runs(|b| b.is_ascii_alphanumeric() || b"+/-_".contains(b), 12).any(base64)
            || runs(|b| b.is_ascii_digit() || *b == b'-', 10).any(decimal)
    }
}

#[test]
fn what_is_known_is_found_in_every_form() {
    let mut known = Known::default();
    let secret = *b"\x8f\x11\xa9\x03\x77\xde\x5c\x91\x20\x4b";
    known.add_bytes(&secret);
    known.add_numbers(&Tensor::from_vec(&[2], vec![Z64(70_000), Z64(90_001)]));
    let word = u64::from_le_bytes(std::array::from_fn(|i| secret[i]));
    let pair = [70_000_u64.to_le_bytes(), 90_001_u64.to_le_bytes()].concat();
    let text = STANDARD_NO_PAD.encode([&b"x"[..], &secret, b"yz"].concat());
    for form in [
        [&b"abc"[..], &secret, b"d"].concat(),
        word.to_be_bytes().to_vec(),
        format!("x={}", mpc_core::hex::hex(&secret)).into_bytes(),
        format!("0{}", mpc_core::hex::hex(&secret).to_uppercase()).into_bytes(),
        format!("\"{text}\"").into_bytes(),
        format!("[{}, 3]", word as i64).into_bytes(),
        format!("{word}").into_bytes(),
        [b"...", &pair[..]].concat(),
    ] {
        assert!(known.is_in(&form), "{}", String::from_utf8_lossy(&form));
    }
    assert!(!known.is_in(b"sha256 of something: deadbeefdeadbeefdeadbeef, 70000 90001, and 12345678901234"));
}
