//! Shares of every kind of item as text, so that something other than this crate can put them together and recompute
//! their relations: `protocols/tests/relations.py`.

use std::fmt::{Display, Write as _};
use std::path::Path;

use mpc_core::conv::ConvShape;
use mpc_core::prg::Seed;
use mpc_core::ring::{Ring, Z64};

use super::items::{angles, comparisons, kinds};
use super::{CHUNK, run, sources_over};
use crate::ot::softspoken::{FieldBits, Security, SoftSpoken};
use crate::prefix::{Network, Product};
use crate::prep::components::Components;
use crate::prep::item::Holding;
use crate::prep::relation::Value;
use crate::prep::{Bilinear, Comparison, Item, Question};
use crate::tree::TreeChoice;

fn list<T: Display>(values: impl IntoIterator<Item = T>) -> String {
    let parts: Vec<_> = values.into_iter().map(|v| v.to_string()).collect();
    format!("[{}]", parts.join(","))
}

/// The wires that each product of masks is of, level by level, with the wires of the level.
fn layers(network: &Network) -> String {
    list(network.layers.iter().map(|layer| {
        let mut sets: Vec<Vec<usize>> = vec![];
        for product in &layer.products {
            sets.push(match *product {
                Product::OfWires(a, b) => vec![a, b],
                Product::Longer { product, wire } => [&sets[product][..], &[wire]].concat(),
            });
        }
        format!("[{},{}]", layer.wires.len(), list(sets.into_iter().map(list)))
    }))
}

fn comparison(spec: &Comparison) -> String {
    let (question, bits) = match spec.question {
        Question::Quotient { bits } => ("quotient", bits),
        Question::Bits => ("bits", 0),
        _ => ("other", 0),
    };
    let network = spec.network::<Z64>();
    format!(
        r#""question":"{question}","bits":{bits},"len":{},"thresholds":{},"arithmetic":{},"product":{},"truncation":{},"payloads":{},"powers":{},"blocks":{},"layers":{}"#,
        spec.len,
        spec.thresholds,
        spec.arithmetic,
        spec.product,
        spec.truncation,
        spec.payloads,
        spec.powers,
        list(network.blocks()),
        layers(&network),
    )
}

fn convolution(shape: &ConvShape) -> String {
    let s = shape.sliding();
    format!(
        r#""input":{},"kernel":{},"output":{},"stride":{},"dilation":{},"padding":{},"groups":{}"#,
        list(shape.input()),
        list(shape.kernel()),
        list(shape.output()),
        list(s.stride),
        list(s.dilation),
        list(s.padding.map(list)),
        shape.groups()
    )
}

/// What has to be known of an item to recompute it.
fn fields(item: &Item) -> String {
    match *item {
        Item::Triple { len } | Item::Square { len } | Item::DaBits { len } => format!(r#""len":{len}"#),
        Item::Dot { len, terms } => format!(r#""len":{len},"terms":{terms}"#),
        Item::Matmul { m, k, n } => format!(r#""count":1,"m":{m},"k":{k},"n":{n}"#),
        Item::BatchMatmul { count, m, k, n } => format!(r#""count":{count},"m":{m},"k":{k},"n":{n}"#),
        Item::Mask { len } => format!(r#""len":{len}"#),
        Item::Given { part, product } => {
            // The first element, how many axes, and of each the length and the step.
            let numbers = list(part.part.numbers().into_iter().map(|v| v as isize));
            let map = match product.map {
                Bilinear::Elements { len } => format!(r#""len":{len}"#),
                Bilinear::Matmuls { count, dims: [m, k, n] } => {
                    format!(r#""count":{count},"m":{m},"k":{k},"n":{n}"#)
                }
                Bilinear::Conv(shape) => convolution(&shape),
            };
            format!(r#""mask":{},"part":{numbers},"right":{},{map}"#, part.mask, product.right)
        }
        Item::Truncation { len, bits } => format!(r#""len":{len},"bits":{bits}"#),
        Item::Angles { len, bits, multiples } => {
            format!(r#""len":{len},"bits":{bits},"multiples":{multiples}"#)
        }
        Item::Conv(shape) => convolution(&shape),
        Item::Comparison(spec) => comparison(&spec),
    }
}

/// A component: its numbers, or a text of 0 and 1 for each lane.
fn component(value: &Value<Z64>, holding: Holding) -> String {
    match (value, holding) {
        (Value::Ring(t), Holding::RingLow { bits, .. }) => {
            format!(r#"{{"low":{bits},"ring":{}}}"#, list(t.as_slice().iter().map(|v| v.to_u64())))
        }
        (Value::Ring(t), _) => {
            format!(r#"{{"low":64,"ring":{}}}"#, list(t.as_slice().iter().map(|v| v.to_u64())))
        }
        (Value::Bits(b), _) => {
            let lane =
                |lane| (0..b.len()).map(|i| if b.bit(lane, i) { '1' } else { '0' }).collect::<String>();
            format!(r#"{{"bits":{}}}"#, list((0..b.lanes()).map(|l| format!(r#""{}""#, lane(l)))))
        }
    }
}

/// Writes one file per party, an item in a line.
fn dump(dir: &Path, n: usize, items: &[Item]) {
    let extension = |me| {
        let seed = Seed::new([me; 32]);
        Box::new(SoftSpoken::new(FieldBits::Four, Security::SemiHonest, seed)) as Box<_>
    };
    let sources = sources_over::<Z64>(n, 31, CHUNK, None, extension);
    let shares: Vec<Vec<Vec<Value<Z64>>>> =
        run(sources, |mut source| items.iter().map(|i| source.draw(*i).unwrap()).collect());
    for (p, shares) in shares.iter().enumerate() {
        let mut text = String::new();
        for (item, values) in items.iter().zip(shares) {
            let holdings = item.components::<Z64>().into_iter().map(|c| c.holding);
            let components = list(values.iter().zip(holdings).map(|(v, h)| component(v, h)));
            let (name, fields) = (item.name(), fields(item));
            writeln!(text, r#"{{"item":"{name}",{fields},"components":{components}}}"#).unwrap();
        }
        std::fs::write(dir.join(format!("{n}-parties-{p}.jsonl")), text).unwrap();
    }
}

#[test]
#[ignore = "writes files: SUBROSA_SHARES=FOLDER, and SUBROSA_SHARES_LEN for more than 1,000 elements of each kind"]
fn dumped_for_others() {
    let dir = std::env::var("SUBROSA_SHARES").expect("SUBROSA_SHARES names a folder");
    let len = std::env::var("SUBROSA_SHARES_LEN").map_or(1000, |l| l.parse().expect("a number of elements"));
    for n in [2, 3, 5] {
        let bundles = comparisons(len, TreeChoice::DEFAULT, 16);
        dump(Path::new(&dir), n, &[kinds(len), angles(len), bundles].concat());
    }
}
