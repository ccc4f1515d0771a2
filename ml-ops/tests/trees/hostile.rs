//! Descriptions that are no trees.

use ml_ops::models::trees::onnx::{Attributes, Operator};
use ml_ops::models::trees::{MAX_DEPTH, Outcome, TreeEnsemble};

/// A tree of depth 1, and one of depth 2.
fn valid() -> Attributes {
    let modes = ["BRANCH_LEQ", "LEAF", "LEAF", "BRANCH_GT", "LEAF", "BRANCH_EQ", "LEAF", "LEAF"];
    Attributes {
        nodes_treeids: vec![0, 0, 0, 7, 7, 7, 7, 7],
        nodes_nodeids: vec![0, 1, 2, 0, 1, 2, 3, 4],
        nodes_featureids: vec![1, 0, 0, 0, 0, 1, 0, 0],
        nodes_values: vec![0.5, 0.0, 0.0, 1.5, 0.0, 2.0, 0.0, 0.0],
        nodes_modes: modes.map(String::from).to_vec(),
        nodes_truenodeids: vec![1, 0, 0, 1, 0, 3, 0, 0],
        nodes_falsenodeids: vec![2, 0, 0, 2, 0, 4, 0, 0],
        weights_treeids: vec![0, 0, 7, 7, 7],
        weights_nodeids: vec![1, 2, 1, 3, 4],
        weights_ids: vec![0; 5],
        weights: vec![-1.0, 2.5, 10.0, 20.0, 30.0],
        ..Attributes::of(Operator::Regressor { n_targets: 1 })
    }
}

#[test]
fn a_valid_description_is_read_as_it_is_meant() {
    let model = TreeEnsemble::from_onnx(&valid(), 2).unwrap();
    assert_eq!(model.depth(), 2);
    assert_eq!(model.scores(&[2.0, 0.5]), [9.0]);
    assert_eq!(model.scores(&[1.0, 2.0]), [22.5]);
    assert_eq!(model.scores(&[1.0, 2.5]), [32.5]);
}

type Change = fn(&mut Attributes);

#[test]
fn what_is_no_tree_is_refused_and_named() {
    let cases: &[(&str, Change)] = &[
        ("tree 1: two branches lead to node 0, or one back to it", |a| a.nodes_truenodeids[5] = 0),
        ("tree 1: two branches lead to node 3, or one back to it", |a| a.nodes_falsenodeids[5] = 3),
        ("tree 1: two branches lead to node 2, or one back to it", |a| a.nodes_falsenodeids[5] = 2),
        ("tree 0: there is no node 9", |a| a.nodes_truenodeids[0] = 9),
        ("tree 0: there is no node 4", |a| a.nodes_truenodeids[0] = 4),
        ("tree 0: there is no node -1", |a| a.nodes_falsenodeids[0] = -1),
        ("tree 1: node 1 is there twice", |a| a.nodes_nodeids[7] = 1),
        ("tree 7: its nodes do not stand together", |a| a.nodes_treeids[0] = 7),
        ("tree 0: node 1 cannot be reached", |a| a.nodes_modes[0] = "LEAF".into()),
        ("tree 0: node 0 asks about feature 2 of 2", |a| a.nodes_featureids[0] = 2),
        ("tree 0: node 0 asks about feature -1 of 2", |a| a.nodes_featureids[0] = -1),
        ("nodes_modes: \"BRANCH_MEMBER\" is not supported", |a| a.nodes_modes[0] = "BRANCH_MEMBER".into()),
        ("a threshold must be a finite number, got NaN", |a| a.nodes_values[0] = f64::NAN),
        ("the weight of a leaf must be a finite number, got inf", |a| a.weights[4] = f64::INFINITY),
        ("base_values must be a finite number", |a| a.base_values = vec![f64::NAN]),
        ("tree 1: leaf 3 has two weights for target 0", |a| a.weights_nodeids[4] = 3),
        ("tree 1: node 2 has a weight and is no leaf", |a| a.weights_nodeids[4] = 2),
        ("tree 1: there is no node 5", |a| a.weights_nodeids[4] = 5),
        ("a weight belongs to tree 3, which has no nodes", |a| a.weights_treeids[4] = 3),
        ("tree 1: node 4 has a weight for target 1 of 1", |a| a.weights_ids[4] = 1),
        ("tree 1: node 4 has a weight for target -1 of 1", |a| a.weights_ids[4] = -1),
        ("nodes_values: expected 8 values, got 7", |a| a.nodes_values.truncate(7)),
        ("nodes_modes: expected 8 values, got 0", |a| a.nodes_modes.clear()),
        ("class_ids or target_ids: expected 5 values, got 4", |a| a.weights_ids.truncate(4)),
        ("base_values: expected 1 values, got 2", |a| a.base_values = vec![0.0; 2]),
        ("aggregate_function: \"MEDIAN\"", |a| a.aggregate_function = "MEDIAN".into()),
        ("post_transform: \"PROBIT\"", |a| a.post_transform = "PROBIT".into()),
        ("between 1 and 65536 targets, got 0", |a| a.operator = Operator::Regressor { n_targets: -4 }),
        ("weights of leaves, got", |a| grow(a, 65536)),
        ("two or more classes", |a| a.operator = Operator::Classifier { n_classes: 1 }),
    ];
    for (expected, change) in cases {
        let mut a = valid();
        change(&mut a);
        let seen = TreeEnsemble::from_onnx(&a, 2).unwrap_err().to_string();
        assert!(seen.contains(expected), "{seen:?} instead of {expected:?}");
    }
    let mut empty = Attributes::of(Operator::Regressor { n_targets: 1 });
    assert!(TreeEnsemble::from_onnx(&empty, 2).unwrap_err().to_string().contains("nodes, got 0"));
    // Minima need a weight of every leaf; sums do not.
    empty = valid();
    for list in [&mut empty.weights_treeids, &mut empty.weights_nodeids, &mut empty.weights_ids] {
        list.truncate(4);
    }
    empty.weights.truncate(4);
    assert_eq!(TreeEnsemble::from_onnx(&empty, 2).unwrap().scores(&[1.0, 2.5]), [2.5]);
    empty.aggregate_function = "MIN".into();
    let seen = TreeEnsemble::from_onnx(&empty, 2).unwrap_err().to_string();
    assert_eq!(seen, "tree 1: leaf 4 has no weight for every target, which MIN and MAX need");
}

#[test]
fn branches_that_lead_to_a_common_node_are_written_out() {
    // x = 1 or x = 3, as a converter writes a set of categories.
    let mut a = Attributes::of(Operator::Regressor { n_targets: 1 });
    a.nodes_treeids = vec![0; 4];
    a.nodes_nodeids = vec![0, 1, 2, 3];
    a.nodes_featureids = vec![0; 4];
    a.nodes_values = vec![1.0, 3.0, 0.0, 0.0];
    a.nodes_modes = ["BRANCH_EQ", "BRANCH_EQ", "LEAF", "LEAF"].map(String::from).to_vec();
    a.nodes_truenodeids = vec![2, 2, 0, 0];
    a.nodes_falsenodeids = vec![1, 3, 0, 0];
    a.weights_treeids = vec![0; 2];
    a.weights_nodeids = vec![2, 3];
    a.weights_ids = vec![0; 2];
    a.weights = vec![5.0, -5.0];
    let model = TreeEnsemble::from_onnx(&a, 1).unwrap();
    assert_eq!(model.trees()[0].nodes.len(), 5);
    for (x, expected) in [(1.0, 5.0), (2.0, -5.0), (3.0, 5.0)] {
        assert_eq!(model.scores(&[x]), [expected], "{x}");
    }
    // Sixty branches of which both sides are the next would be 2^60 nodes.
    let n = 60;
    let mut a = Attributes::of(Operator::Regressor { n_targets: 1 });
    for at in 0..=n {
        a.nodes_treeids.push(0);
        a.nodes_nodeids.push(at);
        a.nodes_featureids.push(0);
        a.nodes_values.push(0.0);
        a.nodes_modes.push(if at < n { "BRANCH_LT" } else { "LEAF" }.into());
        a.nodes_truenodeids.push(at + 1);
        a.nodes_falsenodeids.push(at + 1);
    }
    let seen = TreeEnsemble::from_onnx(&a, 1).unwrap_err().to_string();
    assert!(seen.contains("shared ones written out"), "{seen}");
}

#[test]
fn targets_that_onnxruntime_forgets_are_refused() {
    // The second leaf of tree 1 alone has a weight for target 1.
    let with = |operator, base_values| {
        let a = Attributes { operator, base_values, weights_ids: vec![0, 0, 0, 0, 1], ..valid() };
        TreeEnsemble::from_onnx(&a, 2).map_err(|e| e.to_string())
    };
    let regressor = Operator::Regressor { n_targets: 2 };
    let unnamed = |target| format!("target {target}: no tree has a weight for it in every leaf");
    assert!(with(regressor, vec![]).is_ok());
    assert!(with(regressor, vec![1.0, 0.0]).is_ok());
    assert!(with(regressor, vec![1.0, 2.0]).unwrap_err().starts_with(&unnamed(1)));
    let classifier = Operator::Classifier { n_classes: 3 };
    assert!(with(classifier, vec![]).unwrap_err().starts_with(&unnamed(1)));
    assert!(with(classifier, vec![0.0; 3]).is_ok());
}

/// A hundred leaves for so many targets that their weights would take gigabytes.
fn grow(a: &mut Attributes, n_targets: i64) {
    a.operator = Operator::Regressor { n_targets };
    for tree in 100..200 {
        a.nodes_treeids.push(tree);
        let lists = [
            &mut a.nodes_nodeids,
            &mut a.nodes_featureids,
            &mut a.nodes_truenodeids,
            &mut a.nodes_falsenodeids,
        ];
        lists.into_iter().for_each(|list| list.push(0));
        a.nodes_values.push(0.0);
        a.nodes_modes.push("LEAF".into());
    }
}

#[test]
fn paths_are_followed_no_deeper_than_the_limit() {
    // A list of branches, each with a leaf beside the next one.
    let chain = |n: i64| {
        let mut a = Attributes::of(Operator::Regressor { n_targets: 1 });
        for at in 0..2 * n + 1 {
            a.nodes_treeids.push(0);
            a.nodes_nodeids.push(at);
            a.nodes_featureids.push(0);
            a.nodes_values.push(0.0);
            a.nodes_modes.push(if at < n { "BRANCH_LT" } else { "LEAF" }.into());
            a.nodes_truenodeids.push(at + 1);
            a.nodes_falsenodeids.push(at + n + 1);
        }
        TreeEnsemble::from_onnx(&a, 1)
    };
    assert_eq!(chain(MAX_DEPTH as i64).unwrap().depth(), MAX_DEPTH);
    assert_eq!(
        chain(MAX_DEPTH as i64 + 1).unwrap_err().to_string(),
        "tree 0: a path has at most 256 branches"
    );
    assert!(chain(100_000).is_err());
}

#[test]
fn base_values_without_a_sensible_meaning_are_refused() {
    let with = |ids: [i64; 5], base_values: Vec<f64>| {
        let operator = Operator::Classifier { n_classes: 2 };
        TreeEnsemble::from_onnx(
            &Attributes { operator, weights_ids: ids.to_vec(), base_values, ..valid() },
            2,
        )
    };
    assert_eq!(with([0; 5], vec![0.5]).unwrap().outcome(), Outcome::OneScore { positive: false });
    assert_eq!(with([0, 1, 0, 1, 0], vec![0.5]).unwrap().base_values(), [0.5, 0.0]);
    assert_eq!(with([1; 5], vec![]).unwrap().outcome(), Outcome::SecondScore { positive: false });
    for (ids, base) in [([0; 5], 2), ([1; 5], 1), ([1; 5], 2), ([0, 1, 0, 1, 0], 2)] {
        let seen = with(ids, vec![0.5; base]).unwrap_err().to_string();
        assert!(seen.starts_with(&format!("base_values: {base} of them for two classes")), "{seen}");
    }
}
