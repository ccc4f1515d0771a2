//! How far a run has come: on a terminal one line that is rewritten, elsewhere a line for what a loop reports, and nothing else.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use ml_ops::Iteration;

use crate::output::{Format, bytes};

mod report;

use report::Lines;
pub use report::Report;

/// One step of a run that is under way.
#[derive(Copy, Clone, Debug)]
pub struct Step<'a> {
    /// What is being done: an operation of the program.
    pub label: &'a str,
    /// Where in a loop that is.
    pub iteration: Option<Iteration>,
    /// What the step before reported.
    pub report: Option<&'a Report>,
    /// Rounds done so far.
    pub rounds: u64,
    /// Rounds in all.
    pub rounds_total: u64,
    /// Payload bytes sent so far.
    pub bytes: u64,
    /// Payload bytes that will have been sent.
    pub bytes_total: u64,
}

/// Told how far a run has come.
pub trait Progress: Send {
    /// A phase begins: loading, waiting for peers, computing, closing.
    fn phase(&mut self, name: &str);
    /// The computation moved on.
    fn step(&mut self, step: Step<'_>);
    /// Nothing more comes; a half-written line is removed.
    fn end(&mut self);
}

/// The progress display that fits stderr: one line on a terminal; in a file or pipe a line for every report, for people or
/// scripts.
#[must_use]
pub fn for_stderr(format: Format) -> Box<dyn Progress> {
    if std::io::stderr().is_terminal() { Box::new(TerminalLine::new()) } else { Box::new(Lines::new(format)) }
}

/// Shows nothing.
#[derive(Debug)]
pub struct Silent;

impl Progress for Silent {
    fn phase(&mut self, _name: &str) {}
    fn step(&mut self, _step: Step<'_>) {}
    fn end(&mut self) {}
}

/// Redraws are at least this far apart, so that showing progress costs nothing.
const REDRAW: Duration = Duration::from_millis(100);

struct TerminalLine {
    phase_began: Instant,
    last_drawn: Option<Instant>,
    /// What every report said last.
    reported: BTreeMap<String, String>,
}

impl TerminalLine {
    fn new() -> Self {
        Self { phase_began: Instant::now(), last_drawn: None, reported: BTreeMap::new() }
    }

    fn draw(text: &str) {
        // "Erase to end of line" after the text, so that a shorter line leaves nothing of a longer one.
        let mut err = std::io::stderr().lock();
        let _no_terminal_no_progress = write!(err, "\r{text}\x1b[K").and_then(|()| err.flush());
    }
}

impl Progress for TerminalLine {
    fn phase(&mut self, name: &str) {
        self.phase_began = Instant::now();
        self.last_drawn = None;
        self.reported.clear();
        Self::draw(name);
    }

    fn step(&mut self, step: Step<'_>) {
        if let Some((report, text)) = step.report.and_then(|r| Some((r, r.text()?))) {
            self.reported.insert(report.name.clone(), text);
        }
        let now = Instant::now();
        if self.last_drawn.is_some_and(|last| now.duration_since(last) < REDRAW) {
            return;
        }
        self.last_drawn = Some(now);
        Self::draw(&line(step, &self.reported, now.duration_since(self.phase_began)));
    }

    fn end(&mut self) {
        Self::draw("");
    }
}

impl Step<'_> {
    /// What part is done.
    fn done(&self) -> f64 {
        let share = |done: u64, total: u64| if total == 0 { 1.0 } else { done as f64 / total as f64 };
        // Rounds cost latency and bytes cost bandwidth; which dominates is not known here, so take the mean of both.
        (share(self.rounds, self.rounds_total) + share(self.bytes, self.bytes_total)) / 2.0
    }

    /// The time that is left if the rest goes as the part that is done, once that says something.
    fn seconds_left(&self, elapsed: Duration) -> Option<f64> {
        let done = self.done();
        (done > 0.02).then(|| elapsed.as_secs_f64() * (1.0 - done).max(0.0) / done)
    }
}

fn left_text(seconds: Option<f64>) -> String {
    seconds.map_or_else(String::new, |s| format!(", about {s:.0} s left"))
}

/// Step, rounds, bytes, what was reported last and the time that is left.
fn line(step: Step<'_>, reported: &BTreeMap<String, String>, elapsed: Duration) -> String {
    let (done, left) = (step.done(), left_text(step.seconds_left(elapsed)));
    // People count from 1.
    let place = match step.iteration {
        Some(i) if i.per_epoch < i.of => {
            let (epoch, epochs) = (i.number / i.per_epoch + 1, i.of.div_ceil(i.per_epoch));
            format!("epoch {epoch} of {epochs}, batch {} of {}, ", i.number % i.per_epoch + 1, i.per_epoch)
        }
        Some(i) => format!("iteration {} of {}, ", i.number + 1, i.of),
        None => String::new(),
    };
    let reported: String = reported.iter().map(|(name, values)| format!("{name} {values}, ")).collect();
    format!(
        "{:3.0}% {place}{reported}{}: round {} of {}, {} of {}{left}",
        100.0 * done.min(1.0),
        step.label,
        step.rounds,
        step.rounds_total,
        bytes(step.bytes),
        bytes(step.bytes_total)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_step_rounds_bytes_and_time_left() {
        let step = Step {
            label: "sigmoid",
            iteration: None,
            report: None,
            rounds: 5,
            rounds_total: 10,
            bytes: 500,
            bytes_total: 1_000,
        };
        let line = |step, elapsed| line(step, &BTreeMap::new(), elapsed);
        let text = line(step, Duration::from_secs(4));
        assert_eq!(text, " 50% sigmoid: round 5 of 10, 500 B of 1.0 kB, about 4 s left");
        let start = Step { rounds: 0, bytes: 0, ..step };
        assert!(!line(start, Duration::from_secs(1)).contains("left"));
        let batch =
            |number, per_epoch| Step { iteration: Some(Iteration { number, of: 80, per_epoch }), ..step };
        let text = line(batch(17, 8), Duration::from_secs(4));
        assert!(text.starts_with(" 50% epoch 3 of 10, batch 2 of 8, sigmoid: round 5 of 10"), "{text}");
        assert!(line(batch(17, 80), Duration::ZERO).contains("50% iteration 18 of 80, sigmoid"));
        let empty = Step { rounds: 0, rounds_total: 0, bytes: 0, bytes_total: 0, ..step };
        assert!(line(empty, Duration::ZERO).starts_with("100%"));
    }

    #[test]
    fn the_line_says_what_was_reported_last() {
        let report = Report { name: "loss".into(), number: 2, of: 10, values: Some(vec![0.431_249]) };
        let others = Report { name: "theirs".into(), values: None, ..report.clone() };
        let step = Step {
            label: "carry",
            iteration: Some(Iteration { number: 23, of: 80, per_epoch: 8 }),
            report: Some(&report),
            rounds: 3,
            rounds_total: 10,
            bytes: 300,
            bytes_total: 1_000,
        };
        let mut terminal = TerminalLine::new();
        terminal.last_drawn = Some(Instant::now());
        terminal.step(step);
        // What comes within a moment is not drawn, but said in the next line that is.
        terminal.step(Step { report: Some(&others), ..step });
        let text = line(step, &terminal.reported, Duration::from_secs(3));
        assert!(text.starts_with(" 30% epoch 3 of 10, batch 8 of 8, loss 0.4312, carry: round 3"), "{text}");
        terminal.phase("closing");
        assert!(terminal.reported.is_empty());
    }
}
