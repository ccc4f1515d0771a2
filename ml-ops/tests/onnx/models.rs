//! Models of scikit-learn, boosting libraries and PyTorch.

use ml_ops::onnx::{ColumnRange, Options, Parameters, import};

use crate::files::{Case, Trial};

#[test]
fn linear_models() {
    Trial::of("logistic_binary", 1e-3).by(3).run();
    Trial::of("logistic_multi", 1e-3).run();
    Trial::of("logistic_texts", 1e-3).run();
    Trial::of("logistic_one_vs_rest", 2e-3).run();
    Trial::of("linear_svc", 1e-3).run();
    Trial::of("linear_svc_binary", 1e-3).run();
    Trial::of("svc_linear", 1e-3).run();
    Trial::of("ridge", 1e-3).run();
}

#[test]
fn probabilities_of_classes_of_which_none_is_likely() {
    Trial::of("sgd_one_vs_rest", 1e-3).run();
    // Scores of thousands: where all are below −88, onnxruntime has equal probabilities and the first class.
    Trial::of("sgd_unscaled", 1e-3).run();
}

/// The range of every column of wine.
fn of_wine(options: &mut Options) {
    let ranges = [16.0, 8.0, 4.0, 32.0, 256.0, 4.0, 8.0, 1.0, 4.0, 16.0, 2.0, 4.0, 2048.0];
    let range = |(i, &max_abs): (usize, &f64)| ColumnRange { input: None, columns: Some(i..i + 1), max_abs };
    options.ranges = ranges.iter().enumerate().map(range).collect();
}

#[test]
fn columns_have_ranges_of_their_own() {
    Trial::of("scaler_pipeline", 1e-3).with(of_wine).run();
    Trial::of("sgd_unscaled", 1e-3).with(of_wine).run();
    // Squares of scaled columns, which are too large if the smallest column could be as large as the largest.
    let case = Case::load("qda");
    let private = Parameters::Private { owner: 1 };
    let text = import(&case.model, &Trial::of("qda", 1e-3).options(&case, private)).unwrap_err().to_string();
    assert!(text.contains("Pow") && text.contains("a smaller range of the inputs"), "{text}");
    let trial = Trial::of("qda", 1e-3).with(of_wine);
    trial.run();
    // Neighbours of one range are one input; every input is checked against its own.
    let imported = import(&case.model, &trial.options(&case, private)).unwrap();
    let inputs: Vec<_> =
        imported.inputs.iter().map(|i| (i.name.as_str(), i.columns.clone(), i.owner)).collect();
    assert_eq!(inputs.len(), 13);
    assert_eq!(inputs[12], ("X.12..13", Some(12..13), 0));
    let declared = |name: &str| imported.program.inputs().find(|i| i.name == name).map(|i| i.max_abs);
    assert_eq!((declared("X.12..13"), declared("X.7..8")), (Some(2048.0), Some(1.0)));
}

#[test]
fn pipelines() {
    Trial::of("scaler_pipeline", 2e-3).run();
    Trial::of("scaler_mlp", 2e-3).run();
    Trial::of("pca_logistic", 1e-3).run();
    Trial::of("columns", 2e-3).run();
}

#[test]
fn networks_of_scikit_learn() {
    Trial::of("mlp_classifier", 2e-3).run();
    Trial::of("mlp_binary_tanh", 1e-3).by(3).run();
    Trial::of("mlp_regressor", 1e-3).run();
}

#[test]
fn trees_and_their_ensembles() {
    Trial::of("decision_tree", 1e-3).run();
    Trial::of("random_forest", 1e-3).by(3).run();
    Trial::of("gradient_boosting", 1e-3).run();
    Trial::of("gradient_boosting_regressor", 1e-3).run();
    Trial::of("xgboost_classifier", 1e-3).run();
    Trial::of("xgboost_binary", 1e-3).run();
    Trial::of("xgboost_regressor", 1e-3).run();
    Trial::of("lightgbm_binary", 1e-3).run();
    Trial::of("lightgbm_multi", 1e-3).run();
    Trial::of("lightgbm_regressor", 1e-3).run();
    Trial::of("lightgbm_categories", 1e-3).run();
}

#[test]
fn multilayer_perceptrons_of_pytorch() {
    Trial::of("torch_mlp_script", 1e-3).run();
    Trial::of("torch_mlp_dynamo", 1e-3).run();
}

#[test]
fn lenet_of_pytorch() {
    Trial::of("torch_lenet_script", 1e-3).run();
    Trial::of("torch_lenet_dynamo", 1e-3).run();
}

#[test]
fn residual_blocks_of_pytorch() {
    Trial::of("torch_resnet_script", 1e-3).by(3).run();
    Trial::of("torch_resnet_dynamo", 1e-3).run();
}

#[test]
fn transformer_blocks_of_pytorch() {
    Trial::of("torch_transformer_script", 1e-2).run();
    Trial::of("torch_transformer_dynamo", 1e-2).run();
    Trial::of("torch_transformer_old", 1e-2).run();
    Trial::of("torch_tokens", 1e-2).run();
}

#[test]
fn activations_of_pytorch() {
    // One of them approximates GELU by a tanh, which is up to 5e-4 off the function that is computed.
    for model in ["torch_activations_script", "torch_activations_dynamo"] {
        Trial { tolerance: [6e-4, 2e-3], ..Trial::of(model, 2e-3) }.run();
    }
}
