//! A convolutional network that PyTorch trained and exported: one party has an image, another the network. Neither sees the
//! other's, and the first alone learns the scores of the ten classes.
//!
//! `cargo run --release -p ml-ops --example imported_cnn`

use std::error::Error;
use std::path::PathBuf;

use ml_ops::onnx::{Imported, Model, Options, Parameters, import};
use ml_ops::run_local;
use ndarray::{Array4, ArrayD};

/// LeNet-5 as PyTorch's exporter writes it, with random weights.
pub(crate) fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/models/torch_lenet_script.onnx")
}

/// The network as a program of two parties, and its parameters as inputs of the second.
pub(crate) fn network() -> Result<Imported, Box<dyn Error>> {
    let mut options = Options::new("lenet", &["clinic", "laboratory"]);
    options.parameters = Parameters::Private { owner: 1 };
    // Pixels are between −4 and 4: bounds of everything that is computed from them follow.
    options.max_abs = 4.0;
    Ok(import(&Model::load(file())?, &options)?)
}

/// Something to look at: a bright ring.
pub(crate) fn image(shape: &[usize]) -> ArrayD<f64> {
    let [height, width] = [shape[2], shape[3]].map(|n| n as f64);
    let pixel = |(_, _, y, x): (usize, usize, usize, usize)| {
        let (y, x) = (y as f64 / height - 0.5, x as f64 / width - 0.5);
        if (0.2..0.35).contains(&y.hypot(x)) { 1.0 } else { -0.5 }
    };
    Array4::from_shape_fn((shape[0], shape[1], shape[2], shape[3]), pixel).into_dyn()
}

/// The scores that the clinic learns.
pub(crate) fn run() -> Result<ArrayD<f64>, Box<dyn Error>> {
    let lenet = network()?;
    println!("{}", lenet.program.plan());
    let mut inputs = lenet.parameters;
    inputs.insert(lenet.inputs[0].name.clone(), image(&lenet.inputs[0].shape));
    // Both parties in this process, by the real protocols: for trying out.
    let parties = run_local(&lenet.program, &inputs, [6; 32])?;
    Ok(parties[0].outputs[&lenet.outputs[0].name].clone())
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    println!("the clinic learns {:.4}", run()?);
    Ok(())
}
