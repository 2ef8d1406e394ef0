//! The soak: the candidate serves, is checked, and follows blue's size; then it is believed.

use jiff::Timestamp;

use crate::api::names;
use crate::api::time::{Moment, after, elapsed};
use crate::api::{Attempt, Gate, Reason, Reassertion};

use super::cutover;
use super::decision::Note;
use super::gate_run::{self, Progress};
use super::interrupt::{self, End};
use super::observed::{Map, Observed, Pod, Policy, Service};
use super::policy::Unusable;
use super::stage::{self, LOOK_AGAIN};
use super::step::{Step, Trouble, Wait, earliest};
use super::{preflight, soak, unchecked};

/// How long one opened pod of the candidate may be unready before the verification fails: a restart of one container
/// takes less, a pod that does not come back takes more. When none is ready nothing is waited for.
const UNREADY: std::time::Duration = std::time::Duration::from_secs(15);

/// The next step while the candidate serves.
pub fn next(o: &Observed, attempt: &Attempt, policy: Result<&Policy, Unusable>, now: Timestamp) -> Step {
    let slot = names::slot(&o.hotfix.uid, attempt.number);
    let pods = o.green_pods();
    if let Some(end) = unhealthy(&pods, now) {
        return interrupt::latch(o, attempt, end, now);
    }
    if let Some(step) = services_follow(o, attempt, &slot, now) {
        return step;
    }
    if let (Some(green), Some(blue)) = (o.own_green(&slot), o.recorded_blue(&attempt.blue))
        && let Some(action) = stage::grow(o, green, blue)
    {
        return Step::act(action);
    }
    if let Some(step) = cutover::open_late(o, attempt, &pods) {
        return step;
    }
    let policy = match policy {
        Ok(policy) => policy,
        Err(unusable) => return unchecked::next(o, attempt, &unusable, now),
    };
    if let Some(step) = unchecked::over(o, attempt, now) {
        return step;
    }
    let soaked = soak::count(o, attempt, now).over(policy);
    match gate_run::run(o, attempt, policy, Gate::Verify, now) {
        Progress::Act(action) => Step::act(action),
        Progress::Failed(verdicts, why) => {
            let mut failed = attempt.clone();
            failed.verdicts.extend(verdicts);
            interrupt::latch(o, &failed, End::new(Reason::VerificationFailed, why), now)
        }
        Progress::Wait(mut wait) => {
            wait.wake = earliest(&[wait.wake, Some(after(now, LOOK_AGAIN))]);
            beside(o, attempt, wait)
        }
        Progress::Passed(verdicts, wants) if now < soaked => {
            drop(verdicts);
            beside(o, attempt, Wait { trouble: None, wants, wake: Some(soaked.min(after(now, LOOK_AGAIN))) })
        }
        Progress::Passed(verdicts, _) => {
            let mut verified = attempt.clone();
            verified.verdicts.extend(verdicts);
            verified.verified_at = Some(Moment::new(now));
            verified.folds = 1;
            verified.fold_generation = o.blue.as_ref().map(|blue| blue.generation);
            let how = match (soak::is_asked(o), policy.spec.gates.verify.is_empty()) {
                (true, _) => "served for the whole soak with its checks passing",
                (false, false) => "passed its checks and stayed ready for the whole soak",
                (false, true) => "stayed ready for the whole soak; the policy names no check for that time",
            };
            let text = format!("The candidate {how}. From here it only goes forward.");
            stage::record(o, verified, vec![Note::normal(Reason::FoldingBack, "Verify", text)])
        }
    }
}

/// What people should know while nothing is wrong with the candidate: `suspend` came too late to hold anything, or a Service
/// came too late to be switched.
fn beside(o: &Observed, attempt: &Attempt, mut wait: Wait) -> Step {
    let too_late = || {
        let message = "The candidate serves already, so spec.suspend delays nothing. Abort to go back.";
        o.hotfix.spec.suspend.then(|| Trouble::time(Reason::Suspended, message))
    };
    wait.trouble = wait.trouble.or_else(too_late).or_else(|| reaches_both(o, attempt));
    Step::Wait(wait)
}

/// A Service that was not there when the traffic moved: it selects the pods of both sides.
fn reaches_both(o: &Observed, attempt: &Attempt) -> Option<Trouble> {
    let blue = o.recorded_blue(&attempt.blue)?;
    let known = |service: &Service| attempt.services.iter().any(|record| record.uid == service.uid);
    let mut late = preflight::selecting(o, blue).into_iter();
    let late = late.find(|service| !known(service) && !service.selector.contains_key(names::SLOT))?;
    let message = format!(
        "Service {} was made after the traffic had moved, so it reaches both versions until the patched image is in {}.",
        late.name, blue.name
    );
    Some(Trouble::time(Reason::ServiceChanged, message))
}

/// The candidate is dead.
pub fn none_ready() -> End {
    End::new(Reason::VerificationFailed, "No pod of the candidate is ready any more.")
}

/// Services are gone: all of them, or one that was made again since, which reaches what whoever made it let it select.
pub fn services_gone(o: &Observed, attempt: &Attempt) -> Option<End> {
    let again = attempt
        .services
        .iter()
        .find(|record| o.recorded(record).is_none() && o.services.iter().any(|service| service.name == record.name));
    if let Some(record) = again {
        let message =
            format!("Service {} was deleted and made again after the traffic had begun to move.", record.name);
        return Some(End::new(Reason::ServiceChanged, message));
    }
    let gone = || End::new(Reason::ServiceChanged, "No Service that the attempt began with is there any more.");
    o.recorded_services(attempt).is_empty().then(gone)
}

fn unhealthy(pods: &[&Pod], now: Timestamp) -> Option<End> {
    let open: Vec<_> = pods.iter().filter(|pod| pod.is_open() && pod.lives()).collect();
    if open.iter().all(|pod| !pod.serves()) {
        return Some(none_ready());
    }
    let sick = open
        .iter()
        .find(|pod| !pod.serves() && pod.ready_since.is_some_and(|since| elapsed(since.timestamp(), now) >= UNREADY))?;
    Some(End::new(
        Reason::VerificationFailed,
        format!("Pod {} of the candidate has not been ready for {} s.", sick.name, UNREADY.as_secs()),
    ))
}

/// Somebody may put a selector back. It is set again once; the second time people win.
fn services_follow(o: &Observed, attempt: &Attempt, slot: &str, now: Timestamp) -> Option<Step> {
    if let Some(end) = services_gone(o, attempt) {
        return Some(interrupt::latch(o, attempt, end, now));
    }
    o.recorded_services(attempt).into_iter().find_map(|service| follows(o, attempt, service, slot, now))
}

fn follows(o: &Observed, attempt: &Attempt, service: &Service, slot: &str, now: Timestamp) -> Option<Step> {
    let recorded = attempt.services.iter().find(|record| record.uid == service.uid)?;
    let held = service.is_held_by(&o.hotfix.uid, attempt.number);
    if service.selects_slot(slot) && held && service.owner_selector() == recorded.selector {
        return None;
    }
    let changed = |what: &str| Some(changed(o, attempt, service, what, now));
    if service.owner_selector() != recorded.selector {
        return changed("changed the selector of");
    }
    if !held {
        return changed("took the mark off");
    }
    Some(put_back(o, attempt, service, now))
}

/// Somebody has put the selector of a Service back, which was switched: it is set again once in an attempt.
pub fn put_back(o: &Observed, attempt: &Attempt, service: &Service, now: Timestamp) -> Step {
    match &attempt.reassert {
        // While fewer pods are ready than blue has, the traffic is where it should be.
        Some(again) if again.service == service.name && o.green_ready() < o.enough() => {
            changed(o, attempt, service, "put back the selector of", now)
        }
        Some(again) if again.service == service.name && again.resource_version == service.resource_version => {
            // Whoever put the selector back may have given the candidate its owner back, too.
            let green = o.own_green(&names::slot(&o.hotfix.uid, attempt.number));
            let disowned =
                green.zip(o.recorded_blue(&attempt.blue)).and_then(|(green, blue)| stage::grow(o, green, blue));
            Step::act(disowned.unwrap_or_else(|| cutover::switch(o, attempt, service)))
        }
        Some(_) => changed(o, attempt, service, "put back, for the second time, the selector of", now),
        None => {
            let by = service.last_foreign_manager();
            let mut once = attempt.clone();
            once.reassert = Some(Reassertion {
                service: service.name.clone(),
                resource_version: service.resource_version.clone(),
                by: crate::api::conditions::shorten(&by, 128),
            });
            let text = format!("{by} put the selector of Service {} back; it is set again once.", service.name);
            stage::record(o, once, vec![Note::warning(Reason::ServiceChanged, "SwitchTraffic", text)])
        }
    }
}

fn changed(o: &Observed, attempt: &Attempt, service: &Service, what: &str, now: Timestamp) -> Step {
    let by = service.last_foreign_manager();
    let nobody = o.blue.as_ref().filter(|_| selects_nothing(o, attempt, service)).map_or_else(String::new, |blue| {
        let told = "any more, so nobody answers behind it until its owner mends that.";
        format!(" It selects no pod of Deployment {} {told}", blue.name)
    });
    let message = format!("{by} {what} Service {} while the candidate served.{nobody}", service.name);
    interrupt::latch(o, attempt, End::new(Reason::ServiceChanged, message), now)
}

/// True when the selector to which a Service is returned selects no pod of blue.
fn selects_nothing(o: &Observed, attempt: &Attempt, service: &Service) -> bool {
    let to = service.returned_selector(&attempt.services);
    let selected = |labels: &Map| to.iter().all(|(key, value)| labels.get(key) == Some(value));
    service.selector.is_empty() || !o.blue_pods().iter().any(|pod| selected(&pod.labels))
}
