//! What people ask by annotation: to end an attempt, to try again. Each command is carried out once and then remembered as
//! handled.

use crate::api::names::{ABORT, RETRY};
use crate::api::{Attempt, Handled, Reason};

use super::decision::Note;
use super::observed::Observed;
use super::step::Step;

/// The abort of this attempt that was not handled yet, as a sentence.
pub fn abort(o: &Observed, attempt: &Attempt) -> Option<String> {
    let command = unhandled(o)?;
    let (number, reason) = command.split_once('/').unwrap_or((command, ""));
    let meant = number.trim().parse() == Ok(attempt.number);
    // The number as it was read: as it was written it may hold more than a number.
    meant.then(|| {
        let reason = crate::api::conditions::shorten(&reason.replace(char::is_control, " "), 200);
        format!("A person ended attempt {}: {reason}", attempt.number)
    })
}

/// An abort that speaks of another attempt, or comes too late: acknowledged, so that it cannot hit a later one.
pub fn stale_abort(o: &Observed, attempt: &Attempt) -> Option<Step> {
    let command = unhandled(o)?;
    let mut status = o.status().clone();
    status.last_handled = Some(handled_abort(o, command));
    let text = if attempt.verified_at.is_some() {
        "An abort came after the hotfix was verified; from there it only goes forward.".to_owned()
    } else {
        format!("An abort named another attempt than {}, the current one, and was not carried out.", attempt.number)
    };
    Some(Step::Record(Box::new(status), vec![Note::warning(Reason::Aborted, "Abort", text)]))
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

/// What is remembered of an abort, so that it is carried out once.
pub fn handled_abort(o: &Observed, command: &str) -> Handled {
    Handled { abort: Some(remembered(command)), ..o.status().last_handled.clone().unwrap_or_default() }
}

/// The token of a retry that was not handled yet.
pub fn retry_token(o: &Observed) -> Option<String> {
    let token = o.hotfix.annotations.get(RETRY)?;
    let token = remembered(token);
    let handled = o.status().last_handled.as_ref().and_then(|handled| handled.retry.as_ref());
    (handled != Some(&token)).then_some(token)
}
