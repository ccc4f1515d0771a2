//! GF(2^128) as F_2[x] modulo x^128 + x^7 + x^2 + x + 1; bit i is the coefficient of x^i.

/// Σ_i `coefficients[i]`·(the i-th pair of `words`, low word first).
///
/// # Panics
/// If there are not two words for every coefficient.
///
/// # Example
/// ```
/// // x·x^127 = x^128 = x^7 + x^2 + x + 1.
/// assert_eq!(mpc_core::kernels::gf128_dot(&[2], &[0, 1 << 63]), 0b1000_0111);
/// ```
#[must_use]
pub fn gf128_dot(coefficients: &[u128], words: &[u64]) -> u128 {
    assert_eq!(words.len(), 2 * coefficients.len(), "words of {} field elements", coefficients.len());
    dot_portable(coefficients, words)
}

/// As [`gf128_dot`], on any processor.
fn dot_portable(coefficients: &[u128], words: &[u64]) -> u128 {
    let (pairs, _) = words.as_chunks::<2>();
    let values = pairs.iter().map(|&[low, high]| u128::from(low) | u128::from(high) << 64);
    coefficients.iter().zip(values).fold(0, |sum, (&a, b)| sum ^ multiply(a, b))
}

/// Bit by bit, without a branch on either.
fn multiply(mut a: u128, b: u128) -> u128 {
    let mut product = 0;
    for i in 0..128 {
        product ^= a & (b >> i & 1).wrapping_neg();
        a = a << 1 ^ (0x87 & (a >> 127).wrapping_neg());
    }
    product
}
