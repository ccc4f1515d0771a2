//! Proofs from real logs, checked by an independent implementation of RFC 6962.

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use ct_merkle::{ConsistencyProof as OracleConsistency, InclusionProof as OracleInclusion, RootHash};
use mpc_core::checkpoint::{Checkpoint, ConsistencyProof, InclusionProof};
use mpc_core::merkle::TreeHash;
use mpc_core::transcript::Entry;
use sha2::Sha256;

use super::super::{LogError, prove_consistency, prove_inclusion};
use super::session::{Plan, key_of};
use super::store::{entry, open};
use super::verifier::temp;

/// The other implementation's tree over the entries of [`open`]'s log.
fn oracle(size: u64) -> MemoryBackedTree<Sha256, Vec<u8>> {
    let mut tree = MemoryBackedTree::new();
    (0..size).for_each(|i| tree.push(entry(i)));
    tree
}

fn root_of(head: &Checkpoint) -> RootHash<Sha256> {
    RootHash::new(head.root().0.into(), head.size())
}

fn bytes(hashes: &[TreeHash]) -> Vec<u8> {
    hashes.iter().flat_map(|h| h.0).collect()
}

#[test]
fn every_proof_of_a_log_over_a_tile_boundary_satisfies_the_oracle() {
    let root = temp();
    let public = key_of("bank").verifying_key();
    let mut store = open(root.path()).unwrap();
    let sizes = [1, 2, 7, 255, 256, 257, 300];
    let mut heads = Vec::new();
    for size in sizes {
        store.append(&(store.size()..size).map(entry).collect::<Vec<_>>()).unwrap();
        let head = store.commit().unwrap().checkpoint().clone();
        assert!(oracle(size).root() == root_of(&head), "root at {size}");
        heads.push(head);
        let step = if size > 7 { 37 } else { 1 };
        for index in (0..size).step_by(step).chain([size - 1]) {
            let proof = prove_inclusion(root.path(), index).unwrap();
            assert_eq!(proof.entry, entry(index));
            let proof = InclusionProof::parse(proof.to_string().as_bytes()).unwrap();
            let top = root_of(proof.verify(&public).unwrap());
            let theirs = OracleInclusion::try_from_bytes(bytes(&proof.hashes)).unwrap();
            top.verify_inclusion(&proof.entry, index, &theirs).unwrap();
            assert!(top.verify_inclusion(&entry(size), index, &theirs).is_err());
            assert_eq!(oracle(size).prove_inclusion(index as usize).as_bytes(), bytes(&proof.hashes));
        }
        for old in &heads {
            let proof = prove_consistency(root.path(), old.size()).unwrap();
            let proof = ConsistencyProof::parse(proof.to_string().as_bytes()).unwrap();
            let top = root_of(proof.verify(old, &public).unwrap());
            if old.size() < size {
                let theirs = OracleConsistency::try_from_bytes(bytes(&proof.hashes)).unwrap();
                top.verify_consistency(&root_of(old), &theirs).unwrap();
                let forked = RootHash::new([9; 32].into(), old.size());
                assert!(top.verify_consistency(&forked, &theirs).is_err());
            }
        }
    }
    assert!(matches!(
        prove_inclusion(root.path(), 300),
        Err(LogError::OutOfRange { size: 300, asked: 300, .. })
    ));
    assert!(matches!(prove_inclusion(root.path(), u64::MAX), Err(LogError::OutOfRange { .. })));
    assert!(matches!(prove_consistency(root.path(), 301), Err(LogError::OutOfRange { .. })));
    assert!(prove_consistency(root.path(), 0).unwrap().hashes.is_empty());
}

#[test]
fn an_entry_of_a_session_is_proved_to_somebody_with_the_key_alone() {
    let root = temp();
    let dirs = Plan::new(2, 130).run(root.path());
    let proof = prove_inclusion(&dirs[0], 1).unwrap();
    assert!(matches!(Entry::decode(&proof.entry).unwrap(), Entry::Commitment(_)));
    proof.verify(&key_of("bank").verifying_key()).unwrap();
    assert!(proof.verify(&key_of("bureau").verifying_key()).is_err());
    std::fs::write(dirs[0].join("tile/entries/000.p/6"), "").unwrap();
    assert!(matches!(prove_inclusion(&dirs[0], 1), Err(LogError::Damaged { .. })));
}
