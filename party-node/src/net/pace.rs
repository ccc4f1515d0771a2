//! How often something that others cause may be told.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lines that pass at once.
const BURST: u32 = 20;
/// After that, one line passes in this time.
const REFILL: Duration = Duration::from_secs(1);

/// Lets a burst pass and then a trickle: what a peer or a stranger can make a node print is bounded, however often it
/// knocks.
pub(crate) struct Pace(Mutex<State>);

struct State {
    left: u32,
    refilled: Instant,
    held_back: u64,
}

impl Pace {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(State { left: BURST, refilled: Instant::now(), held_back: 0 }))
    }

    /// The text as it may be told now, with a word about what was held back before it; `None` holds it back.
    pub(crate) fn pass(&self, text: &str) -> Option<String> {
        self.pass_at(text, Instant::now())
    }

    fn pass_at(&self, text: &str, now: Instant) -> Option<String> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let periods = now.saturating_duration_since(state.refilled).as_millis() / REFILL.as_millis();
        if periods > 0 {
            state.left = state.left.saturating_add(u32::try_from(periods).unwrap_or(BURST)).min(BURST);
            state.refilled = now;
        }
        if state.left == 0 {
            state.held_back += 1;
            return None;
        }
        state.left -= 1;
        Some(match std::mem::take(&mut state.held_back) {
            0 => text.to_owned(),
            n => format!("{text} (and {n} more such lines before)"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_a_trickle() {
        let pace = Pace::new();
        let start = Instant::now();
        let passed = (0..1000).filter(|_| pace.pass_at("x", start).is_some()).count();
        assert_eq!(passed, BURST as usize);
        assert_eq!(pace.pass_at("x", start + REFILL).unwrap(), "x (and 980 more such lines before)");
        assert_eq!(pace.pass_at("x", start + REFILL), None);
        assert_eq!(pace.pass_at("x", start + 3 * REFILL).unwrap(), "x (and 1 more such lines before)");
        let later = start + 1000 * REFILL;
        assert_eq!((0..1000).filter(|_| pace.pass_at("x", later).is_some()).count(), BURST as usize);
    }
}
