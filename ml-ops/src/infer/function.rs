//! Facts of functions.

use mpc_core::fixed::FracBits;
use protocols::elementary::Elementary;
use protocols::fourier;
use protocols::piecewise::Table;
use protocols::quartic::NoTable;

use super::range::Range;
use super::site::Site;
use super::truncated;
use crate::error::ProgramError;
use crate::fact::Fact;
use crate::function::{Function, Limits, Method, layout, reciprocal};

/// Facts of a function's result: its values for arguments within their interval, and how far a result may be from that.
pub(super) fn function(at: Site, function: Function, x: &Fact, frac: u32) -> Result<Fact, ProgramError> {
    if let Some(what) = function.wrong_parameter() {
        return Err(at.parameter(what));
    }
    let frac = FracBits::new(frac).expect("invariant: the program's fraction bits");
    let around = |bound: u128| Range { lo: -(bound as i128), hi: bound as i128 };
    let range = match function.method() {
        Method::Piecewise(table) => piecewise(at, &table, x, frac)?,
        Method::Fourier => fourier(at, x, frac)?,
        Method::Quartic(limits) => around(quartic(at, limits.of(x, frac, frac.bits()), x)?),
    };
    at.ranged("the result", x.shape.clone(), frac.bits(), range)
}

/// 0.4998 from a half at most, a unit from the truncation, and what sines are off by.
fn fourier(at: Site, x: &Fact, frac: FracBits) -> Result<Range, ProgramError> {
    let f = frac.bits();
    if x.bound_at(f) > u128::from(fourier::RANGE) << f {
        return Err(ProgramError::Overflow {
            node: at.node,
            op: at.op,
            what: "the operand",
            bound: x.max_abs(),
            scale: f,
            limit_bits: fourier::RANGE.ilog2(),
        });
    }
    let off = 1 + (1 << f.saturating_sub(16));
    Ok(Range { lo: -off, hi: (1 << f) + off })
}

fn piecewise(at: Site, table: &Table, x: &Fact, frac: FracBits) -> Result<Range, ProgramError> {
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
    let (unit, one) = (2f64.powi(-(f as i32)), 2f64.powi(f as i32));
    let end = |v: i64| v as f64 * 2f64.powi(-(x.scale as i32));
    let [least, most] = table.range(end(x.lo) - unit, end(x.hi) + unit);
    let off = table.rounding_units(layout);
    let (lo, hi) = ((least * one - off).floor(), (most * one + off).ceil());
    Ok(Range { lo: (lo as i128) << excess, hi: (hi as i128) << excess })
}

/// The largest magnitude of a result, in units of its last place.
pub(super) fn quartic(at: Site, function: Elementary, x: &Fact) -> Result<u128, ProgramError> {
    at.within("the operand", x.bound_at(function.frac), function.frac)?;
    match function.table() {
        Ok(table) => Ok(table.bound().into()),
        Err(NoTable::Empty) => Err(at.parameter("no argument within the operand's bound is in its range")),
        Err(NoTable::TooManyPieces) => Err(at.parameter("its range is too wide; name a narrower one")),
        Err(_) => Err(at.parameter("its largest result is too large; name a narrower range")),
    }
}

/// Facts of a quotient.
pub(super) fn divide(at: Site, a: &Fact, b: &Fact, limits: Limits, frac: u32) -> Result<Fact, ProgramError> {
    let shape = at.broadcast(a, b)?;
    if let Some(what) = limits.wrong() {
        return Err(at.parameter(what));
    }
    if !b.is_secret() {
        return Err(at.parameter("a divisor that everybody knows is divided by with a factor"));
    }
    let program = FracBits::new(frac).expect("invariant: the program's fraction bits");
    // That there is a table at all, with the reason if not.
    quartic(at, limits.of(b, program, frac), b)?;
    let Some(function) = reciprocal(a, b, limits, program) else {
        let largest = a.max_abs() / limits.lowest;
        return Err(ProgramError::Overflow {
            node: at.node,
            op: at.op,
            what: "the largest quotient before truncation",
            bound: largest,
            scale: a.scale + frac,
            limit_bits: mpc_core::fixed::HEADROOM_BITS - a.scale - frac,
        });
    };
    let product = u128::from(a.bound) * quartic(at, function, b)?;
    let scale = a.scale + function.result;
    let (scale, bound) =
        truncated(at.within("the product before truncation", product, scale)?.into(), scale, frac);
    Ok(Fact::secret(shape, scale, bound))
}
