//! A candidate that serves while nothing can check it: the policy or one of its checks is missing, or cannot be used.
//!
//! A tool may be about to put them back, and a right that was taken away may come again, so it is borne for a while. What
//! cannot be verified for longer has failed: a sick candidate must not keep the traffic because nobody is told that it is.
//! Beginning and end are recorded, so that whoever looks next counts alike.

use std::time::Duration;

use jiff::Timestamp;

use crate::api::time::{Moment, after, second, spoken};
use crate::api::{Attempt, Reason, Unchecked};

use super::decision::Note;
use super::interrupt::{self, End};
use super::observed::Observed;
use super::policy::{self, Unusable};
use super::stage::{self, LOOK_AGAIN};
use super::step::{Step, Trouble};

/// How long a candidate may serve unchecked: GitOps engines look every three minutes unless told otherwise, so one that
/// puts back what somebody deleted saves the rollout.
pub const BORNE: Duration = Duration::from_secs(5 * 60);

/// The next step while the candidate cannot be checked.
pub fn next(o: &Observed, attempt: &Attempt, why: &Unusable, now: Timestamp) -> Step {
    let Some(unchecked) = open(attempt) else {
        let since = Moment::new(now);
        let begun = Attempt { unchecked: Some(Unchecked { since, until: None }), ..attempt.clone() };
        let trouble = trouble(since, why);
        return stage::record(o, begun, vec![Note::warning(trouble.reason, "Wait", trouble.message)]);
    };
    let ends = after(unchecked.since.timestamp(), BORNE);
    if now >= ends {
        let message = format!(
            "The candidate could not be checked for {}, from {} on: {}.",
            spoken(BORNE),
            second(unchecked.since),
            why.what()
        );
        return interrupt::latch(o, attempt, End::new(Reason::VerificationFailed, message), now);
    }
    Step::trouble(trouble(unchecked.since, why), Some(ends.min(after(now, LOOK_AGAIN))))
}

/// Records that the candidate can be checked again; `None` where that is known.
pub fn over(o: &Observed, attempt: &Attempt, now: Timestamp) -> Option<Step> {
    let unchecked = Unchecked { until: Some(Moment::new(now)), ..open(attempt)? };
    let text = "The candidate can be checked again; its soak counts anew.";
    let note = Note::normal(Reason::Verifying, "Verify", text);
    Some(stage::record(o, Attempt { unchecked: Some(unchecked), ..attempt.clone() }, vec![note]))
}

/// What people read while it lasts.
pub fn told(o: &Observed, attempt: Option<&Attempt>) -> Option<Trouble> {
    let attempt = attempt.filter(|attempt| attempt.latch.is_none() && attempt.verified_at.is_none())?;
    let unchecked = open(attempt)?;
    policy::usable(o).err().map(|why| trouble(unchecked.since, &why))
}

/// The time that is not over yet.
pub fn open(attempt: &Attempt) -> Option<Unchecked> {
    attempt.unchecked.filter(|unchecked| unchecked.until.is_none())
}

fn trouble(since: Moment, why: &Unusable) -> Trouble {
    let Trouble { reason, message, need } = why.trouble();
    let ends = second(Moment::new(after(since.timestamp(), BORNE)));
    let message = format!(
        "{message} The candidate serves all traffic unchecked meanwhile: unless it can be checked by {ends}, the traffic goes back by itself; abort to go back at once."
    );
    Trouble { reason, message, need }
}
