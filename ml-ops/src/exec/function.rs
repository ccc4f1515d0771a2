//! Functions on shares.

use mpc_core::share::Sharing;
use protocols::error::ProtocolError;
use protocols::session::Session;
use protocols::tree::TreeChoice;
use protocols::{fourier, piecewise, quartic};

use crate::fact::Fact;
use crate::function::{Function, Method, layout};
use crate::program::Program;

/// `[f(x)]` at the program's fraction bits, which x has. `fact` is that of the operand.
pub(super) fn function<S: Sharing>(
    cx: &mut Session<S>,
    program: &Program,
    function: Function,
    x: &S,
    fact: &Fact,
    tree: TreeChoice,
) -> Result<S, ProtocolError> {
    match function.method() {
        Method::Piecewise(table) => {
            let layout = layout(&table, fact, program.frac_bits());
            let layout = layout.expect("invariant: inference found a layout");
            piecewise::evaluate(cx, x, &table, layout, program.rounding(), tree)
        }
        Method::Fourier => fourier::sigmoid(cx, x, program.frac_bits()),
        Method::Quartic(limits) => {
            let frac = program.frac_bits();
            let table = limits.of(fact, frac, frac.bits()).table();
            let table = table.expect("invariant: inference found a table");
            quartic::evaluate(cx, x, &table, program.rounding(), tree)
        }
    }
}
