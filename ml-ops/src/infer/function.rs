//! Facts of functions.

use mpc_core::fixed::FracBits;
use protocols::piecewise::Table;

use super::site::Site;
use crate::error::ProgramError;
use crate::fact::Fact;
use crate::function::{Function, Method, layout};

/// Facts of a function's result: its largest value for arguments within their bound, and how far a result may be from that.
pub(super) fn function(at: Site, function: Function, x: &Fact, frac: u32) -> Result<Fact, ProgramError> {
    if let Some(what) = function.wrong_parameter() {
        return Err(at.parameter(what));
    }
    let frac = FracBits::new(frac).expect("invariant: the program's fraction bits");
    let bound = match function.method() {
        Method::Piecewise(table) => piecewise(at, &table, x, frac)?,
    };
    Ok(Fact::secret(x.shape.clone(), frac.bits(), at.within("the result", bound, frac.bits())?))
}

fn piecewise(at: Site, table: &Table, x: &Fact, frac: FracBits) -> Result<u128, ProgramError> {
    let Some(layout) = layout(table, x, frac) else {
        return Err(ProgramError::Overflow {
            node: at.node,
            op: at.op,
            what: "the operand",
            bound: x.max_abs(),
            scale: frac.bits(),
            limit_bits: table.argument_bits(frac),
        });
    };
    let (f, excess) = layout.fraction_bits();
    // Rounding can take the argument over its bound by a unit.
    let reach = x.max_abs() + 2f64.powi(-(f as i32));
    let largest = table.largest(reach) * 2f64.powi(f as i32) + table.rounding_units(layout);
    Ok((largest.ceil() as u128) << excess)
}
