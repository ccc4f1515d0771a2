//! Programs as a whole: names, parties, and what a dealer would make.

use ml_ops::{Axis, Direction, Link, Owner, Program, ProgramError, Rounding, TreeChoice, Trees};
use mpc_core::fixed::FracBits;

use super::{builder, input};

#[test]
fn whole_programs_are_checked_at_the_end() {
    let build = |name: &str, parties: &[&str], inputs: &[&str], outputs: &[&str]| {
        let mut p = Program::builder(name, FracBits::DEFAULT, parties);
        let mut last = None;
        for i in inputs {
            last = Some(p.input(i, Owner(0), [1], 1.0)?);
        }
        for o in outputs {
            p.output(o, last.expect("an input"), &[0])?;
        }
        p.build()
    };
    let ab = ["a", "b"];
    assert!(build("ok", &ab, &["x"], &["y"]).is_ok());
    assert!(matches!(build("p", &["a"], &["x"], &["y"]), Err(ProgramError::PartyCount { got: 1 })));
    assert!(matches!(build("p", &["a"; 6], &["x"], &["y"]), Err(ProgramError::PartyCount { got: 6 })));
    assert!(matches!(build("p", &["a", "a"], &["x"], &["y"]), Err(ProgramError::DuplicateName { .. })));
    assert!(matches!(build("p", &ab, &["x", "x"], &["y"]), Err(ProgramError::DuplicateName { .. })));
    assert!(matches!(build("p", &ab, &["x"], &["x"]), Err(ProgramError::DuplicateName { .. })));
    assert!(matches!(build("p", &ab, &["x"], &[]), Err(ProgramError::NoOutput { .. })));
    let long = "n".repeat(129);
    for bad in ["", "a\nb", "quo\"te", "a\u{202e}b", "a\u{3164}b", long.as_str()] {
        assert!(matches!(build(bad, &ab, &["x"], &["y"]), Err(ProgramError::BadName { .. })), "{bad:?}");
        assert!(matches!(build("p", &ab, &[bad], &["y"]), Err(ProgramError::BadName { .. })), "{bad:?}");
    }
    // Indices beyond any roster are refused even while the roster is too long.
    let mut p = Program::builder("p", FracBits::DEFAULT, &["a"; 8]);
    assert!(matches!(p.input("x", Owner(7), [1], 1.0), Err(ProgramError::NoSuchParty { .. })));
    let mut p = Program::builder("p", FracBits::DEFAULT, &[]);
    assert!(p.input("x", Owner(0), [1], 1.0).unwrap_err().to_string().contains("party 0"));
}

#[test]
fn whatever_builds_is_within_the_limits_of_a_dealer() {
    let most = 1 << 21;
    let mut p = builder();
    let x = input(&mut p, "x", &[most], 8.0);
    let c = p.clamp(x, -1.0, 1.0).unwrap();
    let s = p.sigmoid(c).unwrap();
    let positive = p.greater(s, c).unwrap();
    p.output("o", positive, &[0]).unwrap();
    p.build().unwrap().demand().check().unwrap();

    let mut p = builder();
    let x = input(&mut p, "x", &[most + 1], 8.0);
    let e = p.relu(x).unwrap_err().to_string();
    assert_eq!(
        e,
        "node 1 (relu): one node compares at most 2^21 elements; compute a window of rows at a time"
    );
}

#[test]
fn exact_rounding_has_a_limit_of_its_own() {
    let build = |rounding, elements: usize| {
        let mut p = builder();
        p.rounding(rounding);
        let x = input(&mut p, "x", &[elements], 1.0);
        let y = p.square(x).unwrap();
        p.output("y", y, &[0]).unwrap();
        p.build().map(|program| program.demand().check().unwrap())
    };
    let most = 1 << 22;
    assert!(build(Rounding::Exact, most).is_ok());
    assert!(build(Rounding::Dithered, most + 1).is_ok());
    assert_eq!(
        build(Rounding::Exact, most + 1).unwrap_err().to_string(),
        "node 1 (square): a dealer makes bundles for at most 2^22 elements and of at most 2 GiB at once; compute a window of \
         rows at a time, or take narrower trees"
    );
}

#[test]
fn what_a_dealer_would_not_make_with_wide_trees_is_refused() {
    let most_of_all = |trees, rounding| {
        let mut p = Program::builder("test", FracBits::new(24).unwrap(), &["a", "b"]);
        p.trees(trees).rounding(rounding);
        let x = input(&mut p, "x", &[2, 1 << 20], 1.0);
        let y = p.square(x).unwrap();
        let y = p.clamp(y, -0.5, 0.5).unwrap();
        let s = p.sigmoid(y).unwrap();
        let signs = p.sign(s).unwrap();
        let (keys, _) = p.top_k_with(s, signs, 1, Axis(0), Direction::Ascending).unwrap();
        let place = p.argmax_one_hot(s, Axis(0)).unwrap();
        p.output("keys", keys, &[0]).unwrap();
        p.output("place", place, &[0]).unwrap();
        // Whatever builds is made.
        p.build().map(|program| program.demand().check().unwrap())
    };
    let mut refused = vec![];
    for tree in TreeChoice::ALL {
        for rounding in [Rounding::Dithered, Rounding::Exact] {
            if let Err(e) = most_of_all(Trees::Fixed(tree), rounding) {
                assert!(
                    e.to_string().contains("(sigmoid): a dealer makes bundles for at most"),
                    "{tree}: {e}"
                );
                refused.push((tree.fan_in(), rounding));
            }
        }
    }
    assert!(!refused.is_empty() && refused.iter().all(|(fan_in, _)| *fan_in == 8), "{refused:?}");
    // The choice for a link is one that a dealer makes.
    for rounding in [Rounding::Dithered, Rounding::Exact] {
        most_of_all(Trees::For(Link::WAN), rounding).unwrap();
    }
}

#[test]
fn stages_of_all_tournaments_fit_into_a_demand() {
    let mut p = builder();
    let x = input(&mut p, "x", &[1 << 16], 1.0);
    // Levels of a tournament of 2^16.
    for _ in 0..(1 << 19) / 16 {
        p.max(x, Axis(0)).unwrap();
    }
    let e = p.max(x, Axis(0)).unwrap_err().to_string();
    assert!(
        e.contains("(max): all sorts and extremes of a program together have at most 2^19 stages"),
        "{e}"
    );
    let y = p.neg(x).unwrap();
    p.output("y", y, &[0]).unwrap();
    p.build().unwrap().demand().check().unwrap();
}
