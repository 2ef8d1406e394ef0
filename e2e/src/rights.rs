//! Whether the operator's roles hold exactly what it needs: its requests of the audit log, against the rules the roles are
//! generated from. It decides nothing about a request; it says which were refused and which rules nothing has used yet.

use std::collections::BTreeSet;
use std::fmt;

use securityhotfix::api::rbac::{RULES, Reach};

use crate::cluster::AuditRecord;

/// One verb on one resource, where a role grants it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    /// Which role.
    reach: &'static str,
    /// API group, empty for core.
    group: String,
    /// Plural, with the subresource.
    resource: String,
    /// Verb as the API server names it.
    verb: String,
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
pub fn compare(records: &[AuditRecord], operator: &str, checks_namespace: &str, lease: (&str, &str)) -> Rights {
    let asks = records.iter().filter(|record| record.user.username == operator);
    let asked: BTreeSet<Right> = asks.filter_map(|record| asked(record, checks_namespace, lease)).collect();
    let granted = granted();
    Rights {
        missing: asked.difference(&granted).cloned().collect(),
        unused: granted.difference(&asked).cloned().collect(),
    }
}

fn granted() -> BTreeSet<Right> {
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
fn asked(record: &AuditRecord, checks_namespace: &str, (own_namespace, lease): (&str, &str)) -> Option<Right> {
    let object = record.object_ref.as_ref()?;
    let of_cluster = RULES.iter().any(|rule| {
        rule.reach == Reach::Cluster && rule.group == object.api_group && rule.resources.contains(&&*object.resource)
    });
    let reach = match &*object.namespace {
        _ if of_cluster => Reach::Cluster,
        namespace if namespace == checks_namespace => Reach::Checks,
        namespace if namespace == own_namespace && record.verb == "create" => Reach::Own,
        namespace if namespace == own_namespace && object.name == lease => Reach::Lease,
        _ => Reach::Workloads,
    };
    let slash = if object.subresource.is_empty() { "" } else { "/" };
    Some(Right {
        reach: word(reach),
        group: object.api_group.clone(),
        resource: format!("{}{slash}{}", object.resource, object.subresource),
        verb: record.verb.clone(),
    })
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

    const LEASE: (&str, &str) = ("own", "hotfix-operator");

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
        assert_eq!(said(&compare(&asked, "op", "checks", LEASE).missing), ["get secrets (watched namespaces)"]);
    }

    #[test]
    fn a_right_used_in_one_place_is_not_used_in_another() {
        let list = |namespace| record("op", "list", &json!({"resource": "pods", "namespace": namespace}));
        let unused = |records: &[AuditRecord]| said(&compare(records, "op", "checks", LEASE).unused);
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
            "checks",
            LEASE,
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
        let rights = compare(&[record("op", "patch", &object)], "op", "checks", LEASE);
        assert!(rights.missing.is_empty());
        assert!(!said(&rights.unused).iter().any(|right| right.contains("securityhotfixes/status")));
    }
}
