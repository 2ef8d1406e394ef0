//! What no write may break, whatever the planner thinks: asked in tests of every decision, and in production before every
//! write to an object that serves. A violation refuses the write.
//!
//! Each is a function of what was seen and what is about to be written, with the reason for it. They share the planner's
//! words, not its reasoning: a planner that is wrong is caught here.

mod left;
mod records;

use crate::api::Attempt;
use crate::api::names::{self, Mark, POD_TEMPLATE_HASH, SLOT};

use super::Action;
use super::observed::{Map, Observed};
use left::{deleted_candidate, is_left, left_behind, leftover};

/// A broken invariant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {what}")]
pub struct Violation {
    /// Name of the invariant.
    pub name: &'static str,
    /// What the write would have done.
    pub what: String,
}

type Invariant = fn(&Observed, &Action) -> Option<String>;

/// Every invariant, by name.
pub const ALL: &[(&str, Invariant)] = &[
    ("gates-before-production", gates_before_production),
    ("nothing-opens-after-the-latch", nothing_opens_after_the_latch),
    ("enough-before-the-switch", enough_before_the_switch),
    ("selectors-are-the-owners", selectors_are_the_owners),
    ("pins-only-in-a-fenced-seal", pins_only_in_a_fenced_seal),
    ("no-traffic-to-a-dead-side", no_traffic_to_a_dead_side),
    ("no-write-over-anothers-mark", no_write_over_anothers_mark),
    ("only-our-own-pods-open", only_our_own_pods_open),
    ("latch-before-destruction", latch_before_destruction),
    ("closed-before-destruction", closed_before_destruction),
    ("blue-untouched-before-verified", blue_untouched_before_verified),
    ("fold-back-changes-images-only", fold_back_changes_images_only),
    ("green-is-nobodys-when-it-serves", green_is_nobodys_when_it_serves),
    ("green-never-shrinks", green_never_shrinks),
    ("only-ours-is-destroyed", only_ours_is_destroyed),
    ("writes-are-fenced", writes_are_fenced),
    ("no-candidate-before-the-scan", no_candidate_before_the_scan),
    ("one-claim", one_claim),
    ("milestones-only-grow", records::milestones_only_grow),
    ("the-latch-is-for-good", records::the_latch_is_for_good),
    ("remediated-means-gone", records::remediated_means_gone),
    ("left-by-the-gone-only", left::by_the_gone_only),
];

/// The first invariant that carrying out `action` would break.
pub fn check(observed: &Observed, action: &Action) -> Result<(), Violation> {
    ALL.iter().try_for_each(|(name, invariant)| match invariant(observed, action) {
        Some(what) => Err(Violation { name, what }),
        None => Ok(()),
    })
}

fn attempt(o: &Observed) -> Option<&Attempt> {
    o.hotfix.status.attempt.as_ref()
}

fn slot(o: &Observed) -> String {
    names::slot(&o.hotfix.uid, attempt(o).map_or(0, |attempt| attempt.number))
}

/// Production is untouched until every gate has passed and the announcement is on record.
fn gates_before_production(o: &Observed, action: &Action) -> Option<String> {
    if !matches!(action, Action::Hold { .. } | Action::Switch { .. } | Action::Open(_)) {
        return None;
    }
    let Some(attempt) = attempt(o) else { return Some(format!("{} without an attempt", action.name())) };
    let missing = [
        ("scan", attempt.scanned_at),
        ("staging", attempt.staged_at),
        ("analysis", attempt.analyzed_at),
        ("approval", attempt.approved_at),
        ("announcement", attempt.promoting_at),
    ];
    missing.iter().find(|(_, at)| at.is_none()).map(|(gate, _)| format!("{} before {gate} was recorded", action.name()))
}

/// A latched attempt only goes back.
fn nothing_opens_after_the_latch(o: &Observed, action: &Action) -> Option<String> {
    let latched = attempt(o).is_some_and(|attempt| attempt.latch.is_some() || attempt.finished_at.is_some());
    let forward = matches!(
        action,
        Action::Hold { .. }
            | Action::Switch { .. }
            | Action::Open(_)
            | Action::FoldBack { .. }
            | Action::CreatePreview(_)
    );
    (latched && forward).then(|| format!("{} after the attempt was latched", action.name()))
}

/// The candidate takes traffic only with as many pods ready as blue has, and at least one.
fn enough_before_the_switch(o: &Observed, action: &Action) -> Option<String> {
    let Action::Switch { service, .. } = action else { return None };
    let (ready, enough) = (o.green_ready(), o.enough());
    (ready < enough).then(|| format!("switch of {} with {ready} of {enough} pods ready", service.name))
}

/// True for the mark of an attempt of this hotfix. What is sealed in nobody's name bears its uid too, and attempt 0.
fn is_own_mark(o: &Observed, mark: Option<&String>) -> bool {
    let mark = mark.map(|mark| Mark::parse(mark));
    mark.as_ref().and_then(Mark::owner).is_some_and(|owner| owner.uid == o.hotfix.uid && owner.attempt > 0)
}

/// What we write to a selector is the owner's, or that plus the slot, or in a seal that plus blue's hash; never less.
fn selectors_are_the_owners(o: &Observed, action: &Action) -> Option<String> {
    let (service, from, to, extra): (_, &Map, &Map, &[&str]) = match action {
        Action::Switch { service, from, to, .. } => (service, from, to, &[SLOT]),
        Action::Seal { service, from, to, .. } => (service, from, to, &[POD_TEMPLATE_HASH]),
        Action::Unpin { service, from, to } => (service, from, to, &[]),
        _ => return None,
    };
    let Some(seen) = o.services.iter().find(|seen| seen.uid == service.uid) else {
        return Some(format!("{} of {}, which was not seen", action.name(), service.name));
    };
    // Only an attempt of this hotfix has a record of what a selector was.
    let own = match action {
        Action::Seal { mark, .. } => is_own_mark(o, Some(mark)),
        Action::Unpin { .. } => is_own_mark(o, seen.mark_text()),
        _ => true,
    };
    let records = attempt(o).map_or(&[][..], |attempt| &attempt.services);
    let owners = if own { seen.returned_selector(records) } else { seen.owner_selector() };
    let mut rest = to.clone();
    for key in extra.iter().filter(|_| own) {
        if !owners.contains_key(*key) {
            rest.remove(*key);
        }
    }
    if owners.is_empty() || to.is_empty() {
        return Some(format!("{} of {} with an empty selector", action.name(), service.name));
    }
    if *from != seen.selector || rest != owners {
        return Some(format!("{} of {} writes {to:?}, the owner's is {owners:?}", action.name(), service.name));
    }
    (seen.resource_version != service.resource_version)
        .then(|| format!("{} of {} at a version not seen", action.name(), service.name))
}

/// On the way forward no selector of ours names a ReplicaSet; on the way back only under the fence.
fn pins_only_in_a_fenced_seal(o: &Observed, action: &Action) -> Option<String> {
    let Action::Seal { service, was, mark, from, to, .. } = action else { return None };
    let hash = to.get(POD_TEMPLATE_HASH)?;
    if !is_own_mark(o, Some(mark)) && from.get(POD_TEMPLATE_HASH) == Some(hash) {
        // The owner's own: it is never added for a hotfix that is gone, or in nobody's name.
        return None;
    }
    let attempt = attempt(o)?;
    let fenced = was.as_deref() == Some(&names::hold(&o.hotfix.uid, attempt.number));
    let serves = o.blue_pods().iter().any(|pod| pod.serves() && pod.labels.get(POD_TEMPLATE_HASH) == Some(hash));
    (!fenced || !serves).then(|| format!("seal of {} pins {hash} without the fence, or to nothing ready", service.name))
}

/// No write takes traffic from a side that serves to one with nothing ready, unless that side was given up by its owner
/// or a person said so.
fn no_traffic_to_a_dead_side(o: &Observed, action: &Action) -> Option<String> {
    let (name, ready) = match action {
        Action::Seal { service, from, .. } => {
            let ready =
                from.get(SLOT).map_or(0, |left| if *left == slot(o) { o.green_ready() } else { o.slotted_ready(left) });
            (&service.name, ready)
        }
        // Behind the owner's selector an open pod of the candidate answers too, and so does one that lost its labels.
        Action::Close(pod) => {
            let seen = o.pods.iter().find(|seen| seen.uid == pod.uid)?;
            let left = seen.labels.get(SLOT).filter(|left| is_left(o, Some(left)));
            let ready = left.map_or_else(|| o.green_ready(), |left| o.slotted_ready(left));
            (&pod.name, ready.max(usize::from(seen.serves())))
        }
        _ => return None,
    };
    let given_up = o.namespace.terminating || o.blue.as_ref().is_none_or(super::observed::Workload::is_given_up);
    let released = o.hotfix.annotations.contains_key(names::RELEASE);
    (ready > 0 && !given_up && !released && o.blue_ready() == 0)
        .then(|| format!("{} of {name} while the candidate serves and nothing of blue is ready", action.name()))
}

/// A Service that another living hotfix has is left to it, unless it sends traffic to our candidate; and nothing is held
/// that already has a mark or a slot.
fn no_write_over_anothers_mark(o: &Observed, action: &Action) -> Option<String> {
    let target = match action {
        Action::Hold { service, .. }
        | Action::Switch { service, .. }
        | Action::Seal { service, .. }
        | Action::Unpin { service, .. }
        | Action::Unmark { service, .. } => service,
        _ => return None,
    };
    let seen = o.services.iter().find(|seen| seen.uid == target.uid)?;
    if matches!(action, Action::Hold { .. }) && (seen.mark_text().is_some() || seen.selector.contains_key(SLOT)) {
        return Some(format!("hold of {}, which has a mark or a slot", seen.name));
    }
    let ours = seen.selects_slot(&slot(o)) || is_left(o, seen.selector.get(SLOT));
    (o.is_anothers(seen) && !ours).then(|| format!("{} of {}, which another hotfix has", action.name(), seen.name))
}

/// Opened is only what is the candidate's by uid, has the gate, is up, and runs what was approved.
fn only_our_own_pods_open(o: &Observed, action: &Action) -> Option<String> {
    let Action::Open(target) = action else { return None };
    let attempt = attempt(o)?;
    let record = attempt.green.as_ref();
    let pods = o.green_pods();
    let pod = pods.iter().find(|pod| pod.uid == target.uid && pod.resource_version == target.resource_version);
    let ours = o.green.as_ref().is_some_and(|green| record.is_some_and(|record| record.uid == green.uid));
    let fit = pod.is_some_and(|pod| {
        pod.lives()
            && pod.containers_ready
            && pod.is_gated()
            && pod.runs_approved(attempt)
            && pod.labels.get(POD_TEMPLATE_HASH).map(String::as_str)
                == record.map(|record| record.template_hash.as_str())
    });
    (!ours || !fit).then(|| format!("opening of pod {}, which is not the candidate's, or not fit", target.name))
}

/// Nothing that may serve is destroyed before the attempt is irrevocably over.
fn latch_before_destruction(o: &Observed, action: &Action) -> Option<String> {
    if !matches!(action, Action::DeleteGreen(_) | Action::Close(_) | Action::DeleteBudget(_)) {
        return None;
    }
    let over = attempt(o).is_none_or(|a| a.latch.is_some() || a.verified_at.is_some() || a.finished_at.is_some());
    // Of a hotfix that is gone the record is that of what it left.
    let left = match action {
        Action::DeleteGreen(target) => deleted_candidate(o, target).is_some_and(|seen| left_behind(o, &seen.labels)),
        Action::DeleteBudget(target) => {
            o.budgets.iter().any(|seen| seen.uid == target.uid && left_behind(o, &seen.labels))
        }
        Action::Close(pod) => o.pods.iter().any(|seen| seen.uid == pod.uid && is_left(o, seen.labels.get(SLOT))),
        _ => false,
    };
    (!over && !left).then(|| format!("{} before the attempt was over", action.name()))
}

/// The candidate is destroyed only once no Service sends anything to it.
fn closed_before_destruction(o: &Observed, action: &Action) -> Option<String> {
    let Action::DeleteGreen(target) = action else { return None };
    let candidate = deleted_candidate(o, target);
    let left = leftover(o).filter(|_| candidate.is_some_and(|seen| left_behind(o, &seen.labels)));
    let (slot, undrained) = match (left, attempt(o)) {
        (Some(left), _) => (left.slot.clone(), left.drained_from.is_none()),
        (None, Some(attempt)) => (slot(o), attempt.promoting_at.is_some() && attempt.drained_from.is_none()),
        (None, None) => return None,
    };
    let production = o.services.iter().filter(|service| !service.labels.contains_key(SLOT));
    if let Some(service) = production.into_iter().find(|service| service.selects_slot(&slot)) {
        return Some(format!("deletion of {} while Service {} selects it", target.name, service.name));
    }
    (undrained && !o.namespace.terminating)
        .then(|| format!("deletion of {} before its traffic was drained", target.name))
}

/// Until the hotfix is believed none of our writes touches the user's Deployment.
fn blue_untouched_before_verified(o: &Observed, action: &Action) -> Option<String> {
    let verified = attempt(o).is_some_and(|attempt| attempt.verified_at.is_some());
    (matches!(action, Action::FoldBack { .. }) && !verified)
        .then(|| "fold-back before Verified was recorded".to_owned())
}

/// The fold-back writes the resolved images, over the recorded ones, in the Deployment the attempt began with.
fn fold_back_changes_images_only(o: &Observed, action: &Action) -> Option<String> {
    let Action::FoldBack { blue, images } = action else { return None };
    let attempt = attempt(o)?;
    if blue.uid != attempt.blue.uid || images.is_empty() {
        return Some(format!("fold-back into {}, which is not the recorded Deployment, or of nothing", blue.name));
    }
    let wrong = images.iter().find(|patch| {
        let to = attempt.images.iter().find(|image| image.container == patch.container).map(|image| &image.image);
        to != Some(&patch.to) || attempt.blue.images.get(&patch.container) != Some(&patch.from)
    });
    wrong.map(|patch| format!("fold-back of {} in {}: {} to {}", patch.container, blue.name, patch.from, patch.to))
}

/// A candidate that may serve must not be collected with the hotfix.
fn green_is_nobodys_when_it_serves(o: &Observed, action: &Action) -> Option<String> {
    if !matches!(action, Action::Open(_) | Action::Switch { .. }) {
        return None;
    }
    let owned = o.green.as_ref().is_some_and(|green| green.owners.contains(&o.hotfix.uid));
    owned.then(|| format!("{} while the hotfix owns the candidate", action.name()))
}

/// The candidate follows blue's size upward only.
fn green_never_shrinks(o: &Observed, action: &Action) -> Option<String> {
    let Action::ResizeGreen { green, replicas, .. } = action else { return None };
    let seen = o.green.as_ref().filter(|seen| seen.uid == green.uid)?;
    (*replicas < seen.replicas).then(|| format!("shrinking of {} from {} to {replicas}", green.name, seen.replicas))
}

/// What we delete is told to be ours by a label, its uid on record or its selector, or was left by a hotfix that is gone and on record.
fn only_ours_is_destroyed(o: &Observed, action: &Action) -> Option<String> {
    let (target, labels) = match action {
        Action::DeleteGreen(target) => (target, deleted_candidate(o, target).map(|green| &green.labels)),
        Action::DeletePreview(target) => {
            (target, o.services.iter().find(|service| service.uid == target.uid).map(|service| &service.labels))
        }
        Action::DeleteBudget(target) => {
            (target, o.budgets.iter().find(|budget| budget.uid == target.uid).map(|budget| &budget.labels))
        }
        _ => return None,
    };
    // What somebody took the label off is told by what was recorded of it, or by the slot it bears or selects.
    let slot = slot(o);
    let told = match action {
        Action::DeleteGreen(_) => {
            attempt(o).and_then(|attempt| attempt.green.as_ref()).is_some_and(|green| green.uid == target.uid)
        }
        Action::DeletePreview(_) => {
            o.named_preview().is_some_and(|seen| seen.uid == target.uid && seen.selects_slot(&slot))
        }
        _ => {
            let name = o.green_name();
            o.budgets
                .iter()
                .any(|seen| seen.uid == target.uid && seen.name == name && seen.slot() == Some(slot.as_str()))
        }
    };
    let ours = labels.is_some_and(|labels| {
        let made = labels.get(names::ATTEMPT).and_then(|number| number.parse::<i64>().ok());
        let later = made.zip(attempt(o)).is_some_and(|(made, attempt)| made > attempt.number);
        let own = labels.get(names::HOTFIX_UID) == Some(&o.hotfix.uid) || labels.get(SLOT) == Some(&slot) || told;
        own && !later || left_behind(o, labels)
    });
    (!ours).then(|| format!("{} of {}, which is not ours, or of a later attempt", action.name(), target.name))
}

/// Every write of what exists says which object it is, at which version or with which uid, as they were seen: what was
/// made anew under a name, or changed meanwhile, is another matter.
fn writes_are_fenced(o: &Observed, action: &Action) -> Option<String> {
    let fits = match action {
        Action::Record { resource_version, .. }
        | Action::AddFinalizer { resource_version, .. }
        | Action::RemoveFinalizer { resource_version, .. } => *resource_version == o.hotfix.resource_version,
        Action::WriteReport { resource_version, spec, .. } => left::records(o)
            .any(|seen| (&seen.resource_version, &seen.hotfix_uid) == (resource_version, &spec.hotfix.uid)),
        Action::ResizeGreen { green, .. } => o.green.as_ref().is_some_and(|seen| seen.versioned() == *green),
        Action::FoldBack { blue, .. } | Action::Disown { blue, .. } => {
            o.blue.as_ref().is_some_and(|seen| seen.versioned() == *blue)
        }
        Action::Open(pod) | Action::Close(pod) => o.pods.iter().any(|seen| seen.versioned() == *pod),
        Action::Hold { service, .. }
        | Action::Switch { service, .. }
        | Action::Seal { service, .. }
        | Action::Unpin { service, .. }
        | Action::Unmark { service, .. } => o.services.iter().any(|seen| seen.versioned() == *service),
        Action::DeleteGreen(target) => deleted_candidate(o, target).is_some_and(|seen| seen.target() == *target),
        Action::DeletePreview(target) => o.services.iter().any(|seen| seen.target() == *target),
        Action::DeleteBudget(target) => {
            o.budgets.iter().any(|seen| (&seen.name, &seen.uid) == (&target.name, &target.uid))
        }
        Action::DeleteJob(target) => {
            let mut runs = o.runs.iter().map(|seen| (&seen.job, &seen.uid));
            let mut left = o
                .strays
                .jobs
                .iter()
                .filter(|job| leftover(o).is_some_and(|left| left.hotfix.as_ref() == Some(&job.hotfix)));
            runs.any(|seen| seen == (&target.name, &target.uid))
                || left.any(|seen| (&seen.name, &seen.uid) == (&target.name, &target.uid))
        }
        Action::Unclaim(target) => {
            o.claim.as_ref().is_some_and(|seen| (&seen.name, &seen.uid) == (&target.name, &target.uid))
        }
        Action::Claim(_)
        | Action::OpenReport(_)
        | Action::CreateJob(_)
        | Action::CreateGreen(_)
        | Action::CreatePreview(_)
        | Action::CreateBudget(_) => true,
    };
    (!fits).then(|| format!("{} of an object, or at a version, that was not seen", action.name()))
}

/// No pod of the candidate exists before the scan gate passed.
fn no_candidate_before_the_scan(o: &Observed, action: &Action) -> Option<String> {
    let scanned = attempt(o).is_some_and(|attempt| attempt.scanned_at.is_some());
    (matches!(action, Action::CreateGreen(_)) && !scanned)
        .then(|| "creation of the candidate before the scan passed".to_owned())
}

/// A workload claimed by a living hotfix is not ours.
fn one_claim(o: &Observed, action: &Action) -> Option<String> {
    if !matches!(action, Action::Hold { .. } | Action::CreateGreen(_) | Action::Unclaim(_)) {
        return None;
    }
    let claim = o.claim.as_ref().filter(|claim| claim.holder != o.hotfix.uid)?;
    o.is_alive(&claim.holder).then(|| format!("{} while hotfix {} has the claim", action.name(), claim.holder_name))
}
