//! The models and the expected results beside them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ml_ops::onnx::{Imported, Model, Options, Parameters, import};
use ml_ops::{reference, run_local};
use ndarray::{ArrayD, Axis, IxDyn, Slice};
use safetensors::{Dtype, SafeTensors};

/// The folder of the models.
pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/models")
}

/// A model with its inputs and onnxruntime's outputs.
pub(crate) struct Case {
    pub(crate) model: Model,
    inputs: BTreeMap<String, ArrayD<f64>>,
    outputs: BTreeMap<String, ArrayD<f64>>,
}

/// Tensors of a file by name.
fn tensors(bytes: &[u8]) -> BTreeMap<String, ArrayD<f64>> {
    let file = SafeTensors::deserialize(bytes).unwrap();
    let array = |name: &str| {
        let t = file.tensor(name).unwrap();
        let values = t.data().as_chunks::<8>().0.iter().map(|&b| match t.dtype() {
            Dtype::F64 => f64::from_le_bytes(b),
            Dtype::I64 => i64::from_le_bytes(b) as f64,
            other => panic!("{name} is of {other:?}"),
        });
        ArrayD::from_shape_vec(IxDyn(t.shape()), values.collect()).unwrap()
    };
    file.names().into_iter().map(|n| (n.to_owned(), array(n))).collect()
}

/// How a model is tried out.
pub(crate) struct Trial<'a> {
    pub(crate) model: &'a str,
    /// Largest difference to onnxruntime in floating point, and on shares.
    pub(crate) tolerance: [f64; 2],
    pub(crate) options: fn(&mut Options),
    pub(crate) parties: usize,
}

impl Trial<'_> {
    pub(crate) fn of(model: &str, tolerance: f64) -> Trial<'_> {
        Trial { model, tolerance: [1e-4, tolerance], options: |_| (), parties: 2 }
    }

    pub(crate) fn with(self, options: fn(&mut Options)) -> Self {
        Self { options, ..self }
    }

    pub(crate) fn by(self, parties: usize) -> Self {
        Self { parties, ..self }
    }

    /// The options for a case: all in its size and range, for the parties that there are.
    pub(crate) fn options(&self, case: &Case, parameters: Parameters) -> Options {
        let names = ["bank", "bureau", "telecom", "employer", "utility"];
        let mut options = Options::new("model", &names[..self.parties]);
        options.batch = case.inputs.values().next().unwrap().shape().first().copied();
        options.parameters = parameters;
        options.max_abs = case.inputs.values().flatten().fold(1.0, |m, v| f64::max(m, v.abs())).ceil();
        (self.options)(&mut options);
        options
    }

    /// Imports the model with public and with private parameters, and compares both.
    pub(crate) fn run(&self) {
        let case = Case::load(self.model);
        for parameters in [Parameters::Public, Parameters::Private { owner: 1 }] {
            let at = format!("{} with {parameters:?}", self.model);
            let imported = import(&case.model, &self.options(&case, parameters));
            let imported = imported.unwrap_or_else(|e| panic!("{at}: {e}"));
            assert_eq!(imported.parameters.is_empty(), parameters == Parameters::Public, "{at}");
            self.compared(&case, &imported).unwrap_or_else(|e| panic!("{at}: {e}\n{}", imported.program));
        }
    }

    /// Compares a program, in floating point and on shares, with onnxruntime.
    pub(crate) fn compared(&self, case: &Case, imported: &Imported) -> Result<(), String> {
        let program = &imported.program;
        let inputs = case.values(imported);
        let exact = reference::float(program, &inputs).map_err(|e| e.to_string())?;
        let run = run_local(program, &inputs, [7; 32]).map_err(|e| e.to_string())?;
        for output in &imported.outputs {
            let expected = &case.outputs[&output.name];
            let difference = |values: &ArrayD<f64>| {
                assert_eq!(values.shape(), &output.shape[..], "{}", output.name);
                // A label may come as a vector or as a column.
                if values.len() != expected.len() {
                    return Err(format!("{:?} instead of {:?}", values.shape(), expected.shape()));
                }
                Ok(values.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max))
            };
            let seen = [difference(&exact[&output.name])?, difference(&run[0].outputs[&output.name])?];
            println!(
                "{} {}: {:.2e} in the clear, {:.2e} on shares",
                self.model, output.name, seen[0], seen[1]
            );
            if !(seen[0] <= self.tolerance[0] && seen[1] <= self.tolerance[1]) {
                let name = &output.name;
                return Err(format!("{name}: {:.2e} in the clear, {:.2e} on shares", seen[0], seen[1]));
            }
        }
        Ok(())
    }
}

impl Case {
    pub(crate) fn load(name: &str) -> Self {
        let file = folder().join(name);
        let all = tensors(&std::fs::read(file.with_added_extension("safetensors")).unwrap());
        let part = |prefix: &str| {
            all.iter().filter_map(|(n, v)| Some((n.strip_prefix(prefix)?.to_owned(), v.clone()))).collect()
        };
        let model = Model::load(file.with_added_extension("onnx")).unwrap();
        Self { model, inputs: part("in."), outputs: part("out.") }
    }

    /// Everybody's inputs of the program.
    pub(crate) fn values(&self, imported: &Imported) -> BTreeMap<String, ArrayD<f64>> {
        let mut values = imported.parameters.clone();
        for input in &imported.inputs {
            let whole = &self.inputs[&input.of];
            let part = match &input.columns {
                None => whole.clone(),
                Some(c) => whole.slice_axis(Axis(1), Slice::from(c.start..c.end)).to_owned(),
            };
            values.insert(input.name.clone(), part);
        }
        values
    }
}
