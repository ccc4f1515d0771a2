//! Models of scikit-learn, boosting libraries and PyTorch.

use crate::files::Trial;

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
