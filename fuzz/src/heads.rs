//! Checks of what nodes tell each other about their logs, and of proofs as texts.
//!
//! There is one honest log of 12 entries, of which some are of one session. Whatever is accepted must be about a state
//! of that log, because nothing else was ever signed. A check says whether the bytes were accepted.

use ed25519_dalek::{SigningKey, VerifyingKey};
use mpc_core::checkpoint::{
    Answer, Checkpoint, ConsistencyProof, CosignatureReply, Growth, InclusionProof, Offer, OfferedLeaf, Seen,
    SignedCheckpoint,
};
use mpc_core::merkle::{self, Frontier, TreeHash, leaf_hash};
use mpc_core::tag::SessionId;
use mpc_core::transcript::{Close, Entry, Outcome};

use super::foundation::log_key;

const ENTRIES: u64 = 12;
const SEEN: usize = 3;
const SESSION: SessionId = SessionId([7; 32]);
/// Its first entry.
const START: usize = 5;

fn entry(i: u64) -> Vec<u8> {
    let session = if [5, 6, 8, 11].contains(&i) { SESSION } else { SessionId([1; 32]) };
    Entry::Close(Close { session, outcome: Outcome::Completed, rounds: i, bytes_sent: 0 }).encode()
}

fn entries() -> Vec<Vec<u8>> {
    (0..ENTRIES).map(entry).collect()
}

fn leaves() -> Vec<TreeHash> {
    entries().iter().map(|e| leaf_hash(e)).collect()
}

fn head(size: usize) -> SignedCheckpoint {
    let root = if size == 0 { merkle::empty_root() } else { merkle::root(&leaves()[..size]) };
    Checkpoint::new("bank", size as u64, root).expect("a valid name").sign(&log_key())
}

fn is_genuine(checkpoint: &Checkpoint) -> bool {
    usize::try_from(checkpoint.size())
        .is_ok_and(|n| n as u64 <= ENTRIES && checkpoint == head(n).checkpoint())
}

fn peer_key() -> SigningKey {
    SigningKey::from_bytes(&[43; 32])
}

fn growth(seen: usize) -> Growth {
    let consistency = merkle::consistency_proof(&leaves(), seen).expect("a prefix");
    Growth { head: head(ENTRIES as usize), seen_size: seen as u64, consistency }
}

fn offer() -> Offer {
    let mut before = Frontier::new();
    leaves()[..START].iter().for_each(|&leaf| before.push(leaf));
    let shown = entries().into_iter().skip(START).map(|e| {
        match Entry::decode(&e).is_ok_and(|entry| entry.session() == SESSION) {
            true => OfferedLeaf::Entry(e),
            false => OfferedLeaf::Hash(leaf_hash(&e)),
        }
    });
    Offer {
        growth: growth(SEEN),
        start: START as u64,
        peaks: before.peaks().to_vec(),
        leaves: shown.collect(),
    }
}

/// A message about heads. The first byte chooses which.
pub fn heads(bytes: &[u8]) -> bool {
    let Some((kind, message)) = bytes.split_first() else { return false };
    let key = log_key().verifying_key();
    match kind % 4 {
        0 => seen(message, &key),
        1 => grown(message, &key),
        2 => offered(message, &key),
        _ => answered(message),
    }
}

fn seen(message: &[u8], key: &VerifyingKey) -> bool {
    let Ok(seen) = Seen::decode(message) else { return false };
    assert_eq!(seen.encode(), message, "one encoding");
    let root_at = |size: u64| leaves().get(..usize::try_from(size).ok()?).map(merkle::root);
    let checked = seen.check(key, head(ENTRIES as usize).checkpoint(), root_at);
    if let Ok(size) = checked {
        let known = seen.0.as_ref().map_or(size == 0, |h| is_genuine(h.checkpoint()));
        assert!(known, "a head of another log was taken for one of this log");
    }
    checked.is_ok()
}

fn grown(message: &[u8], key: &VerifyingKey) -> bool {
    let Ok(growth) = Growth::decode(message) else { return false };
    assert_eq!(growth.encode(), message, "one encoding");
    let [before, nothing] = [Some(head(SEEN)), None].map(|seen| {
        let checked =
            growth.check(key, head(0).checkpoint().origin(), seen.as_ref().map(SignedCheckpoint::checkpoint));
        checked.is_ok_and(|head| {
            assert!(is_genuine(head), "a head that was never signed");
            true
        })
    });
    before || nothing
}

fn offered(message: &[u8], key: &VerifyingKey) -> bool {
    let Ok(offer) = Offer::decode(message) else { return false };
    assert_eq!(offer.encode(), message, "one encoding");
    let Ok(found) = offer.check(key, head(0).checkpoint().origin(), Some(head(SEEN).checkpoint()), SESSION)
    else {
        return false;
    };
    assert!(is_genuine(offer.growth.head.checkpoint()), "a head that was never signed");
    // An owner may show an entry as a hash; what it shows as an entry is the entry.
    assert!(found.iter().all(|(number, e)| e.encode() == entry(*number)), "entries that the log has not");
    true
}

fn answered(message: &[u8]) -> bool {
    let Ok(answer) = Answer::decode(message) else { return false };
    assert_eq!(answer.encode(), message, "one encoding");
    if let Answer::Cosigned(reply) = answer {
        let (head, key) = (head(ENTRIES as usize), peer_key().verifying_key());
        let line = reply.line("bureau", &key);
        if line.verify_cosignature(head.checkpoint(), "bureau", &key).is_ok() {
            assert_eq!(reply, honest_reply(), "a cosignature that was never given");
        }
    }
    true
}

fn honest_reply() -> CosignatureReply {
    let line = head(ENTRIES as usize).checkpoint().cosign("bureau", &peer_key(), 7).expect("a valid name");
    CosignatureReply::of(&line).expect("a cosignature")
}

/// A proof as text. The first byte chooses which kind.
pub fn proof_text(bytes: &[u8]) -> bool {
    let Some((kind, text)) = bytes.split_first() else { return false };
    let key = log_key().verifying_key();
    if kind % 2 == 0 {
        let Ok(proof) = InclusionProof::parse(text) else { return false };
        assert_eq!(proof.to_string().as_bytes(), text, "one spelling");
        let Ok(head) = proof.verify(&key) else { return false };
        assert!(is_genuine(head) && proof.entry == entry(proof.index), "an entry that the log has not");
    } else {
        let Ok(proof) = ConsistencyProof::parse(text) else { return false };
        assert_eq!(proof.to_string().as_bytes(), text, "one spelling");
        let old = head(usize::try_from(proof.old_size.min(ENTRIES)).unwrap_or(0));
        let Ok(new) = proof.verify(old.checkpoint(), &key) else { return false };
        assert!(is_genuine(new), "a head that was never signed");
    }
    true
}

/// Target, name and content of every seed.
#[must_use]
pub fn seeds() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let with = |kind: u8, message: Vec<u8>| [vec![kind], message].concat();
    let refused = Answer::Refused("log was forked".into());
    let inclusion = InclusionProof {
        entry: entry(8),
        index: 8,
        hashes: merkle::inclusion_proof(&leaves(), 8).expect("an entry"),
        head: head(ENTRIES as usize),
    };
    let Growth { head: newest, consistency, .. } = growth(SEEN);
    let consistency = ConsistencyProof { old_size: SEEN as u64, hashes: consistency, head: newest };
    vec![
        ("heads", "valid-seen-nothing", with(0, Seen(None).encode())),
        ("heads", "valid-seen", with(0, Seen(Some(head(SEEN))).encode())),
        ("heads", "valid-growth", with(1, growth(SEEN).encode())),
        ("heads", "valid-growth-from-nothing", with(1, growth(0).encode())),
        ("heads", "valid-offer", with(2, offer().encode())),
        ("heads", "valid-cosigned", with(3, Answer::Cosigned(honest_reply()).encode())),
        ("heads", "valid-accepted", with(3, Answer::Accepted.encode())),
        ("heads", "valid-agreed", with(3, Answer::Agreed([7; 32]).encode())),
        ("heads", "valid-refused", with(3, refused.encode())),
        ("proof_text", "valid-inclusion", with(0, inclusion.to_string().into_bytes())),
        ("proof_text", "valid-consistency", with(1, consistency.to_string().into_bytes())),
    ]
}
