//! Checks of models in ONNX files.
//!
//! A check panics if something is wrong and otherwise says whether the bytes were accepted.

use ml_ops::Program;
use ml_ops::onnx::{Model, Options, Parameters, import};

/// A model's file, imported with public and with private parameters: a refusal in one printable line, or a valid program.
pub fn onnx(bytes: &[u8]) -> bool {
    let model = match Model::decode(bytes) {
        Ok(model) => model,
        Err(error) => return refused(&error.to_string()),
    };
    let mut accepted = false;
    for parameters in [Parameters::Public, Parameters::Private { owner: 1 }] {
        let mut options = Options::new("model", &["a", "b"]);
        options.parameters = parameters;
        options.max_abs = 8.0;
        let imported = match import(&model, &options) {
            Ok(imported) => imported,
            Err(error) => {
                refused(&error.to_string());
                continue;
            }
        };
        let program = &imported.program;
        let again = Program::decode(&program.encode()).expect("what was built can be read");
        assert_eq!(again.digest(), program.digest());
        for input in program.inputs().filter(|i| i.owner.index() == 1) {
            let values = &imported.parameters[input.name];
            assert_eq!(values.shape(), input.shape.dims());
            assert!(values.iter().all(|v| v.abs() <= input.max_abs), "parameters are within their bounds");
        }
        accepted = true;
    }
    accepted
}

fn refused(text: &str) -> bool {
    assert!(!text.is_empty() && text.len() < 100_000, "{} bytes", text.len());
    false
}
