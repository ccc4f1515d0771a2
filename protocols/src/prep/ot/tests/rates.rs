//! How fast items are made. Ignored: a number, not a check.

use std::time::Instant;

use mpc_core::bits::BitTensor;
use mpc_core::prg::Seed;
use mpc_core::ring::Z64;

use super::super::circuit::{Circuit, Gate};
use super::super::gates::{PRODUCTS, evaluate};
use super::{CHUNK, run, sources_over};
use crate::ot::softspoken::{FieldBits, Security, SoftSpoken};
use crate::prep::components::Components;
use crate::prep::{Comparison, Item, Question};
use crate::tree::TreeChoice;

/// Milliseconds that this thread has had a core to itself: other work on the machine does not count.
fn cpu_ms() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    stat.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()).map_or(f64::NAN, |ns| ns / 1e6)
}

#[test]
#[ignore = "prints rates; run with --release"]
fn rates() {
    let sign = |len, tree| Comparison::in_ring(Question::Sign, len, tree);
    let [two, four] = [(2, 2), (4, 4)].map(|(b, f)| TreeChoice::new(b, f).unwrap());
    let relu = |len, tree| Item::Comparison(Comparison { product: true, ..sign(len, tree) });
    let items = [
        Item::Triple { len: 200_000 },
        Item::Square { len: 200_000 },
        Item::Matmul { m: 128, k: 64, n: 32 },
        Item::Truncation { len: 100_000, bits: 16 },
        Item::DaBits { len: 1_000_000 },
        Item::Comparison(sign(100_000, two)),
        Item::Comparison(sign(100_000, four)),
        relu(100_000, two),
        relu(100_000, four),
        Item::Comparison(Comparison { truncation: 16, ..sign(100_000, four) }),
    ];
    let extension = |me| {
        let seed = Seed::new([me; 32]);
        Box::new(SoftSpoken::new(FieldBits::Four, Security::SemiHonest, seed)) as Box<_>
    };
    let lines = run(sources_over::<Z64>(2, 9, CHUNK, None, extension), |mut source| {
        source.draw(Item::Triple { len: 10 }).unwrap();
        let mut lines = vec![];
        for item in items {
            let (start, cpu, cots, sent) =
                (Instant::now(), cpu_ms(), source.engine.cots(), source.lane().sent_bytes().clone());
            source.draw(item).unwrap();
            let cpu = cpu_ms() - cpu;
            let seconds = start.elapsed().as_secs_f64();
            let cots = (source.engine.cots() - cots) as f64;
            let peer = source.lane().me().others(2).next().unwrap();
            let bytes = source.lane().sent_bytes()[peer] - sent[peer];
            let rate = item.count() as f64 / cpu / 1e3;
            lines.push(format!(
                "{:>22} {:>7.0} ms {cpu:>7.0} ms of a core {rate:>8.3} M/s {:>6.1} M COTs/s {:>7.1} bytes sent each",
                item.name(),
                seconds * 1e3,
                cots / cpu / 1e3,
                bytes as f64 / item.count() as f64
            ));
        }
        lines
    });
    lines[0].iter().for_each(|line| println!("{line}"));
}

/// Products of bits of which no two share a factor: what bit triples are counted by.
#[test]
#[ignore = "prints a rate; run with --release"]
fn products_of_bits() {
    const LANES: usize = 64;
    let len = 1 << 17;
    let gates: Vec<Gate> =
        (0..LANES).map(|i| Gate { choice: i, operand: LANES + i, out: 2 * LANES + i }).collect();
    let circuit = Circuit::new(&gates);
    let extension = |me| {
        let seed = Seed::new([me; 32]);
        Box::new(SoftSpoken::new(FieldBits::Four, Security::SemiHonest, seed)) as Box<_>
    };
    let rates = run(sources_over::<Z64>(2, 9, CHUNK, None, extension), |mut source| {
        source.draw(Item::Triple { len: 10 }).unwrap();
        let mut lanes = BitTensor::zeros(3 * LANES, len);
        let (start, cpu) = (Instant::now(), cpu_ms());
        evaluate(&mut source.engine, &circuit, &mut lanes, PRODUCTS).unwrap();
        let products = (LANES * len) as f64;
        (products / start.elapsed().as_secs_f64() / 1e6, products / (cpu_ms() - cpu) / 1e3)
    });
    for (wall, cpu) in rates {
        println!("products of bits: {wall:.1} M/s, {cpu:.1} M/s of a core");
    }
}
