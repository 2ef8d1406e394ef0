//! What one candidate knows of the Lease, and what it does next. Pure: no clock of its own, no I/O.
//!
//! Why there are never two who believe to lead. A leader counts from the moment *before* it sent the write that was
//! acknowledged, and stops [`Times::stop`] later. Another may take the Lease only after it has seen the same claim for
//! [`Times::lease`] on its own clock, and its write commits only over the very version it saw. The claim was written after the
//! leader's count began and seen after that, so the leader has stopped before: by `lease - stop`, unless one of the clocks
//! runs a third as fast again as the other. No clock's reading is ever compared with another's.

use std::time::{Duration, Instant};

use super::record::Record;

/// No version of the operator writes a longer duration. One that is found must not keep everybody waiting for ever.
const DURATION_MAX: Duration = Duration::from_secs(60);

/// How long things take. The reasons for the numbers are in `docs/operating.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// For so long a claim must have been seen unchanged before it counts as abandoned.
    pub lease: Duration,
    /// So long after the last acknowledged write was sent a leader starts nothing any more.
    pub stop: Duration,
    /// So often a leader renews.
    pub renew: Duration,
    /// After so long without news a candidate looks by itself.
    pub poll: Duration,
    /// The first pause after a call that failed; it doubles, up to `poll`.
    pub retry: Duration,
    /// How long one call may take.
    pub call: Duration,
}

impl Times {
    /// What a Lease says, which has whole seconds only: never less than it is.
    pub fn announced(&self) -> Duration {
        let whole = Duration::from_secs(self.lease.as_secs());
        if whole < self.lease { whole + Duration::from_secs(1) } else { whole }
    }

    /// The ones the operator runs with.
    pub const OURS: Self = Self {
        lease: Duration::from_millis(4_800),
        stop: Duration::from_millis(3_500),
        renew: Duration::from_secs(1),
        poll: Duration::from_millis(1_500),
        retry: Duration::from_millis(250),
        call: Duration::from_secs(1),
    };
}

/// What a write does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Takes the Lease, or creates it.
    Take,
    /// Renews it.
    Keep,
    /// Gives it up.
    Free,
}

/// A write that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// What it does.
    pub kind: Kind,
    /// The version it must find; none: there must be no Lease.
    pub over: Option<String>,
    /// The renewal it replaces, from which its own must differ.
    pub renewed: Option<String>,
    /// How often the Lease will have changed hands.
    pub transitions: i64,
}

/// What a candidate does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Looks at the Lease.
    Read,
    /// Writes it.
    Write(Write),
    /// Nothing, until then or until something is seen.
    Wait(Instant),
    /// It led and does not any more: nothing may be started, the process ends.
    Stop(Lost),
}

/// Why the lead was lost.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// No renewal was acknowledged in time.
    #[error("no renewal of the lease was acknowledged for {} ms", .0.as_millis())]
    Late(Duration),
    /// Somebody else holds the Lease.
    #[error("the lease was taken by {0}")]
    Taken(String),
    /// The Lease is held by nobody, or is gone, by somebody's hand.
    #[error("somebody emptied or deleted the lease")]
    Removed,
}

/// Where a sight of the Lease comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A read that was begun after the answer to the last call: the latest.
    Read,
    /// A watch, which may lag behind.
    Watch,
}

/// What became of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It was made; the Lease is now so.
    Done(Record),
    /// It was not: the Lease is another than was thought.
    Overtaken,
    /// Not known. It may have been made, or may still be.
    Unknown,
}

/// One who wants to lead.
#[derive(Clone, Debug)]
pub struct Candidate {
    me: String,
    times: Times,
    sight: Option<Sight>,
    /// When the last acknowledged write was sent, of a leader.
    led_from: Option<Instant>,
    lost: Option<Lost>,
    /// What was seen last may not be so.
    doubt: bool,
    failures: u32,
    not_before: Option<Instant>,
}

/// The Lease as it was seen last.
#[derive(Clone, Debug)]
struct Sight {
    record: Option<Record>,
    /// When this claim was seen first.
    since: Instant,
    /// When it was seen last.
    looked: Instant,
    /// For how long after `since` somebody may still lead by this claim.
    holds: Duration,
}

impl Candidate {
    /// One who has seen nothing yet. `me` must be the name of no other process, past or present.
    pub fn new(me: impl Into<String>, times: Times) -> Self {
        Self {
            me: me.into(),
            times,
            sight: None,
            led_from: None,
            lost: None,
            doubt: false,
            failures: 0,
            not_before: None,
        }
    }

    /// Its name in the Lease.
    pub fn me(&self) -> &str {
        &self.me
    }

    /// What it goes by.
    pub fn times(&self) -> Times {
        self.times
    }

    /// Until when it may act, if it leads.
    pub fn leads_until(&self) -> Option<Instant> {
        if self.lost.is_some() { None } else { Some(self.led_from? + self.times.stop) }
    }

    /// Who holds the Lease, as far as is known.
    pub fn holder(&self) -> Option<&str> {
        self.sight.as_ref()?.record.as_ref()?.holder.as_deref()
    }

    /// What to do at this moment.
    pub fn step(&self, now: Instant) -> Step {
        if let Some(lost) = &self.lost {
            return Step::Stop(lost.clone());
        }
        let until = self.leads_until();
        if until.is_some_and(|until| now >= until) {
            return Step::Stop(Lost::Late(self.times.stop));
        }
        let wait = |then: Instant| Step::Wait(until.map_or(then, |until| then.min(until)));
        if let Some(then) = self.not_before.filter(|then| now < *then) {
            return wait(then);
        }
        let Some(sight) = self.sight.as_ref().filter(|_| !self.doubt) else { return Step::Read };
        if let Some(from) = self.led_from {
            let due = from + self.times.renew;
            return if now < due { wait(due) } else { Step::Write(self.write(Kind::Keep)) };
        }
        let stale = sight.looked + self.times.poll;
        let free = self.free(sight);
        if now >= stale {
            Step::Read
        } else if now >= free {
            Step::Write(self.write(Kind::Take))
        } else {
            wait(free.min(stale))
        }
    }

    /// The write that gives up the Lease, of a leader who has stopped to act.
    pub fn release(&self, now: Instant) -> Option<Write> {
        self.leads_until().filter(|until| now < *until).map(|_| self.write(Kind::Free))
    }

    /// The Lease was seen like this; none: there is none.
    pub fn saw(&mut self, record: Option<Record>, source: Source, now: Instant) {
        if self.led_from.is_some() {
            let mine = record.as_ref().is_some_and(|record| record.holder.as_ref() == Some(&self.me));
            match source {
                // It may be older than what this leader wrote itself: a read will tell.
                Source::Watch => self.doubt |= !mine,
                Source::Read if mine => self.note(record, now),
                Source::Read => {
                    self.lost = Some(record.and_then(|record| record.holder).map_or(Lost::Removed, Lost::Taken));
                }
            }
        } else {
            self.note(record, now);
        }
    }

    /// A look failed.
    pub fn failed(&mut self, now: Instant) {
        let pause = self.times.retry.saturating_mul(1 << self.failures.min(8)).min(self.times.poll);
        self.failures = self.failures.saturating_add(1);
        self.not_before = Some(now + pause);
    }

    /// This is what became of a write that was sent at that moment.
    pub fn wrote(&mut self, kind: Kind, sent: Instant, answer: Answer, now: Instant) {
        match (answer, kind) {
            (Answer::Done(record), Kind::Free) => {
                self.led_from = None;
                self.note(Some(record), now);
            }
            (Answer::Done(record), Kind::Take | Kind::Keep) => {
                let mine = record.holder.as_ref() == Some(&self.me);
                self.note(Some(record), now);
                if mine {
                    self.led_from = Some(sent);
                }
                // Something on the way in changed it.
                self.doubt = !mine;
            }
            (Answer::Overtaken, _) => {
                self.doubt = true;
                self.failed(now);
            }
            // The same write again finds out: over the same version only one of the two can be made.
            (Answer::Unknown, _) => self.failed(now),
        }
    }

    fn note(&mut self, record: Option<Record>, now: Instant) {
        self.doubt = false;
        self.failures = 0;
        self.not_before = None;
        let before = self.sight.take();
        let holds = match (&record, &before) {
            (Some(record), _) if record.holder.is_none() => Duration::ZERO,
            // What this version announces stands for its own, finer time; none leads by a shorter one.
            (Some(record), _) if record.duration <= self.times.announced() => self.times.lease,
            (Some(record), _) => record.duration.min(DURATION_MAX),
            // Deleted under somebody who may still count on it.
            (None, Some(before)) => before.holds,
            (None, None) => Duration::ZERO,
        };
        let same = |before: &Sight| match (&before.record, &record) {
            (Some(before), Some(after)) => before.same_claim(after),
            (before, after) => before.is_none() && after.is_none(),
        };
        let since = before.as_ref().filter(|before| same(before)).map_or(now, |before| before.since);
        self.sight = Some(Sight { record, since, looked: now, holds });
    }

    /// From when on nobody else can believe to lead by what was seen.
    fn free(&self, sight: &Sight) -> Instant {
        let mine = sight.record.as_ref().is_some_and(|record| record.holder.as_ref() == Some(&self.me));
        // A write of its own that was made though nothing came back.
        if mine { sight.since } else { sight.since + sight.holds }
    }

    fn write(&self, kind: Kind) -> Write {
        let record = self.sight.as_ref().and_then(|sight| sight.record.as_ref());
        let before = record.map_or(0, |record| record.transitions);
        let transitions = if kind == Kind::Take && record.is_some() { before.saturating_add(1) } else { before };
        Write {
            kind,
            over: record.map(|record| record.version.clone()),
            renewed: record.and_then(|record| record.renewed.clone()),
            transitions: transitions.min(i64::from(i32::MAX)),
        }
    }
}

#[cfg(test)]
#[path = "candidate_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "simulation_tests.rs"]
mod simulation;
