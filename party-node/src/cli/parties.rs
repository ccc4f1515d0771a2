//! Parties as flags name them, and the network between them, for the commands that make programs.

use std::str::FromStr;

use ml_ops::Program;
use mpc_core::party::MAX_PARTIES;

use crate::config::Net;
use crate::error::CliError;

/// A magnitude, for all parties or one: `NUMBER` or `NAME=NUMBER`.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct OwnRange {
    pub(super) of: Option<String>,
    pub(super) max_abs: f64,
}

impl FromStr for OwnRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (of, number) = match text.rsplit_once('=') {
            Some((of, number)) => (Some(of.to_owned()), number),
            None => (None, text),
        };
        Ok(Self { of, max_abs: magnitude(number)? })
    }
}

/// A number that magnitudes can be bounded by.
pub(super) fn magnitude(number: &str) -> Result<f64, String> {
    let max_abs = number.parse().ok().filter(|v: &f64| v.is_finite() && *v > 0.0);
    max_abs.ok_or_else(|| format!("expected a number above 0, got `{number}`"))
}

impl OwnRange {
    /// What is said about one party alone.
    pub(super) fn of(all: &[Self], name: &str) -> Option<f64> {
        all.iter().find(|r| r.of.as_deref() == Some(name)).map(|r| r.max_abs)
    }

    /// What is said about all.
    pub(super) fn common(all: &[Self], otherwise: f64) -> f64 {
        all.iter().find(|r| r.of.is_none()).map_or(otherwise, |r| r.max_abs)
    }

    /// The first party that is named and brings nothing.
    pub(super) fn stray(all: &[Self], brings: impl Fn(&str) -> bool) -> Option<&str> {
        all.iter().filter_map(|r| r.of.as_deref()).find(|of| !brings(of))
    }
}

/// The parties of a program in order: those that a flag lists, or else those that other flags name, as they come.
pub(super) struct Parties {
    names: Vec<String>,
    listed: bool,
}

impl Parties {
    pub(super) fn new(listed: &[String]) -> Self {
        Self { names: listed.to_vec(), listed: !listed.is_empty() }
    }

    /// The place of a party.
    pub(super) fn index(&mut self, name: &str) -> Result<usize, CliError> {
        if let Some(at) = self.names.iter().position(|p| p == name) {
            return Ok(at);
        }
        if self.listed {
            let message = format!("`{name}` is not among the parties {}", self.names.join(", "));
            return Err(
                CliError::setup("usage", message).with_hint("--parties lists all of them, or is left out")
            );
        }
        self.names.push(name.to_owned());
        Ok(self.names.len() - 1)
    }

    /// Their names, if a program can have so many; `hint` says how others are named.
    pub(super) fn names(self, hint: &str) -> Result<Vec<String>, CliError> {
        let wrong = match self.names.len() {
            0 | 1 => format!("{} alone computes nothing jointly", self.names.join("")),
            n if n > MAX_PARTIES => format!("{n} parties are too many"),
            _ => return Ok(self.names),
        };
        let message = format!("{wrong}: a program has 2 to {MAX_PARTIES} parties");
        Err(CliError::setup("usage", message).with_hint(hint))
    }
}

/// The program with trees of comparisons for the network that a flag names.
pub(super) fn between(program: Program, net: Option<Net>) -> Result<Program, CliError> {
    let Some(net) = net else { return Ok(program) };
    program.with_trees(net.trees()).map_err(|e| {
        CliError::setup("bad_program", format_args!("--net {net}: {e}")).with_hint("leave out --net")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_of_all_or_of_one() {
        assert!("bank=-1".parse::<OwnRange>().is_err() && "NaN".parse::<OwnRange>().is_err());
        let all = ["bank=8", "32"].map(|text| text.parse::<OwnRange>().unwrap());
        assert_eq!((OwnRange::of(&all, "bank"), OwnRange::of(&all, "bureau")), (Some(8.0), None));
        assert_eq!((OwnRange::common(&all, 1.0), OwnRange::common(&all[..1], 1.0)), (32.0, 1.0));
        assert_eq!(OwnRange::stray(&all, |name| name == "bank"), None);
        assert_eq!(OwnRange::stray(&all, |name| name == "bureau"), Some("bank"));
    }

    #[test]
    fn parties_are_listed_or_come_as_they_are_named() {
        let mut named = Parties::new(&[]);
        assert_eq!(["bank", "bureau", "bank"].map(|n| named.index(n).unwrap()), [0, 1, 0]);
        assert_eq!(named.names("").unwrap(), ["bank", "bureau"]);
        let mut listed = Parties::new(&["bureau".to_owned(), "bank".to_owned()]);
        assert_eq!(listed.index("bank").unwrap(), 1);
        assert!(listed.index("shop").unwrap_err().message().contains("not among the parties bureau, bank"));
        let mut alone = Parties::new(&[]);
        alone.index("bank").unwrap();
        let error = alone.names("name the others").unwrap_err();
        assert!(error.message().contains("bank alone computes nothing jointly"), "{error}");
        assert_eq!(error.hint(), Some("name the others"));
        let mut many = Parties::new(&[]);
        (0..6).for_each(|i| assert_eq!(many.index(&i.to_string()).unwrap(), i));
        assert!(many.names("").unwrap_err().message().contains("6 parties are too many"));
    }
}
