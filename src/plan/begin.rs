//! How an attempt begins: policy, preflight, digests, and the record of what blue was.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::api::image::{ImageRef, image_id_digest};
use crate::api::time::{Moment, after, elapsed};
use crate::api::{
    Attempt, AttemptSummary, BaselineImage, Blue, Handled, Outcome, Reason, ResolvedImage, SecurityHotfixStatus,
};
use crate::gates::clause;

use super::action::Target;
use super::decision::{Note, Want};
use super::observed::{Observed, Workload};
use super::preflight::{self, Input};
use super::status::outcome_message;
use super::step::{Step, Trouble};
use super::{Action, commands, leftover, others, policy};

/// How long an answer of the registry, or a refusal of admission, is believed before it is asked for again.
const ASK_AGAIN: std::time::Duration = std::time::Duration::from_secs(30);

/// How an attempt comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// The hotfix was created, or a person asked for a retry.
    ByPerson,
    /// The owner deployed something else meanwhile.
    ByOperator,
}

/// The next step of a hotfix that has no attempt under way.
pub fn next(o: &Observed, now: Timestamp, asked: Asked) -> Step {
    // What was begun for one that is gone is brought to its end, whatever keeps this one from beginning.
    if let Some(step) = leftover::under_way(o, now) {
        return step;
    }
    if let Some(step) = commands::refused(o, None).filter(|_| o.attempt().is_none()) {
        return step;
    }
    if o.hotfix.spec.suspend {
        let message = "The hotfix is suspended: nothing is begun until spec.suspend is false.";
        return Step::trouble(Trouble::time(Reason::Suspended, message), None);
    }
    let Some(blue) = &o.blue else {
        let name = &o.hotfix.spec.target.name;
        return Step::trouble(
            Trouble::person(
                Reason::TargetNotFound,
                format!(
                    "There is no Deployment {name} in namespace {}; waiting for it, or delete the hotfix.",
                    o.hotfix.namespace
                ),
            ),
            None,
        );
    };
    if let Some(step) = claimed_by_other(o) {
        return step;
    }
    // What serves for nobody is taken away without a policy: it says what may begin.
    if let Some(step) = leftover::next(o, blue, now) {
        return step;
    }
    let policy = match policy::usable(o) {
        Ok(policy) => policy,
        Err(unusable) => return Step::trouble(unusable.trouble(), None),
    };
    let input = Input { observed: o, blue, policy };
    if let Some(trouble) = preflight::refusal(&input) {
        // Most of what is refused heals by an event we watch; the rest is seen within half a minute.
        return Step::trouble(trouble, Some(after(now, ASK_AGAIN)));
    }
    match digests(o, now) {
        Ok(images) => start(o, &input, images, asked, now),
        Err(step) => step,
    }
}

/// Another hotfix has the workload, or a Lease of one that is gone must be cleared away first.
fn claimed_by_other(o: &Observed) -> Option<Step> {
    let claim = o.claim.as_ref().filter(|claim| claim.holder != o.hotfix.uid)?;
    if o.is_alive(&claim.holder) {
        return Some(Step::trouble(others::claimed(o, claim), None));
    }
    Some(Step::act(Action::Unclaim(Target { name: claim.name.clone(), uid: claim.uid.clone() })))
}

/// The digests of the patched images, or what must be done to know them.
fn digests(o: &Observed, now: Timestamp) -> Result<Vec<ResolvedImage>, Step> {
    let wanted = &o.hotfix.spec.images;
    let ask = || Step::want(vec![Want::Resolve(wanted.clone())], Some(after(now, ASK_AGAIN)));
    let known = o.evidence.resolution.as_ref().filter(|known| {
        known.len() == wanted.len()
            && known.iter().zip(wanted).all(|(k, w)| k.container == w.container && k.image == w.image)
    });
    let known = known.ok_or_else(ask)?;
    let mut images = Vec::new();
    for resolution in known {
        match &resolution.outcome {
            Ok(image) => images.push(image.clone()),
            Err(_) if elapsed(resolution.at.timestamp(), now) >= ASK_AGAIN => return Err(ask()),
            Err(why) => {
                return Err(Step::trouble(
                    Trouble::person(
                        Reason::ImageUnresolved,
                        format!(
                            "The registry gave no digest for {}: {}. It is asked again every 30 s; check the reference, or the operator's registry settings.",
                            resolution.image,
                            clause(why)
                        ),
                    ),
                    Some(after(resolution.at.timestamp(), ASK_AGAIN)),
                ));
            }
        }
    }
    Ok(images)
}

/// Records a new attempt.
fn start(o: &Observed, input: &Input<'_>, images: Vec<ResolvedImage>, asked: Asked, now: Timestamp) -> Step {
    let blue = input.blue;
    let Some(replica_set) = o.active_replica_sets(&blue.uid).next() else {
        return Step::wait(Some(after(now, ASK_AGAIN)));
    };
    let baseline = match baseline(o, blue) {
        Ok(baseline) => baseline,
        Err(trouble) => return Step::trouble(trouble, Some(after(now, ASK_AGAIN))),
    };
    let before = o.attempt();
    let attempt = Attempt {
        number: before.map_or(1, |attempt| attempt.number + 1),
        started_at: Moment::new(now),
        automatic: match (asked, before) {
            (Asked::ByOperator, Some(attempt)) => attempt.automatic + 1,
            _ => 1,
        },
        policy: input.policy.name.clone(),
        blue: Blue {
            uid: blue.uid.clone(),
            template_hash: replica_set.template_hash.clone(),
            replica_set: replica_set.uid.clone(),
            replicas: blue.replicas,
            images: old_images(o, blue),
            baseline,
        },
        images,
        services: Vec::new(),
        green: None,
        verdicts: Vec::new(),
        scanned_at: None,
        staged_at: None,
        analyzed_at: None,
        approved_at: None,
        promoting_at: None,
        switched_at: None,
        converged_at: None,
        suspension: None,
        unchecked: None,
        verified_at: None,
        latch: None,
        reassert: None,
        folds: 0,
        fold_generation: None,
        drained_from: None,
        finished_at: None,
        outcome: None,
    };
    record(o, input, attempt, now)
}

fn record(o: &Observed, input: &Input<'_>, mut attempt: Attempt, now: Timestamp) -> Step {
    let mut status = SecurityHotfixStatus { attempt: None, ..o.status().clone() };
    if let Some(before) = o.attempt() {
        status.history.insert(0, summarize(before, now));
        status.history.truncate(crate::api::ATTEMPT_HISTORY_MAX);
    }
    if let Some(token) = commands::retry_token(o) {
        status.last_handled = Some(Handled { retry: Some(token.clone()), ..status.last_handled.unwrap_or_default() });
    }
    let patched = input.blue.is_patched(&attempt);
    if patched && !o.blue_pods().iter().all(|pod| pod.runs_approved(&attempt)) {
        // There is nothing to fold back into it, and its old pods are on their way out.
        let why = format!(
            "Deployment {} has the patched image already; waiting until its last pod with the old one is gone.",
            input.blue.name
        );
        return Step::trouble(Trouble::time(Reason::TargetRollingOut, why), Some(after(now, ASK_AGAIN)));
    }
    let mut notes: Vec<Note> =
        preflight::warnings(input).into_iter().map(|text| Note::warning(Reason::Pending, "Preflight", text)).collect();
    if patched {
        attempt.finished_at = Some(Moment::new(now));
        attempt.outcome = Some(Outcome::AlreadyPatched);
        notes = vec![Note::normal(Reason::AlreadyPatched, "Preflight", "The workload runs this image already.")];
    } else {
        notes.push(Note::normal(
            Reason::Scanning,
            "Accept",
            format!("Attempt {} begins under policy {}.", attempt.number, attempt.policy),
        ));
    }
    status.attempt = Some(attempt);
    Step::Record(Box::new(status), notes)
}

/// An ended attempt, for the history.
fn summarize(attempt: &Attempt, now: Timestamp) -> AttemptSummary {
    let outcome = attempt.outcome.unwrap_or(Outcome::Failed);
    AttemptSummary {
        number: attempt.number,
        started_at: attempt.started_at,
        finished_at: attempt.finished_at.unwrap_or(Moment::new(now)),
        outcome,
        message: crate::api::conditions::shorten(
            &outcome_message(outcome, attempt),
            crate::api::conditions::MESSAGE_MAX,
        ),
    }
}

fn old_images(o: &Observed, blue: &Workload) -> BTreeMap<String, String> {
    let named = o.hotfix.spec.images.iter();
    named.filter_map(|change| Some((change.container.clone(), blue.template_image(&change.container)?))).collect()
}

/// Every image, by digest, that the pods of blue run in the containers the hotfix names.
fn baseline(o: &Observed, blue: &Workload) -> Result<Vec<BaselineImage>, Trouble> {
    let mut found = BTreeSet::new();
    for pod in o.blue_pods() {
        for change in &o.hotfix.spec.images {
            let Some(container) = pod.containers.iter().find(|container| container.name == change.container) else {
                continue;
            };
            let digest = image_id_digest(&container.image_id);
            let reported = container.image_id.rsplit_once("://").map_or(container.image_id.as_str(), |(_, rest)| rest);
            let by_report =
                ImageRef::parse(reported).filter(|image| image.digest.is_some()).and_then(|image| image.pinned());
            let by_spec = ImageRef::parse(&container.image).and_then(|image| image.pinned());
            if digest.is_none() && by_spec.is_none() {
                continue;
            }
            if let Some(image) = by_report.or(by_spec) {
                found.insert(BaselineImage { container: change.container.clone(), image });
            }
        }
    }
    let covered =
        |change: &crate::api::ImageChange| found.iter().any(|baseline| baseline.container == change.container);
    match o.hotfix.spec.images.iter().find(|change| !covered(change)) {
        Some(change) => Err(Trouble::person(
            Reason::BaselineUnknown,
            format!(
                "No pod of {} tells which digest container {} runs, so there is nothing to scan as a baseline; waiting until one does.",
                blue.name, change.container
            ),
        )),
        None => Ok(found.into_iter().take(64).collect()),
    }
}
