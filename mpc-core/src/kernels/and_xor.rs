//! `out ^= a ∧ b` on words: most of what a comparison computes on shared bits.

#![cfg_attr(target_arch = "x86_64", allow(unsafe_code))] // a function for another instruction set needs that it is there

/// `out ^= a ∧ b`, word by word.
///
/// # Panics
/// If the lengths differ.
///
/// # Example
/// ```
/// let mut out = [0b1100];
/// mpc_core::kernels::and_xor(&mut out, &[0b1010], &[0b0110]);
/// assert_eq!(out, [0b1110]);
/// ```
pub fn and_xor(out: &mut [u64], a: &[u64], b: &[u64]) {
    assert!(out.len() == a.len() && a.len() == b.len(), "words of three lengths");
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f")]
        fn avx512(out: &mut [u64], a: &[u64], b: &[u64]) {
            portable(out, a, b);
        }
        #[target_feature(enable = "avx2")]
        fn avx2(out: &mut [u64], a: &[u64], b: &[u64]) {
            portable(out, a, b);
        }
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: AVX-512 F was detected.
            return unsafe { avx512(out, a, b) };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: AVX2 was detected.
            return unsafe { avx2(out, a, b) };
        }
    }
    portable(out, a, b);
}

/// Compiled for each instruction set, which is all the difference.
#[inline(always)]
fn portable(out: &mut [u64], a: &[u64], b: &[u64]) {
    for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
        *out ^= a & b;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_lengths_agree_with_plain_code() {
        let words = |seed: u64, len: usize| -> Vec<u64> {
            (1..=len as u64).map(|i| (i ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect()
        };
        for len in 0..70 {
            let (mut out, a, b) = (words(1, len), words(2, len), words(3, len));
            let expected: Vec<u64> = (0..len).map(|i| out[i] ^ a[i] & b[i]).collect();
            and_xor(&mut out, &a, &b);
            assert_eq!(out, expected);
        }
    }
}
