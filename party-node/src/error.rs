//! The one error type of the command line: a stable code for scripts, one line for people, and a hint.
//!
//! Library modules have their own typed errors; here they are turned into what a person or a script reads. The
//! message states what was expected and what was seen, the hint says what to do about it.

use std::fmt;
use std::process::ExitCode;

use mpc_core::text::is_plain;
use serde::Serialize;

/// Whose turn it is to act, which decides the exit code.
#[derive(Copy, Clone, Eq, PartialEq, Debug)]
pub enum Fault {
    /// Wrong usage, configuration or local data: the operator of this node can fix it. Exit code 2.
    Setup,
    /// The computation failed or a check did not hold. Exit code 1.
    Outcome,
}

/// An error as the command line shows it.
#[derive(Clone, Debug)]
pub struct CliError {
    fault: Fault,
    code: String,
    message: String,
    hint: Option<String>,
}

/// The JSON form: `{"error": {"code", "message", "hint"}}`.
#[derive(Serialize)]
struct ErrorObject<'a> {
    error: ErrorBody<'a>,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    code: &'a str,
    message: &'a str,
    hint: Option<&'a str>,
}

impl CliError {
    /// A fault of usage, configuration or local data (exit code 2).
    #[must_use]
    pub fn setup(code: impl Into<String>, message: impl fmt::Display) -> Self {
        Self { fault: Fault::Setup, code: code.into(), message: one_line(&message.to_string()), hint: None }
    }

    /// A computation that failed or a check that did not hold (exit code 1).
    #[must_use]
    pub fn outcome(code: impl Into<String>, message: impl fmt::Display) -> Self {
        Self { fault: Fault::Outcome, code: code.into(), message: one_line(&message.to_string()), hint: None }
    }

    /// A file that could not be read or written; names the file and what the system said.
    #[must_use]
    pub fn file(doing: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        let code = if error.kind() == std::io::ErrorKind::NotFound { "file_missing" } else { "file_error" };
        Self::setup(code, format_args!("cannot {doing} {}: {error}", path.display()))
    }

    /// The same error with a hint about what to do.
    #[must_use]
    pub fn with_hint(mut self, hint: impl fmt::Display) -> Self {
        self.hint = Some(one_line(&hint.to_string()));
        self
    }

    /// The stable code, for scripts.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The one-line message.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it, where there is something to say.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Whose turn it is to act.
    #[must_use]
    pub fn fault(&self) -> Fault {
        self.fault
    }

    /// The process exit code: 2 for usage and configuration, 1 for a computation that failed.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self.fault {
            Fault::Setup => ExitCode::from(2),
            Fault::Outcome => ExitCode::from(1),
        }
    }

    /// The JSON object printed on stdout under `--json`.
    #[must_use]
    pub fn to_json(&self) -> String {
        let object = ErrorObject {
            error: ErrorBody { code: &self.code, message: &self.message, hint: self.hint.as_deref() },
        };
        serde_json::to_string(&object).expect("invariant: an object of plain strings always serialises")
    }

    /// Reads back what another `subrosa` process printed under `--json`, if it is such an object.
    #[must_use]
    pub fn from_json(text: &str, fault: Fault) -> Option<Self> {
        let value: serde_json::Value = serde_json::from_str(text.trim()).ok()?;
        let error = value.get("error")?;
        let field = |name: &str| error.get(name).and_then(|v| v.as_str()).map(str::to_owned);
        Some(Self { fault, code: field("code")?, message: one_line(&field("message")?), hint: field("hint") })
    }
}

/// Joins lines, so that an error stays one line whatever its source; control and invisible characters from files or
/// peers never reach the terminal.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split(['\n', '\r']).map(str::trim).filter(|part| !part.is_empty()).collect();
    words.join("; ").chars().map(|c| if is_plain(c) { c } else { '\u{fffd}' }).collect()
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for CliError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line_and_survives_json() {
        let error =
            CliError::setup("config_syntax", "first\n  second\u{1b}[31m\u{202e}").with_hint("do\nthis");
        assert_eq!(error.message(), "first; second\u{fffd}[31m\u{fffd}");
        let back = CliError::from_json(&error.to_json(), Fault::Setup).unwrap();
        assert_eq!(
            (back.code(), back.message(), back.hint()),
            ("config_syntax", error.message(), Some("do; this"))
        );
        let object: serde_json::Value = serde_json::from_str(&error.to_json()).unwrap();
        assert_eq!(object["error"].as_object().unwrap().len(), 3);
    }

    #[test]
    fn exit_codes_follow_whose_turn_it_is() {
        assert_eq!(CliError::setup("x", "y").exit_code(), ExitCode::from(2));
        assert_eq!(CliError::outcome("x", "y").exit_code(), ExitCode::from(1));
        assert!(CliError::from_json("{\"rounds\": 3}", Fault::Outcome).is_none());
    }
}
