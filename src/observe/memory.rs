//! What is remembered between two pictures: by what a workload was found, what was there before the pods are read, and
//! since when a hotfix is looked at without a gap. A picture that finds any of the first two outdated is begun anew.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;

use super::json::{map, text};
use super::opening::Opening;
use super::read;
use crate::api::time::{Moment, elapsed};
use crate::plan::observed::Map;

/// The most hotfixes that are remembered, at a few kilobytes each while they are active. Beyond it everything is
/// forgotten, which costs each one more read, and a candidate that serves a soak that counts anew.
const REMEMBERED_MAX: usize = 10_000;

/// Two looks that are further apart have a gap between them in which nobody knows what the candidate did. An active hotfix
/// is looked at every 30 s at the latest, so one look that failed is no gap, and two are.
const GAP: Duration = Duration::from_secs(60);

/// What is known of blue before it is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    /// Its UID.
    pub(super) uid: Option<String>,
    /// Its selector, as a list call takes it.
    pub(super) query: Option<String>,
    /// The labels of its pod template.
    pub(super) labels: Map,
}

impl Known {
    pub(super) fn of(deployment: Option<&Value>) -> Self {
        let Some(deployment) = deployment else { return Self::default() };
        Self {
            uid: text(deployment, "/metadata/uid").map(str::to_owned),
            query: read::selector_query(deployment),
            labels: map(deployment, "/spec/template/metadata/labels"),
        }
    }
}

/// What is known of each hotfix, by its UID.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<HashMap<String, Remembered>>);

#[derive(Debug, Default)]
struct Remembered {
    blue: Option<Known>,
    opening: Option<Opening>,
    watch: Option<Watch>,
}

/// Since when a hotfix is looked at without a gap.
#[derive(Clone, Copy, Debug)]
struct Watch {
    since: Timestamp,
    last: (Instant, Timestamp),
}

impl Watch {
    /// The watch after a look at this moment. Both clocks are asked: one stands still while the machine sleeps, the other
    /// may be set forward, and neither may make a soak shorter.
    fn after(before: Option<Self>, (instant, now): (Instant, Timestamp)) -> Self {
        let whole = |watch: &Self| {
            let (then, at) = watch.last;
            instant.duration_since(then) <= GAP && elapsed(at, now) <= GAP
        };
        let since = before.filter(whole).map_or(now, |watch| watch.since);
        Self { since, last: (instant, now) }
    }
}

impl Memory {
    /// By what its blue was found.
    pub(super) fn blue(&self, hotfix: &str) -> Option<Known> {
        self.lock().get(hotfix)?.blue.clone()
    }

    /// By what its blue is to be found from now on.
    pub(super) fn put_blue(&self, hotfix: &str, known: Known) -> Known {
        self.entry(hotfix, |remembered| remembered.blue = Some(known.clone()));
        known
    }

    /// What was there at some moment before now. It is handed out once: a picture that is broken off puts nothing back.
    pub(super) fn take_opening(&self, hotfix: &str) -> Option<Opening> {
        self.lock().get_mut(hotfix)?.opening.take()
    }

    /// What is there now, for the next picture.
    pub(super) fn put_opening(&self, hotfix: &str, opening: Opening) {
        if opening.is_small() {
            self.entry(hotfix, |remembered| remembered.opening = Some(opening));
        }
    }

    /// Something was written, and this was the answer; `None` where the answer tells nothing for certain.
    pub(super) fn wrote(&self, hotfix: &str, object: Option<&Value>) {
        if let Some(remembered) = self.lock().get_mut(hotfix) {
            let before = remembered.opening.take();
            remembered.opening = object.and_then(|object| before?.after(object));
        }
    }

    /// A whole picture was taken now; from when on there is no gap between them.
    pub(super) fn looked(&self, hotfix: &str) -> Moment {
        self.entry(hotfix, |remembered| {
            let watch = Watch::after(remembered.watch, (Instant::now(), Timestamp::now()));
            remembered.watch = Some(watch);
            Moment::new(watch.since)
        })
    }

    pub(super) fn forget(&self, hotfix: &str) {
        self.lock().remove(hotfix);
    }

    fn entry<T>(&self, hotfix: &str, change: impl FnOnce(&mut Remembered) -> T) -> T {
        let mut all = self.lock();
        if all.len() >= REMEMBERED_MAX && !all.contains_key(hotfix) {
            all.clear();
        }
        change(all.entry(hotfix.to_owned()).or_default())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Remembered>> {
        // Nothing panics while it is held; should it ever, what it guards is only a memory.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::plan::observed::Hotfix;

    #[test]
    fn a_workload_is_known_by_its_uid_and_selector() {
        let known = Known::of(Some(&json!({"metadata": {"uid": "d"}, "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web", "v": "1"}}}}})));
        assert_eq!((known.uid.as_deref(), known.query.as_deref()), (Some("d"), Some("app=web")));
        assert_eq!(known.labels.len(), 2);
        assert_eq!(Known::of(None), Known::default());
    }

    #[test]
    fn a_memory_that_is_full_begins_anew() {
        let memory = Memory::default();
        for hotfix in 0..=REMEMBERED_MAX {
            memory.put_blue(&hotfix.to_string(), Known::default());
        }
        assert!(memory.blue("0").is_none() && memory.blue(&REMEMBERED_MAX.to_string()).is_some());
        memory.forget(&REMEMBERED_MAX.to_string());
        assert!(memory.blue(&REMEMBERED_MAX.to_string()).is_none());
    }

    #[test]
    fn a_watch_goes_on_until_there_is_a_gap_by_either_clock() {
        let (start, noon) = (Instant::now(), "2026-01-01T12:00:00Z".parse::<Timestamp>().unwrap());
        let at = |monotonic: u64, wall: i64| {
            (start + Duration::from_secs(monotonic), noon + jiff::SignedDuration::from_secs(wall))
        };
        let first = Watch::after(None, at(0, 0));
        assert_eq!(first.since, noon);
        assert_eq!(Watch::after(Some(first), at(60, 60)).since, noon);
        for (monotonic, wall, why) in
            [(61, 61, "nobody looked"), (1, 61, "the clock was set, or the machine slept"), (61, 0, "it was set back")]
        {
            assert_eq!(Watch::after(Some(first), at(monotonic, wall)).since, at(monotonic, wall).1, "{why}");
        }
        assert_eq!(Watch::after(Some(first), at(1, -3600)).since, noon, "a clock that went backwards only delays");
    }

    #[test]
    fn what_was_there_is_handed_out_once_and_kept_up_by_what_is_written() {
        let recorded = json!({"kind": "SecurityHotfix",
            "metadata": {"name": "h", "namespace": "shop", "uid": "u", "resourceVersion": "2"},
            "spec": {"advisory": {"ids": ["CVE-1"]}, "target": {"name": "web"}, "images": [], "reason": "r"}});
        let opening = |version: &str| {
            let hotfix = read::hotfix(&recorded).unwrap();
            Opening { hotfix: Hotfix { resource_version: version.into(), ..hotfix }, services: Vec::new() }
        };
        let memory = Memory::default();
        memory.wrote("u", Some(&recorded));
        assert_eq!(memory.take_opening("u"), None, "nothing was known before");
        memory.put_opening("u", opening("1"));
        memory.wrote("u", Some(&recorded));
        assert_eq!(memory.take_opening("u"), Some(opening("2")));
        assert_eq!(memory.take_opening("u"), None);
        memory.put_opening("u", opening("2"));
        memory.wrote("u", None);
        assert_eq!(memory.take_opening("u"), None, "what became of the write is not known");
    }
}
