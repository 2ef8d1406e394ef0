//! Whether the operator's roles hold exactly what it needs: its requests of the audit log, against the rules the roles are
//! generated from. It decides nothing about a request; it says which were refused and which rules nothing has used yet.

use std::collections::BTreeSet;
use std::fmt;

use securityhotfix::api::rbac::{RULES, Reach};

use crate::cluster::{AuditObject, AuditRecord};

/// One verb on one resource, where a role grants it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    /// Which role.
    reach: &'static str,
    /// API group, empty for core.
    pub group: String,
    /// Plural, with the subresource.
    pub resource: String,
    /// Verb as the API server names it.
    pub verb: String,
}

impl Right {
    /// Which role carries it.
    pub fn reach(&self) -> Reach {
        Reach::ALL.into_iter().find(|reach| word(*reach) == self.reach).unwrap_or(Reach::Workloads)
    }
}

/// Where an installation has what its rules are told apart by.
#[derive(Clone, Copy, Debug)]
pub struct Places<'a> {
    /// Namespace of the check Jobs.
    pub checks_namespace: &'a str,
    /// Namespace and name of the Lease by which a replica leads.
    pub lease: (&'a str, &'a str),
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reach, group, resource, verb } = self;
        let dot = if group.is_empty() { "" } else { "." };
        write!(f, "{verb} {resource}{dot}{group} ({reach})")
    }
}

/// How the operator's requests and its rules compare.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    /// What it asked for and no rule grants: a rule is missing, or the request is one too many.
    pub missing: BTreeSet<Right>,
    /// What rules grant and it did not ask for: a suite is missing, or the rule is one too many.
    pub unused: BTreeSet<Right>,
}

/// Compares what `operator` asked of the API server with its rules.
///
/// The Lease by which a replica leads lies in the operator's own namespace and has its name alone among the rules.
pub fn compare(records: &[AuditRecord], operator: &str, places: Places<'_>) -> Rights {
    let asks = records.iter().filter(|record| record.user.username == operator);
    let needs = |record: &AuditRecord| needed(&record.verb, record.object_ref.as_ref()?, places);
    let asked: BTreeSet<Right> = asks.filter_map(needs).collect();
    let granted = granted();
    Rights {
        missing: asked.difference(&granted).cloned().collect(),
        unused: granted.difference(&asked).cloned().collect(),
    }
}

/// Everything the rules grant.
pub fn granted() -> BTreeSet<Right> {
    let one = |reach, group: &str, resource: &str, verb: &str| Right {
        reach: word(reach),
        group: group.to_owned(),
        resource: resource.to_owned(),
        verb: verb.to_owned(),
    };
    RULES
        .iter()
        .flat_map(|rule| {
            let verbs = |resource: &&'static str| {
                let resource = *resource;
                rule.verbs.iter().map(move |verb| one(rule.reach, rule.group, resource, verb))
            };
            rule.resources.iter().flat_map(verbs).collect::<Vec<_>>()
        })
        .collect()
}

/// The right a request needs; `None` where it is about no object, e.g. for discovery.
pub fn needed(verb: &str, object: &AuditObject, places: Places<'_>) -> Option<Right> {
    if object.resource.is_empty() {
        return None;
    }
    let (own_namespace, lease) = places.lease;
    let of_cluster = RULES.iter().any(|rule| {
        rule.reach == Reach::Cluster && rule.group == object.api_group && rule.resources.contains(&&*object.resource)
    });
    let reach = match &*object.namespace {
        _ if of_cluster => Reach::Cluster,
        namespace if namespace == places.checks_namespace => Reach::Checks,
        namespace if namespace == own_namespace && verb == "create" => Reach::Own,
        namespace if namespace == own_namespace && object.name == lease => Reach::Lease,
        _ => Reach::Workloads,
    };
    Some(Right {
        reach: word(reach),
        group: object.api_group.clone(),
        resource: resource(object),
        verb: verb.to_owned(),
    })
}

/// What a request is about, with the subresource, as rules name it.
fn resource(object: &AuditObject) -> String {
    let slash = if object.subresource.is_empty() { "" } else { "/" };
    format!("{}{slash}{}", object.resource, object.subresource)
}

/// What the API server's authorizer says of a right that is missing, but for whose it is and where.
pub fn cannot(verb: &str, resource: &str, group: &str) -> String {
    format!("cannot {verb} resource \"{resource}\" in API group \"{group}\"")
}

/// What the authorizer says to who may not make a request; `None` for one that is about no object.
pub fn refusal(method: &str, path: &str, query: &str) -> Option<String> {
    let (verb, object) = request(method, path, query)?;
    let (resource, AuditObject { api_group, namespace, .. }) = (resource(&object), &object);
    let dot = if api_group.is_empty() { "" } else { "." };
    let cannot = cannot(verb, &resource, api_group);
    Some(format!(
        "{resource}{dot}{api_group} is forbidden: User \"the-operator\" {cannot} in the namespace \"{namespace}\""
    ))
}

/// The verb and the object of a request, as the API server's audit log has them; `None` for what is about no object.
pub fn request(method: &str, path: &str, query: &str) -> Option<(&'static str, AuditObject)> {
    let mut words = path.trim_matches('/').split('/');
    let api_group = match words.next()? {
        "api" => String::new(),
        "apis" => words.next()?.to_owned(),
        _ => return None,
    };
    let api_version = words.next()?.to_owned();
    let rest: Vec<&str> = words.collect();
    let (namespace, rest) = match rest.as_slice() {
        ["namespaces", namespace, of, more @ ..] => (*namespace, [&[*of], more].concat()),
        ["namespaces", name] => (*name, rest),
        _ => ("", rest),
    };
    let part = |nth: usize| rest.get(nth).copied().unwrap_or_default().to_owned();
    let (resource, name, subresource) = (part(0), part(1), part(2));
    // Of what is listed or watched by its name alone the API server takes the name for the request's.
    let selected = query.split('&').find_map(|parameter| {
        let selector = parameter.strip_prefix("fieldSelector=metadata.name")?;
        selector.strip_prefix("%3D").or_else(|| selector.strip_prefix('='))
    });
    let watches = query.split('&').any(|parameter| matches!(parameter, "watch=true" | "watch=1"));
    let verb = match method {
        "GET" if watches => "watch",
        "GET" if name.is_empty() => "list",
        "GET" => "get",
        "POST" => "create",
        "PUT" => "update",
        "PATCH" => "patch",
        "DELETE" if name.is_empty() => "deletecollection",
        "DELETE" => "delete",
        _ => return None,
    };
    let name = if name.is_empty() { selected.unwrap_or_default().to_owned() } else { name };
    let object = AuditObject { api_group, api_version, resource, subresource, namespace: namespace.to_owned(), name };
    (!object.resource.is_empty()).then_some((verb, object))
}

fn word(reach: Reach) -> &'static str {
    match reach {
        Reach::Workloads => "watched namespaces",
        Reach::Cluster => "cluster",
        Reach::Checks => "checks' namespace",
        Reach::Own => "own namespace",
        Reach::Lease => "own lease",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const PLACES: Places<'_> = Places { checks_namespace: "checks", lease: ("own", "hotfix-operator") };

    fn record(user: &str, verb: &str, object: &Value) -> AuditRecord {
        serde_json::from_value(json!({
            "auditID": "a", "verb": verb, "requestURI": "/", "user": {"username": user}, "objectRef": object,
            "requestReceivedTimestamp": "2026-11-23T17:00:00Z", "stageTimestamp": "2026-11-23T17:00:00Z",
        }))
        .unwrap()
    }

    fn said(rights: &BTreeSet<Right>) -> Vec<String> {
        rights.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_request_no_rule_grants_is_missing() {
        let asked = [
            record("op", "get", &json!({"resource": "secrets", "namespace": "shop"})),
            record("op", "list", &json!({"resource": "pods", "namespace": "shop"})),
            record("someone", "delete", &json!({"resource": "nodes"})),
        ];
        assert_eq!(said(&compare(&asked, "op", PLACES).missing), ["get secrets (watched namespaces)"]);
    }

    #[test]
    fn a_right_used_in_one_place_is_not_used_in_another() {
        let list = |namespace| record("op", "list", &json!({"resource": "pods", "namespace": namespace}));
        let unused = |records: &[AuditRecord]| said(&compare(records, "op", PLACES).unused);
        assert!(unused(&[list("shop")]).contains(&"list pods (checks' namespace)".to_owned()));
        assert!(!unused(&[list("checks")]).contains(&"list pods (checks' namespace)".to_owned()));
        assert_eq!(unused(&[]).len(), unused(&[list("shop"), list("checks")]).len() + 2);
    }

    #[test]
    fn the_lead_is_one_object_and_another_lease_is_not_granted_by_it() {
        let lease = |verb, namespace, name| {
            let group = "coordination.k8s.io";
            record("op", verb, &json!({"resource": "leases", "apiGroup": group, "namespace": namespace, "name": name}))
        };
        let told = compare(
            &[lease("patch", "own", "hotfix-operator"), lease("create", "own", ""), lease("patch", "own", "another")],
            "op",
            PLACES,
        );
        assert_eq!(said(&told.missing), ["patch leases.coordination.k8s.io (watched namespaces)"]);
        let unused = said(&told.unused);
        assert!(!unused.contains(&"patch leases.coordination.k8s.io (own lease)".to_owned()), "{unused:?}");
        assert!(unused.contains(&"watch leases.coordination.k8s.io (own lease)".to_owned()), "{unused:?}");
    }

    #[test]
    fn a_subresource_is_a_right_of_its_own() {
        let object = json!({"resource": "securityhotfixes", "subresource": "status", "namespace": "shop",
                            "apiGroup": "securityhotfix.dev"});
        let rights = compare(&[record("op", "patch", &object)], "op", PLACES);
        assert!(rights.missing.is_empty());
        assert!(!said(&rights.unused).iter().any(|right| right.contains("securityhotfixes/status")));
    }

    #[test]
    fn a_request_is_read_as_the_audit_log_has_it() {
        let told = |method, path, query| {
            let (verb, object) = request(method, path, query)?;
            let needed = needed(verb, &object, PLACES)?;
            Some((needed.to_string(), object.name))
        };
        let cases = [
            (("GET", "/api/v1/namespaces/shop/pods", "watch=true&x=1"), "watch pods (watched namespaces)", ""),
            (("GET", "/api/v1/namespaces/shop", ""), "get namespaces (watched namespaces)", "shop"),
            (("PATCH", "/api/v1/namespaces/shop/pods/a/status", ""), "patch pods/status (watched namespaces)", "a"),
            (("GET", "/api/v1/namespaces/checks/pods/a/log", "tail=1"), "get pods/log (checks' namespace)", "a"),
            (
                ("GET", "/apis/securityhotfix.dev/v1alpha1/hotfixpolicies", ""),
                "list hotfixpolicies.securityhotfix.dev (cluster)",
                "",
            ),
            (
                (
                    "GET",
                    "/apis/coordination.k8s.io/v1/namespaces/own/leases",
                    "watch=true&fieldSelector=metadata.name%3Dhotfix-operator",
                ),
                "watch leases.coordination.k8s.io (own lease)",
                "hotfix-operator",
            ),
            (
                ("PATCH", "/apis/coordination.k8s.io/v1/namespaces/own/leases/hotfix-operator", ""),
                "patch leases.coordination.k8s.io (own lease)",
                "hotfix-operator",
            ),
        ];
        for ((method, path, query), right, name) in cases {
            assert_eq!(told(method, path, query), Some((right.to_owned(), name.to_owned())), "{path}");
        }
        assert_eq!(told("GET", "/apis/securityhotfix.dev/v1alpha1", ""), None);
        assert_eq!(told("GET", "/version", ""), None);
    }
}
