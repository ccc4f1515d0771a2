//! What onnxruntime computes with ensembles that `make.py` makes up, beside this script.

use ml_ops::models::trees::TreeEnsemble;
use ml_ops::models::trees::onnx::{Attributes, Operator};
use serde_json::Value;

const CASES: &str = include_str!("onnxruntime.json");

fn numbers(v: &Value) -> Vec<f64> {
    v.as_array().map(|list| list.iter().map(|n| n.as_f64().unwrap()).collect()).unwrap_or_default()
}

fn attributes(case: &Value) -> Attributes {
    let (a, n) = (&case["attributes"], case["n"].as_u64().unwrap());
    let (prefix, operator) = match case["operator"].as_str() {
        Some("TreeEnsembleClassifier") => ("class", Operator::Classifier { n_classes: n as usize }),
        _ => ("target", Operator::Regressor { n_targets: n as i64 }),
    };
    let integers = |name: &str| numbers(&a[name]).into_iter().map(|v| v as i64).collect::<Vec<_>>();
    let of = |name: &str| format!("{prefix}_{name}");
    let word = |name: &str, default: &str| a[name].as_str().unwrap_or(default).to_owned();
    Attributes {
        operator,
        aggregate_function: word("aggregate_function", "SUM"),
        post_transform: word("post_transform", "NONE"),
        base_values: numbers(&a["base_values"]),
        nodes_treeids: integers("nodes_treeids"),
        nodes_nodeids: integers("nodes_nodeids"),
        nodes_featureids: integers("nodes_featureids"),
        nodes_values: numbers(&a["nodes_values"]),
        nodes_modes: a["nodes_modes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|m| m.as_str().unwrap().to_owned())
            .collect(),
        nodes_truenodeids: integers("nodes_truenodeids"),
        nodes_falsenodeids: integers("nodes_falsenodeids"),
        weights_treeids: integers(&of("treeids")),
        weights_nodeids: integers(&of("nodeids")),
        weights_ids: integers(&of("ids")),
        weights: numbers(&a[of("weights")]),
    }
}

#[test]
fn scores_and_classes_are_those_of_onnxruntime() {
    let cases: Vec<Value> = serde_json::from_str(CASES).unwrap();
    assert!(cases.len() > 50, "{} cases", cases.len());
    let mut classes = 0;
    for (number, case) in cases.iter().enumerate() {
        let attributes = attributes(case);
        let model = TreeEnsemble::from_onnx(&attributes, 3).unwrap_or_else(|e| panic!("case {number}: {e}"));
        let at = format!(
            "case {number}, {:?}, {}, {}, {:?}",
            model.outcome(),
            attributes.aggregate_function,
            attributes.post_transform,
            attributes.base_values
        );
        for (row, x) in case["x"].as_array().unwrap().iter().enumerate() {
            let x = numbers(x);
            let (expected, got) = (numbers(&case["scores"][row]), model.scores(&x));
            assert_eq!(expected.len(), got.len(), "{at}");
            for (e, g) in expected.iter().zip(&got) {
                assert!((e - g).abs() < 1e-5, "{at}, row {row}: {got:?} instead of {expected:?}");
            }
            if let Some(label) = case["label"].get(row).and_then(Value::as_u64) {
                assert_eq!(model.class(&x), Some(label as usize), "{at}, row {row}");
                classes += 1;
            }
        }
    }
    assert!(classes > 400, "{classes} classes");
}
