//! Exact rounding, shapes of trees, and which truncations a later node does on its own opening.

use ml_ops::{
    Axis, Direction, Link, PlannedOp, Program, ProgramBuilder, Rounding, Sliding, TreeChoice, Trees, Value,
};
use ml_ops::{Owner, ProgramError, reference, run_local};
use mpc_core::fixed::FracBits;
use mpc_core::party::PartyId;

use crate::{Build, cases, inputs, program, program_with};

#[test]
fn with_exact_rounding_every_result_is_that_of_the_fixed_point_reference() {
    let inputs = inputs();
    for (name, _, build) in cases() {
        for frac in [8, 16, 24] {
            for parties in [2, 3] {
                let at = format!("{name}, {parties} parties, {frac} fraction bits");
                let program =
                    program_with(parties, frac, |p| _ = p.rounding(Rounding::Exact), build).unwrap();
                let fixed = reference::fixed(&program, &inputs).unwrap();
                let runs = run_local(&program, &inputs, [frac as u8; 32]).unwrap();
                assert_eq!(runs[parties - 1].outputs["z"], fixed["z"], "{at}");
                let plan = program.plan();
                program.demand().check().unwrap();
                for (party, run) in PartyId::all(parties).zip(&runs) {
                    plan.check(party, &run.measured).unwrap_or_else(|e| panic!("{at}: {e}"));
                }
            }
        }
    }
}

/// A little of everything that compares.
fn compares(p: &mut ProgramBuilder, x: Value, y: Value) -> Result<Value, ProgramError> {
    let z = p.mul(x, y)?;
    let z = p.relu(z)?;
    let bits = p.less(z, x)?;
    let same = p.equal(x, y)?;
    let (sign, size) = (p.sign(y)?, p.abs(y)?);
    let cut = p.clamp(y, -1.0, 2.0)?;
    let most = p.maximum(x, y)?;
    let first = p.argmax(x, Axis(0))?;
    let sorted = p.sort(x, Axis(0), Direction::Ascending)?;
    let s = p.sigmoid(x)?;
    let row = p.reshape(first, [1, 3])?;
    p.concat(&[z, bits, same, sign, size, cut, most, sorted, s, row], Axis(0))
}

#[test]
fn every_shape_of_trees_gives_the_same_results_at_its_own_cost() {
    let inputs = inputs();
    let rounds = |ops: &[PlannedOp], name: &str| ops.iter().find(|o| o.op == name).map(|o| o.rounds);
    let mut relu_rounds = vec![];
    for (i, tree) in TreeChoice::ALL.into_iter().enumerate() {
        for rounding in [Rounding::Dithered, Rounding::Exact] {
            let set = |p: &mut ProgramBuilder| _ = p.trees(Trees::Fixed(tree)).rounding(rounding);
            let program = program_with(3, 16, set, compares).unwrap();
            let fixed = &reference::fixed(&program, &inputs).unwrap()["z"];
            let runs = run_local(&program, &inputs, [i as u8; 32]).unwrap();
            let seen = &runs[2].outputs["z"];
            let worst = crate::largest_difference(seen, fixed);
            assert!(worst <= if rounding == Rounding::Exact { 0.0 } else { 2e-4 }, "{tree}: {worst:e}");
            let plan = program.plan();
            for (party, run) in PartyId::all(3).zip(&runs) {
                plan.check(party, &run.measured).unwrap_or_else(|e| panic!("{tree}: {e}"));
            }
            assert_eq!(Program::decode(&program.encode()).unwrap(), program, "{tree}");
            relu_rounds.push(rounds(&plan.ops, "relu").unwrap());
        }
    }
    // With exact rounding the truncation is a node's own, so the ReLU costs the same.
    assert_eq!(relu_rounds.chunks(2).map(|r| [r[0], r[1]]).filter(|[a, b]| a != b).count(), 0);
    assert_eq!(relu_rounds.iter().min(), Some(&3));
    assert_eq!(relu_rounds.iter().max(), Some(&7));
}

#[test]
fn a_link_decides_the_shape_of_each_operation_alone() {
    let shapes = |link, build: Build| {
        let program = program_with(2, 16, |p| _ = p.trees(Trees::For(link)), build).unwrap();
        program.plan().ops.into_iter().flat_map(|o| o.trees).collect::<Vec<_>>()
    };
    // 15 elements: bytes are nothing, rounds everything.
    assert_eq!(shapes(Link::WAN, |p, x, _| p.relu(x)), [[8, 8]]);
    // One byte a second: fewest bytes in all.
    let slow = Link::new(0, 1).unwrap();
    assert_eq!(shapes(slow, |p, x, _| p.relu(x)), [[2, 2]]);
    // Whatever is chosen is no worse than any fixed shape.
    for link in [Link::LOOPBACK, Link::LAN, Link::WAN, slow] {
        for (_, _, build) in cases() {
            let cost = |trees| {
                let program = program_with(3, 16, |p| _ = p.trees(trees), build).unwrap();
                let plan = program.plan();
                let bytes = u128::from(plan.online_bytes_per_party + plan.offline_bytes_per_party);
                let wait = u128::from(plan.rounds) * u128::from(link.round_trip_us()) * 1000;
                wait + bytes * 1_000_000_000 / u128::from(link.bytes_per_second())
            };
            let chosen = cost(Trees::For(link));
            // A nanosecond for each step that is rounded by itself.
            let best = TreeChoice::ALL.into_iter().map(|t| cost(Trees::Fixed(t))).min().unwrap();
            assert!(chosen <= best + 100, "{link}: {chosen} ns, {best} ns with one shape for all");
        }
    }
}

/// The bits that each ReLU, absolute value and clamp takes off its operand.
fn fused(build: Build) -> Vec<u32> {
    let plan = program(2, 16, build).expect("a valid program").plan();
    plan.ops
        .iter()
        .filter(|o| ["relu", "abs", "clamp"].contains(&o.op))
        .map(|o| o.fused_truncation_bits)
        .collect()
}

#[test]
fn a_truncation_moves_to_its_only_user() {
    let relu_of_product: Build = |p, x, y| {
        let z = p.mul(x, y)?;
        p.relu(z)
    };
    assert_eq!(fused(relu_of_product), [16]);
    let plan = program(2, 16, relu_of_product).unwrap().plan();
    let [product, relu] = &plan.ops[2..4] else { panic!("two nodes") };
    assert_eq!((product.op, product.rounds, product.online_bytes_per_party), ("mul", 1, 16 * 15));
    assert_eq!((relu.op, relu.rounds), ("relu", 4));
    // 98 bits as without a truncation, in messages of the same sizes.
    let alone = program(2, 16, |p, x, _| p.relu(x)).unwrap().plan();
    assert_eq!(relu.online_bytes_per_party, alone.ops[2].online_bytes_per_party);
    assert_eq!(alone.ops[2].fused_truncation_bits, 0);
    // 553 bits, the components of 15 elements packed one by one.
    let dealt = relu.offline_bytes_per_party * 8;
    assert!((553 * 15..553 * 15 + 10 * 8).contains(&dealt), "{dealt} bits");
    assert!(plan.to_string().contains("truncates by 16 bits"), "{plan}");
    // The same by exact rounding: two steps.
    let exact = program_with(2, 16, |p| _ = p.rounding(Rounding::Exact), relu_of_product).unwrap().plan();
    assert_eq!(
        exact.ops[2..4].iter().map(|o| (o.rounds, o.fused_truncation_bits)).collect::<Vec<_>>(),
        [(5, 0), (4, 0)]
    );
}

#[test]
fn a_truncation_stays_where_its_result_is_seen_otherwise() {
    let cases: [(&str, Build, &[u32]); 13] = [
        (
            "through shapes and promises",
            |p, x, y| {
                let z = p.mul(x, y)?;
                let z = p.transpose(z)?;
                let z = p.assume_range(z, 9.0)?;
                let z = p.reshape(z, [15])?;
                p.abs(z)
            },
            &[16],
        ),
        (
            "through moves and the largest of some",
            |p, x, y| {
                let z = p.mul(x, y)?;
                let z = p.reshape(z, [1, 1, 5, 3])?;
                let z = p.pad(z, &[0; 4], &[0, 0, 1, 1], 0.0)?;
                let z = p.max_pool2d(z, [2, 2], Sliding::by(2))?;
                let z = p.permute(z, &[0, 2, 3, 1])?;
                let z = p.min(z, Axis(2))?;
                p.relu(z)
            },
            &[16],
        ),
        (
            "padding of another number has the scale of the result",
            |p, x, y| {
                let z = p.mul(x, y)?;
                let z = p.pad(z, &[0; 2], &[1; 2], 1.0)?;
                p.relu(z)
            },
            &[0],
        ),
        (
            "where the largest is, is no value",
            |p, x, y| {
                let z = p.mul(x, y)?;
                let z = p.argmax(z, Axis(0))?;
                p.relu(z)
            },
            &[0],
        ),
        (
            "a convolution with a bias",
            |p, x, y| {
                let (image, kernel) = (p.reshape(x, [1, 1, 5, 3])?, p.reshape(y, [5, 1, 3, 1])?);
                let bias = p.slice(x, Axis(1), 0..1)?;
                let bias = p.reshape(bias, [5])?;
                let z = p.conv2d(image, kernel, Some(bias), Sliding::by(1))?;
                p.relu(z)
            },
            &[16],
        ),
        (
            "mean",
            |p, x, _| {
                let z = p.mean(x, Axis(0))?;
                p.clamp(z, -1.0, 1.0)
            },
            &[40],
        ),
        (
            "a factor that is an integer truncates nothing",
            |p, x, _| {
                let z = p.scale(x, 3.0)?;
                p.relu(z)
            },
            &[0],
        ),
        (
            "two users",
            |p, x, y| {
                let z = p.mul(x, y)?;
                let (a, b) = (p.relu(z)?, p.abs(z)?);
                p.add(a, b)
            },
            &[0, 0],
        ),
        (
            "twice in one user",
            |p, x, y| {
                let z = p.mul(x, y)?;
                let r = p.concat(&[z, z], Axis(0))?;
                p.relu(r)
            },
            &[0],
        ),
        (
            "another user in between",
            |p, x, y| {
                let z = p.mul(x, y)?;
                let flat = p.reshape(z, [15])?;
                let (r, z) = (p.relu(flat)?, p.reshape(z, [15])?);
                p.sub(z, r)
            },
            &[0],
        ),
        (
            "a sum in between",
            |p, x, y| {
                let z = p.mul(x, y)?;
                let z = p.add(z, x)?;
                p.relu(z)
            },
            &[0],
        ),
        (
            "limits without room at the product's scale",
            |p, x, y| {
                let z = p.mul(x, y)?;
                p.clamp(z, -1.0, 2f64.powi(30))
            },
            &[0],
        ),
        (
            "limits with just enough",
            |p, x, y| {
                let z = p.mul(x, y)?;
                p.clamp(z, -1.0, 2f64.powi(29))
            },
            &[16],
        ),
    ];
    for (name, build, expected) in cases {
        assert_eq!(fused(build), expected, "{name}");
    }
    // An output is a user too.
    let mut p = Program::builder("seen", FracBits::DEFAULT, &["a", "b"]);
    let x = p.input("x", Owner(0), [2], 4.0).unwrap();
    let z = p.square(x).unwrap();
    let r = p.relu(z).unwrap();
    p.output("z", z, &[0]).unwrap();
    p.output("r", r, &[0]).unwrap();
    assert!(p.build().unwrap().plan().ops.iter().all(|o| o.fused_truncation_bits == 0));
}

/// Other trees are another program, as if it had been built with them; windows, which are laid out while building, follow.
#[test]
fn trees_can_be_changed_afterwards() {
    let build = |set: &dyn Fn(&mut ProgramBuilder)| {
        let mut p = Program::builder("relus", FracBits::DEFAULT, &["a", "b"]);
        p.window_rows(3);
        set(&mut p);
        let x = p.input("x", Owner(0), [7, 2], 8.0)?;
        let y = p.relu(x)?;
        p.output("y", y, &[1])?;
        p.build()
    };
    let program = build(&|_| ()).unwrap();
    for trees in [Trees::For(Link::WAN), Trees::For(Link::LOOPBACK), Trees::Fixed(TreeChoice::DEFAULT)] {
        let changed = program.clone().with_trees(trees).unwrap();
        assert_eq!(changed, build(&|p| _ = p.trees(trees)).unwrap());
        assert_eq!(changed.plan(), build(&|p| _ = p.trees(trees)).unwrap().plan());
        assert_eq!(changed.digest() == program.digest(), trees == Trees::DEFAULT);
    }
}
