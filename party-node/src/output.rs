//! How results reach people and scripts: aligned text or one JSON object on stdout, errors on stderr (on stdout under
//! `--json`), never both.

use std::fmt::{self, Write as _};
use std::io::{ErrorKind, Write as _};
use std::process::ExitCode;

use serde::Serialize;

use crate::error::CliError;

/// Who reads what a command prints.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum Format {
    /// A person: aligned text.
    Text,
    /// A script: one JSON object.
    Json,
}

impl Format {
    /// Prints a finished command's result: `text()` for people, `value` for scripts.
    ///
    /// # Errors
    /// If `value` cannot be written as JSON (a figure that is not a number), or stdout cannot be written.
    pub fn print<T: Serialize>(self, value: &T, text: impl FnOnce() -> String) -> Result<(), CliError> {
        let mut line = match self {
            Self::Text => text(),
            Self::Json => serde_json::to_string_pretty(value).map_err(|e| {
                CliError::outcome("output", format_args!("cannot write the result as JSON: {e}"))
            })?,
        };
        if !line.ends_with('\n') {
            line.push('\n');
        }
        write_stdout(&line)
    }

    /// Prints an error where its reader looks for it and gives the exit code.
    #[must_use]
    pub fn fail(self, error: &CliError) -> ExitCode {
        let told = self == Self::Json
            && error.code() != STDOUT_FAILED
            && write_stdout(&format!("{}\n", error.to_json())).is_ok();
        if !told {
            say(format_args!("error: {error}"));
            if let Some(hint) = error.hint() {
                say(format_args!("hint: {hint}"));
            }
        }
        error.exit_code()
    }
}

/// The code of an error that stdout cannot tell of, because it is stdout that failed.
const STDOUT_FAILED: &str = "stdout_failed";

/// Writes to stdout. A reader that went away (`| head`) has read what it wanted.
///
/// # Errors
/// Any other failure, such as a full disk: what a script would take for the whole result is not.
pub fn write_stdout(text: &str) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => {
            Err(CliError::outcome(STDOUT_FAILED, format_args!("cannot write to standard output: {e}"))
                .with_hint("what the command writes into files is there; what it had to say is lost"))
        }
        _ => Ok(()),
    }
}

/// Tells the operator a line on stderr. Where that cannot be written there is nobody to tell, which is no reason to end.
pub fn say(line: impl fmt::Display) {
    let _nobody_there = writeln!(std::io::stderr().lock(), "{line}");
}

/// Text in aligned columns. Numbers align right, the rest left.
#[derive(Debug)]
pub struct Table {
    rows: Vec<Vec<String>>,
    right: Vec<bool>,
}

impl Table {
    /// A table with these headings; one that starts with `>` names a right-aligned column.
    #[must_use]
    pub fn new(headings: &[&str]) -> Self {
        let right = headings.iter().map(|h| h.starts_with('>')).collect();
        Self { rows: vec![headings.iter().map(|h| h.trim_start_matches('>').to_owned()).collect()], right }
    }

    /// Appends a row; missing cells stay empty, surplus cells are dropped.
    pub fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        let mut row: Vec<String> = cells.into_iter().map(Into::into).take(self.right.len()).collect();
        row.resize(self.right.len(), String::new());
        self.rows.push(row);
    }

    /// The lines, each indented by `indent` spaces and ended by a newline.
    #[must_use]
    pub fn render(&self, indent: usize) -> String {
        let widths: Vec<usize> = (0..self.right.len())
            .map(|c| self.rows.iter().map(|r| r[c].chars().count()).max().unwrap_or(0))
            .collect();
        let mut out = String::new();
        for row in &self.rows {
            let mut line = " ".repeat(indent);
            for ((cell, &width), &right) in row.iter().zip(&widths).zip(&self.right) {
                let pad = " ".repeat(width - cell.chars().count());
                let (before, after) = if right { (pad.as_str(), "") } else { ("", pad.as_str()) };
                let _infallible = write!(line, "{before}{cell}{after}  ");
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

/// A count with thousands separated: `12,345`.
#[must_use]
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number of bytes in a unit that people read: `512 B`, `17.3 kB`, `2.50 MB`.
#[must_use]
pub fn bytes(n: u64) -> String {
    let x = n as f64;
    match n {
        0..1_000 => format!("{n} B"),
        1_000..1_000_000 => format!("{:.1} kB", x / 1e3),
        1_000_000..1_000_000_000 => format!("{:.2} MB", x / 1e6),
        _ => format!("{:.2} GB", x / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align() {
        let mut table = Table::new(&["name", ">points"]);
        table.row(["bureau", "7"]);
        table.row(["b", "1,000"]);
        assert_eq!(table.render(2), "  name    points\n  bureau       7\n  b        1,000\n");
    }

    #[test]
    fn figures_are_readable() {
        assert_eq!(
            [count(0), count(999), count(1_000), count(1_234_567)],
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!([bytes(999), bytes(17_300), bytes(2_500_000)], ["999 B", "17.3 kB", "2.50 MB"]);
    }
}
