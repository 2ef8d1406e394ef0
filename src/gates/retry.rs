//! What follows an inconclusive check: it is run again a few times, and then it fails.
//!
//! A scanner whose data base is being replaced, or a node that loses a pod, is better asked again than believed. What
//! stays unproven is not let through: after the last run the check fails.

use std::time::Duration;

use jiff::Timestamp;

use super::{CheckOutcome, Verdict};
use crate::api::time::after;

/// The waits before the second, third and fourth run: short enough to lose little time over a hiccup, and together
/// long enough for a pod to be moved or a data base to be replaced.
pub const WAITS: [Duration; 3] = [Duration::from_secs(10), Duration::from_secs(30), Duration::from_secs(90)];

/// How often a check is run at most.
pub const RUNS: usize = WAITS.len() + 1;

/// What follows an inconclusive run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It is run again, not before this time.
    Wait {
        /// When the wait is over.
        until: Timestamp,
    },
    /// It is run again now, as this run.
    Run(u32),
    /// It has been run often enough, and has failed.
    Exhausted,
}

/// What follows run number `run`, counted from 1, that was inconclusive and ended at `ended`.
pub fn next(run: u32, ended: Timestamp, now: Timestamp) -> Next {
    match due(run, ended) {
        None => Next::Exhausted,
        Some(until) if now < until => Next::Wait { until },
        Some(_) => Next::Run(run + 1),
    }
}

/// When another run follows run number `run`, counted from 1, that was inconclusive and ended at `ended`; `None` after the last.
pub fn due(run: u32, ended: Timestamp) -> Option<Timestamp> {
    let wait = usize::try_from(run.saturating_sub(1)).ok().and_then(|done| WAITS.get(done))?;
    Some(after(ended, *wait))
}

/// The outcome of the last run, once no other follows: what was inconclusive has failed. Other outcomes stay.
#[must_use]
pub fn exhausted(outcome: CheckOutcome) -> CheckOutcome {
    if outcome.verdict != Verdict::Inconclusive {
        return outcome;
    }
    let message = format!("Inconclusive in all {RUNS} runs, which fails the check. {}", outcome.message);
    CheckOutcome::new(Verdict::Fail, &message, outcome.evidence)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    #[test]
    fn each_wait_is_longer_and_the_fourth_run_is_the_last() {
        for (run, wait) in [(1, 10), (2, 30), (3, 90)] {
            assert_eq!(next(run, at(0), at(0)), Next::Wait { until: at(wait) });
            assert_eq!(next(run, at(0), at(wait - 1)), Next::Wait { until: at(wait) });
            assert_eq!(next(run, at(0), at(wait)), Next::Run(run + 1));
        }
        assert_eq!(next(4, at(0), at(0)), Next::Exhausted);
        assert_eq!(next(u32::MAX, at(0), at(0)), Next::Exhausted);
    }

    #[test]
    fn a_run_number_that_cannot_be_is_taken_for_the_first() {
        assert_eq!(next(0, at(0), at(0)), Next::Wait { until: at(10) });
    }

    #[test]
    fn an_unproven_check_fails_in_the_end_and_never_passes() {
        let inconclusive = CheckOutcome::new(Verdict::Inconclusive, "The report is empty.", Vec::new());
        let failed = exhausted(inconclusive);
        assert_eq!(failed.verdict, Verdict::Fail);
        assert_eq!(failed.message, "Inconclusive in all 4 runs, which fails the check. The report is empty.");
        let passed = CheckOutcome::new(Verdict::Pass, "Fine.", Vec::new());
        assert_eq!(exhausted(passed.clone()), passed);
    }
}
