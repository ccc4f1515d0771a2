//! The commands of a page: lines `$ subrosa …`, as a reader types them.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::process::{DEADLINE, Ended, Running};

/// The commands without the program's name, `{a,b}` written out, without comments.
#[must_use]
pub fn commands(page: &Path) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(page).unwrap();
    let lines = text.lines().filter_map(|l| l.trim().strip_prefix("$ subrosa "));
    let lines = lines.map(|l| l.split_once(" #").map_or(l, |(command, _comment)| command));
    lines.map(|line| line.split_whitespace().flat_map(braces).collect()).collect()
}

/// `a/{x,y}.key` as `a/x.key` and `a/y.key`.
fn braces(word: &str) -> Vec<String> {
    let parts = word.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?)));
    match parts {
        Some((before, (middle, after))) => middle.split(',').map(|m| format!("{before}{m}{after}")).collect(),
        None => vec![word.to_owned()],
    }
}

/// Starts a command in a folder, for a result as JSON.
#[must_use]
pub fn start(program: &str, dir: &Path, args: &[String]) -> Running {
    Running::from_command(&args.join(" "), Command::new(program).current_dir(dir).args(args).arg("--json"))
}

/// Runs it to its end.
#[must_use]
pub fn run(program: &str, dir: &Path, args: &[String]) -> Ended {
    start(program, dir, args).finish(Instant::now() + DEADLINE)
}
