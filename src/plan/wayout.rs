//! The one way out, for fold-back, rollback and abort alike.
//!
//! Seal every Service, close every pod of the candidate, take pins off, see the candidate out of every slice and drain,
//! then destroy what was made. Nothing is destroyed before it is certain that nothing of this attempt can still take
//! traffic, and nothing here waits for the candidate to be healthy.

use jiff::Timestamp;

use crate::api::names::{self, POD_TEMPLATE_HASH, RELEASE, SLOT};
use crate::api::time::{Moment, after};
use crate::api::{Attempt, Outcome, Reason};

use super::action::Target;
use super::decision::{ACTIONS_MAX, Note};
use super::observed::{Observed, Service};
use super::stage::{self, LOOK_AGAIN};
use super::status::outcome_message;
use super::step::{Step, Trouble};
use super::{Action, begin, stale};

/// Time for clients that were told of the candidate's addresses to stop using them. kube-proxy needs one of its syncs, a
/// client that resolves a headless Service by itself needs its DNS answer to expire.
const DRAIN: std::time::Duration = std::time::Duration::from_secs(15);
const DRAIN_HEADLESS: std::time::Duration = std::time::Duration::from_secs(30);

/// The next step of an attempt that is latched: return, remove, remember.
pub fn back(o: &Observed, attempt: &Attempt, now: Timestamp) -> Step {
    if attempt.promoting_at.is_some()
        && let Some(step) = close(o, attempt, now)
    {
        return step;
    }
    if let Some(step) = clean(o, attempt, now) {
        return step;
    }
    finish(o, attempt, outcome(o, attempt), now)
}

/// Seal, close, unpin, drain: what makes an attempt harmless. `None` once it is.
pub fn close(o: &Observed, attempt: &Attempt, now: Timestamp) -> Option<Step> {
    if let Some(step) = seal(o, attempt) {
        return Some(step);
    }
    let services = o.recorded_services(attempt);
    let pinned = services.iter().find(|service| service.is_pinned());
    if let Some(service) = pinned.filter(|_| !is_recorded_version(o, attempt)) {
        return Some(Step::act(unpin(service, attempt)));
    }
    let slot = names::slot(&o.hotfix.uid, attempt.number);
    let open: Vec<Action> = o
        .slotted_pods(&slot)
        .filter(|pod| !pod.ended && !pod.is_closed())
        .take(ACTIONS_MAX)
        .map(|pod| Action::Close(pod.versioned()))
        .collect();
    if !open.is_empty() {
        return Some(Step::Act(open));
    }
    if let Some(service) = pinned {
        return Some(Step::act(unpin(service, attempt)));
    }
    drain(o, attempt, &services, &slot, now)
}

/// The next seal that is missing, or why it is held back.
pub fn seal(o: &Observed, attempt: &Attempt) -> Option<Step> {
    let slot = names::slot(&o.hotfix.uid, attempt.number);
    let service = o.recorded_services(attempt).into_iter().find(|service| {
        let sealed = service.is_sealed_by(&o.hotfix.uid, attempt.number);
        // After the drain the mark is taken off again; only a selector that still names us is then wrong.
        // A Service that another hotfix has is not ours to seal: its mark voids what we still have in flight.
        let unsealed = !sealed && attempt.drained_from.is_none() && !o.is_anothers(service);
        // One without a selector sends nothing anywhere by it, and every switch in flight tests for another one.
        !service.selector.is_empty() && (service.selects_slot(&slot) || unsealed)
    })?;
    if service.selects_slot(&slot)
        && let Some(trouble) = blue_not_ready(o, attempt)
    {
        return Some(Step::trouble(trouble, None));
    }
    let mut to = service.returned_selector(attempt);
    if let Some(hash) = pin(o, attempt, service, &slot) {
        to.insert(POD_TEMPLATE_HASH.to_owned(), hash);
    }
    Some(Step::act(Action::Seal {
        service: service.versioned(),
        was: service.mark_text().cloned(),
        mark: names::sealed(&o.hotfix.uid, attempt.number),
        from: service.selector.clone(),
        to,
        annotations: stale::annotations(service),
    }))
}

/// The hash of blue's ReplicaSet, where the seal must name it: a candidate that is sick but ready would otherwise share the
/// traffic until its closing has reached every kube-proxy.
fn pin(o: &Observed, attempt: &Attempt, service: &Service, slot: &str) -> Option<String> {
    let sick_but_ready = attempt.latch.is_some() && attempt.verified_at.is_none() && o.green_ready() > 0;
    let fenced = service.is_held_by(&o.hotfix.uid, attempt.number) && service.selects_slot(slot);
    let serves =
        o.blue_pods().iter().any(|pod| pod.serves() && pod.controller.as_ref() == Some(&attempt.blue.replica_set));
    (sick_but_ready && fenced && serves && is_recorded_version(o, attempt)).then(|| attempt.blue.template_hash.clone())
}

/// True when blue still runs the ReplicaSet the attempt began with, and no other.
fn is_recorded_version(o: &Observed, attempt: &Attempt) -> bool {
    o.recorded_blue(&attempt.blue).is_some_and(|blue| {
        !blue.is_given_up()
            && blue.is_as_recorded(&attempt.blue)
            && o.newest_replica_set(&blue.uid).is_some_and(|rs| rs.uid == attempt.blue.replica_set)
    })
}

/// No write points a Service at a side with nothing ready while the other side serves, unless its owner gave that side up
/// or a person said so.
fn blue_not_ready(o: &Observed, attempt: &Attempt) -> Option<Trouble> {
    let blue = o.blue.as_ref().filter(|blue| !blue.is_given_up())?;
    if o.namespace.terminating || o.blue_ready() > 0 || o.green_ready() == 0 {
        return None;
    }
    let released = o.hotfix.annotations.get(RELEASE).and_then(|value| value.split('/').next()?.trim().parse().ok());
    if released == Some(attempt.number) {
        return None;
    }
    Some(Trouble::person(
        Reason::BlueNotReady,
        format!(
            "The traffic should go back to {name}, but no pod of it is ready while the candidate serves. Waiting for {name} to recover; to send the traffic back regardless, annotate the hotfix with {RELEASE}=\"{}/<reason>\".",
            attempt.number,
            name = blue.name,
        ),
    ))
}

fn unpin(service: &Service, attempt: &Attempt) -> Action {
    Action::Unpin {
        service: service.versioned(),
        from: service.selector.clone(),
        to: service.returned_selector(attempt),
    }
}

/// Waits until the candidate is out of every slice, remembers when that was first seen, and waits out the drain.
fn drain(o: &Observed, attempt: &Attempt, services: &[&Service], slot: &str, now: Timestamp) -> Option<Step> {
    let Some(from) = attempt.drained_from else {
        if !o.namespace.terminating && !o.no_green_endpoint_is_ready(services, slot) {
            return Some(Step::wait(Some(after(now, LOOK_AGAIN))));
        }
        let mut closed = attempt.clone();
        closed.drained_from = Some(Moment::new(now));
        let names: Vec<&str> = services.iter().map(|service| service.name.as_str()).collect();
        let note = match &attempt.latch {
            Some(latch) => Note::warning(
                latch.reason,
                "ReturnTraffic",
                format!("The traffic of {} is back: {}", names.join(", "), latch.message),
            ),
            None => Note::normal(
                Reason::FoldingBack,
                "ReturnTraffic",
                format!("The traffic of {} is back on the Deployment's own pods.", names.join(", ")),
            ),
        };
        return Some(stage::record(o, closed, vec![note]));
    };
    let drained =
        after(from.timestamp(), if services.iter().any(|service| service.headless) { DRAIN_HEADLESS } else { DRAIN });
    // In a namespace that is going nobody is left to be sent anywhere.
    (now < drained && !o.namespace.terminating).then(|| Step::wait(Some(drained)))
}

/// The next of what the hotfix made that is still there. `None` once nothing is.
pub fn clean(o: &Observed, attempt: &Attempt, now: Timestamp) -> Option<Step> {
    let ours = |labels: &super::observed::Map| labels.get(names::HOTFIX_UID) == Some(&o.hotfix.uid);
    if let Some(preview) =
        o.services.iter().find(|service| service.name == o.green_name() && ours(&service.labels) && !service.deleting)
    {
        return Some(Step::act(Action::DeletePreview(preview.target())));
    }
    if let Some(green) = o.green.as_ref().filter(|green| ours(&green.labels) && !green.deleting) {
        return Some(Step::act(Action::DeleteGreen(green.target())));
    }
    if let Some(run) = o.runs.first() {
        return Some(Step::act(Action::DeleteJob(Target { name: run.job.clone(), uid: run.uid.clone() })));
    }
    let marked = o.services.iter().find(|service| {
        service.mark().as_ref().and_then(names::Mark::owner).is_some_and(|owner| owner.uid == o.hotfix.uid)
    });
    if let Some(service) = marked {
        return Some(if service.selector.contains_key(SLOT) {
            // Reached only by a write of ours that came late: it is undone before its mark is.
            Step::act(Action::Seal {
                service: service.versioned(),
                was: service.mark_text().cloned(),
                mark: names::sealed(&o.hotfix.uid, attempt.number),
                from: service.selector.clone(),
                to: service.returned_selector(attempt),
                annotations: stale::annotations(service),
            })
        } else {
            Step::act(stale::unmark(service))
        });
    }
    // A mark that somebody took off leaves our entries in managedFields behind.
    let signed = o.recorded_services(attempt).into_iter().find(|service| {
        attempt.finished_at.is_none()
            && service.mark_text().is_none()
            && !service.selector.contains_key(SLOT)
            && !stale::ours(&service.managers).is_empty()
    });
    if let Some(service) = signed {
        return Some(Step::act(stale::unmark(service)));
    }
    if let Some(blue) = o.recorded_blue(&attempt.blue) {
        let managers = stale::ours(&blue.managers);
        if !managers.is_empty() {
            return Some(Step::act(Action::Disown { blue: blue.versioned(), managers }));
        }
    }
    let gone = o.green.as_ref().is_none_or(|green| !ours(&green.labels))
        && !o
            .pods
            .iter()
            .any(|pod| pod.labels.get(SLOT).is_some_and(|slot| *slot == names::slot(&o.hotfix.uid, attempt.number)));
    if !gone {
        return Some(Step::wait(Some(after(now, LOOK_AGAIN))));
    }
    let budget = o.budgets.iter().find(|budget| ours(&budget.labels))?;
    Some(Step::act(Action::DeleteBudget(Target { name: budget.name.clone(), uid: budget.uid.clone() })))
}

/// How a latched attempt ends.
fn outcome(o: &Observed, attempt: &Attempt) -> Outcome {
    let reason = attempt.latch.as_ref().map_or(Reason::Other, |latch| latch.reason);
    let promoted = attempt.promoting_at.is_some();
    match (reason, attempt.verified_at.is_some()) {
        (Reason::BlueRedeployed, true) => Outcome::Superseded,
        (_, true) => Outcome::Failed,
        (_, false) if promoted => Outcome::RolledBack,
        (Reason::BlueRedeployed, false) if attempt.automatic < begin::AUTOMATIC_MAX && !o.deleting() => {
            Outcome::Restarted
        }
        (Reason::BlueRedeployed, false) => Outcome::Superseded,
        (Reason::Deleted | Reason::Aborted | Reason::BlueGone, false) => Outcome::Cancelled,
        (Reason::Rejected, false) => Outcome::Rejected,
        _ => Outcome::Failed,
    }
}

/// Remembers that the attempt is over.
pub fn finish(o: &Observed, attempt: &Attempt, outcome: Outcome, now: Timestamp) -> Step {
    let mut done = attempt.clone();
    done.finished_at = Some(Moment::new(now));
    done.outcome = Some(outcome);
    let text = outcome_message(outcome, &done);
    let note = match outcome {
        Outcome::Remediated => Note::normal(Reason::Remediated, "Finish", text),
        _ => Note::warning(done.latch.as_ref().map_or(Reason::Other, |latch| latch.reason), "Finish", text),
    };
    stage::record(o, done, vec![note])
}
