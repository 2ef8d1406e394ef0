//! What surrounds one look at one hotfix: a time limit, a net under panics, and what becomes of its end.
//!
//! It decides when a hotfix is looked at again. One hotfix that fails, hangs or panics never keeps another from being
//! looked at.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use jiff::Timestamp;
use kube::runtime::controller::Action as Requeue;
use tracing::{Instrument, Span, debug, error, field, info, info_span, warn};

use super::complaint::Complaint;
use super::events::{Events, Regarding};
use super::interest::Interest;
use super::ledger::{Key, Ledger, Seen, Settled, Standing};
use super::logging::said;
use super::metrics::{Counter, Metrics};
use super::permit::Permit;
use super::queue::Queue;
use super::trouble::Trouble;
use super::turn::{End, Mind, News, Rooms, Witness, turn};
use super::watches::Watches;
use crate::api::names::FINALIZER;
use crate::api::time::elapsed;
use crate::api::{ConditionType, Outcome, Phase};
use crate::observe::HotfixId;
use crate::plan::{Action, Note, Observed, commands};

/// How long one look may take. Every call has a limit of ten seconds and most take milliseconds, so after a minute the
/// cluster is in a state in which a fresh look tells more than patience.
const LOOK_MAX: Duration = Duration::from_secs(60);

/// How long an active hotfix is left alone at most when no event comes: frozen watches slow it down, no more.
const ACTIVE_MAX: Duration = Duration::from_secs(30);

/// The shortest wait. A moment that has passed between deciding and waiting must not become a hot loop.
const WAIT_MIN: Duration = Duration::from_millis(20);

/// How long to wait when a look went round as often as it may.
const UNFINISHED: Duration = Duration::from_secs(1);

/// Everything a look needs.
pub struct Context<R> {
    /// The rooms below.
    pub rooms: R,
    /// The pure half.
    pub mind: Mind,
    /// What is remembered.
    pub ledger: Arc<Ledger>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Whom to look at next.
    pub queue: Queue,
    /// The scoped watches.
    pub watches: Watches,
    /// Events for people.
    pub events: Events,
    /// Whether to go on.
    pub permit: Permit,
}

/// Looks at one hotfix; what went wrong is told in the log and the metrics, and never to the queue.
pub async fn reconcile<R: Rooms>(id: HotfixId, context: Arc<Context<R>>) -> Result<Requeue, Infallible> {
    // Everything is looked at when this process begins to lead.
    if !context.permit.leads() {
        return Ok(Requeue::await_change());
    }
    if let Some(wait) = context.ledger.too_early(&Key::of(&id), Instant::now()) {
        return Ok(Requeue::requeue(wait));
    }
    let span = info_span!(
        "look",
        ns = id.namespace,
        // The formatter has a `name` of its own: the span's.
        hotfix = id.name,
        uid = id.uid,
        generation = field::Empty,
        phase = field::Empty,
    );
    Ok(context.look(&id).instrument(span).await)
}

impl<R: Rooms> Context<R> {
    async fn look(&self, id: &HotfixId) -> Requeue {
        let begun = Instant::now();
        let look = turn(&self.rooms, self, self.mind, &self.permit, id);
        let end = AssertUnwindSafe(tokio::time::timeout(LOOK_MAX, look)).catch_unwind().await;
        self.metrics.took(begun.elapsed());
        let end = match end {
            Ok(Ok(end)) => end,
            Ok(Err(_)) => Err(Trouble::TimedOut(LOOK_MAX)),
            Err(panic) => Err(Trouble::Panicked(said(panic.as_ref()))),
        };
        match end {
            Ok(end) => {
                self.metrics.count(Counter::Reconciles, "ok");
                self.ended(id, end)
            }
            Err(trouble) => {
                self.metrics.count(Counter::Reconciles, "failed");
                if let Some(complaint) = Complaint::of(&trouble).filter(|_| self.permit.leads())
                    && self.rooms.complain(id, &complaint).await == News::Told
                {
                    self.events.tell(&Regarding::of(id), &complaint.note());
                }
                self.failed(&Key::of(id), &trouble)
            }
        }
    }

    fn ended(&self, id: &HotfixId, end: End) -> Requeue {
        let key = Key::of(id);
        match end {
            End::Idle(observed, wake) => self.settle(id, &observed, wake),
            End::Gone => {
                self.rooms.forget(&id.uid);
                self.gone(&key);
                Requeue::await_change()
            }
            End::Unfinished => {
                warn!("a look went round as often as it may and is not done; something may undo what is written");
                self.ledger.settled(&key, Standing::Active, Some(UNFINISHED), Instant::now());
                Requeue::requeue(UNFINISHED)
            }
            End::Stopped => Requeue::await_change(),
        }
    }

    fn settle(&self, id: &HotfixId, observed: &Observed, wake: Option<Timestamp>) -> Requeue {
        let key = &Key::of(id);
        if self.rooms.settle(id) {
            self.ledger.settled(key, Standing::Active, Some(WAIT_MIN), Instant::now());
            return Requeue::requeue(WAIT_MIN);
        }
        let standing = standing(observed);
        let wait = wake.map(|wake| elapsed((self.mind.now)(), wake).max(WAIT_MIN));
        let again = match standing {
            Standing::Active => Some(wait.map_or(ACTIVE_MAX, |wait| wait.min(ACTIVE_MAX))),
            Standing::Resting => {
                self.watches.unfollow(key);
                wait
            }
        };
        if self.ledger.settled(key, standing, again, Instant::now()) == Settled::CameToRest {
            self.wake_neighbours(key);
        }
        again.map_or_else(Requeue::await_change, Requeue::requeue)
    }

    /// The hotfix does not exist any more.
    pub fn gone(&self, key: &Key) {
        self.watches.unfollow(key);
        if self.ledger.forget(key) == Standing::Active {
            self.wake_neighbours(key);
        }
    }

    /// What this hotfix held is free: those that wait for it should look.
    fn wake_neighbours(&self, key: &Key) {
        let mut neighbours = self.ledger.active(Some(&key.namespace));
        neighbours.retain(|other| other != key);
        self.queue.trigger_all(&neighbours);
    }

    fn failed(&self, key: &Key, trouble: &Trouble) -> Requeue {
        self.metrics.count(Counter::Errors, trouble.category());
        let delay = self.ledger.failed(key, trouble.delay_max(), Instant::now());
        let (category, again_in_ms) = (trouble.category(), u64::try_from(delay.as_millis()).unwrap_or(u64::MAX));
        match trouble {
            Trouble::Violation { action, .. } => {
                self.metrics.count(Counter::Violations, action);
                error!(%trouble, category, again_in_ms, "a write was refused by the operator itself");
            }
            Trouble::Panicked(_) => error!(%trouble, category, again_in_ms, "the look failed"),
            Trouble::Transient(_)
            | Trouble::Refused(_)
            | Trouble::Unrunnable(_)
            | Trouble::Contended { .. }
            | Trouble::TimedOut(_) => {
                warn!(%trouble, category, again_in_ms, "the look failed");
            }
        }
        Requeue::requeue(delay)
    }
}

impl<R: Rooms> Witness for Context<R> {
    fn saw(&self, id: &HotfixId, observed: &Observed) {
        let (key, hotfix) = (&Key::of(id), &observed.hotfix);
        let phase = hotfix.status.phase;
        let span = Span::current();
        span.record("generation", hotfix.generation);
        if let Some(phase) = phase {
            span.record("phase", field::debug(phase));
        }
        if let Seen::Moved(before) = self.ledger.seen(key, &hotfix.uid, phase) {
            let ready = hotfix.status.conditions.iter().find(|condition| condition.type_ == ConditionType::Ready);
            let (before, now) = (word(before), word(phase));
            info!(before, now, message = ready.map(|ready| &*ready.message), "phase");
        }
        if standing(observed) == Standing::Active {
            self.watches.follow(key, Interest::of(key, observed));
        }
    }

    fn wrote(&self, action: &Action) {
        self.metrics.count(Counter::Writes, action.name());
        if touches_production(action) {
            info!(action = action.name(), "wrote");
        } else {
            debug!(action = action.name(), "wrote");
        }
    }

    fn told(&self, id: &HotfixId, note: &Note) {
        self.events.tell(&Regarding::of(id), note);
    }
}

/// Whether anything is left to do for a hotfix in this state, when nothing is left to do now.
fn standing(observed: &Observed) -> Standing {
    let hotfix = &observed.hotfix;
    let over = hotfix.status.attempt.as_ref().is_some_and(|attempt| {
        attempt.finished_at.is_some() && attempt.outcome.is_some_and(|outcome| outcome != Outcome::Restarted)
    });
    let held = hotfix.finalizers.iter().any(|finalizer| finalizer == FINALIZER);
    // One that is being deleted without our finalizer waits for somebody else's.
    let leaving = hotfix.deleting.is_some() && !held;
    // A person asked for another attempt that has not begun.
    let retries = commands::retry_token(observed).is_some();
    if (over && !retries) || leaving { Standing::Resting } else { Standing::Active }
}

/// A phase as people know it, also where there is none yet.
fn word(phase: Option<Phase>) -> String {
    phase.map_or_else(|| "none".to_owned(), |phase| format!("{phase:?}"))
}

/// Whether an auditor would want to find this write in the log.
fn touches_production(action: &Action) -> bool {
    matches!(
        action,
        Action::Hold { .. }
            | Action::Switch { .. }
            | Action::Seal { .. }
            | Action::Unpin { .. }
            | Action::Unmark { .. }
            | Action::FoldBack { .. }
            | Action::Disown { .. }
            | Action::CreateGreen(_)
            | Action::ResizeGreen { .. }
            | Action::DeleteGreen(_)
    )
}

#[cfg(test)]
#[path = "reconcile_tests.rs"]
mod tests;
