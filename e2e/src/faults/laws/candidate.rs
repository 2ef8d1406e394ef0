//! The candidate: when it is made, opened and destroyed; and the user's Deployment, which is left alone.

use securityhotfix::api::names::{OPEN, SLOT};
use serde_json::Value;

use super::{Change, attempt_of, has, image, uid};
use crate::faults::replies;
use crate::faults::scenario::{Scenario, WORKLOAD};
use crate::faults::world::{Kind, World, condition, label, text};

pub(super) fn not_before_the_scan(change: &Change<'_>) -> Option<String> {
    let (before, after) = change.of(Kind::Deployment)?;
    let slot = label(after, SLOT).filter(|_| before.is_null())?;
    let early = attempt_of(change.after, slot).is_some_and(|attempt| !has(attempt, "scannedAt"));
    early.then(|| "the candidate was made before the scan had passed".to_owned())
}

/// The slots production is sent to.
fn serving(change: &Change<'_>, world: &World) -> Vec<String> {
    let services = change.facts.scenario.services.iter().filter_map(|name| world.get(Kind::Service, name));
    let slot = |service: &Value| service.pointer("/spec/selector")?.get(SLOT)?.as_str().map(str::to_owned);
    services.filter_map(slot).collect()
}

pub(super) fn is_nobodys_when_it_serves(change: &Change<'_>) -> Option<String> {
    let slots = serving(change, change.after);
    let owned = change.after.all(Kind::Deployment).find(|deployment| {
        let serves = label(deployment, SLOT).is_some_and(|slot| slots.iter().any(|it| it == slot));
        serves && deployment.pointer("/metadata/ownerReferences").is_some()
    })?;
    Some(format!("{} serves and would be collected with its owner", text(owned, "/metadata/name")))
}

/// The candidate's Deployment that is being destroyed by this change, and its slot.
fn destroyed<'a>(change: &'a Change<'_>) -> Option<(&'a Value, &'a str)> {
    if change.event.kind != Kind::Deployment {
        return None;
    }
    let object = &*change.event.object;
    let slot = label(object, SLOT)?;
    let deleting = |object: &Value| object.pointer("/metadata/deletionTimestamp").is_some();
    let before = change.before.get(Kind::Deployment, text(object, "/metadata/name"));
    let already = before.is_some_and(|before| uid(before) == uid(object) && deleting(before));
    ((change.event.gone || deleting(object)) && !already).then_some((object, slot))
}

pub(super) fn latch_before_destruction(change: &Change<'_>) -> Option<String> {
    let (object, slot) = destroyed(change)?;
    let over = |attempt: &Value| ["latch", "verifiedAt", "finishedAt"].iter().any(|field| has(attempt, field));
    let lives = attempt_of(change.after, slot).is_some_and(|attempt| !over(attempt));
    lives.then(|| format!("{} was destroyed before its attempt was over", text(object, "/metadata/name")))
}

pub(super) fn closed_before_destruction(change: &Change<'_>) -> Option<String> {
    let (object, slot) = destroyed(change)?;
    let name = text(object, "/metadata/name");
    if serving(change, change.after).iter().any(|serving| serving == slot) {
        return Some(format!("{name} was destroyed while a Service selects it"));
    }
    let undrained = |attempt: &Value| has(attempt, "promotingAt") && !has(attempt, "drainedFrom");
    let early = attempt_of(change.after, slot).is_some_and(undrained);
    early.then(|| format!("{name} was destroyed before its traffic was drained"))
}

pub(super) fn only_announced_pods_open(change: &Change<'_>) -> Option<String> {
    let (before, after) = change.of(Kind::Pod)?;
    let opened = condition(after, OPEN) == "True" && condition(before, OPEN) != "True";
    let slot = label(after, SLOT).filter(|_| opened)?;
    let attempt = attempt_of(change.after, slot);
    let may =
        |attempt: &Value| has(attempt, "promotingAt") && !has(attempt, "drainedFrom") && !has(attempt, "finishedAt");
    (!attempt.is_some_and(may)).then(|| format!("pod {} was opened outside of its time", text(after, "/metadata/name")))
}

pub(super) fn one_claim(change: &Change<'_>) -> Option<String> {
    if !matches!(change.event.kind, Kind::Lease | Kind::Deployment) {
        return None;
    }
    let claims = change.after.all(Kind::Lease).filter(|lease| text(lease, "/metadata/name").starts_with("hotfix-"));
    let greens: std::collections::BTreeSet<_> =
        change.after.all(Kind::Deployment).filter_map(|it| label(it, SLOT)).collect();
    if claims.count() > 1 {
        return Some("two claims on one workload".to_owned());
    }
    (greens.len() > 1).then(|| "two candidates of one workload".to_owned())
}

/// The user's Deployment that was changed.
fn blue<'a>(change: &'a Change<'_>) -> Option<(&'a Value, &'a Value)> {
    change.of(Kind::Deployment).filter(|(before, after)| !before.is_null() && text(after, "/metadata/name") == WORKLOAD)
}

pub(super) fn blue_untouched_before_verified(change: &Change<'_>) -> Option<String> {
    let (before, after) = blue(change)?;
    let of = |deployment: &Value| image(&deployment["spec"]["template"]["spec"]).to_owned();
    let (was, is) = (of(before), of(after));
    if was == is {
        return None;
    }
    let version = replies::version(&is)?;
    let mut hotfixes = change.after.all(Kind::Hotfix);
    let asked = hotfixes.find(|hotfix| Scenario::candidate(text(hotfix, "/metadata/name")) == version)?;
    let verified = asked.pointer("/status/attempt/verifiedAt").is_some();
    (!verified).then(|| format!("{version} was deployed before it was verified"))
}

pub(super) fn fold_back_changes_images_only(change: &Change<'_>) -> Option<String> {
    let (_, after) = blue(change)?;
    let masked = |deployment: &Value| {
        let mut spec = deployment["spec"].clone();
        spec["template"]["spec"]["containers"][0]["image"] = Value::Null;
        (spec, deployment.pointer("/metadata/labels").cloned())
    };
    (masked(after) != masked(&change.facts.blue))
        .then(|| "more than the image of the Deployment was changed".to_owned())
}
