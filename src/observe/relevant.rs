//! Which Services, and which other hotfixes, concern a workload.

use std::collections::BTreeSet;

use super::HotfixId;
use super::error::ObserveError;
use super::read;
use super::reads::{self, Reads, Which, read_all};
use crate::api::names::{MARK, Mark, POD_TEMPLATE_HASH, SLOT};
use crate::plan::observed::{Hotfix, Map, Other, Pod, Service};

/// The most Services that are named in one call: at 63 characters each the address stays below the 8 KiB that proxies
/// in front of API servers accept. Beyond it all slices of the namespace are read.
const NAMED_MAX: usize = 64;

/// The Services whose endpoints matter: those that select blue's template or one of the pods (our slot and a pinned
/// ReplicaSet aside), those that were recorded, and those that carry our mark. The preview, which has only our own
/// selector, is none of them.
pub(super) fn services(services: &[Service], pods: &[Pod], template: &Map, hotfix: &Hotfix) -> BTreeSet<String> {
    let attempt = hotfix.status.attempt.as_ref();
    let recorded = |service: &Service| {
        attempt.is_some_and(|attempt| attempt.services.iter().any(|recorded| recorded.name == service.name))
    };
    let ours = |service: &Service| mark(service).is_some_and(|mark| is_of(&mark, &hotfix.uid));
    let selects = |service: &Service| {
        let owners = owners_part(&service.selector);
        !owners.is_empty()
            && !is_preview(service)
            && (matches(&owners, template) || pods.iter().any(|pod| matches(&owners, &pod.labels)))
    };
    services
        .iter()
        .filter(|service| recorded(service) || ours(service) || selects(service))
        .map(|service| service.name.clone())
        .collect()
}

/// The call for the slices of these Services; `None` where there is none to ask for.
pub(super) fn slices_query(services: &BTreeSet<String>) -> Option<Which> {
    if services.is_empty() {
        return None;
    }
    if services.len() > NAMED_MAX {
        return Some(Which::All);
    }
    let names: Vec<&str> = services.iter().map(String::as_str).collect();
    Some(Which::Labels(format!("kubernetes.io/service-name in ({})", names.join(","))))
}

/// The Services whose pods a load balancer registers by itself.
pub(super) fn pod_load_balancers(services: &[Service], bound: BTreeSet<String>) -> BTreeSet<String> {
    let annotated = services.iter().filter(|service| read::registers_pods(service));
    bound.into_iter().chain(annotated.map(|service| service.name.clone())).collect()
}

/// The other hotfixes that may matter: those of the same target, and all of the namespace where something `strange` was
/// seen, that is somebody else's. (One namespace may hold thousands that rest.)
pub(super) async fn others(reads: Reads<'_>, id: &HotfixId, strange: bool) -> Result<Vec<Other>, ObserveError> {
    let which = if strange { Which::All } else { Which::Fields(format!("spec.target.name={}", id.target)) };
    let objects = reads.all(reads::HOTFIXES, which).await?;
    let others = read_all(reads::HOTFIXES, &objects, read::other)?;
    Ok(others.into_iter().filter(|other| other.uid != id.uid).collect())
}

/// True when a Service that concerns us has a mark or a slot that is not ours.
pub(super) fn foreign(services: &[Service], relevant: &BTreeSet<String>, uid: &str, slots: &BTreeSet<String>) -> bool {
    services.iter().filter(|service| relevant.contains(&service.name)).any(|service| {
        let marked = mark(service).is_some_and(|mark| !is_of(&mark, uid));
        let slotted = service.selector.get(SLOT).is_some_and(|slot| !slots.contains(slot));
        marked || slotted
    })
}

fn mark(service: &Service) -> Option<Mark> {
    service.annotations.get(MARK).map(|value| Mark::parse(value))
}

fn is_of(mark: &Mark, uid: &str) -> bool {
    mark.owner().is_some_and(|owner| owner.uid == uid)
}

fn is_preview(service: &Service) -> bool {
    service.labels.contains_key(SLOT)
}

fn owners_part(selector: &Map) -> Map {
    let ours = [SLOT, POD_TEMPLATE_HASH];
    selector.iter().filter(|(key, _)| !ours.contains(&key.as_str())).map(|(k, v)| (k.clone(), v.clone())).collect()
}

fn matches(selector: &Map, labels: &Map) -> bool {
    selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn hotfix(status: &serde_json::Value) -> Hotfix {
        read::hotfix(&json!({
            "metadata": {"name": "h", "namespace": "shop", "uid": "u", "resourceVersion": "1"},
            "spec": {"advisory": {"ids": ["CVE-1"]}, "target": {"name": "web"}, "images": [], "reason": "r"},
            "status": status
        }))
        .unwrap()
    }

    fn map(entries: &[(&str, &str)]) -> Map {
        entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn service(name: &str, selector: &[(&str, &str)]) -> Service {
        Service { name: name.into(), selector: map(selector), ..Service::default() }
    }

    fn names(found: &BTreeSet<String>) -> Vec<&str> {
        found.iter().map(String::as_str).collect()
    }

    #[test]
    fn a_service_concerns_us_by_what_its_owner_selects() {
        let all = [
            service("switched", &[("app", "web"), (SLOT, "s")]),
            service("old-pods", &[("v", "0")]),
            service("other", &[("app", "api")]),
            service("none", &[]),
            Service { labels: map(&[(SLOT, "s")]), ..service("preview", &[("app", "web"), (SLOT, "s")]) },
        ];
        let pods = [Pod { labels: map(&[("app", "web"), ("v", "0")]), ..Pod::default() }];
        let found = services(&all, &pods, &map(&[("app", "web"), ("v", "1")]), &hotfix(&json!({})));
        assert_eq!(names(&found), ["old-pods", "switched"]);
    }

    #[test]
    fn a_service_that_bears_our_mark_concerns_us_whatever_it_selects() {
        let with =
            |name: &str, mark: &str| Service { annotations: map(&[(MARK, mark)]), ..service(name, &[("a", "b")]) };
        let all = [with("ours", "hold/u/1"), with("theirs", "hold/x/1"), with("odd", "hold")];
        assert_eq!(names(&services(&all, &[], &Map::new(), &hotfix(&json!({})))), ["ours"]);
    }

    #[test]
    fn a_foreign_mark_or_slot_asks_for_every_hotfix_of_the_namespace() {
        let relevant: BTreeSet<String> = ["web".to_owned()].into();
        let slots: BTreeSet<String> = ["mine".to_owned()].into();
        let asks = |service: Service| foreign(&[service], &relevant, "u", &slots);
        assert!(!asks(service("web", &[("app", "web"), (SLOT, "mine")])));
        assert!(asks(service("web", &[("app", "web"), (SLOT, "theirs")])));
        let marked = |mark: &str| Service { annotations: map(&[(MARK, mark)]), ..service("web", &[]) };
        assert!(!asks(marked("sealed/u/1")));
        assert!(asks(marked("hold/x/1")) && asks(marked("somebody was here")));
        assert!(!asks(Service { name: "unrelated".into(), ..marked("hold/x/1") }));
    }

    #[test]
    fn slices_are_asked_for_by_name_while_the_names_fit() {
        let named = |n: usize| (0..n).map(|i| format!("s{i}")).collect::<BTreeSet<_>>();
        assert_eq!(slices_query(&named(0)), None);
        assert_eq!(slices_query(&named(2)), Some(Which::Labels("kubernetes.io/service-name in (s0,s1)".into())));
        assert_eq!(slices_query(&named(NAMED_MAX + 1)), Some(Which::All));
    }
}
