//! What was there before the pods were read: one half of the proof that a picture is of one moment.
//!
//! The hotfix and its Services are read after the pods. Where each of them still has the version it is known to have had
//! before, it did not change while the pods were read. It does not matter how long before, or who told: an earlier
//! picture and the answer to our own write are as good as a read of their own, and cost nothing.

use std::collections::BTreeSet;

use serde_json::Value;

use super::json::text;
use super::read;
use super::relevant;
use crate::plan::observed::{Hotfix, Map, Pod, Service};

/// Openings of more Services than this are not remembered, since a Service takes a kilobyte and a namespace may have
/// thousands; they are read each time.
const REMEMBERED_MAX: usize = 64;

/// The hotfix and the Services of its namespace, as they were at some moment.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Opening {
    /// The hotfix.
    pub(super) hotfix: Hotfix,
    /// Every Service of the namespace.
    pub(super) services: Vec<Service>,
}

impl Opening {
    /// The Services that concern a workload of these pods and this template.
    pub(super) fn concerned(&self, pods: &[Pod], template: &Map) -> BTreeSet<String> {
        relevant::services(&self.services, pods, template, &self.hotfix)
    }

    /// False where the hotfix, or a Service that concerned the workload then or does `now`, was changed, made or deleted
    /// since.
    pub(super) fn still_holds(&self, now: &Self, pods: &[Pod], template: &Map) -> bool {
        let concerned = self.concerned(pods, template);
        let same = |name: &String| find(&self.services, name).is_some_and(|then| same(then, find(&now.services, name)));
        self.hotfix.resource_version == now.hotfix.resource_version
            && concerned == now.concerned(pods, template)
            && concerned.iter().all(same)
    }

    /// True when it is small enough to be kept for the next picture.
    pub(super) fn is_small(&self) -> bool {
        self.services.len() <= REMEMBERED_MAX
    }

    /// What is there after a write of ours whose answer was `object`; `None` where the answer does not tell.
    pub(super) fn after(mut self, object: &Value) -> Option<Self> {
        match text(object, "/kind")? {
            "SecurityHotfix" => self.hotfix = read::hotfix(object).ok()?,
            "Service" => {
                let written = read::service(object)?;
                // One that was deleted, or that is new, is found by the next picture.
                let known = self.services.iter_mut().find(|known| known.name == written.name)?;
                *known = written;
            }
            // Pods, Deployments and the rest are no part of it.
            _ => {}
        }
        Some(self)
    }
}

fn find<'a>(services: &'a [Service], name: &str) -> Option<&'a Service> {
    services.iter().find(|service| service.name == name)
}

fn same(then: &Service, now: Option<&Service>) -> bool {
    now.is_some_and(|now| now.versioned() == then.versioned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn service(name: &str, version: &str, app: &str) -> Value {
        json!({"kind": "Service", "metadata": {"name": name, "uid": name, "resourceVersion": version},
            "spec": {"selector": {"app": app}}})
    }

    fn hotfix(version: &str) -> Value {
        json!({"kind": "SecurityHotfix",
            "metadata": {"name": "h", "namespace": "shop", "uid": "u", "resourceVersion": version},
            "spec": {"advisory": {"ids": ["CVE-1"]}, "target": {"name": "web"}, "images": [], "reason": "r"}})
    }

    fn opening(version: &str, services: &[Value]) -> Opening {
        let services = services.iter().filter_map(read::service).collect();
        Opening { hotfix: read::hotfix(&hotfix(version)).unwrap(), services }
    }

    fn web() -> Map {
        [("app".to_owned(), "web".to_owned())].into()
    }

    /// Whether what is `now` is of one moment with what was before, for the workload `app: web`.
    fn of_one_moment(before: &Opening, now: &Opening) -> bool {
        before.still_holds(now, &[], &web())
    }

    #[test]
    fn what_has_its_version_still_is_of_one_moment() {
        let before = opening("1", &[service("web", "7", "web"), service("other", "8", "other")]);
        assert_eq!(before.concerned(&[], &web()), BTreeSet::from(["web".to_owned()]));
        assert!(of_one_moment(&before, &before.clone()));
        let other_changed = opening("1", &[service("web", "7", "web"), service("other", "9", "other")]);
        assert!(of_one_moment(&before, &other_changed), "a Service of another workload");
    }

    #[test]
    fn a_hotfix_or_a_service_that_changed_spoils_the_picture() {
        let before = opening("1", &[service("web", "7", "web")]);
        for now in [
            opening("2", &[service("web", "7", "web")]),
            opening("1", &[service("web", "9", "web")]),
            opening("1", &[service("web", "9", "other")]),
            opening("1", &[service("web", "7", "other")]),
            opening("1", &[service("web", "7", "web"), service("new", "9", "web")]),
            opening("1", &[]),
        ] {
            assert!(!of_one_moment(&before, &now), "{now:?}");
        }
    }

    #[test]
    fn a_service_that_was_deleted_and_made_again_is_another() {
        let before = opening("1", &[service("web", "7", "web")]);
        let mut again = before.clone();
        again.services[0].uid = "another".into();
        assert!(!of_one_moment(&before, &again));
    }

    #[test]
    fn the_answer_to_a_write_tells_what_is_there_now() {
        let before = opening("1", &[service("web", "7", "web")]);
        assert_eq!(before.clone().after(&hotfix("2")), Some(opening("2", &[service("web", "7", "web")])));
        let switched = service("web", "8", "web");
        assert_eq!(before.clone().after(&switched), Some(opening("1", &[switched])));
        assert_eq!(before.clone().after(&json!({"kind": "Pod"})), Some(before.clone()));
        for untold in [json!({}), json!({"kind": "SecurityHotfix"}), service("new", "1", "web")] {
            assert_eq!(before.clone().after(&untold), None, "{untold}");
        }
    }
}
