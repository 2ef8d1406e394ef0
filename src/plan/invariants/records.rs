//! What a status write may say, and what must be on record first.

use super::super::Action;
use super::super::observed::Observed;
use super::attempt;

/// Within an attempt no milestone is taken back.
pub(super) fn milestones_only_grow(o: &Observed, action: &Action) -> Option<String> {
    let (Action::Record { status, .. }, Some(before)) = (action, attempt(o)) else { return None };
    let Some(after) = status.attempt.as_ref() else { return Some("the attempt was forgotten".into()) };
    if after.number != before.number {
        let next = after.number == before.number + 1 && before.finished_at.is_some();
        return (!next).then(|| format!("attempt {} followed {}", after.number, before.number));
    }
    let pairs = [
        (before.scanned_at, after.scanned_at),
        (before.staged_at, after.staged_at),
        (before.analyzed_at, after.analyzed_at),
        (before.approved_at, after.approved_at),
        (before.promoting_at, after.promoting_at),
        (before.converged_at, after.converged_at),
        (before.verified_at, after.verified_at),
        (before.drained_from, after.drained_from),
        (before.finished_at, after.finished_at),
    ];
    pairs
        .iter()
        .any(|(before, after)| before.is_some() && before != after)
        .then(|| "a milestone was taken back".to_owned())
}

/// A latch is set once and stays.
pub(super) fn the_latch_is_for_good(o: &Observed, action: &Action) -> Option<String> {
    let (Action::Record { status, .. }, Some(before)) = (action, attempt(o)) else { return None };
    let after = status.attempt.as_ref().filter(|after| after.number == before.number)?;
    (before.latch.is_some() && before.latch != after.latch).then(|| "the latch was changed".to_owned())
}

/// Remediated is claimed only when every pod of the workload runs what was approved.
pub(super) fn remediated_means_gone(o: &Observed, action: &Action) -> Option<String> {
    let Action::Record { status, .. } = action else { return None };
    let attempt = status.attempt.as_ref().filter(|a| a.outcome == Some(crate::api::Outcome::Remediated))?;
    let already = super::attempt(o).is_some_and(|before| before.outcome == attempt.outcome);
    (!already && !o.old_version_is_gone(attempt)).then(|| "Remediated while the old image may still run".to_owned())
}
