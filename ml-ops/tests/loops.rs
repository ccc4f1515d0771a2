//! Loops: the same results as the same steps written out, at the planned cost, with pads that are used once.
#![allow(clippy::unwrap_used, reason = "a test: a panic is how it fails")]

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use ml_ops::{
    Axis, Owner, Program, ProgramBuilder, ProgramError, Rounding, Sliding, Value, encode_inputs, reference,
    run_encoded, run_local,
};
use mpc_core::channel::{Channel, ChannelError};
use mpc_core::fixed::FracBits;
use mpc_core::local;
use mpc_core::party::{PartyId, PerParty};
use mpc_core::ring::Z64;
use mpc_core::tag::Tag;
use ndarray::{Array2, ArrayD};
use proptest::prelude::*;
use protocols::prep::{CotExtension, Provider};
use protocols::trial;

type Inputs = BTreeMap<String, ArrayD<f64>>;

const PARTIES: [&str; 5] = ["a", "b", "c", "d", "e"];

/// Logistic regression on the columns of two parties, with the history of its errors.
fn regression(
    parties: usize,
    (rows, batch, epochs): (usize, usize, u32),
    rounding: Rounding,
    link: impl Fn(&mut ProgramBuilder, Value) -> Result<Value, ProgramError>,
) -> Program {
    let mut p = Program::builder("regression", FracBits::DEFAULT, &PARTIES[..parties]);
    p.rounding(rounding);
    let a = p.input("a.columns", Owner(0), [rows, 2], 4.0).unwrap();
    let b = p.input("b.columns", Owner(1), [rows, 2], 4.0).unwrap();
    let y = p.input("labels", Owner(1), [rows, 1], 1.0).unwrap();
    let ones = p.constant(&ArrayD::ones(vec![rows, 1])).unwrap();
    let x = p.concat(&[a, b, ones], Axis(1)).unwrap();
    let w = p.constant(&ArrayD::zeros(vec![5, 1])).unwrap();
    let per_epoch = rows.div_ceil(batch) as u32;
    let mut error = None;
    let trained = p
        .repeat(epochs * per_epoch, &[(w, 8.0)], |p, carried| {
            let (x, y) = (p.batch(x, batch)?, p.batch(y, batch)?);
            let z = p.matmul(x, carried[0])?;
            let probability = link(p, z)?;
            let e = p.sub(probability, y)?;
            let t = p.transpose(x)?;
            let gradient = p.matmul(t, e)?;
            let sizes = p.abs(e)?;
            error = Some(p.sum(sizes, Axis(0))?);
            Ok(vec![p.weighted_sum(&[(carried[0], 1.0), (gradient, -0.5 / batch as f64)])?])
        })
        .unwrap();
    let errors = p.history(error.unwrap(), per_epoch).unwrap();
    p.output("weights", trained[0], &[0]).unwrap();
    p.output("errors", errors, &[parties - 1]).unwrap();
    p.build().unwrap()
}

fn sigmoid(p: &mut ProgramBuilder, z: Value) -> Result<Value, ProgramError> {
    p.sigmoid(z)
}

fn inputs(rows: usize) -> Inputs {
    let mut next = 7u64;
    let mut number = move || {
        next = next.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (next >> 33) as f64 / f64::from(1u32 << 30) - 1.0
    };
    let a = Array2::from_shape_simple_fn((rows, 2), &mut number);
    let b = Array2::from_shape_simple_fn((rows, 2), &mut number);
    let y = Array2::from_shape_fn((rows, 1), |(i, _)| {
        f64::from(u8::from(2.0 * a[[i, 0]] - b[[i, 1]] + 0.5 * number() > 0.25))
    });
    [("a.columns", a), ("b.columns", b), ("labels", y)]
        .map(|(name, value)| (name.to_owned(), value.into_dyn()))
        .into()
}

fn outputs(runs: &[ml_ops::Execution]) -> Inputs {
    runs.iter().flat_map(|run| run.outputs.clone()).collect()
}

#[test]
fn a_training_is_the_reference_exactly_and_costs_what_is_planned() {
    for (parties, shape) in [(2, (20, 8, 2)), (3, (16, 8, 3)), (5, (9, 9, 2)), (2, (7, 1, 1))] {
        let program = regression(parties, shape, Rounding::Exact, sigmoid);
        let inputs = inputs(shape.0);
        let runs = run_local(&program, &inputs, [1; 32]).unwrap();
        let (fixed, float) =
            (reference::fixed(&program, &inputs).unwrap(), reference::float(&program, &inputs).unwrap());
        assert_eq!(outputs(&runs), fixed, "{parties} parties, {shape:?}");
        for (name, value) in &float {
            let far = value.iter().zip(&fixed[name]).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(far < 0.02, "{name} {far}");
        }
        program.demand().check().unwrap();
        let plan = program.plan();
        for (party, run) in PartyId::all(parties).zip(&runs) {
            plan.check(party, &run.measured).unwrap();
        }
        assert_eq!(Program::decode(&program.encode()).unwrap(), program);
        assert_eq!(plan.rounds, plan.ops.iter().map(|o| o.rounds).sum::<u64>());
    }
}

#[test]
fn without_a_dealer_too() {
    let program = regression(2, (10, 4, 1), Rounding::Dithered, sigmoid);
    let inputs = inputs(10);
    let sessions = trial::sessions_with_ot::<Z64>(2, [4; 32], Some(&program.demand()));
    let runs = trial::run_sessions(sessions, |cx| run_party(cx, &program, &inputs)).unwrap();
    let plan = program.plan_for(Provider::Ot(CotExtension::SoftSpoken4));
    let fixed = reference::fixed(&program, &inputs).unwrap();
    for (party, run) in PartyId::all(2).zip(&runs) {
        plan.check(party, &run.measured).unwrap();
        for (name, value) in &run.outputs {
            let far = value.iter().zip(&fixed[name]).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(far < 2e-3, "{name} {far}");
        }
    }
}

fn run_party(
    cx: &mut protocols::session::Session<mpc_core::share::Additive<Z64>>,
    program: &Program,
    inputs: &Inputs,
) -> Result<ml_ops::Execution, ml_ops::RunError> {
    let me = cx.me();
    let own = program.inputs().filter(|i| i.owner == me).map(|i| i.name.to_owned());
    let own: Inputs = own.map(|name| (name.clone(), inputs[&name].clone())).collect();
    let own = encode_inputs(program, me, &own)?;
    run_encoded(cx, program, own, &mut |_| ())
}

#[test]
fn the_same_steps_written_out_are_the_same() {
    let (rows, batch) = (10, 4);
    let looped = regression(2, (rows, batch, 2), Rounding::Exact, sigmoid);
    let mut p = Program::builder("written out", FracBits::DEFAULT, &PARTIES[..2]);
    p.rounding(Rounding::Exact);
    let a = p.input("a.columns", Owner(0), [rows, 2], 4.0).unwrap();
    let b = p.input("b.columns", Owner(1), [rows, 2], 4.0).unwrap();
    let y = p.input("labels", Owner(1), [rows, 1], 1.0).unwrap();
    let ones = p.constant(&ArrayD::ones(vec![rows, 1])).unwrap();
    let all = p.concat(&[a, b, ones], Axis(1)).unwrap();
    let mut w = None;
    // ⌊i · 6 / 2⌋
    for start in [0, 3, 6, 0, 3, 6] {
        let x = p.slice(all, Axis(0), start..start + batch).unwrap();
        let z = match w {
            None => {
                let any = p.slice(x, Axis(1), 0..1).unwrap();
                p.sub(any, any).unwrap()
            }
            Some(w) => p.matmul(x, w).unwrap(),
        };
        let z = p.assume_range(z, 64.0).unwrap();
        let s = p.sigmoid(z).unwrap();
        let labels = p.slice(y, Axis(0), start..start + batch).unwrap();
        let e = p.sub(s, labels).unwrap();
        let t = p.transpose(x).unwrap();
        let g = p.matmul(t, e).unwrap();
        let step = p.weighted_sum(&[(g, -0.5 / batch as f64)]).unwrap();
        let next = w.map_or(Ok(step), |w| p.add(w, step)).unwrap();
        w = Some(p.assume_range(next, 8.0).unwrap());
    }
    p.output("weights", w.unwrap(), &[0]).unwrap();
    let written = p.build().unwrap();
    let inputs = inputs(rows);
    let of = |program: &Program| reference::float(program, &inputs).unwrap()["weights"].clone();
    let (a, b) = (of(&looped), of(&written));
    assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-12), "{a} {b}");
    let run = |program: &Program| {
        let runs = run_local(program, &inputs, [2; 32]).unwrap();
        assert_eq!(outputs(&runs), reference::fixed(program, &inputs).unwrap());
        runs[0].outputs["weights"].clone()
    };
    let (a, b) = (run(&looped), run(&written));
    assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-3), "{a} {b}");
}

#[test]
fn data_is_opened_once_for_all_epochs_and_steps_take_four_rounds_beside_the_sigmoid() {
    let (rows, batch, epochs) = (1000, 128, 10);
    let plan_of = |epochs| regression(2, (rows, batch, epochs), Rounding::Dithered, |_, z| Ok(z)).plan();
    let (one, ten) = (plan_of(1), plan_of(epochs));
    let steps = |epochs: u32| 8 * u64::from(epochs);
    // Weights, errors, and the truncations of a product and of the step; the absolute error is of this test alone.
    assert_eq!(ten.rounds - 2, steps(epochs) * (4 + 4));
    let products = |plan: &ml_ops::Plan| -> u64 {
        plan.ops.iter().filter(|o| o.op == "matmul").map(|o| o.online_bytes_per_party / 8).sum()
    };
    // The matrix once; in every step w, z that is truncated, and e. The gradient's truncation is the sum's.
    let step = 5 + 128 + 128;
    assert_eq!(products(&one), 1000 * 5 + 8 * step);
    assert_eq!(products(&ten), 1000 * 5 + 80 * step);
    let of = ten.ops.iter().filter(|o| o.op == "matmul").collect::<Vec<_>>();
    assert_eq!(
        of.iter().map(|o| (o.times, o.opens_reused_factor)).collect::<Vec<_>>(),
        [(80, true), (80, false)]
    );
    let kinds: Vec<&str> = of[0].correlations.iter().map(|c| c.kind).collect();
    assert_eq!(kinds.iter().filter(|&&k| k == "reusable_mask").count(), 1);
    assert_eq!(kinds.iter().filter(|&&k| k == "masked_matmul_pair").count(), 80);
    let text = ten.to_string();
    assert!(text.contains("in 80 iterations"), "{text}");
}

/// A channel that notes the tags of everything that passes.
struct Noted {
    inner: Box<dyn Channel>,
    tags: Arc<Mutex<Vec<Tag>>>,
}

impl Channel for Noted {
    fn me(&self) -> PartyId {
        self.inner.me()
    }
    fn parties(&self) -> usize {
        self.inner.parties()
    }
    fn exchange(
        &mut self,
        tag: Tag,
        send: PerParty<Option<Bytes>>,
        expect: PerParty<Option<usize>>,
    ) -> Result<PerParty<Option<Bytes>>, ChannelError> {
        self.tags.lock().unwrap().push(tag);
        self.inner.exchange(tag, send, expect)
    }
}

/// A kernel that is fitted to what images should become: images and their gradients are factors in every step.
fn convolution(parties: usize, (rows, batch, epochs): (usize, usize, u32), rounding: Rounding) -> Program {
    let mut p = Program::builder("convolution", FracBits::DEFAULT, &PARTIES[..parties]);
    p.rounding(rounding);
    let x = p.input("images", Owner(0), [rows, 2, 5, 4], 2.0).unwrap();
    let y = p.input("wanted", Owner(1), [rows, 3, 3, 2], 4.0).unwrap();
    let w = p.constant(&ArrayD::from_elem(vec![3, 2, 3, 3], 0.125)).unwrap();
    let turned = |p: &mut ProgramBuilder, v: Value| p.permute(v, &[1, 0, 2, 3]);
    let trained = p
        .repeat(epochs * rows.div_ceil(batch) as u32, &[(w, 4.0)], |p, carried| {
            let (x, y) = (p.batch(x, batch)?, p.batch(y, batch)?);
            let seen = p.conv2d(x, carried[0], None, Sliding::by(1))?;
            let error = p.sub(seen, y)?;
            let (x, error) = (turned(p, x)?, turned(p, error)?);
            let gradient = p.conv2d(x, error, None, Sliding::by(1))?;
            let gradient = turned(p, gradient)?;
            Ok(vec![p.weighted_sum(&[(carried[0], 1.0), (gradient, -0.25 / (batch * 36) as f64)])?])
        })
        .unwrap();
    p.output("kernel", trained[0], &[0]).unwrap();
    p.build().unwrap()
}

fn images(rows: usize) -> Inputs {
    let value = |shape: [usize; 4], k: usize| {
        ArrayD::from_shape_fn(shape.to_vec(), |i| {
            ((i[0] * 7 + i[1] * 5 + i[2] * k + i[3] * 3) % 13) as f64 / 8.0 - 0.75
        })
    };
    [("images".to_owned(), value([rows, 2, 5, 4], 4)), ("wanted".to_owned(), value([rows, 3, 3, 2], 9))]
        .into()
}

#[test]
fn images_are_opened_once_for_all_epochs_of_a_convolution_and_its_gradient() {
    let plan = convolution(2, (100, 16, 10), Rounding::Dithered).plan();
    let of: Vec<_> = plan.ops.iter().filter(|o| o.op == "conv2d").collect();
    let opened: u64 = of.iter().map(|o| o.online_bytes_per_party / 8).sum();
    // The images once; in each of 70 steps the kernel and the errors, and for the truncations what both convolutions make.
    let (all, kernel, errors) = (100 * 40, 54, 16 * 18);
    assert_eq!(opened, all + 70 * 2 * (kernel + errors));
    let kinds = |i: usize, kind: &str| of[i].correlations.iter().filter(|c| c.kind == kind).count();
    assert_eq!([kinds(0, "reusable_mask"), kinds(0, "masked_conv_pair")], [1, 70]);
    assert_eq!([kinds(1, "reusable_mask"), kinds(1, "masked_conv_pair")], [0, 70]);
    for (parties, shape) in [(2, (10, 4, 2)), (3, (6, 6, 3)), (5, (5, 2, 1))] {
        let program = convolution(parties, shape, Rounding::Exact);
        let inputs = images(shape.0);
        let runs = run_local(&program, &inputs, [1; 32]).unwrap();
        assert_eq!(outputs(&runs), reference::fixed(&program, &inputs).unwrap(), "{parties} parties");
        program.demand().check().unwrap();
        let plan = program.plan();
        for (party, run) in PartyId::all(parties).zip(&runs) {
            plan.check(party, &run.measured).unwrap();
        }
    }
    let (program, inputs) = (convolution(2, (6, 3, 1), Rounding::Dithered), images(6));
    let sessions = trial::sessions_with_ot::<Z64>(2, [4; 32], Some(&program.demand()));
    let runs = trial::run_sessions(sessions, |cx| run_party(cx, &program, &inputs)).unwrap();
    let plan = program.plan_for(Provider::Ot(CotExtension::SoftSpoken4));
    let fixed = &reference::fixed(&program, &inputs).unwrap()["kernel"];
    for (party, run) in PartyId::all(2).zip(&runs) {
        plan.check(party, &run.measured).unwrap();
    }
    let far = runs[0].outputs["kernel"].iter().zip(fixed).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(far < 1e-3, "{far}");
}

#[test]
fn all_tags_of_three_epochs_differ() {
    all_tags_differ(&regression(2, (20, 8, 3), Rounding::Dithered, sigmoid), &inputs(20));
    all_tags_differ(&convolution(2, (20, 8, 3), Rounding::Dithered), &images(20));
}

/// Runs three epochs of three batches.
fn all_tags_differ(program: &Program, inputs: &Inputs) {
    let tags: Vec<Arc<Mutex<Vec<Tag>>>> = (0..2).map(|_| Arc::default()).collect();
    let channels = local::network(2).into_iter().zip(&tags).map(|(inner, tags)| {
        Box::new(Noted { inner: Box::new(inner), tags: tags.clone() }) as Box<dyn Channel>
    });
    let sessions = trial::sessions_over::<Z64>(channels.collect(), [8; 32], Some(&program.demand()));
    trial::run_sessions(sessions, |cx| {
        let run = run_party(cx, program, inputs);
        // Every (node, iteration) of the loop was entered, and is not entered again.
        let body = &program.loops()[0];
        assert!(cx.enter(body.first, 0).is_err() && cx.enter(body.end - 1, body.times - 1).is_err());
        assert!(cx.enter(body.first, body.times).is_ok());
        run
    })
    .unwrap();
    for tags in tags {
        let tags = tags.lock().unwrap();
        assert_eq!(tags.len() as u64, program.plan().rounds);
        assert_eq!(tags.iter().collect::<HashSet<_>>().len(), tags.len());
        let iterations: HashSet<u32> = tags.iter().map(|t| t.iteration).collect();
        assert!((0..9).all(|i| iterations.contains(&i)), "three epochs of three batches");
    }
}

#[test]
fn carried_values_change_places_and_constants_have_a_row_for_every_iteration() {
    let mut p = Program::builder("swap", FracBits::DEFAULT, &PARTIES[..2]);
    let (a, b) = (p.input("a", Owner(0), [2], 4.0).unwrap(), p.input("b", Owner(1), [2], 4.0).unwrap());
    let zero = p.number(0.0).unwrap();
    let factors =
        p.constant(&Array2::from_shape_vec((3, 1), vec![1.0, 10.0, 100.0]).unwrap().into_dyn()).unwrap();
    let mut seen = None;
    let swapped = p
        .repeat(3, &[(a, 4.0), (b, 4.0), (zero, 4096.0)], |p, v| {
            let row = p.batch(factors, 1)?;
            let row = p.sum(v[0], Axis(0)).and_then(|s| p.mul(s, row))?;
            seen = Some(row);
            let row = p.reshape(row, [])?;
            Ok(vec![v[1], v[0], p.add(v[2], row)?])
        })
        .unwrap();
    let history = p.history(seen.unwrap(), 1).unwrap();
    for (i, &v) in swapped.iter().enumerate() {
        p.output(&format!("v{i}"), v, &[1]).unwrap();
    }
    p.output("history", history, &[1]).unwrap();
    let program = p.build().unwrap();
    let text = program.to_string();
    assert!(
        text.contains("repeat 3 times, to %") && text.contains("(range promised, not checked)"),
        "{text}"
    );
    // Exchanging two values of one range keeps it.
    assert_eq!(text.matches("(range promised, not checked)").count(), 1, "{text}");
    let array = |v: &[f64]| ArrayD::from_shape_vec(vec![v.len()], v.to_vec()).unwrap();
    let inputs: Inputs =
        [("a".to_owned(), array(&[1.0, 2.0])), ("b".to_owned(), array(&[-0.5, 0.25]))].into();
    let runs = run_local(&program, &inputs, [5; 32]).unwrap();
    assert_eq!(runs[1].outputs, reference::float(&program, &inputs).unwrap());
    assert_eq!(runs[1].outputs, reference::fixed(&program, &inputs).unwrap());
    assert_eq!(runs[1].outputs["v0"], array(&[-0.5, 0.25]));
    assert_eq!(runs[1].outputs["v2"].iter().copied().collect::<Vec<_>>(), [3.0 - 2.5 + 300.0]);
    assert_eq!(runs[1].outputs["history"].shape(), [3, 1, 1]);
    assert_eq!(Program::decode(&program.encode()).unwrap(), program);
}

#[test]
fn loops_that_are_none_are_refused() {
    type Body = fn(&mut ProgramBuilder, Value, Value) -> Result<Vec<Value>, ProgramError>;
    let refused: &[(Body, &str)] = &[
        (|_, _, _| Ok(vec![]), "a body returns a value for every carried one"),
        (|_, _, x| Ok(vec![x]), "a carry and a value of the same loop's body"),
        (|p, c, _| Ok(vec![p.sum(c, Axis(0))?]), "the next value has the shape of the initial one"),
        (|p, c, _| Ok(vec![p.less(c, c)?]), "the next value is secret and no integer"),
        (|p, _, _| Ok(vec![p.input("z", Owner(0), [4], 1.0)?]), "shared before a loop"),
        (|p, c, _| Ok(vec![p.batch(c, 2)?]), "a value from before the loop"),
        (|p, _, x| Ok(vec![p.batch(x, 5)?]), "a batch has at least one row, and at most all of them"),
        (|p, c, _| p.repeat(2, &[(c, 8.0)], |_, c| Ok(c.to_vec())), "a loop is not inside another"),
        (
            |p, c, _| {
                p.output("inside", c, &[0])?;
                Ok(vec![c])
            },
            "an output is a value outside of loops",
        ),
        (|p, c, _| Ok(vec![p.history(c, 1)?]), "after a loop, not in one"),
    ];
    let begin = || {
        let mut p = Program::builder("none", FracBits::DEFAULT, &PARTIES[..2]);
        let x = p.input("x", Owner(0), [4], 4.0).unwrap();
        (p, x)
    };
    for (body, why) in refused {
        let (mut p, x) = begin();
        let error = p.repeat(2, &[(x, 8.0)], |p, c| body(p, c[0], x)).unwrap_err().to_string();
        assert!(error.contains(why), "{error:?} does not say {why:?}");
        assert!(p.output("x", x, &[0]).and_then(|()| p.build()).is_err());
    }
    let (mut p, x) = begin();
    let mut inner = x;
    let error = p.repeat(2, &[(x, 2.0)], |_, c| Ok(c.to_vec())).unwrap_err().to_string();
    assert!(error.contains("the initial value is within the declared range"), "{error}");
    let (mut p2, x2) = begin();
    let after = p2.repeat(4, &[(x2, 8.0)], |p, c| {
        inner = p.scale(c[0], 0.5)?;
        Ok(vec![inner])
    });
    let error = p2.neg(inner).unwrap_err().to_string();
    assert!(error.contains("seen outside of it as carried or history alone"), "{error}");
    for (every, ok) in [(0, false), (1, true), (2, true), (3, false), (4, true)] {
        assert_eq!(p2.history(inner, every).is_ok(), ok, "{every}");
    }
    assert!(p2.history(after.unwrap()[0], 1).unwrap_err().to_string().contains("a value of a loop's body"));
    assert!(p2.batch(x2, 1).unwrap_err().to_string().contains("an operation of a loop's body"));
    let (mut p, x) = begin();
    p.window_rows(2);
    let after = p.repeat(2, &[(x, 8.0)], |p, c| Ok(vec![p.scale(c[0], 0.5)?])).unwrap();
    p.output("y", after[0], &[0]).unwrap();
    assert!(p.build().unwrap_err().to_string().contains("a program with a loop has no window"));
    let (mut p, x) = begin();
    let after = p.repeat(u32::MAX, &[(x, 8.0)], |p, c| Ok(vec![p.scale(c[0], 0.5)?])).unwrap();
    p.output("y", after[0], &[0]).unwrap();
    assert!(p.build().unwrap_err().to_string().contains("at most 2^22 nodes"));
}

#[test]
fn a_carried_value_that_breaks_its_promise_is_found_where_all_inputs_are_known() {
    let mut p = Program::builder("grows", FracBits::DEFAULT, &PARTIES[..2]);
    let x = p.input("x", Owner(0), [1], 2.0).unwrap();
    let grown = p.repeat(5, &[(x, 40.0)], |p, c| Ok(vec![p.scale(c[0], 2.0)?])).unwrap();
    p.output("y", grown[0], &[1]).unwrap();
    let program = p.build().unwrap();
    let run = |x: f64| {
        let inputs = [("x".to_owned(), ArrayD::from_elem(vec![1], x))].into();
        run_local(&program, &inputs, [1; 32])
    };
    assert_eq!(run(1.0).unwrap()[1].outputs["y"], ArrayD::from_elem(vec![1], 32.0));
    let error = run(-1.5).unwrap_err().to_string();
    assert!(
        error.starts_with("node 3 (carried) promises ±40 of node 2 (scale), but row 1 is -48"),
        "{error}"
    );
    let error = run(2.0).unwrap_err().to_string();
    assert!(error.contains("promises ±40 of node 2 (scale), but row 1 is 64"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn mutated_loops_are_refused_or_valid(at in any::<prop::sample::Index>(), to: u8, small: bool) {
        let program = regression(2, (6, 4, 2), Rounding::Dithered, sigmoid);
        let mut bytes = program.encode();
        let at = at.index(bytes.len());
        bytes[at] = if small { bytes[at].wrapping_add(1) } else { to };
        if let Ok(other) = Program::decode(&bytes) {
            prop_assert_eq!(other.encode(), bytes);
            prop_assert!(!other.to_string().is_empty());
            other.demand().check().unwrap();
            let plan = other.plan();
            prop_assert_eq!(plan.rounds, plan.ops.iter().map(|o| o.rounds).sum::<u64>());
        }
    }
}
