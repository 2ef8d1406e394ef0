//! From a status to the words of the record.

use super::Subject;
use crate::api::conditions::shorten;
use crate::api::time::Moment;
use crate::api::{
    Attempt, AttemptRecord, ConditionType, Exposure, HotfixRef, HotfixReportSpec, REPORT_MOVES_MAX,
    SecurityHotfixStatus, Side, TrafficMove, Truth,
};

/// How many field managers a record names: an object written by more was hardly written by hand, and the first ones
/// tell how it came about.
const MANAGERS_MAX: usize = 16;
/// The longest name of a field manager, in bytes, as Kubernetes bounds it.
const MANAGER_MAX: usize = 128;

/// The record of `about`.
pub fn spec(about: Subject<'_>, closed: Option<Moment>) -> HotfixReportSpec {
    let Subject { name, namespace: _, uid, created_at, managers, spec, status } = about;
    HotfixReportSpec {
        hotfix: HotfixRef { name: name.to_owned(), uid: uid.to_owned() },
        advisory: spec.advisory.clone(),
        target: spec.target.name.clone(),
        images: spec.images.clone(),
        reason: spec.reason.clone(),
        requested_with: managers.iter().take(MANAGERS_MAX).map(|name| shorten(name, MANAGER_MAX)).collect(),
        requested_at: created_at,
        attempt: status.attempt.as_ref().map(attempt),
        history: status.history.clone(),
        outcome: status.attempt.as_ref().and_then(|attempt| attempt.outcome),
        closed_at: closed,
        exposure: Some(Exposure {
            published_at: spec.advisory.published_at,
            requested_at: created_at,
            new_connections_until: status.attempt.as_ref().and_then(new_connections_until),
            closed_at: remediated_at(status),
        }),
    }
}

fn attempt(attempt: &Attempt) -> AttemptRecord {
    AttemptRecord {
        number: attempt.number,
        started_at: attempt.started_at,
        policy: attempt.policy.clone(),
        images: attempt.images.clone(),
        baseline: attempt.blue.baseline.clone(),
        verdicts: attempt.verdicts.clone(),
        moves: moves(attempt),
        latch: attempt.latch.clone(),
    }
}

/// Every move of traffic of which the time was recorded.
///
/// To green when the last Service was switched; to blue when no Service had a ready endpoint of the candidate any
/// more. An attempt that announced no promotion wrote to no Service, so nothing moved, whatever else it did.
fn moves(attempt: &Attempt) -> Vec<TrafficMove> {
    let announced = attempt.promoting_at.is_some();
    let to = |side, at: Option<Moment>| {
        at.filter(|_| announced).map(|at| TrafficMove {
            services: attempt.services.iter().map(|service| service.name.clone()).collect(),
            to: side,
            at,
        })
    };
    let mut moves: Vec<_> =
        [to(Side::Green, attempt.switched_at), to(Side::Blue, attempt.drained_from)].into_iter().flatten().collect();
    moves.sort_by_key(|made| made.at);
    moves.truncate(REPORT_MOVES_MAX);
    moves
}

/// When new connections stopped reaching the vulnerable image: from convergence on, unless the attempt was latched,
/// since then the Deployment's own pods serve again.
fn new_connections_until(attempt: &Attempt) -> Option<Moment> {
    attempt.converged_at.filter(|_| attempt.latch.is_none())
}

/// When the last vulnerable pod was gone.
fn remediated_at(status: &SecurityHotfixStatus) -> Option<Moment> {
    let held = |c: &&crate::api::Condition| c.type_ == ConditionType::Remediated && c.status == Truth::True;
    status.conditions.iter().find(held).map(|condition| condition.last_transition_time)
}
