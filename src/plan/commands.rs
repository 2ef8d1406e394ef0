//! What people ask by annotation: to end an attempt, to try again. Each command is carried out once and then remembered as
//! handled. So is one that cannot be carried out: that is said once, with the reason.

use crate::api::names::{ABORT, RETRY};
use crate::api::{Attempt, Handled, Outcome, Reason};
use crate::findings::text::clean;

use super::decision::Note;
use super::observed::Observed;
use super::step::Step;

/// The most bytes of a command that are told.
const TOLD: usize = 64;

/// The abort of this attempt that was not handled yet, as a sentence.
pub fn abort(o: &Observed, attempt: &Attempt) -> Option<String> {
    let command = unhandled(o)?;
    // The number as it was read: as it was written it may hold more than a number.
    (number(command) == Some(attempt.number)).then(|| {
        let reason = command.split_once('/').map_or("", |(_, reason)| reason);
        let reason = crate::api::conditions::shorten(&reason.replace(char::is_control, " "), 200);
        match reason.trim() {
            "" => format!("A person ended attempt {} and gave no reason.", attempt.number),
            reason => format!("A person ended attempt {}: {}.", attempt.number, reason.trim_end_matches('.')),
        }
    })
}

/// The next command that cannot be carried out, told and remembered, so that it cannot hit a later attempt.
pub fn refused(o: &Observed, attempt: Option<&Attempt>) -> Option<Step> {
    refused_abort(o, attempt).or_else(|| refused_retry(o, attempt))
}

fn refused_abort(o: &Observed, attempt: Option<&Attempt>) -> Option<Step> {
    let command = unhandled(o)?;
    let current = attempt.map_or(1, |attempt| attempt.number);
    let why = match (number(command), attempt) {
        (None, _) => format!(
            "\"{}\" does not begin with the number of an attempt; write \"{current}/<reason>\"",
            clean(command, TOLD)
        ),
        // It ends the first attempt as soon as that begins.
        (Some(1), None) => return None,
        (Some(number), None) => {
            format!(
                "it names attempt {number}, and none has begun; delete the hotfix, or set spec.suspend, to keep it from beginning"
            )
        }
        (Some(number), Some(attempt)) if number != attempt.number => {
            format!("it names attempt {number}, and the current one is {current}{}", instead(number, attempt))
        }
        (Some(_), Some(attempt)) if attempt.finished_at.is_some() => format!("attempt {current} had ended already"),
        (Some(_), Some(attempt)) if attempt.verified_at.is_some() => format!(
            "attempt {current} was verified already, and from there it only goes forward; what it puts into the Deployment can be undone there once it has ended"
        ),
        (Some(_), Some(_)) => return None,
    };
    let handled = Handled { abort: Some(remembered(command)), ..handled(o) };
    Some(told(o, handled, "Abort", format!("The abort was not carried out: {why}.")))
}

/// What can be asked instead of ending an attempt that is not the current one.
fn instead(number: i64, current: &Attempt) -> String {
    if current.finished_at.is_some() {
        if number > current.number {
            return format!(", which has ended; once attempt {number} has begun, ask again in other words");
        }
        return ", which has ended".into();
    }
    if current.verified_at.is_some() {
        return ", which was verified already and only goes forward".into();
    }
    format!("; write \"{}/<reason>\" to end it", current.number)
}

/// A retry follows the end of an attempt. Asked for while one goes back it is carried out after that; while one goes
/// forward, or after a good end, it means nothing.
fn refused_retry(o: &Observed, attempt: Option<&Attempt>) -> Option<Step> {
    let (token, attempt) = (retry_token(o)?, attempt?);
    let number = attempt.number;
    let why = match attempt.outcome {
        Some(Outcome::Remediated | Outcome::AlreadyPatched) => {
            "the workload runs the patched image, and there is nothing left to do".to_owned()
        }
        None if attempt.latch.is_none() => {
            format!("attempt {number} is under way; ask again, with another value, if it ends without success")
        }
        Some(_) | None => return None,
    };
    let handled = Handled { retry: Some(token), ..handled(o) };
    Some(told(o, handled, "Retry", format!("The retry was not carried out: {why}.")))
}

fn told(o: &Observed, handled: Handled, action: &'static str, text: String) -> Step {
    let mut status = o.status().clone();
    status.last_handled = Some(handled);
    Step::Record(Box::new(status), vec![Note::warning(Reason::CommandRefused, action, text)])
}

/// The number of the attempt that a command names.
fn number(command: &str) -> Option<i64> {
    command.split('/').next()?.trim().parse().ok()
}

/// The abort that is not remembered as handled.
fn unhandled(o: &Observed) -> Option<&String> {
    let handled = o.status().last_handled.as_ref().and_then(|handled| handled.abort.as_ref());
    o.hotfix.annotations.get(ABORT).filter(|command| handled != Some(&remembered(command)))
}

/// A command as the status remembers it: what is compared must be cut alike, or a long one is never handled.
fn remembered(command: &str) -> String {
    crate::api::conditions::shorten(command, 256)
}

fn handled(o: &Observed) -> Handled {
    o.status().last_handled.clone().unwrap_or_default()
}

/// What is remembered of an abort, so that it is carried out once.
pub fn handled_abort(o: &Observed, command: &str) -> Handled {
    Handled { abort: Some(remembered(command)), ..handled(o) }
}

/// The token of a retry that was not handled yet.
pub fn retry_token(o: &Observed) -> Option<String> {
    let token = o.hotfix.annotations.get(RETRY).filter(|token| !token.trim().is_empty());
    let token = remembered(token?);
    let handled = o.status().last_handled.as_ref().and_then(|handled| handled.retry.as_ref());
    (handled != Some(&token)).then_some(token)
}
