//! From the claim to a candidate at full size: nothing here touches a Service of production, or blue.

use jiff::Timestamp;
use serde_json::Value;

use crate::api::names::{self, FINALIZER};
use crate::api::time::{Moment, after};
use crate::api::{Attempt, GreenRecord, Reason, RecordedService};
use crate::findings::text::counted;
use crate::gates::clause;

use super::action::Ownership;
use super::decision::{Note, Want};
use super::interrupt::{self, End};
use super::leaving::Leaving;
use super::observed::{Observed, Pod, Policy, Rehearsal, Service, Workload};
use super::preflight::{self, Input};
use super::step::{Step, Trouble, Wait};
use super::{Action, others, rest, staging, suspend};

/// How often a step that only watches would end is looked at again, should every watch be frozen.
pub const LOOK_AGAIN: std::time::Duration = std::time::Duration::from_secs(5);

/// How long a pod's containers must have been ready before it is opened: a round of the kubelet over all containers takes up to
/// a second and a half, and kube-proxy rests for a second after each change. The time is read off a condition that has
/// whole seconds, hence one more.
const SETTLED: std::time::Duration = std::time::Duration::from_secs(3);

/// How long a missing right is left alone before it is tried again: a person has to give it back.
const ASK_AGAIN: std::time::Duration = std::time::Duration::from_secs(5);

/// Finalizer, claim and record, before anything is made.
pub fn claim(o: &Observed, attempt: &Attempt) -> Option<Step> {
    if !o.hotfix.finalizers.iter().any(|finalizer| finalizer == FINALIZER) {
        return Some(Step::act(Action::AddFinalizer {
            resource_version: o.hotfix.resource_version.clone(),
            first: o.hotfix.finalizers.is_empty(),
        }));
    }
    match &o.claim {
        None => return Some(Step::act(Action::Claim(staging::claim(o, &attempt.blue.uid)))),
        Some(claim) if claim.holder == o.hotfix.uid => {}
        Some(claim) if o.is_alive(&claim.holder) => {
            return Some(Step::trouble(others::claimed(o, claim), None));
        }
        Some(claim) => {
            let target = super::action::Target { name: claim.name.clone(), uid: claim.uid.clone() };
            return Some(Step::act(Action::Unclaim(target)));
        }
    }
    let Some(report) = &o.report else { return Some(Step::act(Action::OpenReport(crate::report::open(o)))) };
    // One of an attempt before would tell of its end while this one is under way.
    let told = report.spec.attempt.as_ref().map(|told| told.number);
    (report.hotfix_uid == o.hotfix.uid && told != Some(attempt.number)).then(|| rest::write_report(o, report, None))
}

/// The candidate at staging size, with its preview.
pub fn stage(o: &Observed, attempt: &Attempt, policy: &Policy, now: Timestamp) -> Step {
    let slot = names::slot(&o.hotfix.uid, attempt.number);
    let began = suspend::counted_from(attempt, attempt.scanned_at, now);
    let deadline = after(began, policy.spec.timeouts.staging.get());
    let Some(blue) = o.recorded_blue(&attempt.blue) else { return Step::wait(None) };
    let Some(green) = o.own_green(&slot) else {
        if o.green.is_some() {
            let name = o.green_name();
            let end = End::new(
                Reason::StagingFailed,
                format!("A Deployment {name} exists that this hotfix did not make; remove it and retry."),
            );
            return interrupt::latch(o, attempt, end, now);
        }
        return rehearse(o, attempt, blue, deadline, now);
    };
    if let Some(step) = preview(o, attempt, blue, now) {
        return step;
    }
    let pods = o.green_pods();
    let up = pods.iter().filter(|pod| is_up(pod, attempt)).count();
    let staged = usize::try_from(o.hotfix.spec.staging.replicas).unwrap_or(1);
    if up >= staged
        && let Some(set) = o.newest_replica_set(&green.uid)
    {
        let mut staged = attempt.clone();
        staged.staged_at = Some(Moment::new(now));
        staged.green = Some(GreenRecord {
            name: green.name.clone(),
            uid: green.uid.clone(),
            template_hash: set.template_hash.clone(),
        });
        let note =
            Note::normal(Reason::Staging, "Stage", format!("The candidate {} is up, without traffic.", green.name));
        return record(o, staged, vec![note]);
    }
    if now >= deadline {
        return interrupt::latch(o, attempt, End::new(Reason::StagingFailed, not_up(&pods, attempt, staged)), now);
    }
    Step::wait(Some(deadline.min(after(now, LOOK_AGAIN))))
}

/// The preview Service, as long as the candidate is tested behind it; `None` while it is there and reaches the candidate alone.
pub fn preview(o: &Observed, attempt: &Attempt, blue: &Workload, now: Timestamp) -> Option<Step> {
    let slot = names::slot(&o.hotfix.uid, attempt.number);
    if o.own_preview(&slot).is_some_and(|preview| !preview.deleting) {
        return None;
    }
    let ends = |reason, why: String| Some(interrupt::latch(o, attempt, End::new(reason, why), now));
    match (o.named_preview(), preflight::selecting(o, blue).first()) {
        (Some(preview), _) if preview.deleting => Some(Step::wait(Some(after(now, LOOK_AGAIN)))),
        (Some(preview), _) if preview.selects_slot(&slot) || Leaving::own(o, attempt).made(&preview.labels) => {
            let who = super::facts::last_manager(&preview.managers);
            ends(Reason::GreenChanged, format!("{who} changed the labels or the selector of the preview Service."))
        }
        (Some(preview), _) => ends(
            Reason::StagingFailed,
            format!("A Service {} exists that this hotfix did not make; remove it and retry.", preview.name),
        ),
        (None, Some(like)) => Some(Step::act(Action::CreatePreview(staging::preview(o, attempt, like)))),
        (None, None) => ends(Reason::StagingFailed, preflight::no_service(blue)),
    }
}

/// Lets admission judge the candidate before it exists, then creates it.
fn rehearse(o: &Observed, attempt: &Attempt, blue: &Workload, deadline: Timestamp, now: Timestamp) -> Step {
    let slot = names::slot(&o.hotfix.uid, attempt.number);
    let green = staging::green(o, blue, attempt);
    let rehearsal = o.evidence.rehearsal.as_ref().filter(|rehearsal| rehearsal.slot == slot);
    let Some(rehearsal) = rehearsal else {
        if now >= deadline {
            let why = "Admission did not judge the candidate in time: the dry run has no answer.";
            return interrupt::latch(o, attempt, End::new(Reason::StagingFailed, why), now);
        }
        let pod = staging::pod(&green);
        let want = Want::Rehearse { slot, green: Box::new(green), pod: Box::new(pod) };
        return Step::want(vec![want], Some(deadline.min(after(now, LOOK_AGAIN))));
    };
    if let Some(why) = rehearsal.denied.as_ref().filter(|_| now < deadline) {
        return denied(rehearsal, why, green, deadline, now);
    }
    let refused = |why: &str| {
        let end = End::new(Reason::AdmissionRefused, format!("The candidate was not created: {}.", clause(why)));
        interrupt::latch(o, attempt, end, now)
    };
    match (&rehearsal.green, &rehearsal.pod) {
        (Err(why), _) | (_, Err(why)) => refused(why),
        (Ok(made), Ok(pod)) => match staging::objection(&green, made, pod) {
            Some(objection) => refused(&objection),
            None => Step::act(Action::CreateGreen(green)),
        },
    }
}

/// Waits for the right to rehearse: that it is missing is no fault of the candidate's.
fn denied(rehearsal: &Rehearsal, why: &str, green: Value, deadline: Timestamp, now: Timestamp) -> Step {
    let again = after(rehearsal.at.timestamp(), ASK_AGAIN);
    let message = format!(
        "The operator may not rehearse the candidate: {}. Install the chart's roles again; it goes on then.",
        clause(why)
    );
    let pod = staging::pod(&green);
    let want = Want::Rehearse { slot: rehearsal.slot.clone(), green: Box::new(green), pod: Box::new(pod) };
    Step::Wait(Wait {
        trouble: Some(Trouble::person(Reason::ApiRefused, message)),
        wants: if now < again { Vec::new() } else { vec![want] },
        wake: Some(deadline.min(if now < again { again } else { after(now, LOOK_AGAIN) })),
    })
}

/// The candidate at blue's size, without an owner, ready to take everything; then the announcement.
pub fn full_size(o: &Observed, attempt: &Attempt, policy: &Policy, now: Timestamp) -> Step {
    let slot = names::slot(&o.hotfix.uid, attempt.number);
    let (Some(green), Some(blue)) = (o.own_green(&slot), o.recorded_blue(&attempt.blue)) else {
        return Step::wait(None);
    };
    if let (Some(like), None) = (staging::covering_budget(o, blue), o.own_budget(&slot)) {
        let name = o.green_name();
        if o.budgets.iter().any(|budget| budget.name == name) {
            let why =
                format!("A PodDisruptionBudget {name} exists that this hotfix did not make; remove it and retry.");
            return interrupt::latch(o, attempt, End::new(Reason::StagingFailed, why), now);
        }
        return Step::act(Action::CreateBudget(staging::budget(o, attempt, like)));
    }
    if let Some(action) = grow(o, green, blue) {
        return Step::act(action);
    }
    let began = suspend::counted_from(attempt, attempt.analyzed_at, now);
    let deadline = after(began, policy.spec.timeouts.staging.get());
    let pods = o.green_pods();
    let trouble = preflight_again(o, blue, policy);
    if trouble.is_none() && all_up(&pods, attempt, blue.replicas) {
        if let Some(settled) = pods.iter().filter_map(|pod| settles_at(pod, now)).max() {
            return Step::wait(Some(settled));
        }
        let mut promoting = attempt.clone();
        promoting.promoting_at = Some(Moment::new(now));
        promoting.services = preflight::selecting(o, blue)
            .into_iter()
            .map(|service| RecordedService {
                name: service.name.clone(),
                uid: service.uid.clone(),
                selector: service.owner_selector(),
            })
            .collect();
        let note =
            Note::normal(Reason::Promoting, "Promote", "The candidate is at full size; the traffic is moved now.");
        return record(o, promoting, vec![note]);
    }
    if now >= deadline {
        let wanted = usize::try_from(blue.replicas).unwrap_or(usize::MAX);
        let why = trouble.map_or_else(|| not_up(&pods, attempt, wanted), |trouble| trouble.message);
        return interrupt::latch(o, attempt, End::new(Reason::StagingFailed, why), now);
    }
    let wake = Some(deadline.min(after(now, LOOK_AGAIN)));
    trouble.map_or_else(|| Step::wait(wake), |trouble| Step::trouble(trouble, wake))
}

/// What the Services looked like when the attempt began may have changed since.
fn preflight_again(o: &Observed, blue: &Workload, policy: &Policy) -> Option<Trouble> {
    let input = Input { observed: o, blue, policy };
    let services = preflight::selecting(o, blue);
    if services.is_empty() {
        return Some(Trouble::person(Reason::NoService, preflight::no_service(blue)));
    }
    if services.len() > preflight::SERVICES_MAX {
        return Some(Trouble::person(Reason::ServiceUnsupported, preflight::too_many(blue, services.len())));
    }
    services.iter().find_map(|service| preflight::one_service(&input, service).or_else(|| uncovered(o, service)))
}

/// A `Local` policy drops what arrives on a node without a ready pod: the candidate must be on every node blue is on.
pub fn uncovered(o: &Observed, service: &Service) -> Option<Trouble> {
    if !service.local_traffic {
        return None;
    }
    let node = Observed::node_left_out(&o.blue_pods(), &o.green_pods())?;
    Some(left_out(service, "the candidate", &node))
}

/// The side that is to take the traffic of a Service is not on a node that has to be covered.
pub fn left_out(service: &Service, side: &str, node: &str) -> Trouble {
    let name = &service.name;
    let message =
        format!("Service {name} keeps traffic on the node it arrives at, and no pod of {side} is ready on {node}.");
    Trouble::time(Reason::LocalTrafficPolicy, message)
}

/// The write that gives the candidate blue's size and takes the ownerReference off it, if either is missing.
pub fn grow(o: &Observed, green: &Workload, blue: &Workload) -> Option<Action> {
    let owned = green.owners.contains(&o.hotfix.uid);
    (green.replicas < blue.replicas || owned).then(|| Action::ResizeGreen {
        green: green.versioned(),
        replicas: blue.replicas.max(green.replicas),
        ownership: if owned { Ownership::Drop } else { Ownership::Dropped },
    })
}

/// True when a pod of the candidate could serve if it were opened.
pub fn is_up(pod: &Pod, attempt: &Attempt) -> bool {
    pod.lives() && pod.containers_ready && pod.is_gated() && pod.runs_approved(attempt)
}

/// From when on the kubelet of a pod that has just come up will answer an opening at once. Before, its next look at the pod
/// waits for its next round over all containers, up to a second and a half, and pods opened together become ready apart, which
/// both versions answer for. It quiets kube-proxy too, so that the end of the preview is synced at once.
///
/// A node whose clock is ahead tells of the future: then nothing is waited for, since all that is lost is that second.
fn settles_at(pod: &Pod, now: Timestamp) -> Option<Timestamp> {
    let since = pod.containers_ready_since.map(Moment::timestamp).filter(|since| *since <= now)?;
    Some(after(since, SETTLED)).filter(|settled| now < *settled)
}

/// True when every living pod of the candidate is up, and there are as many as asked for.
pub fn all_up(pods: &[&Pod], attempt: &Attempt, replicas: i32) -> bool {
    let living: Vec<_> = pods.iter().filter(|pod| pod.lives()).collect();
    living.len() >= usize::try_from(replicas).unwrap_or(usize::MAX) && living.iter().all(|pod| is_up(pod, attempt))
}

/// Why fewer pods of the candidate than `wanted` are up, or once they were opened are ready, in a sentence.
pub fn not_up(pods: &[&Pod], attempt: &Attempt, wanted: usize) -> String {
    let opened = pods.iter().any(|pod| pod.is_open());
    let good = |pod: &&&Pod| if opened { pod.serves() } else { is_up(pod, attempt) };
    let (good, living) = (pods.iter().filter(good).count(), pods.iter().filter(|pod| pod.lives()).count());
    let came = if opened { "became ready in time after they were opened" } else { "came up in time" };
    let told = if good < wanted {
        format!("The candidate needs {}, and {good} {came}", counted(wanted, "pod"))
    } else {
        format!("Of the {} of the candidate, {good} {came}", counted(living, "pod"))
    };
    let unplaced = pods
        .iter()
        .filter(|pod| pod.lives())
        .find_map(|pod| Some(format!("no node takes pod {}: {}", pod.name, pod.unplaced.as_deref()?)));
    let waiting = pods.iter().find_map(|pod| {
        let container = pod.containers.iter().find(|container| container.waiting.is_some())?;
        Some(format!(
            "container {} of pod {} waits: {}",
            container.name,
            pod.name,
            container.waiting.as_deref().unwrap_or_default()
        ))
    });
    let ungated =
        pods.iter().find(|pod| !pod.is_gated()).map(|pod| format!("pod {} lost its readiness gate", pod.name));
    let other = pods
        .iter()
        .find(|pod| pod.containers_ready && !pod.runs_approved(attempt))
        .map(|pod| format!("pod {} runs another digest than the approved one", pod.name));
    let restarts = pods.iter().find_map(|pod| {
        let container = pod.containers.iter().find(|container| container.restarts > 0)?;
        let times = counted(container.restarts, "time");
        Some(format!("container {} of pod {} was restarted {times}", container.name, pod.name))
    });
    match unplaced.or(waiting).or(ungated).or(other).or(restarts) {
        Some(why) => format!("{told}; {why}."),
        None => format!("{told}."),
    }
}

/// Records a changed attempt.
pub fn record(o: &Observed, attempt: Attempt, notes: Vec<Note>) -> Step {
    let mut status = o.status().clone();
    status.attempt = Some(attempt);
    Step::Record(Box::new(status), notes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_that_has_just_come_up_is_given_time_and_a_clock_that_is_ahead_is_not_waited_for() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let since = |second| Pod { containers_ready_since: Some(Moment::new(at(second))), ..Pod::default() };
        assert_eq!(settles_at(&since(100), at(101)), Some(at(103)));
        assert_eq!(settles_at(&since(100), at(103)), None);
        assert_eq!(settles_at(&since(200), at(101)), None);
        assert_eq!(settles_at(&Pod::default(), at(101)), None);
    }
}
