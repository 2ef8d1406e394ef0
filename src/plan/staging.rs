//! What is built from blue: the candidate Deployment, the preview Service, the candidate's own budget.
//!
//! The candidate is blue's raw JSON, changed only where it must be. Its pods carry the same labels as blue's, so that
//! every network policy, mesh rule and quota treats them alike; what keeps traffic away is the readiness gate.

use serde_json::{Map as Object, Value, json};

use crate::api::names::{self, OPEN, SLOT};
use crate::api::{Attempt, GROUP, VERSION};

use super::observed::{Budget, Observed, Service, Workload};
use super::selector;

/// Labels and annotations, by key prefix, that tie an object to the tool that tracks it: a copy that kept them would be
/// taken for the tool's own and pruned.
const TRACKING: &[&str] = &[
    "app.kubernetes.io/instance",
    "app.kubernetes.io/managed-by",
    "argocd.argoproj.io/",
    "deployment.kubernetes.io/revision",
    "fluxcd.io/",
    "helm.sh/",
    "helm.toolkit.fluxcd.io/",
    "kubectl.kubernetes.io/last-applied-configuration",
    "kustomize.toolkit.fluxcd.io/",
    "meta.helm.sh/",
];

/// Kubernetes reads this as "no deadline". A candidate whose gate is closed counts no pod as available, so any real
/// deadline would call it failed.
const NO_DEADLINE: i32 = i32::MAX;

/// The candidate Deployment, at staging size, owned by the hotfix.
pub fn green(o: &Observed, blue: &Workload, attempt: &Attempt) -> Value {
    let slot = names::slot(&o.hotfix.uid, attempt.number);
    let mut spec = blue.raw.get("spec").cloned().unwrap_or_else(|| json!({}));
    spec["replicas"] = json!(o.hotfix.spec.staging.replicas);
    spec["progressDeadlineSeconds"] = json!(NO_DEADLINE);
    insert(&mut spec, &["selector", "matchLabels"], SLOT, json!(slot));
    insert(&mut spec, &["template", "metadata", "labels"], SLOT, json!(slot));
    let pod = &mut spec["template"]["spec"];
    for image in &attempt.images {
        for list in ["containers", "initContainers"] {
            let containers = pod.get_mut(list).and_then(Value::as_array_mut);
            for container in containers.into_iter().flatten().filter(|c| c["name"] == *image.container) {
                container["image"] = json!(image.image);
            }
        }
    }
    let gate = json!({"conditionType": OPEN});
    match pod.get_mut("readinessGates").and_then(Value::as_array_mut) {
        Some(gates) => gates.push(gate),
        None => pod["readinessGates"] = json!([gate]),
    }
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": o.green_name(),
            "namespace": o.hotfix.namespace,
            "labels": merged(&untracked(&blue.labels), &labels(o, attempt)),
            "annotations": untracked(&blue.annotations),
            "ownerReferences": [owner(o)],
        },
        "spec": spec,
    })
}

/// One pod of the candidate's template, for the rehearsal.
pub fn pod(green: &Value) -> Value {
    let template = &green["spec"]["template"];
    let mut metadata = template.get("metadata").cloned().unwrap_or_else(|| json!({}));
    metadata["name"] = json!(format!("{}-rehearsal", green["metadata"]["name"].as_str().unwrap_or_default()));
    metadata["namespace"] = green["metadata"]["namespace"].clone();
    if let Some(metadata) = metadata.as_object_mut() {
        metadata.remove("creationTimestamp");
    }
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]})
}

/// What admission changed that it must not: the candidate's template and selector have to come back as they were sent,
/// and a pod of it must still have the gate, the slot and the images.
pub fn objection(sent: &Value, green: &Value, pod: &Value) -> Option<String> {
    for pointer in ["/spec/template", "/spec/selector"] {
        if !same(sent.pointer(pointer), green.pointer(pointer)) {
            return Some(format!("admission changed {pointer} of the candidate"));
        }
    }
    let gates = pod.pointer("/spec/readinessGates").and_then(Value::as_array);
    if !gates.is_some_and(|gates| gates.iter().any(|gate| gate["conditionType"] == OPEN)) {
        return Some(format!(
            "admission took the readiness gate {OPEN} off the candidate's pods, so they would get traffic at once"
        ));
    }
    let wanted = sent.pointer("/spec/template/metadata/labels");
    let got = pod.pointer("/metadata/labels");
    let kept = |key: &String, value: &Value| got.and_then(|labels| labels.get(key)) == Some(value);
    if !wanted.and_then(Value::as_object).is_some_and(|labels| labels.iter().all(|(key, value)| kept(key, value))) {
        return Some("admission changed the labels of the candidate's pods".to_owned());
    }
    let containers = |value: &Value| -> Vec<(Value, Value)> {
        let list = value.as_array().cloned().unwrap_or_default();
        list.into_iter().map(|c| (c["name"].clone(), c["image"].clone())).collect()
    };
    let got = containers(&pod["spec"]["containers"]);
    let lost =
        containers(&sent["spec"]["template"]["spec"]["containers"]).into_iter().find(|wanted| !got.contains(wanted));
    lost.map(|(name, image)| {
        format!("admission changed container {name} of the candidate's pods, which should run {image}")
    })
}

/// The preview Service: reaches the candidate only, ready or not, on the ports of the workload's first Service.
pub fn preview(o: &Observed, attempt: &Attempt, like: &Service) -> Value {
    let slot = names::slot(&o.hotfix.uid, attempt.number);
    let ports: Vec<Value> = like
        .ports
        .iter()
        .map(|port| {
            let mut port = port.clone();
            if let Some(port) = port.as_object_mut() {
                port.remove("nodePort");
            }
            port
        })
        .collect();
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": o.green_name(),
            "namespace": o.hotfix.namespace,
            "labels": labels(o, attempt),
            "ownerReferences": [owner(o)],
        },
        "spec": {
            "type": "ClusterIP",
            "publishNotReadyAddresses": true,
            "selector": {SLOT: slot},
            "ports": ports,
        },
    })
}

/// The candidate's own budget: what blue's says, over the candidate's slot. Without it three idle pods of blue would let a
/// drain evict every pod that serves.
pub fn budget(o: &Observed, attempt: &Attempt, like: &Budget) -> Value {
    let slot = names::slot(&o.hotfix.uid, attempt.number);
    let mut spec = like.spec.clone();
    spec["selector"] = json!({"matchLabels": {SLOT: slot}});
    json!({
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {
            "name": o.green_name(),
            "namespace": o.hotfix.namespace,
            "labels": labels(o, attempt),
        },
        "spec": spec,
    })
}

/// The first budget that covers blue, other than our own.
pub fn covering_budget<'a>(o: &'a Observed, blue: &Workload) -> Option<&'a Budget> {
    let labels = blue.template_labels();
    o.budgets.iter().find(|budget| !budget.labels.contains_key(SLOT) && selector::matches(&budget.selector, &labels))
}

/// The Lease that claims the workload, owned by the hotfix so that it never outlives it.
pub fn claim(o: &Observed, blue_uid: &str) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {
            "name": names::claim(blue_uid),
            "namespace": o.hotfix.namespace,
            "labels": {names::HOTFIX_UID: o.hotfix.uid, names::HOTFIX_NAME: o.hotfix.name},
            "ownerReferences": [owner(o)],
        },
        "spec": {"holderIdentity": format!("{}/{}", o.hotfix.name, o.hotfix.uid)},
    })
}

/// The labels of what is made for an attempt.
fn labels(o: &Observed, attempt: &Attempt) -> Object<String, Value> {
    [
        (SLOT, names::slot(&o.hotfix.uid, attempt.number)),
        (names::HOTFIX_UID, o.hotfix.uid.clone()),
        (names::HOTFIX_NAME, o.hotfix.name.clone()),
        (names::ATTEMPT, attempt.number.to_string()),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), Value::String(value)))
    .collect()
}

fn owner(o: &Observed) -> Value {
    json!({
        "apiVersion": format!("{GROUP}/{VERSION}"),
        "kind": "SecurityHotfix",
        "name": o.hotfix.name,
        "uid": o.hotfix.uid,
        "controller": true,
    })
}

fn untracked(map: &super::observed::Map) -> Object<String, Value> {
    map.iter()
        .filter(|(key, _)| !TRACKING.iter().any(|prefix| key.starts_with(prefix)))
        .map(|(key, value)| (key.clone(), Value::String(value.clone())))
        .collect()
}

fn merged(base: &Object<String, Value>, over: &Object<String, Value>) -> Object<String, Value> {
    base.iter().chain(over).map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn insert(value: &mut Value, path: &[&str], key: &str, leaf: Value) {
    let place = path.iter().fold(value, |value, step| {
        if !value[*step].is_object() {
            value[*step] = json!({});
        }
        &mut value[*step]
    });
    place[key] = leaf;
}

/// Equal but for what a server writes as null and a client leaves out.
fn same(a: Option<&Value>, b: Option<&Value>) -> bool {
    match (a, b) {
        (Some(Value::Object(a)), Some(Value::Object(b))) => {
            let keys = a.keys().chain(b.keys());
            keys.into_iter().all(|key| same(a.get(key), b.get(key)))
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(Some(a), Some(b)))
        }
        (Some(Value::Null) | None, Some(Value::Null) | None) => true,
        (a, b) => a == b,
    }
}
