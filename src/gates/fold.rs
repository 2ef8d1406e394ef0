//! From the checks of a gate to the gate's own verdict.
//!
//! All checks must pass. One that failed settles the gate at once, and one that proved nothing keeps it from passing
//! whatever the others say: Fail over Inconclusive over pending over Pass.

use super::{CheckState, Verdict, listed};
use crate::api::Gate;
use crate::api::conditions::MESSAGE_MAX;
use crate::findings::text::clean;

/// Checks named in a message.
const SHOWN: usize = 3;

/// A check of the gate by its name, and where it stands.
#[derive(Clone, Debug)]
pub struct Named<'a> {
    /// Name of the check, with its container where it runs once for each.
    pub check: &'a str,
    /// Where it stands.
    pub state: &'a CheckState,
}

/// Where a gate stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GateState {
    /// At least one check is awaited, and none has failed or proved nothing.
    Pending(String),
    /// It is settled.
    Settled {
        /// The verdict.
        verdict: Verdict,
        /// Why, in sentences.
        message: String,
    },
}

/// Folds the checks of a gate. A gate without any check passes, save the scan: that one was never asked for nothing.
pub fn fold(gate: Gate, checks: &[Named<'_>]) -> GateState {
    for verdict in [Verdict::Fail, Verdict::Inconclusive] {
        let found = messages(checks, verdict);
        if !found.is_empty() {
            return settled(verdict, &together(&found));
        }
    }
    let awaited: Vec<String> = checks
        .iter()
        .filter_map(|named| match named.state {
            CheckState::Pending(awaited) => Some(said(named.check, awaited)),
            CheckState::Done(_) => None,
        })
        .collect();
    if !awaited.is_empty() {
        return GateState::Pending(clean(&together(&awaited), MESSAGE_MAX));
    }
    match (gate, checks.len()) {
        (Gate::Scan, 0) => settled(Verdict::Inconclusive, "No scan was run, and without one nothing is proven."),
        (_, 0) => settled(Verdict::Pass, "The policy lists no check for this gate."),
        (_, 1) => settled(Verdict::Pass, &messages(checks, Verdict::Pass).concat()),
        (_, n) => {
            let names: Vec<&str> = checks.iter().map(|named| named.check).collect();
            settled(Verdict::Pass, &format!("All {n} checks passed: {}.", listed(&names, SHOWN)))
        }
    }
}

fn messages(checks: &[Named<'_>], wanted: Verdict) -> Vec<String> {
    checks
        .iter()
        .filter_map(|named| match named.state {
            CheckState::Done(outcome) if outcome.verdict == wanted => Some(said(named.check, &outcome.message)),
            _ => None,
        })
        .collect()
}

/// What a check said, in a message that may hold that of others.
pub fn said(check: &str, what: &str) -> String {
    format!("Check {check}: {what}")
}

/// The first of several sentences, and how many more there are.
fn together(said: &[String]) -> String {
    let text = said.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(" ");
    match said.len().saturating_sub(SHOWN) {
        0 => text,
        more => format!("{text} And {more} more."),
    }
}

fn settled(verdict: Verdict, message: &str) -> GateState {
    GateState::Settled { verdict, message: clean(message, MESSAGE_MAX) }
}

#[cfg(test)]
#[path = "fold_tests.rs"]
mod tests;
