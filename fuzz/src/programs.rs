//! Checks of programs and of demands for correlated randomness.
//!
//! A check panics if something is wrong and otherwise says whether the bytes were accepted.

use std::collections::BTreeMap;

use ml_ops::{Program, run_local};
use mpc_core::party::PartyId;
use mpc_core::ring::Z64;
use ndarray::ArrayD;
use protocols::prep::{Demand, Item};

/// A program file: canonical, printable, plannable, within a dealer's limits.
pub fn program(bytes: &[u8]) -> bool {
    let Ok(program) = Program::decode(bytes) else { return false };
    assert_eq!(program.encode(), bytes, "a program has one encoding");
    assert!(!program.to_string().is_empty());
    let plan = program.plan();
    assert_eq!(plan.ops.len(), program.nodes().len() + 2, "every node, the confirmation and the outputs");
    assert!(!plan.to_string().is_empty());
    let demand = program.demand();
    demand.check().expect("a dealer makes what a valid program asks for");
    assert_eq!(Demand::decode(&demand.encode()).as_ref(), Ok(&demand), "the demand passes the wire");
    true
}

/// Runs a small program with all its parties in this process: it ends, and it costs what was planned.
pub fn program_run(bytes: &[u8]) -> bool {
    const MOST_ELEMENTS: usize = 96;
    let Ok(program) = Program::decode(bytes) else { return false };
    let elements = program.nodes().iter().fold(0usize, |n, x| n.saturating_add(x.fact.shape.elements()));
    if program.nodes().len() > 40 || elements > 4 * MOST_ELEMENTS || program.parties().len() > 3 {
        return false;
    }
    if program.loops().iter().any(|l| l.times > 8) {
        return false;
    }
    // Values from one end of the allowed range to the other.
    let inputs: BTreeMap<String, ArrayD<f64>> = program
        .inputs()
        .map(|i| {
            let mut k = 0u32;
            let value = ArrayD::from_shape_simple_fn(i.shape.dims(), || {
                k += 1;
                i.max_abs * [0.0, 1.0, -1.0, 0.5, -0.001][k as usize % 5]
            });
            (i.name.to_owned(), value)
        })
        .collect();
    let Ok(executions) = run_local(&program, &inputs, [7; 32]) else { return false };
    let plan = program.plan();
    for (i, execution) in executions.iter().enumerate() {
        let checked = plan.check(PartyId::new(i), &execution.measured);
        assert!(checked.is_ok(), "measured other than planned: {checked:?}");
    }
    true
}

/// A demand as a dealer receives it: canonical, within limits, and its size can be computed.
pub fn demand(bytes: &[u8]) -> bool {
    let Ok(demand) = Demand::decode(bytes) else { return false };
    assert_eq!(demand.encode(), bytes, "a demand has one encoding");
    demand.check().expect("what was decoded is within the limits");
    for (at, item) in demand.items.iter().enumerate() {
        if let Item::Given { part, product } = item {
            let mask = &demand.items[..at][part.mask as usize];
            assert!(matches!(mask, Item::Mask { len } if part.part.places().end <= *len));
            assert_eq!(part.part.elements(), product.shapes()[0].iter().product::<usize>());
        }
        assert!(item.correction_bytes::<Z64>() < 1 << 40, "an item's correction is bounded: {item:?}");
        assert!(!item.name().is_empty());
    }
    true
}
