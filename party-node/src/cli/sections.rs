//! What the commands that make programs print for the parties' configurations: sections as TOML, with places to fill in.

use std::fmt::{Display, Write as _};
use std::path::Path;

/// Lines that belong in one party's configuration.
pub(super) struct Sections(String);

impl Sections {
    /// Begins with the job.
    pub(super) fn job(program: &Path, weights: Option<&Path>) -> Self {
        let mut sections = Self("[job]\n".into());
        sections.field("program", text(&program.to_string_lossy()));
        if let Some(file) = weights {
            sections.field("weights", text(&file.to_string_lossy()));
        }
        sections
    }

    /// Begins the section of an input.
    pub(super) fn input(&mut self, name: &str) -> &mut Self {
        self.line(format_args!("[inputs.{}]", text(name)))
    }

    /// Begins the section of an output, which goes to a file.
    pub(super) fn output(&mut self, name: &str, file: &str) -> &mut Self {
        self.line(format_args!("[outputs.{}]", text(name))).field("file", text(file))
    }

    /// The fields of a table, whose columns are to be filled in.
    pub(super) fn table(&mut self, columns: usize) -> &mut Self {
        self.field("file", text("FILE.csv"))
            .field("key_column", text("ID"))
            .field("columns", format_args!("[\"…\"]   # {columns} of them"))
    }

    /// A field of the section that was begun last.
    pub(super) fn field(&mut self, name: &str, value: impl Display) -> &mut Self {
        self.line(format_args!("{name} = {value}"))
    }

    fn line(&mut self, line: impl Display) -> &mut Self {
        let _infallible = writeln!(self.0, "{line}");
        self
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }
}

/// A string as TOML has it.
pub(super) fn text(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// Stands before all sections.
pub(super) const PATHS: &str = "paths in a configuration are relative to its folder";

/// A paragraph of sections under a heading, set in.
pub(super) fn paragraph(heading: &str, sections: &str) -> String {
    let lines: String = sections.lines().map(|line| format!("    {line}\n")).collect();
    format!("\n  {heading}:\n{lines}")
}
