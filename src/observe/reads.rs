//! Which collections are read, and how an answer becomes objects or a reason.

use kube::Client;
use serde_json::Value;

use super::error::ObserveError;
use super::json::text;
use crate::cluster::{Call, CallError, list, send};

/// A collection of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    api: &'static str,
    group: &'static str,
    plural: &'static str,
    scope: Scope,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    Namespace,
    Cluster,
}

const fn kind(api: &'static str, group: &'static str, plural: &'static str, scope: Scope) -> Kind {
    Kind { api, group, plural, scope }
}

const OWN: &str = "/apis/securityhotfix.dev/v1alpha1";
const OWN_GROUP: &str = "securityhotfix.dev";

pub(super) const SERVICES: Kind = kind("/api/v1", "", "services", Scope::Namespace);
pub(super) const PODS: Kind = kind("/api/v1", "", "pods", Scope::Namespace);
pub(super) const NAMESPACES: Kind = kind("/api/v1", "", "namespaces", Scope::Cluster);
pub(super) const DEPLOYMENTS: Kind = kind("/apis/apps/v1", "apps", "deployments", Scope::Namespace);
pub(super) const REPLICA_SETS: Kind = kind("/apis/apps/v1", "apps", "replicasets", Scope::Namespace);
pub(super) const SLICES: Kind =
    kind("/apis/discovery.k8s.io/v1", "discovery.k8s.io", "endpointslices", Scope::Namespace);
pub(super) const BUDGETS: Kind = kind("/apis/policy/v1", "policy", "poddisruptionbudgets", Scope::Namespace);
pub(super) const AUTOSCALERS: Kind =
    kind("/apis/autoscaling/v2", "autoscaling", "horizontalpodautoscalers", Scope::Namespace);
pub(super) const TARGET_GROUPS: Kind =
    kind("/apis/elbv2.k8s.aws/v1beta1", "elbv2.k8s.aws", "targetgroupbindings", Scope::Namespace);
pub(super) const LEASES: Kind = kind("/apis/coordination.k8s.io/v1", "coordination.k8s.io", "leases", Scope::Namespace);
pub(super) const JOBS: Kind = kind("/apis/batch/v1", "batch", "jobs", Scope::Namespace);
pub(super) const HOTFIXES: Kind = kind(OWN, OWN_GROUP, "securityhotfixes", Scope::Namespace);
pub(super) const REPORTS: Kind = kind(OWN, OWN_GROUP, "hotfixreports", Scope::Namespace);
pub(super) const CHECKS: Kind = kind(OWN, OWN_GROUP, "securitychecks", Scope::Cluster);
pub(super) const POLICIES: Kind = kind(OWN, OWN_GROUP, "hotfixpolicies", Scope::Cluster);

impl Kind {
    /// The resource as a role names it, with its group.
    pub(super) fn resource(self) -> String {
        if self.group.is_empty() { self.plural.to_owned() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// Where it is, for a sentence.
    pub(super) fn place(self, namespace: &str) -> String {
        match self.scope {
            Scope::Namespace => format!(" in namespace {namespace}"),
            Scope::Cluster => String::new(),
        }
    }

    /// Path of the collection.
    pub(super) fn path(self, namespace: &str) -> String {
        match self.scope {
            Scope::Namespace => format!("{}/namespaces/{namespace}/{}", self.api, self.plural),
            Scope::Cluster => format!("{}/{}", self.api, self.plural),
        }
    }
}

/// Which objects of a collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Which {
    All,
    Labels(String),
    Fields(String),
}

/// Reads of one namespace.
#[derive(Clone, Copy)]
pub(super) struct Reads<'a> {
    pub(super) client: &'a Client,
    pub(super) namespace: &'a str,
}

impl Reads<'_> {
    /// The objects of a collection.
    pub(super) async fn all(self, kind: Kind, which: Which) -> Result<Vec<Value>, ObserveError> {
        let call = Call::get(kind.path(self.namespace));
        let call = match which {
            Which::All => call,
            Which::Labels(selector) => call.with("labelSelector", selector),
            Which::Fields(selector) => call.with("fieldSelector", selector),
        };
        list(self.client, &call).await.map_err(|error| ObserveError::of_list(kind, self.namespace, error))
    }

    /// The objects of a collection whose kind a cluster need not have.
    pub(super) async fn all_if_installed(self, kind: Kind) -> Result<Vec<Value>, ObserveError> {
        match self.all(kind, Which::All).await {
            Err(ObserveError::Missing(_)) => Ok(Vec::new()),
            answer => answer,
        }
    }

    /// One object, where it exists.
    pub(super) async fn one(self, kind: Kind, name: &str) -> Result<Option<Value>, ObserveError> {
        let call = Call::get(format!("{}/{name}", kind.path(self.namespace)));
        match send(self.client, &call).await {
            Ok(object) => Ok(Some(object)),
            Err(error) if names(&error, name) => Ok(None),
            Err(error) => Err(ObserveError::of_call(kind, "get", self.namespace, error)),
        }
    }
}

/// True where the answer is that this object does not exist. That its kind does not exist is another 404, which names
/// nothing.
fn names(error: &CallError, name: &str) -> bool {
    let CallError::Status(status) = error else { return false };
    status.code == 404 && status.details.as_ref().is_some_and(|details| details.name == name)
}

/// Reads every object, or says which kind has one without identity.
pub(super) fn read_all<T>(
    kind: Kind,
    objects: &[Value],
    read: impl Fn(&Value) -> Option<T>,
) -> Result<Vec<T>, ObserveError> {
    objects.iter().map(|object| read(object).ok_or_else(|| nameless(kind))).collect()
}

/// An object without the identity that every object has.
pub(super) fn nameless(kind: Kind) -> ObserveError {
    ObserveError::Unreadable(format!(
        "The API server returned one of {} without name, uid or version.",
        kind.resource()
    ))
}

/// Takes a custom object apart, or says which one cannot be read and why.
pub(super) fn read_own<T>(
    kind: Kind,
    object: &Value,
    read: impl Fn(&Value) -> Result<T, String>,
) -> Result<T, ObserveError> {
    read(object).map_err(|why| {
        let name = text(object, "/metadata/name").unwrap_or("without a name");
        ObserveError::Unreadable(format!(
            "{} {name} cannot be read: {why}. Are the installed definitions of another version than the operator?",
            kind.resource()
        ))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn not_found(details: &Value) -> CallError {
        let status = json!({"code": 404, "reason": "NotFound", "details": details});
        CallError::Status(Box::new(serde_json::from_value(status).unwrap()))
    }

    #[test]
    fn a_missing_object_is_told_from_a_missing_kind() {
        assert!(names(&not_found(&json!({"name": "web", "kind": "deployments"})), "web"));
        assert!(!names(&not_found(&json!({})), "web"));
        assert!(!names(&not_found(&Value::Null), "web"));
    }

    #[test]
    fn a_path_has_a_namespace_where_its_kind_has_one() {
        assert_eq!(PODS.path("shop"), "/api/v1/namespaces/shop/pods");
        assert_eq!(CHECKS.path("shop"), "/apis/securityhotfix.dev/v1alpha1/securitychecks");
        assert_eq!(NAMESPACES.path("shop"), "/api/v1/namespaces");
    }

    #[test]
    fn an_object_without_identity_spoils_the_list() {
        let read = |object: &Value| text(object, "/name").map(str::to_owned);
        assert_eq!(read_all(PODS, &[json!({"name": "a"})], read).unwrap(), ["a"]);
        let error = read_all(PODS, &[json!({"name": "a"}), json!({})], read).unwrap_err();
        assert_eq!(error.to_string(), "The API server returned one of pods without name, uid or version.");
    }
}
