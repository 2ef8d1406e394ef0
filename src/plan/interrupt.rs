//! What ends an attempt before its time: an ordered chain, the first that holds wins and is latched.
//!
//! It is asked before every step up to `Verified`. After that there is no way but forward, and nothing here is asked.

use jiff::Timestamp;

use crate::api::names::{self, ABORT};
use crate::api::time::Moment;
use crate::api::{Attempt, Latch, Reason};

use super::commands;
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
    let End { reason, message } = end;
    attempt.latch = Some(Latch {
        reason,
        message: crate::api::conditions::shorten(&message, crate::api::conditions::MESSAGE_MAX),
        at: Moment::new(now),
    });
    status.attempt = Some(attempt);
    if let Some(command) = o.hotfix.annotations.get(ABORT) {
        status.last_handled = Some(commands::handled_abort(o, command));
    }
    Step::Record(Box::new(status), vec![Note::warning(reason, "EndAttempt", message)])
}

fn deleted(o: &Observed, _: &Attempt) -> Option<End> {
    if o.namespace.terminating {
        return Some(End::new(Reason::Deleted, format!("Namespace {} is being deleted.", o.hotfix.namespace)));
    }
    o.hotfix.deleting.map(|_| End::new(Reason::Deleted, "The SecurityHotfix was deleted."))
}

fn aborted(o: &Observed, attempt: &Attempt) -> Option<End> {
    commands::abort(o, attempt).map(|message| End::new(Reason::Aborted, message))
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
        let who = o.another_folded(blue).unwrap_or_else(|| super::facts::last_foreign(&blue.managers));
        End::new(Reason::BlueRedeployed, format!("{who} deployed another version of {} meanwhile.", blue.name))
    })
}

/// The candidate must stay what was scanned and analyzed: same object, same template, same images, one ReplicaSet, and pods in
/// which nobody put another image.
fn green_changed(o: &Observed, attempt: &Attempt) -> Option<End> {
    let record = attempt.green.as_ref()?;
    let slot = names::slot(&o.hotfix.uid, attempt.number);
    let Some(green) = o.green.as_ref().filter(|green| green.uid == record.uid) else {
        return Some(End::new(Reason::GreenChanged, "The candidate was deleted by somebody."));
    };
    if o.own_green(&slot).is_none() {
        let who = super::facts::last_manager(&green.managers);
        return Some(End::new(Reason::GreenChanged, format!("{who} changed the labels of the candidate.")));
    }
    let drifted = o.active_replica_sets(&green.uid).any(|rs| rs.template_hash != record.template_hash);
    let images =
        attempt.images.iter().all(|image| green.template_image(&image.container).as_ref() == Some(&image.image));
    if drifted || !images || green.deleting {
        let who = super::facts::last_foreign(&green.managers);
        return Some(End::new(Reason::GreenChanged, format!("{who} changed the candidate after it was scanned.")));
    }
    let other = o.green_pods().into_iter().find(|pod| pod.serves() && !pod.runs_approved(attempt))?;
    Some(End::new(
        Reason::GreenChanged,
        format!("Pod {} of the candidate serves another image than the approved one.", other.name),
    ))
}
