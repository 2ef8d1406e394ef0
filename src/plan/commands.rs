//! What people ask by annotation: to end an attempt, to try again. Each command is carried out once and then remembered as
//! handled.

use crate::api::names::{ABORT, RETRY};
use crate::api::{Attempt, Handled, Reason};

use super::decision::Note;
use super::observed::Observed;
use super::step::Step;

/// The abort of this attempt that was not handled yet, as a sentence.
pub fn abort(o: &Observed, attempt: &Attempt) -> Option<String> {
    let command = o.hotfix.annotations.get(ABORT)?;
    if handled(o).as_ref() == Some(command) {
        return None;
    }
    let (number, reason) = command.split_once('/').unwrap_or((command, ""));
    let meant = number.trim().parse() == Ok(attempt.number);
    meant.then(|| {
        let reason = crate::api::conditions::shorten(&reason.replace(char::is_control, " "), 200);
        format!("A person ended attempt {number}: {reason}")
    })
}

/// An abort that speaks of another attempt, or comes too late: acknowledged, so that it cannot hit a later one.
pub fn stale_abort(o: &Observed, attempt: &Attempt) -> Option<Step> {
    let command = o.hotfix.annotations.get(ABORT)?;
    if handled(o).as_ref() == Some(command) {
        return None;
    }
    let mut status = o.status().clone();
    status.last_handled = Some(handled_abort(o, command));
    let text = if attempt.verified_at.is_some() {
        "An abort came after the hotfix was verified; from there it only goes forward.".to_owned()
    } else {
        format!("An abort named another attempt than {}, the current one, and was not carried out.", attempt.number)
    };
    Some(Step::Record(Box::new(status), vec![Note::warning(Reason::Aborted, "Abort", text)]))
}

fn handled(o: &Observed) -> Option<String> {
    o.status().last_handled.as_ref().and_then(|handled| handled.abort.clone())
}

/// What is remembered of an abort, so that it is carried out once.
pub fn handled_abort(o: &Observed, command: &str) -> Handled {
    let command = crate::api::conditions::shorten(command, 256);
    Handled { abort: Some(command), ..o.status().last_handled.clone().unwrap_or_default() }
}

/// The token of a retry that was not handled yet.
pub fn retry_token(o: &Observed) -> Option<String> {
    let token = o.hotfix.annotations.get(RETRY)?;
    let token = crate::api::conditions::shorten(token, 256);
    let handled = o.status().last_handled.as_ref().and_then(|handled| handled.retry.as_ref());
    (handled != Some(&token)).then_some(token)
}
