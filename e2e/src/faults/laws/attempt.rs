//! What the hotfix says of itself: never more than was true.

use serde_json::Value;

use super::{Change, has, image};
use crate::faults::replies;
use crate::faults::scenario::{Scenario, WORKLOAD};
use crate::faults::world::{Kind, condition, label, list, text};

const MILESTONES: [&str; 9] = [
    "scannedAt",
    "stagedAt",
    "analyzedAt",
    "approvedAt",
    "promotingAt",
    "convergedAt",
    "verifiedAt",
    "drainedFrom",
    "finishedAt",
];

/// The attempt before and after, where the hotfix was changed.
fn attempts<'a>(change: &'a Change<'_>) -> Option<(&'a Value, &'a Value)> {
    let (before, after) = change.of(Kind::Hotfix)?;
    let of = |hotfix: &'a Value| hotfix.pointer("/status/attempt").unwrap_or(&Value::Null);
    Some((of(before), of(after)))
}

/// Those of one and the same attempt.
fn same<'a>(change: &'a Change<'_>) -> Option<(&'a Value, &'a Value)> {
    attempts(change).filter(|(before, after)| !before.is_null() && before.get("number") == after.get("number"))
}

fn fresh(change: &Change<'_>, field: &str) -> bool {
    attempts(change).is_some_and(|(before, after)| {
        let known = before.get("number") == after.get("number") && has(before, field);
        has(after, field) && !known
    })
}

pub(super) fn milestones_only_grow(change: &Change<'_>) -> Option<String> {
    let (before, after) = attempts(change)?;
    if before.is_null() {
        return None;
    }
    if after.is_null() {
        return Some("the attempt was forgotten".to_owned());
    }
    if before.get("number") != after.get("number") {
        let number = |attempt: &Value| attempt.get("number").and_then(Value::as_i64).unwrap_or(0);
        let next = number(after) == number(before) + 1 && has(before, "finishedAt");
        return (!next).then(|| format!("attempt {} followed {}", number(after), number(before)));
    }
    let lost = MILESTONES.iter().find(|field| has(before, field) && before.get(**field) != after.get(**field))?;
    Some(format!("{lost} was changed"))
}

pub(super) fn the_latch_is_for_good(change: &Change<'_>) -> Option<String> {
    let (before, after) = same(change)?;
    (has(before, "latch") && before.get("latch") != after.get("latch")).then(|| "the latch was changed".to_owned())
}

pub(super) fn remediated_means_gone(change: &Change<'_>) -> Option<String> {
    let (_, after) = change.of(Kind::Hotfix)?;
    let remediated = text(after, "/status/attempt/outcome") == "Remediated" && fresh(change, "outcome");
    let wanted = replies::image(Scenario::candidate(text(after, "/metadata/name")));
    let old = change.after.all(Kind::Pod).filter(|pod| label(pod, "app") == Some(WORKLOAD));
    let old = old.into_iter().find(|pod| image(&pod["spec"]) != wanted).filter(|_| remediated)?;
    Some(format!("pod {} still runs {}", text(old, "/metadata/name"), image(&old["spec"])))
}

pub(super) fn converged_means_converged(change: &Change<'_>) -> Option<String> {
    let claimed = fresh(change, "convergedAt") && !change.memory.converged;
    claimed.then(|| "convergence was recorded, and no Service had only endpoints of the candidate".to_owned())
}

pub(super) fn gates_have_evidence(change: &Change<'_>) -> Option<String> {
    let (_, attempt) = attempts(change)?;
    let passed = |gate: &str| {
        list(attempt, "/verdicts").iter().any(|verdict| {
            text(verdict, "/gate") == gate
                && text(verdict, "/verdict") == "Pass"
                && !text(verdict, "/evidence").is_empty()
        })
    };
    let gates = [("scannedAt", "scan"), ("analyzedAt", "analyze"), ("verifiedAt", "verify")];
    let (_, gate) = gates.into_iter().find(|(field, gate)| fresh(change, field) && !passed(gate))?;
    Some(format!("the {gate} gate passed without a verdict with evidence"))
}

pub(super) fn conditions_are_true(change: &Change<'_>) -> Option<String> {
    let (_, hotfix) = change.of(Kind::Hotfix)?;
    let (_, attempt) = attempts(change)?;
    let outcome = text(attempt, "/outcome");
    let well = matches!(outcome, "Remediated" | "AlreadyPatched");
    let already = outcome == "AlreadyPatched";
    let claims = [
        ("Ready", well),
        ("Remediated", well),
        ("Scanned", already || has(attempt, "scannedAt")),
        ("Staged", already || has(attempt, "stagedAt")),
        ("Analyzed", already || has(attempt, "analyzedAt")),
        ("Promoted", already || has(attempt, "convergedAt")),
        ("Verified", already || has(attempt, "verifiedAt")),
        ("RolledBack", has(attempt, "latch") && (has(attempt, "drainedFrom") || has(attempt, "finishedAt"))),
        ("Finished", has(attempt, "finishedAt")),
    ];
    let (claimed, _) = claims.into_iter().find(|(kind, so)| condition(hotfix, kind) == "True" && !so)?;
    Some(format!("{claimed} is said to be True"))
}

pub(super) fn finished_is_for_good(change: &Change<'_>) -> Option<String> {
    let (before, after) = change.of(Kind::Hotfix)?;
    let taken_back = condition(before, "Finished") == "True" && condition(after, "Finished") != "True";
    taken_back.then(|| "Finished was taken back".to_owned())
}
