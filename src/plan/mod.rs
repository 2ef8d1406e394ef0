//! The planner: what is to be done next, told from one picture of the cluster.
//!
//! Pure and total: no client, no clock, no randomness, no async. The same function decides in production, in the
//! explorer, in `plan` and in `explain`.
//!
//! Each file is one part of a rollout and answers with one [`step::Step`]; this one puts them in their order and dresses
//! the answer. The order is the story: begin, claim, scan, stage, analyze, approve, grow, cut over, verify, fold back, and
//! one way out.

pub mod action;
mod begin;
pub mod commands;
mod cutover;
pub mod decision;
pub mod facts;
mod foldback;
mod gate_run;
mod interrupt;
pub mod invariants;
pub mod jobs;
mod leaving;
mod leftover;
pub mod observed;
pub mod others;
mod policy;
mod preflight;
mod rest;
pub mod selector;
mod soak;
mod stage;
mod staging;
mod stale;
mod status;
pub mod step;
mod suspend;
mod unchecked;
mod verify;
mod wayout;

use jiff::Timestamp;

pub use action::Action;
pub use decision::{Decision, Note, Want, Weight};
pub use observed::Observed;

use crate::api::conditions::Condition;
use crate::api::time::Moment;
use crate::api::{Attempt, Gate, Reason};
use begin::Asked;
use gate_run::Progress;
use interrupt::End;
use observed::Policy;
use step::{Step, Trouble, Wait};

/// What is to be done next. Total and deterministic: every picture has exactly one answer.
pub fn decide(observed: &Observed, now: Timestamp) -> Decision {
    dress(observed, next(observed, now), now)
}

fn next(o: &Observed, now: Timestamp) -> Step {
    match o.attempt() {
        None if o.deleting() => rest::leave(o),
        None => begin::next(o, now, Asked::ByPerson),
        Some(attempt) if attempt.finished_at.is_some() => rest::next(o, attempt, now),
        Some(attempt) if attempt.latch.is_some() => wayout::back(o, attempt, now),
        Some(attempt) if attempt.verified_at.is_some() => commands::refused(o, Some(attempt)).unwrap_or_else(|| {
            let timeouts = o.policy.as_ref().map(|policy| policy.spec.timeouts.clone()).unwrap_or_default();
            foldback::next(o, attempt, &timeouts, now)
        }),
        Some(attempt) => forward(o, attempt, now),
    }
}

/// From the claim to `Verified`: whatever ends the attempt is asked before every step.
fn forward(o: &Observed, attempt: &Attempt, now: Timestamp) -> Step {
    if let Some(end) = interrupt::check(o, attempt) {
        return interrupt::latch(o, attempt, end, now);
    }
    if let Some(step) = commands::refused(o, Some(attempt)) {
        return step;
    }
    if let Some(step) = policy::changed(o, attempt, now) {
        return step;
    }
    let policy = policy::usable(o);
    if attempt.converged_at.is_some() {
        return verify::next(o, attempt, policy, now);
    }
    if attempt.promoting_at.is_some() {
        let timeouts = policy.map(|policy| policy.spec.timeouts.clone()).unwrap_or_default();
        return cutover::next(o, attempt, &timeouts, now);
    }
    if let Some(step) = suspend::next(o, attempt, now) {
        return step;
    }
    let policy = match policy {
        Ok(policy) => policy,
        Err(unusable) => return Step::trouble(unusable.trouble(), None),
    };
    if let Some(step) = stage::claim(o, attempt) {
        return step;
    }
    // Another hotfix may have vanished since this attempt began.
    let left = o.blue.as_ref().and_then(|blue| leftover::next(o, blue, now));
    left.unwrap_or_else(|| prepare(o, attempt, policy, now))
}

/// The gates before any traffic: scan, stage, analyze, approve, full size.
fn prepare(o: &Observed, attempt: &Attempt, policy: &Policy, now: Timestamp) -> Step {
    if attempt.scanned_at.is_none() {
        return gate(o, attempt, policy, Gate::Scan, now);
    }
    if attempt.staged_at.is_none() {
        return stage::stage(o, attempt, policy, now);
    }
    if attempt.analyzed_at.is_none() {
        // Without its preview the candidate cannot be told from what runs.
        let preview = o.recorded_blue(&attempt.blue).and_then(|blue| stage::preview(o, attempt, blue, now));
        return preview.unwrap_or_else(|| gate(o, attempt, policy, Gate::Analyze, now));
    }
    stage::full_size(o, attempt, policy, now)
}

/// Runs a gate before the switch, and records its passing. The approval gate is settled together with the analysis while
/// no policy can ask for approvals.
fn gate(o: &Observed, attempt: &Attempt, policy: &Policy, gate: Gate, now: Timestamp) -> Step {
    match gate_run::run(o, attempt, policy, gate, now) {
        Progress::Act(action) => Step::act(action),
        Progress::Wait(wait) => Step::Wait(wait),
        Progress::Failed(verdicts, why) => {
            let mut failed = attempt.clone();
            failed.verdicts.extend(verdicts);
            let reason = if gate == Gate::Scan { Reason::ScanFailed } else { Reason::AnalysisFailed };
            interrupt::latch(o, &failed, End::new(reason, why), now)
        }
        Progress::Passed(verdicts, _) => {
            let mut passed = attempt.clone();
            passed.verdicts.extend(verdicts);
            let at = Some(Moment::new(now));
            let (reason, action, text) = if gate == Gate::Scan {
                passed.scanned_at = at;
                (Reason::Staging, "Scan", "The scan gate passed.")
            } else {
                passed.analyzed_at = at;
                passed.approved_at = at;
                (Reason::Promoting, "Analyze", "The analysis gate passed; no approval is required.")
            };
            stage::record(o, passed, vec![Note::normal(reason, action, text)])
        }
    }
}

/// A step as a decision: conditions are filled in, and written only when they changed.
fn dress(o: &Observed, step: Step, now: Timestamp) -> Decision {
    let moment = Moment::new(now);
    let record =
        |status| Action::Record { resource_version: o.hotfix.resource_version.clone(), status: Box::new(status) };
    match step {
        Step::Act(actions) => Decision { actions, ..Decision::default() },
        Step::Record(draft, events) => {
            let status = status::dress(*draft, o, None, moment);
            Decision { actions: vec![record(status)], events, ..Decision::default() }
        }
        Step::Wait(Wait { trouble, wants, wake }) => {
            let status = status::dress(o.status().clone(), o, trouble.as_ref(), moment);
            // Before an attempt the first question is answered within seconds: saying that it was asked is not worth a write.
            let under_way = o.attempt().is_some_and(|attempt| attempt.finished_at.is_none());
            let asking = !wants.is_empty() && trouble.is_none() && !under_way;
            let leaving = o.deleting() && o.attempt().is_none();
            let changed = status != *o.status() && !asking && !leaving;
            let news = trouble.filter(|trouble| changed && is_new(o, trouble));
            let events =
                news.map(|trouble| Note::warning(trouble.reason, "Wait", trouble.message)).into_iter().collect();
            Decision { actions: if changed { vec![record(status)] } else { Vec::new() }, wants, events, wake }
        }
    }
}

/// True when people have not been told of this trouble yet. Most say one thing in words that may change while it lasts; these name
/// one of several things.
fn is_new(o: &Observed, trouble: &Trouble) -> bool {
    let one_of_several = matches!(
        trouble.reason,
        Reason::CheckInconclusive | Reason::CheckNotStarted | Reason::CheckMissing | Reason::CheckInvalid
    );
    let told = |condition: &Condition| {
        condition.reason == trouble.reason && (!one_of_several || condition.message == trouble.message)
    };
    !o.status().conditions.iter().any(told)
}
