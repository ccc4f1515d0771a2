//! How far a run has come: on a terminal one line that is rewritten, elsewhere nothing.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use ml_ops::Iteration;

use crate::output::bytes;

/// One step of a run that is under way.
#[derive(Copy, Clone, Debug)]
pub struct Step<'a> {
    /// What is being done: an operation of the program.
    pub label: &'a str,
    /// Where in a loop that is.
    pub iteration: Option<Iteration>,
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

/// The progress display that fits stderr: a line on a terminal, nothing in a file or pipe.
#[must_use]
pub fn for_stderr() -> Box<dyn Progress> {
    if std::io::stderr().is_terminal() { Box::new(TerminalLine::new()) } else { Box::new(Silent) }
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
}

impl TerminalLine {
    fn new() -> Self {
        Self { phase_began: Instant::now(), last_drawn: None }
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
        Self::draw(name);
    }

    fn step(&mut self, step: Step<'_>) {
        let now = Instant::now();
        if self.last_drawn.is_some_and(|last| now.duration_since(last) < REDRAW) {
            return;
        }
        self.last_drawn = Some(now);
        Self::draw(&line(step, now.duration_since(self.phase_began)));
    }

    fn end(&mut self) {
        Self::draw("");
    }
}

/// Step, rounds, bytes and the time that is left if the rest goes as the part that is done.
fn line(step: Step<'_>, elapsed: Duration) -> String {
    let share = |done: u64, total: u64| if total == 0 { 1.0 } else { done as f64 / total as f64 };
    // Rounds cost latency and bytes cost bandwidth; which dominates is not known here, so take the mean of both.
    let done = (share(step.rounds, step.rounds_total) + share(step.bytes, step.bytes_total)) / 2.0;
    let left = if done > 0.02 {
        format!(", about {:.0} s left", elapsed.as_secs_f64() * (1.0 - done).max(0.0) / done)
    } else {
        String::new()
    };
    // People count from 1.
    let place = match step.iteration {
        Some(i) if i.per_epoch < i.of => {
            let (epoch, epochs) = (i.number / i.per_epoch + 1, i.of.div_ceil(i.per_epoch));
            format!("epoch {epoch} of {epochs}, batch {} of {}, ", i.number % i.per_epoch + 1, i.per_epoch)
        }
        Some(i) => format!("iteration {} of {}, ", i.number + 1, i.of),
        None => String::new(),
    };
    format!(
        "{:3.0}% {place}{}: round {} of {}, {} of {}{left}",
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
            rounds: 5,
            rounds_total: 10,
            bytes: 500,
            bytes_total: 1_000,
        };
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
}
