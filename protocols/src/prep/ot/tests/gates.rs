//! Products of bits by themselves.

use mpc_core::bits::BitTensor;
use mpc_core::prg::{Prg, Seed};
use mpc_core::ring::Z8;
use mpc_core::tag::Tag;

use super::{SESSION, run, sources};
use crate::prep::ot::circuit::{Circuit, Gate};
use crate::prep::ot::gates::evaluate;

/// Lanes 0, 1 and 2 are given. Lane 0 is a factor of more products than a pad has bits, and products of products follow.
fn gates() -> Vec<Gate> {
    let wide = (3..303).map(|out| Gate { choice: 0, operand: 1 + out % 2, out });
    let deep = (303..310).map(|out| Gate { choice: 1 + out % 2, operand: out - 1, out });
    wide.chain(deep).collect()
}

#[test]
fn products_are_right_however_many_are_made_at_a_time() {
    let (circuit, lanes) = (Circuit::new(&gates()), 310);
    assert_eq!((circuit.choices.len(), circuit.levels.len()), (3, 8));
    for (n, len) in [(2, 200), (3, 200), (2, 64), (5, 1), (2, 0)] {
        for products in [1, 128 * gates().len(), usize::MAX] {
            let slices: Vec<_> = circuit.slices(len, products).collect();
            assert_eq!(slices.iter().map(|s| s.len()).sum::<usize>(), len);
            assert!(slices.iter().all(|s| s.len() <= 64.max(products / gates().len())));
            let shares = run(sources::<Z8>(n, 15, None), |mut source| {
                let tag = Tag { lane: 0, node: 0, iteration: 0, round: 0 };
                let seed = Seed::new([source.lane().me().index() as u8; 32]);
                let inputs = Prg::new(&seed, &SESSION, tag, "inputs", 0).bits(3, len);
                let mut all = BitTensor::zeros(lanes, len);
                (0..3).for_each(|lane| all.lane_mut(lane).copy_from_slice(inputs.lane(lane)));
                evaluate(&mut source.engine, &circuit, &mut all, products).unwrap();
                all
            });
            let mut opened = shares[0].clone();
            shares[1..].iter().for_each(|share| opened.xor_assign(share));
            for Gate { choice, operand, out } in gates() {
                let is = |i| opened.bit(out, i) == (opened.bit(choice, i) & opened.bit(operand, i));
                assert!((0..len).all(is), "lane {out}, {n} parties, {len} elements, {products} at a time");
            }
        }
    }
}
