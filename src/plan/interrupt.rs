//! What ends an attempt before its time: an ordered chain, the first that holds wins and is latched.
//!
//! It is asked before every step up to `Verified`. After that there is no way but forward, and nothing here is asked.

use jiff::Timestamp;

use crate::api::names::{self, ABORT};
use crate::api::time::Moment;
use crate::api::{Attempt, Handled, Latch, Reason};

use super::decision::Note;
use super::observed::Observed;
use super::step::Step;

/// Why an attempt must end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// In one word.
    pub reason: Reason,
    /// In a sentence.
    pub message: String,
}

impl End {
    /// Why an attempt must end.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

type Check = fn(&Observed, &Attempt) -> Option<End>;

const CHAIN: &[Check] = &[deleted, aborted, blue_gone, blue_redeployed, green_changed];

/// The first reason to end the attempt, if there is one.
pub fn check(o: &Observed, attempt: &Attempt) -> Option<End> {
    CHAIN.iter().find_map(|check| check(o, attempt))
}

/// Records, for good, that the attempt must end.
pub fn latch(o: &Observed, attempt: &Attempt, end: End, now: Timestamp) -> Step {
    let mut status = o.status().clone();
    let mut attempt = attempt.clone();
    let note = Note::warning(end.reason, "EndAttempt", end.message.clone());
    attempt.latch = Some(Latch {
        reason: end.reason,
        message: crate::api::conditions::shorten(&end.message, crate::api::conditions::MESSAGE_MAX),
        at: Moment::new(now),
    });
    status.attempt = Some(attempt);
    if let Some(command) = o.hotfix.annotations.get(ABORT) {
        status.last_handled = Some(handled_abort(o, command));
    }
    Step::Record(Box::new(status), vec![note])
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

fn handled_abort(o: &Observed, command: &str) -> Handled {
    let command = crate::api::conditions::shorten(command, 256);
    Handled { abort: Some(command), ..o.status().last_handled.clone().unwrap_or_default() }
}

fn deleted(o: &Observed, _: &Attempt) -> Option<End> {
    if o.namespace.terminating {
        return Some(End::new(Reason::Deleted, format!("Namespace {} is being deleted.", o.hotfix.namespace)));
    }
    o.hotfix.deleting.map(|_| End::new(Reason::Deleted, "The SecurityHotfix was deleted."))
}

fn aborted(o: &Observed, attempt: &Attempt) -> Option<End> {
    let command = o.hotfix.annotations.get(ABORT)?;
    if handled(o).as_ref() == Some(command) {
        return None;
    }
    let (number, reason) = command.split_once('/').unwrap_or((command, ""));
    let meant = number.trim().parse() == Ok(attempt.number);
    meant.then(|| {
        let reason = crate::api::conditions::shorten(&reason.replace(char::is_control, " "), 200);
        End::new(Reason::Aborted, format!("A person ended attempt {number}: {reason}"))
    })
}

fn blue_gone(o: &Observed, attempt: &Attempt) -> Option<End> {
    let name = &o.hotfix.spec.target.name;
    match &o.blue {
        None => Some(End::new(Reason::BlueGone, format!("Deployment {name} is gone."))),
        Some(blue) if blue.uid != attempt.blue.uid => {
            Some(End::new(Reason::BlueGone, format!("Deployment {name} was deleted and made again.")))
        }
        Some(blue) if blue.is_given_up() => {
            Some(End::new(Reason::BlueGone, format!("Deployment {name} is being deleted or was scaled to zero.")))
        }
        Some(_) => None,
    }
}

fn blue_redeployed(o: &Observed, attempt: &Attempt) -> Option<End> {
    let blue = o.recorded_blue(&attempt.blue)?;
    let newest = o.newest_replica_set(&blue.uid)?;
    (newest.uid != attempt.blue.replica_set || !blue.is_as_recorded(&attempt.blue)).then(|| {
        let who = super::facts::last_foreign(&blue.managers);
        End::new(Reason::BlueRedeployed, format!("{who} deployed another version of {} meanwhile.", blue.name))
    })
}

/// The candidate must stay what was scanned and analyzed: same object, same template, same images, one ReplicaSet.
fn green_changed(o: &Observed, attempt: &Attempt) -> Option<End> {
    let record = attempt.green.as_ref()?;
    let slot = names::slot(&o.hotfix.uid, attempt.number);
    let Some(green) = o.own_green(&slot).filter(|green| green.uid == record.uid) else {
        return Some(End::new(Reason::GreenChanged, "The candidate was deleted by somebody."));
    };
    let drifted = o.active_replica_sets(&green.uid).any(|rs| rs.template_hash != record.template_hash);
    let images =
        attempt.images.iter().all(|image| green.template_image(&image.container).as_ref() == Some(&image.image));
    if drifted || !images || green.deleting {
        let who = super::facts::last_foreign(&green.managers);
        return Some(End::new(Reason::GreenChanged, format!("{who} changed the candidate after it was scanned.")));
    }
    None
}
