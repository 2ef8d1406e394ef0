//! What the process remembers of each hotfix between two looks: how often it failed in a row, when it is due, what
//! phase it was in.
//!
//! Memory only. Losing it costs a repetition, never a decision: nothing in here is ever read by the planner.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::backoff;
use crate::api::Phase;
use crate::observe::HotfixId;

/// Which hotfix.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl Key {
    /// The name of this hotfix, whatever its UID: one made later under the same name comes after it in the queue.
    pub fn of(id: &HotfixId) -> Self {
        Self { namespace: id.namespace.clone(), name: id.name.clone() }
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Whether the operator has something to do for a hotfix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has an attempt under way, or waits to begin one.
    Active,
    /// It has come to its end.
    Resting,
}

/// The least time between two looks at a hotfix that keeps failing. An event may cut a longer delay short, since it may
/// be what was waited for, but a stream of events must not turn a failure into a hot loop.
const SPACING: Duration = Duration::from_secs(1);

/// How long something may be overdue, with nothing else coming to an end either, before the process counts as stuck.
/// Three times the longest a look may take.
pub const STUCK_AFTER: Duration = Duration::from_secs(180);

#[derive(Debug)]
struct Entry {
    uid: String,
    phase: Option<Phase>,
    standing: Standing,
    failures: u32,
    not_before: Option<Instant>,
    due: Option<Instant>,
}

/// What is remembered of every hotfix.
#[derive(Debug)]
pub struct Ledger {
    entries: Mutex<HashMap<Key, Entry>>,
    last_end: Mutex<Instant>,
}

impl Ledger {
    /// An empty one, as of `now`.
    pub fn new(now: Instant) -> Self {
        Self { entries: Mutex::default(), last_end: Mutex::new(now) }
    }

    /// Something happened that this hotfix should be looked at for.
    pub fn triggered(&self, key: &Key, now: Instant) {
        if let Some(entry) = self.lock().get_mut(key) {
            entry.due = Some(entry.due.map_or(now, |due| due.min(now)));
        }
    }

    /// How long to wait before this hotfix may be looked at again; `None`: not at all.
    pub fn too_early(&self, key: &Key, now: Instant) -> Option<Duration> {
        let wait = self.lock().get(key)?.not_before?.checked_duration_since(now)?;
        (!wait.is_zero()).then_some(wait)
    }

    /// Notes what was seen, and returns the phase seen before where it was another one. A hotfix made again under the
    /// same name starts without a past.
    pub fn seen(&self, key: &Key, uid: &str, phase: Option<Phase>) -> Seen {
        let mut entries = self.lock();
        let entry = match entries.get_mut(key) {
            Some(entry) if entry.uid == uid => entry,
            _ => {
                entries.insert(key.clone(), Entry::new(uid, phase));
                return Seen::New;
            }
        };
        let before = std::mem::replace(&mut entry.phase, phase);
        if before == phase { Seen::Same } else { Seen::Moved(before) }
    }

    /// A look came to its end. The hotfix is due again in `again`, or when something happens.
    pub fn settled(&self, key: &Key, standing: Standing, again: Option<Duration>, now: Instant) -> Settled {
        *self.last_end.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = now;
        let mut entries = self.lock();
        let Some(entry) = entries.get_mut(key) else { return Settled::AsBefore };
        entry.failures = 0;
        entry.not_before = None;
        entry.due = again.map(|again| now + again);
        let before = std::mem::replace(&mut entry.standing, standing);
        if before == Standing::Active && standing == Standing::Resting {
            Settled::CameToRest
        } else {
            Settled::AsBefore
        }
    }

    /// A look failed. Returns how long to leave the hotfix alone.
    pub fn failed(&self, key: &Key, max: Duration, now: Instant) -> Duration {
        *self.last_end.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = now;
        let mut entries = self.lock();
        let entry = entries.entry(key.clone()).or_insert_with(|| Entry::new("", None));
        entry.failures = entry.failures.saturating_add(1);
        let delay = backoff::delay(entry.failures, max, &key.name);
        entry.not_before = Some(now + delay.min(SPACING));
        entry.due = Some(now + delay);
        delay
    }

    /// The hotfix is gone. True when it was active, so that others may have waited for it.
    pub fn forget(&self, key: &Key) -> Standing {
        self.lock().remove(key).map_or(Standing::Resting, |entry| entry.standing)
    }

    /// Forgets what is not in `alive`, and returns it.
    pub fn retain(&self, alive: impl Fn(&Key) -> bool) -> Vec<Key> {
        let mut gone = Vec::new();
        self.lock().retain(|key, _| {
            let stays = alive(key);
            if !stays {
                gone.push(key.clone());
            }
            stays
        });
        gone
    }

    /// The active hotfixes, of one namespace or of all.
    pub fn active(&self, namespace: Option<&str>) -> Vec<Key> {
        let of_it = |key: &Key| namespace.is_none_or(|namespace| namespace == key.namespace);
        let active = |entry: &Entry| entry.standing == Standing::Active;
        self.lock().iter().filter(|(key, entry)| of_it(key) && active(entry)).map(|(key, _)| key.clone()).collect()
    }

    /// How many hotfixes there are in each phase, by its name.
    pub fn phases(&self) -> BTreeMap<String, usize> {
        let mut phases = BTreeMap::new();
        for entry in self.lock().values() {
            let name = entry.phase.map_or_else(|| "Unknown".to_owned(), |phase| format!("{phase:?}"));
            *phases.entry(name).or_default() += 1;
        }
        phases
    }

    /// How many hotfixes are left alone because they failed.
    pub fn failing(&self) -> usize {
        self.lock().values().filter(|entry| entry.failures > 0).count()
    }

    /// True when work is overdue by more than [`STUCK_AFTER`] and nothing has come to its end for as long.
    pub fn stuck(&self, now: Instant) -> bool {
        let late = |then: Instant| now.saturating_duration_since(then) > STUCK_AFTER;
        let last_end = *self.last_end.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        late(last_end) && self.lock().values().filter_map(|entry| entry.due).any(late)
    }

    /// A look that panicked elsewhere must not take the others with it, so a poisoned lock is used all the same: every
    /// change made under it is complete in itself.
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Entry>> {
        self.entries.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Entry {
    fn new(uid: &str, phase: Option<Phase>) -> Self {
        Self { uid: uid.to_owned(), phase, standing: Standing::Active, failures: 0, not_before: None, due: None }
    }
}

/// How what was seen relates to what was seen before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// This hotfix was not seen before by this process.
    New,
    /// It is in the phase it was in.
    Same,
    /// It was in this phase before.
    Moved(Option<Phase>),
}

/// What the end of a look means for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The hotfix was active and has come to rest: what it held is free.
    CameToRest,
    /// Nothing others could wait for.
    AsBefore,
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
