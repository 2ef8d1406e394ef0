//! `spec.suspend`: it holds an attempt before its next step, up to the hold of the Services, and never a way back.
//!
//! Time in which somebody held the attempt is not the candidate's: deadlines of what can be held count from the end of the
//! suspension, where that is later than the step they are of. The end is recorded when it is seen, so that whoever looks
//! next counts alike. It gives the step its whole time anew, since what had been waited for may have been lost meanwhile.

use jiff::Timestamp;

use crate::api::time::Moment;
use crate::api::{Attempt, Reason, Suspension};

use super::decision::Note;
use super::observed::Observed;
use super::stage;
use super::step::{Step, Trouble};

/// The next step while an attempt is held, or was until now; `None` when nothing holds it.
pub fn next(o: &Observed, attempt: &Attempt, now: Timestamp) -> Option<Step> {
    let at = Moment::new(now);
    let record = |suspension, notes| {
        let held = Attempt { suspension: Some(suspension), ..attempt.clone() };
        Some(stage::record(o, held, notes))
    };
    match (o.hotfix.spec.suspend, open(attempt)) {
        (true, Some(_)) => Some(Step::trouble(trouble(), None)),
        (true, None) => {
            let note = Note::warning(Reason::Suspended, "Wait", trouble().message);
            record(Suspension { since: at, until: None }, vec![note])
        }
        (false, Some(suspension)) => record(Suspension { until: Some(at), ..suspension }, Vec::new()),
        (false, None) => None,
    }
}

/// What people read while an attempt is held.
pub fn held(attempt: Option<&Attempt>) -> Option<Trouble> {
    let attempt = attempt.filter(|attempt| attempt.latch.is_none() && attempt.promoting_at.is_none())?;
    open(attempt).map(|_| trouble())
}

/// From when on the time of a step counts that began with this milestone.
pub fn counted_from(attempt: &Attempt, milestone: Option<Moment>, now: Timestamp) -> Timestamp {
    let resumed = attempt.suspension.and_then(|suspension| suspension.until);
    milestone.max(resumed).map_or(now, Moment::timestamp)
}

fn open(attempt: &Attempt) -> Option<Suspension> {
    attempt.suspension.filter(|suspension| suspension.until.is_none())
}

fn trouble() -> Trouble {
    Trouble::time(
        Reason::Suspended,
        "The hotfix is suspended: the next step is taken when spec.suspend is false. Production was not touched.",
    )
}
