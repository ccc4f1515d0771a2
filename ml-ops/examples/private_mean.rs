//! What do hospitals pay a nurse on average? Each has a list of its own; nobody learns anything but the mean.
//!
//! `cargo run --release -p ml-ops --example private_mean`

use std::collections::BTreeMap;
use std::error::Error;

use ml_ops::{Axis, Owner, Program, ProgramError, run_local};
use mpc_core::fixed::FracBits;
use ndarray::{ArrayD, arr1};

/// The hospitals, and what the nurses of each earn. In earnest each list is on a machine of its own.
pub(crate) const HOSPITALS: [(&str, &[f64]); 3] = [
    ("north", &[3_120.0, 2_980.5, 3_410.0]),
    ("south", &[2_875.25, 3_050.0]),
    ("west", &[3_300.0, 3_275.0, 2_990.0, 3_105.5]),
];

/// The mean over all lists, for everybody. How long each list is, is public.
pub(crate) fn mean() -> Result<Program, ProgramError> {
    let names = HOSPITALS.map(|(name, _)| name);
    let mut p = Program::builder("mean pay", FracBits::DEFAULT, &names);
    let mut all = vec![];
    for (i, (name, pay)) in HOSPITALS.iter().enumerate() {
        // No salary is above 20,000: whoever enters more is told so, and nothing can overflow.
        all.push(p.input(&format!("{name}.pay"), Owner(i), [pay.len()], 20_000.0)?);
    }
    let all = p.concat(&all, Axis(0))?;
    let mean = p.mean(all, Axis(0))?;
    p.output("mean", mean, &[0, 1, 2])?;
    p.build()
}

/// What every hospital learns.
pub(crate) fn run() -> Result<Vec<f64>, Box<dyn Error>> {
    let inputs: BTreeMap<String, ArrayD<f64>> =
        HOSPITALS.iter().map(|(name, pay)| (format!("{name}.pay"), arr1(pay).into_dyn())).collect();
    // All parties in this process, by the real protocols: for trying out. The seed makes the run repeatable.
    let parties = run_local(&mean()?, &inputs, [1; 32])?;
    Ok(parties.iter().map(|party| party.outputs["mean"].sum()).collect())
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    for ((hospital, _), mean) in HOSPITALS.iter().zip(run()?) {
        println!("{hospital} learns that nurses earn {mean:.2} on average");
    }
    Ok(())
}
