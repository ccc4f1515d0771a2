//! Small graphs of few operators each.

use crate::files::{Case, Trial, folder};
use ml_ops::onnx::{Parameters, import};

/// Cases whose results are further off than the others, with how far, in the clear and on shares.
const WIDER: &[(&str, [f64; 2])] = &[
    // e^x and 1/x of arguments up to 3 and from 1/4 on are off relative to their size.
    ("roots", [5e-5, 4e-3]),
    ("quotient", [5e-5, 2e-3]),
    ("quotient_signed", [5e-5, 2e-3]),
    ("normalizer_l1", [5e-5, 2e-3]),
    ("linear_labels", [5e-5, 2e-3]),
    // Sums of squares and powers of numbers up to 3.
    ("powers", [5e-5, 2e-3]),
];

#[test]
fn every_graph_computes_what_onnxruntime_computes() {
    let mut names: Vec<String> = std::fs::read_dir(folder().join("operators"))
        .unwrap()
        .map(|f| f.unwrap().path())
        .filter(|f| f.extension().is_some_and(|e| e == "onnx"))
        .map(|f| f.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    assert!(names.len() > 60, "{} graphs", names.len());
    let wrong: Vec<String> = names.iter().filter_map(|name| attempt(name).err()).collect();
    assert!(wrong.is_empty(), "{} graphs: {}", wrong.len(), wrong.join("\n"));
}

fn attempt(name: &str) -> Result<(), String> {
    let tolerance = WIDER.iter().find(|(n, _)| *n == name).map_or([5e-5, 1e-3], |(_, t)| *t);
    let trial =
        Trial { model: &format!("operators/{name}"), tolerance, options: |o| o.batch = None, parties: 2 };
    let case = Case::load(trial.model);
    for parameters in [Parameters::Public, Parameters::Private { owner: 1 }] {
        let mut options = trial.options(&case, parameters);
        // Shapes that the file leaves open are those of the inputs.
        options.batch = if name == "shapes" { Some(2) } else { None };
        let imported =
            import(&case.model, &options).map_err(|e| format!("{name} with {parameters:?}: {e}"))?;
        trial.compared(&case, &imported).map_err(|e| format!("{name} with {parameters:?}: {e}"))?;
    }
    Ok(())
}
