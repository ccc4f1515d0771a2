//! Tables of cases, run side by side, and what must hold in each.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::act::Script;
use super::honest::Ending;
use super::world::{MALLORY, World, panics};

/// Cases under way at once; they wait more than they compute.
const AT_ONCE: usize = 10;
/// Held by every test that keeps more than two cores busy: nodes that starve look like nodes that are silent.
pub(crate) static ALONE: Mutex<()> = Mutex::new(());
/// A node that need not wait for a silent one ends within this, on a busy machine too.
const PROMPT: Duration = Duration::from_secs(6);

/// What honest nodes must see.
#[derive(Clone, Debug)]
pub(super) enum Expect {
    /// No party gets an output. Someone sees it with one of these codes and holds Mallory responsible; the others see
    /// the same or are told, and hold nobody else responsible.
    Caught(&'static [&'static str]),
    /// No party gets an output. Someone sees one of these codes. Nobody is held responsible, for nobody can know.
    Unattributed(&'static [&'static str]),
    /// No party gets an output. Someone sees one of these codes, and whether Mallory is held responsible depends on who
    /// looks first; nobody else is.
    Ended(&'static [&'static str]),
    /// No party gets an output. The dealer sees it with one of these codes and holds Mallory responsible.
    CaughtByDealer(&'static [&'static str]),
    /// No party gets an output. Everyone says whose word it is that someone is responsible.
    Hearsay,
    /// It comes when the parties are done, who may have their outputs. The dealer sees one of these codes.
    TooLate(&'static [&'static str]),
    /// It comes when the parties are done or about to be: whatever it costs, no honest node is held responsible.
    Blameless,
    /// Nothing happens: everyone comes to a good end.
    Harmless,
}

pub(super) struct Case {
    pub(super) name: String,
    pub(super) world: World,
    pub(super) script: Script,
    pub(super) expect: Expect,
    /// How long a node may take.
    limit: Duration,
}

impl Case {
    pub(super) fn new(name: impl Into<String>, world: World, script: Script, expect: Expect) -> Self {
        let limit = world.patience().unwrap_or(PROMPT);
        Self { name: name.into(), world, script, expect, limit }
    }

    /// What a node may take where a deadline of the protocol must pass.
    pub(super) fn within(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// What is wrong with how it went, if anything.
    fn complaint(&self) -> Option<String> {
        let (endings, _) = self.world.run(self.script.clone());
        let limit = self.limit;
        let wrong = verdict(&self.expect, &endings).or_else(|| {
            let late = endings.iter().find(|e| e.took > limit)?;
            Some(format!("{} took longer than {limit:?}", late.who))
        })?;
        let all: Vec<String> = endings.iter().map(|e| format!("    {e:?}\n")).collect();
        Some(format!(
            "{} ({:?}): {wrong}, expected {:?}\n{}",
            self.name,
            self.world.hostile,
            self.expect,
            all.concat()
        ))
    }
}

fn verdict(expect: &Expect, endings: &[Ending]) -> Option<String> {
    let (parties, dealer): (Vec<_>, Vec<_>) = endings.iter().partition(|e| e.who != "dora");
    if let Some(e) = endings.iter().find(|e| !is_plain(&e.text)) {
        return Some(format!("{} prints what a peer told it to", e.who));
    }
    if matches!(expect, Expect::Hearsay) {
        let unclear = endings.iter().find(|e| !e.blamed.is_empty() && !attributed(e));
        let output = parties.iter().find(|e| e.has_output());
        return output.or(unclear.as_ref()).map(|e| format!("{} does not say whose word it is", e.who));
    }
    let names_mallory = |e: &Ending| e.blamed.iter().any(|b| b == MALLORY);
    // Who left because of her may be missed by one that had not met it yet, which is no more than the truth.
    let left = |name: &String| endings.iter().any(|e| e.who == *name && names_mallory(e));
    let framed = endings.iter().find(|e| {
        let missed = e.code == "peer_absent" && e.blamed.iter().all(|b| b == MALLORY || left(b));
        !e.blamed.is_empty() && !names_mallory(e) && !missed
    });
    if let Some(e) = framed {
        return Some(format!("{} holds {:?} responsible", e.who, e.blamed));
    }
    let (codes, blamed) = match expect {
        Expect::Hearsay | Expect::Blameless => return None,
        Expect::Harmless => {
            let failed = endings.iter().find(|e| !e.has_output());
            return failed.map(|e| format!("{} failed", e.who));
        }
        Expect::Caught(codes) => (codes, true),
        Expect::Unattributed(codes) => (codes, false),
        Expect::Ended(codes) => {
            let ended = parties.iter().all(|e| !e.has_output());
            let seen = ended && endings.iter().any(|e| codes.contains(&e.code));
            return (!seen).then(|| "it did not end so".into());
        }
        Expect::TooLate(codes) | Expect::CaughtByDealer(codes) => {
            let early = matches!(expect, Expect::CaughtByDealer(_));
            if let Some(e) = parties.iter().find(|e| early && e.has_output()) {
                return Some(format!("{} got an output", e.who));
            }
            // A dealer that gave up blames nobody.
            let fits = |e: &Ending| (e.code == "peer_aborted") == e.blamed.is_empty();
            let seen = dealer.iter().any(|e| codes.contains(&e.code) && fits(e));
            return (!seen).then(|| "the dealer did not see it".into());
        }
    };
    if let Some(e) = parties.iter().find(|e| e.has_output()) {
        return Some(format!("{} got an output", e.who));
    }
    let seen = |e: &Ending| codes.contains(&e.code) && e.blamed.is_empty() != blamed;
    if !endings.iter().any(seen) {
        return Some("nobody saw it".into());
    }
    let stray = |e: &&Ending| {
        !codes.contains(&e.code) && !["peer_aborted", "peer_absent"].contains(&e.code) && !e.has_output()
    };
    if let Some(e) = endings.iter().find(stray) {
        return Some(format!("{} saw something else", e.who));
    }
    let accused = endings.iter().find(|e| !blamed && !e.blamed.is_empty());
    accused.map(|e| format!("{} holds {:?} responsible", e.who, e.blamed))
}

fn is_plain(text: &str) -> bool {
    text.len() < 1_500 && !text.chars().any(|c| c.is_control() || ('\u{2028}'..='\u{202e}').contains(&c))
}

/// Mallory is held responsible, or the accusation is said to be hers.
fn attributed(e: &Ending) -> bool {
    e.blamed.iter().all(|b| b == MALLORY) || e.text.contains("mallory gave up")
}

/// Runs all cases; complains about all that went wrong at once.
pub(super) fn run_all(cases: Vec<Case>) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let count = cases.len();
    let waiting = Mutex::new(VecDeque::from(cases));
    let complaints = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(count) {
            scope.spawn(|| {
                loop {
                    let Some(case) = waiting.lock().unwrap().pop_front() else { return };
                    let complaint = case.complaint();
                    complaints.lock().unwrap().extend(complaint);
                }
            });
        }
    });
    let complaints = complaints.into_inner().unwrap();
    assert!(complaints.is_empty(), "{} of {count} cases:\n{}", complaints.len(), complaints.join("\n"));
    assert!(panics().is_empty(), "a network thread panicked: {:?}", panics());
}
