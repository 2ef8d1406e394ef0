//! Deployments and their ReplicaSets.

use std::sync::Arc;

use serde_json::Value;

use super::managers;
use crate::api::names::SLOT;
use crate::observe::json::{array, controller, count, deleting, flag, integer, map, text, word};
use crate::plan::observed::{ReplicaSet, Workload};

/// Reads a Deployment, and keeps it as it came.
pub fn workload(object: Value) -> Option<Workload> {
    Some(Workload {
        name: text(&object, "/metadata/name")?.to_owned(),
        uid: text(&object, "/metadata/uid")?.to_owned(),
        resource_version: text(&object, "/metadata/resourceVersion")?.to_owned(),
        generation: integer(&object, "/metadata/generation").unwrap_or_default(),
        observed_generation: integer(&object, "/status/observedGeneration").unwrap_or_default(),
        labels: map(&object, "/metadata/labels"),
        annotations: map(&object, "/metadata/annotations"),
        deleting: deleting(&object),
        paused: flag(&object, "/spec/paused"),
        replicas: count(&object, "/spec/replicas").unwrap_or(1),
        controller: controller(&object).map(|owner| format!("{} {}", word(owner, "/kind"), word(owner, "/name"))),
        owners: array(&object, "/metadata/ownerReferences").iter().map(|owner| word(owner, "/uid")).collect(),
        managers: managers::managers(&object, managers::image),
        raw: Arc::new(object),
    })
}

/// Reads a ReplicaSet; one that nothing controls belongs to no Deployment.
pub fn replica_set(object: &Value) -> Option<ReplicaSet> {
    let revision = text(object, "/metadata/annotations/deployment.kubernetes.io~1revision");
    Some(ReplicaSet {
        name: text(object, "/metadata/name")?.to_owned(),
        uid: text(object, "/metadata/uid")?.to_owned(),
        controller: text(controller(object)?, "/uid")?.to_owned(),
        template_hash: word(object, "/metadata/labels/pod-template-hash"),
        slot: map(object, "/metadata/labels").remove(SLOT),
        replicas: count(object, "/spec/replicas").unwrap_or(1),
        pods: count(object, "/status/replicas").unwrap_or_default(),
        revision: revision.and_then(|revision| revision.parse().ok()).unwrap_or_default(),
    })
}

/// A Deployment's selector as a list call takes it; `None` where it has an operator that is not known.
pub fn selector_query(deployment: &Value) -> Option<String> {
    let mut terms: Vec<String> =
        map(deployment, "/spec/selector/matchLabels").iter().map(|(key, value)| format!("{key}={value}")).collect();
    for expression in array(deployment, "/spec/selector/matchExpressions") {
        let key = text(expression, "/key")?;
        let values: Vec<&str> = array(expression, "/values").iter().filter_map(Value::as_str).collect();
        let values = values.join(",");
        terms.push(match text(expression, "/operator")? {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "Exists" => key.to_owned(),
            "DoesNotExist" => format!("!{key}"),
            _ => return None,
        });
    }
    (!terms.is_empty()).then(|| terms.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_deployment_is_read_and_kept_as_it_came() {
        let raw = json!({
            "metadata": {"name": "web", "uid": "u", "resourceVersion": "5", "generation": 3,
                "ownerReferences": [{"kind": "Rollout", "name": "r", "uid": "o", "controller": true}]},
            "spec": {"paused": true, "somethingNew": {"a": 1}}, "status": {"observedGeneration": 2}
        });
        let read = workload(raw.clone()).unwrap();
        assert_eq!((read.generation, read.observed_generation, read.replicas), (3, 2, 1));
        assert!(read.paused && !read.deleting);
        assert_eq!(read.controller.as_deref(), Some("Rollout r"));
        assert_eq!(read.owners, ["o"]);
        assert_eq!(*read.raw, raw);
        assert_eq!(workload(json!({"spec": {}})), None);
    }

    #[test]
    fn a_replica_set_is_read_with_its_deployment() {
        let read = replica_set(&json!({
            "metadata": {"name": "web-abc", "uid": "r", "labels": {"pod-template-hash": "abc"},
                "annotations": {"deployment.kubernetes.io/revision": "4"},
                "ownerReferences": [{"uid": "u", "controller": true}]},
            "spec": {"replicas": 3}, "status": {"replicas": 2}
        }))
        .unwrap();
        assert_eq!((read.controller.as_str(), read.template_hash.as_str()), ("u", "abc"));
        assert_eq!((read.replicas, read.pods, read.revision), (3, 2, 4));
        assert_eq!(replica_set(&json!({"metadata": {"name": "orphan", "uid": "r"}})), None);
    }

    #[test]
    fn a_selector_becomes_a_query() {
        let of = |selector| selector_query(&json!({"spec": {"selector": selector}}));
        assert_eq!(of(json!({"matchLabels": {"app": "web", "tier": "front"}})).unwrap(), "app=web,tier=front");
        let expressions = json!({"matchExpressions": [
            {"key": "a", "operator": "In", "values": ["x", "y"]}, {"key": "b", "operator": "NotIn", "values": ["z"]},
            {"key": "c", "operator": "Exists"}, {"key": "d", "operator": "DoesNotExist"}
        ]});
        assert_eq!(of(expressions).unwrap(), "a in (x,y),b notin (z),c,!d");
        assert_eq!(of(json!({})), None);
        assert_eq!(of(json!({"matchExpressions": [{"key": "a", "operator": "Near"}]})), None);
    }
}
