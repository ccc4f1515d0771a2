//! Running a program with all parties in this process, for trying things out.

use std::collections::BTreeMap;

use mpc_core::party::PartyId;
use mpc_core::ring::Z64;
use ndarray::ArrayD;
use protocols::trial;

use crate::exec::{EncodedInputs, Execution, InputError, RunError, encode_inputs, run_encoded};
use crate::kept::KeptShare;
use crate::program::Program;
use crate::reference::{RangeError, check_ranges};

/// Runs the real protocols with one thread per party, channels in memory and a dealer in the process, and returns what
/// every party gets, in party order. `inputs` has the inputs of all parties. `seed` determines all randomness: take a
/// fresh one where it matters.
///
/// Whoever calls this sees everything, so it protects nothing; and it finds promises of ranges that the inputs break
/// ([`check_ranges`]), which a secure run cannot.
///
/// # Errors
/// [`RunError`], as [`crate::run`].
pub fn run_local(
    program: &Program,
    inputs: &BTreeMap<String, ArrayD<f64>>,
    seed: [u8; 32],
) -> Result<Vec<Execution>, RunError> {
    run_local_with(program, inputs, &[], seed)
}

/// As [`run_local`], of a program that takes up what an earlier one kept: `earlier` has the finished runs of all parties, and a
/// value is taken up under the name under which it was kept.
///
/// # Errors
/// [`RunError`], as [`crate::run`].
pub fn run_local_with(
    program: &Program,
    inputs: &BTreeMap<String, ArrayD<f64>>,
    earlier: &[Execution],
    seed: [u8; 32],
) -> Result<Vec<Execution>, RunError> {
    let n = program.parties().len();
    if let Some(name) = inputs.keys().find(|&name| program.inputs().all(|i| i.name != name)) {
        let known: Vec<_> = program.inputs().map(|i| format!("\"{}\"", i.name)).collect();
        return Err(InputError::NoSuchInput { name: name.clone(), known: known.join(", ") }.into());
    }
    let shares_of = |name: &str| -> Result<Vec<&KeptShare>, InputError> {
        let of = |i: usize| earlier.get(i).and_then(|run| run.kept.get(name));
        let all: Option<Vec<&KeptShare>> = (0..n).map(of).collect();
        all.ok_or_else(|| InputError::Missing { name: name.to_owned() })
    };
    for spec in program.shared() {
        for (me, share) in PartyId::all(n).zip(shares_of(spec.name)?) {
            EncodedInputs::default().insert_share(program, me, spec.name, share)?;
        }
    }
    if program.has_promises() {
        let mut known = inputs.clone();
        for spec in program.shared() {
            known.insert(spec.name.to_owned(), KeptShare::value(&shares_of(spec.name)?));
        }
        check_ranges(program, &known).map_err(|e| match e {
            RangeError::Input(e) => RunError::Input(e),
            broken @ RangeError::Broken { .. } => RunError::Range(broken),
        })?;
    }
    let encode = |me: PartyId| {
        let names: Vec<_> = program.inputs().filter(|i| i.owner == me).map(|i| i.name).collect();
        let own = inputs.iter().filter(|(name, _)| names.contains(&name.as_str()));
        let mut encoded = encode_inputs(program, me, &own.map(|(k, v)| (k.clone(), v.clone())).collect())?;
        for spec in program.shared() {
            encoded.insert_share(program, me, spec.name, shares_of(spec.name)?[me.index()])?;
        }
        Ok::<_, InputError>(encoded)
    };
    let encoded: Vec<_> = PartyId::all(n).map(encode).collect::<Result<_, _>>()?;
    let slots: Vec<_> = encoded.into_iter().map(|e| std::sync::Mutex::new(Some(e))).collect();
    let sessions = trial::sessions::<Z64>(n, seed, Some(&program.demand()));
    trial::run_sessions(sessions, |cx| {
        let own = slots[cx.me().index()].lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        let own = own.expect("invariant: every party's thread runs once");
        run_encoded(cx, program, own, &mut |_| ())
    })
}
