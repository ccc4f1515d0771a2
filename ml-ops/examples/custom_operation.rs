//! An operation of your own: a function that composes others. Shapes, scales and magnitudes of its result are inferred, costs
//! are planned and both references know it, as of any operation.
//!
//! `cargo run --release -p ml-ops --example custom_operation`

use std::error::Error;

use ml_ops::{Owner, Program, ProgramBuilder, ProgramError, Value, reference, run_local};
use mpc_core::fixed::FracBits;
use ndarray::{ArrayD, arr1};

/// Huber's loss: x²/2 near zero, and linear beyond ±`delta`.
fn huber(p: &mut ProgramBuilder, x: Value, delta: f64) -> Result<Value, ProgramError> {
    let near = p.clamp(x, -delta, delta)?;
    let square = p.square(near)?;
    let half = p.scale(square, 0.5)?;
    let size = p.abs(x)?;
    let beyond = p.add_public(size, -delta)?;
    let beyond = p.relu(beyond)?;
    let linear = p.scale(beyond, delta)?;
    p.add(half, linear)
}

/// The losses of one party's errors, as the other one learns them and in the clear.
pub(crate) fn losses(errors: &[f64]) -> Result<[ArrayD<f64>; 2], Box<dyn Error>> {
    let mut p = Program::builder("losses", FracBits::DEFAULT, &["a", "b"]);
    let x = p.input("errors", Owner(0), [errors.len()], 100.0)?;
    let loss = huber(&mut p, x, 1.5)?;
    p.output("loss", loss, &[1])?;
    let program = p.build()?;
    let inputs = [("errors".to_owned(), arr1(errors).into_dyn())].into();
    let secure = run_local(&program, &inputs, [2; 32])?[1].outputs["loss"].clone();
    Ok([secure, reference::float(&program, &inputs)?["loss"].clone()])
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let [secure, clear] = losses(&[-4.0, -0.5, 0.0, 1.0, 60.0])?;
    println!("losses {secure:.4}\nin the clear {clear:.4}");
    Ok(())
}
