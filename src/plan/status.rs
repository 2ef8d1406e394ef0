//! Phases and conditions, derived from what is recorded and from what is waited for.
//!
//! Nothing here is ever decided upon. The words are chosen so that a wait says the same as the record that led into it:
//! a rollout without trouble then costs one status write for each milestone and none for waiting.

use crate::api::conditions::{self, MESSAGE_MAX, Wanted, shorten};
use crate::api::names::RETRY;
use crate::api::time::Moment;
use crate::api::{
    Attempt, ConditionType, Gate, Outcome, Phase, Reason, SecurityHotfixStatus, Side, Truth, VerdictWord,
};
use crate::gates::fold::said;

use super::observed::Observed;
use super::step::{Need, Trouble};
use super::{commands, others, soak, suspend, unchecked};

/// Fills in what is derived: phase, traffic, conditions, observed generation.
pub fn dress(
    mut status: SecurityHotfixStatus,
    observed: &Observed,
    trouble: Option<&Trouble>,
    now: Moment,
) -> SecurityHotfixStatus {
    let phase = match phase(&status) {
        // An attempt that was begun beside another hotfix's has not begun to scan.
        Phase::Scanning if trouble.is_some_and(|trouble| trouble.reason == Reason::WorkloadClaimed) => Phase::Pending,
        phase => phase,
    };
    let wanted = wanted(&status, phase, observed, trouble, now);
    status.phase = Some(phase);
    status.traffic = traffic(&status);
    status.observed_generation = Some(observed.hotfix.generation);
    status.conditions = conditions::merge(&observed.hotfix.status.conditions, wanted, observed.hotfix.generation, now);
    status
}

/// Where the rollout stands, in one word.
fn phase(status: &SecurityHotfixStatus) -> Phase {
    let Some(attempt) = &status.attempt else { return Phase::Pending };
    match attempt.outcome {
        Some(Outcome::Remediated) => return Phase::Remediated,
        Some(Outcome::RolledBack) => return Phase::RolledBack,
        Some(Outcome::Failed) => return Phase::Failed,
        Some(Outcome::Rejected) => return Phase::Rejected,
        Some(Outcome::Cancelled) => return Phase::Cancelled,
        Some(Outcome::Superseded) => return Phase::Superseded,
        Some(Outcome::AlreadyPatched) => return Phase::AlreadyPatched,
        Some(Outcome::Restarted) => return Phase::Pending,
        None => {}
    }
    if attempt.latch.is_some() && attempt.verified_at.is_none() {
        return Phase::RollingBack;
    }
    if attempt.verified_at.is_some() {
        Phase::FoldingBack
    } else if attempt.converged_at.is_some() {
        Phase::Verifying
    } else if attempt.analyzed_at.is_some() {
        Phase::Promoting
    } else if attempt.staged_at.is_some() {
        Phase::Analyzing
    } else if attempt.scanned_at.is_some() {
        Phase::Staging
    } else {
        Phase::Scanning
    }
}

fn traffic(status: &SecurityHotfixStatus) -> Option<Side> {
    let attempt = status.attempt.as_ref()?;
    Some(if attempt.promoting_at.is_none() || attempt.drained_from.is_some() {
        Side::Blue
    } else if attempt.converged_at.is_some() && attempt.latch.is_none() {
        Side::Green
    } else {
        Side::Moving
    })
}

fn wanted(
    status: &SecurityHotfixStatus,
    phase: Phase,
    observed: &Observed,
    trouble: Option<&Trouble>,
    now: Moment,
) -> Vec<Wanted> {
    let attempt = status.attempt.as_ref();
    let left = status.leftover.as_ref().map(|left| Trouble::time(Reason::LeftBehind, others::what_is_left(left)));
    let held = suspend::held(attempt);
    let unchecked = unchecked::told(observed, attempt);
    let trouble = trouble.or(left.as_ref()).or(held.as_ref()).or(unchecked.as_ref());
    let mut all = summary(attempt, phase, observed, trouble, now);
    all.extend(gates(attempt, phase, trouble));
    all.push(rolled_back(attempt));
    all.push(Wanted {
        type_: ConditionType::AwaitingApproval,
        status: Truth::False,
        reason: Reason::NotRequired,
        message: "No approval is required.".into(),
    });
    all
}

/// Ready, with Reconciling or Stalled where they hold, and Finished.
fn summary(
    attempt: Option<&Attempt>,
    phase: Phase,
    observed: &Observed,
    trouble: Option<&Trouble>,
    now: Moment,
) -> Vec<Wanted> {
    let outcome =
        attempt.filter(|a| a.finished_at.is_some()).and_then(|a| a.outcome).filter(|o| *o != Outcome::Restarted);
    if let (Some(outcome), Some(attempt)) = (outcome, attempt) {
        return ended(attempt, outcome, observed, trouble);
    }
    let mut all = if let Some(Trouble { reason, message, need }) = trouble {
        in_trouble(*reason, message, *need)
    } else {
        let (reason, message) = progress(attempt, phase, observed, now);
        vec![
            condition(ConditionType::Ready, Truth::Unknown, reason, &message),
            condition(ConditionType::Reconciling, Truth::True, reason, &message),
        ]
    };
    let running = "The hotfix has not come to an end yet.";
    all.push(condition(ConditionType::Finished, Truth::False, all[0].reason, running));
    all
}

/// The same of what has come to its end; where a retry was asked for, what it waits for.
fn ended(attempt: &Attempt, outcome: Outcome, observed: &Observed, trouble: Option<&Trouble>) -> Vec<Wanted> {
    let (reason, message) = (outcome_reason(outcome, attempt), outcome_message(outcome, attempt));
    let waits = trouble.filter(|_| commands::retry_token(observed).is_some());
    let mut all = match (outcome, waits) {
        (Outcome::Remediated | Outcome::AlreadyPatched, _) => {
            vec![condition(ConditionType::Ready, Truth::True, reason, &message)]
        }
        (_, Some(Trouble { reason, message, need })) => {
            in_trouble(*reason, &format!("A retry was asked for, and begins when this is over: {message}"), *need)
        }
        (_, None) => {
            let advice = try_again(attempt);
            let advised = shorten(&message, MESSAGE_MAX - advice.len()) + &advice;
            vec![
                condition(ConditionType::Ready, Truth::False, reason, &message),
                condition(ConditionType::Stalled, Truth::True, reason, &advised),
            ]
        }
    };
    all.push(condition(ConditionType::Finished, Truth::True, reason, &message));
    all
}

fn condition(type_: ConditionType, status: Truth, reason: Reason, message: &str) -> Wanted {
    Wanted { type_, status, reason, message: message.into() }
}

/// Not ready, and stalled where a person has to do something.
fn in_trouble(reason: Reason, message: &str, need: Need) -> Vec<Wanted> {
    let mut all = vec![condition(ConditionType::Ready, Truth::False, reason, message)];
    if need == Need::Person {
        all.push(condition(ConditionType::Stalled, Truth::True, reason, message));
    }
    all
}

/// What a person can do about an end that was not good, where the hotfix is there to be asked.
fn try_again(attempt: &Attempt) -> String {
    if attempt.latch.as_ref().is_some_and(|latch| latch.reason == Reason::Deleted) {
        return String::new();
    }
    format!(" It is not tried again by itself; to do so, annotate the hotfix with {RETRY}=\"<any new word>\".")
}

/// What is going on, without numbers that change while it does.
fn progress(attempt: Option<&Attempt>, phase: Phase, observed: &Observed, now: Moment) -> (Reason, String) {
    let target = &observed.hotfix.spec.target.name;
    if let Some(latch) = attempt.and_then(|a| a.latch.as_ref()) {
        return (Reason::RollingBack, format!("Ending the attempt: {}", latch.message));
    }
    let soak = observed
        .policy
        .as_ref()
        .map_or_else(String::new, |policy| format!(" for {}", crate::api::time::spoken(policy.spec.soak.get())));
    match phase {
        Phase::Scanning => (Reason::Scanning, format!("Scanning the images that {target} runs and the patched ones.")),
        Phase::Staging => (Reason::Staging, "Starting the candidate, without traffic.".into()),
        Phase::Analyzing => (Reason::Analyzing, "Checking the candidate, without traffic.".into()),
        Phase::AwaitingApproval => (Reason::AwaitingApproval, "Waiting for an approval.".into()),
        Phase::Promoting => {
            (Reason::Promoting, "Bringing the candidate to full size and moving the traffic to it.".into())
        }
        Phase::Verifying => {
            let anew = attempt.map_or_else(String::new, |a| soak::count(observed, a, now.timestamp()).told());
            // Where the policy cannot be read, what it checks is not known.
            let how = if observed.policy.is_none() || soak::is_asked(observed) {
                "is being checked"
            } else {
                "has to stay ready"
            };
            (Reason::Verifying, format!("The candidate serves all traffic and {how}{soak}{anew}."))
        }
        Phase::FoldingBack => {
            (Reason::FoldingBack, format!("Putting the patched image into {target} and returning the Services to it."))
        }
        _ => (Reason::Pending, "Getting ready to begin.".into()),
    }
}

fn outcome_reason(outcome: Outcome, attempt: &Attempt) -> Reason {
    let latched = attempt.latch.as_ref().map(|latch| latch.reason);
    match outcome {
        Outcome::Remediated => Reason::Remediated,
        Outcome::AlreadyPatched => Reason::AlreadyPatched,
        Outcome::RolledBack => Reason::RolledBack,
        Outcome::Failed => latched.unwrap_or(Reason::Other),
        Outcome::Rejected => Reason::Rejected,
        Outcome::Cancelled => latched.unwrap_or(Reason::Cancelled),
        Outcome::Superseded | Outcome::Restarted => Reason::Superseded,
    }
}

/// True when an attempt ended because there is no Deployment, or its Services may send their traffic elsewhere.
pub fn elsewhere(reason: Reason) -> bool {
    matches!(reason, Reason::BlueGone | Reason::ServiceChanged)
}

/// How an attempt ended, in a sentence.
pub fn outcome_message(outcome: Outcome, attempt: &Attempt) -> String {
    let why = attempt.latch.as_ref().map_or("", |latch| latch.message.as_str());
    match outcome {
        Outcome::Remediated => "The workload runs the patched image, and the last vulnerable pod is gone.".into(),
        Outcome::AlreadyPatched => {
            "The workload runs exactly this image already; nothing was changed, and nothing was scanned.".into()
        }
        // Where the traffic goes then is not known to be the Deployment.
        Outcome::RolledBack if attempt.latch.as_ref().is_some_and(|latch| elsewhere(latch.reason)) => {
            format!("The candidate takes no traffic any more. {why}")
        }
        Outcome::RolledBack => format!("The traffic is back on the Deployment's own pods. {why}"),
        Outcome::Failed if attempt.verified_at.is_some() => format!("The exposure is still open. {why}"),
        Outcome::Failed => format!("Production was not touched. {why}"),
        Outcome::Rejected | Outcome::Cancelled => format!("The attempt was ended before any traffic moved. {why}"),
        Outcome::Superseded => format!("The owner deployed something else. {why}"),
        Outcome::Restarted => format!("Beginning again. {why}"),
    }
}

/// One condition for each step up to the fold-back.
fn gates(attempt: Option<&Attempt>, phase: Phase, trouble: Option<&Trouble>) -> Vec<Wanted> {
    use ConditionType as T;
    let latch = attempt.and_then(|a| a.latch.as_ref());
    let step =
        |type_: T, done: Option<Moment>, failures: &[Reason], under_way: Phase, running: Reason, passed: String| {
            let (status, reason, message) = match (done, latch) {
                (Some(_), _) => (Truth::True, Reason::Passed, passed),
                (None, Some(latch)) if failures.contains(&latch.reason) => {
                    (Truth::False, latch.reason, latch.message.clone())
                }
                (None, None) if phase == under_way => awaited(trouble, running),
                _ => (Truth::Unknown, Reason::NotReached, "Not reached.".into()),
            };
            Wanted { type_, status, reason, message }
        };
    let at = |f: fn(&Attempt) -> Option<Moment>| attempt.and_then(f);
    let told = |gate| attempt.map_or_else(String::new, |a| verdicts(a, gate));
    let mut approved = step(
        T::Approved,
        at(|a| a.approved_at),
        &[Reason::Rejected],
        Phase::AwaitingApproval,
        Reason::AwaitingApproval,
        "No approval is required.".into(),
    );
    if approved.status == Truth::True {
        approved.reason = Reason::NotRequired;
    }
    vec![
        step(
            T::Scanned,
            at(|a| a.scanned_at),
            &[Reason::ScanFailed],
            Phase::Scanning,
            Reason::Scanning,
            told(Gate::Scan),
        ),
        step(
            T::Staged,
            at(|a| a.staged_at),
            &[Reason::StagingFailed, Reason::AdmissionRefused],
            Phase::Staging,
            Reason::Staging,
            "The candidate started, and its containers are ready.".into(),
        ),
        step(
            T::Analyzed,
            at(|a| a.analyzed_at),
            &[Reason::AnalysisFailed],
            Phase::Analyzing,
            Reason::Analyzing,
            told(Gate::Analyze),
        ),
        approved,
        step(
            T::Promoted,
            at(|a| a.converged_at),
            &[Reason::OpeningFailed, Reason::ConvergenceFailed],
            Phase::Promoting,
            Reason::Promoting,
            "Every endpoint of every Service was the candidate's.".into(),
        ),
        step(
            T::Verified,
            at(|a| a.verified_at),
            &[Reason::VerificationFailed],
            Phase::Verifying,
            Reason::Verifying,
            told(Gate::Verify),
        ),
        remediated(attempt, phase, trouble),
    ]
}

/// What is under way, and what keeps it.
fn awaited(trouble: Option<&Trouble>, running: Reason) -> (Truth, Reason, String) {
    trouble.map_or_else(
        || (Truth::Unknown, running, "Under way.".to_owned()),
        |trouble| (Truth::Unknown, trouble.reason, trouble.message.clone()),
    )
}

fn remediated(attempt: Option<&Attempt>, phase: Phase, trouble: Option<&Trouble>) -> Wanted {
    let outcome = attempt.and_then(|a| a.outcome);
    let (status, reason, message) = match (outcome, attempt) {
        (Some(Outcome::Remediated), Some(_)) => {
            (Truth::True, Reason::Remediated, "The last vulnerable pod is gone.".to_owned())
        }
        // Somebody may have named the vulnerable image itself: without a scan nothing is claimed.
        (Some(Outcome::AlreadyPatched), Some(_)) => {
            let message = "The workload ran this image before; whether it fixes the advisory was not looked at.";
            (Truth::Unknown, Reason::AlreadyPatched, message.to_owned())
        }
        (Some(outcome), Some(attempt)) => {
            let redeployed = attempt.latch.as_ref().is_some_and(|latch| latch.reason == Reason::BlueRedeployed);
            let message = if redeployed {
                "What the owner deployed was not scanned: nothing shows that the exposure is closed."
            } else {
                "The exposure is still open."
            };
            (Truth::False, outcome_reason(outcome, attempt), message.into())
        }
        _ if phase == Phase::FoldingBack => awaited(trouble, Reason::FoldingBack),
        _ => (Truth::Unknown, Reason::NotReached, "Not reached.".into()),
    };
    Wanted { type_: ConditionType::Remediated, status, reason, message }
}

fn rolled_back(attempt: Option<&Attempt>) -> Wanted {
    let latch = attempt.and_then(|a| a.latch.as_ref().filter(|_| a.promoting_at.is_some() && a.verified_at.is_none()));
    let returned = attempt.is_some_and(|a| a.drained_from.is_some() || a.finished_at.is_some());
    let (status, reason, message) = match latch {
        Some(latch) if returned => (Truth::True, latch.reason, latch.message.clone()),
        Some(latch) => (Truth::Unknown, Reason::RollingBack, latch.message.clone()),
        None => (Truth::False, Reason::NotReached, "Nothing was rolled back.".into()),
    };
    Wanted { type_: ConditionType::RolledBack, status, reason, message }
}

/// What the checks of a gate said, in one message.
fn verdicts(attempt: &Attempt, gate: Gate) -> String {
    let said: Vec<String> = attempt
        .verdicts
        .iter()
        .filter(|record| record.gate == gate && record.verdict == VerdictWord::Pass)
        .map(|record| said(&record.check, &record.message))
        .collect();
    if said.is_empty() { "The policy asks for no check here.".into() } else { said.join(" ") }
}
