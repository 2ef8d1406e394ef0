//! What is written to the Services.

use securityhotfix::api::names::{self, FINALIZER, MARK, Mark, POD_TEMPLATE_HASH, SLOT};
use serde_json::{Map, Value};

use super::{Change, attempt_of, has, uid};
use crate::faults::world::{Kind, World, annotation, list, text};

fn selector(service: &Value) -> Map<String, Value> {
    service.pointer("/spec/selector").and_then(Value::as_object).cloned().unwrap_or_default()
}

fn slot(service: &Value) -> Option<String> {
    selector(service).get(SLOT).and_then(Value::as_str).map(str::to_owned)
}

fn mark(service: &Value) -> Option<Mark> {
    annotation(service, MARK).map(Mark::parse)
}

/// A Service of production that was changed.
fn changed<'a>(change: &'a Change<'_>) -> Option<(&'a Value, &'a Value)> {
    let (before, after) = change.of(Kind::Service)?;
    let ours = change.facts.scenario.services.contains(&text(after, "/metadata/name"));
    (ours && !before.is_null()).then_some((before, after))
}

pub(super) fn selectors_are_the_owners(change: &Change<'_>) -> Option<String> {
    let (before, after) = changed(change)?;
    let (was, is) = (selector(before), selector(after));
    if was == is {
        return None;
    }
    let mut rest = is.clone();
    rest.remove(SLOT);
    // Blue's hash stands there only for the moment of a seal.
    if matches!(mark(after), Some(Mark::Sealed(_))) {
        rest.remove(POD_TEMPLATE_HASH);
    }
    let name = text(after, "/metadata/name");
    let owner = change.facts.services.iter().find(|service| text(service, "/metadata/name") == name)?;
    (rest != selector(owner)).then(|| format!("the selector became {}", Value::Object(is)))
}

pub(super) fn hold_before_switch(change: &Change<'_>) -> Option<String> {
    let (before, after) = changed(change)?;
    let slot = slot(after).filter(|_| self::slot(before).is_none())?;
    let held = match mark(before) {
        Some(Mark::Hold(owner)) => names::slot(&owner.uid, owner.attempt) == slot,
        _ => false,
    };
    let announced = attempt_of(change.after, &slot).is_some_and(|attempt| has(attempt, "promotingAt"));
    (!held || !announced).then(|| format!("switched to {slot} without this attempt's hold or announcement"))
}

pub(super) fn no_switch_after_the_return(change: &Change<'_>) -> Option<String> {
    let (before, after) = changed(change)?;
    let slot = slot(after).filter(|_| self::slot(before).is_none())?;
    let attempt = attempt_of(change.after, &slot);
    let over = attempt.is_none_or(|attempt| has(attempt, "drainedFrom") || has(attempt, "finishedAt"));
    over.then(|| format!("switched to {slot}, whose attempt is over"))
}

pub(super) fn marks_go_only_when_sealed(change: &Change<'_>) -> Option<String> {
    let (before, after) = changed(change)?;
    let was = mark(before)?;
    let gone = mark(after).is_none();
    let sealed = matches!(was, Mark::Sealed(_)) && slot(after).is_none();
    (gone && !sealed).then(|| format!("{was:?} was taken off"))
}

pub(super) fn nothing_left_when_the_finalizer_goes(change: &Change<'_>) -> Option<String> {
    if change.event.kind != Kind::Hotfix {
        return None;
    }
    let guarded = |world: &World| {
        let found = world.get(Kind::Hotfix, text(&change.event.object, "/metadata/name"))?;
        list(found, "/metadata/finalizers").iter().any(|it| it == FINALIZER).then(|| uid(found).to_owned())
    };
    let uid = guarded(change.before).filter(|_| guarded(change.after).is_none())?;
    let number = change.event.object.pointer("/status/attempt/number").and_then(Value::as_i64).unwrap_or(1);
    let slot = names::slot(&uid, number);
    let marked = |service: &&Value| {
        let ours = |mark: Mark| mark.owner().is_some_and(|owner| owner.uid == uid);
        mark(service).is_some_and(ours) || self::slot(service).is_some_and(|found| found == slot)
    };
    let left = change.after.all(Kind::Service).find(marked)?;
    Some(format!("Service {} is not returned while the hotfix is let go", text(left, "/metadata/name")))
}
