//! What a hotfix that is gone left on this workload: it goes the one way out before anything else begins.
//!
//! A hotfix leaves by its own way out, and its finalizer sees to that. This is for one whose finalizer was taken off by hand.
//! That it is gone is proven, never guessed: its uid is not among the hotfixes that were listed after whatever bears it.
//! What was found is recorded before anything of it is destroyed, as the latch is for an attempt.

use jiff::Timestamp;

use crate::api::names::{self, Mark};
use crate::api::time::{Moment, after};
use crate::api::{HotfixReportSpec, Leftover, Reason};

use super::decision::Note;
use super::leaving::Leaving;
use super::observed::{Map, Observed, Pod, Workload};
use super::stage::LOOK_AGAIN;
use super::step::Step;
use super::{Action, others, stale, wayout};

/// The next step of taking away what was found; `None` while nothing was.
pub fn under_way(o: &Observed, now: Timestamp) -> Option<Step> {
    let left = o.status().leftover.as_ref()?;
    let over = |text| {
        let mut status = o.status().clone();
        status.leftover = None;
        Step::Record(Box::new(status), vec![Note::normal(Reason::LeftBehind, "TakeAway", text)])
    };
    let who = others::who_left(left);
    if !o.is_left(left) {
        // Uids do not come back; this is for a picture that lies.
        return Some(over(format!("What {who} made is left to it, since it exists.")));
    }
    let leaving = Leaving::gone(o, left);
    let step = wayout::close(o, &leaving, now).or_else(|| wayout::clean(o, &leaving, now));
    let step = step.or_else(|| close_record(o, left, now));
    Some(step.unwrap_or_else(|| over(format!("Nothing is left of what {who} made."))))
}

/// The record of who is gone ends here, since nobody else will end it. It has no outcome: none was recorded.
fn close_record(o: &Observed, left: &Leftover, now: Timestamp) -> Option<Step> {
    let report = o.strays.report.as_ref().filter(|report| report.spec.closed_at.is_none())?;
    let uid = left.hotfix.as_ref().filter(|uid| **uid == report.hotfix_uid)?;
    let spec = HotfixReportSpec { closed_at: Some(Moment::new(now)), ..report.spec.clone() };
    Some(Step::act(Action::WriteReport {
        name: names::report(left.name.as_ref()?, uid),
        resource_version: report.resource_version.clone(),
        spec: Box::new(spec),
    }))
}

/// The next step that clears the workload of what hotfixes left that are gone; `None` once nothing is left.
pub fn next(o: &Observed, blue: &Workload, now: Timestamp) -> Option<Step> {
    if let Some(step) = under_way(o, now) {
        return Some(step);
    }
    if let Some(left) = find(o) {
        let mut status = o.status().clone();
        let note = Note::warning(Reason::LeftBehind, "TakeAway", others::what_is_left(&left));
        status.leftover = Some(left);
        return Some(Step::Record(Box::new(status), vec![note]));
    }
    // What takes traffic is not stale: its hotfix ended while this picture was taken.
    if stale::serves(o, blue) {
        return Some(Step::wait(Some(after(now, LOOK_AGAIN))));
    }
    stale::next(o, blue).map(Step::act)
}

/// Something that may take traffic, or was made for what did, and whose hotfix is gone.
fn find(o: &Observed) -> Option<Leftover> {
    let candidates =
        o.strays.candidates.iter().filter(|candidate| !candidate.deleting).map(|candidate| &candidate.labels);
    // Until its promotion a candidate is the hotfix's by an ownerReference, and goes with it by itself.
    let owned = |labels: &&Map| {
        let whose = labels.get(names::HOTFIX_UID);
        let goes = |candidate: &Workload| whose.is_some_and(|uid| candidate.owners.contains(uid));
        o.strays.candidates.iter().any(|candidate| candidate.labels.get(names::HOTFIX_UID) == whose && goes(candidate))
    };
    let budgets = o.budgets.iter().filter(|budget| {
        let uid = budget.labels.get(names::HOTFIX_UID);
        uid.is_some_and(|uid| names::green(&o.hotfix.spec.target.name, uid) == budget.name)
    });
    let labelled = candidates.chain(budgets.map(|budget| &budget.labels)).filter(|labels| !owned(labels));
    labelled.filter_map(labels).find(|left| o.is_left(left)).or_else(|| taking(o))
}

/// What was made for a hotfix, by its labels.
fn labels(labels: &Map) -> Option<Leftover> {
    Some(Leftover {
        hotfix: Some(labels.get(names::HOTFIX_UID)?.clone()),
        name: labels.get(names::HOTFIX_NAME).cloned(),
        attempt: labels.get(names::ATTEMPT).and_then(|number| number.parse().ok()).unwrap_or_default(),
        slot: labels.get(names::SLOT)?.clone(),
        drained_from: None,
    })
}

/// Pods that take traffic, or would, without a candidate they are of: somebody deleted it and left them, or they are still
/// ending. A mark may tell whose they were. One without our gate cannot be closed, and so is none of these.
fn taking(o: &Observed) -> Option<Leftover> {
    let takes = |pod: &&Pod| pod.is_gated() && (pod.serves() || pod.lives() && pod.is_open());
    let slot = o
        .pods
        .iter()
        .filter(takes)
        .filter_map(|pod| pod.labels.get(names::SLOT))
        .find(|slot| o.whose_slot(slot).is_none())?;
    let owners = o.services.iter().filter_map(|service| match service.mark()? {
        Mark::Hold(owner) | Mark::Sealed(owner) => Some(owner),
        Mark::Foreign(_) => None,
    });
    let owner = owners.into_iter().find(|owner| names::slot(&owner.uid, owner.attempt) == *slot);
    let owner = owner.filter(|owner| o.is_gone(&owner.uid));
    Some(Leftover {
        attempt: owner.as_ref().map_or(0, |owner| owner.attempt),
        hotfix: owner.map(|owner| owner.uid),
        name: None,
        slot: slot.clone(),
        drained_from: None,
    })
}
