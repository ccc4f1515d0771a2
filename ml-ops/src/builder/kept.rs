//! Values that stay in shares between sessions.

use super::{ProgramBuilder, Value, bound_units};
use crate::error::ProgramError;
use crate::op::Op;
use crate::shape::Shape;

impl ProgramBuilder {
    /// A value that an earlier session of the same parties kept ([`ProgramBuilder::keep`]), of which every party brings its share.
    ///
    /// # Errors
    /// Unusable shape or bound.
    pub fn shared(
        &mut self,
        name: &str,
        shape: impl Into<Shape>,
        max_abs: f64,
    ) -> Result<Value, ProgramError> {
        let bound = bound_units("shared", max_abs, self.program.frac.bits())?;
        let shape = shape.into();
        self.push("shared", &[], |_| Op::Shared { name: name.to_owned(), shape, bound })
    }

    /// Declares a value that nobody learns: every party keeps its share, for a later program ([`ProgramBuilder::shared`]).
    ///
    /// # Errors
    /// A public value, or integers.
    pub fn keep(&mut self, name: &str, x: Value) -> Result<(), ProgramError> {
        self.check("keep", &[x])?;
        self.program.push_kept(name, x.node)
    }
}
