//! Known answers of certificate-transparency implementations, and brute force over all small trees.

use super::*;

/// The eight leaves that the certificate-transparency reference tests use.
const LEAVES: [&str; 8] =
    ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];

/// Their roots for sizes 1 to 8, from the same tests.
const ROOTS: [&str; 8] = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

fn hex(s: &str) -> Vec<u8> {
    (0..s.len()).step_by(2).map(|i| u8::from_str_radix(&s[i..i + 2], 16).unwrap()).collect()
}

fn tree_hash(s: &str) -> TreeHash {
    TreeHash(hex(s).try_into().unwrap())
}

fn reference_leaves() -> Vec<TreeHash> {
    LEAVES.iter().map(|l| leaf_hash(&hex(l))).collect()
}

/// MTH of RFC 6962 §2.1, word by word.
fn naive_root(leaves: &[TreeHash]) -> TreeHash {
    match leaves {
        [] => empty_root(),
        [one] => *one,
        many => {
            let mut k = 1;
            while 2 * k < many.len() {
                k *= 2;
            }
            node_hash(naive_root(&many[..k]), naive_root(&many[k..]))
        }
    }
}

fn numbered(n: usize) -> Vec<TreeHash> {
    (0..n).map(|i| leaf_hash(format!("entry {i}").as_bytes())).collect()
}

#[test]
fn roots_are_those_of_the_reference_tests() {
    let leaves = reference_leaves();
    assert_eq!(empty_root(), tree_hash("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
    for (i, expected) in ROOTS.iter().enumerate() {
        assert_eq!(root(&leaves[..=i]), tree_hash(expected), "size {}", i + 1);
    }
}

#[test]
fn proofs_are_those_of_the_reference_tests() {
    let leaves = reference_leaves();
    let path = |strings: &[&str]| strings.iter().map(|s| tree_hash(s)).collect::<Vec<_>>();
    assert_eq!(inclusion_proof(&leaves[..1], 0).unwrap(), path(&[]));
    assert_eq!(
        inclusion_proof(&leaves, 0).unwrap(),
        path(&[
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ])
    );
    assert_eq!(
        inclusion_proof(&leaves, 5).unwrap(),
        path(&[
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ])
    );
    assert_eq!(
        consistency_proof(&leaves, 6).unwrap(),
        path(&[
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ])
    );
    assert_eq!(
        consistency_proof(&leaves[..5], 2).unwrap(),
        path(&[
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ])
    );
}

#[test]
fn every_inclusion_proof_up_to_70_verifies_and_nothing_else_does() {
    for n in 0..=70 {
        let leaves = numbered(n);
        let top = root(&leaves);
        assert_eq!(top, naive_root(&leaves), "size {n}");
        assert_eq!(inclusion_proof(&leaves, n), None);
        for i in 0..n {
            let proof = inclusion_proof(&leaves, i).unwrap();
            let check = |leaf, index, size, proof: &[TreeHash]| {
                verify_inclusion(leaf, index as u64, size as u64, proof, top)
            };
            check(leaves[i], i, n, &proof).unwrap();
            assert!(check(leaf_hash(b"other"), i, n, &proof).is_err());
            for other in 0..n {
                assert_eq!(check(leaves[i], other, n, &proof).is_ok(), other == i, "{other} for {i} of {n}");
            }
            assert!(check(leaves[i], i, i, &proof).is_err());
            let longer: Vec<_> = proof.iter().copied().chain([empty_root()]).collect();
            assert_eq!(check(leaves[i], i, n, &longer), Err(ProofError::WrongLength { got: longer.len() }));
            for k in 0..proof.len() {
                let mut bad = proof.clone();
                bad[k].0[31] ^= 1;
                assert!(matches!(check(leaves[i], i, n, &bad), Err(ProofError::WrongRoot { .. })));
                assert!(check(leaves[i], i, n, &proof[..k]).is_err());
            }
        }
    }
}

#[test]
fn every_consistency_proof_up_to_70_verifies_and_nothing_else_does() {
    for n in 0..=70 {
        let leaves = numbered(n);
        let top = root(&leaves);
        assert_eq!(consistency_proof(&leaves, n + 1), None);
        for m in 0..=n {
            let old = root(&leaves[..m]);
            let proof = consistency_proof(&leaves, m).unwrap();
            let check = |m: usize, old, top, proof: &[TreeHash]| {
                verify_consistency(m as u64, old, n as u64, top, proof)
            };
            check(m, old, top, &proof).unwrap();
            assert!(check(n + 1, old, top, &proof).is_err());
            if m != 0 {
                assert!(check(m, leaf_hash(b"other"), top, &proof).is_err(), "fork at {m} of {n}");
                assert!(check(m, old, leaf_hash(b"other"), &proof).is_err(), "other root at {m} of {n}");
            } else {
                assert!(check(m, leaf_hash(b"other"), top, &proof).is_err());
            }
            let longer: Vec<_> = proof.iter().copied().chain([empty_root()]).collect();
            assert!(check(m, old, top, &longer).is_err());
            for k in 0..proof.len() {
                let mut bad = proof.clone();
                bad[k].0[0] ^= 0x80;
                assert!(check(m, old, top, &bad).is_err());
                assert!(check(m, old, top, &proof[..k]).is_err());
            }
        }
    }
}

#[test]
fn huge_positions_do_not_overflow() {
    let h = empty_root();
    assert!(verify_inclusion(h, u64::MAX - 1, u64::MAX, &[h; 64], h).is_err());
    assert!(verify_inclusion(h, u64::MAX, u64::MAX, &[], h).is_err());
    assert!(verify_consistency(u64::MAX - 1, h, u64::MAX, h, &[h; 70]).is_err());
    assert!(verify_consistency(1 << 63, h, u64::MAX, h, &[h; 70]).is_err());
}

#[test]
fn a_tree_goes_on_from_its_peaks_at_every_size() {
    let leaves = numbered(70);
    for start in 0..=70 {
        let mut whole = Frontier::new();
        leaves[..start].iter().for_each(|&l| whole.push(l));
        let mut resumed = Frontier::from_peaks(start as u64, whole.peaks().to_vec()).unwrap();
        leaves[start..].iter().for_each(|&l| resumed.push(l));
        assert_eq!((resumed.size(), resumed.root()), (70, root(&leaves)));
        assert!(Frontier::from_peaks(start as u64 + 1, vec![empty_root(); 9]).is_none());
    }
}
