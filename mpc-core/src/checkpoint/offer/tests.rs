//! Honest offers pass; forks, rollbacks, lies about leaves and hostile bytes do not.

use ed25519_dalek::SigningKey;
use proptest::prelude::*;

use super::*;
use crate::checkpoint::{Seen, SignedCheckpoint};
use crate::merkle::{consistency_proof, root};
use crate::transcript::{Close, Outcome};

const SESSION: SessionId = SessionId([7; 32]);

fn key() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

fn public() -> VerifyingKey {
    key().verifying_key()
}

fn entry(session: SessionId, i: u64) -> Vec<u8> {
    Entry::Close(Close { session, outcome: Outcome::Completed, rounds: i, bytes_sent: 0 }).encode()
}

/// A log of 12 entries, of which 5, 6, 8 and 11 are the session's.
fn entries() -> Vec<Vec<u8>> {
    (0..12).map(|i| entry(if [5, 6, 8, 11].contains(&i) { SESSION } else { SessionId([1; 32]) }, i)).collect()
}

fn hashes(entries: &[Vec<u8>]) -> Vec<TreeHash> {
    entries.iter().map(|e| leaf_hash(e)).collect()
}

fn head(entries: &[Vec<u8>]) -> SignedCheckpoint {
    Checkpoint::new("bank", entries.len() as u64, root(&hashes(entries))).unwrap().sign(&key())
}

fn offer(entries: &[Vec<u8>], seen: usize) -> Offer {
    let leaves = hashes(entries);
    let mut before = Frontier::new();
    leaves[..5].iter().for_each(|&l| before.push(l));
    Offer {
        growth: Growth {
            head: head(entries),
            seen_size: seen as u64,
            consistency: consistency_proof(&leaves, seen).unwrap(),
        },
        start: 5,
        peaks: before.peaks().to_vec(),
        leaves: entries[5..]
            .iter()
            .map(|e| match Entry::decode(e).unwrap().session() == SESSION {
                true => OfferedLeaf::Entry(e.clone()),
                false => OfferedLeaf::Hash(leaf_hash(e)),
            })
            .collect(),
    }
}

#[test]
fn an_honest_offer_passes_from_every_size_seen_before() {
    let entries = entries();
    for seen in 0..=12 {
        let sent = offer(&entries, seen);
        let offer = Offer::decode(&sent.encode()).unwrap();
        assert_eq!(offer, sent);
        let last = head(&entries[..seen]);
        let last = (seen > 0).then_some(last.checkpoint());
        let got = offer.check(&public(), "bank", last, SESSION).unwrap();
        let numbers: Vec<u64> = got.iter().map(|(n, _)| *n).collect();
        assert_eq!(numbers, [5, 6, 8, 11]);
        assert!(got.iter().all(|(n, e)| e.encode() == entries[*n as usize]));
    }
}

#[test]
fn a_rollback_and_a_fork_are_refused_with_both_heads() {
    let honest = entries();
    let longer: Vec<_> = honest.iter().cloned().chain([entry(SESSION, 99)]).collect();
    let seen = head(&longer);
    let error = offer(&honest, 0).check(&public(), "bank", Some(seen.checkpoint()), SESSION).unwrap_err();
    assert!(matches!(error, OfferError::RolledBack { .. }), "{error}");
    for word in [seen.checkpoint().root(), head(&honest).checkpoint().root()] {
        assert!(error.to_string().contains(&word.to_string()), "{error}");
    }

    for changed in [0, 3, 11] {
        let mut fork = honest.clone();
        fork[changed] = entry(SESSION, 1234);
        // Of the same size, and grown since.
        for seen in [head(&fork), head(&fork[..changed + 1])] {
            let size = seen.checkpoint().size() as usize;
            let error =
                offer(&honest, size).check(&public(), "bank", Some(seen.checkpoint()), SESSION).unwrap_err();
            // Heads of one size prove a fork; others cannot be joined, which is all that a proof can fail to show.
            let evident = size == honest.len();
            assert_eq!(matches!(error, OfferError::Forked { .. }), evident, "{error}");
            assert_eq!(matches!(error, OfferError::Unproven { .. }), !evident, "{error}");
            assert!(error.to_string().contains(&seen.checkpoint().root().to_string()), "{error}");
            assert!(error.to_string().contains(&head(&honest).checkpoint().root().to_string()), "{error}");
        }
    }
    let renamed = Checkpoint::new("bang", 12, seen.checkpoint().root()).unwrap();
    assert!(matches!(
        offer(&honest, 12).check(&public(), "bank", Some(&renamed), SESSION),
        Err(OfferError::Forked { .. })
    ));
}

#[test]
fn a_head_of_another_log_is_refused_whoever_signed_it() {
    let entries = entries();
    for name in ["bang", "Bank", "telecom"] {
        let error = offer(&entries, 0).check(&public(), name, None, SESSION).unwrap_err();
        let expected = OfferError::OtherLog { expected: name.to_owned(), got: "bank".to_owned() };
        assert_eq!(error, expected);
        assert!(offer(&entries, 0).growth.check(&public(), name, None).is_err());
    }
}

#[test]
fn lies_about_leaves_and_starts_are_refused() {
    let entries = entries();
    let refused = |change: &dyn Fn(&mut Offer)| {
        let mut bad = offer(&entries, 3);
        change(&mut bad);
        let seen = head(&entries[..3]);
        bad.check(&public(), "bank", Some(seen.checkpoint()), SESSION).unwrap_err()
    };
    refused(&|o| o.leaves.swap(0, 1));
    refused(&|o| drop(o.leaves.remove(3)));
    refused(&|o| o.leaves.push(OfferedLeaf::Hash(TreeHash([0; 32]))));
    refused(&|o| o.start = 6);
    refused(&|o| o.start = u64::MAX);
    refused(&|o| o.peaks.clear());
    refused(&|o| o.peaks[0].0[0] ^= 1);
    refused(&|o| o.growth.consistency.clear());
    assert!(matches!(refused(&|o| o.growth.seen_size = 2), OfferError::OtherStart { expected: 3, got: 2 }));
    assert!(matches!(
        refused(&|o| o.leaves[2] = OfferedLeaf::Entry(entry(SessionId([1; 32]), 7))),
        OfferError::Entry { entry: 7, .. }
    ));
    let other = SigningKey::from_bytes(&[2; 32]);
    assert!(offer(&entries, 0).check(&other.verifying_key(), "bank", None, SESSION).is_err());
    let signed_twice = |o: &mut Offer| {
        let line = o.growth.head.checkpoint().cosign("x", &other, 7).unwrap();
        o.growth.head = o.growth.head.clone().with_signature(line).unwrap();
    };
    assert!(matches!(refused(&signed_twice), OfferError::Checkpoint(_)));
}

#[test]
fn an_owner_learns_that_its_own_log_was_put_back() {
    let entries = entries();
    let root_at = |size: u64| hashes(&entries).get(..size as usize).map(root);
    let own = head(&entries);
    let check =
        |seen: Seen| Seen::decode(&seen.encode()).unwrap().check(&public(), own.checkpoint(), root_at);
    assert_eq!(check(Seen(None)), Ok(0));
    assert_eq!(check(Seen(Some(head(&entries[..5])))), Ok(5));
    let mut fork = entries.clone();
    fork[2] = entry(SESSION, 1234);
    assert!(matches!(check(Seen(Some(head(&fork[..5])))), Err(OfferError::Forked { .. })));
    fork.push(entry(SESSION, 13));
    assert!(matches!(check(Seen(Some(head(&fork)))), Err(OfferError::RolledBack { .. })));
    let invented =
        Checkpoint::new("bank", 99, TreeHash([1; 32])).unwrap().sign(&SigningKey::from_bytes(&[2; 32]));
    assert!(matches!(check(Seen(Some(invented))), Err(OfferError::Checkpoint(_))));
}

#[test]
fn every_cut_and_flip_of_a_message_is_refused_or_reads_as_another() {
    let entries = entries();
    let bytes = offer(&entries, 3).encode();
    let seen = head(&entries[..3]);
    let passes = |bytes: &[u8]| {
        Offer::decode(bytes)
            .is_ok_and(|o| o.check(&public(), "bank", Some(seen.checkpoint()), SESSION).is_ok())
    };
    assert!(passes(&bytes));
    (0..bytes.len()).for_each(|end| assert!(!passes(&bytes[..end]), "cut at {end}"));
    for i in 0..bytes.len() * 8 {
        let mut bad = bytes.clone();
        bad[i / 8] ^= 1 << (i % 8);
        assert!(!passes(&bad), "bit {i}");
    }
    let bytes = offer(&entries, 3).growth.encode();
    let grown = |bytes: &[u8]| {
        Growth::decode(bytes).is_ok_and(|g| g.check(&public(), "bank", Some(seen.checkpoint())).is_ok())
    };
    assert!(grown(&bytes));
    (0..bytes.len()).for_each(|end| assert!(!grown(&bytes[..end]), "cut at {end}"));
    assert!(!grown(&[&bytes[..], &[0]].concat()));
    for i in 0..bytes.len() * 8 {
        let mut bad = bytes.clone();
        bad[i / 8] ^= 1 << (i % 8);
        assert!(!grown(&bad), "bit {i}");
    }
    let bytes = Seen(Some(seen.clone())).encode();
    for i in 0..bytes.len() * 8 {
        let mut bad = bytes.clone();
        bad[i / 8] ^= 1 << (i % 8);
        let root = seen.checkpoint().root();
        let passed = Seen::decode(&bad)
            .is_ok_and(|s| s.check(&public(), head(&entries).checkpoint(), |_| Some(root)).is_ok());
        assert!(!passed, "bit {i}");
    }
    assert!(Seen::decode(&[&Seen(None).encode()[..], &[0]].concat()).is_err());
}

proptest! {
    #[test]
    fn hostile_offers_never_panic(tail in proptest::collection::vec(any::<u8>(), 0..200), keep in 0usize..400) {
        let mut bytes = offer(&entries(), 3).encode();
        bytes.truncate(keep);
        bytes.extend(tail);
        if let Ok(offer) = Offer::decode(&bytes) {
            prop_assert!(offer.encode() == bytes);
            let _ = offer.check(&public(), "bank", None, SESSION);
        }
        let _ = Seen::decode(&bytes);
        let _ = Growth::decode(&bytes);
    }
}
