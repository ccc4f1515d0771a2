//! What leaves while a loop runs: the sums of the reference, in order, to their recipients alone, at the planned cost.
#![allow(clippy::unwrap_used, reason = "a test: a panic is how it fails")]

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use ml_ops::{
    Axis, Execution, Iteration, Owner, Program, ProgramBuilder, ProgramError, Rounding, RunError, Value,
    encode_inputs, reference, run_encoded, run_local,
};
use mpc_core::channel::{Channel, ChannelError};
use mpc_core::fixed::FracBits;
use mpc_core::local;
use mpc_core::party::{PartyId, PerParty};
use mpc_core::ring::Z64;
use mpc_core::share::Additive;
use mpc_core::tag::{Tag, node};
use ndarray::ArrayD;
use protocols::error::ProtocolError;
use protocols::prep::{CotExtension, Provider};
use protocols::session::Session;
use protocols::trial;

type Inputs = BTreeMap<String, ArrayD<f64>>;

const PARTIES: [&str; 5] = ["a", "b", "c", "d", "e"];

fn array(shape: &[usize], values: &[f64]) -> ArrayD<f64> {
    ArrayD::from_shape_vec(shape, values.to_vec()).unwrap()
}

/// x · w² in six iterations, whose sums of three leave for the last party, and everything for the first and the last.
fn program(parties: usize) -> Program {
    let last = parties - 1;
    let mut p = Program::builder("reports", FracBits::DEFAULT, &PARTIES[..parties]);
    p.rounding(Rounding::Exact);
    let x = p.input("x", Owner(0), [2], 2.0).unwrap();
    let w = p.input("w", Owner(1), [2], 1.0).unwrap();
    let left = p
        .repeat(6, &[(x, 2.0)], |p, carried| {
            let square = p.square(w)?;
            let next = p.mul(carried[0], square)?;
            let sum = p.sum(next, Axis(0))?;
            p.report("mean", sum, 3, 1.0 / 3.0, &[last])?;
            p.report("each", next, 1, -2.0, &[0, last])?;
            Ok(vec![next])
        })
        .unwrap();
    p.output("left", left[0], &[1]).unwrap();
    p.build().unwrap()
}

fn inputs() -> Inputs {
    [("x".to_owned(), array(&[2], &[1.5, -0.75])), ("w".to_owned(), array(&[2], &[0.875, -1.0]))].into()
}

fn own(program: &Program, me: PartyId, inputs: &Inputs) -> Inputs {
    let own = program.inputs().filter(|i| i.owner == me).map(|i| i.name.to_owned());
    own.map(|name| (name.clone(), inputs[&name].clone())).collect()
}

/// Name, which of how many, where in the loop, and what it says.
type Event = (String, [u32; 2], Option<Iteration>, Option<ArrayD<f64>>);

fn run(
    cx: &mut Session<Additive<Z64>>,
    program: &Program,
    inputs: &Inputs,
) -> Result<(Execution, Vec<Event>), RunError> {
    let me = cx.me();
    let mut events = vec![];
    let encoded = encode_inputs(program, me, &own(program, me, inputs))?;
    let execution = run_encoded(cx, program, encoded, &mut |p| {
        if let Some(r) = p.report {
            assert_eq!(p.op, "report");
            events.push((r.name.to_owned(), [r.number, r.of], p.iteration, r.values.cloned()));
        }
    })?;
    Ok((execution, events))
}

#[test]
fn reports_come_while_the_loop_runs_and_cost_what_is_planned() {
    let inputs = inputs();
    for parties in [2, 3, 5] {
        let program = program(parties);
        let (fixed, float) =
            (reference::fixed(&program, &inputs).unwrap(), reference::float(&program, &inputs).unwrap());
        assert_eq!(fixed.keys().collect::<Vec<_>>(), ["each", "left", "mean"]);
        assert_eq!((fixed["mean"].shape(), fixed["each"].shape()), (&[2][..], &[6, 2][..]));
        for (name, values) in &fixed {
            let far = values.iter().zip(&float[name]).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(far < 1e-3, "{name}: {far}");
        }
        for provider in [Provider::Dealer, Provider::Ot(CotExtension::SoftSpoken4)] {
            let demand = program.demand();
            let sessions = match provider {
                Provider::Dealer => trial::sessions::<Z64>(parties, [3; 32], Some(&demand)),
                Provider::Ot(_) => trial::sessions_with_ot::<Z64>(parties, [3; 32], Some(&demand)),
            };
            let runs = trial::run_sessions(sessions, |cx| run(cx, &program, &inputs)).unwrap();
            let plan = program.plan_for(provider);
            for (me, (run, events)) in PartyId::all(parties).zip(&runs) {
                plan.check(me, &run.measured).unwrap();
                let learns = |name: &str| match name {
                    "mean" => me.index() == parties - 1,
                    "each" => me.index() == 0 || me.index() == parties - 1,
                    _ => me.index() == 1,
                };
                let expected: Inputs = fixed.clone().into_iter().filter(|(name, _)| learns(name)).collect();
                assert_eq!(run.outputs, expected, "{me} of {parties}");
                // The mean of three leaves before what else the third iteration says.
                let order = ["each", "each", "mean", "each", "each", "each", "mean", "each"];
                assert_eq!(events.iter().map(|e| e.0.as_str()).collect::<Vec<_>>(), order);
                for (name, [number, of], iteration, values) in events {
                    let every = 6 / of;
                    assert_eq!(iteration.unwrap().number, (number + 1) * every - 1, "{name}");
                    let row = fixed[name].index_axis(Axis(0), *number as usize).to_owned();
                    assert_eq!(values.as_ref(), learns(name).then_some(&row), "{name} at {me}");
                }
            }
            // Comparison and opening of each; a product and a square of two elements in every iteration, and the end.
            let reports: Vec<_> = plan.ops.iter().filter(|o| o.op == "report").collect();
            let n = parties as u64;
            assert_eq!(reports.iter().map(|o| (o.times, o.rounds)).collect::<Vec<_>>(), [(2, 4), (6, 12)]);
            let (each, to_two) = (2 * (32 * (n - 1) + 8), 6 * (32 * (n - 1) + 16 * 2));
            // Of two recipients, each sends to the other alone.
            let to_two = if parties == 2 { 6 * (32 + 16) } else { to_two };
            let bytes: Vec<_> = reports.iter().map(|o| o.online_bytes_per_party).collect();
            assert_eq!(bytes, [each, to_two]);
            assert_eq!(plan.rounds, plan.ops.iter().map(|o| o.rounds).sum::<u64>());
        }
        assert_eq!(Program::decode(&program.encode()).unwrap(), program);
    }
}

#[test]
fn the_text_says_who_learns_what_and_how_often() {
    let text = program(3).to_string();
    for line in [
        "output \"mean\" = %6 to \"c\", after every 3 iterations\n",
        "output \"each\" = %7 to \"a\", \"c\", in every iteration\n",
        "%6 = report %5, sums of 3 iterations by 0.3333333333333333 ",
        "%7 = report %4, by -2 ",
    ] {
        assert!(text.contains(line), "{line:?} is not in\n{text}");
    }
}

/// A channel that notes what passes: tags, what is sent, and what comes; and that can tell the third party something else.
struct Noted {
    inner: Box<dyn Channel>,
    seen: Arc<Mutex<Vec<Message>>>,
    /// Where the first party does.
    lie: Option<Tag>,
}

type Parts = Vec<Option<Bytes>>;
type Message = (Tag, Parts, Parts);

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
        let lies = self.lie == Some(tag) && self.me().index() == 0;
        let send = PerParty::from_fn(self.parties(), |p| match &send[p] {
            Some(bytes) if lies && p.index() == 2 => {
                Some(bytes.iter().enumerate().map(|(i, b)| b ^ u8::from(i == 0)).collect())
            }
            told => told.clone(),
        });
        let parts = |of: &PerParty<Option<Bytes>>| of.iter().map(|(_, b)| b.clone()).collect::<Parts>();
        let sent = parts(&send);
        let received = self.inner.exchange(tag, send, expect)?;
        self.seen.lock().unwrap().push((tag, sent, parts(&received)));
        Ok(received)
    }
}

/// What every party sends and receives.
fn views(program: &Program, inputs: &Inputs) -> Vec<Vec<Message>> {
    let (views, run) = lied_views(program, inputs, None);
    run.unwrap();
    views
}

/// The same, where the first party lies to the third.
fn lied_views(
    program: &Program,
    inputs: &Inputs,
    lie: Option<Tag>,
) -> (Vec<Vec<Message>>, Result<(), RunError>) {
    let parties = program.parties().len();
    let seen: Vec<Arc<Mutex<Vec<Message>>>> = (0..parties).map(|_| Arc::default()).collect();
    let channels = local::network(parties).into_iter().zip(&seen).map(|(inner, seen)| {
        Box::new(Noted { inner: Box::new(inner), seen: seen.clone(), lie }) as Box<dyn Channel>
    });
    let sessions = trial::sessions_over::<Z64>(channels.collect(), [8; 32], Some(&program.demand()));
    let run = trial::run_sessions(sessions, |cx| run(cx, program, inputs)).map(drop);
    (seen.into_iter().map(|seen| seen.lock().unwrap().clone()).collect(), run)
}

/// A value that stays as it is, and is reported to the first party of three, or not.
fn steady(reports: bool) -> Program {
    let mut p = Program::builder("steady", FracBits::DEFAULT, &PARTIES[..3]);
    let x = p.input("x", Owner(1), [2], 2.0).unwrap();
    let w = p.input("w", Owner(2), [2], 1.0).unwrap();
    let left = p
        .repeat(4, &[(x, 2.0), (w, 4.0)], |p, v| {
            let product = p.mul(v[0], w)?;
            let next = p.weighted_sum(&[(v[1], 0.5), (product, 0.25)])?;
            // The last node, so that the others keep their numbers, and with them their pads.
            if reports {
                p.report("seen", v[0], 1, 1.0, &[0])?;
            }
            Ok(vec![v[0], next])
        })
        .unwrap();
    p.output("left", left[1], &[0]).unwrap();
    p.build().unwrap()
}

#[test]
fn who_is_no_recipient_sees_what_it_would_see_without_reports() {
    let inputs = inputs();
    let (with, without) = (views(&steady(true), &inputs), views(&steady(false), &inputs));
    let is_end = |tag: &Tag| tag.node == node::CONFIRM || tag.node == node::OUTPUT;
    for me in 0..3 {
        let tags: Vec<Tag> = with[me].iter().map(|m| m.0).collect();
        assert_eq!(tags.iter().collect::<HashSet<_>>().len(), tags.len(), "a place is entered once");
        let steps = |view: &[Message]| view.iter().filter(|m| !is_end(&m.0)).cloned().collect::<Vec<_>>();
        assert_eq!(steps(&with[me]), steps(&without[me]), "party {me}");
        let ends: Vec<&Message> = with[me].iter().filter(|m| is_end(&m.0)).collect();
        assert_eq!(ends.len(), 5 * 2, "four reports and the output");
        let mut shares = HashSet::new();
        for (i, (tag, sent, received)) in ends.into_iter().enumerate() {
            let others = |parts: &Parts| parts.iter().flatten().cloned().collect::<Vec<_>>();
            let (sent, received) = (others(sent), others(received));
            if i % 2 == 0 {
                // A comparison tells nobody anything: what comes is what this party says itself.
                assert_eq!((tag.node, sent.len()), (node::CONFIRM, 2));
                assert_eq!((sent[0].len(), sent.clone()), (32, received), "party {me}");
            } else if me == 0 {
                assert_eq!((tag.node, sent.len(), received.len()), (node::OUTPUT, 0, 2));
                shares.extend(received);
            } else {
                assert_eq!((tag.node, sent.len(), received.len()), (node::OUTPUT, 1, 0));
            }
        }
        // The value is the same in every iteration, and so is each party's share of it; what it sends never is.
        assert_eq!(shares.len(), if me == 0 { 5 * 2 } else { 0 });
    }
}

#[test]
fn what_was_opened_is_compared_before_every_report() {
    // The product of the second iteration.
    let lie = Tag { lane: 0, node: 4, iteration: 1, round: 0 };
    let (views, run) = lied_views(&steady(true), &inputs(), Some(lie));
    let error = run.unwrap_err();
    assert!(
        matches!(
            error,
            RunError::Protocol { node: 6, op: "report", source: ProtocolError::OpeningsDiffer { .. } }
        ),
        "{error}"
    );
    for view in views {
        let of = |node| view.iter().filter(|m| m.0.node == node).count();
        assert!(view.iter().any(|m| m.0 == lie));
        assert_eq!(
            (of(node::CONFIRM), of(node::OUTPUT)),
            (2, 1),
            "the report of the first iteration alone left"
        );
    }
}

#[test]
fn what_is_reported_is_computed_and_nothing_else_that_nobody_learns() {
    let build = |reports: bool| {
        let mut p = Program::builder("unused", FracBits::DEFAULT, &PARTIES[..2]);
        let x = p.input("x", Owner(0), [2], 2.0).unwrap();
        let left = p
            .repeat(4, &[(x, 2.0), (x, 32.0)], |p, v| {
                let halved = p.scale(v[0], 0.5)?;
                let grown = p.scale(v[1], 1.5)?;
                if reports {
                    p.report("grown", grown, 2, 1.0, &[1])?;
                }
                Ok(vec![halved, grown])
            })
            .unwrap();
        p.output("left", left[0], &[0]).unwrap();
        p.build().unwrap()
    };
    let of = |program: &Program, op: &str| program.nodes().iter().filter(|n| n.op.name() == op).count();
    let (with, without) = (build(true), build(false));
    assert_eq!((of(&without, "scale"), of(&without, "report"), of(&without, "carry")), (1, 0, 1));
    assert_eq!((of(&with, "scale"), of(&with, "report"), of(&with, "carry")), (2, 1, 2));
    let x = [("x".to_owned(), array(&[2], &[1.0, -2.0]))].into();
    let runs = run_local(&with, &x, [4; 32]).unwrap();
    let expected = array(&[2, 2], &[3.75, -7.5, 3.375 + 5.0625, -6.75 - 10.125]);
    assert_eq!(runs[1].outputs["grown"], expected);
    assert!(!runs[0].outputs.contains_key("grown"));
}

#[test]
fn reports_that_are_none_are_refused() {
    type Build = fn(&mut ProgramBuilder, Value, Value) -> Result<(), ProgramError>;
    let refused: &[(Build, &str)] = &[
        (|p, _, x| p.report("r", x, 2, 1.0, &[0]), "a report is of a value of its loop's body, in it"),
        (|p, c, _| p.report("r", c, 0, 1.0, &[0]), "so many iterations are added up at a time"),
        (|p, c, _| p.report("r", c, 3, 1.0, &[0]), "so many iterations are added up at a time"),
        (|p, c, _| p.report("r", c, 8, 1.0, &[0]), "so many iterations are added up at a time"),
        (|p, c, _| p.report("r", c, 2, 0.0, &[0]), "a finite number that is not zero"),
        (|p, c, _| p.report("r", c, 2, f64::NAN, &[0]), "a finite number that is not zero"),
        (|p, c, _| p.report("r", c, 2, 1.0, &[]), "output \"r\""),
        (|p, c, _| p.report("r", c, 2, 1.0, &[1, 1]), "output \"r\""),
        (|p, c, _| p.report("r", c, 2, 1.0, &[2]), "party 2"),
        (
            |p, c, _| (0..65).try_for_each(|i| p.report(&format!("r{i}"), c, 2, 1.0, &[0])),
            "at most 64 reports",
        ),
        (
            |p, c, _| (0..2).try_for_each(|_| p.report("r", c, 2, 1.0, &[0])),
            "the name \"r\" of the output is taken",
        ),
    ];
    for (build, why) in refused {
        let mut p = Program::builder("none", FracBits::DEFAULT, &PARTIES[..2]);
        let x = p.input("x", Owner(0), [4], 4.0).unwrap();
        let left = p.repeat(4, &[(x, 8.0)], |p, c| {
            build(p, c[0], x)?;
            Ok(vec![p.scale(c[0], 0.5)?])
        });
        let error = left.and_then(|left| {
            p.output("y", left[0], &[0])?;
            p.build()
        });
        let error = error.map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(why), "{error:?} does not say {why:?}");
    }
    let mut p = Program::builder("after", FracBits::DEFAULT, &PARTIES[..2]);
    let x = p.input("x", Owner(0), [4], 4.0).unwrap();
    let error = p.report("r", x, 1, 1.0, &[0]).unwrap_err().to_string();
    assert!(error.contains("a report is of a value of its loop's body"), "{error}");
}

/// Operation codes.
const CARRIED: u8 = 71;
const REPORT: u8 = 77;

#[test]
fn bytes_of_reports_are_checked_as_what_is_built() {
    let bytes = steady(true).encode();
    let find = |what: &[u8]| bytes.windows(what.len()).position(|w| w == what).unwrap();
    // %6 = report %2, in every iteration; %8 = carried %3 %5.
    let report = find(&[REPORT, 2, 0, 0, 0, 1, 0, 0, 0]);
    let next = find(&[CARRIED, 3, 0, 0, 0, 5, 0, 0, 0]) + 5;
    // Node and recipients of the outputs "seen" and "left".
    let outputs = [find(b"seen\x06\0\0\0\x01") + 4, bytes.len() - 5];
    let refused = |at: usize, value: &[u8], why: &str| {
        let mut other = bytes.clone();
        other[at..at + value.len()].copy_from_slice(value);
        let error = Program::decode(&other).unwrap_err().to_string();
        assert!(error.contains(why), "{error:?} does not say {why:?}");
    };
    refused(report + 1, &[0], "a report is of a value of its loop's body, in it");
    refused(report + 1, &[6], "operand");
    refused(report + 5, &[0], "so many iterations are added up at a time");
    refused(report + 5, &[3], "so many iterations are added up at a time");
    refused(report + 8, &[1], "so many iterations are added up at a time");
    refused(report + 9, &[0xff; 8], "a finite number that is not zero");
    refused(report + 9, &[0, 0, 0, 0, 0, 0, 0, 0x80], "a finite number that is not zero");
    refused(next, &[6], "what is reported leaves, and nothing is computed with it");
    refused(outputs[0], &[8], "a report is one output");
    refused(outputs[1], &[6], "a report is one output");
    refused(outputs[0] + 4, &[0], "a report has recipients");
    refused(outputs[0] + 4, &[0x20], "party 5");
    assert_eq!(Program::decode(&bytes).unwrap(), steady(true));
}
