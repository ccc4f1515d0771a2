//! Ensembles in programs.

use std::collections::BTreeMap;

use ml_ops::models::trees::{
    Aggregate, Hidden, Outcome, PostTransform, Test, Tree, TreeEnsemble, TreeError, TreeNode, Weights,
};
use ml_ops::{Owner, Program, ProgramBuilder, Rounding, reference, run_local};
use mpc_core::fixed::FracBits;
use mpc_core::party::PartyId;
use ndarray::{Array2, ArrayD};

use crate::Random;

const ROWS: usize = 23;
const FEATURES: usize = 5;
const NAMES: [&str; 3] = ["bank", "bureau", "telecom"];
const ORDER: [Test; 4] = [Test::LessEqual, Test::Less, Test::GreaterEqual, Test::Greater];
const ALL: [Test; 6] =
    [Test::LessEqual, Test::Less, Test::GreaterEqual, Test::Greater, Test::Equal, Test::NotEqual];

/// Everything that can be kept of a model.
const KEPT: [Option<Hidden>; 3] = [None, Some(Hidden::Values), Some(Hidden::Shapes)];

fn weights(hidden: Option<Hidden>) -> Weights<'static> {
    hidden.map_or(Weights::Public, |hidden| Weights::Hidden { owner: Owner(0), prefix: "model", hidden })
}

/// A program that scores rows of the last party, and the inputs of everybody.
fn scoring(
    model: &TreeEnsemble,
    parties: usize,
    hidden: Option<Hidden>,
    x: &Array2<f64>,
    settings: impl Fn(&mut ProgramBuilder),
) -> (Program, BTreeMap<String, ArrayD<f64>>) {
    let mut p = Program::builder("trees", FracBits::DEFAULT, &NAMES[..parties]);
    settings(&mut p);
    let features = p.input("x", Owner(parties - 1), [x.nrows(), FEATURES], 2.0).unwrap();
    let built = model.add_to(&mut p, features, weights(hidden)).unwrap();
    assert_eq!(p.fact(built.targets).unwrap().shape.dims(), [x.nrows(), model.n_targets()]);
    p.output("scores", built.scores, &[0]).unwrap();
    if model.outcome() != Outcome::Targets {
        let class = model.class_in(&mut p, built.targets).unwrap();
        p.output("class", class, &[0]).unwrap();
    }
    let mut inputs = built.weights;
    assert_eq!(inputs.is_empty(), hidden.is_none());
    inputs.insert("x".into(), x.clone().into_dyn());
    (p.build().unwrap(), inputs)
}

/// Runs a model in a program and compares scores and classes with those in the clear.
fn compare(
    model: &TreeEnsemble,
    parties: usize,
    hidden: Option<Hidden>,
    random: &mut Random,
    tolerance: f64,
) {
    let x = Array2::from_shape_simple_fn((ROWS, FEATURES), || random.sixteenths());
    let (program, inputs) = scoring(model, parties, hidden, &x, |_| ());
    let runs = run_local(&program, &inputs, [parties as u8; 32]).unwrap();
    let float = reference::float(&program, &inputs).unwrap();
    let fixed = reference::fixed(&program, &inputs).unwrap();
    let mut classes = 0;
    for (row, values) in x.outer_iter().enumerate() {
        let scores = model.scores(&values.to_vec());
        for (i, expected) in scores.into_iter().enumerate() {
            for (what, of) in [("secure", &runs[0].outputs), ("float", &float), ("fixed", &fixed)] {
                let got = of["scores"][[row, i]];
                assert!(
                    (got - expected).abs() <= tolerance,
                    "{what}, row {row}, score {i}: {got} instead of {expected}; {hidden:?}\n{model:?}"
                );
            }
        }
        if let Some(expected) = model.class(&values.to_vec()) {
            // Where rounding by a unit or two does not decide it.
            if margin(model, &values.to_vec()) > 4.0 / 65536.0 {
                for of in [&float, &fixed, &runs[0].outputs] {
                    classes += 1;
                    assert_eq!(of["class"][[row]], expected as f64, "row {row}, {hidden:?}\n{model:?}");
                }
            }
        }
    }
    assert!(model.outcome() == Outcome::Targets || classes > ROWS, "few rows are decided clearly");
    for (party, run) in PartyId::all(parties).zip(&runs) {
        program.plan().check(party, &run.measured).unwrap();
    }
}

/// By how much the class of a row was decided.
fn margin(model: &TreeEnsemble, row: &[f64]) -> f64 {
    let mut targets = model.targets(row);
    match model.outcome() {
        Outcome::OneScore { positive } | Outcome::SecondScore { positive } => {
            (targets[0] - if positive { 0.5 } else { 0.0 }).abs()
        }
        Outcome::TwoClasses => targets[1].abs(),
        Outcome::Targets | Outcome::Classes => {
            targets.sort_by(|a, b| b.total_cmp(a));
            targets[0] - targets[1]
        }
    }
}

fn ensemble(
    random: &mut Random,
    trees: usize,
    grown: (usize, usize),
    targets: usize,
    tests: &[Test],
) -> TreeEnsemble {
    let trees = (0..trees).map(|_| random.tree(grown, FEATURES, targets, tests)).collect();
    TreeEnsemble::new(trees, FEATURES, targets).unwrap()
}

/// Half a unit for the weights and one for the truncation.
const UNIT: f64 = 1.5 / 65536.0;

#[test]
fn random_forests_score_as_in_the_clear() {
    let mut random = Random(1);
    for (trees, grown, targets) in
        [(1, (3, 8), 1), (2, (1, 8), 2), (7, (4, 6), 1), (12, (5, 5), 3), (30, (2, 6), 1)]
    {
        for hidden in KEPT {
            for parties in [2, 3] {
                let model = ensemble(&mut random, trees, grown, targets, &ORDER);
                compare(&model, parties, hidden, &mut random, UNIT);
            }
        }
    }
}

#[test]
fn tests_of_equality_and_single_leaves_are_right() {
    let mut random = Random(2);
    for hidden in KEPT {
        for trees in [1, 9] {
            let model = ensemble(&mut random, trees, (3, 6), 2, &ALL);
            compare(&model, 2, hidden, &mut random, UNIT);
        }
        // Only leaves: a constant.
        let model = ensemble(&mut random, 3, (0, 0), 2, &ORDER);
        compare(&model, 2, hidden, &mut random, UNIT);
    }
}

#[test]
fn every_aggregation_and_base_value_is_right() {
    let mut random = Random(3);
    for aggregate in [Aggregate::Sum, Aggregate::Average, Aggregate::Min, Aggregate::Max] {
        for hidden in KEPT {
            let model = ensemble(&mut random, 6, (3, 7), 2, &ORDER)
                .with_aggregate(aggregate)
                .with_base_values(vec![0.3, -1.7])
                .unwrap();
            compare(&model, 2, hidden, &mut random, UNIT + 0.5 / 65536.0);
        }
    }
}

#[test]
fn every_outcome_is_right() {
    let mut random = Random(4);
    let one = [true, false].map(|positive| (Outcome::OneScore { positive }, 1));
    let second = [true, false].map(|positive| (Outcome::SecondScore { positive }, 1));
    let two = [(Outcome::TwoClasses, 2), (Outcome::Classes, 4)];
    for (outcome, targets) in one.into_iter().chain(second).chain(two) {
        let softmax = 2f64.powi(-11);
        for (transform, tolerance) in [
            (PostTransform::None, 0.0),
            (PostTransform::Logistic, 1.7e-4),
            (PostTransform::Softmax, softmax),
            (PostTransform::SoftmaxZero, softmax),
        ] {
            let model = ensemble(&mut random, 5, (3, 7), targets, &ORDER)
                .with_post_transform(transform)
                .with_outcome(outcome)
                .unwrap();
            compare(&model, 2, Some(Hidden::Values), &mut random, UNIT + tolerance);
        }
    }
}

#[test]
fn zeros_have_no_part_in_a_softmax_without_them() {
    let leaf = |v: [f64; 3]| TreeNode::Leaf(v.to_vec());
    let branch = TreeNode::Branch { feature: 0, test: Test::Less, threshold: 0.0, yes: 1, no: 2 };
    let tree = Tree { nodes: vec![branch, leaf([0.0, -1.5, 0.5]), leaf([0.0; 3])] };
    let model = TreeEnsemble::new(vec![tree], FEATURES, 3)
        .unwrap()
        .with_post_transform(PostTransform::SoftmaxZero)
        .with_outcome(Outcome::Classes)
        .unwrap();
    let x = Array2::from_shape_fn((2, FEATURES), |(i, _)| i as f64 - 0.5);
    let (program, inputs) = scoring(&model, 2, None, &x, |_| ());
    let scores = &run_local(&program, &inputs, [5; 32]).unwrap()[0].outputs["scores"];
    let high = 1.0 / (1.0 + (-2f64).exp());
    for (got, expected) in scores.iter().zip([0.0, 1.0 - high, high, 0.0, 0.0, 0.0]) {
        assert!((got - expected).abs() < 2f64.powi(-11), "{scores}");
        assert!(expected > 0.0 || *got == 0.0, "{scores}");
    }
}

#[test]
fn a_feature_equals_its_threshold_after_both_were_rounded() {
    let leaf = |v: f64| TreeNode::Leaf(vec![v]);
    // No multiples of 2^−16.
    for number in [0.1f32, 0.7, -1.3, 1.999_99] {
        let threshold = f64::from(number);
        let x = Array2::from_elem((1, FEATURES), threshold);
        for test in ALL {
            let branch = TreeNode::Branch { feature: 2, test, threshold, yes: 1, no: 2 };
            let tree = Tree { nodes: vec![branch, leaf(1.0), leaf(-1.0)] };
            let model = TreeEnsemble::new(vec![tree], FEATURES, 1).unwrap();
            for hidden in KEPT {
                let (program, inputs) = scoring(&model, 2, hidden, &x, |_| ());
                let got = run_local(&program, &inputs, [5; 32]).unwrap()[0].outputs["scores"][[0, 0]];
                assert_eq!(got, model.scores(&[threshold; FEATURES])[0], "{number} {test:?} {hidden:?}");
            }
        }
    }
}

#[test]
fn thresholds_of_integers_are_not_rounded() {
    let leaf = |v: f64| TreeNode::Leaf(vec![v]);
    for threshold in [2.5, 2.7, 3.0, 3.5, -0.5] {
        for test in ALL {
            let branch = TreeNode::Branch { feature: 0, test, threshold, yes: 1, no: 2 };
            let tree = Tree { nodes: vec![branch, leaf(1.0), leaf(-1.0)] };
            let model = TreeEnsemble::new(vec![tree], 1, 1).unwrap();
            let mut p = Program::builder("whole", FracBits::DEFAULT, &["bank", "bureau"]);
            let x = p.integers("x", Owner(0), [6, 1], 16.0).unwrap();
            let tree = model.add_to(&mut p, x, Weights::Public).unwrap();
            p.output("scores", tree.scores, &[0]).unwrap();
            let values = Array2::from_shape_fn((6, 1), |(i, _)| i as f64 - 1.0).into_dyn();
            let inputs = BTreeMap::from([("x".to_owned(), values)]);
            let got = &run_local(&p.build().unwrap(), &inputs, [5; 32]).unwrap()[0].outputs["scores"];
            let expected: Vec<f64> = (0..6).map(|i| model.scores(&[f64::from(i) - 1.0])[0]).collect();
            assert_eq!(got.iter().copied().collect::<Vec<_>>(), expected, "{test:?} {threshold}");
        }
    }
}

#[test]
fn a_tie_goes_to_the_side_that_the_test_says() {
    let leaf = |v: f64| TreeNode::Leaf(vec![v]);
    // On the grid, and between its points: there it counts as the nearest, as a feature does.
    for threshold in [0.5, 0.5 + 1e-7, 0.5 - 1e-7] {
        for test in ALL {
            let branch = TreeNode::Branch { feature: 2, test, threshold, yes: 1, no: 2 };
            let tree = Tree { nodes: vec![branch, leaf(1.0), leaf(-1.0)] };
            let model = TreeEnsemble::new(vec![tree], FEATURES, 1).unwrap();
            let unit = 1.0 / 65536.0;
            let x = Array2::from_shape_fn((3, FEATURES), |(i, _)| 0.5 + (i as f64 - 1.0) * unit);
            for hidden in KEPT {
                let (program, inputs) = scoring(&model, 2, hidden, &x, |_| ());
                let got = &run_local(&program, &inputs, [5; 32]).unwrap()[0].outputs["scores"];
                for (row, &x) in x.column(2).iter().enumerate() {
                    let expected = if test.holds(x, 0.5) { 1.0 } else { -1.0 };
                    assert_eq!(got[[row, 0]], expected, "{x} {test:?} {threshold}, {hidden:?}");
                }
            }
        }
    }
}

#[test]
fn windows_of_rows_give_the_same_and_a_window_is_suggested() {
    let mut random = Random(6);
    let model = ensemble(&mut random, 8, (4, 7), 2, &ALL);
    let x = Array2::from_shape_simple_fn((ROWS, FEATURES), || random.sixteenths());
    for hidden in KEPT {
        let run = |window: Option<u32>| {
            let (program, inputs) = scoring(&model, 2, hidden, &x, |p| {
                p.rounding(Rounding::Exact);
                window.map(|w| p.window_rows(w));
            });
            assert_eq!(Program::decode(&program.encode()).unwrap(), program);
            run_local(&program, &inputs, [6; 32]).unwrap().remove(0).outputs
        };
        assert_eq!(run(None), run(Some(10)));
    }
    let rows = model.window_rows() as usize;
    let branches =
        model.trees().iter().flat_map(|t| &t.nodes).filter(|n| matches!(n, TreeNode::Branch { .. }));
    assert!((1 << 18..=1 << 19).contains(&(rows * branches.count())));
}

#[test]
fn the_cost_is_as_stated() {
    let mut random = Random(7);
    // Eight trees of depth 4, all complete: 15 branches and 16 leaves each.
    let (n, f, trees, depth, c) = (64u64, FEATURES as u64, 8, 4, 3u64);
    let model = ensemble(&mut random, trees, (depth, 8), c as usize, &ORDER);
    let (i, l, t, d) = (15 * trees as u64, 16 * trees as u64, trees as u64, depth as u64);
    let x = Array2::from_shape_simple_fn((n as usize, FEATURES), || random.sixteenths());
    for parties in [2, 3] {
        for hidden in KEPT {
            let secret = u64::from(hidden.is_some());
            let (program, _) = scoring(&model, parties, hidden, &x, |_| ());
            let plan = program.plan();
            let nodes = &plan.ops[..plan.ops.len() - 2];
            let rounds: u64 = nodes.iter().map(|o| o.rounds).sum();
            assert_eq!(rounds, secret + 4 + (d - 1) + secret + 1, "{hidden:?}");
            let bytes: u64 = nodes.iter().map(|o| o.online_bytes_per_party).sum();
            let bits_compared = 98 * n * i;
            let stated = secret * 8 * (n * f + f * i)
                + bits_compared / 8
                + 16 * n * (i - t)
                + secret * 8 * (n * l + l * c)
                + 8 * n * c;
            assert_eq!(bytes, stated * (parties as u64 - 1), "{hidden:?}, {parties} parties");
        }
    }
    // A test of equality takes a comparison and a product more.
    let equal = ensemble(&mut random, 1, (1, 8), 1, &[Test::Equal]);
    let (program, _) = scoring(&equal, 2, None, &x, |_| ());
    let ops = program.plan().ops;
    assert_eq!(
        ops.iter().map(|o| (o.op, o.rounds)).filter(|o| o.1 > 0).collect::<Vec<_>>()[..2],
        [("less_equal", 4), ("mul", 1)]
    );
}

#[test]
fn a_hidden_shape_says_the_number_of_trees_and_the_depth_alone() {
    let mut random = Random(8);
    let x = Array2::from_shape_simple_fn((ROWS, FEATURES), || random.sixteenths());
    let mut program = |eighths: usize| loop {
        let model = ensemble(&mut random, 4, (3, eighths), 1, &ORDER);
        if model.depth() == 3 {
            return scoring(&model, 2, Some(Hidden::Shapes), &x, |_| ()).0;
        }
    };
    let (full, sparse, other) = (program(8), program(5), program(5));
    assert_eq!(full.digest(), sparse.digest());
    assert_eq!(sparse.digest(), other.digest());
}

#[test]
fn what_a_program_cannot_compute_is_refused() {
    let mut random = Random(9);
    let model = ensemble(&mut random, 2, (2, 8), 2, &ORDER);
    let mut p = Program::builder("refused", FracBits::DEFAULT, &NAMES);
    let narrow = p.input("narrow", Owner(1), [9, 4], 2.0).unwrap();
    let e = model.add_to(&mut p, narrow, Weights::Public).unwrap_err();
    assert_eq!(e.to_string(), "the ensemble takes rows of 5 features, got shape [9, 4]");
    let large = p.input("large", Owner(1), [9, 5], 2f64.powi(40)).unwrap();
    let e = model.add_to(&mut p, large, Weights::Public).unwrap_err();
    assert!(matches!(e, TreeError::Magnitude { .. }), "{e}");
    assert!(e.to_string().contains("assume_range"), "{e}");
    let x = p.input("x", Owner(1), [9, 5], 2.0).unwrap();
    let built = model.add_to(&mut p, x, Weights::Public).unwrap();
    assert!(matches!(model.class_in(&mut p, built.targets), Err(TreeError::NoClasses)));
    // A path of 30 branches would be padded to 2^30 leaves.
    let mut nodes: Vec<TreeNode> = (0..30)
        .map(|i| TreeNode::Branch { feature: 0, test: Test::Less, threshold: 0.5, yes: i + 1, no: 31 + i })
        .collect();
    nodes.extend((0..31).map(|i| TreeNode::Leaf(vec![f64::from(i)])));
    let deep = TreeEnsemble::new(vec![Tree { nodes }], 5, 1).unwrap();
    let hidden = |hidden| Weights::Hidden { owner: Owner(0), prefix: "deep", hidden };
    let e = deep.add_to(&mut p, x, hidden(Hidden::Shapes)).unwrap_err();
    assert!(e.to_string().contains("after padding to complete trees"), "{e}");
    deep.add_to(&mut p, x, hidden(Hidden::Values)).unwrap();
}
