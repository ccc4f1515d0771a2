//! Values that leave while a loop runs.

use ndarray::ArrayD;
use protocols::error::ProtocolError;
use protocols::output::output;
use protocols::session::Session;

use super::Shareable;
use crate::program::Program;
use crate::repeat::At;
use crate::report::{Due, Reported, Series};

/// A report that was made, with what it says to this party.
pub(super) struct Made<'a> {
    due: Due<'a>,
    values: Option<ArrayD<f64>>,
}

impl Made<'_> {
    pub(super) fn reported(&self) -> Reported<'_> {
        let Due { output, number, report } = &self.due;
        Reported { name: &output.name, number: *number, of: report.times, values: self.values.as_ref() }
    }
}

/// Makes the report that is due at a place, if one is, and notes what this party learns.
pub(super) fn report<'a, S: Shareable>(
    cx: &mut Session<S>,
    program: &'a Program,
    at: At,
    sum: &S,
    series: &mut Series,
) -> Result<Option<Made<'a>>, ProtocolError> {
    let Some(due) = program.due(at) else { return Ok(None) };
    let revealed = output(cx, &[(sum, &due.output.recipients)])?;
    let learnt = revealed.first().and_then(Option::as_ref);
    let values = learnt.map(|r| series.push_ring(program, &due, r.tensor()));
    Ok(Some(Made { due, values }))
}
