//! What a run writes takes the place of nothing that it reads, and of no other result.

use std::path::{Path, PathBuf};

use super::{Config, InputSource};
use crate::error::CliError;

/// Refuses a file that is written and is something else too.
pub(super) fn check(config: &Config) -> Result<(), CliError> {
    let input = |(name, source): (&String, &InputSource)| {
        let file = match source {
            InputSource::Table(table) => &table.file,
            InputSource::Weights { file, .. }
            | InputSource::Tensor { file, .. }
            | InputSource::Share { file } => file,
        };
        (format!("the input `{name}`"), file.clone())
    };
    let mut taken: Vec<(String, PathBuf)> = config.inputs.iter().map(input).collect();
    let mut own = |what: &str, file: &Path| taken.push((what.into(), file.into()));
    own("this configuration", &config.node.path);
    own("the key", &config.node.key);
    own("the program", &config.program);
    config.weights.iter().for_each(|file| own("the weights", file));
    config.units.values().for_each(|file| own("the figures of units", file));
    let outcomes = config.scorecard.as_ref().and_then(|s| s.outcomes.as_ref());
    outcomes.iter().for_each(|o| own("the outcomes", &o.file));
    let figures = config.figures.iter().map(|(name, file)| (format!("the figures of `{name}`"), file));
    let outputs = config.outputs.iter().map(|(name, file)| (format!("the output `{name}`"), file));
    for (what, file) in figures.chain(outputs) {
        if let Some((other, _)) = taken.iter().find(|(_, place)| is_same(place, file)) {
            let message = format!("{}: {what} would be written over {other}", config.node.path.display());
            return Err(CliError::setup("file_taken", message)
                .with_hint("everything that is written has a file of its own"));
        }
        taken.push((what, file.clone()));
    }
    Ok(())
}

/// Whether two paths are one place, by links too.
fn is_same(a: &Path, b: &Path) -> bool {
    let place = |path: &Path| -> Option<PathBuf> {
        std::fs::canonicalize(path).ok().or_else(|| {
            let folder =
                path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
            Some(std::fs::canonicalize(folder).ok()?.join(path.file_name()?))
        })
    };
    a == b || place(a).is_some_and(|at| Some(at) == place(b))
}
