//! `docs/operations.md` against plans: every operation is there, with the rounds and bits that it takes.

use std::collections::{BTreeMap, BTreeSet};

use ml_ops::{Axis, Direction, Owner, Program, ProgramBuilder, ProgramError, Rounding, Value};
use mpc_core::fixed::FracBits;

/// As many as make whole bytes of every message.
const LEN: usize = 1024;
const DOC: &str = include_str!("../../docs/operations.md");

type Build = fn(&mut ProgramBuilder, Value, Value) -> Result<Value, ProgramError>;

/// What a row of the tables is about, for two columns of numbers, \[8, LEN\].
fn rows() -> Vec<(&'static str, Build)> {
    use Direction::{Ascending, Descending};
    vec![
        ("mul", |p, x, y| p.mul(x, y)),
        ("square", |p, x, _| p.square(x)),
        ("scale", |p, x, _| p.scale(x, 0.5)),
        ("mul of bits by numbers", |p, x, y| {
            let bit = p.less(x, y)?;
            p.mul(bit, y)
        }),
        ("select", |p, x, y| {
            let bit = p.less(x, y)?;
            p.select(bit, x, y)
        }),
        ("split", |p, x, y| {
            let bit = p.less(x, y)?;
            p.split(x, bit)
        }),
        ("less", |p, x, y| p.less(x, y)),
        ("equal", |p, x, y| p.equal(x, y)),
        ("sign", |p, x, _| p.sign(x)),
        ("minimum", |p, x, y| p.minimum(x, y)),
        ("relu", |p, x, _| p.relu(x)),
        ("relu after a truncation", |p, x, y| {
            let z = p.mul(x, y)?;
            p.relu(z)
        }),
        ("clamp", |p, x, _| p.clamp(x, -1.0, 1.0)),
        ("clamp after a truncation", |p, x, y| {
            let z = p.mul(x, y)?;
            p.clamp(z, -1.0, 1.0)
        }),
        ("sigmoid", |p, x, _| p.sigmoid(x)),
        ("elu", |p, x, _| p.elu(x, 1.0)),
        ("sigmoid_training", |p, x, _| p.sigmoid_training(x)),
        ("exp", |p, x, _| p.exp(x, 8.0)),
        ("exp of a square", |p, x, _| {
            let square = p.square(x)?;
            let below = p.neg(square)?;
            p.exp(below, 0.0)
        }),
        ("log", |p, x, _| p.log(x, 0.125..)),
        ("reciprocal", |p, x, _| p.reciprocal(x, 0.125..)),
        ("sqrt", |p, x, _| p.sqrt(x)),
        ("rsqrt", |p, x, _| p.rsqrt(x, 0.125..)),
        ("divide", |p, x, y| p.divide(x, y, 0.125..)),
        ("max of 8", |p, x, _| p.max(x, Axis(0))),
        ("argmax of 8", |p, x, _| p.argmax(x, Axis(0))),
        ("argmax_one_hot of 8", |p, x, _| p.argmax_one_hot(x, Axis(0))),
        ("sort of 8", |p, x, _| p.sort(x, Axis(0), Ascending)),
        ("top_k, 2 of 8", |p, x, _| p.top_k(x, 2, Axis(0), Descending)),
        ("top_k_with, 2 of 8", |p, x, y| Ok(p.top_k_with(x, y, 2, Axis(0), Descending)?.0)),
    ]
}

/// The rows of all tables with figures: name, and the cells after it.
fn documented() -> BTreeMap<String, Vec<String>> {
    let lines = DOC.lines().filter(|line| line.starts_with("| "));
    lines
        .map(|line| {
            let mut cells =
                line.trim_matches('|').split('|').map(|cell| cell.replace('`', "").trim().to_owned());
            (cells.next().unwrap_or_default(), cells.collect())
        })
        .collect()
}

/// Rounds, bits to the other party and bits from the dealer, of the node with the name and per column.
fn cost(name: &str, rounding: Rounding, build: Build) -> [u64; 3] {
    let planned = || {
        let mut p = Program::builder("row", FracBits::DEFAULT, &["a", "b"]);
        p.rounding(rounding);
        let columns = name.contains(" of 8");
        let shape = if columns { vec![8, LEN] } else { vec![LEN] };
        let x = p.input("x", Owner(0), &shape[..], 8.0)?;
        let y = p.input("y", Owner(1), &shape[..], 8.0)?;
        let z = build(&mut p, x, y)?;
        p.output("z", z, &[0])?;
        Ok::<_, ProgramError>(p.build()?.plan())
    };
    let op = name.split([' ', ',']).next().map(|op| match op {
        "top_k" => "sort",
        "top_k_with" => "sort_with",
        op => op,
    });
    let plan = planned().expect("a valid program");
    let op = plan.ops.iter().find(|o| Some(o.op) == op).expect("the row's operation");
    let bits = |bytes: u64| bytes * 8 / LEN as u64;
    [op.rounds, bits(op.online_bytes_per_party), bits(op.offline_bytes_per_party)]
}

#[test]
fn figures_are_those_of_plans() {
    let documented = documented();
    let mut lines = vec![];
    for (name, build) in rows() {
        for rounding in [Rounding::Dithered, Rounding::Exact] {
            let name = format!("{name}{}", if rounding == Rounding::Exact { ", exact" } else { "" });
            let found = documented.get(&name);
            // With exact rounding only what truncates costs something else, and it does that itself.
            let same = || cost(&name, rounding, build) == cost(&name, Rounding::Dithered, build);
            // What depends on masks does not build there.
            let differs = || !name.starts_with("sigmoid_training") && !same();
            if rounding == Rounding::Exact && (name.contains("after a truncation") || !differs()) {
                continue;
            }
            let [rounds, online, dealt] = cost(&name, rounding, build).map(thousands);
            let wanted = [rounds, online, dealt];
            if found.is_none_or(|cells| cells.get(..3) != Some(&wanted[..])) {
                lines.push(format!("| {name} | {} |", wanted.join(" | ")));
            }
        }
    }
    assert!(lines.is_empty(), "rows of docs/operations.md that are not so:\n{}", lines.join("\n"));
}

fn thousands(n: u64) -> String {
    if n < 1000 { n.to_string() } else { format!("{},{:03}", n / 1000, n % 1000) }
}

#[test]
fn every_operation_is_documented() {
    // Their names are those of the builder's methods.
    let text = include_str!("every_op.txt");
    let used: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.split_once(" = "))
        .filter_map(|(_, op)| op.split(' ').next())
        .filter(|op| !["input", "weights", "constant"].contains(op) && !op.starts_with('%'))
        .map(|op| if op == "sort_with" { "top_k_with" } else { op })
        .collect();
    assert!(used.len() > 35, "{used:?}");
    let missing: Vec<_> = used.iter().filter(|op| !DOC.contains(&format!("`{op}`"))).collect();
    assert!(missing.is_empty(), "not in docs/operations.md: {missing:?}");
}
