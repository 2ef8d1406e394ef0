//! By what a workload was found the last time. Addresses only: a picture that finds them outdated is begun anew.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use super::json::{map, text};
use super::read;
use crate::plan::observed::Map;

/// The most hotfixes that are remembered, at a few hundred bytes each. Beyond it everything is forgotten, which costs
/// each one more read.
const REMEMBERED_MAX: usize = 10_000;

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

/// What is known of each hotfix's blue, by the hotfix's UID.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<HashMap<String, Known>>);

impl Memory {
    pub(super) fn get(&self, hotfix: &str) -> Option<Known> {
        self.lock().get(hotfix).cloned()
    }

    pub(super) fn put(&self, hotfix: &str, known: Known) -> Known {
        let mut all = self.lock();
        if all.len() >= REMEMBERED_MAX {
            all.clear();
        }
        all.insert(hotfix.to_owned(), known.clone());
        known
    }

    pub(super) fn forget(&self, hotfix: &str) {
        self.lock().remove(hotfix);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        // Nothing panics while it is held; should it ever, what it guards is only a memory.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
            memory.put(&hotfix.to_string(), Known::default());
        }
        assert!(memory.get("0").is_none() && memory.get(&REMEMBERED_MAX.to_string()).is_some());
        memory.forget(&REMEMBERED_MAX.to_string());
        assert!(memory.get(&REMEMBERED_MAX.to_string()).is_none());
    }
}
