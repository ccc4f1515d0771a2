//! Programs whose rows are computed a window at a time: the same results, at the planned cost, from rows that are read when they
//! are needed.
#![allow(clippy::unwrap_used, reason = "a test: a panic is how it fails")]

use std::collections::BTreeMap;
use std::io::{Error, ErrorKind};
use std::ops::Range;
use std::sync::{Arc, Mutex};

use ml_ops::{
    Axis, Direction, EncodedInputs, Owner, Program, ProgramBuilder, ProgramError, RowSource, RunError,
    Sliding, Value, encode_inputs, reference, run_local, run_windows,
};
use mpc_core::fixed::FracBits;
use mpc_core::party::PartyId;
use mpc_core::ring::Z64;
use mpc_core::tensor::Tensor;
use ndarray::ArrayD;
use protocols::trial;

type Inputs = BTreeMap<String, ArrayD<f64>>;

const PARTIES: [&str; 3] = ["a", "b", "c"];

/// Products with reused weights, comparisons, constants and what depends on weights alone.
fn scores(parties: usize, rows: usize, window: Option<u32>) -> Program {
    let mut p = Program::builder("scores", FracBits::DEFAULT, &PARTIES[..parties]);
    p.rounding(ml_ops::Rounding::Exact);
    window.map(|w| p.window_rows(w));
    let x = p.input("x", Owner(0), [rows, 2], 4.0).unwrap();
    let y = p.input("y", Owner(1), [rows, 3], 4.0).unwrap();
    let w = p.weights("w", Owner(0), [5, 40], 2.0).unwrap();
    let b = p.weights("b", Owner(1), [40], 2.0).unwrap();
    let b2 = p.square(b).unwrap();
    let all = p.concat(&[x, y], Axis(1)).unwrap();
    let h = p.dense(all, w, b2).unwrap();
    let h = p.relu(h).unwrap();
    let wt = p.transpose(w).unwrap();
    let back = p.matmul(h, wt).unwrap();
    let again = p.matmul(all, w).unwrap();
    let best = p.max(again, Axis(1)).unwrap();
    let half = p.number(0.5).unwrap();
    let low = p.less(best, half).unwrap();
    p.output("back", back, &[0]).unwrap();
    p.output("low", low, &[0, 1]).unwrap();
    p.build().unwrap()
}

fn inputs(program: &Program) -> Inputs {
    let mut next = 1u64;
    let mut number = || {
        next = next.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (next >> 33) as f64 / f64::from(1u32 << 30) - 1.0
    };
    let array = |i: ml_ops::InputSpec<'_>| {
        (i.name.to_owned(), ArrayD::from_shape_simple_fn(i.shape.dims(), &mut number))
    };
    program.inputs().map(array).collect()
}

#[test]
fn windows_change_no_result_and_cost_what_is_planned() {
    for (parties, rows) in [(2, 1), (2, 6), (2, 7), (2, 8), (3, 14), (2, 24)] {
        let (whole, cut) = (scores(parties, rows, None), scores(parties, rows, Some(7)));
        assert_ne!(whole.digest(), cut.digest());
        assert_eq!(Program::decode(&cut.encode()).unwrap(), cut);
        let inputs = inputs(&whole);
        let results = run_local(&cut, &inputs, [1; 32]).unwrap();
        let expected = run_local(&whole, &inputs, [2; 32]).unwrap();
        let (plan, one) = (cut.plan(), whole.plan());
        let windows = rows.div_ceil(7) as u64;
        assert_eq!(plan.rounds - 2, windows * (one.rounds - 2));
        cut.demand().check().unwrap();
        for (party, (got, wanted)) in results.iter().zip(&expected).enumerate() {
            assert_eq!(got.outputs, wanted.outputs, "{parties} parties, {rows} rows");
            plan.check(PartyId::new(party), &got.measured).unwrap();
        }
        let exact = reference::fixed(&cut, &inputs).unwrap();
        assert_eq!(results[0].outputs, exact);
    }
}

/// Images and sequences, row by row.
fn layers(parties: usize, rows: usize, window: Option<u32>) -> Program {
    let mut p = Program::builder("layers", FracBits::DEFAULT, &PARTIES[..parties]);
    p.rounding(ml_ops::Rounding::Exact);
    window.map(|w| p.window_rows(w));
    let x = p.input("x", Owner(0), [rows, 2, 5, 4], 4.0).unwrap();
    let w = p.weights("w", Owner(1), [3, 2, 2, 2], 2.0).unwrap();
    let b = p.weights("b", Owner(1), [3], 2.0).unwrap();
    let z = p.conv2d(x, w, Some(b), Sliding::by(1).padded(1)).unwrap();
    let z = p.max_pool2d(z, [2, 2], Sliding::by(2)).unwrap();
    let z = p.relu(z).unwrap();
    let z = p.pad(z, &[0, 0, 1, 0], &[0, 0, 0, 1], 0.5).unwrap();
    let sequences = p.reshape(z, [rows, 3, 12]).unwrap();
    let turned = p.permute(sequences, &[0, 2, 1]).unwrap();
    let scores = p.matmul(sequences, turned).unwrap();
    let mix = p.weights("mix", Owner(0), [1, 3, 3], 2.0).unwrap();
    let mixed = p.matmul(scores, mix).unwrap();
    let back = p.matmul(turned, mixed).unwrap();
    p.output("scores", scores, &[0]).unwrap();
    p.output("back", back, &[0]).unwrap();
    p.build().unwrap()
}

#[test]
fn images_and_sequences_are_rows_too() {
    for (parties, rows) in [(2, 7), (3, 4)] {
        let (whole, cut) = (layers(parties, rows, None), layers(parties, rows, Some(3)));
        assert_eq!(Program::decode(&cut.encode()).unwrap(), cut);
        let inputs = inputs(&whole);
        let results = run_local(&cut, &inputs, [5; 32]).unwrap();
        cut.demand().check().unwrap();
        assert_eq!(results[0].outputs, reference::fixed(&whole, &inputs).unwrap());
        for (party, run) in results.iter().enumerate() {
            cut.plan().check(PartyId::new(party), &run.measured).unwrap();
        }
    }
}

#[test]
fn memory_is_that_of_a_window() {
    let memory = |rows: usize| scores(2, rows, Some(1000)).plan().memory_bytes;
    let (ten, hundred) = (memory(10_000), memory(100_000));
    // The shares of six values a row wait for the end.
    assert_eq!(hundred - ten, 90_000 * 6 * 8);
    assert!(ten < scores(2, 10_000, None).plan().memory_bytes / 5);
}

#[test]
fn what_mixes_rows_has_no_windows() {
    type Build = fn(&mut ProgramBuilder, Value, Value) -> Result<Value, ProgramError>;
    let refused: &[(Build, &str)] = &[
        (
            |p, x, _| p.sum(x, Axis(0)),
            "node 2 (sum): rows are computed in windows, and this works along them",
        ),
        (|p, x, _| p.mean(x, Axis(0)), "this works along them"),
        (|p, x, _| p.slice(x, Axis(0), 0..9), "this works along them"),
        (|p, x, _| p.concat(&[x, x], Axis(0)), "this works along them"),
        (|p, x, _| p.max(x, Axis(0)), "this works along them"),
        (|p, x, _| p.sort(x, Axis(0), Direction::Ascending), "this works along them"),
        (|p, x, _| p.transpose(x), "this turns them into columns"),
        (|p, x, _| p.reshape(x, [4, 10]), "they stay along the first axis"),
        (|p, x, w| p.concat(&[x, w], Axis(1)), "this joins data to what has no rows"),
        (|p, x, w| p.matmul(w, x), "the right factor of a product has no rows of data"),
        (|p, x, w| p.add(x, w), "the other operand is not the same for every row"),
        (
            |p, x, w| {
                let x = p.reshape(x, [10, 1, 2, 2])?;
                let w = p.reshape(w, [10, 1, 2, 2])?;
                p.conv2d(w, x, None, Sliding::by(1))
            },
            "the kernel of a convolution has no rows of data",
        ),
        (
            |p, x, w| {
                let bias = p.sum(x, Axis(1))?;
                let image = p.reshape(x, [10, 1, 2, 2])?;
                let kernel = p.reshape(w, [10, 1, 2, 2])?;
                p.conv2d(image, kernel, Some(bias), Sliding::by(1))
            },
            "a bias has no rows of data",
        ),
        (|p, x, _| p.permute(x, &[1, 0]), "this moves them to another axis"),
        (|p, x, _| p.pad(x, &[0, 0], &[1, 0], 0.0), "this adds to them"),
        (
            |p, x, w| {
                let w = p.reshape(w, [10, 4, 1])?;
                let x = p.reshape(x, [10, 1, 4])?;
                p.matmul(x, w)
            },
            "the other operand is not the same for every row",
        ),
        (
            |p, x, w| {
                let w = p.reshape(w, [10, 4, 1])?;
                p.matmul(x, w)
            },
            "the other operand is not the same for every row",
        ),
        (|_, _, w| Ok(w), "an output has a row for every row of the data"),
        (|p, _, _| p.input("more", Owner(0), [11], 1.0), "all data has the same number of rows"),
    ];
    for (build, why) in refused {
        let mut p = Program::builder("mixed", FracBits::DEFAULT, &["a", "b"]);
        p.window_rows(3);
        let x = p.input("x", Owner(0), [10, 4], 1.0).unwrap();
        let w = p.weights("w", Owner(1), [10, 10], 1.0).unwrap();
        let part = p.slice(w, Axis(1), 0..4).unwrap();
        let w = if why.contains("right factor") { w } else { part };
        let result = build(&mut p, x, w).unwrap();
        p.output("y", result, &[0]).unwrap();
        let error = p.build().unwrap_err().to_string();
        assert!(error.contains(why), "{error:?} does not say {why:?}");
    }
    let mut p = Program::builder("no data", FracBits::DEFAULT, &["a", "b"]);
    p.window_rows(3);
    let w = p.weights("w", Owner(1), [10], 1.0).unwrap();
    p.output("y", w, &[0]).unwrap();
    assert!(p.build().unwrap_err().to_string().contains("has data in rows"));
}

/// Rows of an input, and which were asked for.
struct Table {
    values: Tensor<Z64>,
    asked: Arc<Mutex<Vec<Range<usize>>>>,
    fails_at: usize,
}

impl RowSource for Table {
    fn rows(&mut self, rows: Range<usize>) -> std::io::Result<Tensor<Z64>> {
        self.asked.lock().unwrap().push(rows.clone());
        if rows.contains(&self.fails_at) {
            return Err(Error::new(ErrorKind::UnexpectedEof, "the file ends here"));
        }
        Ok(self.values.slice(0, rows.start, rows.end))
    }
}

#[test]
fn rows_are_read_when_their_window_comes() {
    let program = scores(2, 20, Some(8));
    let inputs = inputs(&program);
    let expected = reference::fixed(&program, &inputs).unwrap();
    let run = |fails_at: usize| {
        let asked = Arc::new(Mutex::new(vec![]));
        let sessions = trial::sessions::<Z64>(2, [3; 32], Some(&program.demand()));
        let windows = Mutex::new(vec![]);
        let results = trial::run_sessions(sessions, |cx| {
            let me = cx.me();
            let own = program.inputs().filter(|i| i.owner == me).map(|i| i.name.to_owned());
            let own: Inputs = own.map(|name| (name.clone(), inputs[&name].clone())).collect();
            let mut encoded = encode_inputs(&program, me, &own).unwrap();
            let mut streamed = EncodedInputs::default();
            for input in program.inputs().filter(|i| i.owner == me) {
                let mut values = vec![];
                encoded
                    .read(&program, input.node, |part| {
                        values.extend_from_slice(part.as_slice());
                        Ok::<_, Error>(())
                    })
                    .unwrap();
                let values = Tensor::from_vec(input.shape.dims(), values);
                if program.has_rows(input.node) {
                    let asked = if me.index() == 0 { asked.clone() } else { Arc::default() };
                    let fails_at = if me.index() == 0 { fails_at } else { usize::MAX };
                    streamed.insert_rows(input.node, Box::new(Table { values, asked, fails_at }));
                } else {
                    streamed.insert(input.node, values);
                }
            }
            let mut ahead = |cx: &mut protocols::session::Session<_>, items: usize| {
                if me.index() == 0 {
                    windows.lock().unwrap().push(items);
                }
                Ok(cx.prep().prepare(items)?)
            };
            run_windows(cx, &program, streamed, &mut ahead, &mut |_| ())
        });
        (results, asked.lock().unwrap().clone(), windows.into_inner().unwrap())
    };
    let (results, asked, windows) = run(usize::MAX);
    assert_eq!(results.unwrap()[0].outputs, expected);
    assert_eq!(asked, [0..8, 8..16, 16..20]);
    assert_eq!(windows.len(), 3);
    assert_eq!(windows.iter().sum::<usize>(), program.demand().items.len());
    let (results, asked, _) = run(17);
    let error = results.unwrap_err();
    assert!(matches!(&error, RunError::Rows { name, first: 16, .. } if name == "x"), "{error}");
    assert_eq!(error.to_string(), "input \"x\", from row 17 on: the file ends here");
    assert_eq!(asked.len(), 3);
}
