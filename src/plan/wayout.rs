//! The one way out, for fold-back, rollback and abort alike.
//!
//! Seal every Service, close every pod of the candidate, take pins off, see the candidate out of every slice and drain,
//! then destroy what was made. Nothing is destroyed before it is certain that nothing of this attempt can still take
//! traffic, and nothing here waits for the candidate to be healthy.

use jiff::Timestamp;

use crate::api::names::{self, POD_TEMPLATE_HASH, RELEASE, SLOT};
use crate::api::time::{Moment, after};
use crate::api::{Attempt, Leftover, Outcome, Reason};
use crate::findings::text;

use super::action::Target;
use super::decision::{ACTIONS_MAX, Note};
use super::leaving::Leaving;
use super::observed::{Map, Observed, Pod, Service};
use super::stage::{self, LOOK_AGAIN};
use super::status::{elsewhere, outcome_message};
use super::step::{Step, Trouble};
use super::{Action, others, stale};

/// Time for clients that were told of the candidate's addresses to stop using them. kube-proxy needs one of its syncs, a
/// client that resolves a headless Service by itself needs its DNS answer to expire.
const DRAIN: std::time::Duration = std::time::Duration::from_secs(15);
const DRAIN_HEADLESS: std::time::Duration = std::time::Duration::from_secs(30);

/// How many attempts the operator begins by itself before a person has to ask: an owner who deploys again and again is
/// not to be raced.
pub const AUTOMATIC_MAX: i32 = 3;

/// The next step of an attempt that is latched: return, remove, remember.
pub fn back(o: &Observed, attempt: &Attempt, now: Timestamp) -> Step {
    let leaving = Leaving::own(o, attempt);
    if attempt.promoting_at.is_some()
        && let Some(step) = close(o, &leaving, now)
    {
        return step;
    }
    if let Some(step) = clean(o, &leaving, now) {
        return step;
    }
    finish(o, attempt, outcome(o, attempt), now)
}

/// Seal, close, unpin, drain: what makes harmless whatever leaves. `None` once it is.
pub fn close(o: &Observed, leaving: &Leaving<'_>, now: Timestamp) -> Option<Step> {
    if let Some(step) = seal(o, leaving) {
        return Some(step);
    }
    let pinned = leaving.services.iter().find(|service| service.is_pinned() && !o.is_anothers(service));
    let at_once = pinned.filter(|service| !leaving.blue_is_as_pinned(o, service) || o.blue_ready() == 0);
    // Where nothing but the pin is left of a selector, a person is asked, after the closes.
    if let Some(Ok(action)) = at_once.map(|service| unpin(service, leaving)) {
        return Some(Step::act(action));
    }
    // A pod that was born without our gate cannot be closed: its kubelet would call it ready again. It goes with the
    // candidate.
    // What is nobody's is closed with an attempt's own: of what a hotfix that is gone left, only the slot tells.
    let strays = o
        .stray_pods(&leaving.slot)
        .filter(|pod| leaving.attempt().is_some() && pod.labels.get(SLOT) != Some(&leaving.slot));
    let open: Vec<&Pod> = o
        .slotted_pods(&leaving.slot)
        .chain(strays)
        .filter(|pod| !pod.ended && pod.is_gated() && !pod.is_closed())
        .collect();
    if !open.is_empty() {
        // Blue may have died since the seal: then what is open still answers behind the owner's selector.
        let serves = leaving.ready(o) > 0 || open.iter().any(|pod| pod.serves());
        if let Some(trouble) = blue_not_ready(o, leaving, serves) {
            return Some(Step::trouble(trouble, None));
        }
        return Some(Step::Act(open.iter().take(ACTIONS_MAX).map(|pod| Action::Close(pod.versioned())).collect()));
    }
    if let Some(service) = pinned {
        return Some(act_or_ask(unpin(service, leaving)));
    }
    drain(o, leaving, now)
}

/// The next seal that is missing, or why it is held back.
pub fn seal(o: &Observed, leaving: &Leaving<'_>) -> Option<Step> {
    let service = leaving.services.iter().find(|service| {
        // After the drain the mark is taken off again; only a selector that still names us is then wrong.
        // A Service that another hotfix has is not ours to seal: its mark voids what we still have in flight.
        let unsealed = !leaving.has_sealed(service) && leaving.drained_from().is_none() && !o.is_anothers(service);
        // One without a selector sends nothing anywhere by it, and every switch in flight tests for another one.
        !service.selector.is_empty() && (leaving.diverts(service) || unsealed)
    })?;
    if let Some(trouble) = kept(o, leaving, service) {
        return Some(Step::trouble(trouble, None));
    }
    let pinned = |mut to: Map| {
        to.extend(pin(o, leaving, service).map(|hash| (POD_TEMPLATE_HASH.to_owned(), hash)));
        sealed(service, leaving, to)
    };
    Some(act_or_ask(returned(service, leaving).map(pinned)))
}

/// A write, or what a person is asked for before it can be made.
fn act_or_ask(action: Result<Action, Trouble>) -> Step {
    action.map_or_else(|trouble| Step::trouble(trouble, None), Step::act)
}

fn sealed(service: &Service, leaving: &Leaving<'_>, to: Map) -> Action {
    Action::Seal {
        service: service.versioned(),
        was: service.mark_text().cloned(),
        mark: names::sealed(leaving.uid, leaving.number),
        from: service.selector.clone(),
        to,
        annotations: stale::annotations(service),
    }
}

/// The selector a Service is returned to. Where nothing but our own keys is left of it, and nobody has a record of what it was, a
/// person is asked.
fn returned(service: &Service, leaving: &Leaving<'_>) -> Result<Map, Trouble> {
    let to = leaving.returned_selector(service);
    if !to.is_empty() {
        return Ok(to);
    }
    Err(Trouble::person(
        Reason::ServiceUnsupported,
        format!(
            "Nothing is left of the selector of Service {} but what {} had put into it; give it its own selector, and it goes on.",
            service.name,
            leaving.who()
        ),
    ))
}

/// The hash of blue's ReplicaSet, where the seal must name it: a candidate that is sick but ready would otherwise share the
/// traffic until its closing has reached every kube-proxy. What is of a hotfix that is gone is never pinned: which
/// ReplicaSet it began with went with its record, and whether its candidate is sick.
fn pin(o: &Observed, leaving: &Leaving<'_>, service: &Service) -> Option<String> {
    let attempt = leaving.attempt()?;
    let sick_but_ready = attempt.latch.is_some() && attempt.verified_at.is_none() && o.green_ready() > 0;
    let fenced = service.is_held_by(leaving.uid, leaving.number) && leaving.diverts(service);
    // By the label too: a pod that lost it is the ReplicaSet's for a moment more, and the pin does not reach it.
    let serves = o.blue_pods().iter().any(|pod| {
        pod.serves()
            && pod.controller.as_ref() == Some(&attempt.blue.replica_set)
            && pod.labels.get(POD_TEMPLATE_HASH) == Some(&attempt.blue.template_hash)
    });
    (sick_but_ready && fenced && serves && leaving.blue_is_as_pinned(o, service))
        .then(|| attempt.blue.template_hash.clone())
}

/// Why a Service still selects what answers behind it.
fn kept(o: &Observed, leaving: &Leaving<'_>, service: &Service) -> Option<Trouble> {
    let serves = service.selector.get(SLOT).is_some_and(|slot| leaving.ready_behind(o, slot) > 0);
    blue_not_ready(o, leaving, serves)
}

/// No write points a Service at a side with nothing ready while the other side serves, unless its owner gave that side up
/// or a person said so.
fn blue_not_ready(o: &Observed, leaving: &Leaving<'_>, other_serves: bool) -> Option<Trouble> {
    let blue = o.blue.as_ref().filter(|blue| !blue.is_given_up())?;
    if o.namespace.terminating || o.blue_ready() > 0 || !other_serves {
        return None;
    }
    let released = o.hotfix.annotations.get(RELEASE).and_then(|value| value.split('/').next());
    if released.is_some_and(|released| released.trim() == leaving.release()) {
        return None;
    }
    let mistaken = match released.map(str::trim) {
        None => String::new(),
        Some("") => " The annotation is there, but names nothing.".to_owned(),
        Some(other) => format!(" The annotation is there, but begins with \"{}\".", text::clean(other, 64)),
    };
    let whose = leaving.leftover().map_or_else(
        || "the candidate".to_owned(),
        |left| format!("the candidate that {} left", others::who_left(left)),
    );
    Some(Trouble::person(
        Reason::BlueNotReady,
        format!(
            "The traffic should go back to {name}, but no pod of it is ready while {whose} serves. Waiting for {name} to recover; to send the traffic back regardless, annotate the hotfix with {RELEASE}=\"{}/<reason>\".{mistaken}",
            leaving.release(),
            name = blue.name,
        ),
    ))
}

fn unpin(service: &Service, leaving: &Leaving<'_>) -> Result<Action, Trouble> {
    let from = service.selector.clone();
    returned(service, leaving).map(|to| Action::Unpin { service: service.versioned(), from, to })
}

/// Waits until the candidate is out of every slice, remembers when that was first seen, and waits out the drain.
fn drain(o: &Observed, leaving: &Leaving<'_>, now: Timestamp) -> Option<Step> {
    let services = leaving.reached_by(o);
    let Some(from) = leaving.drained_from() else {
        if !o.namespace.terminating && !o.no_green_endpoint_is_ready(&services, &leaving.slot) {
            return Some(Step::wait(Some(after(now, LOOK_AGAIN))));
        }
        return Some(drained(o, leaving, now));
    };
    let drained =
        after(from.timestamp(), if services.iter().any(|service| service.headless) { DRAIN_HEADLESS } else { DRAIN });
    // In a namespace that is going nobody is left to be sent anywhere.
    (now < drained && !o.namespace.terminating).then(|| Step::wait(Some(drained)))
}

/// Records that nothing of it can take traffic any more.
fn drained(o: &Observed, leaving: &Leaving<'_>, now: Timestamp) -> Step {
    let names: Vec<&str> = leaving.services.iter().map(|service| service.name.as_str()).collect();
    let names = if names.is_empty() { String::new() } else { format!(" of {}", names.join(", ")) };
    let from = Some(Moment::new(now));
    let warning = |reason, text| Note::warning(reason, "ReturnTraffic", text);
    let Some(attempt) = leaving.attempt() else {
        let who = leaving.who();
        let text = if names.is_empty() {
            format!("The candidate that {who} left cannot take traffic any more.")
        } else {
            format!("The traffic{names} is back from the candidate that {who} left.")
        };
        let mut status = o.status().clone();
        status.leftover = leaving.leftover().map(|left| Leftover { drained_from: from, ..left.clone() });
        return Step::Record(Box::new(status), vec![warning(Reason::LeftBehind, text)]);
    };
    let note = match &attempt.latch {
        Some(latch) if elsewhere(latch.reason) => {
            warning(latch.reason, format!("The candidate takes no traffic{names} any more: {}", latch.message))
        }
        Some(latch) => warning(latch.reason, format!("The traffic{names} is back: {}", latch.message)),
        None => Note::normal(
            Reason::FoldingBack,
            "ReturnTraffic",
            format!("The traffic{names} is back on the Deployment's own pods."),
        ),
    };
    stage::record(o, Attempt { drained_from: from, ..attempt.clone() }, vec![note])
}

/// The next of what was made that is still there. `None` once nothing is.
pub fn clean(o: &Observed, leaving: &Leaving<'_>, now: Timestamp) -> Option<Step> {
    if let Some(preview) = leaving.preview(o).filter(|service| !service.deleting) {
        return Some(Step::act(Action::DeletePreview(preview.target())));
    }
    let candidate = leaving.candidate(o);
    if let Some(green) = candidate.filter(|green| !green.deleting) {
        return Some(Step::act(Action::DeleteGreen(green.target())));
    }
    if let Some(job) = leaving.job(o) {
        return Some(Step::act(Action::DeleteJob(job)));
    }
    if let Some(service) = o.services.iter().find(|service| leaving.is_marked(service)) {
        if !service.selector.contains_key(SLOT) {
            return Some(Step::act(stale::unmark(service)));
        }
        if let Some(trouble) = kept(o, leaving, service) {
            return Some(Step::trouble(trouble, None));
        }
        // Reached only by a write that came late: it is undone before its mark is.
        return Some(act_or_ask(returned(service, leaving).map(|to| sealed(service, leaving, to))));
    }
    // A mark that somebody took off leaves our entries in managedFields behind.
    let under_way = leaving.attempt().is_some_and(|attempt| attempt.finished_at.is_none());
    let signed = leaving.services.iter().filter(|_| under_way).find(|service| {
        service.mark_text().is_none()
            && !service.selector.contains_key(SLOT)
            && !stale::ours(&service.managers).is_empty()
    });
    if let Some(service) = signed {
        return Some(Step::act(stale::unmark(service)));
    }
    if let Some(action) = leaving.blue(o).and_then(stale::disown) {
        return Some(Step::act(action));
    }
    let pods = o.slotted_pods(&leaving.slot).next().is_some();
    // Pods of nobody are closed, and nobody is going to delete them.
    let nobodys = leaving.leftover().is_some_and(|left| left.hotfix.is_none());
    if candidate.is_some() || pods && !nobodys {
        let strays = strays(o, leaving).filter(|_| candidate.is_none());
        let wake = Some(after(now, LOOK_AGAIN));
        return Some(strays.map_or_else(|| Step::wait(wake), |trouble| Step::trouble(trouble, wake)));
    }
    if let Some(budget) = leaving.budget(o) {
        return Some(Step::act(Action::DeleteBudget(Target { name: budget.name.clone(), uid: budget.uid.clone() })));
    }
    // What is not wanted any more is looked at by nobody who rests.
    under_way.then(|| strays(o, leaving)).flatten().map(|trouble| Step::trouble(trouble, Some(after(now, LOOK_AGAIN))))
}

/// Pods of the candidate that are nobody's: they are closed, and no controller will delete them.
fn strays(o: &Observed, leaving: &Leaving<'_>) -> Option<Trouble> {
    let attempt = leaving.attempt()?;
    let names: Vec<&str> =
        o.stray_pods(&leaving.slot).filter(|pod| !pod.deleting).map(|pod| pod.name.as_str()).collect();
    (!names.is_empty() && !o.namespace.terminating).then(|| {
        Trouble::person(
            Reason::LeftBehind,
            format!(
                "Somebody changed the labels by which these pods were the candidate's, so nobody deletes them: {}. {} Delete them, and it goes on.",
                names.join(", "),
                if attempt.promoting_at.is_some() { "They take no traffic." } else { "They never had traffic." },
            ),
        )
    })
}

/// How a latched attempt ends.
fn outcome(o: &Observed, attempt: &Attempt) -> Outcome {
    let reason = attempt.latch.as_ref().map_or(Reason::Other, |latch| latch.reason);
    let promoted = attempt.promoting_at.is_some();
    match (reason, attempt.verified_at.is_some()) {
        (Reason::BlueRedeployed, false) if !promoted && attempt.automatic < AUTOMATIC_MAX && !o.deleting() => {
            Outcome::Restarted
        }
        (Reason::BlueRedeployed, verified) if verified || !promoted => Outcome::Superseded,
        (_, false) if promoted => Outcome::RolledBack,
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
    let left = left_to_blue(o, &names::slot(&o.hotfix.uid, attempt.number));
    stage::record(o, done, [Some(note), left].into_iter().flatten().collect())
}

/// What is the user's Deployment's own now, and not ours to delete. It has no pods and harms nobody, so nothing waits for it.
fn left_to_blue(o: &Observed, slot: &str) -> Option<Note> {
    let sets: Vec<&str> = o.adopted_sets(slot).map(|set| set.name.as_str()).collect();
    let blue = &o.blue.as_ref().filter(|_| !sets.is_empty() && !o.namespace.terminating)?.name;
    let text = format!(
        "Somebody took the owner off {} of the candidate, and Kubernetes gave it to Deployment {blue}: delete it, lest a roll-back of {blue} by hand choose it.",
        sets.iter().map(|set| format!("ReplicaSet {set}")).collect::<Vec<_>>().join(", "),
    );
    Some(Note::warning(Reason::LeftBehind, "Finish", text))
}
