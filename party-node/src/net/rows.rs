//! Do two parties list the same rows in the same order? A private equality test, one per pair.
//!
//! Each party hashes its ids in order under the pair's `align` key to a point H of the Ristretto group and sends aH for a
//! fresh secret a. From the peer's bH' it computes abH' and answers with a keyed digest of that; the digests agree exactly
//! if H = H'. After Meadows (S&P 1986) and Huberman, Franklin, Hogg (EC 1999), with one element.
//!
//! **What the peer sees**: aH is a random point to anyone who does not know a (decisional Diffie–Hellman, H from a random
//! oracle), so the peer cannot try lists of its own against it afterwards; it learns whether the one list that it committed
//! to by its own point is ours. A plain keyed digest would let it, who holds the key, test guesses offline. Points that are
//! not canonical and the identity are refused. Digests are keyed per sender, so one cannot be reflected. a is drawn anew for
//! every peer and session and wiped.

use curve25519_dalek::ristretto::CompressedRistretto;
use curve25519_dalek::traits::IsIdentity;
use curve25519_dalek::{RistrettoPoint, Scalar};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256, Sha512};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::error::NetError;
use super::keys::SecretBytes;

/// The own side of one test.
pub(crate) struct RowTest {
    /// In a place of its own, as keys are.
    secret: Box<Zeroizing<Scalar>>,
    blinded: [u8; 32],
    our_key: SecretBytes,
    their_key: SecretBytes,
}

/// After the peer's point: what we answer and what it should answer.
pub(crate) struct Answers {
    pub(crate) ours: [u8; 32],
    theirs: [u8; 32],
}

mpc_core::secret_types!(RowTest, Answers);

impl RowTest {
    /// Starts a test; `ids` is the digest of the own ids in order under the pair's key.
    pub(crate) fn new(
        ids: &[u8; 32],
        our_key: SecretBytes,
        their_key: SecretBytes,
    ) -> Result<Self, NetError> {
        let mut wide = Zeroizing::new([0; 64]);
        getrandom::fill(wide.as_mut_slice())
            .map_err(|e| NetError::Setup(format!("the system gave no randomness: {e}")))?;
        let secret = Box::new(Zeroizing::new(Scalar::from_bytes_mod_order_wide(&wide)));
        let hash = Sha512::new().chain_update(b"subrosa/rows/1").chain_update(ids).finalize();
        // Whoever holds the pair's key could try lists against the point before it is blinded.
        let point = Zeroizing::new(RistrettoPoint::from_uniform_bytes(&hash.into()));
        let blinded = (*point * **secret).compress().to_bytes();
        Ok(Self { secret, blinded, our_key, their_key })
    }

    /// What the peer gets first.
    pub(crate) const fn blinded(&self) -> [u8; 32] {
        self.blinded
    }

    /// From the peer's point; `None` if that is no point to compute with.
    pub(crate) fn answer(self, theirs: [u8; 32]) -> Option<Answers> {
        let point = CompressedRistretto(theirs).decompress().filter(|p| !p.is_identity())?;
        let shared = Zeroizing::new(point * **self.secret);
        let shared = Zeroizing::new(shared.compress().to_bytes());
        let answer = |key: &SecretBytes| -> [u8; 32] {
            let mut mac = Hmac::<Sha256>::new_from_slice(key.expose())
                .expect("invariant: HMAC takes keys of any length");
            mac.update(shared.as_slice());
            mac.finalize().into_bytes().into()
        };
        let answers = Answers { ours: answer(&self.our_key), theirs: answer(&self.their_key) };
        Some(answers)
    }
}

impl Answers {
    /// Whether the peer's answer says that its rows are ours.
    pub(crate) fn agree(&self, theirs: &[u8; 32]) -> bool {
        self.theirs.ct_eq(theirs).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(ids: u8, me: u8) -> RowTest {
        let key = |p: u8| SecretBytes::new([p; 32]);
        RowTest::new(&[ids; 32], key(me), key(1 - me)).expect("the system has randomness")
    }

    fn run(ids: [u8; 2]) -> [bool; 2] {
        let [a, b] = [side(ids[0], 0), side(ids[1], 1)];
        let (to_a, to_b) = (b.blinded(), a.blinded());
        let (a, b) = (a.answer(to_a).expect("a point"), b.answer(to_b).expect("a point"));
        [a.agree(&b.ours), b.agree(&a.ours)]
    }

    #[test]
    fn equal_lists_agree_and_others_do_not() {
        assert_eq!(run([7, 7]), [true, true]);
        assert_eq!(run([7, 8]), [false, false]);
    }

    #[test]
    fn what_is_sent_is_fresh_and_cannot_be_reflected() {
        assert_ne!(side(7, 0).blinded(), side(7, 0).blinded());
        let a = side(7, 0);
        let own = a.blinded();
        let answers = a.answer(own).expect("a point");
        assert!(!answers.agree(&answers.ours));
    }

    #[test]
    fn only_points_are_computed_with() {
        assert!(side(7, 0).answer([0; 32]).is_none(), "the identity");
        assert!(side(7, 0).answer([0xff; 32]).is_none(), "no canonical encoding");
    }
}
