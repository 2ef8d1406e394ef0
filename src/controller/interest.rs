//! What a hotfix under way touches, told from the last look at it: which objects are worth a look when they change.
//!
//! Too much here costs a look, too little costs at most half a minute, since an active hotfix is looked at that often
//! anyway. It never decides anything about the hotfix.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use kube::core::Selector;
use serde_json::Value;

use super::ledger::Key;
use crate::api::names;
use crate::plan::Observed;

/// A set of objects that one watch sees. Hotfixes of one namespace share all of them but the pods.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// The check Jobs of every hotfix.
    Jobs,
    /// The Services of a namespace.
    Services(String),
    /// Its EndpointSlices.
    Slices(String),
    /// Its Deployments.
    Deployments(String),
    /// Its ReplicaSets.
    ReplicaSets(String),
    /// Its pods that match a label selector.
    Pods(String, String),
}

impl Scope {
    /// The kind, as metrics and logs have it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Jobs => "jobs",
            Self::Services(_) => "services",
            Self::Slices(_) => "endpointslices",
            Self::Deployments(_) => "deployments",
            Self::ReplicaSets(_) => "replicasets",
            Self::Pods(..) => "pods",
        }
    }
}

/// What one hotfix touches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interest {
    namespace: String,
    uid: String,
    /// Names of blue and green, and of candidates that other hotfixes made for blue.
    deployments: BTreeSet<String>,
    /// UIDs of blue and green, where they exist.
    owners: BTreeSet<String>,
    /// Names of the Services whose endpoints matter.
    services: BTreeSet<String>,
    /// Label selector of blue's pods, which green's match too.
    pods: Option<String>,
}

impl Interest {
    /// What `observed` shows to be worth watching.
    pub fn of(key: &Key, observed: &Observed) -> Self {
        let hotfix = &observed.hotfix;
        let attempt = hotfix.status.attempt.as_ref();
        let recorded = attempt.into_iter().flat_map(|attempt| &attempt.services).map(|service| service.name.clone());
        let workloads = || observed.blue.iter().chain(&observed.green);
        let green = names::green(&hotfix.spec.target.name, &hotfix.uid);
        let slot = attempt.map(|attempt| names::slot(&hotfix.uid, attempt.number));
        Self {
            namespace: key.namespace.clone(),
            uid: hotfix.uid.clone(),
            deployments: observed
                .strays
                .candidates
                .iter()
                .map(|candidate| candidate.name.clone())
                .chain([hotfix.spec.target.name.clone(), green.clone()])
                .collect(),
            owners: workloads().map(|workload| workload.uid.clone()).collect(),
            services: recorded
                .chain(observed.slices.iter().map(|slice| slice.service.clone()))
                .chain([green])
                .collect(),
            pods: observed
                .blue
                .as_ref()
                .and_then(|blue| selector(&blue.raw))
                // Without blue only what carries our own label is left.
                .or_else(|| slot.map(|slot| format!("{}={slot}", names::SLOT))),
        }
    }

    /// The watches that see it all.
    pub fn scopes(&self) -> Vec<Scope> {
        let ns = || self.namespace.clone();
        let mut scopes = vec![
            Scope::Jobs,
            Scope::Services(ns()),
            Scope::Slices(ns()),
            Scope::Deployments(ns()),
            Scope::ReplicaSets(ns()),
        ];
        scopes.extend(self.pods.clone().map(|pods| Scope::Pods(ns(), pods)));
        scopes
    }

    /// True when a change of this object is worth a look. A Service of any name may come to select the workload.
    pub fn touches(&self, scope: &Scope, object: &ObjectMeta) -> bool {
        let named = |names: &BTreeSet<String>| object.name.as_ref().is_some_and(|name| names.contains(name));
        let label = |key: &str| object.labels.as_ref().and_then(|labels| labels.get(key));
        match scope {
            Scope::Services(_) | Scope::Pods(..) => true,
            Scope::Deployments(_) => named(&self.deployments),
            Scope::Jobs => label(names::HOTFIX_UID).is_some_and(|uid| *uid == self.uid),
            Scope::Slices(_) => label("kubernetes.io/service-name").is_some_and(|name| self.services.contains(name)),
            Scope::ReplicaSets(_) => {
                let owners = object.owner_references.as_deref().unwrap_or_default();
                owners.iter().any(|owner| self.owners.contains(&owner.uid))
            }
        }
    }
}

/// The Deployment's selector as a query writes it.
fn selector(deployment: &Value) -> Option<String> {
    let selector: LabelSelector = serde_json::from_value(deployment.pointer("/spec/selector")?.clone()).ok()?;
    let selector = Selector::try_from(selector).ok()?;
    // An empty one selects everything, which no Deployment may have and no watch of ours should.
    (!selector.selects_all()).then(|| selector.to_string())
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    pub fn interest(uid: &str, pods: &str) -> Interest {
        Interest {
            namespace: "shop".into(),
            uid: uid.into(),
            deployments: ["web".into(), "web-hotfix-u1".into()].into(),
            owners: ["d1".into()].into(),
            services: ["web".into()].into(),
            pods: Some(pods.into()),
        }
    }

    fn object(value: Value) -> ObjectMeta {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn only_what_a_hotfix_touches_is_worth_a_look() {
        let (interest, ns) = (interest("u1", "app=web"), || "shop".to_owned());
        for (scope, meta, worth) in [
            (Scope::Jobs, json!({"labels": {"securityhotfix.dev/hotfix-uid": "u1"}}), true),
            (Scope::Jobs, json!({"labels": {"securityhotfix.dev/hotfix-uid": "u2"}}), false),
            (Scope::Deployments(ns()), json!({"name": "web-hotfix-u1"}), true),
            (Scope::Deployments(ns()), json!({"name": "api"}), false),
            (Scope::Slices(ns()), json!({"labels": {"kubernetes.io/service-name": "web"}}), true),
            (Scope::Slices(ns()), json!({"labels": {"kubernetes.io/service-name": "api"}}), false),
            (
                Scope::ReplicaSets(ns()),
                json!({"ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "d1"}]}),
                true,
            ),
            (Scope::ReplicaSets(ns()), json!({}), false),
            (Scope::Services(ns()), json!({"name": "new"}), true),
        ] {
            assert_eq!(interest.touches(&scope, &object(meta.clone())), worth, "{scope:?} {meta}");
        }
    }

    #[test]
    fn a_selector_is_written_as_a_query_and_never_selects_everything() {
        let of = |selector: Value| super::selector(&json!({"spec": {"selector": selector}}));
        assert_eq!(of(json!({"matchLabels": {"app": "web"}})), Some("app=web".to_owned()));
        assert_eq!(
            of(json!({"matchExpressions": [{"key": "app", "operator": "In", "values": ["a", "b"]}]})),
            Some("app in (a,b)".to_owned())
        );
        assert_eq!(of(json!({})), None);
    }

    #[test]
    fn hotfixes_of_one_namespace_share_all_but_the_pods() {
        let (web, api) = (interest("u1", "app=web"), interest("u2", "app=api"));
        let shared: Vec<_> = web.scopes().into_iter().filter(|scope| api.scopes().contains(scope)).collect();
        assert_eq!(shared.len(), 5);
    }
}
