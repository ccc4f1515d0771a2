//! Runs a check over a target's seeds and over deterministic mutations of them, on any compiler.

use std::fs;
use std::path::{Path, PathBuf};

/// SplitMix64: small, fast, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

/// One to four changes: a flipped bit, a byte of interest, a cut, an insertion, a repetition, a splice.
fn mutated(seeds: &[(PathBuf, Vec<u8>)], seed: u64) -> Vec<u8> {
    let mut random = Random(seed);
    let mut bytes = seeds[random.below(seeds.len())].1.clone();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() + 1);
        let to = (at + random.below(24)).min(bytes.len());
        match random.below(8) {
            0 | 1 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            2 | 3 if at < bytes.len() => {
                bytes[at] = [0, 1, 0x7f, 0x80, 0xfe, 0xff, b'\n', b'"'][random.below(8)]
            }
            4 => bytes.truncate(at),
            5 => bytes.insert(at, random.next() as u8),
            6 => {
                let part = bytes[at..to].to_vec();
                bytes.splice(at..at, part);
            }
            _ => {
                let other = &seeds[random.below(seeds.len())].1;
                let from = random.below(other.len() + 1);
                let part = other[from..(from + to - at).min(other.len())].to_vec();
                bytes.splice(at..to, part);
            }
        }
    }
    bytes
}

/// The committed seeds of `target`, sorted by name.
fn seeds(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds").join(target);
    let list = fs::read_dir(&dir).unwrap_or_else(|e| panic!("seeds of {target}: {}: {e}", dir.display()));
    let mut files: Vec<_> = list.map(|f| f.expect("a readable directory").path()).collect();
    files.sort();
    files.into_iter().map(|f| (f.clone(), fs::read(&f).expect("a readable seed"))).collect()
}

/// Checks every seed, of which those called `valid-…` must be accepted, and `mutations` mutations of them.
pub fn run(target: &str, mutations: u64, check: fn(&[u8]) -> bool) {
    let seeds = seeds(target);
    for (path, bytes) in &seeds {
        let valid = path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("valid-"));
        assert!(check(bytes) || !valid, "{} is not accepted", path.display());
    }
    assert!(seeds.iter().any(|(_, bytes)| check(bytes)), "{target} has no seed that is accepted");
    for seed in 0..mutations {
        let bytes = mutated(&seeds, seed);
        if let Err(panic) = std::panic::catch_unwind(|| check(&bytes)) {
            eprintln!("{target}: mutation with seed {seed}: {bytes:02x?}");
            std::panic::resume_unwind(panic);
        }
    }
}
