//! Functions of every element.

use ml_ops::{ProgramError, Rounding, reference, run_local};
use mpc_core::party::PartyId;

use crate::{Build, Tolerance, inputs, largest_difference, program, program_with};

/// Functions, with the units that truncations take and the error of the fit.
pub(super) fn cases() -> Vec<(&'static str, Tolerance, Build)> {
    use Tolerance::{Exact, Factor, Function};
    vec![
        ("sigmoid", Function(1.5, 4.72e-5), |p, x, _| p.sigmoid(x)),
        ("sigmoid of bits", Function(1.5, 4.72e-5), |p, x, y| {
            let bits = p.less(x, y)?;
            p.sigmoid(bits)
        }),
        ("exp", Function(6.0, 2.5e-4 * 8.0), |p, x, _| p.exp(x, 2.0)),
        ("exp of a square", Function(6.0, 2.5e-4), |p, x, _| {
            let x = p.square(x)?;
            let x = p.neg(x)?;
            p.exp(x, 0.0)
        }),
        ("log", Function(6.0, 2.5e-4), |p, x, _| p.log(x, 0.25..)),
        ("log of a range", Function(6.0, 2.5e-4), |p, x, _| p.log(x, 0.25..=4.0)),
        ("reciprocal", Function(6.0, 1e-3), |p, x, _| p.reciprocal(x, 0.125..)),
        ("sqrt", Function(6.0, 5e-4), |p, x, _| p.sqrt(x)),
        ("rsqrt", Function(6.0, 1e-3), |p, x, _| p.rsqrt(x, 0.0625..=9.0)),
        ("divide", Function(12.0, 2.5e-4), |p, x, y| {
            let x = p.clamp(x, -1.0, 1.0)?;
            p.divide(x, y, 0.5..)
        }),
        ("divide a number", Function(12.0, 1e-3), |p, _, y| {
            let one = p.number(1.5)?;
            p.divide(one, y, 0.5..=8.0)
        }),
        ("divide bits by a column", Function(12.0, 2.5e-4), |p, x, y| {
            let bits = p.less(x, y)?;
            let column = p.slice(y, ndarray::Axis(1), 0..1)?;
            p.divide(bits, column, 1.0..)
        }),
        ("divide, then relu", Function(12.0, 2.5e-4), |p, x, y| {
            let x = p.clamp(x, -1.0, 1.0)?;
            let q = p.divide(x, y, 0.5..)?;
            p.relu(q)
        }),
        ("divide_signed", Function(12.0, 2.5e-4), |p, x, y| {
            let x = p.clamp(x, -1.0, 1.0)?;
            p.divide_signed(x, y, 0.5)
        }),
        ("softmax", Function(30.0, 2f64.powi(-11)), |p, x, _| p.softmax(x, ndarray::Axis(1))),
        ("softmax down", Function(60.0, 2f64.powi(-11)), |p, x, _| p.softmax(x, ndarray::Axis(0))),
        ("log_softmax", Function(30.0, 2f64.powi(-11)), |p, x, _| p.log_softmax(x, ndarray::Axis(1))),
        ("norm", Function(12.0, 4e-3), |p, x, _| p.norm(x, ndarray::Axis(1))),
        ("one_hot", Exact, |p, x, _| {
            let index = p.argmax(x, ndarray::Axis(1))?;
            p.one_hot(index, 3)
        }),
        ("embedding", Exact, |p, x, y| {
            let index = p.argmax(x, ndarray::Axis(0))?;
            p.embedding(index, y)
        }),
        ("embedding of a public table", Exact, |p, x, _| {
            let index = p.argmax(x, ndarray::Axis(0))?;
            let table = ndarray::Array2::from_shape_fn((4, 2), |(i, j)| (i * 2 + j) as f64 / 4.0);
            let table = p.constant(&table.into_dyn())?;
            p.embedding(index, table)
        }),
        ("tanh", Function(2.0, 9.45e-5), |p, x, _| p.tanh(x)),
        ("gelu", Function(2.0, 5.13e-5), |p, x, _| p.gelu(x)),
        ("silu", Function(2.0, 1.229e-4), |p, x, _| p.silu(x)),
        ("silu of a sum of bits", Function(2.0, 1.229e-4), |p, x, y| {
            let (a, b) = (p.less(x, y)?, p.equal(x, y)?);
            let sum = p.add(a, b)?;
            p.silu(sum)
        }),
        ("elu", Function(2.0, 2.64e-5), |p, x, _| p.elu(x, 1.0)),
        ("elu of a quarter", Function(2.0, 0.66e-5), |p, x, _| p.elu(x, 0.25)),
        ("softplus", Function(2.0, 4.43e-5), |p, x, _| p.softplus(x)),
        ("erf", Function(2.0, 4.69e-5), |p, x, _| p.erf(x)),
        ("exp_negative", Function(2.0, 2.64e-5), |p, x, _| p.exp_negative(x)),
        ("gelu where little room is left", Function(6.0, 5.13e-5), |p, x, _| {
            // As large as a bound may be at 16 fraction bits: coefficients have 20.
            let wide = p.scale(x, f64::from(1 << 19))?;
            let none = p.sub(wide, wide)?;
            let x = p.add(x, none)?;
            p.gelu(x)
        }),
        ("leaky_relu", Factor(1e-6), |p, x, _| p.leaky_relu(x, 0.01)),
        ("leaky_relu of an integer slope", Exact, |p, x, _| p.leaky_relu(x, -2.0)),
        ("hard_sigmoid", Factor(1e-6), |p, x, _| p.hard_sigmoid(x)),
        ("hard_swish", Function(4.0, 0.0), |p, x, _| p.hard_swish(x)),
        ("hard_tanh", Exact, |p, x, _| p.hard_tanh(x)),
    ]
}

/// A training sigmoid rounds by its masks, so it is not among the cases that exact rounding makes repeatable.
#[test]
fn a_training_sigmoid_agrees_with_its_references_and_its_plan() {
    let inputs = inputs();
    let proven: Build = |p, x, _| {
        let half = p.scale(x, 0.5)?;
        p.sigmoid_training(half)
    };
    let clamped: Build = |p, x, _| p.sigmoid_training(x);
    let of_bits: Build = |p, x, y| {
        let bit = p.less(x, y)?;
        p.sigmoid_training(bit)
    };
    // Beyond 8, the end of the range is off by σ(−8) more.
    for (build, nodes, fit) in [(proven, 4, 1.84e-4), (clamped, 4, 1.84e-4 + 3.36e-4), (of_bits, 4, 1.84e-4)]
    {
        for frac in [8, 16, 24] {
            for parties in [2, 3, 5] {
                let at = format!("{parties} parties, {frac} fraction bits");
                let program = program(parties, frac, build).unwrap();
                assert_eq!(program.nodes().len(), nodes, "{at}");
                let unit = 2f64.powi(-(frac as i32));
                let runs = run_local(&program, &inputs, [frac as u8 + parties as u8; 32]).unwrap();
                let secure = &runs[parties - 1].outputs["z"];
                let fixed = &reference::fixed(&program, &inputs).unwrap()["z"];
                let float = &reference::float(&program, &inputs).unwrap()["z"];
                // Of a half, another unit of the argument.
                let units = 2.0 * unit + 2f64.powi(-17);
                let (d, e) = (largest_difference(secure, fixed), largest_difference(secure, float));
                assert!(d <= units && e <= units + fit, "{at}: {d:e} from fixed point, {e:e} from floating");
                let bound = program.fact(program.outputs()[0].node).max_abs();
                assert!(secure.iter().all(|v| v.abs() <= bound), "{at}: beyond the inferred bound {bound}");
                let plan = program.plan();
                program.demand().check().unwrap();
                for (party, run) in PartyId::all(parties).zip(&runs) {
                    plan.check(party, &run.measured).unwrap_or_else(|e| panic!("{at}: {e}"));
                }
            }
        }
    }
    let op = &program(2, 16, of_bits).unwrap().plan().ops[3];
    assert_eq!((op.op, op.rounds), ("sigmoid_training", 2));
}

#[test]
fn a_training_sigmoid_is_refused_where_it_could_not_be_right() {
    let wide: Build = |p, x, _| p.function(ml_ops::Function::SigmoidTraining, x);
    let e = program(2, 16, wide).unwrap_err();
    assert!(matches!(e, ProgramError::Overflow { limit_bits: 3, .. }), "{e}");
    let set = |p: &mut ml_ops::ProgramBuilder| _ = p.rounding(Rounding::Exact);
    let e = program_with(2, 16, set, |p, x, _| p.sigmoid_training(x)).unwrap_err().to_string();
    assert!(e.contains("(sigmoid_training): its results depend on masks"), "{e}");
}
