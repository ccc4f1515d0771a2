//! Canonical bytes, digests, the text form, and bytes that are not a program.

mod common;

use common::every_op;
use ml_ops::{Program, ProgramError};
use proptest::prelude::*;

#[test]
fn every_operation_round_trips() {
    let program = every_op(3);
    let bytes = program.encode();
    let read = Program::decode(&bytes).unwrap();
    assert_eq!(read, program);
    assert_eq!(read.encode(), bytes);
    assert_eq!(read.digest(), program.digest());
    assert_eq!(read.to_string(), program.to_string());
    let dir = tempfile_dir("round-trip");
    let path = dir.join("program");
    program.save(&path).unwrap();
    assert_eq!(Program::load(&path).unwrap(), program);
    std::fs::remove_dir_all(dir).unwrap();
}

fn tempfile_dir(name: &str) -> std::path::PathBuf {
    let dir = std::env::temp_dir().join(format!("subrosa-ml-ops-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a writable temporary directory");
    dir
}

#[test]
fn the_digest_depends_on_every_part_and_stays() {
    let digest = |parties| every_op(parties).digest();
    assert_ne!(digest(2), digest(3));
    assert_eq!(
        every_op(3).digest_hex(),
        "1fd1a0d6152bd30d023b3027a3ddfacbdd3110d1a36554820eb034f1b358560a",
        "the format changed: raise the version and this digest"
    );
}

#[test]
fn files_that_are_not_programs_are_named() {
    let e = Program::load("no/such/file").unwrap_err();
    assert!(e.to_string().starts_with("no/such/file: "), "{e}");
    let bytes = every_op(2).encode();
    let mut other = bytes.clone();
    other[0] ^= 1;
    assert_eq!(
        Program::decode(&other).unwrap_err().to_string(),
        "not a program: invalid magic number: this is not a program file"
    );
    let mut newer = bytes.clone();
    newer[8] = 9;
    assert_eq!(Program::decode(&newer).unwrap_err().to_string(), "program format version 9, expected 3");
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(matches!(Program::decode(&longer), Err(ProgramError::Malformed(_))));
    for end in 0..bytes.len() {
        assert!(Program::decode(&bytes[..end]).is_err(), "a prefix of {end} bytes was accepted");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn mutated_programs_are_refused_or_valid(
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = every_op(3).encode();
        for (at, value) in &flips {
            let at = at.index(bytes.len());
            bytes[at] = *value;
        }
        if let Ok(program) = Program::decode(&bytes) {
            // Whatever is accepted is in its one canonical form, and printing and planning it work.
            prop_assert_eq!(program.encode(), bytes);
            prop_assert!(!program.to_string().is_empty());
            prop_assert_eq!(program.plan().ops.len(), program.nodes().len() + 2);
        }
    }

    #[test]
    fn random_tails_never_panic(tail in proptest::collection::vec(any::<u8>(), 0..200), keep in 0usize..60) {
        let mut bytes = every_op(2).encode();
        bytes.truncate(keep);
        bytes.extend(tail);
        let _ = Program::decode(&bytes);
    }
}
