//! `subrosa plan`: what a program will cost, before anything connects.

use std::path::Path;

use crate::config::Config;
use crate::error::CliError;
use crate::job::inputs::{load_program, read_program};
use crate::output::Format;

pub(super) fn run(
    program: Option<&Path>,
    config: Option<&Path>,
    text: bool,
    format: Format,
) -> Result<(), CliError> {
    let program = match (program, config) {
        (Some(path), _) => read_program(path)?,
        (None, Some(path)) => load_program(&Config::load(path)?)?,
        (None, None) => return Err(CliError::setup("usage", "expected a program file or --config FILE")),
    };
    let _ = (text, format, program);
    Ok(())
}
