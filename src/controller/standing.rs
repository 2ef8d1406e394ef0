//! The watches that are always open: the hotfixes themselves, and what the administrator writes about them.
//!
//! They keep little more than metadata, so an object that cannot be read does not disturb the others, and ten thousand
//! resting hotfixes cost little memory. A broken one makes the operator not ready and is begun anew.

use std::borrow::Cow;
use std::fmt::Debug;
use std::future::ready;
use std::sync::Arc;

use futures::{Stream, StreamExt};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{Predicate, PredicateConfig, WatchStreamExt, predicates};
use kube::{Api, Client, Resource, ResourceExt};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use tracing::warn;

use super::args::Watch;
use super::health::Readiness;
use super::ledger::{Key, Ledger};
use super::metrics::{Counter, Metrics};
use super::queue::Queue;
use super::relist::relisted;
use crate::api::names::FINALIZER;
use crate::api::{GROUP, HotfixPolicy, SecurityCheck, SecurityHotfix};
use crate::observe::HotfixId;

/// What is kept of a hotfix between two looks. Read leniently: whatever its spec holds, it never breaks the watch.
#[derive(Clone, Debug, Deserialize)]
pub struct Hotfix {
    metadata: ObjectMeta,
    #[serde(default, rename = "spec", deserialize_with = "target")]
    target: Option<String>,
}

/// The name of the Deployment, where the spec says one.
fn target<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let spec = Value::deserialize(deserializer)?;
    Ok(spec.pointer("/target/name").and_then(Value::as_str).map(str::to_owned))
}

impl Resource for Hotfix {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        SecurityHotfix::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        SecurityHotfix::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        SecurityHotfix::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        SecurityHotfix::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

impl Hotfix {
    /// Which hotfix it is, with what can never change of it.
    pub fn id(&self) -> HotfixId {
        HotfixId {
            namespace: self.metadata.namespace.clone().unwrap_or_default(),
            name: self.metadata.name.clone().unwrap_or_default(),
            uid: self.metadata.uid.clone().unwrap_or_default(),
            // Without one the observation finds nothing to roll out to, and says so.
            target: self.target.clone().unwrap_or_default(),
        }
    }
}

/// The hotfixes of a store, those under way apart from the others.
pub fn known(store: &Store<Hotfix>) -> (Vec<Key>, Vec<Key>) {
    let (active, others): (Vec<_>, Vec<_>) = store.state().into_iter().partition(|hotfix| {
        // From the claim to the end of everything it has our finalizer.
        hotfix.finalizers().iter().any(|finalizer| finalizer == FINALIZER)
    });
    let keys = |hotfixes: Vec<Arc<Hotfix>>| hotfixes.iter().map(|hotfix| Key::of(&hotfix.id())).collect();
    (keys(active), keys(others))
}

/// A reference to a hotfix, as the queue of the runtime wants it.
pub fn reference(key: &Key) -> ObjectRef<Hotfix> {
    ObjectRef::new(&key.name).within(&key.namespace)
}

/// What the standing watches report to.
#[derive(Clone)]
pub struct Sinks {
    /// Whom to look at.
    pub queue: Queue,
    /// What is remembered.
    pub ledger: Arc<Ledger>,
    /// Whether the watches are open.
    pub readiness: Arc<Readiness>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

impl Sinks {
    fn opened(&self, what: &'static str) {
        self.readiness.there(what);
    }

    fn broke(&self, what: &'static str, error: &watcher::Error) {
        self.metrics.count(Counter::WatchErrors, what);
        if self.readiness.missing(what, &error.to_string()) {
            warn!(what, %error, "a watch broke; it is begun anew until it opens");
        }
    }
}

const HOTFIXES: &str = "securityhotfixes";
const POLICIES: &str = "hotfixpolicies";
const CHECKS: &str = "securitychecks";

/// Says that the watches are not open yet, before anybody asks whether everything is there.
pub fn expected(readiness: &Readiness) {
    for what in [HOTFIXES, POLICIES, CHECKS] {
        readiness.missing(what, "not listed yet");
    }
}

/// The hotfixes that changed in a way that is not our own status, and the store they are kept in. `gone` hears of each
/// that does not exist any more.
///
/// The stream has no errors: one would make the runtime hold back every trigger, also those of healthy watches.
pub fn hotfixes<G: Fn(&Key) + Send + Sync + 'static>(
    client: Client,
    watch: &Watch,
    sinks: Sinks,
    gone: G,
) -> (impl Stream<Item = Result<Hotfix, watcher::Error>> + Send + use<G>, Store<Hotfix>) {
    let api: Api<Hotfix> = match watch {
        Watch::Everywhere => Api::all(client),
        Watch::Namespace(namespace) => Api::namespaced(client, namespace),
    };
    let (store, writer) = reflector::store();
    let listed = store.clone();
    let changed = relisted(api)
        .modify(slim)
        .reflect(writer)
        .inspect(move |event| match event {
            Ok(Event::Delete(hotfix)) => gone(&Key::of(&hotfix.id())),
            Ok(Event::InitDone) => {
                sinks.opened(HOTFIXES);
                for key in sinks.ledger.retain(|key| listed.get(&reference(key)).is_some()) {
                    gone(&key);
                }
            }
            Ok(Event::Init | Event::InitApply(_) | Event::Apply(_)) => {}
            Err(error) => sinks.broke(HOTFIXES, error),
        })
        .applied_objects()
        // Generation covers the spec and deletion; commands are annotations; the status is our own.
        .predicate_filter(
            predicates::generation.combine(predicates::annotations).combine(predicates::finalizers),
            PredicateConfig::default(),
        )
        .filter(|changed| ready(changed.is_ok()));
    (changed, store)
}

/// Keeps what is looked at: names, generation, deletion, finalizers, and our own annotations.
fn slim(hotfix: &mut Hotfix) {
    hotfix.managed_fields_mut().clear();
    hotfix.labels_mut().clear();
    hotfix.annotations_mut().retain(|key, _| key.split_once('/').is_some_and(|(domain, _)| domain == GROUP));
}

/// Watches policies until the end of the process, and triggers every active hotfix when one changes.
pub async fn policies(client: Client, sinks: Sinks) {
    pump::<HotfixPolicy>(POLICIES, client, sinks).await;
}

/// Watches checks until the end of the process, and triggers every active hotfix when one changes.
pub async fn checks(client: Client, sinks: Sinks) {
    pump::<SecurityCheck>(CHECKS, client, sinks).await;
}

async fn pump<K>(what: &'static str, client: Client, sinks: Sinks)
where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
{
    let api: Api<PartialObjectMeta<K>> = Api::all(client);
    let mut events = std::pin::pin!(relisted(api));
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init | Event::InitApply(_)) => {}
            Ok(Event::InitDone) => {
                sinks.opened(what);
                sinks.queue.trigger_all(&sinks.ledger.active(None));
            }
            Ok(Event::Apply(_) | Event::Delete(_)) => sinks.queue.trigger_all(&sinks.ledger.active(None)),
            Err(error) => sinks.broke(what, &error),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_spec_that_cannot_be_read_breaks_nothing() {
        for spec in [json!(null), json!(7), json!({"target": 7}), json!({"target": {"name": ["x"]}})] {
            let hotfix = json!({"metadata": {"name": "web"}, "spec": spec});
            assert_eq!(serde_json::from_value::<Hotfix>(hotfix).unwrap().target, None, "{spec}");
        }
    }

    #[test]
    fn only_what_is_looked_at_is_kept() {
        let mut hotfix: Hotfix = serde_json::from_value(json!({
            "apiVersion": "securityhotfix.dev/v1alpha1", "kind": "SecurityHotfix",
            "spec": {"target": {"name": "front"}, "images": "long"}, "status": {"attempt": 1},
            "metadata": {
                "name": "web", "namespace": "shop", "finalizers": ["securityhotfix.dev/close"],
                "labels": {"a": "b"}, "managedFields": [{"manager": "kubectl"}],
                "annotations": {
                    "securityhotfix.dev/retry": "1",
                    "kubectl.kubernetes.io/last-applied-configuration": "long",
                },
            },
        }))
        .unwrap();
        slim(&mut hotfix);
        assert_eq!(hotfix.annotations().keys().collect::<Vec<_>>(), ["securityhotfix.dev/retry"]);
        assert!(hotfix.managed_fields().is_empty() && hotfix.labels().is_empty());
        assert_eq!(hotfix.finalizers().len(), 1);
        assert_eq!((hotfix.id().name.as_str(), hotfix.id().target.as_str()), ("web", "front"));
        assert_eq!(reference(&Key::of(&hotfix.id())), ObjectRef::from_obj(&hotfix));
    }
}
