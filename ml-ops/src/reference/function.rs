//! Functions on ring elements in the clear, with the arithmetic of their protocols where truncation is exact.

use mpc_core::fixed::FracBits;
use mpc_core::ring::{Ring, Z64};
use mpc_core::tensor::Tensor;
use protocols::fourier;
use protocols::piecewise::{Layout, Table};

use crate::fact::Fact;
use crate::function::{Function, Method, layout};

/// f(x) at `frac` fraction bits, which x has. `fact` is that of the operand.
pub(super) fn function(function: Function, x: &Tensor<Z64>, fact: &Fact, frac: FracBits) -> Tensor<Z64> {
    match function.method() {
        Method::Piecewise(table) => {
            let layout = layout(&table, fact, frac).expect("invariant: inference found a layout");
            x.map(|v| Z64::from_i64(piecewise(&table, layout, v.to_i64())))
        }
        Method::Fourier => x.map(|v| Z64::from_i64(fourier::fixed(v.to_i64(), frac))),
        Method::Quartic(limits) => {
            let table = limits.of(fact, frac, frac.bits()).table();
            let table = table.expect("invariant: inference found a table");
            x.map(|v| Z64::from_i64(table.plain(v.to_i64())))
        }
    }
}

fn piecewise(table: &Table, layout: Layout, x: i64) -> i64 {
    let (f, excess) = layout.fraction_bits();
    let x = i128::from(x >> excess);
    let at = |bits: u32, v: f64| (v * 2f64.powi(bits as i32)).round_ties_even() as i128;
    let piece = table.knots().iter().filter(|&&k| x >= at(f, k)).count();
    let [c0, c1, c2, c3] = table.pieces()[piece].map(|c| at(layout.coefficient_bits, c));
    // Outside the knots, where powers wrap, their coefficients are zero.
    let (x2, x3) = if (c2, c3) == (0, 0) { (0, 0) } else { ((x * x) >> f, (x * x * x) >> (2 * f)) };
    let y = ((c0 << f) + c1 * x + c2 * x2 + c3 * x3) >> layout.coefficient_bits;
    (y << excess) as i64
}
