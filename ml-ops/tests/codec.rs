//! Canonical bytes, digests, the text form, and bytes that are not a program.

mod common;

use common::every_op;
use ml_ops::{
    Axis, Direction, Link, Owner, Program, ProgramBuilder, ProgramError, Rounding, TreeChoice, Trees,
};
use mpc_core::fixed::FracBits;
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
        "db73860b54c09a7c53081dc460e802c1a971691e9f7a52dcd10aac9e8739d09f",
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
    assert_eq!(Program::decode(&newer).unwrap_err().to_string(), "program format version 9, expected 5");
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(matches!(Program::decode(&longer), Err(ProgramError::Malformed(_))));
    for end in 0..bytes.len() {
        assert!(Program::decode(&bytes[..end]).is_err(), "a prefix of {end} bytes was accepted");
    }
}

/// One input and what is done with it, with settings that are not the usual ones.
fn small(settings: impl Fn(&mut ProgramBuilder), sorts: bool) -> Vec<u8> {
    let build = || {
        let mut p = Program::builder("p", FracBits::DEFAULT, &["a", "b"]);
        settings(&mut p);
        let x = p.input("x", Owner(0), [3], 1.0)?;
        let y = if sorts { p.top_k(x, 2, Axis(0), Direction::Descending)? } else { p.argmin(x, Axis(0))? };
        p.output("y", y, &[0])?;
        p.build()
    };
    build().expect("a valid program").encode()
}

#[test]
fn settings_are_part_of_the_digest_and_have_one_encoding() {
    let link = Link::new(1234, 567_890).unwrap();
    let all = [Trees::For(link), Trees::For(Link::WAN)].into_iter().chain(TreeChoice::ALL.map(Trees::Fixed));
    let mut seen = std::collections::BTreeSet::new();
    for trees in all {
        for rounding in [Rounding::Dithered, Rounding::Exact] {
            let bytes = small(|p| _ = p.trees(trees).rounding(rounding), false);
            let read = Program::decode(&bytes).unwrap();
            assert_eq!((read.trees(), read.rounding()), (trees, rounding));
            assert_eq!(read.encode(), bytes);
            assert!(seen.insert(read.digest()), "{trees}, {rounding:?}");
        }
    }
}

/// Changes the bytes at an offset and expects a refusal that says what is wrong.
fn refused(bytes: &[u8], at: usize, values: &[u8], what: &str) {
    let mut changed = bytes.to_vec();
    changed[at..at + values.len()].copy_from_slice(values);
    let e = Program::decode(&changed).expect_err(what).to_string();
    assert!(e.contains(what), "{values:?} at {at}: {e}");
}

#[test]
fn settings_and_parameters_that_mean_nothing_are_refused() {
    // Magic, version, a name of one byte after its length, fraction bits; then rounding and trees.
    let rounding = 8 + 2 + 4 + 1 + 1;
    let fixed = small(|_| (), false);
    assert_eq!(fixed[rounding..rounding + 4], [0, 0, 4, 4], "the layout that the offsets below mean");
    for bad in [2, 255] {
        refused(&fixed, rounding, &[bad], "rounding");
        refused(&fixed, rounding + 1, &[bad], "shape of trees");
    }
    for bad in [0, 1, 3, 5, 16, 255] {
        refused(&fixed, rounding + 2, &[bad], "shape of trees");
        refused(&fixed, rounding + 3, &[bad], "shape of trees");
    }
    let link = small(|p| _ = p.trees(Trees::For(Link::LAN)), false);
    assert_eq!(link[rounding + 1], 1);
    refused(&link, rounding + 6, &[0; 8], "shape of trees");

    // The operation is the second node; after it come an output's name, node and recipients.
    let tail = 4 + (4 + 1) + 4 + 1;
    let argmin = fixed.len() - tail - 3;
    assert_eq!(fixed[argmin..argmin + 3], [0, 1, 1], "axis, smallest, index");
    refused(&fixed, argmin, &[1], "axis 1 of shape [3] does not exist");
    refused(&fixed, argmin + 1, &[2], "end of an axis");
    refused(&fixed, argmin + 2, &[3], "form of an extreme");
    let top = small(|_| (), true);
    let sort = top.len() - tail - 6;
    assert_eq!(top[sort..sort + 6], [0, 1, 2, 0, 0, 0], "axis, descending, two");
    refused(&top, sort, &[7], "axis 7");
    refused(&top, sort + 1, &[2], "direction of a sort");
    for bad in [0, 4, u32::MAX] {
        refused(&top, sort + 2, &bad.to_le_bytes(), "at least one element is kept, and at most as many");
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
            prop_assert!(program.demand().check().is_ok());
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
