//! The cut-over: hold every Service, open the candidate, switch, and see every endpoint follow.
//!
//! The order is what keeps requests whole. The mark on each Service is the fence: the switch tests for it, and once it is
//! replaced nothing of this attempt can commit there. The preview is deleted right before the pods are opened, so that
//! every kube-proxy has just synced and opening and switching fall into its next sync together.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use crate::api::names::{self, POD_TEMPLATE_HASH, SLOT};
use crate::api::time::{Moment, after};
use crate::api::{Attempt, Reason, Timeouts};

use super::action::Target;
use super::decision::{ACTIONS_MAX, Note};
use super::interrupt::{self, End};
use super::leaving::Leaving;
use super::observed::{Observed, Owns, Pod, Service};
use super::stage::{self, LOOK_AGAIN};
use super::step::Step;
use super::{Action, facts, others, stale, verify};

/// How long opened pods may take to become ready, counted from the last of them: the kubelet needs about 0.2 s, and it is
/// given 5. The time is read off a condition that has whole seconds, hence one more.
const OPENING: Duration = Duration::from_secs(6);

/// How long after the first pod the others are still opened. All are opened in one breath, unless the operator dies in
/// between: its successor leads after five seconds, and a container that ended is started again within ten. To go on ends
/// the time in which both versions answer as fast as to go back does. Twenty seconds are the most that this time may last.
const OPENING_IN_ALL: Duration = Duration::from_secs(20);

/// When opening must have come to what.
#[derive(Clone, Copy)]
struct Deadlines {
    /// Until when pods are opened.
    open: Timestamp,
    /// Until when enough of them must be ready.
    ready: Timestamp,
}

impl Deadlines {
    /// By when pods were opened; `staged` is by when opening has to begin.
    fn of(opened: impl Iterator<Item = Timestamp>, staged: Timestamp) -> Self {
        let span = opened.fold(None, |span: Option<(Timestamp, Timestamp)>, at| {
            Some(span.map_or((at, at), |(first, last)| (first.min(at), last.max(at))))
        });
        let Some((first, last)) = span else { return Self { open: staged, ready: staged } };
        let all = after(first, OPENING_IN_ALL);
        Self { open: all, ready: after(last, OPENING).min(all) }
    }
}

/// The next step between the announcement and convergence.
pub fn next(o: &Observed, attempt: &Attempt, timeouts: &Timeouts, now: Timestamp) -> Step {
    let slot = names::slot(&o.hotfix.uid, attempt.number);
    let services = o.recorded_services(attempt);
    if let Some(end) = verify::services_gone(o, attempt) {
        return interrupt::latch(o, attempt, end, now);
    }
    if let Some(end) = foreign_change(o, attempt, &services) {
        return interrupt::latch(o, attempt, end, now);
    }
    // An autoscaler may have made blue larger since: whoever takes all of its traffic must be as large.
    if let (Some(green), Some(blue)) = (o.own_green(&slot), o.recorded_blue(&attempt.blue))
        && let Some(action) = stage::grow(o, green, blue)
    {
        return Step::act(action);
    }
    if let Some(action) = services.iter().find_map(|service| hold(o, attempt, service)) {
        // Somebody took our Lease away, and another hotfix has the workload now.
        if let Some(claim) = o.claim.as_ref().filter(|claim| claim.holder != o.hotfix.uid && o.is_alive(&claim.holder))
        {
            let why = format!("{} has claimed the workload meanwhile.", others::holder_of(claim));
            return interrupt::latch(o, attempt, End::new(Reason::WorkloadClaimed, why), now);
        }
        return Step::act(action);
    }
    let pods = o.green_pods();
    let opened = || pods.iter().filter(|pod| pod.is_open()).filter_map(|pod| pod.open?.since).map(Moment::timestamp);
    let began = attempt.promoting_at.map_or(now, Moment::timestamp);
    let by = Deadlines::of(opened(), after(began, timeouts.staging.get()));
    if o.green_ready() == 0 && services.iter().any(|service| service.selects_slot(&slot)) {
        return interrupt::latch(o, attempt, verify::none_ready(), now);
    }
    if let Some(service) = services.iter().find(|service| !service.selects_slot(&slot)) {
        if o.green_ready() < o.enough() {
            return open(o, attempt, &pods, by, now);
        }
        if let Some(trouble) = stage::uncovered(o, service) {
            if now >= by.ready {
                return interrupt::latch(o, attempt, End::new(Reason::OpeningFailed, trouble.message), now);
            }
            return Step::trouble(trouble, Some(by.ready));
        }
        if was_put_back(service) {
            return verify::put_back(o, attempt, service, now);
        }
        return Step::act(switch(o, attempt, service));
    }
    let switched = opened().min().unwrap_or(began);
    let deadline = after(after(switched, OPENING), timeouts.convergence.get());
    if let Some(laggard) = services.iter().find(|service| !converged(o, service)) {
        if now >= deadline {
            let why = format!("The endpoints of Service {} did not become the candidate's pods in time.", laggard.name);
            return interrupt::latch(o, attempt, End::new(Reason::ConvergenceFailed, why), now);
        }
        // Pods that came up meanwhile are opened while the slices follow.
        return open_late(o, attempt, &pods).unwrap_or_else(|| Step::wait(Some(deadline.min(after(now, LOOK_AGAIN)))));
    }
    let mut done = attempt.clone();
    done.converged_at = Some(Moment::new(now));
    done.switched_at = services.iter().filter_map(|service| moved_at(service)).max().or(done.converged_at);
    let names: Vec<&str> = services.iter().map(|service| service.name.as_str()).collect();
    let text = format!("Every endpoint of {} is the candidate's.", names.join(", "));
    stage::record(o, done, vec![Note::normal(Reason::Verifying, "SwitchTraffic", text)])
}

/// When our manager wrote the Service last.
fn moved_at(service: &Service) -> Option<Moment> {
    service.managers.iter().filter(|manager| manager.name == names::MANAGER).filter_map(|manager| manager.at).max()
}

/// True when somebody wrote the selector after our last write, which on a Service that is held was the hold or a switch.
/// These times have whole seconds, so that in the same second it is taken to be so: what it costs is that the selector is
/// not set again a second time.
fn was_put_back(service: &Service) -> bool {
    let theirs =
        service.managers.iter().filter(|manager| manager.name != names::MANAGER && manager.owns == Owns::Contested);
    moved_at(service).is_some_and(|ours| theirs.filter_map(|manager| manager.at).any(|theirs| theirs >= ours))
}

/// A selector that is neither the owner's as recorded nor that plus our slot, or a mark that is not ours.
fn foreign_change(o: &Observed, attempt: &Attempt, services: &[&Service]) -> Option<End> {
    services.iter().find_map(|service| {
        let recorded = attempt.services.iter().find(|record| record.uid == service.uid)?;
        if service.owner_selector() != recorded.selector {
            let who = service.last_foreign_manager();
            return Some(End::new(
                Reason::ServiceChanged,
                format!("{who} changed the selector of Service {} meanwhile.", service.name),
            ));
        }
        let Some(mark) = service.mark_text() else {
            // Without its mark the switch cannot be fenced any more.
            return service.selector.contains_key(SLOT).then(|| {
                let who = facts::last_manager(&service.managers);
                let why = format!("{who} took the mark off Service {} after it was switched.", service.name);
                End::new(Reason::ServiceChanged, why)
            });
        };
        (!service.is_held_by(&o.hotfix.uid, attempt.number)).then(|| {
            End::new(
                Reason::ServiceChanged,
                format!("Service {} carries {} instead of this attempt's mark.", service.name, facts::mark_words(mark)),
            )
        })
    })
}

/// The write that puts our mark on a Service that has none.
fn hold(o: &Observed, attempt: &Attempt, service: &Service) -> Option<Action> {
    service.mark_text().is_none().then(|| Action::Hold {
        service: service.versioned(),
        mark: names::hold(&o.hotfix.uid, attempt.number),
        selector: service.selector.clone(),
        annotations: stale::annotations(service),
    })
}

/// Deletes the preview and opens every pod, in one breath, once all of them could serve.
fn open(o: &Observed, attempt: &Attempt, pods: &[&Pod], by: Deadlines, now: Timestamp) -> Step {
    let more = if now < by.open { open_late(o, attempt, pods) } else { None };
    let none_open = pods.iter().all(|pod| !pod.is_open());
    if now >= by.ready && (none_open || more.is_none()) {
        let end = End::new(Reason::OpeningFailed, stage::not_up(pods, attempt, o.enough()));
        return interrupt::latch(o, attempt, end, now);
    }
    let look_again = || Step::wait(Some(by.ready.min(after(now, LOOK_AGAIN))));
    let could_serve = pods.iter().filter(|pod| stage::is_up(pod, attempt)).count();
    if none_open && (could_serve < o.enough() || pods.iter().any(|pod| pod.lives() && !stage::is_up(pod, attempt))) {
        return look_again();
    }
    if let Some(preview) = Leaving::own(o, attempt).preview(o).filter(|preview| !preview.deleting) {
        return Step::act(Action::DeletePreview(Target { name: preview.name.clone(), uid: preview.uid.clone() }));
    }
    more.unwrap_or_else(look_again)
}

/// Opens every pod of the candidate that could serve and is not open yet.
pub fn open_late(o: &Observed, attempt: &Attempt, pods: &[&Pod]) -> Option<Step> {
    let record = attempt.green.as_ref()?;
    let sets: BTreeSet<&str> = o
        .replica_sets
        .iter()
        .filter(|rs| rs.controller == record.uid && rs.template_hash == record.template_hash)
        .map(|rs| rs.uid.as_str())
        .collect();
    let actions: Vec<Action> = pods
        .iter()
        .filter(|pod| stage::is_up(pod, attempt) && pod.open.is_none())
        .filter(|pod| pod.controller.as_deref().is_some_and(|uid| sets.contains(uid)))
        .filter(|pod| pod.labels.get(POD_TEMPLATE_HASH) == Some(&record.template_hash))
        .take(ACTIONS_MAX)
        .map(|pod| Action::Open(pod.versioned()))
        .collect();
    if actions.is_empty() {
        return None;
    }
    // Somebody may have given the candidate its owner back, with which it would be collected while it serves.
    match o.green.as_ref().filter(|green| green.owners.contains(&o.hotfix.uid)) {
        Some(green) => o.recorded_blue(&attempt.blue).and_then(|blue| stage::grow(o, green, blue)).map(Step::act),
        None => Some(Step::Act(actions)),
    }
}

/// The write that sends a Service's traffic to the candidate.
pub fn switch(o: &Observed, attempt: &Attempt, service: &Service) -> Action {
    let mut to = service.owner_selector();
    to.insert(SLOT.to_owned(), names::slot(&o.hotfix.uid, attempt.number));
    Action::Switch {
        service: service.versioned(),
        mark: names::hold(&o.hotfix.uid, attempt.number),
        from: service.selector.clone(),
        to,
    }
}

/// True when the slices hold the candidate's pods and nothing else, enough of them ready. By content: no field of a slice
/// tells which version of the Service it follows. A slice that nobody keeps any more goes on sending traffic where it did.
pub fn converged(o: &Observed, service: &Service) -> bool {
    if o.foreign_slice(&service.name).is_some() {
        return false;
    }
    let green: BTreeSet<&str> = o.green_pods().iter().map(|pod| pod.uid.as_str()).collect();
    let mut ready = 0;
    for endpoint in o.endpoints(&service.name) {
        if !endpoint.pod.as_deref().is_some_and(|uid| green.contains(uid)) {
            return false;
        }
        ready += usize::from(endpoint.ready);
    }
    ready >= o.enough()
}
