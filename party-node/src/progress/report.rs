//! What leaves while a loop runs, as this node's operator sees it.

use std::time::{Duration, Instant};

use ml_ops::Reported;

use super::{Progress, Step, left_text};
use crate::output::{Format, say};

/// Values of one report that a line shows.
const SHOWN_VALUES: usize = 4;

/// What left while a loop runs.
#[derive(Clone)]
pub struct Report {
    /// The output's name.
    pub name: String,
    /// Which report it is, from 0.
    pub number: u32,
    /// Reports in all.
    pub of: u32,
    /// What it says, if this party is a recipient.
    pub values: Option<Vec<f64>>,
}

/// Does not show what was reported.
impl std::fmt::Debug for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Report");
        shown.field("name", &self.name).field("number", &self.number).field("of", &self.of);
        shown.finish_non_exhaustive()
    }
}

impl From<Reported<'_>> for Report {
    fn from(r: Reported<'_>) -> Self {
        let values = r.values.map(|v| v.iter().copied().collect());
        Self { name: r.name.to_owned(), number: r.number, of: r.of, values }
    }
}

impl Report {
    /// The first values, if this party knows them.
    pub(super) fn text(&self) -> Option<String> {
        let values = self.values.as_ref()?;
        let mut text: Vec<String> = values.iter().take(SHOWN_VALUES).map(|&v| number(v)).collect();
        if values.len() > SHOWN_VALUES {
            text.push("…".to_owned());
        }
        Some(text.join(" "))
    }
}

/// A line for every report, and nothing else.
pub(super) struct Lines {
    format: Format,
    phase_began: Instant,
}

impl Lines {
    pub(super) fn new(format: Format) -> Self {
        Self { format, phase_began: Instant::now() }
    }
}

impl Progress for Lines {
    fn phase(&mut self, _name: &str) {
        self.phase_began = Instant::now();
    }

    fn step(&mut self, step: Step<'_>) {
        let Some(report) = step.report else { return };
        let elapsed = self.phase_began.elapsed();
        match self.format {
            Format::Text => say(reported(step, report, elapsed)),
            Format::Json => say(reported_json(step, report, elapsed)),
        }
    }

    fn end(&mut self) {}
}

/// For people: where in the loop, what was reported, and the time that is left.
fn reported(step: Step<'_>, report: &Report, elapsed: Duration) -> String {
    let place = match step.iteration {
        Some(i) if i.per_epoch < i.of && report.of == i.of.div_ceil(i.per_epoch) => "epoch",
        Some(i) if report.of == i.of => "iteration",
        _ => "report",
    };
    let said = report.text().unwrap_or_else(|| "reported to others".to_owned());
    let left = left_text(step.seconds_left(elapsed));
    format!("{place} {} of {}: {} {said}{left}", report.number + 1, report.of, report.name)
}

/// The same for scripts.
fn reported_json(step: Step<'_>, report: &Report, elapsed: Duration) -> serde_json::Value {
    serde_json::json!({
        "report": report.name,
        "number": report.number + 1,
        "of": report.of,
        "iteration": step.iteration.map(|i| i.number + 1),
        "values": report.values,
        "seconds_left": step.seconds_left(elapsed),
    })
}

/// Four places after the point, where they say something.
fn number(v: f64) -> String {
    if v == 0.0 || (1e-3..1e6).contains(&v.abs()) { format!("{v:.4}") } else { format!("{v:.3e}") }
}

#[cfg(test)]
mod tests {
    use ml_ops::Iteration;

    use super::*;

    #[test]
    fn lines_say_what_was_reported() {
        let report = Report { name: "loss".into(), number: 2, of: 10, values: Some(vec![0.431_249]) };
        let step = Step {
            label: "carry",
            iteration: Some(Iteration { number: 23, of: 80, per_epoch: 8 }),
            report: Some(&report),
            rounds: 3,
            rounds_total: 10,
            bytes: 300,
            bytes_total: 1_000,
        };
        let elapsed = Duration::from_secs(3);
        assert_eq!(reported(step, &report, elapsed), "epoch 3 of 10: loss 0.4312, about 7 s left");
        let json = serde_json::json!({
            "report": "loss", "number": 3, "of": 10, "iteration": 24, "values": [0.431_249], "seconds_left": 7.0,
        });
        let mut got = reported_json(step, &report, elapsed);
        let left = got["seconds_left"].as_f64().unwrap();
        assert!((left - 7.0).abs() < 1e-9);
        got["seconds_left"] = 7.0.into();
        assert_eq!(got, json);
        assert!(!format!("{step:?}").contains("43"), "{step:?}");

        let others = Report { values: None, of: 80, number: 23, ..report.clone() };
        assert_eq!(
            reported(step, &others, elapsed),
            "iteration 24 of 80: loss reported to others, about 7 s left"
        );
        assert_eq!(reported_json(step, &others, elapsed)["values"], serde_json::Value::Null);
        let start = Step { rounds: 0, bytes: 0, iteration: None, ..step };
        assert_eq!(reported(start, &report, elapsed), "report 3 of 10: loss 0.4312");
        let many = Report { values: Some(vec![0.0, -2.5, 1e-9, 3e7, 5.0]), ..report.clone() };
        assert_eq!(many.text().as_deref(), Some("0.0000 -2.5000 1.000e-9 3.000e7 …"));
    }
}
