//! Checks of what `mpc-core` decodes: checkpoints, log entries, Merkle proofs, packed bits.
//!
//! A check panics if something is wrong and otherwise says whether the bytes were accepted.

use ed25519_dalek::SigningKey;
use mpc_core::bits::{BitTensor, packed_bytes};
use mpc_core::checkpoint::{Checkpoint, MAX_SIGNATURES, SignedCheckpoint};
use mpc_core::merkle::{self, TreeHash, leaf_hash};
use mpc_core::transcript::Entry;

/// The key that signs the checkpoints of the corpus.
#[must_use]
pub fn log_key() -> SigningKey {
    SigningKey::from_bytes(&[42; 32])
}

/// All tree heads that [`log_key`] ever signed: whatever else verifies is a forgery.
#[must_use]
pub fn signed_heads() -> Vec<Checkpoint> {
    let head = |size: u64| {
        let root = if size == 0 { merkle::empty_root() } else { leaf_hash(&size.to_le_bytes()) };
        Checkpoint::new("bank", size, root).expect("a valid name")
    };
    [0, 1, 7, 255, 256, 70_000, u64::MAX].into_iter().map(head).collect()
}

/// A signed checkpoint in text form: one spelling, and no forgery verifies.
pub fn checkpoint(bytes: &[u8]) -> bool {
    let Ok(signed) = SignedCheckpoint::parse(bytes) else { return false };
    assert_eq!(signed.to_string().as_bytes(), bytes, "a checkpoint has one spelling");
    assert!((1..=MAX_SIGNATURES).contains(&signed.signatures().len()), "signatures are bounded");
    if let Ok(head) = signed.verify(&log_key().verifying_key()) {
        let genuine = signed_heads().into_iter().find(|h| h == head).expect("only what was signed verifies");
        let own = genuine.sign(&log_key());
        assert_eq!(signed.signatures()[0], own.signatures()[0], "a signature has one spelling");
    }
    true
}

/// An entry of the transcript: canonical, and its text form cannot move a terminal's cursor.
pub fn log_entry(bytes: &[u8]) -> bool {
    let Ok(entry) = Entry::decode(bytes) else { return false };
    assert_eq!(entry.encode(), bytes, "an entry has one encoding");
    let text = entry.to_string();
    assert!(!text.chars().any(char::is_control), "control characters in {text:?}");
    assert!(text.len() <= 4096, "the text form is bounded, got {} bytes", text.len());
    true
}

/// Inclusion and consistency proofs against a tree that the input describes; true if a proof was accepted.
///
/// Layout: leaves (1 to 128), position, size of the older tree, kind, then 32 bytes per hash of the proof. Byte 4
/// chooses between the honest proof with the rest XORed onto it and the rest as the proof itself.
pub fn proof(bytes: &[u8]) -> bool {
    let Some((&[count, at, old, mode], rest)) = bytes.split_first_chunk::<4>() else { return false };
    let n = usize::from(count % 128) + 1;
    let leaves: Vec<TreeHash> = (0..n).map(|i| leaf_hash(&[i as u8, count])).collect();
    let root = merkle::root(&leaves);
    let (index, old_size) = (usize::from(at) % n, usize::from(old) % (n + 1));
    let honest = if mode & 1 == 0 {
        merkle::inclusion_proof(&leaves, index).expect("the leaf exists")
    } else {
        merkle::consistency_proof(&leaves, old_size).expect("a prefix exists")
    };
    let (hashes, tail) = rest.as_chunks::<32>();
    let offered: Vec<TreeHash> = if mode & 2 == 0 {
        let flips = hashes.iter().chain(std::iter::repeat(&[0; 32]));
        let xor = |(h, f): (&TreeHash, &[u8; 32])| TreeHash(std::array::from_fn(|i| h.0[i] ^ f[i]));
        honest.iter().zip(flips).map(xor).collect()
    } else {
        hashes.iter().copied().map(TreeHash).collect()
    };
    // Any numbers at all must come to an end without a panic, whatever the proof.
    if let Some((big, _)) = tail.split_first_chunk::<8>() {
        let big = u64::from_le_bytes(*big);
        let _ = merkle::verify_inclusion(root, big, u64::MAX, &offered, root);
        let _ = merkle::verify_inclusion(root, at.into(), big, &offered, root);
        let _ = merkle::verify_consistency(big, root, u64::MAX, root, &offered);
        let _ = merkle::verify_consistency(old.into(), root, big, root, &offered);
    }
    // Longer than any leaf of the tree, so none of them.
    let forged = leaf_hash(&[rest, b"forged"].concat());
    let (n64, index64, old64) = (n as u64, index as u64, old_size as u64);
    let genuine = offered == honest;
    if mode & 1 == 0 {
        let leaf = leaves[index];
        let accepted = merkle::verify_inclusion(leaf, index64, n64, &offered, root).is_ok();
        assert_eq!(accepted, genuine, "exactly the honest inclusion proof is accepted");
        assert!(merkle::verify_inclusion(forged, index64, n64, &offered, root).is_err(), "another leaf");
        // In a large tree the neighbours stand for all: hashing is what takes the time.
        let near = |i: u64| i != index64 && (n <= 16 || i.abs_diff(index64) <= 2);
        for other in (0..n64).filter(|&i| near(i)) {
            assert!(merkle::verify_inclusion(leaf, other, n64, &offered, root).is_err(), "another place");
        }
        accepted
    } else {
        let older = merkle::root(&leaves[..old_size]);
        let accepted = merkle::verify_consistency(old64, older, n64, root, &offered).is_ok();
        assert_eq!(accepted, genuine, "exactly the honest consistency proof is accepted");
        if old_size > 0 {
            assert!(merkle::verify_consistency(old64, forged, n64, root, &offered).is_err(), "another past");
        }
        accepted
    }
}

/// Packed bit lanes against a plain reading of the same bits. Layout: lanes, `u16` bits of a lane, packed bytes.
pub fn bits(bytes: &[u8]) -> bool {
    let Some((&[lanes, low, high], packed)) = bytes.split_first_chunk::<3>() else { return false };
    let (lanes, len) = (usize::from(lanes % 70), usize::from(u16::from_le_bytes([low, high]) % 1030));
    let bit = |i: usize| packed[i / 8] >> (i % 8) & 1 == 1;
    let fits = packed.len() == packed_bytes(lanes, len) && (lanes * len..packed.len() * 8).all(|i| !bit(i));
    let unpacked = BitTensor::unpack(lanes, len, packed);
    assert_eq!(unpacked.is_some(), fits, "exactly the right length with clear padding is accepted");
    let Some(tensor) = unpacked else { return false };
    for lane in 0..lanes {
        for i in 0..len {
            assert_eq!(tensor.bit(lane, i), bit(lane * len + i), "lane {lane}, bit {i}");
        }
    }
    let mut again = Vec::new();
    tensor.pack_into(&mut again);
    assert_eq!(again, packed, "packing is the inverse of unpacking");
    true
}
