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
    let (pairs, _) = words.as_chunks();
    #[cfg(target_arch = "x86_64")]
    if let Some(unit) = super::clmul::Clmul::detect() {
        return reduce(unit.products(coefficients, pairs));
    }
    dot_portable(coefficients, pairs)
}

/// As [`gf128_dot`], on any processor.
fn dot_portable(coefficients: &[u128], pairs: &[[u64; 2]]) -> u128 {
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

/// The remainder of a polynomial of 255 coefficients.
#[cfg(any(test, target_arch = "x86_64"))]
const fn reduce([low, high]: [u128; 2]) -> u128 {
    // x^128 is x^7 + x^2 + x + 1; what that carries past x^127 again is short.
    let carried = high >> 127 ^ high >> 126 ^ high >> 121;
    let high = high ^ carried;
    low ^ high ^ high << 1 ^ high << 2 ^ high << 7
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_is_the_field() {
        // The powers of x: x^128 has order dividing 2^128 − 1, and squaring 128 times is the identity.
        for x in [2, 0x87, u128::MAX, 1 << 127 | 5] {
            let mut power = x;
            (0..128).for_each(|_| power = multiply(power, power));
            assert_eq!(power, x);
        }
        assert_eq!(multiply(1 << 127, 2), 0x87);
        assert_eq!(reduce([0, 1]), 0x87);
    }

    proptest! {
        #[test]
        fn the_paths_agree(a in proptest::collection::vec(any::<u128>(), 0..40), seed: u64) {
            let mut x = seed;
            let mut next = || { x = x.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29) ^ 0x55; x };
            let b: Vec<[u64; 2]> = a.iter().map(|_| [next(), next()]).collect();
            let expected = dot_portable(&a, &b);
            prop_assert_eq!(gf128_dot(&a, b.as_flattened()), expected);
            #[cfg(target_arch = "x86_64")]
            if let Some(unit) = super::super::clmul::Clmul::detect() {
                prop_assert_eq!(reduce(unit.products(&a, &b)), expected);
                prop_assert_eq!(reduce(unit.narrow().products(&a, &b)), expected);
            }
        }
    }
}
