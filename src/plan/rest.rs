//! A hotfix that has come to an end: what is left of it is removed whenever it is seen, and then nothing is done.

use jiff::Timestamp;

use crate::api::names::FINALIZER;
use crate::api::time::{Moment, after};
use crate::api::{Attempt, Outcome};

use super::action::Target;
use super::begin::{self, Asked};
use super::leaving::Leaving;
use super::observed::{Observed, Report};
use super::step::Step;
use super::{Action, commands, wayout};

/// How much longer than the API server works on a request one of ours may be under way in all: what is on the network when
/// its sender dies is sent again for a few seconds, and proxies queue.
const NETWORK: std::time::Duration = std::time::Duration::from_secs(15);

/// The next step of a hotfix whose attempt is over.
pub fn next(o: &Observed, attempt: &Attempt, now: Timestamp) -> Step {
    if let Some(step) = wayout::clean(o, &Leaving::own(o, attempt), now) {
        return step;
    }
    if let Some(step) = record(o, attempt) {
        return step;
    }
    let again = match attempt.outcome {
        Some(Outcome::Restarted) => Some(Asked::ByOperator),
        Some(Outcome::Remediated | Outcome::AlreadyPatched) | None => None,
        Some(_) => commands::retry_token(o).map(|_| Asked::ByPerson),
    };
    if let Some(asked) = again.filter(|_| !o.deleting()) {
        return begin::next(o, now, asked);
    }
    if let Some(step) = leave_behind(o) {
        return step;
    }
    if let Some(step) = commands::refused(o, Some(attempt)).filter(|_| !o.deleting()) {
        return step;
    }
    // Once more when a create of ours that was in flight has landed or never will: what landed is removed.
    let landed = o.settings.api_request_max + NETWORK;
    let sweep = attempt.finished_at.map(|at| after(at.timestamp(), landed)).filter(|sweep| now < *sweep);
    Step::wait(sweep)
}

/// Leaves without ever having begun.
pub fn leave(o: &Observed) -> Step {
    leave_behind(o).unwrap_or_else(|| Step::wait(None))
}

/// The record says how it ended, before anything that could tell is let go.
fn record(o: &Observed, attempt: &Attempt) -> Option<Step> {
    if o.namespace.terminating {
        return None;
    }
    let Some(report) = &o.report else { return Some(Step::act(Action::OpenReport(crate::report::open(o)))) };
    let closed = attempt.finished_at.filter(|_| attempt.outcome != Some(Outcome::Restarted));
    let differs = report.spec != crate::report::spec(o, closed);
    (report.hotfix_uid == o.hotfix.uid && differs).then(|| write_report(o, report, closed))
}

/// The record as the status is now; `closed` is when the hotfix came to its end, if it has.
pub fn write_report(o: &Observed, report: &Report, closed: Option<Moment>) -> Step {
    Step::act(Action::WriteReport {
        name: crate::api::names::report(&o.hotfix.name, &o.hotfix.uid),
        resource_version: report.resource_version.clone(),
        spec: Box::new(crate::report::spec(o, closed)),
    })
}

/// Claim and finalizer.
fn leave_behind(o: &Observed) -> Option<Step> {
    let finalizer = o.hotfix.finalizers.iter().position(|finalizer| finalizer == FINALIZER);
    // Whose holder does not exist is nobody's: somebody wrote another one over ours, or a hotfix that is gone left it.
    let ends = |holder: &String| *holder == o.hotfix.uid || finalizer.is_some() && o.is_gone(holder);
    if let Some(claim) = o.claim.as_ref().filter(|claim| ends(&claim.holder)) {
        return Some(Step::act(Action::Unclaim(Target { name: claim.name.clone(), uid: claim.uid.clone() })));
    }
    let index = finalizer?;
    Some(Step::act(Action::RemoveFinalizer { resource_version: o.hotfix.resource_version.clone(), index }))
}
