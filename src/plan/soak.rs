//! The soak counts only time in which the candidate was really checked.
//!
//! What was looked at and asked is known to the operator that did it, in its memory alone: a rollout writes nothing to say
//! that it is still watched. An operator that was just started, or has taken over, therefore begins to count anew. That
//! costs a longer soak, and nobody believes a candidate for time in which it was alone.

use std::time::Duration;

use jiff::Timestamp;

use crate::api::time::{Moment, after, elapsed, second};
use crate::api::{Attempt, Gate, GateCheck};
use crate::findings::text::clean;

use super::observed::{Observed, Policy};

/// A check that is asked for the first time this soon after everything else has begun is no news for people.
const BEGINS_WITHIN: Duration = Duration::from_secs(10);

/// From when on the soak counts.
pub struct Count {
    /// The moment.
    pub from: Moment,
    /// Why it is later than the convergence, in a clause; `None` where it is not.
    anew: Option<String>,
}

/// From when on the candidate has been checked without a gap.
pub fn count(o: &Observed, attempt: &Attempt, now: Timestamp) -> Count {
    let (Some(converged), Some(watched)) = (attempt.converged_at, o.evidence.watched_since) else {
        return Count { from: Moment::new(now), anew: None };
    };
    let mut count = Count { from: converged, anew: None };
    if watched > count.from {
        let why = "the operator that leads began to look only then, or could not before";
        count = Count { from: watched, anew: Some(why.to_owned()) };
    }
    if let Some(until) = attempt.unchecked.and_then(|unchecked| unchecked.until).filter(|until| *until > count.from) {
        let why =
            "until then another policy applied, or the policy or one of its checks was missing or could not be used";
        count = Count { from: until, anew: Some(why.to_owned()) };
    }
    let began = count.from;
    for (check, since) in asked(o, attempt) {
        if since > count.from {
            let late = elapsed(began.timestamp(), since.timestamp()) >= BEGINS_WITHIN;
            let why = || format!("check {} was not asked before as it is now", clean(check, 64));
            count = Count { from: since, anew: if late { Some(why()) } else { count.anew } };
        }
    }
    count
}

/// The HTTP checks of the verification, as they are now, and from when on each has been asked.
fn asked<'a>(o: &'a Observed, attempt: &'a Attempt) -> impl Iterator<Item = (&'a str, Moment)> {
    let verify = verify(o);
    let probes = o.evidence.probes.iter();
    probes.filter(move |probe| probe.attempt == attempt.number && probe.gate == Gate::Verify).filter_map(move |probe| {
        let (name, generation) = &probe.check;
        let present = o.checks.get(name).is_some_and(|check| check.generation == *generation);
        let named = verify.iter().any(|entry| entry.check == *name);
        (present && named).then_some((name.as_str(), probe.since))
    })
}

fn verify(o: &Observed) -> &[GateCheck] {
    o.policy.as_ref().map_or(&[], |policy| &policy.spec.gates.verify)
}

/// Whether any check goes on for the whole soak: a test runs once.
pub fn is_asked(o: &Observed) -> bool {
    verify(o).iter().any(|entry| o.checks.get(&entry.check).is_some_and(|check| check.spec.http.is_some()))
}

impl Count {
    /// When it is over.
    pub fn over(&self, policy: &Policy) -> Timestamp {
        after(self.from.timestamp(), policy.spec.soak.get())
    }

    /// For people, at the end of a sentence that tells how long it takes: empty where it counts from the convergence.
    pub fn told(&self) -> String {
        self.anew.as_ref().map_or_else(String::new, |why| format!(", counted from {}: {why}", second(self.from)))
    }
}
