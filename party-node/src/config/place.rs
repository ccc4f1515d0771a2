//! Points into a configuration file: turns a span into `file:line:column` and shows the line.

use std::fs::File;
use std::io::{self, Read as _};
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::error::CliError;
use crate::identity::may_hold_key;

/// A configuration's text and where it came from.
pub(crate) struct Source {
    path: PathBuf,
    text: String,
}

/// No honest configuration is larger.
const MAX_BYTES: u64 = 1 << 20;

/// The text of a file, or nothing if it has more than `max` bytes. No more are read, whatever the system says of the
/// size: of devices and pipes it says 0.
pub(super) fn read_text(path: &Path, max: u64) -> io::Result<Option<String>> {
    let mut text = String::new();
    File::open(path)?.take(max + 1).read_to_string(&mut text)?;
    Ok((text.len() as u64 <= max).then_some(text))
}

impl Source {
    /// Reads the file.
    pub(crate) fn read(path: &Path) -> Result<Self, CliError> {
        let failed = |e: io::Error| {
            CliError::file("read configuration", path, &e).with_hint("--config names the node's TOML file")
        };
        let text = read_text(path, MAX_BYTES).map_err(failed)?.ok_or_else(|| {
            let message = format!("{}: a configuration has at most {MAX_BYTES} bytes", path.display());
            CliError::setup("config_too_large", message)
        })?;
        Ok(Self { path: path.into(), text })
    }

    /// Parses the text; a complaint carries line and column.
    pub(crate) fn parse<T: DeserializeOwned>(&self) -> Result<T, CliError> {
        toml::from_str(&self.text).map_err(|e| self.error("config_syntax", e.span(), e.message()))
    }

    /// An error about a place in the file, or about the whole file.
    pub(crate) fn error(
        &self,
        code: &str,
        span: Option<Range<usize>>,
        message: impl std::fmt::Display,
    ) -> CliError {
        let path = self.path.display();
        let mut message = message.to_string();
        if may_hold_key(&message) {
            "here stands something else than expected, which is not shown: it may be a private key"
                .clone_into(&mut message);
        }
        let Some(start) = span.map(|s| s.start.min(self.text.len())) else {
            return CliError::setup(code, format_args!("{path}: {message}"));
        };
        let before = self.text.get(..start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        let column = before[line_start..].chars().count() + 1;
        let shown: String =
            self.text[line_start..].lines().next().unwrap_or_default().chars().take(120).collect();
        let error = CliError::setup(code, format_args!("{path}:{line}:{column}: {message}"));
        if may_hold_key(&shown) {
            return error.with_hint(format_args!("line {line} is not shown: it may hold a private key"));
        }
        error.with_hint(format_args!("line {line} is `{}`", shown.trim()))
    }

    /// A path in the file, relative to the file's folder.
    pub(crate) fn resolve(&self, path: &str) -> PathBuf {
        self.path.parent().unwrap_or_else(|| Path::new("")).join(path)
    }
}
