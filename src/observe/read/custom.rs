//! The project's own kinds, and the namespace.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::managers;
use crate::api::SecurityHotfixStatus;
use crate::api::names::POLICY;
use crate::observe::json::{array, deleting, integer, map, moment, text, word};
use crate::plan::observed::{Check, Hotfix, Namespace, Other, Policy, Report};

/// Why an object of our own kinds cannot be read, in a clause.
type Unreadable = String;

/// Reads the hotfix.
pub fn hotfix(object: &Value) -> Result<Hotfix, Unreadable> {
    let finalizers = array(object, "/metadata/finalizers");
    Ok(Hotfix {
        name: required(object, "/metadata/name")?,
        namespace: required(object, "/metadata/namespace")?,
        uid: required(object, "/metadata/uid")?,
        resource_version: required(object, "/metadata/resourceVersion")?,
        generation: integer(object, "/metadata/generation").unwrap_or_default(),
        created_at: moment(object, "/metadata/creationTimestamp"),
        deleting: moment(object, "/metadata/deletionTimestamp"),
        finalizers: finalizers.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        annotations: map(object, "/metadata/annotations")
            .into_iter()
            .filter(|(key, _)| key.starts_with("securityhotfix.dev/"))
            .collect(),
        managers: managers::of_spec(object),
        spec: part(object, "spec")?,
        status: match object.get("status") {
            None | Some(Value::Null) => SecurityHotfixStatus::default(),
            Some(_) => part(object, "status")?,
        },
    })
}

/// Reads a policy.
pub fn policy(object: &Value) -> Result<Policy, Unreadable> {
    Ok(Policy { name: required(object, "/metadata/name")?, spec: part(object, "spec")? })
}

/// Reads a check.
pub fn check(object: &Value) -> Result<Check, Unreadable> {
    Ok(Check {
        uid: required(object, "/metadata/uid")?,
        generation: integer(object, "/metadata/generation").unwrap_or_default(),
        spec: part(object, "spec")?,
    })
}

/// Reads the record.
pub fn report(object: &Value) -> Result<Report, Unreadable> {
    Ok(Report {
        resource_version: required(object, "/metadata/resourceVersion")?,
        hotfix_uid: word(object, "/spec/hotfix/uid"),
        spec: part(object, "spec")?,
    })
}

/// Reads of another hotfix what matters to its neighbours: whether it may still write.
pub fn other(object: &Value) -> Option<Other> {
    let attempt = object.pointer("/status/attempt").filter(|attempt| !attempt.is_null());
    Some(Other {
        name: text(object, "/metadata/name")?.to_owned(),
        uid: text(object, "/metadata/uid")?.to_owned(),
        alive: attempt.is_some_and(|attempt| text(attempt, "/finishedAt").is_none()),
        attempt: attempt.and_then(|attempt| attempt.get("number")?.as_i64()).unwrap_or_default(),
    })
}

/// Reads a namespace.
pub fn namespace(object: &Value) -> Namespace {
    Namespace { terminating: deleting(object), policy: map(object, "/metadata/labels").remove(POLICY) }
}

fn required(object: &Value, pointer: &str) -> Result<String, Unreadable> {
    text(object, pointer).map(str::to_owned).ok_or_else(|| format!("it has no {}", pointer.replace('/', ".")))
}

fn part<T: DeserializeOwned>(object: &Value, field: &str) -> Result<T, Unreadable> {
    let value = object.get(field).unwrap_or(&Value::Null);
    T::deserialize(value).map_err(|error| format!("its {field} is not what this version knows: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn web_cve() -> Value {
        json!({
            "metadata": {"name": "web-cve", "namespace": "shop", "uid": "u", "resourceVersion": "7", "generation": 1,
                "finalizers": ["securityhotfix.dev/close"],
                "annotations": {"securityhotfix.dev/abort": "1/no", "kubectl.kubernetes.io/x": "y"}},
            "spec": {"advisory": {"ids": ["CVE-1"]}, "target": {"kind": "Deployment", "name": "web"},
                "images": [{"container": "web", "image": "r/web:2"}], "reason": "r"}
        })
    }

    #[test]
    fn a_hotfix_without_status_is_one_that_was_never_seen() {
        let read = hotfix(&web_cve()).unwrap();
        assert_eq!(read.status, SecurityHotfixStatus::default());
        assert_eq!(read.annotations.keys().collect::<Vec<_>>(), ["securityhotfix.dev/abort"]);
        assert_eq!(read.finalizers, ["securityhotfix.dev/close"]);
    }

    #[test]
    fn a_hotfix_of_another_shape_is_told_from_none() {
        let mut odd = web_cve();
        odd["spec"]["images"] = json!("r/web:2");
        let error = hotfix(&odd).unwrap_err();
        assert!(error.starts_with("its spec is not what this version knows:"), "{error}");
    }

    #[test]
    fn a_status_that_cannot_be_read_is_never_taken_for_an_empty_one() {
        let mut odd = web_cve();
        odd["status"] = json!({"attempt": {"number": "one"}});
        assert!(hotfix(&odd).unwrap_err().starts_with("its status is not"));
    }

    #[test]
    fn another_hotfix_is_alive_while_its_attempt_is_not_finished() {
        let of = |status| json!({"metadata": {"name": "o", "uid": "x"}, "status": status});
        assert!(other(&of(json!({"attempt": {"number": 1}}))).unwrap().alive);
        assert!(!other(&of(json!({"attempt": {"finishedAt": "2026-01-01T00:00:00Z"}}))).unwrap().alive);
        assert!(!other(&of(json!({}))).unwrap().alive);
        assert_eq!(other(&json!({})), None);
    }

    #[test]
    fn a_namespace_names_its_policy() {
        let read = namespace(&json!({"metadata": {"labels": {"securityhotfix.dev/policy": "strict"},
            "deletionTimestamp": "2026-01-01T00:00:00Z"}}));
        assert_eq!((read.terminating, read.policy.as_deref()), (true, Some("strict")));
        assert_eq!(namespace(&json!({})), Namespace::default());
    }
}
